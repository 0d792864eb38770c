//! Credentials that end, are revoked or are replaced while scrapes run: no scrape fails.

use crate::credentials_sources::{file_with, scrapes_well, with_password, without_credential};
use crate::support::{eventually, replace, simulator, start};
use crate::upstream_support::LISTING;
use std::path::Path;
use std::time::Duration;
use swr_simulator::{AccessKey, DEMO_PASSWORD, Running};

#[tokio::test]
async fn a_token_file_that_somebody_keeps_fresh_costs_no_scrape() {
    let upstream = simulator(30, 3).await;
    let (_folder, file) = file_with(&upstream.handle.issue_token(Duration::from_secs(600)));
    let mut command = without_credential(&upstream);
    command.arg("--credentials.token-file").arg(&file);
    let exporter = start(command).await;
    for _ in 0..5 {
        scrapes_well(&exporter, Duration::from_millis(300)).await;
        replace(&file, &upstream.handle.issue_token(Duration::from_secs(600)));
        scrapes_well(&exporter, Duration::from_millis(300)).await;
        // The old token ends once the new one is there.
        let current = std::fs::read_to_string(&file).unwrap();
        upstream.handle.revoke_issued_tokens();
        upstream.handle.accept_token(&current, Duration::from_secs(600));
    }
    let scrape = scrapes_well(&exporter, Duration::from_millis(300)).await;
    assert_eq!(scrape.value("swr_api_requests_total", &[("operation", "list_repositories"), ("code", "401")]), None);
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_a_refresh_is_renewed_and_the_refresh_goes_on() {
    let (upstream, (_folder, password)) = (simulator(1000, 3).await, file_with(DEMO_PASSWORD));
    upstream.handle.configure(|options| options.latency = Duration::from_millis(20));
    let mut command = with_password(&upstream, &password);
    command.args(["--swr.page-size", "10", "--swr.rate-limit", "1000", "--swr.burst", "1000", "--cache.window", "1h"]);
    let exporter = start(command).await;
    let scrape = tokio::spawn(async move { (exporter.scrape().await, exporter) });
    eventually("page 57", || upstream.handle.count(LISTING) >= 57).await;
    upstream.handle.revoke_issued_tokens();
    let (scrape, exporter) = scrape.await.unwrap();
    assert_eq!(scrape.get("swr_up"), Some(1.0), "{}", exporter.log());
    assert_eq!(
        (scrape.series("swr_repository_size_bytes").len(), scrape.get("swr_refreshes_total")),
        (1000, Some(1.0))
    );
    assert_eq!(upstream.handle.logins(), 2);
    let refused = upstream.handle.statuses()[&401];
    assert!((1..=4).contains(&refused), "what was in flight: {refused}");
}

/// Adds a key to those that the upstream knows.
fn know(upstream: &Running, number: usize) {
    upstream.handle.configure(|options| {
        options.access_keys.push(AccessKey {
            access_key: format!("ROTATED{number:04}"),
            secret_key: format!("secret-of-{number:04}"),
            security_token: None,
        });
    });
}

/// Replaces a directory by symlink, as Kubernetes does with a mounted secret.
fn swap(folder: &Path, number: usize) {
    let version = folder.join(format!("..{number:04}"));
    std::fs::create_dir(&version).unwrap();
    std::fs::write(version.join("ak"), format!("ROTATED{number:04}\n")).unwrap();
    std::fs::write(version.join("sk"), format!("secret-of-{number:04}\n")).unwrap();
    std::os::unix::fs::symlink(&version, folder.join("..new")).unwrap();
    std::fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
}

#[tokio::test]
async fn a_key_that_is_swapped_a_thousand_times_is_never_half_old_and_half_new() {
    let upstream = simulator(30, 3).await;
    upstream.handle.configure(|options| options.key_lockout.after = usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    know(&upstream, 0);
    swap(folder.path(), 0);
    let mut command = without_credential(&upstream);
    command.arg("--credentials.access-key-file").arg(folder.path().join("..data/ak"));
    command.arg("--credentials.secret-key-file").arg(folder.path().join("..data/sk"));
    let exporter = start(command).await;
    scrapes_well(&exporter, Duration::ZERO).await;
    let rotation = async {
        for number in 1..=1000 {
            know(&upstream, number);
            swap(folder.path(), number);
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    };
    let scrapes = async {
        while upstream.handle.total() < 100 {
            scrapes_well(&exporter, Duration::from_millis(300)).await;
        }
    };
    tokio::join!(rotation, scrapes);
    let scrape = scrapes_well(&exporter, Duration::from_millis(300)).await;
    assert_eq!(upstream.handle.failed_signatures(), 0);
    assert!(scrape.sum("swr_refreshes_total") > 10.0);
    let last = upstream.handle.requests().pop().unwrap();
    assert!(last.header("authorization").unwrap().contains("ROTATED1000"), "the newest key is in use");
}

#[tokio::test]
async fn files_that_are_half_written_or_empty_leave_the_key_that_worked() {
    let upstream = simulator(30, 3).await;
    for number in 0..8 {
        know(&upstream, number);
    }
    let folder = tempfile::tempdir().unwrap();
    let (ak, sk) = (folder.path().join("ak"), folder.path().join("sk"));
    std::fs::write(&ak, "ROTATED0000").unwrap();
    std::fs::write(&sk, "secret-of-0000").unwrap();
    let mut command = without_credential(&upstream);
    command.arg("--credentials.access-key-file").arg(&ak).arg("--credentials.secret-key-file").arg(&sk);
    let exporter = start(command).await;
    let pause = Duration::from_millis(150);
    scrapes_well(&exporter, pause).await;
    for number in 1..8 {
        // Carelessly: emptied, then half of it, then the rest, and one file after the other.
        for (path, text) in [(&ak, format!("ROTATED{number:04}")), (&sk, format!("secret-of-{number:04}"))] {
            for end in [0, text.len() / 2, text.len()] {
                std::fs::write(path, &text[..end]).unwrap();
                scrapes_well(&exporter, pause).await;
            }
        }
        let used = upstream.handle.requests().pop().unwrap();
        assert!(used.header("authorization").unwrap().contains(&format!("ROTATED{number:04}")), "{number}");
    }
    assert!(upstream.handle.failed_signatures() <= 7, "a half-written secret is tried once and no more");
}
