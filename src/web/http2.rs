//! HTTP/2 on a connection whose TLS handshake agreed on it.
//!
//! The responses run within the connection's task, as in HTTP/1.1: dropping the connection drops them. hyper bounds the
//! effect of a single frame; `monitored_stream` and `streams` bound that of many.

use super::STREAMS;
use super::body::Body;
use super::drive::{ConnectionEnd, ServerStage, drive};
use super::monitored_stream::ConnectionTimer;
use super::peer::Peer;
use super::responder::Responder;
use super::response::LastResponse;
use super::streams::StreamTimers;
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

/// Streams that may be reset before we accept them, and streams that we may reset ourselves; one more ends the connection.
const MAX_PENDING_RESETS: usize = 20;

/// Flow-control window in bytes, for a stream and for the connection: the protocol's default, as no request has a body.
const WINDOW: u32 = 65_535;

/// While a response is in progress the peer is pinged this often, and must answer within the timeout.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// hyper's executor: keeps the futures of the responses until the connection's task takes them over.
#[derive(Clone, Default)]
struct TaskQueue(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for TaskQueue {
    fn execute(&self, future: F) {
        self.0.lock().push(future.boxed());
    }
}

impl TaskQueue {
    /// Polls the responses, including those queued meanwhile.
    fn poll(&self, responses: &mut FuturesUnordered<BoxFuture<'static, ()>>, cx: &mut Context<'_>) {
        loop {
            let queued = std::mem::take(&mut *self.0.lock());
            responses.extend(queued);
            // A response that completes may have let hyper queue another one.
            if !matches!(Pin::new(&mut *responses).poll_next(cx), Poll::Ready(Some(()))) {
                return;
            }
        }
    }
}

/// Serves one connection until it ends.
pub(super) async fn serve<S>(
    stream: S,
    peer: Peer,
    responder: Arc<Responder>,
    timer: &Arc<ConnectionTimer>,
    stage: &mut watch::Receiver<ServerStage>,
) -> ConnectionEnd
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    timer.multiplexed();
    let header_bytes = u32::try_from(responder.limits.header_bytes).unwrap_or(u32::MAX);
    let streams = StreamTimers::new(Arc::clone(&responder.limits));
    let stream_timers = Arc::clone(&streams);
    let last = Arc::new(AtomicBool::new(false));
    let seen_last = Arc::clone(&last);
    let service = service_fn(move |request: Request<Incoming>| -> BoxFuture<'static, _> {
        let open = stream_timers.answering();
        let (responder, peer, seen_last) = (Arc::clone(&responder), peer.clone(), Arc::clone(&seen_last));
        async move {
            let is_head = request.method() == Method::HEAD;
            let mut response: Response<Body> = responder.answer(request, peer).await;
            seen_last.fetch_or(response.extensions().get::<LastResponse>().is_some(), Ordering::Relaxed);
            if is_head {
                // In HTTP/1.1 hyper does this.
                let length = HeaderValue::from(response.body().len());
                response.headers_mut().insert(CONTENT_LENGTH, length);
                response = response.map(Body::withheld);
            }
            let open = open.sending(response.body().is_end_stream());
            Ok::<_, Infallible>(response.map(|body| body.in_small_frames().observed(open)))
        }
        .boxed()
    });
    let queue = TaskQueue::default();
    let connection = http2::Builder::new(queue.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_PENDING_RESETS)
        .max_header_list_size(header_bytes)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut parts = (Box::pin(connection), FuturesUnordered::new());
    drive(
        &mut parts,
        |(connection, responses), cx| {
            let ended = connection.as_mut().poll(cx).is_ready();
            queue.poll(responses, cx);
            if last.swap(false, Ordering::Relaxed) {
                // Sends GOAWAY; the connection ends once the open responses are sent.
                connection.as_mut().graceful_shutdown();
                cx.waker().wake_by_ref();
            }
            if ended { Poll::Ready(()) } else { Poll::Pending }
        },
        |(connection, _)| connection.as_mut().graceful_shutdown(),
        || [timer.due(), streams.due()].into_iter().flatten().min_by_key(|(at, _)| *at),
        stage,
    )
    .await
}
