//! An advisory lock: of several processes that share a state directory, the first owns an account's files until it exits.
//!
//! The kernel releases the lock however its holder ends. A process asks for it before each write, so that after a restart
//! the new process takes over from the old one, whichever lives longer.

use super::blocking::BlockingThreads;
use super::file;
use parking_lot::Mutex;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::warn;

/// The lock of one account, shared by all that write its state in this process, and held until it is dropped.
#[derive(Debug)]
pub struct StateLock {
    /// The lock file; it stays empty.
    pub path: PathBuf,
    held: Mutex<Option<File>>,
    is_problem_logged: AtomicBool,
    /// Whether the disk does not answer, so that nothing is read from it.
    pub is_hung: AtomicBool,
    /// Files that were read in this process.
    used: Mutex<Vec<PathBuf>>,
    /// The threads that read and write the account's state, also for accounts that were replaced by a reload.
    pub threads: BlockingThreads,
}

/// Two files may be written at a time, and one be read by a successor. A disk that hangs holds no more threads than these.
const THREADS: u32 = 3;

impl StateLock {
    /// The lock by the file at `path`, not acquired yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            held: Mutex::default(),
            is_problem_logged: AtomicBool::new(false),
            is_hung: AtomicBool::new(false),
            used: Mutex::default(),
            threads: BlockingThreads::new(THREADS),
        }
    }

    /// Whether this is the first call for a file in this process.
    pub fn is_first_use(&self, file: &Path) -> bool {
        let mut used = self.used.lock();
        let is_first = !used.iter().any(|known| known == file);
        if is_first {
            used.push(file.to_owned());
        }
        is_first
    }

    /// Whether this process may write; acquires the lock if it is free. Also true if the file cannot be locked: other
    /// processes cannot be seen then.
    pub fn is_ours(&self) -> bool {
        let mut held = self.held.lock();
        if held.is_some() {
            return true;
        }
        // A directory that cannot be created is reported by the write.
        let _ = self.path.parent().map(file::create_directory);
        let path = self.path.display();
        let is_news = || !self.is_problem_logged.swap(true, Ordering::Relaxed);
        let locked = file::open_own(&self.path, 0o600).map_err(TryLockError::Error).and_then(|file| {
            file.try_lock()?;
            Ok(file)
        });
        match locked {
            Ok(file) => *held = Some(file),
            Err(TryLockError::WouldBlock) => {
                if is_news() {
                    warn!(file = %path, "another process holds {path}; only that one saves the state until it exits");
                }
                return false;
            }
            // A write reports a missing or read-only directory.
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Other => {}
            Err(TryLockError::Error(error)) => {
                if is_news() {
                    warn!(file = %path, %error, "cannot lock {path}: {error}");
                }
            }
        }
        true
    }
}
