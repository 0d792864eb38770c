//! One connection: hyper within the guard, and an end that lets the last answer through.

use super::body::Body;
use super::guard::{Guarded, Overdue, Watch, Watchdog};
use super::respond::Responder;
use super::{Limits, Tally};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

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

/// How a connection came to its end.
enum End {
    /// By HTTP's rules, or by an error of the peer.
    Done,
    Overdue(Overdue),
}

/// Serves one connection until it ends.
pub(super) async fn run(
    socket: TcpStream,
    responder: Arc<Responder>,
    limits: &Limits,
    tally: &Tally,
    mut stage: watch::Receiver<Stage>,
) {
    let clock = Watch::new(limits.clone());
    let mut watchdog = Watchdog::new(Arc::clone(&clock));
    let io = TokioIo::new(Guarded::new(socket, Arc::clone(&clock)));
    let service = service_fn(move |request: Request<Incoming>| -> BoxFuture<'static, _> {
        clock.answering();
        let (clock, responder) = (Arc::clone(&clock), Arc::clone(&responder));
        async move {
            let response: Response<Body> = responder.answer(request).await;
            Ok::<_, Infallible>(response.map(|body| body.watched(clock.sending())))
        }
        .boxed()
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Only a second line: it does not tell a head from an idle connection. The guard does, and is always sooner.
        .header_read_timeout(limits.first_byte.max(limits.header).max(limits.idle) + Duration::from_secs(5))
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
        // A peer that has said all it wants to say may still listen.
        .half_close(true)
        .serve_connection(io, service);

    let mut draining = false;
    let end = loop {
        let ended = std::future::poll_fn(|cx| {
            if connection.poll_without_shutdown(cx).is_ready() {
                return Poll::Ready(End::Done);
            }
            watchdog.poll(cx).map(End::Overdue)
        });
        let ended = tokio::select! {
            end = ended => Some(end),
            // An error means that the server is gone, which is the same.
            _ = stage.wait_for(|stage| *stage == Stage::Draining), if !draining => None,
        };
        match ended {
            Some(end) => break end,
            None => {
                draining = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let socket = connection.into_parts().io.into_inner().into_inner();
    match end {
        End::Done if draining => {}
        End::Done => linger(socket).await,
        End::Overdue(overdue) => {
            Tally::add(&tally.connections_overdue);
            tracing::debug!(?overdue, "a peer took too long, its connection is closed");
            if matches!(overdue, Overdue::Stalled | Overdue::Slow) {
                // Reset: otherwise the kernel would keep the unsent megabytes for as long as the peer likes.
                let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            }
        }
    }
}

/// Closes so that the peer gets to read the last answer.
///
/// Closing a socket with unread bytes in it sends a reset, which can overtake an answer such as 431 or 413. So we
/// say that nothing more comes, and read on for a moment.
async fn linger(mut socket: TcpStream) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let rest = async {
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
