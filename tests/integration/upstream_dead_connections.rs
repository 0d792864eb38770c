//! Connections that a middlebox forgot: they exist, and nothing comes through any more. New ones work.

use crate::support::{Exporter, Scrape, bare, client, simulator, start, text};
use crate::upstream_tls::{HERE, acceptor, as_it_is, authority};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use swr_simulator::Running;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A way to an upstream that can forget the connections it has.
struct Middlebox {
    address: SocketAddr,
    opened: Arc<AtomicUsize>,
    /// Connections with a lower number are forgotten.
    forgotten: Arc<AtomicUsize>,
}

impl Middlebox {
    async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (opened, forgotten) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (count, forgets) = (opened.clone(), forgotten.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let (near_read, near_write) = stream.into_split();
                let (far_read, far_write) = TcpStream::connect(target).await.unwrap().into_split();
                tokio::spawn(pump(near_read, far_write, number, forgets.clone()));
                tokio::spawn(pump(far_read, near_write, number, forgets.clone()));
            }
        });
        Self { address, opened, forgotten }
    }

    fn forget(&self) {
        self.forgotten.store(self.opened.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Passes on what comes. On a connection that is forgotten everything is acknowledged and nothing passed on, not even its end.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: usize,
    forgotten: Arc<AtomicUsize>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if number >= forgotten.load(Ordering::Relaxed) && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    if number < forgotten.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    let _ = to.shutdown().await;
}

/// Serves the simulator by TLS and this protocol. The first connections may have no streams at all.
async fn served(upstream: &Running, protocol: &'static str, without_streams: usize) -> (SocketAddr, String) {
    let authority = authority("ours");
    let acceptor = acceptor(HERE, Some(&authority), as_it_is, protocol);
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (base, client) = (upstream.url(), client());
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, base, client) = (acceptor.clone(), base.clone(), client.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let url = format!("{base}{}", request.uri().path_and_query().unwrap());
                    let token = request.headers()["x-auth-token"].clone();
                    let sent = client.get(url).header("x-auth-token", token).send();
                    async move {
                        let body = text(sent.await.unwrap()).await;
                        Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from(body))))
                    }
                });
                let stream = TokioIo::new(stream);
                if protocol == "h2" {
                    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    builder.max_concurrent_streams(if number < without_streams { 0 } else { 100 });
                    let _ = builder.serve_connection(stream, service).await;
                } else {
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                }
            });
        }
    });
    (address, authority.pem)
}

/// An exporter with a token, to an address that is served by [`served`].
async fn exporter_to(
    upstream: &Running,
    address: SocketAddr,
    ca: &str,
    flags: &[&str],
) -> (Exporter, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, ca).unwrap();
    let mut command = bare();
    command.env("SWR_EXPORTER_TOKEN", upstream.handle.issue_token(Duration::from_secs(3600)));
    command.args(["--swr.endpoint", &format!("https://{address}"), "--swr.ca-file"]).arg(file).args(flags);
    (start(command).await, folder)
}

/// Waits for data that was read from now on. Returns how long that took, and how many refreshes failed.
async fn fresh(exporter: &Exporter) -> (Duration, f64) {
    let (now, start) = (jiff::Timestamp::now().as_second(), Instant::now());
    #[allow(clippy::cast_precision_loss, reason = "seconds of this century")]
    let is_fresh = |time: f64| time >= (now + 1) as f64;
    loop {
        let scrape = exporter.scrape_within(Duration::from_secs(2)).await;
        if scrape.get("swr_snapshot_timestamp_seconds").is_some_and(is_fresh) {
            return (start.elapsed(), scrape.sum("swr_refresh_failures_total"));
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{}", exporter.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_connection_on_which_requests_time_out_is_given_up() {
    futures_util::future::join_all(["h2", "http/1.1"].map(|protocol| async move {
        let upstream = simulator(20, 2).await;
        let (address, ca) = served(&upstream, protocol, 0).await;
        let middlebox = Middlebox::before(address).await;
        let flags = ["--cache.window", "500ms", "--swr.request-timeout", "2s"];
        let (exporter, _folder) = exporter_to(&upstream, middlebox.address, &ca, &flags).await;
        exporter.scrape_until("a good refresh", Scrape::is_up).await;
        middlebox.forget();
        let (took, failures) = fresh(&exporter).await;
        assert!(took < Duration::from_secs(10) && failures <= 1.0, "{protocol}: {took:?}, {failures} failures");
    }))
    .await;
}

#[tokio::test]
async fn a_silent_http2_connection_is_found_by_pings_and_costs_no_refresh() {
    let upstream = simulator(20, 2).await;
    let (address, ca) = served(&upstream, "h2", 0).await;
    let middlebox = Middlebox::before(address).await;
    let (exporter, _folder) = exporter_to(&upstream, middlebox.address, &ca, &["--cache.window", "500ms"]).await;
    exporter.scrape_until("a good refresh", Scrape::is_up).await;
    middlebox.forget();
    let (took, failures) = fresh(&exporter).await;
    assert!(took < Duration::from_secs(25) && failures == 0.0, "{took:?}, {failures} failures");
}

#[tokio::test]
async fn a_connection_that_never_takes_a_request_is_replaced() {
    let upstream = simulator(20, 2).await;
    let (address, ca) = served(&upstream, "h2", 1).await;
    let flags = ["--cache.window", "500ms", "--swr.request-timeout", "2s"];
    let (exporter, _folder) = exporter_to(&upstream, address, &ca, &flags).await;
    let (took, failures) = fresh(&exporter).await;
    assert!(took < Duration::from_secs(10) && failures <= 1.0, "{took:?}, {failures} failures");
}
