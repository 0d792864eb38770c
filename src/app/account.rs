//! One account: its client, its cache and what joins them.

use super::call_counter::CallCounter;
use super::landing::AccountStatus;
use super::refresh::{Collection, refresher};
use super::shared_resources::SharedResources;
use super::{live_metrics, snapshot_file, tag_file};
use crate::auth::Authenticator;
use crate::base::deadline::Deadline;
use crate::cache::state_file::{Origin, StateFile};
use crate::cache::state_lock::StateLock;
use crate::cache::{self, Cache};
use crate::catalog;
use crate::collect::inventory::TagInventory;
use crate::collect::tags::TagCollector;
use crate::collect::{self, AuxiliaryCollectors};
use crate::config;
use crate::exposition::{self, Exposition};
use crate::failure::Failure;
use crate::swr::{self, Client};
use crate::transport::proxy::{self, ProxySettings};
use crate::web;
use prometheus::Registry;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::{AbortHandle, JoinHandle};
use tracing::{Instrument, Span, info};

/// A running account. Dropping it stops nothing; `close` does.
pub(super) struct Account {
    name: String,
    /// What is logged within it names the account.
    span: Span,
    about: config::About,
    fingerprint: config::Fingerprint,
    origins: config::Origins,
    authenticator: Authenticator,
    cache: Cache<Exposition>,
    calls: CallCounter,
    progress: Arc<collect::Progress>,
    /// Where tags or details are collected.
    tags: Option<TagCollector>,
    /// Where its state outlives the process.
    lock: Option<Arc<StateLock>>,
    registry: Registry,
    /// The task that lets the cache forget its back-off.
    hoping: AbortHandle,
}

impl Account {
    /// Builds the account and takes over what a former process kept. Within a runtime; reads files.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn build(config: config::Account, commons: &mut SharedResources) -> anyhow::Result<Self> {
        let span = tracing::error_span!("account", account = config.name);
        let entered = span.clone().entered();
        let ways = commons.ways(&config.https)?;
        let registry = Registry::new();
        let metrics = swr::Metrics::new(&registry);
        let calls = CallCounter::new(metrics.clone());
        info!(
            endpoint = %config.client.endpoint,
            credentials = config.credentials.source.name(),
            "collecting from {} with {}",
            config.client.endpoint,
            config.credentials
        );
        let proxies = ProxySettings::from_environment().unwrap_or_default();
        if let Some(proxy) =
            config.client.endpoint.parse().ok().and_then(|uri| proxies.proxy_for(&uri).map(proxy::shown))
        {
            info!(proxy, "the API is called through the proxy {proxy}");
        }
        let door = ways.door(&metrics);
        let authenticator = Authenticator::new(config.credentials.source, Some(door));
        let mut recoveries = authenticator.recoveries();
        let client =
            Arc::new(Client::new(config.client, Box::new(ways.cloud), authenticator.clone(), metrics, SystemTime::now));
        let files = config.state;
        let lock = files.as_ref().map(|files| commons.lock(files.lock.clone()));
        let writer = lock.as_ref().map_or(0, |lock| lock.writer());
        let state = |path: Option<PathBuf>, origin: Origin| {
            let (path, lock) = path.zip(lock.clone())?;
            let file = StateFile { path, origin, writer };
            // Those before may be writing.
            if writer == 0 && lock.is_ours() {
                file.sweep();
            }
            Some((file, lock))
        };
        let file = state(files.as_ref().and_then(|files| files.snapshot.clone()), config.origins.snapshot);
        let keep: Option<cache::Persister<Exposition>> =
            file.clone().map(|(file, lock)| snapshot_file::keeper(file, lock));
        let share = Arc::new(commons.budget.share());
        let metrics = collect::Metrics::new(&registry);
        let progress = metrics.progress().clone();
        let tags = (config.tags.tags || config.tags.details).then(|| {
            let file = state(files.map(|files| files.tags), config.origins.tags);
            let book = file.as_ref().map_or_else(TagInventory::default, |(file, _)| tag_file::read(file));
            let keep = file.map(|(file, lock)| tag_file::keeper(file, lock));
            TagCollector::start(client.clone(), config.tags, metrics.clone(), book, keep, SystemTime::now)
        });
        let collection = Collection {
            client,
            beside: AuxiliaryCollectors::new(&config.collect, &metrics),
            options: config.collect,
            metrics,
            share: share.clone(),
            tags: tags.clone(),
            calls: calls.clone(),
        };
        let refresh = refresher(Arc::new(collection), config.exposition.clone());
        let counters = cache::metrics::Counters::new(&registry);
        let cache = Cache::new(config.cache, refresh, keep, counters, SystemTime::now);
        if let Some((file, _)) = file {
            snapshot_file::restore(&cache, &file, &config.exposition, &share, tags.as_ref());
        }
        cache::metrics::State::register(&registry, cache.clone());
        live_metrics::register_page(&registry, &cache);
        let hopeful = cache.clone();
        // It holds the cache, and with it all that is read for it: its end frees them.
        let hope = async move {
            while recoveries.changed().await.is_ok() {
                hopeful.try_again();
            }
        };
        let hoping = tokio::spawn(hope.in_current_span()).abort_handle();
        drop(entered);
        let (name, about, fingerprint, origins) = (config.name, config.about, config.fingerprint, config.origins);
        Ok(Self {
            name,
            span,
            about,
            fingerprint,
            origins,
            authenticator,
            cache,
            calls,
            progress,
            tags,
            lock,
            registry,
            hoping,
        })
    }

    /// The lock on its state, where that outlives the process.
    pub(super) fn lock(&self) -> Option<Arc<StateLock>> {
        self.lock.clone()
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is what these settings describe.
    pub(super) fn is(&self, config: &config::Account) -> bool {
        self.name == config.name && self.fingerprint == config.fingerprint
    }

    /// Takes the place of another whose settings were changed: what was refused with the same credential stays refused.
    pub(super) fn succeed(&self, predecessor: &Self) {
        if self.fingerprint.credentials == predecessor.fingerprint.credentials {
            self.authenticator.remember(&predecessor.authenticator);
        }
    }

    /// Goes on with what another knew of tags and details, unless that was of another origin. That one is to be closed.
    pub(super) fn inherit(&self, predecessor: &Self) {
        if let (Some(tags), Some(before)) = (&self.tags, &predecessor.tags)
            && self.origins.tags == predecessor.origins.tags
        {
            tags.take_over(before);
        }
    }

    /// What made the latest refresh fail may be over.
    pub(super) fn try_again(&self) {
        self.span.in_scope(|| self.cache.try_again());
    }

    /// How far the refresh that runs has come.
    pub(super) fn progress(&self) -> Arc<collect::Progress> {
        self.progress.clone()
    }

    /// Reads the account now, for as long as a refresh may take: what there is to show, and what went wrong.
    pub(super) async fn read(&self) -> (Option<Arc<Exposition>>, Option<Failure>) {
        // The refresh ends by its own deadline; this one only has to be later.
        let page =
            self.cache.get(Deadline::after(2 * self.cache.options().refresh_timeout)).instrument(self.span.clone());
        let page = page.await.value;
        (page, self.cache.status().latest.and_then(|latest| latest.failure))
    }

    /// What could not be read of what is collected beside the list, in words; nothing, if all of it was.
    pub(super) fn shortcomings(&self) -> Vec<String> {
        const WHY: &str = "(--log.level=warn says why)";
        const HOW: &str = "(in the next run where --cache.file keeps the others; a longer --swr.refresh-timeout or a higher \
                           --collector.tags.rate-limit reads more in one)";
        let families = self.registry.gather();
        let collectors = families.iter().filter(|family| family.name() == catalog::COLLECTOR_UP.name);
        let metrics = collectors.flat_map(MetricFamily::get_metric);
        let down = metrics.filter(|metric| metric.get_gauge().get_value() == 0.0);
        let mut down: BTreeSet<&str> = down.flat_map(Metric::get_label).map(LabelPair::value).collect();
        // Why the list could not be read is said by the one who read it.
        down.remove("repositories");
        let mut all = Vec::new();
        let (tags, details) = self.tags.as_ref().map(TagCollector::unread).unwrap_or_default();
        for (what, unread) in [("tags", tags), ("details", details)] {
            match (unread, down.contains(what)) {
                (0, _) => continue,
                (_, true) => all.push(format!("the {what} of {unread} repositories could not be read {WHY}")),
                (_, false) => all.push(format!("the {what} of {unread} repositories are still to be read {HOW}")),
            }
            down.remove(what);
        }
        all.extend(down.iter().map(|name| format!("the collector `{name}` could not read everything {WHY}")));
        all
    }

    /// How the collection went, as gauges.
    pub(super) fn gauges(&self, format: exposition::Format) -> Vec<u8> {
        let mut families = self.registry.gather();
        families.retain(|family| family.get_field_type() == MetricType::GAUGE);
        let mut out = Vec::new();
        exposition::live(&families, format, &mut out);
        out
    }

    /// Ends a running refresh and the reading of tags. What is read beside the listing ends with the last who holds the
    /// cache.
    ///
    /// Ends when all that is known is kept; dropping what is returned does not stop that.
    pub(super) fn close(&self) -> Option<JoinHandle<()>> {
        self.cache.close();
        self.hoping.abort();
        self.tags.as_ref().map(TagCollector::close)
    }

    /// The account as the web server sees it.
    pub(super) fn on_the_web(&self) -> web::Account {
        let (cache, span) = (self.cache.clone(), self.span.clone());
        let mut meta_labels = vec![("__meta_swr_endpoint", self.about.endpoint.clone())];
        meta_labels.extend(self.about.region.clone().map(|region| ("__meta_swr_region", region)));
        meta_labels.extend(self.about.project_id.clone().map(|id| ("__meta_swr_project_id", id)));
        web::Account {
            name: self.name.clone(),
            meta_labels,
            live: live_metrics::encoder(self.registry.clone()),
            scrape: Arc::new(move |deadline| {
                let cache = cache.clone();
                Box::pin(async move { cache.get(deadline).await.value }.instrument(span.clone()))
            }),
        }
    }

    /// Its status for the landing page.
    pub(super) fn status(&self) -> AccountStatus<'_> {
        AccountStatus {
            name: &self.name,
            cache: self.cache.status(),
            calls_since_start: self.calls.since_start(),
            calls_latest_refresh: self.calls.latest_refresh(),
        }
    }
}
