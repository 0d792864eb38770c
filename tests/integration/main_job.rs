//! The main job: a scrape shows what the listing says, at the cost of one listing per cache window.

use crate::support::{Scrape, exporter, passes_promtool, simulator};
use std::collections::BTreeMap;
use std::time::Duration;
use swr_simulator::{DEMO_PROJECT_ID, Repository, Running};

const LISTING: &str = "/v2/manage/repos";

/// The families of every repository.
const FAMILIES: [&str; 6] = [
    "swr_repository_size_bytes",
    "swr_repository_images",
    "swr_repository_downloads",
    "swr_repository_created_timestamp_seconds",
    "swr_repository_updated_timestamp_seconds",
    "swr_repository_info",
];

/// Nanoseconds since 1970 as decimal seconds without trailing zeros.
fn seconds(nanoseconds: i64) -> String {
    let (whole, fraction) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    let text = format!("{whole}.{fraction:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Asserts that a scrape has exactly these repositories, each with its six series and the right values.
fn assert_shows(scrape: &Scrape, truth: &[Repository]) {
    for family in FAMILIES {
        let key = |labels: &crate::support::Labels| (labels["namespace"].clone(), labels["repository"].clone());
        let series: BTreeMap<_, _> =
            scrape.series(family).iter().map(|(labels, value)| (key(labels), (labels, value))).collect();
        assert_eq!(scrape.series(family).len(), truth.len(), "{family}");
        for repository in truth {
            let key = (repository.namespace.clone(), repository.name.clone());
            let (labels, value) = series.get(&key).unwrap_or_else(|| panic!("{family} of {key:?} is missing"));
            let expected = match family {
                "swr_repository_size_bytes" => repository.size.to_string(),
                "swr_repository_images" => repository.tags.len().to_string(),
                "swr_repository_downloads" => repository.num_download.to_string(),
                "swr_repository_created_timestamp_seconds" => seconds(repository.created_nanos),
                "swr_repository_updated_timestamp_seconds" => seconds(repository.updated_nanos),
                _ => "1".to_owned(),
            };
            assert_eq!(**value, expected, "{family} of {key:?}");
            if family == "swr_repository_info" {
                let visibility = if repository.is_public { "public" } else { "private" };
                assert_eq!(labels["category"], repository.category, "{key:?}");
                assert_eq!(labels["visibility"], visibility, "{key:?}");
                assert_eq!(labels.len(), 4);
            } else {
                assert_eq!(labels.len(), 2, "{family}");
            }
        }
    }
}

/// Inserts names that break the API's own rules and would break an exposition that does not escape them.
fn insert_odd_names(upstream: &Running) {
    for name in [
        "a/b/c/d",
        "quote\"quote",
        "back\\slash\\n",
        "line\nfeed",
        "carriage\rreturn",
        "nul\0",
        "line separator \u{2028}",
        "gr\u{fc}\u{df}e \u{1f680}",
        "\"} 1\nswr_up{forged=\"",
        " ",
    ] {
        upstream.handle.insert(Repository {
            // More than a float holds.
            size: (1 << 53) + 1,
            num_download: i64::MAX as u64,
            tags: vec!["v1".to_owned()],
            is_public: true,
            ..Repository::new("odd", name)
        });
    }
}

#[tokio::test]
async fn every_repository_has_its_six_series_with_the_values_of_the_api() {
    let upstream = simulator(2335, 20).await;
    insert_odd_names(&upstream);
    let exporter = exporter(&upstream.url(), &[]).await;
    let scrape = exporter.scrape().await;
    let truth = upstream.handle.repositories();
    assert_eq!(truth.len(), 2345);
    assert!(truth.iter().filter(|repository| repository.name.contains('/')).count() > 100);
    assert_shows(&scrape, &truth);
    assert_eq!(scrape.get("swr_repositories"), Some(2345.0));
    assert_eq!(scrape.get("swr_up"), Some(1.0));
    for _ in 0..20 {
        exporter.scrape().await;
    }
    assert_eq!(upstream.handle.count(LISTING), 3, "three pages, once");
    assert_eq!(upstream.handle.total(), 3, "and nothing else");
}

#[tokio::test]
async fn promtool_accepts_a_full_scrape() {
    let upstream = simulator(300, 8).await;
    insert_odd_names(&upstream);
    let all = ["--collector.account", "--collector.enterprise", "--swr.project-id", DEMO_PROJECT_ID];
    let exporter = exporter(&upstream.url(), &all).await;
    // The second scrape has the counters of the first.
    exporter.scrape().await;
    let scrape = exporter.scrape().await;
    passes_promtool(&scrape.text).await;
}

#[tokio::test]
async fn the_listing_is_read_once_per_window_however_often_it_is_scraped() {
    let upstream = simulator(2345, 20).await;
    let exporter = exporter(&upstream.url(), &["--cache.window", "1s"]).await;
    let start = tokio::time::Instant::now();
    let mut scrapes = 0;
    while start.elapsed() < Duration::from_millis(3500) {
        exporter.scrape().await;
        scrapes += 1;
    }
    let windows = start.elapsed().as_secs() + 1;
    let calls = upstream.handle.count(LISTING);
    assert_eq!(calls % 3, 0, "whole listings");
    assert!(calls > 3 && calls <= 3 * windows, "{calls} calls in {windows} windows and {scrapes} scrapes");
}
