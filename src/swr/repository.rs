//! One repository: where it is in a path, and what the call about it alone tells beyond the listing.
//!
//! `GET /v2/manage/namespaces/{namespace}/repos/{repository}` (swr-api.md, 3).

use super::client::{Call, Client, Reader};
use super::error::ApiError;
use super::metrics::Operation;
use super::retry::Effort;
use super::wire::{self, Omissions};
use crate::model::tags::Details;
use hyper::http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt::Write;

/// Longer than any answer of this call.
const LARGEST: usize = 1 << 20;

/// The path of a repository, percent-encoded. A slash in its name travels as `$`, which no legal name contains; as itself
/// or as `%2F` the gateway answers that there is no such API (swr-api.md, 2.2).
pub fn path(namespace: &str, repository: &str) -> String {
    let mut path = "/v2/manage/namespaces/".to_owned();
    encode(namespace, &mut path);
    path.push_str("/repos/");
    encode(&repository.replace('/', "$"), &mut path);
    path
}

/// Everything but RFC 3986's unreserved characters is escaped, as the signature wants it.
fn encode(text: &str, path: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

impl Client {
    /// Reads what the listing does not tell of a repository.
    ///
    /// # Errors
    /// When the call fails. Dropping the future cancels it.
    pub async fn repository(&self, namespace: &str, repository: &str, effort: &Effort) -> Result<Details, ApiError> {
        let path = path(namespace, repository);
        let call = Call { operation: Operation::ShowRepository, path: &path, query: &[] };
        let (details, omissions) = self.get(call, effort, Whole::default).await?;
        self.metrics.omitted(omissions);
        Ok(details)
    }
}

/// The answer is one small object.
#[derive(Default)]
struct Whole(Vec<u8>);

impl Reader for Whole {
    type Output = (Details, Omissions);

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        if self.0.len() + piece.len() > LARGEST {
            return Err(ApiError::TooLarge { limit: LARGEST });
        }
        self.0.extend_from_slice(piece);
        Ok(())
    }

    fn finish(self, _: &HeaderMap) -> Result<Self::Output, ApiError> {
        let mut omissions = Omissions::default();
        Ok((details(&self.0, &mut omissions)?, omissions))
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
pub fn details(object: &[u8], omissions: &mut Omissions) -> Result<Details, serde_json::Error> {
    let text = String::from_utf8_lossy(object);
    let wire: Wire<'_> = serde_json::from_str(&text)?;
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
        let mut omissions = Omissions::default();
        let details = details(text.as_bytes(), &mut omissions).unwrap();
        assert_eq!((details.id, details.priority), (Some(865_151), Some(0)));
        assert_eq!(details.creator.as_deref(), Some("admin"));
        assert_eq!(details.domain_id.as_deref(), Some("da44776c316c4a99b3683bb174f8821b"));
        assert_eq!(omissions, Omissions::default());
    }

    #[test]
    fn odd_values_cost_their_sample() {
        let mut omissions = Omissions::default();
        let read =
            details(br#"{"id":-1,"creator_name":7,"domain_id":null,"priority":"high"}"#, &mut omissions).unwrap();
        assert_eq!((read, omissions.number), (Details::default(), 2));
        let negative = details(br#"{"priority":-3}"#, &mut Omissions::default()).unwrap();
        assert_eq!(negative.priority, Some(-3));
        for broken in ["", "[]", "null", "<html>"] {
            assert!(details(broken.as_bytes(), &mut Omissions::default()).is_err(), "{broken}");
        }
    }

    #[test]
    fn slashes_travel_as_dollars_and_nothing_breaks_out_of_its_segment() {
        assert_eq!(path("org", "team/app"), "/v2/manage/namespaces/org/repos/team%24app");
        assert_eq!(path("a?b", "../x y%2f\u{fc}#"), "/v2/manage/namespaces/a%3Fb/repos/..%24x%20y%252f%C3%BC%23");
    }
}
