//! Paths to answers: what the healthy service says. Faults come on top, elsewhere.

use std::sync::{Arc, MutexGuard};

use super::answer::{Answer, Refusal};
use super::http::{self, Request};
use super::image::mix;
use super::options::Options;
use super::shared::{self, Shared};
use super::verify::{self, Tokens};
use super::world::World;
use super::{iam, listing, repository};

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

    /// An identifier of 32 hexadecimal digits that always belongs to the same name.
    pub(super) fn id_of(&self, name: &str) -> String {
        let hash = name.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        format!("{:016x}{:016x}", hash, mix(hash))
    }
}

/// The answer to a request, complete but for `Date` and `X-Request-Id`.
pub(super) fn answer(request: &Request, service: &Service<'_>) -> Answer {
    let outcome = if service.shared.over_rate(&service.options) {
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

fn route(request: &Request, service: &Service<'_>) -> Result<Answer, Refusal> {
    // An escaped slash is resolved before the gateway looks for the API, which it then does not find.
    if request.path.to_ascii_lowercase().contains("%2f") {
        return Err(unknown_api());
    }
    let segments: Vec<String> = request.path.split('/').skip(1).map(http::percent_decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let allowed = |request| verify::check(request, &service.tokens(), &service.options, service.now);
    match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["v3", "auth", "tokens"]) => iam::login(request, service),
        ("GET", [""] | ["v2"]) => Ok(Answer::json(
            r#"{"versions":[{"id":"v2","links":{"href":"","rel":"self"},"min_version":"2.0","version":"2.26","status":"CURRENT","updated":"2020-07-09T00:00:00Z"}]}"#,
        )),
        ("GET", ["v2", "manage", rest @ ..]) => match *rest {
            ["repos"] => {
                allowed(request)?;
                listing::list(request, service)
            }
            ["namespaces"] => {
                allowed(request)?;
                repository::namespaces(request, service)
            }
            ["namespaces", namespace] => {
                allowed(request)?;
                repository::namespace(namespace, service)
            }
            ["namespaces", namespace, "repos", name] => {
                allowed(request)?;
                repository::show(namespace, &with_slashes(name), service)
            }
            ["namespaces", namespace, "repos", name, "tags"] => {
                allowed(request)?;
                repository::tags(request, namespace, &with_slashes(name), service)
            }
            _ => Err(unknown_api()),
        },
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
