//! The order in which deleting the tags of a rule frees most.
//!
//! Each step takes the tag that frees most once those before it are gone. A blob goes with the last of its tags, so what a
//! tag frees can only grow: when a blob has one tag left, that tag gains its bytes. As in the layer index, the exclusive-or
//! of the tags' numbers says which one that is.

use super::{Name, TagStep};
use crate::model::Timestamp;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// A picked tag with the positions of its blobs in its repository.
pub(super) struct Picked {
    pub(super) name: Box<str>,
    pub(super) dated: Option<Timestamp>,
    pub(super) blobs: Vec<u32>,
}

/// The picked tags of all repositories.
#[derive(Default)]
pub(super) struct Order {
    tags: Vec<Tag>,
    blobs: Vec<Blob>,
    /// The blobs of the tags that are not theirs alone, one tag after the other.
    blobs_of_tags: Vec<u32>,
    /// The blobs of several repositories, by their slot in the layer index.
    shared: HashMap<u32, u32>,
}

struct Tag {
    repository: u32,
    name: Box<str>,
    dated: Option<Timestamp>,
    /// Bytes that go with it now.
    bytes: u128,
    /// Where its blobs end.
    end: usize,
    is_done: bool,
}

/// A blob with several tags.
struct Blob {
    size: u64,
    tags: u32,
    tags_xor: u32,
}

impl Order {
    /// Adds the picked tags of a repository. `blobs` are the size of each blob that goes with all picked tags, and its slot
    /// if it belongs to several repositories.
    pub(super) fn add(&mut self, repository: u32, picked: Vec<Picked>, blobs: &[Option<(u64, Option<u32>)>]) {
        let mut uses = vec![0u32; blobs.len()];
        let goes = |position: &u32| blobs.get(*position as usize).is_some_and(Option::is_some);
        for position in picked.iter().flat_map(|tag| &tag.blobs).filter(|position| goes(position)) {
            uses[*position as usize] += 1;
        }
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for Picked { name, dated, blobs: positions } in picked {
            let number = u32::try_from(self.tags.len()).expect("there are fewer tags");
            let mut bytes = 0;
            for position in positions.into_iter().filter(goes) {
                let Some((size, slot)) = blobs[position as usize] else { continue };
                if slot.is_none() && uses[position as usize] == 1 {
                    bytes += u128::from(size);
                    continue;
                }
                let next = u32::try_from(self.blobs.len()).expect("there are fewer blobs");
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
            let end = self.blobs_of_tags.len();
            self.tags.push(Tag { repository, name, dated, bytes, end, is_done: false });
        }
    }

    /// The first steps, at most `most`.
    pub(super) fn steps(mut self, most: usize, name: impl Fn(u32) -> Name) -> Vec<TagStep> {
        for blob in self.blobs.iter().filter(|blob| blob.tags == 1) {
            self.tags[blob.tags_xor as usize].bytes += u128::from(blob.size);
        }
        // Of several that free as much, the first repository's oldest tag comes first.
        let mut heap: BinaryHeap<(u128, Reverse<u32>)> =
            (0..).zip(&self.tags).map(|(number, tag)| (tag.bytes, Reverse(number))).collect();
        let mut steps = Vec::new();
        while steps.len() < most
            && let Some((bytes, Reverse(number))) = heap.pop()
        {
            let tag = &mut self.tags[number as usize];
            if tag.is_done || tag.bytes != bytes {
                // It frees more than when this was noted.
                continue;
            }
            tag.is_done = true;
            let (tag_name, dated, end) = (std::mem::take(&mut tag.name), tag.dated, tag.end);
            steps.push(TagStep { of: name(tag.repository), tag: tag_name, dated, bytes });
            let start = (number as usize).checked_sub(1).map_or(0, |before| self.tags[before].end);
            for blob in &self.blobs_of_tags[start..end] {
                let blob = &mut self.blobs[*blob as usize];
                blob.tags -= 1;
                blob.tags_xor ^= number;
                if blob.tags == 1 {
                    let last = &mut self.tags[blob.tags_xor as usize];
                    last.bytes += u128::from(blob.size);
                    heap.push((last.bytes, Reverse(blob.tags_xor)));
                }
            }
        }
        steps
    }
}
