//! When and how the tag inventory is written to its state file.

use super::state::{TagWorker, TagWorkerState};
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
const PAUSE_WHEN_IDLE: Duration = Duration::from_secs(2);

/// The pause is at least this many times as long as the latest write took: writing takes at most 5 % of the time.
const PAUSE_PER_WRITE: u32 = 20;

impl TagWorker {
    /// When the inventory is to be written, if it has changed.
    pub(super) fn write_due(&self) -> Option<Instant> {
        self.write_due_in(&self.state())
    }

    fn write_due_in(&self, state: &TagWorkerState) -> Option<Instant> {
        self.persister.as_ref()?;
        let pause = if state.is_idle() { PAUSE_WHEN_IDLE } else { PAUSE };
        state.is_dirty.then(|| state.written_at + pause.max(state.write_took * PAUSE_PER_WRITE))
    }

    /// Starts to write the inventory if it is due. Calls under way do not wait for the disk.
    pub(super) fn write_if_due(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = self.state();
        if self.write_due_in(&state).is_none_or(|at| at > now) {
            return;
        }
        (state.is_dirty, state.written_at) = (false, now);
        let worker = self.clone();
        let writing = async move {
            worker.write_now().await;
            let mut state = worker.state();
            (state.written_at, state.write_took) = (Instant::now(), now.elapsed());
        };
        // An exporter that stops waits for this task.
        state.write_task = Some(tokio::spawn(writing.in_current_span()));
    }

    /// Writes the inventory, locking it for one batch at a time, unless another collector has taken it over.
    pub(super) async fn write_now(self: &Arc<Self>) {
        let Some(persister) = &self.persister else { return };
        let _one_at_a_time = self.writing.lock().await;
        if self.own_state().is_err() {
            return;
        }
        let worker = self.clone();
        let write: WriteRecords = Box::new(move |out| {
            out.push(&records::head(&worker.own_state()?.inventory))?;
            for from in (0..).step_by(records::BATCH as usize) {
                let Some(batch) = records::batch(&worker.own_state()?.inventory, from) else { break };
                batch.iter().try_for_each(|record| out.push(record))?;
            }
            Ok(())
        });
        persister(write).await;
    }

    fn own_state(&self) -> io::Result<MutexGuard<'_, TagWorkerState>> {
        let state = self.state();
        if state.is_handed_over { Err(io::Error::other(Abandoned)) } else { Ok(state) }
    }
}
