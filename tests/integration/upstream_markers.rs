//! The v3 listing while it moves, lies or breaks: complete in the end, or the old data stays.

use crate::support::simulator;
use crate::upstream_support::{Account, Keys, account_of, shown, standing};
use serde_json::Value;
use std::sync::Arc;
use swr_simulator::{Action, Delivery, Rule, Shape};

/// The path of the listing by markers.
const LISTING: &str = "/v3/manage/repos";

/// Small pages, so that a list has many, and no wait between them.
const FLAGS: [&str; 8] =
    ["--swr.list-api", "v3", "--swr.page-size", "100", "--swr.rate-limit", "10000", "--swr.burst", "10000"];

async fn account(repositories: usize, more: &[&str]) -> Account {
    account_of(simulator(repositories, 5).await, &[&FLAGS[..], more].concat()).await
}

fn listed(account: &Account) -> u64 {
    account.upstream.handle.count(LISTING)
}

/// Changes the JSON object of a page.
fn page(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Action {
    Action::Change(Arc::new(move |answer, _| {
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
        change(&mut body);
        answer.body = body.to_string().into_bytes();
    }))
}

#[tokio::test]
async fn a_list_is_shown_as_it_stands() {
    let account = account(950, &[]).await;
    assert_eq!(shown(&account.good), standing(&account.upstream));
    assert_eq!((listed(&account), account.upstream.handle.count("/v2")), (10, 0));
}

#[tokio::test]
async fn changes_before_the_marker_lose_no_standing_repository() {
    for action in [Action::insert_before(1), Action::remove_before(1)] {
        let account = account(1500, &[]).await;
        account.upstream.handle.fault(Rule::always(action).path(LISTING));
        let scrape = account.next_good().await;
        account.upstream.handle.clear_faults();
        let ever: Keys = shown(&account.good).union(&standing(&account.upstream)).cloned().collect();
        assert!(shown(&scrape).is_subset(&ever));
        let throughout: Keys = shown(&account.good).intersection(&standing(&account.upstream)).cloned().collect();
        assert!(throughout.is_subset(&shown(&scrape)));
    }
}

#[tokio::test]
async fn rows_that_come_twice_are_one_series_and_counted() {
    let account = account(250, &[]).await;
    let again = page(|body| {
        let rows = body["repos"].as_array_mut().unwrap();
        let last = rows[rows.len() - 1].clone();
        rows.push(last);
    });
    account.upstream.handle.fault(Rule::always(again).path(LISTING));
    let scrape = account.next_good().await;
    assert_eq!(shown(&scrape), standing(&account.upstream));
    let duplicates = scrape.value("swr_listing_inconsistencies_total", &[("kind", "duplicate")]);
    assert!(duplicates.unwrap() >= 3.0, "{duplicates:?}");
}

#[tokio::test]
async fn mixed_errors_among_many_pages_cost_no_refresh() {
    let account = account(6000, &[]).await;
    let error = Action::error(500, Shape::Current, "SVCSTG.SWR.5000003", "internal error");
    account.upstream.handle.random_faults(7, 0.04, vec![error, Action::Deliver(Delivery::Reset)]);
    let scrape = account.next_good().await;
    account.upstream.handle.clear_faults();
    assert_eq!(shown(&scrape), standing(&account.upstream));
}

#[tokio::test]
async fn organizations_are_listed_by_markers_one_by_one_too() {
    let upstream = simulator(400, 4).await;
    let names = upstream.handle.with_world(|world| world.namespaces());
    let named = format!("--swr.namespace={}", names.join(","));
    let account = account_of(upstream, &[&FLAGS[..], &[named.as_str()]].concat()).await;
    assert_eq!(shown(&account.good), standing(&account.upstream));
    let denied = Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no permission");
    account.upstream.handle.fault(Rule::always(denied).path(LISTING).query("namespace", &names[1]));
    let scrape = account.exporter.scrape_until("one fails", |scrape| scrape.get("swr_up") == Some(0.0)).await;
    let up = |name: &str| scrape.value("swr_namespace_up", &[("namespace", name)]);
    assert_eq!(names.iter().map(|name| up(name)).collect::<Vec<_>>(), [Some(1.0), Some(0.0), Some(1.0), Some(1.0)]);
    assert_eq!(shown(&scrape), shown(&account.good), "the one that fails keeps its rows");
}
