//! The log as an operator reads it: whose trouble it is, whether somebody must act, and what the cloud's support asks for.

use crate::accounts::Accounts;
use crate::support::{Exporter, command, eventually, simulator, start};
use serde_json::Value;
use swr_simulator::{Action, DEMO_ACCESS_KEY, Rule, Shape};

/// Two accounts by name, each with its own upstream, logging JSON.
async fn two(one: &str, two: &str, more: &str) -> (Exporter, Accounts) {
    let accounts = Accounts::new(&format!(
        "accounts:\n  one: {{ endpoint: {one} }}\n  two:\n    endpoint: {two}\n    cache_window: 50ms\n{more}"
    ));
    let mut command = command();
    command.arg("--config.file").arg(accounts.path());
    (start(command).await, accounts)
}

/// What was logged so far with this beginning of the message.
fn lines(exporter: &Exporter, beginning: &str) -> Vec<String> {
    let has = |line: &&str| line.contains(&format!("msg=\"{beginning}"));
    exporter.log().lines().filter(has).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_failure_names_its_account_what_the_api_said_and_who_must_act() {
    let (good, bad) = (simulator(3, 1).await, simulator(3, 1).await);
    let (exporter, _accounts) = two(&good.url(), &bad.url(), "").await;
    for (action, reason, level) in [
        (Action::error(403, Shape::Gateway, "APIGW.0302", "not allowed"), "permission", "error"),
        (Action::error(500, Shape::Gateway, "APIGW.0201", "out of order"), "server", "warn"),
    ] {
        bad.handle.clear_faults();
        bad.handle.fault(Rule::always(action));
        let told = |exporter: &Exporter| {
            lines(exporter, "a refresh failed").into_iter().find(|line| line.contains(&format!("reason={reason}")))
        };
        let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
        while told(&exporter).is_none() {
            exporter.get("/probe?account=one").await;
            exporter.get("/probe?account=two").await;
            assert!(tokio::time::Instant::now() < deadline, "{}", exporter.log());
        }
        let line = told(&exporter).unwrap();
        assert!(line.contains(&format!("level={level}")) && line.ends_with(" account=two"), "{line}");
        let id = line.split_once("(request ").expect("the request's id").1.split_once(')').unwrap().0;
        assert_eq!(id.len(), 32, "{line}");
    }
    let first = lines(&exporter, "the first refresh is complete");
    assert!(first.len() == 1 && first[0].ends_with(" account=one"), "{first:?}");
    let started = lines(&exporter, "collecting from");
    assert!(started.len() == 2 && started[0].ends_with(" account=one") && started[1].ends_with(" account=two"));
}

#[tokio::test]
async fn calls_beside_the_listing_name_their_account_too() {
    let upstream = simulator(3, 1).await;
    let broken = Action::error(500, Shape::Gateway, "APIGW.0201", "out of order");
    upstream.handle.fault(Rule::always(broken).path("/v2/manage/overview"));
    let url = upstream.url();
    let accounts = Accounts::new(&format!(
        "accounts:\n  one: {{ endpoint: {url} }}\n  two: {{ endpoint: {url}, collectors: [account] }}\n"
    ));
    let exporter = accounts.start_with(&["--log.level", "debug"]).await;
    exporter.get("/probe?account=two").await;
    eventually("it is told", || !lines(&exporter, "a call failed").is_empty()).await;
    let calls = lines(&exporter, "a call failed");
    assert!(calls.iter().all(|line| line.ends_with(" account=two")), "{calls:?}");
}

#[tokio::test]
async fn trouble_with_a_credential_names_its_account_too() {
    let upstream = simulator(3, 1).await;
    let wrong = format!("    credentials: {{ access_key: {DEMO_ACCESS_KEY}, secret_key: wrong }}\n");
    let (exporter, _accounts) = two(&upstream.url(), &upstream.url(), &wrong).await;
    let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
    while lines(&exporter, "the credential was refused repeatedly").is_empty() {
        exporter.get("/probe?account=two").await;
        assert!(tokio::time::Instant::now() < deadline, "{}", exporter.log());
    }
    let line = &lines(&exporter, "the credential was refused repeatedly")[0];
    assert!(line.contains("level=error") && line.ends_with(" account=two"), "{line}");
}

#[tokio::test]
async fn json_lines_hold_the_account_as_well() {
    let upstream = simulator(3, 1).await;
    let mut command = command();
    command.args(["--swr.endpoint", &upstream.url(), "--log.format", "json", "--web.listen-address", "127.0.0.1:0"]);
    let mut process = command.spawn().unwrap();
    let mut log = tokio::io::BufReader::new(process.stderr.take().unwrap());
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let mut line = String::new();
        let reading = tokio::io::AsyncBufReadExt::read_line(&mut log, &mut line);
        tokio::time::timeout(crate::support::PATIENCE, reading).await.unwrap().unwrap();
        seen.push(serde_json::from_str::<Value>(&line).unwrap());
    }
    assert_eq!(seen[0]["account"], "default", "{seen:?}");
    assert!(seen[0]["msg"].as_str().unwrap().starts_with("collecting from"));
    assert_eq!((seen[1]["msg"].as_str(), seen[1].get("account")), (Some("listening"), None));
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_kept_is_told_with_its_account() {
    let upstream = simulator(3, 1).await;
    let exporter = crate::support::exporter(&upstream.url(), &["--cache.file", "/proc/nowhere"]).await;
    exporter.scrape().await;
    eventually("it is told", || !lines(&exporter, "cannot keep the snapshot").is_empty()).await;
    assert!(lines(&exporter, "cannot keep the snapshot")[0].ends_with(" account=default"));
}
