//! Paths to answers: what the healthy service says. Faults come on top, elsewhere.

use std::sync::{Arc, MutexGuard};

use super::answer::{Answer, Refusal};
use super::http::{self, Request};
use super::identity::Operation;
use super::image::mix;
use super::keys::Keys;
use super::options::{ListV3, Options};
use super::shared::{self, Shared};
use super::tokens::{Scope, Tokens};
use super::verify::{self, Callers};
use super::world::World;
use super::{account, enterprise, federation, iam, listing, markers, metadata, pod_identity, repository};

/// What an answer is made from, besides the request.
pub(super) struct Service<'a> {
    pub(super) shared: &'a Shared,
    pub(super) options: Arc<Options>,
    /// 32 hexadecimal digits.
    pub(super) request_id: String,
    /// How many requests came before.
    pub(super) ordinal: u64,
    /// The service's clock, in seconds since the Unix epoch.
    pub(super) now: i64,
}

impl Service<'_> {
    pub(super) fn world(&self) -> impl std::ops::DerefMut<Target = World> {
        self.shared.world()
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        shared::lock(&self.shared.tokens)
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, Keys> {
        shared::lock(&self.shared.keys)
    }

    /// Decides whether a caller is known and may do what needs `scope`.
    pub(super) fn identify(&self, request: &Request, scope: Scope) -> Result<(), Refusal> {
        let mut callers = Callers { tokens: &self.tokens(), keys: &mut self.keys(), options: &self.options };
        verify::check(request, scope, &mut callers, self.now)
    }

    /// Decides whether a caller of SWR is known and permitted to call this.
    fn permit(&self, request: &Request, operation: Operation) -> Result<(), Refusal> {
        self.identify(request, Scope::Project)?;
        if self.options.denied.contains(&operation) { Err(listing::denied()) } else { Ok(()) }
    }

    /// An identifier of 32 hexadecimal digits that always belongs to the same name.
    pub(super) fn id_of(&self, name: &str) -> String {
        let hash = name.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        format!("{:016x}{:016x}", hash, mix(hash))
    }
}

/// The answer to a request, complete but for `Date` and `X-Request-Id`.
pub(super) fn answer(request: &Request, service: &Service<'_>) -> Answer {
    let outcome = if let Some(outcome) = beside_the_gateway(request, service) {
        outcome
    } else if service.shared.over_rate(&service.options) {
        let limit = service.options.requests_per_second.unwrap_or_default();
        let message = format!(
            "The throttling threshold has been reached: policy user over ratelimit,limit:{limit},time:1 second"
        );
        Err(Refusal::gateway(429, "0308", &message))
    } else {
        route(request, service)
    };
    outcome.unwrap_or_else(|refusal| refusal.answer(&service.request_id))
}

/// Answers for the services that a machine or a pod reaches without the gateway, and so without its limits.
fn beside_the_gateway(request: &Request, service: &Service<'_>) -> Option<Result<Answer, Refusal>> {
    match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/meta-data/latest/api/token") => Some(metadata::token(request, service)),
        ("GET", "/openstack/latest/securitykey") => Some(metadata::security_key(request, service)),
        ("POST", path) if path == service.options.pod_identity.path => {
            Some(pod_identity::credentials(request, service))
        }
        _ => None,
    }
}

fn route(request: &Request, service: &Service<'_>) -> Result<Answer, Refusal> {
    // An escaped slash is resolved before the gateway looks for the API, which it then does not find.
    if request.path.to_ascii_lowercase().contains("%2f") {
        return Err(unknown_api());
    }
    let segments: Vec<String> = request.path.split('/').skip(1).map(http::percent_decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let permit = |operation| service.permit(request, operation);
    match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["v3", "auth", "tokens"]) => iam::login(request, service),
        ("GET", ["v3", "projects"]) => iam::projects(request, service),
        ("POST", ["v3.0", "OS-AUTH", "id-token", "tokens"]) => federation::id_token(request, service),
        ("POST", ["v3.0", "OS-CREDENTIAL", "securitytokens"]) => federation::security_token(request, service),
        ("POST", ["v5", "agencies", "assume-with-oidc"]) => federation::assume_with_oidc(request, service),
        ("GET", [""] | ["v2"]) => Ok(Answer::json(
            r#"{"versions":[{"id":"v2","links":{"href":"","rel":"self"},"min_version":"2.0","version":"2.26","status":"CURRENT","updated":"2020-07-09T00:00:00Z"}]}"#,
        )),
        ("GET", ["v2", "manage", rest @ ..]) => match *rest {
            ["repos"] => {
                permit(Operation::ListRepositories)?;
                listing::list(request, service)
            }
            ["namespaces"] => {
                permit(Operation::ListNamespaces)?;
                repository::namespaces(request, service)
            }
            ["namespaces", namespace] => {
                permit(Operation::ShowNamespace)?;
                repository::namespace(namespace, service)
            }
            ["namespaces", namespace, "repos", name] => {
                permit(Operation::ShowRepository)?;
                repository::show(namespace, &with_slashes(name), service)
            }
            ["namespaces", namespace, "repos", name, "tags"] => {
                permit(Operation::ListTags)?;
                repository::tags(request, namespace, &with_slashes(name), service)
            }
            ["overview"] => {
                permit(Operation::Overview)?;
                Ok(account::overview(service))
            }
            ["projects", project, "quotas"] => {
                permit(Operation::Quotas)?;
                account::quotas(project, service)
            }
            ["projects", project, "feature-gates"] => {
                permit(Operation::FeatureGates)?;
                account::feature_gates(project, service)
            }
            _ => Err(unknown_api()),
        },
        ("GET", ["v3", "manage", "repos"]) if service.options.list_v3 == ListV3::Offered => {
            permit(Operation::ListRepositories)?;
            markers::list(request, service)
        }
        ("GET", ["v2", project, "instances"]) => {
            permit(Operation::ListInstances)?;
            enterprise::instances(request, project, service)
        }
        ("GET", ["v2", project, "instances", instance, "statistics"]) => {
            permit(Operation::InstanceStatistics)?;
            enterprise::statistics(project, instance, service)
        }
        ("GET", ["v2", project, "repositories"]) => {
            permit(Operation::ListInstanceRepositories)?;
            enterprise::repositories(request, project, service)
        }
        _ => Err(unknown_api()),
    }
}

/// Slashes travel as dollars, which no repository name contains.
fn with_slashes(name: &str) -> String {
    name.replace('$', "/")
}

/// The gateway knows pairs of method and path, and says the same whichever of the two is wrong.
fn unknown_api() -> Refusal {
    Refusal::gateway(404, "0101", "The API does not exist or has not been published in the environment")
}

#[cfg(test)]
mod tests {
    use super::super::probe::get;
    use super::super::{DEMO_PROJECT_ID, Simulator};
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
            (Operation::Overview, "/v2/manage/overview".to_owned()),
            (Operation::Quotas, format!("/v2/manage/projects/{DEMO_PROJECT_ID}/quotas")),
            (Operation::FeatureGates, format!("/v2/manage/projects/{DEMO_PROJECT_ID}/feature-gates")),
            (Operation::ListInstances, format!("/v2/{DEMO_PROJECT_ID}/instances")),
            (Operation::InstanceStatistics, format!("/v2/{DEMO_PROJECT_ID}/instances/{instance}/statistics")),
            (Operation::ListInstanceRepositories, format!("/v2/{DEMO_PROJECT_ID}/repositories")),
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
