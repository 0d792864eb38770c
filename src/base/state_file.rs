//! State files: values that one process keeps for the next, so that a restart serves at once and does not burst.
//!
//! A file has a header, records and a checksum over both. It is written beside the file it replaces, synced and renamed, so
//! a process that is killed leaves the old file or the new one. A file that is damaged, of another format or of another
//! account is ignored with one warning. No secrets are in it.
//!
//! Layout: magic 8 bytes, version 4, time of reading 8 (nanoseconds since 1970), origin 32; frames of records in postcard
//! format, each frame preceded by its length in 4 bytes; SHA-256 of everything before it. Numbers are little-endian.

use super::digest::{self, Sha256Digest};
use super::file;
use super::state_lock::StateLock;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tracing::{error, info, warn};

const MAGIC: &[u8; 8] = b"SWRSNAP\n";
/// The format of header and records. Increase it when a field of a stored type changes: records do not describe themselves,
/// and a file of another version is read anew from the API, not misread.
const VERSION: u32 = 9;
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
    Unreadable(#[from] io::Error),
    /// Another program's file, or not a regular file.
    #[error("is no state file of this exporter")]
    Foreign,
    /// State of another account, or of other settings.
    #[error("was read from another endpoint, with another's credential or of other organizations")]
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
    #[error("is too large for the memory there is")]
    TooLarge,
    /// The time of reading lies in the future, so the age is unknown.
    #[error("is dated {} s in the future", .0.as_secs())]
    Future(Duration),
    /// The records are not those of the expected value.
    #[error("cannot be understood")]
    Content,
}

/// A digest of the settings that decide whose data it is. State is only used for the origin it was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin(Sha256Digest);

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
    max_size: u64,
    /// Why the latest write failed, if it did.
    problem: Mutex<Option<io::ErrorKind>>,
    value: PhantomData<fn() -> T>,
}

impl<T: Persistent> StateFile<T> {
    /// The file at `path`, written only by the process that holds `lock`, and read if it has at most `max_size` bytes.
    pub fn new(path: PathBuf, origin: Origin, lock: Arc<StateLock>, max_size: u64) -> Self {
        let max_size = max_size.min(MAX_FILE);
        Self { path, origin, lock, max_size, problem: Mutex::default(), value: PhantomData }
    }

    /// Replaces the file, unless another process holds the lock. A full or read-only disk costs a warning now and then, and
    /// one that hangs a thread; the old file stays.
    pub async fn save(self: &Arc<Self>, read_at: SystemTime, write: WriteRecords)
    where
        T: 'static,
    {
        let file = self.clone();
        if self.lock.threads.run(move || file.save_now(read_at, write)).await.is_none() {
            error!("saving {} panicked", T::NAME);
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
                    info!(file = %path, "saving {} in {path} works again", T::NAME);
                }
            }
            Err(error) if matches!(error.get_ref(), Some(cause) if cause.is::<Abandoned>()) => {}
            Err(error) => {
                // Once, and not at each attempt.
                if problem.replace(error.kind()) != Some(error.kind()) {
                    warn!(file = %path, %error, "cannot save {} in {path}: {error}", T::NAME);
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
        if self.lock.is_hung.load(Ordering::Relaxed) {
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
                warn!(file = %path, %error, "ignoring {path}: it {error}");
                None
            }
            None => {
                warn!(file = %path, "ignoring {path}: it could not be read within {} s", LOAD_TIMEOUT.as_secs());
                None
            }
        }
    }

    fn try_load(&self, now: SystemTime) -> Result<Option<Loaded<T>>, Unusable> {
        let file = match file::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if file.metadata()?.len() > self.max_size {
            return Err(Unusable::TooLarge);
        }
        let (loaded, origin) = decode(file, now)?;
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
pub fn decode<T: Persistent>(input: impl Read + Seek, now: SystemTime) -> Result<(Loaded<T>, Origin), Unusable> {
    let mut file = VerifiedFile::new(input)?;
    let read_at = file.read_at;
    let age = now.duration_since(read_at).map_err(|future| Unusable::Future(future.duration()))?;
    Ok((Loaded { value: file.read_at_time(now, T::read)?, read_at, age }, file.origin))
}

/// A state file that is read several times and never held, whatever its origin.
#[derive(Debug)]
pub struct VerifiedFile<I = fs::File> {
    input: I,
    /// Bytes of the records.
    length: u64,
    origin: Origin,
    /// When the reading behind it began, by the wall clock of then.
    pub read_at: SystemTime,
}

impl VerifiedFile {
    /// Opens and verifies a file. If it is replaced later, the one that was opened is still read.
    ///
    /// # Errors
    /// Why it is not used.
    pub fn open(path: &Path) -> Result<Self, Unusable> {
        Self::new(file::open(path)?)
    }
}

impl<I: Read + Seek> VerifiedFile<I> {
    /// Verifies format and checksum.
    fn new(mut input: I) -> Result<Self, Unusable> {
        let length = input.seek(io::SeekFrom::End(0))?;
        input.rewind()?;
        let mut header = Vec::with_capacity(HEADER);
        (&mut input).take(HEADER as u64).read_to_end(&mut header)?;
        if !header.starts_with(MAGIC) {
            return Err(Unusable::Foreign);
        }
        // The version comes first: it decides what the rest means.
        let found = u32::from_le_bytes(*header[8..].first_chunk().ok_or(Unusable::Damaged)?);
        if found != VERSION {
            return Err(Unusable::Version { found });
        }
        let length = length.checked_sub((HEADER + CHECKSUM) as u64).ok_or(Unusable::Damaged)?;
        let (mut checksum, mut buffer) = (Sha256::new_with_prefix(&header), vec![0; FRAME]);
        let mut left = length;
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
        let origin = Origin(*header[20..].first_chunk().expect("the header is whole"));
        Ok(Self { input, length, origin, read_at })
    }

    /// Reads its records.
    ///
    /// # Errors
    /// [`Unusable::Content`] if the records are not those of such a value.
    pub fn read<T>(&mut self, read: impl FnOnce(&mut RecordReader<'_>) -> Result<T, Unusable>) -> Result<T, Unusable> {
        self.read_at_time(self.read_at, read)
    }

    fn read_at_time<T>(
        &mut self,
        now: SystemTime,
        read: impl FnOnce(&mut RecordReader<'_>) -> Result<T, Unusable>,
    ) -> Result<T, Unusable> {
        self.input.seek(io::SeekFrom::Start(HEADER as u64))?;
        let (length, input) = (self.length, &mut (&mut self.input).take(self.length));
        let mut records = RecordReader { length, now, input, frame: Vec::new(), position: 0 };
        let value = read(&mut records)?;
        if records.is_at_end()? { Ok(value) } else { Err(Unusable::Content) }
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
    /// Bytes of all records.
    pub length: u64,
    /// The time by which the file has an age.
    pub now: SystemTime,
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
#[path = "state_file_tests.rs"]
mod tests;
