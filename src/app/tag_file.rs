//! The file in which an account's book of tags and details outlives the process, beside that of its snapshot.

use crate::cache::quiet::Quiet;
use crate::cache::state_file;
use crate::cache::state_lock::StateLock;
use crate::collect::book::{Book, codec};
use crate::collect::tags::{Keep, PassedOn};
use crate::failure::chain;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::time::Instant;
use tracing::{info, warn};

/// What a former process kept; an empty book where there is nothing, or nothing of use.
pub(super) fn read(path: &Path, lock: &StateLock) -> Book {
    if lock.is_ours() {
        state_file::sweep(path);
    }
    let kept = state_file::read(path, SystemTime::now()).and_then(|kept| {
        let Some(kept) = kept else { return Ok(None) };
        codec::decode(&kept.payload).map(Some).ok_or(state_file::Unusable::Payload)
    });
    match kept {
        Ok(None) => Book::default(),
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
            let error = chain(&error);
            warn!(file = %path.display(), %error, "{} is ignored: it {error}", path.display());
            Book::default()
        }
    }
}

/// Writes the book; a disk that is full or read-only costs a warning now and then, and no more.
pub(super) fn keeper(path: PathBuf, lock: Arc<StateLock>) -> Keep {
    let quiet = Mutex::new(Quiet::default());
    Arc::new(move |write| {
        if !lock.is_ours() {
            return;
        }
        if let Err(error) = state_file::write(&path, SystemTime::now(), write)
            && !matches!(error.get_ref(), Some(cause) if cause.is::<PassedOn>())
        {
            let mut quiet = quiet.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(suppressed) = quiet.admit(error.kind(), Instant::now()) else { return };
            warn!(file = %path.display(), %error, suppressed, "cannot keep what is known of tags in {}: {error}", path.display());
        }
    })
}
