//! The state file: envelope and snapshot, apart and together. A decoded snapshot must survive a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::{Duration, SystemTime};
use swr_exporter::cache::state_file;
use swr_exporter::model::codec;

fuzz_target!(|bytes: &[u8]| {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    if let Ok(kept) = state_file::parse(bytes.to_vec(), now) {
        let _ = codec::decode(&kept.payload);
    }
    if let Some(snapshot) = codec::decode(bytes) {
        let mut again = Vec::new();
        codec::encode(&snapshot, &mut again).unwrap();
        assert_eq!(codec::decode(&again), Some(snapshot));
    }
});
