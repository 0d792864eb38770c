//! Credentials that are refused or unreadable: how often they are tried, what the log says, and how soon the right one is
//! used.

use crate::credentials_sources::{file_with, with_password, without_credential};
use crate::support::{Exporter, PATIENCE, Scrape, eventually, replace, simulator, start, text, until};
use crate::upstream_support::{EAGER, LISTING, failures};
use std::path::PathBuf;
use std::time::Duration;
use swr_simulator::{Action, DEMO_ACCESS_KEY, DEMO_PASSWORD, DEMO_SECRET_KEY, Delivery, Rule, Running, UserAccess};
use tempfile::TempDir;
use tokio::time::Instant;

const WRONG: &str = "canaryWrongSecretKey00000000000000000000";

/// An exporter with the demo's access key, and this secret key in a file.
async fn with_key(upstream: &Running, secret: &str, flags: &[&str]) -> (Exporter, TempDir, PathBuf) {
    let (folder, key) = file_with(secret);
    let id = folder.path().join("id");
    std::fs::write(&id, DEMO_ACCESS_KEY).unwrap();
    let mut command = without_credential(upstream);
    command.arg("--credentials.access-key-file").arg(id).arg("--credentials.secret-key-file").arg(&key);
    command.args(EAGER).args(flags);
    (start(command).await, folder, key)
}

/// Scrapes through many windows.
async fn many_windows(exporter: &Exporter) {
    for _ in 0..8 {
        exporter.scrape().await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
}

/// Scrapes until the right secret works, and returns how long that took.
async fn recovers(exporter: &Exporter) -> Duration {
    let changed = Instant::now();
    exporter.scrape_until("the right secret works", Scrape::is_up).await;
    changed.elapsed()
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
    let took = recovers(&exporter).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    let refreshes_after = exporter.scrape().await.get("swr_refreshes_total");
    assert_eq!(refreshes_after, refreshes.map(|before| before + 1.0));
    assert_eq!((upstream.handle.failed_logins(), upstream.handle.logins()), (2, 1));
}

#[tokio::test]
async fn a_wrong_secret_key_is_tried_twice_however_many_organizations_are_listed_and_the_right_one_at_once() {
    for organizations in [false, true] {
        let upstream = simulator(50, 8).await;
        let named = format!("--swr.namespace={}", upstream.handle.with_world(|world| world.namespaces()).join(","));
        let flags = if organizations { vec![named.as_str()] } else { Vec::new() };
        let (exporter, _folder, key) = with_key(&upstream, WRONG, &flags).await;
        many_windows(&exporter).await;
        let scrape = exporter.scrape_until("auth failures", |scrape| failures(scrape, "auth") >= 4.0).await;
        assert!(!scrape.is_up() && scrape.series("swr_repository_size_bytes").is_empty());
        assert_eq!(upstream.handle.count(LISTING), 2, "{:?}", upstream.handle.statuses());
        says(&exporter, "a changed credential is tried at once").await;
        // The page still says why it was refused.
        let page = text(exporter.get("/").await).await;
        assert!(page.contains("does not belong to the access key"), "{page}");
        assert!(page.contains("verify aksk signature fail"), "{page}");
        assert!(!exporter.log().contains(WRONG), "the secret is in the log");
        replace(&key, DEMO_SECRET_KEY);
        let took = recovers(&exporter).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

#[tokio::test]
async fn a_key_that_becomes_wrong_leaves_the_old_data_and_is_tried_twice() {
    let upstream = simulator(50, 3).await;
    let (exporter, _folder, key) = with_key(&upstream, DEMO_SECRET_KEY, &[]).await;
    let good = exporter.scrape().await;
    upstream.handle.configure(|options| options.access_keys[0].secret_key = "rotated".to_owned());
    let before = upstream.handle.count(LISTING);
    let scrape = exporter.scrape_until("auth failures", |scrape| failures(scrape, "auth") >= 3.0).await;
    assert_eq!(scrape.series("swr_repository_size_bytes"), good.series("swr_repository_size_bytes"));
    assert_eq!(upstream.handle.count(LISTING) - before, 2);
    replace(&key, "rotated");
    recovers(&exporter).await;
}

#[tokio::test]
async fn a_secret_file_that_is_empty_or_gone_from_the_start_is_named_and_nothing_is_sent() {
    let upstream = simulator(50, 3).await;
    let (exporter, _folder, key) = with_key(&upstream, "", &[]).await;
    let told = "level=error msg=\"cannot read the credential: the secret key in ";
    eventually("the log tells it before any scrape", || exporter.log().contains(told)).await;
    assert_eq!((exporter.get("/-/ready").await.status().as_u16(), upstream.handle.total()), (200, 0));
    exporter.scrape_until("an empty file fails", |scrape| failures(scrape, "auth") >= 1.0).await;
    eventually("it is named", || exporter.log().contains("/secret is empty")).await;
    std::fs::remove_file(&key).unwrap();
    exporter.scrape_until("an absent file fails", |scrape| failures(scrape, "auth") >= 3.0).await;
    assert_eq!(upstream.handle.count(LISTING), 0);
    replace(&key, DEMO_SECRET_KEY);
    recovers(&exporter).await;
}

/// Scrapes until the landing page contains a text.
async fn says(exporter: &Exporter, what: &str) {
    until(PATIENCE, async || {
        exporter.scrape().await;
        let page = text(exporter.get("/").await).await;
        if page.contains(what) { Ok(()) } else { Err(format!("{what}\n{page}\n{}", exporter.log())) }
    })
    .await;
}

#[tokio::test]
async fn a_refused_login_is_explained_with_what_to_do() {
    for (access, lock_after, password, said) in [
        (UserAccess::MfaRequired, 5, DEMO_PASSWORD, "login protection by MFA"),
        (UserAccess::ConsoleOnly, 5, DEMO_PASSWORD, "The user is not allowed programmatic access"),
        (UserAccess::Programmatic, 1, "wrong", "IAM has locked the user for a while"),
    ] {
        let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with(password));
        upstream.handle.configure(|options| {
            options.users[0].access = access;
            options.lockout.after = lock_after;
        });
        let exporter = start(with_password(&upstream, &password)).await;
        says(&exporter, said).await;
        says(&exporter, "a changed credential is tried at once").await;
        assert_eq!(upstream.handle.failed_logins(), 2);
    }
}

#[tokio::test]
async fn a_missing_permission_is_asked_for_once_and_not_with_another_token() {
    let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with(DEMO_PASSWORD));
    upstream.handle.configure(|options| options.permission = swr_simulator::Permission::None);
    let mut command = with_password(&upstream, &password);
    command.args(["--cache.window", "1m"]);
    let exporter = start(command).await;
    let scrape = exporter.scrape_until("a failure", |scrape| failures(scrape, "permission") >= 1.0).await;
    assert_eq!((upstream.handle.logins(), upstream.handle.count(LISTING)), (1, 1));
    assert_eq!(scrape.sum("swr_api_retries_total"), 0.0);
}

#[tokio::test]
async fn an_iam_that_fails_is_asked_again_and_costs_no_old_data() {
    let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with(DEMO_PASSWORD));
    upstream.handle.configure(|options| options.token_life = Duration::from_secs(3));
    let exporter = start(with_password(&upstream, &password)).await;
    let good = exporter.scrape_until("a good refresh", Scrape::is_up).await;
    upstream.handle.fault(Rule::always(Action::Deliver(Delivery::Reset)).path("/v3/auth"));
    let scrape = exporter.scrape_until("the token's end", |scrape| failures(scrape, "network") >= 1.0).await;
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), good.series("swr_repository_size_bytes").len());
    let refused = scrape.value("swr_api_requests_total", &[("operation", "list_repositories"), ("code", "401")]);
    assert_eq!(refused, None, "no expired token is sent");
    upstream.handle.clear_faults();
    recovers(&exporter).await;
}
