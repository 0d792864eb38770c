//! One account: its client, its cache and what joins them.

use super::memory;
use super::standing::{CallCount, state};
use crate::auth::{Authenticator, Door};
use crate::cache::quiet::Quiet;
use crate::cache::{self, Cache, Outcome, state_file};
use crate::collect;
use crate::config;
use crate::deadline::Deadline;
use crate::exposition::{self, Page};
use crate::failure::{Failure, Reason};
use crate::model::{Snapshot, Timestamp, codec};
use crate::swr::{self, Client};
use crate::transport::{Https, HttpsOptions, Proxies};
use crate::web;
use anyhow::Context;
use prometheus::Registry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::{info, warn};

/// A running account. Dropping it stops nothing; [`Account::close`] does.
pub struct Account {
    name: String,
    cache: Cache<Page>,
    calls: CallCount,
}

impl Account {
    /// Builds the account and takes over what a former process kept.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn build(config: config::Account, registry: &Registry) -> anyhow::Result<Self> {
        let mut options = config.collect;
        if let Some(most) = memory::most_repositories().filter(|most| *most < options.most_repositories) {
            info!(
                repositories = most,
                "the memory limit leaves room for {most} repositories; a longer listing is refused"
            );
            options.most_repositories = most;
        }
        let transport = Https::new(&config.https).context("cannot connect to the upstream")?;
        let metrics = swr::Metrics::new(registry);
        let calls = CallCount::new(metrics.clone());
        info!(
            endpoint = %config.client.endpoint,
            credentials = config.credentials.source.name(),
            "collecting from {} with {}",
            config.client.endpoint,
            config.credentials
        );
        let door = door(&config.https, transport.clone(), &metrics)?;
        let authenticator = Authenticator::new(config.credentials.source, Some(door));
        let mut recoveries = authenticator.recoveries();
        let client = Client::new(config.client, Box::new(transport), authenticator, metrics, SystemTime::now);
        let file = config.cache_directory.map(|directory| directory.join(format!("{}.snapshot", config.name)));
        let keep: Option<cache::Keep<Page>> = file.clone().map(keeper);
        let refresh = refresher(
            Arc::new(client),
            options,
            config.exposition.clone(),
            collect::Metrics::new(registry),
            calls.clone(),
        );
        let counters = cache::metrics::Counters::new(registry);
        let cache = Cache::new(config.cache, refresh, keep, counters, SystemTime::now);
        if let Some(file) = file {
            restore(&cache, &file, &config.exposition);
        }
        cache::metrics::State::register(registry, cache.clone());
        let hopeful = cache.clone();
        // Ends with the client, which holds the authenticator.
        tokio::spawn(async move {
            while recoveries.changed().await.is_ok() {
                hopeful.try_again();
            }
        });
        Ok(Self { name: config.name, cache, calls })
    }

    /// The cache.
    pub fn cache(&self) -> &Cache<Page> {
        &self.cache
    }

    /// Ends a running refresh.
    pub fn close(&self) {
        self.cache.close();
    }

    /// What the web room may know of it.
    pub fn on_the_web(&self) -> web::Account {
        let (scraped, asked, calls) = (self.cache.clone(), self.cache.clone(), self.calls.clone());
        web::Account {
            name: self.name.clone(),
            scrape: Arc::new(move |deadline| {
                let cache = scraped.clone();
                Box::pin(async move { web::Scrape { page: cache.get(deadline).await.value } })
            }),
            state: Arc::new(move || state(&asked, &calls)),
        }
    }
}

/// The way to those who give credentials: the cloud's as the API is reached, this machine's never through a proxy.
pub(super) fn door(https: &HttpsOptions, cloud: Https, metrics: &swr::Metrics) -> anyhow::Result<Door> {
    let near = HttpsOptions { connect_timeout: NEAR, proxies: Proxies::Never, ..https.clone() };
    let machine = Https::new(&near).context("cannot connect to services of this machine")?;
    Ok(Door {
        cloud: Box::new(cloud),
        machine: Box::new(machine),
        metrics: metrics.of_credentials(),
        wall_clock: SystemTime::now,
    })
}

/// A service of this machine that takes longer to connect to is not there.
const NEAR: Duration = Duration::from_secs(1);

/// Collects, then encodes: the page is made once, where it is published.
fn refresher(
    client: Arc<Client>,
    options: collect::Options,
    exposition: exposition::Options,
    metrics: collect::Metrics,
    calls: CallCount,
) -> cache::Refresh<Page> {
    let parts = Arc::new((client, options, exposition, metrics, calls));
    Box::new(move |previous: Option<Arc<Page>>, deadline: Deadline| {
        let parts = parts.clone();
        Box::pin(async move {
            let (client, options, _, metrics, calls) = &*parts;
            let began = Timestamp::from(SystemTime::now());
            let known = previous.as_ref().map(|page| page.snapshot().clone());
            let asking = calls.begin();
            let collected = collect::collect(client, options, known, began, deadline, metrics).await;
            drop(asking);
            let collect::Collected { snapshot, gap } = collected?;
            let of_page = parts.clone();
            let encode = move || Page::build(Arc::new(snapshot), &of_page.2, previous.as_deref());
            let page = tokio::task::spawn_blocking(encode)
                .await
                .map_err(|_panic| Failure::new(Reason::Internal, "encoding the page panicked"))?;
            Ok(Outcome { value: page, gap })
        })
    })
}

/// Writes each snapshot to the state file; a disk that is full or read-only costs a warning now and then, and no more.
fn keeper(file: PathBuf) -> cache::Keep<Page> {
    let quiet = Mutex::new(Quiet::default());
    Box::new(move |page, read_at| {
        let snapshot: &Snapshot = page.snapshot();
        if let Err(error) = state_file::write(&file, read_at, |out| codec::encode(snapshot, out)) {
            let mut quiet = quiet.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(suppressed) = quiet.admit(error.kind(), Instant::now()) else { return };
            warn!(file = %file.display(), %error, suppressed, "cannot keep the snapshot in {}: {error}", file.display());
        }
    })
}

fn restore(cache: &Cache<Page>, file: &Path, exposition: &exposition::Options) {
    state_file::sweep(file);
    let kept = state_file::read(file, SystemTime::now()).and_then(|kept| {
        let Some(kept) = kept else { return Ok(None) };
        let snapshot = codec::decode(&kept.payload).ok_or(state_file::Unusable::Payload)?;
        Ok(Some((snapshot, kept.read_at, kept.age)))
    });
    match kept {
        Ok(None) => {}
        Ok(Some((snapshot, read_at, age))) => {
            info!(
                repositories = snapshot.repositories.len(),
                age_seconds = age.as_secs(),
                "took over a snapshot of {} repositories that is {} s old",
                snapshot.repositories.len(),
                age.as_secs()
            );
            cache.restore(Page::build(Arc::new(snapshot), exposition, None), read_at, age);
        }
        Err(error) => {
            let error = crate::failure::chain(&error);
            warn!(file = %file.display(), %error, "{} is ignored: it {error}", file.display());
        }
    }
}
