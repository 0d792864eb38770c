//! Threads for work that may hang: file systems and name servers.
//!
//! The runtime's blocking threads are few, and encoding and sorting need them. Work that may never end gets threads of its
//! own, and each thing that can hang (a disk, a name server) has its own bound, so that it can only hold up itself.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tracing::Span;

/// How long reading a settings file may take. A file system that takes longer hangs.
pub const FILE_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs work on new threads, a limited number at a time. Clones share the limit.
#[derive(Clone, Debug)]
pub struct BlockingThreads {
    limit: u32,
    free: Arc<Semaphore>,
}

impl BlockingThreads {
    /// At most `limit` threads at a time.
    pub fn new(limit: u32) -> Self {
        Self { limit, free: Arc::new(Semaphore::new(limit as usize)) }
    }

    /// Runs `work` once a thread is free. `None` if it panicked or no thread could be started.
    ///
    /// Dropping the future ends the wait, not the work.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let permit = self.free.clone().acquire_owned().await.ok()?;
        let (done, result) = oneshot::channel();
        let span = Span::current();
        let thread = std::thread::Builder::new().name("blocking".to_owned()).spawn(move || {
            // Returned also by a panic, and before the result arrives.
            let result = {
                let _permit = permit;
                span.in_scope(work)
            };
            // The receiver may have given up.
            let _ = done.send(result);
        });
        thread.ok()?;
        result.await.ok()
    }

    /// As [`BlockingThreads::run`]; `None` also after `timeout`.
    pub async fn run_within<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        tokio::time::timeout(timeout, self.run(work)).await.ok()?
    }

    /// Whether all threads are in use.
    pub fn is_busy(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Waits until no work is running.
    pub async fn idle(&self) {
        let _ = self.free.acquire_many(self.limit).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_that_hangs_holds_no_more_threads_than_the_limit_however_often_it_is_tried() {
        let threads = BlockingThreads::new(2);
        let (end, hang) = mpsc::channel::<()>();
        let (hang, begun) = (Arc::new(Mutex::new(hang)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..20 {
            let (hang, begun) = (hang.clone(), begun.clone());
            let work = move || {
                begun.fetch_add(1, Ordering::Relaxed);
                let _ = hang.lock().recv();
            };
            assert_eq!(threads.run_within(Duration::from_millis(20), work).await, None);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        assert_eq!(BlockingThreads::new(1).run(|| 1).await, Some(1), "others are not held up");
        drop(end);
        threads.idle().await;
        assert_eq!(threads.run(|| 1).await, Some(1), "they are used again");
    }

    #[tokio::test]
    async fn a_panic_frees_its_thread() {
        let threads = BlockingThreads::new(1);
        assert_eq!(threads.run(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(threads.run(|| 1).await, Some(1));
    }
}
