//! What the tests share: starting the exporter against the simulator, scraping it, reading a scrape by name and labels.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swr_simulator::{DEMO_ACCESS_KEY, DEMO_SECRET_KEY, Options, Running, Simulator};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// The longest that a state is waited for; on a loaded machine everything takes longer, and nothing waits this long for
/// nothing.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A simulated account that stands still.
pub async fn simulator(repositories: usize, namespaces: usize) -> Running {
    Simulator::start(Options { repositories, namespaces, ..Options::default() }).await.unwrap()
}

/// The exporter as a process of its own; killed when dropped.
pub struct Exporter {
    process: Child,
    address: String,
    log: Arc<Mutex<String>>,
    reading: tokio::task::JoinHandle<()>,
    client: reqwest::Client,
}

/// A command with an empty environment and no settings.
pub fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swr-exporter"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// As [`bare`], with the demo's access key.
pub fn command() -> Command {
    let mut command = bare();
    command.env("SWR_EXPORTER_ACCESS_KEY", DEMO_ACCESS_KEY).env("SWR_EXPORTER_SECRET_KEY", DEMO_SECRET_KEY);
    command
}

/// A prepared command, started by a shell that sets a limit first.
pub fn limited(limit: &str, inner: &Command) -> Command {
    let (inner, mut command) = (inner.as_std(), Command::new("sh"));
    command.args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Runs a command that ends by itself: its exit code, output and errors.
pub async fn done(command: Command) -> Ended {
    done_within(2 * PATIENCE, command).await
}

/// As [`done`], where it takes longer.
pub async fn done_within(longest: Duration, mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = tokio::time::timeout(longest, command.output()).await;
    let Output { status, stdout, stderr } = ended.expect("it ends by itself").unwrap();
    let [out, said] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    Ended { code: status.code(), out, said }
}

/// How a command ended by itself.
#[derive(Debug, PartialEq)]
pub struct Ended {
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub said: String,
}

impl Ended {
    /// Its output. It ended with 0 and complained of nothing.
    #[track_caller]
    pub fn well(self) -> String {
        assert_eq!((self.code, self.said.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// Itself. It ended with this code, and named all of this among its complaints.
    #[track_caller]
    pub fn with(self, code: i32, named: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        named.iter().for_each(|named| assert!(self.said.contains(named), "{named}\n---\n{}", self.said));
        self
    }
}

/// Replaces a file as a whole, as editors and Kubernetes do, so that nobody reads half of it.
pub fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// The blocks of a document of the checkout in this language.
pub fn blocks(document: impl AsRef<Path>, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let fence = format!("\n```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

/// Starts the exporter for an upstream with some flags more, and waits until it listens.
pub async fn exporter(upstream: &str, flags: &[&str]) -> Exporter {
    let mut command = command();
    command.args(["--swr.endpoint", upstream]).args(flags);
    start(command).await
}

/// The same with a collector, where nearly every scrape is a refresh and no rate delays a call.
pub async fn fast_exporter(upstream: &Running, collector: &[&str], flags: &[&str]) -> Exporter {
    const FAST: [&str; 4] =
        ["--cache.window=50ms", "--swr.rate-limit=10000", "--swr.burst=1000", "--collector.tags.rate-limit=10000"];
    exporter(&upstream.url(), &[&FAST, collector, flags].concat()).await
}

/// The flag of a directory for state, and the directory.
pub fn cache_directory() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let flag = format!("--cache.directory={}", directory.path().display());
    (directory, flag)
}

/// Starts a prepared command on a free port, and waits until it listens.
pub async fn start(mut command: Command) -> Exporter {
    command.args(["--web.listen-address", "127.0.0.1:0"]);
    start_as_it_is(command).await
}

/// Starts a command that says itself where to listen, and waits until it does.
pub async fn start_as_it_is(mut command: Command) -> Exporter {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let (found, address) = tokio::sync::oneshot::channel();
    let kept = log.clone();
    let reading = tokio::spawn(async move {
        let mut found = Some(found);
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, address)) = line.split_once("address=")
                && line.contains("msg=listening")
                && let Some(found) = found.take()
            {
                let _ = found.send(address.to_owned());
            }
            let mut log = kept.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    let Ok(Ok(address)) = tokio::time::timeout(PATIENCE, address).await else {
        panic!("the exporter did not start:\n{}", log.lock().unwrap());
    };
    Exporter { process, address, log, reading, client: client() }
}

/// Sends a signal, e.g. `TERM`, to a process.
pub fn send(process: u32, signal: &str) {
    let done = std::process::Command::new("kill").args([format!("-{signal}"), process.to_string()]).status();
    assert!(done.unwrap().success());
}

/// An HTTP client that goes nowhere but where it is sent.
pub fn client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().no_gzip().build().unwrap()
}

/// The whole body of an answer.
pub async fn text(mut answer: reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.unwrap() {
        body.extend_from_slice(&piece);
    }
    String::from_utf8(body).unwrap()
}

impl Exporter {
    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id().expect("the process runs")
    }

    /// An answer to GET.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    /// The page of one account.
    pub async fn probe(&self, account: &str) -> Scrape {
        let answer = self.get(&format!("/probe?account={account}")).await;
        assert_eq!(answer.status(), 200, "{account}");
        Scrape::parse(text(answer).await)
    }

    /// Lets it read its settings again: status and answer.
    pub async fn reload(&self) -> (u16, String) {
        let answer = self.client.post(format!("http://{}/-/reload", self.address)).send().await.unwrap();
        (answer.status().as_u16(), text(answer).await)
    }

    /// One scrape, as Prometheus would read it.
    pub async fn scrape(&self) -> Scrape {
        self.scrape_within(Duration::from_secs(20)).await
    }

    /// One scrape by a scraper that gives up after `timeout`.
    pub async fn scrape_within(&self, timeout: Duration) -> Scrape {
        let request = self
            .client
            .get(format!("http://{}/metrics", self.address))
            .header("x-prometheus-scrape-timeout-seconds", timeout.as_secs_f64().to_string());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Scrape::parse(text(answer).await)
    }

    /// Scrapes until the condition holds, and gives that scrape.
    pub async fn scrape_until(&self, what: &str, condition: impl Fn(&Scrape) -> bool) -> Scrape {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let scrape = self.scrape().await;
            if condition(&scrape) {
                return scrape;
            }
            if tokio::time::Instant::now() > deadline {
                panic!("not within {PATIENCE:?}: {what}\n{}\n--- log\n{}", scrape.without_repositories(), self.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Scrapes until this many refreshes have ended since the start.
    pub async fn refreshed(&self, times: f64) -> Scrape {
        let what = format!("{times} refreshes");
        self.scrape_until(&what, |scrape| scrape.get("swr_refreshes_total") >= Some(times)).await
    }

    /// Scrapes until this many more refreshes have ended.
    pub async fn refreshed_again(&self, times: f64) -> Scrape {
        let before = self.scrape().await.get("swr_refreshes_total").unwrap();
        self.refreshed(before + times).await
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal, e.g. `TERM`.
    pub fn signal(&self, name: &str) {
        send(self.pid(), name);
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.ended().await;
    }

    /// Ends it by SIGTERM, which it obeys with 0.
    pub async fn stop(&mut self) {
        self.signal("TERM");
        let status = self.ended().await;
        assert!(status.success(), "{status:?}");
    }

    /// Waits for its end; then the log is whole.
    pub async fn ended(&mut self) -> ExitStatus {
        let end = async {
            let status = self.process.wait().await.unwrap();
            // Once it was read to its end, asking again would be a panic.
            if !self.reading.is_finished() {
                (&mut self.reading).await.unwrap();
            }
            status
        };
        tokio::time::timeout(PATIENCE, end).await.expect("the exporter ends")
    }

    /// Its resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Its peak memory in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Its open file descriptors.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }
}

/// The times of the requests that an upstream received for paths with this ending.
pub fn calls(upstream: &Running, ending: &str) -> Vec<tokio::time::Instant> {
    let requests = upstream.handle.requests();
    requests.iter().filter(|request| request.path.ends_with(ending)).map(|request| request.at).collect()
}

/// Waits until a condition holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Tries something until it succeeds, and gives the result; otherwise the latest reason why it did not is shown.
pub async fn until<T>(longest: Duration, mut attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + longest;
    loop {
        match attempt().await {
            Ok(result) => return result,
            Err(reason) => assert!(tokio::time::Instant::now() < deadline, "not within {longest:?}: {reason}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asserts that `promtool check metrics` finds nothing to say about a page.
pub async fn passes_promtool(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed (Debian and Ubuntu: apt-get install prometheus)");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).await.unwrap();
    let output = promtool.wait_with_output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "promtool says:\n{said}");
}

/// A page of metrics, read by a parser of its own.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// As it came.
    pub text: String,
    series: BTreeMap<String, Vec<(Labels, String)>>,
}

/// Label names and values, unescaped.
pub type Labels = BTreeMap<String, String>;

impl Scrape {
    /// Reads text format 0.0.4, strictly: what is no comment and no sample fails the test.
    pub fn parse(text: String) -> Self {
        let mut series: BTreeMap<String, Vec<(Labels, String)>> = BTreeMap::new();
        for line in text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, labels, value) = sample(line);
            series.entry(name).or_default().push((labels, value));
        }
        Self { text, series }
    }

    /// All series of a family.
    pub fn series(&self, name: &str) -> &[(Labels, String)] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value as it is written of the one series that has these labels (and maybe others).
    pub fn raw(&self, name: &str, labels: &[(&str, &str)]) -> Option<&str> {
        let mut found = self
            .series(name)
            .iter()
            .filter(|(have, _)| labels.iter().all(|(key, value)| have.get(*key).is_some_and(|have| have == value)));
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} {labels:?} is more than one series");
        Some(value)
    }

    /// The value as a number.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.raw(name, labels).map(|value| value.parse().unwrap())
    }

    /// The value of a series without labels, or of the one there is.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.value(name, &[])
    }

    /// The sum of all series of a family.
    pub fn sum(&self, name: &str) -> f64 {
        self.series(name).iter().map(|(_, value)| value.parse::<f64>().unwrap()).sum()
    }

    /// Whether a collector is up.
    pub fn collector_up(&self, collector: &str) -> Option<f64> {
        self.value("swr_collector_up", &[("collector", collector)])
    }

    /// Whether the account is up.
    pub fn is_up(&self) -> bool {
        self.get("swr_up") == Some(1.0)
    }

    /// For messages: all but the many.
    pub fn without_repositories(&self) -> String {
        let keep = |line: &&str| !line.starts_with('#') && !line.starts_with("swr_repository_");
        self.text.lines().filter(keep).collect::<Vec<_>>().join("\n")
    }
}

fn sample(line: &str) -> (String, Labels, String) {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        return (name.to_owned(), Labels::new(), value.to_owned());
    };
    let mut labels = Labels::new();
    let mut rest = rest;
    while !rest.starts_with('}') {
        let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        let (mut value, mut end) = (String::new(), None);
        let mut characters = after.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    end = Some(at);
                    break;
                }
                '\\' => value.push(match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, other @ ('\\' | '"'))) => other,
                    other => panic!("odd escape {other:?}: {line}"),
                }),
                other => value.push(other),
            }
        }
        let end = end.unwrap_or_else(|| panic!("open label: {line}"));
        assert!(labels.insert(key.to_owned(), value).is_none(), "a label twice: {line}");
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let value = rest[1..].trim_start();
    (name.to_owned(), labels, value.to_owned())
}
