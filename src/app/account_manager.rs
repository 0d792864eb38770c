//! The accounts in force, and how others take their place.
//!
//! Settings are read again on SIGHUP, on request and when their file changes. What did not change is not touched: its
//! cache, its credential and its counters go on. Settings that are wrong change nothing.

use super::account::Account;
use super::blocking_reader::{BlockingReader, PATIENCE};
use super::landing;
use super::live_metrics;
use super::memory::MemoryBudget;
use super::reload_metrics::ReloadMetrics;
use super::shared_resources::SharedResources;
use super::web_config::WebConfig;
use crate::base::file_stamp::Stamp;
use crate::catalog;
use crate::cli::ServeArgs;
use crate::config::web_file::WebFile;
use crate::config::{self, Config};
use crate::web::{self, Site, Sites};
use anyhow::Context;
use parking_lot::MutexGuard;
use prometheus::Registry;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How often the configuration file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The longest that is waited at the end for what is known of tags to be written.
const LAST_KEEP: Duration = Duration::from_secs(5);

/// The accounts in force. Clones are the same.
#[derive(Clone)]
pub(super) struct AccountManager(Arc<Shared>);

struct Shared {
    /// What settings are read from again; `None` where they are given once and for all.
    args: Option<ServeArgs>,
    budget: Arc<MemoryBudget>,
    live: web::LiveMetrics,
    web_metrics: web::Metrics,
    telemetry_path: String,
    web_config: WebConfig,
    reload_metrics: ReloadMetrics,
    sites: watch::Sender<Arc<Site>>,
    reader: BlockingReader,
    /// Held while settings are read, one reading at a time.
    reloading: Mutex<()>,
    running: parking_lot::Mutex<Running>,
}

struct Running {
    accounts: Vec<Arc<Account>>,
    /// What they still write, once they are closed; then no others take their place.
    closing: Option<Vec<JoinHandle<()>>>,
}

impl AccountManager {
    /// Starts the accounts.
    ///
    /// # Errors
    /// When one cannot be built.
    pub(super) fn start(
        accounts: Vec<config::Account>,
        web_file: Option<WebFile>,
        shown: String,
        telemetry_path: &str,
        args: Option<ServeArgs>,
    ) -> anyhow::Result<Self> {
        let registry = Registry::new();
        live_metrics::register_process(&registry);
        let web_metrics = web::Metrics::new(&registry);
        let reload_metrics =
            ReloadMetrics::new(&registry, &catalog::CONFIG_RELOAD_SUCCESSFUL, &catalog::CONFIG_RELOAD_SUCCESS);
        let web_config = WebConfig::new(web_file, &registry);
        let budget = MemoryBudget::of_this_process();
        if let Some(most) = budget.most() {
            info!(
                repositories = most,
                "the memory limit leaves room for {most} repositories; a longer listing is refused"
            );
        }
        let mut commons = SharedResources::new(budget.clone(), &[]);
        let accounts = accounts
            .into_iter()
            .map(|account| Account::build(account, &mut commons).map(Arc::new))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self(Arc::new_cyclic(|this: &std::sync::Weak<Shared>| {
            let live = live_metrics::encoder(registry);
            let site = site(&accounts, live.clone(), telemetry_path, shown, reloading(this.clone()));
            let (sites, _) = watch::channel(Arc::new(site));
            Shared {
                args,
                budget,
                live,
                web_metrics,
                telemetry_path: telemetry_path.to_owned(),
                web_config,
                reload_metrics,
                sites,
                reader: BlockingReader::new(PATIENCE),
                reloading: Mutex::default(),
                running: parking_lot::Mutex::new(Running { accounts, closing: None }),
            }
        })))
    }

    /// What is served.
    pub(super) fn sites(&self) -> Sites {
        self.0.sites.subscribe()
    }

    /// What the web server counts.
    pub(super) fn web_metrics(&self) -> web::Metrics {
        self.0.web_metrics.clone()
    }

    /// How the web is served.
    pub(super) fn web_config(&self) -> &WebConfig {
        &self.0.web_config
    }

    /// Reads the settings again.
    ///
    /// # Errors
    /// Every problem, in lines; then nothing was changed.
    pub(super) async fn reload(&self, why: &str) -> Result<String, String> {
        let _one_at_a_time = self.0.reloading.lock().await;
        let outcome = self.try_reload().await;
        match &outcome {
            Ok(done) => {
                self.0.reload_metrics.success();
                info!("settings were read again {why}: {}", done.trim_end());
            }
            Err(problems) => {
                self.0.reload_metrics.failure();
                let problems = problems.trim_end().replace('\n', "; ");
                error!("settings were read again {why} and those before stay in force: {problems}");
            }
        }
        outcome
    }

    async fn try_reload(&self) -> Result<String, String> {
        let Some(args) = self.0.args.clone() else { return Ok("there is nothing to read them from\n".to_owned()) };
        let read = self.0.reader.run(move || config::resolve(&args, &|name| std::env::var(name).ok())).await;
        let read = read.ok_or_else(|| format!("the settings could not be read within {} s\n", PATIENCE.as_secs()))?;
        let Config { accounts, web_file, shown, .. } = read.map_err(|problems| problems.to_string())?;
        let before = self.0.running().accounts.clone();
        let commons = SharedResources::new(self.0.budget.clone(), &before);
        // For as long as it takes: many accounts with large snapshots take longer than any file system should.
        let building = tokio::task::spawn_blocking(move || ReloadPlan::build(accounts, &before, commons));
        let successors = building.await.map_err(|_| "building the accounts panicked\n".to_owned())??;
        let done = self.0.replace(successors, shown, reloading(Arc::downgrade(&self.0)))?;
        self.0.web_config.replace(web_file).await;
        Ok(done)
    }

    /// Reads the settings again whenever their file has changed and then stood still for a moment, so that a file that is
    /// being written is not read by halves. `read` is how it was when it was read first. Runs until it is dropped.
    pub(super) async fn follow(&self, path: &Path, mut read: Option<Stamp>) {
        let mut seen = read;
        loop {
            tokio::time::sleep(LOOK).await;
            let path = path.to_owned();
            // A file system that hangs shows no change.
            let Some(now) = self.0.reader.run(move || Stamp::of(&path)).await else { continue };
            if now != read && now == seen {
                read = now;
                // What is wrong is in the log and in the metrics.
                let _ = self.reload("because their file changed").await;
            }
            seen = now;
        }
    }

    /// Ends the refreshes that run, and all else that accounts do; settings that are being read stay without effect.
    pub(super) fn close(&self) {
        let mut running = self.0.running();
        running.closing = Some(running.accounts.iter().filter_map(|account| account.close()).collect());
    }

    /// After [`AccountManager::close`], waits until all that is known of tags is kept; not for a disk that hangs.
    pub(super) async fn kept(&self) {
        let closing = self.0.running().closing.as_mut().map(std::mem::take).unwrap_or_default();
        if tokio::time::timeout(LAST_KEEP, futures_util::future::join_all(closing)).await.is_err() {
            warn!("what is known of tags could not be kept within {} s", LAST_KEEP.as_secs());
        }
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock()
    }

    /// Puts others in the place of the accounts in force; how many there are of which kind.
    fn replace(&self, mut successors: ReloadPlan, shown: String, reload: web::Reload) -> Result<String, String> {
        let mut running = self.running();
        if running.closing.is_some() {
            return Err("the exporter is stopping\n".to_owned());
        }
        let accounts = successors.take();
        let before = std::mem::replace(&mut running.accounts, accounts.clone());
        let is_in =
            |account: &Arc<Account>, list: &[Arc<Account>]| list.iter().any(|other| Arc::ptr_eq(account, other));
        let named = |list: &[Arc<Account>], account: &Account| list.iter().any(|other| other.name() == account.name());
        let kept = accounts.iter().filter(|account| is_in(account, &before)).count();
        let added = accounts.iter().filter(|account| !named(&before, account)).count();
        let removed = before.iter().filter(|account| !named(&accounts, account)).count();
        let changed = accounts.len() - kept - added;
        self.sites.send_replace(Arc::new(site(&accounts, self.live.clone(), &self.telemetry_path, shown, reload)));
        // Only now: a scrape that came before is answered from what it found.
        for account in before.iter().filter(|account| !is_in(account, &accounts)) {
            if let Some(successor) = accounts.iter().find(|other| other.name() == account.name()) {
                successor.inherit(account);
            }
            account.close();
        }
        for account in accounts.iter().filter(|account| is_in(account, &before)) {
            account.try_again();
        }
        Ok(format!("{kept} accounts unchanged, {changed} changed, {added} added, {removed} removed\n"))
    }
}

/// The accounts of the settings as they are now: those that run where nothing changed, others where something did. If
/// they do not take their place, the others end.
#[derive(Default)]
struct ReloadPlan {
    all: Vec<Arc<Account>>,
    built: Vec<Arc<Account>>,
}

impl ReloadPlan {
    fn build(
        accounts: Vec<config::Account>,
        before: &[Arc<Account>],
        mut commons: SharedResources,
    ) -> Result<Self, String> {
        let mut successors = Self::default();
        for config in accounts {
            if let Some(unchanged) = before.iter().find(|account| account.is(&config)) {
                successors.all.push(unchanged.clone());
                continue;
            }
            let name = config.name.clone();
            let account = Account::build(config, &mut commons).with_context(|| format!("account `{name}`"));
            let account = Arc::new(account.map_err(|error| format!("{error:#}\n"))?);
            successors.built.push(account.clone());
            if let Some(predecessor) = before.iter().find(|before| before.name() == account.name()) {
                account.succeed(predecessor);
            }
            successors.all.push(account);
        }
        Ok(successors)
    }

    /// All of them; from now on they are the caller's.
    fn take(&mut self) -> Vec<Arc<Account>> {
        self.built.clear();
        std::mem::take(&mut self.all)
    }
}

impl Drop for ReloadPlan {
    fn drop(&mut self) {
        self.built.iter().for_each(|account| drop(account.close()));
    }
}

fn site(
    accounts: &[Arc<Account>],
    live: web::LiveMetrics,
    telemetry_path: &str,
    settings: String,
    reload: web::Reload,
) -> Site {
    let (listed, path) = (accounts.to_vec(), telemetry_path.to_owned());
    Site {
        accounts: accounts.iter().map(|account| account.on_the_web()).collect(),
        live,
        landing: Arc::new(move || landing::page(listed.iter().map(|account| account.status()).collect(), &path)),
        settings,
        reload,
    }
}

/// For a request to reload. Weak: what is served must not keep alive what serves it.
fn reloading(shared: std::sync::Weak<Shared>) -> web::Reload {
    Arc::new(move || {
        let shared = shared.clone();
        // A task of its own: a client that hangs up does not leave settings half in force.
        let reloading = tokio::spawn(async move {
            match shared.upgrade() {
                Some(shared) => AccountManager(shared).reload("on request").await,
                None => Err("the exporter is stopping\n".to_owned()),
            }
        });
        Box::pin(async move { reloading.await.unwrap_or_else(|_| Err("reading the settings panicked\n".to_owned())) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn accounts() -> Vec<config::Account> {
        let args = ["swr-exporter", "--swr.endpoint=http://127.0.0.1:9"];
        let args = crate::cli::Cli::try_parse_from(args).unwrap().serve;
        let environment = |name: &str| (name == "SWR_EXPORTER_TOKEN").then(|| "token".to_owned());
        config::resolve(&args, &environment).unwrap().accounts
    }

    fn build() -> ReloadPlan {
        ReloadPlan::build(accounts(), &[], SharedResources::new(MemoryBudget::of_this_process(), &[])).unwrap()
    }

    #[tokio::test]
    async fn accounts_that_do_not_take_their_place_end() {
        let taken = build().take().remove(0);
        assert!(taken.read().await.1.is_some(), "it asks");
        let mut successors = build();
        let account = successors.all.remove(0);
        drop(successors);
        assert!(account.read().await.1.is_none(), "it asks nothing any more");
    }
}
