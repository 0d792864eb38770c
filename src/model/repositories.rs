//! The repositories of a listing, packed, and shared by the snapshots that have them in common.
//!
//! Rows lie in chunks of some dozens that never change. A new snapshot takes over each chunk whose rows are all as before,
//! and packs new ones for the others. Which row ends a chunk follows from its name, so rows that come and go move no
//! border but their own. Some of the borders also divide the rows into blocks, by which an exposition is made.

use super::{Repository, Timestamp, Visibility};
use serde::Serialize;
use std::collections::HashMap;
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
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RepositoryRef<'_>> + Clone {
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
    known: HashMap<Arc<str>, u16>,
    names: String,
    rows: Vec<Packed>,
}

impl Packer {
    /// Appends a row.
    pub fn push(&mut self, row: RepositoryRef<'_>, fingerprint: Fingerprint) {
        self.append(row, fingerprint, border(row.name));
    }

    fn append(&mut self, row: RepositoryRef<'_>, fingerprint: Fingerprint, border: Border) {
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
        let chunk = Chunk { texts: self.texts[..].into(), names: self.names.as_str().into(), rows: self.rows[..].into() };
        self.texts.clear();
        self.names.clear();
        self.rows.clear();
        Arc::new(chunk)
    }
}

/// The border behind a row of this name: one row in [`MEAN_CHUNK`] ends a chunk.
fn border(name: &str) -> Border {
    let mut hash = 0_u64;
    for part in name.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    match hash >> 32 {
        hash if hash % (MEAN_CHUNK * MEAN_BLOCK) == 0 => Border::Block,
        hash if hash % MEAN_CHUNK == 0 => Border::Chunk,
        _ => Border::Nothing,
    }
}

/// A handle of one row; it keeps the row's chunk alive.
#[derive(Clone, Debug)]
pub struct Row {
    chunk: Arc<Chunk>,
    index: u32,
}

impl Row {
    /// Handles of all rows of a chunk.
    pub fn all(chunk: &Arc<Chunk>) -> impl Iterator<Item = Self> {
        (0..).take(chunk.rows.len()).map(|index| Self { chunk: chunk.clone(), index })
    }

    /// The repository.
    pub fn get(&self) -> RepositoryRef<'_> {
        self.chunk.get(self.index as usize)
    }

    /// Its identity within the account.
    pub fn key(&self) -> (&str, &str) {
        self.get().key()
    }

    fn name(&self) -> &str {
        self.get().name
    }

    fn packed(&self) -> &Packed {
        &self.chunk.rows[self.index as usize]
    }
}

impl From<&Repository> for Row {
    fn from(row: &Repository) -> Self {
        let mut packer = Packer::default();
        packer.push(row.as_ref(), Fingerprint::NONE);
        Self { chunk: packer.finish(), index: 0 }
    }
}

/// The place of a row in [`Repositories`].
#[derive(Clone, Copy, Debug)]
pub struct Place {
    chunk: u32,
    index: u32,
}

/// Repositories sorted by (namespace, name), each pair once. A clone shares the rows.
#[derive(Clone, Debug, Default)]
pub struct Repositories {
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl Repositories {
    /// Sorts rows; of two with the same (namespace, name) the later one stays. Returns the number of rows dropped as well.
    ///
    /// Takes little more than one comparison per row if those of each organization come in the order of their names, as in
    /// the pages of a listing. Chunks whose rows are all there are taken over.
    pub fn sorted(rows: Vec<Row>) -> (Self, usize) {
        let mut groups: HashMap<Arc<str>, Vec<Row>> = HashMap::new();
        for row in rows {
            let namespace = row.get().namespace;
            match groups.get_mut(namespace) {
                Some(group) => group.push(row),
                None => drop(groups.insert(namespace.clone(), vec![row])),
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut sorted = RepositoriesBuilder::default();
        let mut dropped = 0;
        for (_, mut rows) in groups {
            let before = rows.len();
            // A stable sort keeps the order of rows with the same name, and is one pass over rows in order.
            rows.sort_by(|a, b| a.name().cmp(b.name()));
            rows.dedup_by(|later, kept| {
                let is_same = later.name() == kept.name();
                if is_same {
                    std::mem::swap(later, kept);
                }
                is_same
            });
            dropped += before - rows.len();
            sorted.extend(&rows);
        }
        (sorted.finish(), dropped)
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
        let chunks = (0..).zip(&self.chunks);
        let all = chunks.flat_map(|(chunk, rows)| {
            (0..).zip(&rows.rows).map(move |(index, row)| (row.fingerprint, Place { chunk, index }))
        });
        all.filter(|(fingerprint, _)| *fingerprint != Fingerprint::NONE)
    }

    /// The fingerprint of the row at a place.
    pub fn fingerprint(&self, place: Place) -> Fingerprint {
        self.chunks[place.chunk as usize].rows[place.index as usize].fingerprint
    }

    /// The row at a place.
    pub fn row(&self, place: Place) -> Row {
        Row { chunk: self.chunks[place.chunk as usize].clone(), index: place.index }
    }
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
        self.append(row, Fingerprint::NONE, border(row.name));
        last.unwrap_or(true)
    }

    /// Appends rows that are in order and come after all others.
    fn extend(&mut self, rows: &[Row]) {
        let mut rest = rows;
        while let [first, ..] = rest {
            let length = first.chunk.len();
            let is_whole = |rows: &[Row]| {
                (0..).zip(rows).all(|(index, row)| row.index == index && Arc::ptr_eq(&row.chunk, &first.chunk))
            };
            let ends = first.chunk.rows[length - 1].border != Border::Nothing || length == LONGEST_CHUNK;
            let may_stay = self.packer.rows.is_empty() && length <= LONGEST_CHUNK && (ends || length == rest.len());
            if may_stay && rest.get(..length).is_some_and(is_whole) {
                self.chunks.push(first.chunk.clone());
                self.len += length;
                rest = &rest[length..];
                continue;
            }
            let packed = first.packed();
            self.append(first.get(), packed.fingerprint, packed.border);
            rest = &rest[1..];
        }
    }

    fn append(&mut self, row: RepositoryRef<'_>, fingerprint: Fingerprint, border: Border) {
        self.packer.append(row, fingerprint, border);
        self.len += 1;
        if border != Border::Nothing || self.packer.rows.len() == LONGEST_CHUNK {
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
