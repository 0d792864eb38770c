//! The worker on a paused clock, with an upstream that is a function.

use super::*;
use crate::auth::Authenticator;
use crate::base::state_file::{self, Origin};
use crate::model::{Repository, Timestamp};
use crate::swr;
use crate::swr::fake_upstream::{Reply, Setup, given, setup_by};
use std::io;
use std::time::Duration;

/// The `Content-Range` and the body for a URL.
type Script = fn(&str) -> (&'static str, String);

/// The usual wait of a refresh.
const BRIEFLY: WaitPolicy = WaitPolicy::AtMost(crate::collect::auxiliary::MAX_WAIT);

fn collector(options: Options, keep: Option<SaveInventory>, script: Script) -> (TagCollector, Setup) {
    collector_at(SystemTime::now, options, keep, script)
}

fn collector_at(
    wall_clock: fn() -> SystemTime,
    options: Options,
    keep: Option<SaveInventory>,
    script: Script,
) -> (TagCollector, Setup) {
    let rate = Rate { per_second: 1000.0, burst: 1000.0 };
    let of_client = swr::Options { rate, ..swr::Options::default() };
    let upstream = setup_by(of_client, Authenticator::new(given(), None), move |_, url| {
        let (range, body) = script(url);
        Reply::Page(range, body)
    });
    let metrics = Metrics::new(&prometheus::Registry::new());
    let mut options = options;
    options.collected.enabled[FetchKind::Tags] = true;
    let client = upstream.client.clone();
    (TagCollector::start(client, options, metrics, TagInventory::default(), keep, wall_clock), upstream)
}

/// A listing of this many repositories of this size.
fn listing(repositories: usize, size: u64) -> Snapshot {
    let row = |number: usize| Repository {
        name: format!("r{number:04}").into(),
        size: Some(size),
        ..Repository::unknown("org".into())
    };
    Snapshot::new(Timestamp(0), (0..repositories).map(row).collect()).0
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(100))
}

/// A page of a hundred of five thousand tags.
fn one_of_fifty_pages(url: &str) -> (&'static str, String) {
    let offset: usize = url.split_once("offset=").unwrap().1.split('&').next().unwrap().parse().unwrap();
    let tags: Vec<String> = (offset..offset + 100).map(|number| format!(r#"{{"Tag":"t{number}"}}"#)).collect();
    ("0-99/5000", format!("[{}]", tags.join(",")))
}

#[tokio::test(start_paused = true)]
async fn each_page_of_a_list_waits_for_its_turn() {
    let (tags, upstream) = collector(Options { per_second: 5.0, ..Options::default() }, None, one_of_fifty_pages);
    tags.refresh(&listing(50, 1), BRIEFLY, soon()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let calls = upstream.requests().len();
    assert!((300..=315).contains(&calls), "{calls} calls in a minute at 5 a second after a burst of 10");
}

#[tokio::test(start_paused = true)]
async fn a_list_may_wait_longer_for_its_turns_than_a_call_may_take() {
    let (tags, _) = collector(Options { per_second: 1.0, ..Options::default() }, None, one_of_fifty_pages);
    let listing = listing(3, 1);
    tags.refresh(&listing, BRIEFLY, soon()).await;
    tokio::time::sleep(Duration::from_secs(155)).await;
    let images = tags.refresh(&listing, BRIEFLY, soon()).await;
    let read: Vec<_> = images.repositories.iter().map(|of| of.tags.as_ref().map(|tags| tags.totals.tags)).collect();
    assert_eq!(read, [Some(5000); 3]);
}

/// One image with a configuration and a layer.
fn one_image(_: &str) -> (&'static str, String) {
    let part = |digit: &str| format!(r#"{{"size":{digit},"digest":"sha256:{}"}}"#, digit.repeat(64));
    let manifest = format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#, part("1"), part("2"));
    ("0-0/1", format!(r#"[{{"Tag":"v1","manifest":{manifest:?}}}]"#))
}

#[tokio::test(start_paused = true)]
async fn a_reading_without_new_layers_is_stored_when_the_limit_is_reached() {
    let (tags, upstream) = collector(Options { max_layers: 2, ..Options::default() }, None, one_image);
    for (repositories, size) in [(1, 1), (1, 2), (2, 2)] {
        let images = tags.refresh(&listing(repositories, size), BRIEFLY, soon()).await;
        let unique: Vec<_> = images.repositories.iter().map(|of| of.tags.as_ref().unwrap().unique_bytes).collect();
        assert_eq!(unique, vec![3; repositories]);
        let state = tags.worker.state();
        assert!(
            !state.statuses[FetchKind::Tags].is_stopped && state.pending == 0,
            "{repositories} repositories of {size} bytes"
        );
    }
    // Two layers, and that two repositories have them.
    assert_eq!((tags.memory_in_layers(), upstream.requests().len()), (2 + 2 * 130 / 64, 3));
}

thread_local! {
    /// When the test began, by the paused clock.
    static BEGAN: Instant = Instant::now();
}

/// A wall clock that goes with the paused one, from 2023-11-14 22:13:20 on.
fn paused_wall_clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + BEGAN.with(Instant::elapsed)
}

#[tokio::test(start_paused = true)]
async fn a_day_that_passes_without_a_change_makes_tags_reclaimable_without_a_call() {
    // 89 and a half days old.
    let old_tag: Script = |url| {
        let (range, body) = one_image(url);
        (range, body.replace(r#"{"Tag""#, r#"{"updated":"2023-08-17T10:13:20Z","Tag""#))
    };
    let mut options = Options::default();
    options.collected.full_interval = Duration::from_secs(10 * 86_400);
    let (tags, upstream) = collector_at(paused_wall_clock, options, None, old_tag);
    let listing = listing(3, 1);
    tags.refresh(&listing, BRIEFLY, soon()).await;
    assert_eq!(upstream.requests().len(), 3);
    for hour in 0..24 {
        let images = tags.refresh(&listing, BRIEFLY, soon()).await;
        let of_rule = &images.reclaimable[0];
        assert_eq!(of_rule.rule.to_string(), "older_than_90d");
        let picked: u32 = of_rule.repositories.iter().map(|here| here.tags).sum();
        let expected = if hour < 12 { (0, Some(0)) } else { (3, Some(3)) };
        assert_eq!((picked, of_rule.bytes), expected, "after {hour} hours");
        tokio::time::advance(Duration::from_secs(3_600)).await;
    }
    assert_eq!(upstream.requests().len(), 3, "no call after the first");
}

/// Collects what is written, and does something once the first frame of records is.
struct Disk<'a> {
    bytes: Vec<u8>,
    after_first_frame: &'a dyn Fn(),
}

impl io::Write for Disk<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if bytes.len() > 1_000 {
            (self.after_first_frame)();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_inventory_that_is_taken_over_while_it_is_written_is_not_stored_in_part() {
    let generations: Arc<Mutex<Option<(TagCollector, TagCollector)>>> = Arc::default();
    // Repositories in each file that was written to its end.
    let kept: Arc<Mutex<Vec<usize>>> = Arc::default();
    let keep: SaveInventory = {
        let (generations, kept) = (generations.clone(), kept.clone());
        Arc::new(move |write| {
            let take_over = || generations.lock().take().into_iter().for_each(|(old, new)| new.take_over(&old));
            let mut disk = Disk { bytes: Vec::new(), after_first_frame: &take_over };
            if state_file::encode(&mut disk, SystemTime::now(), Origin::default(), write).is_ok() {
                let mut file = io::Cursor::new(disk.bytes);
                let loaded = state_file::decode::<TagInventory>(&mut file, SystemTime::now()).unwrap().0;
                kept.lock().push(loaded.value.len());
            }
            Box::pin(std::future::ready(()))
        })
    };
    let options = Options { per_second: 1000.0, ..Options::default() };
    let (old, _) = collector(options.clone(), Some(keep.clone()), |_| ("0-0/0", "[]".to_owned()));
    let (new, _) = collector(options, Some(keep), |_| ("0-0/0", "[]".to_owned()));
    // Some are written before the last is looked at.
    let listing = listing(900, 1).with_each(|row| row.name = format!("{}{}", row.name, "x".repeat(300)).into());
    old.refresh(&listing, BRIEFLY, soon()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(old.worker.state().pending, 0);
    kept.lock().clear();
    *generations.lock() = Some((old.clone(), new.clone()));
    old.worker.write_now().await;
    assert_eq!(old.images(&listing).repositories.len(), 900, "a refresh that still runs has no more to show");
    // A call that was under way may still be entered.
    old.worker.state().is_dirty = true;
    old.close().await.unwrap();
    new.close().await.unwrap();
    let mut kept = kept.lock();
    kept.dedup();
    assert_eq!(*kept, [900]);
}
