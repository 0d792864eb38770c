//! Who may connect: the accept loop with its bounds, and the drain at the end.

use super::connection::{self, Stage};
use super::respond::Responder;
use super::{Limits, Tally};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The pause after a failed accept: long enough to let descriptors come back, short enough that no scrape is missed.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Failed accepts come in floods; the log gets one line in this time.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Accepts until `shutdown`, then drains.
pub(super) async fn run(
    listeners: Vec<TcpListener>,
    responder: &Arc<Responder>,
    limits: &Limits,
    tally: &Arc<Tally>,
    shutdown: impl Future<Output = ()> + Send,
) {
    // Shared by all connections.
    let shared = Arc::new(limits.clone());
    let slots = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let addresses = Arc::new(Addresses { most: limits.connections_per_address, held: Mutex::default() });
    let (stage, _) = watch::channel(Stage::Serving);
    // Dropping the set aborts its tasks: no connection outlives this function.
    let mut connections = JoinSet::new();
    let mut failures = Failures::default();
    let mut turn = 0;
    let mut shutdown = pin!(shutdown);
    loop {
        // The slot first: what has no slot waits in the kernel, where it costs no descriptor.
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
                Tally::add(&tally.accepts_failed);
                let pause = failures.note(&error);
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(pause) => continue,
                }
            }
        };
        failures.pause = Duration::ZERO;
        let Some(seat) = addresses.admit(peer) else {
            Tally::add(&tally.connections_refused);
            tracing::debug!(%peer, "{peer} has too many connections");
            continue;
        };
        // Answers go out in few large writes; waiting to fill a segment would only delay the last one.
        let _ = socket.set_nodelay(true);
        let (responder, limits, tally) = (Arc::clone(responder), Arc::clone(&shared), Arc::clone(tally));
        let stage = stage.subscribe();
        // As it is, without a block around it: each would hold all of this once more, for every connection.
        connections.spawn(connection::run(socket, seat.address, (slot, seat), responder, limits, tally, stage));
    }
    drop(listeners);
    stage.send_replace(Stage::Draining);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "{} connections are cut off", connections.len());
    }
    connections.shutdown().await;
}

/// The next connection of any listener, each in its turn.
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

/// Whether only the connection that was to be accepted is at fault, and the next may well be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

/// Failed accepts in a row.
#[derive(Debug, Default)]
struct Failures {
    pause: Duration,
    logged: Option<Instant>,
}

impl Failures {
    /// How long to wait now.
    fn note(&mut self, error: &io::Error) -> Duration {
        self.pause = (2 * self.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            tracing::error!(%error, "connections cannot be accepted: {error}");
        }
        self.pause
    }
}

/// How many connections each address has.
#[derive(Debug)]
struct Addresses {
    most: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

impl Addresses {
    /// A seat for one more connection; `None` when the address has all it may have.
    fn admit(self: &Arc<Self>, peer: SocketAddr) -> Option<ConnectionPermit> {
        let address = block_of(peer.ip());
        let mut held = self.held.lock();
        let count = held.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit { address, of: Arc::clone(self) })
    }
}

/// One connection's place in the count of its address.
#[derive(Debug)]
struct ConnectionPermit {
    address: IpAddr,
    of: Arc<Addresses>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut held = self.of.held.lock();
        if let Entry::Occupied(mut count) = held.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one address: an IPv6 host commonly has a whole /64 to itself and could otherwise be many.
fn block_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_until_its_connections_end() {
        let addresses = Arc::new(Addresses { most: 2, held: Mutex::default() });
        let peer = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let first = addresses.admit(peer("192.0.2.1:1")).unwrap();
        let _second = addresses.admit(peer("[::ffff:192.0.2.1]:2")).unwrap();
        assert!(addresses.admit(peer("192.0.2.1:3")).is_none());
        assert!(addresses.admit(peer("192.0.2.2:3")).is_some());
        drop(first);
        assert!(addresses.admit(peer("192.0.2.1:4")).is_some());
        let _v6 =
            [addresses.admit(peer("[2001:db8::1]:1")).unwrap(), addresses.admit(peer("[2001:db8::2]:1")).unwrap()];
        assert!(addresses.admit(peer("[2001:db8::3]:1")).is_none(), "one /64 is one address");
        assert!(addresses.admit(peer("[2001:db8:0:1::3]:1")).is_some());
        assert_eq!(addresses.held.lock().len(), 2, "an address without connections is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_after_failed_accepts_grows_to_a_second() {
        let mut failures = Failures::default();
        let error = io::Error::from_raw_os_error(24);
        let pauses: Vec<_> = (0..7).map(|_| failures.note(&error).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        assert!(!is_of_one_connection(&error));
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    }
}
