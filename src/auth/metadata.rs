//! The metadata service of an ECS instance: a temporary key of the agency that is bound to it.
//!
//! Asked for with a token first; an instance that knows no tokens is asked plainly.

use super::token_client::{HttpRequest, HttpResponse, Network, Operation};
use super::{AuthError, IssuedCredential, TokenClient, temporary};
use hyper::http::{HeaderMap, Method};
use std::time::Duration;
use zeroize::Zeroizing;

/// Where every instance finds its service.
pub const LINK_LOCAL: &str = "http://169.254.169.254";

/// The service is on the same host; elsewhere nobody answers, and that should be known soon.
const PATIENCE: Duration = Duration::from_secs(3);

/// Six hours, which is what the vendor's SDK asks for.
const TOKEN_LIFE_SECONDS: &str = "21600";

/// The metadata service.
#[derive(Clone, Debug)]
pub struct MetadataProvider {
    /// Its address, without a path.
    pub endpoint: String,
    /// Why it is asked.
    pub because: Selection,
}

/// Why the service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The settings say so.
    Chosen,
    /// Nothing else is configured.
    LastResort,
}

impl MetadataProvider {
    pub(super) async fn run(&self, door: &TokenClient) -> Result<IssuedCredential, AuthError> {
        match (self.exchange(door).await, self.because) {
            (Err(error @ (AuthError::Network { .. } | AuthError::Timeout(_))), Selection::LastResort) => {
                Err(AuthError::Nothing(Box::new(error)))
            }
            (result, _) => result,
        }
    }

    async fn exchange(&self, door: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let token = self
            .ask(door, Method::PUT, "/meta-data/latest/api/token", ("x-metadata-token-ttl-seconds", TOKEN_LIFE_SECONDS))
            .await?;
        let token = match token.status.as_u16() {
            // The instance knows the open mode alone.
            404 | 405 | 503 => None,
            _ => Some(token.good()?),
        };
        let token = match &token {
            None => "",
            Some(reply) => std::str::from_utf8(&reply.body).unwrap_or_default().trim(),
        };
        let keys = self.ask(door, Method::GET, "/openstack/latest/securitykey", ("x-metadata-token", token)).await?;
        temporary::read(&keys.good()?)
    }

    async fn ask(
        &self,
        door: &TokenClient,
        method: Method,
        path: &str,
        (name, value): (&'static str, &str),
    ) -> Result<HttpResponse, AuthError> {
        let question = HttpRequest {
            what: Operation::Metadata,
            way: Network::LinkLocal,
            patience: PATIENCE,
            method,
            url: format!("{}{path}", self.endpoint),
            headers: HeaderMap::new(),
            body: Zeroizing::default(),
        };
        door.ask(if value.is_empty() { question } else { question.with(name, value) }).await
    }
}
