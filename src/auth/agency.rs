//! An agency of another account: its temporary keys, for the credential of any other provider. So one user can read many
//! accounts.
//!
//! Source: "Obtaining a Temporary Access Key and Security Token Through an Agency" of the vendor's IAM API reference.

use super::exchange::{Issuing, Provider, ProviderState, TokenService};
use super::temporary::read_key;
use super::token_client::Json::{List, Number, Object, Text};
use super::token_client::{HttpRequest, JSON_UTF8, Operation};
use super::{AuthError, Credential, IssuedCredential, TokenClient};
use crate::base::secret::Secret;
use hyper::http::Method;
use std::sync::Arc;

/// The lifetime that is asked of IAM, in seconds; 15 minutes to 24 hours are allowed.
const KEY_LIFETIME_SECONDS: u32 = 3600;

/// A credential and the agency that is taken on with it.
#[derive(Clone, Debug)]
pub struct AgencyProvider {
    /// The provider of the credential.
    pub base: Arc<dyn Provider>,
    /// Its name in `--credentials.source`.
    pub base_name: &'static str,
    /// The agency.
    pub agency: Agency,
}

/// An agency, and the IAM that gives its keys.
#[derive(Clone, Debug)]
pub struct Agency {
    /// `https://iam.<region>...`, without a path.
    pub endpoint: String,
    /// The name of the agency.
    pub name: String,
    /// The account that the agency is of.
    pub account: AgencyAccount,
}

/// An account, by its name or its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgencyAccount {
    /// By its name.
    Name(String),
    /// By its id.
    Id(String),
}

impl AgencyAccount {
    /// The parameter of the request, and the text.
    fn parameter(&self) -> (&'static str, &str) {
        match self {
            Self::Name(name) => ("domain_name", name),
            Self::Id(id) => ("domain_id", id),
        }
    }
}

impl Provider for AgencyProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        let base = self.base.load()?;
        let secret = Secret::new(hex::encode(base.fingerprint()));
        Ok(ProviderState::needs_exchange(secret, AssumeAgency { base, agency: self.agency.clone() }))
    }

    /// The agency decides whose data is read, not who takes it on.
    fn owner(&self) -> String {
        let (parameter, account) = self.agency.account.parameter();
        format!("{} of {parameter} {account}", self.agency.name)
    }
}

#[derive(Debug)]
struct AssumeAgency {
    base: ProviderState,
    agency: Agency,
}

impl Agency {
    async fn key(&self, credential: &Credential, client: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let (parameter, account) = self.account.parameter();
        let role = [
            ("agency_name", Text(&self.name)),
            (parameter, Text(account)),
            ("duration_seconds", Number(KEY_LIFETIME_SECONDS)),
        ];
        let identity = [("methods", List(&[Text("assume_role")])), ("assume_role", Object(&role))];
        let auth = [("identity", Object(&identity))];
        let url = format!("{}/v3.0/OS-CREDENTIAL/securitytokens", self.endpoint);
        let request = HttpRequest::new(Operation::Agency, Method::POST, url);
        let request = request.json(JSON_UTF8, &Object(&[("auth", Object(&auth))]));
        read_key(&client.send(request.authenticated(credential, (client.wall_clock)())).await?.success()?)
    }
}

impl TokenService for AssumeAgency {
    fn exchange<'a>(&'a self, _: &'a Secret, client: &'a TokenClient) -> Issuing<'a> {
        Box::pin(async move {
            match &self.base {
                ProviderState::Ready(credential) => self.agency.key(credential, client).await,
                ProviderState::NeedsExchange(secret, service) => {
                    let issued = service.exchange(secret, client).await?;
                    self.agency.key(&issued.credential, client).await
                }
            }
        })
    }

    fn can_lock_out(&self) -> bool {
        match &self.base {
            ProviderState::Ready(_) => true,
            ProviderState::NeedsExchange(_, service) => service.can_lock_out(),
        }
    }
}
