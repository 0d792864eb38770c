//! Responses that are one JSON object: small ones, and lists inside an envelope. They are buffered, then parsed.
//!
//! The bare array of the repository list is many times larger and is split while it arrives (`json_array`).

use super::json_array::JsonArraySplitter;
use super::request::{BodyReader, Call};
use super::wire::{self, DroppedFields};
use super::{ApiError, CallBudget, Client};
use hyper::http::HeaderMap;
use serde::de::Error;
use serde_json::value::RawValue;

/// The most rows of one response, ten times the largest page. Rows may be so short that the bound on bytes alone would
/// let them fill several times as much memory.
pub(super) const MAX_ROWS: u64 = 10_000;

impl Client {
    /// Makes a call whose response is one JSON object, and counts the fields that were dropped.
    pub(super) async fn get_json<T: Send>(
        &self,
        call: Call<'_>,
        budget: &CallBudget,
        parse: impl Fn(&str, &mut DroppedFields) -> Result<T, ApiError> + Copy + Send,
    ) -> Result<T, ApiError> {
        let (value, dropped) = self.get(call, budget, || BufferedJson { body: Vec::new(), parse }).await?;
        self.metrics.count_dropped(dropped);
        Ok(value)
    }
}

struct BufferedJson<P> {
    body: Vec<u8>,
    parse: P,
}

impl<T, P: Fn(&str, &mut DroppedFields) -> Result<T, ApiError> + Send> BodyReader for BufferedJson<P> {
    type Output = (T, DroppedFields);

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        self.body.extend_from_slice(piece);
        Ok(())
    }

    fn finish(self, _: &HeaderMap) -> Result<Self::Output, ApiError> {
        let mut dropped = DroppedFields::default();
        let text = wire::lossy(&self.body);
        refuse_error(&text)?;
        Ok(((self.parse)(&text, &mut dropped)?, dropped))
    }
}

/// Gateways put errors into responses that have the status of a success. Without its list such a response would be an empty
/// list.
fn refuse_error(text: &str) -> Result<(), ApiError> {
    // Another value than an object is for the parser to judge.
    let codes = wire::fields(text, ["error_code", "error_msg", "errorCode", "error", "errors"]).unwrap_or_default();
    if codes.iter().flatten().any(|value| !matches!(value.get(), "[]" | "{}" | "\"\"" | "0" | "false")) {
        return Err(serde_json::Error::custom("it is an error, although its status is 200").into());
    }
    Ok(())
}

/// Parses the rows of a list in an envelope, and returns their number. Some services write an empty list as no list.
pub(super) fn for_each_row(
    list: Option<&RawValue>,
    mut parse: impl FnMut(&str) -> Result<(), ApiError>,
) -> Result<u64, ApiError> {
    let Some(list) = list else { return Ok(0) };
    let mut received = 0;
    let mut splitter = JsonArraySplitter::default();
    splitter.feed(list.get().as_bytes(), |row: &[u8]| {
        if received == MAX_ROWS {
            return Err(ApiError::TooManyRows { limit: MAX_ROWS });
        }
        received += 1;
        parse(&String::from_utf8_lossy(row))
    })?;
    splitter.finish()?;
    Ok(received)
}

/// The rows of a list in an envelope that could be understood, and the number of all. One of which `parse` makes nothing,
/// because it has no usable name, is counted as dropped.
pub(super) fn rows<T>(
    list: Option<&RawValue>,
    dropped: &mut DroppedFields,
    mut parse: impl FnMut(&str, &mut DroppedFields) -> Result<Option<T>, ApiError>,
) -> Result<(Vec<T>, u64), ApiError> {
    let mut rows = Vec::new();
    let received = for_each_row(list, |object| {
        match parse(object, dropped)? {
            Some(row) => rows.push(row),
            None => dropped.name += 1,
        }
        Ok(())
    })?;
    Ok((rows, received))
}

/// The marker of the next page, a string or a number; `None` at the end of the list. Another type is an error: taken for the
/// end, it would shorten the list.
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
    fn rows_of_a_list_are_counted_and_their_number_is_bounded() {
        let mut rows = Vec::new();
        let list = raw(r#"[{"a":1e400}, {"b":"]"} ]"#);
        let mut keep = |row: &str| {
            rows.push(row.to_owned());
            Ok(())
        };
        assert_eq!(for_each_row(Some(&list), &mut keep).unwrap(), 2);
        assert_eq!(for_each_row(None, &mut keep).unwrap(), 0);
        for other in ["{}", "7", "\"[]\"", "[7]"] {
            assert!(matches!(for_each_row(Some(&raw(other)), &mut keep), Err(ApiError::Array(_))), "{other}");
        }
        assert_eq!(rows, [r#"{"a":1e400}"#, r#"{"b":"]"}"#]);
        let count = |rows: usize| for_each_row(Some(&raw(&format!("[{}]", vec!["{}"; rows].join(",")))), |_| Ok(()));
        assert_eq!(count(10_000).unwrap(), 10_000);
        assert!(matches!(count(10_001), Err(ApiError::TooManyRows { .. })));
    }

    #[test]
    fn an_error_with_the_status_of_a_success_is_no_empty_list() {
        let read = |body: &str| {
            let parse = |text: &str, _: &mut DroppedFields| -> Result<u64, ApiError> {
                let [list] = wire::fields(text, ["quotas"])?;
                for_each_row(list, |_| Ok(()))
            };
            let mut reader = BufferedJson { body: Vec::new(), parse };
            reader.feed(body.as_bytes()).unwrap();
            reader.finish(&HeaderMap::new()).map(|(rows, _)| rows)
        };
        for error in [
            r#"{"error_code":"APIGW.0308","error_msg":"busy"}"#,
            r#"{"errors":[{"errorCode":"SVCSTG.SWR.5000000"}]}"#,
            r#"{"error":{"code":500}}"#,
            r#"{"errorCode":"x","quotas":null}"#,
        ] {
            assert!(matches!(read(error), Err(ApiError::Json(_))), "{error}");
        }
        let list = |text: &str, _: &mut DroppedFields| Ok(text.len());
        let mut reader = BufferedJson { body: Vec::new(), parse: list };
        reader.feed(b"[]").unwrap();
        assert_eq!(reader.finish(&HeaderMap::new()).unwrap().0, 2, "a bare list");
        for success in ["{}", r#"{"quotas":null}"#, r#"{"quotas":[],"error_code":"","error_msg":null,"errors":[]}"#] {
            assert_eq!(read(success).unwrap(), 0, "{success}");
        }
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
