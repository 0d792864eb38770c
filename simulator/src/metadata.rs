//! The metadata service of a virtual machine: a token first, then keys of the machine's agency.

use std::time::Duration;

use serde_json::json;

use super::context::RequestContext;
use super::credential_options::{Agency, MetadataMode};
use super::http::Request;
use super::response::{ApiError, Response, Shape};
use super::temporary_keys;

/// The longest life of a metadata token, in seconds.
const MAX_TOKEN_LIFE: u64 = 21_600;

/// `PUT /meta-data/latest/api/token`.
pub(super) fn token(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    admit(request, context)?;
    if let MetadataMode::Open(status) = context.options.metadata.mode {
        return Err(ApiError::new(status, Shape::Html, "", ""));
    }
    let life = request.header("x-metadata-token-ttl-seconds").and_then(|seconds| seconds.parse::<u64>().ok());
    let life = life.filter(|seconds| (1..=MAX_TOKEN_LIFE).contains(seconds));
    let life = life.ok_or_else(|| ApiError::new(400, Shape::Html, "", ""))?;
    let token = context.state.instance.lock().issue_token(Duration::from_secs(life));
    Ok(Response::new(200, "text/plain", token))
}

/// `GET /openstack/latest/securitykey`.
pub(super) fn security_key(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    admit(request, context)?;
    let options = &context.options.metadata;
    let mut instance = context.state.instance.lock();
    let welcome = match (options.mode, request.header("x-metadata-token")) {
        (MetadataMode::Open(_), _) | (MetadataMode::TokenOptional, None) => true,
        (_, Some(token)) => instance.takes(token),
        (_, None) => false,
    };
    if !welcome {
        return Err(ApiError::new(401, Shape::Html, "", ""));
    }
    if options.agency == Agency::Missing {
        return Ok(Response::new(
            401,
            "text/plain",
            "401 Unauthorized\nPlease configure Cloud RequestContext Agency first\n",
        ));
    }
    let key = instance.key(&mut context.keys(), options, context.state.now());
    Ok(Response::json(json!({ "credential": temporary_keys::credential(&key) }).to_string()))
}

/// Rejects proxied requests: they do not come from the machine itself.
fn admit(request: &Request, context: &RequestContext<'_>) -> Result<(), ApiError> {
    if context.options.metadata.mode == MetadataMode::Down {
        return Err(ApiError::new(503, Shape::Html, "", ""));
    }
    if request.header("x-forwarded-for").is_some() {
        return Err(ApiError::new(403, Shape::Html, "", ""));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::test_client::{Reply, ask, ask_signed, signer_of};
    use super::super::{Action, Metadata, Options, Rule, Running, Simulator};
    use super::*;

    const TOKEN: &str = "/meta-data/latest/api/token";
    const KEY: &str = "/openstack/latest/securitykey";

    async fn start(metadata: Metadata) -> Running {
        Simulator::start(Options { metadata, ..Options::default() }).await.unwrap()
    }

    async fn get_token(running: &Running) -> Reply {
        ask(running, "PUT", TOKEN, &[("X-Metadata-Token-Ttl-Seconds", "21600")], "").await
    }

    async fn get_key(running: &Running, token: &str) -> Reply {
        ask(running, "GET", KEY, &[("X-Metadata-Token", token)], "").await
    }

    #[tokio::test]
    async fn a_token_opens_and_the_keys_sign() {
        let running = start(Metadata::default()).await;
        let token = get_token(&running).await;
        assert_eq!((token.status, token.header("content-type")), (200, Some("text/plain")));
        let reply = get_key(&running, token.text()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let key = signer_of(&reply.json()["credential"]);
        assert_eq!(ask_signed(&running, &key, "/v2/manage/repos").await.status, 200);
        running.handle.expire_metadata_tokens();
        assert_eq!(get_key(&running, token.text()).await.status, 401);
        assert_eq!(ask(&running, "GET", KEY, &[], "").await.status, 401);
        for life in ["0", "21601", "long"] {
            let reply = ask(&running, "PUT", TOKEN, &[("X-Metadata-Token-Ttl-Seconds", life)], "").await;
            assert_eq!(reply.status, 400, "{life}");
        }
        assert_eq!(running.handle.count("/meta-data"), 4);
    }

    #[tokio::test]
    async fn keys_rotate_before_their_end_and_both_work() {
        let hour = Duration::from_secs(3_600);
        let running = start(Metadata { mode: MetadataMode::TokenOptional, ..Metadata::default() }).await;
        let simulator = &running.handle;
        let key = async || signer_of(&ask(&running, "GET", KEY, &[], "").await.json()["credential"]);
        let first = key().await;
        assert_eq!(key().await, first, "the same for most of the hour");
        simulator.rotate_metadata_key();
        let second = key().await;
        simulator.configure(|options| options.metadata.rotate_before = hour);
        let third = key().await;
        assert!(first != second && second != third, "the hour is nearly over");
        for key in [&first, &second, &third] {
            assert_eq!(ask_signed(&running, key, "/v2/manage/repos").await.status, 200);
        }
        simulator.configure(|options| options.metadata.rotate_before = hour / 6);
        simulator.revoke_temporary_keys();
        let fourth = key().await;
        assert_eq!(ask_signed(&running, &third, "/v2/manage/repos").await.status, 401);
        assert_eq!(ask_signed(&running, &fourth, "/v2/manage/repos").await.status, 200);
    }

    #[tokio::test]
    async fn it_can_be_open_without_agency_or_down() {
        let running = start(Metadata { mode: MetadataMode::Open(405), ..Metadata::default() }).await;
        assert_eq!(get_token(&running).await.status, 405);
        assert_eq!(ask(&running, "GET", KEY, &[], "").await.status, 200);
        running.handle.configure(|options| options.metadata.agency = Agency::Missing);
        let missing = ask(&running, "GET", KEY, &[], "").await;
        assert_eq!(missing.status, 401);
        assert!(missing.text().contains("Please configure Cloud RequestContext Agency first"));
        running.handle.configure(|options| options.metadata.mode = MetadataMode::Down);
        assert_eq!((get_token(&running).await.status, get_key(&running, "").await.status), (503, 503));
    }

    #[tokio::test]
    async fn proxies_are_refused_and_faults_apply_but_no_rate_limit() {
        let running = start(Metadata::default()).await;
        let headers = [("X-Metadata-Token-Ttl-Seconds", "60"), ("X-Forwarded-For", "10.0.0.1")];
        assert_eq!(ask(&running, "PUT", TOKEN, &headers, "").await.status, 403);
        running.handle.configure(|options| options.requests_per_second = Some(0));
        running.handle.fault(Rule::once(Action::error(500, Shape::Empty, "", "")).path("/meta-data"));
        assert_eq!(get_token(&running).await.status, 500);
        assert_eq!(get_token(&running).await.status, 200);
    }
}
