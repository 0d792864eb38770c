//! One connection from accept to close: TLS, HTTP/1.1 or HTTP/2, and a close that lets the last response arrive.

use super::body::Body;
use super::drive::{ConnectionEnd, ServerStage, draining, drive};
use super::http2;
use super::metrics::Metrics;
use super::monitored_stream::{ConnectionTimer, MonitoredStream, Overdue};
use super::peer::Peer;
use super::responder::Responder;
use super::tls::{self, Handshake, Tls};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long, and how many bytes, we read after we have closed our side; see [`linger`].
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// hyper panics with a smaller buffer, in bytes.
const MIN_BUFFER: usize = 8192;

/// Serves one connection until it ends, and holds its permits until then.
pub(super) async fn run(
    socket: TcpStream,
    address: IpAddr,
    _permits: impl Send,
    responder: Arc<Responder>,
    stage: watch::Receiver<ServerStage>,
) {
    let timer = ConnectionTimer::new(Arc::clone(&responder.limits));
    let socket = MonitoredStream::new(socket, Arc::clone(&timer));
    let peer = Peer { address, certified: None };
    match responder.security().tls.clone() {
        None => http1(socket, peer, responder, &timer, stage).await,
        // Boxed: plain-text connections do not pay for the memory of TLS.
        Some(tls) => Box::pin(secured(tls, socket, peer, responder, &timer, stage)).await,
    }
}

/// Serves one TLS connection until it ends.
async fn secured(
    tls: Tls,
    socket: MonitoredStream,
    peer: Peer,
    responder: Arc<Responder>,
    timer: &Arc<ConnectionTimer>,
    mut stage: watch::Receiver<ServerStage>,
) {
    let handshake = tokio::select! {
        // Each step is boxed by itself: inline, this future would always be as large as its largest step.
        handshake = Box::pin(tls::accept(&tls, socket, timer)) => handshake,
        // No request was made yet.
        () = draining(&mut stage) => return,
    };
    match handshake {
        Handshake::Done(stream) => {
            let peer = Peer { certified: tls::client_auth(&tls, &stream), ..peer };
            drop(tls);
            timer.secured();
            if !tls::speaks_http2(&stream) {
                return Box::pin(http1(*stream, peer, responder, timer, stage)).await;
            }
            let served = Box::pin(http2::serve(*stream, peer, Arc::clone(&responder), timer, &mut stage)).await;
            if let ConnectionEnd::Overdue(overdue) = served {
                report(overdue, timer, &responder.metrics);
            }
        }
        Handshake::Failed(socket) => {
            responder.metrics.handshakes_failed.inc();
            Box::pin(linger(socket)).await;
        }
        Handshake::Overdue(overdue) => report(overdue, timer, &responder.metrics),
    }
}

/// Serves HTTP/1.1 until the connection ends.
async fn http1<S>(
    stream: S,
    peer: Peer,
    responder: Arc<Responder>,
    timer: &Arc<ConnectionTimer>,
    mut stage: watch::Receiver<ServerStage>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (limits, metrics) = (Arc::clone(&responder.limits), responder.metrics.clone());
    let request_timer = Arc::clone(timer);
    let service = service_fn(move |request: Request<Incoming>| -> BoxFuture<'static, _> {
        request_timer.answering();
        let (timer, responder, peer) = (Arc::clone(&request_timer), Arc::clone(&responder), peer.clone());
        async move {
            let response: Response<Body> = responder.answer(request, peer).await;
            Ok::<_, Infallible>(response.map(|body| body.observed(timer.sending())))
        }
        .boxed()
    });
    let mut connection = http1::Builder::new()
        // The connection timer does this: hyper's does not tell a request head from an idle connection.
        .header_read_timeout(None)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER))
        // A client that hangs up while it waits ends its connection at once. No scraper closes its sending side alone.
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    let end = drive(
        &mut connection,
        |connection, cx| connection.poll_without_shutdown(cx).map(drop),
        |connection| Pin::new(connection).graceful_shutdown(),
        || timer.due(),
        &mut stage,
    )
    .await;
    match end {
        ConnectionEnd::Drained => {}
        // Boxed: idle connections do not pay for its buffer.
        ConnectionEnd::Closed => Box::pin(linger(connection.into_parts().io.into_inner())).await,
        ConnectionEnd::Overdue(overdue) => report(overdue, timer, &metrics),
    }
}

/// Counts an overdue peer, before its connection is dropped.
fn report(overdue: Overdue, timer: &ConnectionTimer, metrics: &Metrics) {
    metrics.connections_overdue.inc();
    tracing::debug!(?overdue, "a peer took too long, its connection is closed");
    if matches!(overdue, Overdue::Stalled | Overdue::Slow | Overdue::Flood) {
        timer.abandon();
    }
}

/// Closes so that the peer gets to read the last response.
///
/// Closing a socket with unread bytes in it sends a reset, which can overtake a response such as 431 or 413. So we close our
/// side and read on for a moment.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S) {
    let rest = async {
        // Under TLS this writes, so it can block too.
        if socket.shutdown().await.is_err() {
            return;
        }
        let (mut buffer, mut read) = ([0; 2048], 0);
        while let Ok(bytes @ 1..) = socket.read(&mut buffer).await {
            read += bytes;
            if read > LINGER_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, rest).await;
}
