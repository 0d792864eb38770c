//! The credentials file of the vendor's SDK: section `[basic]` of an INI file.
//!
//! Values are taken literally; the SDK for Python wants a `%` written twice, which is not undone here.

use super::exchange::{Provider, ProviderState};
use super::oidc::Exchange;
use super::{AccessKey, AuthError, Credential, SecretSource, secret_source};
use crate::base::secret::Secret;
use crate::transport::Endpoint;
use std::path::PathBuf;

/// The file, and what it may leave out.
#[derive(Clone, Debug)]
pub struct ProfileProvider {
    /// The file.
    pub path: PathBuf,
    /// IAM's address, unless the file gives one.
    pub iam_endpoint: Option<String>,
}

/// The name of the file in errors.
pub const WHAT: &str = "the SDK's profile";

impl Provider for ProfileProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        let text = secret_source::read_text(&self.path, WHAT)?;
        let unusable = |problem| AuthError::UnusableFile { what: WHAT, path: self.path.clone(), problem };
        let value = |key| value(&text, key);
        // As with the SDK, an identity provider comes before a key.
        if let (Some(idp_id), Some(token_file)) = (value("idp_id"), value("id_token_file")) {
            let endpoint = match value("iam_endpoint") {
                Some(text) => Some(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string())),
                None => self.iam_endpoint.clone().map(Ok),
            };
            let endpoint = endpoint
                .ok_or_else(|| unusable("names an identity provider and no iam_endpoint"))?
                .map_err(|_| unusable("has an iam_endpoint that is no https address"))?;
            let id_token = SecretSource::File(token_file.into()).read("the identity token")?;
            let service = Exchange::Iam { endpoint, idp_id: idp_id.to_owned() };
            return Ok(ProviderState::needs_exchange(id_token, service));
        }
        let (Some(id), Some(secret)) = (value("ak"), value("sk")) else {
            return Err(unusable("has neither ak and sk nor idp_id and id_token_file in its section [basic]"));
        };
        if [id, secret].iter().any(|value| value.starts_with(['"', '\'']) && value.ends_with(['"', '\''])) {
            return Err(unusable("has ak or sk in quotes, which are not part of them: leave them out"));
        }
        Ok(ProviderState::Ready(Credential::AccessKey(AccessKey {
            id: id.to_owned(),
            secret: Secret::new(secret.to_owned()),
            security_token: value("security_token").map(|token| Secret::new(token.to_owned())),
            project_id: value("project_id").map(str::to_owned),
        })))
    }

    fn owner(&self) -> String {
        self.path.display().to_string()
    }
}

/// A value of section `[basic]` or, as with the SDK's parser, of `[DEFAULT]`; `None` if it is absent or empty.
fn value<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    let value = value_in("basic", text, wanted).or_else(|| value_in("DEFAULT", text, wanted));
    value.filter(|value| !value.is_empty())
}

fn value_in<'a>(wanted_section: &str, text: &'a str, wanted: &str) -> Option<&'a str> {
    let mut in_section = false;
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            in_section = section.trim() == wanted_section;
        } else if in_section
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once(['=', ':'])
            && key.trim().eq_ignore_ascii_case(wanted)
        {
            return Some(value.trim());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ProviderState, AuthError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        std::fs::write(&path, text).unwrap();
        ProfileProvider { path, iam_endpoint: None }.load()
    }

    #[test]
    fn values_are_literal_and_those_of_the_basic_section() {
        let text = "[global]\nak = other\nsk = other\n[basic]\n; ak = no\nak = A%K\nsk=s=%%;#\nproject_id : p\n";
        let Ok(ProviderState::Ready(Credential::AccessKey(key))) = read(text) else { panic!("a key") };
        assert_eq!((key.id.as_str(), key.secret.expose(), key.project_id.as_deref()), ("A%K", "s=%%;#", Some("p")));
        assert!(key.security_token.is_none());
        let inherited = "\u{feff}[basic]\nak = A\n[DEFAULT]\nak = other\nsk = S\nsecurity_token = T\n";
        let Ok(ProviderState::Ready(Credential::AccessKey(key))) = read(inherited) else { panic!("a key") };
        assert_eq!((key.id.as_str(), key.secret.expose()), ("A", "S"));
        assert_eq!(key.security_token.as_ref().map(Secret::expose), Some("T"));
    }

    #[test]
    fn a_profile_without_a_credential_says_what_is_missing() {
        for (text, problem) in [
            ("", "has neither ak and sk"),
            ("[basic]\nak = A\n", "has neither ak and sk"),
            ("[basic]\nak = A\nsk =\n", "has neither ak and sk"),
            ("[DEFAULT]\nsk = S\n[basic]\nak = A\nsk =\n", "has neither ak and sk"),
            ("[basic]\nak = \"A\"\nsk = \"S\"\n", "in quotes"),
            ("[basic]\nidp_id = i\nid_token_file = /x\n", "no iam_endpoint"),
            ("[basic]\nidp_id = i\nid_token_file = /x\niam_endpoint = http://example.com\n", "no https address"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }
}
