//! A page of the listing in chunks: no panic, the same result for every chunking, and rows that can be encoded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use swr_exporter::exposition::{Options, write_snapshot};
use swr_exporter::model::{Repository, Snapshot, Timestamp};
use swr_exporter::swr::ApiError;
use swr_exporter::swr::json_array::JsonArraySplitter;
use swr_exporter::swr::pages::total_of;
use swr_exporter::swr::wire::{self, DroppedFields, StringInterner};

fn read(body: &[u8], piece: usize) -> Result<Vec<Repository>, ApiError> {
    let (mut splitter, mut interner, mut dropped) = (JsonArraySplitter::default(), StringInterner::default(), DroppedFields::default());
    let mut rows = Vec::new();
    for piece in body.chunks(piece) {
        splitter.feed(piece, |object| {
            rows.extend(wire::repository(object, &mut interner, &mut dropped)?.repository);
            Ok::<_, ApiError>(())
        })?;
    }
    splitter.finish()?;
    Ok(rows)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, body) = input;
    let whole = read(body, body.len().max(1)).ok();
    assert_eq!(whole, read(body, usize::from(piece) + 1).ok());
    if let Some(rows) = whole {
        let snapshot = Arc::new(Snapshot::new(Timestamp(0), rows).0);
        let mut page = Vec::new();
        write_snapshot(&snapshot, &Options::default(), &mut page).unwrap();
        assert!(std::str::from_utf8(&page).is_ok());
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = total_of(text);
        let _ = wire::parse_time(text);
    }
});
