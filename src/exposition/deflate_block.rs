//! Blocks of DEFLATE (RFC 1951), from the matches and literals that were found in a text.

use super::huffman::{self, Code};
use bytes::Bytes;

/// The farthest that a match may lie back.
pub(super) const MAX_DISTANCE: usize = 32 << 10;

const MATCH: std::ops::RangeInclusive<usize> = 3..=258;

/// Symbols of the alphabet for literals and lengths, and those of the one for distances.
const LITERALS: usize = 286;
const DISTANCES: usize = 30;

const END_OF_BLOCK: usize = 256;

/// The longest code of a literal, a length or a distance, and that of the length of a code.
const MAX_CODE: u8 = 15;
const MAX_LENGTH_CODE: u8 = 7;

/// The order in which the code lengths of code lengths come.
const CODE_LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The length of an empty stored block and its complement.
const EMPTY_STORED: u64 = 0xffff_0000;

/// Literals, and the match behind them.
#[derive(Debug)]
struct Sequence {
    literals: u32,
    /// 0 if no match follows.
    length: u16,
    distance: u16,
}

/// A symbol, and the extra bits behind it.
#[derive(Clone, Copy)]
struct Symbol {
    number: usize,
    extra: u64,
    extra_bits: u8,
}

fn length_symbol(length: usize) -> Symbol {
    if length == *MATCH.end() {
        return Symbol { number: LITERALS - 1, extra: 0, extra_bits: 0 };
    }
    let (step, extra, extra_bits) = logarithmic(length - MATCH.start(), 2);
    Symbol { number: END_OF_BLOCK + 1 + step, extra, extra_bits }
}

fn distance_symbol(distance: usize) -> Symbol {
    let (number, extra, extra_bits) = logarithmic(distance - 1, 1);
    Symbol { number, extra, extra_bits }
}

/// Splits a number into a step and the place within it. Each power of two has `1 << fraction` steps.
fn logarithmic(number: usize, fraction: u8) -> (usize, u64, u8) {
    let exponent = number.checked_ilog2().unwrap_or_default().saturating_sub(fraction.into());
    let step = (exponent << fraction) as usize + (number >> exponent);
    (step, (number & ((1 << exponent) - 1)) as u64, u8::try_from(exponent).unwrap_or_default())
}

/// Collects literals and matches, and writes them as a block.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    literals: Vec<u8>,
    since: u32,
    sequences: Vec<Sequence>,
}

impl BlockBuilder {
    /// Appends text as it is.
    pub(super) fn literals(&mut self, text: &[u8]) {
        self.literals.extend_from_slice(text);
        self.since += u32::try_from(text.len()).expect("a block is far shorter");
    }

    /// Appends a text that stands `distance` bytes further back as well.
    pub(super) fn repeated(&mut self, text: &[u8], distance: usize) {
        let mut left = text.len();
        if left < *MATCH.start() || distance > MAX_DISTANCE {
            return self.literals(text);
        }
        while left > 0 {
            let longest = left.min(*MATCH.end());
            // No rest may be shorter than a match.
            let is_too_short = (1..*MATCH.start()).contains(&(left - longest));
            let length = if is_too_short { longest - MATCH.start() } else { longest };
            self.sequences.push(Sequence {
                literals: std::mem::take(&mut self.since),
                length: u16::try_from(length).expect("at most 258"),
                distance: u16::try_from(distance - 1).expect("at most 32,768"),
            });
            left -= length;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.literals.len() + self.sequences.len()
    }

    /// Appends the block to `out`, and an empty one that ends on a byte boundary. The builder is empty again.
    pub(super) fn finish(&mut self, out: &mut BitWriter) {
        let since = std::mem::take(&mut self.since);
        self.sequences.push(Sequence { literals: since, length: 0, distance: 0 });
        let mut literals = [0; LITERALS];
        let mut distances = [0; DISTANCES];
        literals[END_OF_BLOCK] = 1;
        self.literals.iter().for_each(|byte| literals[usize::from(*byte)] += 1);
        for sequence in self.sequences.iter().filter(|sequence| sequence.length > 0) {
            literals[length_symbol(sequence.length.into()).number] += 1;
            distances[distance_symbol(usize::from(sequence.distance) + 1).number] += 1;
        }
        if distances == [0; DISTANCES] {
            // A block without a match states one distance that it does not use.
            distances[0] = 1;
        }
        let literals = huffman::lengths(&literals, MAX_CODE);
        let distances = huffman::lengths(&distances, MAX_CODE);
        header(&literals, &distances, out);
        self.body(&huffman::codes(&literals), &huffman::codes(&distances), out);
        out.sync();
        self.literals.clear();
        self.sequences.clear();
    }

    fn body(&self, literals: &[Code; LITERALS], distances: &[Code; DISTANCES], out: &mut BitWriter) {
        let code = |(code, bits): Code| (u64::from(code), u32::from(bits));
        // A length and its extra bits are at most 20 bits, a distance and its at most 28.
        let lengths: Vec<(u64, u32)> = (0..=*MATCH.end())
            .map(|length| {
                let Symbol { number, extra, extra_bits } = length_symbol(length.max(*MATCH.start()));
                let (code, bits) = code(literals[number]);
                (code | extra << bits, bits + u32::from(extra_bits))
            })
            .collect();
        let mut rest = &*self.literals;
        for Sequence { literals: count, length, distance } in &self.sequences {
            let (now, later) = rest.split_at(*count as usize);
            rest = later;
            let (threes, last) = now.as_chunks::<3>();
            for three in threes {
                for byte in three {
                    let (code, bits) = code(literals[usize::from(*byte)]);
                    out.add(code, bits);
                }
                out.flush();
            }
            for byte in last {
                let (code, bits) = code(literals[usize::from(*byte)]);
                out.add(code, bits);
            }
            out.flush();
            if *length > 0 {
                let (length, length_bits) = lengths[usize::from(*length)];
                let Symbol { number, extra, extra_bits } = distance_symbol(usize::from(*distance) + 1);
                let (distance, distance_bits) = code(distances[number]);
                out.add(length, length_bits);
                out.add(distance | extra << distance_bits, distance_bits + u32::from(extra_bits));
                out.flush();
            }
        }
        let (end, bits) = code(literals[END_OF_BLOCK]);
        out.put(end, bits);
    }
}

/// Writes the header of a block with codes of its own (RFC 1951, 3.2.7).
fn header(literals: &[u8; LITERALS], distances: &[u8; DISTANCES], out: &mut BitWriter) {
    let used = |lengths: &[u8]| lengths.iter().rposition(|length| *length > 0).map_or(0, |last| last + 1);
    let (literal_count, distance_count) = (used(literals), used(distances));
    let all = [&literals[..literal_count], &distances[..distance_count]].concat();
    let runs = run_lengths(&all);
    let mut frequencies = [0; CODE_LENGTH_ORDER.len()];
    runs.iter().for_each(|run| frequencies[run.number] += 1);
    let lengths = huffman::lengths(&frequencies, MAX_LENGTH_CODE);
    let codes = huffman::codes(&lengths);
    let ordered = CODE_LENGTH_ORDER.map(|symbol| lengths[symbol]);
    let ordered = &ordered[..used(&ordered).max(4)];
    // Not the last block, codes of its own.
    out.put(0b100, 3);
    out.put(literal_count as u64 - 257, 5);
    out.put(distance_count as u64 - 1, 5);
    out.put(ordered.len() as u64 - 4, 4);
    ordered.iter().for_each(|length| out.put((*length).into(), 3));
    for Symbol { number, extra, extra_bits } in runs {
        let (code, bits) = codes[number];
        out.put(code.into(), bits.into());
        out.put(extra, extra_bits.into());
    }
}

/// Code lengths with runs of equal ones shortened.
fn run_lengths(lengths: &[u8]) -> Vec<Symbol> {
    let plain = |length: u8| Symbol { number: length.into(), extra: 0, extra_bits: 0 };
    let run =
        |number, count: usize, least: usize, extra_bits| Symbol { number, extra: (count - least) as u64, extra_bits };
    let mut symbols = Vec::new();
    for equal in lengths.chunk_by(|one, other| one == other) {
        let (length, mut left) = (equal[0], equal.len());
        if length > 0 {
            // Only a length that was stated can be repeated.
            symbols.push(plain(length));
            left -= 1;
        }
        while left > 0 {
            let (symbol, taken) = match (length, left) {
                (_, ..3) => (plain(length), 1),
                (0, 3..11) => (run(17, left, 3, 3), left),
                (0, _) => (run(18, left.min(138), 11, 7), left.min(138)),
                _ => (run(16, left.min(6), 3, 2), left.min(6)),
            };
            symbols.push(symbol);
            left -= taken;
        }
    }
    symbols
}

/// Writes bits, the lowest first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    /// Longer than what was written, so that a word can be written at once.
    bytes: Vec<u8>,
    /// The number of bytes that were written.
    end: usize,
    bits: u64,
    count: u32,
}

impl BitWriter {
    /// Adds at most 56 bits to those since the last [`BitWriter::flush`].
    fn add(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
    }

    /// Writes whole bytes; fewer than eight bits stay.
    fn flush(&mut self) {
        let whole = self.count / 8;
        if self.bytes.len() < self.end + 8 {
            self.bytes.resize(2 * self.end + 4096, 0);
        }
        self.bytes[self.end..self.end + 8].copy_from_slice(&self.bits.to_le_bytes());
        self.end += whole as usize;
        self.bits >>= whole * 8;
        self.count -= whole * 8;
    }

    fn put(&mut self, bits: u64, count: u32) {
        self.add(bits, count);
        self.flush();
    }

    /// Writes an empty stored block, which ends on a byte boundary.
    fn sync(&mut self) {
        self.put(0, 3);
        self.put(0, self.count.next_multiple_of(8) - self.count);
        self.put(EMPTY_STORED, u32::BITS);
    }

    /// What was written since the last call.
    pub(super) fn take(&mut self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes[..std::mem::take(&mut self.end)])
    }
}
