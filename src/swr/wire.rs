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
    let [
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
        total,
    ] = fields(
        &text,
        [
            "namespace",
            // The spelling of the v3 listing.
            "namespace_name",
            "name",
            "category",
            "is_public",
            "size",
            "num_images",
            "num_download",
            "created_at",
            "updated_at",
            "total_range",
        ],
    )?;
    let total = total.and_then(|raw| raw.get().parse().ok());
    let namespace = required_text(namespace.or(namespace_name), dropped);
    let (Some(namespace), Some(name)) = (namespace, required_text(name, dropped)) else {
        dropped.name += 1;
        return Ok(RepositoryRow { repository: None, total });
    };
    let repository = Repository {
        namespace: interner.get(namespace),
        name: name.into(),
        category: optional_text(category, dropped).map(|category| interner.get(category)),
        visibility: boolean(is_public).map(|public| if public { Visibility::Public } else { Visibility::Private }),
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
    optional_text(raw, dropped).filter(|text| !text.is_empty())
}

/// A text that becomes a label value; `None` when it is missing or not a string.
pub(super) fn optional_text<'a>(raw: Option<&'a RawValue>, dropped: &mut DroppedFields) -> Option<Cow<'a, str>> {
    let (value, truncated) = label_value::label_value(string(raw?.get())?);
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

/// A boolean; `None` for any other value.
pub(super) fn boolean(raw: Option<&RawValue>) -> Option<bool> {
    raw?.get().parse().ok()
}

/// The text of a number, which may be written as a string.
fn number(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// A limit; -1 means that there is none.
pub(super) fn limit(raw: Option<&RawValue>, dropped: &mut DroppedFields) -> Option<u64> {
    integer(raw.filter(|raw| number(raw) != "-1"), dropped)
}

/// An integer that is not negative; a missing value is neither zero nor dropped.
pub(super) fn integer(raw: Option<&RawValue>, dropped: &mut DroppedFields) -> Option<u64> {
    let digits = number(raw?);
    let value = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None };
    dropped.number += u64::from(value.is_none());
    value
}

/// A number of any kind that is not negative, for values that the API gives in an unknown unit.
pub(super) fn float(raw: Option<&RawValue>, dropped: &mut DroppedFields) -> Option<f64> {
    // A number too large for a float becomes infinite here.
    let value = number(raw?).parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(object: &str) -> (RepositoryRow, DroppedFields) {
        let mut dropped = DroppedFields::default();
        let row = repository(object.as_bytes(), &mut StringInterner::default(), &mut dropped).unwrap();
        (row, dropped)
    }

    #[test]
    fn the_documented_example_is_read_whole() {
        let (row, dropped) = read(
            r#"{"name":"nginx","category":"linux","size":200977474,"is_public":false,"num_images":2,"num_download":0,
            "created_at":"2017-01-01T00:00:00Z","updated_at":"2017-09-11T03:00:02.542841141Z","logo":"","url":"",
            "path":"192.158.24.86/namespace/repository","domain_name":"root","namespace":"root",
            "tags":["latest","log"],"status":false,"total_range":1}"#,
        );
        let repository = row.repository.unwrap();
        assert_eq!(repository.key(), ("root", "nginx"));
        assert_eq!(repository.category.as_deref(), Some("linux"));
        assert_eq!(repository.visibility, Some(Visibility::Private));
        assert_eq!((repository.size, repository.images, repository.downloads), (Some(200_977_474), Some(2), Some(0)));
        assert_eq!(repository.created, Some(Timestamp(1_483_228_800_000_000_000)));
        assert_eq!(repository.updated, Some(Timestamp(1_505_098_802_542_841_141)));
        assert_eq!((row.total, dropped), (Some(1), DroppedFields::default()));
    }

    #[test]
    fn odd_numbers_cost_their_sample_and_are_counted() {
        let row = |value: &str| {
            let (row, dropped) = read(&format!(r#"{{"name":"a","namespace":"b","size":{value}}}"#));
            (row.repository.unwrap().size, dropped.number)
        };
        for value in
            ["-1", "1e400", "1.5", "\"many\"", "\"-12\"", "\"\"", "[]", "{}", "true", "18446744073709551616", "1e3"]
        {
            assert_eq!(row(value), (None, 1), "{value}");
        }
        assert_eq!(row("null"), (None, 0));
        assert_eq!(row("9007199254740993"), (Some((1 << 53) + 1), 0));
        assert_eq!(row("9223372036854775807"), (Some(i64::MAX as u64), 0));
        assert_eq!(row("0"), (Some(0), 0));
        assert_eq!(row("\"12\""), (Some(12), 0), "a number as text");
    }

    #[test]
    fn fractions_are_read_as_they_are_and_nonsense_is_counted() {
        let read = |text: &str| {
            let (raw, mut dropped): (Box<RawValue>, _) =
                (serde_json::from_str(text).unwrap(), DroppedFields::default());
            (float(Some(&raw), &mut dropped), dropped.number)
        };
        assert_eq!(read("99.21"), (Some(99.21), 0));
        assert_eq!(read("7"), (Some(7.0), 0));
        assert_eq!(read("1e3"), (Some(1000.0), 0));
        assert_eq!(read("\"99.21\""), (Some(99.21), 0));
        for text in ["-0.5", "1e400", "\"inf\"", "\"nan\"", "\"x\"", "true", "[]"] {
            let counted = read(text);
            assert_eq!(counted, (None, 1), "{text}");
        }
    }

    #[test]
    fn times_of_every_documented_form_are_read() {
        let row = |value: &str| {
            let (row, dropped) = read(&format!(r#"{{"name":"a","namespace":"b","created_at":{value}}}"#));
            (row.repository.unwrap().created.map(|time| time.0), dropped.timestamp)
        };
        for (text, nanoseconds) in [
            (r#""2026-03-26T07:42:40.069829Z""#, 1_774_510_960_069_829_000),
            (r#""2021-06-02T09:59:25.51307Z""#, 1_622_627_965_513_070_000),
            (r#""2025-05-22T20:28:30.467856+08:00""#, 1_747_916_910_467_856_000),
            (r#""1969-12-31T23:59:59.5Z""#, -500_000_000),
        ] {
            assert_eq!(row(text), (Some(nanoseconds), 0), "{text}");
        }
        for absent in ["null", r#""""#, r#""0001-01-01T00:00:00.000Z""#] {
            assert_eq!(row(absent), (None, 0), "{absent}");
        }
        for broken in [r#""2025-09-12:06:44:31""#, r#""forever""#, "12", r#""9999-01-01T00:00:00Z""#, "{}"] {
            assert_eq!(row(broken), (None, 1), "{broken}");
        }
    }

    #[test]
    fn a_row_without_a_usable_name_is_left_out_and_counted() {
        for object in [r#"{"namespace":"a"}"#, r#"{"name":"","namespace":"a"}"#, r#"{"name":7,"namespace":"a"}"#, "{}"]
        {
            let (row, dropped) = read(object);
            assert!(row.repository.is_none());
            assert_eq!(dropped, DroppedFields { name: 1, ..DroppedFields::default() }, "{object}");
        }
    }

    #[test]
    fn evil_names_become_valid_text() {
        let (row, _) = read(r#"{"name":"a\ud800b\n\"\\","namespace":"\u0000\ud83d\ude00"}"#);
        let repository = row.repository.unwrap();
        assert!(repository.name.starts_with("a\u{fffd}ed") && repository.name.ends_with("b\n\"\\"));
        assert_eq!(&*repository.namespace, "\0\u{1f600}");
        let mut dropped = DroppedFields::default();
        let bytes = b"{\"name\":\"x\xffy\",\"namespace\":\"n\"}";
        let row = repository_of(bytes, &mut dropped);
        assert_eq!(&*row.name, "x\u{fffd}ffy");
    }

    #[test]
    fn names_that_differ_in_invalid_bytes_stay_different() {
        let name = |bytes: &[u8]| {
            let object = [b"{\"namespace\":\"n\",\"name\":\"".as_slice(), bytes, b"\"}"].concat();
            repository_of(&object, &mut DroppedFields::default()).name
        };
        let names = [&b"x\xff"[..], b"x\xfe", b"x\xc3", b"x\xc3\xc3", b"x\\ud800", b"x\\udfff", b"x"].map(name);
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_key_that_is_there_twice_costs_its_sample_and_no_more() {
        let twice = r#"{"namespace":"n","name":"a","size":1,"size":2,"created_at":"","created_at":"","category":"x",
            "category":"x","num_images":3,"unknown":1,"unknown":2,"total_range":5,"total_range":5}"#;
        let (row, dropped) = read(twice);
        let repository = row.repository.unwrap();
        assert_eq!((repository.size, repository.category, repository.images), (None, None, Some(3)));
        assert_eq!((row.total, dropped.number, dropped.timestamp), (None, 1, 1));
        let (row, dropped) = read(r#"{"namespace":"n","name":"a","name":"b"}"#);
        assert!(row.repository.is_none() && dropped.name == 1, "which of the two it is, is not known");
    }

    fn repository_of(bytes: &[u8], dropped: &mut DroppedFields) -> Repository {
        repository(bytes, &mut StringInterner::default(), dropped).unwrap().repository.unwrap()
    }

    #[test]
    fn texts_that_repeat_are_kept_once() {
        let mut shared = StringInterner::default();
        let mut read = || {
            let object = br#"{"name":"a","namespace":"n","category":"linux"}"#;
            repository(object, &mut shared, &mut DroppedFields::default()).unwrap().repository.unwrap()
        };
        let (first, second) = (read(), read());
        assert!(Arc::ptr_eq(&first.namespace, &second.namespace));
        assert!(Arc::ptr_eq(first.category.as_ref().unwrap(), second.category.as_ref().unwrap()));
    }

    proptest! {
        #[test]
        fn any_time_that_can_be_shown_is_read_back(nanoseconds in i64::MIN / 2..i64::MAX / 2, digits in 0usize..=9, hours in -12i8..=14) {
            let scale = 10i64.pow(9 - u32::try_from(digits).unwrap());
            let rounded = nanoseconds.div_euclid(scale) * scale;
            let time = jiff::Timestamp::from_nanosecond(rounded.into()).unwrap();
            let offset = jiff::tz::Offset::constant(hours);
            let printed = time.display_with_offset(offset).to_string();
            prop_assert_eq!(parse_time(&printed), Some(Timestamp(rounded)));
        }

        #[test]
        fn no_object_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = repository(&bytes, &mut StringInterner::default(), &mut DroppedFields::default());
        }

        #[test]
        fn any_name_that_json_can_carry_is_read_as_it_is(name in "\\PC{1,200}") {
            let object = serde_json::json!({"name": name, "namespace": "n"}).to_string();
            let row = repository_of(object.as_bytes(), &mut DroppedFields::default());
            let (expected, _) = label_value::label_value(Cow::Borrowed(name.as_str()));
            prop_assert_eq!(&*row.name, &*expected);
        }
    }
}
