//! What the accounts of a process share: HTTP clients, memory, locks.

use super::memory::MemoryBudget;
use crate::auth::TokenClient;
use crate::base::blocking::{BlockingThreads, FILE_TIMEOUT};
use crate::base::state_lock::StateLock;
use crate::config;
use crate::swr;
use crate::transport::{BuildError, Https, HttpsOptions};
use anyhow::Context;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tracing::warn;

/// How long connecting to a service of this machine may take; one that takes longer is not there.
const LOCAL_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a state directory may take to answer.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// Resources for accounts that are built together.
pub(super) struct SharedResources {
    pub(super) budget: Arc<MemoryBudget>,
    /// By certificate file: accounts with the same one share connections, and it is read once.
    http_clients: Vec<(Option<PathBuf>, HttpClients)>,
    /// Locks that this process holds or may hold.
    locks: Vec<Arc<StateLock>>,
    /// Reads certificate files.
    reader: BlockingThreads,
}

impl SharedResources {
    /// `locks` are those of the accounts that run already.
    pub(super) fn new(budget: Arc<MemoryBudget>, locks: Vec<Arc<StateLock>>) -> Self {
        Self { budget, http_clients: Vec::new(), locks, reader: BlockingThreads::new(1) }
    }

    /// The lock on this file: the one that this process has, or a new one.
    pub(super) fn lock(&self, path: PathBuf) -> Arc<StateLock> {
        let known = self.locks.iter().find(|lock| lock.path == path);
        known.cloned().unwrap_or_else(|| Arc::new(StateLock::new(path)))
    }

    /// Tries the state directories of all accounts at once, so that disks that hang delay the start only once. Their state is
    /// not loaded.
    pub(super) async fn find_hung_disks(&mut self, accounts: &[config::AccountOptions]) {
        let locks: Vec<_> =
            accounts.iter().filter_map(|account| Some(self.lock(account.state.as_ref()?.lock.clone()))).collect();
        let trials = locks.into_iter().map(|lock| async move {
            let tried = lock.clone();
            let answer = lock.threads.run_within(TRIAL_TIMEOUT, move || tried.is_ours());
            let is_hung = answer.await.is_none();
            if is_hung {
                let path = lock.path.display();
                warn!(file = %path, "the disk of {path} does not answer; the state of its account is not loaded");
            }
            lock.is_hung.store(is_hung, Ordering::Relaxed);
            lock
        });
        self.locks = futures_util::future::join_all(trials).await;
    }

    /// The HTTP clients for these options, unless TLS cannot be set up.
    pub(super) async fn http_clients(&mut self, options: &HttpsOptions) -> anyhow::Result<HttpClients> {
        if let Some((_, known)) = self.http_clients.iter().find(|(ca_file, _)| *ca_file == options.ca_file) {
            return Ok(known.clone());
        }
        let reading = {
            let options = options.clone();
            self.reader.run_within(FILE_TIMEOUT, move || HttpClients::new(&options))
        };
        let clients = reading
            .await
            .with_context(|| format!("the certificates could not be read within {} s", FILE_TIMEOUT.as_secs()))?;
        let clients = clients.context("cannot connect to the upstream")?;
        self.http_clients.push((options.ca_file.clone(), clients.clone()));
        Ok(clients)
    }
}

#[derive(Clone)]
pub(super) struct HttpClients {
    /// For the API and for services of the cloud that give credentials.
    pub(super) public: Https,
    /// For services of this machine; never through a proxy.
    local: Https,
}

impl HttpClients {
    /// Reads the certificates.
    pub(super) fn new(options: &HttpsOptions) -> Result<Self, BuildError> {
        let public = Https::new(options)?;
        Ok(Self { local: public.for_this_machine(LOCAL_CONNECT_TIMEOUT)?, public })
    }

    /// The client for services that give credentials.
    pub(super) fn token_client(&self, metrics: &swr::Metrics) -> TokenClient {
        TokenClient {
            public: Box::new(self.public.clone()),
            link_local: Box::new(self.local.clone()),
            metrics: metrics.of_credentials(),
            wall_clock: SystemTime::now,
        }
    }
}
