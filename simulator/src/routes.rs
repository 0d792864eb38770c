//! Routing: the responses of the healthy service. `connection` applies faults.

use super::context::RequestContext;
use super::credential_options::Operation;
use super::http::{self, Request};
use super::options::ListV3;
use super::response::{ApiError, Response};
use super::{
    account_calls, artifact_calls, enterprise_calls, federation, iam, listing, markers, metadata, pod_identity,
    repository_calls,
};

/// The response to a request, without `Date` and `X-Request-Id`.
pub(super) fn respond(request: &Request, context: &RequestContext<'_>) -> Response {
    let outcome = if let Some(outcome) = beside_the_gateway(request, context) {
        outcome
    } else if context.state.over_rate(&context.options) {
        let limit = context.options.requests_per_second.unwrap_or_default();
        let message = format!(
            "The throttling threshold has been reached: policy user over ratelimit,limit:{limit},time:1 second"
        );
        Err(ApiError::gateway(429, "0308", &message))
    } else {
        route(request, context)
    };
    outcome.unwrap_or_else(|error| error.response(&context.request_id))
}

/// Services that a machine or pod reaches without the gateway and its rate limit.
fn beside_the_gateway(request: &Request, context: &RequestContext<'_>) -> Option<Result<Response, ApiError>> {
    match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/meta-data/latest/api/token") => Some(metadata::token(request, context)),
        ("GET", "/openstack/latest/securitykey") => Some(metadata::security_key(request, context)),
        ("POST", path) if path == context.options.pod_identity.path => {
            Some(pod_identity::credentials(request, context))
        }
        _ => None,
    }
}

fn route(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    // The gateway decodes an escaped slash before it looks up the API, and finds none.
    if request.path.to_ascii_lowercase().contains("%2f") {
        return Err(unknown_api());
    }
    let segments: Vec<String> = request.path.split('/').skip(1).map(http::percent_decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let permit = |operation| context.permit(request, operation);
    match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["v3", "auth", "tokens"]) => iam::login(request, context),
        ("GET", ["v3", "projects"]) => iam::projects(request, context),
        ("POST", ["v3.0", "OS-AUTH", "id-token", "tokens"]) => federation::id_token(request, context),
        ("POST", ["v3.0", "OS-CREDENTIAL", "securitytokens"]) => federation::security_token(request, context),
        ("POST", ["v5", "agencies", "assume-with-oidc"]) => federation::assume_with_oidc(request, context),
        ("GET", [""] | ["v2"]) => Ok(Response::json(
            r#"{"versions":[{"id":"v2","links":{"href":"","rel":"self"},"min_version":"2.0","version":"2.26","status":"CURRENT","updated":"2020-07-09T00:00:00Z"}]}"#,
        )),
        ("GET", ["v2", "manage", rest @ ..]) => match *rest {
            ["repos"] => {
                permit(Operation::ListRepositories)?;
                listing::list(request, context)
            }
            ["namespaces"] => {
                permit(Operation::ListNamespaces)?;
                repository_calls::namespaces(request, context)
            }
            ["namespaces", namespace] => {
                permit(Operation::ShowNamespace)?;
                repository_calls::namespace(namespace, context)
            }
            ["namespaces", namespace, "repos", name] => {
                permit(Operation::ShowRepository)?;
                repository_calls::show(namespace, &with_slashes(name), context)
            }
            ["namespaces", namespace, "repos", name, "tags"] => {
                permit(Operation::ListTags)?;
                repository_calls::tags(request, namespace, &with_slashes(name), context)
            }
            ["namespaces", namespace, "repos", name, "retentions"] => {
                permit(Operation::ListRetentions)?;
                repository_calls::retentions(namespace, &with_slashes(name), context)
            }
            ["overview"] => {
                permit(Operation::Overview)?;
                Ok(account_calls::overview(context))
            }
            ["projects", project, "quotas"] => {
                permit(Operation::Quotas)?;
                account_calls::quotas(project, context)
            }
            ["projects", project, "feature-gates"] => {
                permit(Operation::FeatureGates)?;
                account_calls::feature_gates(project, context)
            }
            _ => Err(unknown_api()),
        },
        ("GET", ["v3", "manage", "repos"]) if context.options.list_v3 == ListV3::Offered => {
            permit(Operation::ListRepositories)?;
            markers::list(request, context)
        }
        ("GET", ["v2", project, "instances"]) => {
            permit(Operation::ListInstances)?;
            enterprise_calls::instances(request, project, context)
        }
        ("GET", ["v2", project, "instances", instance, "statistics"]) => {
            permit(Operation::InstanceStatistics)?;
            enterprise_calls::statistics(project, instance, context)
        }
        ("GET", ["v2", project, "instances", instance, "artifacts"]) => {
            permit(Operation::ListArtifacts)?;
            artifact_calls::artifacts(request, project, instance, context)
        }
        ("GET", ["v2", project, "repositories"]) => {
            permit(Operation::ListInstanceRepositories)?;
            enterprise_calls::repositories(request, project, context)
        }
        _ => Err(unknown_api()),
    }
}

/// In paths, `$` stands for the slash of a repository name.
fn with_slashes(name: &str) -> String {
    name.replace('$', "/")
}

/// The gateway's error for an unknown path or method.
fn unknown_api() -> ApiError {
    ApiError::gateway(404, "0101", "The API does not exist or has not been published in the environment")
}

#[cfg(test)]
mod tests {
    use super::super::test_client::get;
    use super::super::{DEMO_PROJECT_ID, Options, Simulator};
    use super::*;

    #[tokio::test]
    async fn each_call_can_be_denied_by_itself() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let repository = running.handle.repositories().swap_remove(0);
        let namespace = format!("/v2/manage/namespaces/{}", repository.namespace);
        let instances = get(&running, &format!("/v2/{DEMO_PROJECT_ID}/instances")).await.json();
        let instance = instances["instances"][0]["id"].as_str().unwrap();
        let show = format!("{namespace}/repos/{}", repository.name.replace('/', "$"));
        let calls = [
            (Operation::ListRepositories, "/v2/manage/repos".to_owned()),
            (Operation::ListNamespaces, "/v2/manage/namespaces".to_owned()),
            (Operation::ShowNamespace, namespace),
            (Operation::ShowRepository, show.clone()),
            (Operation::ListTags, format!("{show}/tags")),
            (Operation::ListRetentions, format!("{show}/retentions")),
            (Operation::Overview, "/v2/manage/overview".to_owned()),
            (Operation::Quotas, format!("/v2/manage/projects/{DEMO_PROJECT_ID}/quotas")),
            (Operation::FeatureGates, format!("/v2/manage/projects/{DEMO_PROJECT_ID}/feature-gates")),
            (Operation::ListInstances, format!("/v2/{DEMO_PROJECT_ID}/instances")),
            (Operation::InstanceStatistics, format!("/v2/{DEMO_PROJECT_ID}/instances/{instance}/statistics")),
            (Operation::ListInstanceRepositories, format!("/v2/{DEMO_PROJECT_ID}/repositories")),
            (Operation::ListArtifacts, format!("/v2/{DEMO_PROJECT_ID}/instances/{instance}/artifacts")),
        ];
        for (denied, _) in &calls {
            running.handle.configure(|options| options.denied = vec![*denied]);
            for (operation, target) in &calls {
                let reply = get(&running, target).await;
                assert_eq!(reply.status, if operation == denied { 403 } else { 200 }, "{target}");
                if operation == denied {
                    let body = reply.json();
                    assert_eq!(body["error_code"], "SVCSTG.SWR.4030170");
                    assert!(body["encoded_authorization_message"].is_string());
                    assert!(body["errors"][0]["encoded_authorization_message"].is_string(), "{body}");
                }
            }
        }
    }
}
