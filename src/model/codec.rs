//! A snapshot as bytes, for the state file: compact, versioned by the file, free of serde.
//!
//! Texts are a length and UTF-8, numbers are LEB128, an absent number is 0 and a present one its value plus one.
//! Reading trusts nothing: a length is believed only as far as there are bytes.

mod figures;

use super::{NamespaceRead, Repository, Snapshot, Timestamp, Visibility};
use std::io::{self, Write};
use std::sync::Arc;

/// Writes a snapshot.
///
/// # Errors
/// What the writer says.
pub fn encode(snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
    signed(out, snapshot.read_at.0)?;
    number(out, snapshot.namespaces.len() as u128)?;
    for read in &snapshot.namespaces {
        text(out, &read.name)?;
        optional_time(out, read.read_at)?;
        out.write_all(&[u8::from(read.complete)])?;
    }
    figures::encode_account(&snapshot.account, out)?;
    figures::encode_enterprise(&snapshot.enterprise, out)?;
    number(out, snapshot.repositories.len() as u128)?;
    for row in &snapshot.repositories {
        text(out, &row.namespace)?;
        text(out, &row.name)?;
        // An absent category and an empty one are one and the same series.
        text(out, row.category.as_deref().unwrap_or_default())?;
        let visibility = match row.visibility {
            None => 0,
            Some(Visibility::Public) => 1,
            Some(Visibility::Private) => 2,
        };
        out.write_all(&[visibility])?;
        for value in [row.size, row.images, row.downloads, row.created.map(zigzag), row.updated.map(zigzag)] {
            optional(out, value)?;
        }
    }
    Ok(())
}

/// Reads a snapshot; `None` when the bytes are not one.
pub fn decode(bytes: &[u8]) -> Option<Snapshot> {
    let mut input = Input(bytes);
    let read_at = Timestamp(unzigzag(u64::try_from(input.number()?).ok()?));
    let mut namespaces = Vec::new();
    for _ in 0..input.number()? {
        namespaces.push(NamespaceRead {
            name: input.text()?.into(),
            read_at: time(&mut input)?,
            complete: input.byte()? == 1,
        });
    }
    let account = figures::decode_account(&mut input)?;
    let enterprise = figures::decode_enterprise(&mut input)?;
    let mut repositories = Vec::new();
    let (mut namespace, mut category): (Arc<str>, Option<Arc<str>>) = ("".into(), None);
    for _ in 0..input.number()? {
        let text = input.text()?;
        // Rows of one organisation stand together and share its name.
        if text != &*namespace {
            namespace = text.into();
        }
        let name = input.text()?.into();
        let text = input.text()?;
        if text != category.as_deref().unwrap_or_default() {
            category = (!text.is_empty()).then(|| text.into());
        }
        let visibility = match input.byte()? {
            0 => None,
            1 => Some(Visibility::Public),
            2 => Some(Visibility::Private),
            _ => return None,
        };
        let (size, images, downloads) = (input.optional()?, input.optional()?, input.optional()?);
        let (created, updated) = (time(&mut input)?, time(&mut input)?);
        let (namespace, category) = (namespace.clone(), category.clone());
        repositories.push(Repository {
            namespace,
            name,
            category,
            visibility,
            size,
            images,
            downloads,
            created,
            updated,
        });
    }
    if !input.0.is_empty() {
        return None;
    }
    let (mut snapshot, dropped) = Snapshot::new(read_at, repositories);
    snapshot.namespaces = namespaces;
    snapshot.account = account.into();
    snapshot.enterprise = enterprise.into();
    (dropped == 0).then_some(snapshot)
}

/// Writes a number.
pub(crate) fn number(out: &mut dyn Write, mut value: u128) -> io::Result<()> {
    while value >= 0x80 {
        out.write_all(&[value.to_le_bytes()[0] | 0x80])?;
        value >>= 7;
    }
    out.write_all(&[value.to_le_bytes()[0]])
}

/// One more than the value, which for the largest one needs more than 64 bits.
pub(crate) fn optional(out: &mut dyn Write, value: Option<u64>) -> io::Result<()> {
    number(out, value.map_or(0, |value| u128::from(value) + 1))
}

/// Writes a text.
pub(crate) fn text(out: &mut dyn Write, text: &str) -> io::Result<()> {
    number(out, text.len() as u128)?;
    out.write_all(text.as_bytes())
}

/// A time, or none.
pub(crate) fn optional_time(out: &mut dyn Write, value: Option<Timestamp>) -> io::Result<()> {
    optional(out, value.map(zigzag))
}

/// Reads what [`optional_time`] wrote.
pub(crate) fn time(input: &mut Input<'_>) -> Option<Option<Timestamp>> {
    Some(input.optional()?.map(|value| Timestamp(unzigzag(value))))
}

fn signed(out: &mut dyn Write, value: i64) -> io::Result<()> {
    number(out, u128::from(zigzag(Timestamp(value))))
}

/// Small numbers of either sign become small numbers.
fn zigzag(time: Timestamp) -> u64 {
    ((time.0 << 1) ^ (time.0 >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Bytes that are read from the front; `None` where they do not make sense.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn number(&mut self) -> Option<u128> {
        let mut value = 0u128;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn optional(&mut self) -> Option<Option<u64>> {
        match self.number()? {
            0 => Some(None),
            more => u64::try_from(more - 1).ok().map(Some),
        }
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn repository() -> impl Strategy<Value = Repository> {
        let number = proptest::option::of(any::<u64>());
        let time = proptest::option::of(any::<i64>().prop_map(Timestamp));
        let visibility = proptest::option::of(prop_oneof![Just(Visibility::Public), Just(Visibility::Private)]);
        (
            "[a-c]",
            ".{1,20}",
            proptest::option::of("[a-z]{1,9}"),
            visibility,
            number.clone(),
            number.clone(),
            number,
            time.clone(),
            time,
        )
            .prop_map(|(namespace, name, category, visibility, size, images, downloads, created, updated)| {
                Repository {
                    namespace: namespace.into(),
                    name: name.into(),
                    category: category.map(Into::into),
                    visibility,
                    size,
                    images,
                    downloads,
                    created,
                    updated,
                }
            })
    }

    proptest! {
        #[test]
        fn a_snapshot_comes_back_as_it_was(rows in proptest::collection::vec(repository(), 0..40), at in any::<i64>(), complete in any::<bool>()) {
            let (mut snapshot, _) = Snapshot::new(Timestamp(at), rows);
            snapshot.namespaces = vec![NamespaceRead { name: "a".into(), read_at: Some(Timestamp(at)), complete }];
            let mut bytes = Vec::new();
            encode(&snapshot, &mut bytes).unwrap();
            prop_assert_eq!(decode(&bytes), Some(snapshot));
            for end in 0..bytes.len() {
                prop_assert_eq!(decode(&bytes[..end]), None);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic_or_much_memory(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
