//! Rows of a listing, packed into chunks that never change, and handles of single rows.
//!
//! Belongs here: how a row lies in memory. Which rows a snapshot has is the matter of [`super::repositories`].

use super::{Repository, Timestamp, Visibility};
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

/// One row without its texts. `present` says which of the values are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) fingerprint: Fingerprint,
    size: u64,
    images: u64,
    downloads: u64,
    created: i64,
    updated: i64,
    /// The end of its name in the names of the chunk.
    name_end: u32,
    /// Bytes of the text that the fingerprint is of.
    pub(super) text_length: u16,
    namespace: u16,
    /// Meaningful if [`CATEGORY`] is present.
    category: u16,
    present: u8,
    pub(super) border: Border,
    /// See [`RowKey`].
    pub(super) key_hash: u32,
}

/// What a row is known by.
#[derive(Clone, Copy)]
struct Identity {
    fingerprint: Fingerprint,
    text_length: u16,
    border: Border,
    key_hash: u32,
}

/// What a row is the last of: of this and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Border {
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

/// The mean number of chunks in a small block.
const MEAN_SMALL_BLOCK: u64 = 32;

/// The mean number of chunks in a large block. Compressed apart, blocks of this size are 0.3 % larger than the whole.
const MEAN_LARGE_BLOCK: u64 = 128;

/// The most rows in a chunk of a snapshot.
pub(super) const LONGEST_CHUNK: usize = 128;

/// Rows that never change.
#[derive(Debug)]
pub struct Chunk {
    /// The organizations and categories of the rows, each once.
    texts: Box<[Arc<str>]>,
    /// The names of the rows one after the other.
    names: Box<str>,
    pub(super) rows: Box<[Packed]>,
}

impl Chunk {
    pub(super) fn get(&self, index: usize) -> RepositoryRef<'_> {
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
    /// Appends a row that was read from a text with this fingerprint and so many bytes.
    pub fn push(&mut self, row: RepositoryRef<'_>, fingerprint: Fingerprint, text_length: u16) {
        let name_hash = hash(0, row.name.as_bytes());
        let key_hash = hash(name_hash, row.namespace.as_bytes()) >> 32;
        let key_hash = u32::try_from(key_hash).unwrap_or_default();
        self.pack(row, Identity { fingerprint, text_length, border: Border::behind(name_hash), key_hash });
    }

    /// Appends a row of another chunk.
    pub(super) fn append(&mut self, row: &Row) {
        let Packed { fingerprint, text_length, border, key_hash, .. } = *row.packed();
        self.pack(row.get(), Identity { fingerprint, text_length, border, key_hash });
    }

    fn pack(&mut self, row: RepositoryRef<'_>, identity: Identity) {
        let Identity { fingerprint, text_length, border, key_hash } = identity;
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
            text_length,
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

    /// The hash of the latest row's key.
    pub(super) fn last_key_hash(&self) -> Option<u32> {
        self.rows.last().map(|row| row.key_hash)
    }

    /// The latest row: its key, and whether it ends a chunk.
    pub(super) fn last(&self) -> Option<((&str, &str), bool)> {
        let last = self.rows.last()?;
        let start = self.rows.len().checked_sub(2).map_or(0, |before| self.rows[before].name_end as usize);
        let key = (&*self.texts[usize::from(last.namespace)], &self.names[start..]);
        Some((key, last.border != Border::Nothing))
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
        packer.push(row.as_ref(), Fingerprint::NONE, 0);
        Self::all(&packer.finish()).next().expect("a row was packed")
    }
}
