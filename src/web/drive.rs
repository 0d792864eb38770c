//! The loop around one connection: protocol work, the deadlines of the peer, and the shutdown of the server.

use super::monitored_stream::{Overdue, Watchdog};
use std::task::{Context, Poll};
use tokio::sync::watch;
use tokio::time::Instant;

/// Whether the server is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerStage {
    Serving,
    /// Each connection ends after the response in progress.
    Draining,
}

/// Waits until the server shuts down.
pub(super) async fn draining(stage: &mut watch::Receiver<ServerStage>) {
    // An error means that the sender is gone, and with it the server.
    let _ = stage.wait_for(|stage| *stage == ServerStage::Draining).await;
}

pub(super) enum ConnectionEnd {
    /// By the rules of HTTP, or by an error of the peer.
    Closed,
    /// After the server had asked it to end.
    Drained,
    /// A deadline of the peer passed.
    Overdue(Overdue),
}

/// Polls a connection until it ends or its peer is overdue. Calls `stop` once when the server shuts down.
pub(super) async fn drive<C>(
    connection: &mut C,
    mut poll: impl FnMut(&mut C, &mut Context<'_>) -> Poll<()>,
    stop: impl Fn(&mut C),
    due: impl Fn() -> Option<(Instant, Overdue)>,
    stage: &mut watch::Receiver<ServerStage>,
) -> ConnectionEnd {
    let mut watchdog = Watchdog::new();
    let mut stopped = false;
    loop {
        let ended = std::future::poll_fn(|cx| {
            if poll(connection, cx).is_ready() {
                return Poll::Ready(if stopped { ConnectionEnd::Drained } else { ConnectionEnd::Closed });
            }
            watchdog.poll(cx, due()).map(ConnectionEnd::Overdue)
        });
        tokio::select! {
            end = ended => return end,
            () = draining(stage), if !stopped => {}
        }
        stopped = true;
        stop(connection);
    }
}
