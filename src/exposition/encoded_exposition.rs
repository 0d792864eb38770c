//! The encoded exposition of one snapshot, in up to three encodings.
//!
//! - gzip is made when the snapshot is published: Prometheus asks for it. The text is streamed into the compressor, so a
//!   refresh never holds the plain text, which is some eight times larger.
//! - identity and zstd are made when a scraper first asks and kept as long as the exposition. They are written from the
//!   snapshot again, which takes a fraction of the time of unpacking the gzip and gives the same bytes.
//!
//! All scrapers share the same bytes. Deliberately absent: the choice of an encoding, and the thread that encodes.

use super::compress::{Deflate, GZIP_LEVEL, Part, ZSTD_LEVEL, join};
use super::repository_selection::RepositorySelection;
use super::snapshot_families::write_selected;
use super::text::Counts;
use super::top_repositories::{Baseline, TopRepositories};
use super::{Encoding, Format, Options, RepositoryMetrics};
use crate::model::Snapshot;
use bytes::Bytes;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

const MEMORY: &str = "writing to memory cannot fail";

/// The families of one snapshot as bytes, without the end of an OpenMetrics exposition.
pub struct Exposition {
    snapshot: Arc<Snapshot>,
    selection: RepositorySelection,
    baseline: Baseline,
    top: Arc<TopRepositories>,
    metrics: RepositoryMetrics,
    counts: Counts,
    gzip: Part,
    identity: OnceLock<Part>,
    zstd: OnceLock<Part>,
}

impl Exposition {
    /// Encodes and compresses. This may take long: do not call it on an async thread. If the number of repositories is
    /// limited, those selected in `previous` are preferred; growth is counted from the baseline of `previous`.
    pub fn build(snapshot: Arc<Snapshot>, options: &Options, previous: Option<&Self>) -> Self {
        let selected_before = previous.map(|previous| (&*previous.snapshot, &previous.selection));
        let selection = RepositorySelection::new(&snapshot, options, selected_before);
        let baseline = Baseline::new(&snapshot, previous.map(|previous| (&*previous.snapshot, &previous.baseline)));
        let top = Arc::new(baseline.top(&snapshot, &selection));
        let metrics = options.repository_metrics;
        let mut sink = Deflate::new(GZIP_LEVEL);
        let counts = write_selected(&snapshot, &selection, metrics, &mut sink).expect(MEMORY);
        let gzip = sink.finish().expect(MEMORY);
        let (identity, zstd) = (OnceLock::new(), OnceLock::new());
        Self { snapshot, selection, baseline, top, metrics, counts, gzip, identity, zstd }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The largest repositories and those that grew most.
    pub fn top_repositories(&self) -> &Arc<TopRepositories> {
        &self.top
    }

    /// The number of series.
    pub fn series(&self) -> usize {
        self.counts.series
    }

    /// Bytes before compression.
    pub fn bytes(&self) -> usize {
        self.counts.bytes
    }

    /// Whether the body in this encoding exists; if not, [`Self::prepare`] makes it.
    pub fn is_ready(&self, encoding: Encoding) -> bool {
        match encoding {
            Encoding::Gzip => true,
            Encoding::Identity => self.identity.get().is_some(),
            Encoding::Zstd => self.zstd.get().is_some(),
        }
    }

    /// Makes the body in this encoding if it does not exist. This may take long: do not call it on an async thread. If
    /// several threads ask at once, one makes it and the others wait.
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
        write_selected(&self.snapshot, &self.selection, self.metrics, sink).map(drop)
    }
}

impl fmt::Debug for Exposition {
    /// Without bodies and repositories, which may be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition")
            .field("metrics", &self.metrics)
            .field("counts", &self.counts)
            .field("gzip", &self.gzip.bytes.len())
            .finish_non_exhaustive()
    }
}

/// The body of a response: the live metrics, the exposition if there is one, and the end of the format. The bytes of the
/// exposition are shared, not copied. Call [`Exposition::prepare`] first if the encoding is not ready.
pub fn response(live: &[u8], exposition: Option<&Exposition>, format: Format, encoding: Encoding) -> Vec<Bytes> {
    join(live, exposition.map(|exposition| exposition.part(encoding)), format == Format::OpenMetrics, encoding)
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
    fn exposition(options: &Options) -> Exposition {
        let rows = (0..3_000).map(|index| row(&format!("team-{}", index % 7), &format!("app/service-{index}")));
        Exposition::build(Arc::new(Snapshot::new(Timestamp(0), rows.collect()).0), options, None)
    }

    fn body(exposition: &Exposition, encoding: Encoding) -> Vec<u8> {
        decode(&response(b"", Some(exposition), Format::Text, encoding).concat(), encoding)
    }

    #[test]
    fn every_encoding_holds_the_same_bytes() {
        let exposition = exposition(&Options::default());
        let plain = body(&exposition, Encoding::Identity);
        assert_eq!(exposition.bytes(), plain.len());
        assert_eq!(exposition.series(), parse(&plain).len());
        assert_eq!(exposition.series(), 3_000 * 6 + 7 * 4 + 3);
        for encoding in ALL {
            assert!(body(&exposition, encoding) == plain, "{encoding:?}");
        }
    }

    #[test]
    fn a_body_made_on_demand_has_the_options_of_the_exposition() {
        let exposition = exposition(&Options { repository_metrics: RepositoryMetrics::NONE, ..Options::default() });
        assert_eq!(exposition.series(), 7 * 4 + 3);
        assert_eq!(body(&exposition, Encoding::Gzip), body(&exposition, Encoding::Identity));
    }

    #[test]
    fn only_gzip_is_ready_at_first_and_a_body_is_made_once() {
        let exposition = exposition(&Options::default());
        assert!(exposition.is_ready(Encoding::Gzip));
        for encoding in [Encoding::Identity, Encoding::Zstd] {
            assert!(!exposition.is_ready(encoding));
            let pointers: Vec<_> = std::thread::scope(|scope| {
                let askers: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| exposition.part(encoding).bytes.as_ptr() as usize)).collect();
                askers.into_iter().map(|asker| asker.join().unwrap()).collect()
            });
            assert!(exposition.is_ready(encoding));
            let sent = response(b"", Some(&exposition), Format::Text, encoding);
            assert!(sent.iter().any(|part| part.as_ptr() as usize == pointers[0]), "sent as it is");
            assert!(pointers.iter().all(|pointer| *pointer == pointers[0]), "one body, shared");
        }
    }

    #[test]
    fn live_part_exposition_and_end_are_one_stream() {
        let exposition = exposition(&Options::default());
        let registry = Registry::new();
        registry.register(Box::new(Gauge::new("swr_up", "Up.").unwrap())).unwrap();
        let mut front = Vec::new();
        live(&registry.gather(), Format::OpenMetrics, &mut front);
        for encoding in ALL {
            let stream = response(&front, Some(&exposition), Format::OpenMetrics, encoding).concat();
            let whole = decode(&stream, encoding);
            assert_eq!(parse(&whole).len(), exposition.series() + 1);
            assert!(whole.ends_with(b"\n# EOF\n"));
        }
    }

    #[test]
    fn debug_shows_sizes_and_no_bodies() {
        let shown = format!("{:?}", exposition(&Options::default()));
        assert!(shown.len() < 300 && shown.contains("series: 18031"), "{shown}");
    }
}
