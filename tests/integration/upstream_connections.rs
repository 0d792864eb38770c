//! Connections that lead elsewhere, nowhere, or do not last.

use crate::support::{Scrape, eventually, exporter, simulator};
use crate::upstream_support::{Account, account, failures};
use futures_util::future::join_all;
use std::time::Duration;
use swr_simulator::{Action, Delivery};

#[tokio::test]
async fn a_redirect_is_never_followed_and_no_credential_goes_along() {
    let other = simulator(10, 1).await;
    let elsewhere = [
        (301, format!("{}/v2/manage/repos", other.url())),
        (302, format!("{}/v2/manage/repos?offset=0&limit=1000", other.url())),
        (303, other.url()),
        (307, format!("{}/v2/manage/repos", other.url().replace("127.0.0.1", "localhost"))),
        (308, format!("//{}/", other.addr())),
        (302, "http://169.254.169.254/openstack/latest/securitykey".to_owned()),
        (302, "file:///etc/passwd".to_owned()),
    ];
    join_all(elsewhere.map(|(status, location)| async move {
        let mut account = account(20, &[]).await;
        let before = account.listed();
        account.listing(Action::redirect(status, &location));
        account.fails("internal").await;
        assert_eq!(account.listed() - before, 1, "a redirect is not tried again");
        eventually("the log says so", || account.exporter.log().contains("redirects, which is not followed")).await;
        account.recovers().await;
    }))
    .await;
    assert_eq!((other.handle.connections(), other.handle.total()), (0, 0), "{:?}", other.handle.requests());
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_network_failure_within_ten_seconds_and_piles_up_no_threads() {
    let exporter = exporter("https://nowhere.invalid", &["--cache.window", "200ms"]).await;
    for _ in 0..3 {
        exporter.scrape_within(Duration::from_millis(600)).await;
    }
    let scrape = exporter.scrape_until("a failure", |scrape| failures(scrape, "network") >= 1.0).await;
    let each = |part: &str| {
        let name = format!("swr_api_request_duration_seconds_{part}");
        scrape.value(&name, &[("operation", "list_repositories")]).unwrap()
    };
    let (sum, count) = (each("sum"), each("count"));
    assert!(count >= 1.0 && sum / count <= 10.5, "{count} requests took {sum} s");
    assert_eq!((scrape.get("swr_up"), scrape.get("swr_snapshot_timestamp_seconds")), (Some(0.0), None));
    let threads = std::fs::read_dir(format!("/proc/{}/task", exporter.pid())).unwrap().count();
    assert!(threads <= 2 + 8 + 3, "{threads} threads");
    eventually("the log says so", || exporter.log().contains("reason=network")).await;
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_network_failure_and_the_old_data_stays() {
    let mut account = account(20, &[]).await;
    let other = simulator(1, 1).await;
    // The port is free once the simulator is gone, and no other process has a reason to use it.
    drop(std::mem::replace(&mut account.upstream, other));
    account.fails("network").await;
}

/// Makes this many requests over such connections. Every refresh succeeds, and every descriptor is closed again.
async fn are_no_trouble(requests: u64, arrange: impl FnOnce(&Account)) -> Scrape {
    let flags = ["--swr.page-size=10", "--swr.rate-limit=10000", "--swr.burst=10000", "--swr.concurrency=8"];
    let account = account(500, &flags).await;
    let (base, before) = (account.exporter.open_files(), account.listed());
    arrange(&account);
    let many = |scrape: &Scrape| {
        assert_eq!(scrape.get("swr_up"), Some(1.0), "{}", account.exporter.log());
        account.listed() - before > requests
    };
    let scrape = account.exporter.scrape_until("many requests", many).await;
    assert!(account.upstream.handle.connections() > requests / 40, "they did not last");
    let open = || account.exporter.open_files();
    eventually("descriptors are closed", || open() <= base + 2).await;
    scrape
}

fn retries(scrape: &Scrape) -> f64 {
    scrape.value("swr_api_retries_total", &[("operation", "list_repositories")]).unwrap()
}

#[tokio::test]
async fn connections_that_do_not_last_are_replaced_and_leave_no_descriptors() {
    let resets = vec![Action::Deliver(Delivery::Reset), Action::Deliver(Delivery::ResetAfter(700))];
    let (closed, _, reset) = tokio::join!(
        are_no_trouble(3000, |account| _ = account.delivers(Delivery::ThenClose)),
        are_no_trouble(200, |account| _ = account.delivers(Delivery::ThenCloseUnannounced)),
        are_no_trouble(300, |account| account.upstream.handle.random_faults(5, 0.03, resets)),
    );
    assert_eq!(retries(&closed), 0.0);
    assert!((3.0..=60.0).contains(&retries(&reset)), "{}", retries(&reset));
}
