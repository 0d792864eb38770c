//! Tokens issued, accepted or revoked at run time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::image::mix;
use super::options::Options;
use super::response::ApiError;

/// What a token gives access to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// IAM itself.
    Account,
    /// SWR, and IAM.
    Project,
}

/// Issued and revoked tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Token>,
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Until(Instant, Scope),
    Revoked,
}

impl Tokens {
    /// Issues a token.
    pub(super) fn issue(&mut self, scope: Scope, life: Duration) -> String {
        self.count += 1;
        // Real tokens have several kilobytes; this length reveals clients that log or truncate them.
        let parts = (0..32).map(|part| format!("{:016X}", mix(self.count << 8 | part)));
        let text = format!("MII{}", parts.collect::<String>());
        self.issued.insert(text.clone(), Token::Until(Instant::now() + life, scope));
        text
    }

    /// Accepts a given token for a lifetime.
    pub(super) fn accept(&mut self, token: &str, life: Duration) {
        self.issued.insert(token.to_owned(), Token::Until(Instant::now() + life, Scope::Project));
    }

    pub(super) fn revoke(&mut self, token: &str) {
        self.issued.insert(token.to_owned(), Token::Revoked);
    }

    /// Revokes every issued token, but not those of the options.
    pub(super) fn revoke_issued(&mut self) {
        for token in self.issued.values_mut() {
            *token = Token::Revoked;
        }
    }

    /// Checks a token for `scope`.
    pub(super) fn check(&self, token: &str, scope: Scope, options: &Options) -> Result<(), ApiError> {
        let unreadable = || Err(unauthenticated("decrypt token fail"));
        match self.issued.get(token) {
            Some(Token::Until(end, _)) if Instant::now() >= *end => Err(outdated()),
            Some(Token::Until(_, granted)) if *granted >= scope => Ok(()),
            Some(Token::Until(..)) => unreadable(),
            Some(Token::Revoked) => Err(outdated()),
            None if options.tokens.iter().any(|known| known == token) => Ok(()),
            None => unreadable(),
        }
    }
}

/// The gateway's 401 for an unknown caller.
pub(super) fn unauthenticated(detail: &str) -> ApiError {
    ApiError::gateway(401, "0301", &format!("Incorrect IAM authentication information: {detail}"))
}

fn outdated() -> ApiError {
    ApiError::gateway(401, "0307", "The token must be updated.")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::test_client::ask;
    use super::super::{DEMO_TOKEN, Simulator};
    use super::*;

    #[tokio::test]
    async fn tokens_are_unknown_valid_expired_or_revoked() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let simulator = &running.handle;
        let (valid, expired) = (simulator.issue_token(Duration::from_secs(60)), simulator.issue_token(Duration::ZERO));
        let (issued, revoked) = (valid.clone(), simulator.issue_token(Duration::from_secs(60)));
        simulator.revoke_token(&revoked);
        for (token, status, code) in [
            (DEMO_TOKEN, 200, None),
            (&valid, 200, None),
            (&expired, 401, Some("APIGW.0307")),
            (&revoked, 401, Some("APIGW.0307")),
            ("never issued", 401, Some("APIGW.0301")),
        ] {
            let reply = ask(&running, "GET", "/v2/manage/repos", &[("X-Auth-Token", token)], "").await;
            assert_eq!(reply.status, status);
            if let Some(code) = code {
                assert_eq!(reply.json()["error_code"], code);
            }
        }
        simulator.revoke_issued_tokens();
        simulator.revoke_token(DEMO_TOKEN);
        for token in [&issued, DEMO_TOKEN] {
            let reply = ask(&running, "GET", "/v2/manage/repos", &[("X-Auth-Token", token)], "").await;
            assert_eq!(reply.json()["error_code"], "APIGW.0307");
        }
        let nobody = ask(&running, "GET", "/v2/manage/repos", &[], "").await;
        assert_eq!((nobody.status, &nobody.json()["error_code"]), (401, &Value::from("APIGW.0301")));
    }
}
