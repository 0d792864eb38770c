//! An advisory lock: of several processes that share a state directory, the first owns an account's files until it exits.
//!
//! The kernel releases the lock however its holder ends. A process asks for it before each write, so that after a restart
//! the new process takes over from the old one, whichever lives longer.

use parking_lot::Mutex;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tracing::warn;

/// The lock of one account, shared by all that write its state in this process, and held until it is dropped.
#[derive(Debug)]
pub struct StateLock {
    /// The lock file; it stays empty.
    pub path: PathBuf,
    held: Mutex<Option<File>>,
    is_conflict_logged: AtomicBool,
    writers: AtomicU64,
}

impl StateLock {
    /// The lock by the file at `path`, not acquired yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, held: Mutex::default(), is_conflict_logged: AtomicBool::new(false), writers: AtomicU64::new(0) }
    }

    /// A number for a new writer in this process; 0 for the first.
    pub fn writer(&self) -> u64 {
        self.writers.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether this process may write; acquires the lock if it is free. Also true where files cannot be locked: then other
    /// processes cannot be seen, and a write reports what is wrong with the directory.
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
                if !self.is_conflict_logged.swap(true, Ordering::Relaxed) {
                    let path = self.path.display();
                    warn!(file = %path, "another process holds {path}: until it ends, the state is kept by that one alone");
                }
                return false;
            }
        }
        true
    }
}
