//! Malformed and oversized requests, and too many connections.

use super::*;

/// The status of one request, and whether the connection is closed after it.
async fn status_and_end(server: &Server, request: &[u8]) -> (u16, bool) {
    let mut client = server.connect().await;
    // The server may stop reading before all is sent.
    let _ = client.0.write_all(request).await;
    let (status, head) = client.head().await;
    (status, head.to_ascii_lowercase().contains("connection: close"))
}

#[tokio::test]
async fn request_limits() {
    let server = Server::start(Plan::default()).await;
    let get = |headers: &str| format!("GET /-/healthy HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let cases = [
        ("100 headers", get(&"X: y\r\n".repeat(99)), &[200][..]),
        ("101 headers", get(&"X: y\r\n".repeat(100)), &[431]),
        ("a header of 64 kB", get(&format!("X: {}\r\n", "y".repeat(64 * 1024))), &[431]),
        ("a head without an end", format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(64 * 1024)), &[431]),
        // The size of the head is limited before it is parsed.
        ("a URI of 70 kB", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)), &[414, 431]),
        ("a huge body", get("Content-Length: 1000000000\r\n"), &[413]),
        ("a huge body, asked for", get("Content-Length: 1000000000\r\nExpect: 100-continue\r\n"), &[413]),
        ("a small body", format!("{}hello", get("Content-Length: 5\r\n")), &[200]),
        ("an endless body", format!("{}5\r\nhello\r\n", get("Transfer-Encoding: chunked\r\n")), &[200]),
        ("HTTP/0.9", "GET /-/healthy\r\n\r\n".to_owned(), &[400]),
        ("HTTP/1.0", "GET /-/healthy HTTP/1.0\r\n\r\n".to_owned(), &[200]),
        ("HTTP/3", "GET /-/healthy HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), &[400]),
        ("no host", "GET /-/healthy HTTP/1.1\r\n\r\n".to_owned(), &[400]),
        ("two hosts", get("Host: b\r\n"), &[400]),
        ("absolute form", "GET http://a/-/healthy HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[200]),
        ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[405]),
        ("OPTIONS", "OPTIONS / HTTP/1.0\r\n\r\n".to_owned(), &[204]),
        ("OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[204]),
        ("TRACE", "TRACE /metrics HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[405]),
        ("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &[400]),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned(), &[400]),
    ];
    for (what, request, expected) in cases {
        let (status, closes) = status_and_end(&server, request.as_bytes()).await;
        assert!(expected.contains(&status), "{what}: {status}");
        let must_close = status == 413 || status == 431 || status == 400 || what.contains("body");
        assert!(closes || !must_close, "{what}: {status}, kept open");
    }
}

#[tokio::test]
async fn an_answer_to_a_request_that_is_still_being_sent_arrives() {
    let server = Server::start(Plan::default()).await;
    let mut client = server.connect().await;
    client.send("GET /-/healthy HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n").await;
    client.send(vec![b'x'; 100_000]).await;
    let mut all = String::new();
    soon(client.0.read_to_string(&mut all)).await.expect("an end, not a reset");
    assert!(all.starts_with("HTTP/1.1 413 ") && all.ends_with("no resource takes a body\n"), "{all}");
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_waits_gives_its_connection_back_at_once() {
    let mut plan = Plan::default();
    plan.options.limits.connections = 2;
    let server = Server::start(plan).await;
    server.gate.send_replace(false);
    for round in 1..=5 {
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut client = server.connect().await;
            client.send("GET /metrics HTTP/1.1\r\nHost: a\r\nX-Prometheus-Scrape-Timeout-Seconds: 600\r\n\r\n").await;
            waiting.push(client);
        }
        until("both wait", || server.scrapes() == 2 * round).await;
        drop(waiting);
    }
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.metrics.connections_overdue.get(), 0);
}
