//! How far the collection has come, on the terminal of whoever waits for it, and nowhere else.

use crate::collect::Progress;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks.
const PACE: Duration = Duration::from_millis(100);

/// Columns of the bar.
const WIDTH: u64 = 30;

/// To the beginning of the line, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// A line that is written anew until it is stopped. Dropped without that, it may leave the line half written.
pub(super) struct ProgressBar(Option<JoinHandle<()>>);

impl ProgressBar {
    /// Shows progress on standard error, if that is a terminal.
    pub(super) fn start(progress: Arc<Progress>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let began = Instant::now();
        Self(Some(tokio::spawn(async move {
            let mut ticks = interval(PACE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                write(&format!("{CLEAR}{}", line(&progress, began.elapsed())));
            }
        })))
    }

    /// Ends it and clears its line.
    pub(super) async fn stop(self) {
        if let Some(task) = self.0 {
            task.abort();
            // It ends between two lines.
            let _ = task.await;
            write(CLEAR);
        }
    }
}

/// A terminal that is gone is no reason to stop.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn line(progress: &Progress, elapsed: Duration) -> String {
    let (rows, seconds) = (progress.rows(), elapsed.as_secs());
    let bar = |done: u64, total: u64, what: &str| {
        let done = done.min(total);
        let filled = usize::try_from(done * WIDTH / total).unwrap_or_default();
        let empty = usize::try_from(WIDTH).unwrap_or_default() - filled;
        format!("[{}{}] {done} of {total} {what}, {seconds} s", "#".repeat(filled), "-".repeat(empty))
    };
    match (progress.fetches(), progress.total()) {
        (Some((done, total)), _) => bar(done, total, "readings of tags and details"),
        (None, Some(total)) => bar(rows, total, "repositories"),
        (None, None) => format!("{rows} repositories, {seconds} s"),
    }
}
