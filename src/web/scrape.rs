//! A scrape: the live metrics, followed by an account's finished exposition.

use super::body::Body;
use super::metrics::Metrics;
use super::negotiate::{Negotiated, NotAcceptable, negotiate};
use super::places::ScrapePlaces;
use super::response::{content, plain, retry_later};
use super::{LiveMetrics, Options, ServedAccount};
use crate::base::deadline::Deadline;
use crate::exposition::{self, Encoding, Exposition, PlainTextRoom};
use futures_util::FutureExt;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use hyper::{Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The header in which Prometheus sends its scrape timeout, in seconds.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Added to the deadline of the cache, which should end by itself; this is for when it does not.
const GRACE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy)]
pub(super) struct ScrapeTarget<'a> {
    pub(super) process: Option<&'a LiveMetrics>,
    /// The live metrics and the exposition of an account.
    pub(super) account: Option<&'a ServedAccount>,
}

/// Answers a scrape. It takes one of the places once its data is there: waiting for a refresh takes none.
pub(super) async fn scrape(
    target: ScrapeTarget<'_>,
    options: &Options,
    (places, peer): (&ScrapePlaces, IpAddr),
    room: &PlainTextRoom,
    headers: &HeaderMap,
    metrics: &Metrics,
) -> Response<Body> {
    let mut response = match negotiate(headers) {
        Err(NotAcceptable) => {
            plain(StatusCode::NOT_ACCEPTABLE, "the metrics are to be had as gzip, zstd or identity\n")
        }
        Ok(negotiated) => {
            let header = headers.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok());
            let timeout = timeout(header, options);
            let deadline = Deadline::after(timeout + GRACE);
            let (exposition, waited) = match target.account {
                Some(account) => exposition_of(account, timeout, deadline).await,
                None => (None, false),
            };
            let place = match places.try_take(peer) {
                // Many scrapes wait for the same refresh; they are served one after the other.
                None if waited => deadline.bound(places.take(peer)).await.ok(),
                place => place,
            };
            match place {
                Some(place) => respond(target, exposition, negotiated, room).await.map(|body| body.with_place(place)),
                None => {
                    metrics.scrapes_refused.inc();
                    retry_later(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at once\n", Duration::ZERO)
                }
            }
        }
    };
    // On refusals too: a client with other headers may be accepted.
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}

/// How long a scrape may wait: the timeout of the scraper less the offset, or the default if the header is no valid number.
fn timeout(header: Option<&str>, options: &Options) -> Duration {
    let seconds = header.and_then(|text| text.trim().parse::<f64>().ok()).filter(|s| s.is_finite() && *s >= 0.0);
    let Some(seconds) = seconds else { return options.scrape_timeout };
    Duration::from_secs_f64(seconds.min(MAX_TIMEOUT.as_secs_f64())).saturating_sub(options.timeout_offset)
}

async fn respond(
    target: ScrapeTarget<'_>,
    exposition: Option<Arc<Exposition>>,
    Negotiated { format, encoding }: Negotiated,
    room: &PlainTextRoom,
) -> Response<Body> {
    if let Some(exposition) = &exposition {
        prepare(exposition, encoding).await;
    }
    // Encoded after the wait, so that the live metrics include this scrape, but sent before the exposition.
    let mut live = target.process.map(|live| live(format)).unwrap_or_default();
    if let Some(account) = target.account {
        live.extend_from_slice(&(account.live)(format));
    }
    let body = exposition::response(&live, exposition.as_deref(), format, encoding, room);
    let mut response = content(format.content_type(), "").map(|_| Body::streamed(body));
    match encoding {
        Encoding::Identity => {}
        Encoding::Gzip => drop(response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"))),
        Encoding::Zstd => drop(response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"))),
    }
    response
}

/// The exposition of an account, and whether it had to be waited for.
async fn exposition_of(
    account: &ServedAccount,
    timeout: Duration,
    deadline: Deadline,
) -> (Option<Arc<Exposition>>, bool) {
    let mut scrape = (account.scrape)(Deadline::after(timeout));
    if let Some(exposition) = (&mut scrape).now_or_never() {
        return (exposition, false);
    }
    let exposition = deadline.bound(scrape).await.unwrap_or_else(|_| {
        tracing::error!(account = account.name, "the response for account {} missed its deadline", account.name);
        None
    });
    (exposition, true)
}

/// Encodes the exposition if that is still to be done, on a blocking thread.
async fn prepare(exposition: &Arc<Exposition>, encoding: Encoding) {
    if exposition.is_ready(encoding) {
        return;
    }
    let exposition = exposition.clone();
    if let Err(failed) = tokio::task::spawn_blocking(move || exposition.prepare(encoding)).await {
        // The responder turns a panic into a 500.
        std::panic::resume_unwind(failed.into_panic());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_header_is_a_number_of_seconds_or_is_ignored() {
        let options = Options::default();
        let cases = [
            (None, 10_000),
            (Some("15"), 14_500),
            (Some("10.5"), 10_000),
            (Some("0.001"), 0),
            (Some("0"), 0),
            (Some("-0"), 0),
            (Some("-1"), 10_000),
            (Some("NaN"), 10_000),
            (Some("inf"), 10_000),
            (Some("soon"), 10_000),
            (Some(""), 10_000),
            (Some("1e308"), 599_500),
            (Some(" 2 "), 1_500),
        ];
        for (header, expected) in cases {
            assert_eq!(timeout(header, &options).as_millis(), expected, "{header:?}");
        }
    }
}
