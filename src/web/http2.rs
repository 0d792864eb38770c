//! HTTP/2 on a connection that TLS has agreed it for.
//!
//! The answers run within the connection's task, as in HTTP/1.1: dropping the connection drops them, and nothing of it
//! outlives it. hyper bounds what one frame can do; `guard` and `streams` bound what many can.

use super::body::Body;
use super::connection::{End, Peer, Stage, drive};
use super::monitored_stream::ConnectionTimer;
use super::respond::{Last, Responder};
use super::streams::Streams;
use super::{Limits, STREAMS};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Requests that were called off before we came to them, and our own resets; beyond, the connection ends.
const RESETS: usize = 20;

/// Nobody has a body to send: the smallest window that the protocol knows by default, for one stream and for all.
const WINDOW: u32 = 65_535;

/// While an answer is under way a peer must react to a ping.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// The futures of the answers, handed over by hyper until they are taken into the connection's task.
#[derive(Clone, Default)]
struct Handed(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Handed {
    fn execute(&self, future: F) {
        self.0.lock().push(future.boxed());
    }
}

/// Serves one connection until it ends; whether that was while draining.
pub(super) async fn serve<S>(
    stream: S,
    peer: Peer,
    responder: Arc<Responder>,
    limits: &Arc<Limits>,
    clock: &Arc<ConnectionTimer>,
    stage: &mut watch::Receiver<Stage>,
) -> (End, bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    clock.multiplexed();
    let streams = Streams::new(Arc::clone(limits));
    let counted = Arc::clone(&streams);
    let last = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&last);
    let service = service_fn(move |request: Request<Incoming>| -> BoxFuture<'static, _> {
        let open = counted.answering();
        let (responder, peer, over) = (Arc::clone(&responder), peer.clone(), Arc::clone(&over));
        async move {
            let is_head = request.method() == Method::HEAD;
            let mut response: Response<Body> = responder.answer(request, peer).await;
            over.fetch_or(response.extensions().get::<Last>().is_some(), Ordering::Relaxed);
            if is_head {
                // In HTTP/1.1 hyper does this.
                let length = HeaderValue::from(response.body().len());
                response.headers_mut().insert(CONTENT_LENGTH, length);
                response = response.map(Body::withheld);
            }
            let open = open.sending(response.body().is_end_stream());
            Ok::<_, Infallible>(response.map(|body| body.in_small_frames().watched(open)))
        }
        .boxed()
    });
    let handed = Handed::default();
    let connection = http2::Builder::new(handed.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut parts = (Box::pin(connection), FuturesUnordered::new());
    drive(
        &mut parts,
        |(connection, answers), cx| {
            let ended = connection.as_mut().poll(cx).is_ready();
            answer(&handed, answers, cx);
            if last.swap(false, Ordering::Relaxed) {
                // It says so to the peer, and ends when the answers that are open have been sent.
                connection.as_mut().graceful_shutdown();
                cx.waker().wake_by_ref();
            }
            if ended { Poll::Ready(()) } else { Poll::Pending }
        },
        |(connection, _)| connection.as_mut().graceful_shutdown(),
        || [clock.due(), streams.due()].into_iter().flatten().min_by_key(|(at, _)| *at),
        stage,
    )
    .await
}

/// Goes on with the answers, those that were handed over just now included.
fn answer(handed: &Handed, answers: &mut FuturesUnordered<BoxFuture<'static, ()>>, cx: &mut Context<'_>) {
    loop {
        let new = std::mem::take(&mut *handed.0.lock());
        answers.extend(new);
        // Each that is over makes room for a look at what was handed over meanwhile.
        if !matches!(Pin::new(&mut *answers).poll_next(cx), Poll::Ready(Some(()))) {
            return;
        }
    }
}
