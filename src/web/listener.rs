//! The accept loop with its limits on connections, and the drain at shutdown.

use super::connection;
use super::drive::ServerStage;
use super::peer::{AddressCounts, network_of};
use super::responder::Responder;
use crate::base::backoff::Backoff;
use crate::base::log_limiter::LogLimiter;
use parking_lot::Mutex;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The pause after failed accepts: long enough for descriptors to be freed, short enough that no scrape is missed.
const ACCEPT_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// Accepts until `shutdown` completes, then drains.
pub(super) async fn run(
    listeners: Vec<TcpListener>,
    responder: Arc<Responder>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (limits, metrics) = (&responder.limits, &responder.metrics);
    let slots = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let addresses = Arc::new(AddressLimiter { limit: limits.connections_per_address, open: Mutex::default() });
    let (stage, _) = watch::channel(ServerStage::Serving);
    // Dropping the set aborts its tasks: no connection outlives this function.
    let mut connections = JoinSet::new();
    let (mut failures, mut log, mut crowded) = (0, LogLimiter::default(), LogLimiter::default());
    let mut turn = 0;
    let mut shutdown = pin!(shutdown);
    loop {
        // Slot first: a connection without a slot waits in the kernel, where it costs no descriptor.
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            (slot, accept(&listeners, &mut turn).await)
        };
        let (slot, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        while let Some(ended) = connections.try_join_next() {
            report(ended);
        }
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                metrics.accept_errors.inc();
                failures += 1;
                if log.admit((), Instant::now()).is_some() {
                    tracing::error!(%error, "cannot accept connections: {error}");
                }
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(ACCEPT_BACKOFF.delay(failures)) => continue,
                }
            }
        };
        failures = 0;
        let Some(permit) = addresses.admit(peer) else {
            metrics.connections_over_limit.inc();
            if let Some(suppressed) = crowded.admit((), Instant::now()) {
                let address = peer.ip();
                tracing::warn!(
                    %address,
                    suppressed,
                    "{address} has {} open connections, and further ones are closed; if it is a proxy, raise \
                     --web.max-connections-per-address",
                    addresses.limit
                );
            }
            continue;
        };
        // Responses are a few large writes; Nagle's algorithm would only delay the last segment.
        let _ = socket.set_nodelay(true);
        // The future itself, without an async block around it, which would hold all of this a second time.
        let (address, responder) = (permit.address, Arc::clone(&responder));
        connections.spawn(connection::run(socket, address, (slot, permit), responder, stage.subscribe()));
    }
    drop(listeners);
    stage.send_replace(ServerStage::Draining);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "closing {} connections before their responses were read",
            connections.len()
        );
    }
    connections.shutdown().await;
}

/// The next connection of any listener, in round-robin order.
async fn accept(listeners: &[TcpListener], turn: &mut usize) -> io::Result<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|cx| {
        *turn = turn.wrapping_add(1);
        let (later, sooner) = listeners.split_at(*turn % listeners.len().max(1));
        for listener in sooner.iter().chain(later) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// Whether an accept failed because of that one connection, so that the next one may well succeed.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

/// Limits the open connections of each address.
#[derive(Debug)]
struct AddressLimiter {
    limit: usize,
    open: Mutex<AddressCounts>,
}

impl AddressLimiter {
    /// A permit for one more connection; `None` when the address has reached the limit.
    fn admit(self: &Arc<Self>, peer: SocketAddr) -> Option<ConnectionPermit> {
        let address = network_of(peer.ip());
        let mut open = self.open.lock();
        if open.of(address) >= self.limit {
            return None;
        }
        open.add(address);
        Some(ConnectionPermit { address, limiter: Arc::clone(self) })
    }
}

/// Counts one connection of an address until it is dropped.
#[derive(Debug)]
struct ConnectionPermit {
    address: IpAddr,
    limiter: Arc<AddressLimiter>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limiter.open.lock().remove(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_until_its_connections_end() {
        let addresses = Arc::new(AddressLimiter { limit: 2, open: Mutex::default() });
        let admit = |peer: &str| addresses.admit(peer.parse().unwrap());
        let first = admit("192.0.2.1:1").unwrap();
        let _second = admit("[::ffff:192.0.2.1]:2").unwrap();
        assert!(admit("192.0.2.1:3").is_none());
        assert!(admit("192.0.2.2:3").is_some());
        drop(first);
        assert!(admit("192.0.2.1:4").is_some());
        let _v6 = [admit("[2001:db8::1]:1").unwrap(), admit("[2001:db8::2]:1").unwrap()];
        assert!(admit("[2001:db8::3]:1").is_none(), "one /64 is one address");
        assert!(admit("[2001:db8:0:1::3]:1").is_some());
        assert_eq!(addresses.open.lock().0.len(), 2, "an address without connections is forgotten");
    }

    #[test]
    fn only_errors_of_the_listener_itself_pause_the_accept_loop() {
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)), "EMFILE");
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    }
}
