//! One repository as it stands on the wire, read with tolerance.
//!
//! Every key is optional and every value may be of the wrong type; what cannot be understood costs that sample and is
//! counted, never the page. Values are taken as raw JSON first, because a parser that computes a number like `1e400`
//! would refuse the whole object. Source: "Querying the List of Image Repositories", swr-api.md sections 1.1 and 10.

use crate::model::{Repository, Timestamp, Visibility, names};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

/// How many samples of a page were left out, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedFields {
    /// Times that are no times, or outside the years that can be shown.
    pub timestamp: u64,
    /// Numbers that are no whole numbers from 0 to 2^64-1.
    pub number: u64,
    /// Rows without a usable name, and names that were cut.
    pub name: u64,
}

/// Texts that repeat from row to row, kept once.
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

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    namespace: Option<&'a RawValue>,
    /// What the third edition of the listing calls it.
    #[serde(borrow)]
    namespace_name: Option<&'a RawValue>,
    #[serde(borrow)]
    category: Option<&'a RawValue>,
    #[serde(borrow)]
    is_public: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    num_images: Option<&'a RawValue>,
    #[serde(borrow)]
    num_download: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    updated_at: Option<&'a RawValue>,
    #[serde(borrow)]
    total_range: Option<&'a RawValue>,
}

/// One object of the list.
#[derive(Debug)]
pub struct Row {
    /// The repository; `None` when it has no usable name.
    pub repository: Option<Repository>,
    /// How many repositories the whole list has, as this row says.
    pub total: Option<u64>,
}

/// Reads one object of the list.
///
/// # Errors
/// When it is no JSON object.
pub fn repository(
    object: &[u8],
    shared: &mut StringInterner,
    omissions: &mut DroppedFields,
) -> Result<Row, serde_json::Error> {
    // Invalid UTF-8 becomes U+FFFD: one bad byte in one name must not cost the page.
    let text = String::from_utf8_lossy(object);
    let wire: Wire<'_> = serde_json::from_str(&text)?;
    let total = wire.total_range.and_then(|raw| raw.get().parse().ok());
    let namespace = wire.namespace.or(wire.namespace_name);
    let (Some(namespace), Some(name)) = (name(namespace, omissions), name(wire.name, omissions)) else {
        omissions.name += 1;
        return Ok(Row { repository: None, total });
    };
    let repository = Repository {
        namespace: shared.get(namespace),
        name: name.into(),
        category: name_if_any(wire.category, omissions).map(|category| shared.get(category)),
        visibility: boolean(wire.is_public).map(|public| if public { Visibility::Public } else { Visibility::Private }),
        size: number(wire.size, omissions),
        images: number(wire.num_images, omissions),
        downloads: number(wire.num_download, omissions),
        created: timestamp(wire.created_at, omissions),
        updated: timestamp(wire.updated_at, omissions),
    };
    Ok(Row { repository: Some(repository), total })
}

/// A name that must be there.
pub(super) fn name<'a>(raw: Option<&'a RawValue>, omissions: &mut DroppedFields) -> Option<Cow<'a, str>> {
    name_if_any(raw, omissions).filter(|name| !name.is_empty())
}

pub(super) fn name_if_any<'a>(raw: Option<&'a RawValue>, omissions: &mut DroppedFields) -> Option<Cow<'a, str>> {
    let (value, cut) = names::label_value(text(raw?.get())?);
    omissions.name += u64::from(cut);
    Some(value)
}

/// The text of a JSON string; `None` for any other value.
pub(super) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    // As bytes, because an escaped half of a surrogate pair is an error only where a `str` is asked for.
    let bytes: Unescaped = serde_json::from_str(raw).ok()?;
    Some(Cow::Owned(String::from_utf8_lossy(&bytes.0).into_owned()))
}

struct Unescaped(Vec<u8>);

impl<'de> Deserialize<'de> for Unescaped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
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

/// A truth value; anything else is none.
pub(super) fn boolean(raw: Option<&RawValue>) -> Option<bool> {
    match raw?.get() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A whole number as it is written; absent and null are not zero and not an omission.
pub(super) fn number(raw: Option<&RawValue>, omissions: &mut DroppedFields) -> Option<u64> {
    let digits = raw?.get();
    let value = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None };
    if value.is_none() {
        omissions.number += 1;
    }
    value
}

/// A number of any kind that is not negative, for what the API counts in an unknown unit.
pub(super) fn fraction(raw: Option<&RawValue>, omissions: &mut DroppedFields) -> Option<f64> {
    // The parser of JSON has seen to the form; what is too large for a float becomes infinite here.
    let value = raw?.get().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
    if value.is_none() {
        omissions.number += 1;
    }
    value
}

/// A time by RFC 3339 with 0 to 9 digits of fraction; empty and the zero time mean that there is none.
pub(super) fn timestamp(raw: Option<&RawValue>, omissions: &mut DroppedFields) -> Option<Timestamp> {
    let text = text(raw?.get()).unwrap_or(Cow::Borrowed("not a string"));
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return None;
    }
    let parsed = parse_time(&text);
    if parsed.is_none() {
        omissions.timestamp += 1;
    }
    parsed
}

/// Parses an RFC 3339 time; `None` where it is none or lies outside what [`Timestamp`] can hold.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    // jiff also takes forms beyond RFC 3339, such as a time zone in brackets; the API has none of them.
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

    fn read(object: &str) -> (Row, DroppedFields) {
        let mut omissions = DroppedFields::default();
        let row = repository(object.as_bytes(), &mut StringInterner::default(), &mut omissions).unwrap();
        (row, omissions)
    }

    #[test]
    fn the_documented_example_is_read_whole() {
        let (row, omissions) = read(
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
        assert_eq!((row.total, omissions), (Some(1), DroppedFields::default()));
    }

    #[test]
    fn odd_numbers_cost_their_sample_and_are_counted() {
        let row = |value: &str| {
            let (row, omissions) = read(&format!(r#"{{"name":"a","namespace":"b","size":{value}}}"#));
            (row.repository.unwrap().size, omissions.number)
        };
        for value in ["-1", "1e400", "1.5", "\"12\"", "[]", "{}", "true", "18446744073709551616", "1e3"] {
            assert_eq!(row(value), (None, 1), "{value}");
        }
        assert_eq!(row("null"), (None, 0));
        assert_eq!(row("9007199254740993"), (Some((1 << 53) + 1), 0));
        assert_eq!(row("9223372036854775807"), (Some(i64::MAX as u64), 0));
        assert_eq!(row("0"), (Some(0), 0));
    }

    #[test]
    fn fractions_are_read_as_they_are_and_nonsense_is_counted() {
        let read = |text: &str| {
            let (raw, mut omissions): (Box<RawValue>, _) =
                (serde_json::from_str(text).unwrap(), DroppedFields::default());
            (fraction(Some(&raw), &mut omissions), omissions.number)
        };
        assert_eq!(read("99.21"), (Some(99.21), 0));
        assert_eq!(read("7"), (Some(7.0), 0));
        assert_eq!(read("1e3"), (Some(1000.0), 0));
        for text in ["-0.5", "1e400", "\"3\"", "true", "[]"] {
            let counted = read(text);
            assert_eq!(counted, (None, 1), "{text}");
        }
    }

    #[test]
    fn times_of_every_documented_form_are_read() {
        let row = |value: &str| {
            let (row, omissions) = read(&format!(r#"{{"name":"a","namespace":"b","created_at":{value}}}"#));
            (row.repository.unwrap().created.map(|time| time.0), omissions.timestamp)
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
            let (row, omissions) = read(object);
            assert!(row.repository.is_none());
            assert_eq!(omissions, DroppedFields { name: 1, ..DroppedFields::default() }, "{object}");
        }
    }

    #[test]
    fn evil_names_become_valid_text() {
        let (row, _) = read(r#"{"name":"a\ud800b\n\"\\","namespace":"\u0000\ud83d\ude00"}"#);
        let repository = row.repository.unwrap();
        assert!(repository.name.starts_with("a\u{fffd}") && repository.name.ends_with("b\n\"\\"));
        assert_eq!(&*repository.namespace, "\0\u{1f600}");
        let mut omissions = DroppedFields::default();
        let bytes = b"{\"name\":\"x\xffy\",\"namespace\":\"n\"}";
        let row = repository_of(bytes, &mut omissions);
        assert_eq!(&*row.name, "x\u{fffd}y");
    }

    fn repository_of(bytes: &[u8], omissions: &mut DroppedFields) -> Repository {
        repository(bytes, &mut StringInterner::default(), omissions).unwrap().repository.unwrap()
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
            let (expected, _) = names::label_value(Cow::Borrowed(name.as_str()));
            prop_assert_eq!(&*row.name, &*expected);
        }
    }
}
