//! Where files of settings are looked at and read: apart from all that is served, as a file system may hang.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The longest that looking or reading may take, see [`BlockingReader`].
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// One blocking thread at the most. What hangs on it is not waited for, but nothing else begins before it ends: each
/// further attempt would hang as well, until no thread is left for anybody.
pub(super) struct BlockingReader {
    free: Arc<Semaphore>,
    patience: Duration,
}

impl BlockingReader {
    /// One that gives up after a time.
    pub(super) fn new(patience: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(1)), patience }
    }

    /// Does something that blocks. `None`: it panicked, it took too long, or what was begun before it still does.
    ///
    /// Dropping the future ends the wait and not the work.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let done = async {
            let turn = self.free.clone().acquire_owned().await.ok()?;
            let work = move || {
                let _turn = turn;
                work()
            };
            tokio::task::spawn_blocking(work).await.ok()
        };
        tokio::time::timeout(self.patience, done).await.ok()?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    #[tokio::test]
    async fn what_hangs_holds_one_thread_however_often_it_is_tried() {
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
