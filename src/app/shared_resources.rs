//! What the accounts of a process share: connections, memory, locks.

use super::account::Account;
use super::memory::MemoryBudget;
use crate::auth::TokenClient;
use crate::cache::state_lock::StateLock;
use crate::swr;
use crate::transport::{BuildError, Https, HttpsOptions, Proxies};
use anyhow::Context;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A service of this machine that takes longer to connect to is not there.
const NEAR: Duration = Duration::from_secs(1);

/// What accounts have in common.
pub(super) struct SharedResources {
    pub(super) budget: Arc<MemoryBudget>,
    /// Accounts that connect in the same way use the same connections, and read the certificates once.
    ways: Vec<(Option<PathBuf>, HttpClients)>,
    /// Those that this process holds.
    locks: Vec<Arc<StateLock>>,
}

impl SharedResources {
    /// For the accounts that are built together, in the place of others.
    pub(super) fn new(budget: Arc<MemoryBudget>, before: &[Arc<Account>]) -> Self {
        let locks = before.iter().filter_map(|account| account.lock()).collect();
        Self { budget, ways: Vec::new(), locks }
    }

    /// The lock on this file: the one that is held, or one that is yet to be asked for.
    pub(super) fn lock(&self, path: PathBuf) -> Arc<StateLock> {
        let held = self.locks.iter().find(|lock| lock.path == path);
        held.cloned().unwrap_or_else(|| Arc::new(StateLock::new(path)))
    }

    /// How others are reached in the way of these options.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn ways(&mut self, options: &HttpsOptions) -> anyhow::Result<HttpClients> {
        if let Some((_, known)) = self.ways.iter().find(|(ca_file, _)| *ca_file == options.ca_file) {
            return Ok(known.clone());
        }
        let ways = HttpClients::new(options).context("cannot connect to the upstream")?;
        self.ways.push((options.ca_file.clone(), ways.clone()));
        Ok(ways)
    }
}

/// How others are reached.
#[derive(Clone)]
pub(super) struct HttpClients {
    /// The API, and those in the cloud who give credentials.
    pub(super) cloud: Https,
    /// Services of this machine: never through a proxy.
    machine: Https,
}

impl HttpClients {
    /// Reads the certificates.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(options: &HttpsOptions) -> Result<Self, BuildError> {
        let near = HttpsOptions { connect_timeout: NEAR, proxies: Proxies::Never, ..options.clone() };
        Ok(Self { cloud: Https::new(options)?, machine: Https::new(&near)? })
    }

    /// The way to those who give credentials.
    pub(super) fn door(&self, metrics: &swr::Metrics) -> TokenClient {
        TokenClient {
            public: Box::new(self.cloud.clone()),
            link_local: Box::new(self.machine.clone()),
            metrics: metrics.of_credentials(),
            wall_clock: SystemTime::now,
        }
    }
}
