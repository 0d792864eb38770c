//! One page of the tags of a repository.
//!
//! `GET /v2/manage/namespaces/{namespace}/repos/{repository}/tags` returns a bare array with `Content-Range`, the
//! newest tag first.

use super::pages::OffsetPage;
use super::request::Call;
use super::row_reader::RowReader;
use super::wire::{self, DroppedFields, read_fields};
use super::{ApiError, CallBudget, Client, Operation, manifest, repository};
use crate::model::tags::{Contents, Tag};

/// The most tags of one repository. Their names and layers are held in memory for a moment; the longest lists known have
/// some thousands.
pub const MAX_TAGS: usize = 100_000;

/// The largest page that the API accepts; old versions accept less.
pub const MAX_PAGE_SIZE: u64 = 1000;

impl Client {
    /// Reads a page of the tags of a repository. Dropping the future cancels the call.
    ///
    /// # Errors
    /// When the call fails; an incomplete response is an error, never a shorter page.
    pub async fn tag_page(
        &self,
        namespace: &str,
        repository: &str,
        offset: u64,
        limit: u64,
        budget: &CallBudget,
    ) -> Result<OffsetPage<Tag>, ApiError> {
        let path = format!("{}/tags", repository::path(namespace, repository)?);
        let (offset, limit) = (offset.to_string(), limit.to_string());
        let query = [
            ("offset", offset.as_str()),
            ("limit", limit.as_str()),
            ("order_column", "updated_at"),
            ("order_type", "desc"),
        ];
        let call = Call { operation: Operation::ListTags, path: &path, query: &query };
        self.get_array(call, budget, MAX_TAGS as u64, TagRows::default).await
    }
}

#[derive(Default)]
struct TagRows(Vec<Tag>);

impl RowReader for TagRows {
    type Row = Tag;

    fn read(&mut self, object: &[u8], dropped: &mut DroppedFields) -> Result<Option<u64>, serde_json::Error> {
        self.0.extend(tag(object, dropped)?);
        Ok(None)
    }

    fn finish(self) -> Vec<Tag> {
        self.0
    }
}

/// Parses one tag; `None` when it has no usable name or was deleted.
pub fn tag(object: &[u8], dropped: &mut DroppedFields) -> Result<Option<Tag>, serde_json::Error> {
    let text = wire::lossy(object);
    // The newer API spells the first key in lower case.
    read_fields!(&text, Tag, tag, manifest, digest, schema, size, is_trusted, created, updated, deleted, scanned);
    let Some(name) = wire::required_text(Tag.or(tag), dropped) else {
        dropped.name += 1;
        return Ok(None);
    };
    if wire::timestamp(deleted, &mut DroppedFields::default()).is_some() {
        return Ok(None);
    }
    Ok(Some(Tag {
        name: name.into(),
        digest: wire::optional_text(digest, dropped).unwrap_or_default().into(),
        size: wire::integer(size, dropped),
        created: wire::timestamp(created, dropped),
        updated: wire::timestamp(updated, dropped),
        schema: wire::integer(schema, dropped),
        trusted: wire::boolean(is_trusted, dropped),
        scanned: wire::boolean(scanned, dropped),
        contents: match manifest.and_then(|raw| wire::string(raw.get())) {
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
        let mut dropped = DroppedFields::default();
        (tag(object.as_bytes(), &mut dropped).unwrap(), dropped)
    }

    #[test]
    fn the_documented_example_is_read_whole() {
        let (tag, dropped) = read(EXAMPLE);
        let tag = tag.unwrap();
        assert_eq!((&*tag.name, tag.size, tag.schema), ("latest", Some(1_304_902), Some(2)));
        assert_eq!((tag.trusted, tag.scanned), (Some(false), Some(false)));
        assert_eq!(tag.updated, Some(Timestamp(1_530_857_935_000_000_000)));
        let Contents::Image(blobs) = &tag.contents else { panic!("{:?}", tag.contents) };
        assert_eq!(blobs.iter().map(|blob| blob.size).collect::<Vec<_>>(), [1862, 1_292_800, 10_240]);
        let config = "sha256:741f24a795d6d93d7c6edd11780d63c13e16c39615dd9d223378a57a836f2ee6";
        assert_eq!(blobs[0], Blob { digest: Digest32::parse(config).unwrap(), size: 1862 });
        assert_eq!(dropped, DroppedFields::default());
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
}
