//! The auxiliary collectors as the exporter shows them: they degrade independently and cost the listing nothing.

use crate::accounts::Accounts;
use crate::support::{Exporter, Scrape, eventually, simulator};
use crate::upstream_support::{Account, account_of};
use swr_simulator::{Action, DEMO_PROJECT_ID, Delivery, Operation, Permission, Repository, Rule};

const ON: [&str; 4] = ["--collector.account", "--collector.enterprise", "--swr.project-id", DEMO_PROJECT_ID];

async fn served() -> Account {
    account_of(simulator(80, 4).await, &ON).await
}

fn collectors(scrape: &Scrape) -> [Option<f64>; 3] {
    ["repositories", "account", "enterprise"].map(|name| scrape.value("swr_collector_up", &[("collector", name)]))
}

async fn scrape_until_collectors_are(exporter: &Exporter, up: [f64; 3]) -> Scrape {
    exporter.scrape_until("the collectors stand so", |scrape| collectors(scrape) == up.map(Some)).await
}

#[tokio::test]
async fn figures_are_those_of_the_account() {
    let account = served().await;
    let (scrape, truth) = (&account.good, account.upstream.handle.repositories());
    assert_eq!(collectors(scrape), [Some(1.0); 3]);
    assert_eq!(scrape.get("swr_account_repositories"), Some(80.0));
    assert_eq!(scrape.get("swr_account_namespaces"), Some(4.0));
    let images: usize = truth.iter().map(Repository::num_images).sum();
    assert_eq!(scrape.raw("swr_account_images", &[]), Some(images.to_string().as_str()));
    assert_eq!(scrape.value("swr_quota_limit", &[("quota", "namespace")]), Some(15.0));
    assert!(scrape.get("swr_account_storage").unwrap() > 0.0);
    assert_eq!(scrape.series("swr_namespace_unlisted_repositories").len(), 4);
    assert!(scrape.series("swr_namespace_unlisted_repositories").iter().all(|(_, value)| value == "0"));
    assert_eq!(scrape.series("swr_instance_info").len(), 2);
    let bytes: u64 = truth.iter().map(|row| row.size).sum();
    assert_eq!(scrape.sum("swr_instance_storage_bytes").to_string(), bytes.to_string());
    assert_eq!(scrape.sum("swr_instance_repositories"), 80.0);
    for row in &truth {
        let labels = [("namespace", row.namespace.as_str()), ("repository", row.name.as_str())];
        let downloads = scrape.raw("swr_instance_repository_downloads", &labels);
        assert_eq!(downloads, Some(row.num_download.to_string().as_str()), "{labels:?}");
    }
    for operation in ["list_namespaces", "overview", "quotas", "list_instances", "list_instance_repositories"] {
        let labels = [("operation", operation), ("code", "200")];
        assert!(scrape.value("swr_api_requests_total", &labels).is_some(), "{operation}");
    }
}

#[tokio::test]
async fn a_denied_call_is_absent_and_named_and_costs_nothing_else() {
    let upstream = simulator(80, 4).await;
    upstream.handle.configure(|options| options.denied = vec![Operation::Overview, Operation::InstanceStatistics]);
    let account = account_of(upstream, &ON).await;
    let scrape = scrape_until_collectors_are(&account.exporter, [1.0, 0.0, 0.0]).await;
    assert_eq!((scrape.get("swr_up"), scrape.get("swr_account_repositories")), (Some(1.0), None));
    assert_eq!(scrape.value("swr_quota_used", &[("quota", "namespace")]), Some(4.0));
    assert!(scrape.series("swr_instance_storage_bytes").is_empty());
    assert_eq!(scrape.series("swr_instance_repository_downloads").len(), 80);
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), 80);
    for _ in 0..3 {
        account.exporter.refreshed_again(1.0).await;
    }
    for permission in ["swr::getDomainOverview", "swr:instance:getStatistics"] {
        eventually("the log names it", || account.exporter.log().contains(permission)).await;
        assert_eq!(account.exporter.log().matches(permission).count(), 1, "and once:\n{}", account.exporter.log());
    }
    account.upstream.handle.configure(|options| options.denied.clear());
    let scrape = scrape_until_collectors_are(&account.exporter, [1.0; 3]).await;
    assert_eq!(scrape.get("swr_account_repositories"), Some(80.0));
    let log = "the collector `account` is complete again";
    eventually("the log says so", || account.exporter.log().contains(log)).await;
}

#[tokio::test]
async fn auxiliary_calls_end_when_their_account_is_replaced() {
    let upstream = simulator(30, 2).await;
    upstream.handle.fault(Rule::always(Action::Deliver(Delivery::Hang)).path("/v2/manage/overview"));
    let url = upstream.url();
    let text = |collectors: &str| {
        format!("accounts:\n  one: {{ endpoint: {url}, collectors: [{collectors}], request_timeout: 5m }}\n")
    };
    let accounts = Accounts::new(&text("repositories, account"));
    let exporter = accounts.start().await;
    assert_eq!(exporter.scrape().await.get("swr_repositories"), Some(30.0));
    assert_eq!(upstream.handle.in_flight(), 1);
    accounts.write(&text("repositories"));
    exporter.signal("HUP");
    eventually("the read ends", || upstream.handle.in_flight() == 0).await;
}

#[tokio::test]
async fn a_user_of_single_repositories_sees_how_many_it_does_not_see() {
    let upstream = simulator(80, 4).await;
    let truth = upstream.handle.repositories();
    let seen = truth[11].clone();
    let open = vec![(seen.namespace.clone(), seen.name.clone())];
    upstream.handle.configure(|options| options.permission = Permission::Only(open));
    let account = account_of(upstream, &ON).await;
    assert_eq!(account.good.get("swr_repositories"), Some(1.0));
    let has = truth.iter().filter(|row| row.namespace == seen.namespace).count();
    let unlisted = account.good.raw("swr_namespace_unlisted_repositories", &[("namespace", &seen.namespace)]);
    assert_eq!(unlisted, Some((has - 1).to_string().as_str()));
}
