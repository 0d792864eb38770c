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

use super::compress::{Deflate, GZIP_LEVEL, Part, ZSTD_LEVEL, join};
use super::families::{write_chosen, write_listing};
use super::limit::RepositorySelection;
use super::rows::Rows;
use super::segments::{self, Before, Segments};
use super::text::Counts;
use super::top_repositories::{Baseline, TopRepositories};
use super::{Encoding, Format, Options, RepositoryMetrics};
use crate::model::Snapshot;
use bytes::Bytes;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

const MEMORY: &str = "writing to memory cannot fail";

/// The families of one snapshot as bytes, complete but for the end of an OpenMetrics page.
pub struct Exposition {
    snapshot: Arc<Snapshot>,
    chosen: RepositorySelection,
    baseline: Baseline,
    leaders: Arc<TopRepositories>,
    metrics: RepositoryMetrics,
    /// The families of tags and details, for the next page to take over.
    pub(super) segments: Option<Segments>,
    counts: Counts,
    gzip: Part,
    identity: OnceLock<Part>,
    zstd: OnceLock<Part>,
}

impl Exposition {
    /// Encodes and compresses: may take long, not for an async thread. Where the number of repositories is limited, those
    /// of the page before are preferred; growth is counted from where that page counted it from.
    pub fn build(snapshot: Arc<Snapshot>, options: &Options, page_before: Option<&Self>) -> Self {
        let chosen =
            RepositorySelection::new(&snapshot, options, page_before.map(|page| (&*page.snapshot, &page.chosen)));
        let baseline = Baseline::new(&snapshot, page_before.map(|page| (&*page.snapshot, &page.baseline)));
        let leaders = Arc::new(baseline.leaders(&snapshot, &chosen));
        let metrics = options.repository_metrics;
        let rows = Rows::new(&snapshot, &chosen);
        let mut sink = Deflate::new(GZIP_LEVEL);
        let mut counts = write_listing(&snapshot, &rows, chosen.omitted(), metrics, &mut sink).expect(MEMORY);
        let mut body = sink.into_body().expect(MEMORY);
        let segments = snapshot.images.as_ref().map(|images| {
            let before = page_before.and_then(Self::for_the_next);
            segments::append(&snapshot, images, rows, before, &mut body, &mut counts)
        });
        let gzip = body.finish();
        let (identity, zstd) = (OnceLock::new(), OnceLock::new());
        Self { snapshot, chosen, baseline, leaders, metrics, segments, counts, gzip, identity, zstd }
    }

    /// What the next page may take over.
    fn for_the_next(&self) -> Option<Before<'_>> {
        let (segments, images) = (self.segments.as_ref()?, self.snapshot.images.as_ref()?);
        Some(Before { segments, snapshot: &self.snapshot, images, body: &self.gzip.bytes })
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The largest repositories and those that grew most.
    pub fn leaders(&self) -> &Arc<TopRepositories> {
        &self.leaders
    }

    /// The number of series on the page.
    pub fn series(&self) -> usize {
        self.counts.series
    }

    /// The size of the page before compression.
    pub fn bytes(&self) -> usize {
        self.counts.bytes
    }

    /// Whether the body is there in this encoding, or has to be made first.
    pub fn is_ready(&self, encoding: Encoding) -> bool {
        match encoding {
            Encoding::Gzip => true,
            Encoding::Identity => self.identity.get().is_some(),
            Encoding::Zstd => self.zstd.get().is_some(),
        }
    }

    /// Makes the body in this encoding if it is not there: may take long, not for an async thread. Of several threads
    /// that ask at once, one makes it and the others wait.
    pub fn prepare(&self, encoding: Encoding) {
        self.part(encoding);
    }

    fn part(&self, encoding: Encoding) -> &Part {
        match encoding {
            Encoding::Gzip => &self.gzip,
            Encoding::Identity => self.identity.get_or_init(|| Part::unchecked(self.identity().expect(MEMORY))),
            Encoding::Zstd => self.zstd.get_or_init(|| Part::unchecked(self.zstd().expect(MEMORY))),
        }
    }

    fn identity(&self) -> io::Result<Vec<u8>> {
        let mut body = Vec::with_capacity(self.counts.bytes);
        self.write(&mut body)?;
        Ok(body)
    }

    fn zstd(&self) -> io::Result<Vec<u8>> {
        let mut frame = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
        frame.set_pledged_src_size(Some(self.counts.bytes as u64))?;
        self.write(&mut frame)?;
        frame.finish()
    }

    fn write(&self, sink: impl io::Write) -> io::Result<()> {
        let rows = Rows::new(&self.snapshot, &self.chosen);
        write_chosen(&self.snapshot, &rows, self.chosen.omitted(), self.metrics, sink).map(drop)
    }
}

impl fmt::Debug for Exposition {
    /// Without the bodies and the rows, which may be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition")
            .field("metrics", &self.metrics)
            .field("counts", &self.counts)
            .field("gzip", &self.gzip.bytes.len())
            .field("taken_over", &self.segments.as_ref().map(|segments| segments.taken_over))
            .finish_non_exhaustive()
    }
}

/// The body of a response: the live metrics, the page if there is one, and what the format ends with. The page's bytes
/// are shared and not copied. Calls [`Exposition::prepare`] where that has not been done.
pub fn response(live: &[u8], page: Option<&Exposition>, format: Format, encoding: Encoding) -> Vec<Bytes> {
    join(live, page.map(|page| page.part(encoding)), format == Format::OpenMetrics, encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::{decode, parse, row};
    use crate::exposition::{RepositoryMetrics, live};
    use crate::model::Timestamp;
    use prometheus::{Gauge, Registry};

    const ALL: [Encoding; 3] = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd];

    /// Large enough for many chunks.
    fn page(options: &Options) -> Exposition {
        let rows = (0..3_000).map(|index| row(&format!("team-{}", index % 7), &format!("app/service-{index}")));
        Exposition::build(Arc::new(Snapshot::new(Timestamp(0), rows.collect()).0), options, None)
    }

    fn body(page: &Exposition, encoding: Encoding) -> Vec<u8> {
        decode(&response(b"", Some(page), Format::Text, encoding).concat(), encoding)
    }

    #[test]
    fn every_encoding_holds_the_same_bytes() {
        let page = page(&Options::default());
        let plain = body(&page, Encoding::Identity);
        assert_eq!(page.bytes(), plain.len());
        assert_eq!(page.series(), parse(&plain).len());
        assert_eq!(page.series(), 3_000 * 6 + 7 * 4 + 3);
        for encoding in ALL {
            assert!(body(&page, encoding) == plain, "{encoding:?}");
        }
    }

    #[test]
    fn a_body_made_on_demand_keeps_to_the_options_of_the_page() {
        let page = page(&Options { repository_metrics: RepositoryMetrics::NONE, ..Options::default() });
        assert_eq!(page.series(), 7 * 4 + 3);
        assert_eq!(body(&page, Encoding::Gzip), body(&page, Encoding::Identity));
    }

    #[test]
    fn only_gzip_is_ready_at_first_and_a_body_is_made_once() {
        let page = page(&Options::default());
        assert!(page.is_ready(Encoding::Gzip));
        for encoding in [Encoding::Identity, Encoding::Zstd] {
            assert!(!page.is_ready(encoding));
            let pointers: Vec<_> = std::thread::scope(|scope| {
                let askers: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| page.part(encoding).bytes.as_ptr() as usize)).collect();
                askers.into_iter().map(|asker| asker.join().unwrap()).collect()
            });
            assert!(page.is_ready(encoding));
            let sent = response(b"", Some(&page), Format::Text, encoding);
            assert!(sent.iter().any(|part| part.as_ptr() as usize == pointers[0]), "sent as it is");
            assert!(pointers.iter().all(|pointer| *pointer == pointers[0]), "one body, shared");
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
            let stream = response(&front, Some(&page), Format::OpenMetrics, encoding).concat();
            let whole = decode(&stream, encoding);
            assert_eq!(parse(&whole).len(), page.series() + 1);
            assert!(whole.ends_with(b"\n# EOF\n"));
        }
    }

    #[test]
    fn debug_shows_sizes_and_no_bodies() {
        let shown = format!("{:?}", page(&Options::default()));
        assert!(shown.len() < 300 && shown.contains("series: 18031"), "{shown}");
    }
}
