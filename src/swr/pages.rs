//! Pages of lists that are addressed by offset, and the repository list of the v2 API.
//!
//! `GET /v2/manage/repos` returns a bare array; the total is in `Content-Range` and in every row.

use super::buffered::MAX_ROWS;
use super::json_array::{JsonArraySplitter, ObjectSink};
use super::request::{BodyReader, Call};
use super::row_reader::{KnownRows, ListingRows, RowReader};
use super::wire::DroppedFields;
use super::{ApiError, CallBudget, Client, Operation};
use crate::model::Row;
use hyper::http::HeaderMap;
use serde::de::Error;

/// One page of a list that is addressed by offset.
#[derive(Debug)]
pub struct OffsetPage<T> {
    /// The rows that could be understood, in the order of the list.
    pub rows: Vec<T>,
    /// Rows on the page, understood or not.
    pub received: u64,
    /// The length of the whole list, as far as the response states it.
    pub total: Option<u64>,
}

/// A page size that the API accepts everywhere, for repositories and tags, when it refuses a larger one.
pub const FALLBACK_PAGE_SIZE: u64 = 100;

/// The page size to try after a page of `limit` rows was too large: a quarter, so that a few tries are enough.
pub fn smaller_page(limit: u64) -> u64 {
    (limit / 4).max(1)
}

impl Client {
    /// Lists repositories by name from `offset` on: those of one organization, or all that the caller may see. Rows that come
    /// as they are known are taken over.
    ///
    /// # Errors
    /// When the call fails; an incomplete response is an error, never a shorter page.
    pub async fn repositories(
        &self,
        namespace: Option<&str>,
        offset: u64,
        limit: u64,
        known: &KnownRows,
        budget: &CallBudget,
    ) -> Result<OffsetPage<Row>, ApiError> {
        let (offset, limit) = (offset.to_string(), limit.to_string());
        // The service ignores either of offset and limit without the other. Names are the most stable order there is.
        let mut query = vec![
            ("offset", offset.as_str()),
            ("limit", limit.as_str()),
            ("order_column", "name"),
            ("order_type", "asc"),
        ];
        query.extend(namespace.map(|namespace| ("namespace", namespace)));
        let call = Call { operation: Operation::ListRepositories, path: "/v2/manage/repos", query: &query };
        let mut page = self.get_array(call, budget, MAX_ROWS, || ListingRows::new(known)).await?;
        refuse_nameless(page.received, &page.rows)?;
        if let Some(namespace) = namespace {
            // Some versions of the service match the organization by a part of its name.
            page.rows.retain(|row| row.key().0 == namespace);
        }
        Ok(page)
    }

    /// Makes a call whose response is a bare array with at most `max_rows` rows, and counts the fields that were dropped.
    pub(super) async fn get_array<R: RowReader>(
        &self,
        call: Call<'_>,
        budget: &CallBudget,
        max_rows: u64,
        rows: impl Fn() -> R,
    ) -> Result<OffsetPage<R::Row>, ApiError> {
        let (page, dropped) = self.get(call, budget, || ArrayReader::new(max_rows, rows())).await?;
        self.metrics.count_dropped(dropped);
        Ok(page)
    }
}

/// A page of which no row has a usable name is none of this API. Without its rows it would look like the end of the list.
pub(super) fn refuse_nameless(received: u64, rows: &[Row]) -> Result<(), ApiError> {
    if received > 0 && rows.is_empty() {
        return Err(serde_json::Error::custom("no row has a usable name").into());
    }
    Ok(())
}

/// Reads the rows of an array while it arrives.
struct ArrayReader<R> {
    splitter: JsonArraySplitter,
    rows: CountedRows<R>,
}

struct CountedRows<R> {
    rows: R,
    dropped: DroppedFields,
    received: u64,
    total: Option<u64>,
    max: u64,
}

impl<R: RowReader> ArrayReader<R> {
    fn new(max: u64, rows: R) -> Self {
        let (splitter, dropped) = Default::default();
        Self { splitter, rows: CountedRows { rows, dropped, received: 0, total: None, max } }
    }
}

impl<R: RowReader> ObjectSink<ApiError> for &mut CountedRows<R> {
    fn known(&mut self, text: &[u8]) -> Option<usize> {
        if self.received == self.max {
            return None;
        }
        let (length, total) = self.rows.read_known(text)?;
        self.received += 1;
        self.total = self.total.or(total);
        Some(length)
    }

    fn object(&mut self, object: &[u8]) -> Result<(), ApiError> {
        if self.received == self.max {
            return Err(ApiError::TooManyRows { limit: self.max });
        }
        self.received += 1;
        self.total = self.total.or(self.rows.read(object, &mut self.dropped)?);
        Ok(())
    }
}

impl<R: RowReader> BodyReader for ArrayReader<R> {
    type Output = (OffsetPage<R::Row>, DroppedFields);

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        self.splitter.feed(piece, &mut self.rows)
    }

    fn finish(self, headers: &HeaderMap) -> Result<Self::Output, ApiError> {
        self.splitter.finish()?;
        let CountedRows { rows, dropped, received, total, .. } = self.rows;
        let range = headers.get("content-range").and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let total = range.and_then(total_of).or(total);
        Ok((OffsetPage { rows: rows.finish(), received, total }, dropped))
    }
}

/// The total of a `Content-Range`: the number after the last slash. The numbers before it are not used, because the
/// second is a count in this API and an index in RFC 9110.
pub fn total_of(content_range: &str) -> Option<u64> {
    let (_, total) = content_range.rsplit_once('/')?;
    let total = total.trim();
    (!total.is_empty() && total.bytes().all(|byte| byte.is_ascii_digit())).then(|| total.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::row_reader::FingerprintKey;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_total_is_found_in_every_form_seen() {
        for (text, total) in [
            ("0-100/250", Some(250)),
            ("300-0/250", Some(250)),
            ("0-0/0", Some(0)),
            ("items 0-99/250", Some(250)),
            ("0 \u{2013} 100 / 250 ", Some(250)),
            ("0-99/*", None),
            ("0-99", None),
            ("0-1/-5", None),
            ("0-1/99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(total_of(text), total, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_total_is_read_back_and_garbage_does_not_panic(
            offset in any::<u64>(), count in any::<u64>(), total in any::<u64>(), garbage in ".*"
        ) {
            prop_assert_eq!(total_of(&format!("{offset}-{count}/{total}")), Some(total));
            let _ = total_of(&garbage);
        }
    }

    fn read(body: &str, pieces: usize) -> Result<OffsetPage<Row>, ApiError> {
        let known = KnownRows::none(FingerprintKey::random());
        let mut reader = ArrayReader::new(MAX_ROWS, ListingRows::new(&known));
        for piece in body.as_bytes().chunks(pieces) {
            reader.feed(piece)?;
        }
        reader.finish(&HeaderMap::new()).map(|(page, _)| page)
    }

    fn three() -> String {
        let row = |name: &str| {
            format!(r#"{{"name":"{name}","namespace":"n","size":1,"tags":["a","b"],"status":false,"total_range":3}}"#)
        };
        format!("[{},{},{}]", row("a"), row("b"), row("c"))
    }

    #[test]
    fn a_page_cut_off_anywhere_is_an_error_and_never_a_shorter_page() {
        let body = three();
        assert_eq!(read(&body, 10).unwrap().rows.len(), 3);
        for end in 0..body.len() {
            assert!(read(&body[..end], 10).is_err(), "cut at byte {end}");
        }
    }

    #[test]
    fn a_page_without_a_single_usable_name_is_no_page() {
        let page = |body: &str| read(body, 4096).and_then(|page| refuse_nameless(page.received, &page.rows));
        assert!(page("[]").is_ok() && page(&three()).is_ok());
        assert!(page(r#"[{"repo":"a"},{"name":"a","namespace":"n"}]"#).is_ok());
        assert!(page(r#"[{"repo":"a"},{"repo":"b"}]"#).is_err());
    }

    #[test]
    fn what_is_no_page_is_a_decode_error() {
        let deep = format!("[{{\"a\":{}", "[".repeat(100_000));
        let utf16: String = three().chars().flat_map(|c| [c, '\0']).collect();
        for body in ["<html></html>", "", "null", "{}", "[1]", "[{\"name\":}]", "\u{feff}[]", &deep, &utf16] {
            let error = read(body, 4096).unwrap_err();
            assert_eq!(error.reason(), crate::failure::Reason::Decode, "{body:.20}");
        }
    }
}
