//! The HTTP server: listeners, connections, routes and responses.
//!
//! Belongs here: everything between an accepted socket and the bytes of a finished exposition. Deliberately absent: the
//! upstream, credentials and the decision when to collect. The server gets functions instead, in a [`Site`], so no request
//! can bypass the cache and no handler can reach a secret.
//!
//! hyper speaks HTTP/1.1, and HTTP/2 under TLS. Limits that hyper lacks are enforced around it: on time in
//! `monitored_stream` and `streams`, on numbers in `listener`.

mod address;
mod route;
mod negotiate;
mod metrics;
mod places;
mod body;
mod response;
mod monitored_stream;
mod streams;
mod drive;
pub mod certificate_names;
pub mod pem;
pub mod client_certificates;
pub mod tls;
mod login_rate_limiter;
mod login_queue;
pub mod basic_auth;
pub mod security;
mod peer;
mod scrape;
mod probe;
mod discovery;
mod lifecycle;
mod admission;
mod responder;
mod http2;
mod connection;
mod listener;
#[cfg(test)]
mod tests;

use crate::base::deadline::Deadline;
use crate::exposition::{Exposition, Format};
use futures_util::future::BoxFuture;
use responder::Responder;
use security::CurrentSecurity;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use address::{ExternalUrl, is_plain_path, prefix};
pub use metrics::Metrics;
pub use route::{is_taken, paths};

/// Paths that cannot be the telemetry path. One that ends in `/` stands for everything below it.
pub const TAKEN: [&str; 5] = ["/", "/probe", "/sd", "/config", "/-/"];

/// The path that reads the settings again.
const RELOAD: &str = "/-/reload";

/// The liveness and readiness probes.
pub(crate) const PROBES: [&str; 2] = ["/-/healthy", "/-/ready"];

/// What the operator may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Path of the metrics below the prefix; begins with `/` and takes precedence over every other resource.
    pub telemetry_path: String,
    /// The prefix of every path but those of the probes: empty, or with a slash at its beginning and none at its end.
    pub route_prefix: String,
    /// The URL under which others reach the server; without one, the host that a request names.
    pub external_url: Option<ExternalUrl>,
    /// Scrapes served at once, without those that wait for a refresh; one more gets 503.
    pub max_requests: usize,
    /// How long a scrape may wait if the scraper does not send its timeout.
    pub scrape_timeout: Duration,
    /// Subtracted from the timeout of the scraper, so that the response arrives before it gives up.
    pub timeout_offset: Duration,
    /// Whether anybody may reload by request. A client that had to log in may do so in any case.
    pub enable_lifecycle: bool,
    /// Bytes of plain text that are kept for later scrapes.
    pub plain_text_bytes: usize,
    /// Limits on connections.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics".to_owned(),
            route_prefix: String::new(),
            external_url: None,
            max_requests: 40,
            scrape_timeout: Duration::from_secs(10),
            timeout_offset: Duration::from_millis(500),
            enable_lifecycle: false,
            plain_text_bytes: 0,
            limits: Limits::default(),
        }
    }
}

/// Concurrent streams of one HTTP/2 connection. A scraper uses one, a browser a handful.
pub const STREAMS: u32 = 32;

/// Limits on connections: on one peer, and on all of them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections. Further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Open connections of one address (IPv6: one /64), loopback included. Further ones are closed at once. A
    /// Prometheus needs one for each account whose refresh it waits for at the same time.
    pub connections_per_address: usize,
    /// Time from the accept to the first byte, and for a TLS handshake.
    pub first_byte: Duration,
    /// Time from the first byte of a request to the end of its head.
    pub header: Duration,
    /// Time between two requests. Longer than common scrape intervals, or Prometheus would reconnect for each scrape.
    pub idle: Duration,
    /// How long a peer may take no byte of a response that is being sent.
    pub write_progress: Duration,
    /// How long sending one response may take altogether.
    pub response_total: Duration,
    /// How long open responses may take after shutdown began; then they are cut off.
    pub drain: Duration,
    /// Size of a request head in bytes, and of the read buffer of a connection; at least 8192.
    pub header_bytes: usize,
    /// Number of headers of a request.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_address: 128,
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

/// Encodes live metrics. Called at the end of a scrape, so that they include it.
pub type LiveMetrics = Arc<dyn Fn(Format) -> Vec<u8> + Send + Sync>;

/// Gets the exposition of one account by the deadline; `None` if there is no data. Dropping the future only stops the wait.
pub type Scrape = Arc<dyn Fn(Deadline) -> BoxFuture<'static, Option<Arc<Exposition>>> + Send + Sync>;

/// Reads the settings again. The result, good or bad, is text for people.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Renders the landing page.
pub type LandingPage = Arc<dyn Fn() -> HtmlPage + Send + Sync>;

/// An HTML document and its `Content-Security-Policy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HtmlPage {
    /// The document.
    pub body: String,
    /// The value of the header.
    pub security_policy: &'static str,
}

/// The site in force. A request is answered from the one that was in force when it came.
pub type Sites = watch::Receiver<Arc<Site>>;

/// Everything that is served.
pub struct Site {
    /// In the order of the settings. The series of a single account are also on the telemetry path.
    pub accounts: Vec<ServedAccount>,
    /// The metrics of the process, without an end marker. No account has families of these names.
    pub live: LiveMetrics,
    /// The page at `/`.
    pub landing: LandingPage,
    /// The settings in force, without secrets.
    pub settings: String,
    /// Reads the settings again.
    pub reload: Reload,
}

/// One account as the server sees it.
pub struct ServedAccount {
    /// Its name in the settings: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// Names that begin with `__meta_swr_`, and values, for service discovery.
    pub meta_labels: Vec<(&'static str, String)>,
    /// The metrics of its collection, without an end marker. No exposition has families of these names.
    pub live: LiveMetrics,
    /// Gets its exposition.
    pub scrape: Scrape,
}

/// Serves until `shutdown` completes, then drains: stops accepting, closes idle connections, lets open responses finish for
/// [`Limits::drain`] and cuts off the rest. Dropping the future closes everything at once.
///
/// `security` is read for each connection and each request.
pub async fn serve(
    listeners: Vec<TcpListener>,
    sites: Sites,
    options: Options,
    security: CurrentSecurity,
    metrics: Metrics,
    shutdown: impl Future<Output = ()> + Send,
) {
    listener::run(listeners, Arc::new(Responder::new(sites, options, security, metrics)), shutdown).await;
}
