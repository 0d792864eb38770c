//! A stamp of a file's metadata, which changes when the file changes; the content is not read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The metadata that changes when a file is written to or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
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

/// Tells when watched files have changed and then stood still for one look, so that a half-written file is not read. `S` is
/// what is looked at: a stamp, or the stamps of several files.
#[derive(Debug)]
pub struct ChangeDetector<S> {
    read: S,
    seen: S,
}

impl<S: Clone + PartialEq> ChangeDetector<S> {
    /// For files that were read when they looked like this.
    pub fn new(read: S) -> Self {
        Self { seen: read.clone(), read }
    }

    /// Looks at the files. Whether they must be read now: they are as at the look before, and not as when they were read.
    pub fn look(&mut self, now: S) -> bool {
        let is_still = self.seen == now;
        self.seen = now;
        if !is_still || self.seen == self.read {
            return false;
        }
        self.read = self.seen.clone();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn files_are_read_once_for_each_change_that_stood_still(looks in prop::collection::vec(0u8..3, 0..50)) {
            let mut detector = ChangeDetector::new(0);
            let (mut read, mut before) = (0, 0);
            for now in looks {
                prop_assert_eq!(detector.look(now), now == before && now != read);
                if now == before {
                    read = now;
                }
                before = now;
            }
        }
    }
}
