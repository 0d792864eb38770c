//! Peers that are too slow, and peers that only seem to be.

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
async fn idle_connections_are_closed_later_than_slow_heads() {
    let mut plan = impatient();
    plan.options.limits.idle = 3 * SHORT;
    let server = Server::start(plan).await;
    let mut client = server.request("/-/healthy").await;
    assert_eq!(client.answer().await.status, 200);
    tokio::time::sleep(2 * SHORT).await;
    client.get("/-/healthy").await;
    assert_eq!(client.answer().await.status, 200, "the connection is kept between scrapes");
    let started = Instant::now();
    client.send("GET ").await;
    assert_eq!(client.rest().await, b"");
    closed_in_time(started);

    let mut client = server.request("/-/healthy").await;
    client.answer().await;
    let started = Instant::now();
    assert_eq!(client.rest().await, b"");
    assert!(started.elapsed() > 2 * SHORT);
}

#[tokio::test]
async fn readers_that_stall_are_closed() {
    let body = vec![b'#'; 4 << 20];
    let plan = Plan { live: Arc::new(move |_| body.clone()), ..impatient() };
    let server = Server::start(plan).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect_narrow().await;
        client.get("/metrics").await;
        clients.push(client);
    }
    until("all are closed", || server.metrics.connections_overdue.get() == 8).await;
    for client in &mut clients {
        assert!(client.rest().await.len() < 4 << 20, "the answer was cut off");
    }
}

#[tokio::test]
async fn a_peer_that_sends_requests_and_reads_nothing_gets_few_answers() {
    let server = Server::start(impatient()).await;
    let mut client = server.connect_narrow().await;
    // If the next request were read before the last response is flushed, such a peer would fill our memory.
    let requests = "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    let flood = async { while client.0.write_all(requests.as_bytes()).await.is_ok() {} };
    soon(flood).await;
    assert!(server.scrapes() < 2000, "{} answers were made", server.scrapes());
}
