//! A simulator of SWR over real HTTP: a growing world of repositories, authentication, and faults on demand.
//!
//! For tests, benches and the demo. It covers what a client can observe: listings with their odd headers, five shapes of
//! errors, tokens and signatures, and connections that break in many ways. It shares no type with the exporter: a fake
//! built on the client's types would repeat the client's mistakes. There is no TLS and no idle timeout; the peer is always one of ours.
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
mod image;
mod names;
mod repository_row;
mod plan;
mod credential_options;
mod options;
mod world;
mod planned_growth;
mod world_growth;
mod http;
mod response;
mod journal;
mod lockout;
mod tokens;
mod temporary_keys;
mod metadata_state;
mod authenticate;
mod faults;
mod fault_rules;
mod transport_faults;
mod body_faults;
mod state;
mod context;
mod query;
mod json_rows;
mod iam;
mod federation;
mod pod_identity;
mod metadata;
mod listing;
mod markers;
mod account_calls;
mod enterprise_calls;
mod artifact_calls;
mod repository_calls;
mod routes;
mod connection;
mod credential_handle;
#[cfg(test)]
mod test_client;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use credential_options::{
    Agency, DEMO_AGENCY_URN, DEMO_DELEGATED_AGENCY, DEMO_DELEGATING_DOMAIN, DEMO_DOMAIN, DEMO_ID_TOKEN, DEMO_IDP_ID,
    DEMO_PASSWORD, DEMO_POD_TOKEN, DEMO_PROVIDER_URN, DEMO_USER, KeyLife, Lockout, Metadata, MetadataMode, Operation,
    PodIdentity, TemporaryKey, User, UserAccess,
};
pub use fault_rules::{Rule, RuleId};
pub use faults::{Action, Delivery, Framing, ResponseHook, RetryAfter, Rows, RowsHook, Total, WorldHook};
pub use http::Request;
pub use options::{
    AccessKey, Compression, DEMO_ACCESS_KEY, DEMO_PROJECT, DEMO_PROJECT_ID, DEMO_SECRET_KEY, DEMO_TOKEN, ListV3,
    Offsets, Options, OverLimit, Permission, Project, Ties, UnknownNamespace,
};
pub use plan::{Activity, Plan};
pub use repository_row::{Repository, RetentionRule};
pub use response::{ApiError, Response, Shape};
pub use timestamp::rfc3339;
pub use world::World;

use state::SimulatorState;

/// Most concurrent connections. Further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;
/// Pause after a failed accept: file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A handle to a simulated service; clones share it.
#[derive(Clone, Debug)]
pub struct Simulator {
    state: Arc<SimulatorState>,
}

/// A simulator that serves on its own port until this is dropped.
#[derive(Debug)]
pub struct Running {
    /// The service.
    pub handle: Simulator,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Generates the world. Nothing listens yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { state: Arc::new(SimulatorState::new(options)) }
    }

    /// Generates a world and serves it on a free loopback port.
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
                accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        self.state.connections.fetch_add(1, Ordering::Relaxed);
                        connections.spawn(connection::serve(Arc::clone(&self.state), stream));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    /// Changes settings at run time. Settings that shape the initial world have no effect any more.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        self.state.configure(change);
    }

    /// Runs `visit` with the world locked. Calling the simulator from within deadlocks.
    pub fn with_world<T>(&self, visit: impl FnOnce(&mut World) -> T) -> T {
        visit(&mut self.state.world())
    }

    /// All repositories, by name and then organization.
    #[must_use]
    pub fn repositories(&self) -> Vec<Repository> {
        self.with_world(|world| world.repositories())
    }

    /// One repository, if it exists.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Repository> {
        self.with_world(|world| world.get(namespace, name))
    }

    /// Inserts a repository, replacing one of the same name.
    pub fn insert(&self, repository: Repository) {
        self.with_world(|world| world.insert(repository));
    }

    /// Deletes a repository; returns whether it existed.
    pub fn remove(&self, namespace: &str, name: &str) -> bool {
        self.with_world(|world| world.remove(namespace, name))
    }

    /// Pushes an image under a tag; returns whether the repository existed.
    pub fn push(&self, namespace: &str, name: &str, tag: &str) -> bool {
        self.with_world(|world| world.push(namespace, name, tag))
    }

    /// Deletes a tag; returns whether it existed.
    pub fn untag(&self, namespace: &str, name: &str, tag: &str) -> bool {
        self.with_world(|world| world.untag(namespace, name, tag))
    }

    /// Adds downloads; returns whether the repository existed.
    pub fn download(&self, namespace: &str, name: &str, times: u64) -> bool {
        self.with_world(|world| world.download(namespace, name, times))
    }

    /// Changes a repository; returns whether it existed.
    pub fn update(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Repository)) -> bool {
        self.with_world(|world| world.update(namespace, name, change))
    }

    /// Advances simulated time at once, in addition to `speed`.
    pub fn advance(&self, time: Duration) {
        self.with_world(|world| world.advance(time));
    }

    /// Enables a fault.
    pub fn fault(&self, rule: Rule) -> RuleId {
        self.state.faults.lock().add(rule)
    }

    /// Disables a fault.
    pub fn clear_fault(&self, rule: RuleId) {
        self.state.faults.lock().remove(rule);
    }

    /// Number of requests that a fault was applied to.
    #[must_use]
    pub fn fault_hits(&self, rule: RuleId) -> u64 {
        self.state.faults.lock().hits(rule)
    }

    /// Disables every fault, random ones included.
    pub fn clear_faults(&self) {
        self.state.faults.lock().clear();
    }

    /// Applies one of `kinds` to each request with a probability. The choice follows from the seed and the order of
    /// requests. An empty list disables random faults.
    pub fn random_faults(&self, seed: u64, probability: f64, kinds: Vec<Action>) {
        self.state.faults.lock().randomly(seed, probability, kinds);
    }

    /// The last ten thousand requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.journal.lock().requests()
    }

    /// Requests whose path begins with `path_prefix`, since the journal was cleared.
    #[must_use]
    pub fn count(&self, path_prefix: &str) -> u64 {
        self.state.journal.lock().count(path_prefix)
    }

    /// Requests since the journal was cleared.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.state.journal.lock().total()
    }

    /// Responses by status, since the journal was cleared.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<u16, u64> {
        self.state.journal.lock().statuses()
    }

    /// Requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state.journal.lock().in_flight()
    }

    /// The most requests in flight at a time, since the journal was cleared.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.state.journal.lock().max_in_flight()
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Clears recorded requests and counts.
    pub fn clear_journal(&self) {
        self.state.journal.lock().clear();
    }
}

impl Running {
    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint URL, without a trailing slash. It serves the IAM paths as well.
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
        test_client::until("something happens", || simulator.repositories() != before).await;
        simulator.configure(|options| options.speed = 0.0);
        let (then, after) = (simulator.with_world(|world| world.now_nanos()), simulator.repositories());
        // One step of the same length leads to the same world.
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
        test_client::until("it is accepted", || simulator.connections() == 1).await;
        stop.send(()).unwrap();
        task.await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_ordinary_client_finds_nothing_odd() {
        // Fails only if another test has installed it already.
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
