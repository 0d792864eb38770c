//! State shared by all connections of a simulator, each part behind its own lock.
//!
//! Locks are held briefly and never across an await.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::fault_rules::Faults;
use super::journal::Journal;
use super::lockout::LockoutTracker;
use super::metadata_state::MetadataState;
use super::options::Options;
use super::temporary_keys::TemporaryKeys;
use super::tokens::Tokens;
use super::transport_faults;
use super::world::World;

#[derive(Debug)]
pub(super) struct SimulatorState {
    options: Mutex<Arc<Options>>,
    world: Mutex<AdvancingWorld>,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) keys: Mutex<TemporaryKeys>,
    pub(super) logins: Mutex<LockoutTracker>,
    pub(super) instance: Mutex<MetadataState>,
    pub(super) faults: Mutex<Faults>,
    pub(super) journal: Arc<Mutex<Journal>>,
    rate: Mutex<(Instant, u32)>,
    /// The latest compression bomb and its size: one takes a second to make.
    bomb: Mutex<(u64, Arc<Vec<u8>>)>,
    pub(super) ordinal: AtomicU64,
    pub(super) connections: AtomicU64,
}

/// The world and the time up to which it has advanced.
#[derive(Debug)]
struct AdvancingWorld {
    world: World,
    until: Instant,
}

/// The world, locked.
pub(super) struct WorldGuard<'a>(MutexGuard<'a, AdvancingWorld>);

impl SimulatorState {
    pub(super) fn new(options: Options) -> Self {
        let now = Instant::now();
        Self {
            world: Mutex::new(AdvancingWorld { world: World::generate(&options), until: now }),
            options: Mutex::new(Arc::new(options)),
            tokens: Mutex::default(),
            keys: Mutex::default(),
            logins: Mutex::default(),
            instance: Mutex::default(),
            faults: Mutex::default(),
            journal: Arc::new(Mutex::new(Journal::new())),
            rate: Mutex::new((now, 0)),
            bomb: Mutex::default(),
            ordinal: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    pub(super) fn configure(&self, change: impl FnOnce(&mut Options)) {
        // Advance the world at the old speed first.
        drop(self.world());
        change(Arc::make_mut(&mut self.options.lock()));
    }

    pub(super) fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options.lock())
    }

    /// The world, advanced to now.
    pub(super) fn world(&self) -> WorldGuard<'_> {
        let speed = self.options().speed;
        let mut advancing = self.world.lock();
        let now = Instant::now();
        let passed = now.saturating_duration_since(advancing.until);
        advancing.until = now;
        if speed > 0.0 {
            let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            advancing.world.latest_date = i64::try_from(today.as_nanos()).unwrap_or(i64::MAX);
            advancing.world.advance(passed.mul_f64(speed));
        }
        WorldGuard(advancing)
    }

    /// The service's clock.
    pub(super) fn now(&self) -> SystemTime {
        let skew = self.options().clock_skew_seconds;
        let away = Duration::from_secs(skew.unsigned_abs());
        let now = SystemTime::now();
        if skew < 0 { now - away } else { now + away }
    }

    pub(super) fn now_seconds(&self) -> i64 {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// A compressed body that unpacks to this many bytes.
    pub(super) async fn bomb(&self, bytes: u64) -> Vec<u8> {
        let made = self.bomb.lock().clone();
        if made.0 == bytes {
            return made.1.to_vec();
        }
        let body = tokio::task::spawn_blocking(move || transport_faults::bomb(bytes)).await.unwrap_or_default();
        *self.bomb.lock() = (bytes, Arc::new(body.clone()));
        body
    }

    /// Counts a request; returns whether it exceeds the limit of this second.
    pub(super) fn over_rate(&self, options: &Options) -> bool {
        let Some(limit) = options.requests_per_second else {
            return false;
        };
        let mut rate = self.rate.lock();
        let now = Instant::now();
        if now.duration_since(rate.0) >= Duration::from_secs(1) {
            *rate = (now, 0);
        }
        rate.1 = rate.1.saturating_add(1);
        rate.1 > limit
    }
}

impl Deref for WorldGuard<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0.world
    }
}

impl DerefMut for WorldGuard<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0.world
    }
}
