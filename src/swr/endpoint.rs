//! The address of an API: scheme, host and port, and nothing else.

use std::net::IpAddr;
use std::str::FromStr;

/// A checked endpoint, printed without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No absolute address.
    #[error("`{0}` is no address such as https://swr-api.cn-north-4.myhuaweicloud.com")]
    NotAnAddress(String),
    /// A path, query or credentials, which do not belong there.
    #[error("it must be scheme, host and port alone, as in https://swr-api.cn-north-4.myhuaweicloud.com")]
    MoreThanAnAddress,
    /// Plain HTTP to somewhere else.
    #[error("`{0}` would send credentials unencrypted; plain http is for loopback addresses only")]
    Unencrypted(String),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.contains('@') {
            // Before anything quotes it: a password may stand there, also one that makes the address unreadable.
            return Err(EndpointError::MoreThanAnAddress);
        }
        let url = reqwest::Url::parse(text).map_err(|_| EndpointError::NotAnAddress(text.to_owned()))?;
        let Some(host) = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) else {
            return Err(EndpointError::NotAnAddress(text.to_owned()));
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare {
            return Err(EndpointError::MoreThanAnAddress);
        }
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if url.scheme() == "http" && !loopback {
            return Err(EndpointError::Unencrypted(text.to_owned()));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_bare_and_encrypted() {
        for good in [
            "https://swr-api.cn-north-4.myhuaweicloud.com",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost:9",
        ] {
            assert_eq!(good.parse::<Endpoint>().unwrap().to_string(), good);
        }
        assert_eq!("HTTPS://Example.com:443/".parse::<Endpoint>().unwrap().to_string(), "https://example.com");
        let error = |text: &str| text.parse::<Endpoint>().unwrap_err();
        assert!(matches!(error("swr-api.example.com"), EndpointError::NotAnAddress(_)));
        assert!(matches!(error("ftp://example.com"), EndpointError::NotAnAddress(_)));
        for password in
            ["https://user:hunter2@example.com", "https://user:hun/ter2@example.com", "ftp://u:p@example.com"]
        {
            assert_eq!(error(password), EndpointError::MoreThanAnAddress, "a password is never quoted");
        }
        assert_eq!(error("https://example.com/v2"), EndpointError::MoreThanAnAddress);
        assert!(matches!(error("http://10.0.0.1"), EndpointError::Unencrypted(_)));
    }
}
