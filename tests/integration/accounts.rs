//! Several accounts in one process: each with its own page, found by Prometheus, changed without a restart.

use crate::prometheus::Prometheus;
use crate::support::{Exporter, blocks, command, eventually, replace, simulator, start, text};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use swr_simulator::{Action, DEMO_TOKEN, Rule, Running, Shape};
use tempfile::TempDir;
use tokio::time::Instant;

const LIST: &str = "/v2/manage/repos";

/// A configuration file that the test changes.
pub struct Accounts {
    folder: TempDir,
}

impl Accounts {
    /// With this text.
    pub fn new(text: &str) -> Self {
        let accounts = Self { folder: tempfile::tempdir().unwrap() };
        accounts.write(text);
        accounts
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("accounts.yml")
    }

    /// Replaces the file as a whole.
    pub fn write(&self, text: &str) {
        replace(&self.path(), text);
    }

    /// The exporter with this file.
    pub async fn start(&self) -> Exporter {
        self.start_with(&[]).await
    }

    /// As [`Self::start`], with some flags more.
    pub async fn start_with(&self, flags: &[&str]) -> Exporter {
        let mut command = command();
        command.arg("--web.enable-lifecycle").arg("--config.file").arg(self.path()).args(flags);
        start(command).await
    }
}

/// An account that collects from an upstream, with more settings.
fn account(name: &str, upstream: &Running, more: &str) -> String {
    format!("  {name}:\n    endpoint: {}\n{more}", upstream.url())
}

/// Reads the settings again, with this outcome. On a slow machine their file may have been read by itself before.
async fn reloaded(exporter: &Exporter, expected: &str) {
    let (status, done) = exporter.reload().await;
    let by_itself = format!("because their file changed: {}", expected.trim_end());
    assert_eq!(status, 200, "{done}");
    assert!(done == expected || exporter.log().contains(&by_itself), "{done}, and not {expected}");
}

#[tokio::test]
async fn each_account_has_its_page_and_the_process_has_its_own() {
    let (one, two) = (simulator(30, 2).await, simulator(50, 3).await);
    let file = format!("accounts:\n{}{}", account("one", &one, ""), account("two", &two, "    region: cn-north-4\n"));
    let exporter = Accounts::new(&file).start().await;
    for (name, upstream) in [("one", &one), ("two", &two)] {
        let scrape = exporter.probe(name).await;
        assert_eq!(scrape.get("swr_up"), Some(1.0));
        let repositories = upstream.handle.repositories();
        assert_eq!(scrape.series("swr_repository_size_bytes").len(), repositories.len());
        for row in repositories {
            let labels = [("namespace", row.namespace.as_str()), ("repository", row.name.as_str())];
            assert_eq!(scrape.value("swr_repository_size_bytes", &labels), Some(row.size as f64), "{labels:?}");
        }
        assert!(scrape.series("swr_exporter_build_info").is_empty(), "that is the process's");
    }
    let process = exporter.scrape().await;
    assert_eq!(process.get("swr_exporter_build_info"), Some(1.0));
    assert_eq!(process.get("swr_exporter_config_last_reload_successful"), Some(1.0));
    assert!(process.series("swr_up").is_empty() && process.series("swr_repository_size_bytes").is_empty());

    let targets: serde_json::Value = serde_json::from_str(&text(exporter.get("/sd").await).await).unwrap();
    let expected = serde_json::json!([
        {"targets": [exporter.address()], "labels": {
            "__metrics_path__": "/probe", "__param_account": "one", "__meta_swr_account": "one",
            "__meta_swr_endpoint": one.url()}},
        {"targets": [exporter.address()], "labels": {
            "__metrics_path__": "/probe", "__param_account": "two", "__meta_swr_account": "two",
            "__meta_swr_endpoint": two.url(), "__meta_swr_region": "cn-north-4"}},
    ]);
    assert_eq!(targets, expected);

    let missing = exporter.get("/probe?account=three").await;
    assert_eq!(missing.status(), 404);
    assert_eq!(text(missing).await, "unknown account `three` (known: one, two)\n");
}

#[tokio::test]
async fn prometheus_finds_the_accounts_by_the_documented_scrape_configuration() {
    let (one, two) = (simulator(30, 2).await, simulator(50, 3).await);
    let file = format!("accounts:\n{}{}", account("one", &one, ""), account("two", &two, ""));
    let exporter = Accounts::new(&file).start().await;
    let mut examples = blocks("docs/configuration.md", "yaml").into_iter();
    let example = examples.find(|block| block.contains("http_sd_configs")).expect("an example of discovery");
    let config = example
        .replace("localhost:10179", exporter.address())
        .replace("scrape_interval: 1m", "scrape_interval: 1s")
        .replace("scrape_timeout: 30s", "scrape_timeout: 1s");
    let prometheus =
        Prometheus::with(&format!("global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n{config}")).await;
    prometheus.until("count by (account) (swr_repository_size_bytes{account=\"one\"})", 1, 30.0).await;
    prometheus.until("count by (account) (swr_repository_size_bytes{account=\"two\"})", 1, 50.0).await;
    prometheus.until("swr_up{job=\"swr\"}", 2, 1.0).await;
    prometheus.until("up", 3, 1.0).await;
    prometheus.until("swr_exporter_build_info", 1, 1.0).await;
}

#[tokio::test]
async fn what_did_not_change_goes_on_and_what_did_is_built_anew() {
    let (kept, changed, added) = (simulator(20, 2).await, simulator(20, 2).await, simulator(20, 2).await);
    let before = format!(
        "accounts:\n{}{}{}",
        account("kept", &kept, ""),
        account("changed", &changed, ""),
        account("gone", &added, "")
    );
    let after = format!(
        "accounts:\n{}{}{}",
        account("changed", &changed, "    repositories_metrics: [size]\n"),
        account("added", &added, ""),
        account("kept", &kept, "")
    );
    let accounts = Accounts::new(&before);
    let exporter = accounts.start().await;
    for name in ["kept", "changed", "gone"] {
        assert_eq!(exporter.probe(name).await.get("swr_up"), Some(1.0));
    }
    accounts.write(&after);
    reloaded(&exporter, "1 accounts unchanged, 1 changed, 1 added, 1 removed\n").await;
    assert_eq!(exporter.get("/probe?account=gone").await.status(), 404);
    let scrape = exporter.probe("kept").await;
    assert_eq!(scrape.get("swr_refreshes_total"), Some(1.0));
    assert_eq!(scrape.value("swr_scrapes_total", &[("served", "refreshed")]), Some(1.0), "counters go on");
    assert_eq!(kept.handle.count(LIST), 1, "and so does the cache");
    let scrape = exporter.probe("changed").await;
    assert!(
        scrape.series("swr_repository_images").is_empty() && !scrape.series("swr_repository_size_bytes").is_empty()
    );
    assert_eq!(exporter.probe("added").await.get("swr_up"), Some(1.0));

    // By a signal.
    accounts.write(&before);
    exporter.signal("HUP");
    eventually("the signal is heeded", || exporter.log().contains("settings reloaded on SIGHUP")).await;
    assert_eq!(exporter.get("/probe?account=added").await.status(), 404);
    // By itself.
    accounts.write(&after);
    eventually("the change is seen", || exporter.log().contains("because their file changed")).await;
    assert_eq!(exporter.get("/probe?account=gone").await.status(), 404);
    assert_eq!(kept.handle.count(LIST), 1);
}

#[tokio::test]
async fn a_reload_under_fifty_scrapers_costs_no_scrape_and_no_second_listing() {
    let (kept, changing) = (simulator(200, 4).await, simulator(200, 4).await);
    let text = |limit: usize| {
        let more = format!("    repositories_limit: {limit}\n");
        format!("accounts:\n{}{}", account("kept", &kept, ""), account("changing", &changing, &more))
    };
    let accounts = Accounts::new(&text(1));
    let exporter =
        Arc::new(accounts.start_with(&["--web.max-requests=100", "--web.max-connections-per-address=1000"]).await);
    // Scrapes of each account.
    let (stop, scrapes) = (Arc::new(AtomicBool::new(false)), Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]));
    let scrapers: Vec<_> = (0..50)
        .map(|number| {
            let (exporter, stop, scrapes) = (exporter.clone(), stop.clone(), scrapes.clone());
            tokio::spawn(async move {
                let name = ["kept", "changing"][number % 2];
                while !stop.load(Ordering::Relaxed) {
                    let scrape = exporter.probe(name).await;
                    assert_eq!(scrape.get("swr_up"), Some(1.0), "{name}");
                    assert_eq!(scrape.series("swr_namespace_size_bytes").len(), 4);
                    scrapes[number % 2].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 2..=10 {
        // Two changes within the first refresh of an account would leave those who wait for it without data.
        let counts = || [0, 1].map(|of| scrapes[of].load(Ordering::Relaxed));
        let before = counts();
        eventually("scrapes of both go on", || counts().iter().zip(before).all(|(now, before)| *now > before + 25))
            .await;
        accounts.write(&text(round));
        reloaded(&exporter, "1 accounts unchanged, 1 changed, 0 added, 0 removed\n").await;
    }
    stop.store(true, Ordering::Relaxed);
    for scraper in scrapers {
        scraper.await.unwrap();
    }
    assert_eq!(kept.handle.count(LIST), 1, "{scrapes:?} scrapes");
}

#[tokio::test]
async fn two_hundred_accounts_start_at_once_and_each_is_served() {
    let upstream = simulator(500, 5).await;
    let mut file = "accounts:\n".to_owned();
    for number in 0..200 {
        file += &account(&format!("account-{number}"), &upstream, "");
    }
    let began = Instant::now();
    let exporter = Accounts::new(&file).start().await;
    let started = began.elapsed();
    // A second in a release build on a quiet machine; here is neither.
    assert!(started < Duration::from_secs(10), "{started:?}");
    for number in 0..200 {
        let began = Instant::now();
        let scrape = exporter.probe(&format!("account-{number}")).await;
        assert_eq!(scrape.get("swr_repositories"), Some(500.0));
        assert!(began.elapsed() < Duration::from_secs(5), "account {number}: {:?}", began.elapsed());
    }
    assert_eq!(upstream.handle.count(LIST), 200);
}

#[tokio::test]
async fn a_refused_credential_is_free_as_soon_as_settings_name_another() {
    let upstream = simulator(20, 2).await;
    let text = |token: &str, window: &str| {
        let more = format!("    cache_window: {window}\n    credentials: {{ token: {token} }}\n");
        format!("accounts:\n{}", account("one", &upstream, &more))
    };
    let accounts = Accounts::new(&text("wrong", "1s"));
    let exporter = accounts.start().await;
    let is_held = |log: &str| log.contains("is held back for 15 minutes");
    let deadline = Instant::now() + crate::support::PATIENCE;
    while !is_held(&exporter.log()) {
        assert!(Instant::now() < deadline, "{}", exporter.log());
        assert_eq!(exporter.scrape().await.get("swr_up"), Some(0.0));
        let _ = exporter.reload().await;
    }
    let attempts = upstream.handle.total();
    assert_eq!(attempts, 2);
    // Other settings of the account were changed: it is built anew, and the credential is as wrong as before.
    for window in ["2s", "3s", "4s"] {
        accounts.write(&text("wrong", window));
        assert_eq!(exporter.reload().await.0, 200);
        assert_eq!(exporter.scrape().await.get("swr_up"), Some(0.0));
    }
    assert_eq!(upstream.handle.total(), attempts, "what was refused is not tried again");
    accounts.write(&text(DEMO_TOKEN, "4s"));
    assert_eq!(exporter.reload().await.0, 200);
    assert_eq!(exporter.scrape().await.get("swr_up"), Some(1.0));
    assert_eq!(upstream.handle.total(), attempts + 1);
}

#[tokio::test]
async fn the_settings_in_force_are_shown_without_secrets() {
    let upstream = simulator(20, 2).await;
    let more = "    credentials: { token: marked-secret-0 }\n    namespaces: [a, b]\n";
    let accounts =
        Accounts::new(&format!("defaults: {{ cache_window: 7m }}\naccounts:\n{}", account("one", &upstream, more)));
    let exporter = accounts.start_with(&["--swr.page-size=50"]).await;
    let shown = text(exporter.get("/config").await).await;
    for line in [
        "#   web.listen-address: [\"127.0.0.1:0\"] # --web.listen-address",
        "    cache_window: \"7m\" # ",
        "    page_size: \"50\" # --swr.page-size",
        "    namespaces: [\"a\",\"b\"] # ",
        "      # token: <secret>",
        "    # cache_max_age: 1h (default)",
    ] {
        assert!(shown.replace(", ", ",").contains(&line.replace(", ", ",")), "{line}\n---\n{shown}");
    }
    assert!(!shown.contains("marked-secret") && !exporter.log().contains("marked-secret"));
    assert!(shown.contains("accounts.yml:1: defaults.cache_window"), "{shown}");
}

#[tokio::test]
async fn an_account_that_a_cut_off_file_drops_gets_a_warning() {
    let upstream = simulator(3, 1).await;
    let one = format!("accounts:\n  one: {{ endpoint: {} }}\n", upstream.url());
    let accounts = Accounts::new(&format!("{one}  two: {{ endpoint: {} }}\n", upstream.url()));
    let exporter = accounts.start().await;
    accounts.write(&one);
    let warning = "level=warn msg=\"account two was removed from the configuration file; its series end\"";
    eventually("the warning", || exporter.log().contains(warning)).await;
}

#[tokio::test]
async fn reloads_do_not_undo_the_back_off_of_unchanged_accounts() {
    for (status, body) in [(403, Shape::Current), (404, Shape::Gateway), (500, Shape::Html)] {
        let (upstream, other) = (simulator(20, 2).await, simulator(20, 2).await);
        upstream.handle.fault(Rule::always(Action::error(status, body, "SVCSTG.SWR.4030170", "no")));
        let text = |limit: usize| {
            let more = format!("    repositories_limit: {limit}\n");
            format!("accounts:\n{}{}", account("one", &upstream, ""), account("other", &other, &more))
        };
        let accounts = Accounts::new(&text(1));
        let exporter = accounts.start().await;
        assert_eq!(exporter.probe("one").await.get("swr_up"), Some(0.0));
        let calls = upstream.handle.total();
        let start = Instant::now();
        for round in 2..=20 {
            accounts.write(&text(round));
            exporter.signal("HUP");
            eventually("it is read", || exporter.log().matches("settings reloaded").count() + 1 >= round).await;
            if start.elapsed() > Duration::from_secs(3) {
                break;
            }
            assert_eq!(exporter.probe("one").await.get("swr_up"), Some(0.0));
        }
        // The first delay is 3.75 to 5 s.
        assert_eq!(upstream.handle.total(), calls, "status {status}");
    }
}
