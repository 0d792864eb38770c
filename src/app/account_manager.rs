//! The running accounts, and how a reload replaces them.
//!
//! Settings are reloaded on SIGHUP, on request and when their file changes. An account whose settings did not change keeps
//! running: its cache, its credential and its counters go on. Invalid settings change nothing.

use super::account::Account;
use super::landing;
use super::live_metrics;
use super::memory::MemoryBudget;
use super::reload_metrics::ReloadMetrics;
use super::shared_resources::SharedResources;
use super::state_cleanup;
use super::web_config::WebConfig;
use crate::base::blocking::{BlockingThreads, FILE_TIMEOUT};
use crate::base::file_stamp::Stamp;
use crate::base::file_watcher::FileWatcher;
use crate::base::rate_limit::{Rate, TokenBucket};
use crate::catalog;
use crate::cli::ServeArgs;
use crate::config::environment::Environment;
use crate::config::web_file::WebFile;
use crate::config::{self, Config};
use crate::exposition::ConstantLabels;
use crate::web::{self, Site, Sites};
use anyhow::Context;
use parking_lot::MutexGuard;
use prometheus::Registry;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How long the end of the program waits for state files to be written. Operators are promised an end within 5 seconds.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(4);

/// Rate of log lines about reloads, so that requests to reload cannot fill a disk.
const LOG_RATE: Rate = Rate { burst: 20.0, per_second: 0.2 };

/// The running accounts. Clones share them.
#[derive(Clone)]
pub(super) struct AccountManager(Arc<Shared>);

struct Shared {
    /// What settings are reloaded from; `None` where they cannot be.
    args: Option<ServeArgs>,
    budget: Arc<MemoryBudget>,
    live: web::LiveMetrics,
    web_metrics: web::Metrics,
    landing: Arc<landing::Options>,
    web_config: WebConfig,
    reload_metrics: ReloadMetrics,
    sites: watch::Sender<Arc<Site>>,
    reader: BlockingThreads,
    /// Held during a reload: one at a time.
    reloading: Mutex<()>,
    log_lines: parking_lot::Mutex<TokenBucket>,
    running: parking_lot::Mutex<Running>,
}

struct Running {
    accounts: Vec<Arc<Account>>,
    /// The last writes of closed accounts. Present once the program ends; then no reload takes effect any more.
    last_writes: Option<Vec<JoinHandle<()>>>,
}

impl AccountManager {
    /// Starts the accounts; fails when one cannot be built.
    pub(super) async fn start(
        accounts: Vec<config::AccountOptions>,
        web_file: Option<WebFile>,
        shown: String,
        landing: landing::Options,
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
        let mut shared = SharedResources::new(budget.clone(), Vec::new());
        shared.find_hung_disks(&accounts).await;
        let mut built = Vec::with_capacity(accounts.len());
        for account in accounts {
            built.push(Arc::new(Account::build(account, &mut shared).await?));
        }
        let (accounts, landing) = (built, Arc::new(landing));
        Ok(Self(Arc::new_cyclic(|this: &Weak<Shared>| {
            let live = live_metrics::encoder(registry, ConstantLabels::default());
            let site = site(&accounts, live.clone(), landing.clone(), shown, reload_function(this.clone()));
            let (sites, _) = watch::channel(Arc::new(site));
            Shared {
                args,
                budget,
                live,
                web_metrics,
                landing,
                web_config,
                reload_metrics,
                sites,
                reader: BlockingThreads::new(1),
                reloading: Mutex::default(),
                log_lines: parking_lot::Mutex::new(TokenBucket::full(LOG_RATE)),
                running: parking_lot::Mutex::new(Running { accounts, last_writes: None }),
            }
        })))
    }

    /// What is served, now and after each reload.
    pub(super) fn sites(&self) -> Sites {
        self.0.sites.subscribe()
    }

    /// Bytes of plain text that the server may keep.
    pub(super) fn plain_text_bytes(&self) -> usize {
        self.0.budget.plain_text_bytes()
    }

    pub(super) fn web_metrics(&self) -> web::Metrics {
        self.0.web_metrics.clone()
    }

    pub(super) fn web_config(&self) -> &WebConfig {
        &self.0.web_config
    }

    /// Reloads the settings, or tells every problem, one a line, and changes nothing. `why` completes "settings reloaded".
    pub(super) async fn reload(&self, why: &str) -> Result<String, String> {
        let _one_at_a_time = self.0.reloading.lock().await;
        let outcome = Box::pin(self.try_reload()).await;
        match &outcome {
            Ok(_) => self.0.reload_metrics.success(),
            Err(_) => self.0.reload_metrics.failure(),
        }
        if self.0.log_lines.lock().take(LOG_RATE, 1.0).is_err() {
            return outcome;
        }
        match &outcome {
            Ok(done) => info!("settings reloaded {why}: {}", done.trim_end()),
            Err(problems) => {
                let problems = problems.trim_end().replace(":\n  - ", ": ").replace("\n  - ", "; ").replace('\n', "; ");
                error!("cannot reload settings {why}; the previous ones stay in force: {problems}");
            }
        }
        outcome
    }

    async fn try_reload(&self) -> Result<String, String> {
        let Some(args) = self.0.args.clone() else { return Ok("there is nothing to read them from\n".to_owned()) };
        let read = self.0.reader.run_within(FILE_TIMEOUT, move || config::resolve(&args, &Environment::of_process()));
        let read = read.await;
        let read =
            read.ok_or_else(|| format!("the settings could not be read within {} s\n", FILE_TIMEOUT.as_secs()))?;
        let config = read.map_err(|problems| problems.to_string())?;
        config.log_warnings();
        let Config { accounts, web_file, shown, .. } = config;
        if let Some(problems) = web_file.as_ref().and_then(|file| self.0.web_config.refusal(&file.security)) {
            return Err(problems.to_string());
        }
        let before = self.0.running().accounts.clone();
        let locks = before.iter().filter_map(|account| account.lock.clone()).collect();
        let shared = SharedResources::new(self.0.budget.clone(), locks);
        let plan = ReloadPlan::build(accounts, &before, shared).await?;
        let done = self.0.replace(plan, shown, reload_function(Arc::downgrade(&self.0)))?;
        self.0.web_config.replace(web_file).await;
        Ok(done)
    }

    /// Reads the settings again whenever their file has changed. `read` is the file's stamp when it was read first. Runs
    /// until it is dropped.
    pub(super) async fn follow(&self, path: &Path, read: Option<Stamp>) {
        let mut watcher = FileWatcher::new(vec![read]);
        loop {
            let look = || {
                let path = path.to_owned();
                self.0.reader.run_within(FILE_TIMEOUT, move || vec![Stamp::of(&path)])
            };
            watcher.changed(look).await;
            // Problems are in the log and in the metrics.
            let _ = self.reload("because their file changed").await;
        }
    }

    /// Removes the state of accounts that are gone, now and then. Runs until it is dropped.
    pub(super) async fn clean_up(&self) {
        let threads = BlockingThreads::new(1);
        loop {
            let mut directories: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
            for account in &self.0.running().accounts {
                if let Some(directory) = account.lock.as_ref().and_then(|lock| lock.path.parent()) {
                    directories.entry(directory.to_owned()).or_default().push(account.name.clone());
                }
            }
            for (directory, accounts) in directories {
                let cleaning = move || state_cleanup::remove_abandoned(&directory, &accounts, SystemTime::now());
                // A disk that hangs is not waited for.
                let _ = threads.run_within(FILE_TIMEOUT, cleaning).await;
            }
            tokio::time::sleep(state_cleanup::INTERVAL).await;
        }
    }

    /// Ends the refreshes and everything else that accounts do. A reload that is under way has no effect.
    pub(super) fn close(&self) {
        let mut running = self.0.running();
        running.last_writes = Some(running.accounts.iter().filter_map(|account| account.close()).collect());
    }

    /// After [`AccountManager::close`], waits until the state is written, but not for a disk that hangs.
    pub(super) async fn last_writes(&self) {
        let writes = self.0.running().last_writes.as_mut().map(std::mem::take).unwrap_or_default();
        if tokio::time::timeout(LAST_WRITE_TIMEOUT, futures_util::future::join_all(writes)).await.is_err() {
            warn!("could not save the state within {} s", LAST_WRITE_TIMEOUT.as_secs());
        }
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock()
    }

    /// Replaces the running accounts. Returns how many were kept, changed, added and removed, in words.
    fn replace(&self, mut plan: ReloadPlan, shown: String, reload: web::Reload) -> Result<String, String> {
        let mut running = self.running();
        if running.last_writes.is_some() {
            return Err("the exporter is stopping\n".to_owned());
        }
        let accounts = plan.take();
        let before = std::mem::replace(&mut running.accounts, accounts.clone());
        let is_in =
            |account: &Arc<Account>, list: &[Arc<Account>]| list.iter().any(|other| Arc::ptr_eq(account, other));
        let named = |list: &[Arc<Account>], account: &Account| list.iter().any(|other| other.name == account.name);
        let kept = accounts.iter().filter(|account| is_in(account, &before)).count();
        let added = accounts.iter().filter(|account| !named(&before, account)).count();
        let removed = before.iter().filter(|account| !named(&accounts, account)).count();
        let changed = accounts.len() - kept - added;
        self.sites.send_replace(Arc::new(site(&accounts, self.live.clone(), self.landing.clone(), shown, reload)));
        // After the swap: a scrape that came before it is answered by the accounts it found.
        for account in before.iter().filter(|account| !is_in(account, &accounts)) {
            match accounts.iter().find(|other| other.name == account.name) {
                Some(successor) => successor.inherit_tags(account),
                None => warn!(
                    account = account.name,
                    "account {} was removed from the configuration file; its series end", account.name
                ),
            }
            account.close();
        }
        Ok(format!("{kept} accounts unchanged, {changed} changed, {added} added, {removed} removed\n"))
    }
}

/// The accounts after a reload: running ones whose settings did not change, and new ones. If the plan is dropped before
/// they are taken, the new ones end.
#[derive(Default)]
struct ReloadPlan {
    all: Vec<Arc<Account>>,
    new: Vec<Arc<Account>>,
}

impl ReloadPlan {
    async fn build(
        accounts: Vec<config::AccountOptions>,
        before: &[Arc<Account>],
        mut shared: SharedResources,
    ) -> Result<Self, String> {
        let mut plan = Self::default();
        shared.find_hung_disks(&accounts).await;
        for config in accounts {
            if let Some(unchanged) = before.iter().find(|account| account.is(&config)) {
                plan.all.push(unchanged.clone());
                continue;
            }
            let name = config.name.clone();
            let account = Account::build(config, &mut shared).await.with_context(|| format!("account `{name}`"));
            let account = Arc::new(account.map_err(|error| format!("{error:#}\n"))?);
            plan.new.push(account.clone());
            if let Some(predecessor) = before.iter().find(|before| before.name == account.name) {
                account.inherit_refusals(predecessor);
            }
            plan.all.push(account);
        }
        Ok(plan)
    }

    /// All accounts; the caller owns them from now on.
    fn take(&mut self) -> Vec<Arc<Account>> {
        self.new.clear();
        std::mem::take(&mut self.all)
    }
}

impl Drop for ReloadPlan {
    fn drop(&mut self) {
        self.new.iter().for_each(|account| drop(account.close()));
    }
}

fn site(
    accounts: &[Arc<Account>],
    live: web::LiveMetrics,
    landing: Arc<landing::Options>,
    settings: String,
    reload: web::Reload,
) -> Site {
    let listed = accounts.to_vec();
    Site {
        accounts: accounts.iter().map(|account| account.on_the_web()).collect(),
        live,
        landing: Arc::new(move || landing::page(listed.iter().map(|account| account.status()).collect(), &landing)),
        settings,
        reload,
    }
}

/// The function that serves a request to reload. It holds a weak reference, because the site is part of what it reloads.
fn reload_function(shared: Weak<Shared>) -> web::Reload {
    Arc::new(move || {
        let shared = shared.clone();
        // A separate task: a client that hangs up does not stop a reload halfway.
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

    fn accounts() -> Vec<config::AccountOptions> {
        let args = ["swr-exporter", "--swr.endpoint=http://127.0.0.1:9"];
        let args = crate::cli::Cli::try_parse_from(args).unwrap().serve;
        let environment = [("SWR_EXPORTER_TOKEN", "token")];
        config::resolve(&args, &Environment::from(&environment[..])).unwrap().accounts
    }

    async fn build() -> ReloadPlan {
        let shared = SharedResources::new(MemoryBudget::of_this_process(), Vec::new());
        ReloadPlan::build(accounts(), &[], shared).await.unwrap()
    }

    #[tokio::test]
    async fn new_accounts_end_if_they_are_not_taken() {
        let taken = build().await.take().remove(0);
        assert!(taken.read().await.1.is_some(), "it makes a call");
        let mut plan = build().await;
        let account = plan.all.remove(0);
        drop(plan);
        assert!(account.read().await.1.is_none(), "it makes no call any more");
    }
}
