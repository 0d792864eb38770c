//! What all connections of one simulator share, each part behind a lock of its own.
//!
//! Locks are held for moments, never while something is awaited, and never two of a kind.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::attempts::Attempts;
use super::deliver;
use super::http::Request;
use super::instance::Instance;
use super::journal::Journal;
use super::keys::Keys;
use super::options::Options;
use super::rules::Faults;
use super::tokens::Tokens;
use super::world::World;

#[derive(Debug)]
pub(super) struct Shared {
    options: Mutex<Arc<Options>>,
    world: Mutex<Paced>,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) keys: Mutex<Keys>,
    pub(super) logins: Mutex<Attempts>,
    pub(super) instance: Mutex<Instance>,
    pub(super) faults: Mutex<Faults>,
    pub(super) journal: Mutex<Journal>,
    rate: Mutex<(Instant, u32)>,
    /// The last compression bomb, by its size: it takes a second to make.
    bomb: Mutex<(u64, Arc<Vec<u8>>)>,
    pub(super) ordinal: AtomicU64,
    pub(super) connections: AtomicU64,
}

/// The world and the moment up to which it has grown.
#[derive(Debug)]
struct Paced {
    world: World,
    until: Instant,
}

/// The world, locked.
pub(super) struct WorldGuard<'a>(MutexGuard<'a, Paced>);

/// A request that is being answered; dropping it says that it no longer is.
pub(super) struct Flight {
    shared: Arc<Shared>,
    pub(super) number: u64,
    counted: bool,
}

impl Shared {
    pub(super) fn new(options: Options) -> Self {
        let now = Instant::now();
        Self {
            world: Mutex::new(Paced { world: World::generate(&options), until: now }),
            options: Mutex::new(Arc::new(options)),
            tokens: Mutex::default(),
            keys: Mutex::default(),
            logins: Mutex::default(),
            instance: Mutex::default(),
            faults: Mutex::default(),
            journal: Mutex::new(Journal::new()),
            rate: Mutex::new((now, 0)),
            bomb: Mutex::default(),
            ordinal: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    pub(super) fn configure(&self, change: impl FnOnce(&mut Options)) {
        // The world first catches up at the speed that held until now.
        drop(self.world());
        change(Arc::make_mut(&mut lock(&self.options)));
    }

    pub(super) fn options(&self) -> Arc<Options> {
        Arc::clone(&lock(&self.options))
    }

    /// The world as it is at this moment.
    pub(super) fn world(&self) -> WorldGuard<'_> {
        let speed = self.options().speed;
        let mut paced = lock(&self.world);
        let now = Instant::now();
        let passed = now.saturating_duration_since(paced.until);
        paced.until = now;
        if speed > 0.0 {
            paced.world.advance(passed.mul_f64(speed));
        }
        WorldGuard(paced)
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

    /// A compressed body that unpacks to so many bytes.
    pub(super) async fn bomb(&self, bytes: u64) -> Vec<u8> {
        let made = lock(&self.bomb).clone();
        if made.0 == bytes {
            return made.1.to_vec();
        }
        let body = tokio::task::spawn_blocking(move || deliver::bomb(bytes)).await.unwrap_or_default();
        *lock(&self.bomb) = (bytes, Arc::new(body.clone()));
        body
    }

    /// Counts a request against the rate limit; whether it is one too many in this second.
    pub(super) fn over_rate(&self, options: &Options) -> bool {
        let Some(limit) = options.requests_per_second else {
            return false;
        };
        let mut rate = lock(&self.rate);
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

impl Flight {
    /// Begins; what is not a request is not counted.
    pub(super) fn begin(shared: &Arc<Shared>, request: Option<&Request>) -> Self {
        let number = request.map(|request| lock(&shared.journal).begin(request));
        Self { shared: Arc::clone(shared), number: number.unwrap_or_default(), counted: number.is_some() }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.counted {
            lock(&self.shared.journal).finished();
        }
    }
}

/// Locks. A hook that panicked while it held the lock has failed its own test; the others go on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
