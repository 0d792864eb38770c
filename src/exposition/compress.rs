//! Compression: the levels, and how parts that were compressed apart become one body.
//!
//! The large part of a response is compressed once per snapshot and not touched again. In zstd each part is a frame of
//! its own (RFC 8878, 3.1). In gzip a row of members would be as legal (RFC 1952, 2.2) and Prometheus reads it, but curl,
//! browsers and several HTTP libraries stop after the first member or fail on the second. So each part is kept as raw
//! DEFLATE that ends on a byte border without a final block, and a response is *one* member around all of them: header,
//! parts, an empty final block, and a checksum that is computed from those of the parts.

use super::Encoding;
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, write::DeflateEncoder};
use std::io::{self, Write};
use std::ops::Range;

/// gzip level of a page: the knee of the curve. 100,000 repositories with all six families are 63.4 MB; two cores gave
///
/// | level | ms | MB |
/// |---|---|---|
/// | 1 | 82 | 9.8 |
/// | **2** | 135 | 7.3 |
/// | 3 | 196 | 6.9 |
/// | 6 | 406 | 6.6 |
///
/// The body is compressed once per refresh, but kept for a whole window and sent with every scrape: a quarter less of it is
/// worth 50 ms, a further sixteenth is not worth 60 ms. `benches/encode.rs` measures it again.
pub const GZIP_LEVEL: u32 = 2;

/// zstd level of a page: 71 ms and 6.9 MB for the page above: faster than any gzip, and as small as level 3.
pub const ZSTD_LEVEL: i32 = 1;

/// Small blocks are compressed once per scrape, so the fastest level is right for them.
const BLOCK_GZIP_LEVEL: u32 = 1;

/// A block this many times smaller than the page that follows is sent as it is.
const DROWNED: usize = 50;

/// The longest stored block.
const STORED: usize = 0xffff;

/// What ends an OpenMetrics page.
pub const EOF: &[u8] = b"# EOF\n";

/// DEFLATE, no flags, no time, unknown system (RFC 1952, 2.3).
const GZIP_HEADER: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";

/// An empty stored block that is the last one (RFC 1951, 3.2.4).
const LAST_BLOCK: &[u8] = b"\x01\0\0\xff\xff";

/// Bytes of a body in one encoding, which can be joined with others by [`join`].
#[derive(Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// Of the bytes before compression; only gzip needs it.
    crc: Crc,
}

impl Part {
    /// A part whose encoding keeps no checksum.
    pub(super) fn unchecked(bytes: Vec<u8>) -> Self {
        Self { bytes: packed(bytes), crc: Crc::new() }
    }

    /// A gzip part that is not compressed at all: stored blocks (RFC 1951, 3.2.4).
    fn stored(block: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(block.len() + 5 * (block.len() / STORED + 1));
        for piece in block.chunks(STORED) {
            let length = u16::try_from(piece.len()).expect("no longer than a stored block may be");
            bytes.push(0);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&(!length).to_le_bytes());
            bytes.extend_from_slice(piece);
        }
        let mut crc = Crc::new();
        crc.update(block);
        Self { bytes: packed(bytes), crc }
    }

    /// Compresses a small block; cheap enough for each scrape.
    fn small(block: &[u8], encoding: Encoding) -> Self {
        match encoding {
            Encoding::Identity => Self::unchecked(block.to_vec()),
            Encoding::Zstd => {
                Self::unchecked(zstd::bulk::compress(block, ZSTD_LEVEL).expect("compressing into memory cannot fail"))
            }
            Encoding::Gzip => {
                let mut sink = Deflate::new(BLOCK_GZIP_LEVEL);
                sink.write_all(block).and_then(|()| sink.finish()).expect("compressing into memory cannot fail")
            }
        }
    }
}

/// Takes text and makes a gzip [`Part`] of it.
pub(super) struct Deflate {
    encoder: DeflateEncoder<Vec<u8>>,
    crc: Crc,
}

impl Deflate {
    pub(super) fn new(level: u32) -> Self {
        Self { encoder: DeflateEncoder::new(Vec::new(), Compression::new(level)), crc: Crc::new() }
    }

    /// Ends on a byte border, and not with a final block: more parts may follow.
    pub(super) fn finish(self) -> io::Result<Part> {
        self.into_body().map(Body::finish)
    }

    /// The same, for more to be appended.
    pub(super) fn into_body(mut self) -> io::Result<Body> {
        self.encoder.flush()?;
        Ok(Body { bytes: std::mem::take(self.encoder.get_mut()), crc: self.crc })
    }
}

/// A gzip [`Part`] to which pieces are appended that were compressed apart.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    crc: Crc,
}

impl Body {
    /// Appends a piece that was compressed before, and says where it is now.
    pub(super) fn append(&mut self, piece: &[u8], crc: &Crc) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(piece);
        self.crc.combine(crc);
        start..self.bytes.len()
    }

    pub(super) fn finish(self) -> Part {
        Part { bytes: packed(self.bytes), crc: self.crc }
    }
}

/// Compresses pieces each by itself, so that they may stand anywhere: they refer to nothing before them and end on a byte
/// border.
pub(super) struct Pieces(Compress);

impl Pieces {
    pub(super) fn new(level: u32) -> Self {
        Self(Compress::new(Compression::new(level), false))
    }

    /// Appends a text to a body, compressed; where it is and its checksum.
    pub(super) fn append(&mut self, text: &[u8], body: &mut Body) -> (Range<usize>, Crc) {
        let start = body.bytes.len();
        self.0.reset();
        loop {
            body.bytes.reserve(text.len() / 8 + 64);
            let taken = usize::try_from(self.0.total_in()).expect("no longer than the text");
            self.0
                .compress_vec(&text[taken..], &mut body.bytes, FlushCompress::Sync)
                .expect("compressing into memory cannot fail");
            // Room that is left says that everything is out, the flush as well.
            if self.0.total_in() == text.len() as u64 && body.bytes.len() < body.bytes.capacity() {
                break;
            }
        }
        let mut crc = Crc::new();
        crc.update(text);
        body.crc.combine(&crc);
        (start..body.bytes.len(), crc)
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

/// One body of a small block, a part and maybe the end of an OpenMetrics page. The part's bytes are shared, not copied.
pub(super) fn join(small: &[u8], large: Option<&Part>, end: bool, encoding: Encoding) -> Vec<Bytes> {
    // Before a page of megabytes, what compression saves is nothing, and its time is a good part of the scrape's.
    let drowned = large.is_some_and(|large| large.bytes.len() > DROWNED * small.len());
    let small = if encoding == Encoding::Gzip && drowned { Part::stored(small) } else { Part::small(small, encoding) };
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

/// Gives back the spare capacity: a page lives for a whole window.
fn packed(body: Vec<u8>) -> Bytes {
    Bytes::from(body.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::decode;

    #[test]
    fn parts_that_were_compressed_apart_are_one_body() {
        let mut random = fastrand::Rng::with_seed(1);
        // What no encoding makes smaller, so that even a block of several stored pieces drowns in it.
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
