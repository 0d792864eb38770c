//! S4, S5, S6: peers that take too long, and those that only seem to.

use super::*;
use tokio::time::Instant;

const SHORT: Duration = Duration::from_millis(300);

fn impatient() -> Plan {
    let mut plan = Plan::default();
    let limits = &mut plan.options.limits;
    (limits.first_byte, limits.header, limits.idle, limits.write_progress) = (SHORT, SHORT, SHORT, SHORT);
    plan
}

fn closed_in_time(started: Instant) {
    assert!(started.elapsed() >= SHORT - Duration::from_millis(50), "too early: {:?}", started.elapsed());
    assert!(started.elapsed() < 10 * SHORT, "too late: {:?}", started.elapsed());
}

#[tokio::test]
async fn header_dripping_clients_are_closed_in_time() {
    let server = Server::start(impatient()).await;
    let started = Instant::now();
    let mut drips = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let mut client = server.connect().await;
        drips.spawn(async move {
            client.send("GET /metrics HTTP/1.1\r\n").await;
            // Ends when the server closes: then there is something to read, and nothing else ever is.
            loop {
                let mut byte = [0];
                match tokio::time::timeout(Duration::from_millis(40), client.0.read(&mut byte)).await {
                    Err(_) => drop(client.0.write_all(b"X: y\r\n").await),
                    Ok(read) => return read.unwrap_or(0),
                }
            }
        });
    }
    assert_eq!(server.get("/metrics").await.status, 200, "others are served meanwhile");
    while let Some(read) = soon(drips.join_next()).await {
        assert_eq!(read.unwrap(), 0, "there is no answer to half a request");
    }
    closed_in_time(started);
    until("all are counted", || count(&server.tally.connections_overdue) >= 100).await;
}

#[tokio::test]
async fn silent_peers_are_closed() {
    let server = Server::start(impatient()).await;
    let started = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(server.connect().await);
    }
    assert_eq!(server.get("/metrics").await.status, 200);
    for client in &mut silent {
        assert_eq!(client.rest().await, b"");
    }
    closed_in_time(started);
}

#[tokio::test]
async fn idle_connections_are_closed_later_than_slow_heads() {
    let mut plan = impatient();
    plan.options.limits.idle = 3 * SHORT;
    let server = Server::start(plan).await;
    let mut client = server.connect().await;
    client.send("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    tokio::time::sleep(2 * SHORT).await;
    client.send("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200, "the connection is kept between scrapes");
    let started = Instant::now();
    client.send("GET ").await;
    assert_eq!(client.rest().await, b"");
    closed_in_time(started);

    let mut client = server.connect().await;
    client.send("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.answer().await;
    let started = Instant::now();
    assert_eq!(client.rest().await, b"");
    assert!(started.elapsed() > 2 * SHORT);
}

#[tokio::test]
async fn a_scrape_that_waits_for_a_refresh_is_not_the_peers_fault() {
    let server = Server::start(impatient()).await;
    server.gate.send_replace(false);
    let mut client = server.connect().await;
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(4 * SHORT).await;
    server.gate.send_replace(true);
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(count(&server.tally.connections_overdue), 0);
}

#[tokio::test]
async fn readers_that_take_nothing_are_closed() {
    let body = vec![b'#'; 4 << 20];
    let plan = Plan { live: Arc::new(move |_| body.clone()), ..impatient() };
    let server = Server::start(plan).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect_narrow().await;
        client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
        clients.push(client);
    }
    until("all are closed", || count(&server.tally.connections_overdue) == 8).await;
    for client in &mut clients {
        assert!(client.rest().await.len() < 4 << 20, "the answer was cut off");
    }
}

#[tokio::test]
async fn readers_that_take_little_are_closed_too() {
    let body = vec![b'#'; 4 << 20];
    let mut plan = Plan { live: Arc::new(move |_| body.clone()), ..Plan::default() };
    plan.options.limits.response_total = 2 * SHORT;
    let server = Server::start(plan).await;
    let mut client = server.connect_narrow().await;
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let started = Instant::now();
    let mut buffer = [0; 1024];
    while let Ok(1..) = soon(client.0.read(&mut buffer)).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(started.elapsed() >= SHORT && started.elapsed() < 20 * SHORT, "{:?}", started.elapsed());
    assert_eq!(count(&server.tally.connections_overdue), 1);
}

#[tokio::test]
async fn a_peer_that_sends_requests_and_reads_nothing_gets_few_answers() {
    let server = Server::start(impatient()).await;
    let mut client = server.connect_narrow().await;
    // Were the next request read before the last answer is flushed, such a peer would fill our memory.
    let requests = "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    let flood = async { while client.0.write_all(requests.as_bytes()).await.is_ok() {} };
    soon(flood).await;
    assert!(server.scrapes() < 2000, "{} answers were made", server.scrapes());
}
