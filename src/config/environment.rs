//! Environment variables as settings.
//!
//! A variable is often filled from a file, so white space and line ends around its value are removed. A value that is not
//! UTF-8 is refused, and a name that nobody reads is reported: both would otherwise look as if the variable were not set.
//! So is a value in quotes: a shell takes them off, `docker run --env-file` does not.

use super::yaml::nearest;
use super::{Problems, trimmed};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Variables with these prefixes are settings.
const PREFIXES: [&str; 3] = [OWN, "HUAWEICLOUD_", "HC_CONTAINER_"];

const OWN: &str = "SWR_EXPORTER_";

/// The password may begin or end with a space.
pub const PASSWORD: &str = "SWR_EXPORTER_PASSWORD";

/// The secrets that can be set by variables, which have no flag.
pub const SECRETS: [&str; 5] = [
    "SWR_EXPORTER_TOKEN",
    "SWR_EXPORTER_ACCESS_KEY",
    "SWR_EXPORTER_SECRET_KEY",
    "SWR_EXPORTER_SECURITY_TOKEN",
    PASSWORD,
];

/// The environment of the process, or of a test.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Value>);

#[derive(Clone)]
enum Value {
    Text(String),
    NotUnicode,
    Quoted,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The value of a variable without white space around it.
    ///
    /// # Errors
    /// If it is not set, or not UTF-8.
    pub fn get(&self, name: &str) -> Result<&str, String> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Ok(trimmed(text, name == PASSWORD)),
            Some(Value::NotUnicode) => Err(format!("the value of the environment variable {name} is not UTF-8")),
            Some(Value::Quoted) => Err(format!("the value of the environment variable {name} is in quotes")),
            None => Err(format!("the environment variable {name} is not set")),
        }
    }

    /// As [`Self::get`], without line ends around it alone, to be inserted into the value of a setting.
    pub(super) fn inserted(&self, name: &str) -> Result<&str, String> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Ok(trimmed(text, true)),
            _ => self.get(name),
        }
    }

    /// Reports variables of settings that are not UTF-8 or in quotes.
    pub(super) fn check(&self, problems: &mut Problems) {
        let is_setting = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        for (name, value) in self.0.iter().filter(|(name, _)| is_setting(name)) {
            match value {
                Value::Text(_) => {}
                Value::NotUnicode => problems.add(format!("{name}: the value is not UTF-8")),
                Value::Quoted => {
                    problems.add(format!("{name}: the value is in quotes, which are not part of it: leave them out"));
                }
            }
        }
    }

    /// The variables with our prefix that no setting reads, each with a hint.
    pub(super) fn unknown(&self, known: &[String]) -> Vec<String> {
        let own = self.0.keys().filter_map(|name| Some((name, name.strip_prefix(OWN)?)));
        own.filter(|(name, rest)| !known.contains(name) && !is_of_kubernetes(rest))
            .map(|(name, rest)| {
                // `SWR_EXPORTER_REGION` for `SWR_EXPORTER_SWR_REGION`.
                let ending = format!("_{rest}");
                let same_ending = known.iter().map(String::as_str).find(|known| known.ends_with(&ending));
                let near = same_ending.or_else(|| nearest(name, known.iter().map(String::as_str)));
                let hint = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
                format!("unknown environment variable {name}{hint}")
            })
            .collect()
    }
}

fn is_quoted(text: &str) -> bool {
    ['"', '\''].iter().any(|quote| text.len() > 1 && text.starts_with(*quote) && text.ends_with(*quote))
}

/// Whether Kubernetes makes such a variable for a service whose name begins with `swr-exporter`.
fn is_of_kubernetes(rest: &str) -> bool {
    let of_port = |part: &str| {
        let mut words = part.split('_');
        words.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
    };
    let rest = format!("_{rest}");
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.ends_with("_PORT")
        || rest.match_indices("_PORT_").any(|(at, word)| of_port(&rest[at + word.len()..]))
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(variables: T) -> Self {
        let named = variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let valued = named.map(|(name, value)| match value.into_string() {
            Ok(text) if name.starts_with(OWN) && !SECRETS.contains(&name.as_str()) && is_quoted(text.trim()) => {
                (name, Value::Quoted)
            }
            Ok(text) => (name, Value::Text(text)),
            Err(_) => (name, Value::NotUnicode),
        });
        Self(valued.collect())
    }
}

impl From<&[(&str, &str)]> for Environment {
    fn from(variables: &[(&str, &str)]) -> Self {
        variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn unknown_variables_are_reported_with_the_nearest_name_but_not_those_of_kubernetes() {
        let known = ["SWR_EXPORTER_SWR_REGION", "SWR_EXPORTER_TOKEN"].map(str::to_owned);
        let unknown = |name: &str| Environment::from(&[(name, "x")][..]).unknown(&known);
        for (name, hint) in [
            ("SWR_EXPORTER_REGION", " (did you mean `SWR_EXPORTER_SWR_REGION`?)"),
            ("SWR_EXPORTER_SWR_REGOIN", " (did you mean `SWR_EXPORTER_SWR_REGION`?)"),
            ("SWR_EXPORTER_TOKEN_", " (did you mean `SWR_EXPORTER_TOKEN`?)"),
            ("SWR_EXPORTER_PORT_NUMBER_OF_SOMETHING_ELSE", ""),
        ] {
            assert_eq!(unknown(name), [format!("unknown environment variable {name}{hint}")]);
        }
        for name in [
            "SWR_EXPORTER_TOKEN",
            "SWR_EXPORTER_SERVICE_HOST",
            "SWR_EXPORTER_SERVICE_PORT",
            "SWR_EXPORTER_SERVICE_PORT_HTTP",
            "SWR_EXPORTER_PORT",
            "SWR_EXPORTER_PORT_10179_TCP",
            "SWR_EXPORTER_PORT_10179_TCP_ADDR",
            "SWR_EXPORTER_TEAM_PORT_53_UDP_PROTO",
            "SWR_EXPORTER_TEAM_SERVICE_HOST",
            "OTHER",
        ] {
            assert_eq!(unknown(name), [""; 0], "{name}");
        }
    }

    #[test]
    fn values_are_trimmed_and_must_be_utf_8() {
        let environment = Environment::from(&[("A", " a b\r\n"), (PASSWORD, " p \n")][..]);
        assert_eq!((environment.get("A"), environment.get(PASSWORD)), (Ok("a b"), Ok(" p ")));
        let names = ["SWR_EXPORTER_TOKEN", "HUAWEICLOUD_SDK_AK", "HC_CONTAINER_X", "LESSOPEN"];
        let latin1 = names.map(|name| (OsString::from(name), OsString::from_vec(b"caf\xe9".to_vec())));
        let environment: Environment = latin1.into_iter().collect();
        let mut problems = Problems::default();
        environment.check(&mut problems);
        let said = ["HC_CONTAINER_X", "HUAWEICLOUD_SDK_AK", "SWR_EXPORTER_TOKEN"];
        assert_eq!(problems.list(), said.map(|name| format!("{name}: the value is not UTF-8")));
        assert!(environment.get("LESSOPEN").unwrap_err().contains("is not UTF-8"));
    }

    #[test]
    fn a_value_in_quotes_is_refused_but_for_secrets_which_say_so_themselves() {
        let refused = |name: &str, value: &str| {
            let mut problems = Problems::default();
            Environment::from(&[(name, value)][..]).check(&mut problems);
            problems.list().to_vec()
        };
        let name = "SWR_EXPORTER_REPOSITORIES_INCLUDE";
        for quoted in ["\"org/.*\"", "'org/.*'", " \"\"\n"] {
            assert_eq!(
                refused(name, quoted),
                [format!("{name}: the value is in quotes, which are not part of it: leave them out")]
            );
        }
        for other in ["org/.*", "\"", "org/\"x\"", "\"a", "a'", "\"a'", ""] {
            assert_eq!(refused(name, other), [""; 0], "{other}");
        }
        assert_eq!(refused(PASSWORD, "\"x\""), [""; 0]);
        assert_eq!(refused("HUAWEICLOUD_SDK_AK", "\"x\""), [""; 0]);
    }
}
