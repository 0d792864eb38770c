//! Pod identity of a CCE cluster: the agent on the node gives a temporary key in exchange for the pod's token.

use super::exchange::{Issuing, Provider, ProviderState, TokenService};
use super::temporary::read_key;
use super::token_client::{HttpRequest, Json, Operation};
use super::{AuthError, SecretSource, TokenClient};
use crate::base::secret::Secret;
use hyper::http::Method;

/// The agent and the pod's token.
#[derive(Clone, Debug)]
pub struct PodIdentityProvider {
    /// The agent's URL.
    pub url: String,
    /// The pod's token.
    pub token: SecretSource,
}

impl Provider for PodIdentityProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        Ok(ProviderState::needs_exchange(self.token.read("the pod's token")?, self.clone()))
    }

    fn owner(&self) -> String {
        self.url.clone()
    }
}

impl TokenService for PodIdentityProvider {
    fn exchange<'a>(&'a self, token: &'a Secret, client: &'a TokenClient) -> Issuing<'a> {
        let request = HttpRequest::new(Operation::PodIdentity, Method::POST, self.url.clone())
            .secret_header("authorization", token.expose())
            .json("application/json", &Json::Object(&[]));
        Box::pin(async { read_key(&client.send(request).await?.success()?) })
    }
}
