//! The tag inventory as records of its state file: a head, then a record for each repository, with the digests of its
//! blobs.
//!
//! Records are made a few at a time, so that the inventory is never locked for long; each is consistent in itself,
//! whatever happens between two batches.

use super::TagInventory;
use super::entry::{ByTime, KnownDetails, KnownRetention};
use crate::base::state_file::{Persistent, RecordReader, Unusable};
use crate::collect::fetch_task::LastRead;
use crate::model::pattern::Pattern;
use crate::model::reading::{KnownRepository, Reading};
use crate::model::tags::{Digest32, seconds};
use crate::model::{Timestamp, reclaim};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, mpsc};

/// Repositories in a batch.
pub const BATCH: u32 = 256;

/// Batches that are decoded ahead.
const DECODED_BATCHES: usize = 2;

/// The first record.
#[derive(Deserialize, Serialize)]
pub struct Head {
    was_complete: bool,
    /// The number of distinct blobs.
    blobs: u64,
    /// The tags that no rule picked when the lists of tags were made.
    keep: Option<Box<str>>,
    rules: Vec<String>,
}

/// What is known of one repository.
#[derive(Deserialize, Serialize)]
pub struct EntryRecord {
    pub(super) namespace: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) tags: Option<(LastRead, Option<Reading>)>,
    pub(super) details: Option<KnownDetails>,
    pub(super) retention: Option<KnownRetention>,
}

/// The first record of an inventory.
pub fn head(inventory: &TagInventory) -> Head {
    let keep = inventory.keep.as_ref().map(|keep| keep.as_str().into());
    let rules = inventory.rules.iter().map(ToString::to_string).collect();
    Head { was_complete: inventory.was_complete, blobs: inventory.layers.len() as u64, keep, rules }
}

/// The records of up to [`BATCH`] slots from `from` on; `None` beyond the last slot.
pub fn batch(inventory: &TagInventory, from: u32) -> Option<Vec<EntryRecord>> {
    let slots = from..from.saturating_add(BATCH).min(inventory.slots());
    if slots.is_empty() { None } else { Some(slots.filter_map(|slot| record(inventory, slot)).collect()) }
}

fn record(inventory: &TagInventory, slot: u32) -> Option<EntryRecord> {
    let entry = inventory.entry(slot)?;
    if entry.tags.is_none() && entry.details.is_none() && entry.retention.is_none() {
        return None;
    }
    let tags = entry.tags.as_ref().map(|tags| (tags.read, inventory.reading_of(slot)));
    Some(EntryRecord {
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
        tags,
        details: entry.details.clone(),
        retention: entry.retention,
    })
}

/// Visits every repository of an inventory in a state file, without holding all of them. `keep` are the tags that no rule picks.
pub fn visit(
    records: &mut RecordReader<'_>,
    keep: Option<&Pattern>,
    visit: &mut dyn FnMut(KnownRepository),
) -> Result<(), Unusable> {
    let head: Head = records.expect()?;
    let is_in_order = head.keep.as_deref() == keep.map(Pattern::as_str);
    while let Some(record) = records.read::<EntryRecord>()? {
        let mut known = KnownRepository::from(record);
        if !is_in_order {
            known.tags = known.tags.map(|(at, reading)| (at, reading.keeping(keep)));
        }
        visit(known);
    }
    Ok(())
}

impl From<EntryRecord> for KnownRepository {
    fn from(record: EntryRecord) -> Self {
        let tags = record.tags.and_then(|(read, reading)| Some((read.at, reading?)));
        let retention_rules = record.retention.and_then(|retention| retention.rules);
        Self { namespace: record.namespace, name: record.name, tags, retention_rules }
    }
}

impl Persistent for TagInventory {
    const NAME: &'static str = "what is known of tags";

    /// One thread decodes records and applies the rules, and another fills the layer index, which takes longer.
    fn read(records: &mut RecordReader<'_>) -> Result<Self, Unusable> {
        let Head { was_complete, blobs, keep, rules } = records.expect()?;
        let rules = reclaim::parse(rules.iter().map(String::as_str)).map_err(|_| Unusable::Content)?;
        let keep = keep.map(|keep| keep.parse()).transpose().map_err(|_| Unusable::Content)?;
        let mut inventory = Self { was_complete, keep, rules: rules.clone(), ..Self::default() };
        inventory.layers.set_rules(rules.len());
        let now = seconds(Timestamp::from(records.now));
        // No more than there can be.
        let blobs = blobs.min(records.length / size_of::<Digest32>() as u64);
        inventory.layers.reserve(usize::try_from(blobs).unwrap_or_default());
        let mut inventory = std::thread::scope(|scope| {
            let (decoded, batches) = mpsc::sync_channel::<Vec<(EntryRecord, Option<ByTime>)>>(DECODED_BATCHES);
            let fill = move || {
                batches.iter().flatten().for_each(|(record, by_time)| inventory.restore(record, by_time));
                inventory
            };
            let filling = std::thread::Builder::new().name("blocking".to_owned()).spawn_scoped(scope, fill)?;
            loop {
                let mut batch = Vec::with_capacity(BATCH as usize);
                while batch.len() < BATCH as usize
                    && let Some(record) = records.read::<EntryRecord>()?
                {
                    let reading = record.tags.as_ref().and_then(|(_, reading)| reading.as_ref());
                    let by_time = reading.map(|reading| ByTime::of(&reading.list, &rules, now));
                    batch.push((record, by_time));
                }
                if batch.is_empty() || decoded.send(batch).is_err() {
                    break;
                }
            }
            drop(decoded);
            Ok::<_, Unusable>(filling.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        inventory.sort();
        Ok(inventory)
    }
}
