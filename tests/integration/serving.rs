//! The server under hundreds of attackers and a thousand scrapers. `src/web/tests` has the rules one by one.

use crate::accounts::Accounts;
use crate::peers::{self, Answer, SCRAPE};
use crate::state_file;
use crate::support::{Exporter, PATIENCE, Scrape, eventually, exporter, simulator};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use swr_simulator::{Action, Delivery, Rule, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Ten seconds for a first byte or a head, and half a second to notice.
const CLOSED_WITHIN: Duration = Duration::from_millis(10_500);

/// Connects 500 clients that each run `what` until their connection is closed. Returns how long each connection lasted.
async fn attack<F>(address: &str, what: impl Fn(TcpStream) -> F) -> Vec<Duration>
where
    F: Future<Output = Duration> + Send + 'static,
{
    let mut attackers = JoinSet::new();
    // A little below the limit of 512, so that a scraper can connect.
    for number in 0..500 {
        attackers.spawn(what(peers::connect(address, number).await));
    }
    attackers.join_all().await
}

/// Sends a header line each second, and never the end of the head.
async fn drip(mut stream: TcpStream) -> Duration {
    let start = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        let _ = writer.write_all(b"GET /metrics HTTP/1.1\r\n").await;
        loop {
            if writer.write_all(b"X-Drip: drop\r\n").await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let closed = async { while let Ok(1..) = reader.read(&mut [0; 1024]).await {} };
    tokio::select! { () = dripping => {}, () = closed => {} }
    start.elapsed()
}

async fn say_nothing(mut stream: TcpStream) -> Duration {
    peers::closed(&mut stream).await
}

/// Scrapes once, with success.
async fn scrape_well(exporter: &Exporter) {
    let answer = peers::exchange(peers::connect(exporter.address(), 12_000).await, SCRAPE).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_silent_clients_are_closed_and_do_not_delay_scrapes() {
    peers::allow_many_files();
    let upstream = simulator(100, 4).await;
    // Both attacks run at once, each on an exporter of its own: they take ten seconds on any machine.
    let (dripped, silent) = (exporter(&upstream.url(), &[]).await, exporter(&upstream.url(), &[]).await);
    for exporter in [&dripped, &silent] {
        exporter.scrape_until("data", Scrape::is_up).await;
    }
    let stop = AtomicBool::new(false);
    let attacks = async {
        let both = tokio::join!(attack(dripped.address(), drip), attack(silent.address(), say_nothing));
        stop.store(true, Ordering::Relaxed);
        both
    };
    let is_over = |_| stop.load(Ordering::Relaxed);
    let ((dripping, silence), times, other) = tokio::join!(
        attacks,
        peers::measured(is_over, async |_| scrape_well(&dripped).await),
        peers::measured(is_over, async |_| scrape_well(&silent).await)
    );
    let late = times.late.max(other.late);
    for lasted in [&dripping, &silence] {
        assert_eq!(lasted.len(), 500);
        let longest = lasted.iter().max().unwrap();
        assert!(*longest <= CLOSED_WITHIN + 2 * late, "{longest:?}, on a machine that is {late:?} late");
        assert!(lasted.iter().all(|time| *time >= Duration::from_secs(9)), "no connection is closed early");
    }
    for times in [times, other] {
        assert!(times.times.len() > 50);
        times.are_within(Duration::from_millis(100), 99);
    }
    let overdue = [("reason", "overdue")];
    let closed = silent.scrape().await.value("swr_exporter_connections_closed_total", &overdue);
    assert_eq!(closed, Some(500.0), "and counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_share_one_page_and_leave_places_to_other_addresses() {
    peers::allow_many_files();
    let upstream = simulator(30_000, 30).await;
    // Of 66 places one address gets 50.
    let exporter = exporter(&upstream.url(), &["--web.max-requests", "66"]).await;
    let scrape = exporter.scrape_until("data", Scrape::is_up).await;
    assert!(scrape.text.len() > 10 << 20, "a page of {} bytes", scrape.text.len());
    let before = exporter.resident_bytes();

    let mut readers = Vec::new();
    for _ in 0..50 {
        let stream = peers::slow_reader(exporter.address()).await;
        // Its response has begun, so it holds a place.
        tokio::time::timeout(PATIENCE, stream.readable()).await.unwrap().unwrap();
        readers.push(stream);
    }
    // A kilobyte a second, for a few seconds.
    for _ in 0..3 {
        for stream in &mut readers {
            stream.read_exact(&mut [0; 1024]).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let growth = exporter.resident_bytes().saturating_sub(before);
    assert!(growth <= 50 << 20, "{growth} bytes for 50 readers of {} bytes each", scrape.text.len());

    let refusals = peers::measured(
        |count| count == 150,
        async |_| {
            let stream = peers::connect(exporter.address(), 0).await;
            let answer = tokio::time::timeout(PATIENCE, peers::exchange(stream, SCRAPE)).await.unwrap().unwrap();
            assert_eq!(answer.status(), 503);
            assert!(answer.head.contains("\r\nretry-after: 1\r\n"), "{}", answer.head);
        },
    );
    refusals.await.are_within(Duration::from_millis(100), 100);
    for number in 0..20 {
        let other = peers::connect(exporter.address(), 50 + number).await;
        assert_eq!(peers::exchange(other, SCRAPE).await.unwrap().status(), 200, "another address is served");
    }
    drop(readers);
    eventually("places are free again", || exporter.open_files() < 60).await;
    let refused = exporter.scrape().await.get("swr_exporter_scrapes_refused_total");
    assert_eq!(refused, Some(150.0));
}

/// Scrapes a path once, and gives the status.
async fn scrape_path(exporter: &Exporter, number: usize, path: &str, timeout: u64) -> u16 {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n\r\n"
    );
    let answer = peers::exchange(peers::connect(exporter.address(), number).await, &request).await;
    answer.map(|answer| answer.status()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_region_delays_no_scrape_of_other_accounts() {
    const HUNG: usize = 100;
    peers::allow_many_files();
    let (fine, hanging) = (simulator(100, 4).await, simulator(5, 1).await);
    hanging.handle.fault(Rule::always(Action::Deliver(Delivery::Hang)));
    let account = |name: &str, upstream: &Running| format!("  {name}:\n    endpoint: {}\n", upstream.url());
    let hung: String = (0..HUNG).map(|number| account(&format!("hung-{number}"), &hanging)).collect();
    let file = format!("accounts:\n{}{hung}", account("fine", &fine));
    let exporter = Arc::new(Accounts::new(&file).start().await);
    assert_eq!(scrape_path(&exporter, 0, "/probe?account=fine", 10).await, 200);

    // As documented, a scrape may take half of its interval: here 3 s of 6 s, from one address.
    let mut scrapers = JoinSet::new();
    for number in 0..HUNG {
        let exporter = exporter.clone();
        scrapers.spawn(async move {
            tokio::time::sleep(Duration::from_millis(6_000 / HUNG as u64) * u32::try_from(number).unwrap()).await;
            loop {
                let begin = Instant::now();
                let status = scrape_path(&exporter, 0, &format!("/probe?account=hung-{number}"), 3).await;
                assert_eq!(status, 200, "it says that there is no data");
                tokio::time::sleep_until(begin + Duration::from_secs(6)).await;
            }
        });
    }
    let scrapes = peers::measured(
        |count| count == 800,
        async |number| {
            let path = ["/probe?account=fine", "/metrics"][number % 2];
            let status = scrape_path(&exporter, 50 * (number % 3), path, 10).await;
            assert_eq!(status, 200, "scrape {number} of {path}");
        },
    );
    scrapes.await.are_within(Duration::from_secs(1), 100);
    assert!(scrapers.try_join_next().is_none(), "no scrape of a hung account was refused");
    let refused = exporter.scrape().await.get("swr_exporter_scrapes_refused_total");
    assert_eq!(refused, Some(0.0));
}

/// An exporter that starts with a snapshot that is ten minutes old.
async fn expired(upstream: &Running, flags: &[&str]) -> (Exporter, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("default.snapshot");
    let keep = ["--cache.directory", folder.path().to_str().unwrap()];
    let first = exporter(&upstream.url(), &keep).await;
    first.scrape_until("data", Scrape::is_up).await;
    eventually("it is kept", || file.exists()).await;
    drop(first);
    let (loaded, origin) = state_file::loaded(&file).unwrap();
    let then = SystemTime::now() - Duration::from_secs(600);
    std::fs::write(&file, state_file::encoded(&loaded.value, origin, then)).unwrap();
    (exporter(&upstream.url(), &[&keep, flags].concat()).await, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_scrapes_of_an_expired_snapshot_cause_one_refresh_and_get_one_page() {
    let upstream = simulator(2345, 20).await;
    let flags = ["--web.max-requests", "1000", "--scrape.timeout", "60s"];
    let (exporter, _folder) = expired(&upstream, &flags).await;
    upstream.handle.clear_journal();
    // The refresh changes something, and takes long enough for every scrape to wait for it.
    upstream.handle.insert(swr_simulator::Repository::new("new", "new"));
    upstream.handle.configure(|options| options.latency = Duration::from_millis(500));
    let start = Instant::now();
    let answers: Vec<Answer> = peers::scrape_at_once(exporter.address(), 1000).await;
    println!("a thousand scrapes in {:?}", start.elapsed());
    assert_eq!(answers.len(), 1000);
    let page = answers[0].page();
    assert!(page.contains("repository=\"new\""), "the refresh was waited for");
    for answer in &answers {
        assert_eq!(answer.status(), 200);
        assert!(answer.page() == page, "everyone gets the same bytes");
    }
    assert_eq!(upstream.handle.count("/v2/manage/repos"), 3, "the pages of one listing");
    let scrape = Scrape::parse(
        peers::exchange(peers::connect(exporter.address(), 0).await, SCRAPE).await.unwrap().text().to_owned(),
    );
    assert_eq!(scrape.get("swr_refreshes_total"), Some(1.0));
    assert_eq!(scrape.value("swr_scrapes_total", &[("served", "stale")]), Some(0.0));
}
