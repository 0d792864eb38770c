//! A watcher that reports changes of files by polling their stamps.
//!
//! Polling finds every kind of change, also the symlink swaps by which Kubernetes updates a volume. A change is reported
//! only once the files have stood still, so that a file that is being written is not read in part.

use super::file_stamp::Stamp;
use std::time::{Duration, SystemTime};

/// The time between two looks. A look costs a few system calls and reads no content.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The stamps of the watched files, in a fixed order; `None` for a file that does not exist.
pub type Stamps = Vec<Option<Stamp>>;

/// Compares each look at a set of files with the look before it and with what was reported last.
#[derive(Debug)]
pub struct FileWatcher {
    /// The stamps that the caller knows.
    reported: Stamps,
    /// The stamps of the latest look.
    seen: Stamps,
}

impl FileWatcher {
    /// `known` is how the files were when the caller read them, taken before reading. With no stamps, the files are reported
    /// as changed once they have stood still.
    pub fn new(known: Stamps) -> Self {
        Self { seen: known.clone(), reported: known }
    }

    /// Takes the stamps of one look. True once for each change, when the files had the same stamps a look ago and none can
    /// change again unnoticed.
    pub fn observe(&mut self, stamps: Stamps, now: SystemTime) -> bool {
        let is_still = stamps == self.seen && !stamps.iter().flatten().any(|stamp| stamp.is_ambiguous(now));
        let is_reported = is_still && stamps != self.reported;
        if is_reported {
            self.reported.clone_from(&stamps);
        }
        self.seen = stamps;
        is_reported
    }

    /// Waits for a change, looking at every [`INTERVAL`]. `look` returns the current stamps, or `None` if the file system
    /// does not answer, which counts as no look. The future may be dropped at any time.
    pub async fn changed<F: Future<Output = Option<Stamps>>>(&mut self, mut look: impl FnMut() -> F) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Some(stamps) = look().await
                && self.observe(stamps, SystemTime::now())
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
    }

    proptest! {
        /// A file is written to in some seconds and not in others.
        #[test]
        fn each_change_is_reported_once_and_only_while_the_file_stands_still(writes in prop::collection::vec(any::<bool>(), 1..60)) {
            const START: i64 = 1_000;
            let stamps = |changed: i64| vec![Some(Stamp::with_change_time(changed))];
            let mut watcher = FileWatcher::new(stamps(0));
            let (mut changed, mut reported) = (0, 0);
            for (second, is_written) in (START..).zip(writes.into_iter().chain([false; 5])) {
                if is_written {
                    changed = second;
                }
                if watcher.observe(stamps(changed), at(second)) {
                    prop_assert!(second - changed > 2, "written {} s ago", second - changed);
                    prop_assert!(changed > reported, "reported twice");
                    reported = changed;
                }
            }
            prop_assert_eq!(reported, changed, "the last change is never missed");
        }
    }

    #[test]
    fn a_file_that_appears_or_vanishes_has_changed_and_unknown_files_are_reported() {
        let file = || vec![Some(Stamp::with_change_time(5))];
        let mut watcher = FileWatcher::new(file());
        let mut looks = |stamps: [Stamps; 2]| stamps.map(|stamps| watcher.observe(stamps, at(1_000)));
        assert_eq!(looks([file(), file()]), [false, false]);
        assert_eq!(looks([vec![None], vec![None]]), [false, true]);
        assert_eq!(looks([file(), file()]), [false, true]);
        let mut watcher = FileWatcher::new(Vec::new());
        assert_eq!([watcher.observe(file(), at(1_000)), watcher.observe(file(), at(1_000))], [false, true], "unknown");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_without_an_answer_shows_no_change() {
        let stamps = || Some(vec![Some(Stamp::with_change_time(5))]);
        let mut answers = vec![stamps(), None, stamps(), None];
        let mut watcher = FileWatcher::new(vec![None]);
        let began = tokio::time::Instant::now();
        watcher.changed(|| std::future::ready(answers.pop().expect("two answers are enough"))).await;
        assert_eq!(began.elapsed(), 4 * INTERVAL);
    }
}
