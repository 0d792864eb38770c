//! Tolerant parsing of JSON: what every response of the API has in common, and one row of the repository list.
//!
//! Every key is optional and every value may have the wrong type. A value that cannot be understood costs its sample and
//! is counted; it never costs the page. Values are kept as raw JSON first, because a parser that converts a number such
//! as `1e400` would reject the whole object.

use super::error::ApiError;
use crate::model::{Repository, Timestamp, Visibility, label_value};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

/// How many values of a response were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedFields {
    /// Timestamps that are invalid or outside the years that can be shown.
    pub timestamp: u64,
    /// Numbers that are not integers from 0 to 2^64-1.
    pub number: u64,
    /// Labels that are not of the type that they should have.
    pub label: u64,
    /// Rows without a usable name, and names that were truncated.
    pub name: u64,
}

/// Stores texts that repeat from row to row once.
#[derive(Debug, Default)]
pub struct StringInterner(HashSet<Arc<str>>);

impl StringInterner {
    pub(super) fn get(&mut self, text: Cow<'_, str>) -> Arc<str> {
        if let Some(known) = self.0.get(text.as_ref()) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.0.insert(new.clone());
        new
    }
}

/// Binds the values of keys of a JSON object to variables of their names, or returns the error of what is no object.
macro_rules! read_fields {
    ($object:expr, $($key:ident),+) => {
        #[allow(non_snake_case, reason = "the API has keys in several styles")]
        let [$($key),+] = $crate::swr::wire::fields($object, [$(stringify!($key)),+])?;
    };
}
pub(super) use read_fields;

/// The values of some keys of a JSON object, in the order of the keys. A value of `null` is the same as no value. A key that
/// is there twice has no usable value.
pub(super) fn fields<'a, const N: usize>(
    object: &'a str,
    keys: [&str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    let values = deserializer.deserialize_map(Fields(keys))?;
    deserializer.end()?;
    Ok(values)
}

/// The error of an envelope without its list.
pub(super) fn missing(key: &str) -> ApiError {
    serde_json::Error::custom(format!("missing field `{key}`")).into()
}

struct Fields<'k, const N: usize>([&'k str; N]);

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; N];
        while let Some(position) = map.next_key_seed(KeyPosition(&self.0))? {
            let Some(position) = position else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &RawValue = map.next_value()?;
            if values[position].replace(value).is_some() {
                // Of no type that any key has, so it is counted as what the key should be.
                values[position] = Some(serde_json::from_str("{}").map_err(A::Error::custom)?);
            }
        }
        Ok(values.map(|value| value.filter(|raw| raw.get() != "null")))
    }
}

/// Finds a key among those that are wanted.
struct KeyPosition<'k>(&'k [&'k str]);

impl<'de> DeserializeSeed<'de> for KeyPosition<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyPosition<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|wanted| *wanted == key))
    }
}

/// Bytes as text. One bad byte in one name must not cost the page: it becomes U+FFFD and its two hexadecimal digits, so that
/// names which differ in such bytes stay different.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
            text.push_str(&hex::encode([*byte]));
        }
    }
    Cow::Owned(text)
}

/// One row of the repository list.
#[derive(Debug)]
pub struct RepositoryRow {
    /// The repository; `None` when it has no usable name.
    pub repository: Option<Repository>,
    /// The length of the whole list, as this row states it.
    pub total: Option<u64>,
}

/// Parses one row of the repository list.
pub fn repository(
    object: &[u8],
    interner: &mut StringInterner,
    dropped: &mut DroppedFields,
) -> Result<RepositoryRow, serde_json::Error> {
    let text = lossy(object);
    // The v3 listing spells the namespace `namespace_name`.
    read_fields!(
        &text,
        namespace,
        namespace_name,
        name,
        category,
        is_public,
        size,
        num_images,
        num_download,
        created_at,
        updated_at,
        total_range
    );
    let total = total_range.and_then(natural);
    let namespace = required_text(namespace.or(namespace_name), dropped);
    let (Some(namespace), Some(name)) = (namespace, required_text(name, dropped)) else {
        dropped.name += 1;
        return Ok(RepositoryRow { repository: None, total });
    };
    let repository = Repository {
        namespace: interner.get(namespace),
        name: name.into(),
        category: optional_text(category, dropped).map(|category| interner.get(category)),
        visibility: boolean(is_public, dropped)
            .map(|public| if public { Visibility::Public } else { Visibility::Private }),
        size: integer(size, dropped),
        images: integer(num_images, dropped),
        downloads: integer(num_download, dropped),
        created: timestamp(created_at, dropped),
        updated: timestamp(updated_at, dropped),
    };
    Ok(RepositoryRow { repository: Some(repository), total })
}

/// A text that may not be empty, such as a name.
pub(super) fn required_text<'a>(raw: Option<&'a RawValue>, dropped: &mut DroppedFields) -> Option<Cow<'a, str>> {
    bounded_text(raw?, dropped).filter(|text| !text.is_empty())
}

/// A text that becomes a label value; `None` when it is missing or not a string.
pub(super) fn optional_text<'a>(raw: Option<&'a RawValue>, dropped: &mut DroppedFields) -> Option<Cow<'a, str>> {
    let text = bounded_text(raw?, dropped);
    dropped.label += u64::from(text.is_none());
    text
}

fn bounded_text<'a>(raw: &'a RawValue, dropped: &mut DroppedFields) -> Option<Cow<'a, str>> {
    let (value, truncated) = label_value::label_value(string(raw.get())?);
    dropped.name += u64::from(truncated);
    Some(value)
}

/// The text of a JSON string; `None` for any other value.
pub(super) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    // Parsed as bytes, because half a surrogate pair is an error only where a `str` is requested.
    let bytes: Unescaped = serde_json::from_str(raw).ok()?;
    Some(Cow::Owned(lossy(&bytes.0).into_owned()))
}

struct Unescaped(Vec<u8>);

impl<'de> Deserialize<'de> for Unescaped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Unescaped;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Unescaped, E> {
                Ok(Unescaped(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A boolean, which may be written as a string.
pub(super) fn boolean(raw: Option<&RawValue>, dropped: &mut DroppedFields) -> Option<bool> {
    let value = unquoted(raw?).parse().ok();
    dropped.label += u64::from(value.is_none());
    value
}

/// The text of a number or boolean, which may be written as a string.
fn unquoted(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// A limit; -1 means that there is none.
pub(super) fn limit(raw: Option<&RawValue>, dropped: &mut DroppedFields) -> Option<u64> {
    integer(raw.filter(|raw| unquoted(raw) != "-1"), dropped)
}

/// An integer that is not negative; a missing value is neither zero nor dropped.
pub(super) fn integer(raw: Option<&RawValue>, dropped: &mut DroppedFields) -> Option<u64> {
    let value = natural(raw?);
    dropped.number += u64::from(value.is_none());
    value
}

/// An integer that is not negative, in any spelling: some programs write large ones as `1.5e9` or `1500000000.0`.
pub(super) fn natural(raw: &RawValue) -> Option<u64> {
    let text = unquoted(raw);
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    // A float is shown without an exponent, and one that is an integer without a fraction.
    text.parse::<f64>().ok()?.to_string().parse().ok()
}

/// A number of any kind that is not negative, for values that the API gives in an unknown unit.
pub(super) fn float(raw: Option<&RawValue>, dropped: &mut DroppedFields) -> Option<f64> {
    // A number too large for a float becomes infinite here.
    let value = unquoted(raw?).parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
    dropped.number += u64::from(value.is_none());
    value
}

/// An RFC 3339 timestamp with up to nine digits of fraction; an empty text and the zero time mean that there is none.
pub(super) fn timestamp(raw: Option<&RawValue>, dropped: &mut DroppedFields) -> Option<Timestamp> {
    let text = string(raw?.get()).unwrap_or(Cow::Borrowed("not a string"));
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return None;
    }
    let parsed = parse_time(&text);
    dropped.timestamp += u64::from(parsed.is_none());
    parsed
}

/// Parses an RFC 3339 timestamp; `None` when it is invalid or outside the range of [`Timestamp`].
pub fn parse_time(text: &str) -> Option<Timestamp> {
    // jiff accepts more than RFC 3339, such as a time zone in brackets; the API sends none of that.
    if text.len() > 40 || text.contains('[') {
        return None;
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok().map(Timestamp)
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
