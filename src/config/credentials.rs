//! Finds the credential provider of an account: the one that is named, or the first that is configured.

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

/// The names of the providers, in the order in which `auto` tries them.
pub const SOURCES: [&str; 7] = ["token", "access-key", "password", "oidc", "profile", "pod-identity", "metadata"];

/// The STS endpoint of regions without one of their own, as in the vendor's SDK.
const DEFAULT_STS: &str = "https://sts.cn-north-4.myhuaweicloud.com";

/// The shortest and longest lifetime of an STS key in seconds, from the vendor's reference of `AssumeAgencyWithOIDC`.
const STS_LIFETIMES: (u32, u32) = (900, 43_200);

type Found = Result<CredentialProvider, NotConfigured>;

/// Why a provider is not configured.
enum NotConfigured {
    /// None of its settings is there.
    Absent(String),
    /// Some of its settings are there and some are missing, which is a problem.
    Incomplete(String),
}

struct Search<'a> {
    settings: &'a Settings<'a>,
    iam: Option<String>,
}

/// Finds the provider.
pub(super) fn choose(settings: &Settings<'_>, problems: &mut Problems) -> Option<ResolvedProvider> {
    let search = Search { settings, iam: iam_endpoint(settings, problems) };
    let named = settings.get("credentials.source");
    let name = named.as_ref().map_or("auto", |found| found.text());
    let place = named.as_ref().map_or("", |found| &found.place);
    if name != "auto" && !SOURCES.contains(&name) {
        problems.add(format!("{place}: `{name}` is not known; known are auto, {}", SOURCES.join(", ")));
        return None;
    }
    let mut candidates = Vec::new();
    for candidate in SOURCES.into_iter().filter(|candidate| name == "auto" || *candidate == name) {
        let selection = if name == "auto" { Selection::LastResort } else { Selection::Chosen };
        let found = match search.find(candidate, selection, problems) {
            Ok(provider) if name != "auto" => return Some(ResolvedProvider::named(provider)),
            Ok(provider) => Ok(provider),
            Err(NotConfigured::Absent(why)) => Err(why),
            Err(NotConfigured::Incomplete(problem)) => {
                problems.add(problem);
                return None;
            }
        };
        let is_found = found.is_ok();
        candidates.push(Candidate { name: candidate, found });
        if is_found {
            break;
        }
    }
    if name == "auto" {
        return ResolvedProvider::first(candidates);
    }
    for why in candidates.into_iter().filter_map(|candidate| candidate.found.err()) {
        problems.add(format!("{place} is {name}, but {why}"));
    }
    None
}

impl Search<'_> {
    fn find(&self, name: &str, because: Selection, problems: &mut Problems) -> Found {
        match name {
            "token" => self.token(),
            "access-key" => self.access_key(),
            "password" => self.password(),
            "oidc" => self.oidc(problems),
            "profile" => self.profile(),
            "pod-identity" => self.pod_identity(problems),
            _ => Ok(self.metadata(because, problems)),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.settings.credential_variable(name)
    }

    /// The source of a secret: a file of its own, the configuration file, or the first of these environment variables.
    fn secret(&self, file: &str, key: &str, names: &[&str]) -> Option<SecretSource> {
        let variable = || names.iter().find_map(|name| self.variable(name));
        self.settings.secret_source(file, key).or_else(|| variable().map(|text| SecretSource::Given(Secret::new(text))))
    }

    fn token(&self) -> Found {
        match self.secret("credentials.token-file", "credentials.token", &["SWR_EXPORTER_TOKEN"]) {
            Some(source) => Ok(CredentialProvider::Token(token::TokenProvider(source))),
            None => Err(NotConfigured::Absent(
                "there is no token: set SWR_EXPORTER_TOKEN or --credentials.token-file".to_owned(),
            )),
        }
    }

    fn access_key(&self) -> Found {
        let id = self.secret(
            "credentials.access-key-file",
            "credentials.access_key",
            &["SWR_EXPORTER_ACCESS_KEY", "HUAWEICLOUD_SDK_AK"],
        );
        let secret = self.secret(
            "credentials.secret-key-file",
            "credentials.secret_key",
            &["SWR_EXPORTER_SECRET_KEY", "HUAWEICLOUD_SDK_SK"],
        );
        let security_token = self.secret(
            "credentials.security-token-file",
            "credentials.security_token",
            &["SWR_EXPORTER_SECURITY_TOKEN", "HUAWEICLOUD_SDK_SECURITY_TOKEN"],
        );
        match (id, secret) {
            (Some(id), Some(secret)) => {
                Ok(CredentialProvider::AccessKey(access_key::AccessKeyProvider { id, secret, security_token }))
            }
            (Some(_), None) => Err(NotConfigured::Incomplete(
                "the access key has no secret key: set SWR_EXPORTER_SECRET_KEY or --credentials.secret-key-file"
                    .to_owned(),
            )),
            (None, Some(_)) => Err(NotConfigured::Incomplete(
                "the secret key has no access key: set SWR_EXPORTER_ACCESS_KEY or --credentials.access-key-file"
                    .to_owned(),
            )),
            (None, None) => Err(NotConfigured::Absent(
                "there is no access key: set SWR_EXPORTER_ACCESS_KEY and SWR_EXPORTER_SECRET_KEY, or \
                 --credentials.access-key-file and --credentials.secret-key-file"
                    .to_owned(),
            )),
        }
    }

    fn password(&self) -> Found {
        let settings = self.settings;
        let password = self.secret("credentials.password-file", "credentials.password", &["SWR_EXPORTER_PASSWORD"]);
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
            return Err(NotConfigured::Absent(why.to_owned()));
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
            _ => Err(NotConfigured::Incomplete(format!("the login with a password lacks {}", lacking.join(", ")))),
        }
    }

    fn oidc(&self, problems: &mut Problems) -> Found {
        let file = |name| self.variable(name).map(|file| SecretSource::File(file.into()));
        if let (Some(provider_urn), Some(agency_urn)) =
            (self.variable("HUAWEICLOUD_OIDC_PROVIDER_URN"), self.variable("HUAWEICLOUD_OIDC_AGENCY_URN"))
        {
            let given = self.variable("HUAWEICLOUD_OIDC_ID_TOKEN").map(|token| SecretSource::Given(Secret::new(token)));
            let Some(id_token) = file("HUAWEICLOUD_OIDC_TOKEN_FILE").or(given) else {
                return Err(NotConfigured::Incomplete(
                    "OIDC lacks the identity token: set HUAWEICLOUD_OIDC_TOKEN_FILE".to_owned(),
                ));
            };
            let duration_seconds = self.variable("HUAWEICLOUD_OIDC_DURATION_SECONDS").map_or(Ok(3600), |text| {
                number(&text, STS_LIFETIMES.0, STS_LIFETIMES.1).map_err(|problem| {
                    NotConfigured::Incomplete(format!("HUAWEICLOUD_OIDC_DURATION_SECONDS: {problem}"))
                })
            })?;
            let ids = self.variable("HUAWEICLOUD_OIDC_POLICY_IDS").unwrap_or_default();
            let exchange = oidc::Exchange::Sts {
                endpoint: self.sts_endpoint(problems),
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
                Err(NotConfigured::Incomplete("OIDC lacks --swr.iam-endpoint or a known --swr.region".to_owned()))
            }
            _ => Err(NotConfigured::Absent(
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
            None => Err(NotConfigured::Absent(
                "HUAWEICLOUD_SDK_CREDENTIALS_FILE is not set and there is no ~/.huaweicloud/credentials".to_owned(),
            )),
        }
    }

    fn pod_identity(&self, problems: &mut Problems) -> Found {
        let Some(url) = self.variable("HC_CONTAINER_CREDENTIALS_FULL_URI") else {
            return Err(NotConfigured::Absent("HC_CONTAINER_CREDENTIALS_FULL_URI is not set".to_owned()));
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            problems.add("HC_CONTAINER_CREDENTIALS_FULL_URI is no address");
        }
        match self.variable("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Ok(CredentialProvider::Pod(pod_identity::PodIdentityProvider {
                url,
                token: SecretSource::File(file.into()),
            })),
            None => {
                Err(NotConfigured::Incomplete("pod identity lacks HC_CONTAINER_AUTHORIZATION_TOKEN_FILE".to_owned()))
            }
        }
    }

    /// The metadata service speaks plain HTTP on a link-local address.
    fn metadata(&self, because: Selection, problems: &mut Problems) -> CredentialProvider {
        let given = self.settings.get("credentials.metadata-endpoint");
        let endpoint = given.as_ref().map_or(metadata::LINK_LOCAL, |found| found.text());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['/', '@', '?', '#', ' '])) {
            let place = given.map_or_else(String::new, |found| found.place);
            problems.add(format!("{place}: it must be scheme, host and port alone, as in http://169.254.169.254"));
        }
        CredentialProvider::Metadata(metadata::MetadataProvider { endpoint, because })
    }

    fn sts_endpoint(&self, problems: &mut Problems) -> String {
        let given = self.settings.variable("HUAWEICLOUD_SDK_STS_ENDPOINT");
        let given = given.and_then(|text| checked("HUAWEICLOUD_SDK_STS_ENDPOINT", &text, problems));
        let given = given.map(|endpoint| endpoint.to_string());
        let regional = || regions::sts_endpoint(&self.settings.text("swr.region")?);
        given.or_else(regional).unwrap_or_else(|| DEFAULT_STS.to_owned())
    }
}

/// The IAM endpoint as given, or that of the region.
pub(super) fn iam_endpoint(settings: &Settings<'_>, problems: &mut Problems) -> Option<String> {
    if let Some(found) = settings.get("swr.iam-endpoint") {
        return checked(&found.place, found.text(), problems).map(|endpoint| endpoint.to_string());
    }
    match settings.variable("HUAWEICLOUD_SDK_IAM_ENDPOINT") {
        Some(text) => checked("HUAWEICLOUD_SDK_IAM_ENDPOINT", &text, problems).map(|endpoint| endpoint.to_string()),
        None => regions::iam_endpoint(&settings.text("swr.region")?),
    }
}

/// Parses an endpoint; `place` is named in the problem.
pub(super) fn checked(place: &str, text: &str, problems: &mut Problems) -> Option<Endpoint> {
    text.parse().map_err(|problem| problems.add(format!("{place}: {problem}"))).ok()
}
