//! The type of passwords, keys and tokens. It has no `Display`, `Serialize`, `Deref` or equality on purpose: its bytes must
//! not leave unnoticed.

use zeroize::Zeroizing;

/// A secret string: redacted in `Debug`, wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the secret; the caller keeps no copy.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The secret itself. Call it only where bytes go onto the wire or into a signature.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is the empty string.
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
