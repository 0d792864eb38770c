//! The repositories of a listing, packed, and shared by the snapshots that have them in common.
//!
//! Rows lie in chunks of some dozens that never change. A new snapshot takes over each chunk whose rows are all as before,
//! and packs new ones for the others. Which row ends a chunk follows from its name, so rows that come and go move no
//! border but their own. Some of the borders also divide the rows into blocks, by which an exposition is made.

use super::RepositoryRef;
use super::chunks::{BlockSize, Chunk, Fingerprint, LONGEST_CHUNK, Packer, QuickHasher, Row, RowKey};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

/// The place of a row in [`Repositories`].
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The number of its chunk, and in the low bits its index in that.
    place: u32,
    key_hash: u32,
}

/// Bits of an index in a chunk of a snapshot.
const INDEX_BITS: u32 = LONGEST_CHUNK.ilog2();

/// Repositories sorted by (namespace, name), each pair once. A clone shares the rows.
#[derive(Clone, Debug, Default)]
pub struct Repositories {
    chunks: Vec<Arc<Chunk>>,
    /// For each chunk the number of rows up to its end.
    ends: Vec<usize>,
}

impl Repositories {
    /// Sorts rows; of two with the same (namespace, name) the later one stays. Returns the number of rows dropped as well.
    ///
    /// Rows of `before` keep its order and are not looked at. The others take little more than one comparison each if those of
    /// an organization come in the order of their names, as in the pages of a listing.
    pub fn merged(rows: &[Row], before: &Self) -> (Self, usize) {
        let numbers = (0..).zip(&before.chunks).map(|(number, chunk)| (Arc::as_ptr(chunk), number));
        let numbers: HashMap<_, usize, BuildHasherDefault<QuickHasher>> = numbers.collect();
        // For each chunk of `before`, a bit for each row that is there again.
        let mut kept = vec![0_u128; before.chunks.len()];
        let mut others = Vec::new();
        for row in rows {
            match numbers.get(&Arc::as_ptr(&row.chunk)) {
                Some(number) => kept[*number] |= 1 << row.index,
                None => others.push(row),
            }
        }
        let others = sorted(others);
        let mut others = others.into_iter().peekable();
        let mut merged = RepositoriesBuilder::default();
        for (chunk, kept) in before.chunks.iter().zip(kept) {
            let is_kept = |index: usize| kept & 1 << index != 0;
            let last = chunk.get(chunk.len() - 1).key();
            if others.peek().is_none_or(|other| other.key() > last) && kept.count_ones() as usize == chunk.len() {
                merged.take(chunk);
                continue;
            }
            for old in Row::all(chunk) {
                while let Some(other) = others.next_if(|other| RowKey(other) != RowKey(&old) && other.key() < old.key())
                {
                    merged.append(other);
                }
                match others.next_if(|other| RowKey(other) == RowKey(&old)) {
                    Some(_) if is_kept(old.index as usize) => {
                        // It changed while it was read twice. This is rare, so a search will do.
                        let latest = rows.iter().rev().find(|row| RowKey(row) == RowKey(&old));
                        merged.append(latest.unwrap_or(&old));
                    }
                    Some(other) => merged.append(other),
                    None if is_kept(old.index as usize) => merged.append(&old),
                    None => {}
                }
            }
        }
        others.for_each(|other| merged.append(other));
        let merged = merged.finish();
        let dropped = rows.len() - merged.len();
        (merged, dropped)
    }

    /// The number of repositories.
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The repositories in their order.
    pub fn iter(&self) -> impl Iterator<Item = RepositoryRef<'_>> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The repository at an index. Takes longer than a step of [`Repositories::iter`].
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, index: usize) -> RepositoryRef<'_> {
        let chunk = self.ends.partition_point(|end| *end <= index);
        let start = self.ends[chunk] - self.chunks[chunk].len();
        self.chunks[chunk].get(index - start)
    }

    /// The index of a repository.
    pub fn find(&self, key: (&str, &str)) -> Option<usize> {
        let chunk = self.chunks.partition_point(|chunk| chunk.get(chunk.len() - 1).key() < key);
        let index = self.chunks.get(chunk)?.iter().position(|row| row.key() == key)?;
        Some(self.ends[chunk] - self.chunks[chunk].len() + index)
    }

    /// The chunks in their order.
    pub fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// The chunks in blocks.
    pub fn blocks(&self, size: BlockSize) -> impl Iterator<Item = &[Arc<Chunk>]> {
        let border = size.border();
        self.chunks.split_inclusive(move |chunk| chunk.rows.last().is_some_and(|row| row.border >= border))
    }

    /// Handles of the rows in their order.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.chunks.iter().flat_map(Row::all)
    }

    /// The fingerprint and the place of each row that has a fingerprint.
    pub fn fingerprints(&self) -> impl Iterator<Item = (Fingerprint, Place)> {
        let chunks = (0_u32..).zip(&self.chunks);
        let all = chunks.flat_map(|(chunk, rows)| {
            let place = move |index| chunk << INDEX_BITS | index;
            (0..)
                .zip(&rows.rows)
                .map(move |(index, row)| (row.fingerprint, Place { place: place(index), key_hash: row.key_hash }))
        });
        all.filter(|(fingerprint, _)| *fingerprint != Fingerprint::NONE)
    }

    /// The row at a place.
    pub fn row(&self, place: Place) -> Row {
        let Place { place, key_hash } = place;
        let chunk = &self.chunks[(place >> INDEX_BITS) as usize];
        Row { chunk: chunk.clone(), index: place & ((1 << INDEX_BITS) - 1), key_hash }
    }
}

/// Sorts rows by (namespace, name), and keeps the latest of each.
fn sorted(rows: Vec<&Row>) -> Vec<&Row> {
    // With the names, because rows lie anywhere in memory.
    let mut groups: HashMap<&str, Vec<(&str, &Row)>, BuildHasherDefault<QuickHasher>> = HashMap::default();
    for row in rows {
        let (namespace, name) = row.key();
        groups.entry(namespace).or_default().push((name, row));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_unstable_by_key(|(namespace, _)| *namespace);
    for (_, rows) in &mut groups {
        // A stable sort keeps the order of rows with the same name, and is one pass over rows in order.
        rows.sort_by_key(|(name, _)| *name);
        rows.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                *kept = *later;
            }
            is_same
        });
    }
    groups.into_iter().flat_map(|(_, rows)| rows).map(|(_, row)| row).collect()
}

impl PartialEq for Repositories {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> IntoIterator for &'a Repositories {
    type Item = RepositoryRef<'a>;
    type IntoIter = Box<dyn Iterator<Item = RepositoryRef<'a>> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

/// Builds [`Repositories`] from rows in their order.
#[derive(Debug, Default)]
pub struct RepositoriesBuilder {
    chunks: Vec<Arc<Chunk>>,
    packer: Packer,
}

impl RepositoriesBuilder {
    /// Appends a row, which must come after all others. Returns whether it does.
    pub fn push(&mut self, row: RepositoryRef<'_>) -> bool {
        let last = self.packer.last().map(|(key, _)| key);
        let last = last.or_else(|| self.chunks.last().map(|chunk| chunk.get(chunk.len() - 1).key()));
        let is_in_order = last.is_none_or(|last| last < row.key());
        self.packer.push(row, Fingerprint::NONE);
        self.close();
        is_in_order
    }

    /// Appends a row that comes after all others.
    fn append(&mut self, row: &Row) {
        self.packer.append(row);
        self.close();
    }

    /// Appends a chunk, which is shared if the rows before it end with a chunk.
    fn take(&mut self, chunk: &Arc<Chunk>) {
        if self.packer.len() == 0 {
            self.chunks.push(chunk.clone());
        } else {
            Row::all(chunk).for_each(|row| self.append(&row));
        }
    }

    /// Ends the chunk if the row that was packed is its last.
    fn close(&mut self) {
        if self.packer.len() == LONGEST_CHUNK || self.packer.last().is_some_and(|(_, ends_chunk)| ends_chunk) {
            self.chunks.push(self.packer.finish());
        }
    }

    /// All of them.
    pub fn finish(mut self) -> Repositories {
        if self.packer.len() > 0 {
            self.chunks.push(self.packer.finish());
        }
        self.chunks.shrink_to_fit();
        let mut end = 0;
        let ends = self.chunks.iter().map(|chunk| {
            end += chunk.len();
            end
        });
        Repositories { ends: ends.collect(), chunks: self.chunks }
    }
}

#[cfg(test)]
#[path = "repositories_tests.rs"]
mod tests;
