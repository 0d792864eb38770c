//! Account-wide calls: totals, quotas, feature gates.

use serde_json::json;

use super::context::ACCOUNT;
use super::context::RequestContext;
use super::options::ListV3;
use super::response::{ApiError, Response};

/// Quota of organizations per account.
const MAX_NAMESPACES: usize = 15;

/// `GET /v2/manage/overview`.
pub(super) fn overview(context: &RequestContext<'_>) -> Response {
    let world = context.world();
    let rows = (0..world.slots()).filter_map(|slot| u32::try_from(slot).ok()).filter(|slot| world.is_live(*slot));
    let (mut bytes, mut images, mut downloads) = (0, 0, 0);
    for row in rows.map(|slot| world.row(slot)) {
        bytes += row.size;
        images += row.tags.count();
        downloads += row.downloads;
    }
    let body = json!({
        "domain_id": context.id_of(ACCOUNT),
        "domain_name": "",
        // The API's spelling.
        "namspace_num": world.organizations().len(),
        "repo_num": world.len(),
        "image_num": images,
        // The API does not document the unit. Here: mebibytes with two decimals.
        "store_space": hundredths(bytes),
        "downflow_size": hundredths(downloads.saturating_mul(50 << 20)),
    });
    Response::json(body.to_string())
}

#[allow(clippy::cast_precision_loss, reason = "two digits of fraction are left")]
fn hundredths(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 100.0).round() / 100.0
}

/// `GET /v2/manage/projects/{project}/quotas`.
pub(super) fn quotas(project: &str, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    context.require_project(project)?;
    let used = context.world().organizations().len();
    let quota = json!({"quota_key": "namespace", "quota_limit": MAX_NAMESPACES.max(used), "used": used, "unit": ""});
    Ok(Response::json(json!({ "quotas": [quota] }).to_string()))
}

/// `GET /v2/manage/projects/{project}/feature-gates`.
pub(super) fn feature_gates(project: &str, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    context.require_project(project)?;
    let gates = json!({
        "enable_experience": true,
        "enable_hss_service": false,
        "enable_image_scan": true,
        "enable_sm3": false,
        "enable_image_sync": true,
        "enable_cci_service": true,
        "enable_image_label": false,
        "enable_pipeline": false,
        "enable_list_v3": context.options.list_v3 == ListV3::Offered,
        "swr_util_download_url": "",
    });
    Ok(Response::json(gates.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::test_client::get;
    use super::super::{DEMO_PROJECT_ID, Options, Repository, Simulator};
    use super::*;

    #[tokio::test]
    async fn totals_are_those_of_the_world() {
        let running =
            Simulator::start(Options { repositories: 30, namespaces: 4, ..Options::default() }).await.unwrap();
        let overview = get(&running, "/v2/manage/overview").await.json();
        let truth = running.handle.repositories();
        assert_eq!((&overview["repo_num"], &overview["namspace_num"]), (&json!(30), &json!(4)));
        assert_eq!(overview["image_num"], truth.iter().map(Repository::num_images).sum::<usize>());
        assert!(overview["store_space"].as_f64().unwrap() > 0.0);
    }

    #[tokio::test]
    async fn a_project_in_the_path_has_to_be_ours() {
        let running = Simulator::start(Options::default()).await.unwrap();
        for call in ["quotas", "feature-gates"] {
            let path = |project| format!("/v2/manage/projects/{project}/{call}");
            assert_eq!(get(&running, &path(DEMO_PROJECT_ID)).await.status, 200);
            assert_eq!(get(&running, &path("ffff")).await.status, 403);
        }
        let gates = format!("/v2/manage/projects/{DEMO_PROJECT_ID}/feature-gates");
        assert_eq!(get(&running, &gates).await.json()["enable_list_v3"], true);
        running.handle.configure(|options| options.list_v3 = ListV3::Absent);
        assert_eq!(get(&running, &gates).await.json()["enable_list_v3"], false);
    }
}
