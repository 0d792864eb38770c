//! One page of the repository list of the v3 API, which is paged by markers.
//!
//! `GET /v3/manage/repos` returns an object with the rows and the marker of the next page. It has no total and takes no
//! order. Not every region offers it; `GET .../feature-gates` tells, if the caller may read it.

use super::buffered;
use super::pages;
use super::request::Call;
use super::row_reader::{KnownRows, ListingRows, RowReader};
use super::wire::{self, DroppedFields, read_fields};
use super::{ApiError, CallBudget, Client, Operation};
use crate::model::Row;

/// One page of a list that is paged by markers.
#[derive(Debug)]
pub struct MarkerPage<T> {
    /// The rows that could be understood, in the order of the list.
    pub rows: Vec<T>,
    /// Rows on the page, understood or not.
    pub received: u64,
    /// The marker of the next page; `None` at the end of the list.
    pub next: Option<String>,
}

impl Client {
    /// Lists repositories from a marker on, in the service's own order: those of one organization, or all that the caller
    /// may see.
    ///
    /// # Errors
    /// When the call fails; an incomplete response is an error, never a shorter page.
    pub async fn repositories_from(
        &self,
        namespace: Option<&str>,
        marker: Option<&str>,
        limit: u64,
        known: &KnownRows,
        budget: &CallBudget,
    ) -> Result<MarkerPage<Row>, ApiError> {
        let limit = limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(marker.map(|marker| ("marker", marker)));
        query.extend(namespace.map(|namespace| ("namespace", namespace)));
        let call = Call { operation: Operation::ListRepositories, path: "/v3/manage/repos", query: &query };
        let mut page = self.get_json(call, budget, |text, dropped| page(text, known, dropped)).await?;
        if let Some(namespace) = namespace {
            page.rows.retain(|row| row.key().0 == namespace);
        }
        Ok(page)
    }

    /// Whether the service says that it offers the v3 listing; `None` when it does not say.
    pub async fn offers_markers(&self, project_id: &str, budget: &CallBudget) -> Result<Option<bool>, ApiError> {
        let path = format!("/v2/manage/projects/{project_id}/feature-gates");
        self.get_json(Call { operation: Operation::FeatureGates, path: &path, query: &[] }, budget, gate).await
    }
}

/// Parses one page. Rows that come as they are known are taken over.
pub fn page(text: &str, known: &KnownRows, dropped: &mut DroppedFields) -> Result<MarkerPage<Row>, ApiError> {
    read_fields!(text, repos, nextMarker, next_marker);
    if repos.is_none() {
        return Err(wire::missing("repos"));
    }
    let mut rows = ListingRows::new(known);
    let received = buffered::for_each_row(repos, |object| {
        rows.read(object.as_bytes(), dropped)?;
        Ok(())
    })?;
    let next = buffered::marker(nextMarker.or(next_marker))?;
    let rows = rows.finish();
    pages::refuse_nameless(received, &rows)?;
    Ok(MarkerPage { rows, received, next })
}

/// Parses the feature gates of a region: whether it offers the v3 listing, if that is stated.
pub fn gate(text: &str, dropped: &mut DroppedFields) -> Result<Option<bool>, ApiError> {
    read_fields!(text, enable_list_v3);
    Ok(wire::boolean(enable_list_v3, dropped))
}

#[cfg(test)]
mod tests {
    use super::super::row_reader::FingerprintKey;
    use super::*;
    use crate::failure::Reason;

    fn read(text: &str) -> Result<MarkerPage<Row>, ApiError> {
        page(text, &KnownRows::none(FingerprintKey::random()), &mut DroppedFields::default())
    }

    const TWO: &str = r#"{"nextMarker":17,"repos":[
        {"id":9,"name":"nginx","category":"linux","description":"d","size":200977474,"is_public":false,"num_images":2,
         "num_download":5,"created_at":"2017-01-01T00:00:00Z","updated_at":"2017-09-11T03:00:02.542841141Z",
         "domain_name":"root","namespace_name":"team","status":false},
        {"id":17,"namespace_name":"team"}]}"#;

    #[test]
    fn a_page_is_read_with_its_marker() {
        let page = read(TWO).unwrap();
        assert_eq!((page.received, page.rows.len(), page.next.as_deref()), (2, 1, Some("17")), "one has no name");
        let row = page.rows[0].get();
        assert_eq!(
            (row.key(), row.size, row.images, row.downloads),
            (("team", "nginx"), Some(200_977_474), Some(2), Some(5))
        );
        for last in [r#"{"repos":[]}"#, r#"{"repos":[],"nextMarker":null}"#, r#"{"repos":[],"next_marker":""}"#] {
            assert_eq!(read(last).unwrap().next, None, "{last}");
        }
    }

    #[test]
    fn a_page_cut_off_anywhere_is_an_error_and_never_a_shorter_page() {
        for end in 0..TWO.len() {
            assert!(read(&TWO[..end]).is_err(), "cut at byte {end}");
        }
    }

    #[test]
    fn what_is_no_page_is_a_decode_error() {
        let deep = format!("{{\"repos\":{}", "[".repeat(100_000));
        let odd = [
            "<html></html>",
            "",
            "null",
            "[]",
            "{}",
            r#"{"repos":null}"#,
            r#"{"repos":{}}"#,
            r#"{"repos":[1]}"#,
            r#"{"repos":[],"nextMarker":17.0}"#,
        ];
        for body in odd.into_iter().chain([deep.as_str()]) {
            assert_eq!(read(body).unwrap_err().reason(), Reason::Decode, "{body:.20}");
        }
    }

    #[test]
    fn the_gate_is_open_closed_or_not_there() {
        for (text, open) in [
            (r#"{"enable_list_v3":true,"enable_sm3":false}"#, Some(true)),
            (r#"{"enable_list_v3":false}"#, Some(false)),
            (r#"{"enable_list_v3":"yes"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(gate(text, &mut DroppedFields::default()).unwrap(), open, "{text}");
        }
    }
}
