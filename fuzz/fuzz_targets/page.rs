//! A page of the listing in chunks: no panic, the same result for every chunking, and rows that can be encoded. Read again
//! where the rows are known, and where half of them are, it gives the same rows, totals and counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use swr_exporter::exposition::{Encoding, Exposition, Format, Options, PlainTextRoom, response};
use swr_exporter::model::{Repositories, Repository, Row, Snapshot, Timestamp};
use swr_exporter::swr::ApiError;
use swr_exporter::swr::json_array::{JsonArraySplitter, ObjectSink};
use swr_exporter::swr::pages::total_of;
use swr_exporter::swr::row_reader::{FingerprintKey, KnownRows, ListingRows, RowReader};
use swr_exporter::swr::wire::{self, DroppedFields, StringInterner};

fn read(body: &[u8], piece: usize) -> Result<Vec<Repository>, ApiError> {
    let (mut splitter, mut interner, mut dropped) = (JsonArraySplitter::default(), StringInterner::default(), DroppedFields::default());
    let mut rows = Vec::new();
    for piece in body.chunks(piece) {
        splitter.feed(piece, |object: &[u8]| {
            rows.extend(wire::repository(object, &mut interner, &mut dropped)?.repository);
            Ok::<_, ApiError>(())
        })?;
    }
    splitter.finish()?;
    Ok(rows)
}

/// What a refresh reads of a page.
struct Listed<'k> {
    rows: ListingRows<'k>,
    totals: Vec<Option<u64>>,
    dropped: DroppedFields,
}

impl ObjectSink<ApiError> for &mut Listed<'_> {
    fn known(&mut self, text: &[u8]) -> Option<usize> {
        let (length, total) = self.rows.read_known(text)?;
        self.totals.push(total);
        Some(length)
    }

    fn object(&mut self, object: &[u8]) -> Result<(), ApiError> {
        self.totals.push(self.rows.read(object, &mut self.dropped)?);
        Ok(())
    }
}

/// Reads the rows as a refresh does.
fn listed(body: &[u8], piece: usize, known: &KnownRows) -> Option<(Vec<Row>, Vec<Option<u64>>, DroppedFields)> {
    let mut splitter = JsonArraySplitter::default();
    let mut listed = Listed { rows: ListingRows::new(known), totals: Vec::new(), dropped: DroppedFields::default() };
    for piece in body.chunks(piece) {
        splitter.feed(piece, &mut listed).ok()?;
    }
    splitter.finish().ok()?;
    Some((listed.rows.finish(), listed.totals, listed.dropped))
}

fn owned(read: (Vec<Row>, Vec<Option<u64>>, DroppedFields)) -> (Vec<Repository>, Vec<Option<u64>>, DroppedFields) {
    (read.0.iter().map(|row| row.get().to_owned()).collect(), read.1, read.2)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, body) = input;
    let whole = read(body, body.len().max(1)).ok();
    assert_eq!(whole, read(body, usize::from(piece) + 1).ok());
    let key = FingerprintKey::random();
    let none = KnownRows::none(key);
    if let Some(first) = listed(body, body.len().max(1), &none) {
        let (all, _) = Repositories::merged(&first.0, none.repositories());
        let (half, _) = Repositories::merged(&first.0[..first.0.len() / 2], none.repositories());
        let first = owned(first);
        assert_eq!(Some(&first.0), whole.as_ref());
        for known in [all.clone(), half] {
            let known = KnownRows::of(known, key);
            for piece in [body.len().max(1), usize::from(piece) + 1] {
                let again = listed(body, piece, &known).unwrap();
                assert!(Repositories::merged(&again.0, known.repositories()).0 == all);
                assert_eq!(owned(again), first);
            }
        }
    }
    if let Some(rows) = whole {
        let snapshot = Arc::new(Snapshot::new(Timestamp(0), rows).0);
        let exposition = Exposition::build(snapshot, &Options::default(), None);
        let text = response(b"", Some(&exposition), Format::Text, Encoding::Identity, &PlainTextRoom::new(0)).concat();
        assert_eq!(text.len(), exposition.bytes());
        assert!(std::str::from_utf8(&text).is_ok());
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = total_of(text);
        let _ = wire::parse_time(text);
    }
});
