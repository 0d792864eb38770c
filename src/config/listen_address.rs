//! Addresses to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// An address to listen on. Whatever cannot be understood exactly is refused: a server must never listen where nobody asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `:10179`: every address of the host, as in Go.
    Any(u16),
    /// An IP address.
    Socket(SocketAddr),
    /// A host name to resolve.
    Name(String, u16),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(port) => write!(f, ":{port}"),
            Self::Socket(address) => address.fmt(f),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const AS_IN: &str = "(examples: 127.0.0.1:10179, [::]:10179)";
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(format!("IPv6 address `{text}` without brackets and port (example: [::1]:10179)"));
        }
        let port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        let Some((host, port)) = text.rsplit_once(':').and_then(|(host, text)| Some((host, port(text)?))) else {
            let is_number = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let is_too_high = text.rsplit_once(':').is_some_and(|(_, port)| is_number(port));
            if let Ok(port) = text.parse::<u16>() {
                return Err(format!("no colon before the port in `{text}`: write :{port}"));
            }
            let wrong = if is_too_high { "port out of range in" } else { "no port in" };
            return Err(format!("{wrong} `{text}` {AS_IN}"));
        };
        if host.parse::<Ipv6Addr>().is_ok() {
            return Err(format!("IPv6 address without brackets in `{text}`: write [{host}]:{port}"));
        }
        if host.is_empty() {
            return Ok(Self::Any(port));
        }
        if host == "*" {
            return Err(format!("`*` in `{text}`: for all addresses of this host, write :{port}"));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            // Of an IPv4-mapped address only the IPv4 address is meant, also on a host without IPv6.
            return Ok(Self::Socket(match address.ip().to_canonical() {
                address @ IpAddr::V4(_) => SocketAddr::new(address, port),
                IpAddr::V6(_) => address,
            }));
        }
        if host.contains('%') {
            return Err(format!("zone name in `{text}`: use the number of the interface (example: [fe80::1%2]:10179)"));
        }
        let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        // Resolvers read `0`, `127.1` and `0x7f000001` as IPv4 addresses.
        let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let is_number = last.starts_with(|first: char| first.is_ascii_digit())
            && last.trim_start_matches("0x").bytes().all(|byte| byte.is_ascii_hexdigit());
        if last.is_empty() || is_number || !host.bytes().all(is_of_a_name) {
            return Err(format!("invalid address `{text}` {AS_IN}"));
        }
        Ok(Self::Name(host.to_owned(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_it_is_meant_or_refused() {
        for (text, expected) in [
            (":0", ":0"),
            (":10179", ":10179"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("0.0.0.0:65535", "0.0.0.0:65535"),
            ("[::]:1", "[::]:1"),
            ("[::1]:1", "[::1]:1"),
            ("[fe80::1%2]:1", "[fe80::1%2]:1"),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1"),
            ("[::ffff:7f00:1]:1", "127.0.0.1:1"),
            ("localhost:1", "localhost:1"),
            ("a_b.example.:1", "a_b.example.:1"),
            ("host1:1", "host1:1"),
        ] {
            assert_eq!(
                text.parse::<ListenAddress>().map(|address| address.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn an_ambiguous_address_is_refused_with_the_way_to_write_it() {
        for (text, expected) in [
            ("::1:10179", "IPv6 address without brackets in `::1:10179`: write [::1]:10179"),
            ("fe80::1:10179", "write [fe80::1]:10179"),
            ("2001:db8::1:80", "without brackets and port (example: [::1]:10179)"),
            ("::ffff:127.0.0.1:10179", "write [::ffff:127.0.0.1]:10179"),
            (":::10179", "write [::]:10179"),
            ("::", "without brackets and port"),
            ("::1", "without brackets and port"),
            ("[::1]", "no port in"),
            ("10179", "no colon before the port in `10179`: write :10179"),
            ("*:10179", "for all addresses of this host, write :10179"),
            ("127.0.0.1", "no port in"),
            ("localhost:http", "no port in"),
            (":+80", "no port in"),
            (":99999", "port out of range"),
            (":", "no port in"),
            ("0:80", "invalid address"),
            ("127.1:80", "invalid address"),
            ("2130706433:80", "invalid address"),
            ("0x7f000001:80", "invalid address"),
            ("256.0.0.1:80", "invalid address"),
            ("[]:80", "invalid address"),
            ("[127.0.0.1]:80", "invalid address"),
            ("[::1:80", "invalid address"),
            ("[fe80::1%eth0]:1", "zone name in"),
            ("http://localhost:10179", "invalid address"),
            ("user@host:1", "invalid address"),
            ("a b:1", "invalid address"),
            ("é:1", "invalid address"),
            (".:1", "invalid address"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
