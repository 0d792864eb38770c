//! Responses that are one JSON object: small ones, and lists inside an envelope. They are buffered, then parsed.
//!
//! The bare array of the repository list is many times larger and is split while it arrives (`json_array`).

use super::client::Client;
use super::error::ApiError;
use super::request::{BodyReader, Call};
use super::retry::CallBudget;
use super::wire::{self, DroppedFields};
use hyper::http::HeaderMap;
use serde::Deserialize;
use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most rows of one response, ten times the largest page. Rows may be so short that the bound on bytes alone would
/// let them fill several times as much memory.
pub(super) const MAX_ROWS: usize = 10_000;

/// Turns a complete body into a value.
type Parse<T> = fn(&str, &mut DroppedFields) -> Result<T, ApiError>;

impl Client {
    /// Makes a call whose response is one JSON object, and counts the fields that were dropped.
    pub(super) async fn get_json<T: Send>(
        &self,
        call: Call<'_>,
        budget: &CallBudget,
        parse: Parse<T>,
    ) -> Result<T, ApiError> {
        let (value, dropped) = self.get(call, budget, || BufferedJson { body: Vec::new(), parse }).await?;
        self.metrics.count_dropped(dropped);
        Ok(value)
    }
}

struct BufferedJson<T> {
    body: Vec<u8>,
    parse: Parse<T>,
}

impl<T: Send> BodyReader for BufferedJson<T> {
    type Output = (T, DroppedFields);

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        self.body.extend_from_slice(piece);
        Ok(())
    }

    fn finish(self, _: &HeaderMap) -> Result<Self::Output, ApiError> {
        let mut dropped = DroppedFields::default();
        // Invalid UTF-8 becomes U+FFFD: one bad byte in one name must not cost the response.
        let text = String::from_utf8_lossy(&self.body);
        Ok(((self.parse)(&text, &mut dropped)?, dropped))
    }
}

/// The elements of a list in an envelope, as raw JSON. Some services write an empty list as no list at all.
///
/// # Errors
/// When it is not an array, or one with more than [`MAX_ROWS`] elements.
pub(super) fn elements(raw: Option<&RawValue>) -> Result<Vec<&RawValue>, ApiError> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let Elements { rows, is_too_long } = serde_json::from_str(raw.get())?;
    if is_too_long { Err(ApiError::TooManyRows { limit: MAX_ROWS as u64 }) } else { Ok(rows) }
}

struct Elements<'a> {
    rows: Vec<&'a RawValue>,
    is_too_long: bool,
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
                    if rows.len() == MAX_ROWS {
                        while list.next_element::<IgnoredAny>()?.is_some() {}
                        return Ok(Elements { rows, is_too_long: true });
                    }
                    rows.push(row);
                }
                Ok(Elements { rows, is_too_long: false })
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

/// The marker of the next page, written as a string or as a number; `None` at the end of the list.
///
/// # Errors
/// When it has another type. Taking that for the end would shorten the list.
pub(super) fn marker(raw: Option<&RawValue>) -> Result<Option<String>, ApiError> {
    let Some(raw) = raw.map(RawValue::get).filter(|raw| *raw != "null") else { return Ok(None) };
    let text = match wire::string(raw) {
        Some(text) => text.into_owned(),
        None if raw.bytes().all(|byte| byte.is_ascii_digit()) => raw.to_owned(),
        None => return Err(serde_json::Error::custom("the next page's marker is neither a text nor a number").into()),
    };
    // An empty marker, or zero, would start over.
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
        let texts: Vec<&str> = elements(Some(&list)).unwrap().into_iter().map(RawValue::get).collect();
        assert_eq!(texts, [r#"{"a":1e400}"#, "2", r#""x""#]);
        for other in ["{}", "7", "null", "\"[]\""] {
            assert!(matches!(elements(Some(&raw(other))), Err(ApiError::Json(_))), "{other}");
        }
        assert!(elements(None).unwrap().is_empty());
        let of = |rows: usize| raw(&format!("[{}]", vec!["{}"; rows].join(",")));
        assert_eq!(elements(Some(&of(MAX_ROWS))).unwrap().len(), MAX_ROWS);
        assert!(matches!(elements(Some(&of(MAX_ROWS + 1))), Err(ApiError::TooManyRows { .. })));
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
