//! A link that the operator puts on the landing page.

use std::str::FromStr;

/// A name and an address over HTTP, `NAME=URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the link says.
    pub name: String,
    /// Where it leads.
    pub url: String,
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text is not quoted: the address may hold a password.
        const EXPECTED: &str = "invalid link (example: Grafana=https://grafana.example.com/d/swr-overview)";
        let (name, url) = text.split_once('=').ok_or_else(|| EXPECTED.to_owned())?;
        let (name, url) = (name.trim(), url.trim());
        if name.is_empty() {
            return Err(format!("{EXPECTED}: no name before `=`"));
        }
        let after_scheme = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = after_scheme.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        if host.is_empty() || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{EXPECTED}: no http or https URL for `{name}`"));
        }
        if host.contains('@') {
            return Err(format!("the URL of `{name}` contains a user or password, which everybody could read"));
        }
        Ok(Self { name: name.to_owned(), url: url.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_a_name_and_an_address_over_http_without_a_password() {
        let link: Link = "Our Grafana = https://grafana.example.com/d/x?var=a&b".parse().unwrap();
        assert_eq!((&*link.name, &*link.url), ("Our Grafana", "https://grafana.example.com/d/x?var=a&b"));
        for (text, problem) in [
            ("https://grafana.example.com", "invalid link"),
            ("=https://grafana.example.com", "no name before"),
            ("Grafana=javascript:alert(1)", "invalid link"),
            ("Grafana=ftp://grafana.example.com", "invalid link"),
            ("Grafana=/d/x", "invalid link"),
            ("Grafana=https:///d/x", "invalid link"),
            ("Grafana=https://a b", "invalid link"),
            ("Grafana=https://user:canary@grafana.example.com", "contains a user or password"),
        ] {
            let said = text.parse::<Link>().unwrap_err();
            assert!(said.contains(problem) && !said.contains("canary"), "{text}: {said}");
        }
    }
}
