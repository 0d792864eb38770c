//! Reads the secret files of one account apart from everything else: their file system may hang.

use crate::base::blocking::BlockingThreads;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest that reading the secret files may take. A file system that takes longer hangs.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads on one thread. While a read hangs, further reads fail at once and start no thread. Clones share the thread.
#[derive(Clone, Debug)]
pub struct SecretReader {
    thread: BlockingThreads,
    /// Whether the read that has the thread took too long.
    hangs: Arc<AtomicBool>,
}

impl Default for SecretReader {
    fn default() -> Self {
        Self { thread: BlockingThreads::new(1), hangs: Arc::default() }
    }
}

impl SecretReader {
    /// Runs `read`. `None` if it panics or takes too long, or if a read before it hangs.
    pub(super) async fn run<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if self.hangs.load(Ordering::Acquire) && self.thread.is_busy() {
            return None;
        }
        self.hangs.store(false, Ordering::Release);
        #[cfg(test)]
        let _held = tests::hold_paused_clock();
        let result = tokio::time::timeout(READ_TIMEOUT, self.thread.run(read)).await;
        self.hangs.fetch_or(result.is_err(), Ordering::AcqRel);
        result.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use tokio::time::Instant;

    /// Keeps a paused clock from running on while a plain thread works: it waits for the runtime's threads alone.
    pub(super) fn hold_paused_clock() -> mpsc::Sender<()> {
        let (held, ended) = mpsc::channel();
        drop(tokio::task::spawn_blocking(move || ended.recv()));
        held
    }

    #[tokio::test]
    async fn a_read_that_hangs_holds_one_thread_and_is_waited_for_once() {
        let reader = SecretReader::default();
        let (end, hang) = mpsc::channel::<()>();
        let (hang, begun) = (Arc::new(parking_lot::Mutex::new(hang)), Arc::new(AtomicUsize::new(0)));
        let start = Instant::now();
        for _ in 0..1000 {
            let (hang, begun) = (hang.clone(), begun.clone());
            let read = move || {
                begun.fetch_add(1, Ordering::Relaxed);
                let _ = hang.lock().recv();
            };
            assert_eq!(reader.run(read).await, None);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        assert!(start.elapsed() < 2 * READ_TIMEOUT, "{:?}", start.elapsed());
        drop(end);
        let deadline = Instant::now() + Duration::from_secs(30);
        while reader.run(|| 1).await != Some(1) {
            assert!(Instant::now() < deadline, "it is not used again");
        }
    }
}
