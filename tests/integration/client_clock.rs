//! Wall clocks that are wrong: ours, while requests are signed, and that of the API.

use crate::auxiliary_collectors::demo_client;
use crate::support::{Scrape, eventually, simulator};
use crate::upstream_support::account_of;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};
use swr_exporter::base::deadline::Deadline;
use swr_exporter::swr::row_reader::KnownRows;
use swr_exporter::swr::{CallBudget, Metrics, Options};
use swr_simulator::{Options as World, Simulator};

/// How far our clock is off, in seconds.
static OFF: AtomicI64 = AtomicI64::new(0);

fn jumping() -> SystemTime {
    let (now, off) = (SystemTime::now(), OFF.load(Ordering::Relaxed));
    let by = Duration::from_secs(off.unsigned_abs());
    if off < 0 { now - by } else { now + by }
}

#[tokio::test]
async fn a_wall_clock_that_jumps_costs_one_refusal_a_jump_and_no_listing() {
    const HOUR: i64 = 3600;
    const YEAR: i64 = 366 * 24 * HOUR;
    let upstream = Simulator::start(World { repositories: 5, ..World::default() }).await.unwrap();
    let registry = prometheus::Registry::new();
    let options = Options { endpoint: upstream.url(), ..Options::default() };
    let client = demo_client(options, Metrics::new(&registry), jumping);
    let gauge = |name: &str| {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric()[0].get_gauge().get_value()
    };
    let skew = || gauge("swr_api_clock_skew_seconds");
    let seconds =
        |time: SystemTime| i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let to_1970 = -seconds(SystemTime::now());
    let jumps = [0, HOUR, -HOUR, 10 * YEAR, -10 * YEAR, to_1970, to_1970 - YEAR, 0, 10 * YEAR, 0];
    for (number, off) in jumps.into_iter().enumerate() {
        OFF.store(off, Ordering::Relaxed);
        for _ in 0..3 {
            let budget = CallBudget::until(Deadline::after(Duration::from_secs(60)));
            let listed = client.repositories(None, 0, 100, &KnownRows::none(client.fingerprint_key), &budget).await;
            assert_eq!(listed.unwrap().rows.len(), 5, "with a clock off by {off} s");
        }
        #[allow(clippy::cast_precision_loss, reason = "centuries at most")]
        let wrong = (skew() + off as f64).abs();
        assert!(wrong < 5.0, "the skew is shown: {} with {off}", skew());
        let refused = upstream.handle.statuses().get(&401).copied().unwrap_or_default();
        assert!(refused <= number as u64, "{refused} refusals after {number} jumps");
    }
    assert_eq!(gauge("swr_api_circuit_open"), 0.0);
}

#[tokio::test]
async fn a_clock_that_is_off_is_shown_always_and_said_once() {
    let upstream = simulator(20, 2).await;
    let account = account_of(upstream, &[]).await;
    let skew = |scrape: &Scrape| scrape.get("swr_api_clock_skew_seconds").unwrap();
    assert!(skew(&account.good).abs() < 2.0);
    let warnings = || account.exporter.log().matches("signatures fail from 900 s on").count();
    for (times, seconds) in [(1, 700), (2, -700)] {
        account.upstream.handle.configure(|options| options.clock_skew_seconds = seconds);
        for _ in 0..3 {
            let asked = account.listed();
            let near = |scrape: &Scrape| (skew(scrape) - seconds as f64).abs() < 2.0 && account.listed() > asked;
            account.exporter.scrape_until("the skew is seen", near).await;
        }
        eventually("it is said", || warnings() == times).await;
        account.upstream.handle.configure(|options| options.clock_skew_seconds = 0);
        account.exporter.scrape_until("the clock is right", |scrape| skew(scrape).abs() < 2.0).await;
    }
    assert_eq!(warnings(), 2, "{}", account.exporter.log());
}
