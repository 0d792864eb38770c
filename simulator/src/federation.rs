//! Federation: temporary keys for identity tokens, in two steps by the older IAM and in one by STS.

use std::time::Duration;

use serde_json::{Value, json};

use super::context::RequestContext;
use super::credential_options::KeyLife;
use super::http::Request;
use super::iam;
use super::response::{ApiError, Response, Shape};
use super::temporary_keys;
use super::timestamp;
use super::tokens::Scope;

/// Lifetimes of keys of the older IAM in seconds: least, most, default.
const IAM_LIVES: (u64, u64, u64) = (900, 86_400, 900);
/// Lifetimes of keys of STS in seconds: least, most, default.
const STS_LIVES: (u64, u64, u64) = (900, 43_200, 3_600);

/// `POST /v3.0/OS-AUTH/id-token/tokens`.
pub(super) fn id_token(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let auth = &iam::body(request)?["auth"];
    let provider = request.header("x-idp-id").ok_or_else(|| invalid("X-Idp-Id"))?;
    let shown = auth["id_token"]["id"].as_str().ok_or_else(|| invalid("id_token"))?;
    if provider != context.options.idp_id {
        let message = format!("Could not find identity provider: {provider}.");
        return Err(ApiError::new(404, Shape::Gateway, "IAM.0004", &message));
    }
    if !is_known(shown, context) {
        return Err(ApiError::new(401, Shape::Iam, "401", "The id token is invalid or has expired."));
    }
    let life = context.options.token_life;
    let now = context.state.now();
    let mut token = json!({
        "expires_at": timestamp::token_time(now + life),
        "issued_at": timestamp::token_time(now),
        "methods": ["mapped"],
        "user": {"id": context.id_of("federated"), "name": "FederationUser", "OS-FEDERATION": {
            "identity_provider": {"id": provider}, "protocol": {"id": "oidc"}, "groups": []}},
    });
    let scope = match &auth["scope"]["project"] {
        Value::Null => Scope::Account,
        wanted => {
            let project = iam::find_project(wanted, &context.options)?;
            token["project"] = json!({"id": project.id, "name": project.name});
            Scope::Project
        }
    };
    let text = context.tokens().issue(scope, life);
    Ok(Response::new(201, "application/json", json!({ "token": token }).to_string()).with("X-Subject-Token", text))
}

/// `POST /v3.0/OS-CREDENTIAL/securitytokens`.
pub(super) fn security_token(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let identity = &iam::body(request)?["auth"]["identity"];
    if identity["methods"] == json!(["assume_role"]) {
        return assume_role(&identity["assume_role"], request, context);
    }
    if identity["methods"] != json!(["token"]) {
        return Err(invalid("methods"));
    }
    let token = identity["token"]["id"].as_str().or_else(|| request.header("x-auth-token"));
    let token = token.ok_or_else(|| invalid("token"))?;
    let life = life(&identity["token"]["duration_seconds"], IAM_LIVES, context).ok_or_else(|| invalid("duration"))?;
    if context.tokens().check(token, Scope::Account, &context.options).is_err() {
        return Err(ApiError::new(401, Shape::Iam, "401", "The token is invalid or has expired."));
    }
    let key = context.keys().issue(life, context.state.now());
    Ok(Response::new(201, "application/json", json!({ "credential": temporary_keys::credential(&key) }).to_string()))
}

/// A key of an agency of another account, for a caller of this one.
fn assume_role(role: &Value, request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    context.identify(request, Scope::Account)?;
    let life = life(&role["duration_seconds"], IAM_LIVES, context).ok_or_else(|| invalid("duration"))?;
    let (agency, domain) = &context.options.delegated_agency;
    let is_of_domain = match (role["domain_name"].as_str(), role["domain_id"].as_str()) {
        (Some(name), None) => name == domain,
        (None, Some(id)) => id == context.id_of(domain),
        _ => return Err(invalid("domain_name")),
    };
    if role["agency_name"] != **agency || !is_of_domain {
        let message = "You are not authorized to perform the requested action.";
        return Err(ApiError::new(403, Shape::Iam, "403", message));
    }
    let key = context.keys().issue(life, context.state.now());
    Ok(Response::new(201, "application/json", json!({ "credential": temporary_keys::credential(&key) }).to_string()))
}

/// `POST /v5/agencies/assume-with-oidc`. Its error codes are guesses; only the statuses are known.
pub(super) fn assume_with_oidc(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let options = &context.options;
    let body = iam::body(request)?;
    let text = |name: &str| {
        let value = body[name].as_str().filter(|value| !value.is_empty());
        value.ok_or_else(|| sts(400, "STS5.0400", &format!("{name} is missing")))
    };
    let (provider, agency) = (text("provider_urn")?, text("agency_urn")?);
    let (session, shown) = (text("agency_session_name")?, text("id_token")?);
    let life = life(&body["duration_seconds"], STS_LIVES, context)
        .ok_or_else(|| sts(400, "STS5.0400", "duration_seconds is out of range"))?;
    if provider != options.provider_urn || agency != options.agency_urn {
        return Err(sts(403, "STS5.0403", "not allowed to assume the agency"));
    }
    if !is_known(shown, context) {
        return Err(sts(400, "STS5.0401", "the id token is invalid or has expired"));
    }
    let key = context.keys().issue(life, context.state.now());
    let response = json!({
        "credentials": temporary_keys::credentials(&key),
        "assumed_agency": {"urn": format!("{agency}/{session}"), "id": context.id_of(agency)},
    });
    Ok(Response::json(response.to_string()))
}

fn is_known(id_token: &str, context: &RequestContext<'_>) -> bool {
    context.options.id_tokens.iter().any(|known| known == id_token)
}

/// The lifetime of a key; `None` if the requested one is out of range.
fn life(asked: &Value, (least, most, unasked): (u64, u64, u64), context: &RequestContext<'_>) -> Option<Duration> {
    let seconds = if asked.is_null() { unasked } else { asked.as_u64()? };
    let life = Duration::from_secs(Some(seconds).filter(|seconds| (least..=most).contains(seconds))?);
    Some(match context.options.key_life {
        KeyLife::AsAsked => life,
        KeyLife::Exactly(exactly) => exactly,
    })
}

fn invalid(parameter: &str) -> ApiError {
    ApiError::new(400, Shape::Gateway, "IAM.0007", &format!("Request parameter {parameter} is invalid."))
}

fn sts(status: u16, code: &str, message: &str) -> ApiError {
    ApiError::new(status, Shape::Gateway, code, message)
}

#[cfg(test)]
mod tests {
    use super::super::test_client::{Reply, ask, ask_signed, signer_of};
    use super::super::{
        DEMO_AGENCY_URN, DEMO_ID_TOKEN, DEMO_IDP_ID, DEMO_PROJECT, DEMO_PROVIDER_URN, Options, Running, Simulator,
    };
    use super::*;

    async fn start() -> Running {
        Simulator::start(Options::default()).await.unwrap()
    }

    async fn show(running: &Running, provider: &str, id_token: &str, scope: Value) -> Reply {
        let body = json!({"auth": {"id_token": {"id": id_token}, "scope": scope}}).to_string();
        ask(running, "POST", "/v3.0/OS-AUTH/id-token/tokens", &[("X-Idp-Id", provider)], &body).await
    }

    async fn exchange(running: &Running, token: &str, seconds: Value) -> Reply {
        let identity = json!({"methods": ["token"], "token": {"id": token, "duration_seconds": seconds}});
        let body = json!({"auth": {"identity": identity}}).to_string();
        ask(running, "POST", "/v3.0/OS-CREDENTIAL/securitytokens", &[], &body).await
    }

    fn request() -> Value {
        json!({"provider_urn": DEMO_PROVIDER_URN, "agency_urn": DEMO_AGENCY_URN, "agency_session_name": "session",
               "id_token": DEMO_ID_TOKEN, "duration_seconds": 3600})
    }

    async fn assume(running: &Running, body: &Value) -> Reply {
        ask(running, "POST", "/v5/agencies/assume-with-oidc", &[], &body.to_string()).await
    }

    #[tokio::test]
    async fn an_id_token_buys_a_token_that_buys_a_key() {
        let running = start().await;
        let shown = show(&running, DEMO_IDP_ID, DEMO_ID_TOKEN, Value::Null).await;
        assert_eq!(shown.status, 201, "{}", shown.text());
        let token = shown.header("x-subject-token").unwrap();
        let bare = ask(&running, "GET", "/v2/manage/repos", &[("X-Auth-Token", token)], "").await;
        assert_eq!(bare.status, 401, "without a project it opens nothing but IAM");
        let bought = exchange(&running, token, json!(21_600)).await;
        assert_eq!(bought.status, 201, "{}", bought.text());
        let key = signer_of(&bought.json()["credential"]);
        assert_eq!(ask_signed(&running, &key, "/v2/manage/repos").await.status, 200);
        let scoped = show(&running, DEMO_IDP_ID, DEMO_ID_TOKEN, json!({"project": {"name": DEMO_PROJECT}})).await;
        let token = scoped.header("x-subject-token").unwrap();
        let listed = ask(&running, "GET", "/v2/manage/repos", &[("X-Auth-Token", token)], "").await;
        assert_eq!(listed.status, 200);
    }

    #[tokio::test]
    async fn the_older_exchange_fails_in_the_words_of_iam() {
        let running = start().await;
        let stranger = show(&running, "stranger", DEMO_ID_TOKEN, Value::Null).await;
        assert_eq!((stranger.status, &stranger.json()["error_code"]), (404, &json!("IAM.0004")));
        let wrong = show(&running, DEMO_IDP_ID, "wrong", Value::Null).await;
        assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (401, &json!(401)));
        let nobody = ask(&running, "POST", "/v3.0/OS-AUTH/id-token/tokens", &[], "{}").await;
        assert_eq!((nobody.status, &nobody.json()["error_code"]), (400, &json!("IAM.0007")));
        assert_eq!(exchange(&running, "wrong", Value::Null).await.status, 401);
        let token = running.handle.issue_token(Duration::from_secs(60));
        for (seconds, status) in [(json!(899), 400), (json!(900), 201), (json!(86_401), 400), (Value::Null, 201)] {
            assert_eq!(exchange(&running, &token, seconds).await.status, status);
        }
        running.handle.revoke_token(&token);
        assert_eq!(exchange(&running, &token, Value::Null).await.status, 401);
    }

    #[tokio::test]
    async fn sts_gives_a_key_at_once() {
        let running = start().await;
        let reply = assume(&running, &request()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let key = signer_of(&reply.json()["credentials"]);
        assert_eq!(ask_signed(&running, &key, "/v2/manage/repos").await.status, 200);
        for (name, value, status) in [
            ("id_token", json!("wrong"), 400),
            ("id_token", Value::Null, 400),
            ("agency_session_name", json!(""), 400),
            ("duration_seconds", json!(1), 400),
            ("agency_urn", json!("another"), 403),
            ("provider_urn", json!("another"), 403),
        ] {
            let mut body = request();
            body[name] = value;
            let reply = assume(&running, &body).await;
            assert_eq!(reply.status, status, "{name}");
            assert!(reply.json()["error_code"].as_str().unwrap().starts_with("STS5."));
        }
    }

    #[tokio::test]
    async fn id_tokens_rotate_and_the_life_of_keys_can_be_set() {
        let running = start().await;
        running.handle.accept_id_token("fresh");
        running.handle.revoke_id_token(DEMO_ID_TOKEN);
        assert_eq!(show(&running, DEMO_IDP_ID, DEMO_ID_TOKEN, Value::Null).await.status, 401);
        assert_eq!(assume(&running, &request()).await.status, 400);
        running.handle.configure(|options| options.key_life = KeyLife::Exactly(Duration::from_millis(1)));
        let mut body = request();
        body["id_token"] = json!("fresh");
        assert_eq!(assume(&running, &body).await.status, 200);
        let key = running.handle.temporary_keys().pop().unwrap();
        assert!(key.expires_at < running.handle.state.now() + Duration::from_secs(60));
    }
}
