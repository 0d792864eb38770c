//! The demo's history in a real Prometheus, continued by the live demo.

use crate::prometheus::{Prometheus, Server, free_address};
use crate::support::{Exporter, Scrape, bare, client, done_within, send, start_as_it_is, text, until};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use tokio::process::{Child, Command};

/// Imports and rules take seconds, many more on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(300);

fn command(arguments: &[&str]) -> Command {
    let mut command = bare();
    command.arg("demo").args(["--repositories", "60", "--namespaces", "4"]).args(arguments);
    command
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The day for both commands, should midnight lie between them.
fn today() -> String {
    jiff::Timestamp::now().to_string()[..10].to_owned()
}

/// Starts a demo and writes the history that leads up to it.
async fn demo_with_history(file: &Path, days: u32) -> Exporter {
    let today = today();
    let demo = start_as_it_is(command(&["--today", &today])).await;
    let (output, history) = (file.to_str().unwrap(), format!("{days}d"));
    let arguments = ["--today", &today, "--history", &history, "--output", output, "--instance", demo.address()];
    done_within(PATIENCE, command(&arguments)).await.with(0, &[]);
    demo
}

/// The samples of each point in time, as scrapes.
fn scrapes(history: &str) -> BTreeMap<u64, Scrape> {
    let mut texts: BTreeMap<u64, String> = BTreeMap::new();
    for line in history.lines().filter(|line| !line.starts_with('#')) {
        let (sample, time) = line.rsplit_once(' ').unwrap();
        *texts.entry(time.parse().unwrap()).or_default() += &format!("{sample}\n");
    }
    texts.into_iter().map(|(time, text)| (time, Scrape::parse(text))).collect()
}

fn by_repository(scrape: &Scrape, metric: &str) -> BTreeMap<(String, String), f64> {
    let series = scrape.series(metric).iter();
    series.map(|(l, value)| ((l["namespace"].clone(), l["repository"].clone()), value.parse().unwrap())).collect()
}

#[tokio::test]
async fn the_history_leads_up_to_the_live_demo_and_has_no_date_in_its_future() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.om");
    let demo = demo_with_history(&file, 3).await;
    let history = std::fs::read_to_string(&file).unwrap();
    assert!(history.ends_with("\n# EOF\n"));
    let scrapes = scrapes(&history);
    let times: Vec<u64> = scrapes.keys().copied().collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 300) && times.len() == 3 * 288 + 1, "{times:?}");
    let dates = ["created", "updated", "newest_tag", "oldest_tag"]
        .map(|name| format!("swr_repository_{name}_timestamp_seconds"));
    for (time, scrape) in &scrapes {
        assert_eq!((scrape.get("up"), scrape.get("swr_up")), (Some(1.0), Some(1.0)));
        assert_eq!(scrape.get("swr_snapshot_timestamp_seconds"), Some(*time as f64));
        for (labels, value) in dates.iter().flat_map(|name| scrape.series(name)) {
            assert!(value.parse::<f64>().unwrap() <= *time as f64, "{labels:?}: {value} at {time}");
        }
    }
    // Nothing happens between the last sample and the first scrape but what happens in that time.
    let live = demo.scrape().await;
    let last = scrapes.values().next_back().unwrap();
    let (before, after) =
        (by_repository(last, "swr_repository_size_bytes"), by_repository(&live, "swr_repository_size_bytes"));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let same = before.iter().filter(|(key, size)| (after[*key] - **size).abs() < 1.0).count();
    assert!(same * 10 >= before.len() * 9, "{same} of {}", before.len());
    let names = |scrape: &Scrape| -> BTreeSet<String> {
        let lines = scrape
            .text
            .lines()
            .filter(|line| line.starts_with("swr_repository_") || line.starts_with("swr_namespace_"))
            // Who read images before they lost their tags knows their layers; the live demo has just started.
            .filter(|line| !line.starts_with("swr_repository_unlayered_tags{"));
        lines.map(|line| line[..line.find('{').unwrap()].to_owned()).collect()
    };
    assert_eq!(names(last), names(&live), "the last day has every family");
    let creators: BTreeSet<_> =
        last.series("swr_repository_details_info").iter().map(|(l, _)| l["creator"].clone()).collect();
    assert!(creators.len() > 4, "{creators:?}");
    let now = seconds();
    for (labels, value) in dates.iter().flat_map(|name| live.series(name)) {
        assert!(value.parse::<f64>().unwrap() <= now, "{labels:?}: {value}");
    }
}

/// `deploy/demo` while it runs.
struct Running(Child);

impl Running {
    /// Starts it on these ports, with a shorter past and shorter times.
    fn start(exporter: SocketAddr, prometheus: SocketAddr) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/demo");
        let mut command = Command::new(script);
        command.args(["--repositories", "60", "--namespaces", "4"]).env("EXPORTER", env!("CARGO_BIN_EXE_swr-exporter"));
        command.env("EXPORTER_PORT", exporter.port().to_string()).env("PROMETHEUS_PORT", prometheus.port().to_string());
        command.env("HISTORY", "10d").env("INTERVAL", "2s").env("HOLD", "4s");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Asks it to end. It ends its programs too.
    fn end(&self) {
        if let Some(id) = self.0.id() {
            send(id, "TERM");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

#[tokio::test]
async fn the_demo_of_the_readme_has_firing_growth_alerts_and_leaves_nothing_behind() {
    let (exporter, address) = (free_address(), free_address());
    let mut script = Running::start(exporter, address);
    let prometheus = Prometheus { server: Server::at(address) };
    until(PATIENCE, async || {
        assert!(script.0.try_wait().unwrap().is_none(), "it does not start");
        let answer = client().get(format!("http://{address}/-/ready")).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) { Ok(()) } else { Err("it does not start".to_owned()) }
    })
    .await;
    until(PATIENCE, async || {
        let growth = "count by (alertname) (ALERTS{alertstate='firing', alertname=~'Swr.*(Grow|LargeNew).*'})";
        let alerts: BTreeSet<_> =
            prometheus.query(growth).await.into_iter().map(|(labels, _)| labels["alertname"].clone()).collect();
        if alerts.len() >= 4 { Ok(()) } else { Err(format!("{alerts:?}")) }
    })
    .await;
    // What a user asks first: the account grew in a day, and more in a week.
    let grown = async |period: &str| {
        let query = format!("sum(swr_namespace_size_bytes) - sum(swr_namespace_size_bytes offset {period})");
        prometheus.query(&query).await[0].1
    };
    let (day, week) = (grown("1d").await, grown("1w").await);
    assert!(0.0 < day && day < week, "{day} {week}");

    script.end();
    let status = tokio::time::timeout(PATIENCE, script.0.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(143), "the code of a process that SIGTERM ended");
    for port in [exporter, address] {
        assert!(std::net::TcpStream::connect(port).is_err(), "{port} is still listened on");
    }
}

#[tokio::test]
async fn the_demo_reads_without_being_scraped_and_tells_its_settings() {
    let demo = start_as_it_is(command(&["--cache.window", "1s"])).await;
    let page = async |path: &str| text(demo.get(path).await).await;
    // Looking at the page reads nothing.
    until(PATIENCE, async || {
        let shown = page("/").await;
        if shown.contains("feature-store") { Ok(()) } else { Err(shown) }
    })
    .await;
    let discovered: serde_json::Value = serde_json::from_str(&page("/sd").await).unwrap();
    let endpoint = discovered[0]["labels"]["__meta_swr_endpoint"].as_str().unwrap();
    assert!(endpoint.starts_with("http://127.0.0.1:"), "{discovered}");
    let config = page("/config").await;
    assert!(config.contains(endpoint) && config.contains("metadata"), "{config}");
}
