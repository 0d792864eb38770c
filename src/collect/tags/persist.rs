//! When and how the tag inventory is written to its state file.

use super::state::{Shared, State};
use crate::base::state_file::{Abandoned, WriteRecords};
use crate::collect::inventory::records;
use parking_lot::MutexGuard;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument;

/// The pause between two writes while tags are being read.
const PAUSE: Duration = Duration::from_secs(60);

/// The pause before a write once nothing is left to read.
const PAUSE_AT_REST: Duration = Duration::from_secs(2);

/// The pause is at least this many times as long as the latest write took: writing takes at most 5 % of the time.
const PAUSE_PER_WRITE: u32 = 20;

impl Shared {
    /// When the inventory is to be written, if it has changed.
    pub(super) fn keep_due(&self) -> Option<Instant> {
        self.keep_due_in(&self.state())
    }

    fn keep_due_in(&self, state: &State) -> Option<Instant> {
        self.keep.as_ref()?;
        let pause = if state.is_at_rest() { PAUSE_AT_REST } else { PAUSE };
        state.is_dirty.then(|| state.kept_at + pause.max(state.keep_took * PAUSE_PER_WRITE))
    }

    /// Starts to write the inventory if it is due. Calls under way do not wait for the disk.
    pub(super) fn keep_if_due(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = self.state();
        if self.keep_due_in(&state).is_none_or(|at| at > now) {
            return;
        }
        (state.is_dirty, state.kept_at) = (false, now);
        let shared = self.clone();
        let writing = async move {
            shared.keep_now().await;
            let mut state = shared.state();
            (state.kept_at, state.keep_took) = (Instant::now(), now.elapsed());
        };
        // An exporter that stops waits for this task.
        state.keep_task = Some(tokio::spawn(writing.in_current_span()));
    }

    /// Writes the inventory, locking it for one batch at a time, unless it was passed on to another account.
    pub(super) async fn keep_now(self: &Arc<Self>) {
        let Some(persister) = &self.keep else { return };
        let _one_at_a_time = self.keeping.lock().await;
        if self.own_state().is_err() {
            return;
        }
        let shared = self.clone();
        let write: WriteRecords = Box::new(move |out| {
            out.push(&records::head(&shared.own_state()?.book))?;
            for from in (0..).step_by(records::BATCH as usize) {
                let Some(batch) = records::batch(&shared.own_state()?.book, from) else { break };
                batch.iter().try_for_each(|record| out.push(record))?;
            }
            Ok(())
        });
        persister(write).await;
    }

    fn own_state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.is_passed_on { Err(io::Error::other(Abandoned)) } else { Ok(state) }
    }
}
