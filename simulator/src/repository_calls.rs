//! Calls for organizations, one repository, and its tags.

use serde_json::{Value, json};

use super::context::RequestContext;
use super::context::{ACCOUNT, REGISTRY};
use super::http::Request;
use super::image::{Image, ManifestKind};
use super::names;
use super::options::Permission;
use super::query::{Parameters, descends};
use super::repository_row::{RepositoryRow, RetentionRule};
use super::response::{ApiError, Response};
use super::timestamp::rfc3339;
use super::world::World;

/// `GET /v2/manage/namespaces`.
pub(super) fn namespaces(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let parameters = Parameters::read(request)?;
    let wanted = parameters.get("namespace");
    // With rights on single repositories, organizations are listed only with `mode=visible`.
    let single = matches!(context.options.permission, Permission::Only(_));
    let visible = parameters.get("mode") == Some("visible");
    let world = context.world();
    let listed: Vec<Value> = (0..world.organizations().len())
        .filter(|&index| {
            let name = &world.organizations()[index].name;
            wanted.is_none_or(|wanted| wanted == name) && !context.options.denies(name) && (visible || !single)
        })
        .map(|index| describe_namespace(&world, index))
        .collect();
    if wanted.is_some() && listed.is_empty() {
        return Err(ApiError::unknown_namespace());
    }
    Ok(Response::json(json!({ "namespaces": listed }).to_string()))
}

/// `GET /v2/manage/namespaces/{namespace}`.
pub(super) fn namespace(name: &str, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let world = context.world();
    let (index, _) = world.organization(name).ok_or_else(ApiError::unknown_namespace)?;
    if context.options.denies(name) {
        return Err(ApiError::denied());
    }
    Ok(Response::json(describe_namespace(&world, index as usize).to_string()))
}

/// `GET /v2/manage/namespaces/{namespace}/repos/{repository}`.
pub(super) fn show(namespace: &str, name: &str, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let world = context.world();
    let row = find(&world, namespace, name, context)?;
    let path = format!("{REGISTRY}/{namespace}/{name}");
    let shown = json!({
        "id": row.id,
        "ns_id": row.organization + 1,
        "name": row.name,
        "category": world.category(row),
        "description": row.description.as_deref().unwrap_or_default(),
        "creator_id": context.id_of(names::CREATORS[usize::from(row.creator)]),
        "creator_name": names::CREATORS[usize::from(row.creator)],
        "size": row.size,
        "is_public": row.is_public,
        "num_images": row.tags.count(),
        "num_download": row.downloads,
        "url": "",
        "path": path,
        "internal_path": path,
        // This call has no `_at` suffix, unlike the listing.
        "created": rfc3339(row.created),
        "updated": rfc3339(row.updated),
        "domain_id": context.id_of(ACCOUNT),
        "priority": row.id % 3,
    });
    Ok(Response::json(shown.to_string()))
}

/// `GET /v2/manage/namespaces/{namespace}/repos/{repository}/tags`.
pub(super) fn tags(
    request: &Request,
    namespace: &str,
    name: &str,
    context: &RequestContext<'_>,
) -> Result<Response, ApiError> {
    let parameters = Parameters::read(request)?;
    let page = parameters.page(&context.options)?;
    let world = context.world();
    let row = find(&world, namespace, name, context)?;
    let mut tags = Vec::new();
    row.tags.each(row.id, |tag, image| tags.push((tag.to_owned(), image)));
    if let Some(wanted) = parameters.get("tag") {
        tags.retain(|(tag, _)| tag == wanted);
    }
    if let (Some(column), Some(direction)) = (parameters.get("order_column"), parameters.get("order_type")) {
        match column {
            "updated_at" => tags.sort_by_key(|(_, image)| (row.pushed_at(*image), *image)),
            "tag" => tags.sort(),
            _ => return Err(ApiError::swr(400, 4_001_096, "param order column error")),
        }
        if descends(direction)? {
            tags.reverse();
        }
    }
    let total = tags.len();
    let listed: Vec<Value> = tags
        .iter()
        .skip(page.offset)
        .take(page.limit)
        .map(|(tag, image)| describe_tag(row, namespace, tag, *image, context))
        .collect();
    let count = listed.len();
    Ok(page.announce(Response::json(Value::from(listed).to_string()), count, total))
}

/// `GET /v2/manage/namespaces/{namespace}/repos/{repository}/retentions`.
pub(super) fn retentions(namespace: &str, name: &str, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let world = context.world();
    let row = find(&world, namespace, name, context)?;
    let policy = row.retention.map(|rule| {
        // Numbers are texts here.
        let (template, params) = match rule {
            RetentionRule::Days(days) => ("date_rule", json!({"days": days.to_string()})),
            RetentionRule::Newest(tags) => ("tag_rule", json!({"num": tags.to_string()})),
        };
        let exceptions = json!([{"kind": "label", "pattern": "latest"}]);
        let rule = json!({"template": template, "params": params, "tag_selectors": exceptions});
        json!({"algorithm": "or", "id": row.id, "rules": [rule], "scope": ""})
    });
    Ok(Response::json(Value::from_iter(policy).to_string()))
}

fn find<'a>(
    world: &'a World,
    namespace: &str,
    name: &str,
    context: &RequestContext<'_>,
) -> Result<&'a RepositoryRow, ApiError> {
    if context.options.denies(namespace) {
        return Err(ApiError::denied());
    }
    let slot = world.find(namespace, name);
    slot.map(|slot| world.row(slot)).ok_or_else(|| ApiError::swr(404, 4_040_010, "the image does not exist"))
}

fn describe_namespace(world: &World, index: usize) -> Value {
    let organization = &world.organizations()[index];
    json!({
        "id": index + 1,
        "name": organization.name,
        "creator_name": ACCOUNT,
        "auth": 7,
        "access_user_count": 1,
        "repo_count": organization.by_name.len(),
    })
}

fn describe_tag(row: &RepositoryRow, namespace: &str, tag: &str, number: u32, context: &RequestContext<'_>) -> Value {
    let image = Image::new(row.recipe(), number);
    let path = format!("{REGISTRY}/{namespace}/{}:{tag}", row.name);
    let pushed = rfc3339(row.pushed_at(number));
    json!({
        "id": u64::from(row.id) << 20 | u64::from(number),
        "repo_id": row.id,
        "Tag": tag,
        "image_id": image.id(),
        "digest": format!("sha256:{}", image.digest()),
        "manifest": image.manifest(),
        "schema": if image.kind() == ManifestKind::Schema1 { 1 } else { 2 },
        "path": path,
        "internal_path": path,
        "size": image.bytes(),
        "is_trusted": false,
        "created": pushed,
        "updated": pushed,
        "deleted": null,
        "domain_id": context.id_of(ACCOUNT),
        "scanned": false,
        "tag_type": i32::from(image.kind() == ManifestKind::Index),
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_client::get;
    use super::super::{Options, Repository, Simulator};
    use super::*;

    async fn start() -> super::super::Running {
        let running = Simulator::start(Options { repositories: 0, namespaces: 0, ..Options::default() }).await.unwrap();
        running.handle.insert(Repository::new("org", "team/app"));
        for tag in ["v1", "v2", "v3"] {
            running.handle.push("org", "team/app", tag);
        }
        running
    }

    #[tokio::test]
    async fn slashes_travel_as_dollars() {
        let running = start().await;
        for (name, status) in [("team$app", 200), ("team%24app", 200), ("team/app", 404), ("team%2Fapp", 404)] {
            let shown = get(&running, &format!("/v2/manage/namespaces/org/repos/{name}")).await;
            assert_eq!(shown.status, status, "{name}");
            let tags = get(&running, &format!("/v2/manage/namespaces/org/repos/{name}/tags")).await;
            assert_eq!(tags.status, status, "{name}");
            if status == 200 {
                assert_eq!(shown.json()["name"], "team/app");
                assert_eq!(tags.column("Tag"), ["v1", "v2", "v3"]);
            } else {
                assert_eq!(shown.json()["error_code"], "APIGW.0101");
            }
        }
        let absent = get(&running, "/v2/manage/namespaces/org/repos/absent/tags").await;
        assert_eq!((absent.status, &absent.json()["error_code"]), (404, &Value::from("SVCSTG.SWR.4040010")));
    }

    #[tokio::test]
    async fn sizes_of_tags_add_up_to_the_repository() {
        let running = start().await;
        let tags = get(&running, "/v2/manage/namespaces/org/repos/team$app/tags").await;
        let sum: u64 = tags.column("size").iter().map(|size| size.as_u64().unwrap()).sum();
        assert_eq!(running.handle.get("org", "team/app").unwrap().size, sum);
        for tag in tags.json().as_array().unwrap() {
            let manifest: Value = serde_json::from_str(tag["manifest"].as_str().unwrap()).unwrap();
            let config = manifest["config"]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            assert_eq!(tag["image_id"], config);
            assert_eq!(tag.as_object().unwrap().len(), 17);
        }
    }

    #[tokio::test]
    async fn a_tag_keeps_its_time_and_can_be_moved_and_deleted() {
        let running = start().await;
        let base = "/v2/manage/namespaces/org/repos/team$app/tags";
        let before = get(&running, base).await;
        running.handle.advance(std::time::Duration::from_secs(3_600));
        running.handle.push("org", "team/app", "v4");
        assert!(running.handle.with_world(|world| world.retag("org", "team/app", "v1", "v4")));
        assert!(running.handle.with_world(|world| world.untag("org", "team/app", "v2")));
        let after = get(&running, base).await;
        assert_eq!(after.column("Tag"), ["v1", "v3", "v4"]);
        let (digests, times) = (after.column("digest"), after.column("updated"));
        assert_eq!(digests[0], digests[2]);
        assert_eq!(times[1], before.column("updated")[2], "others' pushes change no time");
        assert_eq!(times[2], rfc3339(running.handle.get("org", "team/app").unwrap().updated_nanos));
        let sum: u64 = after.column("size").iter().map(|size| size.as_u64().unwrap()).sum();
        assert_eq!(running.handle.get("org", "team/app").unwrap().size, sum);
        assert!(!running.handle.with_world(|world| world.untag("org", "team/app", "v2")));
    }

    #[tokio::test]
    async fn tags_come_in_pages_and_orders() {
        let running = start().await;
        let base = "/v2/manage/namespaces/org/repos/team$app/tags";
        let page = get(&running, &format!("{base}?offset=2&limit=2")).await;
        assert_eq!((page.header("content-range"), page.column("Tag").len()), (Some("2-1/3"), 1));
        let past = get(&running, &format!("{base}?offset=9&limit=2")).await;
        assert_eq!((past.status, past.text(), past.header("content-range")), (200, "[]", Some("9-0/3")));
        let newest = get(&running, &format!("{base}?order_column=updated_at&order_type=desc")).await;
        assert_eq!(newest.column("Tag"), ["v3", "v2", "v1"]);
        let one = get(&running, &format!("{base}?tag=v2")).await;
        assert_eq!(one.column("Tag"), ["v2"]);
    }

    #[tokio::test]
    async fn a_repository_has_one_retention_rule_or_none() {
        let running = start().await;
        let path = "/v2/manage/namespaces/org/repos/team$app/retentions";
        assert_eq!(get(&running, path).await.text(), "[]");
        running.handle.with_world(|world| world.set_retention("org", "team/app", Some(RetentionRule::Newest(7))));
        let policies = get(&running, path).await.json();
        assert_eq!(policies[0]["rules"][0]["template"], "tag_rule");
        assert_eq!(policies[0]["rules"][0]["params"], json!({"num": "7"}));
        let absent = get(&running, "/v2/manage/namespaces/org/repos/absent/retentions").await;
        assert_eq!((absent.status, &absent.json()["error_code"]), (404, &Value::from("SVCSTG.SWR.4040010")));
    }

    #[tokio::test]
    async fn namespaces_are_listed_with_their_counts() {
        let running = start().await;
        running.handle.with_world(|world| world.insert_namespace("empty"));
        let all = get(&running, "/v2/manage/namespaces").await.json();
        assert_eq!(all["namespaces"][0]["name"], "org");
        assert_eq!((&all["namespaces"][0]["repo_count"], &all["namespaces"][1]["repo_count"]), (&1.into(), &0.into()));
        assert_eq!(get(&running, "/v2/manage/namespaces/empty").await.json()["name"], "empty");
        assert_eq!(get(&running, "/v2/manage/namespaces/absent").await.status, 404);
        assert_eq!(get(&running, "/v2/manage/namespaces?namespace=absent").await.status, 404);
    }
}
