//! What could be deleted: the rules of the settings, and that a deletion frees what was promised.

use crate::support::{Scrape, command, simulator, start};
use std::collections::BTreeSet;

fn rules(scrape: &Scrape) -> BTreeSet<String> {
    scrape.series("swr_reclaimable_layer_bytes").iter().map(|(labels, _)| labels["rule"].clone()).collect()
}

#[tokio::test]
async fn rules_are_those_of_the_settings() {
    let upstream = simulator(40, 2).await;
    let with = async |rules: &str, keep: &str| {
        let settings = [
            ("SWR_EXPORTER_COLLECTOR_TAGS", "true"),
            ("SWR_EXPORTER_COLLECTOR_TAGS_RATE_LIMIT", "1000"),
            ("SWR_EXPORTER_CACHE_WINDOW", "50ms"),
            ("SWR_EXPORTER_COLLECTOR_TAGS_RECLAIM", rules),
            ("SWR_EXPORTER_COLLECTOR_TAGS_RECLAIM_KEEP", keep),
        ];
        let mut command = command();
        command.env("SWR_EXPORTER_SWR_ENDPOINT", upstream.url()).envs(settings);
        let exporter = start(command).await;
        exporter.scrape_until("everything is read", |scrape| scrape.get("swr_unique_layer_bytes").is_some()).await
    };
    let scrape = with("beyond_newest_1,older_than_5d", "").await;
    assert_eq!(rules(&scrape), ["beyond_newest_1", "older_than_5d"].map(str::to_owned).into());
    assert!(!scrape.series("swr_repository_reclaimable_tags").is_empty());
    let by_default = with("", "").await;
    assert_eq!(rules(&by_default), ["beyond_newest_10", "older_than_90d"].map(str::to_owned).into());
    let none_picked = with("beyond_newest_1", ".*").await;
    assert_eq!(none_picked.value("swr_reclaimable_layer_bytes", &[("rule", "beyond_newest_1")]), Some(0.0));
    assert!(none_picked.series("swr_repository_reclaimable_tags").is_empty());
    let off = with("none", "").await;
    assert!(rules(&off).is_empty() && off.series("swr_namespace_reclaimable_layer_bytes").is_empty());
}
