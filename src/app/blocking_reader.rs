//! Reads settings files on a thread of their own, because a file system may hang.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a read may take, see [`BlockingReader`].
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs blocking work on at most one thread. Work that hangs is given up after a timeout, but no other work begins before it
/// ends: it would hang too, and one thread after the other would be lost.
pub(super) struct BlockingReader {
    free: Arc<Semaphore>,
    timeout: Duration,
}

impl BlockingReader {
    /// A reader that gives up after `timeout`.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(1)), timeout }
    }

    /// Runs `work`. `None` if it panicked, took too long, or earlier work still hangs.
    ///
    /// Dropping the future ends the wait, not the work.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let done = async {
            let turn = self.free.clone().acquire_owned().await.ok()?;
            let work = move || {
                let _turn = turn;
                work()
            };
            tokio::task::spawn_blocking(work).await.ok()
        };
        tokio::time::timeout(self.timeout, done).await.ok()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_that_hangs_holds_one_thread_however_often_it_is_tried() {
        let reader = BlockingReader::new(Duration::from_millis(20));
        let (end, hang) = mpsc::channel::<()>();
        let (hang, begun) = (Arc::new(std::sync::Mutex::new(hang)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..20 {
            let (hang, begun) = (hang.clone(), begun.clone());
            let work = move || {
                begun.fetch_add(1, Ordering::Relaxed);
                let _ = hang.lock().unwrap().recv();
            };
            assert_eq!(reader.run(work).await, None);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        end.send(()).unwrap();
        drop(end);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while reader.run(|| 1).await != Some(1) {
            assert!(tokio::time::Instant::now() < deadline, "it is not used again");
        }
    }
}
