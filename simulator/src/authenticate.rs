//! Authentication: tokens, and signatures recomputed from the received bytes.
//!
//! Written from the vendor's description of the algorithm and checked against its published vectors, independently of
//! the client's signer.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::http::{self, Request};
use super::options::{AccessKey, Options};
use super::response::ApiError;
use super::temporary_keys::{KeyStatus, TemporaryKeys};
use super::timestamp;
use super::tokens::{Scope, Tokens, unauthenticated};

const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// Largest difference between signing time and server time.
const WINDOW_SECONDS: i64 = 15 * 60;

/// The credentials that callers may present.
pub(super) struct KnownCallers<'a> {
    pub(super) tokens: &'a Tokens,
    pub(super) keys: &'a mut TemporaryKeys,
    pub(super) options: &'a Options,
}

/// Authenticates a request for `scope`. `now` is the service's clock, in seconds since the Unix
/// epoch.
pub(super) fn authenticate(
    request: &Request,
    scope: Scope,
    callers: &mut KnownCallers<'_>,
    now: i64,
) -> Result<(), ApiError> {
    if let Some(token) = request.header("x-auth-token") {
        return callers.tokens.check(token, scope, callers.options);
    }
    let Some(authorization) = request.header("authorization") else {
        return Err(unauthenticated("no token and no signature"));
    };
    let parts = Authorization::parse(authorization).ok_or_else(|| unauthenticated("authorization is malformed"))?;
    let key = find_key(parts.access, callers)?;
    if callers.keys.attempts.is_locked(parts.access) {
        callers.keys.attempts.rejected();
        return Err(unauthenticated("AK access failed to reach the limit,forbidden"));
    }
    check_form(request, &parts, &key, now)?;
    let canonical = canonical_request(request, &parts.signed)
        .ok_or_else(|| unauthenticated("verify aksk signature fail, a signed header is missing"))?;
    let outcome = check_signature(request, &parts, &key, &canonical);
    match outcome {
        Ok(()) => callers.keys.attempts.succeeded(parts.access),
        Err(_) => callers.keys.attempts.failed(parts.access, &callers.options.key_lockout),
    }
    outcome
}

fn find_key(access: &str, callers: &KnownCallers<'_>) -> Result<AccessKey, ApiError> {
    if let Some(key) = callers.options.access_keys.iter().find(|key| key.access_key == access) {
        return Ok(key.clone());
    }
    match callers.keys.status(access) {
        KeyStatus::Valid(key) => Ok(AccessKey {
            access_key: key.access_key.clone(),
            secret_key: key.secret_key.clone(),
            security_token: Some(key.security_token.clone()),
        }),
        KeyStatus::Ended => Err(unauthenticated("decrypt token fail")),
        KeyStatus::Unknown => Err(unauthenticated("Get secretKey failed, ak is not found")),
    }
}

/// Checks what can be checked without the secret: time, signed headers, security token.
fn check_form(request: &Request, parts: &Authorization<'_>, key: &AccessKey, now: i64) -> Result<(), ApiError> {
    let date = request.header("x-sdk-date").unwrap_or_default();
    let moment = timestamp::parse_basic(date).ok_or_else(|| unauthenticated("x-sdk-date is missing or malformed"))?;
    if (now - moment).abs() > WINDOW_SECONDS {
        let here = timestamp::basic(now);
        let detail = format!("calc aksk signature fail:signature expired, signature time:{date},server time:{here}");
        return Err(unauthenticated(&detail));
    }
    // The vendor's guide requires only the date. A signature without the host is valid for any host, and one without the
    // security token for any token, so a client that leaves either out is rejected.
    let token = request.header("x-security-token");
    let mut needed = vec!["host", "x-sdk-date"];
    needed.extend(token.map(|_| "x-security-token"));
    if let Some(absent) = needed.iter().find(|name| !parts.signed.contains(*name)) {
        return Err(unauthenticated(&format!("verify aksk signature fail, header {absent} is not signed")));
    }
    if token != key.security_token.as_deref() {
        return Err(unauthenticated("verify security token fail"));
    }
    Ok(())
}

fn check_signature(
    request: &Request,
    parts: &Authorization<'_>,
    key: &AccessKey,
    canonical: &str,
) -> Result<(), ApiError> {
    let date = request.header("x-sdk-date").unwrap_or_default();
    if signature(key, date, canonical) == parts.signature {
        return Ok(());
    }
    // Like some products, echo the canonical request with `|` for line ends. It holds no secret.
    let echo = canonical.replace('\n', "|");
    Err(unauthenticated(&format!("verify aksk signature fail, canonicalRequest:{echo}")))
}

pub(super) fn signature(key: &AccessKey, date: &str, canonical: &str) -> String {
    let text = format!("{ALGORITHM}\n{date}\n{}", hex::encode(Sha256::digest(canonical)));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret_key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
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

/// The canonical request; `None` if a signed header is missing.
pub(super) fn canonical_request(request: &Request, signed: &[&str]) -> Option<String> {
    let path = http::percent_decode(&request.path);
    let mut uri: String = path.split('/').map(escape).collect::<Vec<_>>().join("/");
    if !uri.ends_with('/') {
        uri.push('/');
    }
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = http::parse_query(query);
    pairs.sort();
    let query: Vec<String> = pairs.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
    let mut names: Vec<String> = signed.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    let mut headers = String::new();
    for name in &names {
        headers.push_str(&format!("{name}:{}\n", request.header(name)?.trim()));
    }
    let payload = match request.header("x-sdk-content-sha256") {
        Some(hash) if !request.body.is_empty() => hash.to_owned(),
        _ => hex::encode(Sha256::digest(&request.body)),
    };
    Some([&request.method, &uri, &query.join("&"), &headers, &names.join(";"), &payload].map(String::as_str).join("\n"))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;
    use tokio::time::Instant;

    use super::super::Simulator;
    use super::super::test_client::{ask, ask_signed, ask_signed_at};
    use super::*;

    const VECTORS: &str = include_str!("../../tests/fixtures/signing-vectors.json");

    struct Vector {
        request: Request,
        key: AccessKey,
        now: i64,
        value: Value,
    }

    fn vectors() -> Vec<Vector> {
        let all: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
        all.into_iter()
            .map(|value| {
                let text = |key: &str| value[key].as_str().unwrap().to_owned();
                let mut headers: BTreeMap<String, String> = value["headers"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
                    .collect();
                headers.insert("authorization".to_owned(), text("authorization"));
                let target = text("sent_uri");
                let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                let request = Request {
                    method: text("method"),
                    path: path.to_owned(),
                    query: http::parse_query(query),
                    target: target.clone(),
                    body: text("body").into_bytes(),
                    at: Instant::now(),
                    status: None,
                    faults: Vec::new(),
                    headers,
                };
                let key = AccessKey {
                    access_key: text("ak"),
                    secret_key: text("sk"),
                    security_token: request.header("x-security-token").map(str::to_owned),
                };
                let now = timestamp::parse_basic(request.header("x-sdk-date").unwrap()).unwrap();
                Vector { request, key, now, value }
            })
            .collect()
    }

    fn verdict(vector: &Vector) -> Result<(), ApiError> {
        let options = Options { access_keys: vec![vector.key.clone()], ..Options::default() };
        let mut callers =
            KnownCallers { tokens: &Tokens::default(), keys: &mut TemporaryKeys::default(), options: &options };
        authenticate(&vector.request, Scope::Project, &mut callers, vector.now)
    }

    #[test]
    fn the_published_vectors_are_accepted() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 5);
        for vector in &vectors {
            let authorization = vector.request.header("authorization").unwrap();
            let signed = Authorization::parse(authorization).unwrap().signed;
            let canonical = canonical_request(&vector.request, &signed).unwrap();
            assert_eq!(vector.value["canonical_request"], canonical);
            assert_eq!(verdict(vector), Ok(()), "{}", vector.value["name"]);
        }
    }

    #[test]
    fn a_change_to_anything_signed_is_noticed() {
        type Change = fn(&mut Vector);
        let changes: [(&str, Change); 12] = [
            ("verify aksk signature fail", |v| v.request.method = "POST".to_owned()),
            ("verify aksk signature fail", |v| v.request.path.push('x')),
            ("verify aksk signature fail", |v| v.request.target.push_str("?extra=1")),
            ("verify aksk signature fail", |v| v.request.body = b"{}".to_vec()),
            ("verify aksk signature fail", |v| v.key.secret_key.push('x')),
            ("verify aksk signature fail", |v| drop(v.request.headers.insert("host".to_owned(), "other".to_owned()))),
            ("Get secretKey failed", |v| v.key.access_key.push('x')),
            ("x-sdk-date", |v| drop(v.request.headers.remove("x-sdk-date"))),
            ("expired", |v| v.now += WINDOW_SECONDS + 1),
            ("expired", |v| v.now -= WINDOW_SECONDS + 1),
            ("malformed", |v| drop(v.request.headers.insert("authorization".to_owned(), "AWS4-HMAC".to_owned()))),
            ("no token and no signature", |v| drop(v.request.headers.remove("authorization"))),
        ];
        for (message, change) in changes {
            for mut vector in vectors() {
                change(&mut vector);
                let error = verdict(&vector).unwrap_err();
                assert_eq!((error.status, error.code.as_str()), (401, "APIGW.0301"));
                assert!(error.message.contains(message), "{message}: {}", error.message);
            }
        }
    }

    #[test]
    fn a_temporary_key_needs_its_token_and_a_lasting_one_has_none() {
        let mut vector = vectors().pop().unwrap();
        assert!(vector.key.security_token.is_some());
        vector.key.security_token = Some("another".to_owned());
        assert!(verdict(&vector).unwrap_err().message.contains("security token"));
        vector.key.security_token = None;
        assert!(verdict(&vector).unwrap_err().message.contains("security token"));
    }

    #[test]
    fn host_and_security_token_must_be_signed() {
        for name in ["host", "x-security-token"] {
            let mut vector = vectors().pop().unwrap();
            let header = vector.request.headers.get_mut("authorization").unwrap();
            *header = header.replace(&format!("{name};"), "").replace(&format!(";{name}"), "");
            let message = verdict(&vector).unwrap_err().message;
            assert!(message.contains(&format!("{name} is not signed")), "{message}");
        }
    }

    #[tokio::test]
    async fn a_signature_out_of_the_window_is_told_both_times() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let key = running.handle.state.options().access_keys[0].clone();
        for skew in [0, 3_600, -86_400] {
            running.handle.configure(|options| options.clock_skew_seconds = skew);
            let now = running.handle.state.now_seconds();
            for (away, status) in [(0, 200), (890, 200), (-890, 200), (910, 401), (-910, 401)] {
                let reply = ask_signed_at(&running, &key, "/v2/manage/repos", now + away).await;
                assert_eq!(reply.status, status, "{skew} {away}");
                if status == 401 {
                    let message = reply.json()["error_msg"].as_str().unwrap().to_owned();
                    let times =
                        format!("signature expired, signature time:{},server time:", timestamp::basic(now + away));
                    assert!(message.contains(&times), "{message}");
                }
            }
        }
        assert_eq!(running.handle.failed_signatures(), 0, "a wrong clock is no wrong secret");
    }

    #[tokio::test]
    async fn wrong_secrets_lock_the_key() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let right = running.handle.state.options().access_keys[0].clone();
        let wrong = AccessKey { secret_key: "wrong".to_owned(), ..right.clone() };
        let told = async |key: &AccessKey| {
            let reply = ask_signed(&running, key, "/v2/manage/repos").await;
            (reply.status, reply.text().to_owned())
        };
        for _ in 0..3 {
            assert!(told(&wrong).await.1.contains("verify aksk signature fail"));
        }
        let (status, text) = told(&right).await;
        assert!(status == 401 && text.contains("AK access failed to reach the limit,forbidden"), "{text}");
        assert_eq!(running.handle.failed_signatures(), 4);
        running.handle.unlock();
        assert_eq!(told(&right).await.0, 200);
    }

    #[tokio::test]
    async fn signatures_are_checked_against_the_service_clock() {
        // The only vector for the listing was signed in 2025, so the service's clock is set to then.
        let vector = vectors().swap_remove(1);
        let options = Options { access_keys: vec![vector.key.clone()], ..Options::default() };
        let running = Simulator::start(options).await.unwrap();
        let headers: Vec<(&str, &str)> =
            vector.request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let late = ask(&running, "GET", &vector.request.target, &headers, "").await;
        assert_eq!((late.status, &late.json()["error_code"]), (401, &Value::from("APIGW.0301")));
        let here = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        running.handle.configure(|options| options.clock_skew_seconds = vector.now - i64::try_from(here).unwrap());
        let reply = ask(&running, "GET", &vector.request.target, &headers, "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(reply.header("date").unwrap().starts_with("Thu, 02 Jan 2025 03:0"));
        let changed = vector.request.target.replace("offset=0", "offset=1");
        let reply = ask(&running, "GET", &changed, &headers, "").await;
        assert!(reply.json()["error_msg"].as_str().unwrap().contains("verify aksk signature fail"));
    }
}
