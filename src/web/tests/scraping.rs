//! Scrapes and routes: status, headers and body of a response.

use super::*;
use crate::exposition::{Encoding, PlainTextRoom, response};
use tokio::time::Instant;

/// The expected body of a scrape.
fn expected(server: &Server, format: Format, encoding: Encoding) -> Vec<u8> {
    response(b"live 1\n", Some(&server.page), format, encoding, &PlainTextRoom::new(0)).concat()
}

#[tokio::test]
async fn the_encoding_is_the_one_that_was_negotiated() {
    let server = Server::start(Plan::default()).await;
    let cases = [
        ("", Encoding::Identity, None),
        ("Accept-Encoding: gzip\r\n", Encoding::Gzip, Some("gzip")),
        ("Accept-Encoding: gzip;q=0\r\n", Encoding::Identity, None),
        ("Accept-Encoding: zstd\r\n", Encoding::Zstd, Some("zstd")),
        ("Accept-Encoding: \u{7f}\r\n", Encoding::Identity, None),
    ];
    for (headers, encoding, named) in cases {
        let mut answer = server.get_with("/metrics", headers).await;
        if answer.status == 400 && headers.contains('\u{7f}') {
            // hyper refuses the request.
            continue;
        }
        assert_eq!((answer.status, answer.header("content-encoding")), (200, named), "{headers}");
        assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"));
        assert!(std::mem::take(&mut answer.body) == expected(&server, Format::Text, encoding), "{headers}");
    }
    let refused = server.get_with("/metrics", "Accept-Encoding: identity;q=0\r\n").await;
    assert_eq!(refused.status, 406);
    assert_eq!(refused.header("vary"), Some("Accept, Accept-Encoding"));
    let long = format!("Accept-Encoding: {}\r\n", "gzip;q=0.5,".repeat(720));
    assert_eq!(server.get_with("/metrics", &long).await.header("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn each_format_has_its_exact_type_and_openmetrics_its_end() {
    let server = Server::start(Plan::default()).await;
    let text = server.get_with("/metrics", "Accept: text/plain;version=0.0.4\r\n").await;
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(text.body == expected(&server, Format::Text, Encoding::Identity));
    let open = server.get_with("/metrics", "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n").await;
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.body == expected(&server, Format::OpenMetrics, Encoding::Identity));
    assert!(open.body.ends_with(b"# EOF\n"));
}

/// A server with a response of 4 MiB.
async fn large(max_requests: usize) -> Server {
    let body = vec![b'#'; 4 << 20];
    let mut plan = Plan { live: Arc::new(move |_| body.clone()), ..Plan::default() };
    plan.options.max_requests = max_requests;
    Server::start(plan).await
}

/// Clients that read the head of a response and nothing more, until one is refused.
async fn slow_readers(server: &Server) -> Vec<Client> {
    let mut readers = Vec::new();
    loop {
        let mut client = server.connect_narrow().await;
        client.get("/metrics").await;
        match client.head().await.0 {
            200 => readers.push(client),
            status => {
                assert_eq!(status, 503);
                return readers;
            }
        }
    }
}

#[tokio::test]
async fn a_scrape_too_many_gets_503_at_once() {
    let server = large(3).await;
    let readers = slow_readers(&server).await;
    assert_eq!(readers.len(), 3);
    let started = Instant::now();
    let refused = server.get("/metrics").await;
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(server.metrics.scrapes_refused.get(), 2);
    assert_eq!(server.get("/-/healthy").await.status, 200, "other resources are not affected");
    drop(readers);
    soon(async { while server.get("/metrics").await.status != 200 {} }).await;
}

#[tokio::test]
async fn scrapes_that_wait_for_a_refresh_take_no_place() {
    let nothing: Scrape = Arc::new(|_| Box::pin(async { None }));
    let mut plan = Plan { accounts: 2, ..Plan::default() };
    plan.options.max_requests = 1;
    plan.second_scrape = Some(nothing);
    let server = Server::start(plan).await;
    server.gate.send_replace(false);
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(server.request("/probe?account=account-0").await);
    }
    until("all wait", || server.scrapes() == 50).await;
    for path in ["/probe?account=account-1", "/metrics"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    server.gate.send_replace(true);
    for client in &mut waiting {
        assert_eq!(client.answer().await.status, 200, "they are served one after the other");
    }
    assert_eq!(server.metrics.scrapes_refused.get(), 0);
}

#[tokio::test]
async fn invalid_timeout_headers_neither_delay_nor_panic() {
    let server = Server::start(Plan::default()).await;
    for (value, least, most) in
        [("0.001", 0.0, 0.0), ("0.6", 0.0, 0.1), ("5", 4.0, 4.5), ("1e308", 590.0, 600.0), ("soon", 9.0, 10.0)]
    {
        let header = format!("X-Prometheus-Scrape-Timeout-Seconds: {value}\r\n");
        assert_eq!(server.get_with("/metrics", &header).await.status, 200, "{value}");
        let timeout = server.timeout.borrow().as_secs_f64();
        assert!((least..=most).contains(&timeout), "{value}: {timeout}");
    }
    // A short deadline ends the wait early.
    server.gate.send_replace(false);
    let started = Instant::now();
    let answer = server.get_with("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 0.001\r\n").await;
    assert_eq!(answer.status, 200);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(server.metrics.panics.get(), 0);
}

#[tokio::test]
async fn without_data_the_live_metrics_are_the_response() {
    let nothing: Scrape = Arc::new(|_| Box::pin(async { None }));
    // Does not end by the deadline.
    let endless: Scrape = Arc::new(|_| Box::pin(std::future::pending()));
    for scrape in [nothing, endless] {
        let server = Server::start(Plan { scrape: Some(scrape), ..Plan::default() }).await;
        let headers = "X-Prometheus-Scrape-Timeout-Seconds: 0.6\r\nAccept: application/openmetrics-text\r\n";
        let answer = server.get_with("/metrics", headers).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"live 1\n# EOF\n"[..]));
    }
}

#[tokio::test]
async fn every_resource_has_its_type_and_the_common_headers() {
    let server = Server::start(Plan::default()).await;
    let metrics = server.get("/metrics?name[]=x&collect=y").await;
    assert_eq!(metrics.status, 200, "a query is ignored");
    for path in ["/-/healthy", "/-/ready"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    }
    let landing = server.get("/").await;
    assert_eq!((landing.status, landing.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(landing.header("content-security-policy"), Some("default-src 'none'"));
    assert_eq!(landing.body, b"<h1>landing</h1>");
    let missing = server.get("/nowhere").await;
    assert_eq!((missing.status, missing.body.as_slice()), (404, &b"not found\n"[..]));
    for answer in [metrics, server.get("/").await, server.get("/nowhere").await] {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn the_allowed_methods_are_told_on_request_and_to_a_wrong_one() {
    let server = Server::start(Plan::default()).await;
    let wrong = ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"].map(|method| (method, "/metrics", 405));
    let asking = ["/", "/metrics", "/nowhere", "/-/reload"].map(|path| ("OPTIONS", path, 204));
    for (method, path, status) in wrong.into_iter().chain(asking) {
        let mut client = server.connect().await;
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
        let (found, head) = client.head().await;
        let allowed = if path == "/-/reload" { "POST, PUT, OPTIONS" } else { "GET, HEAD, OPTIONS" };
        assert!(found == status && head.contains(&format!("\r\nallow: {allowed}\r\n")), "{method} {path}: {head}");
    }
    assert_eq!(server.scrapes(), 0);
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let server = Server::start(Plan::default()).await;
    for path in ["/metrics", "/", "/-/healthy", "/nowhere"] {
        let get = server.get(path).await;
        let mut client = server.connect().await;
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let (status, head) = client.head().await;
        assert_eq!(status, get.status);
        assert!(head.to_lowercase().contains(&format!("content-length: {}\r\n", get.body.len())), "{head}");
        assert_eq!(client.rest().await, b"", "{path}");
    }
}
