//! What may become a label value: valid Unicode, not empty, not endless.
//!
//! One invalid byte or one overlong value makes Prometheus refuse the whole scrape, so both are settled at the edge,
//! where a name enters, and nobody checks again.

use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The longest label value that is written, in bytes. Legal repository names have at most 128 characters; the bound is
/// for answers that break the API's own rules.
pub const LONGEST: usize = 1024;

/// Length of the mark that tells apart two long names with a common beginning.
const SUFFIX: usize = 9;

/// A value as it may be written, and whether it had to be cut.
pub fn label_value(raw: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    if raw.len() <= LONGEST {
        return (raw, false);
    }
    let end = raw.floor_char_boundary(LONGEST - SUFFIX);
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
        assert!(cut && first.len() <= LONGEST && first.len() > LONGEST - 4);
        assert_ne!(first, second, "names that differ beyond the cut must stay two series");
    }

    #[test]
    fn a_name_of_the_longest_length_is_kept() {
        let name = "a".repeat(LONGEST);
        assert_eq!(label_value(Cow::Borrowed(&name)), (Cow::Borrowed(name.as_str()), false));
    }
}
