//! Who is asking: tokens, and signatures recomputed from the bytes that came.
//!
//! Written from the vendor's description of the algorithm and checked against its published vectors, on purpose without
//! a glance at the client's signer.

use std::collections::HashMap;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::answer::Refusal;
use super::http::{self, Request};
use super::image::mix;
use super::options::{AccessKey, Options};
use super::timestamp;

const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// Signatures older or newer than this are refused.
const WINDOW_SECONDS: i64 = 15 * 60;

/// Tokens that were issued or revoked while the simulator ran.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Token>,
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Until(Instant),
    Revoked,
    /// Good for other services, not for SWR.
    AccountScoped,
}

impl Tokens {
    /// A fresh token for a project.
    pub(super) fn issue(&mut self, life: Duration) -> String {
        let text = self.fresh();
        self.accept(&text, life);
        text
    }

    /// A fresh token that SWR will not take.
    pub(super) fn issue_account_scoped(&mut self) -> String {
        let text = self.fresh();
        self.issued.insert(text.clone(), Token::AccountScoped);
        text
    }

    /// Makes a token of choice valid for a time.
    pub(super) fn accept(&mut self, token: &str, life: Duration) {
        self.issued
            .insert(token.to_owned(), Token::Until(Instant::now() + life));
    }

    pub(super) fn revoke(&mut self, token: &str) {
        self.issued.insert(token.to_owned(), Token::Revoked);
    }

    /// Revokes every token that was issued; those of the options must be named.
    pub(super) fn revoke_issued(&mut self) {
        for token in self.issued.values_mut() {
            *token = Token::Revoked;
        }
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        // Real ones are several kilobytes of Base64; long enough here to notice who logs or truncates them.
        let parts = (0..32).map(|part| format!("{:016X}", mix(self.count << 8 | part)));
        format!("MII{}", parts.collect::<String>())
    }

    fn check(&self, token: &str, options: &Options) -> Result<(), Refusal> {
        match self.issued.get(token) {
            Some(Token::Until(end)) if Instant::now() < *end => Ok(()),
            Some(Token::Until(_) | Token::Revoked) => {
                Err(Refusal::gateway(401, "0307", "The token must be updated."))
            }
            Some(Token::AccountScoped) => Err(unauthenticated("decrypt token fail")),
            None if options.tokens.iter().any(|known| known == token) => Ok(()),
            None => Err(unauthenticated("decrypt token fail")),
        }
    }
}

/// Decides whether a request may pass. `now` is the service's clock, in seconds since the Unix epoch.
pub(super) fn check(
    request: &Request,
    tokens: &Tokens,
    options: &Options,
    now: i64,
) -> Result<(), Refusal> {
    if let Some(token) = request.header("x-auth-token") {
        return tokens.check(token, options);
    }
    match request.header("authorization") {
        Some(authorization) => check_signature(request, authorization, &options.access_keys, now),
        None => Err(unauthenticated("no token and no signature")),
    }
}

fn check_signature(
    request: &Request,
    authorization: &str,
    keys: &[AccessKey],
    now: i64,
) -> Result<(), Refusal> {
    let parts = Authorization::parse(authorization)
        .ok_or_else(|| unauthenticated("authorization is malformed"))?;
    let key = keys
        .iter()
        .find(|key| key.access_key == parts.access)
        .ok_or_else(|| unauthenticated("Get secretKey failed, ak is not found"))?;
    let date = request.header("x-sdk-date").unwrap_or_default();
    let moment = timestamp::parse_basic(date)
        .ok_or_else(|| unauthenticated("x-sdk-date is missing or malformed"))?;
    if (now - moment).abs() > WINDOW_SECONDS {
        return Err(unauthenticated(
            "verify aksk signature fail, the signature has expired",
        ));
    }
    // The guide demands the date only. Without the host a signature would serve any host, and without the security token
    // it would serve a stranger's; a client that leaves either out is a client to be told.
    let token = request.header("x-security-token");
    let mut needed = vec!["host", "x-sdk-date"];
    needed.extend(token.map(|_| "x-security-token"));
    if let Some(absent) = needed.iter().find(|name| !parts.signed.contains(*name)) {
        return Err(unauthenticated(&format!(
            "verify aksk signature fail, header {absent} is not signed"
        )));
    }
    if token != key.security_token.as_deref() {
        return Err(unauthenticated("verify security token fail"));
    }
    let canonical = canonical_request(request, &parts.signed)
        .ok_or_else(|| unauthenticated("verify aksk signature fail, a signed header is missing"))?;
    let text = format!(
        "{ALGORITHM}\n{date}\n{}",
        hex::encode(Sha256::digest(&canonical))
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret_key.as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    if hex::encode(mac.finalize().into_bytes()) == parts.signature {
        Ok(())
    } else {
        // Some products echo their own canonical request, line ends as bars. It helps people, and holds no secret.
        let echo = canonical.replace('\n', "|");
        Err(unauthenticated(&format!(
            "verify aksk signature fail, canonicalRequest:{echo}"
        )))
    }
}

struct Authorization<'a> {
    access: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = HashMap::new();
        for field in text.strip_prefix(ALGORITHM)?.strip_prefix(' ')?.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            fields.insert(name, value);
        }
        Some(Self {
            access: fields.get("Access")?,
            signed: fields.get("SignedHeaders")?.split(';').collect(),
            signature: fields.get("Signature")?,
        })
    }
}

/// The text whose digest is signed; `None` if a header that should be signed did not come.
fn canonical_request(request: &Request, signed: &[&str]) -> Option<String> {
    let path = http::percent_decode(&request.path);
    let mut uri: String = path.split('/').map(escape).collect::<Vec<_>>().join("/");
    if !uri.ends_with('/') {
        uri.push('/');
    }
    let query = request
        .target
        .split_once('?')
        .map_or("", |(_, query)| query);
    let mut pairs = http::parse_query(query);
    pairs.sort();
    let query: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
        .collect();
    let mut names: Vec<String> = signed
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    names.sort();
    let mut headers = String::new();
    for name in &names {
        headers.push_str(&format!("{name}:{}\n", request.header(name)?.trim()));
    }
    let payload = match request.header("x-sdk-content-sha256") {
        Some(hash) if !request.body.is_empty() => hash.to_owned(),
        _ => hex::encode(Sha256::digest(&request.body)),
    };
    Some(
        [
            &request.method,
            &uri,
            &query.join("&"),
            &headers,
            &names.join(";"),
            &payload,
        ]
        .map(String::as_str)
        .join("\n"),
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unauthenticated(detail: &str) -> Refusal {
    Refusal::gateway(
        401,
        "0301",
        &format!("Incorrect IAM authentication information: {detail}"),
    )
}
