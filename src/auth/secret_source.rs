//! A secret in the settings or in a file, which is read again at every use.

use super::AuthError;
use crate::base::secret::Secret;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A token may have several kilobytes; no secret has more than this.
const LONGEST: u64 = 64 * 1024;

/// Where one secret is.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// In the settings.
    Given(Secret),
    /// In a file.
    File(PathBuf),
}

impl SecretSource {
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
            Self::Given(secret) => sendable(secret.expose()).map_err(|problem| AuthError::Unfit { what, problem }),
            Self::File(path) => read(path, what),
        }
    }

    /// The secret with whatever characters it has, but for the end of the line.
    pub(super) fn read_password(&self, what: &'static str) -> Result<Secret, AuthError> {
        match self {
            Self::Given(secret) => line(secret.expose()).map_err(|problem| AuthError::Unfit { what, problem }),
            Self::File(path) => {
                let text = read_text(path, what)?;
                line(&text).map_err(|problem| AuthError::Unusable { what, path: path.clone(), problem })
            }
        }
    }
}

/// Reads a secret that a header can carry.
pub(super) fn read(path: &Path, what: &'static str) -> Result<Secret, AuthError> {
    let text = read_text(path, what)?;
    sendable(&text).map_err(|problem| AuthError::Unusable { what, path: path.to_owned(), problem })
}

/// Reads a file that holds secrets.
pub(super) fn read_text(path: &Path, what: &'static str) -> Result<Zeroizing<String>, AuthError> {
    let unreadable = |source| AuthError::Unreadable { what, path: path.to_owned(), source };
    let unusable = |problem| AuthError::Unusable { what, path: path.to_owned(), problem };
    // Room for all of it: a vector that grows leaves copies behind.
    let file = crate::base::file::open(path).map_err(unreadable)?;
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

/// A secret without the white space around it, which editors and `echo` leave behind; or what keeps it from being sent in
/// a header.
fn sendable(text: &str) -> Result<Secret, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        Err("is empty")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("contains white space or characters that no header can carry")
    } else {
        Ok(Secret::new(text.to_owned()))
    }
}

/// A password without the end of its line.
fn line(text: &str) -> Result<Secret, &'static str> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("is empty") } else { Ok(Secret::new(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same text given and in a file.
    fn both(text: &str) -> (tempfile::NamedTempFile, [SecretSource; 2]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let parts = [SecretSource::Given(Secret::new(text.to_owned())), SecretSource::File(file.path().to_owned())];
        (file, parts)
    }

    #[test]
    fn a_secret_is_the_same_given_and_in_a_file() {
        for (text, secret, password) in [
            ("secret", Ok("secret"), Ok("secret")),
            ("secret\n", Ok("secret"), Ok("secret")),
            (" secret\r\n", Ok("secret"), Ok(" secret")),
            ("se cret\n", Err("the key"), Ok("se cret")),
            ("s\u{e9}cret", Err("the key"), Ok("s\u{e9}cret")),
            ("\n", Err("is empty"), Err("is empty")),
        ] {
            let (_file, parts) = both(text);
            for part in parts {
                for (read, expected) in [(part.read("the key"), secret), (part.read_password("the key"), password)] {
                    match (read, expected) {
                        (Ok(read), expected) => assert_eq!(Ok(read.expose()), expected, "{text:?}"),
                        (Err(error), Err(expected)) => {
                            let said = error.to_string();
                            assert!(
                                said.contains("the key ") && said.contains(expected) && !said.contains("cret"),
                                "{said}"
                            );
                        }
                        (Err(error), Ok(_)) => panic!("{text:?}: {error}"),
                    }
                }
            }
        }
    }
}
