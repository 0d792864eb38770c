//! The inventory as bytes, for its state file: each repository for itself, with the digests of its blobs.
//!
//! Entries are written a few at a time, so that the inventory is never locked for long, and whatever happens between two
//! lots leaves each entry sound. Reading trusts nothing; the numbers are those of [`crate::model::codec`].

use super::TagInventory;
use super::entry::{InventoryEntry, KnownDetails};
use crate::collect::plan::{ChangeStamp, LastRead};
use crate::model::codec::{Input, number, optional, optional_time, text, time};
use crate::model::tags::{Blob, Details, Digest32, ManifestKind, Reading, TagSeries};
use crate::model::{Repository, Timestamp};
use std::io::{self, Write};
use std::sync::Arc;

/// Entries a lot.
pub const LOT: u32 = 256;

/// Writes what comes before the entries.
///
/// # Errors
/// What the writer says.
pub fn begin(inventory: &TagInventory, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[u8::from(inventory.was_complete)])
}

/// Writes the entries of up to [`LOT`] places from `from` on; whether there are more places.
///
/// # Errors
/// What the writer says.
pub fn lot(inventory: &TagInventory, from: u32, out: &mut dyn Write) -> io::Result<bool> {
    for slot in from..from.saturating_add(LOT).min(inventory.slots()) {
        if let Some(entry) = inventory.entry(slot) {
            write_entry(inventory, slot, entry, out)?;
        }
    }
    Ok(from.saturating_add(LOT) < inventory.slots())
}

fn write_entry(inventory: &TagInventory, slot: u32, entry: &InventoryEntry, out: &mut dyn Write) -> io::Result<()> {
    if entry.tags.is_none() && entry.details.is_none() {
        return Ok(());
    }
    text(out, &entry.namespace)?;
    text(out, &entry.name)?;
    out.write_all(&[u8::from(entry.tags.is_some()) | u8::from(entry.details.is_some()) << 1])?;
    if let Some(tags) = &entry.tags {
        let LastRead { stamp, at } = tags.read;
        optional_time(out, stamp.updated)?;
        optional(out, stamp.size)?;
        optional(out, stamp.images)?;
        number(out, at.into())?;
        out.write_all(&[u8::from(tags.summary.is_some())])?;
        if let Some(summary) = &tags.summary {
            number(out, summary.tags.into())?;
            number(out, summary.unlayered.into())?;
            optional_time(out, summary.newest)?;
            optional_time(out, summary.oldest)?;
            number(out, summary.updated.len() as u128)?;
            let mut before = 0;
            for second in &summary.updated {
                number(out, (second - before).into())?;
                before = *second;
            }
            let blobs = inventory.layers().blobs(slot);
            number(out, blobs.len() as u128)?;
            for blob in blobs {
                out.write_all(&blob.digest.0)?;
                number(out, blob.size.into())?;
            }
            number(out, summary.series.as_ref().map_or(0, |series| series.len() as u128 + 1))?;
            for tag in summary.series.iter().flat_map(|series| series.iter()) {
                write_series(tag, out)?;
            }
        }
    }
    if let Some(KnownDetails { created, details }) = &entry.details {
        optional_time(out, *created)?;
        out.write_all(&[u8::from(details.is_some())])?;
        if let Some(details) = details {
            optional(out, details.id)?;
            text(out, details.creator.as_deref().unwrap_or_default())?;
            text(out, details.domain_id.as_deref().unwrap_or_default())?;
            optional_time(out, details.priority.map(Timestamp))?;
        }
    }
    Ok(())
}

fn write_series(tag: &TagSeries, out: &mut dyn Write) -> io::Result<()> {
    text(out, &tag.name)?;
    text(out, &tag.digest)?;
    let kind = match tag.kind {
        ManifestKind::Image => 0,
        ManifestKind::Index => 1,
        ManifestKind::Unknown => 2,
    };
    let truth = |value: Option<bool>| value.map_or(0, |value| 1 + u8::from(value));
    out.write_all(&[kind, truth(tag.trusted), truth(tag.scanned)])?;
    optional(out, tag.schema)?;
    optional(out, tag.size)?;
    optional_time(out, tag.created)?;
    optional_time(out, tag.updated)
}

/// Reads a inventory; `None` when the bytes are not one.
pub fn decode(bytes: &[u8]) -> Option<TagInventory> {
    let mut input = Input::new(bytes);
    let mut inventory = TagInventory { was_complete: flag(&mut input)?, ..TagInventory::default() };
    let mut namespace: Arc<str> = "".into();
    while !input.is_empty() {
        let name = input.text()?;
        if name != &*namespace {
            namespace = name.into();
        }
        let row = Repository { name: input.text()?.into(), ..Repository::unknown(namespace.clone()) };
        let parts = input.byte()?;
        if parts > 3 {
            return None;
        }
        let tags = if parts & 1 != 0 { Some(read_tags(&mut input)?) } else { None };
        let details = if parts & 2 != 0 { Some(read_details(&mut input)?) } else { None };
        inventory.restore(&row, tags, details);
    }
    inventory.sort();
    Some(inventory)
}

fn read_tags(input: &mut Input<'_>) -> Option<(LastRead, Option<Reading>)> {
    let stamp = ChangeStamp { updated: time(input)?, size: input.optional()?, images: input.optional()? };
    let read = LastRead { stamp, at: small(input)? };
    if !flag(input)? {
        return Some((read, None));
    }
    let (tags, unlayered, newest, oldest) = (small(input)?, small(input)?, time(input)?, time(input)?);
    let mut updated = Vec::new();
    let mut second = 0u32;
    for _ in 0..input.number()? {
        second = second.checked_add(small(input)?)?;
        updated.push(second);
    }
    let mut blobs = Vec::new();
    for _ in 0..input.number()? {
        let digest = Digest32(input.bytes(32)?.try_into().ok()?);
        blobs.push(Blob { digest, size: u64::try_from(input.number()?).ok()? });
    }
    let series = match input.number()? {
        0 => None,
        more => {
            let mut series = Vec::new();
            for _ in 1..more {
                series.push(read_series(input)?);
            }
            Some(series.into())
        }
    };
    Some((read, Some(Reading { tags, unlayered, newest, oldest, updated: updated.into(), blobs, series })))
}

fn read_series(input: &mut Input<'_>) -> Option<TagSeries> {
    let (name, digest) = (input.text()?.into(), input.text()?.into());
    let kind = match input.byte()? {
        0 => ManifestKind::Image,
        1 => ManifestKind::Index,
        2 => ManifestKind::Unknown,
        _ => return None,
    };
    let mut truth = || match input.byte()? {
        0 => Some(None),
        1 => Some(Some(false)),
        2 => Some(Some(true)),
        _ => None,
    };
    let (trusted, scanned) = (truth()?, truth()?);
    let (schema, size) = (input.optional()?, input.optional()?);
    let (created, updated) = (time(input)?, time(input)?);
    Some(TagSeries { name, digest, kind, schema, trusted, scanned, size, created, updated })
}

fn read_details(input: &mut Input<'_>) -> Option<KnownDetails> {
    let created = time(input)?;
    if !flag(input)? {
        return Some(KnownDetails { created, details: None });
    }
    let id = input.optional()?;
    // An absent text and an empty one are one and the same series.
    let mut given = || input.text().map(|text| (!text.is_empty()).then(|| text.into()));
    let (creator, domain_id) = (given()?, given()?);
    let priority = time(input)?.map(|number| number.0);
    Some(KnownDetails { created, details: Some(Arc::new(Details { id, creator, domain_id, priority })) })
}

fn flag(input: &mut Input<'_>) -> Option<bool> {
    match input.byte()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn small(input: &mut Input<'_>) -> Option<u32> {
    u32::try_from(input.number()?).ok()
}
