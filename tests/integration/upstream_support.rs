//! Shared by the upstream tests: an account that is refreshed at nearly every scrape.

use crate::support::{Exporter, Scrape, exporter, simulator};
use std::collections::BTreeSet;
use swr_simulator::{Action, Delivery, Rule, RuleId, Running};

/// The path of the listing.
pub const LISTING: &str = "/v2/manage/repos";

/// Flags with which nearly every scrape is a refresh, and back-off is short.
pub const EAGER: [&str; 2] = ["--cache.window", "100ms"];

/// An account whose first refresh succeeded.
pub struct Account {
    /// The simulated API.
    pub upstream: Running,
    /// The exporter under test.
    pub exporter: Exporter,
    /// The latest scrape after a successful refresh.
    pub good: Scrape,
}

/// Starts an exporter for an account with this many repositories, and waits for the first refresh.
pub async fn account(repositories: usize, flags: &[&str]) -> Account {
    account_of(simulator(repositories, 5).await, flags).await
}

/// Starts an exporter for a simulated account, and waits for the first refresh.
pub async fn account_of(upstream: Running, flags: &[&str]) -> Account {
    let flags: Vec<&str> = EAGER.iter().chain(flags).copied().collect();
    let exporter = exporter(&upstream.url(), &flags).await;
    let good = exporter.scrape().await;
    assert_eq!(good.get("swr_up"), Some(1.0), "{}", exporter.log());
    Account { upstream, exporter, good }
}

impl Account {
    /// Applies an action to every listing call from now on.
    pub fn listing(&self, action: Action) -> RuleId {
        self.upstream.handle.fault(Rule::always(action).path(LISTING))
    }

    /// Delivers every response to a listing call this way from now on.
    pub fn delivers(&self, delivery: Delivery) -> RuleId {
        self.listing(Action::Deliver(delivery))
    }

    /// Waits for a refresh that fails for this reason, and checks that the old data is served and marked as old.
    pub async fn fails(&self, reason: &str) -> Scrape {
        let before = failures(&self.good, reason);
        let what = format!("a refresh fails for the reason {reason}");
        let scrape = self.exporter.scrape_until(&what, |scrape| failures(scrape, reason) > before).await;
        self.is_as_before(&scrape);
        scrape
    }

    /// Asserts that a scrape shows the old data, marked as old.
    pub fn is_as_before(&self, scrape: &Scrape) {
        assert_eq!(scrape.get("swr_up"), Some(0.0));
        for family in ["swr_snapshot_timestamp_seconds", "swr_repository_size_bytes", "swr_repository_info"] {
            assert_eq!(scrape.series(family), self.good.series(family), "{family}");
        }
    }

    /// Removes every fault and waits for the next successful refresh.
    pub async fn recovers(&mut self) {
        self.upstream.handle.clear_faults();
        self.good = self.next_good().await;
    }

    /// Waits for a successful refresh that began after the previous one, whatever fails meanwhile.
    pub async fn next_good(&self) -> Scrape {
        let before = self.good.get("swr_snapshot_timestamp_seconds");
        let newer = |scrape: &Scrape| {
            scrape.get("swr_up") == Some(1.0) && scrape.get("swr_snapshot_timestamp_seconds") > before
        };
        self.exporter.scrape_until("a good refresh", newer).await
    }

    /// The number of listing calls so far.
    pub fn listed(&self) -> u64 {
        self.upstream.handle.count(LISTING)
    }
}

/// Organizations and names of repositories.
pub type Keys = BTreeSet<(String, String)>;

/// The repositories in a scrape; fails if a series is there twice.
pub fn shown(scrape: &Scrape) -> Keys {
    let series = scrape.series("swr_repository_size_bytes");
    let keys: Keys =
        series.iter().map(|(labels, _)| (labels["namespace"].clone(), labels["repository"].clone())).collect();
    assert_eq!(keys.len(), series.len(), "each repository once");
    keys
}

/// The repositories of the upstream.
pub fn standing(upstream: &Running) -> Keys {
    upstream.handle.repositories().into_iter().map(|repository| (repository.namespace, repository.name)).collect()
}

/// How many refreshes failed for a reason.
pub fn failures(scrape: &Scrape, reason: &str) -> f64 {
    scrape.value("swr_refresh_failures_total", &[("reason", reason)]).unwrap()
}
