//! The address of a service: scheme, host and port, and nothing else.

use reqwest::Url;
use std::net::IpAddr;
use std::str::FromStr;

/// A checked address, printed without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Why a text is not an endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute HTTP address.
    #[error("invalid URL `{0}` (example: https://swr-api.cn-north-4.myhuaweicloud.com)")]
    NotAnAddress(String),
    /// A path, query or credentials.
    #[error("it must be scheme, host and port alone, as in https://swr-api.cn-north-4.myhuaweicloud.com")]
    MoreThanAnAddress,
    /// The registry, from which images are pulled.
    #[error("`{0}` is the address of the registry; that of its API begins with swr-api")]
    Registry(String),
    /// Plain HTTP to another machine.
    #[error("`{0}` would send credentials unencrypted; plain http is for loopback addresses only")]
    Unencrypted(String),
}

impl Endpoint {
    /// The endpoint of a service that is reached from this machine alone, where plain HTTP is the rule.
    ///
    /// # Errors
    /// As [`Endpoint::from_str`], but for [`EndpointError::Unencrypted`].
    pub fn link_local(text: &str) -> Result<Self, EndpointError> {
        if text.contains('@') {
            // Before anything quotes it: a password may stand there, also one that makes the address unreadable.
            return Err(EndpointError::MoreThanAnAddress);
        }
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.filter(|url| url.port() != Some(0) && is_host(url.host_str().unwrap_or_default()));
        let url = url.ok_or_else(|| EndpointError::NotAnAddress(text.to_owned()))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::MoreThanAnAddress);
        }
        Ok(Self(url))
    }

    /// Whether the host is this machine.
    fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse();
        host == "localhost" || address.is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let endpoint = Self::link_local(text)?;
        if endpoint.0.scheme() == "http" && !endpoint.is_loopback() {
            return Err(EndpointError::Unencrypted(text.to_owned()));
        }
        let host = endpoint.0.host_str().unwrap_or_default();
        if host.starts_with("swr.") && host.trim_end_matches('.').ends_with(".myhuaweicloud.com") {
            return Err(EndpointError::Registry(text.to_owned()));
        }
        Ok(endpoint)
    }
}

/// Whether a host is an IPv6 address or made of labels. The URL parser takes more, such as quotes.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    host.starts_with('[') || host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
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
        for odd in [
            "https://example.com:0",
            "https://\"example.com\"",
            "https://a..b",
            "https://.",
            "https://.a",
            "https://*.a",
        ] {
            assert!(matches!(error(odd), EndpointError::NotAnAddress(_)), "{odd}");
        }
        assert_eq!("https://a_b.example.".parse::<Endpoint>().unwrap().to_string(), "https://a_b.example.");
        assert!(matches!(error("https://swr.cn-north-4.myhuaweicloud.com"), EndpointError::Registry(_)));
        assert!(matches!(error("http://10.0.0.1"), EndpointError::Unencrypted(_)));
        assert_eq!(Endpoint::link_local("http://10.0.0.1").unwrap().to_string(), "http://10.0.0.1");
        assert_eq!(Endpoint::link_local("http://10.0.0.1/x"), Err(EndpointError::MoreThanAnAddress));
    }
}
