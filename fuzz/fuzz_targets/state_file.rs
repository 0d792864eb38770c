//! The state file: the file as it is, and its records under a checksum that fits. What is read must be written again to the
//! same snapshot.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::time::{Duration, SystemTime};
use swr_exporter::base::state_file::{self, Loaded, Origin, RecordWriter};
use swr_exporter::model::{Snapshot, records};

fn file(write: impl FnOnce(&mut RecordWriter<'_>) -> std::io::Result<()>) -> Vec<u8> {
    let mut file = Vec::new();
    state_file::encode(&mut file, SystemTime::UNIX_EPOCH, Origin::default(), write).unwrap();
    file
}

fn read(file: &[u8]) -> Option<Snapshot> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let (Loaded { value, .. }, _) = state_file::decode(&mut Cursor::new(file), now).ok()?;
    Some(value)
}

fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes);
    if let Some(snapshot) = read(&file(|out| bytes.iter().try_for_each(|byte| out.push(byte)))) {
        assert_eq!(read(&file(|out| records::write(&snapshot, out))), Some(snapshot));
    }
});
