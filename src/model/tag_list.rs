//! The tags of a repository with the blobs they refer to, packed: some 25 bytes a tag.
//!
//! Tags are in the order in which rules pick them: those that a rule may pick, from the one updated longest ago to the one
//! updated last, then the others. Each blob belongs to the last tag that refers to it, and the blobs are in the order of
//! their tags. So the blobs that only the first tags refer to are the first blobs, and whatever a rule picks is a prefix.

use super::Timestamp;
use super::pattern::Pattern;
use super::reclaim::Rule;
use super::tags::{Blob, Digest32, seconds};
use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;

/// A tag as it is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTag {
    /// Its name.
    pub name: Box<str>,
    /// When it was last updated, or created if that is not known.
    pub dated: Option<Timestamp>,
    /// Whether `dated` is the time of creation.
    pub by_creation: bool,
    /// Its known blobs; for an index, those of its images.
    pub blobs: Vec<Blob>,
}

/// An image below an index, which is stored as long as the index is, with or without a tag of its own.
pub type IndexedImage = (Digest32, Vec<Blob>);

/// The packed list. Positions refer to the repository's blobs, which are kept beside it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct TagList(Box<[u8]>);

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Head {
    tags: u32,
    /// The number of tags that a rule may pick.
    eligible: u32,
}

#[derive(Deserialize, Serialize)]
struct PackedTag<'a> {
    name: &'a str,
    date: Date,
    /// The blobs that belong to it. They follow those of the tag before it. Behind the tag are the blobs that belong to later
    /// tags, as differences of positions, first from the end of its own.
    own: u32,
}

/// A date as the difference to that of the tag before.
#[derive(Deserialize, Serialize)]
enum Date {
    None,
    Updated(i64, u32),
    Created(i64, u32),
}

#[derive(Deserialize, Serialize)]
struct PackedImage {
    digest: Digest32,
    blobs: Vec<u32>,
}

/// What the rules pick in a repository, and the second at which that changes by time alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picks {
    /// For each rule the number of tags, and of the blobs that only these refer to.
    pub by_rule: Vec<(u32, u32)>,
    /// Seconds since 1970; `u32::MAX` if it never does.
    pub until: u32,
}

impl TagList {
    /// Packs tags and the images below their indexes. Returns the list and the distinct blobs in the list's order.
    pub fn pack(mut tags: Vec<ListedTag>, images: &[IndexedImage], keep: Option<&Pattern>) -> (Self, Vec<Blob>) {
        let is_eligible = |tag: &ListedTag| tag.dated.is_some() && keep.is_none_or(|keep| !keep.is_match(&tag.name));
        // Of two with the same time, the one whose name sorts later counts as the newer one.
        tags.sort_by_cached_key(|tag| (!is_eligible(tag), tag.dated, tag.name.clone()));
        let eligible = tags.iter().take_while(|tag| is_eligible(tag)).count();
        let mut distinct: Vec<Blob> = tags.iter().flat_map(|tag| tag.blobs.iter().copied()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let index = |blob: &Blob| distinct.binary_search(blob).ok();
        let mut owner = vec![0; distinct.len()];
        for (number, tag) in tags.iter().enumerate() {
            tag.blobs.iter().filter_map(index).for_each(|blob| owner[blob] = number);
        }
        let mut order: Vec<usize> = (0..distinct.len()).collect();
        order.sort_by_key(|blob| owner[*blob]);
        let mut position = vec![0; distinct.len()];
        order.iter().zip(0..).for_each(|(blob, at)| position[*blob] = at);
        let positions = |blobs: &[Blob]| {
            let mut positions: Vec<u32> = blobs.iter().filter_map(index).map(|blob| position[blob]).collect();
            positions.sort_unstable();
            positions.dedup();
            positions
        };
        let mut out = Packer(Vec::new());
        out.push(&Head { tags: narrow(tags.len()), eligible: narrow(eligible) });
        let (mut end, mut date) = (0, 0);
        for (number, tag) in tags.iter().enumerate() {
            let all = positions(&tag.blobs);
            let own = narrow(all.iter().filter(|at| owner[order[**at as usize]] == number).count());
            end += own;
            let date = match tag.dated {
                None => Date::None,
                Some(time) => {
                    let (second, fraction) = time.parts();
                    let difference = second.wrapping_sub(std::mem::replace(&mut date, second));
                    let packed = if tag.by_creation { Date::Created } else { Date::Updated };
                    packed(difference, fraction)
                }
            };
            let others = differences(all.into_iter().filter(|at| *at >= end), end);
            out.push(&PackedTag { name: &tag.name, date, own });
            out.push(&others);
        }
        for (digest, blobs) in images {
            out.push(&PackedImage { digest: *digest, blobs: differences(positions(blobs).into_iter(), 0) });
        }
        (Self(out.0.into()), order.into_iter().map(|blob| distinct[blob]).collect())
    }

    /// Bytes of memory.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was packed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags, each with the positions of its blobs.
    pub fn tags(&self) -> impl Iterator<Item = TagAt<'_>> {
        Tags::new(self)
    }

    /// The tags and the images below their indexes. `blobs` are those of the repository, in the list's order.
    pub fn unpack(&self, blobs: &[Blob]) -> (Vec<ListedTag>, Vec<IndexedImage>) {
        let at = |position: u32| blobs.get(position as usize).copied();
        let mut tags = Tags::new(self);
        let listed = tags.by_ref().map(|tag| ListedTag {
            name: tag.name.into(),
            dated: tag.dated,
            by_creation: tag.by_creation,
            blobs: tag.blobs().filter_map(at).collect(),
        });
        let listed = listed.collect();
        let mut images = Vec::new();
        while let Some(PackedImage { digest, blobs }) = take(&mut tags.rest) {
            images.push((digest, sums(blobs, 0).filter_map(at).collect()));
        }
        (listed, images)
    }

    /// Whether there are images below indexes.
    pub fn has_images(&self) -> bool {
        let mut tags = Tags::new(self);
        tags.by_ref().for_each(drop);
        !tags.rest.is_empty()
    }

    /// The seconds at which tags were updated, sorted; without tags of which that is not known.
    pub fn updated(&self) -> Vec<u32> {
        let mut updated: Vec<u32> = self.tags().filter_map(|tag| tag.updated()).collect();
        updated.sort_unstable();
        updated
    }

    /// What rules pick at `now`, in seconds since 1970.
    pub fn picks(&self, rules: &[Rule], now: u32) -> Picks {
        self.picks_beside(rules, now, |_| {})
    }

    /// As [`TagList::picks`], and passes every tag to `visit` on the way.
    pub fn picks_beside(&self, rules: &[Rule], now: u32, mut visit: impl FnMut(&TagAt<'_>)) -> Picks {
        let tags = Tags::new(self);
        let eligible = tags.head.eligible.min(tags.head.tags);
        let mut picks = Picks { by_rule: vec![(0, 0); rules.len()], until: u32::MAX };
        let mut is_open = vec![true; rules.len()];
        for (number, tag) in (0..).zip(tags) {
            visit(&tag);
            if number >= eligible {
                continue;
            }
            for ((rule, picked), is_open) in rules.iter().zip(&mut picks.by_rule).zip(&mut is_open) {
                if !*is_open {
                    continue;
                }
                let is_picked = match rule {
                    Rule::BeyondNewest { count } => number + count < eligible,
                    Rule::OlderThan { days } => {
                        let due = due(tag.dated.unwrap_or_default(), *days);
                        if due > u64::from(now) {
                            picks.until = picks.until.min(u32::try_from(due).unwrap_or(u32::MAX));
                        }
                        due <= u64::from(now)
                    }
                };
                if is_picked {
                    *picked = (number + 1, tag.start + tag.own);
                } else {
                    *is_open = false;
                }
            }
        }
        picks
    }
}

/// The second from which on a tag of this date is so many full days old.
fn due(dated: Timestamp, days: u32) -> u64 {
    let (second, fraction) = dated.parts();
    u64::try_from(second.saturating_add(i64::from(fraction > 0))).unwrap_or_default() + u64::from(days) * DAY
}

/// A tag of the list.
#[derive(Clone, Debug)]
pub struct TagAt<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it was last updated, or created.
    pub dated: Option<Timestamp>,
    /// Whether `dated` is the time of creation.
    pub by_creation: bool,
    /// The position of the first blob that belongs to it.
    start: u32,
    own: u32,
    others: Numbers<'a>,
}

impl TagAt<'_> {
    /// The second at which it was updated, if that is known.
    pub fn updated(&self) -> Option<u32> {
        self.dated.filter(|_| !self.by_creation).map(seconds)
    }

    /// The positions of its blobs, ascending.
    pub fn blobs(&self) -> impl Iterator<Item = u32> {
        let end = self.start.saturating_add(self.own);
        (self.start..end).chain(sums(self.others, end))
    }
}

/// Reads the tags one by one. A list that is cut off ends early.
struct Tags<'a> {
    head: Head,
    left: u32,
    rest: &'a [u8],
    end: u32,
    second: i64,
}

impl<'a> Tags<'a> {
    fn new(list: &'a TagList) -> Self {
        let mut rest = &*list.0;
        let head = take(&mut rest).unwrap_or(Head { tags: 0, eligible: 0 });
        Self { head, left: head.tags, rest, end: 0, second: 0 }
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = TagAt<'a>;

    fn next(&mut self) -> Option<TagAt<'a>> {
        self.left = self.left.checked_sub(1)?;
        let PackedTag { name, date, own } = take(&mut self.rest)?;
        let others = Numbers::take(&mut self.rest)?;
        let (date, by_creation) = match date {
            Date::None => (None, false),
            Date::Updated(second, fraction) => (Some((second, fraction)), false),
            Date::Created(second, fraction) => (Some((second, fraction)), true),
        };
        let dated = date.map(|(difference, fraction)| {
            self.second = self.second.wrapping_add(difference);
            Timestamp(self.second.saturating_mul(1_000_000_000).saturating_add(fraction.into()))
        });
        let start = self.end;
        self.end = self.end.saturating_add(own);
        Some(TagAt { name, dated, by_creation, start, own, others })
    }
}

/// Takes one value from the beginning.
fn take<'a, T: Deserialize<'a>>(bytes: &mut &'a [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

/// A sequence of numbers that is not decoded before somebody asks.
#[derive(Clone, Copy, Debug)]
struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    /// Takes a sequence from the beginning.
    fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        let count: u32 = take(bytes)?;
        let mut end = 0;
        for _ in 0..count {
            // The last byte of a number has no high bit.
            end += bytes[end..].iter().position(|byte| byte & 0x80 == 0)? + 1;
        }
        let (numbers, rest) = bytes.split_at(end);
        *bytes = rest;
        Some(Self(numbers))
    }
}

impl Iterator for Numbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        take(&mut self.0)
    }
}

struct Packer(Vec<u8>);

impl Packer {
    fn push(&mut self, value: &impl Serialize) {
        let packed = postcard::to_extend(value, std::mem::take(&mut self.0));
        self.0 = packed.expect("numbers and texts can be written to memory");
    }
}

/// Ascending numbers as the differences between neighbours.
fn differences(numbers: impl Iterator<Item = u32>, mut previous: u32) -> Vec<u32> {
    numbers.map(|number| number - std::mem::replace(&mut previous, number)).collect()
}

/// The inverse of [`differences`].
fn sums(differences: impl IntoIterator<Item = u32>, from: u32) -> impl Iterator<Item = u32> {
    differences.into_iter().scan(from, |sum, difference| {
        *sum = sum.wrapping_add(difference);
        Some(*sum)
    })
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("a repository has fewer tags and blobs")
}
