//! The metadata service of a virtual machine: a token first, then keys of the agency that is bound to the machine.

use std::time::Duration;

use serde_json::json;

use super::answer::{Answer, Refusal, Shape};
use super::http::Request;
use super::identity::{Agency, MetadataMode};
use super::keys;
use super::routes::Service;
use super::shared::lock;

/// The longest life of a metadata token, in seconds.
const LONGEST_TOKEN_LIFE: u64 = 21_600;

/// `PUT /meta-data/latest/api/token`.
pub(super) fn token(request: &Request, service: &Service<'_>) -> Result<Answer, Refusal> {
    admit(request, service)?;
    if let MetadataMode::Open(status) = service.options.metadata.mode {
        return Err(Refusal::new(status, Shape::Html, "", ""));
    }
    let life = request.header("x-metadata-token-ttl-seconds").and_then(|seconds| seconds.parse::<u64>().ok());
    let life = life.filter(|seconds| (1..=LONGEST_TOKEN_LIFE).contains(seconds));
    let life = life.ok_or_else(|| Refusal::new(400, Shape::Html, "", ""))?;
    let token = lock(&service.shared.instance).issue_token(Duration::from_secs(life));
    Ok(Answer::new(200, "text/plain", token))
}

/// `GET /openstack/latest/securitykey`.
pub(super) fn security_key(request: &Request, service: &Service<'_>) -> Result<Answer, Refusal> {
    admit(request, service)?;
    let options = &service.options.metadata;
    let mut instance = lock(&service.shared.instance);
    let welcome = match (options.mode, request.header("x-metadata-token")) {
        (MetadataMode::Open(_), _) | (MetadataMode::TokenOptional, None) => true,
        (_, Some(token)) => instance.takes(token),
        (_, None) => false,
    };
    if !welcome {
        return Err(Refusal::new(401, Shape::Html, "", ""));
    }
    if options.agency == Agency::Missing {
        return Ok(Answer::new(401, "text/plain", "401 Unauthorized\nPlease configure Cloud Service Agency first\n"));
    }
    let key = instance.key(&mut service.keys(), options, service.shared.now());
    Ok(Answer::json(json!({ "credential": keys::credential(&key) }).to_string()))
}

/// What comes through a proxy did not come from the machine, so it must not get the machine's keys.
fn admit(request: &Request, service: &Service<'_>) -> Result<(), Refusal> {
    if service.options.metadata.mode == MetadataMode::Down {
        return Err(Refusal::new(503, Shape::Html, "", ""));
    }
    if request.header("x-forwarded-for").is_some() {
        return Err(Refusal::new(403, Shape::Html, "", ""));
    }
    Ok(())
}
