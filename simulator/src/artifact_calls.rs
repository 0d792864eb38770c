//! The artifacts of an Enterprise Edition instance: manifests with their sizes and the times of pushes and pulls.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::RequestContext;
use super::enterprise_calls;
use super::http::Request;
use super::image::{Image, ManifestKind};
use super::query::Parameters;
use super::repository_row::RepositoryRow;
use super::response::{ApiError, Response};
use super::timestamp::rfc3339;

/// The largest page.
const MOST: usize = 100;
/// The first version that has the call.
const SINCE: [u32; 3] = [25, 6, 0];
/// What stands for the time of a pull that never happened.
const NEVER: &str = "0001-01-01T00:00:00.000Z";

/// `GET /v2/{project}/instances/{instance}/artifacts`: by id; the marker is the first id of the page.
pub(super) fn artifacts(
    request: &Request,
    project: &str,
    instance: &str,
    context: &RequestContext<'_>,
) -> Result<Response, ApiError> {
    context.require_project(project)?;
    let instance = enterprise_calls::find(instance, context)?;
    let version: Vec<u32> =
        context.options.enterprise_version.split('.').filter_map(|part| part.parse().ok()).collect();
    if version < SINCE.to_vec() {
        return Err(ApiError::swr(404, 4_040_000, "the path is not found"));
    }
    let parameters = Parameters::read(request)?;
    let number = |name: &str, default: u64| {
        let parse = |text: &str| text.parse().map_err(|_| ApiError::bad_parameter("limit or marker error"));
        parameters.get(name).map_or(Ok(default), parse)
    };
    let (limit, marker) = (usize::try_from(number("limit", 10)?).unwrap_or(usize::MAX), number("marker", 1)?);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::bad_parameter("limit error"));
    }
    let world = context.world();
    let count = context.options.enterprise_instances;
    let mut rows: Vec<&RepositoryRow> = (0..world.slots())
        .filter_map(|slot| u32::try_from(slot).ok())
        .filter(|slot| world.is_live(*slot))
        .map(|slot| world.row(slot))
        .filter(|row| row.organization as usize % count == instance && id(row, u32::MAX) >= marker)
        .collect();
    rows.sort_unstable_by_key(|row| row.id);
    let (mut listed, mut next) = (Vec::new(), None);
    'rows: for row in rows {
        let mut images: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        row.tags.each(row.id, |tag, image| images.entry(image).or_default().push(tag.to_owned()));
        for (image, tags) in images.into_iter().filter(|(image, _)| id(row, *image) >= marker) {
            if listed.len() == limit {
                next = Some(id(row, image));
                break 'rows;
            }
            listed.push(describe(row, world.organization_name(row), image, &tags, world.date()));
        }
    }
    let mut body = json!({ "artifacts": listed });
    if let Some(next) = next {
        body["next_marker"] = next.into();
    }
    Ok(Response::json(body.to_string()))
}

/// The id of an artifact. Ids of one repository are consecutive in the order of its images.
fn id(row: &RepositoryRow, image: u32) -> u64 {
    u64::from(row.id) << 32 | u64::from(image)
}

fn describe(row: &RepositoryRow, namespace: &str, number: u32, tags: &[String], now: i64) -> Value {
    let image = Image::new(row.recipe(), number);
    let pushed = rfc3339(row.pushed_at(number));
    let pulled = row.pulled_at(number, now).map_or_else(|| NEVER.to_owned(), rfc3339);
    let media_type = match image.kind() {
        ManifestKind::Index => "application/vnd.oci.image.index.v1+json",
        _ => "application/vnd.docker.distribution.manifest.v2+json",
    };
    let tags: Vec<Value> = (0_u64..)
        .zip(tags)
        .map(|(place, tag)| {
            json!({
                "id": id(row, number) + place,
                "repository_id": row.id,
                "artifact_id": id(row, number),
                "name": tag,
                "push_time": pushed,
                "pull_time": pulled,
            })
        })
        .collect();
    json!({
        "digest": format!("sha256:{}", image.digest()),
        "id": id(row, number),
        "repository_id": row.id,
        "repository_name": format!("{namespace}/{}", row.name),
        "type": "IMAGE",
        "namespace_id": row.organization + 1,
        "media_type": "application/vnd.docker.container.image.v1+json",
        "manifest_media_type": media_type,
        "size": image.bytes(),
        "push_time": pushed,
        "pull_time": pulled,
        "tags": tags,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::test_client::get;
    use super::super::{DEMO_PROJECT_ID, Options, Running, Simulator};
    use super::*;

    async fn instances(running: &Running) -> Vec<String> {
        let listed = get(running, &format!("/v2/{DEMO_PROJECT_ID}/instances")).await.json();
        listed["instances"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn pages_hold_each_artifact_of_the_instance_once() {
        let options = Options { repositories: 60, namespaces: 4, enterprise_instances: 2, ..Options::default() };
        let running = Simulator::start(options).await.unwrap();
        let (mut seen, mut bytes, mut never) = (HashSet::new(), 0, 0);
        for instance in instances(&running).await {
            let mut marker = "1".to_owned();
            loop {
                let path = format!("/v2/{DEMO_PROJECT_ID}/instances/{instance}/artifacts?marker={marker}&limit=7");
                let page = get(&running, &path).await.json();
                for artifact in page["artifacts"].as_array().unwrap() {
                    assert!(seen.insert(artifact["id"].as_u64().unwrap()), "{artifact}");
                    bytes += artifact["size"].as_u64().unwrap();
                    never += i32::from(artifact["pull_time"] == NEVER);
                    assert!(
                        artifact["pull_time"] == NEVER
                            || artifact["pull_time"].as_str() >= artifact["push_time"].as_str()
                    );
                }
                let Some(next) = page["next_marker"].as_u64() else { break };
                marker = next.to_string();
            }
        }
        // `latest` names an image that another tag names too.
        let shared = |r: &super::super::Repository| usize::from(r.tags.iter().any(|tag| tag == "latest"));
        let repositories = running.handle.repositories();
        let images: usize = repositories.iter().map(|r| r.num_images() - shared(r)).sum();
        assert_eq!(seen.len(), images);
        assert!(bytes > 0 && never > 0 && never < i32::try_from(images).unwrap());
    }

    #[tokio::test]
    async fn old_versions_have_no_list_of_artifacts() {
        let running = Simulator::start(Options { enterprise_version: "24.12.0", ..Options::default() }).await.unwrap();
        let instance = instances(&running).await.swap_remove(0);
        let path = format!("/v2/{DEMO_PROJECT_ID}/instances/{instance}/artifacts");
        assert_eq!(get(&running, &path).await.status, 404);
        running.handle.configure(|options| options.enterprise_version = "25.6.0");
        assert_eq!(get(&running, &path).await.json()["artifacts"].as_array().unwrap().len(), 10);
        assert_eq!(get(&running, &format!("{path}?limit=101")).await.status, 400);
    }
}
