//! What Prometheus talks to: listeners, connections, routes and answers.
//!
//! Belongs here: everything between an accepted socket and the bytes of a finished page. Deliberately absent: the
//! upstream, credentials and when to collect. What this room needs of the others it is given as functions in a
//! [`Site`], so no request can go round the cache, and no handler can reach a secret.
//!
//! hyper reads and writes HTTP/1.1, and under TLS HTTP/2; the limits that it does not have are enforced around it, in
//! `guard` and `streams` (time) and `listener` (numbers).

mod route;
mod negotiate;
mod body;
mod monitored_stream;
mod streams;
pub mod names;
pub mod client_certificates;
pub mod tls;
mod login_rate_limiter;
mod fair_queue;
pub mod basic_auth;
pub mod security;
mod scrape;
mod probe;
mod discovery;
mod landing;
mod admission;
mod respond;
mod http2;
mod connection;
mod listener;
#[cfg(test)]
mod tests;

use crate::base::deadline::Deadline;
use crate::exposition::{Exposition, Format, TopRepositories};
use futures_util::future::BoxFuture;
use security::InForce;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use route::is_taken;

/// Paths that cannot be the telemetry path. One that ends in `/` stands for all below it.
pub const TAKEN: [&str; 5] = ["/", "/probe", "/sd", "/config", "/-/"];

/// Whether the process works, and whether it answers scrapes.
pub(crate) const PROBES: [&str; 2] = ["/-/healthy", "/-/ready"];

/// What the operator may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the metrics are; begins with `/`. It wins over every other page.
    pub telemetry_path: String,
    /// Scrapes answered at once; one more gets 503.
    pub max_requests: usize,
    /// How long a scrape may wait where the scraper does not say.
    pub scrape_timeout: Duration,
    /// Taken off what the scraper says, so that the answer is back before it gives up.
    pub timeout_offset: Duration,
    /// The bounds on connections.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics".to_owned(),
            max_requests: 40,
            scrape_timeout: Duration::from_secs(10),
            timeout_offset: Duration::from_millis(500),
            limits: Limits::default(),
        }
    }
}

/// Answers at once on one HTTP/2 connection. A scraper has one, a browser a handful.
pub const STREAMS: u32 = 32;

/// The bounds on connections: what one peer, and all of them, may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections. At the bound new ones wait in the kernel's backlog.
    pub connections: usize,
    /// Open connections from one address (IPv6: from one /64). More are closed at once; loopback is no exception.
    pub connections_per_address: usize,
    /// From the accept to the first byte.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its head.
    pub header: Duration,
    /// Between two requests. Longer than usual scrape intervals, or Prometheus would have to connect for each.
    pub idle: Duration,
    /// How long a peer may take no byte of an answer that is being sent.
    pub write_progress: Duration,
    /// How long sending one answer may take in all.
    pub response_total: Duration,
    /// How long open answers may take to finish once the server stops; then they are cut off.
    pub drain: Duration,
    /// The size of a request's head in bytes; less than 8192 means 8192. Also the most that is buffered of one connection.
    pub header_bytes: usize,
    /// The number of headers of a request.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_address: 64,
            first_byte: Duration::from_secs(10),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            write_progress: Duration::from_secs(30),
            response_total: Duration::from_secs(120),
            drain: Duration::from_secs(3),
            header_bytes: 16 * 1024,
            headers: 100,
        }
    }
}

/// Encodes live metrics. Called once a scrape is done, so that they speak of it.
pub type Live = Arc<dyn Fn(Format) -> Vec<u8> + Send + Sync>;

/// Gets the page of one account, by the deadline. Dropping the future only stops the wait.
pub type ScrapePage = Arc<dyn Fn(Deadline) -> BoxFuture<'static, Scrape> + Send + Sync>;

/// Reads the settings again; what was done, or what is wrong with them, each in lines for people.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// The site in force. A request is answered from the one that was in force when it came.
pub type Sites = watch::Receiver<Arc<Site>>;

/// Everything that is served.
pub struct Site {
    /// Of this program, for the landing page.
    pub version: String,
    /// In the order of the settings. Exactly one: its series are on the telemetry path. Otherwise each has only its own.
    pub accounts: Vec<Account>,
    /// The metrics of the process, without an end marker. Their families are in no account's.
    pub live: Live,
    /// The settings in force, without secrets.
    pub settings: String,
    /// Reads them again.
    pub reload: Reload,
    /// What was refused.
    pub tally: Arc<Tally>,
}

/// One account as the web sees it.
pub struct Account {
    /// As in the settings. Fit for a query and a label: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// What is told of it where targets are discovered: names that begin with `__meta_swr_`, and values.
    pub about: Vec<(&'static str, String)>,
    /// The metrics of its collection, without an end marker. Their families are in no page.
    pub live: Live,
    /// Gets its page.
    pub scrape: ScrapePage,
    /// How it is, for people.
    pub state: Arc<dyn Fn() -> AccountState + Send + Sync>,
}

/// What a scrape of an account gave.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// `None`: there is nothing to serve; the live metrics say so.
    pub page: Option<Arc<Exposition>>,
}

/// How an account is, for the landing page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// How the latest refresh ended.
    pub latest: Latest,
    /// What is being served; `None` when there is nothing, or it is too old.
    pub served: Option<Served>,
    /// When the next refresh comes.
    pub next: Next,
    /// The latest failure, which may be over.
    pub trouble: Option<Trouble>,
    /// Requests to the cloud.
    pub calls: Calls,
}

/// How the latest refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latest {
    /// None has ended yet.
    None,
    /// Everything was read.
    Complete,
    /// Not everything was read; the account's trouble says why.
    Failed,
}

/// A failure, free of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// How long it is over.
    pub ago: Duration,
    /// In plain words.
    pub words: &'static str,
    /// With all its causes, as in the log.
    pub details: String,
}

/// How often the cloud was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Since the account was started.
    pub since_start: u64,
    /// In the latest refresh that ended.
    pub latest_refresh: u64,
}

/// What is being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Since the read behind it began.
    pub age: Duration,
    /// How many repositories the listing holds.
    pub repositories: usize,
    /// How many series they make.
    pub series: usize,
    /// The largest repositories, and those that grew most.
    pub leaders: Arc<TopRepositories>,
}

/// When the next refresh comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is under way.
    Running,
    /// The next scrape starts it.
    AtNextScrape,
    /// Not before this time has passed.
    In(Duration),
}

/// What was refused or went wrong here, counted since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Scrapes answered 503 because too many were being answered.
    pub scrapes_refused: AtomicU64,
    /// Connections closed at once because their address had too many.
    pub connections_refused: AtomicU64,
    /// Connections closed because the peer was silent or slow for too long.
    pub connections_overdue: AtomicU64,
    /// Failed accepts, e.g. for want of file descriptors.
    pub accepts_failed: AtomicU64,
    /// Requests answered 500 because answering them panicked.
    pub panics: AtomicU64,
    /// Connections that ended in a failed TLS handshake.
    pub handshakes_failed: AtomicU64,
    /// Requests answered 401 or 403: without a login or a client certificate, or with a wrong one.
    pub logins_refused: AtomicU64,
    /// Requests answered 429 or 503 because of too many wrong logins.
    pub logins_throttled: AtomicU64,
    /// Requests answered 429 because of the rate limit.
    pub rate_limited: AtomicU64,
}

impl Tally {
    /// Counts one more.
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Serves until `shutdown` is done, then drains.
///
/// Draining stops accepting at once, closes idle connections, lets open answers finish for [`Limits::drain`] and cuts
/// off what is left. Dropping the future closes everything at once.
///
/// `security` is looked at for each connection and each request.
pub async fn serve(
    listeners: Vec<TcpListener>,
    sites: Sites,
    options: Options,
    security: InForce,
    shutdown: impl Future<Output = ()> + Send,
) {
    let limits = options.limits.clone();
    let tally = Arc::clone(&sites.borrow().tally);
    let responder = Arc::new(respond::Responder::new(sites, options, security));
    listener::run(listeners, &responder, &limits, &tally, shutdown).await;
}
