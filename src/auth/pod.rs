//! Pod identity of a CCE cluster: the agent on the node gives a temporary key to whoever shows the pod's token.

use super::http::{Operation, Question, Way};
use super::{AuthError, Door, Grant, Part, temporary};
use crate::secret::Secret;
use hyper::http::{HeaderMap, Method};
use std::time::Duration;
use zeroize::Zeroizing;

/// The agent is on the same node.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the agent is, and the pod's token.
#[derive(Debug)]
pub struct Source {
    /// The whole address.
    pub url: String,
    /// The pod's token.
    pub token: Part,
}

impl Source {
    pub(super) fn read(&self) -> Result<Order, AuthError> {
        Ok(Order { url: self.url.clone(), token: self.token.read("the pod's token")? })
    }
}

/// A question that is ready to be asked.
#[derive(Debug)]
pub struct Order {
    url: String,
    pub(super) token: Secret,
}

impl Order {
    pub(super) async fn run(&self, door: &Door) -> Result<Grant, AuthError> {
        let question = Question {
            what: Operation::PodIdentity,
            way: Way::Machine,
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
