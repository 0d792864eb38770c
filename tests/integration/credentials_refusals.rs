//! Credentials that are refused: how often they are tried, what the log says, and how soon the right one is used.

use crate::credentials_sources::{file_with, sum, with_password};
use crate::support::{Exporter, PATIENCE, Scrape, simulator, start, text};
use crate::upstream_support::{LISTING, failures};
use std::time::Duration;
use swr_simulator::{Action, DEMO_PASSWORD, Delivery, Rule, UserAccess};
use tokio::time::Instant;

fn is_up(scrape: &Scrape) -> bool {
    scrape.get("swr_up") == Some(1.0)
}

#[tokio::test]
async fn a_wrong_password_is_tried_twice_and_the_right_one_in_the_file_at_once() {
    let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with("wrong"));
    // With a long window the cache's own pauses are long too.
    let mut command = with_password(&upstream, &password);
    command.args(["--cache.window", "5m"]);
    let exporter = start(command).await;
    exporter.scrape_until("a third failure", |scrape| failures(scrape, "auth") >= 3.0).await;
    assert_eq!((upstream.handle.failed_logins(), upstream.handle.logins()), (2, 0));
    assert_eq!(upstream.handle.count(LISTING), 0);
    assert!(exporter.log().contains("The username or password is wrong."), "{}", exporter.log());
    let refreshes = exporter.scrape().await.get("swr_refreshes_total");
    std::fs::write(&password, DEMO_PASSWORD).unwrap();
    let changed = Instant::now();
    let scrape = exporter.scrape_until("the right password works", is_up).await;
    assert!(changed.elapsed() < Duration::from_secs(4), "{:?}", changed.elapsed());
    assert_eq!(scrape.get("swr_refreshes_total"), refreshes.map(|before| before + 1.0));
    assert_eq!((upstream.handle.failed_logins(), upstream.handle.logins()), (2, 1));
}

/// Scrapes until the page for people says something.
async fn says(exporter: &Exporter, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        exporter.scrape().await;
        let page = text(exporter.get("/").await).await;
        if page.contains(what) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}\n{page}\n{}", exporter.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_user_with_mfa_and_one_for_the_console_are_told_what_to_do() {
    for (access, said) in [
        (UserAccess::MfaRequired, "login protection by MFA"),
        (UserAccess::ConsoleOnly, "The user is not allowed programmatic access"),
    ] {
        let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with(DEMO_PASSWORD));
        upstream.handle.configure(|options| options.users[0].access = access);
        let exporter = start(with_password(&upstream, &password)).await;
        says(&exporter, said).await;
        says(&exporter, "a changed credential is tried at once").await;
        assert_eq!(upstream.handle.failed_logins(), 2);
    }
}

#[tokio::test]
async fn a_locked_user_is_told_to_wait() {
    let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with("wrong"));
    upstream.handle.configure(|options| options.lockout.after = 1);
    let exporter = start(with_password(&upstream, &password)).await;
    says(&exporter, "IAM has locked the user for a while").await;
    assert_eq!(upstream.handle.failed_logins(), 2);
}

#[tokio::test]
async fn what_is_not_permitted_is_not_asked_again_nor_with_another_token() {
    let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with(DEMO_PASSWORD));
    upstream.handle.configure(|options| options.permission = swr_simulator::Permission::None);
    let mut command = with_password(&upstream, &password);
    command.args(["--cache.window", "1m"]);
    let exporter = start(command).await;
    let scrape = exporter.scrape_until("a failure", |scrape| failures(scrape, "permission") >= 1.0).await;
    assert_eq!((upstream.handle.logins(), upstream.handle.count(LISTING)), (1, 1));
    assert_eq!(sum(&scrape, "swr_api_retries_total"), 0.0);
}

#[tokio::test]
async fn an_iam_that_fails_is_asked_again_and_costs_no_old_data() {
    let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with(DEMO_PASSWORD));
    upstream.handle.configure(|options| options.token_life = Duration::from_secs(3));
    let exporter = start(with_password(&upstream, &password)).await;
    let good = exporter.scrape_until("a good refresh", is_up).await;
    upstream.handle.fault(Rule::always(Action::Deliver(Delivery::Reset)).path("/v3/auth"));
    let scrape = exporter.scrape_until("the token's end", |scrape| failures(scrape, "network") >= 1.0).await;
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), good.series("swr_repository_size_bytes").len());
    let refused = scrape.value("swr_api_requests_total", &[("operation", "list_repositories"), ("code", "401")]);
    assert_eq!(refused, None, "no expired token is sent");
    upstream.handle.clear_faults();
    exporter.scrape_until("recovery", is_up).await;
}
