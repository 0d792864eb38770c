//! The commands that need no account: `demo` and `simulate`, as a person or a script starts them.

use crate::support::{PATIENCE, Scrape, bare, client, done, exporter, send, text};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Starts a command without settings, and reads what it prints until a line holds the given text. The environment is
/// empty: nothing that is set on this machine may matter. Nor may a SIGHUP that is ignored, as below nohup.
async fn started(arguments: &[&str], until: &str) -> (Child, Vec<String>) {
    let mut process = Command::new("/usr/bin/env")
        .env_clear()
        .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_swr-exporter")])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let done = line.contains(until);
            said.push(line);
            if done {
                return;
            }
        }
        panic!("it ended without saying `{until}`");
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    (process, said)
}

/// The address in the first line that holds a text.
fn address(lines: &[String], holding: &str) -> String {
    let line = lines.iter().find(|line| line.contains(holding)).unwrap_or_else(|| panic!("{holding} in {lines:?}"));
    let start = line.find("http://").unwrap();
    line[start..].split_whitespace().next().unwrap().trim_end_matches('.').to_owned()
}

async fn end(mut process: Child, signal: &str) {
    send(process.id().unwrap(), signal);
    let status = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0), "{signal}");
}

#[tokio::test]
async fn the_demo_prints_addresses_that_work_and_ends_with_0() {
    let arguments = ["demo", "--repositories", "50", "--namespaces", "3", "--speed", "0"];
    let (process, lines) = started(&arguments, "The simulated SWR API").await;
    let metrics = address(&lines, "/metrics");
    let scrape = Scrape::parse(text(client().get(&metrics).send().await.unwrap()).await);
    assert_eq!((scrape.get("swr_up"), scrape.get("swr_repositories")), (Some(1.0), Some(50.0)));
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), 50);
    let landing = text(client().get(metrics.trim_end_matches("metrics")).send().await.unwrap()).await;
    assert!(landing.contains("50") && landing.contains("/metrics"), "{landing}");
    // The simulated service is real too, and lets nobody in without a credential.
    let upstream = address(&lines, "The simulated SWR API");
    let answer = client().get(format!("{upstream}/v2/manage/repos")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    end(process, "TERM").await;
}

#[tokio::test]
async fn the_simulator_alone_serves_an_exporter_and_ends_with_0() {
    let arguments = ["simulate", "--listen-address", "127.0.0.1:0", "--repositories", "30", "--speed", "0"];
    let (process, lines) = started(&arguments, "secret key").await;
    let exporter = exporter(&address(&lines, "http://"), &[]).await;
    let scrape = exporter.scrape().await;
    assert_eq!((scrape.get("swr_up"), scrape.get("swr_repositories")), (Some(1.0), Some(30.0)));
    end(process, "INT").await;
}

#[tokio::test]
async fn wrong_flags_end_with_2_whichever_the_command() {
    for arguments in [
        &["demo", "--cache.window", "x"][..],
        &["demo", "--cache.window", "0s"],
        &["demo", "--speed", "inf"],
        &["demo", "--speed", "1e300"],
        &["demo", "--speed=-1"],
        &["demo", "--web.listen-address", "nowhere"],
        &["demo", "--history", "30d"],
        &["demo", "--output", "x"],
        &["demo", "--history", "46d", "--output", "/dev/null"],
        &["demo", "--history", "0s", "--output", "/dev/null"],
        &["demo", "--today", "31.1.2026"],
        &["simulate", "--latency", "x"],
        &["simulate", "--speed", "nan"],
        &["simulate", "--listen-address", "http://localhost:1"],
        &["healthcheck", "--timeout", "x"],
        &["healthcheck", "--timeout", "0s"],
    ] {
        let mut command = bare();
        command.args(arguments);
        let said = done(command).await.with(2, &[]).said;
        let flag = arguments[1].split('=').next().unwrap();
        let told = [&format!("  - {flag}: "), "required arguments were not provided:\n  --"];
        assert!(told.iter().any(|told| said.contains(told)), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn the_demo_listens_where_serve_would_and_ends_with_its_terminal() {
    // A window that is longer than data is served by default.
    let small = ["demo", "--repositories", "3", "--namespaces", "1", "--cache.window", "24h"];
    let arguments = [&small[..], &["--web.listen-address", ":0"]].concat();
    let (mut process, lines) = started(&arguments, "The simulated SWR API").await;
    assert_eq!(client().get(address(&lines, "/metrics")).send().await.unwrap().status(), 200);
    send(process.id().unwrap(), "HUP");
    let status = tokio::time::timeout(PATIENCE, process.wait()).await.expect("it ends").unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(1));
}

/// Runs a command with the settings of an account, whose standard output is something else than a terminal or a file.
fn run_into(output: impl Into<Stdio>, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_swr-exporter"))
        .env_clear()
        .args(arguments)
        .stdout(output)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

const PRINTING: [&[&str]; 5] = [
    &["--help"],
    &["--version"],
    &["man"],
    &["completions", "bash"],
    &["check", "--offline", "--swr.endpoint", "http://127.0.0.1:1"],
];

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(run_into(writer, arguments), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_told_whichever_the_command() {
    for arguments in PRINTING {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = run_into(full, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.starts_with("swr-exporter: cannot write to standard output: No space"), "{arguments:?}: {said}");
    }
    let history = ["demo", "--history", "1h", "--repositories", "3", "--namespaces", "1", "--output", "/dev/full"];
    let (code, said) = run_into(Stdio::null(), &history);
    assert_eq!((code, said.contains("cannot write /dev/full: No space")), (Some(1), true), "{said}");
}
