//! An identity token that the platform puts into a file, exchanged for a temporary key: by the older IAM in two steps, or
//! by STS in one.

use super::exchange::{Issuing, Provider, ProviderState, TokenService};
use super::temporary::read_key;
use super::token_client::Json::{List, Number, Object, Text};
use super::token_client::{HttpRequest, JSON_UTF8, Json, Operation};
use super::{AuthError, IssuedCredential, SecretSource, TokenClient};
use crate::base::secret::Secret;
use hyper::http::Method;

/// The lifetime that is asked of IAM, in seconds: six hours; 15 minutes to 24 hours are allowed.
const KEY_LIFETIME_SECONDS: u32 = 6 * 3600;

/// An identity token and the service that takes it.
#[derive(Clone, Debug)]
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
        Ok(ProviderState::needs_exchange(self.id_token.read("the identity token")?, self.exchange.clone()))
    }

    fn owner(&self) -> String {
        match &self.exchange {
            Exchange::Iam { idp_id, .. } => idp_id.clone(),
            Exchange::Sts { provider_urn, agency_urn, .. } => format!("{provider_urn} {agency_urn}"),
        }
    }
}

fn post(url: String, body: &Json<'_>) -> HttpRequest {
    HttpRequest::new(Operation::Oidc, Method::POST, url).json(JSON_UTF8, body)
}

impl Exchange {
    async fn key(&self, id_token: &Secret, client: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let request = match self {
            Self::Iam { endpoint, idp_id } => {
                let id_token = [("id", Json::Secret(id_token.expose()))];
                let auth = [("id_token", Object(&id_token))];
                let url = format!("{endpoint}/v3.0/OS-AUTH/id-token/tokens");
                let request = post(url, &Object(&[("auth", Object(&auth))])).header("x-idp-id", idp_id);
                let token = client.send(request).await?.success()?.subject_token()?;
                let token = [("id", Json::Secret(token.expose())), ("duration_seconds", Number(KEY_LIFETIME_SECONDS))];
                let identity = [("methods", List(&[Text("token")])), ("token", Object(&token))];
                let auth = [("identity", Object(&identity))];
                post(format!("{endpoint}/v3.0/OS-CREDENTIAL/securitytokens"), &Object(&[("auth", Object(&auth))]))
            }
            Self::Sts { endpoint, provider_urn, agency_urn, session_name, duration_seconds, policy, policy_ids } => {
                let policy_ids: Vec<Json<'_>> = policy_ids.iter().map(|id| Text(id)).collect();
                let mut body = vec![
                    ("provider_urn", Text(provider_urn)),
                    ("agency_urn", Text(agency_urn)),
                    ("agency_session_name", Text(session_name)),
                    ("id_token", Json::Secret(id_token.expose())),
                    ("duration_seconds", Number(*duration_seconds)),
                ];
                body.extend(policy.as_deref().map(|policy| ("policy", Text(policy))));
                if !policy_ids.is_empty() {
                    body.push(("policy_ids", List(&policy_ids)));
                }
                post(format!("{endpoint}/v5/agencies/assume-with-oidc"), &Object(&body))
            }
        };
        read_key(&client.send(request).await?.success()?)
    }
}

impl TokenService for Exchange {
    fn exchange<'a>(&'a self, id_token: &'a Secret, client: &'a TokenClient) -> Issuing<'a> {
        Box::pin(self.key(id_token, client))
    }

    fn can_lock_out(&self) -> bool {
        true
    }
}
