//! When and how the inventory is written to its file.

use super::HandedOver;
use super::state::{TagWorker, TagWorkerState};
use crate::collect::inventory::codec;
use parking_lot::MutexGuard;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often the inventory is kept while work goes on, and how soon after it ended. A inventory that takes long to write is
/// written less often.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);
const WRITE_WHEN_IDLE: Duration = Duration::from_secs(2);
const WRITE_COST_FACTOR: u32 = 20;

impl TagWorker {
    /// When the inventory is to be kept, if it has changed.
    pub(super) fn write_due(&self) -> Option<Instant> {
        self.write_due_in(&self.state())
    }

    fn write_due_in(&self, state: &TagWorkerState) -> Option<Instant> {
        self.persister.as_ref()?;
        let pause = if state.is_idle() { WRITE_WHEN_IDLE } else { WRITE_INTERVAL };
        state.is_dirty.then(|| state.written_at + pause.max(state.write_took * WRITE_COST_FACTOR))
    }

    /// Starts to keep the inventory if it is time. Calls that are under way do not wait for the disk.
    pub(super) fn write_if_due(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = self.state();
        if self.write_due_in(&state).is_none_or(|at| at > now) {
            return;
        }
        (state.is_dirty, state.written_at) = (false, now);
        let worker = self.clone();
        // Remembered, so that an exporter that stops lets it finish.
        state.write_task = Some(tokio::task::spawn_blocking(move || {
            worker.write_now();
            let mut state = worker.state();
            (state.written_at, state.write_took) = (Instant::now(), now.elapsed());
        }));
    }

    /// Writes the inventory, locked for a few entries at a time, unless it is passed on.
    pub(super) fn write_now(&self) {
        let Some(keep) = &self.persister else { return };
        let _one_at_a_time = self.writing.lock();
        if self.with_inventory().is_err() {
            return;
        }
        keep(&|out| {
            codec::begin(&self.with_inventory()?.inventory, out)?;
            let mut from = 0;
            loop {
                let mut lot = Vec::new();
                let more = codec::lot(&self.with_inventory()?.inventory, from, &mut lot)?;
                out.write_all(&lot)?;
                if !more {
                    return Ok(());
                }
                from += codec::LOT;
            }
        });
    }

    fn with_inventory(&self) -> io::Result<MutexGuard<'_, TagWorkerState>> {
        let state = self.state();
        if state.is_handed_over { Err(io::Error::other(HandedOver)) } else { Ok(state) }
    }
}
