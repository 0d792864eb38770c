//! The request signature `SDK-HMAC-SHA256`, as a pure function.
//!
//! Source: "AK/SK Signing and Authentication Algorithm" of the vendor's API signing guide. The tests compare with vectors of
//! the official signer in tests/fixtures/signing-vectors.json. The key is used as it is: there is no derivation.

use super::{AccessKey, Credential};
use hmac::{Hmac, KeyInit, Mac};
use hyper::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode};
use sha2::{Digest, Sha256};
use std::time::SystemTime;

/// The algorithm's name, first word of the `Authorization` header.
pub const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// The parts of a request that are signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// The path, percent-encoded or not: it is decoded once and encoded anew, so both give one signature.
    pub path: &'a str,
    /// Query pairs, decoded, in any order.
    pub query: &'a [(&'a str, &'a str)],
    /// The headers to sign, with `host` and `x-sdk-date` among them, and without those that a proxy may alter.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body's bytes.
    pub body: &'a [u8],
}

/// The value of the `Authorization` header.
///
/// # Panics
/// If `headers` has no `x-sdk-date`.
pub fn authorization(request: &Request<'_>, key: &AccessKey) -> String {
    let date = request
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-sdk-date"))
        .map(|(_, value)| value.trim())
        .expect("the caller signs x-sdk-date");
    let (canonical, signed) = canonical_request(request);
    let text = format!("{ALGORITHM}\n{date}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    format!("{ALGORITHM} Access={}, SignedHeaders={signed}, Signature={signature}", key.id)
}

/// Adds the headers by which a credential proves itself: its token, or a signature of the request. Secrets are marked sensitive.
pub fn authenticate(request: &Request<'_>, credential: &Credential, now: SystemTime, headers: &mut HeaderMap) {
    let key = match credential {
        Credential::Token(token) => return insert_secret(headers, "x-auth-token", token.expose()),
        Credential::AccessKey(key) => key,
    };
    let date = sdk_date(now);
    let mut signed = [request.headers, &[("x-sdk-date", &date)]].concat();
    if let Some(token) = &key.security_token {
        signed.push(("x-security-token", token.expose()));
        insert_secret(headers, "x-security-token", token.expose());
    }
    insert(headers, "x-sdk-date", &date);
    insert_secret(headers, "authorization", &authorization(&Request { headers: &signed, ..*request }, key));
}

/// Inserts a header. A value that no header can carry is left out; settings and secret files are checked before.
pub fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// As [`insert`], with a secret.
pub(super) fn insert_secret(headers: &mut HeaderMap, name: &'static str, secret: &str) {
    insert(headers, name, secret);
    headers.get_mut(name).into_iter().for_each(|value| value.set_sensitive(true));
}

/// The `Host` header as the HTTP client writes it: without a default port.
pub fn host_of(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let host = rest.split('/').next().unwrap_or_default();
    let default = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(default).unwrap_or(host).to_ascii_lowercase()
}

/// The date of a signature: `YYYYMMDDTHHMMSSZ`.
pub fn sdk_date(now: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(now).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn canonical_request(request: &Request<'_>) -> (String, String) {
    let mut headers: Vec<(String, &str)> =
        request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
    headers.sort();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
        hex::encode(Sha256::digest(request.body)),
    );
    (canonical, names)
}

/// The path decoded once, its segments encoded, with a slash at the end.
fn canonical_path(path: &str) -> String {
    const PATH: &AsciiSet = &RESERVED.remove(b'/');
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
    let mut canonical = percent_encoding::percent_encode(&decoded, PATH).to_string();
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// Pairs sorted by decoded key, then value; exactly this text must also stand on the wire.
pub fn canonical_query(pairs: &[(&str, &str)]) -> String {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    let pairs: Vec<String> =
        pairs.into_iter().map(|(key, value)| format!("{}={}", percent_encode(key), percent_encode(value))).collect();
    pairs.join("&")
}

/// The characters that are encoded: all but the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The text with all but the unreserved characters as `%XX`, in capitals.
pub fn percent_encode(text: &str) -> PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use serde_json::Value;

    #[test]
    fn signatures_equal_those_of_the_official_signer() {
        let vectors: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/fixtures/signing-vectors.json")).unwrap();
        assert!(vectors.len() >= 5);
        for vector in &vectors {
            let text = |key: &str| vector[key].as_str().unwrap();
            let query: Vec<(&str, &str)> = vector["query"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
                .collect();
            let headers: Vec<(&str, &str)> =
                vector["headers"].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
            let request = Request {
                method: text("method"),
                path: text("path"),
                query: &query,
                headers: &headers,
                body: text("body").as_bytes(),
            };
            let key = AccessKey {
                id: text("ak").into(),
                secret: Secret::new(text("sk").into()),
                security_token: None,
                project_id: None,
            };
            assert_eq!(canonical_request(&request).0, text("canonical_request"), "{}", text("name"));
            assert_eq!(authorization(&request, &key), text("authorization"), "{}", text("name"));
        }
    }

    #[test]
    fn a_dollar_and_its_escape_give_one_path_and_a_doubly_escaped_slash_stays() {
        assert_eq!(canonical_path("/repos/a$b"), canonical_path("/repos/a%24b"));
        assert_eq!(canonical_path("/a%252Fb"), "/a%252Fb/");
        assert_eq!(canonical_path("/a%2Fb"), "/a/b/");
        assert_eq!(canonical_path("/100%/%+1"), "/100%25/%25%2B1/", "a lone per cent sign is itself");
    }

    #[test]
    fn the_host_is_signed_as_it_is_sent() {
        for (endpoint, host) in [
            ("https://swr-api.cn-north-4.myhuaweicloud.com", "swr-api.cn-north-4.myhuaweicloud.com"),
            ("https://Example.com:443", "example.com"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://example.com:80", "example.com"),
            ("https://[::1]:443", "[::1]"),
        ] {
            assert_eq!(host_of(endpoint), host);
        }
    }

    #[test]
    fn the_date_of_a_signature_has_no_punctuation() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_735_787_045);
        assert_eq!(sdk_date(time), "20250102T030405Z");
    }
}
