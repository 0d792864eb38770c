//! File stamps: the metadata by which a changed file is recognised without reading it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Inode, size and times of a file. A write or a replacement changes at least one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// The inode's change time: seconds since 1970, and nanoseconds. A change of mode or owner moves it as well.
    pub changed: (i64, i64),
}

/// The coarsest time resolution of a file system, two seconds. Two writes within it can leave the same stamp.
const RESOLUTION: Duration = Duration::from_secs(2);

impl Stamp {
    /// The stamp of the file that `path` leads to, through symbolic links: Kubernetes replaces a link on the way. `None`
    /// if there is no such file.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether the file may change again without getting another stamp, because its last change is so recent at `now`.
    pub fn is_ambiguous(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed();
        now.abs_diff(self.changed.0) <= RESOLUTION.as_secs()
    }

    #[cfg(test)]
    pub(super) fn with_change_time(seconds: i64) -> Self {
        Self { inode: (0, 0), size: 0, modified: (seconds, 0), changed: (seconds, 0) }
    }
}
