//! An identity token that the platform puts into a file, exchanged for a temporary key: by the older IAM in two steps, or
//! by STS in one. The file is read anew each time, because platforms replace it.

use super::iam::PATIENCE;
use super::token_client::{HttpRequest, Network, Operation};
use super::{AuthError, IssuedCredential, SecretSource, TokenClient, temporary};
use crate::base::secret::Secret;
use hyper::http::{HeaderMap, Method};
use serde::Serialize;
use zeroize::Zeroizing;

/// How long the keys of the older exchange are asked to live: six hours, of 15 minutes to 24 hours.
const KEY_LIFE_SECONDS: u32 = 6 * 3600;

/// Where the identity token is and who takes it.
#[derive(Debug)]
pub struct OidcProvider {
    /// The identity token.
    pub id_token: SecretSource,
    /// Who takes it.
    pub exchange: Exchange,
}

/// Who takes an identity token.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// IAM, for an identity provider that is registered there.
    Iam {
        /// `https://iam.<region>...`, without a path.
        endpoint: String,
        /// The identity provider's id.
        idp_id: String,
    },
    /// STS, for an agency that trusts the provider.
    Sts {
        /// `https://sts.<region>...`, without a path.
        endpoint: String,
        /// The identity provider.
        provider_urn: String,
        /// The agency to assume.
        agency_urn: String,
        /// Shown in the cloud's audit log.
        session_name: String,
        /// How long the key is to live.
        duration_seconds: u32,
        /// A policy that narrows the agency's.
        policy: Option<String>,
        /// The same by ids.
        policy_ids: Vec<String>,
    },
}

impl OidcProvider {
    pub(super) fn read(&self) -> Result<ExchangeRequest, AuthError> {
        Ok(ExchangeRequest { id_token: self.id_token.read("the identity token")?, exchange: self.exchange.clone() })
    }
}

/// An exchange that is ready to be made.
#[derive(Debug)]
pub struct ExchangeRequest {
    pub(super) id_token: Secret,
    pub(super) exchange: Exchange,
}

#[derive(Serialize)]
struct Body<T> {
    auth: T,
}

#[derive(Serialize)]
struct ByIdToken<'a> {
    id_token: IdToken<'a>,
}

#[derive(Serialize)]
struct IdToken<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct ByToken<'a> {
    identity: Identity<'a>,
}

#[derive(Serialize)]
struct Identity<'a> {
    methods: [&'static str; 1],
    token: Token<'a>,
}

#[derive(Serialize)]
struct Token<'a> {
    id: &'a str,
    duration_seconds: u32,
}

#[derive(Serialize)]
struct Assume<'a> {
    provider_urn: &'a str,
    agency_urn: &'a str,
    agency_session_name: &'a str,
    id_token: &'a str,
    duration_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    policy_ids: &'a [String],
}

impl ExchangeRequest {
    pub(super) async fn run(&self, door: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let id_token = self.id_token.expose();
        match &self.exchange {
            Exchange::Iam { endpoint, idp_id } => by_iam(door, endpoint, idp_id, id_token).await,
            Exchange::Sts {
                endpoint,
                provider_urn,
                agency_urn,
                session_name,
                duration_seconds,
                policy,
                policy_ids,
            } => {
                let body = Assume {
                    provider_urn,
                    agency_urn,
                    agency_session_name: session_name,
                    id_token,
                    duration_seconds: *duration_seconds,
                    policy: policy.as_deref(),
                    policy_ids,
                };
                let question = question(format!("{endpoint}/v5/agencies/assume-with-oidc")).with_json(&body);
                temporary::read(&door.ask(question).await?.good()?)
            }
        }
    }
}

async fn by_iam(
    door: &TokenClient,
    endpoint: &str,
    idp_id: &str,
    id_token: &str,
) -> Result<IssuedCredential, AuthError> {
    let body = Body { auth: ByIdToken { id_token: IdToken { id: id_token } } };
    let first = question(format!("{endpoint}/v3.0/OS-AUTH/id-token/tokens")).with("x-idp-id", idp_id).with_json(&body);
    let reply = door.ask(first).await?.good()?;
    let token = reply.secret_header("x-subject-token").ok_or_else(|| reply.odd("there is no X-Subject-Token"))?;
    let token = Token { id: token.expose(), duration_seconds: KEY_LIFE_SECONDS };
    let body = Body { auth: ByToken { identity: Identity { methods: ["token"], token } } };
    let second = question(format!("{endpoint}/v3.0/OS-CREDENTIAL/securitytokens")).with_json(&body);
    temporary::read(&door.ask(second).await?.good()?)
}

fn question(url: String) -> HttpRequest {
    HttpRequest {
        what: Operation::Oidc,
        way: Network::Public,
        patience: PATIENCE,
        method: Method::POST,
        url,
        headers: HeaderMap::new(),
        body: Zeroizing::default(),
    }
}
