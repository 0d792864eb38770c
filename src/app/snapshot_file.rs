//! The file in which an account's last good snapshot outlives the process.

use super::memory::MemoryShare;
use super::refresh::weight;
use crate::base::log_limiter::LogLimiter;
use crate::cache::state_file::{StateFile, Unusable};
use crate::cache::state_lock::StateLock;
use crate::cache::{self, Cache};
use crate::collect::tags::TagCollector;
use crate::exposition::{self, Exposition};
use crate::failure::error_chain;
use crate::model::{Snapshot, codec};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;
use tracing::{info, warn};

/// Writes each snapshot to the state file; a disk that is full or read-only costs a warning now and then, and no more.
pub(super) fn keeper(file: StateFile, lock: Arc<StateLock>) -> cache::Persister<Exposition> {
    let quiet = Mutex::new(LogLimiter::default());
    Box::new(move |page, read_at| {
        if !lock.is_ours() {
            return;
        }
        let snapshot: &Snapshot = page.snapshot();
        if let Err(error) = file.write(read_at, |out| codec::encode(snapshot, out)) {
            let path = &file.path;
            let mut quiet = quiet.lock();
            let Some(suppressed) = quiet.admit(error.kind(), Instant::now()) else { return };
            warn!(file = %path.display(), %error, suppressed, "cannot keep the snapshot in {}: {error}", path.display());
        }
    })
}

/// What a former process kept of an account is served, with its true age; what is of no use is named in the log.
pub(super) fn restore(
    cache: &Cache<Exposition>,
    file: &StateFile,
    exposition: &exposition::Options,
    share: &MemoryShare,
    tags: Option<&TagCollector>,
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
            share.hold(weight(&snapshot), tags.map(TagCollector::layers));
            snapshot.images = tags.map(|tags| Arc::new(tags.recall(&snapshot)));
            cache.restore(Exposition::build(Arc::new(snapshot), exposition, None), read_at, age);
        }
        Err(error) => {
            let (path, error) = (&file.path, error_chain(&error));
            warn!(file = %path.display(), %error, "{} is ignored: it {error}", path.display());
        }
    }
}
