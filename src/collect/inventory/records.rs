//! The tag inventory as records of its state file: a head, then a record for each repository, with the digests of its
//! blobs.
//!
//! Records are made a few at a time, so that the inventory is never locked for long; each is consistent in itself,
//! whatever happens between two batches.

use super::TagInventory;
use super::entry::KnownDetails;
use crate::base::state_file::{Persistent, RecordReader, Unusable};
use crate::collect::plan::LastRead;
use crate::model::Repository;
use crate::model::tags::Reading;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Repositories in a batch.
pub const BATCH: u32 = 256;

/// The first record.
#[derive(Deserialize, Serialize)]
pub struct Head {
    was_whole: bool,
}

/// What is known of one repository.
#[derive(Deserialize, Serialize)]
pub struct EntryRecord {
    namespace: Arc<str>,
    name: Box<str>,
    tags: Option<(LastRead, Option<Reading>)>,
    details: Option<KnownDetails>,
}

/// The first record of an inventory.
pub fn head(inventory: &TagInventory) -> Head {
    Head { was_whole: inventory.was_whole }
}

/// The records of up to [`BATCH`] places from `from` on; `None` beyond the last place.
pub fn batch(inventory: &TagInventory, from: u32) -> Option<Vec<EntryRecord>> {
    let places = from..from.saturating_add(BATCH).min(inventory.places());
    if places.is_empty() { None } else { Some(places.filter_map(|place| record(inventory, place)).collect()) }
}

fn record(inventory: &TagInventory, place: u32) -> Option<EntryRecord> {
    let entry = inventory.entry(place)?;
    if entry.tags.is_none() && entry.details.is_none() {
        return None;
    }
    let tags = entry.tags.as_ref().map(|tags| {
        let reading = tags.kept.as_ref().map(|kept| Reading {
            tags: kept.tags,
            unlayered: kept.unlayered,
            newest: kept.newest,
            oldest: kept.oldest,
            updated: kept.updated.clone(),
            blobs: inventory.layers().blobs(place).collect(),
            series: kept.series.clone(),
        });
        (tags.read, reading)
    });
    Some(EntryRecord {
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
        tags,
        details: entry.details.clone(),
    })
}

impl Persistent for TagInventory {
    const NAME: &'static str = "what is known of tags";

    fn read(records: &mut RecordReader<'_>) -> Result<Self, Unusable> {
        let Head { was_whole } = records.expect()?;
        let mut inventory = Self { was_whole, ..Self::default() };
        while let Some(EntryRecord { namespace, name, tags, details }) = records.read()? {
            let row = Repository { name, ..Repository::unknown(namespace) };
            inventory.restore(&row, tags, details);
        }
        inventory.sort();
        Ok(inventory)
    }
}
