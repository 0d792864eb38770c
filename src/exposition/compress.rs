//! Compression levels, and how separately compressed parts are joined into one body.
//!
//! The large part of a response is compressed once per snapshot. In zstd each part is a frame of its own (RFC 8878, 3.1).
//! In gzip several members would be legal too (RFC 1952, 2.2) and Prometheus reads them, but curl, browsers and several
//! HTTP libraries stop after the first member or fail on the second. So each part is raw DEFLATE that ends on a byte
//! boundary without a final block, and a response is *one* member around all parts: header, parts, an empty final block,
//! and a checksum computed from those of the parts.

use super::Encoding;
use bytes::Bytes;
use flate2::{Compression, Crc, write::DeflateEncoder};
use std::io::{self, Write};

/// gzip level of the large part, the knee of the curve: 100,000 repositories with all six families are 63.4 MB, which
/// took on two cores
///
/// | level | ms | MB |
/// |---|---|---|
/// | 1 | 82 | 9.8 |
/// | **2** | 135 | 7.3 |
/// | 3 | 196 | 6.9 |
/// | 6 | 406 | 6.6 |
///
/// It is compressed once per refresh, kept for a cache window and sent with every scrape: 25 % less is worth 50 ms, a
/// further 6 % is not worth 60 ms. `benches/encode.rs` measures it again.
pub const GZIP_LEVEL: u32 = 2;

/// zstd level of the large part: 71 ms and 6.9 MB for the example above, faster than any gzip and as small as level 3.
pub const ZSTD_LEVEL: i32 = 1;

/// gzip level of small parts, the fastest: they are compressed for every scrape.
const SMALL_GZIP_LEVEL: u32 = 1;

/// A small part is stored instead of compressed if the large part is at least this many times larger: compression would
/// save next to nothing and take a good part of the scrape's time.
const STORE_RATIO: usize = 50;

/// The most bytes in a stored block (RFC 1951, 3.2.4).
const MOST_STORED: usize = 0xffff;

/// The end of an OpenMetrics exposition.
pub const EOF: &[u8] = b"# EOF\n";

/// DEFLATE, no flags, no time, unknown system (RFC 1952, 2.3).
const GZIP_HEADER: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";

/// An empty stored block that is the last one (RFC 1951, 3.2.4).
const LAST_BLOCK: &[u8] = b"\x01\0\0\xff\xff";

/// A part of a body in one encoding; [`join`] joins parts.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// Checksum of the bytes before compression; only gzip needs it.
    crc: Crc,
}

impl Part {
    /// A part in an encoding without a checksum.
    pub(super) fn unchecked(bytes: Vec<u8>) -> Self {
        Self { bytes: packed(bytes), crc: Crc::new() }
    }

    /// A gzip part of stored blocks.
    fn stored(text: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 5 * (text.len() / MOST_STORED + 1));
        for block in text.chunks(MOST_STORED) {
            let length = u16::try_from(block.len()).expect("a chunk is no longer than a stored block");
            bytes.push(0);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&(!length).to_le_bytes());
            bytes.extend_from_slice(block);
        }
        let mut crc = Crc::new();
        crc.update(text);
        Self { bytes: packed(bytes), crc }
    }

    /// Compresses a small part; cheap enough for every scrape.
    fn small(text: &[u8], encoding: Encoding) -> Self {
        match encoding {
            Encoding::Identity => Self::unchecked(text.to_vec()),
            Encoding::Zstd => {
                Self::unchecked(zstd::bulk::compress(text, ZSTD_LEVEL).expect("compressing into memory cannot fail"))
            }
            Encoding::Gzip => {
                let mut sink = Deflate::new(SMALL_GZIP_LEVEL);
                sink.write_all(text).and_then(|()| sink.finish()).expect("compressing into memory cannot fail")
            }
        }
    }
}

/// A writer that makes a gzip [`Part`] of its input.
pub(super) struct Deflate {
    encoder: DeflateEncoder<Vec<u8>>,
    crc: Crc,
}

impl Deflate {
    pub(super) fn new(level: u32) -> Self {
        Self { encoder: DeflateEncoder::new(Vec::new(), Compression::new(level)), crc: Crc::new() }
    }

    /// Ends the part on a byte boundary and without a final block, so that more parts may follow.
    pub(super) fn finish(mut self) -> io::Result<Part> {
        self.encoder.flush()?;
        Ok(Part { bytes: packed(std::mem::take(self.encoder.get_mut())), crc: self.crc })
    }
}

impl Write for Deflate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.encoder.write(bytes)?;
        self.crc.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Joins a small part, a large one and the end of an OpenMetrics exposition into one body. The bytes of the large part
/// are shared, not copied.
pub(super) fn join(small: &[u8], large: Option<&Part>, end: bool, encoding: Encoding) -> Vec<Bytes> {
    let store = large.is_some_and(|large| large.bytes.len() > STORE_RATIO * small.len());
    let small = if encoding == Encoding::Gzip && store { Part::stored(small) } else { Part::small(small, encoding) };
    let end = end.then(|| Part::small(EOF, encoding));
    let parts = || [Some(&small), large, end.as_ref()].into_iter().flatten();
    let bytes = parts().map(|part| part.bytes.clone());
    if encoding != Encoding::Gzip {
        return bytes.collect();
    }
    let mut crc = Crc::new();
    parts().for_each(|part| crc.combine(&part.crc));
    let mut trailer = LAST_BLOCK.to_vec();
    trailer.extend_from_slice(&crc.sum().to_le_bytes());
    trailer.extend_from_slice(&crc.amount().to_le_bytes());
    [Bytes::from_static(GZIP_HEADER)].into_iter().chain(bytes).chain([Bytes::from(trailer)]).collect()
}

/// Bytes without spare capacity: they are kept for a cache window.
fn packed(bytes: Vec<u8>) -> Bytes {
    Bytes::from(bytes.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::decode;

    #[test]
    fn separately_compressed_parts_are_one_body() {
        let mut random = fastrand::Rng::with_seed(1);
        // Incompressible, and large enough that a small part of several stored blocks is stored before it.
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(11_000_000).collect();
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            for small in [&b""[..], b"swr_up 1\n", &b"swr_repositories 1\n".repeat(10_000)] {
                for (large, end) in [
                    (None, false),
                    (None, true),
                    (Some(b"large 1\n".repeat(50_000)), true),
                    (Some(noise.clone()), true),
                ] {
                    let part = large.as_deref().map(|large| Part::small(large, encoding));
                    let body = join(small, part.as_ref(), end, encoding).concat();
                    let expected = [small, large.as_deref().unwrap_or_default(), if end { EOF } else { b"" }].concat();
                    assert!(decode(&body, encoding) == expected, "{encoding:?}");
                }
            }
        }
    }
}
