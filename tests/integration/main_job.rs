//! The main job: what the listing says is what the scrape shows, at the cost of one listing a window.

use crate::support::{exporter, simulator};

#[tokio::test]
async fn every_repository_has_its_six_series_with_the_upstreams_numbers() {
    let upstream = simulator(2345, 20).await;
    let exporter = exporter(&upstream.url(), &[]).await;
    let scrape = exporter.scrape().await;
    let truth = upstream.handle.repositories();
    assert_eq!(truth.len(), 2345);
    let families = [
        "swr_repository_size_bytes",
        "swr_repository_images",
        "swr_repository_downloads",
        "swr_repository_created_timestamp_seconds",
        "swr_repository_updated_timestamp_seconds",
        "swr_repository_info",
    ];
    for family in families {
        assert_eq!(scrape.series(family).len(), truth.len(), "{family}");
    }
    for repository in truth.iter().step_by(50) {
        let labels = [("namespace", repository.namespace.as_str()), ("repository", repository.name.as_str())];
        let raw = |family: &str| scrape.raw(family, &labels).unwrap().to_owned();
        assert_eq!(raw("swr_repository_size_bytes"), repository.size.to_string());
        assert_eq!(raw("swr_repository_images"), repository.tags.len().to_string());
        assert_eq!(raw("swr_repository_downloads"), repository.num_download.to_string());
    }
    for _ in 0..20 {
        exporter.scrape().await;
    }
    assert_eq!(upstream.handle.count("/v2/manage/repos"), 3, "three pages, once");
}
