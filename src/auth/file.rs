//! A secret in a file, read again at every use.

use super::AuthError;
use crate::secret::Secret;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// A token may have several kilobytes; no secret has more than this.
const LONGEST: u64 = 64 * 1024;

/// Reads a secret and takes off the white space around it, which editors and `echo` leave behind.
pub(super) fn read(path: &Path, what: &'static str) -> Result<Secret, AuthError> {
    let unreadable = |source| AuthError::Unreadable { what, path: path.to_owned(), source };
    let unusable = |problem| AuthError::Unusable { what, path: path.to_owned(), problem };
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(unusable("is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable("is not text"))?.trim();
    match check(text) {
        None => Ok(Secret::new(text.to_owned())),
        Some(problem) => Err(unusable(problem)),
    }
}

/// What keeps a secret from being sent in a header, if anything.
pub(super) fn check(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("contains white space or characters that no header can carry")
    } else {
        None
    }
}
