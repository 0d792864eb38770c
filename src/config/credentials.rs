//! The credential's source: the one that is named, or the first that is configured.

use super::settings::Settings;
use super::{Problems, number, regions};
use crate::auth::metadata::{self, Selection};
use crate::auth::provider::Candidate;
use crate::auth::{
    CredentialProvider, ResolvedProvider, SecretSource, access_key, iam, oidc, pod_identity, profile, token,
};
use crate::base::secret::Secret;
use crate::transport::Endpoint;
use std::path::PathBuf;

/// The names of the sources, in the order in which `auto` looks for them.
pub const SOURCES: [&str; 7] = ["token", "access-key", "password", "oidc", "profile", "pod-identity", "metadata"];

/// The shortest and the longest that a key from STS may live, in seconds. CredentialProvider: `AssumeAgencyWithOIDC` in the vendor's
/// reference of the API.
const STS_LIVES: (u32, u32) = (900, 43_200);

/// A source, or why it is not configured; half a source is a problem.
type Found = Result<CredentialProvider, Missing>;

/// What a source lacks.
enum Missing {
    /// Everything.
    All(String),
    /// Something, while the rest is there.
    Rest(String),
}

struct Search<'a> {
    settings: &'a Settings<'a>,
    iam: Option<String>,
}

/// Finds the source.
pub(super) fn choose(settings: &Settings<'_>, at: &mut Problems) -> Option<ResolvedProvider> {
    let mut search = Search { settings, iam: None };
    search.iam = iam_endpoint(settings, at);
    let named = settings.get("credentials.source");
    let name = named.as_ref().map_or("auto", |found| found.text());
    let place = named.as_ref().map_or("", |found| &found.place);
    if name == "auto" {
        let mut candidates = Vec::new();
        for name in SOURCES {
            let found = match search.find(name, Selection::LastResort, at) {
                Ok(source) => Ok(source),
                Err(Missing::All(why)) => Err(why),
                Err(Missing::Rest(problem)) => {
                    at.add(problem);
                    return None;
                }
            };
            let done = found.is_ok();
            candidates.push(Candidate { name, found });
            if done {
                break;
            }
        }
        return ResolvedProvider::first(candidates);
    }
    if !SOURCES.contains(&name) {
        at.add(format!("{place}: `{name}` is not known; known are auto, {}", SOURCES.join(", ")));
        return None;
    }
    match search.find(name, Selection::Chosen, at) {
        Ok(source) => Some(ResolvedProvider::named(source)),
        Err(Missing::All(why)) => {
            at.add(format!("{place} is {name}, but {why}"));
            None
        }
        Err(Missing::Rest(problem)) => {
            at.add(problem);
            None
        }
    }
}

impl Search<'_> {
    fn find(&self, name: &str, because: Selection, at: &mut Problems) -> Found {
        match name {
            "token" => self.token(),
            "access-key" => self.access_key(),
            "password" => self.password(),
            "oidc" => self.oidc(at),
            "profile" => self.profile(),
            "pod-identity" => self.pod_identity(at),
            _ => Ok(self.metadata(because, at)),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.settings.credential_variable(name)
    }

    /// A secret: in a file of its own, in the configuration file, or in the environment.
    fn part(&self, file: &str, key: &str, names: &[&str]) -> Option<SecretSource> {
        let variable = || names.iter().find_map(|name| self.variable(name));
        self.settings.part(file, key).or_else(|| variable().map(|text| SecretSource::Given(Secret::new(text))))
    }

    fn token(&self) -> Found {
        match self.part("credentials.token-file", "credentials.token", &["SWR_EXPORTER_TOKEN"]) {
            Some(part) => Ok(CredentialProvider::Token(token::TokenProvider(part))),
            None => {
                Err(Missing::All("there is no token: set SWR_EXPORTER_TOKEN or --credentials.token-file".to_owned()))
            }
        }
    }

    fn access_key(&self) -> Found {
        let id = self.part(
            "credentials.access-key-file",
            "credentials.access_key",
            &["SWR_EXPORTER_ACCESS_KEY", "HUAWEICLOUD_SDK_AK"],
        );
        let secret = self.part(
            "credentials.secret-key-file",
            "credentials.secret_key",
            &["SWR_EXPORTER_SECRET_KEY", "HUAWEICLOUD_SDK_SK"],
        );
        let security_token = self.part(
            "credentials.security-token-file",
            "credentials.security_token",
            &["SWR_EXPORTER_SECURITY_TOKEN", "HUAWEICLOUD_SDK_SECURITY_TOKEN"],
        );
        match (id, secret) {
            (Some(id), Some(secret)) => {
                Ok(CredentialProvider::AccessKey(access_key::AccessKeyProvider { id, secret, security_token }))
            }
            (Some(_), None) => Err(Missing::Rest(
                "the access key has no secret key: set SWR_EXPORTER_SECRET_KEY or --credentials.secret-key-file"
                    .to_owned(),
            )),
            (None, Some(_)) => Err(Missing::Rest(
                "the secret key has no access key: set SWR_EXPORTER_ACCESS_KEY or --credentials.access-key-file"
                    .to_owned(),
            )),
            (None, None) => Err(Missing::All(
                "there is no access key: set SWR_EXPORTER_ACCESS_KEY and SWR_EXPORTER_SECRET_KEY, or \
                 --credentials.access-key-file and --credentials.secret-key-file"
                    .to_owned(),
            )),
        }
    }

    fn password(&self) -> Found {
        let settings = self.settings;
        let password = self.part("credentials.password-file", "credentials.password", &["SWR_EXPORTER_PASSWORD"]);
        let (user, domain) = (settings.text("credentials.username"), settings.text("credentials.domain-name"));
        let id = settings.text("swr.project-id").or_else(|| settings.variable("HUAWEICLOUD_SDK_PROJECT_ID"));
        let project = match (id, settings.text("swr.region")) {
            (Some(id), _) => Some(iam::Project::Id(id)),
            (None, Some(region)) => Some(iam::Project::Name(region)),
            (None, None) => None,
        };
        if password.is_none() && user.is_none() && domain.is_none() {
            let why = "there is no password: set --credentials.domain-name, --credentials.username and \
                       SWR_EXPORTER_PASSWORD or --credentials.password-file";
            return Err(Missing::All(why.to_owned()));
        }
        let mut lacking = Vec::new();
        for (is_there, what) in [
            (domain.is_some(), "--credentials.domain-name (the account)"),
            (user.is_some(), "--credentials.username (the IAM user)"),
            (password.is_some(), "SWR_EXPORTER_PASSWORD or --credentials.password-file"),
            (project.is_some(), "--swr.project-id or --swr.region (the project that the token is for)"),
            (self.iam.is_some(), "--swr.iam-endpoint or a known --swr.region"),
        ] {
            if !is_there {
                lacking.push(what);
            }
        }
        match (self.iam.clone(), domain, user, password, project) {
            (Some(endpoint), Some(domain), Some(user), Some(password), Some(project)) => {
                Ok(CredentialProvider::Password(iam::PasswordProvider { endpoint, domain, user, password, project }))
            }
            _ => Err(Missing::Rest(format!("the login with a password lacks {}", lacking.join(", ")))),
        }
    }

    fn oidc(&self, at: &mut Problems) -> Found {
        let file = |name| self.variable(name).map(|file| SecretSource::File(file.into()));
        if let (Some(provider_urn), Some(agency_urn)) =
            (self.variable("HUAWEICLOUD_OIDC_PROVIDER_URN"), self.variable("HUAWEICLOUD_OIDC_AGENCY_URN"))
        {
            let given = self.variable("HUAWEICLOUD_OIDC_ID_TOKEN").map(|token| SecretSource::Given(Secret::new(token)));
            let Some(id_token) = file("HUAWEICLOUD_OIDC_TOKEN_FILE").or(given) else {
                return Err(Missing::Rest("OIDC lacks the identity token: set HUAWEICLOUD_OIDC_TOKEN_FILE".to_owned()));
            };
            let duration_seconds = self.variable("HUAWEICLOUD_OIDC_DURATION_SECONDS").map_or(Ok(3600), |text| {
                number(&text, STS_LIVES.0, STS_LIVES.1)
                    .map_err(|problem| Missing::Rest(format!("HUAWEICLOUD_OIDC_DURATION_SECONDS: {problem}")))
            })?;
            let ids = self.variable("HUAWEICLOUD_OIDC_POLICY_IDS").unwrap_or_default();
            let exchange = oidc::Exchange::Sts {
                endpoint: self.sts_endpoint(at),
                provider_urn,
                agency_urn,
                session_name: self
                    .variable("HUAWEICLOUD_OIDC_SESSION_NAME")
                    .unwrap_or_else(|| "oidc-sts-session".to_owned()),
                duration_seconds,
                policy: self.variable("HUAWEICLOUD_OIDC_POLICY"),
                policy_ids: ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
            };
            return Ok(CredentialProvider::Oidc(oidc::OidcProvider { id_token, exchange }));
        }
        let (idp_id, id_token) = (self.variable("HUAWEICLOUD_SDK_IDP_ID"), file("HUAWEICLOUD_SDK_ID_TOKEN_FILE"));
        match (idp_id, id_token, self.iam.clone()) {
            (Some(idp_id), Some(id_token), Some(endpoint)) => Ok(CredentialProvider::Oidc(oidc::OidcProvider {
                id_token,
                exchange: oidc::Exchange::Iam { endpoint, idp_id },
            })),
            (Some(_), Some(_), None) => {
                Err(Missing::Rest("OIDC lacks --swr.iam-endpoint or a known --swr.region".to_owned()))
            }
            _ => Err(Missing::All(
                "HUAWEICLOUD_OIDC_PROVIDER_URN and HUAWEICLOUD_OIDC_AGENCY_URN, or HUAWEICLOUD_SDK_IDP_ID and \
                 HUAWEICLOUD_SDK_ID_TOKEN_FILE, are not set"
                    .to_owned(),
            )),
        }
    }

    fn profile(&self) -> Found {
        let named = self.variable("HUAWEICLOUD_SDK_CREDENTIALS_FILE").map(PathBuf::from);
        let usual = || {
            let home = self.settings.variable("HOME")?;
            Some(PathBuf::from(home).join(".huaweicloud/credentials"))
        };
        let wanted = self.settings.text("credentials.source").as_deref() == Some("profile");
        let path = named.or_else(|| usual().filter(|path| wanted || path.is_file()));
        match path {
            Some(path) => {
                Ok(CredentialProvider::Profile(profile::ProfileProvider { path, iam_endpoint: self.iam.clone() }))
            }
            None => Err(Missing::All(
                "HUAWEICLOUD_SDK_CREDENTIALS_FILE is not set and there is no ~/.huaweicloud/credentials".to_owned(),
            )),
        }
    }

    fn pod_identity(&self, at: &mut Problems) -> Found {
        let Some(url) = self.variable("HC_CONTAINER_CREDENTIALS_FULL_URI") else {
            return Err(Missing::All("HC_CONTAINER_CREDENTIALS_FULL_URI is not set".to_owned()));
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            at.add("HC_CONTAINER_CREDENTIALS_FULL_URI is no address");
        }
        match self.variable("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Ok(CredentialProvider::Pod(pod_identity::PodIdentityProvider {
                url,
                token: SecretSource::File(file.into()),
            })),
            None => Err(Missing::Rest("pod identity lacks HC_CONTAINER_AUTHORIZATION_TOKEN_FILE".to_owned())),
        }
    }

    /// Plain HTTP is the rule here: the address means something on this machine alone.
    fn metadata(&self, because: Selection, at: &mut Problems) -> CredentialProvider {
        let given = self.settings.get("credentials.metadata-endpoint");
        let endpoint = given.as_ref().map_or(metadata::LINK_LOCAL, |found| found.text());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if Endpoint::link_local(&endpoint).is_err() {
            let place = given.map_or_else(String::new, |found| found.place);
            at.add(format!("{place}: it must be scheme, host and port alone, as in http://169.254.169.254"));
        }
        CredentialProvider::Metadata(metadata::MetadataProvider { endpoint, because })
    }

    fn sts_endpoint(&self, at: &mut Problems) -> String {
        let given = self.settings.variable("HUAWEICLOUD_SDK_STS_ENDPOINT");
        let given = given.and_then(|text| checked("HUAWEICLOUD_SDK_STS_ENDPOINT", &text, at));
        let region = self.settings.text("swr.region");
        let regional = || regions::endpoint(region.as_deref()?);
        let swr = self.settings.text("swr.endpoint").or_else(regional).unwrap_or_default();
        // An endpoint that is given may be in another cloud than the region of that name.
        let own = region.filter(|_| self.settings.text("swr.endpoint").is_none());
        let own = own.and_then(|region| regions::sts_endpoint(&region));
        given.or(own).or_else(|| oidc::sts_endpoint(&swr)).unwrap_or_else(|| {
            at.add(format!(
                "OIDC lacks the address of STS: set --swr.sts-endpoint or HUAWEICLOUD_SDK_STS_ENDPOINT, as it cannot be \
                 told from the address of the API, `{swr}`"
            ));
            String::new()
        })
    }
}

/// Where IAM is: given, or by the region.
pub(super) fn iam_endpoint(settings: &Settings<'_>, at: &mut Problems) -> Option<String> {
    if let Some(found) = settings.get("swr.iam-endpoint") {
        return checked(&found.place, found.text(), at);
    }
    match settings.variable("HUAWEICLOUD_SDK_IAM_ENDPOINT") {
        Some(text) => checked("HUAWEICLOUD_SDK_IAM_ENDPOINT", &text, at),
        None => regions::iam_endpoint(&settings.text("swr.region")?),
    }
}

fn checked(place: &str, text: &str, at: &mut Problems) -> Option<String> {
    match text.parse::<Endpoint>() {
        Ok(endpoint) => Some(endpoint.to_string()),
        Err(problem) => {
            at.add(format!("{place}: {problem}"));
            // It is given, so whoever needs it must not call it missing as well.
            Some(text.to_owned())
        }
    }
}
