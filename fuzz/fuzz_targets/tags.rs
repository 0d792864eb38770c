//! Tags, manifests, details and the tag inventory's records: no panic, and layers are counted alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::time::SystemTime;
use swr_exporter::base::state_file::{self, Origin};
use swr_exporter::collect::inventory::TagInventory;
use swr_exporter::model::layers::Layers;
use swr_exporter::model::reading::{Reading, ReadingOptions};
use swr_exporter::model::reclaim::Reclaim;
use swr_exporter::model::tags::{Contents, by_age};
use swr_exporter::swr::wire::DroppedFields;
use swr_exporter::swr::{manifest, repository, tags};

fuzz_target!(|body: &[u8]| {
    let mut dropped = DroppedFields::default();
    if let Ok(text) = std::str::from_utf8(body)
        && let Contents::Image(blobs) = manifest::contents(text)
    {
        // A manifest parses the same alone and within a tag.
        let object = format!(r#"{{"Tag":"t","manifest":{}}}"#, serde_json::to_string(text).unwrap());
        let tag = tags::tag(object.as_bytes(), &mut dropped).unwrap().unwrap();
        assert_eq!(tag.contents, Contents::Image(blobs));
    }
    if let Ok(Some(tag)) = tags::tag(body, &mut dropped) {
        let reading = Reading::of(vec![tag.clone(), tag], &ReadingOptions { with_series: true, ..ReadingOptions::default() });
        assert_eq!((reading.totals.tags, reading.series.as_ref().map(|series| series.len())), (1, Some(1)));
        let _ = by_age(&reading.list.updated(), 1_700_000_000);
        let picks = reading.list.picks(&Reclaim::default().rules, 1_700_000_000);
        assert!(picks.by_rule.iter().all(|(tags, blobs)| *tags <= 1 && *blobs as usize <= reading.blobs.len()));
        let mut layers = Layers::default();
        layers.set(0, 0, &reading.blobs);
        assert_eq!(layers.unique(0), layers.total());
        layers.release(0);
        assert!(layers.len() == 0 && layers.total() == 0);
    }
    let _ = repository::details(&String::from_utf8_lossy(body), &mut dropped);
    let mut file = Vec::new();
    let write = |out: &mut state_file::RecordWriter<'_>| body.iter().try_for_each(|byte| out.push(byte));
    state_file::encode(&mut file, SystemTime::UNIX_EPOCH, Origin::default(), write).unwrap();
    let _ = state_file::decode::<TagInventory>(&mut Cursor::new(file), SystemTime::now());
});
