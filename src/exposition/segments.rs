//! The families of tags and details, compressed in segments of which most are taken from the page before.
//!
//! They have twice as many lines as the listing's and change less: a window sees new tags in a hundred repositories of a
//! hundred thousand. So the rows are cut into blocks, each family of a block is compressed by itself, and a segment is
//! taken over as it is where the block has the same rows with the same values. Blocks are cut where a row's name says so,
//! which makes a repository that comes or goes change its own block and no other.
//!
//! A segment stands by itself, so it cannot refer to what was compressed before it: these families compress a little
//! worse than in one piece. `benches/tags.rs` measures what is saved.

use super::compress::{Body, GZIP_LEVEL, Pieces};
use super::rows::Rows;
use super::tags::TagFamily;
use super::text::{self, Counts};
use crate::model::{Images, Snapshot};
use flate2::Crc;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// Rows that a block has on average. Fewer compress worse; with more, more is written again for each change.
const ROWS: u64 = 64;

/// Rows that a block has at most, whatever their names are.
const MOST_ROWS: usize = 1024;

/// What is kept of a page's segments, so that the next page can take them over.
#[derive(Debug, Default)]
pub(super) struct Segments {
    pub(super) rows: Rows,
    blocks: Vec<Range<usize>>,
    /// Family by family, block by block.
    segments: Vec<Segment>,
    /// How many were taken from the page before.
    pub(super) taken_over: usize,
}

/// The lines of one family and one block.
#[derive(Debug, Default)]
struct Segment {
    /// In the page's compressed body; empty when there is no line.
    place: Range<usize>,
    counts: Counts,
    /// Of the lines before compression. Shared, because to copy one is to compute it.
    crc: Arc<Crc>,
}

/// A page whose segments may be taken over.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) segments: &'a Segments,
    pub(super) snapshot: &'a Snapshot,
    pub(super) images: &'a Images,
    /// Its compressed body.
    pub(super) body: &'a [u8],
}

/// Appends the families to a page's body.
pub(super) fn append(
    snapshot: &Snapshot,
    images: &Images,
    rows: Rows,
    before: Option<Before<'_>>,
    body: &mut Body,
    counts: &mut Counts,
) -> Segments {
    let blocks = cut(&rows);
    let mut olds = before.map_or(Vec::new(), |before| matching(snapshot, images, &rows, &blocks, before));
    olds.resize(blocks.len(), Old::default());
    let mut pieces = Pieces::new(GZIP_LEVEL);
    let mut segments = Vec::with_capacity(blocks.len() * TagFamily::ALL.len());
    let (mut lines, mut taken_over) = (Vec::new(), 0);
    for (number, family) in TagFamily::ALL.into_iter().enumerate() {
        let mut has_begun = false;
        let mut begin = |body: &mut Body, pieces: &mut Pieces, counts: &mut Counts| {
            if !std::mem::replace(&mut has_begun, true) {
                let mut head = Vec::new();
                text::metadata(family.family(), &mut head);
                pieces.append(&head, body);
                counts.bytes += head.len();
            }
        };
        for (block, old) in blocks.iter().zip(&olds) {
            let old = before.filter(|_| old.same & 1 << number != 0).map(|before| {
                (&before.segments.segments[number * before.segments.blocks.len() + old.index], before.body)
            });
            let segment = match old {
                Some((old, _)) if old.place.is_empty() => Segment::default(),
                Some((old, bytes)) => {
                    begin(body, &mut pieces, counts);
                    let place = body.append(&bytes[old.place.clone()], &old.crc);
                    Segment { place, counts: old.counts, crc: old.crc.clone() }
                }
                None => {
                    lines.clear();
                    let write =
                        |row| family.lines(rows.identity(row), &images.repositories[rows.place(row)], &mut lines);
                    let series = block.clone().map(write).sum();
                    if series == 0 {
                        Segment::default()
                    } else {
                        begin(body, &mut pieces, counts);
                        let (place, crc) = pieces.append(&lines, body);
                        Segment { place, counts: Counts { series, bytes: lines.len() }, crc: Arc::new(crc) }
                    }
                }
            };
            taken_over += usize::from(old.is_some() && !segment.place.is_empty());
            counts.series += segment.counts.series;
            counts.bytes += segment.counts.bytes;
            segments.push(segment);
        }
    }
    Segments { rows, blocks, segments, taken_over }
}

/// The rows in blocks. A block begins at a row whose name hashes to a multiple of [`ROWS`].
fn cut(rows: &Rows) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut start = 0;
    for row in 1..rows.len() {
        if hash(rows.identity(row)).is_multiple_of(ROWS) || row - start == MOST_ROWS {
            blocks.push(start..row);
            start = row;
        }
    }
    if start < rows.len() {
        blocks.push(start..rows.len());
    }
    blocks
}

/// What a block has of the page before.
#[derive(Clone, Copy, Debug, Default)]
struct Old {
    /// The block there with the same rows.
    index: usize,
    /// A bit for each family whose lines are the same; none where there is no such block.
    same: u16,
}

const EVERY_FAMILY: u16 = (1 << TagFamily::ALL.len()) - 1;

/// For each block what of the page before it can take over.
fn matching(
    snapshot: &Snapshot,
    images: &Images,
    rows: &Rows,
    blocks: &[Range<usize>],
    before: Before<'_>,
) -> Vec<Old> {
    let old = before.segments;
    let key = |row: usize| snapshot.repositories[rows.place(row)].key();
    let old_key = |index: usize| before.snapshot.repositories[old.rows.place(old.blocks[index].start)].key();
    let mut index = 0;
    blocks
        .iter()
        .map(|block| {
            while index < old.blocks.len() && old_key(index).cmp(&key(block.start)) == Ordering::Less {
                index += 1;
            }
            let has_same_rows = index < old.blocks.len()
                && old.blocks[index].len() == block.len()
                && old.rows.text(old.blocks[index].clone()) == rows.text(block.clone());
            if !has_same_rows {
                return Old::default();
            }
            // All families of a row while it is at hand: row by row for each family would read everything 13 times.
            let pairs = block.clone().zip(old.blocks[index].clone()).map(|(row, old_row)| {
                (&images.repositories[rows.place(row)], &before.images.repositories[old.rows.place(old_row)])
            });
            let same = pairs.filter(|(new, old)| new != old).fold(EVERY_FAMILY, |same, (new, old)| {
                let is_same = |number: &usize| TagFamily::ALL[*number].is_same(new, old);
                (0..TagFamily::ALL.len()).filter(is_same).fold(0, |bits, number| bits | 1 << number) & same
            });
            Old { index, same }
        })
        .collect()
}

/// Good enough to cut by, and nothing else.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
    for word in bytes.chunks(8) {
        let mut eight = [0; 8];
        eight[..word.len()].copy_from_slice(word);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(eight)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    hash >> 32
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
