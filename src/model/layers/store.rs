//! The blobs of a layer index by small numbers, their slots.

use crate::model::reclaim::MAX_RULES;
use crate::model::tags::Blob;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// The number of a repository, chosen by the caller. Small: memory is taken for each number up to the largest.
pub type Owner = u32;

pub(super) const EVERY_RULE: u8 = u8::MAX;
const _: () = assert!(MAX_RULES == u8::BITS as usize, "a bit for each rule");

/// Blobs in a chunk of the store. It grows by chunks, so that no blob is moved.
const CHUNK: usize = 1 << 14;

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) blob: Blob,
    /// The number of repositories that refer to it; 0 for a free slot.
    pub(super) owners: u32,
    /// The exclusive-or of their numbers.
    pub(super) owners_xor: Owner,
}

#[derive(Debug)]
struct Chunk {
    entries: Vec<Entry>,
    /// For each entry the rules under which a repository keeps it, as bits.
    kept: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct BlobStore {
    slots: HashTable<u32>,
    key: HashKey,
    chunks: Vec<Chunk>,
    free: Vec<u32>,
}

impl BlobStore {
    pub(super) fn reserve(&mut self, blobs: usize) {
        let (chunks, key) = (&self.chunks, &self.key);
        let additional = blobs.saturating_sub(self.slots.len());
        self.slots.reserve(additional, |slot| key.hash(blob_at(chunks, *slot)));
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.entries.len()).sum()
    }

    pub(super) fn hash_of(&self, blob: &Blob) -> u64 {
        self.key.hash(blob)
    }

    pub(super) fn keep_all(&mut self) {
        self.chunks.iter_mut().for_each(|chunk| chunk.kept.fill(EVERY_RULE));
    }

    /// The slot of a blob, which is added if need be.
    pub(super) fn slot_of(&mut self, blob: Blob, hash: u64) -> u32 {
        if let Some(slot) = self.find(hash, &blob) {
            return slot;
        }
        let entry = Entry { blob, owners: 0, owners_xor: 0 };
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.entry_mut(slot) = entry;
                slot
            }
            None => {
                if self.chunks.last().is_none_or(|chunk| chunk.entries.len() == CHUNK) {
                    self.chunks.push(Chunk { entries: Vec::with_capacity(CHUNK), kept: Vec::with_capacity(CHUNK) });
                }
                let chunks = self.chunks.len();
                let chunk = self.chunks.last_mut().expect("one was put there if there was none");
                chunk.entries.push(entry);
                chunk.kept.push(EVERY_RULE);
                u32::try_from((chunks - 1) * CHUNK + chunk.entries.len() - 1).expect("memory ends before 2^32 blobs do")
            }
        };
        let (chunks, key) = (&self.chunks, &self.key);
        self.slots.insert_unique(hash, slot, |slot| key.hash(blob_at(chunks, *slot)));
        slot
    }

    pub(super) fn find(&self, hash: u64, blob: &Blob) -> Option<u32> {
        self.slots.find(hash, |slot| self.entry(*slot).blob == *blob).copied()
    }

    pub(super) fn entry(&self, slot: u32) -> &Entry {
        &self.chunks[slot as usize / CHUNK].entries[slot as usize % CHUNK]
    }

    pub(super) fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.chunks[slot as usize / CHUNK].entries[slot as usize % CHUNK]
    }

    pub(super) fn kept(&self, slot: u32) -> u8 {
        self.chunks[slot as usize / CHUNK].kept[slot as usize % CHUNK]
    }

    pub(super) fn kept_mut(&mut self, slot: u32) -> &mut u8 {
        &mut self.chunks[slot as usize / CHUNK].kept[slot as usize % CHUNK]
    }

    pub(super) fn free(&mut self, slot: u32) {
        let hash = self.key.hash(&self.entry(slot).blob);
        if let Ok(found) = self.slots.find_entry(hash, |other| *other == slot) {
            found.remove();
        }
        self.free.push(slot);
    }
}

fn blob_at(chunks: &[Chunk], slot: u32) -> &Blob {
    &chunks[slot as usize / CHUNK].entries[slot as usize % CHUNK].blob
}

/// The random key of a hash, because digests come from outside.
#[derive(Debug)]
struct HashKey([u64; 2]);

impl Default for HashKey {
    fn default() -> Self {
        // Seeded by the operating system.
        let random = RandomState::new();
        Self([0, 1].map(|part: u64| random.hash_one(part)))
    }
}

impl HashKey {
    /// Half a digest is random enough. Whoever does not know the key finds no two whose products have the same halves.
    fn hash(&self, blob: &Blob) -> u64 {
        let (words, _) = blob.digest.0.as_chunks();
        let [one, other] = [0, 1].map(|part| u64::from_le_bytes(words[part]) ^ self.0[part]);
        let (low, high) = one.carrying_mul(other, 0);
        low ^ high
    }
}
