//! Bounded label values.
//!
//! One overlong value makes Prometheus refuse the whole scrape, so names are bounded where they enter, and not checked again.

use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The longest label value in bytes. Legal repository names have at most 128 characters; the bound is for responses that
/// break the API's rules.
pub const MAX_LENGTH: usize = 1024;

/// The length of the digest suffix that tells apart long names with the same beginning.
const SUFFIX: usize = 9;

/// A label value for a name, and whether it was cut.
pub fn label_value(raw: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    if raw.len() <= MAX_LENGTH {
        return (raw, false);
    }
    let end = raw.floor_char_boundary(MAX_LENGTH - SUFFIX);
    let digest = hex::encode(&Sha256::digest(raw.as_bytes())[..4]);
    (Cow::Owned(format!("{}-{digest}", &raw[..end])), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character_and_stays_distinct() {
        let long = "ü".repeat(5000);
        let (first, cut) = label_value(Cow::Borrowed(&long));
        let (second, _) = label_value(Cow::Owned(format!("{long}x")));
        assert!(cut && first.len() <= MAX_LENGTH && first.len() > MAX_LENGTH - 4);
        assert_ne!(first, second, "names that differ beyond the cut must stay two series");
    }

    #[test]
    fn a_name_of_the_longest_length_is_kept() {
        let name = "a".repeat(MAX_LENGTH);
        assert_eq!(label_value(Cow::Borrowed(&name)), (Cow::Borrowed(name.as_str()), false));
    }
}
