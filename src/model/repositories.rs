//! The repositories of a listing, packed, and shared by the snapshots that have them in common.
//!
//! Rows lie in chunks of some dozens that never change. A new snapshot takes over each chunk whose rows are all as before,
//! and packs new ones for the others. Which row ends a chunk follows from its name, so rows that come and go move no
//! border but their own. Some of the borders also divide the rows into blocks, by which an exposition is made.

use super::{Repository, Timestamp, Visibility};
use serde::Serialize;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

/// A keyed hash of the text that a row was read from. Rows with the same one were read from the same text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub [u64; 2]);

impl Fingerprint {
    /// That of rows which were read from no text that could come again.
    pub const NONE: Self = Self([0; 2]);
}

/// A repository in a chunk. A value that was missing or unreadable is `None`, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryRef<'a> {
    /// The organization; rows of the same one mostly share the text.
    pub namespace: &'a Arc<str>,
    /// The name within the organization; may contain `/`.
    pub name: &'a str,
    /// `category` of the API.
    pub category: Option<&'a Arc<str>>,
    /// From `is_public`.
    pub visibility: Option<Visibility>,
    /// Bytes.
    pub size: Option<u64>,
    /// The number of tags.
    pub images: Option<u64>,
    /// Downloads so far.
    pub downloads: Option<u64>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it was last updated.
    pub updated: Option<Timestamp>,
}

impl<'a> RepositoryRef<'a> {
    /// Its identity within the account.
    pub fn key(&self) -> (&'a str, &'a str) {
        (self.namespace, self.name)
    }

    /// A copy of its own.
    pub fn to_owned(self) -> Repository {
        Repository {
            namespace: self.namespace.clone(),
            name: self.name.into(),
            category: self.category.cloned(),
            visibility: self.visibility,
            size: self.size,
            images: self.images,
            downloads: self.downloads,
            created: self.created,
            updated: self.updated,
        }
    }
}

impl Repository {
    /// A view of it.
    pub fn as_ref(&self) -> RepositoryRef<'_> {
        RepositoryRef {
            namespace: &self.namespace,
            name: &self.name,
            category: self.category.as_ref(),
            visibility: self.visibility,
            size: self.size,
            images: self.images,
            downloads: self.downloads,
            created: self.created,
            updated: self.updated,
        }
    }
}

/// One row without its texts. `present` says which of the values are there.
#[derive(Clone, Copy, Debug)]
struct Packed {
    fingerprint: Fingerprint,
    size: u64,
    images: u64,
    downloads: u64,
    created: i64,
    updated: i64,
    /// The end of its name in the names of the chunk.
    name_end: u32,
    namespace: u16,
    /// Meaningful if [`CATEGORY`] is present.
    category: u16,
    present: u8,
    border: Border,
    /// See [`RowKey`].
    key_hash: u32,
}

/// What a row is the last of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Border {
    Nothing,
    Chunk,
    /// Of a chunk and a block.
    Block,
}

const SIZE: u8 = 1;
const IMAGES: u8 = 1 << 1;
const DOWNLOADS: u8 = 1 << 2;
const CREATED: u8 = 1 << 3;
const UPDATED: u8 = 1 << 4;
const CATEGORY: u8 = 1 << 5;
const PUBLIC: u8 = 1 << 6;
const PRIVATE: u8 = 1 << 7;

/// The mean number of rows in a chunk is a little less, because of [`LONGEST_CHUNK`]. Of chunks of 32, 27 in a hundred have a
/// change if one row in a hundred changes anywhere.
const MEAN_CHUNK: u64 = 32;

/// The mean number of chunks in a block. Compressed apart, blocks of this size are 0.3 % larger than the whole.
const MEAN_BLOCK: u64 = 128;

/// The most rows in a chunk of a snapshot.
const LONGEST_CHUNK: usize = 128;

/// Rows that never change.
#[derive(Debug)]
pub struct Chunk {
    /// The organizations and categories of the rows, each once.
    texts: Box<[Arc<str>]>,
    /// The names of the rows one after the other.
    names: Box<str>,
    rows: Box<[Packed]>,
}

impl Chunk {
    fn get(&self, index: usize) -> RepositoryRef<'_> {
        let row = &self.rows[index];
        let start = index.checked_sub(1).map_or(0, |before| self.rows[before].name_end as usize);
        let has = |bit| row.present & bit != 0;
        RepositoryRef {
            namespace: &self.texts[usize::from(row.namespace)],
            name: &self.names[start..row.name_end as usize],
            category: has(CATEGORY).then(|| &self.texts[usize::from(row.category)]),
            visibility: match (has(PUBLIC), has(PRIVATE)) {
                (true, _) => Some(Visibility::Public),
                (_, true) => Some(Visibility::Private),
                _ => None,
            },
            size: has(SIZE).then_some(row.size),
            images: has(IMAGES).then_some(row.images),
            downloads: has(DOWNLOADS).then_some(row.downloads),
            created: has(CREATED).then_some(Timestamp(row.created)),
            updated: has(UPDATED).then_some(Timestamp(row.updated)),
        }
    }

    /// The repositories in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RepositoryRef<'_>> + DoubleEndedIterator + Clone {
        (0..self.rows.len()).map(|index| self.get(index))
    }

    /// The number of its rows.
    #[allow(clippy::len_without_is_empty, reason = "a chunk of a snapshot is never empty")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Packs rows into chunks, one after the other.
#[derive(Debug, Default)]
pub struct Packer {
    texts: Vec<Arc<str>>,
    known: HashMap<Arc<str>, u16, BuildHasherDefault<QuickHasher>>,
    names: String,
    rows: Vec<Packed>,
}

impl Packer {
    /// Appends a row.
    pub fn push(&mut self, row: RepositoryRef<'_>, fingerprint: Fingerprint) {
        let name_hash = hash(0, row.name.as_bytes());
        let key_hash = hash(name_hash, row.namespace.as_bytes()) >> 32;
        self.append(row, fingerprint, Border::behind(name_hash), u32::try_from(key_hash).unwrap_or_default());
    }

    fn append(&mut self, row: RepositoryRef<'_>, fingerprint: Fingerprint, border: Border, key_hash: u32) {
        let before = self.rows.last().map_or((0, 0), |last| (last.namespace, last.category));
        let namespace = self.text(row.namespace, before.0);
        let category = row.category.map(|category| self.text(category, before.1));
        self.names.push_str(row.name);
        let bit = |bit, is_present: bool| if is_present { bit } else { 0 };
        self.rows.push(Packed {
            fingerprint,
            size: row.size.unwrap_or_default(),
            images: row.images.unwrap_or_default(),
            downloads: row.downloads.unwrap_or_default(),
            created: row.created.unwrap_or_default().0,
            updated: row.updated.unwrap_or_default().0,
            name_end: u32::try_from(self.names.len()).expect("a page is far shorter"),
            namespace,
            category: category.unwrap_or_default(),
            present: bit(SIZE, row.size.is_some())
                | bit(IMAGES, row.images.is_some())
                | bit(DOWNLOADS, row.downloads.is_some())
                | bit(CREATED, row.created.is_some())
                | bit(UPDATED, row.updated.is_some())
                | bit(CATEGORY, category.is_some())
                | bit(PUBLIC, row.visibility == Some(Visibility::Public))
                | bit(PRIVATE, row.visibility == Some(Visibility::Private)),
            border,
            key_hash,
        });
    }

    /// The index of a text. `hint` is that of the row before, which mostly has the same.
    fn text(&mut self, text: &Arc<str>, hint: u16) -> u16 {
        if self.texts.get(usize::from(hint)).is_some_and(|known| Arc::ptr_eq(known, text) || known == text) {
            return hint;
        }
        if let Some(index) = self.known.get(text) {
            return *index;
        }
        let index = u16::try_from(self.texts.len()).expect("a chunk has at most 10,000 rows");
        self.texts.push(text.clone());
        self.known.insert(text.clone(), index);
        index
    }

    /// The number of rows so far.
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows so far as a chunk; the packer is empty again.
    pub fn finish(&mut self) -> Arc<Chunk> {
        self.known.clear();
        let chunk =
            Chunk { texts: self.texts[..].into(), names: self.names.as_str().into(), rows: self.rows[..].into() };
        self.texts.clear();
        self.names.clear();
        self.rows.clear();
        Arc::new(chunk)
    }
}

impl Border {
    /// The border behind a row whose name has this hash: one row in [`MEAN_CHUNK`] ends a chunk.
    fn behind(hash: u64) -> Self {
        match hash >> 40 {
            hash if hash % (MEAN_CHUNK * MEAN_BLOCK) == 0 => Self::Block,
            hash if hash % MEAN_CHUNK == 0 => Self::Chunk,
            _ => Self::Nothing,
        }
    }
}

/// A hash that is the same in every process. Names that collide on purpose cost a little time.
fn hash(seed: u64, text: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| {
        let product = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ product >> 29
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = words.iter().fold(seed, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(hash, u64::from_le_bytes(last)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A handle of one row; it keeps the row's chunk alive.
#[derive(Clone, Debug)]
pub struct Row {
    chunk: Arc<Chunk>,
    index: u32,
    key_hash: u32,
}

impl Row {
    /// Handles of all rows of a chunk.
    pub fn all(chunk: &Arc<Chunk>) -> impl Iterator<Item = Self> {
        (0..).zip(&chunk.rows).map(|(index, row)| Self { chunk: chunk.clone(), index, key_hash: row.key_hash })
    }

    /// The repository.
    pub fn get(&self) -> RepositoryRef<'_> {
        self.chunk.get(self.index as usize)
    }

    /// Its identity within the account.
    pub fn key(&self) -> (&str, &str) {
        self.get().key()
    }

    fn packed(&self) -> &Packed {
        &self.chunk.rows[self.index as usize]
    }
}

/// A row by the identity of its repository. Comparing and hashing rarely read the row itself, which lies anywhere in memory.
#[derive(Clone, Copy, Debug)]
pub struct RowKey<'a>(pub &'a Row);

impl PartialEq for RowKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (self.0, other.0);
        let is_same_row = one.index == other.index && Arc::ptr_eq(&one.chunk, &other.chunk);
        is_same_row || one.key_hash == other.key_hash && one.key() == other.key()
    }
}

impl Eq for RowKey<'_> {}

impl Hash for RowKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.0.key_hash);
    }
}

/// Hashes short texts, and numbers that may be hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuickHasher(u64);

/// A map by [`RowKey`].
pub type RowMap<'a, V> = HashMap<RowKey<'a>, V, BuildHasherDefault<QuickHasher>>;

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(self.0, bytes);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

impl From<&Repository> for Row {
    fn from(row: &Repository) -> Self {
        let mut packer = Packer::default();
        packer.push(row.as_ref(), Fingerprint::NONE);
        Self::all(&packer.finish()).next().expect("a row was packed")
    }
}

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
    len: usize,
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
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The repositories in their order.
    pub fn iter(&self) -> impl Iterator<Item = RepositoryRef<'_>> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The chunks in their order.
    pub fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// Runs of chunks of some thousand rows.
    pub fn blocks(&self) -> impl Iterator<Item = &[Arc<Chunk>]> {
        self.chunks.split_inclusive(|chunk| chunk.rows.last().is_some_and(|row| row.border == Border::Block))
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
    len: usize,
    packer: Packer,
}

impl RepositoriesBuilder {
    /// Appends a row, which must come after all others. Returns whether it does.
    pub fn push(&mut self, row: RepositoryRef<'_>) -> bool {
        let last = match &*self.packer.rows {
            [] => self.chunks.last().map(|chunk| chunk.get(chunk.len() - 1).key() < row.key()),
            rows => {
                let start = rows.len().checked_sub(2).map_or(0, |before| rows[before].name_end as usize);
                let namespace = &self.packer.texts[usize::from(rows[rows.len() - 1].namespace)];
                Some((&**namespace, &self.packer.names[start..]) < row.key())
            }
        };
        self.packer.push(row, Fingerprint::NONE);
        self.close();
        last.unwrap_or(true)
    }

    /// Appends a row that comes after all others.
    fn append(&mut self, row: &Row) {
        let packed = row.packed();
        self.packer.append(row.get(), packed.fingerprint, packed.border, packed.key_hash);
        self.close();
    }

    /// Appends a chunk, which is shared if the rows before it end with a chunk.
    fn take(&mut self, chunk: &Arc<Chunk>) {
        if self.packer.rows.is_empty() {
            self.chunks.push(chunk.clone());
            self.len += chunk.len();
        } else {
            Row::all(chunk).for_each(|row| self.append(&row));
        }
    }

    /// Counts the row that was packed, and ends the chunk if it is the last.
    fn close(&mut self) {
        self.len += 1;
        let rows = &self.packer.rows;
        if rows.len() == LONGEST_CHUNK || rows.last().is_some_and(|row| row.border != Border::Nothing) {
            self.chunks.push(self.packer.finish());
        }
    }

    /// All of them.
    pub fn finish(mut self) -> Repositories {
        if !self.packer.rows.is_empty() {
            self.chunks.push(self.packer.finish());
        }
        self.chunks.shrink_to_fit();
        Repositories { chunks: self.chunks, len: self.len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn repository(number: u32, size: u64) -> Repository {
        Repository {
            name: format!("name-{:04}", number / 3).into(),
            size: (size > 0).then_some(size),
            category: (!size.is_multiple_of(3)).then(|| format!("category-{}", size % 5).into()),
            visibility: [None, Some(Visibility::Public), Some(Visibility::Private)][(size % 3) as usize],
            updated: (!size.is_multiple_of(2)).then_some(Timestamp(-5)),
            ..Repository::unknown(format!("namespace-{}", number % 3).into())
        }
    }

    /// Rows as a page brings them.
    fn page(rows: &[Repository]) -> Vec<Row> {
        let mut packer = Packer::default();
        rows.iter().for_each(|row| packer.push(row.as_ref(), Fingerprint([row.size.unwrap_or_default(), 1])));
        Row::all(&packer.finish()).collect()
    }

    fn owned(repositories: &Repositories) -> Vec<Repository> {
        repositories.iter().map(RepositoryRef::to_owned).collect()
    }

    proptest! {
        #[test]
        fn rows_of_before_and_others_are_merged_and_the_latest_of_each_stays(
            listings in prop::collection::vec(prop::collection::vec((0u32..600, 0u64..9, any::<bool>()), 0..700), 1..5)
        ) {
            let mut before = Repositories::default();
            for listing in listings {
                let known: BTreeMap<_, _> = before.rows().map(|row| (row.get().to_owned().name, row)).collect();
                let mut expected = BTreeMap::new();
                let mut rows = Vec::new();
                for (number, size, keep) in listing {
                    let new = repository(number, size);
                    let row = match known.get(&new.name).filter(|_| keep) {
                        Some(row) => row.clone(),
                        None => page(&[new]).remove(0),
                    };
                    let value = row.get().to_owned();
                    expected.insert((value.namespace.clone(), value.name.clone()), value);
                    rows.push(row);
                }
                let (merged, dropped) = Repositories::merged(&rows, &before);
                prop_assert_eq!(owned(&merged), expected.into_values().collect::<Vec<_>>());
                prop_assert_eq!((dropped, merged.len()), (rows.len() - merged.len(), merged.iter().count()));
                for (fingerprint, place) in merged.fingerprints() {
                    prop_assert_eq!(merged.row(place).get().size.unwrap_or_default(), fingerprint.0[0]);
                }
                before = merged;
            }
        }
    }

    #[test]
    fn chunks_without_a_change_are_shared_and_a_new_row_moves_no_border_but_its_own() {
        let rows: Vec<_> = (0..6_000).map(|number| repository(number, 1)).collect();
        let (first, _) = Repositories::merged(&page(&rows), &Repositories::default());
        let mut now: Vec<Row> = first.rows().filter(|row| row.get().name != "name-0700").collect();
        now.extend(page(&[repository(3_000, 2), Repository { name: "name-0001-b".into(), ..repository(0, 1) }]));
        let (second, _) = Repositories::merged(&now, &first);
        let shared = second.chunks.iter().filter(|new| first.chunks.iter().any(|old| Arc::ptr_eq(old, new))).count();
        assert_eq!(second.len(), 6_000 - 3 + 1);
        assert!(first.chunks.len() > 150 && shared >= first.chunks.len() - 8, "{shared} of {}", first.chunks.len());
        assert!(second.chunks.iter().all(|chunk| chunk.len() <= LONGEST_CHUNK));
        assert_eq!(second.blocks().map(<[_]>::len).sum::<usize>(), second.chunks.len());
    }
}
