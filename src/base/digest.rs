//! Digests of several values, to see whether settings or secrets have changed.

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Sha256Digest = [u8; 32];

/// The digest of a sequence of values. Each value is preceded by its length, so that no two sequences share one input.
pub fn of<T: AsRef<[u8]>>(values: impl IntoIterator<Item = T>) -> Sha256Digest {
    let mut hash = Sha256::new();
    for value in values {
        let value = value.as_ref();
        hash.update((value.len() as u64).to_le_bytes());
        hash.update(value);
    }
    // In place, and wiped when dropped: a hash that is moved would leave the end of a secret on the stack.
    hash.finalize_reset().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn different_sequences_have_different_digests(a: Vec<String>, b: Vec<String>) {
            prop_assert_eq!(a == b, of(&a) == of(&b));
        }

        #[test]
        fn moving_a_border_between_values_changes_the_digest(text in "[a-z]{1,20}", at in 0usize..20) {
            let (front, back) = text.split_at(at.min(text.len()));
            prop_assert_ne!(of([front, back]), of([text.as_str()]));
        }
    }
}
