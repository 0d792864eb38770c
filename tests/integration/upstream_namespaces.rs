//! Organizations that are listed one by one: a failure of one does not affect the others.

use crate::support::{Scrape, eventually, simulator};
use crate::upstream_support::{Account, LISTING, account_of, failures};
use std::collections::BTreeSet;
use swr_simulator::{Action, Permission, Rule, Running, Shape, UnknownNamespace};

/// Starts an exporter that lists every organization by itself.
async fn by_organization(upstream: Running, flags: &[&str]) -> (Account, Vec<String>) {
    let names = upstream.handle.with_world(|world| world.namespaces());
    let named: Vec<String> = names.iter().map(|name| format!("--swr.namespace={name}")).collect();
    let flags: Vec<&str> = named.iter().map(String::as_str).chain(flags.iter().copied()).collect();
    (account_of(upstream, &flags).await, names)
}

/// The sizes of one organization's repositories, as text.
fn sizes(scrape: &Scrape, namespace: &str) -> BTreeSet<(String, String)> {
    let series = scrape.series("swr_repository_size_bytes").iter();
    series
        .filter(|(labels, _)| labels["namespace"] == namespace)
        .map(|(labels, value)| (labels["repository"].clone(), value.clone()))
        .collect()
}

fn up(scrape: &Scrape, namespace: &str) -> Option<f64> {
    scrape.value("swr_namespace_up", &[("namespace", namespace)])
}

/// Makes every repository of an organization larger by a byte.
fn grow(account: &Account, namespace: &str) {
    for repository in account.upstream.handle.repositories().iter().filter(|row| row.namespace == namespace) {
        account.upstream.handle.update(namespace, &repository.name, |row| row.size += 1);
    }
}

fn denied() -> Action {
    Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no permission to access the resource")
}

#[tokio::test]
async fn only_the_organizations_that_are_named_are_listed() {
    let upstream = simulator(200, 5).await;
    let names = upstream.handle.with_world(|world| world.namespaces());
    let flags = [format!("--swr.namespace={}", names[1]), format!("--swr.namespace={}", names[3])];
    let account = account_of(upstream, &[&flags[0], &flags[1]]).await;
    let truth = account.upstream.handle.repositories();
    for (index, name) in names.iter().enumerate() {
        let listed = index == 1 || index == 3;
        let expected = if listed { truth.iter().filter(|row| row.namespace == *name).count() } else { 0 };
        assert_eq!(sizes(&account.good, name).len(), expected, "{name}");
        assert_eq!(up(&account.good, name), listed.then_some(1.0), "{name}");
    }
    let asked: BTreeSet<_> = account
        .upstream
        .handle
        .requests()
        .iter()
        .map(|request| request.query("namespace").unwrap().to_owned())
        .collect();
    assert_eq!(asked, BTreeSet::from([names[1].clone(), names[3].clone()]));
}

/// When an organization was last read.
fn read_at(scrape: &Scrape, namespace: &str) -> Option<f64> {
    scrape.value("swr_namespace_snapshot_timestamp_seconds", &[("namespace", namespace)])
}

/// Makes one organization fail, and checks that it keeps its rows while the others advance.
async fn only_itself_stands_still(account: &Account, names: &[String], failed: &str, rule: Rule, reason: &str) {
    let well = names.iter().find(|name| *name != failed).unwrap();
    account.upstream.handle.fault(rule.query("namespace", failed));
    grow(account, failed);
    grow(account, well);
    let scrape = account.exporter.scrape_until("it fails", |scrape| failures(scrape, reason) > 0.0).await;
    assert_eq!(scrape.get("swr_up"), Some(0.0));
    assert_eq!(sizes(&scrape, failed), sizes(&account.good, failed), "as before");
    assert_eq!(read_at(&scrape, failed), read_at(&account.good, failed));
    assert!(sizes(&scrape, well).is_disjoint(&sizes(&account.good, well)), "all larger");
    assert!(read_at(&scrape, well) > read_at(&account.good, well));
    assert!(names.iter().all(|name| up(&scrape, name) == Some(f64::from(u8::from(name != failed)))));
    eventually("the log names it", || account.exporter.log().contains(&format!("`{failed}`"))).await;
}

#[tokio::test]
async fn one_organization_that_is_denied_keeps_its_rows_until_they_are_too_old_and_the_others_advance() {
    let (mut account, names) = by_organization(simulator(300, 12).await, &["--cache.max-age", "2s"]).await;
    let (failed, well) = (names[4].as_str(), names[7].as_str());
    only_itself_stands_still(&account, &names, failed, Rule::always(denied()).path(LISTING), "permission").await;
    let withdrawn =
        account.exporter.scrape_until("its rows are withdrawn", |scrape| sizes(scrape, failed).is_empty()).await;
    assert_eq!((up(&withdrawn, failed), read_at(&withdrawn, failed)), (Some(0.0), None));
    assert_eq!(withdrawn.value("swr_namespace_repositories", &[("namespace", failed)]), None);
    assert_eq!(sizes(&withdrawn, well).len(), sizes(&account.good, well).len());
    account.recovers().await;
    assert_eq!(up(&account.good, failed), Some(1.0));
}

#[tokio::test]
async fn one_organization_that_answers_500_costs_only_itself() {
    for (api, listing) in [("v2", LISTING), ("v3", "/v3/manage/repos")] {
        let flags = ["--swr.burst", "1000", "--swr.list-api", api];
        let (mut account, names) = by_organization(simulator(600, 100).await, &flags).await;
        let action = Action::error(500, Shape::Current, "SVCSTG.SWR.5000003", "internal error");
        only_itself_stands_still(&account, &names, &names[42], Rule::always(action).path(listing), "server").await;
        account.recovers().await;
    }
}

#[tokio::test]
async fn organizations_that_all_fail_leave_the_old_data_as_it_was() {
    let (mut account, _) = by_organization(simulator(200, 6).await, &[]).await;
    account.upstream.handle.configure(|options| options.permission = Permission::None);
    account.fails("permission").await;
    account.upstream.handle.configure(|options| options.permission = Permission::All);
    account.recovers().await;
}

#[tokio::test]
async fn an_organization_that_does_not_exist_costs_only_itself() {
    let upstream = simulator(100, 3).await;
    upstream.handle.configure(|options| options.unknown_namespace = UnknownNamespace::NotFound);
    let names = upstream.handle.with_world(|world| world.namespaces());
    let flags = [format!("--swr.namespace={},nowhere", names[0]), "--cache.window=100ms".to_owned()];
    let exporter = crate::support::exporter(&upstream.url(), &[&flags[0], &flags[1]]).await;
    let scrape = exporter.scrape().await;
    assert_eq!(
        (scrape.get("swr_up"), up(&scrape, "nowhere"), up(&scrape, &names[0])),
        (Some(0.0), Some(0.0), Some(1.0))
    );
    assert!(!sizes(&scrape, &names[0]).is_empty());
    assert_eq!(failures(&scrape, "permission"), 1.0, "it does not exist, or may not be seen");
}

#[tokio::test]
async fn an_organization_without_repositories_is_up() {
    let upstream = simulator(50, 3).await;
    upstream.handle.with_world(|world| world.insert_namespace("empty"));
    let (account, names) = by_organization(upstream, &[]).await;
    assert!(names.iter().all(|name| up(&account.good, name) == Some(1.0)));
}
