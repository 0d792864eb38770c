//! Listings that move, lie or repeat themselves while they are read: complete in the end, or the old data stays.

use crate::support::{Scrape, eventually, passes_promtool, simulator};
use crate::upstream_support::{LISTING, account, account_of, shown, standing};
use futures_util::future::join_all;
use swr_simulator::{Action, Offsets, Options, Rows, Rule, Simulator, Ties, Total};

/// Small pages, so that a list has many, and no wait between them.
const SMALL_PAGES: [&str; 6] = ["--swr.page-size", "100", "--swr.rate-limit", "10000", "--swr.burst", "10000"];

fn inconsistencies(scrape: &Scrape, kind: &str) -> f64 {
    scrape.value("swr_listing_inconsistencies_total", &[("kind", kind)]).unwrap()
}

#[tokio::test]
async fn insertions_and_deletions_before_the_cursor_lose_no_standing_repository() {
    for action in [Action::insert_before(1), Action::remove_before(1)] {
        let account = account(3000, &SMALL_PAGES).await;
        account.listing(action);
        let scrape = account.next_good().await;
        assert!(account.listed() > 60, "two listings of thirty pages and more");
        let throughout = &standing(&account.upstream) & &shown(&account.good);
        assert!(shown(&scrape).is_superset(&throughout));
        assert!(inconsistencies(&scrape, "total_changed") > 0.0 && inconsistencies(&scrape, "border") > 0.0);
    }
}

#[tokio::test]
async fn equal_names_in_an_order_that_changes_lose_nothing() {
    let options = Options { repositories: 1000, namespaces: 40, ..Options::default() };
    let upstream = Simulator::start(options).await.unwrap();
    let account = account_of(upstream, &SMALL_PAGES).await;
    account.upstream.handle.configure(|options| options.ties = Ties::Alternating);
    assert_eq!(shown(&account.next_good().await), standing(&account.upstream));
}

#[tokio::test]
async fn a_total_that_is_no_help_does_not_hide_the_end_of_the_list() {
    let lies = [Total::Absent, Total::Text("many".into()), Total::Is(-5), Total::Is(0), Total::Off(-100)];
    join_all(lies.map(|lie| async move {
        let account = account(250, &SMALL_PAGES).await;
        let before = account.listed();
        account.listing(Action::Total(lie.clone()));
        let scrape = account.next_good().await;
        assert_eq!(shown(&scrape), standing(&account.upstream), "{lie:?}");
        assert!(account.listed() - before <= 3 + 2, "{lie:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_total_that_promises_too_much_is_not_chased_and_the_old_data_stays() {
    join_all([1_u64, 500].map(|more| async move {
        let mut account = account(250, &SMALL_PAGES).await;
        let before = account.listed();
        account.listing(Action::Total(Total::Off(more.cast_signed())));
        account.fails("incomplete").await;
        let walk = (250 + more).div_ceil(100) + 2;
        assert!(account.listed() - before <= 3 * walk, "{} requests for {more} more", account.listed() - before);
        account.recovers().await;
    }))
    .await;
}

#[tokio::test]
async fn a_server_that_ignores_the_offset_costs_two_requests() {
    let mut account = account(1000, &SMALL_PAGES).await;
    let before = account.listed();
    account.listing(Action::Query("offset".into(), "0".into()));
    account.fails("incomplete").await;
    assert_eq!(account.listed() - before, 2);
    account.recovers().await;
}

#[tokio::test]
async fn rows_that_come_twice_are_one_series_and_counted() {
    let account = account(250, &SMALL_PAGES).await;
    let before = account.listed();
    account.listing(Action::duplicate_rows(3));
    let scrape = account.next_good().await;
    assert_eq!(shown(&scrape), standing(&account.upstream));
    let pages = account.listed() - before;
    assert!(pages <= 4, "no page is read twice for it: {pages}");
    assert_eq!(inconsistencies(&scrape, "duplicate"), 3.0 * pages as f64, "three on each page");
    passes_promtool(&scrape.text).await;
}

#[tokio::test]
async fn rows_that_come_twice_in_a_list_by_markers_are_one_series_and_counted() {
    let account = account(250, &[&SMALL_PAGES[..], &["--swr.list-api", "v3"]].concat()).await;
    let again = Action::Change(std::sync::Arc::new(|answer, _| {
        let mut body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let rows = body["repos"].as_array_mut().unwrap();
        rows.extend(rows.last().cloned());
        answer.body = body.to_string().into_bytes();
    }));
    account.upstream.handle.fault(Rule::always(again).path("/v3/manage/repos"));
    let scrape = account.next_good().await;
    assert_eq!(shown(&scrape), standing(&account.upstream));
    assert!(inconsistencies(&scrape, "duplicate") >= 3.0);
}

#[tokio::test]
async fn rows_that_stand_in_the_list_twice_are_one_series_and_counted() {
    let account = account(30, &[]).await;
    let twice = Action::Rows(std::sync::Arc::new(|rows| rows.insert(5, rows[5].clone())));
    account.listing(twice);
    // The total includes them; in the test before it does not.
    account.listing(Action::Total(Total::Off(1)));
    let scrape = account.next_good().await;
    assert_eq!(shown(&scrape), standing(&account.upstream));
    assert!(inconsistencies(&scrape, "duplicate") > 0.0);
    passes_promtool(&scrape.text).await;
}

#[tokio::test]
async fn odd_numbers_are_left_out_and_counted_and_never_zero() {
    let upstream = simulator(30, 3).await;
    let odd = ["-1", "1e400", "\"many\"", "1.5", "true", "[]", "18446744073709551616"];
    for (place, value) in odd.iter().enumerate() {
        let field = Action::Field(Rows::At(place), "size".into(), Some((*value).into()));
        upstream.handle.fault(Rule::always(field).path(LISTING));
    }
    let exact = Action::Field(Rows::At(odd.len()), "size".into(), Some("9007199254740993".into()));
    let null = Action::Field(Rows::At(odd.len() + 1), "size".into(), Some("null".into()));
    upstream.handle.fault(Rule::always(exact).path(LISTING));
    upstream.handle.fault(Rule::always(null).path(LISTING));
    let account = account_of(upstream, &[]).await;
    let scrape = &account.good;
    let truth = account.upstream.handle.repositories();
    let size = |place: usize| {
        let (namespace, name) = (truth[place].namespace.as_str(), truth[place].name.as_str());
        scrape.raw("swr_repository_size_bytes", &[("namespace", namespace), ("repository", name)])
    };
    for (place, value) in odd.iter().enumerate() {
        assert_eq!(size(place), None, "{value}");
    }
    assert_eq!((size(odd.len()), size(odd.len() + 1)), (Some("9007199254740993"), None));
    assert_eq!(scrape.series("swr_repository_images").len(), 30, "the rest of the row stands");
    assert_eq!(scrape.value("swr_samples_dropped_total", &[("reason", "number")]), Some(7.0));
}

#[tokio::test]
async fn a_hundred_thousand_repositories_are_all_there() {
    let upstream = simulator(100_000, 100).await;
    let account = account_of(upstream, &["--swr.rate-limit", "10000", "--swr.burst", "10000"]).await;
    assert_eq!(account.good.series("swr_repository_size_bytes").len(), 100_000);
    assert_eq!(account.good.get("swr_repositories"), Some(100_000.0));
    assert!(account.listed() <= 106, "{}", account.listed());
}

#[tokio::test]
async fn a_total_above_the_bound_is_refused_before_it_is_read() {
    let account = account(1000, &SMALL_PAGES).await;
    let before = account.listed();
    account.listing(Action::Total(Total::Is(5_000_001)));
    account.fails("incomplete").await;
    assert!(account.listed() - before <= 2);
    eventually("the log says so", || account.exporter.log().contains("more than 5000000 repositories")).await;
}

#[tokio::test]
async fn offsets_are_multiples_of_the_limit_where_nothing_else_is_taken() {
    let options = Options { repositories: 2345, offsets: Offsets::MultiplesOfLimit, ..Options::default() };
    let account = account_of(Simulator::start(options).await.unwrap(), &[]).await;
    assert_eq!(shown(&account.good), standing(&account.upstream));
    assert_eq!(account.upstream.handle.statuses().into_iter().collect::<Vec<_>>(), [(200, 3)]);
}
