//! The page as its own subject: how large it says it is, and what a limit on it does. And a scrape before there is one.

use crate::support::{exporter, simulator};
use crate::upstream_support::shown;
use std::time::Duration;
use swr_simulator::{Action, Delivery, Repository, Rule};
use tokio::time::Instant;

#[tokio::test]
async fn the_page_knows_its_own_size() {
    let upstream = simulator(1234, 11).await;
    let exporter = exporter(&upstream.url(), &[]).await;
    let scrape = exporter.scrape().await;
    let lines: Vec<&str> = scrape.text.split_inclusive('\n').collect();
    // The page begins where the live families end: with the first family of the snapshot.
    let start = lines.iter().position(|line| line.starts_with("# TYPE swr_repository_size_bytes")).unwrap();
    let series = lines[start..].iter().filter(|line| !line.starts_with('#')).count();
    let bytes: usize = lines[start..].iter().map(|line| line.len()).sum();
    assert_eq!(scrape.get("swr_exporter_page_series"), Some(series as f64));
    assert_eq!(scrape.get("swr_exporter_page_bytes"), Some(bytes as f64));
}

#[tokio::test]
async fn over_the_limit_the_largest_have_series_and_the_sums_still_count_all() {
    let upstream = simulator(300, 5).await;
    let exporter = exporter(&upstream.url(), &["--repositories.limit", "50", "--cache.window", "200ms"]).await;
    let scrape = exporter.scrape().await;
    let truth = upstream.handle.repositories();
    let mut sizes: Vec<u64> = truth.iter().map(|repository| repository.size).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let first = shown(&scrape);
    assert_eq!(first.len(), 50);
    for (namespace, name) in &first {
        let size = truth.iter().find(|row| (&row.namespace, &row.name) == (namespace, name)).unwrap().size;
        assert!(size >= sizes[49], "{namespace}/{name} has {size} bytes, the fiftieth {}", sizes[49]);
    }
    assert_eq!(scrape.value("swr_repositories_omitted", &[("reason", "limit")]), Some(250.0));
    assert_eq!(scrape.get("swr_repositories"), Some(300.0));
    let sums: f64 =
        scrape.series("swr_namespace_repositories").iter().map(|(_, value)| value.parse::<f64>().unwrap()).sum();
    assert_eq!(sums, 300.0);

    // A little larger than the smallest that has series: nothing changes hands. Clearly larger: it does.
    let place = |size: u64| upstream.handle.insert(Repository { size, ..Repository::new("late", "newcomer") });
    place(sizes[49] + sizes[49] / 20);
    let scrape =
        exporter.scrape_until("the newcomer is counted", |scrape| scrape.get("swr_repositories") == Some(301.0)).await;
    assert_eq!(shown(&scrape), first, "series do not flap");
    upstream.handle.remove("late", "newcomer");
    place(sizes[0] + 1);
    let has = |scrape: &crate::support::Scrape| shown(scrape).contains(&("late".to_owned(), "newcomer".to_owned()));
    let scrape = exporter.scrape_until("the newcomer has series", has).await;
    assert_eq!(shown(&scrape).len(), 50);
}

#[tokio::test]
async fn a_scrape_of_a_cold_cache_ends_by_its_deadline_with_swr_up_0() {
    let upstream = simulator(10, 2).await;
    let hang = upstream.handle.fault(Rule::always(Action::Deliver(Delivery::Hang)));
    let exporter = exporter(&upstream.url(), &[]).await;
    let start = Instant::now();
    let scrape = exporter.scrape_within(Duration::from_millis(1500)).await;
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(scrape.get("swr_up"), Some(0.0));
    assert_eq!(scrape.value("swr_scrapes_total", &[("served", "nothing")]), Some(1.0));
    assert!(scrape.series("swr_repository_size_bytes").is_empty());
    assert_eq!(scrape.get("swr_snapshot_timestamp_seconds"), None, "absent is not zero");
    upstream.handle.clear_fault(hang);
}
