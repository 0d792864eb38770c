//! State files: round trips, damage, and what is left when writes fail.

use super::*;
use proptest::prelude::*;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

impl Persistent for Vec<String> {
    const NAME: &'static str = "the test";

    fn read(records: &mut RecordReader<'_>) -> Result<Self, Unusable> {
        let mut value = Self::new();
        while let Some(record) = records.read()? {
            value.push(record);
        }
        Ok(value)
    }
}

type TestFile = StateFile<Vec<String>>;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn file_in(folder: &Path, settings: &[&str]) -> Arc<TestFile> {
    let lock = Arc::new(StateLock::new(folder.join("default.lock")));
    Arc::new(StateFile::new(folder.join("default.snapshot"), Origin::of(settings.iter().copied()), lock, 1 << 20))
}

fn folder_and_file() -> (tempfile::TempDir, Arc<TestFile>) {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path(), &["https://swr.example"]);
    (folder, file)
}

fn save(file: &TestFile, read_at: SystemTime, value: &str) {
    file.save_now(read_at, |records| records.push(&value));
}

fn bytes(read_at: SystemTime, records: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, read_at, Origin::default(), |writer| records.iter().try_for_each(|record| writer.push(record)))
        .unwrap();
    out
}

fn parse(bytes: &[u8], now: SystemTime) -> Result<Vec<String>, Unusable> {
    decode(&mut Cursor::new(bytes), now).map(|(loaded, _)| loaded.value)
}

/// The value, and how many files there are beside it and the lock.
fn found(folder: &Path, file: &TestFile) -> (String, usize) {
    let value = file.try_load(at(1 << 32)).unwrap().unwrap().value.concat();
    (value, fs::read_dir(folder).unwrap().count() - 2)
}

#[test]
fn a_value_comes_back_with_its_true_age() {
    let (folder, file) = folder_and_file();
    assert!(file.try_load(at(0)).unwrap().is_none());
    save(&file, at(1000), "first");
    save(&file, at(2000), "second");
    let loaded = file.try_load(at(2600)).unwrap().unwrap();
    assert_eq!(
        (loaded.value.concat().as_str(), loaded.read_at, loaded.age),
        ("second", at(2000), Duration::from_secs(600))
    );
    assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(found(folder.path(), &file).1, 0, "no temporary file is left");
}

#[tokio::test]
async fn temporary_files_of_killed_processes_are_removed_and_no_others() {
    let (folder, file) = folder_and_file();
    save(&file, at(1), "kept");
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", file.path.display()));
    for suffix in [".1.tmp", ".4194304.12.tmp", ".mine.tmp", ".7.tmp.bak"] {
        fs::write(beside(suffix), "part").unwrap();
    }
    assert_eq!(file.load(at(2)).await.unwrap().value, ["kept"]);
    assert_eq!(found(folder.path(), &file), ("kept".to_owned(), 2));
    fs::write(beside(".1.tmp"), "part").unwrap();
    file.load(at(2)).await;
    assert_eq!(found(folder.path(), &file).1, 3, "a later account of this process removes none");
    assert!(beside(".mine.tmp").exists() && beside(".7.tmp.bak").exists());
}

#[test]
fn a_failed_or_abandoned_write_keeps_the_old_file() {
    let (folder, file) = folder_and_file();
    save(&file, at(1), "old");
    for error in [io::Error::from(io::ErrorKind::StorageFull), io::Error::other(Abandoned)] {
        file.save_now(at(2), |records| records.push(&"new").and(Err(error)));
        assert_eq!(found(folder.path(), &file), ("old".to_owned(), 0));
    }
}

#[test]
fn state_of_another_origin_is_not_used() {
    let (folder, file) = folder_and_file();
    save(&file, at(1), "value");
    for settings in [&["https://swr.example", ""][..], &["https://swr.exampl", "e"], &["https://other.example"], &[]] {
        let other = file_in(folder.path(), settings);
        assert!(matches!(other.try_load(at(2)), Err(Unusable::Origin)), "{settings:?}");
    }
    assert_eq!(found(folder.path(), &file).0, "value");
}

#[test]
fn two_writers_at_once_do_not_mix_their_bytes() {
    let (folder, file) = folder_and_file();
    let successor = StateFile::new(file.path.clone(), file.origin, file.lock.clone(), 1 << 20);
    file.save_now(at(1), |records| {
        records.push(&"before ")?;
        save(&successor, at(2), "successor");
        records.push(&"after")
    });
    assert_eq!(found(folder.path(), &file), ("before after".to_owned(), 0));
}

#[test]
fn foreign_future_and_odd_files_are_told_apart() {
    let whole = bytes(at(1000), &["value".to_owned()]);
    assert!(matches!(parse(&whole, at(900)), Err(Unusable::Future(_))));
    for version in [VERSION - 1, VERSION + 1] {
        let mut other = whole[..70].to_vec();
        other[8..12].copy_from_slice(&version.to_le_bytes());
        assert!(matches!(parse(&other, at(2000)), Err(Unusable::Version { found }) if found == version));
    }
    assert!(matches!(parse(b"{}", at(2000)), Err(Unusable::Foreign)));
    let (folder, file) = folder_and_file();
    let directory = TestFile::new(folder.path().to_owned(), file.origin, file.lock.clone(), 1 << 20);
    assert!(directory.try_load(at(2000)).is_err());
    let records = |records: &[u8]| {
        let mut out = Vec::new();
        encode(&mut out, at(1), Origin::default(), |writer| writer.push(&records)).unwrap();
        out
    };
    assert!(matches!(parse(&records(&[0xff]), at(2)), Err(Unusable::Content)), "a text that is no UTF-8");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let (_folder, file) = folder_and_file();
    save(&file, at(1), "value");
    fs::File::options().write(true).open(&file.path).unwrap().set_len(8 << 30).unwrap();
    assert!(matches!(file.try_load(at(2)), Err(Unusable::TooLarge)));
}

#[test]
fn after_a_clock_jump_a_file_is_old_or_in_the_future_and_never_fresh() {
    let (truth, year) = (1_735_787_045, 366 * 24 * 3600);
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(year);
    let clocks = [truth, truth + 3600, truth - 3600, truth + 10 * year, truth - 10 * year, 0]
        .map(at)
        .into_iter()
        .chain([before_1970]);
    for written in clocks.clone() {
        let file = bytes(written, &[]);
        // A time before 1970 cannot be written, and becomes 1970.
        let written = written.max(SystemTime::UNIX_EPOCH);
        for now in clocks.clone() {
            match decode::<Vec<String>>(&mut Cursor::new(&file), now) {
                Ok((loaded, _)) => {
                    assert_eq!((loaded.read_at, Ok(loaded.age)), (written, now.duration_since(written).map_err(drop)));
                }
                Err(error) => assert!(matches!(error, Unusable::Future(_)) && now < written, "{error}"),
            }
        }
    }
}

proptest! {
    #[test]
    fn records_come_back_and_a_file_that_is_cut_or_changed_anywhere_is_refused(
        mut records in proptest::collection::vec(".{0,300}", 0..9), is_large: bool,
        cut: prop::sample::Index, flip: prop::sample::Index, bit in 0u8..8,
    ) {
        if is_large {
            records.push("x".repeat(FRAME + 1));
            records.extend(vec!["y".repeat(1_000); 100]);
        }
        let whole = bytes(at(5), &records);
        prop_assert_eq!(parse(&whole, at(6)).unwrap(), records);
        prop_assert!(parse(&whole[..cut.index(whole.len())], at(6)).is_err());
        let mut changed = whole.clone();
        changed[flip.index(whole.len())] ^= 1 << bit;
        prop_assert!(parse(&changed, at(6)).is_err());
        prop_assert!(parse(&[&whole[..], &[0]].concat(), at(6)).is_err());
    }
}
