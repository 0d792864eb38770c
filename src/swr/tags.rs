//! The tags of one repository.
//!
//! `GET /v2/manage/namespaces/{namespace}/repos/{repository}/tags`: a bare array with `Content-Range` (swr-api.md, 2.1).
//! A slash in the repository's name travels as `$` (2.2). Newest first, so that what is pushed while pages are read moves
//! rows to later pages, where they come twice, and not to earlier ones, where they would be missed.

use super::client::{Call, Client, Reader};
use super::error::ApiError;
use super::json_array::JsonArraySplitter;
use super::metrics::Operation;
use super::pages::{SMALLEST_PAGE, total_of};
use super::retry::CallBudget;
use super::wire::{self, DroppedFields};
use super::{manifest, repository};
use crate::model::tags::{Contents, Tag};
use hyper::http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;

/// Tags that are read of one repository. Their names and bytes are held for a moment; the largest lists known have some
/// thousands.
pub const MOST_TAGS: usize = 100_000;

/// What newer editions take.
const LARGEST_PAGE: u64 = 1000;

/// How often a list is read that changes meanwhile.
const MOST_WALKS: usize = 3;

impl Client {
    /// Reads all tags of a repository, taking turns where the effort has a pace. A name may come twice; the tag that was
    /// updated last is what it is now.
    ///
    /// # Errors
    /// When a call fails, or the list cannot be made whole: never a shorter list. Dropping the future cancels it.
    pub async fn tags(&self, namespace: &str, repository: &str, effort: &mut CallBudget) -> Result<Vec<Tag>, ApiError> {
        let path = format!("{}/tags", repository::path(namespace, repository));
        let mut latest = None;
        for walk in 0..MOST_WALKS {
            if walk > 0 {
                effort.next_turn().await;
            }
            match self.walk(&path, effort).await? {
                Walk::Steady(tags) => return Ok(tags),
                Walk::Moved(tags) => latest = Some(tags),
                Walk::Short => {}
            }
        }
        // What moves all the time is as good as it was at one moment; the listing will say that it has changed since.
        latest.ok_or(ApiError::Unsteady)
    }

    async fn walk(&self, path: &str, effort: &mut CallBudget) -> Result<Walk, ApiError> {
        let mut tags: Vec<Tag> = Vec::new();
        let mut limit = self.largest_tag_page(LARGEST_PAGE);
        let (mut offset, mut total, mut moved) = (0, None, false);
        loop {
            let page = match self.tag_page(path, offset, limit, effort).await {
                Err(ApiError::Refused(_)) if offset == 0 && limit > SMALLEST_PAGE => {
                    limit = SMALLEST_PAGE;
                    effort.next_turn().await;
                    let page = self.tag_page(path, offset, limit, effort).await?;
                    // Only now: what was refused may have been the repository.
                    self.found_largest_tag_page(limit);
                    page
                }
                page => page?,
            };
            moved |= offset > 0 && total != page.total;
            total = page.total;
            offset += page.received;
            tags.extend(page.tags);
            if tags.len() > MOST_TAGS {
                return Err(ApiError::TooManyRows { limit: MOST_TAGS as u64 });
            }
            // Without a total only an empty page proves the end: the server's pages may be smaller than asked for.
            let is_whole = total.map_or(page.received == 0, |total| offset >= total);
            if is_whole || page.received == 0 {
                let several_pages = offset > page.received;
                let mut names = HashSet::new();
                moved |= several_pages && !tags.iter().all(|tag| names.insert(&tag.name));
                return Ok(if !is_whole {
                    Walk::Short
                } else if moved {
                    Walk::Moved(tags)
                } else {
                    Walk::Steady(tags)
                });
            }
            // Offsets must be multiples of the limit in some editions: from here on the server's own page.
            limit = limit.min(page.received);
            effort.next_turn().await;
        }
    }

    async fn tag_page(&self, path: &str, offset: u64, limit: u64, effort: &CallBudget) -> Result<TagPage, ApiError> {
        let (offset, limit) = (offset.to_string(), limit.to_string());
        let query = [
            ("offset", offset.as_str()),
            ("limit", limit.as_str()),
            ("order_column", "updated_at"),
            ("order_type", "desc"),
        ];
        let call = Call { operation: Operation::ListTags, path, query: &query };
        let page = self.get(call, effort, TagPageReader::default).await?;
        self.metrics.omitted(page.omissions);
        Ok(page)
    }
}

/// How the reading of one list ended.
enum Walk {
    /// The list stood still.
    Steady(Vec<Tag>),
    /// It changed meanwhile: a tag may be missing that was moved from a later page to an earlier one.
    Moved(Vec<Tag>),
    /// It ended before its own total.
    Short,
}

/// One page as it came.
#[derive(Debug, Default)]
struct TagPage {
    /// Tags with a usable name that were not deleted.
    tags: Vec<Tag>,
    /// Rows of any kind.
    received: u64,
    total: Option<u64>,
    omissions: DroppedFields,
}

#[derive(Default)]
struct TagPageReader {
    cutter: JsonArraySplitter,
    page: TagPage,
}

impl Reader for TagPageReader {
    type Output = TagPage;

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let Self { cutter, page } = self;
        cutter.feed(piece, |object| {
            let tag = tag(object, &mut page.omissions)?;
            page.received += 1;
            if page.received > MOST_TAGS as u64 {
                return Err(ApiError::TooManyRows { limit: MOST_TAGS as u64 });
            }
            page.tags.extend(tag);
            Ok(())
        })
    }

    fn finish(mut self, headers: &HeaderMap) -> Result<TagPage, ApiError> {
        self.cutter.finish()?;
        let range = headers.get("content-range").and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        self.page.total = range.and_then(total_of);
        Ok(self.page)
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "Tag")]
    capital: Option<&'a RawValue>,
    #[serde(borrow)]
    tag: Option<&'a RawValue>,
    #[serde(borrow)]
    manifest: Option<&'a RawValue>,
    #[serde(borrow)]
    digest: Option<&'a RawValue>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    is_trusted: Option<&'a RawValue>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    updated: Option<&'a RawValue>,
    #[serde(borrow)]
    deleted: Option<&'a RawValue>,
    #[serde(borrow)]
    scanned: Option<&'a RawValue>,
}

/// Reads one object of the list; `None` for a tag without a usable name, and for one that was deleted.
///
/// # Errors
/// When it is no JSON object.
pub fn tag(object: &[u8], omissions: &mut DroppedFields) -> Result<Option<Tag>, serde_json::Error> {
    let text = String::from_utf8_lossy(object);
    let wire: Wire<'_> = serde_json::from_str(&text)?;
    let Some(name) = wire::name(wire.capital.or(wire.tag), omissions) else {
        omissions.name += 1;
        return Ok(None);
    };
    if wire::timestamp(wire.deleted, &mut DroppedFields::default()).is_some() {
        return Ok(None);
    }
    Ok(Some(Tag {
        name: name.into(),
        digest: wire::name_if_any(wire.digest, omissions).map(Into::into),
        size: wire::number(wire.size, omissions),
        created: wire::timestamp(wire.created, omissions),
        updated: wire::timestamp(wire.updated, omissions),
        schema: wire::number(wire.schema, omissions),
        trusted: wire::boolean(wire.is_trusted),
        scanned: wire::boolean(wire.scanned),
        contents: match wire.manifest.and_then(|raw| wire::text(raw.get())) {
            Some(manifest) => manifest::contents(&manifest),
            None => Contents::Unknown,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::model::tags::{Blob, Digest32};
    use proptest::prelude::*;

    /// As the documentation prints it.
    const EXAMPLE: &str = r#"{
        "id": 0, "repo_id": 0, "Tag": "latest",
        "image_id": "741f24a795d6d93d7c6edd11780d63c13e16c39615dd9d223378a57a836f2ee6",
        "manifest": "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":{\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\"size\":1862,\"digest\":\"sha256:741f24a795d6d93d7c6edd11780d63c13e16c39615dd9d223378a57a836f2ee6\"},\"layers\":[{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"size\":1292800,\"digest\":\"sha256:8ac8bfaff55af948c796026ee867448c5b5b5d9dd3549f4006d9759b25d4a893\"},{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"size\":10240,\"digest\":\"sha256:77ddbf3a9fe11e81761a0f9df43a28e3e6f29bbb53c0c8cf71cd7efa69729aed\"}]}",
        "digest": "sha256:57b605845a6367c34bfb6ea6477f16852f59aa1861a2b51d10ab77ae0a1dc9c3",
        "schema": 2, "path": "192.158.24.86/namespace/busybox:latest",
        "internal_path": "10.125.0.198:20202/namespace/busybox:latest", "size": 1304902, "is_trusted": false,
        "created": "2018-07-06T06:18:55Z", "updated": "2018-07-06T06:18:55Z", "deleted": null, "scanned": false,
        "tag_type": 0 }"#;

    fn read(object: &str) -> (Option<Tag>, DroppedFields) {
        let mut omissions = DroppedFields::default();
        (tag(object.as_bytes(), &mut omissions).unwrap(), omissions)
    }

    #[test]
    fn the_documented_example_is_read_whole() {
        let (tag, omissions) = read(EXAMPLE);
        let tag = tag.unwrap();
        assert_eq!((&*tag.name, tag.size, tag.schema), ("latest", Some(1_304_902), Some(2)));
        assert_eq!((tag.trusted, tag.scanned), (Some(false), Some(false)));
        assert_eq!(tag.updated, Some(Timestamp(1_530_857_935_000_000_000)));
        let Contents::Image(blobs) = &tag.contents else { panic!("{:?}", tag.contents) };
        assert_eq!(blobs.iter().map(|blob| blob.size).collect::<Vec<_>>(), [1862, 1_292_800, 10_240]);
        let config = "sha256:741f24a795d6d93d7c6edd11780d63c13e16c39615dd9d223378a57a836f2ee6";
        assert_eq!(blobs[0], Blob { digest: Digest32::parse(config).unwrap(), size: 1862 });
        assert_eq!(omissions, DroppedFields::default());
    }

    #[test]
    fn wrong_types_cost_their_value_and_no_more() {
        for key in ["manifest", "digest", "size", "is_trusted", "created", "updated", "deleted", "scanned", "schema"] {
            for value in ["7.5", "[]", "{}", "null", "\"\"", "\"x\"", "true"] {
                let (tag, _) = read(&format!(r#"{{"Tag":"v1","{key}":{value}}}"#));
                assert_eq!(&*tag.unwrap().name, "v1", "{key}: {value}");
            }
        }
        let (small, _) = read(r#"{"tag":"v3","size":0}"#);
        assert_eq!(
            small.map(|tag| (tag.name, tag.size)),
            Some(("v3".into(), Some(0))),
            "the spelling of the newer calls"
        );
    }

    #[test]
    fn deleted_and_nameless_tags_are_left_out() {
        assert_eq!(read(r#"{"Tag":"v1","deleted":"2018-07-06T06:18:55Z"}"#), (None, DroppedFields::default()));
        assert_eq!(read(r#"{"size":1}"#), (None, DroppedFields { name: 1, ..DroppedFields::default() }));
    }

    proptest! {
        #[test]
        fn no_object_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = tag(&bytes, &mut DroppedFields::default());
        }
    }
}
