//! The metadata service of an ECS instance: a temporary key of the agency that is bound to it.
//!
//! The service is asked for a session token first. An instance without session tokens is asked for the key directly.

use super::exchange::{Issuing, Provider, ProviderState, TokenService};
use super::temporary::read_key;
use super::token_client::{HttpRequest, HttpResponse, Operation};
use super::{AuthError, IssuedCredential, TokenClient};
use crate::base::secret::Secret;
use hyper::http::Method;

/// The address of the service on every instance.
pub const LINK_LOCAL: &str = "http://169.254.169.254";

/// The lifetime of a session token: six hours, which is what the vendor's SDK asks for.
const SESSION_SECONDS: &str = "21600";

/// The metadata service.
#[derive(Clone, Debug)]
pub struct MetadataProvider {
    /// Its address, without a path.
    pub endpoint: String,
    /// Why this provider is used.
    pub because: Selection,
}

/// Why the metadata service is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The settings name it.
    Chosen,
    /// Nothing else is configured.
    LastResort,
}

impl Provider for MetadataProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        Ok(ProviderState::needs_exchange(Secret::new(String::new()), self.clone()))
    }

    fn owner(&self) -> String {
        self.endpoint.clone()
    }
}

impl MetadataProvider {
    async fn send(&self, client: &TokenClient) -> Result<IssuedCredential, AuthError> {
        let ttl = ("x-metadata-token-ttl-seconds", SESSION_SECONDS);
        let session = self.ask(client, Method::PUT, "/meta-data/latest/api/token", ttl).await?;
        let session = match session.status.as_u16() {
            // The instance has no session tokens.
            404 | 405 | 503 => None,
            _ => Some(session.success()?),
        };
        let token = session.as_ref().map_or("", |reply| std::str::from_utf8(&reply.body).unwrap_or_default().trim());
        let key = self.ask(client, Method::GET, "/openstack/latest/securitykey", ("x-metadata-token", token)).await?;
        read_key(&key.success()?)
    }

    /// Sends a request with a header, unless the header is empty.
    async fn ask(
        &self,
        client: &TokenClient,
        method: Method,
        path: &str,
        (name, value): (&'static str, &str),
    ) -> Result<HttpResponse, AuthError> {
        let request = HttpRequest::new(Operation::Metadata, method, format!("{}{path}", self.endpoint));
        client.send(if value.is_empty() { request } else { request.secret_header(name, value) }).await
    }
}

impl TokenService for MetadataProvider {
    fn exchange<'a>(&'a self, _nothing: &'a Secret, client: &'a TokenClient) -> Issuing<'a> {
        Box::pin(async move {
            let result = self.send(client).await;
            result.map_err(|error| match (self.because, &error) {
                // Whatever answers there is not the service of an instance with an agency.
                (
                    Selection::LastResort,
                    AuthError::Network { .. }
                    | AuthError::Timeout(_)
                    | AuthError::UnexpectedResponse { .. }
                    | AuthError::Refused { hint: "", .. },
                ) => AuthError::NoCredential(Box::new(error)),
                _ => error,
            })
        })
    }
}
