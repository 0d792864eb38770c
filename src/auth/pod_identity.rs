//! Pod identity of a CCE cluster: the agent on the node gives a temporary key to whoever shows the pod's token.

use super::token_client::{HttpRequest, Network, Operation};
use super::{AuthError, IssuedCredential, SecretSource, TokenClient, temporary};
use crate::base::secret::Secret;
use hyper::http::{HeaderMap, Method};
use std::time::Duration;
use zeroize::Zeroizing;

/// The agent is on the same node.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the agent is, and the pod's token.
#[derive(Debug)]
pub struct PodIdentityProvider {
    /// The whole address.
    pub url: String,
    /// The pod's token.
    pub token: SecretSource,
}

impl PodIdentityProvider {
    pub(super) fn read(&self) -> Result<ExchangeRequest, AuthError> {
        Ok(ExchangeRequest { url: self.url.clone(), token: self.token.read("the pod's token")? })
    }
}

/// A question that is ready to be asked.
#[derive(Debug)]
pub struct ExchangeRequest {
    url: String,
    pub(super) token: Secret,
}

impl ExchangeRequest {
    pub(super) async fn run(&self, door: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let question = HttpRequest {
            what: Operation::PodIdentity,
            way: Network::LinkLocal,
            patience: PATIENCE,
            method: Method::POST,
            url: self.url.clone(),
            headers: HeaderMap::new(),
            body: Zeroizing::new(b"{}".to_vec()),
        };
        let question = question.with("authorization", self.token.expose()).with("content-type", "application/json");
        temporary::read(&door.ask(question).await?.good()?)
    }
}
