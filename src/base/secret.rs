//! A secret that does not show itself.
//!
//! Belongs here: the one type that holds passwords, keys and tokens. Deliberately absent: `Display`, `Serialize`,
//! `Deref`, equality and anything else by which the bytes could leave unnoticed.

use zeroize::Zeroizing;

/// A secret string: redacted in `Debug`, wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the secret; the caller keeps no copy.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The secret itself. Called only where bytes leave for the wire or go into a signature.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_the_secret_nor_its_length() {
        let shown = format!("{:?} {:?}", Secret::new("hunter2".into()), Secret::new(String::new()));
        assert_eq!(shown, "<secret> <secret>");
    }
}
