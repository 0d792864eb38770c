//! Whose the state of an account is where several processes keep theirs in one directory: the first one's, until it ends.
//!
//! An advisory lock on a file beside the state, which the kernel takes back however its holder ends. It is asked for
//! before each write, so that the process of a restart takes over from the one before, whichever lives longer.

use parking_lot::Mutex;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tracing::warn;

/// The lock of one account, held until it is dropped. Shared by all that write its state in this process.
#[derive(Debug)]
pub struct StateLock {
    /// The file that is locked; nothing is in it.
    pub path: PathBuf,
    held: Mutex<Option<File>>,
    is_told: AtomicBool,
    writers: AtomicU64,
}

impl StateLock {
    /// That of this file. Nothing is asked yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, held: Mutex::default(), is_told: AtomicBool::new(false), writers: AtomicU64::new(0) }
    }

    /// A number for one more that writes the state in this process, where those before it may be at it still; 0 for the
    /// first.
    pub fn writer(&self) -> u64 {
        self.writers.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether this process may write. So it is where files cannot be locked, too: whoever else is there is not known of,
    /// and what is wrong with the place the write will tell.
    pub fn is_ours(&self) -> bool {
        let mut held = self.held.lock();
        if held.is_some() {
            return true;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        let Ok(file) = file else { return true };
        match file.try_lock() {
            Ok(()) => *held = Some(file),
            Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                if !self.is_told.swap(true, Ordering::Relaxed) {
                    let path = self.path.display();
                    warn!(file = %path, "another process holds {path}: until it ends, the state is kept by that one alone");
                }
                return false;
            }
        }
        true
    }
}
