//! The encoded exposition of one snapshot.
//!
//! - gzip is made when the snapshot is published and kept: Prometheus asks for it. The text is streamed into the
//!   compressor, so a refresh never holds the plain text, which is some eight times larger. Parts in which nothing changed
//!   are those of the exposition before.
//! - identity is inflated from the gzip, piece by piece, and kept only where there is room: anybody who may scrape can ask
//!   for it, and it would multiply the memory of an account.
//! - zstd is made from the gzip when a scraper first asks, and kept as long as the exposition.
//!
//! Scrapers share the compressed bytes. Deliberately absent: the choice of an encoding, and the thread that encodes.

use super::blocks::{EncodedBlocks, Selected};
use super::columns::Column;
use super::compress::{Deflated, Deflater, EOF, GZIP_LEVEL, ZstdBlocks, gzip, zstd};
use super::plain_text::{PlainText, PlainTextRoom};
use super::repository_selection::RepositorySelection;
use super::snapshot_families::write_totals;
use super::tag_families;
use super::top_repositories::{self, TopRepositories};
use super::{Encoding, Format, Options};
use crate::model::Snapshot;
use crate::model::chunks::BlockSize;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The families of one snapshot as bytes, without the end of an OpenMetrics exposition.
pub struct Exposition {
    snapshot: Arc<Snapshot>,
    selection: RepositorySelection,
    top: Arc<TopRepositories>,
    /// The families of the listing. A next exposition may take over parts of them.
    listing: EncodedBlocks,
    /// The families of tags and details, of which most change less often and one by one.
    images: EncodedBlocks,
    deflated: Arc<Deflated>,
    zstd: OnceLock<ZstdBlocks>,
}

impl Exposition {
    /// Encodes and compresses. This may take long: do not call it on an async thread. If the number of repositories is
    /// limited, those selected in `previous` are preferred; what did not change is taken over from it. `previous`
    /// was built with the same options.
    pub fn build(snapshot: Arc<Snapshot>, options: &Options, previous: Option<&Self>) -> Self {
        let selected_before = previous.map(|previous| (&*previous.snapshot, &previous.selection));
        let selection = RepositorySelection::new(&snapshot, options, selected_before);
        let sums = snapshot.namespace_sums();
        let top = Arc::new(top_repositories::top(&snapshot, &sums, &selection));
        // In the order in which they are written: the listing, then the totals, then tags and details.
        let of_listing: Vec<Column> = options.repository_metrics.iter().map(Column::of).collect();
        let of_images = if snapshot.images.is_some() { tag_families::COLUMNS } else { &[] };
        let mut deflater = Deflater::new(GZIP_LEVEL);
        let new = Selected { snapshot: &snapshot, selection: &selection };
        let encode = |size, columns: &[Column], before: fn(&Self) -> &EncodedBlocks| {
            let before = previous.map(|previous| {
                (Selected { snapshot: &previous.snapshot, selection: &previous.selection }, before(previous))
            });
            EncodedBlocks::new(new, before, size, columns, &options.labels)
        };
        let listing = encode(BlockSize::Large, &of_listing, |before| &before.listing);
        let images = encode(BlockSize::Small, of_images, |before| &before.images);
        let mut deflated = Deflated::default();
        listing.append_to(&mut deflated, &of_listing, &mut deflater);
        let totals = write_totals(&snapshot, &sums, &selection, options, &mut deflater);
        deflated.push(deflater.finish(totals));
        images.append_to(&mut deflated, of_images, &mut deflater);
        drop(sums);
        Self { snapshot, selection, top, listing, images, deflated: Arc::new(deflated), zstd: OnceLock::new() }
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
        self.deflated.series
    }

    /// Bytes before compression.
    pub fn bytes(&self) -> usize {
        self.deflated.text_length
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
        let text = || self.plain_text(PlainTextRoom::new(0));
        self.zstd.get_or_init(|| ZstdBlocks::compress(text(), self.deflated.len()))
    }

    fn plain_text(&self, room: PlainTextRoom) -> PlainText {
        PlainText::new(self.deflated.clone(), room)
    }
}

impl fmt::Debug for Exposition {
    /// Without bodies and repositories, which may be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition")
            .field("series", &self.series())
            .field("bytes", &self.bytes())
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
    Text(Box<PlainText>),
}

impl ResponseBody {
    /// Bytes to come.
    pub fn len(&self) -> usize {
        let length = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Text(text) => text.left(),
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
                Piece::Text(text) => {
                    if let Some(bytes) = text.next() {
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
/// bytes of the exposition are shared, not copied; plain text is kept as far as there is room. Call
/// [`Exposition::prepare`] first if the encoding is not ready.
pub fn response(
    live: &[u8],
    exposition: Option<&Exposition>,
    format: Format,
    encoding: Encoding,
    room: &PlainTextRoom,
) -> ResponseBody {
    let end = if format == Format::OpenMetrics { EOF } else { b"" };
    match encoding {
        Encoding::Gzip => gzip(live, exposition.map(|exposition| &*exposition.deflated), end).into_iter().collect(),
        Encoding::Zstd => zstd(live, exposition.map(Exposition::zstd), end).into_iter().collect(),
        Encoding::Identity => {
            let text = exposition.map(|exposition| Piece::Text(Box::new(exposition.plain_text(room.clone()))));
            let live = Piece::Bytes(Bytes::copy_from_slice(live));
            ResponseBody(
                [Some(live), text, Some(Piece::Bytes(Bytes::from_static(end)))].into_iter().flatten().collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::{decode, parse, row};
    use crate::exposition::{ConstantLabels, live};
    use crate::model::reclaim::Rule;
    use crate::model::tags::{Details, Reclaimable, ReclaimableHere, TagFigures, TagTotals};
    use crate::model::{Images, Repository, RepositoryImages, RepositoryRef, Timestamp};
    use prometheus::{Gauge, Registry};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const ALL: [Encoding; 3] = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd];

    /// Large enough for many chunks.
    fn exposition(options: &Options) -> Exposition {
        let rows = (0..3_000).map(|index| row(&format!("team-{}", index % 7), &format!("app/service-{index}")));
        Exposition::build(Arc::new(Snapshot::new(Timestamp(0), rows.collect()).0), options, None)
    }

    fn nothing_kept() -> PlainTextRoom {
        PlainTextRoom::new(0)
    }

    fn body(exposition: &Exposition, encoding: Encoding) -> Vec<u8> {
        decode(&response(b"", Some(exposition), Format::Text, encoding, &nothing_kept()).concat(), encoding)
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
            let largest = || {
                let body = response(b"", Some(&exposition), Format::Text, encoding, &nothing_kept());
                body.max_by_key(Bytes::len).unwrap()
            };
            assert_eq!(largest().as_ptr(), largest().as_ptr(), "{encoding:?}");
        }
        let mut plain = response(b"", Some(&exposition), Format::Text, Encoding::Identity, &nothing_kept());
        assert!(plain.len() == exposition.bytes() && exposition.bytes() > 1 << 20);
        assert!(plain.by_ref().all(|piece| piece.len() <= 256 << 10));
        assert!(plain.is_empty());
    }

    #[test]
    fn plain_text_is_kept_as_far_as_there_is_room_and_taken_over_with_its_part() {
        let first = exposition(&Options::default());
        let expected = body(&first, Encoding::Identity);
        let plain = |exposition: &Exposition, room: &PlainTextRoom| {
            let body = response(b"", Some(exposition), Format::Text, Encoding::Identity, room);
            assert_eq!(body.len(), expected.len());
            body.collect::<Vec<_>>()
        };
        let kept = |exposition: &Exposition| {
            let parts = exposition.deflated.parts().iter();
            parts.filter_map(|part| part.kept_text.get()).map(Bytes::len).sum::<usize>()
        };
        // The largest part does not fit beside others, small ones do.
        let small = PlainTextRoom::new(expected.len() / 2);
        assert!(plain(&first, &small).concat() == expected);
        let some = kept(&first);
        assert!((expected.len() / 4..=expected.len() / 2).contains(&some), "{some} of {}", expected.len());
        assert!(plain(&first, &small).concat() == expected);
        assert_eq!(kept(&first), some);

        let large = PlainTextRoom::new(2 * expected.len());
        let once = plain(&first, &large);
        assert_eq!((kept(&first), once.concat() == expected), (expected.len(), true));
        let same = Exposition::build(first.snapshot.clone(), &Options::default(), Some(&first));
        let again = plain(&same, &nothing_kept());
        assert!(again.concat() == expected && kept(&same) > expected.len() * 9 / 10);
        // Room comes back with the last exposition and the last response that have the text.
        let free = |room: &PlainTextRoom| room.take(expected.len() / 3).is_some();
        assert!(!free(&small));
        drop((first, same));
        assert!(!free(&small));
        drop((once, again));
        assert!(free(&small));
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
            let stream = response(&front, Some(&exposition), Format::OpenMetrics, encoding, &nothing_kept()).concat();
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

    /// A world of repositories by number, and what changes between two refreshes: rows that come, go or have another value.
    fn world(numbers: &BTreeMap<u32, u64>) -> Arc<Snapshot> {
        let rows = numbers.iter().map(|(number, value)| Repository {
            size: (!value.is_multiple_of(7)).then_some(*value),
            downloads: Some(value / 50),
            category: (!value.is_multiple_of(3)).then(|| format!("category-{}", value % 5).into()),
            ..row(&format!("team-{}", number % 3), &format!("app/service-{number}"))
        });
        let (mut snapshot, _) = Snapshot::new(Timestamp(0), rows.collect());
        // Each figure depends on another part of the value.
        let image = |row: RepositoryRef<'_>| RepositoryImages {
            tags: row.size.filter(|size| size % 11 > 0).map(|size| TagFigures {
                totals: TagTotals {
                    tags: 1 + (size % 2 == 0) as u32,
                    unlayered: (size % 5 == 0).into(),
                    newest: (size % 4 > 0).then_some(Timestamp(5)),
                    oldest: (size % 8 > 0).then_some(Timestamp(3)),
                },
                by_age: [0, 0, 0, 0, (size % 3 == 0).into()],
                unique_bytes: (size / 10).into(),
                exclusive_bytes: (size % 13 > 0).then(|| (size / 20).into()),
                series: None,
            }),
            details: (row.downloads > Some(7)).then(|| Arc::new(Details { id: row.downloads, ..Details::default() })),
            retention_rules: row.downloads.filter(|downloads| *downloads < 9).map(|_| 1),
        };
        let repositories = snapshot.repositories.iter().map(image).collect();
        let picked = |rule, every: u64| {
            let rows = (0..).zip(snapshot.repositories.iter()).filter_map(|(index, row)| Some((index, row.size?)));
            let here = rows.filter(|(_, size)| size % every == 1).map(|(index, size)| ReclaimableHere {
                index,
                tags: 1 + u32::from(size > 300),
                bytes: (size > 100).then(|| (size / 200).into()),
            });
            Reclaimable { rule, repositories: here.collect(), namespaces: Vec::new(), bytes: None }
        };
        let reclaimable = vec![picked(Rule::OlderThan { days: 9 }, 5), picked(Rule::BeyondNewest { count: 3 }, 4)];
        snapshot.images = Some(Arc::new(Images { repositories, reclaimable, ..Images::default() }));
        Arc::new(snapshot)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn an_exposition_with_parts_of_the_one_before_is_that_made_from_nothing(
            count in 0u32..12_000, seed: u64, exclude in prop::sample::select(&["", ".*7", "team-1/.*"][..]),
            steps in prop::collection::vec(prop::sample::select(&[0u32, 1, 30, 2_000][..]), 1..5),
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let exclude = (!exclude.is_empty()).then(|| exclude.parse().unwrap());
            let options = Options { exclude, ..Options::default() };
            let mut numbers: BTreeMap<u32, u64> = (0..count).map(|number| (number * 2, u64::from(number))).collect();
            let mut held = Exposition::build(world(&numbers), &options, None);
            for changes in steps {
                for _ in 0..changes {
                    let number = random.u32(..count * 2 + 2);
                    match random.u8(..4) {
                        0 => drop(numbers.remove(&number)),
                        _ => drop(numbers.insert(number, random.u64(..1000))),
                    }
                }
                let snapshot = world(&numbers);
                let fresh = Exposition::build(snapshot.clone(), &options, None);
                held = Exposition::build(snapshot, &options, Some(&held));
                let plain = body(&fresh, Encoding::Identity);
                let series = plain.split_inclusive(|byte| *byte == b'\n').filter(|line| line[0] != b'#').count();
                for exposition in [&held, &fresh] {
                    prop_assert_eq!((exposition.series(), exposition.bytes()), (series, plain.len()));
                    prop_assert!(body(exposition, Encoding::Gzip) == plain && body(exposition, Encoding::Identity) == plain);
                }
            }
        }
    }

    #[test]
    fn a_listing_is_not_encoded_again_when_its_tags_become_known() {
        let known = world(&(0..10_000).map(|number| (number, 8)).collect());
        let listing = Snapshot { images: None, ..Snapshot::clone(&known) };
        let first = Exposition::build(Arc::new(listing), &Options::default(), None);
        let second = Exposition::build(known.clone(), &Options::default(), Some(&first));
        assert!(first.listing.parts().zip(second.listing.parts()).all(|(old, new)| Arc::ptr_eq(old, new)));
        let fresh = Exposition::build(known, &Options::default(), None);
        assert!(body(&second, Encoding::Gzip) == body(&fresh, Encoding::Gzip));
    }

    #[test]
    fn where_nothing_changed_the_compressed_bytes_are_shared() {
        let numbers: BTreeMap<u32, u64> = (0..10_000).map(|number| (number, 8)).collect();
        let first = Exposition::build(world(&numbers), &Options::default(), None);
        let same = Exposition::build(world(&numbers), &Options::default(), Some(&first));
        let mut changed = numbers;
        changed.insert(5_000, 50);
        let other = Exposition::build(world(&changed), &Options::default(), Some(&same));
        let shared = |old: &Exposition, new: &Exposition| {
            let pairs = |of: fn(&Exposition) -> &EncodedBlocks| of(old).parts().zip(of(new).parts());
            let pairs = pairs(|of| &of.listing).chain(pairs(|of| &of.images));
            pairs.map(|(old, new)| Arc::ptr_eq(old, new)).collect::<Vec<_>>()
        };
        assert!(shared(&first, &same).into_iter().all(|shared| shared));
        let made = shared(&same, &other).into_iter().filter(|shared| !shared).count();
        // Size, downloads and category of the listing, each in one block, and five figures of tags, each in a small one.
        assert_eq!(made, 3 + 5);
    }
}
