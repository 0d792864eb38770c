//! The tags of one repository, reduced to what is stored.

use super::pattern::Pattern;
use super::tag_list::{IndexedImage, ListedTag, TagList};
use super::tags::{Blob, Contents, Digest32, Tag, TagSeries, TagTotals};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The tags of one repository.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Their number and the range of their dates.
    pub totals: TagTotals,
    /// The tags with their dates and blobs.
    pub list: TagList,
    /// The distinct blobs of all tags, in the order of `list`.
    pub blobs: Vec<Blob>,
    /// The tags by name, if they have their own series.
    pub series: Option<Arc<[TagSeries]>>,
}

/// What is known of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRepository {
    /// The organization.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Box<str>,
    /// Its tags and when they were read, in seconds since 1970. `None` if they were not, or cannot be.
    pub tags: Option<(u32, Reading)>,
    /// The number of its retention rules, if it was read.
    pub retention_rules: Option<u32>,
}

/// What is known beside the tags themselves.
#[derive(Clone, Debug, Default)]
pub struct ReadingOptions<'a> {
    /// Whether the tags have series of their own.
    pub with_series: bool,
    /// Tags that no rule picks.
    pub keep: Option<&'a Pattern>,
    /// The images below indexes at the previous reading. One that has lost its tag since then is still stored, because the
    /// index needs it, but only this knows its layers.
    pub indexed: &'a [IndexedImage],
}

impl Reading {
    /// Reduces the tags of a repository. Of two with the same name the one that was updated last counts.
    pub fn of(mut tags: Vec<Tag>, options: &ReadingOptions<'_>) -> Self {
        tags.sort_by(|a, b| a.name.cmp(&b.name).then(b.updated.cmp(&a.updated)));
        tags.dedup_by(|later, kept| later.name == kept.name);
        let mut manifests = Manifests::of(&tags, options.indexed);
        let mut unlayered = 0;
        let listed = tags.iter().map(|tag| {
            let mut blobs = Vec::new();
            unlayered += u32::from(!manifests.of_tag(&tag.contents, &mut blobs));
            ListedTag {
                name: tag.name.clone(),
                dated: tag.updated.or(tag.created),
                by_creation: tag.updated.is_none(),
                blobs,
            }
        });
        let listed = listed.collect();
        let below_indexes = std::mem::take(&mut manifests.below_indexes).into_iter();
        let indexed: Vec<IndexedImage> =
            below_indexes.filter_map(|(digest, (blobs, is_known))| is_known.then_some((digest, blobs))).collect();
        let (list, blobs) = TagList::pack(listed, &indexed, options.keep);
        let totals = TagTotals {
            tags: u32::try_from(tags.len()).unwrap_or(u32::MAX),
            unlayered,
            newest: tags.iter().filter_map(|tag| tag.updated).max(),
            oldest: tags.iter().filter_map(|tag| tag.updated).min(),
        };
        Self {
            totals,
            list,
            blobs,
            series: options.with_series.then(|| tags.into_iter().map(TagSeries::from).collect()),
        }
    }

    /// The same tags with others that no rule picks.
    #[must_use]
    pub fn keeping(self, keep: Option<&Pattern>) -> Self {
        let (tags, images) = self.list.unpack(&self.blobs);
        let (list, blobs) = TagList::pack(tags, &images, keep);
        Self { list, blobs, ..self }
    }
}

/// Indexes that list indexes, this deep at most.
const MAX_DEPTH: u32 = 32;

/// The manifests of a repository by their digest.
struct Manifests<'a> {
    tagged: HashMap<Digest32, Vec<&'a Contents>>,
    untagged: HashMap<Digest32, &'a [Blob]>,
    /// The images below indexes that were looked at: their blobs, and whether these are all.
    below_indexes: BTreeMap<Digest32, (Vec<Blob>, bool)>,
}

impl<'a> Manifests<'a> {
    fn of(tags: &'a [Tag], indexed: &'a [IndexedImage]) -> Self {
        let mut tagged: HashMap<_, Vec<_>> = HashMap::new();
        for tag in tags {
            if let Some(digest) = Digest32::parse(&tag.digest) {
                tagged.entry(digest).or_default().push(&tag.contents);
            }
        }
        let untagged = indexed.iter().map(|(digest, blobs)| (*digest, &blobs[..])).collect();
        Self { tagged, untagged, below_indexes: BTreeMap::new() }
    }

    /// Collects the blobs of a tag. Returns whether all are known; those of an image below an index are if the image has a
    /// tag, which counts for itself.
    fn of_tag(&mut self, contents: &Contents, blobs: &mut Vec<Blob>) -> bool {
        match contents {
            Contents::Unknown => false,
            Contents::Image(parts) => {
                blobs.extend_from_slice(parts);
                true
            }
            Contents::Index(images) => {
                let mut is_known = true;
                for digest in images {
                    is_known &= self.below_index(*digest, MAX_DEPTH, blobs) || self.tagged.contains_key(digest);
                }
                is_known
            }
        }
    }

    /// Collects the blobs of an image below an index. Returns whether these are all.
    fn below_index(&mut self, digest: Digest32, depth: u32, blobs: &mut Vec<Blob>) -> bool {
        if let Some((own, is_known)) = self.below_indexes.get(&digest) {
            blobs.extend_from_slice(own);
            return *is_known;
        }
        // An index that lists itself ends here.
        self.below_indexes.insert(digest, (Vec::new(), false));
        let (mut own, mut is_known) = (Vec::new(), true);
        match (self.tagged.get(&digest).cloned(), self.untagged.get(&digest)) {
            (Some(all), _) => {
                for contents in all {
                    match contents {
                        Contents::Image(parts) => own.extend_from_slice(parts),
                        Contents::Index(images) if depth > 0 => {
                            for image in images {
                                is_known &= self.below_index(*image, depth - 1, &mut own);
                            }
                        }
                        Contents::Index(_) | Contents::Unknown => is_known = false,
                    }
                }
            }
            (None, Some(parts)) => own.extend_from_slice(parts),
            (None, None) => is_known = false,
        }
        own.sort_unstable();
        own.dedup();
        blobs.extend_from_slice(&own);
        self.below_indexes.insert(digest, (own, is_known));
        is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::model::reclaim::{Reclaim, Rule};
    use proptest::prelude::*;

    fn blob(digest: u8, size: u64) -> Blob {
        Blob { digest: Digest32([digest; 32]), size }
    }

    fn tag(name: &str, digest: u8, updated: i64, contents: Contents) -> Tag {
        Tag {
            name: name.into(),
            digest: format!("sha256:{}", hex::encode([digest; 32])).into(),
            updated: Some(Timestamp(updated * 1_000_000_000)),
            contents,
            ..Tag::default()
        }
    }

    fn sorted(mut blobs: Vec<Blob>) -> Vec<Blob> {
        blobs.sort_unstable();
        blobs
    }

    #[test]
    fn a_reading_counts_each_blob_once_and_each_name_once() {
        let image = |parts: &[u8]| Contents::Image(parts.iter().map(|part| blob(*part, u64::from(*part))).collect());
        let tags = vec![
            tag("a", 101, 10, image(&[1, 2, 2])),
            tag("b", 102, 30, image(&[2, 3])),
            tag("b", 103, 20, image(&[9])),
            tag("multi", 104, 15, Contents::Index(vec![Digest32([101; 32]), Digest32([102; 32])])),
            tag("far", 105, 16, Contents::Index(vec![Digest32([1; 32])])),
            tag("broken", 106, 17, Contents::Unknown),
        ];
        let reading = Reading::of(tags, &ReadingOptions { with_series: true, ..ReadingOptions::default() });
        assert_eq!(
            (reading.totals.tags, reading.totals.unlayered),
            (5, 2),
            "an index of images that have tags hides nothing"
        );
        assert_eq!(sorted(reading.blobs), [blob(1, 1), blob(2, 2), blob(3, 3)]);
        assert_eq!(reading.totals.newest, Some(Timestamp(30_000_000_000)));
        assert_eq!(reading.list.updated(), [10, 15, 16, 17, 30]);
        let series = reading.series.unwrap();
        assert_eq!(series.len(), 5);
        assert_eq!(series.iter().find(|tag| &*tag.name == "b").unwrap().digest[7..9], *"66", "the later one counts");
    }

    #[test]
    fn an_image_below_an_index_stays_when_it_loses_its_tag() {
        let image = |part: u8| Contents::Image(vec![blob(part, 5)]);
        let index = tag("multi", 104, 15, Contents::Index(vec![Digest32([101; 32]), Digest32([102; 32])]));
        let all = vec![tag("a", 101, 10, image(1)), tag("b", 102, 30, image(2)), index.clone()];
        let before = Reading::of(all, &ReadingOptions::default());
        let indexed = before.list.unpack(&before.blobs).1;
        assert_eq!(indexed.len(), 2);
        let options = ReadingOptions { indexed: &indexed, ..ReadingOptions::default() };
        let after = Reading::of(vec![index.clone()], &options);
        assert_eq!(
            (after.totals.tags, after.totals.unlayered, sorted(after.blobs.clone())),
            (1, 0, sorted(before.blobs))
        );
        assert_eq!(after.list.unpack(&after.blobs).1, indexed, "and is known the next time");
        let forgotten = Reading::of(vec![index], &ReadingOptions::default());
        assert_eq!((forgotten.totals.unlayered, forgotten.blobs.len()), (1, 0));
        let gone = Reading::of(vec![tag("c", 103, 1, image(3))], &options);
        assert!(!gone.list.has_images(), "without its index it is gone");
    }

    #[test]
    fn indexes_that_list_each_other_end() {
        let index = |name: &str, digest: u8, below: &[u8]| {
            tag(name, digest, 1, Contents::Index(below.iter().map(|digest| Digest32([*digest; 32])).collect()))
        };
        let mut tags: Vec<Tag> =
            (0..100).map(|number| index(&format!("{number}"), number, &[number, number + 1, number + 1])).collect();
        tags.push(tag("image", 100, 1, Contents::Image(vec![blob(1, 1)])));
        let reading = Reading::of(tags, &ReadingOptions::default());
        assert_eq!((reading.totals.tags, reading.blobs.len()), (101, 1));
    }

    fn any_tag() -> impl Strategy<Value = Tag> {
        let time = || {
            proptest::option::of(
                (0i64..4_000, 0i64..2).prop_map(|(second, part)| Timestamp(second * 1_000_000_000 + part * 7)),
            )
        };
        let contents = prop_oneof![
            Just(Contents::Unknown),
            proptest::collection::vec((0u8..20, 1u64..3), 0..8).prop_map(|parts| Contents::Image(
                parts.into_iter().map(|(digest, size)| blob(digest, size)).collect()
            )),
            proptest::collection::vec(30u8..60, 0..4)
                .prop_map(|images| Contents::Index(images.into_iter().map(|digest| Digest32([digest; 32])).collect())),
        ];
        ("[a-c]{1,3}", 30u8..60, time(), time(), contents).prop_map(|(name, digest, updated, created, contents)| Tag {
            updated,
            created,
            ..tag(&name, digest, 0, contents)
        })
    }

    proptest! {
        #[test]
        fn a_list_unpacks_to_what_was_packed_and_picks_what_the_rules_say(
            tags in proptest::collection::vec(any_tag(), 0..40), now in 0u32..4_100, keep in any::<bool>(), count in 1u32..6
        ) {
            let keep: Option<Pattern> = keep.then(|| "a.*".parse().unwrap());
            let reading = Reading::of(tags.clone(), &ReadingOptions { keep: keep.as_ref(), ..ReadingOptions::default() });
            let (listed, images) = reading.list.unpack(&reading.blobs);
            prop_assert_eq!(listed.len(), reading.totals.tags as usize);
            let (again, blobs) = TagList::pack(listed.clone(), &images, keep.as_ref());
            prop_assert_eq!((&again, &blobs), (&reading.list, &reading.blobs));
            let elsewhere = reading.clone().keeping(Some(&"b".parse().unwrap()));
            prop_assert_eq!(elsewhere.keeping(keep.as_ref()), reading.clone());
            for digest in 0..20 {
                for size in 1..3 {
                    let has = tags.iter().any(|tag| matches!(&tag.contents, Contents::Image(parts) if parts.contains(&blob(digest, size))));
                    prop_assert!(has || !blobs.contains(&blob(digest, size)));
                }
            }
            // A rule picks what a count by hand picks, and the blobs of no other tag.
            let now = now + 86_400;
            let rules = [Rule::OlderThan { days: 1 }, Rule::BeyondNewest { count }];
            let picks = reading.list.picks(&rules, now);
            let mut eligible: Vec<&ListedTag> = listed.iter()
                .filter(|tag| tag.dated.is_some() && keep.as_ref().is_none_or(|keep| !keep.is_match(&tag.name)))
                .collect();
            eligible.sort_by_key(|tag| (tag.dated, tag.name.clone()));
            let old: Vec<&ListedTag> = eligible.iter().copied()
                .filter(|tag| i64::from(now) * 1_000_000_000 - tag.dated.unwrap().0 >= 86_400_000_000_000).collect();
            let beyond: Vec<&ListedTag> = eligible.iter().rev().skip(count as usize).copied().collect();
            for ((tags, prefix), picked) in picks.by_rule.iter().zip([old, beyond]) {
                prop_assert_eq!(*tags as usize, picked.len());
                let kept: Vec<Blob> = listed.iter().filter(|tag| !picked.contains(tag)).flat_map(|tag| tag.blobs.clone()).collect();
                let freed: Vec<Blob> = blobs.iter().filter(|blob| !kept.contains(blob)).copied().collect();
                prop_assert_eq!(sorted(blobs[..*prefix as usize].to_vec()), sorted(freed));
            }
            prop_assert!(picks.until > now);
            prop_assert_eq!(&reading.list.picks(&rules, picks.until - 1).by_rule, &picks.by_rule);
            prop_assert!(picks.until == u32::MAX || reading.list.picks(&rules, picks.until).by_rule != picks.by_rule);
        }

        #[test]
        fn no_bytes_make_a_list_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), now in any::<u32>()) {
            let list: TagList = postcard::from_bytes(&postcard::to_allocvec(&bytes).unwrap()).unwrap();
            let _ = (list.unpack(&[blob(1, 1)]), list.picks(&Reclaim::default().rules, now), list.updated());
        }
    }
}
