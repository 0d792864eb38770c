//! Tags and details: the metrics match the registry, and only changes cost calls.

use crate::accounts::Accounts;
use crate::support::{
    Exporter, PATIENCE, Scrape, cache_directory, eventually, exporter, fast_exporter, simulator, until,
};
use crate::tags_truth::{check, truth, truth_after};
use std::collections::BTreeSet;
use std::time::Duration;
use swr_simulator::{Action, Operation, Options, Repository, Rule, Running, Simulator};
use tokio::time::Instant;

/// The path of tags and details.
const ONE: &str = "/v2/manage/namespaces/";

/// Nearly every scrape is a refresh, and tags are read without a wait.
pub async fn fast(upstream: &Running, flags: &[&str]) -> Exporter {
    fast_exporter(upstream, &["--collector.tags"], flags).await
}

/// Scrapes until a refresh that begins from now on has left nothing pending.
pub async fn settled(exporter: &Exporter) -> Scrape {
    let before = exporter.scrape().await.get("swr_refreshes_total").unwrap();
    // One refresh may have begun before; the second one began since.
    exporter
        .scrape_until("everything is read", |scrape| {
            scrape.get("swr_refreshes_total").unwrap() >= before + 2.0 && scrape.get("swr_tags_pending") == Some(0.0)
        })
        .await;
    exporter.refreshed_again(2.0).await
}

fn tag_calls(upstream: &Running) -> usize {
    crate::support::calls(upstream, "/tags").len()
}

#[tokio::test]
async fn the_metrics_match_the_registry() {
    let upstream = simulator(300, 6).await;
    let exporter = fast(&upstream, &["--collector.details"]).await;
    let scrape = settled(&exporter).await;
    check(&scrape, &truth(&upstream).await);
    assert_eq!(
        (scrape.collector_up("tags"), scrape.collector_up("details"), scrape.get("swr_up")),
        (Some(1.0), Some(1.0), Some(1.0))
    );
    assert!(!scrape.series("swr_repository_unlayered_tags").is_empty(), "the world has manifests of every kind");
    assert!(scrape.series("swr_tag_info").is_empty());
    let unique: f64 =
        scrape.series("swr_repository_unique_layer_bytes").iter().map(|(_, bytes)| bytes.parse::<f64>().unwrap()).sum();
    assert!(scrape.get("swr_unique_layer_bytes").unwrap() < unique, "base layers are shared");
    // The details of each repository, by their ids.
    assert_eq!(scrape.series("swr_repository_priority").len(), 300);
    let ids: BTreeSet<&String> =
        scrape.series("swr_repository_details_info").iter().map(|(labels, _)| &labels["id"]).collect();
    assert_eq!(ids.len(), 300);
    let calls = exporter.scrape().await;
    let shows = calls.value("swr_api_requests_total", &[("operation", "show_repository"), ("code", "200")]);
    assert_eq!(shows, Some(300.0), "once for each repository");
}

#[tokio::test]
async fn pushes_moves_and_deletions_are_followed() {
    let upstream = simulator(60, 4).await;
    let exporter = fast(&upstream, &[]).await;
    settled(&exporter).await;
    let mut known = truth(&upstream).await;
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..6 {
        upstream.handle.advance(Duration::from_secs(3_600));
        let all = upstream.handle.repositories();
        for step in 0..12 {
            let Repository { namespace, name, tags, .. } = &all[random.usize(..all.len())];
            let one =
                |random: &mut fastrand::Rng| tags.get(random.usize(..tags.len().max(1))).cloned().unwrap_or_default();
            let (tag, other) = (one(&mut random), one(&mut random));
            upstream.handle.with_world(|world| match random.u8(..8) {
                0 => world.remove(namespace, name),
                1 => {
                    world.insert(Repository::new(namespace.clone(), format!("new-{round}-{step}")));
                    world.push(namespace, &format!("new-{round}-{step}"), "v1")
                }
                2 | 3 => world.untag(namespace, name, &tag),
                4 => world.retag(namespace, name, &tag, &other),
                _ => world.push(namespace, name, &format!("tag-{}", random.u8(..5))),
            });
        }
        let scrape = settled(&exporter).await;
        known = truth_after(&upstream, &known).await;
        check(&scrape, &known);
    }
}

#[tokio::test]
async fn seven_changes_are_seven_calls_and_a_restart_is_none() {
    let options = Options { repositories: 1_000, namespaces: 20, events_per_day: 0.0, ..Options::default() };
    let upstream = Simulator::start(options).await.unwrap();
    let (_directory, cache) = cache_directory();
    let mut exporter = fast(&upstream, &[&cache]).await;
    settled(&exporter).await;
    let total =
        |scrape: &Scrape| scrape.value("swr_api_requests_total", &[("operation", "list_tags"), ("code", "200")]);
    upstream.handle.clear_journal();
    settled(&exporter).await;
    assert_eq!(tag_calls(&upstream), 0, "nothing has changed");

    upstream.handle.advance(Duration::from_secs(60));
    let all = upstream.handle.repositories();
    for repository in all.iter().step_by(150) {
        upstream.handle.push(&repository.namespace, &repository.name, "changed");
    }
    let scrape = settled(&exporter).await;
    assert_eq!(tag_calls(&upstream), 7);
    let changed =
        scrape.value("swr_repository_tags_read", &[("namespace", &all[0].namespace), ("repository", &all[0].name)]);
    assert_eq!(changed, Some(all[0].tags.len() as f64 + 1.0));
    let before = total(&scrape);

    exporter.stop().await;
    upstream.handle.clear_journal();
    let restarted = fast(&upstream, &[&cache]).await;
    assert!(restarted.log().contains("loaded the saved tags of 1000 repositories"), "{}", restarted.log());
    let first = restarted.scrape().await;
    assert_eq!(first.series("swr_repository_exclusive_layer_bytes").len(), 1_000, "from the first scrape on");
    let again = settled(&restarted).await;
    assert_eq!(tag_calls(&upstream), 0, "before the restart there were {before:?}");
    check(&again, &truth(&upstream).await);
}

#[tokio::test]
async fn a_killed_process_loses_little() {
    let upstream = simulator(50, 3).await;
    let (directory, cache) = cache_directory();
    let mut exporter = fast(&upstream, &[&cache]).await;
    settled(&exporter).await;
    let file = directory.path().join("default.tags");
    eventually("what is known is kept once the work is done", || file.exists()).await;
    exporter.kill().await;
    upstream.handle.clear_journal();
    let restarted = fast(&upstream, &[&cache]).await;
    let scrape = settled(&restarted).await;
    assert_eq!(tag_calls(&upstream), 0);
    check(&scrape, &truth(&upstream).await);
}

#[tokio::test]
async fn changed_settings_cost_nothing_that_was_read() {
    let upstream = simulator(100, 3).await;
    let settings = |more: &str| {
        format!(
            "accounts:\n  default:\n    endpoint: {}\n    collectors: [repositories, tags]\n    cache_window: 50ms\n    \
             rate_limit: 10000\n    tags_rate_limit: 10000\n{more}",
            upstream.url()
        )
    };
    let accounts = Accounts::new(&settings(""));
    let exporter = accounts.start().await;
    let before = settled(&exporter).await;
    assert_eq!(tag_calls(&upstream), 100);
    accounts.write(&settings("    cache_max_age: 2h\n"));
    exporter.signal("HUP");
    eventually("the settings are read again", || exporter.log().contains("1 changed")).await;
    let after = settled(&exporter).await;
    assert_eq!(tag_calls(&upstream), 100, "the new account goes on with what the old one knew");
    let bytes = "swr_repository_exclusive_layer_bytes";
    assert_eq!(after.series(bytes), before.series(bytes));
}

#[tokio::test]
async fn an_account_that_is_taken_out_is_no_longer_read() {
    let (stays, goes) = (simulator(60, 1).await, simulator(300, 2).await);
    let account = |name: &str, upstream: &Running| {
        format!("  {name}: {{ endpoint: \"{}\", collectors: [tags], cache_window: 50ms }}\n", upstream.url())
    };
    let accounts = Accounts::new(&format!("accounts:\n{}{}", account("stays", &stays), account("goes", &goes)));
    let exporter = accounts.start().await;
    for name in ["stays", "goes"] {
        assert_eq!(exporter.get(&format!("/probe?account={name}")).await.status(), 200);
    }
    // Ten at once, then five a second: this takes a minute.
    eventually("the reading has begun", || tag_calls(&goes) > 10).await;
    accounts.write(&format!("accounts:\n{}", account("stays", &stays)));
    exporter.signal("HUP");
    eventually("the account is gone", || exporter.log().contains("1 removed")).await;
    eventually("its last call has ended", || goes.handle.in_flight() == 0).await;
    let then = tag_calls(&goes);
    // As long as several calls would take.
    let first = tag_calls(&stays);
    stays.handle.advance(Duration::from_secs(24 * 3_600));
    until(PATIENCE, async || {
        exporter.probe("stays").await;
        let read = tag_calls(&stays) - first;
        if read > 10 { Ok(()) } else { Err(format!("{read} calls")) }
    })
    .await;
    assert_eq!(tag_calls(&goes), then);
}

#[tokio::test]
async fn a_first_round_goes_on_between_refreshes_at_its_own_rate() {
    let upstream = simulator(150, 3).await;
    // With the default window, one refresh starts all of the work.
    let flags = ["--collector.tags", "--collector.tags.rate-limit=50"];
    let exporter = exporter(&upstream.url(), &flags).await;
    let first = exporter.scrape().await;
    assert!(first.get("swr_tags_pending").unwrap() > 0.0, "the first refresh does not wait for everything");
    assert!(first.series("swr_repository_exclusive_layer_bytes").is_empty(), "others may share what was read");
    assert_eq!(first.series("swr_repository_size_bytes").len(), 150, "the listing is there at once");
    let mut slowest = Duration::ZERO;
    let last = until(PATIENCE, async || {
        let start = Instant::now();
        let scrape = exporter.scrape().await;
        slowest = slowest.max(start.elapsed());
        if scrape.get("swr_tags_pending") == Some(0.0) { Ok(scrape) } else { Err(scrape.without_repositories()) }
    })
    .await;
    assert_eq!(last.get("swr_refreshes_total"), Some(1.0));
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let calls = crate::support::calls(&upstream, "/tags");
    assert_eq!(calls.len(), 150);
    // A burst of a hundred, then fifty a second.
    assert!(calls[149] - calls[0] > Duration::from_millis(900), "{:?}", calls[149] - calls[0]);
}

#[tokio::test]
async fn a_denied_call_for_tags_costs_nothing_else() {
    let upstream = simulator(40, 2).await;
    upstream.handle.configure(|options| options.denied = vec![Operation::ListTags]);
    let exporter = fast(&upstream, &["--collector.details"]).await;
    let denied =
        |scrape: &Scrape| scrape.value("swr_api_requests_total", &[("operation", "list_tags"), ("code", "403")]);
    let scrape = exporter.scrape_until("tags are refused", |scrape| denied(scrape).is_some()).await;
    assert_eq!(
        (scrape.get("swr_up"), scrape.collector_up("repositories"), scrape.collector_up("tags")),
        (Some(1.0), Some(1.0), Some(0.0))
    );
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), 40);
    let later = exporter.refreshed_again(5.0).await;
    let each = denied(&later).unwrap() / later.get("swr_refreshes_total").unwrap();
    assert!(each <= 6.0, "{each} refusals a refresh");
    assert_eq!(later.get("swr_tags_pending"), Some(40.0));
    assert_eq!((later.collector_up("details"), later.series("swr_repository_details_info").len()), (Some(1.0), 40));
    assert_eq!(exporter.log().matches("until the next refresh").count(), 1, "{}", exporter.log());

    upstream.handle.configure(|options| options.denied.clear());
    // The repositories that were refused wait for half a minute; the others do not.
    exporter
        .scrape_until("the permission is used", |scrape| scrape.series("swr_repository_tags_read").len() > 10)
        .await;
}

#[tokio::test]
async fn one_repository_that_fails_delays_itself_alone() {
    let upstream = Simulator::start(Options { repositories: 30, namespaces: 2, ..Options::default() }).await.unwrap();
    let broken = upstream.handle.repositories()[7].clone();
    let path = format!("{ONE}{}/repos/{}/", broken.namespace, broken.name.replace('/', "%24"));
    let rule = upstream
        .handle
        .fault(Rule::always(Action::Error(swr_simulator::ApiError::swr(400, 4_001_029, "odd"))).path(&path));
    let exporter = fast(&upstream, &[]).await;
    let scrape = exporter
        .scrape_until("all others are read", |scrape| {
            scrape.get("swr_tags_pending") == Some(1.0) && scrape.series("swr_repository_tags_read").len() == 29
        })
        .await;
    assert_eq!(
        (scrape.collector_up("tags"), scrape.collector_up("repositories"), scrape.get("swr_up")),
        (Some(0.0), Some(1.0), Some(1.0))
    );
    let hits = upstream.handle.fault_hits(rule);
    exporter.refreshed_again(6.0).await;
    assert_eq!(upstream.handle.fault_hits(rule), hits, "it is left alone for a while");
}

#[tokio::test]
async fn a_repository_that_vanishes_before_it_is_read_is_no_failure() {
    let upstream = simulator(40, 2).await;
    let gone = upstream.handle.repositories()[3].clone();
    // Deleted at the moment when its tags are requested.
    let path = format!("{ONE}{}/repos/{}/", gone.namespace, gone.name.replace('/', "%24"));
    let (namespace, name) = (gone.namespace.clone(), gone.name.clone());
    let delete = Action::Before(std::sync::Arc::new(move |world, _| {
        world.remove(&namespace, &name);
    }));
    upstream.handle.fault(Rule::once(delete).path(&path));
    let exporter = fast(&upstream, &[]).await;
    let scrape = settled(&exporter).await;
    assert_eq!((scrape.collector_up("tags"), scrape.series("swr_repository_tags_read").len()), (Some(1.0), 39));
    assert!(!exporter.log().contains("WARN"), "{}", exporter.log());
    check(&scrape, &truth(&upstream).await);
}

#[tokio::test]
async fn tags_have_series_where_the_expression_matches() {
    let upstream = Simulator::start(Options { repositories: 0, namespaces: 0, ..Options::default() }).await.unwrap();
    for name in ["team/app", "team/app2", "other"] {
        upstream.handle.insert(Repository::new("org", name));
        for tag in ["v1", "v2"] {
            upstream.handle.push("org", name, tag);
        }
    }
    let exporter = fast(&upstream, &["--collector.tags.detail=org/(team/app|nothing)"]).await;
    let scrape = settled(&exporter).await;
    let truth = truth(&upstream).await;
    let of = &truth[&("org".to_owned(), "team/app".to_owned())];
    for family in
        ["swr_tag_size_bytes", "swr_tag_created_timestamp_seconds", "swr_tag_updated_timestamp_seconds", "swr_tag_info"]
    {
        let tags: BTreeSet<&str> = scrape.series(family).iter().map(|(labels, _)| labels["tag"].as_str()).collect();
        assert_eq!(tags, BTreeSet::from(["v1", "v2"]), "{family}");
        assert!(scrape.series(family).iter().all(|(labels, _)| labels["repository"] == "team/app"));
    }
    for (labels, _) in scrape.series("swr_tag_info") {
        assert_eq!(labels["digest"], of.digests[&labels["tag"]]);
        assert_eq!(
            (labels["type"].as_str(), labels["schema"].as_str(), labels["trusted"].as_str()),
            ("image", "2", "false")
        );
    }
}

#[tokio::test]
async fn long_lists_of_tags_are_read_in_pages() {
    let upstream = Simulator::start(Options { repositories: 0, namespaces: 0, max_limit: 100, ..Options::default() })
        .await
        .unwrap();
    for over_limit in [swr_simulator::OverLimit::Clamp, swr_simulator::OverLimit::Refuse] {
        upstream.handle.configure(|options| {
            options.over_limit = over_limit;
            options.offsets = swr_simulator::Offsets::MultiplesOfLimit;
        });
        let mut repository = Repository::new("org", format!("{over_limit:?}").to_lowercase());
        repository.tags = (0..350).map(|number| format!("v{number}")).collect();
        upstream.handle.insert(repository);
    }
    // The pages of the listing need an accepted size too.
    let exporter = fast(&upstream, &["--swr.page-size=100"]).await;
    let scrape = settled(&exporter).await;
    check(&scrape, &truth(&upstream).await);
    assert_eq!(scrape.sum("swr_repository_tags_read"), 700.0);
}
