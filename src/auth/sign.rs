//! The request signature `SDK-HMAC-SHA256`, as a pure function.
//!
//! Source: "AK/SK Signing and Authentication Algorithm" of the vendor's API signing guide; held to vectors of the
//! official signer in tests/fixtures/signing-vectors.json. The key is used as it is: there is no derivation.

use super::AccessKey;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The algorithm's name, first word of the `Authorization` header.
pub const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// The path, percent-encoded or not: it is decoded once and encoded anew, so both give one signature.
    pub path: &'a str,
    /// Query pairs, decoded, in any order.
    pub query: &'a [(&'a str, &'a str)],
    /// The headers to sign, with `host` and `x-sdk-date` among them. What a proxy may alter does not belong here.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body's bytes.
    pub body: &'a [u8],
}

/// The value of the `Authorization` header.
///
/// # Panics
/// When `headers` has no `x-sdk-date`, which is a fault of the caller.
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

/// The canonical request and the list of signed headers.
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

/// Decoded once, each segment encoded, always with a slash at the end.
fn canonical_path(path: &str) -> String {
    let decoded = percent_decode(path);
    let mut canonical = String::with_capacity(decoded.len() + 8);
    for (index, segment) in decoded.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            canonical.push('/');
        }
        percent_encode(segment, &mut canonical);
    }
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// Pairs sorted by decoded key, then value; exactly this text must also stand on the wire.
pub fn canonical_query(pairs: &[(&str, &str)]) -> String {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    let mut canonical = String::new();
    for (key, value) in pairs {
        if !canonical.is_empty() {
            canonical.push('&');
        }
        percent_encode(key.as_bytes(), &mut canonical);
        canonical.push('=');
        percent_encode(value.as_bytes(), &mut canonical);
    }
    canonical
}

/// RFC 3986: all but the unreserved characters become `%XX` in capitals.
pub fn percent_encode(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// What is no `%XX` stays as it is.
fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let value = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            // `from_str_radix` alone would take a sign.
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(value.unwrap_or(bytes[at]));
        at += if value.is_some() { 3 } else { 1 };
    }
    decoded
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
}
