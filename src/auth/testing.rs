//! For tests: an IAM that is a function, on a paused clock.

use super::{Authenticator, CredentialProvider, Metrics, SecretSource, TokenClient, iam};
use crate::base::secret::Secret;
use crate::metrics::{Calls, OptionalGauge};
use crate::transport::{Request, Response, Transport, TransportError};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use hyper::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How IAM answers a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Works,
    IsDown,
    Refuses,
}

/// An IAM that is a function. Its tokens are numbered.
#[derive(Clone, Debug)]
pub(crate) struct Iam {
    life: Duration,
    behaviour: Arc<Mutex<Behaviour>>,
    logins: Arc<Mutex<Vec<Instant>>>,
}

/// The time by IAM's clock, which is not ours.
const IAM_DATE: &str = "Thu, 02 Jan 2025 03:04:05 GMT";

impl Transport for Iam {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(async move {
            let number = {
                let mut logins = self.logins.lock();
                logins.push(Instant::now());
                logins.len()
            };
            tokio::time::sleep(Duration::from_millis(100)).await;
            let behaviour = *self.behaviour.lock();
            if behaviour == Behaviour::IsDown {
                return Err(TransportError { what: "no response", source: "connection refused".into() });
            }
            let right = std::str::from_utf8(&request.body).unwrap().contains("\"password\":\"right\"");
            let refused = behaviour == Behaviour::Refuses || !right;
            let mut headers = HeaderMap::new();
            headers.insert("date", IAM_DATE.parse().unwrap());
            let (status, body) = if refused {
                (401, r#"{"error":{"code":401,"message":"The username or password is wrong."}}"#.to_owned())
            } else {
                headers.insert("x-subject-token", format!("token-{number}").parse().unwrap());
                let ends: jiff::Timestamp = "2025-01-02T03:04:05Z".parse().unwrap();
                let ends = ends + self.life;
                (201, format!(r#"{{"token":{{"expires_at":"{ends}"}}}}"#))
            };
            let body = futures_util::stream::iter([Ok(body.into())]).boxed();
            Ok(Response { status: StatusCode::from_u16(status).unwrap(), headers, body })
        })
    }
}

impl Iam {
    pub(crate) fn new(life: Duration) -> Self {
        Self { life, behaviour: Arc::new(Mutex::new(Behaviour::Works)), logins: Arc::default() }
    }

    pub(crate) fn be(&self, behaviour: Behaviour) {
        *self.behaviour.lock() = behaviour;
    }

    pub(crate) fn logins(&self) -> Vec<Instant> {
        self.logins.lock().clone()
    }

    pub(crate) fn authenticator(&self, password: SecretSource) -> Authenticator {
        self.authenticator_by(SystemTime::now, password)
    }

    pub(crate) fn authenticator_by(&self, wall_clock: fn() -> SystemTime, password: SecretSource) -> Authenticator {
        fastrand::seed(7);
        let registry = prometheus::Registry::new();
        let expiry = OptionalGauge::new(&registry, &crate::catalog::CREDENTIAL_EXPIRY);
        let token_client = TokenClient {
            public: Box::new(self.clone()),
            link_local: Box::new(self.clone()),
            metrics: Metrics { calls: Calls::new(&registry), expiry },
            wall_clock,
        };
        let source = iam::PasswordProvider {
            endpoint: "https://iam.example.com".to_owned(),
            domain: "account".to_owned(),
            user: "user".to_owned(),
            password,
            project: iam::Project::Name("cn-north-4".to_owned()),
        };
        Authenticator::new(CredentialProvider::Password(source), Some(token_client))
    }
}

/// The password that it takes.
pub(crate) fn right() -> SecretSource {
    SecretSource::Given(Secret::new("right".to_owned()))
}
