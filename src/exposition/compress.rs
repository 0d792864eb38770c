//! Compression: the levels, and small blocks that follow or precede a page.
//!
//! A gzip stream is a row of members (RFC 1952, 2.2) and a zstd stream a row of frames (RFC 8878, 3.1). So a response is
//! put together from parts that were compressed apart, and the large one is not touched again.

use super::Encoding;
use flate2::{Compression, write::GzEncoder};
use std::io::Write as _;

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

/// What ends an OpenMetrics page.
pub const EOF: &[u8] = b"# EOF\n";

/// [`EOF`] as a gzip member: a stored block, no time, unknown system.
const EOF_GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x06\0\xf9\xff# EOF\n\x50\x9a\xc1\x60\x06\0\0\0";

/// [`EOF`] as a zstd frame: one segment, one raw block, no checksum.
const EOF_ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x20\x06\x31\0\0# EOF\n";

/// [`EOF`] as a member or frame of its own.
pub const fn eof(encoding: Encoding) -> &'static [u8] {
    match encoding {
        Encoding::Identity => EOF,
        Encoding::Gzip => EOF_GZIP,
        Encoding::Zstd => EOF_ZSTD,
    }
}

/// Compresses a small block into one member or frame of its own; cheap enough for each scrape.
pub fn compress_block(block: &[u8], encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Identity => block.to_vec(),
        Encoding::Gzip => {
            let mut member = GzEncoder::new(Vec::new(), Compression::new(BLOCK_GZIP_LEVEL));
            member.write_all(block).and_then(|()| member.finish()).expect("compressing into memory cannot fail")
        }
        Encoding::Zstd => zstd::bulk::compress(block, ZSTD_LEVEL).expect("compressing into memory cannot fail"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::decode;

    const ALL: [Encoding; 3] = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd];

    #[test]
    fn a_block_and_the_end_are_read_as_one_stream() {
        for encoding in ALL {
            for block in [&b""[..], b"swr_up 1\n", &b"swr_repositories 1\n".repeat(10_000)] {
                let mut stream = compress_block(block, encoding);
                assert_eq!(decode(&stream, encoding), block, "{encoding:?}");
                stream.extend_from_slice(eof(encoding));
                assert_eq!(decode(&stream, encoding), [block, EOF].concat(), "{encoding:?}");
            }
        }
    }
}
