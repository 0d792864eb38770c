//! Compresses the lines of families with samples per repository, several times faster than a general compressor.
//!
//! Such lines differ little from the line before, and the families of a block have the labels of its repositories in common.
//! So repeated parts of the labels are looked for once per block and serve each family; and a line is compared with the one
//! before label by label. The codes are made for each part, as a general compressor does (see [`super::deflate_block`]).

use super::compress::Part;
use super::deflate_block::{BitWriter, BlockBuilder, MAX_DISTANCE};
use crate::catalog::Family;
use flate2::Crc;
use std::ops::Range;

/// Literals and matches in a block of DEFLATE: enough that its codes cost next to nothing.
const MAX_BLOCK: usize = 128 << 10;

/// The fewest bytes that are worth a reference to another row or an earlier label.
const MIN_MATCH: usize = 4;

/// Bits of the hashes by which repeated parts are found.
const HASH_BITS: u32 = 12;

#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// The index of the repository among the selected ones of the block.
    pub(super) row: usize,
    /// Where it ends in the text, behind the line feed.
    pub(super) end: usize,
}

pub(super) struct FamilyLines<'a> {
    pub(super) family: &'static Family,
    pub(super) text: &'a [u8],
    pub(super) lines: &'a [Line],
    pub(super) prefixes: &'a LabelPrefixes,
}

/// The labels that all samples of a repository begin with, escaped, of the selected rows of a block.
///
/// They are put together once and read by each family.
#[derive(Debug, Default)]
pub(super) struct LabelPrefixes {
    text: Vec<u8>,
    /// Where each prefix ends in `text`.
    ends: Vec<usize>,
}

impl LabelPrefixes {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Appends the prefix that `write` appends to the text.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.ends.push(self.text.len());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|row| self.get(row))
    }

    fn get(&self, row: usize) -> &[u8] {
        &self.text[self.range(row)]
    }

    fn range(&self, row: usize) -> Range<usize> {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[row]
    }
}

/// A part of a prefix.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// So many bytes that were not found before.
    New(usize),
    /// So many bytes that stand in the prefix of a row at an offset.
    Repeated { length: usize, row: usize, offset: usize },
}

/// How each prefix of a block repeats those before it.
#[derive(Debug, Default)]
struct Repeats {
    pieces: Vec<Piece>,
    /// For each row, how many bytes it has in common with the row before, and where the pieces of the rest end.
    rows: Vec<(usize, usize)>,
    /// For each hash of four bytes, the row and the place behind the one where they were seen last.
    seen: Vec<(u32, u32)>,
}

impl Repeats {
    fn find(&mut self, prefixes: &LabelPrefixes) {
        self.pieces.clear();
        self.rows.clear();
        self.seen.clear();
        self.seen.resize(1 << HASH_BITS, (0, 0));
        for row in 0..prefixes.ends.len() {
            let range = prefixes.range(row);
            let common = row.checked_sub(1).map_or(0, |before| common(prefixes.get(before), prefixes.get(row)));
            self.find_in(prefixes, row, range.start + common..range.end);
            self.rows.push((common, self.pieces.len()));
        }
    }

    /// Finds what a range of the text of a row repeats.
    fn find_in(&mut self, prefixes: &LabelPrefixes, row: usize, range: Range<usize>) {
        let text = &prefixes.text[..range.end];
        let (mut new, mut at) = (range.start, range.start);
        while at < range.end {
            let Some((other, before)) = self.look_up(text, row, at) else {
                at += 1;
                continue;
            };
            // A repeat stays in one prefix, because other text lies between two in a family.
            let source = prefixes.range(other);
            let length = common(&text[before..source.end.min(range.end)], &text[at..]);
            if length < MIN_MATCH {
                at += 1;
                continue;
            }
            if at > new {
                self.pieces.push(Piece::New(at - new));
            }
            self.pieces.push(Piece::Repeated { length, row: other, offset: before - source.start });
            for inside in at + 1..at + length {
                self.look_up(text, row, inside);
            }
            at += length;
            new = at;
        }
        if at > new {
            self.pieces.push(Piece::New(at - new));
        }
    }

    /// The row and the place where the four bytes at a place probably stand before it. Remembers the place.
    fn look_up(&mut self, text: &[u8], row: usize, at: usize) -> Option<(usize, usize)> {
        let four = text[at..].first_chunk()?;
        let hash = u32::from_le_bytes(*four).wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASH_BITS);
        let number = |number| u32::try_from(number).expect("the labels of a block are far shorter");
        let (row, behind) = std::mem::replace(&mut self.seen[hash as usize], (number(row), number(at + 1)));
        Some((row as usize, behind.checked_sub(1)? as usize))
    }
}

/// The line before. Places count from the beginning of the part.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    row: usize,
    length: usize,
    /// Where what comes behind its prefix begins.
    rest: usize,
    /// The bytes at its end that are not written yet, because the beginning of the next line continues them.
    pending: usize,
}

/// The end of a part, as far back as a match may reach, and what is appended.
#[derive(Debug, Default)]
struct Window {
    text: Vec<u8>,
    /// Bytes of the part before `text`.
    start: usize,
}

impl Window {
    /// Appends text, and forgets what lies further back than a match may reach from the line that begins at a place.
    fn push(&mut self, text: &[u8], line: usize) {
        let old = line.saturating_sub(MAX_DISTANCE).saturating_sub(self.start);
        if old > 3 * MAX_DISTANCE {
            self.text.drain(..old);
            self.start += old;
        }
        self.text.extend_from_slice(text);
    }

    fn get(&self, range: Range<usize>) -> &[u8] {
        &self.text[range.start - self.start..range.end - self.start]
    }

    fn from(&self, place: usize) -> Option<&[u8]> {
        self.text.get(place.checked_sub(self.start)?..)
    }

    fn clear(&mut self) {
        self.text.clear();
        self.start = 0;
    }
}

/// Deflates parts, each the lines of a family in a block.
#[derive(Debug, Default)]
pub(super) struct LineDeflater {
    repeats: Repeats,
    block: BlockBuilder,
    out: BitWriter,
    crc: Crc,
    series: usize,
    window: Window,
    /// For each row, where the prefix of its latest line in the part stands.
    prefixes: Vec<Option<usize>>,
    /// For each hash of eight bytes, the place behind the one where a value began with them last.
    values: Vec<usize>,
    before: Before,
    position: usize,
}

impl LineDeflater {
    pub(super) fn begin(&mut self, prefixes: &LabelPrefixes) {
        self.repeats.find(prefixes);
    }

    /// Appends lines of a family to the part, which begin with its name and the prefix of their row.
    pub(super) fn push(&mut self, FamilyLines { family, text, lines, prefixes }: &FamilyLines<'_>) {
        self.crc.update(text);
        self.series += lines.len();
        self.prefixes.resize(prefixes.ends.len(), None);
        self.values.resize(1 << HASH_BITS, 0);
        let mut window = std::mem::take(&mut self.window);
        window.push(text, self.position - self.before.length);
        let start = self.position;
        for line in *lines {
            self.line(&window, start + line.end, line.row, family.name.len(), prefixes);
            if self.block.len() >= MAX_BLOCK {
                self.end_line(&window, 0);
                self.block.finish(&mut self.out);
            }
        }
        self.window = window;
    }

    fn line(&mut self, window: &Window, end: usize, row: usize, name: usize, prefixes: &LabelPrefixes) {
        let start = self.position;
        let prefix = prefixes.get(row);
        let rest = start + name + prefix.len();
        let (known, pieces_end) = self.repeats.rows[row];
        let pieces_start = row.checked_sub(1).map_or(0, |before| self.repeats.rows[before].1);
        let mut at = start;
        if start > 0 {
            let shared = match self.before.row {
                before if before == row => prefix.len(),
                before if before + 1 == row => known,
                before => common(prefixes.get(before), prefix).min(known),
            };
            at += name + shared;
            self.end_line(window, at - start);
        }
        let pieces_at = start + name + known;
        if at < pieces_at {
            self.block.literals(window.get(at..pieces_at));
            at = pieces_at;
        }
        if at < rest {
            for piece in &self.repeats.pieces[pieces_start..pieces_end] {
                let (length, source) = match *piece {
                    Piece::New(length) => (length, None),
                    Piece::Repeated { length, row: other, offset } => {
                        let prefix = if other == row { Some(start + name) } else { self.prefixes[other] };
                        (length, prefix.map(|prefix| prefix + offset))
                    }
                };
                let text = window.get(at..at + length);
                match source {
                    Some(source) => self.block.repeated(text, at - source),
                    None => self.block.literals(text),
                }
                at += length;
            }
        }
        self.prefixes[row] = Some(start + name);
        let pending = self.rest(window, rest..end);
        self.before = Before { row, length: end - start, rest, pending };
        self.position = end;
    }

    /// Writes what comes behind the prefix, compared label by label with the line before. Returns how many bytes at the end
    /// are pending.
    fn rest(&mut self, window: &Window, range: Range<usize>) -> usize {
        let (rest, before) = (window.get(range.clone()), window.get(self.before.rest..self.position));
        let (mut at, mut there) = (0, 0);
        while rest[at..] != before[there..] {
            let same = common(&rest[at..], &before[there..]);
            // The label or the value in which they differ.
            let value =
                rest[at..at + same].iter().rposition(|byte| matches!(byte, b'"' | b' ')).map_or(at, |end| at + end + 1);
            let seen = self.seen_value(window, range.start + value, &rest[value..]);
            let seen = seen.filter(|(_, length)| value + length > at + same);
            let own = seen.map_or(same, |_| value - at);
            self.repeated_if_worth(&rest[at..at + own], range.start + at - (self.before.rest + there));
            at += own;
            if let Some((place, length)) = seen {
                self.block.repeated(&rest[at..at + length], range.start + at - place);
                at += length;
            }
            there += same;
            if rest.first() == Some(&b'}') {
                // There are no more labels.
                break;
            }
            let quote = |text: &[u8]| memchr::memchr(b'"', text);
            let (Some(here), Some(other)) = (quote(&rest[at..]), quote(&before[there..])) else { break };
            self.block.literals(&rest[at..at + here]);
            (at, there) = (at + here, there + other);
        }
        let (end, end_before) = (&rest[at..], &before[there..]);
        let same = end.iter().rev().zip(end_before.iter().rev()).take_while(|(one, other)| one == other).count();
        self.block.literals(&end[..end.len() - same]);
        same
    }

    /// Writes a text that stands so many bytes before as a match, if that is likely to be shorter.
    fn repeated_if_worth(&mut self, text: &[u8], distance: usize) {
        if text.len() < MIN_MATCH {
            self.block.literals(text);
        } else {
            self.block.repeated(text, distance);
        }
    }

    /// Where a text of at least eight bytes, with which a label or a sample has its value begin, stands before, and how long it
    /// is. Remembers the place.
    fn seen_value(&mut self, window: &Window, place: usize, text: &[u8]) -> Option<(usize, usize)> {
        let eight = text.first_chunk()?;
        let hash = u64::from_le_bytes(*eight).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - HASH_BITS);
        let before = std::mem::replace(&mut self.values[hash as usize], place + 1).checked_sub(1)?;
        let length = common(text, window.from(before).filter(|_| place - before <= MAX_DISTANCE)?);
        (length >= eight.len()).then_some((before, length))
    }

    /// Writes the end of the line before, and so many bytes of this one: both repeat what stands as far back as that line is
    /// long.
    fn end_line(&mut self, window: &Window, beginning: usize) {
        let Before { length, pending, .. } = self.before;
        self.block.repeated(window.get(self.position - pending..self.position + beginning), length);
        self.before.pending = 0;
    }

    pub(super) fn finish(&mut self) -> Part {
        if self.position > 0 {
            let window = std::mem::take(&mut self.window);
            self.end_line(&window, 0);
            self.window = window;
            self.block.finish(&mut self.out);
        }
        self.window.clear();
        self.prefixes.clear();
        self.values.clear();
        self.before = Before::default();
        self.position = 0;
        Part::new(self.out.take(), std::mem::take(&mut self.crc), std::mem::take(&mut self.series))
    }
}

/// The number of bytes with which both begin.
fn common(one: &[u8], other: &[u8]) -> usize {
    let (words, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    let mut same = 0;
    for (word, other) in words.iter().zip(others) {
        let difference = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return same + difference.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + one[same..].iter().zip(&other[same..]).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use flate2::{Decompress, FlushDecompress};
    use proptest::prelude::*;

    const FAMILY: &Family = &catalog::REPOSITORY_SIZE;

    fn inflate(part: &[u8], length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + 1);
        Decompress::new(false).decompress_vec(part, &mut text, FlushDecompress::None).unwrap();
        text
    }

    /// A part of lines that are given by the number of their row and what comes behind its prefix.
    fn part(deflater: &mut LineDeflater, prefixes: &LabelPrefixes, given: &[(usize, String)]) -> (Part, Vec<u8>) {
        let mut all = Vec::new();
        // Pieces of a few lines, as when a family is long.
        for given in given.chunks(7) {
            let (mut text, mut lines) = (Vec::new(), Vec::new());
            for (row, rest) in given {
                text.extend_from_slice(FAMILY.name.as_bytes());
                text.extend_from_slice(prefixes.get(*row));
                text.extend_from_slice(rest.as_bytes());
                text.push(b'\n');
                lines.push(Line { row: *row, end: text.len() });
            }
            deflater.push(&FamilyLines { family: FAMILY, text: &text, lines: &lines, prefixes });
            all.extend(text);
        }
        (deflater.finish(), all)
    }

    fn prefixes(names: &[String]) -> LabelPrefixes {
        let mut prefixes = LabelPrefixes::default();
        for name in names {
            prefixes.push(|text| text.extend_from_slice(format!("{{repository=\"{name}\"").as_bytes()));
        }
        prefixes
    }

    fn check(names: &[String], parts: &[Vec<(usize, String)>]) {
        let prefixes = prefixes(names);
        let mut deflater = LineDeflater::default();
        deflater.begin(&prefixes);
        for given in parts {
            let (part, text) = part(&mut deflater, &prefixes, given);
            assert!(inflate(&part.bytes(), text.len()) == text, "{}", String::from_utf8_lossy(&text));
            let mut crc = Crc::new();
            crc.update(&text);
            assert_eq!((part.crc().sum(), part.crc().amount(), part.series), (crc.sum(), crc.amount(), given.len()));
        }
    }

    proptest! {
        #[test]
        fn any_lines_inflate_to_themselves(
            mut names in prop::collection::vec("(team|api|a{1,3}|[a-z]{1,4}/|-service|-v[0-9]){0,6}", 1..60),
            parts in prop::collection::vec(
                prop::collection::vec((any::<prop::sample::Index>(), "(,tag=\"(v1.[0-9]|latest|a\\\\\"b|[a-f0-9]{20})\",id=\"[0-9]?\")?\\} [0-9]{1,12}"), 0..80),
                1..4,
            ),
        ) {
            names.sort();
            let parts: Vec<Vec<_>> = parts.into_iter().map(|part| {
                let mut part: Vec<_> = part.into_iter().map(|(row, rest)| (row.index(names.len()), rest)).collect();
                part.sort_by_key(|(row, _)| *row);
                part
            }).collect();
            check(&names, &parts);
        }
    }

    #[test]
    fn lines_longer_than_a_match_may_reach_and_parts_longer_than_a_block_inflate_to_themselves() {
        let long = |length| format!(",tag=\"{}\"}} 1", "x".repeat(length));
        let lengths = [32_600, 32_700, 32_768, 33_000, 70_000, 3, 3, 70_000, 258, 259, 260, 261, 515, 516, 517, 518];
        check(&["a".to_owned()], &[lengths.into_iter().map(|length| (0, long(length))).collect()]);
        let mut random = fastrand::Rng::with_seed(3);
        let names: Vec<_> = (0..20_000).map(|number| format!("{number:05}-{:x}", random.u64(..))).collect();
        let lines =
            |random: &mut fastrand::Rng| (0..20_000).map(|row| (row, format!("}} {}", random.u64(..)))).collect();
        check(&names, &[lines(&mut random), Vec::new(), vec![(19_999, "} 1".to_owned())], lines(&mut random)]);
    }

    #[test]
    fn lines_are_smaller_than_a_general_compressor_makes_them() {
        let mut random = fastrand::Rng::with_seed(4);
        let words = ["api", "auth", "worker", "gateway", "report", "billing", "search", "mail"];
        let mut names: Vec<_> = (0..4_000)
            .map(|_| {
                (0..3).map(|_| words[random.usize(..words.len())]).collect::<Vec<_>>().join("-")
                    + &random.u8(..).to_string()
            })
            .collect();
        names.sort();
        let prefixes = prefixes(&names);
        let mut deflater = LineDeflater::default();
        deflater.begin(&prefixes);
        let values: Vec<_> = (0..names.len()).map(|row| (row, format!("}} {}", random.u32(..)))).collect();
        let (ours, text) = part(&mut deflater, &prefixes, &values);
        let mut general = super::super::compress::Deflater::new(super::super::compress::GZIP_LEVEL);
        general.push(&text);
        let general = general.finish(0);
        assert!(ours.bytes().len() < general.bytes().len(), "{} {}", ours.bytes().len(), general.bytes().len());
    }
}
