//! A stamp of a file's metadata, which changes when the file changes; the content is not read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The metadata that changes when a file is written to or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// The inode's change time: seconds since 1970, and nanoseconds. A change of mode or owner moves it as well.
    pub changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file that `path` leads to, through links, which is what Kubernetes replaces. `None` if there is no
    /// such file.
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
