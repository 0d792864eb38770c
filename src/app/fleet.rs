//! The accounts in force, and how others take their place.
//!
//! Settings are read again on SIGHUP, on request and when their file changes. What did not change is not touched: its
//! cache, its credential and its counters go on. Settings that are wrong change nothing.

use super::account::{Account, Commons};
use super::live;
use super::memory::Budget;
use super::web_config::WebConfig;
use crate::catalog;
use crate::cli::ServeArgs;
use crate::config::web_file::WebFile;
use crate::config::{self, Config};
use crate::instruments;
use crate::web::{self, Site, Sites, Tally};
use anyhow::Context;
use prometheus::{Gauge, Registry};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How often the configuration file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The longest that reading settings may take: a file system may hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest that is waited at the end for what is known of tags to be written.
const LAST_KEEP: Duration = Duration::from_secs(5);

/// The accounts in force. Clones are the same.
#[derive(Clone)]
pub(super) struct Fleet(Arc<Shared>);

struct Shared {
    /// What settings are read from again; `None` where they are given once and for all.
    args: Option<ServeArgs>,
    budget: Arc<Budget>,
    live: web::Live,
    tally: Arc<Tally>,
    web_config: WebConfig,
    successful: Gauge,
    success: Gauge,
    sites: watch::Sender<Arc<Site>>,
    /// Held while settings are read: one at a time.
    running: Mutex<Vec<Arc<Account>>>,
    /// What accounts still write when they are closed.
    closing: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Fleet {
    /// Starts the accounts.
    ///
    /// # Errors
    /// When one cannot be built.
    pub(super) fn start(
        accounts: Vec<config::Account>,
        web_file: Option<WebFile>,
        shown: String,
        args: Option<ServeArgs>,
    ) -> anyhow::Result<Self> {
        let (registry, tally) = (Registry::new(), Arc::new(Tally::default()));
        live::register_process(&registry, &tally);
        let successful = instruments::gauge(&registry, &catalog::CONFIG_RELOAD_SUCCESSFUL);
        let success = instruments::gauge(&registry, &catalog::CONFIG_RELOAD_SUCCESS);
        let web_config = WebConfig::new(web_file, &registry);
        let budget = Budget::of_this_process();
        if let Some(most) = budget.most() {
            info!(
                repositories = most,
                "the memory limit leaves room for {most} repositories; a longer listing is refused"
            );
        }
        let mut commons = Commons::new(budget.clone(), &[]);
        let running = accounts
            .into_iter()
            .map(|account| Account::build(account, &mut commons).map(Arc::new))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let fleet = Self(Arc::new_cyclic(|this: &std::sync::Weak<Shared>| {
            let live = live::encoder(registry);
            let site = site(&running, live.clone(), tally.clone(), shown, reloading(this.clone()));
            let (sites, _) = watch::channel(Arc::new(site));
            Shared {
                args,
                budget,
                live,
                tally,
                web_config,
                successful,
                success,
                sites,
                running: Mutex::new(running),
                closing: std::sync::Mutex::default(),
            }
        }));
        fleet.0.read_well();
        Ok(fleet)
    }

    /// What is served.
    pub(super) fn sites(&self) -> Sites {
        self.0.sites.subscribe()
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
        let mut running = self.0.running.lock().await;
        let outcome = self.reload_into(&mut running).await;
        match &outcome {
            Ok(done) => {
                self.0.read_well();
                info!("settings were read again {why}: {}", done.trim_end());
            }
            Err(problems) => {
                self.0.successful.set(0.0);
                let problems = problems.trim_end().replace('\n', "; ");
                error!("settings were read again {why} and those before stay in force: {problems}");
            }
        }
        outcome
    }

    async fn reload_into(&self, running: &mut Vec<Arc<Account>>) -> Result<String, String> {
        let Some(args) = self.0.args.clone() else { return Ok("there is nothing to read them from\n".to_owned()) };
        let (before, budget) = (running.clone(), self.0.budget.clone());
        let reading = tokio::task::spawn_blocking(move || successors(&args, &before, budget));
        let Ok(read) = tokio::time::timeout(PATIENCE, reading).await else {
            return Err(format!("the settings could not be read within {} s\n", PATIENCE.as_secs()));
        };
        let Successors { accounts, web_file, shown } =
            read.map_err(|_| "reading the settings panicked\n".to_owned())??;

        let is_in =
            |account: &Arc<Account>, list: &[Arc<Account>]| list.iter().any(|other| Arc::ptr_eq(account, other));
        let named = |list: &[Arc<Account>], account: &Account| list.iter().any(|other| other.name() == account.name());
        let kept = accounts.iter().filter(|account| is_in(account, running)).count();
        let added = accounts.iter().filter(|account| !named(running, account)).count();
        let removed = running.iter().filter(|account| !named(&accounts, account)).count();
        let changed = accounts.len() - kept - added;
        let retired: Vec<_> = running.iter().filter(|account| !is_in(account, &accounts)).cloned().collect();
        let reload = reloading(Arc::downgrade(&self.0));
        let site = site(&accounts, self.0.live.clone(), self.0.tally.clone(), shown, reload);
        self.0.sites.send_replace(Arc::new(site));
        self.0.web_config.replace(web_file).await;
        // Only now: a scrape that came before is answered from what it found.
        for account in &retired {
            if let Some(successor) = accounts.iter().find(|other| other.name() == account.name()) {
                successor.inherit(account);
            }
            account.close();
        }
        for account in accounts.iter().filter(|account| is_in(account, running)) {
            account.try_again();
        }
        *running = accounts;
        Ok(format!("{kept} accounts unchanged, {changed} changed, {added} added, {removed} removed\n"))
    }

    /// Reads the settings again whenever their file has changed and then stood still for a moment, so that a file that is
    /// being written is not read by halves. Runs until it is dropped.
    pub(super) async fn follow(&self, path: &Path) {
        let mut read = signature(path).await;
        let mut seen = read;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = signature(path).await;
            if now != read && now == seen {
                read = now;
                // What is wrong is in the log and in the metrics.
                let _ = self.reload("because their file changed").await;
            }
            seen = now;
        }
    }

    /// Ends the refreshes that run, and all else that accounts do.
    pub(super) async fn close(&self) {
        let closed = self.0.running.lock().await.iter().filter_map(|account| account.close()).collect();
        *self.0.closing.lock().unwrap_or_else(PoisonError::into_inner) = closed;
    }

    /// After [`Fleet::close`], waits until all that is known of tags is kept; not for a disk that hangs.
    pub(super) async fn kept(&self) {
        let closing = std::mem::take(&mut *self.0.closing.lock().unwrap_or_else(PoisonError::into_inner));
        if tokio::time::timeout(LAST_KEEP, futures_util::future::join_all(closing)).await.is_err() {
            warn!("what is known of tags could not be kept within {} s", LAST_KEEP.as_secs());
        }
    }
}

impl Shared {
    fn read_well(&self) {
        self.successful.set(1.0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.success.set(now.as_secs_f64());
    }
}

struct Successors {
    accounts: Vec<Arc<Account>>,
    web_file: Option<WebFile>,
    shown: String,
}

/// The accounts of the settings as they are now: those that run where nothing changed, others where something did.
fn successors(args: &ServeArgs, before: &[Arc<Account>], budget: Arc<Budget>) -> Result<Successors, String> {
    let environment = |name: &str| std::env::var(name).ok();
    let Config { accounts, web_file, shown, .. } =
        config::resolve(args, &environment).map_err(|problems| problems.to_string())?;
    let mut commons = Commons::new(budget, before);
    let (mut all, mut built) = (Vec::new(), Vec::new());
    for config in accounts {
        if let Some(unchanged) = before.iter().find(|account| account.is(&config)) {
            all.push(unchanged.clone());
            continue;
        }
        let name = config.name.clone();
        match Account::build(config, &mut commons).with_context(|| format!("account `{name}`")) {
            Ok(account) => {
                built.push(Arc::new(account));
                all.extend(built.last().cloned());
            }
            Err(error) => {
                // Nothing takes place, so what was begun for it ends.
                built.iter().for_each(|account| drop(account.close()));
                return Err(format!("{error:#}\n"));
            }
        }
    }
    for account in &built {
        if let Some(predecessor) = before.iter().find(|before| before.name() == account.name()) {
            account.succeed(predecessor);
        }
    }
    Ok(Successors { accounts: all, web_file, shown })
}

fn site(accounts: &[Arc<Account>], live: web::Live, tally: Arc<Tally>, settings: String, reload: web::Reload) -> Site {
    Site {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        accounts: accounts.iter().map(|account| account.on_the_web()).collect(),
        live,
        settings,
        reload,
        tally,
    }
}

/// For a request to reload. Weak: what is served must not keep alive what serves it.
fn reloading(shared: std::sync::Weak<Shared>) -> web::Reload {
    Arc::new(move || {
        let shared = shared.clone();
        // A task of its own: a client that hangs up does not leave settings half in force.
        let reloading = tokio::spawn(async move {
            match shared.upgrade() {
                Some(shared) => Fleet(shared).reload("on request").await,
                None => Err("the exporter is stopping\n".to_owned()),
            }
        });
        Box::pin(async move { reloading.await.unwrap_or_else(|_| Err("reading the settings panicked\n".to_owned())) })
    })
}

/// Changes when the file does, also when a link on the way to it does (a mounted Kubernetes ConfigMap is one).
async fn signature(path: &Path) -> Option<(u64, u64, SystemTime)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
}
