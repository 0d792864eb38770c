//! The exposition: the size that it reports, and the limit on its repositories.

use crate::support::{exporter, simulator};
use crate::upstream_support::shown;
use swr_simulator::Repository;

#[tokio::test]
async fn the_exposition_reports_its_own_size() {
    let upstream = simulator(1234, 11).await;
    let exporter = exporter(&upstream.url(), &[]).await;
    let scrape = exporter.scrape().await;
    let lines: Vec<&str> = scrape.text.split_inclusive('\n').collect();
    // The exposition of the snapshot follows the live families.
    let start = lines.iter().position(|line| line.starts_with("# TYPE swr_repository_size_bytes")).unwrap();
    let series = lines[start..].iter().filter(|line| !line.starts_with('#')).count();
    let bytes: usize = lines[start..].iter().map(|line| line.len()).sum();
    assert_eq!(scrape.get("swr_exporter_page_series"), Some(series as f64));
    assert_eq!(scrape.get("swr_exporter_page_bytes"), Some(bytes as f64));
}

#[tokio::test]
async fn over_the_limit_the_largest_have_series_and_sums_count_all() {
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
    assert_eq!(scrape.sum("swr_namespace_repositories"), 300.0);

    // A newcomer a little larger than the smallest with series gets none; a clearly larger one does.
    let insert = |size: u64| upstream.handle.insert(Repository { size, ..Repository::new("late", "newcomer") });
    insert(sizes[49] + sizes[49] / 20);
    let scrape =
        exporter.scrape_until("the newcomer is counted", |scrape| scrape.get("swr_repositories") == Some(301.0)).await;
    assert_eq!(shown(&scrape), first, "series do not flap");
    upstream.handle.remove("late", "newcomer");
    insert(sizes[0] + 1);
    let has = |scrape: &crate::support::Scrape| shown(scrape).contains(&("late".to_owned(), "newcomer".to_owned()));
    let scrape = exporter.scrape_until("the newcomer has series", has).await;
    assert_eq!(shown(&scrape).len(), 50);
}

#[tokio::test]
async fn plain_text_is_held_once_however_often_it_is_scraped() {
    let upstream = simulator(20_000, 50).await;
    let exporter = exporter(&upstream.url(), &[]).await;
    // The refresh and a compressed scrape.
    let request = crate::support::client().get(format!("http://{}/metrics", exporter.address()));
    let mut answer = request.header("accept-encoding", "gzip").send().await.unwrap();
    while answer.chunk().await.unwrap().is_some() {}
    let before = exporter.peak_bytes();
    let plain = exporter.scrape().await.text.len() as u64;
    assert!(plain > 10 << 20, "{plain}");
    for _ in 0..3 {
        assert_eq!(exporter.scrape().await.get("swr_repositories"), Some(20_000.0));
    }
    let grown = exporter.peak_bytes().saturating_sub(before);
    assert!(grown < plain * 4 / 3, "{grown} more bytes at the peak for a plain text of {plain}");
}
