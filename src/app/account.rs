//! One account: its client, its cache and what connects them.

use super::call_counter::CallCounter;
use super::landing::AccountStatus;
use super::live_metrics;
use super::memory::{MemoryBudget, MemoryShare, instances, weight};
use super::refresh::{Collection, refresher};
use super::shared_resources::SharedResources;
use crate::auth::Authenticator;
use crate::base::deadline::Deadline;
use crate::base::state_file::{Loaded, Origin, Persistent, RecordWriter, StateFile};
use crate::base::state_lock::StateLock;
use crate::base::words::things;
use crate::cache::{self, Cache};
use crate::collect::fetch_task::FetchKind;
use crate::collect::inventory::TagInventory;
use crate::collect::tags::TagCollector;
use crate::collect::{self, AuxiliaryCollectors, CollectorState};
use crate::config;
use crate::exposition::{self, ConstantLabels, Exposition};
use crate::failure::{Failure, error_chain};
use crate::model::{Snapshot, records};
use crate::swr::{self, Client, advice};
use crate::transport::proxy::{self, ProxySettings};
use crate::web;
use parking_lot::Mutex;
use prometheus::Registry;
use prometheus::proto::MetricType;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::{AbortHandle, JoinHandle};
use tracing::{Instrument, Span, debug, error, info, warn};

/// A running account. Dropping it stops nothing; `close` does.
pub(super) struct Account {
    pub(super) name: String,
    /// Adds the account's name to every log line written within it.
    span: Span,
    meta_labels: Vec<(&'static str, String)>,
    fingerprint: config::Fingerprint,
    origins: config::Origins,
    authenticator: Authenticator,
    cache: Cache<Exposition>,
    calls: CallCounter,
    metrics: collect::Metrics,
    /// Present where repositories are read one by one.
    pub(super) tags: Option<TagCollector>,
    /// Present where state is kept in files.
    pub(super) lock: Option<Arc<StateLock>>,
    registry: Registry,
    labels: ConstantLabels,
    /// Refreshes at once when a credential may work again.
    retry_task: AbortHandle,
}

impl Account {
    /// Builds the account and restores what an earlier process kept; fails when TLS cannot be set up.
    pub(super) async fn build(config: config::AccountOptions, shared: &mut SharedResources) -> anyhow::Result<Self> {
        let span = tracing::error_span!("account", account = config.name);
        Self::build_within(span.clone(), config, shared).instrument(span).await
    }

    /// As [`Self::build`], for the only account of a program that collects once.
    pub(super) async fn build_alone(config: config::AccountOptions) -> anyhow::Result<Self> {
        Self::build(config, &mut SharedResources::new(MemoryBudget::of_this_process(), Vec::new())).await
    }

    async fn build_within(
        span: Span,
        config: config::AccountOptions,
        shared: &mut SharedResources,
    ) -> anyhow::Result<Self> {
        let clients = shared.http_clients(&config.https).await?;
        let registry = Registry::new();
        let metrics = swr::Metrics::new(&registry);
        let calls = CallCounter::new(metrics.clone());
        info!(
            endpoint = %config.client.endpoint,
            credentials = config.credentials.source.name(),
            "collecting from {} with a credential from {}",
            config.client.endpoint,
            config.credentials.source
        );
        debug!("the source of the credential is {}", config.credentials);
        let proxies = ProxySettings::from_environment().unwrap_or_default();
        if let Some(proxy) =
            config.client.endpoint.parse().ok().and_then(|uri| proxies.proxy_for(&uri).map(proxy::shown))
        {
            info!(proxy, "calling the API through the proxy {proxy}");
        }
        let token_client = clients.token_client(&metrics);
        let authenticator = Authenticator::new(config.credentials.source, Some(token_client));
        // A wrong path is reported now, and not with the first scrape. On its own: a file system may hang.
        let tried = authenticator.clone();
        let try_inputs = async move {
            if let Err(error) = tried.try_inputs().await {
                error!("cannot read the credential: {}; {}", error_chain(&error), advice::on_credential(&error));
            }
        };
        tokio::spawn(try_inputs.instrument(span.clone()));
        let client =
            Client::new(config.client, Box::new(clients.public), authenticator.clone(), metrics, SystemTime::now);
        let client = Arc::new(client);
        let (snapshot_path, tags_path, lock) = match config.state {
            Some(files) => (files.snapshot, Some(files.tags), Some(shared.lock(files.lock))),
            None => (None, None, None),
        };
        let (share, max_file) = (Arc::new(shared.budget.share()), shared.budget.max_file());
        let snapshot_file = state_file::<Snapshot>(snapshot_path, config.origins.snapshot, lock.as_ref(), max_file);
        // Beside the tags, which take longer.
        let restoring = snapshot_file.clone().map(|file| {
            let listing = restored_listing(file, config.exposition.clone(), share.clone());
            tokio::spawn(listing.instrument(span.clone()))
        });
        let metrics = collect::Metrics::new(&registry);
        let mut tags = None;
        if config.tags.collected.kinds().next().is_some() {
            let file = state_file::<TagInventory>(tags_path, config.origins.tags, lock.as_ref(), max_file);
            let inventory = match &file {
                Some(file) => restored_tags(file).await,
                None => TagInventory::default(),
            };
            let persister = file.map(|file| -> collect::tags::SaveInventory {
                Arc::new(move |write| {
                    let file = file.clone();
                    Box::pin(async move { file.save(SystemTime::now(), write).await })
                })
            });
            let metrics = metrics.clone();
            tags =
                Some(TagCollector::start(client.clone(), config.tags, metrics, inventory, persister, SystemTime::now));
        }
        let latest = Arc::new(Mutex::new(None));
        let collection = Collection {
            client,
            auxiliary: AuxiliaryCollectors::new(&config.collect, &metrics),
            options: config.collect,
            metrics: metrics.clone(),
            share: share.clone(),
            tags: tags.clone(),
            calls: calls.clone(),
            latest: latest.clone(),
        };
        let labels = config.exposition.labels.clone();
        let refresh = refresher(Arc::new(collection), config.exposition.clone());
        let persister = snapshot_file.map(|file| -> cache::Persister<Exposition> {
            Box::new(move |exposition, read_at| {
                let (file, snapshot) = (file.clone(), exposition.snapshot().clone());
                let write = Box::new(move |out: &mut RecordWriter<'_>| records::write(&snapshot, out));
                Box::pin(async move { file.save(read_at, write).await })
            })
        });
        let counters = cache::metrics::Counters::new(&registry);
        let cache = Cache::new(config.cache, refresh, persister, counters, SystemTime::now);
        if let Some(restoring) = restoring
            && let Ok(Some(listing)) = restoring.await
        {
            *latest.lock() = restore(&cache, listing, config.exposition, &share, tags.as_ref()).await;
        }
        cache::metrics::register_state(&registry, cache.clone());
        live_metrics::register_exposition_size(&registry, cache.clone());
        let retry_task = {
            let (mut recoveries, cache) = (authenticator.recoveries(), cache.clone());
            // The task owns a handle of the cache, and with it the client: aborting it frees them.
            let retries = async move {
                while recoveries.changed().await.is_ok() {
                    cache.try_again();
                }
            };
            tokio::spawn(retries.in_current_span()).abort_handle()
        };
        Ok(Self {
            name: config.name,
            span,
            meta_labels: config.meta_labels,
            fingerprint: config.fingerprint,
            origins: config.origins,
            authenticator,
            cache,
            calls,
            metrics,
            tags,
            lock,
            registry,
            labels,
            retry_task,
        })
    }

    /// Whether it was built from these settings.
    pub(super) fn is(&self, config: &config::AccountOptions) -> bool {
        self.name == config.name && self.fingerprint == config.fingerprint
    }

    /// Takes over from an account whose settings were changed which secrets were refused, unless its credentials were
    /// changed.
    pub(super) fn inherit_refusals(&self, predecessor: &Self) {
        if self.fingerprint.credentials == predecessor.fingerprint.credentials {
            self.authenticator.remember(&predecessor.authenticator);
        }
    }

    /// Takes over the tag inventory of an account whose settings were changed, unless it has another origin. The
    /// predecessor has to be closed then.
    pub(super) fn inherit_tags(&self, predecessor: &Self) {
        if let (Some(tags), Some(before)) = (&self.tags, &predecessor.tags)
            && self.origins.tags == predecessor.origins.tags
        {
            tags.take_over(before);
        }
    }

    pub(super) fn progress(&self) -> Arc<collect::Progress> {
        self.metrics.progress().clone()
    }

    /// Waits for a refresh: what there is to show then, and what failed.
    pub(super) async fn read(&self) -> (Option<Arc<Exposition>>, Option<Failure>) {
        // The refresh ends by its own deadline; this one only has to be later.
        let deadline = Deadline::after(2 * self.cache.options().refresh_timeout);
        let served = self.cache.get(deadline).instrument(self.span.clone()).await;
        (served.value, self.cache.status().latest.and_then(|latest| latest.failure))
    }

    /// What the collectors beside the listing could not read, a sentence for each.
    pub(super) fn shortcomings(&self) -> Vec<String> {
        const HOW: &str = "(in the next run where --cache.directory keeps the others; a longer --swr.refresh-timeout or a higher \
                           --collector.tags.rate-limit reads more in one)";
        let mut states = self.metrics.collectors();
        // The failure of the refresh says why the listing could not be read.
        states.remove("repositories");
        let mut all = Vec::new();
        let unread = self.tags.as_ref().map(TagCollector::unread).unwrap_or_default();
        for kind in FetchKind::ALL {
            let (collector, what, unread) = (kind.collector(), kind.noun(), unread[kind]);
            let of = things(unread as u64, "repository");
            match (unread, states.remove(collector)) {
                (0, Some(CollectorState::Incomplete(failure))) => all.push(incomplete(collector, failure)),
                (0, _) => {}
                (_, Some(CollectorState::Incomplete(failure))) => {
                    all.push(format!("the {what} of {of} could not be read{}", why(failure)));
                }
                (_, _) => all.push(format!("the {what} of {of} are still to be read {HOW}")),
            }
        }
        for (name, state) in states {
            match state {
                CollectorState::Complete => {}
                CollectorState::Pending => all.push(incomplete(name, None)),
                CollectorState::Incomplete(failure) => all.push(incomplete(name, failure)),
            }
        }
        all
    }

    pub(super) fn gauges(&self, format: exposition::Format) -> Vec<u8> {
        let mut families = self.registry.gather();
        families.retain(|family| family.get_field_type() == MetricType::GAUGE);
        let mut out = Vec::new();
        exposition::live(&families, &self.labels, format, &mut out);
        out
    }

    /// Ends the running refresh and the reading of tags. Auxiliary collectors end with the last handle of the cache.
    ///
    /// The task that is returned ends once its state is written; dropping it does not stop that.
    pub(super) fn close(&self) -> Option<JoinHandle<()>> {
        self.cache.close();
        self.retry_task.abort();
        let tags = self.tags.as_ref().map(TagCollector::close);
        let lock = self.lock.clone()?;
        Some(tokio::spawn(async move {
            if let Some(tags) = tags {
                let _ = tags.await;
            }
            lock.threads.idle().await;
        }))
    }

    pub(super) fn on_the_web(&self) -> web::ServedAccount {
        let (cache, span) = (self.cache.clone(), self.span.clone());
        web::ServedAccount {
            name: self.name.clone(),
            meta_labels: self.meta_labels.clone(),
            live: live_metrics::encoder(self.registry.clone(), self.labels.clone()),
            scrape: Arc::new(move |deadline| {
                let cache = cache.clone();
                Box::pin(async move { cache.get(deadline).await.value }.instrument(span.clone()))
            }),
        }
    }

    pub(super) fn status(&self) -> AccountStatus<'_> {
        AccountStatus {
            name: &self.name,
            cache: self.cache.status(),
            collectors: self.metrics.collectors(),
            unread: self.tags.as_ref().map(TagCollector::unread).unwrap_or_default(),
            calls_since_start: self.calls.since_start(),
            calls_latest_refresh: self.calls.latest_refresh(),
        }
    }
}

fn incomplete(collector: &str, failure: Option<Failure>) -> String {
    format!("the collector `{collector}` could not read everything{}", why(failure))
}

fn why(failure: Option<Failure>) -> String {
    failure.map_or_else(String::new, |failure| format!(": {}", failure.message))
}

fn state_file<T: Persistent>(
    path: Option<PathBuf>,
    origin: Origin,
    lock: Option<&Arc<StateLock>>,
    max_file: u64,
) -> Option<Arc<StateFile<T>>> {
    Some(Arc::new(StateFile::new(path?, origin, lock?.clone(), max_file)))
}

async fn restored_tags(file: &Arc<StateFile<TagInventory>>) -> TagInventory {
    let Some(Loaded { value: inventory, .. }) = file.load(SystemTime::now()).await else {
        return TagInventory::default();
    };
    info!(
        repositories = inventory.len(),
        layers = inventory.layers().len(),
        "loaded the saved tags of {} repositories",
        inventory.len()
    );
    inventory
}

/// The saved snapshot with the families of its listing, if it fits into memory.
async fn restored_listing(
    file: Arc<StateFile<Snapshot>>,
    options: exposition::Options,
    share: Arc<MemoryShare>,
) -> Option<Loaded<Exposition>> {
    let Loaded { value: snapshot, read_at, age } = file.load(SystemTime::now()).await?;
    let repositories = snapshot.repositories.len();
    info!(
        repositories,
        age_seconds = age.as_secs(),
        "loaded a saved snapshot of {repositories} repositories, {} s old",
        age.as_secs()
    );
    if !share.has_room_for(weight(&snapshot) + instances(&snapshot)) {
        warn!(repositories, "ignoring the saved snapshot of {repositories} repositories: it does not fit into memory");
        return None;
    }
    let encode = move || Exposition::build(Arc::new(snapshot), &options, None);
    let value = tokio::task::spawn_blocking(encode).await.ok()?;
    Some(Loaded { value, read_at, age })
}

/// Lets the cache serve a saved snapshot, with what is known of tags, and returns it.
async fn restore(
    cache: &Cache<Exposition>,
    listing: Loaded<Exposition>,
    options: exposition::Options,
    share: &MemoryShare,
    tags: Option<&TagCollector>,
) -> Option<Arc<Snapshot>> {
    let Loaded { value: mut exposition, read_at, age } = listing;
    let snapshot = exposition.snapshot();
    share.hold(weight(snapshot) + instances(snapshot), tags.map(TagCollector::memory_in_layers));
    if let Some(tags) = tags {
        let snapshot = Snapshot { images: Some(Arc::new(tags.recall(snapshot))), ..Snapshot::clone(snapshot) };
        let encode = move || Exposition::build(Arc::new(snapshot), &options, Some(&exposition));
        exposition = tokio::task::spawn_blocking(encode).await.ok()?;
    }
    let snapshot = exposition.snapshot().clone();
    cache.restore(exposition, read_at, age);
    Some(snapshot)
}

#[cfg(test)]
#[path = "account/outage_tests.rs"]
mod outage_tests;
