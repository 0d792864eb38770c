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
use super::images::ImageFamily;
use super::rows::Rows;
use super::text::{self, Counts};
use crate::model::{Images, Snapshot};
use flate2::Crc;
use std::cmp::Ordering;
use std::ops::Range;

/// Rows that a block has on average. Fewer compress worse; with more, more is written again for each change.
const ROWS: u64 = 128;

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
    /// Of the lines before compression.
    crc: Crc,
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
    let mut same = before.map_or(Vec::new(), |before| matching(snapshot, &rows, &blocks, before));
    same.resize(blocks.len(), None);
    let mut pieces = Pieces::new(GZIP_LEVEL);
    let mut segments = Vec::with_capacity(blocks.len() * ImageFamily::ALL.len());
    let (mut lines, mut taken_over) = (Vec::new(), 0);
    for (number, family) in ImageFamily::ALL.into_iter().enumerate() {
        let mut has_begun = false;
        let mut begin = |body: &mut Body, pieces: &mut Pieces, counts: &mut Counts| {
            if !std::mem::replace(&mut has_begun, true) {
                let mut head = Vec::new();
                text::metadata(family.family(), &mut head);
                pieces.append(&head, body);
                counts.bytes += head.len();
            }
        };
        for (block, same) in blocks.iter().zip(&same) {
            let old = before.zip(*same).and_then(|(before, index)| {
                let old = &before.segments;
                let is_same = block.clone().zip(old.blocks[index].clone()).all(|(row, old_row)| {
                    let shown = &before.images.repositories[old.rows.place(old_row)];
                    family.is_same(&images.repositories[rows.place(row)], shown)
                });
                is_same.then(|| (&old.segments[number * old.blocks.len() + index], before.body))
            });
            let segment = match old {
                Some((old, _)) if old.place.is_empty() => Segment::default(),
                Some((old, bytes)) => {
                    begin(body, &mut pieces, counts);
                    let crc = copy(&old.crc);
                    let place = body.append(&bytes[old.place.clone()], &crc);
                    Segment { place, counts: old.counts, crc }
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
                        Segment { place, counts: Counts { series, bytes: lines.len() }, crc }
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

/// For each block the block of the page before that has the same rows, if there is one.
fn matching(snapshot: &Snapshot, rows: &Rows, blocks: &[Range<usize>], before: Before<'_>) -> Vec<Option<usize>> {
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
            let same = index < old.blocks.len()
                && old.blocks[index].len() == block.len()
                && old.rows.text(old.blocks[index].clone()) == rows.text(block.clone());
            same.then_some(index)
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

fn copy(crc: &Crc) -> Crc {
    let mut copy = Crc::new();
    copy.combine(crc);
    copy
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
