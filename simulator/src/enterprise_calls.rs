//! The Enterprise Edition: instances that serve the same organizations through other calls.
//!
//! Instance `n` of `m` holds the organizations whose index is `n` modulo `m`, so it grows as
//! the world does.

use serde_json::{Value, json};

use super::context::RequestContext;
use super::http::Request;
use super::query::Parameters;
use super::repository_row::RepositoryRow;
use super::response::{ApiError, Response};
use super::timestamp::rfc3339;
use super::world::World;

/// The largest page.
const MOST: usize = 100;

/// Quotas of an instance, by kind.
const QUOTAS: [(&str, u64); 6] = [
    ("replica_policy", 50),
    ("retention_policy", 50),
    ("notify_policy", 50),
    ("replica_registry", 20),
    ("sign_policy", 10),
    ("intranet_endpoint", 5),
];

/// `GET /v2/{project}/instances`.
pub(super) fn instances(request: &Request, project: &str, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    context.require_project(project)?;
    let parameters = Parameters::read(request)?;
    let count = context.options.enterprise_instances;
    let page = if parameters.get("offset").is_some() { Some(parameters.page(&context.options)?) } else { None };
    let (offset, limit) = page.map_or((0, MOST), |page| (page.offset, page.limit));
    if limit > MOST {
        return Err(ApiError::bad_parameter("limit error"));
    }
    let created = rfc3339(context.world().now_nanos() - 30 * 86_400_000_000_000);
    let listed: Vec<Value> = (0..count)
        .skip(offset)
        .take(limit)
        .map(|number| {
            json!({
                "id": id(number, context),
                "name": name(number),
                "description": "",
                "spec": if number % 2 == 0 { "swr.ee.professional" } else { "swr.ee.basic" },
                "version": context.options.enterprise_version,
                "status": "Running",
                "charge_mode": "postPaid",
                "access_address": format!("{}.cn-north-4.example.com", name(number)),
                "created_at": created,
                "updated_at": created,
                "expires_at": "",
                "project_id": project,
                "enterprise_project_id": "0",
            })
        })
        .collect();
    Ok(Response::json(json!({"instances": listed, "total": count}).to_string()))
}

/// `GET /v2/{project}/instances/{instance}/statistics`.
pub(super) fn statistics(project: &str, instance: &str, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    context.require_project(project)?;
    let count = context.options.enterprise_instances;
    let number = find(instance, context)?;
    let world = context.world();
    let organizations = world.organizations().iter().enumerate().filter(|(index, _)| index % count == number);
    let (mut namespaces, mut repositories, mut bytes) = (0, 0, 0);
    for (_, organization) in organizations {
        namespaces += 1;
        repositories += organization.by_name.len();
        bytes += organization.by_name.iter().map(|slot| world.row(*slot).size).sum::<u64>();
    }
    let mut body = json!({
        "storage_used": bytes,
        "total_namespace_count": namespaces,
        "namespace_quota": 50,
        "total_image_count": repositories,
        "image_repo_quota": 3_000,
        "long_term_quota": 10,
    });
    for (kind, quota) in QUOTAS {
        body[format!("{kind}_quota")] = quota.into();
        body[format!("{kind}_count")] = 0.into();
    }
    Ok(Response::json(body.to_string()))
}

/// `GET /v2/{project}/repositories`: all instances, by id; the marker is the last id of the previous page.
pub(super) fn repositories(
    request: &Request,
    project: &str,
    context: &RequestContext<'_>,
) -> Result<Response, ApiError> {
    context.require_project(project)?;
    let parameters = Parameters::read(request)?;
    let limit = parameters
        .get("limit")
        .map_or(Ok(MOST), |text| text.parse().map_err(|_| ApiError::bad_parameter("limit error")))?;
    let marker = parameters.get("marker").unwrap_or("m0");
    let after = marker.strip_prefix('m').and_then(|text| text.parse::<u32>().ok());
    let (1..=MOST, Some(after)) = (limit, after) else { return Err(ApiError::bad_parameter("limit or marker error")) };
    let instances = context.options.enterprise_instances;
    let world = context.world();
    let mut slots: Vec<u32> = (0..world.slots())
        .filter_map(|slot| u32::try_from(slot).ok())
        .filter(|slot| instances > 0 && world.is_live(*slot) && world.row(*slot).id > after)
        .collect();
    slots.sort_unstable_by_key(|slot| world.row(*slot).id);
    let next = slots.get(limit).map(|_| format!("m{}", world.row(slots[limit - 1]).id));
    slots.truncate(limit);
    let listed: Vec<Value> = slots.iter().map(|slot| describe(&world, world.row(*slot), instances, context)).collect();
    let body = json!({"repositories": listed, "page_info": {"next_marker": next, "previous_marker": null}});
    Ok(Response::json(body.to_string()))
}

/// The number of an instance.
pub(super) fn find(instance: &str, context: &RequestContext<'_>) -> Result<usize, ApiError> {
    let number = (0..context.options.enterprise_instances).find(|number| id(*number, context) == instance);
    number.ok_or_else(|| ApiError::swr(404, 4_040_001, "instance not exist"))
}

fn describe(world: &World, row: &RepositoryRow, instances: usize, context: &RequestContext<'_>) -> Value {
    let namespace = world.organization_name(row);
    let number = row.organization as usize % instances;
    json!({
        "id": row.id,
        "name": format!("{namespace}/{}", row.name),
        "namespace_name": namespace,
        "namespace_id": row.organization + 1,
        "tag_count": row.tags.count(),
        "artifact_count": row.tags.count(),
        "pull_count": row.downloads,
        "description": row.description.as_deref().unwrap_or_default(),
        "created_at": rfc3339(row.created),
        "updated_at": rfc3339(row.updated),
        "instance_id": id(number, context),
        "instance_name": name(number),
        "resource_urn": format!("swr:::repository:{}/{namespace}/{}", name(number), row.name),
    })
}

fn name(number: usize) -> String {
    format!("registry-{}", number + 1)
}

/// The instance's id as a UUID.
fn id(number: usize, context: &RequestContext<'_>) -> String {
    let digits = context.id_of(&name(number));
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::super::test_client::get;
    use super::super::{DEMO_PROJECT_ID, Options, Simulator};
    use super::*;

    #[tokio::test]
    async fn instances_share_the_world_among_them() {
        let options = Options { repositories: 250, namespaces: 5, enterprise_instances: 2, ..Options::default() };
        let running = Simulator::start(options).await.unwrap();
        let base = format!("/v2/{DEMO_PROJECT_ID}");
        let listed = get(&running, &format!("{base}/instances?offset=0&limit=100")).await.json();
        let instances = listed["instances"].as_array().unwrap();
        assert_eq!((instances.len(), &listed["total"]), (2, &json!(2)));
        let mut counted = 0;
        for instance in instances {
            let path = format!("{base}/instances/{}/statistics", instance["id"].as_str().unwrap());
            let statistics = get(&running, &path).await.json();
            counted += statistics["total_image_count"].as_u64().unwrap();
        }
        assert_eq!(counted, 250);
        let (mut seen, mut marker) = (0, String::new());
        loop {
            let page = get(&running, &format!("{base}/repositories?limit=100{marker}")).await.json();
            seen += page["repositories"].as_array().unwrap().len();
            let Some(next) = page["page_info"]["next_marker"].as_str() else { break };
            marker = format!("&marker={next}");
        }
        assert_eq!(seen, 250);
        assert_eq!(get(&running, &format!("{base}/instances/none/statistics")).await.status, 404);
        for path in ["instances", "repositories"] {
            assert_eq!(get(&running, &format!("/v2/ffff/{path}")).await.status, 403);
        }
        assert_eq!(get(&running, &format!("{base}/repositories?limit=101")).await.status, 400);
    }

    #[tokio::test]
    async fn a_project_may_have_no_instance() {
        let running = Simulator::start(Options { enterprise_instances: 0, ..Options::default() }).await.unwrap();
        let base = format!("/v2/{DEMO_PROJECT_ID}");
        assert_eq!(get(&running, &format!("{base}/instances")).await.json()["total"], 0);
        let page = get(&running, &format!("{base}/repositories")).await.json();
        assert_eq!(
            (page["repositories"].as_array().unwrap().len(), &page["page_info"]["next_marker"]),
            (0, &Value::Null)
        );
    }
}
