//! A login with a password: a token for a project, which is what SWR takes.

use super::exchange::{Issuing, Provider, ProviderState, TokenService};
use super::temporary::parse_timestamp;
use super::token_client::Json::{List, Object, Text};
use super::token_client::{HttpRequest, JSON_UTF8, Json, Operation};
use super::{AuthError, Credential, IssuedCredential, SecretSource, TokenClient};
use crate::base::secret::Secret;
use hyper::http::Method;

/// A user and where it logs in.
#[derive(Clone, Debug)]
pub struct PasswordProvider {
    /// `https://iam.<region>...`, without a path.
    pub endpoint: String,
    /// The account.
    pub domain: String,
    /// The IAM user.
    pub user: String,
    /// The user's password.
    pub password: SecretSource,
    /// The project that the token is for.
    pub project: Project,
}

/// The project that a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Project {
    /// By its id.
    Id(String),
    /// By its name; the default project of a region has the region's name.
    Name(String),
    /// None: the token is for the account of the user, and opens IAM alone.
    Account,
}

impl Provider for PasswordProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        Ok(ProviderState::needs_exchange(self.password.read_password("the password")?, self.clone()))
    }

    fn owner(&self) -> String {
        format!("{}/{}", self.domain, self.user)
    }
}

impl PasswordProvider {
    async fn log_in(&self, password: &Secret, client: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let domain = [("name", Text(&self.domain))];
        let user =
            [("name", Text(&self.user)), ("password", Json::Secret(password.expose())), ("domain", Object(&domain))];
        let password = [("user", Object(&user))];
        let identity = [("methods", List(&[Text("password")])), ("password", Object(&password))];
        let (kind, which) = match &self.project {
            Project::Id(id) => ("project", [("id", Text(id))]),
            Project::Name(name) => ("project", [("name", Text(name))]),
            Project::Account => ("domain", [("name", Text(&self.domain))]),
        };
        let scope = [(kind, Object(&which))];
        let auth = [("identity", Object(&identity)), ("scope", Object(&scope))];
        // Without the catalogue, which makes tokens and responses large.
        let url = format!("{}/v3/auth/tokens?nocatalog=true", self.endpoint);
        let request = HttpRequest::new(Operation::IamToken, Method::POST, url);
        let response = client.send(request.json(JSON_UTF8, &Object(&[("auth", Object(&auth))]))).await?.success()?;
        let token = response.subject_token()?;
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let expires_at = body["token"]["expires_at"].as_str().and_then(parse_timestamp);
        response.issue(Credential::Token(token), expires_at)
    }
}

impl TokenService for PasswordProvider {
    fn exchange<'a>(&'a self, password: &'a Secret, client: &'a TokenClient) -> Issuing<'a> {
        Box::pin(self.log_in(password, client))
    }

    fn can_lock_out(&self) -> bool {
        true
    }
}
