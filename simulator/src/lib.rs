//! SWR as real HTTP: a world of repositories that grows, verified callers, and faults that can be switched on.
//!
//! For tests, benches and the demonstration. Everything that a client can notice is here: listings with their odd
//! headers, five shapes of errors, tokens and signatures, and connections that break in every way we could think of.
//! It is deliberately ignorant of the rest of this crate: a fake that shared the client's types would agree with the
//! client's mistakes. TLS and a bound on connections' idle time are absent; the peer is always one of ours.
//!
//! ```
//! # use swr_simulator::{Action, Options, Rule, Simulator};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let running = Simulator::start(Options { repositories: 10, ..Options::default() }).await?;
//! let simulator = &running.handle;
//! simulator.fault(Rule::once(Action::busy()).path("/v2/manage/repos").query("offset", "0"));
//! assert_eq!(simulator.repositories().len(), 10);
//! assert!(running.url().starts_with("http://127.0.0.1:"));
//! # Ok(())
//! # }
//! ```

mod timestamp;
mod names;
mod image;
mod identity;
mod options;
mod row;
mod world;
mod growth;
mod http;
mod answer;
mod journal;
mod attempts;
mod tokens;
mod keys;
mod instance;
mod verify;
mod faults;
mod rules;
mod shared;
mod routes;
mod iam;
mod federation;
mod pod_identity;
mod metadata;
mod listing;
mod written;
mod markers;
mod account;
mod enterprise;
mod repository;
mod distort;
mod deliver;
mod connection;
mod credentials;
#[cfg(test)]
mod probe;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use answer::{Answer, Refusal, Shape};
pub use faults::{Action, AnswerHook, Delivery, Framing, RetryAfter, Rows, RowsHook, Total, WorldHook};
pub use http::Request;
pub use identity::{
    Agency, DEMO_AGENCY_URN, DEMO_DOMAIN, DEMO_ID_TOKEN, DEMO_IDP_ID, DEMO_PASSWORD, DEMO_POD_TOKEN, DEMO_PROVIDER_URN,
    DEMO_USER, KeyLife, Lockout, Metadata, MetadataMode, Operation, PodIdentity, TemporaryKey, User, UserAccess,
};
pub use journal::Journaling;
pub use options::{
    AccessKey, Compression, DEMO_ACCESS_KEY, DEMO_PROJECT, DEMO_PROJECT_ID, DEMO_SECRET_KEY, DEMO_TOKEN, ListV3,
    Offsets, Options, OverLimit, Permission, Project, Ties, UnknownNamespace,
};
pub use row::Repository;
pub use rules::{Rule, RuleId};
pub use timestamp::rfc3339;
pub use world::World;

use shared::{Shared, lock};

/// Connections at a time. More wait to be accepted.
const MOST_CONNECTIONS: usize = 4_096;
/// Pause after a failed accept, which means that descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A handle to a simulated service; clones are the same service.
#[derive(Clone, Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
}

/// A simulator that serves on a port of its own until this is dropped.
#[derive(Debug)]
pub struct Running {
    /// The service.
    pub handle: Simulator,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Makes the world. Nothing listens yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { shared: Arc::new(Shared::new(options)) }
    }

    /// Makes a world and serves it on a free port of the loopback interface.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(options: Options) -> io::Result<Running> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let handle = Self::new(options);
        let served = handle.clone();
        let task = tokio::spawn(async move { served.serve(listener, std::future::pending()).await });
        Ok(Running { handle, address, task })
    }

    /// Serves until `shutdown` completes, then drops every connection at once. So does dropping the future.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        self.shared.connections.fetch_add(1, Ordering::Relaxed);
                        connections.spawn(connection::serve(Arc::clone(&self.shared), stream));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    /// Changes settings while the simulator runs. Those that shape the world in the beginning no longer matter.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        self.shared.configure(change);
    }

    /// Looks at or changes the world while no request does. Do not call the simulator from within.
    pub fn with_world<T>(&self, visit: impl FnOnce(&mut World) -> T) -> T {
        visit(&mut self.shared.world())
    }

    /// The truth, by name and then organisation.
    #[must_use]
    pub fn repositories(&self) -> Vec<Repository> {
        self.with_world(|world| world.repositories())
    }

    /// One repository, if it is there.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Repository> {
        self.with_world(|world| world.get(namespace, name))
    }

    /// Puts a repository in, replacing one of the same name.
    pub fn insert(&self, repository: Repository) {
        self.with_world(|world| world.insert(repository));
    }

    /// Deletes a repository; whether it was there.
    pub fn remove(&self, namespace: &str, name: &str) -> bool {
        self.with_world(|world| world.remove(namespace, name))
    }

    /// Pushes an image under a tag; whether the repository was there.
    pub fn push(&self, namespace: &str, name: &str, tag: &str) -> bool {
        self.with_world(|world| world.push(namespace, name, tag))
    }

    /// Counts downloads; whether the repository was there.
    pub fn download(&self, namespace: &str, name: &str, times: u64) -> bool {
        self.with_world(|world| world.download(namespace, name, times))
    }

    /// Changes a repository by hand; whether it was there.
    pub fn update(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Repository)) -> bool {
        self.with_world(|world| world.update(namespace, name, change))
    }

    /// Lets simulated time pass at once, besides what passes by itself.
    pub fn advance(&self, time: Duration) {
        self.with_world(|world| world.advance(time));
    }

    /// Switches a fault on.
    pub fn fault(&self, rule: Rule) -> RuleId {
        lock(&self.shared.faults).add(rule)
    }

    /// Switches a fault off.
    pub fn clear_fault(&self, rule: RuleId) {
        lock(&self.shared.faults).remove(rule);
    }

    /// How many requests a fault has met.
    #[must_use]
    pub fn fault_hits(&self, rule: RuleId) -> u64 {
        lock(&self.shared.faults).hits(rule)
    }

    /// Switches every fault off, random ones too.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Lets one of `kinds` meet each request with a probability. Which ones follows from the seed and from the order in
    /// which requests come. No kinds: none.
    pub fn random_faults(&self, seed: u64, probability: f64, kinds: Vec<Action>) {
        lock(&self.shared.faults).randomly(seed, probability, kinds);
    }

    /// The last ten thousand requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.journal).requests()
    }

    /// Requests since the journal was cleared whose path begins so.
    #[must_use]
    pub fn count(&self, path_prefix: &str) -> u64 {
        lock(&self.shared.journal).count(path_prefix)
    }

    /// Requests since the journal was cleared.
    #[must_use]
    pub fn total(&self) -> u64 {
        lock(&self.shared.journal).total()
    }

    /// Answers by status since the journal was cleared.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<u16, u64> {
        lock(&self.shared.journal).statuses()
    }

    /// Requests that are being answered now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        lock(&self.shared.journal).in_flight()
    }

    /// The most requests that were being answered at a time since the journal was cleared.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        lock(&self.shared.journal).max_in_flight()
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Forgets requests and counts.
    pub fn clear_journal(&self) {
        lock(&self.shared.journal).clear();
    }

    /// Keeps requests or not. Counters go on.
    pub fn set_journal(&self, journaling: Journaling) {
        lock(&self.shared.journal).set(journaling);
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint for clients, without a slash at its end. It serves the IAM paths as well.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_world_grows_by_itself_at_the_speed_that_is_set() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let simulator = &running.handle;
        let before = simulator.repositories();
        let start = simulator.with_world(|world| world.now_nanos());
        assert_eq!(simulator.repositories(), before, "speed 0 stands still");
        simulator.configure(|options| options.speed = 1e6);
        probe::until("something happens", || simulator.repositories() != before).await;
        simulator.configure(|options| options.speed = 0.0);
        let (then, after) = (simulator.with_world(|world| world.now_nanos()), simulator.repositories());
        // Whatever time has passed: one step of the same length leads to the same world.
        let other = Simulator::new(Options::default());
        other.advance(Duration::from_nanos(u64::try_from(then - start).unwrap()));
        assert_eq!(other.repositories(), after);
    }

    #[tokio::test]
    async fn shutdown_ends_serving_and_its_connections() {
        use tokio::io::AsyncReadExt;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let simulator = Simulator::new(Options::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = simulator.clone();
        let task = tokio::spawn(async move {
            served.serve(listener, async { drop(stopped.await) }).await;
        });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        probe::until("it is accepted", || simulator.connections() == 1).await;
        stop.send(()).unwrap();
        task.await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_ordinary_client_finds_nothing_odd() {
        // Fails only where another test has installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = Simulator::start(Options::default()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for page in 0..4 {
            let url = format!("{}/v2/manage/repos?offset={}&limit=25", running.url(), page * 25);
            let mut response = client.get(url).header("X-Auth-Token", DEMO_TOKEN).send().await.unwrap();
            assert_eq!(response.headers()["content-range"], format!("{}-25/100", page * 25));
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.unwrap() {
                body.extend_from_slice(&chunk);
            }
            let rows: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
            assert_eq!(rows.len(), 25);
        }
        assert_eq!(running.handle.connections(), 1, "one connection is kept");
    }

    #[tokio::test]
    async fn dropping_the_running_simulator_frees_its_port() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let address = running.addr();
        drop(running);
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, async {
            while tokio::net::TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
