//! A secret in the settings or in a file, which is read again at every use.

use super::AuthError;
use crate::secret::Secret;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A token may have several kilobytes; no secret has more than this.
const LONGEST: u64 = 64 * 1024;

/// Where one secret is.
#[derive(Clone, Debug)]
pub enum Part {
    /// In the settings.
    Given(Secret),
    /// In a file.
    File(PathBuf),
}

impl Part {
    /// The file's name, if it is in one.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Given(_) => String::new(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The secret as a header can carry it.
    pub(super) fn read(&self, what: &'static str) -> Result<Secret, AuthError> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(path) => read(path, what),
        }
    }

    /// The secret with whatever characters it has, but for the end of the line.
    pub(super) fn read_password(&self, what: &'static str) -> Result<Secret, AuthError> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let text = read_text(path, what)?;
                let text = text.trim_end_matches(['\r', '\n']);
                if text.is_empty() {
                    return Err(AuthError::Unusable { what, path: path.clone(), problem: "is empty" });
                }
                Ok(Secret::new(text.to_owned()))
            }
        }
    }
}

/// Reads a secret and takes off the white space around it, which editors and `echo` leave behind.
pub(super) fn read(path: &Path, what: &'static str) -> Result<Secret, AuthError> {
    let text = read_text(path, what)?;
    let text = text.trim();
    match check(text) {
        None => Ok(Secret::new(text.to_owned())),
        Some(problem) => Err(AuthError::Unusable { what, path: path.to_owned(), problem }),
    }
}

/// Reads a file that holds secrets.
pub(super) fn read_text(path: &Path, what: &'static str) -> Result<Zeroizing<String>, AuthError> {
    let unreadable = |source| AuthError::Unreadable { what, path: path.to_owned(), source };
    let unusable = |problem| AuthError::Unusable { what, path: path.to_owned(), problem };
    // Room for all of it: a vector that grows leaves copies behind.
    let file = crate::file::open(path).map_err(unreadable)?;
    let size = file.metadata().map_or(0, |metadata| metadata.len()).min(LONGEST);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1024));
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(unusable("is longer than 64 KiB"));
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(unusable("is not text"))
        }
    }
}

/// What keeps a secret from being sent in a header, if anything.
fn check(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("contains white space or characters that no header can carry")
    } else {
        None
    }
}
