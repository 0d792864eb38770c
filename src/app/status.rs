//! How an account stands, in the words of the landing page.

use crate::cache::{self, Cache};
use crate::exposition::Exposition;
use crate::{swr, web};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what a refresh asks the cloud for. Cheap to clone.
#[derive(Clone)]
pub(super) struct CallCount {
    metrics: swr::Metrics,
    latest: Arc<AtomicU64>,
}

impl CallCount {
    /// Over what the client counts.
    pub(super) fn new(metrics: swr::Metrics) -> Self {
        Self { metrics, latest: Arc::default() }
    }

    /// A refresh begins; it ends when what is returned is dropped, also where it is cut off.
    pub(super) fn begin(&self) -> Asking<'_> {
        Asking { count: self, before: self.metrics.requests() }
    }
}

/// A refresh under way.
pub(super) struct Asking<'a> {
    count: &'a CallCount,
    before: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.count.latest.store(self.count.metrics.requests() - self.before, Ordering::Relaxed);
    }
}

/// How things stand now.
pub(super) fn state(cache: &Cache<Exposition>, calls: &CallCount) -> web::AccountState {
    let status = cache.status();
    web::AccountState {
        latest: match status.latest {
            None => web::Latest::None,
            Some(cache::Attempt { failure: None, .. }) => web::Latest::Complete,
            Some(cache::Attempt { failure: Some(_), .. }) => web::Latest::Failed,
        },
        served: status.held.zip(status.age).map(|((page, _), age)| web::Served {
            age,
            repositories: page.snapshot().repositories.len(),
            series: page.series(),
            leaders: page.leaders().clone(),
        }),
        next: if status.running {
            web::Next::Running
        } else if status.next_in.is_zero() {
            web::Next::AtNextScrape
        } else {
            web::Next::In(status.next_in)
        },
        trouble: status.last_failure.map(|cache::PastFailure { failure, ago }| web::Trouble {
            ago,
            words: failure.reason.words(),
            details: failure.to_string(),
        }),
        calls: web::Calls {
            since_start: calls.metrics.requests(),
            latest_refresh: calls.latest.load(Ordering::Relaxed),
        },
    }
}
