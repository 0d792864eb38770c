//! The artifacts of an Enterprise Edition instance: manifests with their sizes and the times of the latest push and pull.
//!
//! `GET /v2/{project}/instances/{instance}/artifacts`

use super::buffered;
use super::enterprise::PAGE_SIZE;
use super::markers::MarkerPage;
use super::request::Call;
use super::wire::{self, DroppedFields, read_fields};
use super::{ApiError, CallBudget, Client, Operation};
use crate::model::Timestamp;
use crate::model::tags::Digest32;

/// The first version of an instance that offers the list.
const SINCE: [u32; 3] = [25, 6, 0];

const FIRST: &str = "1";

/// One artifact of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The repository's id within its instance.
    pub repository: u64,
    /// The digest of its manifest.
    pub digest: Digest32,
    /// Bytes (API: `size`).
    pub size: Option<u64>,
    /// API: `push_time`.
    pub pushed: Option<Timestamp>,
    /// API: `pull_time`; `None` if it was never pulled.
    pub pulled: Option<Timestamp>,
}

/// Whether an instance of this version offers the list. A version that is not understood may.
pub fn are_offered_by(version: &str) -> bool {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.is_none_or(|parts| parts >= SINCE.to_vec())
}

impl Client {
    /// Lists the artifacts of an instance from a marker on, at most [`PAGE_SIZE`]. Dropping the future cancels the call.
    pub async fn artifacts(
        &self,
        instance: &str,
        marker: Option<&str>,
        budget: &CallBudget,
    ) -> Result<MarkerPage<Artifact>, ApiError> {
        let path = format!("/v2/{}/instances/{instance}/artifacts", self.project_id(budget).await?);
        let limit = PAGE_SIZE.to_string();
        let query = [("marker", marker.unwrap_or(FIRST)), ("limit", limit.as_str())];
        self.get_json(Call { operation: Operation::ListArtifacts, path: &path, query: &query }, budget, page).await
    }
}

/// Parses a page of artifacts. One without a digest or a repository is left out.
pub fn page(text: &str, dropped: &mut DroppedFields) -> Result<MarkerPage<Artifact>, ApiError> {
    read_fields!(text, artifacts, next_marker);
    let (rows, received) = buffered::rows(artifacts, dropped, |object, dropped| {
        read_fields!(object, repository_id, digest, size, push_time, pull_time);
        let repository = wire::integer(repository_id, dropped);
        let digest = wire::required_text(digest, dropped).and_then(|digest| Digest32::parse(&digest));
        let (Some(repository), Some(digest)) = (repository, digest) else { return Ok(None) };
        let (pushed, pulled) = (wire::timestamp(push_time, dropped), wire::timestamp(pull_time, dropped));
        Ok(Some(Artifact { repository, digest, size: wire::integer(size, dropped), pushed, pulled }))
    })?;
    Ok(MarkerPage { rows, received, next: buffered::marker(next_marker)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_artifacts_is_read_whatever_is_missing() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let text = format!(
            r#"{{"artifacts":[
                {{"digest":"{digest}","id":7,"repository_id":3,"repository_name":"team/web","type":"IMAGE","size":1024,
                  "push_time":"2026-01-02T03:04:05.678Z","pull_time":"0001-01-01T00:00:00.000Z","tags":[{{"name":"v1"}}]}},
                {{"digest":"{digest}","repository_id":4,"size":"big"}},
                {{"digest":"{digest}"}},{{"repository_id":5}}],"next_marker":42}}"#
        );
        let mut dropped = DroppedFields::default();
        let page = page(&text, &mut dropped).unwrap();
        assert_eq!((page.received, page.next.as_deref(), page.rows.len()), (4, Some("42"), 2));
        let first = page.rows[0];
        assert_eq!((first.repository, first.size, first.pushed.is_some(), first.pulled), (3, Some(1024), true, None));
        assert_eq!((page.rows[1].size, page.rows[1].pushed), (None, None));
        assert_eq!((dropped.number, dropped.name), (1, 2));
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, is_offered) in
            [("25.6.0", true), ("25.6.7", true), ("26.1", true), ("25.10.0", true), ("25.5.9", false), ("9.9.9", false)]
        {
            assert_eq!(are_offered_by(version), is_offered, "{version}");
        }
        assert!(are_offered_by("") && are_offered_by("next"), "only the call can tell");
    }
}
