//! Retention rules: every repository is read once and then again at its time, whatever happens to the other collectors.

use crate::support::{Exporter, Scrape, cache_directory, eventually, exporter, fast_exporter, simulator};
use swr_simulator::{Action, RetentionRule, Rule, Running, Shape};

async fn fast(upstream: &Running, flags: &[&str]) -> Exporter {
    fast_exporter(upstream, &["--collector.retention", "--log.level=info"], flags).await
}

/// The rules that are shown, once they are shown for so many repositories.
async fn shown(exporter: &Exporter, repositories: usize) -> Scrape {
    let all = |scrape: &Scrape| scrape.series("swr_repository_retention_rules").len() == repositories;
    exporter.scrape_until("the rules of every repository are shown", all).await
}

fn calls(upstream: &Running) -> usize {
    crate::support::calls(upstream, "/retentions").len()
}

#[tokio::test]
async fn the_rules_of_each_repository_are_read_once_and_a_restart_reads_none() {
    let upstream = simulator(120, 5).await;
    let (_directory, cache) = cache_directory();
    let mut exporter = fast(&upstream, &[&cache]).await;
    let scrape = shown(&exporter, 120).await;
    assert_eq!(scrape.collector_up("retention"), Some(1.0));
    let mut with_rules = 0;
    for (labels, rules) in scrape.series("swr_repository_retention_rules") {
        let (namespace, repository) = (&labels["namespace"], &labels["repository"]);
        let has_rule = upstream.handle.with_world(|world| world.retention(namespace, repository)).is_some();
        assert_eq!(rules, if has_rule { "1" } else { "0" }, "{namespace}/{repository}");
        with_rules += usize::from(has_rule);
    }
    assert!((1..120).contains(&with_rules), "{with_rules}");
    assert_eq!(scrape.get("swr_tags_pending"), None, "tags are another collector");

    exporter.stop().await;
    let restarted = fast(&upstream, &[&cache]).await;
    let first = restarted.scrape().await;
    assert_eq!(first.series("swr_repository_retention_rules").len(), 120, "from the first scrape on");
    restarted.refreshed(2.0).await;
    assert_eq!(calls(&upstream), 120);
}

#[tokio::test]
async fn a_new_rule_shows_within_the_full_interval() {
    let upstream = simulator(5, 1).await;
    let exporter = fast(&upstream, &["--collector.tags.full-interval=3s"]).await;
    shown(&exporter, 5).await;
    for repository in upstream.handle.repositories() {
        upstream.handle.with_world(|world| {
            world.set_retention(&repository.namespace, &repository.name, Some(RetentionRule::Days(30)))
        });
    }
    let all_have_one = |scrape: &Scrape| {
        let rules = scrape.series("swr_repository_retention_rules");
        rules.len() == 5 && rules.iter().all(|(_, rules)| rules == "1")
    };
    exporter.scrape_until("the new rules are shown", all_have_one).await;
}

#[tokio::test]
async fn a_region_without_the_call_is_asked_for_few_repositories() {
    let upstream = simulator(200, 3).await;
    let gone = Action::error(404, Shape::Gateway, "APIGW.0101", "The API does not exist");
    let only = |request: &swr_simulator::Request| request.path.ends_with("/retentions");
    upstream.handle.fault(Rule::always(gone).when(only));
    // Each refused call belongs to one refresh.
    let flags =
        ["--collector.retention", "--collector.tags.rate-limit=10000", "--cache.window=1h", "--swr.concurrency=2"];
    let exporter = exporter(&upstream.url(), &flags).await;
    exporter
        .scrape_until("the collector has failed", |scrape| {
            scrape.collector_up("retention") == Some(0.0) && scrape.get("swr_up") == Some(1.0)
        })
        .await;
    eventually("the log says so", || exporter.log().contains("not reading retention rules until the next refresh"))
        .await;
    assert!(calls(&upstream) <= 4, "{} calls", calls(&upstream));
}
