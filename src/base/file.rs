//! Reading files that others write, and replacing files that others read.

use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Opens a regular file for reading. Pipes and devices are refused: they could block for ever or have no end. A file system
/// that hangs blocks this call.
///
/// # Errors
/// If it is not a regular file or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    open_regular(OpenOptions::new().read(true), OFlags::empty(), path)
}

/// Opens or creates a file of our own for writing, not through a symbolic link and only if it is a regular file.
///
/// # Errors
/// As [`open`].
pub fn open_own(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_regular(options.write(true).create(true).truncate(false).mode(mode), OFlags::NOFOLLOW, path)
}

fn open_regular(options: &mut OpenOptions, flags: OFlags, path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for its other end.
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    let odd = || io::Error::other("not a regular file");
    // A pipe that nobody reads cannot be opened for writing.
    let is_pipe = |error: &io::Error| error.raw_os_error() == Some(Errno::NXIO.raw_os_error());
    let opened = options.custom_flags(flags).open(path);
    let file = opened.map_err(|error| if is_pipe(&error) { odd() } else { error })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(odd()) }
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

/// Replaces `path` atomically: writes a new temporary file in the same directory, syncs it and renames it. A reader sees the
/// old content or the new one, also after a crash. If anything fails, the old file stays and the temporary one is removed.
///
/// Owner and mode of an old file are kept as far as this process may set them; a new file gets `mode`, whatever the umask
/// is.
///
/// # Errors
/// Those of `write` and of the file system.
pub fn replace(path: &Path, mode: u32, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary(path)?;
    // A new file, and not through a link that somebody else has put there.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let result = (|| {
        write(&mut file)?;
        set_owner_and_mode(&file, path, mode)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        // Best effort: the next start removes it.
        let _ = fs::remove_file(&temporary);
        return result;
    }
    // The rename itself has to survive a power failure. Some file systems cannot open a directory; then it may not.
    File::open(directory(path)).map_or(Ok(()), |directory| directory.sync_all())
}

fn set_owner_and_mode(file: &File, path: &Path, mode: u32) -> io::Result<()> {
    let old = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
    let mode = old.as_ref().map_or(mode, |old| old.permissions().mode() & 0o777);
    if let Some(old) = old {
        // Only root may give a file away; others may keep a group that they belong to.
        let group = Some(Gid::from_raw(old.gid()));
        let _ = fchown(file, Some(Uid::from_raw(old.uid())), group).or_else(|_| fchown(file, None, group));
    }
    Ok(fchmod(file, Mode::from_raw_mode(mode))?)
}

/// A name for a temporary file beside `path`: unpredictable, and recognised by [`is_temporary`].
fn temporary(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or_else(|| io::Error::other("not the name of a file"))?.to_owned();
    name.push(format!(".{}.{}.tmp", std::process::id(), fastrand::u64(..)));
    Ok(path.with_file_name(name))
}

/// Whether `name` is that of a temporary file of [`replace`] for the file `of`.
pub fn is_temporary(name: &str, of: &str) -> bool {
    let numbers = name.strip_prefix(of).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".tmp"));
    numbers.is_some_and(|numbers| numbers.split('.').all(|number| number.parse::<u64>().is_ok()))
}

/// Creates a directory of our own, with the directories above it, if it does not exist.
///
/// # Errors
/// If it cannot be created.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Creates and removes a file, to find out whether files can be kept in a directory. Creates the directory if it does not
/// exist.
///
/// # Errors
/// Why they cannot.
pub fn try_directory(directory: &Path) -> io::Result<()> {
    create_directory(directory)?;
    let trial = temporary(&directory.join("trial"))?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&trial)?;
    fs::remove_file(trial)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    fn a_read_is_bounded_and_takes_regular_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, pipe) = (folder.path().join("file"), folder.path().join("pipe"));
        fs::write(&path, "12345").unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        for odd in [folder.path(), Path::new("/dev/zero"), &pipe] {
            assert!(read(odd, 5).is_err() && open_own(odd, 0o600).is_err(), "{}", odd.display());
        }
    }

    #[test]
    fn a_file_of_our_own_is_not_opened_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        symlink(&target, &link).unwrap();
        assert!(open_own(&link, 0o600).is_err() && !target.exists());
        assert!(open_own(&target, 0o600).is_ok());
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_replacement_is_whole_or_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, 0o646, |file| file.write_all(b"old")).unwrap();
        assert_eq!(mode(&path), 0o646, "whatever the umask is");
        let failed = replace(&path, 0o640, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        replace(&path, 0o640, |file| file.write_all(b"new")).unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"new"[..], 0o604));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn the_owner_of_a_replaced_file_is_kept_where_that_is_permitted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let given = std::os::unix::fs::chown(&path, Some(65534), Some(65534)).is_ok();
        let owner = || fs::metadata(&path).map(|metadata| (metadata.uid(), metadata.gid())).unwrap();
        let before = owner();
        assert_eq!(given, before == (65534, 65534));
        replace(&path, 0o640, |file| file.write_all(b"new")).unwrap();
        assert_eq!(owner(), before);
    }

    #[test]
    fn a_replaced_link_is_replaced_itself_and_its_target_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        replace(&link, 0o600, |file| file.write_all(b"new")).unwrap();
        assert_eq!((fs::read(&target).unwrap(), fs::read(&link).unwrap()), (b"precious".to_vec(), b"new".to_vec()));
        assert!(!link.is_symlink());
    }

    #[test]
    fn temporary_files_are_known_by_their_names() {
        for (name, expected) in [
            ("a.1.tmp", true),
            ("a.4194304.18446744073709551615.tmp", true),
            ("a.mine.tmp", false),
            ("a.7.tmp.bak", false),
            ("b.1.tmp", false),
            ("a.tmp", false),
        ] {
            assert_eq!(is_temporary(name, "a"), expected, "{name}");
        }
        let name = temporary(Path::new("/x/a")).unwrap();
        assert!(is_temporary(name.file_name().unwrap().to_str().unwrap(), "a") && name.starts_with("/x"));
    }
}
