//! Being stopped, at any moment, and living where descriptors are few and nobody reads the log.

use crate::accounts::Accounts;
use crate::peers::{self, SCRAPE};
use crate::state_file;
use crate::support::{
    Exporter, PATIENCE, Scrape, command, done, eventually, exporter, limited, send, simulator, start,
};
use crate::upstream_tls::authority;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use swr_simulator::{Action, Delivery, Rule, Shape};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;

/// What an operator is promised.
const MAX_STOP: Duration = Duration::from_secs(5);

/// Sends the signal and waits for an end with 0 in time.
async fn stops(exporter: &mut Exporter, signal: &str) {
    let start = Instant::now();
    exporter.signal(signal);
    let status = exporter.ended().await;
    assert_eq!(status.code(), Some(0), "{signal}: {status}\n{}", exporter.log());
    assert!(start.elapsed() <= MAX_STOP, "{signal}: {:?}", start.elapsed());
}

#[tokio::test]
async fn both_signals_drain_and_end_with_0() {
    let upstream = simulator(50, 2).await;
    for signal in ["TERM", "INT"] {
        let mut exporter = exporter(&upstream.url(), &[]).await;
        exporter.scrape_until("data", Scrape::is_up).await;
        let mut idle = peers::connect(exporter.address(), 0).await;
        idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(idle.read(&mut [0; 4096]).await.unwrap() > 0);
        let silent = peers::connect(exporter.address(), 1).await;
        stops(&mut exporter, signal).await;
        assert!(exporter.log().contains(&format!("signal=SIG{signal}")), "{}", exporter.log());
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "closed in peace");
        drop(silent);
        assert!(TcpStream::connect(exporter.address()).await.is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn a_scrape_that_waits_is_answered_when_the_exporter_stops() {
    let upstream = simulator(50, 2).await;
    upstream.handle.fault(Rule::always(Action::Deliver(Delivery::Hang)));
    let mut exporter = exporter(&upstream.url(), &[]).await;
    let waiting = tokio::spawn(peers::exchange(peers::connect(exporter.address(), 0).await, SCRAPE));
    eventually("the refresh is under way", || upstream.handle.in_flight() == 1).await;
    stops(&mut exporter, "TERM").await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(Scrape::parse(answer.text().to_owned()).get("swr_up"), Some(0.0));
    eventually("the request to the upstream is given up", || upstream.handle.in_flight() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_at_any_moment_it_ends_in_time_and_leaves_nothing_half_done() {
    let upstream = simulator(400, 4).await;
    upstream.handle.configure(|options| options.latency = Duration::from_millis(15));
    let url: Arc<str> = upstream.url().into();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50_u64 {
        let url = url.clone();
        tasks.spawn(async move {
            let folder = tempfile::tempdir().unwrap();
            let flags = ["--swr.page-size", "20", "--swr.rate-limit", "1000", "--cache.window", "100ms"];
            let flags = [&flags[..], &["--cache.directory", folder.path().to_str().unwrap()]].concat();
            let mut exporter = exporter(&url, &flags).await;
            let scrapes: Vec<_> = (0..3)
                .map(|_| {
                    let address = exporter.address().to_owned();
                    tokio::spawn(async move { peers::exchange(peers::try_connect(&address, 0).await?, SCRAPE).await })
                })
                .collect();
            // Spread evenly over a refresh and what comes after it; the machine adds its own chance.
            tokio::time::sleep(Duration::from_millis(number * 8)).await;
            stops(&mut exporter, "TERM").await;
            for scrape in scrapes {
                // Refused or reset before a byte came is fine; half a page is not.
                let Ok(Ok(answer)) = scrape.await else { continue };
                let length = answer.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                assert_eq!((answer.status(), answer.body.len().to_string().as_str()), (200, length));
                let series = Scrape::parse(answer.text().to_owned()).series("swr_repository_size_bytes").len();
                assert!(series == 0 || series == 400, "{series}");
            }
            // Panics if there is a file that is not whole.
            let _ = state_file::loaded(&folder.path().join("default.snapshot"));
        });
        while tasks.len() >= 6 {
            tasks.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn settings_that_are_being_read_do_not_hold_up_the_end() {
    let upstream = simulator(50, 2).await;
    let certificates = tempfile::tempdir().unwrap();
    let pem = authority("ours").pem;
    let one = format!("accounts:\n  one:\n    endpoint: {}\n", upstream.url());
    let accounts = Accounts::new(&one);
    let mut exporter = accounts.start().await;
    // Each account that has certificates of its own takes a while to be built; together they take much longer than the end.
    let many: String = (0..1500)
        .map(|number| {
            let file = certificates.path().join(format!("{number}.pem"));
            std::fs::write(&file, &pem).unwrap();
            format!("  many-{number}:\n    endpoint: {}\n    ca_file: {}\n", upstream.url(), file.display())
        })
        .collect();
    accounts.write(&format!("{one}{many}"));
    eventually("accounts are being built", || exporter.log().matches("collecting from").count() > 5).await;
    stops(&mut exporter, "TERM").await;
    assert!(!exporter.log().contains("1 accounts unchanged"), "it was over too soon for this test");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let upstream = simulator(20_000, 20).await;
    let mut exporter = exporter(&upstream.url(), &[]).await;
    exporter.scrape_until("data", Scrape::is_up).await;
    let _reader = peers::slow_reader(exporter.address()).await;
    // Its answer has begun once a byte of it is there; the rest finds no room.
    _reader.readable().await.unwrap();
    exporter.signal("TERM");
    eventually("it is stopping", || exporter.log().contains("stopping on SIGTERM")).await;
    let start = Instant::now();
    exporter.signal("TERM");
    assert_eq!(exporter.ended().await.code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_slow_reader_does_not_hold_up_the_end() {
    let upstream = simulator(20_000, 20).await;
    let mut exporter = exporter(&upstream.url(), &[]).await;
    exporter.scrape_until("data", Scrape::is_up).await;
    let reader = peers::slow_reader(exporter.address()).await;
    reader.readable().await.unwrap();
    stops(&mut exporter, "TERM").await;
}

/// Processor time of a process so far, in hundredths of a second.
fn processor_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn with_few_descriptors_a_flood_costs_neither_the_upstream_nor_the_processor() {
    let upstream = simulator(50, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let mut inner = command();
    inner.args(["--swr.endpoint", &upstream.url(), "--cache.window", "200ms"]);
    inner.args(["--cache.directory", folder.path().to_str().unwrap()]);
    let exporter = start(limited("ulimit -n 64", &inner)).await;
    let mut scraper = peers::connect(exporter.address(), 240).await;
    let mut scrape = async || {
        let answer = peers::ask(&mut scraper, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        Scrape::parse(answer.text().to_owned())
    };
    assert!(scrape().await.is_up());

    peers::allow_many_files();
    // Not all of them find room in the kernel's queue at once; those that do not keep knocking.
    let (address, connected) = (exporter.address().to_owned(), Arc::new(AtomicUsize::new(0)));
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (address, connected) = (address.clone(), connected.clone());
        flood.spawn(async move {
            let mut held = peers::connect(&address, number).await;
            connected.fetch_add(1, Ordering::Relaxed);
            peers::closed(&mut held).await;
        });
    }
    eventually("most are in or in the queue", || connected.load(Ordering::Relaxed) >= 80).await;
    let (files, ticks) = (exporter.open_files(), processor_ticks(exporter.pid()));
    assert!(files <= 64);
    // Meanwhile whoever is in is served, and the upstream is asked, on new connections too.
    upstream.handle.fault(Rule::always(Action::Deliver(Delivery::ThenCloseUnannounced)));
    let before = scrape().await.get("swr_snapshot_timestamp_seconds").unwrap();
    let start = Instant::now();
    let mut later = before;
    while start.elapsed() < Duration::from_secs(2) || later <= before {
        assert!(start.elapsed() < PATIENCE, "no refresh succeeds\n{}", exporter.log());
        later = scrape().await.get("swr_snapshot_timestamp_seconds").unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let spent = processor_ticks(exporter.pid()) - ticks;
    let share = spent as f64 / 100.0 / start.elapsed().as_secs_f64();
    // A tenth is allowed; the scrapes and refreshes of an unoptimised build are in it.
    assert!(share < 0.25, "{share} of a processor");
    let warnings = exporter.log().lines().filter(|line| !line.contains("level=info")).count();
    assert!(warnings <= 4, "{}", exporter.log());

    flood.shutdown().await;
    let start = Instant::now();
    let answer = peers::exchange(peers::connect(exporter.address(), 200).await, SCRAPE).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?} until a new client is served", start.elapsed());
}

/// Starts the exporter and hands over its log, read up to its address.
async fn with_log(mut command: Command) -> (tokio::process::Child, String, BufReader<tokio::process::ChildStderr>) {
    let mut process = command.args(["--web.listen-address", "127.0.0.1:0"]).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    loop {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, log.read_line(&mut line)).await.unwrap().unwrap();
        assert!(read > 0, "it ended");
        if let Some((_, address)) = line.trim().split_once("msg=listening address=") {
            return (process, address.to_owned(), log);
        }
    }
}

#[tokio::test]
async fn scrapes_go_on_when_nobody_reads_the_log() {
    peers::allow_many_files();
    let upstream = simulator(50, 2).await;
    for close in [true, false] {
        let mut command = command();
        command.args(["--swr.endpoint", &upstream.url(), "--log.level", "debug"]);
        let (mut process, address, log) = with_log(command).await;
        let log = if close { None } else { Some(log) };
        // Each connection above the bound for one address is a line: together more than a pipe holds.
        let held: Vec<TcpStream> = futures_util::future::join_all((0..128).map(|_| peers::connect(&address, 0))).await;
        for _ in 0..1500 {
            peers::closed(&mut peers::connect(&address, 0).await).await;
        }
        for _ in 0..20 {
            let start = Instant::now();
            let answer = peers::exchange(peers::connect(&address, 100).await, SCRAPE).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(Scrape::parse(answer.text().to_owned()).is_up());
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        }
        drop(held);
        let start = Instant::now();
        send(process.id().unwrap(), "TERM");
        let status = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(start.elapsed() <= MAX_STOP, "{:?}", start.elapsed());
        drop(log);
    }
}

#[tokio::test]
async fn a_failing_upstream_neither_floods_nor_forges_the_log() {
    let upstream = simulator(5, 1).await;
    let evil = "no \u{1b}[31mred\u{1b}[0m\r\nts=now level=error msg=forged \u{9b}2J \u{202e}\u{2028} \u{0} \u{7f} end";
    let mut exporter = exporter(&upstream.url(), &["--cache.window", "50ms"]).await;
    exporter.scrape_until("data", Scrape::is_up).await;
    let started = Instant::now();
    for (reason, status, code) in [("permission", 403, "SVCSTG.SWR.4030170"), ("internal", 400, evil)] {
        upstream.handle.clear_faults();
        upstream.handle.fault(Rule::always(Action::error(status, Shape::Current, code, evil)));
        let failures = |scrape: &Scrape| scrape.value("swr_refresh_failures_total", &[("reason", reason)]);
        exporter.scrape_until("many failures", |scrape| failures(scrape) > Some(8.0)).await;
    }
    stops(&mut exporter, "TERM").await;
    let log = exporter.log();
    let lines = |reason: &str| log.lines().filter(|line| line.contains(&format!("reason={reason}"))).count() as u64;
    let allowed = 1 + started.elapsed().as_secs() / 30;
    for reason in ["permission", "internal"] {
        assert!((1..=allowed).contains(&lines(reason)), "{reason}: {log}");
    }
    assert!(log.contains("suppressed=0"));
    for line in log.lines() {
        assert!(
            !line.chars().any(|character| character.is_control() || "\u{202e}\u{2028}".contains(character)),
            "{line:?}"
        );
        assert!(line.starts_with("ts=2"), "every line is one of ours: {line}");
    }
}

#[tokio::test]
async fn where_threads_cannot_be_started_that_is_said_at_the_start() {
    let upstream = simulator(3, 1).await;
    // Root is not bound by this limit, so it takes another user, whose threads are counted.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=64123", "--clear-groups", "prlimit", "--nproc=3:3", env!("CARGO_BIN_EXE_swr-exporter")]);
    command.args(["--swr.endpoint", &upstream.url(), "--web.listen-address=127.0.0.1:0"]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("SWR_EXPORTER_TOKEN", "token");
    done(command).await.with(1, &["cannot start 3 threads: raise the limit of tasks"]);
}
