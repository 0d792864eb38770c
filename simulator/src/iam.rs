//! IAM: password logins, and the projects of an account.

use serde_json::{Value, json};

use super::context::RequestContext;
use super::credential_options::{User, UserAccess};
use super::http::Request;
use super::options::{Options, Project};
use super::response::{ApiError, Response, Shape};

use super::timestamp;
use super::tokens::Scope;

/// `POST /v3/auth/tokens`.
pub(super) fn login(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    let auth = &body(request)?["auth"];
    let methods = auth["identity"]["methods"].as_array().ok_or_else(|| malformed("methods are missing"))?;
    if !methods.iter().any(|method| method == "password") {
        return Err(malformed("The authentication method is not supported."));
    }
    let user = authenticate(&auth["identity"]["password"]["user"], context)?;
    let domain = json!({"id": context.id_of(&user.domain), "name": user.domain});
    let life = context.options.token_life;
    let now = context.state.now();
    let mut token = json!({
        "expires_at": timestamp::token_time(now + life),
        "issued_at": timestamp::token_time(now),
        "methods": ["password"],
        "roles": [{"id": "0", "name": "te_admin"}],
        "user": {"id": context.id_of(&user.name), "name": user.name, "domain": domain, "password_expires_at": ""},
        "catalog": catalog(request, context),
    });
    // A project takes precedence over an account; the default is the account.
    let scope = match &auth["scope"]["project"] {
        Value::Null => {
            token["domain"] = domain;
            Scope::Account
        }
        wanted => {
            let project = find_project(wanted, &context.options)?;
            token["project"] = json!({"id": project.id, "name": project.name, "domain": domain});
            Scope::Project
        }
    };
    let text = context.tokens().issue(scope, life);
    let body = json!({ "token": token }).to_string();
    Ok(Response::new(201, "application/json", body)
        .with("X-Subject-Token", text)
        .with("X-IAM-Trace-Id", &*context.request_id))
}

/// `GET /v3/projects`.
pub(super) fn projects(request: &Request, context: &RequestContext<'_>) -> Result<Response, ApiError> {
    context.identify(request, Scope::Account)?;
    let wanted = request.query("name");
    let found = context.options.projects.iter().filter(|project| wanted.is_none_or(|name| name == project.name));
    let listed: Vec<Value> = found
        .map(|project| {
            json!({
                "id": project.id,
                "name": project.name,
                "domain_id": context.id_of("domain"),
                "parent_id": context.id_of("domain"),
                "is_domain": false,
                "enabled": true,
                "description": "",
                "links": {"self": format!("/v3/projects/{}", project.id)},
            })
        })
        .collect();
    let links = json!({"self": "/v3/projects", "next": null, "previous": null});
    Ok(Response::json(json!({"projects": listed, "links": links}).to_string()))
}

/// The body of a request to IAM or STS.
pub(super) fn body(request: &Request) -> Result<Value, ApiError> {
    serde_json::from_slice(&request.body).map_err(|_| malformed("The request body is invalid."))
}

/// The project that a scope means.
pub(super) fn find_project<'a>(wanted: &Value, options: &'a Options) -> Result<&'a Project, ApiError> {
    options
        .projects
        .iter()
        .find(|known| wanted["id"] == *known.id || (wanted["id"].is_null() && wanted["name"] == *known.name))
        .ok_or_else(|| ApiError::new(401, Shape::Iam, "401", "The project is not found."))
}

/// Authenticates a user by password.
fn authenticate<'a>(shown: &Value, context: &'a RequestContext<'_>) -> Result<&'a User, ApiError> {
    let unauthorized = |message: &str| ApiError::new(401, Shape::Iam, "401", message);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (domain, name) = (text(&shown["domain"]["name"]), text(&shown["name"]));
    let who = format!("{domain}/{name}");
    let mut logins = context.state.logins.lock();
    if logins.is_locked(&who) {
        logins.rejected();
        return Err(unauthorized("The user is locked because of too many failed logins. Try again later."));
    }
    let users = &context.options.users;
    let user = users.iter().find(|user| user.domain == domain && user.name == name);
    let Some(user) = user.filter(|user| shown["password"] == *user.password) else {
        logins.failed(&who, &context.options.lockout);
        return Err(unauthorized("The username or password is wrong."));
    };
    match user.access {
        UserAccess::Programmatic => {
            logins.succeeded(&who);
            Ok(user)
        }
        UserAccess::MfaRequired => {
            logins.rejected();
            Err(unauthorized("Virtual MFA verification is required: the methods must be password and totp."))
        }
        UserAccess::ConsoleOnly => {
            logins.rejected();
            Err(ApiError::new(403, Shape::Iam, "403", "The user is not allowed programmatic access."))
        }
    }
}

/// The service catalog; empty with `nocatalog`.
fn catalog(request: &Request, context: &RequestContext<'_>) -> Value {
    if request.query("nocatalog").is_some_and(|value| !value.is_empty()) {
        return json!([]);
    }
    let entries = ["iam", "swr", "ecs", "vpc", "evs", "obs", "cce", "rds"].map(|kind| {
        let endpoint = json!({"id": context.id_of(kind), "interface": "public", "region": "*", "region_id": "*",
                              "url": format!("https://{kind}.example.com")});
        json!({"id": context.id_of(kind), "type": kind, "name": kind, "endpoints": [endpoint]})
    });
    json!(entries)
}

fn malformed(message: &str) -> ApiError {
    ApiError::new(400, Shape::Iam, "400", message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::test_client::{Reply, ask, ask_signed, get, until};
    use super::super::{DEMO_DOMAIN, DEMO_PASSWORD, DEMO_PROJECT, DEMO_PROJECT_ID, DEMO_USER, Running, Simulator};
    use super::*;

    async fn log_in(running: &Running, password: &str, scope: Value) -> Reply {
        let user = json!({"name": DEMO_USER, "password": password, "domain": {"name": DEMO_DOMAIN}});
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}});
        ask(running, "POST", "/v3/auth/tokens?nocatalog=true", &[], &body.to_string()).await
    }

    #[tokio::test]
    async fn a_password_buys_a_token_that_works() {
        let running = Simulator::start(Options::default()).await.unwrap();
        for project in [json!({"name": DEMO_PROJECT}), json!({"id": DEMO_PROJECT_ID})] {
            let reply = log_in(&running, DEMO_PASSWORD, json!({ "project": project })).await;
            assert_eq!(reply.status, 201, "{}", reply.text());
            assert_eq!(reply.json()["token"]["project"]["id"], DEMO_PROJECT_ID);
            let expiry = reply.json()["token"]["expires_at"].as_str().unwrap().to_owned();
            assert!(expiry.len() == 27 && expiry.ends_with('Z'), "{expiry}");
            let token = reply.header("x-subject-token").unwrap();
            let listed = ask(&running, "GET", "/v2/manage/repos", &[("X-Auth-Token", token)], "").await;
            assert_eq!(listed.status, 200);
        }
    }

    #[tokio::test]
    async fn other_logins_fail_in_the_shape_of_iam() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let project = json!({"project": {"name": DEMO_PROJECT}});
        let wrong = log_in(&running, "wrong", project).await;
        assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (401, &json!(401)));
        assert_eq!(wrong.json()["error"]["title"], "Unauthorized");
        let nowhere = log_in(&running, DEMO_PASSWORD, json!({"project": {"name": "absent"}})).await;
        assert_eq!(nowhere.status, 401);
        let nonsense = ask(&running, "POST", "/v3/auth/tokens", &[], "{").await;
        assert_eq!((nonsense.status, &nonsense.json()["error"]["code"]), (400, &json!(400)));
    }

    #[tokio::test]
    async fn a_third_wrong_password_locks_the_user() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let simulator = &running.handle;
        let project = || json!({"project": {"name": DEMO_PROJECT}});
        assert_eq!(log_in(&running, DEMO_PASSWORD, project()).await.status, 201);
        for _ in 0..3 {
            let wrong = log_in(&running, "wrong", project()).await;
            assert!(wrong.status == 401 && wrong.text().contains("The username or password is wrong."));
        }
        let locked = log_in(&running, DEMO_PASSWORD, project()).await;
        assert!(locked.status == 401 && locked.text().contains("locked"), "{}", locked.text());
        assert_eq!((simulator.logins(), simulator.failed_logins()), (1, 4));
        simulator.unlock();
        simulator.configure(|options| options.lockout.lasts = Duration::from_millis(50));
        for _ in 0..3 {
            log_in(&running, "wrong", project()).await;
        }
        let end = tokio::time::Instant::now() + Duration::from_millis(50);
        until("the lock opens", || tokio::time::Instant::now() > end).await;
        assert_eq!(log_in(&running, DEMO_PASSWORD, project()).await.status, 201);
    }

    #[tokio::test]
    async fn some_users_may_not_log_in_with_a_password_alone() {
        let running = Simulator::start(Options::default()).await.unwrap();
        for (access, status, word) in [(UserAccess::MfaRequired, 401, "MFA"), (UserAccess::ConsoleOnly, 403, "access")]
        {
            running.handle.configure(|options| options.users[0].access = access);
            let reply = log_in(&running, DEMO_PASSWORD, json!({"project": {"name": DEMO_PROJECT}})).await;
            assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!(status)));
            assert!(reply.text().contains(word), "{}", reply.text());
        }
    }

    #[tokio::test]
    async fn tokens_expire_and_the_catalogue_is_left_out_on_request() {
        let running = Simulator::start(Options::default()).await.unwrap();
        running.handle.configure(|options| options.token_life = Duration::from_millis(100));
        let reply = log_in(&running, DEMO_PASSWORD, json!({"project": {"name": DEMO_PROJECT}})).await;
        assert_eq!(reply.json()["token"]["catalog"], json!([]));
        let token = [("X-Auth-Token", reply.header("x-subject-token").unwrap())];
        let end = tokio::time::Instant::now() + Duration::from_millis(100);
        until("the token expires", || tokio::time::Instant::now() > end).await;
        let late = ask(&running, "GET", "/v2/manage/repos", &token, "").await;
        assert_eq!((late.status, &late.json()["error_code"]), (401, &json!("APIGW.0307")));
        let user = json!({"name": DEMO_USER, "password": DEMO_PASSWORD, "domain": {"name": DEMO_DOMAIN}});
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}).to_string();
        let full = ask(&running, "POST", "/v3/auth/tokens", &[], &body).await;
        assert_eq!(full.json()["token"]["catalog"].as_array().unwrap().len(), 8);
        assert_eq!(full.json()["token"]["domain"]["name"], DEMO_DOMAIN, "no scope is the account");
    }

    #[tokio::test]
    async fn projects_are_found_by_name() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let key = running.handle.state.options().access_keys[0].clone();
        let found = ask_signed(&running, &key, &format!("/v3/projects?name={DEMO_PROJECT}")).await;
        assert_eq!(found.json()["projects"][0]["id"], DEMO_PROJECT_ID, "{}", found.text());
        assert_eq!(get(&running, "/v3/projects?name=absent").await.json()["projects"], json!([]));
        assert_eq!(get(&running, "/v3/projects").await.json()["projects"].as_array().unwrap().len(), 1);
        assert_eq!(ask(&running, "GET", "/v3/projects", &[], "").await.status, 401);
    }

    #[tokio::test]
    async fn a_token_for_the_account_does_not_open_swr() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let reply = log_in(&running, DEMO_PASSWORD, json!({"domain": {"name": DEMO_DOMAIN}})).await;
        assert_eq!(reply.status, 201);
        let token = reply.header("x-subject-token").unwrap();
        let listed = ask(&running, "GET", "/v2/manage/repos", &[("X-Auth-Token", token)], "").await;
        assert_eq!((listed.status, &listed.json()["error_code"]), (401, &json!("APIGW.0301")));
    }
}
