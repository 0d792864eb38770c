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

/// The place of a row in [`Repositories`]: the number of its chunk, and in the low bits its index in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u32);

impl Place {
    /// Stands for the place of a row that is not there.
    const NONE: Self = Self(u32::MAX);

    fn new(chunk: usize, index: usize) -> Self {
        Self(u32::try_from(chunk << INDEX_BITS | index).expect("more rows than fit into memory"))
    }

    fn chunk(self) -> usize {
        (self.0 >> INDEX_BITS) as usize
    }

    fn index(self) -> u32 {
        self.0 & ((1 << INDEX_BITS) - 1)
    }
}

/// What the reader of a listing knows of a row of the listing before.
#[derive(Clone, Copy, Debug)]
pub struct KnownRow {
    /// The hash of the text that it was read from, if that could come again.
    pub fingerprint: Fingerprint,
    /// Bytes of that text, or 0.
    pub text_length: u16,
    key_hash: u32,
    place: Place,
}

impl KnownRow {
    /// Whether a row is probably the same repository.
    pub fn has_key_of(&self, row: &Packer) -> bool {
        row.last_key_hash() == Some(self.key_hash)
    }
}

/// Bits of an index in a chunk of a snapshot.
const INDEX_BITS: u32 = LONGEST_CHUNK.ilog2();

/// Repositories sorted by (namespace, name), each pair once. A clone shares the rows.
#[derive(Clone, Debug, Default)]
pub struct Repositories {
    chunks: Vec<Arc<Chunk>>,
    /// For each chunk the number of rows up to its end.
    ends: Vec<usize>,
    /// The rows in the order of the listing that they were read from, as far as it is known. The next listing mostly has the
    /// same order.
    listed: Arc<[Place]>,
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
        for (at, row) in rows.iter().enumerate() {
            match numbers.get(&Arc::as_ptr(&row.chunk)) {
                Some(number) => kept[*number] |= 1 << row.index,
                None => others.push((at, row)),
            }
        }
        let mut listed = vec![Place::NONE; rows.len()];
        let mut others = sorted(others).into_iter().peekable();
        let mut merged = RepositoriesBuilder::default();
        // For each chunk of `before`, the new places of its rows.
        let mut moved = Vec::with_capacity(before.chunks.len());
        for (chunk, kept) in before.chunks.iter().zip(kept) {
            let is_kept = |index: usize| kept & 1 << index != 0;
            let last = chunk.get(chunk.len() - 1).key();
            let is_whole = kept.count_ones() as usize == chunk.len();
            if is_whole && merged.is_at_border() && others.peek().is_none_or(|(_, other)| other.key() > last) {
                moved.push(Moved::Whole(merged.chunks.len()));
                merged.chunks.push(chunk.clone());
                continue;
            }
            merged.before = Some(chunk.clone());
            let mut places = vec![Place::NONE; if kept == 0 { 0 } else { chunk.len() }];
            for old in Row::all(chunk) {
                let is_before = |other: &Row| RowKey(other) != RowKey(&old) && other.key() < old.key();
                while let Some((at, other)) = others.next_if(|(_, other)| is_before(other)) {
                    listed[at] = merged.append(other);
                }
                let index = old.index as usize;
                match others.next_if(|(_, other)| RowKey(other) == RowKey(&old)) {
                    Some(_) if is_kept(index) => {
                        // It changed while it was read twice. This is rare, so a search will do.
                        let latest = rows.iter().rev().find(|row| RowKey(row) == RowKey(&old));
                        places[index] = merged.append(latest.unwrap_or(&old));
                    }
                    Some((at, other)) => listed[at] = merged.append(other),
                    None if is_kept(index) => places[index] = merged.append(&old),
                    None => {}
                }
            }
            moved.push(Moved::Rows(places));
        }
        for (at, other) in others {
            listed[at] = merged.append(other);
        }
        for (listed, row) in listed.iter_mut().zip(rows) {
            if let Some(number) = numbers.get(&Arc::as_ptr(&row.chunk)) {
                *listed = moved[*number].place(row.index as usize);
            }
        }
        let mut merged = merged.finish();
        let dropped = rows.len() - merged.len();
        merged.listed = listed.into_iter().filter(|place| *place != Place::NONE).collect();
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
        self.chunks.split_inclusive(move |chunk| chunk.border() >= border)
    }

    /// Handles of the rows in their order.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.chunks.iter().flat_map(Row::all)
    }

    /// The number of rows in the order in which they were listed, as far as it is known.
    pub fn listed(&self) -> usize {
        self.listed.len()
    }

    /// A row by its number in the order in which it was listed.
    pub fn known_row(&self, number: usize) -> Option<KnownRow> {
        let place = *self.listed.get(number)?;
        let (chunk, index) = (&self.chunks[place.chunk()], place.index() as usize);
        let (fingerprint, text_length) = chunk.origin(index);
        Some(KnownRow { fingerprint, text_length, key_hash: chunk.key_hash(index), place })
    }

    /// The row that is known so.
    pub fn row(&self, known: &KnownRow) -> Row {
        let KnownRow { key_hash, place, .. } = *known;
        Row { chunk: self.chunks[place.chunk()].clone(), index: place.index(), key_hash }
    }
}

/// Where the rows of a chunk went.
enum Moved {
    /// All into the chunk with this number.
    Whole(usize),
    /// Each to a place of its own; nowhere if none was kept.
    Rows(Vec<Place>),
}

impl Moved {
    fn place(&self, index: usize) -> Place {
        match self {
            Self::Whole(chunk) => Place::new(*chunk, index),
            Self::Rows(places) => places[index],
        }
    }
}

/// Sorts rows with their numbers by (namespace, name), and keeps the latest of each.
fn sorted(rows: Vec<(usize, &Row)>) -> Vec<(usize, &Row)> {
    // With the names, because rows lie anywhere in memory.
    let mut groups: HashMap<&str, Vec<_>, BuildHasherDefault<QuickHasher>> = HashMap::default();
    for row in rows {
        let (namespace, name) = row.1.key();
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

/// Builds [`Repositories`] from rows in their order.
#[derive(Debug, Default)]
pub struct RepositoriesBuilder {
    chunks: Vec<Arc<Chunk>>,
    packer: Packer,
    /// A chunk that mostly has the same repositories as the next one.
    before: Option<Arc<Chunk>>,
}

impl RepositoriesBuilder {
    /// Appends a row, which must come after all others. Returns whether it does.
    pub fn push(&mut self, row: RepositoryRef<'_>) -> bool {
        let last = self.packer.last().map(|(key, _)| key);
        let last = last.or_else(|| self.chunks.last().map(|chunk| chunk.get(chunk.len() - 1).key()));
        let is_in_order = last.is_none_or(|last| last < row.key());
        self.packer.push(row, Fingerprint::NONE, 0);
        self.close();
        is_in_order
    }

    /// Appends a row that comes after all others.
    fn append(&mut self, row: &Row) -> Place {
        let place = Place::new(self.chunks.len(), self.packer.len());
        self.packer.append(row);
        self.close();
        place
    }

    fn is_at_border(&self) -> bool {
        self.packer.len() == 0
    }

    /// Ends the chunk if the row that was packed is its last.
    fn close(&mut self) {
        if self.packer.len() == LONGEST_CHUNK || self.packer.last().is_some_and(|(_, ends_chunk)| ends_chunk) {
            self.chunks.push(self.packer.finish_after(self.before.as_deref()));
        }
    }

    /// All of them.
    pub fn finish(mut self) -> Repositories {
        if self.packer.len() > 0 {
            self.chunks.push(self.packer.finish_after(self.before.as_deref()));
        }
        self.chunks.shrink_to_fit();
        let mut end = 0;
        let ends = self.chunks.iter().map(|chunk| {
            end += chunk.len();
            end
        });
        Repositories { ends: ends.collect(), chunks: self.chunks, listed: Arc::default() }
    }
}

#[cfg(test)]
#[path = "repositories_tests.rs"]
mod tests;
