//! What the server counts about itself.

use crate::{catalog, metrics};
use prometheus::{IntCounter, Registry};

/// Refused and failed connections and requests. Clones share their counters.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) scrapes_refused: IntCounter,
    pub(super) connections_over_limit: IntCounter,
    pub(super) connections_overdue: IntCounter,
    pub(super) handshakes_failed: IntCounter,
    pub(super) logins_refused: IntCounter,
    pub(super) logins_throttled: IntCounter,
    pub(super) rate_limited: IntCounter,
    pub(super) accept_errors: IntCounter,
    /// Requests that were answered 500 because their handler panicked.
    pub panics: IntCounter,
}

impl Metrics {
    /// Makes and registers the counters.
    pub fn new(registry: &Registry) -> Self {
        let connections = metrics::counters(registry, &catalog::CONNECTIONS_CLOSED, &[]);
        let requests = metrics::counters(registry, &catalog::REQUESTS_REFUSED, &[]);
        Self {
            scrapes_refused: metrics::counter(registry, &catalog::SCRAPES_REFUSED),
            connections_over_limit: connections.with_label_values(&["address_limit"]),
            connections_overdue: connections.with_label_values(&["overdue"]),
            handshakes_failed: connections.with_label_values(&["tls"]),
            logins_refused: requests.with_label_values(&["login"]),
            logins_throttled: requests.with_label_values(&["login_throttled"]),
            rate_limited: requests.with_label_values(&["rate_limit"]),
            accept_errors: metrics::counter(registry, &catalog::ACCEPT_ERRORS),
            panics: metrics::counter(registry, &catalog::PANICS),
        }
    }
}
