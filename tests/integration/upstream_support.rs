//! What the upstream tests share: an account that is served and asked again at nearly every scrape.

use crate::support::{Exporter, Scrape, exporter, simulator};
use std::collections::BTreeSet;
use swr_simulator::{Action, Delivery, Rule, RuleId, Running};

/// The listing's path.
pub const LISTING: &str = "/v2/manage/repos";

/// Flags with which nearly every scrape asks the upstream, and back-off is as short.
pub const EAGER: [&str; 2] = ["--cache.window", "100ms"];

/// An account whose first refresh was good.
pub struct Account {
    /// Whom the exporter asks.
    pub upstream: Running,
    /// Under test.
    pub exporter: Exporter,
    /// The latest scrape of a good refresh.
    pub good: Scrape,
}

/// Serves an account of so many repositories with some flags more, and lets the first refresh succeed.
pub async fn account(repositories: usize, flags: &[&str]) -> Account {
    account_of(simulator(repositories, 5).await, flags).await
}

/// Serves an account that stands already.
pub async fn account_of(upstream: Running, flags: &[&str]) -> Account {
    let flags: Vec<&str> = EAGER.iter().chain(flags).copied().collect();
    let exporter = exporter(&upstream.url(), &flags).await;
    let good = exporter.scrape().await;
    assert_eq!(good.get("swr_up"), Some(1.0), "{}", exporter.log());
    Account { upstream, exporter, good }
}

impl Account {
    /// Lets something happen to every listing call from now on.
    pub fn listing(&self, action: Action) -> RuleId {
        self.upstream.handle.fault(Rule::always(action).path(LISTING))
    }

    /// Lets every listing call be answered in an unusual way from now on.
    pub fn delivers(&self, delivery: Delivery) -> RuleId {
        self.listing(Action::Deliver(delivery))
    }

    /// Waits for a refresh that fails for this reason: what was good before is served as it was, and said to be old.
    pub async fn fails(&self, reason: &str) -> Scrape {
        let before = failures(&self.good, reason);
        let what = format!("a refresh fails for the reason {reason}");
        let scrape = self.exporter.scrape_until(&what, |scrape| failures(scrape, reason) > before).await;
        self.is_as_before(&scrape);
        scrape
    }

    /// Asserts that a scrape shows the old data, and says that it is old.
    pub fn is_as_before(&self, scrape: &Scrape) {
        assert_eq!(scrape.get("swr_up"), Some(0.0));
        for family in ["swr_snapshot_timestamp_seconds", "swr_repository_size_bytes", "swr_repository_info"] {
            assert_eq!(scrape.series(family), self.good.series(family), "{family}");
        }
    }

    /// Takes every fault back and waits for the next good refresh.
    pub async fn recovers(&mut self) {
        self.upstream.handle.clear_faults();
        self.good = self.next_good().await;
    }

    /// Waits for a good refresh that began after the one before, whatever goes wrong meanwhile.
    pub async fn next_good(&self) -> Scrape {
        let before = self.good.get("swr_snapshot_timestamp_seconds");
        let newer = |scrape: &Scrape| {
            scrape.get("swr_up") == Some(1.0) && scrape.get("swr_snapshot_timestamp_seconds") > before
        };
        self.exporter.scrape_until("a good refresh", newer).await
    }

    /// Listing calls that the upstream has seen.
    pub fn listed(&self) -> u64 {
        self.upstream.handle.count(LISTING)
    }
}

/// Organisation and name of repositories.
pub type Keys = BTreeSet<(String, String)>;

/// What a scrape shows; that no series is there twice is seen to on the way.
pub fn shown(scrape: &Scrape) -> Keys {
    let series = scrape.series("swr_repository_size_bytes");
    let keys: Keys =
        series.iter().map(|(labels, _)| (labels["namespace"].clone(), labels["repository"].clone())).collect();
    assert_eq!(keys.len(), series.len(), "each repository once");
    keys
}

/// What the upstream has.
pub fn standing(upstream: &Running) -> Keys {
    upstream.handle.repositories().into_iter().map(|repository| (repository.namespace, repository.name)).collect()
}

/// ServedKind many refreshes failed for a reason.
pub fn failures(scrape: &Scrape, reason: &str) -> f64 {
    scrape.value("swr_refresh_failures_total", &[("reason", reason)]).unwrap()
}

/// ServedKind many refreshes failed.
pub fn all_failures(scrape: &Scrape) -> f64 {
    scrape.series("swr_refresh_failures_total").iter().map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}
