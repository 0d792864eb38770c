//! One repository: its path, and the details that the listing does not have.
//!
//! `GET /v2/manage/namespaces/{namespace}/repos/{repository}`

use super::request::Call;
use super::wire::{self, DroppedFields, read_fields};
use super::{ApiError, CallBudget, Client, Operation};
use crate::auth::sign::percent_encode;
use crate::model::tags::Details;

/// The path of a repository, percent-encoded. A slash in its name is sent as `$`, which no legal name contains; for a
/// plain slash or `%2F` the gateway answers that there is no such API.
///
/// # Errors
/// For the names `.` and `..`: HTTP clients remove such segments, encoded or not, after the path was signed.
pub fn path(namespace: &str, repository: &str) -> Result<String, ApiError> {
    if let Some(name) = [namespace, repository].into_iter().find(|name| matches!(*name, "." | "..")) {
        return Err(ApiError::UnusableName(name.to_owned()));
    }
    let repository = repository.replace('/', "$");
    Ok(format!("/v2/manage/namespaces/{}/repos/{}", percent_encode(namespace), percent_encode(&repository)))
}

impl Client {
    /// Reads the details of a repository. Dropping the future cancels the call.
    pub async fn repository(
        &self,
        namespace: &str,
        repository: &str,
        budget: &CallBudget,
    ) -> Result<Details, ApiError> {
        let path = path(namespace, repository)?;
        self.get_json(Call { operation: Operation::ShowRepository, path: &path, query: &[] }, budget, details).await
    }
}

/// Parses the details of a repository.
pub fn details(object: &str, dropped: &mut DroppedFields) -> Result<Details, ApiError> {
    read_fields!(object, id, creator_name, domain_id, priority);
    Ok(Details {
        id: wire::integer(id, dropped),
        creator: wire::optional_text(creator_name, dropped).map(Into::into),
        domain_id: wire::optional_text(domain_id, dropped).map(Into::into),
        priority: priority.and_then(|raw| {
            let priority = raw.get().parse().ok();
            dropped.number += u64::from(priority.is_none());
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
        let mut dropped = DroppedFields::default();
        let details = details(text, &mut dropped).unwrap();
        assert_eq!((details.id, details.priority), (Some(865_151), Some(0)));
        assert_eq!(details.creator.as_deref(), Some("admin"));
        assert_eq!(details.domain_id.as_deref(), Some("da44776c316c4a99b3683bb174f8821b"));
        assert_eq!(dropped, DroppedFields::default());
    }

    #[test]
    fn odd_values_cost_their_sample() {
        let mut dropped = DroppedFields::default();
        let read = details(r#"{"id":-1,"creator_name":7,"domain_id":null,"priority":"high"}"#, &mut dropped).unwrap();
        assert_eq!((read, dropped.number), (Details::default(), 2));
        let negative = details(r#"{"priority":-3}"#, &mut DroppedFields::default()).unwrap();
        assert_eq!(negative.priority, Some(-3));
        for broken in ["", "[]", "null", "<html>"] {
            assert!(details(broken, &mut DroppedFields::default()).is_err(), "{broken}");
        }
    }

    #[test]
    fn slashes_travel_as_dollars_and_nothing_breaks_out_of_its_segment() {
        let path = |namespace, repository| path(namespace, repository).unwrap();
        assert_eq!(path("org", "team/app"), "/v2/manage/namespaces/org/repos/team%24app");
        assert_eq!(path("a?b", "../x y%2f\u{fc}#"), "/v2/manage/namespaces/a%3Fb/repos/..%24x%20y%252f%C3%BC%23");
    }

    #[test]
    fn names_that_clients_remove_from_a_path_make_no_path() {
        for (namespace, repository) in [(".", "app"), ("..", "app"), ("org", "."), ("org", "..")] {
            assert!(matches!(path(namespace, repository), Err(ApiError::UnusableName(_))), "{namespace}/{repository}");
        }
        for (namespace, repository) in [("...", ".a"), ("a..", "../.."), ("org", "a/../b")] {
            assert!(path(namespace, repository).is_ok(), "{namespace}/{repository}");
        }
    }
}
