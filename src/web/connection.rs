//! One connection: hyper within the guard, and an end that lets the last answer through.

use super::body::Body;
use super::client_certificates::Clients;
use super::http2;
use super::monitored_stream::{ConnectionTimer, MonitoredStream, Overdue, Watchdog};
use super::respond::Responder;
use super::tls::{self, Handshake, Tls};
use super::{Limits, Tally};
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
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long, and for how many bytes, a closed connection is still read, see [`linger`].
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// hyper panics below it.
const LEAST_BUFFER: usize = 8192;

/// Whether the server is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Requests are answered.
    Serving,
    /// The answer that is open is the last.
    Draining,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its address; of IPv6 the /64 that it is in.
    pub(super) address: IpAddr,
    /// What was asked of clients when it showed a certificate that was good enough; `None`: it has shown none.
    pub(super) certified: Option<Arc<Clients>>,
}

/// How a connection came to its end.
pub(super) enum End {
    /// By HTTP's rules, or by an error of the peer.
    Done,
    /// The peer took too long.
    Overdue(Overdue),
}

/// Serves one connection until it ends, and holds what makes up its place until then.
pub(super) async fn run(
    socket: TcpStream,
    address: IpAddr,
    _place: impl Send,
    responder: Arc<Responder>,
    limits: Arc<Limits>,
    tally: Arc<Tally>,
    stage: watch::Receiver<Stage>,
) {
    let clock = ConnectionTimer::new(Arc::clone(&limits));
    let socket = MonitoredStream::new(socket, Arc::clone(&clock));
    let peer = Peer { address, certified: None };
    match responder.security().tls.clone() {
        None => http1(socket, peer, responder, &limits, &tally, &clock, stage).await,
        // Apart: what this needs, connections in plain text do not have to hold.
        Some(tls) => Box::pin(secured(tls, socket, peer, responder, &limits, &tally, &clock, stage)).await,
    }
}

/// Serves one connection under TLS until it ends.
#[expect(clippy::too_many_arguments, reason = "all that one connection has, handed on once")]
async fn secured(
    tls: Tls,
    socket: MonitoredStream,
    peer: Peer,
    responder: Arc<Responder>,
    limits: &Arc<Limits>,
    tally: &Tally,
    clock: &Arc<ConnectionTimer>,
    mut stage: watch::Receiver<Stage>,
) {
    let handshake = tokio::select! {
        // Each step on the heap by itself: together they would be as large as the largest, for as long as this lives.
        handshake = Box::pin(tls::accept(&tls, socket, clock)) => handshake,
        // Nothing was asked yet.
        _ = stage.wait_for(|stage| *stage == Stage::Draining) => return,
    };
    let peer = match &handshake {
        Handshake::Done(stream) => Peer { certified: tls::certified(&tls, stream), ..peer },
        _ => peer,
    };
    drop(tls);
    match handshake {
        Handshake::Done(stream) => {
            clock.secured();
            if !tls::speaks_http2(&stream) {
                return Box::pin(http1(*stream, peer, responder, limits, tally, clock, stage)).await;
            }
            let served = Box::pin(http2::serve(*stream, peer, responder, limits, clock, &mut stage)).await;
            if let (End::Overdue(overdue), _) = served {
                report(overdue, clock, tally);
            }
        }
        Handshake::Failed(socket) => {
            Tally::add(&tally.handshakes_failed);
            Box::pin(linger(socket)).await;
        }
        Handshake::Overdue(overdue) => report(overdue, clock, tally),
    }
}

/// Serves HTTP/1.1 until the connection ends.
async fn http1<S>(
    stream: S,
    peer: Peer,
    responder: Arc<Responder>,
    limits: &Arc<Limits>,
    tally: &Tally,
    clock: &Arc<ConnectionTimer>,
    mut stage: watch::Receiver<Stage>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let told = Arc::clone(clock);
    let service = service_fn(move |request: Request<Incoming>| -> BoxFuture<'static, _> {
        told.answering();
        let (told, responder, peer) = (Arc::clone(&told), Arc::clone(&responder), peer.clone());
        async move {
            let response: Response<Body> = responder.answer(request, peer).await;
            Ok::<_, Infallible>(response.map(|body| body.watched(told.sending())))
        }
        .boxed()
    });
    let mut connection = http1::Builder::new()
        // The guard sees to that: this would not tell a head from an idle connection, and take memory for each.
        .header_read_timeout(None)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
        // A peer that has said all it wants to say may still listen.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let (end, draining) = drive(
        &mut connection,
        |connection, cx| connection.poll_without_shutdown(cx).map(drop),
        |connection| Pin::new(connection).graceful_shutdown(),
        || clock.due(),
        &mut stage,
    )
    .await;
    match end {
        End::Done if draining => {}
        // Apart, as it is below: its buffer is not to be held by a connection that idles.
        End::Done => Box::pin(linger(connection.into_parts().io.into_inner())).await,
        End::Overdue(overdue) => report(overdue, clock, tally),
    }
}

/// Goes on with a connection until it ends or its peer is overdue, and asks it to end once the server stops. Gives also
/// whether it was asked.
pub(super) async fn drive<C>(
    connection: &mut C,
    mut poll: impl FnMut(&mut C, &mut Context<'_>) -> Poll<()>,
    stop: impl Fn(&mut C),
    due: impl Fn() -> Option<(Instant, Overdue)>,
    stage: &mut watch::Receiver<Stage>,
) -> (End, bool) {
    let mut watchdog = Watchdog::new();
    let mut draining = false;
    loop {
        let ended = std::future::poll_fn(|cx| {
            if poll(connection, cx).is_ready() {
                return Poll::Ready(End::Done);
            }
            watchdog.poll(cx, due()).map(End::Overdue)
        });
        let ended = tokio::select! {
            end = ended => Some(end),
            // An error means that the server is gone, which is the same.
            _ = stage.wait_for(|stage| *stage == Stage::Draining), if !draining => None,
        };
        match ended {
            Some(end) => return (end, draining),
            None => {
                draining = true;
                stop(connection);
            }
        }
    }
}

/// Notes that a peer took too long. The connection is yet to be dropped.
fn report(overdue: Overdue, clock: &ConnectionTimer, tally: &Tally) {
    Tally::add(&tally.connections_overdue);
    tracing::debug!(?overdue, "a peer took too long, its connection is closed");
    if matches!(overdue, Overdue::Stalled | Overdue::Slow | Overdue::Flood) {
        clock.abandon();
    }
}

/// Closes so that the peer gets to read the last answer.
///
/// Closing a socket with unread bytes in it sends a reset, which can overtake an answer such as 431 or 413. So we
/// say that nothing more comes, and read on for a moment.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S) {
    let rest = async {
        // Under TLS this writes, so it can be kept waiting too.
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
