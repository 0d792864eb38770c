//! Reading files that others put there, and replacing files that others read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a regular file for reading. Pipes and devices are refused: they could block for ever or have no end. A file
/// system that hangs blocks this call.
///
/// # Errors
/// If it is not a regular file or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    File::open(path)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::FileTooLarge`] if the file is larger than `limit`.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(path, limit, &mut bytes)?;
    Ok(bytes)
}

/// As [`read`], into an empty buffer that the caller may wipe, also if reading fails halfway. Room is made beforehand: a
/// buffer that grows leaves copies of its content in memory.
///
/// # Errors
/// As [`read`].
pub fn read_into(path: &Path, limit: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let file = open(path)?;
    let size = file.metadata().map_or(0, |metadata| metadata.len()).min(limit);
    bytes.reserve(usize::try_from(size).unwrap_or_default() + 1024);
    file.take(limit.saturating_add(1)).read_to_end(bytes)?;
    if bytes.len() as u64 > limit {
        let limit =
            if limit.is_multiple_of(1 << 20) { format!("{} MiB", limit >> 20) } else { format!("{limit} bytes") };
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit}")));
    }
    Ok(())
}

/// Replaces `path` atomically: writes `temporary`, which must be in the same directory, syncs it and renames it. A reader
/// sees the old content or the new one, also after a crash. If anything fails, the old file stays and `temporary` is
/// removed.
///
/// # Errors
/// Those of `write` and of the file system.
pub fn replace(
    path: &Path,
    temporary: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(temporary)?;
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    })();
    if result.is_err() {
        // Best effort: the next attempt overwrites it.
        let _ = fs::remove_file(temporary);
        return result;
    }
    // The rename itself has to survive a power failure. Some file systems cannot open a directory; then it may not.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).map_or(Ok(()), |directory| directory.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_read_is_bounded_and_takes_regular_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(read(folder.path(), 5).is_err() && read(Path::new("/dev/zero"), 5).is_err());
    }

    #[test]
    fn a_replacement_is_whole_or_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, temporary) = (folder.path().join("file"), folder.path().join("file.tmp"));
        replace(&path, &temporary, 0o640, |file| file.write_all(b"old")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let failed = replace(&path, &temporary, 0o640, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(!temporary.exists());
        replace(&path, &temporary, 0o640, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
