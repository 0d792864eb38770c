//! Temporary keys in an answer, under any of the names that the cloud's services have for them, and times in any form.

use super::token_client::HttpResponse;
use super::{AccessKey, AuthError, Credential, IssuedCredential, ends};
use crate::base::secret::Secret;
use serde::Deserialize;
use std::time::{Duration, SystemTime};

#[derive(Deserialize)]
struct Wrapped {
    #[serde(alias = "credentials")]
    credential: Option<Keys>,
}

#[derive(Deserialize)]
struct Keys {
    #[serde(alias = "accessKeyId", alias = "access_key_id")]
    access: String,
    #[serde(alias = "secretAccessKey", alias = "secret_access_key")]
    secret: String,
    #[serde(alias = "securityToken", alias = "security_token")]
    securitytoken: Option<String>,
    #[serde(alias = "expiration")]
    expires_at: Option<serde_json::Value>,
}

/// The key in an answer.
///
/// # Errors
/// When there is none, or it has expired already.
pub(super) fn read(reply: &HttpResponse) -> Result<IssuedCredential, AuthError> {
    let keys = parse(&reply.body).ok_or_else(|| reply.odd("there is no key in it"))?;
    let secret = Secret::new(keys.secret);
    let security_token = keys.securitytoken.filter(|token| !token.is_empty()).map(Secret::new);
    if keys.access.is_empty() || secret.is_empty() {
        return Err(reply.odd("the key in it is empty"));
    }
    let expires_at = keys.expires_at.as_ref().map(|value| time(value).ok_or_else(|| reply.odd("its end is no time")));
    let expires_at = expires_at.transpose()?;
    if expires_at.is_some_and(|end| end <= reply.now) {
        return Err(reply.odd("the key in it has expired"));
    }
    let ends = expires_at.map(|end| ends(end, reply.now, reply.asked_at));
    let key = AccessKey { id: keys.access, secret, security_token, project_id: None };
    Ok(IssuedCredential { credential: Credential::AccessKey(key), expires_at, ends })
}

fn parse(body: &[u8]) -> Option<Keys> {
    let wrapped = serde_json::from_slice::<Wrapped>(body).ok()?;
    wrapped.credential.or_else(|| serde_json::from_slice(body).ok())
}

/// A time as RFC 3339, with or without its zone, or in seconds or milliseconds.
pub(super) fn time(value: &serde_json::Value) -> Option<SystemTime> {
    match value {
        serde_json::Value::String(text) => time_of(text),
        number => {
            let number = number.as_u64()?;
            let milliseconds = if number > 100_000_000_000 { number } else { number.checked_mul(1000)? };
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
        }
    }
}

/// A time as RFC 3339; without a zone it is UTC.
pub(super) fn time_of(text: &str) -> Option<SystemTime> {
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
            let keys = parse(body.as_bytes()).unwrap_or_else(|| panic!("{body}"));
            assert_eq!((keys.access.as_str(), keys.secret.as_str()), ("A", "S"));
            assert_eq!(keys.securitytoken.as_deref(), Some("T"));
            let end = time(&keys.expires_at.unwrap()).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(end.as_secs(), 1_578_452_179);
        }
        for body in ["", "null", "[]", "{}", r#"{"credential":null}"#, r#"{"credential":{"access":"A"}}"#] {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn an_end_may_be_written_in_many_ways() {
        let seconds = |value: serde_json::Value| {
            time(&value).map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
        };
        for value in
            ["2020-01-08T02:56:19.5", "2020-01-08 02:56:19Z", "2020-01-08T10:56:19+08:00", " 2020-01-08T02:56:19Z"]
        {
            assert_eq!(seconds(value.into()), Some(1_578_452_179), "{value}");
        }
        assert_eq!(seconds(1_578_452_179_u64.into()), Some(1_578_452_179));
        assert_eq!(seconds(1_578_452_179_000_u64.into()), Some(1_578_452_179));
        for value in ["tomorrow", "", "2020-13-01T00:00:00Z"] {
            assert_eq!(seconds(value.into()), None, "{value}");
        }
    }
}
