//! A scrape: the live metrics, and behind them an account's finished page.

use super::body::Body;
use super::negotiate::{Negotiated, NotAcceptable, negotiate};
use super::respond::plain;
use super::{Account, Live, Options, Scrape, Site, Tally};
use crate::base::deadline::Deadline;
use crate::exposition::{self, Encoding, Exposition};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, VARY};
use hyper::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Prometheus says how long it will wait, in seconds.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

/// No scrape waits longer, whatever its header says.
const LONGEST: Duration = Duration::from_secs(600);

/// What getting a page may take over the deadline. It ends by the deadline of itself; this is for when it does not.
const GRACE: Duration = Duration::from_millis(250);

/// Whose series are asked for.
#[derive(Clone, Copy)]
pub(super) struct Series<'a> {
    /// The metrics of the process.
    pub(super) process: Option<&'a Live>,
    /// An account's live metrics and its page.
    pub(super) account: Option<&'a Account>,
}

/// Answers a scrape.
pub(super) async fn scrape(
    site: &Site,
    series: Series<'_>,
    options: &Options,
    permits: &Arc<Semaphore>,
    headers: &HeaderMap,
) -> Response<Body> {
    let mut response = match (negotiate(headers), Arc::clone(permits).try_acquire_owned()) {
        (Err(NotAcceptable), _) => {
            plain(StatusCode::NOT_ACCEPTABLE, "the metrics are to be had as gzip, zstd or identity\n")
        }
        (Ok(_), Err(_)) => {
            Tally::add(&site.tally.scrapes_refused);
            let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at once\n");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        (Ok(choice), Ok(permit)) => {
            let timeout = headers.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok());
            let patience = patience(timeout, options);
            answer(series, choice, patience).await.map(|body| body.with_permit(permit))
        }
    };
    // On refusals too: another client, with other headers, is not refused.
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}

/// How long a scrape may wait: what its scraper says less the offset, or the default where that is no sane number.
fn patience(header: Option<&str>, options: &Options) -> Duration {
    let seconds = header.and_then(|text| text.trim().parse::<f64>().ok()).filter(|s| s.is_finite() && *s >= 0.0);
    let Some(seconds) = seconds else { return options.scrape_timeout };
    Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())).saturating_sub(options.timeout_offset)
}

async fn answer(series: Series<'_>, Negotiated { format, encoding }: Negotiated, patience: Duration) -> Response<Body> {
    let page = match series.account {
        Some(account) => page(account, patience).await,
        None => None,
    };
    if let Some(page) = &page {
        prepare(page, encoding).await;
    }
    // The live metrics after the scrape, so that they speak of it, but in front of the page.
    let mut live = series.process.map(|live| live(format)).unwrap_or_default();
    if let Some(account) = series.account {
        live.extend_from_slice(&(account.live)(format));
    }
    let mut response = Response::new(Body::streamed(exposition::response(&live, page.as_deref(), format, encoding)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    match encoding {
        Encoding::Identity => {}
        Encoding::Gzip => drop(headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"))),
        Encoding::Zstd => drop(headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"))),
    }
    response
}

async fn page(account: &Account, patience: Duration) -> Option<Arc<Exposition>> {
    let scrape = (account.scrape)(Deadline::after(patience));
    match Deadline::after(patience + GRACE).bound(scrape).await {
        Ok(Scrape { page }) => page,
        Err(_) => {
            tracing::error!(account = account.name, "the page of account {} missed its deadline", account.name);
            None
        }
    }
}

/// Where the body must be made first, that is done away from the threads that serve others.
async fn prepare(page: &Arc<Exposition>, encoding: Encoding) {
    if page.is_ready(encoding) {
        return;
    }
    let page = page.clone();
    if let Err(failed) = tokio::task::spawn_blocking(move || page.prepare(encoding)).await {
        // The connection turns it into 500, like any other panic.
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
            assert_eq!(patience(header, &options).as_millis(), expected, "{header:?}");
        }
    }
}
