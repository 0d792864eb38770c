//! When and how the book is written to its file.

use super::PassedOn;
use super::state::{Shared, State};
use crate::collect::inventory::codec;
use parking_lot::MutexGuard;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often the book is kept while work goes on, and how soon after it ended. A book that takes long to write is
/// written less often.
const KEEP_EVERY: Duration = Duration::from_secs(60);
const KEEP_AT_REST: Duration = Duration::from_secs(2);
const KEEP_SHARE: u32 = 20;

impl Shared {
    /// When the book is to be kept, if it has changed.
    pub(super) fn keep_due(&self) -> Option<Instant> {
        self.keep_due_in(&self.state())
    }

    fn keep_due_in(&self, state: &State) -> Option<Instant> {
        self.keep.as_ref()?;
        let pause = if state.is_at_rest() { KEEP_AT_REST } else { KEEP_EVERY };
        state.is_dirty.then(|| state.kept_at + pause.max(state.keep_took * KEEP_SHARE))
    }

    /// Starts to keep the book if it is time. Calls that are under way do not wait for the disk.
    pub(super) fn keep_if_due(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = self.state();
        if self.keep_due_in(&state).is_none_or(|at| at > now) {
            return;
        }
        (state.is_dirty, state.kept_at) = (false, now);
        let shared = self.clone();
        // Remembered, so that an exporter that stops lets it finish.
        state.keep_task = Some(tokio::task::spawn_blocking(move || {
            shared.keep_now();
            let mut state = shared.state();
            (state.kept_at, state.keep_took) = (Instant::now(), now.elapsed());
        }));
    }

    /// Writes the book, locked for a few entries at a time, unless it is passed on.
    pub(super) fn keep_now(&self) {
        let Some(keep) = &self.keep else { return };
        let _one_at_a_time = self.keeping.lock();
        if self.with_book().is_err() {
            return;
        }
        keep(&|out| {
            codec::begin(&self.with_book()?.book, out)?;
            let mut from = 0;
            loop {
                let mut lot = Vec::new();
                let more = codec::lot(&self.with_book()?.book, from, &mut lot)?;
                out.write_all(&lot)?;
                if !more {
                    return Ok(());
                }
                from += codec::LOT;
            }
        });
    }

    fn with_book(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.is_passed_on { Err(io::Error::other(PassedOn)) } else { Ok(state) }
    }
}
