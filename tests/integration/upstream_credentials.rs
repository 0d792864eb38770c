//! Credentials that are wrong, are revoked, and come right again in their files.

use crate::support::{Exporter, command, eventually, exporter, simulator, start, text};
use crate::upstream_support::{EAGER, LISTING, failures};
use std::path::{Path, PathBuf};
use std::time::Duration;
use swr_simulator::{DEMO_ACCESS_KEY, DEMO_SECRET_KEY, Running};
use tempfile::TempDir;
use tokio::time::Instant;

const WRONG: &str = "canaryWrongSecretKey00000000000000000000";

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes as a careful rotation does: the file is never half there.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let new = self.path("new");
        std::fs::write(&new, format!("{text}\n")).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
        self.path(name)
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--credentials.{name}-file={}", path.display())
}

/// An exporter with the demo's access key and this secret key, from files.
async fn with_key(upstream: &Running, files: &Files, secret: &str, flags: &[&str]) -> Exporter {
    let id = flag("access-key", &files.write("id", DEMO_ACCESS_KEY));
    let key = flag("secret-key", &files.write("key", secret));
    let flags: Vec<&str> = EAGER.iter().chain(flags).copied().chain([id.as_str(), key.as_str()]).collect();
    exporter(&upstream.url(), &flags).await
}

/// Scrapes through many windows.
async fn many_windows(exporter: &Exporter) {
    for _ in 0..8 {
        exporter.scrape().await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
}

#[tokio::test]
async fn a_wrong_secret_key_is_tried_twice_and_a_right_one_in_the_file_at_once() {
    let (upstream, files) = (simulator(50, 3).await, Files::new());
    let exporter = with_key(&upstream, &files, WRONG, &[]).await;
    many_windows(&exporter).await;
    let scrape = exporter.scrape_until("auth failures", |scrape| failures(scrape, "auth") >= 4.0).await;
    assert_eq!(scrape.get("swr_up"), Some(0.0));
    assert!(scrape.series("swr_repository_size_bytes").is_empty());
    assert_eq!(upstream.handle.count(LISTING), 2, "{:?}", upstream.handle.statuses());
    let landing = text(exporter.get("/").await).await;
    assert!(landing.contains("a changed credential is tried at once"), "{landing}");
    assert!(!exporter.log().contains(WRONG), "the secret is in the log");

    let changed = Instant::now();
    files.write("key", DEMO_SECRET_KEY);
    exporter.scrape_until("the right key works", |scrape| scrape.get("swr_up") == Some(1.0)).await;
    assert!(changed.elapsed() < Duration::from_secs(2), "{:?}", changed.elapsed());
}

#[tokio::test]
async fn many_organisations_try_a_wrong_secret_key_no_more_often() {
    let (upstream, files) = (simulator(200, 8).await, Files::new());
    let names = upstream.handle.with_world(|world| world.namespaces());
    let named = format!("--swr.namespace={}", names.join(","));
    let exporter = with_key(&upstream, &files, WRONG, &[&named]).await;
    many_windows(&exporter).await;
    assert_eq!(upstream.handle.count(LISTING), 2, "{:?}", upstream.handle.statuses());
    files.write("key", DEMO_SECRET_KEY);
    exporter.scrape_until("the right key works", |scrape| scrape.get("swr_up") == Some(1.0)).await;
}

#[tokio::test]
async fn a_key_that_becomes_wrong_leaves_the_old_data_and_is_tried_twice() {
    let (upstream, files) = (simulator(50, 3).await, Files::new());
    let exporter = with_key(&upstream, &files, DEMO_SECRET_KEY, &[]).await;
    let good = exporter.scrape().await;
    upstream.handle.configure(|options| options.access_keys[0].secret_key = "rotated".to_owned());
    let before = upstream.handle.count(LISTING);
    let scrape = exporter.scrape_until("auth failures", |scrape| failures(scrape, "auth") >= 3.0).await;
    assert_eq!(scrape.series("swr_repository_size_bytes"), good.series("swr_repository_size_bytes"));
    assert_eq!(upstream.handle.count(LISTING) - before, 2);
    files.write("key", "rotated");
    exporter.scrape_until("the new key works", |scrape| scrape.get("swr_up") == Some(1.0)).await;
}

#[tokio::test]
async fn a_revoked_token_is_tried_twice_and_a_new_one_in_the_file_at_once() {
    let (upstream, files) = (simulator(50, 3).await, Files::new());
    let old = upstream.handle.issue_token(Duration::from_secs(600));
    let token = flag("token", &files.write("token", &old));
    let mut command = command();
    command.env_remove("SWR_EXPORTER_ACCESS_KEY").env_remove("SWR_EXPORTER_SECRET_KEY");
    let exporter = start({
        command.args(["--swr.endpoint", &upstream.url(), &token]).args(EAGER);
        command
    })
    .await;
    assert_eq!(exporter.scrape().await.get("swr_up"), Some(1.0), "{}", exporter.log());
    let before = upstream.handle.count(LISTING);
    upstream.handle.revoke_token(&old);
    many_windows(&exporter).await;
    let scrape = exporter.scrape_until("auth failures", |scrape| failures(scrape, "auth") >= 3.0).await;
    assert_eq!((scrape.get("swr_up"), upstream.handle.count(LISTING) - before), (Some(0.0), 2));
    files.write("token", &upstream.handle.issue_token(Duration::from_secs(600)));
    let changed = Instant::now();
    exporter.scrape_until("the new token works", |scrape| scrape.get("swr_up") == Some(1.0)).await;
    assert!(changed.elapsed() < Duration::from_secs(2), "{:?}", changed.elapsed());
    assert!(!exporter.log().contains(&old), "the token is in the log");
}

#[tokio::test]
async fn a_secret_file_that_is_empty_from_the_start_is_named_and_nothing_is_sent() {
    let (upstream, files) = (simulator(50, 3).await, Files::new());
    let exporter = with_key(&upstream, &files, "", &[]).await;
    exporter.scrape_until("an empty file fails", |scrape| failures(scrape, "auth") >= 1.0).await;
    eventually("it is named", || exporter.log().contains("/key is empty")).await;
    std::fs::remove_file(files.path("key")).unwrap();
    exporter.scrape_until("an absent file fails", |scrape| failures(scrape, "auth") >= 3.0).await;
    assert_eq!(upstream.handle.count(LISTING), 0);
    files.write("key", DEMO_SECRET_KEY);
    exporter.scrape_until("it is there", |scrape| scrape.get("swr_up") == Some(1.0)).await;
}

#[tokio::test]
async fn a_secret_file_that_is_gone_or_empty_later_is_named_and_the_key_is_kept() {
    let (upstream, files) = (simulator(50, 3).await, Files::new());
    let exporter = with_key(&upstream, &files, DEMO_SECRET_KEY, &[]).await;
    assert_eq!(exporter.scrape().await.get("swr_up"), Some(1.0));
    files.write("key", "");
    many_windows(&exporter).await;
    eventually("it is named", || exporter.log().contains("/key is empty")).await;
    std::fs::remove_file(files.path("key")).unwrap();
    many_windows(&exporter).await;
    let scrape = exporter.scrape().await;
    assert_eq!((scrape.get("swr_up"), failures(&scrape, "auth")), (Some(1.0), 0.0));
}
