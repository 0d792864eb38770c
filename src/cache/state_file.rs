//! The last good value in a file, so that a restart serves at once and does not burst.
//!
//! One file an account: a header with magic, version, length, time of reading, checksum and origin, then the payload,
//! which is the caller's. Written to a temporary file beside it, synced, renamed: a process killed at any moment leaves
//! either the old file or the new one. Whatever else is found there is ignored with one warning. No secrets are in it.

use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const MAGIC: &[u8; 8] = b"SWRSNAP\n";
const VERSION: u32 = 3;

/// magic 8, version 4, zero 4, read_at 8 (nanoseconds since 1970), payload length 8, SHA-256 32, origin 32.
const HEADER: usize = 96;

/// A payload that is longer is no snapshot of ours: a million repositories have about 100 MB.
const LONGEST: u64 = 2 << 30;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error("cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is not one of ours.
    #[error("is no snapshot of this exporter")]
    Foreign,
    /// It is one of ours, of something else.
    #[error("was read from another endpoint, with another's credential or of other organisations")]
    Origin,
    /// Another version of the exporter wrote it.
    #[error("has format {found}, this exporter reads {VERSION}")]
    Version {
        /// What the file says.
        found: u32,
    },
    /// It ends too early, or goes on too long.
    #[error("is truncated or has something after its end")]
    Length,
    /// The checksum does not fit.
    #[error("is corrupt")]
    Corrupt,
    /// It was read later than now: the age cannot be told.
    #[error("is dated {} s in the future", .0.as_secs())]
    Future(Duration),
    /// The payload makes no sense.
    #[error("cannot be understood")]
    Payload,
}

/// What a payload was read from, as far as settings tell: a payload is of use only where that is the same.
///
/// A digest, so that nobody learns from the file what it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin([u8; 32]);

impl Origin {
    /// By all that decides.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// What a file holds.
#[derive(Debug)]
pub struct LoadedState {
    /// The caller's bytes.
    pub payload: Vec<u8>,
    /// What they were read from.
    pub origin: Origin,
    /// When the read behind them began, by the wall clock of then.
    pub read_at: SystemTime,
    /// How old they are by the wall clock of now.
    pub age: Duration,
}

/// A file as one of those sees it who read and write it.
#[derive(Clone, Debug)]
pub struct StateFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is read from it, and what is written was read from.
    pub origin: Origin,
    /// A number of its own for each that may be writing it at the same time within this process.
    pub writer: u64,
}

impl StateFile {
    /// Writes the file anew; the payload is streamed.
    ///
    /// # Errors
    /// When the directory is read-only, the disk is full and the like. The file that was there stays.
    pub fn write(&self, read_at: SystemTime, payload: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let temporary = self.temporary();
        let result = self.write_to(&temporary, read_at, payload).and_then(|()| fs::rename(&temporary, &self.path));
        if result.is_err() {
            // Best effort: what is left is overwritten next time.
            let _ = fs::remove_file(&temporary);
            return result;
        }
        // The rename itself must survive a power cut, too.
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    /// Reads the file; `None` when there is none.
    ///
    /// # Errors
    /// Why it is not used.
    pub fn read(&self, now: SystemTime) -> Result<Option<LoadedState>, Unusable> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // Opening a pipe or a device could wait for ever.
            Ok(metadata) if !metadata.is_file() => return Err(Unusable::Foreign),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(LONGEST).read_to_end(&mut bytes)?;
        let kept = parse(bytes, now)?;
        if kept.origin == self.origin { Ok(Some(kept)) } else { Err(Unusable::Origin) }
    }

    /// Removes what processes that were killed while they wrote have left beside the file. To be called by
    /// whoever holds the lock, before anybody in this process writes it.
    pub fn sweep(&self) {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name().and_then(|name| name.to_str()))
        else {
            return;
        };
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let left_over = entry.file_name().to_str().is_some_and(|other| {
                let middle = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".tmp"));
                middle.is_some_and(|middle| middle.split('.').all(|number| number.parse::<u64>().is_ok()))
            });
            if left_over {
                // Best effort: whoever may not delete will be told when it may not write.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Beside the file, so that the rename stays within one file system; by process and writer, so that no two mix their
    /// bytes.
    fn temporary(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.{}.tmp", std::process::id(), self.writer));
        self.path.with_file_name(name)
    }

    fn write_to(
        &self,
        temporary: &Path,
        read_at: SystemTime,
        payload: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
        let mut out = Hashed { out: BufWriter::with_capacity(128 << 10, file), hash: Sha256::new(), length: 0 };
        out.out.write_all(&[0; HEADER])?;
        payload(&mut out)?;
        let Hashed { out, hash, length } = out;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        file.write_all(&header(read_at, length, &hash.finalize(), self.origin))?;
        file.sync_all()
    }
}

/// Whether files can be kept in a directory: writes an empty one and removes it.
///
/// # Errors
/// Why they cannot.
pub fn try_directory(directory: &Path) -> io::Result<()> {
    let trial = directory.join(format!("trial.{}.tmp", std::process::id()));
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&trial)?;
    fs::remove_file(trial)
}

fn header(read_at: SystemTime, length: u64, digest: &[u8], origin: Origin) -> [u8; HEADER] {
    let since = read_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
    header[24..32].copy_from_slice(&length.to_le_bytes());
    header[32..64].copy_from_slice(digest);
    header[64..].copy_from_slice(&origin.0);
    header
}

struct Hashed {
    out: BufWriter<File>,
    hash: Sha256,
    length: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads the bytes of a file.
///
/// # Errors
/// Why they are not used.
pub fn parse(mut bytes: Vec<u8>, now: SystemTime) -> Result<LoadedState, Unusable> {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    if bytes.get(..8) != Some(MAGIC) {
        return Err(Unusable::Foreign);
    }
    if bytes.len() < 12 {
        return Err(Unusable::Length);
    }
    // Before all that a version decides.
    let found = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
    if found != VERSION {
        return Err(Unusable::Version { found });
    }
    if bytes.len() < HEADER {
        return Err(Unusable::Length);
    }
    if (bytes.len() - HEADER) as u64 != number(24) {
        return Err(Unusable::Length);
    }
    if Sha256::digest(&bytes[HEADER..])[..] != bytes[32..64] {
        return Err(Unusable::Corrupt);
    }
    let read_at = SystemTime::UNIX_EPOCH + Duration::from_nanos(number(16));
    let age = now.duration_since(read_at).map_err(|future| Unusable::Future(future.duration()))?;
    let origin = Origin(bytes[64..HEADER].try_into().expect("32 bytes"));
    bytes.drain(..HEADER);
    Ok(LoadedState { payload: bytes, origin, read_at, age })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn file() -> (tempfile::TempDir, StateFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("default.snapshot");
        (folder, StateFile { path, origin: Origin::of(["https://swr.example"]), writer: 0 })
    }

    fn bytes(file: &StateFile) -> Vec<u8> {
        fs::read(&file.path).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back_with_its_true_age() {
        let (folder, file) = file();
        assert!(file.read(at(0)).unwrap().is_none());
        file.write(at(1000), |out| out.write_all(b"first")).unwrap();
        file.write(at(2000), |out| out.write_all(b"second")).unwrap();
        let kept = file.read(at(2600)).unwrap().unwrap();
        assert_eq!(
            (kept.payload.as_slice(), kept.read_at, kept.age),
            (&b"second"[..], at(2000), Duration::from_secs(600))
        );
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn what_killed_processes_left_is_swept_up_and_nothing_else() {
        let (folder, file) = file();
        file.write(at(1), |out| out.write_all(b"kept")).unwrap();
        let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", file.path.display()));
        for suffix in [".1.tmp", ".4194304.12.tmp", ".mine.tmp", ".7.tmp.bak"] {
            fs::write(beside(suffix), "part").unwrap();
        }
        file.sweep();
        assert_eq!(file.read(at(2)).unwrap().unwrap().payload, b"kept");
        assert!(beside(".mine.tmp").exists() && beside(".7.tmp.bak").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let (folder, file) = file();
        file.write(at(1), |out| out.write_all(b"old")).unwrap();
        let full = |out: &mut dyn Write| {
            out.write_all(&[1; 1000])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        assert!(file.write(at(2), full).is_err());
        assert_eq!(file.read(at(3)).unwrap().unwrap().payload, b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_read_from_elsewhere_is_not_used() {
        let (_folder, file) = file();
        file.write(at(1), |out| out.write_all(b"payload")).unwrap();
        for parts in [&["https://swr.example", ""][..], &["https://swr.exampl", "e"], &["https://other.example"], &[]] {
            let another = StateFile { origin: Origin::of(parts.iter().copied()), ..file.clone() };
            assert!(matches!(another.read(at(2)), Err(Unusable::Origin)), "{parts:?}");
        }
        assert_eq!(file.read(at(2)).unwrap().unwrap().payload, b"payload");
    }

    #[test]
    fn two_that_write_at_once_do_not_mix_their_bytes() {
        let (folder, file) = file();
        let successor = StateFile { writer: 1, ..file.clone() };
        let outer = |out: &mut dyn Write| {
            out.write_all(b"before ")?;
            successor.write(at(2), |out| out.write_all(b"successor"))?;
            out.write_all(b"after")
        };
        file.write(at(1), outer).unwrap();
        assert_eq!(file.read(at(3)).unwrap().unwrap().payload, b"before after");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn foreign_future_and_odd_files_are_told_apart() {
        let (folder, file) = file();
        file.write(at(1000), |out| out.write_all(b"payload")).unwrap();
        assert!(matches!(file.read(at(900)), Err(Unusable::Future(_))));
        let a_folder = StateFile { path: folder.path().to_owned(), ..file.clone() };
        assert!(matches!(a_folder.read(at(900)), Err(Unusable::Foreign)));
        let good = bytes(&file);
        let mut newer = good.clone();
        newer[8] = 9;
        assert!(matches!(parse(newer, at(2000)), Err(Unusable::Version { found: 9 })));
        // Its header was shorter.
        let mut older = good[..70].to_vec();
        older[8] = 2;
        assert!(matches!(parse(older, at(2000)), Err(Unusable::Version { found: 2 })));
        assert!(matches!(parse(b"{}".to_vec(), at(2000)), Err(Unusable::Foreign)));
    }

    #[test]
    fn a_clock_that_jumped_between_writing_and_reading_makes_a_file_old_or_future_and_never_fresh() {
        let (_folder, file) = file();
        let (truth, year) = (1_735_787_045, 366 * 24 * 3600);
        let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(year);
        let clocks = [
            at(truth),
            at(truth + 3600),
            at(truth - 3600),
            at(truth + 10 * year),
            at(truth - 10 * year),
            at(0),
            before_1970,
        ];
        for written in clocks {
            file.write(written, |out| out.write_all(b"payload")).unwrap();
            for now in clocks {
                match file.read(now) {
                    Ok(kept) => {
                        let kept = kept.unwrap();
                        // A time before 1970 cannot be written, and becomes 1970.
                        assert_eq!(kept.read_at, written.max(SystemTime::UNIX_EPOCH));
                        assert_eq!(Ok(kept.age), now.duration_since(kept.read_at).map_err(drop));
                    }
                    Err(error) => {
                        assert!(matches!(error, Unusable::Future(_)), "{error}");
                        assert!(now < written.max(SystemTime::UNIX_EPOCH));
                    }
                }
            }
        }
        file.write(at(truth), |out| out.write_all(b"payload")).unwrap();
        let mut odd = bytes(&file);
        odd[16..24].fill(0xff);
        assert!(parse(odd, SystemTime::now()).is_err(), "a time that no clock shows");
    }

    proptest! {
        #[test]
        fn a_file_that_is_cut_or_changed_anywhere_is_never_taken_for_whole(
            payload in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>(),
            flip in any::<prop::sample::Index>(), bit in 0u8..8
        ) {
            let mut whole = header(at(5), payload.len() as u64, &Sha256::digest(&payload), Origin::default()).to_vec();
            whole.extend_from_slice(&payload);
            prop_assert_eq!(parse(whole.clone(), at(6)).unwrap().payload, payload);
            prop_assert!(parse(whole[..cut.index(whole.len())].to_vec(), at(6)).is_err());
            let mut flipped = whole.clone();
            let place = flip.index(whole.len());
            flipped[place] ^= 1 << bit;
            // Time, origin and the four spare bytes are not under the checksum; a wrong time or origin shows as one.
            if !(12..24).contains(&place) && !(64..HEADER).contains(&place) {
                prop_assert!(parse(flipped, at(6)).is_err());
            }
        }
    }
}
