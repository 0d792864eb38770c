//! The proxy variables, read as Go's programs read them: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, also in lower case.
//! `ALL_PROXY` counts where the variable of the scheme is not set.

use hyper::http::Uri;
use reqwest::Url;
use std::net::IpAddr;

/// Reads an environment variable.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Which requests go through which proxy.
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    http: Option<Url>,
    https: Option<Url>,
    no_proxy: Vec<Exception>,
}

/// A proxy variable that cannot be used. The value is not part of it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not an address.
    #[error(
        "{0}: invalid URL of a proxy (example: http://proxy.example.com:3128); in a user name and password, all but letters, \
         digits and -._~ must be percent-encoded, as %40 for @"
    )]
    Malformed(&'static str),
    /// A protocol other than HTTP.
    #[error("{0} names a SOCKS proxy, which is not supported: give the address of an HTTP proxy")]
    Socks(&'static str),
}

impl ProxySettings {
    /// Reads the variables of the process. The error is all variables that cannot be used.
    pub fn from_environment() -> Result<Self, Vec<ProxyError>> {
        Self::read(&|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// Reads variables. The error is all that cannot be used.
    pub fn read(variables: Variables<'_>) -> Result<Self, Vec<ProxyError>> {
        let mut problems = Vec::new();
        let mut proxy = |names: [&'static str; 2]| {
            let (name, value) = first(variables, names)?;
            parse(name, &value).map_err(|problem| problems.push(problem)).ok()
        };
        let all = proxy(["ALL_PROXY", "all_proxy"]);
        let https = proxy(["HTTPS_PROXY", "https_proxy"]).or_else(|| all.clone());
        // In a CGI program a client can set HTTP_PROXY, by a header `Proxy`.
        let http = if variables("REQUEST_METHOD").is_some() { None } else { proxy(["HTTP_PROXY", "http_proxy"]) };
        if !problems.is_empty() {
            return Err(problems);
        }
        let no_proxy = first(variables, ["NO_PROXY", "no_proxy"]).map_or_else(String::new, |(_, value)| value);
        let no_proxy = no_proxy.split(',').filter_map(Exception::parse).collect();
        Ok(Self { http: http.or(all), https, no_proxy })
    }

    /// The proxy for requests to an address. Loopback addresses are never reached through one.
    pub fn proxy_for(&self, address: &Uri) -> Option<&Url> {
        let is_https = address.scheme_str() == Some("https");
        let proxy = if is_https { self.https.as_ref()? } else { self.http.as_ref()? };
        let host = address.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
        let port = address.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let ip = host.parse().ok().map(|ip: IpAddr| ip.to_canonical());
        let is_direct = host == "localhost"
            || ip.is_some_and(|ip| ip.is_loopback())
            || self.no_proxy.iter().any(|exception| exception.matches(&host, ip, port));
        (!is_direct).then_some(proxy)
    }
}

/// The address of a proxy without user and password, for logs.
pub fn shown(proxy: &Url) -> String {
    let port = proxy.port_or_known_default().unwrap_or_default();
    format!("{}://{}:{port}", proxy.scheme(), proxy.host_str().unwrap_or_default())
}

/// The first of the variables that is not empty.
fn first(variables: Variables<'_>, names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names
        .into_iter()
        .find_map(|name| Some((name, variables(name)?.trim().to_owned())).filter(|(_, value)| !value.is_empty()))
}

fn parse(name: &'static str, value: &str) -> Result<Url, ProxyError> {
    let malformed = ProxyError::Malformed(name);
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {}
        scheme if scheme.starts_with("socks") => return Err(ProxyError::Socks(name)),
        _ => return Err(malformed),
    }
    // The URL parser would encode what is wrong here, and so take a wrong password for the right one.
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%".contains(&byte);
    let mut escapes = user.split('%').skip(1);
    let is_encoded = escapes.all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    let is_text = percent_encoding::percent_decode_str(user).decode_utf8().is_ok();
    if !user.bytes().all(is_plain) || !is_encoded || !is_text || host.contains(['/', '?', '#', '\\']) {
        return Err(malformed);
    }
    let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| malformed.clone())?;
    if url.has_host() { Ok(url) } else { Err(malformed) }
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug)]
struct Exception {
    host: ExceptedHost,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum ExceptedHost {
    Any,
    /// `10.0.0.0/8`.
    Network(IpAddr, u8),
    Address(IpAddr),
    /// A name and, with `itself`, all names below it: `example.com`. Without, those below it alone: `.example.com` and
    /// `*.example.com`.
    Domain {
        suffix: String,
        itself: bool,
    },
}

impl Exception {
    /// An entry; `None` if it is empty or can match nothing.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Some(Self { host: ExceptedHost::Any, port: None });
        }
        if let Some((network, length)) = text.split_once('/') {
            let (network, length): (IpAddr, u8) = (network.parse().ok()?, length.parse().ok()?);
            let longest = if network.is_ipv4() { 32 } else { 128 };
            return (length <= longest).then_some(Self { host: ExceptedHost::Network(network, length), port: None });
        }
        // An IPv6 address without brackets has colons and no port.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if text.parse::<IpAddr>().is_err() && !text.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (text.as_str(), None),
        };
        let host = host.trim_matches(['[', ']']);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self { host: ExceptedHost::Address(address.to_canonical()), port });
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        if host.trim_matches('.').is_empty() {
            return None;
        }
        let itself = !host.starts_with('.');
        let suffix = if itself { format!(".{host}") } else { host.to_owned() };
        Some(Self { host: ExceptedHost::Domain { suffix, itself }, port })
    }

    fn matches(&self, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        match &self.host {
            ExceptedHost::Any => true,
            ExceptedHost::Network(network, length) => ip.is_some_and(|ip| is_in(ip, *network, *length)),
            ExceptedHost::Address(address) => ip == Some(*address),
            ExceptedHost::Domain { suffix, itself } => host.ends_with(suffix) || *itself && host == &suffix[1..],
        }
    }
}

fn is_in(ip: IpAddr, network: IpAddr, length: u8) -> bool {
    let bits = |ip| match ip {
        IpAddr::V4(ip) => (4, u128::from(u32::from(ip)) << 96),
        IpAddr::V6(ip) => (6, u128::from(ip)),
    };
    let ((ip_version, ip), (version, network)) = (bits(ip), bits(network));
    ip_version == version && (ip ^ network).checked_shr(128 - u32::from(length)).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ProxySettings, Vec<ProxyError>> {
        ProxySettings::read(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        for (no_proxy, proxied, direct) in [
            ("", "https://swr.example.com https://10.1.2.3", ""),
            ("*", "", "https://swr.example.com https://10.1.2.3"),
            (
                "example.com",
                "https://example.org https://anexample.com",
                "https://example.com https://swr.EXAMPLE.com:1",
            ),
            (".example.com", "https://example.com", "https://swr.example.com https://a.b.example.com"),
            ("*.example.com", "https://example.com", "https://swr.example.com"),
            ("a.example.com, swr.example.com:8443", "https://swr.example.com", "https://swr.example.com:8443"),
            ("swr.example.com:443", "http://swr.example.com", "https://swr.example.com"),
            ("10.0.0.0/8,fd00::/8", "https://11.1.2.3 https://[fe80::1]", "https://10.1.2.3 https://[fd12::1]"),
            ("10.1.2.3", "https://10.1.2.4", "https://10.1.2.3:444 https://[::ffff:10.1.2.3]"),
            ("[fd00::1]:443,fd00::2", "https://[fd00::1]:444", "https://[fd00::1] https://[fd00::2]:444"),
            ("10.0.0.0/0", "https://[fd00::1]", "https://11.1.2.3"),
            ("exa*.com,*,x", "", "https://swr.example.com"),
            ("/8,10.0.0.0/33,:443,*.", "https://swr.example.com https://10.1.2.3", ""),
        ] {
            let proxies = [("HTTPS_PROXY", "http://proxy:3128"), ("http_proxy", "proxy:3128"), ("NO_PROXY", no_proxy)];
            let settings = read(&proxies).unwrap();
            let goes = |address: &str| settings.proxy_for(&address.parse().unwrap()).map(Url::as_str);
            for address in proxied.split_whitespace() {
                assert_eq!(goes(address), Some("http://proxy:3128/"), "{address} with {no_proxy}");
            }
            for address in direct.split_whitespace() {
                assert_eq!(goes(address), None, "{address} with {no_proxy}");
            }
            for loopback in ["http://localhost:1", "https://127.1.2.3", "https://[::1]:1", "http://[::ffff:127.0.0.1]"]
            {
                assert_eq!(goes(loopback), None, "{loopback} with {no_proxy}");
            }
        }
    }

    #[test]
    fn each_scheme_has_its_variable_and_upper_case_goes_first() {
        let variables = [("HTTPS_PROXY", "https://a"), ("https_proxy", "https://b"), ("ALL_PROXY", "http://c:1")];
        let settings = read(&variables).unwrap();
        let goes = |address: &str| settings.proxy_for(&address.parse().unwrap()).map(shown);
        assert_eq!(goes("https://example.com").as_deref(), Some("https://a:443"));
        assert_eq!(goes("http://example.com").as_deref(), Some("http://c:1"));
        assert!(read(&[("HTTP_PROXY", " ")]).unwrap().proxy_for(&"http://example.com".parse().unwrap()).is_none());
        let cgi = read(&[("HTTP_PROXY", "http://a"), ("REQUEST_METHOD", "GET")]).unwrap();
        assert!(cgi.proxy_for(&"http://example.com".parse().unwrap()).is_none());
    }

    #[test]
    fn a_malformed_proxy_is_refused_by_the_name_of_its_variable_and_without_its_password() {
        for value in [
            "http://us er:p@ss@127.0.0.1:1",
            "http://user:hunter@2@proxy:1",
            "http://user:hun/ter2@proxy:1",
            "http://user:12/hunter2@proxy",
            "http://user:hunter2#@proxy:1",
            "http://user:hunter2%zz@proxy:1",
            "http://user:hunter2%E4@proxy:1",
            "http://user:hunter2@proxy:99999",
            "http://user:hunter2@",
            "ftp://user:hunter2@proxy:1",
            "http://",
            "http://pro xy:1",
        ] {
            for name in ["HTTPS_PROXY", "http_proxy", "all_proxy"] {
                let problems = read(&[(name, value)]).unwrap_err();
                assert_eq!(problems.len(), 1, "{value}");
                let said = problems[0].to_string();
                assert!(
                    said.starts_with(&format!("{name}: invalid URL")) && said.contains("percent-encoded"),
                    "{said}"
                );
                assert!(!said.contains("hunter") && !said.contains("p@ss"), "{said}");
            }
        }
        let problems = read(&[("HTTPS_PROXY", "socks5h://u:hunter2@proxy:1080"), ("HTTP_PROXY", "x y")]).unwrap_err();
        assert_eq!(problems, [ProxyError::Socks("HTTPS_PROXY"), ProxyError::Malformed("HTTP_PROXY")]);
        let good = read(&[("HTTPS_PROXY", "HTTP://user:p%40ss@proxy.example.com:3128/")]).unwrap();
        let proxy = good.proxy_for(&"https://example.com".parse().unwrap()).unwrap();
        assert_eq!((shown(proxy).as_str(), proxy.password()), ("http://proxy.example.com:3128", Some("p%40ss")));
    }
}
