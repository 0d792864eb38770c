//! Temporary access keys in a response, under any of the names that the cloud's services use, and times in any format.

use super::token_client::HttpResponse;
use super::{AccessKey, AuthError, Credential, IssuedCredential};
use crate::base::secret::Secret;
use serde::Deserialize;
use std::time::{Duration, SystemTime};

#[derive(Deserialize)]
struct Body {
    #[serde(alias = "credentials")]
    credential: Option<Key>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(alias = "accessKeyId", alias = "access_key_id")]
    access: String,
    #[serde(alias = "secretAccessKey", alias = "secret_access_key")]
    secret: String,
    #[serde(alias = "securityToken", alias = "security_token")]
    securitytoken: Option<String>,
    #[serde(alias = "expiration")]
    expires_at: Option<serde_json::Value>,
}

/// The key in a response. An error if there is none, or it has expired already.
pub(super) fn read_key(response: &HttpResponse) -> Result<IssuedCredential, AuthError> {
    let key = parse(&response.body).ok_or_else(|| response.unexpected("there is no key in it"))?;
    let secret = Secret::new(key.secret);
    let security_token = key.securitytoken.filter(|token| !token.is_empty()).map(Secret::new);
    if key.access.is_empty() || secret.is_empty() {
        return Err(response.unexpected("the key in it is empty"));
    }
    let expires_at = match &key.expires_at {
        None => None,
        Some(value) => Some(parse_time(value).ok_or_else(|| response.unexpected("its end is no time"))?),
    };
    let key = AccessKey { id: key.access, secret, security_token, project_id: None };
    response.issue(Credential::AccessKey(key), expires_at)
}

fn parse(body: &[u8]) -> Option<Key> {
    let wrapped = serde_json::from_slice::<Body>(body).ok()?;
    wrapped.credential.or_else(|| serde_json::from_slice(body).ok())
}

/// A time as RFC 3339, with or without its zone, or in seconds or milliseconds since 1970.
fn parse_time(value: &serde_json::Value) -> Option<SystemTime> {
    match value {
        serde_json::Value::String(text) => parse_timestamp(text),
        number => {
            let number = number.as_u64()?;
            let milliseconds = if number > 100_000_000_000 { number } else { number.checked_mul(1000)? };
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
        }
    }
}

/// A time as RFC 3339; without a zone it is UTC.
pub(super) fn parse_timestamp(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let time = text.parse::<jiff::Timestamp>().or_else(|_| format!("{text}Z").parse()).ok()?;
    Some(time.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_under_all_their_names() {
        for body in [
            r#"{"credential":{"access":"A","secret":"S","securitytoken":"T","expires_at":"2020-01-08T02:56:19.587000Z"}}"#,
            r#"{"credentials":{"access_key_id":"A","secret_access_key":"S","security_token":"T","expiration":"2020-01-08T02:56:19Z"}}"#,
            r#"{"accessKeyId":"A","secretAccessKey":"S","securityToken":"T","expiration":"2020-01-08T02:56:19+00:00","more":1}"#,
        ] {
            let key = parse(body.as_bytes()).unwrap_or_else(|| panic!("{body}"));
            assert_eq!((key.access.as_str(), key.secret.as_str()), ("A", "S"));
            assert_eq!(key.securitytoken.as_deref(), Some("T"));
            assert_eq!(seconds(&key.expires_at.unwrap()), Some(1_578_452_179));
        }
        for body in ["", "null", "[]", "{}", r#"{"credential":null}"#, r#"{"credential":{"access":"A"}}"#] {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
    }

    fn seconds(value: &serde_json::Value) -> Option<u64> {
        Some(parse_time(value)?.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn an_expiry_may_be_written_in_many_ways() {
        for text in
            ["2020-01-08T02:56:19.5", "2020-01-08 02:56:19Z", "2020-01-08T10:56:19+08:00", " 2020-01-08T02:56:19Z"]
        {
            assert_eq!(seconds(&text.into()), Some(1_578_452_179), "{text}");
        }
        assert_eq!(seconds(&1_578_452_179_u64.into()), Some(1_578_452_179));
        assert_eq!(seconds(&1_578_452_179_000_u64.into()), Some(1_578_452_179));
        for text in ["tomorrow", "", "2020-13-01T00:00:00Z"] {
            assert_eq!(seconds(&text.into()), None, "{text}");
        }
    }
}
