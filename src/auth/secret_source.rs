//! A secret in the settings or in a file; a file is read again at every use.

use super::AuthError;
use crate::base::file;
use crate::base::secret::Secret;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The largest secret file, in bytes. A token may have several kilobytes.
const MAX_SIZE: u64 = 64 * 1024;

/// The place of one secret.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// In the settings.
    Given(Secret),
    /// In a file.
    File(PathBuf),
}

impl SecretSource {
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// The path of the file; empty if it is in the settings.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Given(_) => String::new(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The secret as a header can carry it: without the white space around it, which editors and `echo` leave behind.
    pub(super) fn read(&self, what: &'static str) -> Result<Secret, AuthError> {
        self.parse(what, |text| {
            let text = text.trim();
            if text.len() > 1 && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote)) {
                Err("is in quotes, which are not part of it: leave them out")
            } else if text.bytes().all(|byte| byte.is_ascii_graphic()) {
                Ok(text)
            } else {
                Err("contains white space or characters that no header can carry")
            }
        })
    }

    /// The secret with whatever characters it has, except for the end of the line.
    pub(super) fn read_password(&self, what: &'static str) -> Result<Secret, AuthError> {
        self.parse(what, |text| Ok(text.trim_end_matches(['\r', '\n'])))
    }

    fn parse(
        &self,
        what: &'static str,
        parse: impl Fn(&str) -> Result<&str, &'static str>,
    ) -> Result<Secret, AuthError> {
        // Editors of Windows begin a text with a byte order mark.
        let parse = |text: &str| match parse(text.trim_start_matches('\u{feff}'))? {
            "" => Err("is empty"),
            text => Ok(Secret::new(text.to_owned())),
        };
        match self {
            Self::Given(secret) => {
                parse(secret.expose()).map_err(|problem| AuthError::UnusableSetting { what, problem })
            }
            Self::File(path) => parse(&read_text(path, what)?).map_err(|problem| AuthError::UnusableFile {
                what,
                path: path.clone(),
                problem,
            }),
        }
    }
}

pub(super) fn read_text(path: &Path, what: &'static str) -> Result<Zeroizing<String>, AuthError> {
    let unusable = |problem| AuthError::UnusableFile { what, path: path.to_owned(), problem };
    let mut bytes = Zeroizing::new(Vec::new());
    file::read_into(path, MAX_SIZE, &mut bytes).map_err(|source| match source.kind() {
        ErrorKind::FileTooLarge => unusable("is longer than 64 KiB"),
        _ => AuthError::Unreadable { what, path: path.to_owned(), source },
    })?;
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        unusable("is not text")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_same_given_and_in_a_file() {
        for (text, secret, password) in [
            ("secret", Ok("secret"), Ok("secret")),
            ("secret\n", Ok("secret"), Ok("secret")),
            (" secret\r\n", Ok("secret"), Ok(" secret")),
            ("se cret\n", Err("white space"), Ok("se cret")),
            ("s\u{e9}cret", Err("no header can carry"), Ok("s\u{e9}cret")),
            ("\n", Err("is empty"), Err("is empty")),
            ("\u{feff}secret\r\n", Ok("secret"), Ok("secret")),
            ("\u{feff}\n", Err("is empty"), Err("is empty")),
            ("\"secret\"\n", Err("is in quotes"), Ok("\"secret\"")),
            ("'secret'", Err("is in quotes"), Ok("'secret'")),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            for source in
                [SecretSource::Given(Secret::new(text.to_owned())), SecretSource::File(file.path().to_owned())]
            {
                for (read, expected) in [(source.read("the key"), secret), (source.read_password("the key"), password)]
                {
                    match (read, expected) {
                        (Ok(read), expected) => assert_eq!(Ok(read.expose()), expected, "{text:?}"),
                        (Err(error), Err(expected)) => {
                            let error = error.to_string();
                            assert!(error.starts_with("the key ") && error.contains(expected), "{error}");
                            assert!(!error.contains("cret"), "{error}");
                        }
                        (Err(error), Ok(_)) => panic!("{text:?}: {error}"),
                    }
                }
            }
        }
    }
}
