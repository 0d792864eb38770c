//! A progress bar on standard error, if that is a terminal.

use crate::collect::Progress;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The time between two updates.
const INTERVAL: Duration = Duration::from_millis(100);

/// The width of the bar in columns.
const WIDTH: u64 = 30;

/// Returns to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// A line that is rewritten until it is stopped.
pub(super) struct ProgressBar(Option<JoinHandle<()>>);

impl ProgressBar {
    pub(super) fn start(progress: Arc<Progress>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let began = Instant::now();
        Self(Some(tokio::spawn(async move {
            let mut ticks = interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                write(&format!("{CLEAR}{}", line(&progress, began.elapsed())));
            }
        })))
    }

    pub(super) async fn stop(self) {
        if let Some(task) = self.0 {
            task.abort();
            // The task ends between two lines.
            let _ = task.await;
            write(CLEAR);
        }
    }
}

/// Prints a line if standard error is a terminal: cron would mail it.
pub(super) fn say(text: &str) {
    if io::stderr().is_terminal() {
        write(&format!("{text}\n"));
    }
}

/// Ignores errors: the collection goes on without a terminal.
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
        // An estimate needs a second and a start.
        let left = match (seconds, done) {
            (1.., 1..) if done < total => format!(", about {} s left", seconds * (total - done) / done),
            _ => String::new(),
        };
        format!("[{}{}] {done} of {total} {what}, {seconds} s{left}", "#".repeat(filled), "-".repeat(empty))
    };
    match (progress.fetches(), progress.total()) {
        (Some((done, total)), _) => bar(done, total, "reads of repositories"),
        (None, Some(total)) => bar(rows, total, "repositories"),
        (None, None) => format!("{rows} repositories, {seconds} s"),
    }
}
