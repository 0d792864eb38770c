//! One repository: where it is in a path, and what the call about it alone tells beyond the listing.
//!
//! `GET /v2/manage/namespaces/{namespace}/repos/{repository}` (swr-api.md, 3).

use super::buffered::BufferedJson;
use super::client::{Call, Client};
use super::error::ApiError;
use super::metrics::Operation;
use super::retry::CallBudget;
use super::wire::{self, DroppedFields};
use crate::auth::sign::percent_encode;
use crate::model::tags::Details;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The path of a repository, percent-encoded. A slash in its name travels as `$`, which no legal name contains; as itself
/// or as `%2F` the gateway answers that there is no such API (swr-api.md, 2.2).
pub fn path(namespace: &str, repository: &str) -> String {
    let mut path = "/v2/manage/namespaces/".to_owned();
    percent_encode(namespace.as_bytes(), &mut path);
    path.push_str("/repos/");
    percent_encode(repository.replace('/', "$").as_bytes(), &mut path);
    path
}

impl Client {
    /// Reads what the listing does not tell of a repository.
    ///
    /// # Errors
    /// When the call fails. Dropping the future cancels it.
    pub async fn repository(
        &self,
        namespace: &str,
        repository: &str,
        effort: &CallBudget,
    ) -> Result<Details, ApiError> {
        let path = path(namespace, repository);
        let call = Call { operation: Operation::ShowRepository, path: &path, query: &[] };
        let (details, omissions) = self.get(call, effort, || BufferedJson::new(details)).await?;
        self.metrics.omitted(omissions);
        Ok(details)
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    creator_name: Option<&'a RawValue>,
    #[serde(borrow)]
    domain_id: Option<&'a RawValue>,
    #[serde(borrow)]
    priority: Option<&'a RawValue>,
}

/// Reads the object.
///
/// # Errors
/// When it is no JSON object.
pub fn details(object: &str, omissions: &mut DroppedFields) -> Result<Details, ApiError> {
    let wire: Wire<'_> = serde_json::from_str(object)?;
    Ok(Details {
        id: wire::number(wire.id, omissions),
        creator: wire::name_if_any(wire.creator_name, omissions).map(Into::into),
        domain_id: wire::name_if_any(wire.domain_id, omissions).map(Into::into),
        priority: wire.priority.filter(|raw| raw.get() != "null").and_then(|raw| {
            let priority = raw.get().parse().ok();
            omissions.number += u64::from(priority.is_none());
            priority
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_is_read_whole() {
        let text = r#"{"id": 865151, "ns_id": 1334795, "name": "busybox", "category": "other", "description": "containerops",
            "creator_id": "050b12577f00269a1fcfc01f65239697", "creator_name": "admin", "size": 2099575, "is_public": false,
            "num_images": 1, "num_download": 0, "url": "", "path": "{Repository address}/group/busybox",
            "internal_path": "{Repository address}/group/busybox", "created": "2021-06-02T09:59:25.51307Z",
            "updated": "2021-06-02T17:59:25.538056Z", "domain_id": "da44776c316c4a99b3683bb174f8821b", "priority": 0}"#;
        let mut omissions = DroppedFields::default();
        let details = details(text, &mut omissions).unwrap();
        assert_eq!((details.id, details.priority), (Some(865_151), Some(0)));
        assert_eq!(details.creator.as_deref(), Some("admin"));
        assert_eq!(details.domain_id.as_deref(), Some("da44776c316c4a99b3683bb174f8821b"));
        assert_eq!(omissions, DroppedFields::default());
    }

    #[test]
    fn odd_values_cost_their_sample() {
        let mut omissions = DroppedFields::default();
        let read = details(r#"{"id":-1,"creator_name":7,"domain_id":null,"priority":"high"}"#, &mut omissions).unwrap();
        assert_eq!((read, omissions.number), (Details::default(), 2));
        let negative = details(r#"{"priority":-3}"#, &mut DroppedFields::default()).unwrap();
        assert_eq!(negative.priority, Some(-3));
        for broken in ["", "[]", "null", "<html>"] {
            assert!(details(broken, &mut DroppedFields::default()).is_err(), "{broken}");
        }
    }

    #[test]
    fn slashes_travel_as_dollars_and_nothing_breaks_out_of_its_segment() {
        assert_eq!(path("org", "team/app"), "/v2/manage/namespaces/org/repos/team%24app");
        assert_eq!(path("a?b", "../x y%2f\u{fc}#"), "/v2/manage/namespaces/a%3Fb/repos/..%24x%20y%252f%C3%BC%23");
    }
}
