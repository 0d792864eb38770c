//! Answers that are one object: small ones, read whole, and lists in an envelope.
//!
//! The bare array of the repository list is cut up while it arrives (`array`); these are a fraction of its size.

use super::client::Reader;
use super::error::ApiError;
use super::wire::{self, DroppedFields};
use hyper::http::HeaderMap;
use serde::Deserialize;
use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Rows that are read of one answer: ten times the largest page there is. Legal rows may be so short that the bound on
/// bytes alone would let them fill several times as much memory.
pub(super) const MOST_ROWS: usize = 10_000;

/// Keeps a body until it is complete, then has it understood.
pub(super) struct BufferedJson<T> {
    body: Vec<u8>,
    understand: fn(&str, &mut DroppedFields) -> Result<T, ApiError>,
}

impl<T> BufferedJson<T> {
    pub(super) fn new(understand: fn(&str, &mut DroppedFields) -> Result<T, ApiError>) -> Self {
        Self { body: Vec::new(), understand }
    }
}

impl<T: Send> Reader for BufferedJson<T> {
    type Output = (T, DroppedFields);

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        self.body.extend_from_slice(piece);
        Ok(())
    }

    fn finish(self, _: &HeaderMap) -> Result<Self::Output, ApiError> {
        let mut omissions = DroppedFields::default();
        // Invalid UTF-8 becomes U+FFFD: one bad byte in one name must not cost the answer.
        let text = String::from_utf8_lossy(&self.body);
        Ok(((self.understand)(&text, &mut omissions)?, omissions))
    }
}

/// The elements of a list in an envelope, each as it stands.
///
/// # Errors
/// When it is no array, or a longer one than any page.
pub(super) fn elements(raw: &RawValue) -> Result<Vec<&RawValue>, ApiError> {
    let Elements { rows, overflows } = serde_json::from_str(raw.get())?;
    if overflows { Err(ApiError::TooManyRows { limit: MOST_ROWS as u64 }) } else { Ok(rows) }
}

/// The same where there may be no list at all, which some services write for an empty one.
pub(super) fn elements_if_any(raw: Option<&RawValue>) -> Result<Vec<&RawValue>, ApiError> {
    raw.map_or_else(|| Ok(Vec::new()), elements)
}

struct Elements<'a> {
    rows: Vec<&'a RawValue>,
    overflows: bool,
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements<'de>, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = list.next_element()? {
                    if rows.len() == MOST_ROWS {
                        while list.next_element::<IgnoredAny>()?.is_some() {}
                        return Ok(Elements { rows, overflows: true });
                    }
                    rows.push(row);
                }
                Ok(Elements { rows, overflows: false })
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

/// What comes next in a list that is paged by markers, written as a text or as a number; none where the list ends.
///
/// # Errors
/// When it is something else: a list that was taken to end there would be shorter than it is.
pub(super) fn marker(raw: Option<&RawValue>) -> Result<Option<String>, ApiError> {
    let Some(raw) = raw.map(RawValue::get).filter(|raw| *raw != "null") else { return Ok(None) };
    let text = match wire::text(raw) {
        Some(text) => text.into_owned(),
        None if raw.bytes().all(|byte| byte.is_ascii_digit()) => raw.to_owned(),
        None => return Err(serde_json::Error::custom("the next page's marker is neither a text nor a number").into()),
    };
    // A marker of nothing or zero would begin anew.
    Ok(Some(text).filter(|text| !text.is_empty() && text != "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn elements_stand_as_they_were_written_and_their_number_is_bounded() {
        let list = raw(r#"[{"a":1e400}, 2 ,"x"]"#);
        let texts: Vec<&str> = elements(&list).unwrap().into_iter().map(RawValue::get).collect();
        assert_eq!(texts, [r#"{"a":1e400}"#, "2", r#""x""#]);
        for other in ["{}", "7", "null", "\"[]\""] {
            assert!(matches!(elements(&raw(other)), Err(ApiError::Json(_))), "{other}");
        }
        assert!(elements_if_any(None).unwrap().is_empty());
        let of = |rows: usize| raw(&format!("[{}]", vec!["{}"; rows].join(",")));
        assert_eq!(elements(&of(MOST_ROWS)).unwrap().len(), MOST_ROWS);
        assert!(matches!(elements(&of(MOST_ROWS + 1)), Err(ApiError::TooManyRows { .. })));
    }

    #[test]
    fn a_marker_is_a_text_or_a_number_and_only_nothing_ends_the_list() {
        let goes_on = [("17", "17"), (r#""9a90""#, "9a90"), (r#""\u0039""#, "9")];
        for (written, read) in goes_on {
            assert_eq!(marker(Some(&raw(written))).unwrap().as_deref(), Some(read), "{written}");
        }
        for nothing in [r#""""#, r#""0""#, "0", "null"] {
            assert_eq!(marker(Some(&raw(nothing))).unwrap(), None, "{nothing}");
        }
        assert_eq!(marker(None).unwrap(), None);
        for odd in ["-1", "17.0", "1e3", "true", "false", "{}", "[17]"] {
            assert!(matches!(marker(Some(&raw(odd))), Err(ApiError::Json(_))), "{odd}");
        }
    }
}
