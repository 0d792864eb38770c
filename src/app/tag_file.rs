//! The file in which an account's book of tags and details outlives the process, beside that of its snapshot.

use crate::base::log_limiter::LogLimiter;
use crate::cache::state_file::{StateFile, Unusable};
use crate::cache::state_lock::StateLock;
use crate::collect::inventory::{TagInventory, codec};
use crate::collect::tags::{HandedOver, Persister};
use crate::failure::error_chain;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;
use tracing::{info, warn};

/// What a former process kept; an empty book where there is nothing, or nothing of use.
pub(super) fn read(file: &StateFile) -> TagInventory {
    let kept = file.read(SystemTime::now()).and_then(|kept| {
        let Some(kept) = kept else { return Ok(None) };
        codec::decode(&kept.payload).map(Some).ok_or(Unusable::Payload)
    });
    match kept {
        Ok(None) => TagInventory::default(),
        Ok(Some(book)) => {
            info!(
                repositories = book.len(),
                layers = book.layers().len(),
                "took over what is known of the tags of {} repositories",
                book.len()
            );
            book
        }
        Err(error) => {
            let (path, error) = (&file.path, error_chain(&error));
            warn!(file = %path.display(), %error, "{} is ignored: it {error}", path.display());
            TagInventory::default()
        }
    }
}

/// Writes the book; a disk that is full or read-only costs a warning now and then, and no more.
pub(super) fn keeper(file: StateFile, lock: Arc<StateLock>) -> Persister {
    let quiet = Mutex::new(LogLimiter::default());
    Arc::new(move |write| {
        if !lock.is_ours() {
            return;
        }
        if let Err(error) = file.write(SystemTime::now(), write)
            && !matches!(error.get_ref(), Some(cause) if cause.is::<HandedOver>())
        {
            let path = &file.path;
            let mut quiet = quiet.lock();
            let Some(suppressed) = quiet.admit(error.kind(), Instant::now()) else { return };
            warn!(file = %path.display(), %error, suppressed, "cannot keep what is known of tags in {}: {error}", path.display());
        }
    })
}
