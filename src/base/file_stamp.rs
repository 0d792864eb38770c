//! By what it is seen that a file was changed, without reading it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What changes when a file is written to or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Also by what leaves the content as it is: seconds since 1970, and nanoseconds.
    pub changed: (i64, i64),
}

impl Stamp {
    /// Of what the name leads to: Kubernetes replaces a link on the way. `None`: there is nothing to be seen.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
