//! Rows of a listing, packed into chunks that never change, and handles of single rows.
//!
//! Belongs here: how a row lies in memory. Which rows a snapshot has is the matter of [`super::repositories`].

use super::{Repository, Timestamp, Visibility};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

/// A keyed hash of the text that a row was read from. Rows with the same one were read from the same text: among a million
/// repositories that all change every minute, a false match is expected once in a hundred billion years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 12]);

impl Fingerprint {
    /// That of rows which were read from no text that could come again.
    pub const NONE: Self = Self([0; 12]);

    /// A part of it, to look it up.
    pub fn short(&self) -> u64 {
        self.0.first_chunk().copied().map_or(0, u64::from_le_bytes)
    }
}

/// A repository in a chunk.
pub type RepositoryRef<'a> = Repository<&'a Arc<str>, &'a str>;

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

/// The part of a row that says which repository it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(4))]
struct Identity {
    /// The end of its name in the names of the chunk.
    name_end: u32,
    /// See [`RowKey`].
    key_hash: u32,
    created: i64,
    namespace: u16,
    /// Meaningful if [`CATEGORY`] is present.
    category: u16,
}

/// The part of a row that pushes and downloads change. `present` says which of the values, also of the identity, are there.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
struct Values {
    fingerprint: Fingerprint,
    size: u64,
    images: u64,
    downloads: u64,
    updated: i64,
    /// Bytes of the text that the fingerprint is of.
    text_length: u16,
    present: u8,
}

/// What a row is the last of: of this and all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Border {
    #[default]
    Nothing,
    Chunk,
    SmallBlock,
    LargeBlock,
}

/// The size of blocks of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSize {
    /// Some hundred rows.
    Small,
    /// Some thousand rows.
    Large,
}

impl BlockSize {
    pub(super) fn border(self) -> Border {
        match self {
            Self::Small => Border::SmallBlock,
            Self::Large => Border::LargeBlock,
        }
    }
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

const MEAN_SMALL_BLOCK: u64 = 32;

/// The mean number of chunks in a large block. Compressed apart, blocks of this size are 0.3 % larger than the whole.
const MEAN_LARGE_BLOCK: u64 = 128;

/// The most rows in a chunk of a snapshot.
pub(super) const LONGEST_CHUNK: usize = 128;

/// Rows that never change.
#[derive(Debug)]
pub struct Chunk {
    identities: Arc<Identities>,
    values: Box<[Values]>,
}

/// The repositories of a chunk, shared by the chunks that have the same ones.
#[derive(Debug)]
struct Identities {
    /// The organizations and categories of the rows, each once.
    texts: Box<[Arc<str>]>,
    /// The names of the rows one after the other.
    names: Box<str>,
    rows: Box<[Identity]>,
    /// What the last row ends.
    border: Border,
}

impl Chunk {
    pub(super) fn get(&self, index: usize) -> RepositoryRef<'_> {
        let Identities { texts, names, rows, .. } = &*self.identities;
        let (row, values) = (&rows[index], &self.values[index]);
        let start = index.checked_sub(1).map_or(0, |before| rows[before].name_end as usize);
        let has = |bit| values.present & bit != 0;
        RepositoryRef {
            namespace: &texts[usize::from(row.namespace)],
            name: &names[start..row.name_end as usize],
            category: has(CATEGORY).then(|| &texts[usize::from(row.category)]),
            visibility: match (has(PUBLIC), has(PRIVATE)) {
                (true, _) => Some(Visibility::Public),
                (_, true) => Some(Visibility::Private),
                _ => None,
            },
            size: has(SIZE).then_some(values.size),
            images: has(IMAGES).then_some(values.images),
            downloads: has(DOWNLOADS).then_some(values.downloads),
            created: has(CREATED).then_some(Timestamp(row.created)),
            updated: has(UPDATED).then_some(Timestamp(values.updated)),
        }
    }

    /// The fingerprint of the text that a row was read from, and the bytes of that text.
    pub(super) fn origin(&self, index: usize) -> (Fingerprint, u16) {
        let Values { fingerprint, text_length, .. } = self.values[index];
        (fingerprint, text_length)
    }

    /// See [`RowKey`].
    pub(super) fn key_hash(&self, index: usize) -> u32 {
        self.identities.rows[index].key_hash
    }

    /// Whether it keeps its repositories in common with another chunk.
    #[cfg(test)]
    pub(super) fn shares_identities(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.identities, &other.identities)
    }

    pub(super) fn border(&self) -> Border {
        self.identities.border
    }

    /// The repositories in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RepositoryRef<'_>> + DoubleEndedIterator + Clone {
        (0..self.values.len()).map(|index| self.get(index))
    }

    /// The number of its rows.
    #[allow(clippy::len_without_is_empty, reason = "a chunk of a snapshot is never empty")]
    pub fn len(&self) -> usize {
        self.values.len()
    }
}

/// Packs rows into chunks, one after the other.
#[derive(Debug, Default)]
pub struct Packer {
    texts: Vec<Arc<str>>,
    known: HashMap<Arc<str>, u16, BuildHasherDefault<QuickHasher>>,
    names: String,
    identities: Vec<Identity>,
    values: Vec<Values>,
    border: Border,
}

impl Packer {
    /// Appends a row that was read from a text with this fingerprint and so many bytes.
    pub fn push(&mut self, row: RepositoryRef<'_>, fingerprint: Fingerprint, text_length: u16) {
        let name_hash = hash(0, row.name.as_bytes());
        let key_hash = hash(name_hash, row.namespace.as_bytes()) >> 32;
        self.border = Border::behind(name_hash);
        let before = self.identities.last().map_or((0, 0), |last| (last.namespace, last.category));
        let namespace = self.text(row.namespace, before.0);
        let category = row.category.map(|category| self.text(category, before.1));
        self.names.push_str(row.name);
        self.identities.push(Identity {
            name_end: u32::try_from(self.names.len()).expect("a page is far shorter"),
            key_hash: u32::try_from(key_hash).unwrap_or_default(),
            created: row.created.unwrap_or_default().0,
            namespace,
            category: category.unwrap_or_default(),
        });
        let bit = |bit, is_present: bool| if is_present { bit } else { 0 };
        self.values.push(Values {
            fingerprint,
            size: row.size.unwrap_or_default(),
            images: row.images.unwrap_or_default(),
            downloads: row.downloads.unwrap_or_default(),
            updated: row.updated.unwrap_or_default().0,
            text_length,
            present: bit(SIZE, row.size.is_some())
                | bit(IMAGES, row.images.is_some())
                | bit(DOWNLOADS, row.downloads.is_some())
                | bit(CREATED, row.created.is_some())
                | bit(UPDATED, row.updated.is_some())
                | bit(CATEGORY, category.is_some())
                | bit(PUBLIC, row.visibility == Some(Visibility::Public))
                | bit(PRIVATE, row.visibility == Some(Visibility::Private)),
        });
    }

    pub(super) fn append(&mut self, row: &Row) {
        let (fingerprint, text_length) = row.chunk.origin(row.index as usize);
        self.push(row.get(), fingerprint, text_length);
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
        self.identities.len()
    }

    pub(super) fn last_key_hash(&self) -> Option<u32> {
        self.identities.last().map(|row| row.key_hash)
    }

    /// The latest row: its key, and whether it ends a chunk.
    pub(super) fn last(&self) -> Option<((&str, &str), bool)> {
        let last = self.identities.last()?;
        let before = self.identities.len().checked_sub(2);
        let start = before.map_or(0, |before| self.identities[before].name_end as usize);
        let key = (&*self.texts[usize::from(last.namespace)], &self.names[start..]);
        Some((key, self.border != Border::Nothing))
    }

    /// The rows so far as a chunk; the packer is empty again.
    pub fn finish(&mut self) -> Arc<Chunk> {
        self.finish_after(None)
    }

    /// As [`Packer::finish`]; if `before` has the same repositories, both chunks share what does not change.
    pub(super) fn finish_after(&mut self, before: Option<&Chunk>) -> Arc<Chunk> {
        self.known.clear();
        let shared = before.map(|before| &before.identities).filter(|before| {
            before.names[..] == self.names && before.rows[..] == self.identities && before.texts[..] == self.texts
        });
        let identities = shared.cloned().unwrap_or_else(|| {
            Arc::new(Identities {
                texts: self.texts[..].into(),
                names: self.names.as_str().into(),
                rows: self.identities[..].into(),
                border: self.border,
            })
        });
        let chunk = Chunk { identities, values: self.values[..].into() };
        self.texts.clear();
        self.names.clear();
        self.identities.clear();
        self.values.clear();
        Arc::new(chunk)
    }
}

impl Border {
    /// The border behind a row whose name has this hash: one row in [`MEAN_CHUNK`] ends a chunk.
    fn behind(hash: u64) -> Self {
        match hash >> 40 {
            hash if hash % (MEAN_CHUNK * MEAN_LARGE_BLOCK) == 0 => Self::LargeBlock,
            hash if hash % (MEAN_CHUNK * MEAN_SMALL_BLOCK) == 0 => Self::SmallBlock,
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
    pub(super) chunk: Arc<Chunk>,
    pub(super) index: u32,
    pub(super) key_hash: u32,
}

impl Row {
    /// Handles of all rows of a chunk.
    pub fn all(chunk: &Arc<Chunk>) -> impl Iterator<Item = Self> {
        let rows = (0..).zip(&chunk.identities.rows);
        rows.map(|(index, row)| Self { chunk: chunk.clone(), index, key_hash: row.key_hash })
    }

    /// The repository.
    pub fn get(&self) -> RepositoryRef<'_> {
        self.chunk.get(self.index as usize)
    }

    /// Its identity within the account.
    pub fn key(&self) -> (&str, &str) {
        self.get().key()
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
        packer.push(row.as_ref(), Fingerprint::NONE, 0);
        Self::all(&packer.finish()).next().expect("a row was packed")
    }
}
