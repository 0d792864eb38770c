//! The pod identity service of a cluster: keys for a token that the cluster puts into the pod.

use serde_json::Value;

use super::answer::{Answer, Refusal, Shape};
use super::http::Request;
use super::keys;
use super::routes::Service;

/// `POST` to the path of the options.
pub(super) fn credentials(request: &Request, service: &Service<'_>) -> Result<Answer, Refusal> {
    if !serde_json::from_slice::<Value>(&request.body).is_ok_and(|body| body.is_object()) {
        return Err(Refusal::new(400, Shape::Gateway, "CCE.01400001", "Invalid request."));
    }
    let options = &service.options.pod_identity;
    // The bare token, without a scheme word before it.
    let shown = request.header("authorization").unwrap_or_default();
    if !options.tokens.iter().any(|token| token == shown) {
        return Err(Refusal::new(401, Shape::Gateway, "CCE.01401001", "Authorization failed."));
    }
    let key = service.keys().issue(options.key_life, service.shared.now());
    Ok(Answer::json(keys::credentials(&key).to_string()))
}
