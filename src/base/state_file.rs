//! State files: values that one process keeps for the next, so that a restart serves at once and does not burst.
//!
//! A file has a header, records and a checksum over both. It is written beside the file it replaces, synced and renamed, so
//! a process that is killed leaves the old file or the new one. A file that is damaged, of another format or of another
//! account is ignored with one warning. No secrets are in it.
//!
//! Layout: magic 8 bytes, version 4, time of reading 8 (nanoseconds since 1970), origin 32; frames of records in postcard
//! format, each frame preceded by its length in 4 bytes; SHA-256 of everything before it. Numbers are little-endian.

use super::digest::{self, Digest};
use super::file;
use super::state_lock::StateLock;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tracing::{error, info, warn};

const MAGIC: &[u8; 8] = b"SWRSNAP\n";
const VERSION: u32 = 4;
const HEADER: usize = 52;
const CHECKSUM: usize = 32;

/// How long reading a file may take. A disk that takes longer hangs.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A frame is written once it has this many bytes.
const FRAME: usize = 64 << 10;

/// The largest file that is read, 2 GiB: a million repositories take about 100 MB, their tags 750 MB.
const MAX_FILE: u64 = 2 << 30;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// An I/O error.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// Another program's file, or not a regular file.
    #[error("is no state file of this exporter")]
    Foreign,
    /// State of another account, or of other settings.
    #[error("was read from another endpoint, with another's credential or of other organisations")]
    Origin,
    /// Written by another version of the exporter.
    #[error("has format {found}, this exporter reads {VERSION}")]
    Version {
        /// The version in the file.
        found: u32,
    },
    /// The checksum does not match.
    #[error("is corrupt or truncated")]
    Damaged,
    /// More than fits into memory.
    #[error("is larger than {MAX_FILE} bytes")]
    TooLarge,
    /// The time of reading lies in the future, so the age is unknown.
    #[error("is dated {} s in the future", .0.as_secs())]
    Future(Duration),
    /// The records are not those of the expected value.
    #[error("cannot be understood")]
    Content,
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// A digest of the settings that decide whose data it is. State is only used for the origin it was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin(Digest);

impl Origin {
    /// The origin that these settings describe.
    pub fn of<'a>(settings: impl IntoIterator<Item = &'a str>) -> Self {
        Self(digest::of(settings))
    }
}

/// A value that is kept as a sequence of records, so that it need not be in memory twice.
pub trait Persistent: Sized {
    /// Its name in log lines, e.g. "the snapshot".
    const NAME: &'static str;

    /// Builds the value from its records.
    ///
    /// # Errors
    /// [`Unusable::Content`] if the records are not those of such a value.
    fn read(records: &mut RecordReader<'_>) -> Result<Self, Unusable>;
}

/// A value from a state file.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    /// When the reading behind it began, by the wall clock of then.
    pub read_at: SystemTime,
    /// The time since, by the wall clock of now.
    pub age: Duration,
}

/// The error by which the writer of records ends without a new file and without a warning.
#[derive(Debug, thiserror::Error)]
#[error("the state is not written")]
pub struct Abandoned;

/// Writes the records of a value.
pub type WriteRecords = Box<dyn FnOnce(&mut RecordWriter<'_>) -> io::Result<()> + Send>;

/// The state file of one value of one account.
#[derive(Debug)]
pub struct StateFile<T> {
    path: PathBuf,
    origin: Origin,
    lock: Arc<StateLock>,
    /// Why the latest write failed, if it did.
    problem: Mutex<Option<io::ErrorKind>>,
    value: PhantomData<fn() -> T>,
}

impl<T: Persistent> StateFile<T> {
    /// The file at `path`, written only by the process that holds `lock`.
    pub fn new(path: PathBuf, origin: Origin, lock: Arc<StateLock>) -> Self {
        Self { path, origin, lock, problem: Mutex::default(), value: PhantomData }
    }

    /// Replaces the file, unless another process holds the lock. A full or read-only disk costs a warning now and then, and
    /// one that hangs a thread; the old file stays.
    pub async fn save(self: &Arc<Self>, read_at: SystemTime, write: WriteRecords)
    where
        T: 'static,
    {
        let file = self.clone();
        if self.lock.threads.run(move || file.save_now(read_at, write)).await.is_none() {
            error!("keeping {} panicked", T::NAME);
        }
    }

    fn save_now(&self, read_at: SystemTime, write: impl FnOnce(&mut RecordWriter<'_>) -> io::Result<()>) {
        if !self.lock.is_ours() {
            return;
        }
        let saved = file::replace(&self.path, 0o600, |file| encode(file, read_at, self.origin, write));
        let path = self.path.display();
        let mut problem = self.problem.lock();
        match saved {
            Ok(()) => {
                if problem.take().is_some() {
                    info!(file = %path, "{} is kept in {path} again", T::NAME);
                }
            }
            Err(error) if matches!(error.get_ref(), Some(cause) if cause.is::<Abandoned>()) => {}
            Err(error) => {
                // Once, and not at each attempt.
                if problem.replace(error.kind()) != Some(error.kind()) {
                    warn!(file = %path, %error, "cannot keep {} in {path}: {error}", T::NAME);
                }
            }
        }
    }

    /// Reads the file. `None` if there is none, or none of use, which is logged. Removes temporary files of killed processes
    /// if this is the first reader of the lock.
    pub async fn load(self: &Arc<Self>, now: SystemTime) -> Option<Loaded<T>>
    where
        T: Send + 'static,
    {
        if !self.lock.may_load() {
            return None;
        }
        let (file, path) = (self.clone(), self.path.display());
        let loading = self.lock.threads.run_within(LOAD_TIMEOUT, move || {
            // Later readers are accounts after a reload, whose predecessors may be writing.
            if file.lock.is_first_use(&file.path) && file.lock.is_ours() {
                file.remove_temporary_files();
            }
            file.try_load(now)
        });
        match loading.await {
            Some(Ok(loaded)) => loaded,
            Some(Err(error)) => {
                warn!(file = %path, %error, "{path} is ignored: it {error}");
                None
            }
            None => {
                warn!(file = %path, "{path} is ignored: it could not be read within {} s", LOAD_TIMEOUT.as_secs());
                None
            }
        }
    }

    fn try_load(&self, now: SystemTime) -> Result<Option<Loaded<T>>, Unusable> {
        let mut file = match file::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (loaded, origin) = decode(&mut file, now)?;
        if origin == self.origin { Ok(Some(loaded)) } else { Err(Unusable::Origin) }
    }

    fn remove_temporary_files(&self) {
        let Some(entries) = self.path.parent().and_then(|directory| fs::read_dir(directory).ok()) else { return };
        let own = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        for entry in entries.flatten() {
            if entry.file_name().to_str().is_some_and(|name| file::is_temporary(name, own)) {
                // Best effort: a directory that cannot be written to is reported by the next write.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes a whole file: header, records, checksum.
///
/// # Errors
/// Those of `out` and `write`.
pub fn encode(
    out: &mut dyn Write,
    read_at: SystemTime,
    origin: Origin,
    write: impl FnOnce(&mut RecordWriter<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let since = read_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    let mut writer = RecordWriter { out, checksum: Sha256::new(), frame: Vec::with_capacity(FRAME * 2) };
    for part in [&MAGIC[..], &VERSION.to_le_bytes(), &nanoseconds.to_le_bytes(), &origin.0] {
        writer.put(part)?;
    }
    write(&mut writer)?;
    writer.flush()?;
    let checksum = writer.checksum.finalize();
    out.write_all(&checksum)
}

/// Reads a whole file, whatever its origin. Nothing of it is believed, and no memory taken for it, before its checksum is
/// verified.
///
/// # Errors
/// Why it is not used.
pub fn decode<T: Persistent>(input: &mut (impl Read + Seek), now: SystemTime) -> Result<(Loaded<T>, Origin), Unusable> {
    let length = input.seek(io::SeekFrom::End(0))?;
    input.rewind()?;
    let mut header = Vec::with_capacity(HEADER);
    input.take(HEADER as u64).read_to_end(&mut header)?;
    if !header.starts_with(MAGIC) {
        return Err(Unusable::Foreign);
    }
    // The version comes first: it decides what the rest means.
    let found = u32::from_le_bytes(*header[8..].first_chunk().ok_or(Unusable::Damaged)?);
    if found != VERSION {
        return Err(Unusable::Version { found });
    }
    if length > MAX_FILE {
        return Err(Unusable::TooLarge);
    }
    let end = length.checked_sub((HEADER + CHECKSUM) as u64).ok_or(Unusable::Damaged)?;
    let (mut checksum, mut buffer) = (Sha256::new_with_prefix(&header), vec![0; FRAME]);
    let mut left = end;
    while left > 0 {
        let size = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        input.read_exact(&mut buffer[..size])?;
        checksum.update(&buffer[..size]);
        left -= size as u64;
    }
    input.read_exact(&mut buffer[..CHECKSUM])?;
    if checksum.finalize()[..] != buffer[..CHECKSUM] {
        return Err(Unusable::Damaged);
    }
    let nanoseconds = u64::from_le_bytes(*header[12..].first_chunk().expect("the header is whole"));
    let read_at = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    let age = now.duration_since(read_at).map_err(|future| Unusable::Future(future.duration()))?;
    input.seek(io::SeekFrom::Start(HEADER as u64))?;
    let mut records = RecordReader { input: &mut input.take(end), frame: Vec::new(), position: 0 };
    let value = T::read(&mut records)?;
    if records.is_at_end()? {
        let origin = Origin(*header[20..].first_chunk().expect("the header is whole"));
        Ok((Loaded { value, read_at, age }, origin))
    } else {
        Err(Unusable::Content)
    }
}

/// Writes the records of a value.
pub struct RecordWriter<'a> {
    out: &'a mut dyn Write,
    checksum: Sha256,
    frame: Vec<u8>,
}

impl RecordWriter<'_> {
    /// Appends a record.
    ///
    /// # Errors
    /// Those of the file.
    pub fn push(&mut self, record: &impl Serialize) -> io::Result<()> {
        self.frame = postcard::to_extend(record, std::mem::take(&mut self.frame)).map_err(io::Error::other)?;
        if self.frame.len() < FRAME { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut self.frame);
        if !frame.is_empty() {
            self.put(&u32::try_from(frame.len()).map_err(io::Error::other)?.to_le_bytes())?;
            self.put(&frame)?;
        }
        self.frame = frame;
        self.frame.clear();
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads the records of a value.
pub struct RecordReader<'a> {
    input: &'a mut dyn Read,
    frame: Vec<u8>,
    position: usize,
}

impl RecordReader<'_> {
    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// [`Unusable::Content`] if it is not such a record.
    pub fn read<R: DeserializeOwned>(&mut self) -> Result<Option<R>, Unusable> {
        if self.is_at_end()? {
            return Ok(None);
        }
        let bytes = &self.frame[self.position..];
        let (record, rest) = postcard::take_from_bytes(bytes).map_err(|_| Unusable::Content)?;
        self.position += bytes.len() - rest.len();
        Ok(Some(record))
    }

    /// The next record, which must be there.
    ///
    /// # Errors
    /// As [`RecordReader::read`].
    pub fn expect<R: DeserializeOwned>(&mut self) -> Result<R, Unusable> {
        self.read()?.ok_or(Unusable::Content)
    }

    /// Whether there is no further record. Reads the next frame if need be.
    fn is_at_end(&mut self) -> Result<bool, Unusable> {
        while self.position == self.frame.len() {
            let mut length = [0; 4];
            match self.input.read_exact(&mut length) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(true),
                result => result?,
            }
            let length = u32::from_le_bytes(length);
            self.frame.clear();
            self.position = 0;
            let read = (&mut self.input).take(length.into()).read_to_end(&mut self.frame)?;
            if read as u64 != u64::from(length) {
                return Err(Unusable::Content);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
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
        Arc::new(StateFile::new(folder.join("default.snapshot"), Origin::of(settings.iter().copied()), lock))
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
        encode(&mut out, read_at, Origin::default(), |writer| {
            records.iter().try_for_each(|record| writer.push(record))
        })
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
        for settings in
            [&["https://swr.example", ""][..], &["https://swr.exampl", "e"], &["https://other.example"], &[]]
        {
            let other = file_in(folder.path(), settings);
            assert!(matches!(other.try_load(at(2)), Err(Unusable::Origin)), "{settings:?}");
        }
        assert_eq!(found(folder.path(), &file).0, "value");
    }

    #[test]
    fn two_writers_at_once_do_not_mix_their_bytes() {
        let (folder, file) = folder_and_file();
        let successor = StateFile::new(file.path.clone(), file.origin, file.lock.clone());
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
        for version in [3, 9] {
            let mut other = whole[..70].to_vec();
            other[8] = version;
            assert!(matches!(parse(&other, at(2000)), Err(Unusable::Version { found }) if found == u32::from(version)));
        }
        assert!(matches!(parse(b"{}", at(2000)), Err(Unusable::Foreign)));
        let (folder, file) = folder_and_file();
        let directory = TestFile::new(folder.path().to_owned(), file.origin, file.lock.clone());
        assert!(directory.try_load(at(2000)).is_err());
        let records = |records: &[u8]| {
            let mut out = Vec::new();
            encode(&mut out, at(1), Origin::default(), |writer| writer.push(&records)).unwrap();
            out
        };
        assert!(matches!(parse(&records(&[0xff]), at(2)), Err(Unusable::Content)), "a text that is no UTF-8");
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
                        assert_eq!(
                            (loaded.read_at, Ok(loaded.age)),
                            (written, now.duration_since(written).map_err(drop))
                        );
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
}
