//! The encoded exposition of one snapshot.
//!
//! - gzip is made when the snapshot is published and kept: Prometheus asks for it. The text is streamed into the
//!   compressor, so a refresh never holds the plain text, which is some eight times larger.
//! - identity is inflated from the gzip for each scrape, piece by piece, and never kept: anybody who may scrape can ask for
//!   it, and it would multiply the memory of an account.
//! - zstd is made from the gzip when a scraper first asks, and kept as long as the exposition.
//!
//! Scrapers share the compressed bytes. Deliberately absent: the choice of an encoding, and the thread that encodes.

use super::compress::{Deflated, Deflater, EOF, GZIP_LEVEL, Inflate, ZstdBlocks, gzip, zstd};
use super::repository_selection::RepositorySelection;
use super::snapshot_families::write_selected;
use super::text::Counts;
use super::top_repositories::{Baseline, TopRepositories};
use super::{Encoding, Format, Options};
use crate::model::Snapshot;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The families of one snapshot as bytes, without the end of an OpenMetrics exposition.
pub struct Exposition {
    snapshot: Arc<Snapshot>,
    selection: RepositorySelection,
    baseline: Baseline,
    top: Arc<TopRepositories>,
    counts: Counts,
    deflated: Deflated,
    zstd: OnceLock<ZstdBlocks>,
}

impl Exposition {
    /// Encodes and compresses. This may take long: do not call it on an async thread. If the number of repositories is
    /// limited, those selected in `previous` are preferred; growth is counted from the baseline of `previous`.
    pub fn build(snapshot: Arc<Snapshot>, options: &Options, previous: Option<&Self>) -> Self {
        let selected_before = previous.map(|previous| (&*previous.snapshot, &previous.selection));
        let selection = RepositorySelection::new(&snapshot, options, selected_before);
        let baseline = Baseline::new(&snapshot, previous.map(|previous| (&*previous.snapshot, &previous.baseline)));
        let top = Arc::new(baseline.top(&snapshot, &selection));
        let mut deflater = Deflater::new(GZIP_LEVEL);
        let counts =
            write_selected(&snapshot, &selection, options, &mut deflater).expect("writing to memory cannot fail");
        Self { snapshot, selection, baseline, top, counts, deflated: deflater.finish(), zstd: OnceLock::new() }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The largest repositories and those that grew most.
    pub fn top_repositories(&self) -> &Arc<TopRepositories> {
        &self.top
    }

    /// The number of repositories that have series of their own.
    pub fn selected_repositories(&self) -> usize {
        let omitted = self.selection.omitted();
        self.snapshot.repositories.len() - omitted.filter - omitted.limit
    }

    /// The number of series.
    pub fn series(&self) -> usize {
        self.counts.series
    }

    /// Bytes before compression.
    pub fn bytes(&self) -> usize {
        self.counts.bytes
    }

    /// Bytes of the gzip body, which are kept in memory.
    pub fn compressed_bytes(&self) -> usize {
        self.deflated.len()
    }

    /// Whether a body in this encoding can be sent at once; if not, [`Self::prepare`] makes it.
    pub fn is_ready(&self, encoding: Encoding) -> bool {
        encoding != Encoding::Zstd || self.zstd.get().is_some()
    }

    /// Makes the body in this encoding if it does not exist. This may take long: do not call it on an async thread. If
    /// several threads ask at once, one makes it and the others wait.
    pub fn prepare(&self, encoding: Encoding) {
        if encoding == Encoding::Zstd {
            self.zstd();
        }
    }

    fn zstd(&self) -> &ZstdBlocks {
        self.zstd.get_or_init(|| ZstdBlocks::compress(self.deflated.inflate(), self.deflated.len()))
    }
}

impl fmt::Debug for Exposition {
    /// Without bodies and repositories, which may be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition")
            .field("counts", &self.counts)
            .field("compressed", &self.compressed_bytes())
            .finish_non_exhaustive()
    }
}

/// The body of a response in pieces, which are made as they are taken.
#[derive(Debug, Default)]
pub struct ResponseBody(VecDeque<Piece>);

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    Inflate(Box<Inflate>),
}

impl ResponseBody {
    /// Bytes to come.
    pub fn len(&self) -> usize {
        let length = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Inflate(inflate) => inflate.left(),
        };
        self.0.iter().map(length).sum()
    }

    /// All bytes at once, for benches and tests.
    pub fn concat(self) -> Vec<u8> {
        self.collect::<Vec<_>>().concat()
    }

    /// Whether no bytes are to come.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<Bytes> for ResponseBody {
    fn from_iter<T: IntoIterator<Item = Bytes>>(pieces: T) -> Self {
        Self(pieces.into_iter().map(Piece::Bytes).collect())
    }
}

impl Iterator for ResponseBody {
    type Item = Bytes;

    /// The next piece; never empty.
    fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.0.front_mut()? {
                Piece::Inflate(inflate) => {
                    if let Some(bytes) = inflate.next() {
                        return Some(bytes);
                    }
                    self.0.pop_front();
                }
                Piece::Bytes(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.0.pop_front();
                    if !bytes.is_empty() {
                        return Some(bytes);
                    }
                }
            }
        }
    }
}

/// The body of a response: the live metrics, the exposition if there is one, and the end of the format. The compressed
/// bytes of the exposition are shared, not copied. Call [`Exposition::prepare`] first if the encoding is not ready.
pub fn response(live: &[u8], exposition: Option<&Exposition>, format: Format, encoding: Encoding) -> ResponseBody {
    let end = if format == Format::OpenMetrics { EOF } else { b"" };
    match encoding {
        Encoding::Gzip => gzip(live, exposition.map(|exposition| &exposition.deflated), end).into_iter().collect(),
        Encoding::Zstd => zstd(live, exposition.map(Exposition::zstd), end).into_iter().collect(),
        Encoding::Identity => {
            let inflate = exposition.map(|exposition| Piece::Inflate(Box::new(exposition.deflated.inflate())));
            let live = Piece::Bytes(Bytes::copy_from_slice(live));
            ResponseBody(
                [Some(live), inflate, Some(Piece::Bytes(Bytes::from_static(end)))].into_iter().flatten().collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::{decode, parse, row};
    use crate::exposition::{ConstantLabels, live};
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
    fn compressed_bytes_are_shared_and_plain_text_is_made_in_pieces() {
        let exposition = exposition(&Options::default());
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let largest = || response(b"", Some(&exposition), Format::Text, encoding).max_by_key(Bytes::len).unwrap();
            assert_eq!(largest().as_ptr(), largest().as_ptr(), "{encoding:?}");
        }
        let mut plain = response(b"", Some(&exposition), Format::Text, Encoding::Identity);
        assert!(plain.len() == exposition.bytes() && exposition.bytes() > 1 << 20);
        assert!(plain.by_ref().all(|piece| piece.len() <= 256 << 10));
        assert!(plain.is_empty());
    }

    #[test]
    fn zstd_is_made_once_when_it_is_first_asked_for() {
        let exposition = exposition(&Options::default());
        assert!(exposition.is_ready(Encoding::Gzip) && exposition.is_ready(Encoding::Identity));
        assert!(!exposition.is_ready(Encoding::Zstd));
        let blocks: Vec<_> = std::thread::scope(|scope| {
            let askers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| std::ptr::from_ref(exposition.zstd()) as usize)).collect();
            askers.into_iter().map(|asker| asker.join().unwrap()).collect()
        });
        assert!(exposition.is_ready(Encoding::Zstd) && blocks.iter().all(|other| *other == blocks[0]));
    }

    #[test]
    fn live_part_exposition_and_end_are_one_stream() {
        let exposition = exposition(&Options::default());
        let registry = Registry::new();
        registry.register(Box::new(Gauge::new("swr_up", "Up.").unwrap())).unwrap();
        let mut front = Vec::new();
        live(&registry.gather(), &ConstantLabels::default(), Format::OpenMetrics, &mut front);
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
