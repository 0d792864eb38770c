//! Blocking work, such as reading files, on threads of its own: a file system that hangs stops nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// The stack of a thread, in bytes. Reading a file and parsing it need little.
const STACK: usize = 256 << 10;

/// Runs blocking work, one piece at a time. Work that hangs keeps its one thread; while it does, further work fails at once
/// and begins no thread. The process can exit while a thread hangs.
#[derive(Clone, Debug)]
pub struct BlockingReader {
    turn: Arc<Semaphore>,
    /// Whether the work that has the turn took longer than the patience.
    hangs: Arc<AtomicBool>,
    patience: Duration,
}

impl BlockingReader {
    /// A reader that waits at most `patience` for a piece of work.
    pub fn new(patience: Duration) -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), hangs: Arc::default(), patience }
    }

    /// Runs `work`. `None` if it panics, takes too long, or if work before it hangs. Dropping the future ends the wait and
    /// not the work.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if self.hangs.load(Ordering::Acquire) && self.turn.available_permits() == 0 {
            return None;
        }
        let done = async {
            let turn = self.turn.clone().acquire_owned().await.ok()?;
            self.hangs.store(false, Ordering::Release);
            let (sender, receiver) = oneshot::channel();
            spawn(move || {
                let result = work();
                drop(turn);
                // The caller may have stopped waiting.
                let _ = sender.send(result);
            })?;
            receiver.await.ok()
        };
        let result = tokio::time::timeout(self.patience, done).await;
        if result.is_err() {
            self.hangs.store(true, Ordering::Release);
        }
        result.ok().flatten()
    }
}

/// A plain thread: those of the runtime are few, and sorting, encoding and name resolution need them.
#[cfg(not(test))]
fn spawn(work: impl FnOnce() + Send + 'static) -> Option<()> {
    std::thread::Builder::new().name("file-reader".to_owned()).stack_size(STACK).spawn(work).ok().map(drop)
}

/// In unit tests a thread of the runtime: a paused clock waits for those alone.
#[cfg(test)]
fn spawn(work: impl FnOnce() + Send + 'static) -> Option<()> {
    let _ = STACK;
    tokio::task::spawn_blocking(work);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use tokio::time::Instant;

    #[tokio::test]
    async fn work_that_hangs_holds_one_thread_and_costs_its_patience_once() {
        let reader = BlockingReader::new(Duration::from_millis(50));
        let (end, hang) = mpsc::channel::<()>();
        let (hang, begun) = (Arc::new(std::sync::Mutex::new(hang)), Arc::new(AtomicUsize::new(0)));
        let start = Instant::now();
        for _ in 0..1000 {
            let (hang, begun) = (hang.clone(), begun.clone());
            let work = move || {
                begun.fetch_add(1, Ordering::Relaxed);
                let _ = hang.lock().unwrap().recv();
            };
            assert_eq!(reader.run(work).await, None);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        end.send(()).unwrap();
        drop(end);
        let deadline = Instant::now() + Duration::from_secs(30);
        while reader.run(|| 1).await != Some(1) {
            assert!(Instant::now() < deadline, "it is not used again");
        }
    }

    #[tokio::test]
    async fn work_that_panics_fails_alone() {
        let reader = BlockingReader::new(Duration::from_secs(30));
        assert_eq!(reader.run(|| -> u8 { panic!("on purpose") }).await, None);
        assert_eq!(reader.run(|| 1).await, Some(1));
    }
}
