//! The login of IAM: a password for a token. Other methods belong here once they are needed.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Shape};
use super::http::Request;
use super::options::{Options, Project};
use super::routes::Service;
use super::timestamp;

/// `POST /v3/auth/tokens`.
pub(super) fn login(request: &Request, service: &Service<'_>) -> Result<Answer, Refusal> {
    let auth: Value = serde_json::from_slice(&request.body).map_err(|_| malformed("The request body is invalid."))?;
    let auth = &auth["auth"];
    let methods = auth["identity"]["methods"].as_array().ok_or_else(|| malformed("methods are missing"))?;
    if !methods.iter().any(|method| method == "password") {
        return Err(malformed("The authentication method is not supported."));
    }
    let user = &auth["identity"]["password"]["user"];
    let (domain, name) = (&user["domain"]["name"], &user["name"]);
    let known = service
        .options
        .users
        .iter()
        .find(|known| *domain == *known.domain && *name == *known.name && user["password"] == *known.password);
    if known.is_none() {
        return Err(Refusal::new(401, Shape::Iam, "401", "The username or password is wrong."));
    }
    let issued = service.now;
    let life = i64::try_from(service.options.token_life.as_secs()).unwrap_or(i64::MAX / 4);
    let mut token = json!({
        "expires_at": timestamp::token_time(issued + life),
        "issued_at": timestamp::token_time(issued),
        "methods": ["password"],
        "roles": [{"id": "0", "name": "te_admin"}],
        "user": {"id": service.id_of(name.as_str().unwrap_or_default()), "name": name,
                 "domain": {"id": service.id_of(domain.as_str().unwrap_or_default()), "name": domain}},
        "catalog": [],
    });
    let scope = &auth["scope"];
    let text = if scope["project"].is_object() {
        let project = find_project(&scope["project"], &service.options)?;
        token["project"] = json!({"id": project.id, "name": project.name, "domain": token["user"]["domain"]});
        service.tokens().issue(service.options.token_life)
    } else {
        token["domain"] = token["user"]["domain"].clone();
        service.tokens().issue_account_scoped()
    };
    let body = json!({ "token": token }).to_string();
    Ok(Answer::new(201, "application/json", body)
        .with("X-Subject-Token", text)
        .with("X-IAM-Trace-Id", &*service.request_id))
}

fn find_project<'a>(wanted: &Value, options: &'a Options) -> Result<&'a Project, Refusal> {
    options
        .projects
        .iter()
        .find(|known| wanted["id"] == *known.id || (wanted["id"].is_null() && wanted["name"] == *known.name))
        .ok_or_else(|| Refusal::new(401, Shape::Iam, "401", "The project is not found."))
}

fn malformed(message: &str) -> Refusal {
    Refusal::new(400, Shape::Iam, "400", message)
}

#[cfg(test)]
mod tests {
    use super::super::probe::{Reply, ask};
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
            assert!(reply.json()["token"]["expires_at"].as_str().unwrap().ends_with(".000000Z"));
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
    async fn a_token_for_the_account_does_not_open_swr() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let reply = log_in(&running, DEMO_PASSWORD, json!({"domain": {"name": DEMO_DOMAIN}})).await;
        assert_eq!(reply.status, 201);
        let token = reply.header("x-subject-token").unwrap();
        let listed = ask(&running, "GET", "/v2/manage/repos", &[("X-Auth-Token", token)], "").await;
        assert_eq!((listed.status, &listed.json()["error_code"]), (401, &json!("APIGW.0301")));
    }
}
