//! Pod identity of a CCE cluster: the agent on the node gives a temporary key in exchange for the pod's token.

use super::exchange::{CredentialRequest, Provider, ProviderState};
use super::temporary::read_key;
use super::token_client::{HttpRequest, Json, Operation};
use super::{AuthError, IssuedCredential, SecretSource, TokenClient};
use crate::base::digest::{self, Digest};
use crate::base::secret::Secret;
use futures_util::future::BoxFuture;
use hyper::http::Method;

/// The agent and the pod's token.
#[derive(Debug)]
pub struct PodIdentityProvider {
    /// The agent's URL.
    pub url: String,
    /// The pod's token.
    pub token: SecretSource,
}

impl Provider for PodIdentityProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        let token = self.token.read("the pod's token")?;
        Ok(ProviderState::NeedsExchange(Box::new(PodTokenExchange { url: self.url.clone(), token })))
    }

    fn owner(&self) -> String {
        self.url.clone()
    }
}

/// The exchange of a pod's token, ready to be sent.
#[derive(Debug)]
struct PodTokenExchange {
    url: String,
    token: Secret,
}

impl CredentialRequest for PodTokenExchange {
    fn exchange<'a>(&'a self, client: &'a TokenClient) -> BoxFuture<'a, Result<IssuedCredential, AuthError>> {
        let request = HttpRequest::new(Operation::PodIdentity, Method::POST, self.url.clone())
            .header("authorization", self.token.expose())
            .json("application/json", &Json::Object(&[]));
        Box::pin(async { read_key(&client.send(request).await?.success()?) })
    }

    fn fingerprint(&self) -> Digest {
        digest::of([self.token.expose()])
    }

    fn can_lock_out(&self) -> bool {
        false
    }
}
