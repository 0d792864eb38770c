//! One page of the repository list.
//!
//! `GET /v2/manage/repos`: a bare array; the total stands in `Content-Range` and in every row (swr-api.md, 1.1).

use super::buffered::MOST_ROWS;
use super::client::{Call, Client, Reader};
use super::error::ApiError;
use super::json_array::JsonArraySplitter;
use super::metrics::Operation;
use super::retry::CallBudget;
use super::wire::{self, DroppedFields, StringInterner};
use crate::model::Repository;
use hyper::http::HeaderMap;

/// One page as it came.
#[derive(Debug, Default)]
pub struct Page {
    /// The repositories with a usable name, in the order of the list.
    pub rows: Vec<Repository>,
    /// Rows on the page, with or without a usable name.
    pub received: u64,
    /// How many repositories the list has, as far as the answer says.
    pub total: Option<u64>,
}

/// What the API takes everywhere, of repositories and of tags, where it refuses a larger page.
pub const SMALLEST_PAGE: u64 = 100;

impl Client {
    /// Lists repositories from `offset` on, by name; of one organisation, or of all that the caller may see.
    ///
    /// # Errors
    /// When the call fails; an answer that is not complete is an error, never a shorter page.
    pub async fn repositories(
        &self,
        namespace: Option<&str>,
        offset: u64,
        limit: u64,
        effort: &CallBudget,
    ) -> Result<Page, ApiError> {
        let (offset, limit) = (offset.to_string(), limit.to_string());
        // Both of offset and limit, or the service ignores the one; the order is the steadiest there is.
        let mut query = vec![
            ("offset", offset.as_str()),
            ("limit", limit.as_str()),
            ("order_column", "name"),
            ("order_type", "asc"),
        ];
        query.extend(namespace.map(|namespace| ("namespace", namespace)));
        let call = Call { operation: Operation::ListRepositories, path: "/v2/manage/repos", query: &query };
        let (mut page, omissions) = self.get(call, effort, PageReader::default).await?;
        if let Some(namespace) = namespace {
            // Exact in this form as far as known, fuzzy in another: rows of other organisations are not ours.
            page.rows.retain(|row| &*row.namespace == namespace);
        }
        self.metrics.omitted(omissions);
        Ok(page)
    }
}

#[derive(Default)]
struct PageReader {
    cutter: JsonArraySplitter,
    shared: StringInterner,
    omissions: DroppedFields,
    page: Page,
}

impl Reader for PageReader {
    type Output = (Page, DroppedFields);

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let Self { cutter, shared, omissions, page } = self;
        cutter.feed(piece, |object| {
            let row = wire::repository(object, shared, omissions)?;
            page.received += 1;
            if page.received > MOST_ROWS as u64 {
                return Err(ApiError::TooManyRows { limit: MOST_ROWS as u64 });
            }
            page.total = page.total.or(row.total);
            page.rows.extend(row.repository);
            Ok(())
        })
    }

    fn finish(mut self, headers: &HeaderMap) -> Result<Self::Output, ApiError> {
        self.cutter.finish()?;
        let range = headers.get("content-range").and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        self.page.total = range.and_then(total_of).or(self.page.total);
        Ok((self.page, self.omissions))
    }
}

/// The total of a `Content-Range`: what follows the last slash. What stands before it has several readings (the middle
/// number is a count in this API, an index in RFC 9110), so it is not used.
pub fn total_of(content_range: &str) -> Option<u64> {
    let (_, total) = content_range.rsplit_once('/')?;
    let total = total.trim();
    (!total.is_empty() && total.bytes().all(|byte| byte.is_ascii_digit())).then(|| total.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
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

    fn read(body: &str, pieces: usize) -> Result<Page, ApiError> {
        let mut reader = PageReader::default();
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
    fn what_is_no_page_is_a_decode_error() {
        let deep = format!("[{{\"a\":{}", "[".repeat(100_000));
        let utf16: String = three().chars().flat_map(|c| [c, '\0']).collect();
        for body in ["<html></html>", "", "null", "{}", "[1]", "[{\"name\":}]", "\u{feff}[]", &deep, &utf16] {
            let error = read(body, 4096).unwrap_err();
            assert_eq!(error.reason(), crate::failure::Reason::Decode, "{body:.20}");
        }
    }
}
