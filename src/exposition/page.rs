//! The finished page of one snapshot, in up to three encodings.
//!
//! What is kept and what is made on demand:
//! - gzip is made when the snapshot is published and kept: it is what Prometheus asks for, and the encoder streams into it,
//!   so that a refresh never holds the plain text, which is some eight times larger.
//! - identity and zstd are made by the first scraper that asks and then kept for the life of the page, so that an
//!   exporter nobody asks for them spends neither time nor memory on them. Both are written from the snapshot again: that
//!   is pure, takes a fraction of the time that unpacking the gzip would, and gives the same bytes. The exact size is
//!   known by then, so identity is allocated once.
//!
//! Every scraper shares the same bytes. Deliberately absent: the choice of an encoding, and which thread pays for it.

use super::compress::{GZIP_LEVEL, ZSTD_LEVEL};
use super::families::write_snapshot;
use super::text::Counts;
use super::{Encoding, Options};
use crate::model::Snapshot;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

/// The families of one snapshot as bytes, complete but for the end of an OpenMetrics page.
pub struct Page {
    snapshot: Arc<Snapshot>,
    options: Options,
    counts: Counts,
    gzip: Bytes,
    identity: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
}

impl Page {
    /// Encodes and compresses: may take long, not for an async thread.
    pub fn build(snapshot: Arc<Snapshot>, options: &Options) -> Self {
        let (counts, gzip) = gzip(&snapshot, options).expect("writing to memory cannot fail");
        Self { snapshot, options: *options, counts, gzip, identity: OnceLock::new(), zstd: OnceLock::new() }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The number of series on the page.
    pub fn series(&self) -> usize {
        self.counts.series
    }

    /// The size of the page before compression.
    pub fn bytes(&self) -> usize {
        self.counts.bytes
    }

    /// The body if it is ready in this encoding.
    pub fn ready(&self, encoding: Encoding) -> Option<Bytes> {
        match encoding {
            Encoding::Gzip => Some(self.gzip.clone()),
            Encoding::Identity => self.identity.get().cloned(),
            Encoding::Zstd => self.zstd.get().cloned(),
        }
    }

    /// The body, made now if it is not ready: may take long, not for an async thread. Of several threads that ask at
    /// once, one makes it and the others wait.
    pub fn body(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Gzip => self.gzip.clone(),
            Encoding::Identity => self.identity.get_or_init(|| self.make(Self::identity)).clone(),
            Encoding::Zstd => self.zstd.get_or_init(|| self.make(Self::zstd)).clone(),
        }
    }

    fn make(&self, encode: impl Fn(&Self) -> io::Result<Vec<u8>>) -> Bytes {
        packed(encode(self).expect("writing to memory cannot fail"))
    }

    fn identity(&self) -> io::Result<Vec<u8>> {
        let mut body = Vec::with_capacity(self.counts.bytes);
        write_snapshot(&self.snapshot, &self.options, &mut body)?;
        Ok(body)
    }

    fn zstd(&self) -> io::Result<Vec<u8>> {
        let mut frame = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
        frame.set_pledged_src_size(Some(self.counts.bytes as u64))?;
        write_snapshot(&self.snapshot, &self.options, &mut frame)?;
        frame.finish()
    }
}

impl fmt::Debug for Page {
    /// Without the bodies and the rows, which may be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("options", &self.options)
            .field("counts", &self.counts)
            .field("gzip", &self.gzip.len())
            .finish_non_exhaustive()
    }
}

fn gzip(snapshot: &Snapshot, options: &Options) -> io::Result<(Counts, Bytes)> {
    let mut member = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
    let counts = write_snapshot(snapshot, options, &mut member)?;
    Ok((counts, packed(member.finish()?)))
}

/// Gives back the spare capacity: a page lives for a whole window.
fn packed(body: Vec<u8>) -> Bytes {
    Bytes::from(body.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::{decode, parse, row};
    use crate::exposition::{Format, RepositoryMetrics, compress_block, eof, live};
    use crate::model::Timestamp;
    use prometheus::{Gauge, Registry};

    const ALL: [Encoding; 3] = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd];

    /// Large enough for many chunks.
    fn page(options: &Options) -> Page {
        let rows = (0..3_000).map(|index| row(&format!("team-{}", index % 7), &format!("app/service-{index}")));
        Page::build(Arc::new(Snapshot::new(Timestamp(0), rows.collect()).0), options)
    }

    #[test]
    fn every_encoding_holds_the_same_bytes() {
        let page = page(&Options::default());
        let plain = page.body(Encoding::Identity);
        assert_eq!(page.bytes(), plain.len());
        assert_eq!(page.series(), parse(&plain).len());
        assert_eq!(page.series(), 3_000 * 6 + 7 * 4 + 1);
        for encoding in ALL {
            assert!(decode(&page.body(encoding), encoding) == plain, "{encoding:?}");
        }
    }

    #[test]
    fn a_body_made_on_demand_keeps_to_the_options_of_the_page() {
        let page = page(&Options { repository_metrics: RepositoryMetrics::NONE });
        assert_eq!(page.series(), 7 * 4 + 1);
        assert_eq!(decode(&page.body(Encoding::Gzip), Encoding::Gzip), page.body(Encoding::Identity));
    }

    #[test]
    fn only_gzip_is_ready_at_first_and_a_body_is_made_once() {
        let page = page(&Options::default());
        assert!(page.ready(Encoding::Gzip).is_some());
        for encoding in [Encoding::Identity, Encoding::Zstd] {
            assert!(page.ready(encoding).is_none());
            let pointers: Vec<_> = std::thread::scope(|scope| {
                let askers: Vec<_> = (0..4).map(|_| scope.spawn(|| page.body(encoding).as_ptr() as usize)).collect();
                askers.into_iter().map(|asker| asker.join().unwrap()).collect()
            });
            let ready = page.ready(encoding).unwrap().as_ptr() as usize;
            assert!(pointers.iter().all(|pointer| *pointer == ready), "one body, shared");
        }
    }

    #[test]
    fn live_part_page_and_end_are_one_stream() {
        let page = page(&Options::default());
        let registry = Registry::new();
        registry.register(Box::new(Gauge::new("swr_up", "Up.").unwrap())).unwrap();
        let mut front = Vec::new();
        live(&registry.gather(), Format::OpenMetrics, &mut front);
        for encoding in ALL {
            let stream = [&compress_block(&front, encoding), &page.body(encoding)[..], eof(encoding)].concat();
            let whole = decode(&stream, encoding);
            assert_eq!(parse(&whole).len(), page.series() + 1);
            assert!(whole.ends_with(b"\n# EOF\n"));
        }
    }

    #[test]
    fn debug_shows_sizes_and_no_bodies() {
        let shown = format!("{:?}", page(&Options::default()));
        assert!(shown.len() < 300 && shown.contains("series: 18029"), "{shown}");
    }
}
