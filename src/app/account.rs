//! One account: its client, its cache and what joins them.

use super::live;
use super::memory::{Budget, Share};
use super::standing::{CallCount, state};
use super::tag_file;
use crate::auth::{Authenticator, Door};
use crate::cache::quiet::Quiet;
use crate::cache::state_file::{Origin, StateFile, Unusable};
use crate::cache::state_lock::StateLock;
use crate::cache::{self, Cache, Outcome};
use crate::catalog;
use crate::collect::book::Book;
use crate::collect::tags::Tags;
use crate::collect::{self, Beside};
use crate::config;
use crate::deadline::Deadline;
use crate::exposition::{self, Page};
use crate::failure::{Failure, Reason};
use crate::model::{Snapshot, Timestamp, codec};
use crate::swr::{self, Client};
use crate::transport::{BuildError, Https, HttpsOptions, Proxies};
use crate::web;
use anyhow::Context;
use prometheus::Registry;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;
use tracing::{Instrument, Span, info, warn};

/// A running account. Dropping it stops nothing; `close` does.
pub(super) struct Account {
    name: String,
    /// What is logged within it names the account.
    span: Span,
    about: config::About,
    fingerprint: config::Fingerprint,
    origins: config::Origins,
    authenticator: Authenticator,
    cache: Cache<Page>,
    calls: CallCount,
    progress: Arc<collect::Progress>,
    /// Where tags or details are collected.
    tags: Option<Tags>,
    /// Where its state outlives the process.
    lock: Option<Arc<StateLock>>,
    registry: Registry,
    /// The task that lets the cache forget its back-off.
    hoping: AbortHandle,
}

/// What accounts have in common.
pub(super) struct Commons {
    budget: Arc<Budget>,
    /// Accounts that connect in the same way use the same connections, and read the certificates once.
    ways: Vec<(Option<PathBuf>, Ways)>,
    /// Those that this process holds.
    locks: Vec<Arc<StateLock>>,
}

impl Commons {
    /// For the accounts that are built together, in the place of others.
    pub(super) fn new(budget: Arc<Budget>, before: &[Arc<Account>]) -> Self {
        let locks = before.iter().filter_map(|account| account.lock.clone()).collect();
        Self { budget, ways: Vec::new(), locks }
    }

    fn lock(&self, path: PathBuf) -> Arc<StateLock> {
        let held = self.locks.iter().find(|lock| lock.path == path);
        held.cloned().unwrap_or_else(|| Arc::new(StateLock::new(path)))
    }

    fn ways(&mut self, options: &HttpsOptions) -> anyhow::Result<Ways> {
        if let Some((_, known)) = self.ways.iter().find(|(ca_file, _)| *ca_file == options.ca_file) {
            return Ok(known.clone());
        }
        let ways = Ways::new(options).context("cannot connect to the upstream")?;
        self.ways.push((options.ca_file.clone(), ways.clone()));
        Ok(ways)
    }
}

/// How others are reached.
#[derive(Clone)]
pub(super) struct Ways {
    /// The API, and those in the cloud who give credentials.
    pub(super) cloud: Https,
    /// Services of this machine: never through a proxy.
    machine: Https,
}

impl Ways {
    /// Reads the certificates.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(options: &HttpsOptions) -> Result<Self, BuildError> {
        let near = HttpsOptions { connect_timeout: NEAR, proxies: Proxies::Never, ..options.clone() };
        Ok(Self { cloud: Https::new(options)?, machine: Https::new(&near)? })
    }

    /// The way to those who give credentials.
    pub(super) fn door(&self, metrics: &swr::Metrics) -> Door {
        Door {
            cloud: Box::new(self.cloud.clone()),
            machine: Box::new(self.machine.clone()),
            metrics: metrics.of_credentials(),
            wall_clock: SystemTime::now,
        }
    }
}

impl Account {
    /// Builds the account and takes over what a former process kept. Within a runtime; reads files.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn build(config: config::Account, commons: &mut Commons) -> anyhow::Result<Self> {
        let span = tracing::error_span!("account", account = config.name);
        let entered = span.clone().entered();
        let ways = commons.ways(&config.https)?;
        let registry = Registry::new();
        let metrics = swr::Metrics::new(&registry);
        let calls = CallCount::new(metrics.clone());
        info!(
            endpoint = %config.client.endpoint,
            credentials = config.credentials.source.name(),
            "collecting from {} with {}",
            config.client.endpoint,
            config.credentials
        );
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
        let keep: Option<cache::Keep<Page>> = file.clone().map(|(file, lock)| keeper(file, lock));
        let share = Arc::new(commons.budget.share());
        let metrics = collect::Metrics::new(&registry);
        let progress = metrics.progress().clone();
        let tags = (config.tags.tags || config.tags.details).then(|| {
            let file = state(files.map(|files| files.tags), config.origins.tags);
            let book = file.as_ref().map_or_else(Book::default, |(file, _)| tag_file::read(file));
            let keep = file.map(|(file, lock)| tag_file::keeper(file, lock));
            Tags::start(client.clone(), config.tags, metrics.clone(), book, keep, SystemTime::now)
        });
        let collection = Collection {
            client,
            beside: Beside::new(&config.collect, &metrics),
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
            restore(&cache, &file, &config.exposition, &share, tags.as_ref());
        }
        cache::metrics::State::register(&registry, cache.clone());
        live::register_page(&registry, &cache);
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
            tags.inherit(before);
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
    pub(super) async fn read(&self) -> (Option<Arc<Page>>, Option<Failure>) {
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
        let (tags, details) = self.tags.as_ref().map(Tags::unread).unwrap_or_default();
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
        self.tags.as_ref().map(Tags::close)
    }

    /// What the web room may know of it.
    pub(super) fn on_the_web(&self) -> web::Account {
        let (scraped, asked, calls) = (self.cache.clone(), self.cache.clone(), self.calls.clone());
        let span = self.span.clone();
        let mut about = vec![("__meta_swr_endpoint", self.about.endpoint.clone())];
        about.extend(self.about.region.clone().map(|region| ("__meta_swr_region", region)));
        about.extend(self.about.project_id.clone().map(|id| ("__meta_swr_project_id", id)));
        web::Account {
            name: self.name.clone(),
            about,
            live: live::encoder(self.registry.clone()),
            scrape: Arc::new(move |deadline| {
                let cache = scraped.clone();
                let scrape = async move { web::Scrape { page: cache.get(deadline).await.value } };
                Box::pin(scrape.instrument(span.clone()))
            }),
            state: Arc::new(move || state(&asked, &calls)),
        }
    }
}

/// A service of this machine that takes longer to connect to is not there.
const NEAR: Duration = Duration::from_secs(1);

/// What a refresh needs.
struct Collection {
    client: Arc<Client>,
    options: collect::Options,
    metrics: collect::Metrics,
    beside: Beside,
    share: Arc<Share>,
    tags: Option<Tags>,
    calls: CallCount,
}

/// Collects, then encodes: the page is made once, where it is published.
fn refresher(collection: Arc<Collection>, exposition: exposition::Options) -> cache::Refresh<Page> {
    let exposition = Arc::new(exposition);
    Box::new(move |previous: Option<Arc<Page>>, deadline: Deadline| {
        let (collection, exposition) = (collection.clone(), exposition.clone());
        Box::pin(async move {
            let Collection { client, options, metrics, beside, share, tags, calls } = &*collection;
            let most_repositories = share.most().unwrap_or(u64::MAX).min(options.most_repositories);
            let options = collect::Options { most_repositories, ..options.clone() };
            let began = Timestamp::from(SystemTime::now());
            let known = previous.as_ref().map(|page| page.snapshot().clone());
            // Until the end, also where it fails or is cut off.
            let _asking = calls.begin();
            let collected = collect::collect(client, &options, known, began, deadline, metrics).await;
            let collect::Collected { mut snapshot, gap } = collected?;
            let known = previous.as_ref().map(|page| &**page.snapshot());
            let repositories = snapshot.repositories.len() as u64;
            let room = most_repositories.saturating_sub(repositories);
            let figures = beside.figures(client, snapshot.read_at, known, room, deadline);
            let images = async {
                let tags = tags.as_ref()?;
                tags.limit_layers(share.most_layers(repositories));
                Some(Arc::new(tags.refresh(&snapshot, options.patience, deadline).await))
            };
            let ((account, enterprise), images) = tokio::join!(figures, images);
            (snapshot.account, snapshot.enterprise, snapshot.images) = (account, enterprise, images);
            share.hold(weight(&snapshot), tags.as_ref().map(Tags::layers));
            let encode = move || Page::build(Arc::new(snapshot), &exposition, previous.as_deref());
            let page = tokio::task::spawn_blocking(encode)
                .await
                .map_err(|_panic| Failure::new(Reason::Internal, "encoding the page panicked"))?;
            Ok(Outcome { value: page, gap })
        })
    })
}

/// How many repositories are held in memory, those of the Enterprise Edition among them.
fn weight(snapshot: &Snapshot) -> u64 {
    let instances = snapshot.enterprise.repositories.as_ref().map_or(0, |rows| rows.value.len());
    (snapshot.repositories.len() + instances) as u64
}

/// Writes each snapshot to the state file; a disk that is full or read-only costs a warning now and then, and no more.
fn keeper(file: StateFile, lock: Arc<StateLock>) -> cache::Keep<Page> {
    let quiet = Mutex::new(Quiet::default());
    Box::new(move |page, read_at| {
        if !lock.is_ours() {
            return;
        }
        let snapshot: &Snapshot = page.snapshot();
        if let Err(error) = file.write(read_at, |out| codec::encode(snapshot, out)) {
            let path = &file.path;
            let mut quiet = quiet.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(suppressed) = quiet.admit(error.kind(), Instant::now()) else { return };
            warn!(file = %path.display(), %error, suppressed, "cannot keep the snapshot in {}: {error}", path.display());
        }
    })
}

fn restore(
    cache: &Cache<Page>,
    file: &StateFile,
    exposition: &exposition::Options,
    share: &Share,
    tags: Option<&Tags>,
) {
    let kept = file.read(SystemTime::now()).and_then(|kept| {
        let Some(kept) = kept else { return Ok(None) };
        let snapshot = codec::decode(&kept.payload).ok_or(Unusable::Payload)?;
        Ok(Some((snapshot, kept.read_at, kept.age)))
    });
    match kept {
        Ok(None) => {}
        Ok(Some((mut snapshot, read_at, age))) => {
            info!(
                repositories = snapshot.repositories.len(),
                age_seconds = age.as_secs(),
                "took over a snapshot of {} repositories that is {} s old",
                snapshot.repositories.len(),
                age.as_secs()
            );
            share.hold(weight(&snapshot), tags.map(Tags::layers));
            snapshot.images = tags.map(|tags| Arc::new(tags.recall(&snapshot)));
            cache.restore(Page::build(Arc::new(snapshot), exposition, None), read_at, age);
        }
        Err(error) => {
            let (path, error) = (&file.path, crate::failure::chain(&error));
            warn!(file = %path.display(), %error, "{} is ignored: it {error}", path.display());
        }
    }
}
