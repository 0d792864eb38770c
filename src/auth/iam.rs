//! A login with a password: a token for a project, which is what SWR takes.

use super::temporary::time_of;
use super::token_client::{HttpRequest, Network, Operation};
use super::{AuthError, Credential, IssuedCredential, SecretSource, TokenClient, ends};
use crate::base::secret::Secret;
use hyper::http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::Zeroizing;

/// IAM answers in a second or two; a refresh waits for this.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Who logs in where.
#[derive(Debug)]
pub struct PasswordProvider {
    /// `https://iam.<region>...`, without a path.
    pub endpoint: String,
    /// The account.
    pub domain: String,
    /// The IAM user.
    pub user: String,
    /// Its password.
    pub password: SecretSource,
    /// What the token is for.
    pub project: Project,
}

/// The project that a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Project {
    /// By its id.
    Id(String),
    /// By its name; that of a region's default project is the region's.
    Name(String),
}

impl PasswordProvider {
    pub(super) fn read(&self) -> Result<Login, AuthError> {
        Ok(Login {
            endpoint: self.endpoint.clone(),
            domain: self.domain.clone(),
            user: self.user.clone(),
            password: self.password.read_password("the password")?,
            project: self.project.clone(),
        })
    }
}

/// A login that is ready to be made.
#[derive(Debug)]
pub struct Login {
    endpoint: String,
    pub(super) domain: String,
    pub(super) user: String,
    pub(super) password: Secret,
    project: Project,
}

#[derive(Serialize)]
struct Auth<'a> {
    identity: Identity<'a>,
    scope: Scope<'a>,
}

#[derive(Serialize)]
struct Identity<'a> {
    methods: [&'static str; 1],
    password: Password<'a>,
}

#[derive(Serialize)]
struct Password<'a> {
    user: User<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    name: &'a str,
    password: &'a str,
    domain: Named<'a>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Scope<'a> {
    project: ProjectBy<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum ProjectBy<'a> {
    Id(&'a str),
    Name(&'a str),
}

#[derive(Serialize)]
struct Body<'a> {
    auth: Auth<'a>,
}

#[derive(Deserialize)]
struct Answered {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    expires_at: Option<String>,
}

impl Login {
    pub(super) async fn run(&self, door: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let user = User { name: &self.user, password: self.password.expose(), domain: Named { name: &self.domain } };
        let project = match &self.project {
            Project::Id(id) => ProjectBy::Id(id),
            Project::Name(name) => ProjectBy::Name(name),
        };
        let identity = Identity { methods: ["password"], password: Password { user } };
        let body = Body { auth: Auth { identity, scope: Scope { project } } };
        let question = HttpRequest {
            what: Operation::IamToken,
            way: Network::Public,
            patience: PATIENCE,
            method: Method::POST,
            // Without the catalogue, which makes tokens and answers large.
            url: format!("{}/v3/auth/tokens?nocatalog=true", self.endpoint),
            headers: HeaderMap::new(),
            body: Zeroizing::default(),
        }
        .with_json(&body);
        let reply = door.ask(question).await?.good()?;
        let token = reply.secret_header("x-subject-token").ok_or_else(|| reply.odd("there is no X-Subject-Token"))?;
        let expires_at = serde_json::from_slice::<Answered>(&reply.body)
            .ok()
            .and_then(|answered| answered.token.expires_at)
            .and_then(|text| time_of(&text));
        if expires_at.is_some_and(|end| end <= reply.now) {
            return Err(reply.odd("the token in it has expired"));
        }
        let ends = expires_at.map(|end| ends(end, reply.now, reply.asked_at));
        Ok(IssuedCredential { credential: Credential::Token(token), expires_at, ends })
    }
}
