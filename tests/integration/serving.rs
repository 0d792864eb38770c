//! The server under hundreds of attackers and a thousand scrapers. `src/web/tests` has the rules one by one.

use crate::accounts::Accounts;
use crate::peers::{self, Answer, SCRAPE};
use crate::state_file;
use crate::support::{Exporter, PATIENCE, Scrape, eventually, exporter, simulator};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use swr_simulator::{Action, Delivery, Rule, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Ten seconds for a first byte or a head, and half a second to notice.
const CLOSED_WITHIN: Duration = Duration::from_millis(10_500);

/// How late this machine wakes sleeping tasks: the error of every measured time while other processes load it.
struct Lateness {
    worst: Arc<AtomicU64>,
    _watching: JoinSet<()>,
}

impl Lateness {
    fn watch() -> Self {
        let worst = Arc::new(AtomicU64::new(0));
        let noted = worst.clone();
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            loop {
                let start = Instant::now();
                tokio::time::sleep(Duration::from_millis(10)).await;
                let late = start.elapsed().saturating_sub(Duration::from_millis(10));
                noted.fetch_max(late.as_millis().try_into().unwrap(), Ordering::Relaxed);
            }
        });
        Self { worst, _watching: watching }
    }

    fn worst(&self) -> Duration {
        Duration::from_millis(self.worst.load(Ordering::Relaxed))
    }
}

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

/// Scrapes until stopped. Returns how long each scrape took, sorted.
async fn scrape_times(exporter: &Exporter, stop: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let answer = peers::exchange(peers::connect(exporter.address(), 12_000).await, SCRAPE).await.unwrap();
        times.push(start.elapsed());
        assert_eq!(answer.status(), 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort();
    times
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
    let (lateness, stop) = (Lateness::watch(), AtomicBool::new(false));
    let attacks = async {
        let both = tokio::join!(attack(dripped.address(), drip), attack(silent.address(), say_nothing));
        stop.store(true, Ordering::Relaxed);
        both
    };
    let ((dripping, silence), times, other) =
        tokio::join!(attacks, scrape_times(&dripped, &stop), scrape_times(&silent, &stop));
    let late = lateness.worst();
    for lasted in [&dripping, &silence] {
        assert_eq!(lasted.len(), 500);
        let longest = lasted.iter().max().unwrap();
        assert!(*longest <= CLOSED_WITHIN + 2 * late, "{longest:?}, on a machine that is {late:?} late");
        assert!(lasted.iter().all(|time| *time >= Duration::from_secs(9)), "no connection is closed early");
    }
    for times in [times, other] {
        let p99 = times[times.len() * 99 / 100];
        println!("{} scrapes, p99 {p99:?}, lateness {late:?}", times.len());
        assert!(times.len() > 50);
        assert!(p99 <= Duration::from_millis(100) + 2 * late, "{p99:?}, on a machine that is {late:?} late");
    }
    let overdue = [("reason", "overdue")];
    let closed = silent.scrape().await.value("swr_exporter_connections_closed_total", &overdue);
    assert_eq!(closed, Some(500.0), "and counted");
}

/// Requests the metrics with a small receive buffer, always from the same address.
async fn slow_reader(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind((std::net::Ipv4Addr::new(127, 0, 0, 2), 0).into()).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    stream.write_all(SCRAPE.as_bytes()).await.unwrap();
    stream
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
        let stream = slow_reader(exporter.address()).await;
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

    let lateness = Lateness::watch();
    let mut slowest = Duration::ZERO;
    for _ in 0..150 {
        let stream = peers::connect(exporter.address(), 0).await;
        let start = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, peers::exchange(stream, SCRAPE)).await.unwrap().unwrap();
        slowest = slowest.max(start.elapsed());
        assert_eq!(answer.status(), 503);
        assert!(answer.head.contains("\r\nretry-after: 1\r\n"), "{}", answer.head);
    }
    println!("{growth} bytes more; 503 within {slowest:?}");
    assert!(slowest < Duration::from_millis(100) + 2 * lateness.worst(), "{slowest:?}");
    for number in 0..20 {
        let other = peers::connect(exporter.address(), 50 + number).await;
        assert_eq!(peers::exchange(other, SCRAPE).await.unwrap().status(), 200, "another address is served");
    }
    drop(readers);
    eventually("places are free again", || exporter.open_files() < 60).await;
    let refused = exporter.scrape().await.get("swr_exporter_scrapes_refused_total");
    assert_eq!(refused, Some(150.0));
}

/// Scrapes a path once. Gives the status and how long it took.
async fn scrape_path(exporter: &Exporter, number: usize, path: &str, timeout: u64) -> (u16, Duration) {
    let start = Instant::now();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n\r\n"
    );
    let answer = peers::exchange(peers::connect(exporter.address(), number).await, &request).await;
    (answer.map(|answer| answer.status()).unwrap_or_default(), start.elapsed())
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
    assert_eq!(scrape_path(&exporter, 0, "/probe?account=fine", 10).await.0, 200);

    // As documented, a scrape may take half of its interval: here 3 s of 6 s, from one address.
    let mut scrapers = JoinSet::new();
    for number in 0..HUNG {
        let exporter = exporter.clone();
        scrapers.spawn(async move {
            tokio::time::sleep(Duration::from_millis(6_000 / HUNG as u64) * u32::try_from(number).unwrap()).await;
            loop {
                let begin = Instant::now();
                let (status, _) = scrape_path(&exporter, 0, &format!("/probe?account=hung-{number}"), 3).await;
                assert_eq!(status, 200, "it says that there is no data");
                tokio::time::sleep_until(begin + Duration::from_secs(6)).await;
            }
        });
    }
    let lateness = Lateness::watch();
    let mut slowest = Duration::ZERO;
    for number in 0..500 {
        let path = ["/probe?account=fine", "/metrics"][number % 2];
        let (status, took) = scrape_path(&exporter, 50 * (number % 3), path, 10).await;
        assert_eq!(status, 200, "scrape {number} of {path}");
        slowest = slowest.max(took);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("500 scrapes, the slowest in {slowest:?}, lateness {:?}", lateness.worst());
    assert!(slowest < Duration::from_secs(1) + 2 * lateness.worst(), "{slowest:?}");
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
