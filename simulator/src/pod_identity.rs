//! The pod identity service of a cluster: temporary keys for a pod's token.

use serde_json::Value;

use super::context::RequestContext;
use super::http::Request;
use super::response::{ApiError, Response, Shape};
use super::temporary_keys;

/// `POST` to the path of the options.
pub(super) fn credentials(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    if !serde_json::from_slice::<Value>(&request.body).is_ok_and(|body| body.is_object()) {
        return Err(ApiError::new(400, Shape::Gateway, "CCE.01400001", "Invalid request."));
    }
    let options = &context.options.pod_identity;
    // The bare token, without an authentication scheme.
    let shown = request.header("authorization").unwrap_or_default();
    if !options.tokens.iter().any(|token| token == shown) {
        return Err(ApiError::new(401, Shape::Gateway, "CCE.01401001", "Authorization failed."));
    }
    let key = context.keys().issue(options.key_life, context.state.now());
    Ok(Response::json(temporary_keys::credentials(&key).to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::test_client::{ask, ask_signed, signer_of};
    use super::super::{DEMO_POD_TOKEN, Options, Simulator};

    #[tokio::test]
    async fn a_pod_token_buys_a_key_and_nothing_else_does() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let path = "/pod-identity/credentials";
        let right = [("Authorization", DEMO_POD_TOKEN)];
        let reply = ask(&running, "POST", path, &right, "{}").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.json()["expiration"].as_str().unwrap().ends_with('Z'));
        let key = signer_of(&reply.json());
        assert_eq!(ask_signed(&running, &key, "/v2/manage/repos").await.status, 200);
        let scheme = format!("Bearer {DEMO_POD_TOKEN}");
        for headers in [vec![], vec![("Authorization", "wrong")], vec![("Authorization", scheme.as_str())]] {
            assert_eq!(ask(&running, "POST", path, &headers, "{}").await.status, 401);
        }
        assert_eq!(ask(&running, "POST", path, &right, "").await.status, 400);
        assert_eq!(ask(&running, "GET", path, &right, "").await.status, 404);
        running.handle.configure(|options| {
            options.pod_identity.path = "/elsewhere".to_owned();
            options.pod_identity.tokens = vec!["rotated".to_owned()];
        });
        assert_eq!(ask(&running, "POST", "/elsewhere", &right, "{}").await.status, 401);
        assert_eq!(ask(&running, "POST", "/elsewhere", &[("Authorization", "rotated")], "{}").await.status, 200);
    }
}
