//! The cache on a paused clock, holding numbers.

use super::*;
use prometheus::Registry;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

type Answer = dyn FnMut(usize) -> Result<Outcome<usize>, Failure> + Send;

struct Upstream {
    asked: AtomicUsize,
    running: AtomicUsize,
    takes: Duration,
    answer: Mutex<Box<Answer>>,
}

fn good(value: usize) -> Result<Outcome<usize>, Failure> {
    Ok(Outcome { value, gap: None })
}

fn bad() -> Result<Outcome<usize>, Failure> {
    Err(Failure::new(Reason::Server, "it failed"))
}

fn cache(
    options: Options,
    takes: Duration,
    answer: impl FnMut(usize) -> Result<Outcome<usize>, Failure> + Send + 'static,
) -> (Cache<usize>, Arc<Upstream>) {
    cache_by(SystemTime::now, None, options, takes, answer)
}

/// As [`cache`], by a clock of its own and with somebody who keeps its values.
fn cache_by(
    clock: fn() -> SystemTime,
    keep: Option<Persister<usize>>,
    options: Options,
    takes: Duration,
    answer: impl FnMut(usize) -> Result<Outcome<usize>, Failure> + Send + 'static,
) -> (Cache<usize>, Arc<Upstream>) {
    let upstream = Arc::new(Upstream {
        asked: AtomicUsize::new(0),
        running: AtomicUsize::new(0),
        takes,
        answer: Mutex::new(Box::new(answer)),
    });
    let shared = upstream.clone();
    let refresh: Refresh<usize> = Box::new(move |_, _| {
        let upstream = shared.clone();
        Box::pin(async move {
            let number = upstream.asked.fetch_add(1, Ordering::SeqCst) + 1;
            assert_eq!(upstream.running.fetch_add(1, Ordering::SeqCst), 0, "one refresh at a time");
            if !upstream.takes.is_zero() {
                tokio::time::sleep(upstream.takes).await;
            }
            upstream.running.fetch_sub(1, Ordering::SeqCst);
            (upstream.answer.lock())(number)
        })
    });
    (Cache::new(options, refresh, keep, metrics::Counters::new(&Registry::new()), clock), upstream)
}

fn asked(upstream: &Upstream) -> usize {
    upstream.asked.load(Ordering::SeqCst)
}

const SECOND: Duration = Duration::from_secs(1);

async fn scrape(cache: &Cache<usize>) -> (Option<usize>, ServedKind) {
    let served = cache.get(Deadline::after(10 * SECOND)).await;
    (served.value.map(|value| *value), served.kind)
}

#[tokio::test(start_paused = true)]
async fn inside_the_window_nothing_is_asked() {
    let (cache, upstream) = cache(Options::default(), SECOND, good);
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Refreshed));
    for _ in 0..299 {
        tokio::time::advance(SECOND).await;
        assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Fresh));
    }
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(scrape(&cache).await, (Some(2), ServedKind::Refreshed));
    assert_eq!(asked(&upstream), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_scrapes_at_once_cause_one_refresh_and_get_one_value() {
    let (cache, upstream) = cache(Options::default(), SECOND, good);
    let scrapes: Vec<_> = (0..1000)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { scrape(&cache).await })
        })
        .collect();
    for scrape in scrapes {
        assert_eq!(scrape.await.unwrap(), (Some(1), ServedKind::Refreshed));
    }
    assert_eq!(asked(&upstream), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cold_scrape_waits_until_its_deadline_and_then_gets_nothing() {
    let (cache, _) = cache(Options::default(), 60 * SECOND, good);
    let start = Instant::now();
    assert_eq!(scrape(&cache).await, (None, ServedKind::Nothing));
    assert_eq!(start.elapsed(), 10 * SECOND);
    // The refresh goes on without it.
    tokio::time::sleep(51 * SECOND).await;
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Fresh));
}

#[tokio::test(start_paused = true)]
async fn a_late_refresh_costs_a_scrape_no_more_than_it_is_set_to_wait() {
    for (wait, waits) in [(Wait::Deadline, 10), (Wait::AtMost(2 * SECOND), 2), (Wait::AtMost(Duration::ZERO), 0)] {
        let (cache, _) = cache(Options { wait, ..Options::default() }, 60 * SECOND, good);
        cache.restore(7, SystemTime::now(), 400 * SECOND);
        let start = Instant::now();
        assert_eq!(scrape(&cache).await, (Some(7), ServedKind::Stale));
        assert_eq!(start.elapsed(), waits * SECOND, "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_keep_the_last_good_value_and_leave_the_upstream_alone() {
    let (cache, upstream) =
        cache(Options::default(), Duration::ZERO, |number| if number == 1 { good(1) } else { bad() });
    scrape(&cache).await;
    tokio::time::advance(301 * SECOND).await;
    let mut times = Vec::new();
    for second in 0..600 {
        let before = asked(&upstream);
        assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Stale));
        if asked(&upstream) > before {
            times.push(second);
        }
        tokio::time::advance(SECOND).await;
    }
    let gaps: Vec<i32> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] <= 5 && gaps.iter().all(|gap| *gap <= 46), "{gaps:?}");
    assert!(times.len() <= 22, "asked {} times in ten minutes", times.len());
    let status = cache.status();
    assert_eq!(status.latest.unwrap().failure.unwrap().reason, Reason::Server);
}

#[tokio::test(start_paused = true)]
async fn data_beyond_the_maximum_age_is_withdrawn() {
    let (cache, _) = cache(Options::default(), Duration::ZERO, |number| if number == 1 { good(1) } else { bad() });
    scrape(&cache).await;
    tokio::time::advance(3600 * SECOND).await;
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Stale));
    tokio::time::advance(SECOND).await;
    assert_eq!(scrape(&cache).await, (None, ServedKind::Nothing));
    assert!(cache.status().held.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_restored_value_counts_its_age_from_before_the_restart() {
    let (cache, upstream) = cache(Options::default(), Duration::ZERO, |_| bad());
    cache.restore(7, SystemTime::now(), 200 * SECOND);
    assert_eq!(scrape(&cache).await, (Some(7), ServedKind::Fresh));
    assert_eq!(asked(&upstream), 0, "inside the window a restart asks nothing");
    tokio::time::advance(3401 * SECOND).await;
    assert_eq!(scrape(&cache).await, (None, ServedKind::Nothing));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_panics_is_one_failed_refresh() {
    let (cache, _) = cache(Options::default(), Duration::ZERO, |number| match number {
        2 => panic!("on purpose"),
        number => good(number),
    });
    scrape(&cache).await;
    tokio::time::advance(301 * SECOND).await;
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Stale));
    assert_eq!(cache.status().latest.unwrap().failure.unwrap().reason, Reason::Internal);
    tokio::time::advance(6 * SECOND).await;
    assert_eq!(scrape(&cache).await, (Some(3), ServedKind::Refreshed));
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_or_after_the_refresh_ends_it_and_is_not_repeated_at_once() {
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    // At the beginning of the first refresh, and at the end of the second, with the state locked.
    fn falling() -> SystemTime {
        let look = LOOKS.fetch_add(1, Ordering::SeqCst);
        assert!(![0, 2].contains(&look), "on purpose");
        SystemTime::UNIX_EPOCH
    }
    let (cache, _) = cache_by(falling, None, Options::default(), Duration::ZERO, |_| good(1));
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(scrape(&cache).await, (None, ServedKind::Nothing));
    }
    assert_eq!(
        (start.elapsed(), LOOKS.load(Ordering::SeqCst)),
        (Duration::ZERO, 1),
        "it is tried once and not waited for"
    );
    assert!(!cache.status().running);
    tokio::time::advance(6 * SECOND).await;
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Refreshed));
    assert_eq!((start.elapsed(), LOOKS.load(Ordering::SeqCst)), (6 * SECOND, 3));
    assert!(!cache.status().running);
    tokio::time::advance(301 * SECOND).await;
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Refreshed));
    assert!(cache.status().latest.unwrap().failure.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_scraper_that_hangs_up_cancels_nothing() {
    let (cache, upstream) = cache(Options::default(), 5 * SECOND, good);
    let first = tokio::spawn({
        let cache = cache.clone();
        async move { scrape(&cache).await }
    });
    tokio::time::sleep(SECOND).await;
    first.abort();
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Refreshed));
    assert_eq!(asked(&upstream), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_outlasts_its_deadline_is_a_timeout() {
    let (cache, _) = cache(Options { refresh_timeout: 5 * SECOND, ..Options::default() }, 60 * SECOND, good);
    assert_eq!(scrape(&cache).await, (None, ServedKind::Nothing));
    assert_eq!(cache.status().latest.unwrap().failure.unwrap().reason, Reason::Timeout);
}

#[tokio::test(start_paused = true)]
async fn the_upstreams_word_on_when_to_come_back_counts() {
    let (cache, upstream) = cache(Options::default(), Duration::ZERO, |_| {
        Err(Failure { retry_after: Some(120 * SECOND), ..Failure::new(Reason::Throttled, "slow down") })
    });
    for _ in 0..119 {
        scrape(&cache).await;
        tokio::time::advance(SECOND).await;
    }
    assert_eq!(asked(&upstream), 1);
    tokio::time::advance(2 * SECOND).await;
    scrape(&cache).await;
    assert_eq!(asked(&upstream), 2);
}

#[tokio::test(start_paused = true)]
async fn after_closing_what_is_held_is_served_and_nothing_is_asked() {
    let (cache, upstream) = cache(Options::default(), 5 * SECOND, good);
    cache.restore(7, SystemTime::now(), 301 * SECOND);
    let waiting = tokio::spawn({
        let cache = cache.clone();
        async move { scrape(&cache).await }
    });
    tokio::time::sleep(SECOND).await;
    cache.close();
    assert_eq!(waiting.await.unwrap(), (Some(7), ServedKind::Stale));
    assert_eq!(scrape(&cache).await, (Some(7), ServedKind::Stale));
    assert_eq!(asked(&upstream), 1);
    assert_eq!(upstream.running.load(Ordering::SeqCst), 1, "the refresh was cancelled in its middle");
}

#[tokio::test(start_paused = true)]
async fn values_are_kept_one_at_a_time_and_the_newest_last_even_after_a_panic() {
    let (running, kept) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (at_once, values) = (running.clone(), kept.clone());
    let keep: Persister<usize> = Box::new(move |value, _| {
        let (at_once, values) = (at_once.clone(), values.clone());
        Box::pin(async move {
            assert!(*value != 1, "as the test wants");
            assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0, "two at once would write one file");
            tokio::time::sleep(Duration::from_millis(30)).await;
            at_once.fetch_sub(1, Ordering::SeqCst);
            values.lock().push(*value);
        })
    });
    let options = Options { window: Duration::from_millis(1), ..Options::default() };
    let (cache, _) = cache_by(SystemTime::now, Some(keep), options, Duration::ZERO, good);
    let mut last = 0;
    for _ in 0..40 {
        last = scrape(&cache).await.0.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let start = Instant::now();
    while kept.lock().last() != Some(&last) {
        assert!(start.elapsed() < 20 * SECOND, "{last} is not kept: {kept:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(kept.lock().is_sorted(), "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn while_the_machine_is_suspended_data_grows_old() {
    static SUSPENDED: AtomicUsize = AtomicUsize::new(0);
    let (cache, upstream) =
        cache(Options::default(), Duration::ZERO, |number| if number == 1 { good(1) } else { bad() });
    let mut cache = cache;
    let shared = Arc::get_mut(&mut cache.0).unwrap();
    shared.suspended_time = || Duration::from_secs(SUSPENDED.load(Ordering::SeqCst) as u64);
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Refreshed));
    SUSPENDED.store(299, Ordering::SeqCst);
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Fresh));
    SUSPENDED.store(600, Ordering::SeqCst);
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Stale), "the window is over");
    assert_eq!((asked(&upstream), cache.status().age), (2, Some(600 * SECOND)));
    SUSPENDED.store(3_601, Ordering::SeqCst);
    assert_eq!(scrape(&cache).await, (None, ServedKind::Nothing), "older than the maximum age");
}

/// With real threads and time, a refresh may end before the scrape that started it begins to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_ends_at_once_is_not_waited_for_in_vain() {
    for _ in 0..3_000 {
        let (cache, _) = cache(Options::default(), Duration::ZERO, good);
        // The test's thread is not one of the runtime's, so another one runs the refresh.
        assert_eq!(scrape(&cache).await.1, ServedKind::Refreshed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_moves_no_window_no_age_and_no_back_off() {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    fn jumping() -> SystemTime {
        let seconds = SECONDS.load(Ordering::SeqCst);
        let away = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { SystemTime::UNIX_EPOCH - away } else { SystemTime::UNIX_EPOCH + away }
    }
    const TRUTH: i64 = 1_735_787_045;
    const YEAR: i64 = 366 * 24 * 3600;
    let jumps = [TRUTH + 3600, TRUTH - 3600, TRUTH + 10 * YEAR, TRUTH - 10 * YEAR, 0, -YEAR, TRUTH];
    SECONDS.store(TRUTH, Ordering::SeqCst);
    // Good at first, and then never again.
    let answer = |number| if number <= 2 { good(number) } else { bad() };
    let (cache, upstream) = cache_by(jumping, None, Options::default(), Duration::ZERO, answer);
    let registry = Registry::new();
    metrics::register_state(&registry, cache.clone());
    let shown = |name: &str| {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        Some(family.get_metric()[0].get_gauge().get_value())
    };
    assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Refreshed));
    for jump in jumps.iter().cycle().take(290) {
        SECONDS.store(*jump, Ordering::SeqCst);
        tokio::time::advance(SECOND).await;
        assert_eq!(scrape(&cache).await, (Some(1), ServedKind::Fresh), "the window is 300 s long");
    }
    SECONDS.store(-YEAR, Ordering::SeqCst);
    tokio::time::advance(11 * SECOND).await;
    assert_eq!(scrape(&cache).await, (Some(2), ServedKind::Refreshed));
    assert_eq!(shown("swr_snapshot_timestamp_seconds"), Some(0.0), "before 1970 is not shown as such");
    let since = Instant::now();
    let mut withdrawn = None;
    for jump in jumps.iter().cycle().take(4000) {
        SECONDS.store(*jump, Ordering::SeqCst);
        tokio::time::advance(SECOND).await;
        if scrape(&cache).await.0.is_none() {
            withdrawn.get_or_insert(since.elapsed());
        } else {
            assert!(withdrawn.is_none(), "what was withdrawn does not come back");
        }
        assert!(shown("swr_refresh_timestamp_seconds").unwrap() >= 0.0);
        assert!(shown("swr_refresh_duration_seconds").unwrap() < 60.0);
    }
    let withdrawn = withdrawn.expect("it is withdrawn");
    assert!((3600..3660).contains(&withdrawn.as_secs()), "{withdrawn:?}");
    let failures = asked(&upstream) - 2;
    assert!((80..=130).contains(&failures), "one in 45 s, also after the jumps: {failures}");
}
