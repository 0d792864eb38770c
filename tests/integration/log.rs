//! Log lines of failures: the account, the level and the request id that the vendor's support asks for.

use crate::accounts::Accounts;
use crate::support::{Exporter, PATIENCE, eventually, simulator, until};
use swr_simulator::{Action, DEMO_ACCESS_KEY, Rule, Shape};

/// Two accounts, each with its own upstream.
async fn two(one: &str, two: &str, more: &str) -> (Exporter, Accounts) {
    let accounts = Accounts::new(&format!(
        "accounts:\n  one: {{ endpoint: {one} }}\n  two:\n    endpoint: {two}\n    cache_window: 50ms\n{more}"
    ));
    (accounts.start().await, accounts)
}

/// The log lines whose messages begin so.
fn lines(exporter: &Exporter, beginning: &str) -> Vec<String> {
    let has = |line: &&str| line.contains(&format!("msg=\"{beginning}"));
    exporter.log().lines().filter(has).map(str::to_owned).collect()
}

/// Scrapes both accounts until a line with this beginning and this part is logged.
async fn logged(exporter: &Exporter, beginning: &str, part: &str) -> String {
    until(PATIENCE, async || {
        exporter.probe("one").await;
        exporter.probe("two").await;
        lines(exporter, beginning).into_iter().find(|line| line.contains(part)).ok_or_else(|| exporter.log())
    })
    .await
}

#[tokio::test]
async fn a_failed_refresh_is_logged_with_account_level_and_request_id() {
    let (good, bad) = (simulator(3, 1).await, simulator(3, 1).await);
    let (exporter, _accounts) = two(&good.url(), &bad.url(), "").await;
    for (action, reason, level) in [
        (Action::error(403, Shape::Gateway, "APIGW.0302", "not allowed"), "permission", "error"),
        (Action::error(500, Shape::Gateway, "APIGW.0201", "out of order"), "server", "warn"),
    ] {
        bad.handle.clear_faults();
        bad.handle.fault(Rule::always(action));
        let line = logged(&exporter, "refresh failed", &format!("reason={reason}")).await;
        assert!(line.contains(&format!("level={level}")) && line.ends_with(" account=two"), "{line}");
        let id = line.split_once("(request ").expect("the request's id").1.split_once(')').unwrap().0;
        assert_eq!(id.len(), 32, "{line}");
    }
    let first = lines(&exporter, "first refresh complete");
    assert!(first.len() == 1 && first[0].ends_with(" account=one"), "{first:?}");
    let started = lines(&exporter, "collecting from");
    assert!(started.len() == 2 && started[0].ends_with(" account=one") && started[1].ends_with(" account=two"));
}

#[tokio::test]
async fn failed_auxiliary_calls_are_logged_with_their_account() {
    let upstream = simulator(3, 1).await;
    let broken = Action::error(500, Shape::Gateway, "APIGW.0201", "out of order");
    upstream.handle.fault(Rule::always(broken).path("/v2/manage/overview"));
    let url = upstream.url();
    let accounts = Accounts::new(&format!(
        "accounts:\n  one: {{ endpoint: {url} }}\n  two: {{ endpoint: {url}, collectors: [account] }}\n"
    ));
    let exporter = accounts.start_with(&["--log.level", "debug"]).await;
    exporter.get("/probe?account=two").await;
    eventually("it is logged", || !lines(&exporter, "a call failed").is_empty()).await;
    let calls = lines(&exporter, "a call failed");
    assert!(calls.iter().all(|line| line.ends_with(" account=two")), "{calls:?}");
}

#[tokio::test]
async fn refused_credentials_are_logged_with_their_account() {
    let upstream = simulator(3, 1).await;
    let wrong = format!("    credentials: {{ access_key: {DEMO_ACCESS_KEY}, secret_key: wrong }}\n");
    let (exporter, _accounts) = two(&upstream.url(), &upstream.url(), &wrong).await;
    let line = logged(&exporter, "the credential was refused repeatedly", "").await;
    assert!(line.contains("level=error") && line.ends_with(" account=two"), "{line}");
}
