//! More connections than the limits allow, and thousands of idle ones.

use crate::peers::{self, Measured, SCRAPE};
use crate::support::{Exporter, Scrape, exporter, simulator};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n";
const MIB: u64 = 1 << 20;

/// Each test needs more than half of the file descriptors that a process usually has.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The longest queue of a listening socket on this system.
fn system_backlog() -> usize {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap()
}

/// Scrapes two hundred times, one after the other.
async fn scrapes(exporter: &Exporter) -> Measured {
    let scrape = async |_| {
        let answer = peers::exchange(peers::connect(exporter.address(), 12_000).await, SCRAPE).await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    peers::measured(|count| count == 200, scrape).await
}

/// A connection that has had one response and stays open.
async fn idle(address: &str, number: usize) -> TcpStream {
    let mut stream = peers::connect(address, number).await;
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 512];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_and_a_thousand_that_drip_are_borne() {
    let _alone = ONE_AT_A_TIME.lock().await;
    peers::allow_many_files();
    let upstream = simulator(100, 4).await;
    let flags = ["--web.max-connections=20000", "--web.max-connections-per-address=20000"];
    let exporter = exporter(&upstream.url(), &flags).await;
    exporter.scrape_until("data", Scrape::is_up).await;
    let before = exporter.resident_bytes();
    let mut connecting = JoinSet::new();
    for worker in 0..20 {
        let address = exporter.address().to_owned();
        connecting.spawn(async move {
            let mut streams = Vec::new();
            for number in 0..500 {
                streams.push(idle(&address, worker * 500 + number).await);
            }
            streams
        });
    }
    let held = connecting.join_all().await;
    assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 10_000);
    let (files, idle_bytes) = (exporter.open_files(), exporter.resident_bytes());
    assert!(files > 10_000, "all are held, not only accepted: {files}");
    let quiet = scrapes(&exporter).await;

    let mut dripping = Vec::new();
    for number in 0..1000 {
        let mut stream = peers::connect(exporter.address(), number).await;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX-Drip: ").await.unwrap();
        dripping.push(stream);
    }
    let drips = async {
        loop {
            for stream in &mut dripping {
                let _ = stream.write_all(b"d").await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let attacked = tokio::select! {
        () = drips => unreachable!("drips have no end"),
        scrapes = scrapes(&exporter) => scrapes,
    };
    let after = exporter.resident_bytes();
    println!(
        "10,000 idle: {} MiB more, {} bytes each; with 1,000 dripping {} MiB in all",
        (idle_bytes - before) / MIB,
        (idle_bytes - before) / 10_000,
        after / MIB
    );
    assert!(idle_bytes - before <= 160 * MIB);
    assert!(after < 150 * MIB, "{} MiB", after / MIB);
    [quiet, attacked].iter().for_each(|scrapes| scrapes.are_within(Duration::from_secs(1), 99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connection_attempts_cost_as_much_as_five_hundred() {
    let _alone = ONE_AT_A_TIME.lock().await;
    peers::allow_many_files();
    let upstream = simulator(100, 4).await;
    let exporter = exporter(&upstream.url(), &[]).await;
    exporter.scrape_until("data", Scrape::is_up).await;
    let (files, bytes) = (exporter.open_files(), exporter.resident_bytes());
    let mut crowd = JoinSet::new();
    for number in 0..10_000 {
        let address = exporter.address().to_owned();
        crowd.spawn(async move {
            // Beyond the kernel's queue, no connection is established.
            let connected = tokio::time::timeout(Duration::from_secs(5), peers::try_connect(&address, number)).await;
            let Ok(Ok(mut stream)) = connected else { return None };
            let _ = stream.write_all(REQUEST).await;
            Some(stream)
        });
    }
    let (mut most_files, mut most_bytes, mut held) = (0, 0, Vec::new());
    while let Some(connected) = crowd.join_next().await {
        held.extend(connected.unwrap());
        if held.len() % 100 == 0 {
            most_files = most_files.max(exporter.open_files());
            most_bytes = most_bytes.max(exporter.resident_bytes());
        }
    }
    let (grown, more) = (most_bytes.saturating_sub(bytes), most_files - files);
    println!("{} connected, {more} files and {} KiB more at the most", held.len(), grown / 1024);
    // The connections that are served, and those in the kernel's queue.
    let waiting = system_backlog().min(1024);
    assert!(held.len() >= 512 + waiting, "{} connected", held.len());
    assert!((400..=512 + 16).contains(&more), "{more} files more");
    assert!(grown <= 12 * MIB, "{} KiB more", grown / 1024);
    drop(held);
    let began = Instant::now();
    let answer = peers::exchange(peers::connect(exporter.address(), 12_400).await, SCRAPE).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(began.elapsed() < Duration::from_secs(5), "a scrape after the crowd took {:?}", began.elapsed());
    println!("a scrape after the crowd: {:?}", began.elapsed());
}
