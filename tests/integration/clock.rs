//! The wall clock jumps while the exporter runs, so the process sees another time than the upstream.
//!
//! `libfaketime` (Debian package `faketime`, installed by `tests/run`) changes the wall clock of the process and leaves the
//! monotonic clock alone, as a real jump does.

use crate::support::{Exporter, Scrape, command, eventually, replace, simulator, start, text};
use std::path::PathBuf;
use swr_simulator::Repository;

fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path().join("faketime"));
    let mut libraries = folders.map(|folder| folder.join("libfaketimeMT.so.1"));
    libraries.find(|library| library.is_file()).expect("libfaketime is installed, as tests/run does")
}

/// Every timestamp and duration, with the values that it must not have.
fn assert_times_are_sane(scrape: &Scrape, jump: &str) {
    for name in ["swr_snapshot_timestamp_seconds", "swr_refresh_timestamp_seconds", "swr_refresh_duration_seconds"] {
        assert!(scrape.get(name).unwrap() >= 0.0, "{name} at {jump}");
    }
    assert!(scrape.get("swr_refresh_duration_seconds").unwrap() < 30.0, "at {jump}");
}

#[tokio::test]
async fn a_machine_whose_clock_jumps_goes_on_being_served() {
    let upstream = simulator(25, 3).await;
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    let jump = |to: &str| replace(&clock, to);
    jump("+0");
    let mut prepared = command();
    prepared.args(["--swr.endpoint", &upstream.url(), "--cache.window", "100ms", "--cache.max-age", "30s"]);
    prepared.args(["--cache.directory", folder.path().to_str().unwrap()]);
    prepared.env("LD_PRELOAD", faketime()).env("FAKETIME_TIMESTAMP_FILE", &clock);
    prepared.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut exporter = start(prepared).await;
    let mut before = exporter.scrape().await;
    assert_eq!(before.get("swr_up"), Some(1.0), "{}", exporter.log());
    let jumps = ["+1h", "-1h", "+10y", "-10y", "@1970-01-01 00:00:30", "+0"];
    for to in jumps {
        jump(to);
        // Two refreshes, because the first may have begun before.
        let wanted = before.get("swr_refreshes_total").unwrap() + 2.0;
        let scrape = exporter
            .scrape_until(to, |scrape| {
                assert_eq!(scrape.get("swr_up"), Some(1.0), "at {to}: {}", exporter.log());
                scrape.get("swr_refreshes_total").unwrap() >= wanted
            })
            .await;
        assert_times_are_sane(&scrape, to);
        assert_eq!(scrape.series("swr_repository_size_bytes").len(), 25, "at {to}");
        before = scrape;
    }
    assert!(before.get("swr_api_clock_skew_seconds").unwrap().abs() < 5.0, "the clock is right again");
    let refused = upstream.handle.statuses().get(&401).copied().unwrap_or_default();
    assert!((1..=jumps.len() as u64).contains(&refused), "{refused}: one a jump, after which the API's clock counts");
    exporter.stop().await;
    assert!(!exporter.log().contains("panicked"), "{}", exporter.log());
}

#[tokio::test]
async fn growth_since_yesterday_is_known_after_a_restart() {
    let upstream = simulator(0, 0).await;
    upstream.handle.insert(Repository { size: 3 << 30, ..Repository::new("payments", "api") });
    let folder = tempfile::tempdir().unwrap();
    let started = |clock: Option<&'static str>| {
        let mut prepared = command();
        prepared.args(["--swr.endpoint", &upstream.url(), "--cache.directory", folder.path().to_str().unwrap()]);
        if let Some(clock) = clock {
            prepared.env("LD_PRELOAD", faketime()).env("FAKETIME", clock).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        start(prepared)
    };
    let is_read = |scrape: &Scrape| scrape.get("swr_up") == Some(1.0);
    let page = async |exporter: &Exporter| text(exporter.get("/").await).await;

    let mut yesterday = started(Some("-25h")).await;
    yesterday.scrape_until("a listing", is_read).await;
    assert!(page(&yesterday).await.contains("Growth is known after 24 h of scrapes."));
    eventually("it is kept", || folder.path().join("default.snapshot").exists()).await;
    yesterday.stop().await;

    upstream.handle.insert(Repository { size: 2 << 30, ..Repository::new("payments", "web") });
    upstream.handle.insert(Repository { size: 4 << 30, ..Repository::new("payments", "api") });
    let today = started(None).await;
    today.scrape_until("a listing", is_read).await;
    let shown = page(&today).await;
    assert!(shown.contains("Growth in 24 h: +3.00 GiB"), "{shown}");
    let (_, grown) = shown.split_once("Grown most since ").expect("a list");
    let (grown, _) = grown.split_once("</table>").unwrap();
    assert!(grown.contains("payments/api</th><td class=\"number\">1.00 GiB"), "{grown}");
    assert!(!grown.contains("payments/web"), "what came today has not grown: {grown}");
}
