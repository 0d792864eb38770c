//! An identity token that the platform puts into a file, exchanged for a temporary key: by the older IAM in two steps, or
//! by STS in one.

use super::exchange::{CredentialRequest, Provider, ProviderState};
use super::temporary::read_key;
use super::token_client::Json::{List, Number, Object, Text};
use super::token_client::{HttpRequest, JSON_UTF8, Json, Operation};
use super::{AuthError, IssuedCredential, SecretSource, TokenClient};
use crate::base::digest::{self, Digest};
use crate::base::secret::Secret;
use futures_util::future::BoxFuture;
use hyper::http::Method;

/// The lifetime that is asked of IAM, in seconds: six hours; 15 minutes to 24 hours are allowed.
const KEY_LIFETIME_SECONDS: u32 = 6 * 3600;

/// An identity token and the service that takes it.
#[derive(Debug)]
pub struct OidcProvider {
    /// The identity token.
    pub id_token: SecretSource,
    /// The service.
    pub exchange: Exchange,
}

/// The service that takes an identity token.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// IAM, with an identity provider that is registered there.
    Iam {
        /// `https://iam.<region>...`, without a path.
        endpoint: String,
        /// The identity provider's id.
        idp_id: String,
    },
    /// STS, with an agency that trusts the provider.
    Sts {
        /// `https://sts.<region>...`, without a path.
        endpoint: String,
        /// The identity provider.
        provider_urn: String,
        /// The agency to assume.
        agency_urn: String,
        /// A name for the cloud's audit log.
        session_name: String,
        /// The lifetime of the key.
        duration_seconds: u32,
        /// A policy that narrows the agency's permissions.
        policy: Option<String>,
        /// The same by ids.
        policy_ids: Vec<String>,
    },
}

impl Provider for OidcProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        let id_token = self.id_token.read("the identity token")?;
        Ok(ProviderState::NeedsExchange(Box::new(TokenExchange { id_token, service: self.exchange.clone() })))
    }

    fn owner(&self) -> String {
        match &self.exchange {
            Exchange::Iam { idp_id, .. } => idp_id.clone(),
            Exchange::Sts { provider_urn, agency_urn, .. } => format!("{provider_urn} {agency_urn}"),
        }
    }
}

/// The exchange of an identity token, ready to be sent.
#[derive(Debug)]
pub(super) struct TokenExchange {
    pub(super) id_token: Secret,
    pub(super) service: Exchange,
}

fn post(url: String) -> HttpRequest {
    HttpRequest::new(Operation::Oidc, Method::POST, url)
}

impl TokenExchange {
    async fn send(&self, client: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let request = match &self.service {
            Exchange::Iam { endpoint, idp_id } => self.by_iam(client, endpoint, idp_id).await?,
            Exchange::Sts {
                endpoint,
                provider_urn,
                agency_urn,
                session_name,
                duration_seconds,
                policy,
                policy_ids,
            } => {
                let policy_ids: Vec<Json<'_>> = policy_ids.iter().map(|id| Text(id)).collect();
                let mut body = vec![
                    ("provider_urn", Text(provider_urn)),
                    ("agency_urn", Text(agency_urn)),
                    ("agency_session_name", Text(session_name)),
                    ("id_token", Text(self.id_token.expose())),
                    ("duration_seconds", Number(*duration_seconds)),
                ];
                body.extend(policy.as_deref().map(|policy| ("policy", Text(policy))));
                if !policy_ids.is_empty() {
                    body.push(("policy_ids", List(&policy_ids)));
                }
                post(format!("{endpoint}/v5/agencies/assume-with-oidc")).json(JSON_UTF8, &Object(&body))
            }
        };
        read_key(&client.send(request).await?.success()?)
    }

    /// Obtains a token of IAM, and returns the request for a key with it.
    async fn by_iam(&self, client: &TokenClient, endpoint: &str, idp_id: &str) -> Result<HttpRequest, AuthError> {
        let id_token = [("id", Text(self.id_token.expose()))];
        let auth = [("id_token", Object(&id_token))];
        let request = post(format!("{endpoint}/v3.0/OS-AUTH/id-token/tokens"))
            .header("x-idp-id", idp_id)
            .json(JSON_UTF8, &Object(&[("auth", Object(&auth))]));
        let token = client.send(request).await?.success()?.subject_token()?;
        let token = [("id", Text(token.expose())), ("duration_seconds", Number(KEY_LIFETIME_SECONDS))];
        let identity = [("methods", List(&[Text("token")])), ("token", Object(&token))];
        let auth = [("identity", Object(&identity))];
        Ok(post(format!("{endpoint}/v3.0/OS-CREDENTIAL/securitytokens"))
            .json(JSON_UTF8, &Object(&[("auth", Object(&auth))])))
    }
}

impl CredentialRequest for TokenExchange {
    fn exchange<'a>(&'a self, client: &'a TokenClient) -> BoxFuture<'a, Result<IssuedCredential, AuthError>> {
        Box::pin(self.send(client))
    }

    fn fingerprint(&self) -> Digest {
        digest::of([self.id_token.expose()])
    }

    fn can_lock_out(&self) -> bool {
        true
    }
}
