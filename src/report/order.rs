//! The order in which deleting the tags of a rule frees most.
//!
//! Each step takes the tag that frees most once those before it are gone. A blob goes with the last of its tags, so what a
//! tag frees can only grow: when a blob has one tag left, that tag gains its bytes. As in the layer index, the exclusive-or
//! of the tags' numbers says which one that is.

use super::{Freed, json};
use crate::model::Timestamp;
use crate::model::repositories::Repositories;
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;

/// A picked tag with the positions of its blobs in its repository.
pub(super) struct Picked<'a> {
    pub(super) name: &'a str,
    pub(super) dated: Option<Timestamp>,
    pub(super) blobs: Vec<u32>,
}

/// The picked tags of all repositories, and how they share blobs.
#[derive(Default)]
pub(super) struct Order {
    tags: PackedTags,
    blobs: Vec<Blob>,
    /// The blobs of the tags that are not theirs alone, one tag after the other.
    blobs_of_tags: Vec<u32>,
    /// For each tag, where its blobs end.
    blob_ends: Vec<u32>,
    /// The blobs of several repositories, by their slot in the layer index.
    shared: HashMap<u32, u32>,
}

/// There may be millions of tags, so each takes little.
#[derive(Clone, Default)]
struct PackedTags {
    tags: Vec<Tag>,
    /// Their names one after the other.
    names: String,
}

#[derive(Clone)]
struct Tag {
    /// Bytes that go with it: now, and once it is done, at its step. Sums beyond 64 bits come only of sizes that make no sense.
    bytes: u64,
    /// Nanoseconds since 1970; [`UNDATED`] if the time is not known.
    dated: i64,
    /// The end of its name.
    name_end: u32,
    repository: u32,
}

impl Tag {
    fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

const UNDATED: i64 = i64::MIN;

/// A blob with several tags.
struct Blob {
    size: u64,
    tags: u32,
    tags_xor: u32,
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("memory ends before")
}

impl Order {
    /// An empty order with room for so many tags.
    pub(super) fn with_capacity(tags: u64) -> Self {
        let capacity = usize::try_from(tags).unwrap_or(0);
        let tags = PackedTags { tags: Vec::with_capacity(capacity), names: String::new() };
        Self { tags, blob_ends: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// Adds the picked tags of a repository. `blobs` are the size of each blob that goes with all picked tags, and its slot
    /// if it belongs to several repositories.
    pub(super) fn add(&mut self, repository: u32, picked: Vec<Picked<'_>>, blobs: &[Option<(u64, Option<u32>)>]) {
        let mut uses = vec![0u32; blobs.len()];
        let goes = |position: &u32| blobs.get(*position as usize).is_some_and(Option::is_some);
        for position in picked.iter().flat_map(|tag| &tag.blobs).filter(|position| goes(position)) {
            uses[*position as usize] += 1;
        }
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for Picked { name, dated, blobs: positions } in picked {
            let number = narrow(self.tags.tags.len());
            let mut bytes = 0_u64;
            for position in positions.into_iter().filter(goes) {
                let Some((size, slot)) = blobs[position as usize] else { continue };
                if slot.is_none() && uses[position as usize] == 1 {
                    bytes = bytes.saturating_add(size);
                    continue;
                }
                let next = narrow(self.blobs.len());
                let blob = match slot {
                    Some(slot) => *self.shared.entry(slot).or_insert(next),
                    None => *numbers.entry(position).or_insert(next),
                };
                if blob == next {
                    self.blobs.push(Blob { size, tags: 0, tags_xor: 0 });
                }
                let blob_of_tags = &mut self.blobs[blob as usize];
                blob_of_tags.tags += 1;
                blob_of_tags.tags_xor ^= number;
                self.blobs_of_tags.push(blob);
            }
            self.blob_ends.push(narrow(self.blobs_of_tags.len()));
            self.tags.names += name;
            let (dated, name_end) = (dated.map_or(UNDATED, |time| time.0), narrow(self.tags.names.len()));
            self.tags.tags.push(Tag { bytes, dated, name_end, repository });
        }
    }

    /// The first steps, at most `most`. The numbers of repositories are indexes in `repositories`.
    pub(super) fn steps(mut self, most: usize, repositories: Repositories) -> TagSteps {
        self.tags.names.shrink_to_fit();
        let tags = &mut self.tags.tags;
        for blob in self.blobs.iter().filter(|blob| blob.tags == 1) {
            tags[blob.tags_xor as usize].add(blob.size);
        }
        // Of several that free as much, the first repository's oldest tag comes first.
        let rank = |tags: &[Tag], number: u32| (tags[number as usize].bytes, Reverse(number));
        let mut all: Vec<u32> = (0..).zip(&*tags).map(|(number, _)| number).collect();
        all.sort_unstable_by_key(|number| rank(tags, *number));
        // Tags that free more than when they were sorted.
        let mut raised: BinaryHeap<(u64, Reverse<u32>)> = BinaryHeap::new();
        let mut is_done = vec![false; all.len()];
        let mut steps = Vec::with_capacity(most.min(all.len()));
        while steps.len() < most {
            while all.pop_if(|number| is_done[*number as usize]).is_some() {}
            let is_stale = |bytes: u64, number: u32| is_done[number as usize] || tags[number as usize].bytes != bytes;
            while raised.peek().is_some_and(|(bytes, Reverse(number))| is_stale(*bytes, *number)) {
                raised.pop();
            }
            let next = all.last().map(|number| rank(tags, *number)).max(raised.peek().copied());
            let Some((_, Reverse(number))) = next else { break };
            is_done[number as usize] = true;
            steps.push(number);
            let start = (number as usize).checked_sub(1).map_or(0, |before| self.blob_ends[before]);
            for blob in &self.blobs_of_tags[start as usize..self.blob_ends[number as usize] as usize] {
                let blob = &mut self.blobs[*blob as usize];
                blob.tags -= 1;
                blob.tags_xor ^= number;
                if blob.tags == 1 {
                    let last = &mut tags[blob.tags_xor as usize];
                    last.add(blob.size);
                    raised.push((last.bytes, Reverse(blob.tags_xor)));
                }
            }
        }
        TagSteps { repositories, tags: self.tags, steps }
    }
}

/// The tags of a rule in the order that frees most, packed.
#[derive(Clone)]
pub struct TagSteps {
    repositories: Repositories,
    tags: PackedTags,
    steps: Vec<u32>,
}

/// The deletion of one tag, after those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TagStep<'a> {
    /// The organization.
    pub namespace: &'a str,
    /// The repository within it.
    pub repository: &'a str,
    /// The tag.
    pub tag: &'a str,
    /// When it was last updated, or created.
    #[serde(rename = "updated", serialize_with = "json::optional_time")]
    pub dated: Option<Timestamp>,
    /// Bytes that go with it, once those before it are gone.
    pub bytes: u128,
}

impl TagSteps {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What all steps free.
    pub fn freed(&self) -> Freed {
        let bytes = self.steps.iter().map(|number| u128::from(self.tags.tags[*number as usize].bytes));
        Freed { tags: self.steps.len() as u64, bytes: bytes.sum() }
    }

    /// The steps in their order.
    pub fn iter(&self) -> impl Iterator<Item = TagStep<'_>> {
        self.steps.iter().map(|number| {
            let PackedTags { tags, names } = &self.tags;
            let tag = &tags[*number as usize];
            let start = (*number as usize).checked_sub(1).map_or(0, |before| tags[before].name_end);
            let row = self.repositories.get(tag.repository as usize);
            TagStep {
                namespace: row.namespace,
                repository: row.name,
                tag: &names[start as usize..tag.name_end as usize],
                dated: (tag.dated != UNDATED).then_some(Timestamp(tag.dated)),
                bytes: tag.bytes.into(),
            }
        })
    }
}

impl Serialize for TagSteps {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.iter())
    }
}

impl fmt::Debug for TagSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
