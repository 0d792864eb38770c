//! Compression levels, and how separately compressed parts are joined into one body.
//!
//! The large part of a response is compressed once per snapshot; the live metrics before it and the end of an OpenMetrics
//! exposition after it differ from scrape to scrape. Several gzip members (RFC 1952, 2.2) or zstd frames (RFC 8878, 3.1)
//! in a row would be legal, but curl, browsers and several libraries read only the first. So both encodings are spliced
//! into one:
//!
//! - gzip: each part is raw DEFLATE that ends on a byte boundary without a final block. A member around all parts has a
//!   header, an empty final block, and a checksum computed from those of the parts.
//! - zstd: the small parts are raw blocks in the frame of the large one. Raw blocks change neither the entropy tables nor
//!   the repeat offsets, so the blocks that follow decode as if they came first.

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use std::io::Write;
use std::sync::{Arc, OnceLock};

/// gzip level of the families without samples per repository. The lines of the others are compressed by
/// [`super::line_deflater`]: 600,000 of them, 58.3 MB, took on one core
///
/// | | ms | MB |
/// |---|---|---|
/// | gzip 1 | 83 | 9.4 |
/// | gzip 2 | 125 | 7.1 |
/// | gzip 6 | 290 | 6.3 |
/// | **line by line** | 70 | 7.1 |
///
/// `benches/encode.rs` measures it again.
pub const GZIP_LEVEL: u32 = 2;

/// zstd level of the large part, made when it is first asked for.
pub const ZSTD_LEVEL: i32 = 1;

/// gzip level of small parts, the fastest: they are compressed for every scrape.
const SMALL_GZIP_LEVEL: u32 = 1;

/// A small part is stored instead of compressed if the large part is at least this many times larger: compression would
/// save next to nothing and take a good part of the scrape's time.
const STORE_RATIO: usize = 50;

/// The most bytes in a stored block of DEFLATE (RFC 1951, 3.2.4).
const MAX_STORED_BLOCK: usize = 0xffff;

/// The most bytes in a block of zstd (RFC 8878, 3.1.1.2.4), if the window is not smaller.
const MAX_RAW_BLOCK: usize = 128 << 10;

/// Bytes of output that the compressor finds room for.
const SPARE: usize = 16 << 10;

/// The end of an OpenMetrics exposition.
pub const EOF: &[u8] = b"# EOF\n";

/// DEFLATE, no flags, no time, unknown system (RFC 1952, 2.3).
const GZIP_HEADER: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";

/// An empty stored block that is the last one (RFC 1951, 3.2.4).
const LAST_STORED: &[u8] = b"\x01\0\0\xff\xff";

const MEMORY: &str = "writing to memory cannot fail";

/// A part of a gzip body: DEFLATE without a final block that ends on a byte boundary and refers to nothing before it.
#[derive(Debug)]
pub(super) struct Part {
    bytes: Bytes,
    /// Checksum and length of the plain text.
    crc: Crc,
    /// The number of samples in it.
    pub(super) series: usize,
    /// The plain text, once a scrape asked for it and there was room.
    pub(super) kept_text: OnceLock<Bytes>,
}

impl Part {
    /// A part that was deflated elsewhere.
    pub(super) fn new(bytes: Bytes, crc: Crc, series: usize) -> Self {
        Self { bytes, crc, series, kept_text: OnceLock::new() }
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Bytes before compression.
    pub(super) fn text_length(&self) -> usize {
        self.crc.amount() as usize
    }

    #[cfg(test)]
    pub(super) fn crc(&self) -> &Crc {
        &self.crc
    }

    fn compress(text: &[u8]) -> Self {
        let mut deflater = Deflater::new(SMALL_GZIP_LEVEL);
        deflater.push(text);
        deflater.finish(0)
    }

    /// A part of stored blocks.
    fn store(text: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 5 * (text.len() / MAX_STORED_BLOCK + 1));
        for block in text.chunks(MAX_STORED_BLOCK) {
            let length = u16::try_from(block.len()).expect("a chunk is no longer than a stored block");
            bytes.push(0);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&(!length).to_le_bytes());
            bytes.extend_from_slice(block);
        }
        let mut crc = Crc::new();
        crc.update(text);
        Self::new(Bytes::from(bytes), crc, 0)
    }
}

/// The large part of a gzip body, in parts that it may share with another.
#[derive(Debug, Default)]
pub(super) struct Deflated {
    parts: Vec<Arc<Part>>,
    crc: Crc,
    /// Samples. Each is a series, because no sample repeats.
    pub(super) series: usize,
    /// Bytes before compression.
    pub(super) text_length: usize,
}

impl Deflated {
    /// Appends a part.
    pub(super) fn push(&mut self, part: impl Into<Arc<Part>>) {
        let part = part.into();
        self.crc.combine(&part.crc);
        self.series += part.series;
        self.text_length += part.text_length();
        if !part.bytes.is_empty() {
            self.parts.push(part);
        }
    }

    pub(super) fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// Compressed bytes.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }
}

/// Deflates one part after the other.
pub(super) struct Deflater {
    compress: Compress,
    out: Vec<u8>,
    crc: Crc,
}

impl Deflater {
    pub(super) fn new(level: u32) -> Self {
        Self { compress: Compress::new(Compression::new(level), false), out: Vec::new(), crc: Crc::new() }
    }

    /// Appends text to the part.
    pub(super) fn push(&mut self, text: &[u8]) {
        self.crc.update(text);
        self.run(text, FlushCompress::None);
    }

    /// Ends the part, which has `series` samples.
    pub(super) fn finish(&mut self, series: usize) -> Part {
        if self.crc.amount() > 0 {
            self.run(&[], FlushCompress::Sync);
            self.compress.reset();
        }
        let bytes = Bytes::copy_from_slice(&self.out);
        self.out.clear();
        Part::new(bytes, std::mem::take(&mut self.crc), series)
    }

    fn run(&mut self, mut text: &[u8], flush: FlushCompress) {
        loop {
            self.out.reserve(SPARE);
            let before = self.compress.total_in();
            self.compress.compress_vec(text, &mut self.out, flush).expect(MEMORY);
            text = &text[usize::try_from(self.compress.total_in() - before).expect("no more than the text")..];
            // Output is pending as long as it fills what there is.
            if text.is_empty() && self.out.len() < self.out.capacity() {
                return;
            }
        }
    }
}

/// The large part of a zstd body: the blocks of a frame without its header, of which none is the last.
#[derive(Debug)]
pub(super) struct ZstdBlocks {
    /// The window descriptor of the frame header.
    window: u8,
    blocks: Bytes,
}

impl ZstdBlocks {
    /// Compresses a text. `capacity` is the expected size of the result.
    pub(super) fn compress(text: impl Iterator<Item = Bytes>, capacity: usize) -> Self {
        let mut encoder = zstd::Encoder::new(Vec::with_capacity(capacity), ZSTD_LEVEL).expect(MEMORY);
        encoder.include_contentsize(false).expect("an option of every encoder");
        text.for_each(|piece| encoder.write_all(&piece).expect(MEMORY));
        let mut frame = encoder.finish().expect(MEMORY);
        frame.shrink_to_fit();
        // A frame without length and checksum has a magic number, a descriptor of 0 and a window descriptor.
        let mut block = FRAME_HEADER.len() + 1;
        assert_eq!(frame[..FRAME_HEADER.len()], *FRAME_HEADER, "the frame header is that of RFC 8878, 3.1.1.1");
        let window = frame[block - 1].max(LEAST_WINDOW);
        loop {
            let header = u32::from_le_bytes([frame[block], frame[block + 1], frame[block + 2], 0]);
            if header & 1 == 1 {
                frame[block] &= !1;
                break;
            }
            let is_run = header >> 1 & 3 == 1;
            block += 3 + if is_run { 1 } else { (header >> 3) as usize };
        }
        Self { window, blocks: Bytes::from(frame).slice(FRAME_HEADER.len() + 1..) }
    }
}

/// The window descriptor of [`MAX_RAW_BLOCK`] bytes; a larger window than needed is legal.
const LEAST_WINDOW: u8 = (17 - 10) << 3;

/// Magic number and frame header descriptor.
const FRAME_HEADER: &[u8] = b"\x28\xb5\x2f\xfd\0";

/// A text as raw blocks; the last block of the frame may be empty.
fn raw_blocks(text: &[u8], ends_frame: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 3 * (text.len() / MAX_RAW_BLOCK + 1));
    let mut rest = text;
    while !rest.is_empty() || ends_frame {
        let (block, more) = rest.split_at(rest.len().min(MAX_RAW_BLOCK));
        let is_last = ends_frame && more.is_empty();
        let header = (u32::try_from(block.len()).expect("at most MAX_RAW_BLOCK") << 3) | u32::from(is_last);
        bytes.extend_from_slice(&header.to_le_bytes()[..3]);
        bytes.extend_from_slice(block);
        if is_last {
            break;
        }
        rest = more;
    }
    bytes
}

/// A gzip body of a small part, a large one and an end. The bytes of the large part are shared, not copied.
pub(super) fn gzip(small: &[u8], large: Option<&Deflated>, end: &[u8]) -> Vec<Bytes> {
    let store = large.is_some_and(|large| large.len() > STORE_RATIO * small.len());
    let small = if store { Part::store(small) } else { Part::compress(small) };
    let end = Part::store(end);
    let mut crc = Crc::new();
    let mut body = vec![Bytes::from_static(GZIP_HEADER)];
    crc.combine(&small.crc);
    body.push(small.bytes);
    if let Some(large) = large {
        crc.combine(&large.crc);
        body.extend(large.parts.iter().map(|part| part.bytes()));
    }
    crc.combine(&end.crc);
    body.push(end.bytes);
    let trailer = [LAST_STORED, &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat();
    body.push(Bytes::from(trailer));
    body
}

/// A zstd body, as [`gzip()`].
pub(super) fn zstd(small: &[u8], large: Option<&ZstdBlocks>, end: &[u8]) -> Vec<Bytes> {
    let Some(ZstdBlocks { window, blocks }) = large else {
        return vec![Bytes::from(zstd::bulk::compress(&[small, end].concat(), ZSTD_LEVEL).expect(MEMORY))];
    };
    let head = [FRAME_HEADER, &[*window], &raw_blocks(small, false)].concat();
    vec![Bytes::from(head), blocks.clone(), Bytes::from(raw_blocks(end, true))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Encoding;
    use crate::exposition::plain_text::{PlainText, PlainTextRoom};
    use crate::exposition::testing::decode;
    use proptest::prelude::*;

    /// A text in parts of one compressor.
    fn deflated(text: &[u8]) -> Deflated {
        let (mut deflater, mut deflated) = (Deflater::new(GZIP_LEVEL), Deflated::default());
        for part in text.chunks(700_000) {
            part.chunks(64 << 10).for_each(|chunk| deflater.push(chunk));
            deflated.push(deflater.finish(0));
        }
        deflated
    }

    /// All encodings of three parts decode to their concatenation.
    fn check(small: &[u8], large: Option<&[u8]>, end: &[u8]) {
        let expected = [small, large.unwrap_or_default(), end].concat();
        let deflated = large.map(|large| Arc::new(deflated(large)));
        let plain = |deflated: &Arc<Deflated>, room| PlainText::new(deflated.clone(), PlainTextRoom::new(room));
        assert!(decode(&gzip(small, deflated.as_deref(), end).concat(), Encoding::Gzip) == expected);
        let blocks = deflated.as_ref().map(|deflated| ZstdBlocks::compress(plain(deflated, 0), deflated.len()));
        if let Some(deflated) = &deflated {
            // Kept in part, and then as a whole.
            for room in [0, 1_000_000, usize::MAX >> 10] {
                assert!(plain(deflated, room).collect::<Vec<_>>().concat() == large.unwrap());
            }
        }
        assert!(decode(&zstd(small, blocks.as_ref(), end).concat(), Encoding::Zstd) == expected);
    }

    #[test]
    fn separately_compressed_parts_are_one_gzip_member_and_one_zstd_frame() {
        let mut random = fastrand::Rng::with_seed(1);
        // Incompressible, and large enough that a small part of several stored blocks is stored before it.
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(11_000_000).collect();
        let repeated = b"large 1\n".repeat(200_000);
        for small in [&b""[..], b"swr_up 1\n", &b"swr_repositories 1\n".repeat(10_000)] {
            for large in [None, Some(&b""[..]), Some(&repeated), Some(&noise)] {
                check(small, large, EOF);
                check(small, large, b"");
            }
        }
    }

    proptest! {
        #[test]
        fn any_parts_decode_to_their_concatenation(
            small in prop::collection::vec(any::<u8>(), 0..2000), word in "[a-c]{1,9}", times in 0usize..100_000, end: Vec<u8>
        ) {
            check(&small, Some(word.repeat(times).as_bytes()), &end);
        }
    }
}
