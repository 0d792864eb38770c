//! A real Prometheus scrapes the exporter in both formats and stores the values of the API.

use crate::support::{Exporter, Scrape, client, exporter, simulator, text, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swr_simulator::Repository;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// The longest wait for a state: start, first scrapes and an evaluation of rules take seconds, more on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An address that nobody listened on a moment ago.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A server of another program on a free port; killed when dropped.
pub struct Server {
    _process: Option<Child>,
    folder: TempDir,
    pub address: String,
    client: reqwest::Client,
}

impl Server {
    /// Starts the program with flags made from its folder and address, and waits until it is ready.
    pub async fn start(program: &str, flags: impl Fn(&Path, SocketAddr) -> Vec<String>) -> Self {
        let mut said = String::new();
        // It cannot choose a free port itself, and the chosen one may be taken before it listens.
        for _ in 0..5 {
            match Self::try_start(program, free_address(), &flags).await {
                Ok(server) => return server,
                Err(log) => said = log,
            }
        }
        panic!("{program} ends at once, five times; the last time it said\n{said}");
    }

    /// As [`Self::start`], on this address; an error is the log of a program that ends at once.
    pub async fn try_start(
        program: &str,
        address: SocketAddr,
        flags: impl Fn(&Path, SocketAddr) -> Vec<String>,
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut process = Command::new(program)
            .args(flags(folder.path(), address))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
        let client = client();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while process.try_wait().unwrap().is_none() {
            let log = || std::fs::read_to_string(&log).unwrap();
            assert!(tokio::time::Instant::now() < deadline, "{program} does not become ready:\n{}", log());
            let ready = client.get(format!("http://{address}/-/ready")).send().await;
            if ready.is_ok_and(|answer| answer.status() == 200) {
                return Ok(Self { _process: Some(process), folder, address: address.to_string(), client });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(std::fs::read_to_string(&log).unwrap())
    }

    /// One that another program started, with an empty log.
    pub fn at(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("log"), "").unwrap();
        Self { _process: None, folder, address: address.to_string(), client: client() }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Gets a JSON document from its API.
    pub async fn json(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&format!("http://{}{path}", self.address)).unwrap();
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, value);
        }
        serde_json::from_str(&text(self.client.get(url).send().await.unwrap()).await).unwrap()
    }
}

/// A Prometheus server.
pub struct Prometheus {
    pub server: Server,
}

impl Prometheus {
    /// Starts one that scrapes each address at this interval, under the given job name.
    pub async fn start(interval: &str, jobs: &[(&str, &str)]) -> Self {
        let mut config =
            format!("global: {{ scrape_interval: {interval}, scrape_timeout: {interval} }}\nscrape_configs:\n");
        for (name, address) in jobs {
            config += &format!("  - {{ job_name: {name}, static_configs: [{{ targets: ['{address}'] }}] }}\n");
        }
        Self::with(&config).await
    }

    /// Starts one with this configuration file.
    pub async fn with(config: &str) -> Self {
        let server = Server::start("prometheus", |folder, address| {
            let file = folder.join("prometheus.yml");
            std::fs::write(&file, config).unwrap();
            vec![
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", folder.join("data").display()),
                format!("--web.listen-address={address}"),
                "--log.level=warn".to_owned(),
            ]
        });
        Self { server: server.await }
    }

    /// Starts one that scrapes nothing and has a history, with at least a sample an hour.
    pub async fn with_history(openmetrics: &str) -> Self {
        let server = Server::start("prometheus", |folder, address| {
            let (config, history) = (folder.join("prometheus.yml"), folder.join("history.om"));
            std::fs::write(&config, "").unwrap();
            std::fs::write(&history, openmetrics).unwrap();
            let output = std::process::Command::new("promtool")
                .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=800h"])
                .args([history, folder.join("data")])
                .output();
            let output = output.expect("promtool runs; tests/run installs it");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            vec![
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", folder.join("data").display()),
                "--storage.tsdb.retention.time=100y".to_owned(),
                "--query.lookback-delta=59m".to_owned(),
                format!("--web.listen-address={address}"),
                "--log.level=warn".to_owned(),
            ]
        });
        Self { server: server.await }
    }

    /// The result of an instant query.
    pub async fn query(&self, expression: &str) -> Vec<(BTreeMap<String, String>, f64)> {
        let answer = self.server.json("/api/v1/query", &[("query", expression)]).await;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let sample = |sample: &Value| {
            let labels = sample["metric"].as_object().unwrap().iter();
            let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
            (labels, sample["value"][1].as_str().unwrap().parse().unwrap())
        };
        answer["data"]["result"].as_array().unwrap().iter().map(sample).collect()
    }

    /// Repeats a query until it gives this number of samples, each with this value.
    pub async fn until(&self, expression: &str, samples: usize, value: f64) {
        until(PATIENCE, async || {
            let found = self.query(expression).await;
            if found.len() == samples && found.iter().all(|(_, found)| *found == value) {
                return Ok(());
            }
            Err(format!("{expression} is {found:?} and not {samples} x {value}"))
        })
        .await;
    }
}

/// A proxy between Prometheus and the exporter that asks for the text format and records the content types.
async fn text_only(exporter: &Exporter) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, to) = (listener.local_addr().unwrap().to_string(), exporter.address().to_owned());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let types = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match client.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let head = String::from_utf8(head).unwrap();
            let kept = head.lines().filter(|line| !line.is_empty()).filter(|line| {
                let line = line.to_ascii_lowercase();
                !line.starts_with("accept:") && !line.starts_with("connection:")
            });
            let mut request = kept.collect::<Vec<_>>().join("\r\n");
            request += "\r\nAccept: text/plain;version=0.0.4\r\nConnection: close\r\n\r\n";
            let mut server = TcpStream::connect(&to).await.unwrap();
            server.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).await.unwrap();
            let head = String::from_utf8_lossy(&answer[..answer.len().min(2000)]).to_ascii_lowercase();
            types
                .lock()
                .unwrap()
                .extend(head.lines().find(|line| line.starts_with("content-type:")).map(str::to_owned));
            // Prometheus may have given up on it.
            let _ = client.write_all(&answer).await;
        }
    });
    (address, seen)
}

#[tokio::test]
async fn prometheus_stores_the_values_of_the_api_from_both_formats() {
    let upstream = simulator(230, 6).await;
    upstream.handle.insert(Repository { size: 5, ..Repository::new("odd", "a\\\"b\n/\u{fc}") });
    let exporter = exporter(&upstream.url(), &["--cache.window", "1m"]).await;
    let scrape = exporter.scrape().await;
    let samples = scrape.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    let (text_address, types) = text_only(&exporter).await;
    let prometheus = Prometheus::start("1s", &[("default", exporter.address()), ("text", &text_address)]).await;

    prometheus.until("up", 2, 1.0).await;
    prometheus.until("swr_up", 2, 1.0).await;
    prometheus.until("count by (job) (swr_repository_size_bytes)", 2, 231.0).await;
    prometheus.until("swr_repositories", 2, 231.0).await;

    for job in ["default", "text"] {
        let truth = upstream.handle.repositories();
        let found = prometheus.query(&format!("swr_repository_size_bytes{{job='{job}'}}")).await;
        let found: BTreeMap<_, _> = found
            .iter()
            .map(|(labels, size)| ((labels["namespace"].as_str(), labels["repository"].as_str()), *size))
            .collect();
        assert_eq!(found.len(), truth.len());
        for repository in &truth {
            let key = (repository.namespace.as_str(), repository.name.as_str());
            assert_eq!(found[&key], repository.size as f64, "{job}: {key:?}");
        }
    }

    nothing_refused(&prometheus, samples).await;
    let asked_for_text = types.lock().unwrap().clone();
    assert!(!asked_for_text.is_empty() && asked_for_text.iter().all(|line| line.contains("text/plain; version=0.0.4")));
    assert_eq!(upstream.handle.count("/v2/manage/repos"), 1, "however often it is scraped");
}

#[tokio::test]
async fn prometheus_takes_300_000_series_from_both_formats_and_drops_none() {
    let upstream = simulator(50_000, 100).await;
    let exporter = exporter(&upstream.url(), &["--cache.window", "1h", "--cache.max-age", "2h"]).await;
    let up = exporter.scrape_until("the large account is read", Scrape::is_up).await;
    let samples = up.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    assert!(samples > 300_000);
    let (text_address, types) = text_only(&exporter).await;
    let prometheus = Prometheus::start("8s", &[("default", exporter.address()), ("text", &text_address)]).await;
    prometheus.until("up", 2, 1.0).await;
    prometheus.until("count by (job) ({__name__=~'swr_repository_.+'})", 2, 300_000.0).await;
    nothing_refused(&prometheus, samples).await;
    assert!(!types.lock().unwrap().is_empty());
}

/// Asserts that Prometheus stored every sample: no duplicate, none out of order or bounds, none relabelled away.
async fn nothing_refused(prometheus: &Prometheus, samples: usize) {
    prometheus.until("scrape_samples_scraped - scrape_samples_post_metric_relabeling", 2, 0.0).await;
    let scraped = prometheus.query("scrape_samples_scraped").await;
    for (labels, scraped) in &scraped {
        // A few series may have come since: the first call of an operation adds one to its counter.
        assert!((samples as f64..samples as f64 + 20.0).contains(scraped), "{labels:?}: {scraped} of {samples}");
    }
    let own = text(client().get(format!("http://{}/metrics", prometheus.server.address)).send().await.unwrap()).await;
    let refused: Vec<&str> =
        own.lines().filter(|line| line.starts_with("prometheus_target_scrapes_") && !line.ends_with(" 0")).collect();
    assert!(refused.is_empty(), "{refused:?}");
}
