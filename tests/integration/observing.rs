//! What users see: the dashboards' queries and the rules in a real Prometheus, and an alert in a real Alertmanager.
//!
//! The demo's world is fast, and the rules are the shipped ones with shorter times: a day takes fifteen seconds.

use crate::accounts::Accounts;
use crate::dashboards::{Chosen, DASHBOARDS};
use crate::prometheus::{Prometheus, Server};
use crate::support::{Exporter, bare, blocks, simulator, start_as_it_is, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use swr_exporter::catalog;

/// Long enough for two days of the demo on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(150);
/// Seconds that stand for a day.
const DAY: u64 = 15;
/// The shortest time in seconds: two scrapes must fit into it.
const LEAST: u64 = 3;

fn shipped(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards").join(path)).unwrap()
}

/// The text with each word that is a time changed by a function of its seconds.
fn with_times(text: &str, change: impl Fn(u64) -> u64) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut changed = String::new();
    for piece in text.split_inclusive(|c| !is_part(c)) {
        let word = piece.trim_end_matches(|c| !is_part(c));
        let (digits, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len()));
        let seconds = match unit {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3_600),
            "d" => Some(86_400),
            _ => None,
        };
        match (digits.parse::<u64>(), seconds) {
            (Ok(number), Some(seconds)) => {
                changed += &format!("{}s{}", change(number * seconds), &piece[word.len()..]);
            }
            _ => changed += piece,
        }
    }
    changed
}

async fn demo() -> Exporter {
    let mut command = bare();
    command.arg("demo").args(["--repositories", "60", "--namespaces", "4", "--cache.window", "1s"]);
    command.args(["--speed", &(86_400 / DAY).to_string()]);
    start_as_it_is(command).await
}

/// An Alertmanager that keeps alerts and tells nobody.
pub async fn alertmanager() -> Server {
    Server::start("prometheus-alertmanager", |folder, address| {
        let file = folder.join("alertmanager.yml");
        std::fs::write(&file, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").unwrap();
        vec![
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".to_owned(),
        ]
    })
    .await
}

/// A Prometheus that scrapes each second, with the shipped rules at the demo's pace.
async fn prometheus(folder: &Path, exporter: &str, alertmanager: &str) -> Prometheus {
    for file in ["thresholds.yml", "recording.yml", "alerts.yml"] {
        let mut rules = with_times(&shipped(&format!("rules/{file}")), |seconds| (seconds * DAY / 86_400).max(LEAST));
        if file == "thresholds.yml" {
            // The demo's repositories are small: a MiB.
            let growth = "swr:threshold:repository_growth_bytes\n        expr: vector(20 * 2^30)";
            assert!(rules.contains(growth));
            rules = rules.replace(growth, "swr:threshold:repository_growth_bytes\n        expr: vector(2^20)");
        }
        std::fs::write(folder.join(file), rules).unwrap();
    }
    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
         rule_files: ['{}/*.yml']\n\
         alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['{alertmanager}'] }}] }}] }}\n\
         scrape_configs:\n  - {{ job_name: swr, static_configs: [{{ targets: ['{exporter}'] }}] }}\n",
        folder.display()
    );
    Prometheus::with(&config).await
}

#[tokio::test]
async fn growth_of_the_demo_reaches_alertmanager_and_the_dashboards_show_it() {
    let (demo, alertmanager, folder) = (demo().await, alertmanager().await, tempfile::tempdir().unwrap());
    let prometheus = prometheus(folder.path(), demo.address(), &alertmanager.address).await;

    let alert = growth_alert(&alertmanager, &prometheus).await;
    let (labels, annotations) = (&alert["labels"], &alert["annotations"]);
    let name = format!("{}/{}", labels["namespace"].as_str().unwrap(), labels["repository"].as_str().unwrap());
    assert_eq!(annotations["summary"], format!("{name} grows fast"));
    let description = annotations["description"].as_str().unwrap();
    assert!(description.starts_with(&format!("{name} grew by ")), "{description}");
    assert!(description.contains(" in a day to "), "{description}");
    assert!(description.contains(" Creator: "), "{description}");
    let reason = annotations["reason"].as_str().unwrap();
    assert!(reason.contains("repository_growth_bytes (1 MiB)"), "{reason}");
    assert_eq!(annotations["runbook_url"], "docs/alerts.md#swrrepositorygrowsfast");
    let (namespace, repository) = name.split_once('/').unwrap();
    let board = format!("&var-namespace={namespace}&var-repository={}", repository.replace('/', "%2F"));
    let dashboard = annotations["dashboard_url"].as_str().unwrap();
    assert!(dashboard.starts_with("http://localhost:3000/d/swr-repository?var-job=swr&"), "{dashboard}");
    assert!(dashboard.ends_with(&board), "{dashboard}");
    assert_eq!(labels["job"], "swr");
    assert!(labels["instance"].is_null(), "replicas give one alert: {labels}");

    rules_work(&prometheus).await;
    dashboards_work(&prometheus).await;
}

/// Type and labels of every series are those of `metrics.lock`.
#[tokio::test]
async fn the_page_keeps_the_contract() {
    let demo = demo().await;
    let scrape = demo.scrape_until("tags are read", |scrape| scrape.get("swr_unique_layer_bytes").is_some()).await;
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("metrics.lock")).unwrap();
    let rows: BTreeMap<&str, Vec<&str>> = lock
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| (line.split(' ').next().unwrap(), line.split(' ').collect()))
        .collect();
    let mut seen = 0;
    for (name, kind) in scrape.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
        if name.starts_with("process_") {
            continue;
        }
        let row = rows.get(name).unwrap_or_else(|| panic!("{name} is not in metrics.lock"));
        assert_eq!(row[1], kind, "{name}");
        let locked: BTreeSet<&str> = row[3].split(',').filter(|label| *label != "-").collect();
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.to_owned() };
        for (labels, _) in scrape.series(&sample) {
            assert_eq!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), locked, "{name}");
        }
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
}

/// Waits for the alert to be active in Alertmanager.
async fn growth_alert(alertmanager: &Server, prometheus: &Prometheus) -> Value {
    until(PATIENCE, async || {
        let alerts = alertmanager.json("/api/v2/alerts", &[("active", "true")]).await;
        let mut alerts = alerts.as_array().unwrap().iter();
        if let Some(alert) = alerts.find(|alert| alert["labels"]["alertname"] == "SwrRepositoryGrowsFast") {
            return Ok(alert.clone());
        }
        let known = prometheus.server.json("/api/v1/rules", &[("type", "alert")]).await;
        Err(format!("no alert; {known}\n{}", prometheus.server.log()))
    })
    .await
}

/// The recipe of docs/high-availability.md: of two exporters with one file, each account is read by one.
#[tokio::test]
async fn sharding_by_hashmod_asks_each_account_of_one_replica() {
    let mut upstreams = Vec::new();
    let mut file = "accounts:\n".to_owned();
    for index in 0..6 {
        let upstream = simulator(10, 2).await;
        file += &format!("  account-{index}:\n    endpoint: {}\n", upstream.url());
        upstreams.push(upstream);
    }
    let accounts = Accounts::new(&file);
    let replicas = [accounts.start().await, accounts.start().await];
    let mut recipes = blocks("docs/high-availability.md", "yaml").into_iter();
    let recipe = recipes.find(|block| block.contains("hashmod")).expect("the recipe");
    let recipe =
        recipe.replace("exporter-0:10179", replicas[0].address()).replace("exporter-1:10179", replicas[1].address());
    let config = format!("global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n{recipe}");
    let prometheus = Prometheus::with(&config).await;
    prometheus.until("count by (account) (swr_repository_size_bytes{job='swr'})", 6, 10.0).await;
    prometheus.until("count by (account) (swr_up{job='swr'})", 6, 1.0).await;
    for upstream in &upstreams {
        assert_eq!(upstream.handle.count("/v2/manage/repos"), 1);
    }
}

/// No rule has an error, what should be recorded is, and nothing is said to be down or stale.
async fn rules_work(prometheus: &Prometheus) {
    let answer = prometheus.server.json("/api/v1/rules", &[]).await;
    let groups = answer["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 50, "{}", rules.len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    for record in [
        "account:swr_snapshot_timestamp_seconds:fresh",
        "account:swr_api_requests_total:rate30m",
        "account:swr_namespace_size_bytes:sum",
        "namespace:swr_namespace_downloads:max",
        "namespace:swr_namespace_size_bytes:increase1d",
        "account:swr_namespace_size_bytes:increase1d",
        "swr:measured",
        "swr:limit",
        "repository:swr_repository_size_bytes:min1d_offset1d",
        "repository:swr_repository_size_bytes:increase1d",
        "repository:swr_repository_images:increase1d",
    ] {
        assert!(!prometheus.query(record).await.is_empty(), "{record} has no series");
    }
    let down = prometheus.query("ALERTS{alertname=~'Swr(Exporter.*|.*Stale|Auth.*|Throttled|Credential.*)'}").await;
    assert!(down.is_empty(), "{down:?}");
}

/// Panels that show nothing in the demo, and why.
const EMPTY_IN_THE_DEMO: &[(&str, &str)] = &[
    ("Failed API calls", "none fails, but for tags of a repository that was deleted meanwhile"),
    ("Retries per hour", "none is needed"),
];

/// Every query is understood as it stands, and every panel has data, at the demo's pace.
async fn dashboards_work(prometheus: &Prometheus) {
    let known: BTreeSet<&str> = catalog::ALL.iter().map(|family| family.name).collect();
    let (mut queries, mut without_data) = (0, Vec::new());
    for name in DASHBOARDS {
        let file = format!("{name}.json");
        let dashboard: Value = serde_json::from_str(&shipped(&file)).unwrap();
        // A row that is folded holds its panels.
        let top = dashboard["panels"].as_array().unwrap().iter();
        let all = top.flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()));
        for panel in all.filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().unwrap();
            let mut series = 0;
            let mut exported = true;
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m");
                let query = Chosen::default().fill(&query);
                prometheus.query(&query).await;
                // A histogram's names have endings of their own.
                exported &= query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').all(|word| {
                    !word.starts_with("swr_")
                        || known.iter().any(|name| word == *name || word == format!("{name}_bucket"))
                });
                series += prometheus
                    .query(&with_times(&query, |seconds| if seconds == 300 { 10 } else { LEAST }))
                    .await
                    .len();
                queries += 1;
            }
            let expected = exported && !EMPTY_IN_THE_DEMO.iter().any(|(panel, _)| *panel == title);
            if expected && series == 0 {
                without_data.push(format!("{file}: {title}"));
            }
        }
    }
    assert!(queries > 60, "{queries}");
    assert!(without_data.is_empty(), "no data in {without_data:#?}");
}

#[test]
fn times_are_changed_and_nothing_else_is() {
    let text = "record: a:b_total:increase1d\nexpr: max_over_time(x[1d:1h] offset 1d) > time() - 172800\nfor: 10m\n";
    assert_eq!(
        with_times(text, |seconds| seconds / 60),
        "record: a:b_total:increase1d\nexpr: max_over_time(x[1440s:60s] offset 1440s) > time() - 172800\nfor: 10s\n"
    );
}
