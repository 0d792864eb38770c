//! Opening files that others have put there. Reading is bounded by whoever reads: secrets are read in another way than
//! certificates.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a regular file. Blocks for as long as the file system does, but for no pipe and no device, which could be waited
/// for for ever or have no end.
///
/// # Errors
/// When it is something else, or as usual.
pub fn open(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    File::open(path)
}
