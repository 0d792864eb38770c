//! Where the server is reached: the URL that others use, and the prefix of its own paths.

use super::PROBES;
use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, Uri};
use std::fmt;
use std::str::FromStr;

/// The URL under which others reach the server, perhaps through a reverse proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUrl {
    /// `http` or `https`.
    pub scheme: String,
    /// Host and, if it was given, port.
    pub authority: Authority,
    /// The path, without a slash at its end; empty if there is none.
    pub path: String,
}

impl FromStr for ExternalUrl {
    type Err = String;

    /// What is wrong with it. The text is not repeated: it may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = "(example: https://example.com/exporters/swr)";
        let uri: Uri = text.parse().map_err(|_| format!("invalid URL {form}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("URL without scheme or host {form}"));
        };
        if !matches!(scheme, "http" | "https") {
            return Err(format!("the scheme is neither http nor https {form}"));
        }
        if authority.as_str().contains('@') {
            return Err("the URL holds a user or a password, which everybody would see".to_owned());
        }
        if authority.host().is_empty() || text.contains(['?', '#']) {
            return Err(format!("the URL has no host, or more than scheme, host, port and path {form}"));
        }
        let path = prefix(uri.path())?;
        Ok(Self { scheme: scheme.to_owned(), authority: authority.clone(), path })
    }
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}/", self.scheme, self.authority, self.path)
    }
}

/// A prefix of paths: with a slash at its beginning and none at its end, or empty for `/`.
///
/// # Errors
/// What is wrong with the text.
pub fn prefix(text: &str) -> Result<String, String> {
    let inner = text.trim_matches('/');
    if inner.is_empty() {
        return Ok(String::new());
    }
    let is_usual = |segment: &str| !matches!(segment, "" | "." | "..");
    if is_plain_path(inner) && inner.split('/').all(is_usual) {
        return Ok(format!("/{inner}"));
    }
    Err(format!("invalid path `{text}` (example: /exporters/swr; no characters to escape)"))
}

/// Whether a request path may contain all its characters unescaped.
pub fn is_plain_path(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~!$&'()*+,;=:@".contains(&byte))
}

/// A path as the routes know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalPath<'a> {
    Below(&'a str),
    /// The prefix without its last slash, or `/` beside a prefix: the landing page is at this relative reference.
    Redirect(&'a str),
    Outside,
}

/// Takes the prefix off a path. The probes are found without it too: those who ask them do not come through the proxy.
pub(super) fn local_path<'a>(path: &'a str, prefix: &'a str) -> LocalPath<'a> {
    if prefix.is_empty() || PROBES.contains(&path) {
        return LocalPath::Below(path);
    }
    if path == "/" {
        return LocalPath::Redirect(&prefix[1..]);
    }
    match path.strip_prefix(prefix) {
        Some("") => LocalPath::Redirect(prefix.rsplit('/').next().unwrap_or_default()),
        Some(rest) if rest.starts_with('/') => LocalPath::Below(rest),
        _ => LocalPath::Outside,
    }
}

/// Host and port by which the client reached us: the authority in HTTP/2, the `Host` header in HTTP/1.1.
pub(super) fn requested_host(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers.get(HOST)?.to_str().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_url_has_scheme_host_and_path() {
        for (text, shown) in [
            ("https://example.com", "https://example.com/"),
            ("http://example.com:8080/", "http://example.com:8080/"),
            ("https://[::1]/exporters/swr/", "https://[::1]/exporters/swr/"),
        ] {
            assert_eq!(text.parse::<ExternalUrl>().unwrap().to_string(), shown);
        }
        for (text, problem) in [
            ("example.com/swr", "invalid URL"),
            ("/swr", "URL without scheme or host"),
            ("ftp://example.com/", "neither http nor https"),
            ("https://user:canary@example.com/", "a user or a password"),
            ("https://example.com/swr?canary=1", "more than scheme, host, port and path"),
            ("https://example.com/a%20b", "invalid path"),
            ("https://example.com/a/../b", "invalid path"),
            ("https://a canary", "invalid URL"),
        ] {
            let said = text.parse::<ExternalUrl>().unwrap_err();
            assert!(said.contains(problem) && !said.contains("canary"), "{text}: {said}");
        }
    }

    #[test]
    fn the_prefix_is_taken_off_and_probes_need_none() {
        use LocalPath::{Below, Outside, Redirect};
        let prefix = prefix("exporters/swr/").unwrap();
        assert_eq!(prefix, "/exporters/swr");
        for (path, expected) in [
            ("/exporters/swr/", Below("/")),
            ("/exporters/swr/metrics", Below("/metrics")),
            ("/exporters/swr//metrics", Below("//metrics")),
            ("/exporters/swr/-/ready", Below("/-/ready")),
            ("/-/ready", Below("/-/ready")),
            ("/-/reload", Outside),
            ("/exporters/swr", Redirect("swr")),
            ("/", Redirect("exporters/swr")),
            ("/metrics", Outside),
            ("/exporters/swrx/metrics", Outside),
            ("/exporters", Outside),
            ("*", Outside),
            ("", Outside),
        ] {
            assert_eq!(local_path(path, &prefix), expected, "{path}");
        }
        assert_eq!(local_path("/metrics", ""), Below("/metrics"));
    }
}
