//! Finds the credential provider of an account: the one that is named, or the first that is configured.

use super::settings::Settings;
use super::{Problems, agency, environment, number, regions};
use crate::auth::metadata::{self, Selection};
use crate::auth::{
    CredentialProvider, ResolvedProvider, SecretSource, access_key, iam, oidc, pod_identity, profile, token,
};
use crate::base::secret::Secret;
use crate::transport::{Endpoint, EndpointError};
use std::path::PathBuf;

/// The names of the providers, in the order in which `auto` tries them.
pub const SOURCES: [&str; 7] = ["token", "access-key", "password", "oidc", "profile", "pod-identity", "metadata"];

/// The shortest and longest lifetime of an STS key in seconds, from the vendor's reference of `AssumeAgencyWithOIDC`.
const STS_LIFETIMES: (u32, u32) = (900, 43_200);

/// The profile of the vendor's command line, which holds keys in a form of its own.
const KOOCLI_PROFILE: &str = ".hcloud/config.json";

/// What is missing where IAM's address is not known.
const LACKING_IAM: &str = "--swr.iam-endpoint, or a known --swr.region with the API of that region";

/// How to give a secret, by variable or flag, and in the configuration file.
type Ways = (&'static str, &'static str);
const TOKEN: Ways =
    ("set SWR_EXPORTER_TOKEN or --credentials.token-file", "set `token` or `token_file` below `credentials`");
const ACCESS_KEY: Ways = (
    "set SWR_EXPORTER_ACCESS_KEY or --credentials.access-key-file",
    "set `access_key` or `access_key_file` below `credentials`",
);
const SECRET_KEY: Ways = (
    "set SWR_EXPORTER_SECRET_KEY or --credentials.secret-key-file",
    "set `secret_key` or `secret_key_file` below `credentials`",
);

use NotConfigured::{Absent, Incomplete, Reported};

type Found = Result<CredentialProvider, NotConfigured>;

enum NotConfigured {
    /// None of its settings is there.
    Absent(String),
    /// Some of its settings are there and some are missing, which is a problem.
    Incomplete(String),
    /// A setting is wrong, and that is reported already.
    Reported,
}

struct Search<'a> {
    settings: &'a Settings<'a>,
    /// The endpoint of the API.
    endpoint: Option<&'a Endpoint>,
    /// As [`iam_endpoint`] returns it.
    iam: Result<Option<String>, ()>,
}

/// Finds the provider. `endpoint` is that of the API.
pub(super) fn choose(
    settings: &Settings<'_>,
    endpoint: Option<&Endpoint>,
    problems: &mut Problems,
) -> Option<ResolvedProvider> {
    if settings.has_wrong_credentials() {
        // What else is missing follows from the problem that is reported already.
        return None;
    }
    let iam = iam_endpoint(settings, endpoint, problems);
    let search = Search { settings, endpoint, iam };
    let base = search.base(problems);
    agency::taken_on(settings, base, search.iam.ok(), problems)
}

impl Search<'_> {
    /// The provider that is named, or the first that is configured.
    fn base(&self, problems: &mut Problems) -> Option<ResolvedProvider> {
        let named = self.settings.get("credentials.source");
        let name = named.as_ref().map_or("auto", |found| found.text());
        let place = named.as_ref().map_or("", |found| &found.place);
        if name == "auto" {
            return self.first(problems);
        }
        if !SOURCES.contains(&name) {
            problems.add(format!("{place}: unknown source `{name}` (known: auto, {})", SOURCES.join(", ")));
            return None;
        }
        match self.find(name, Selection::Chosen, problems) {
            Ok(provider) => return Some(ResolvedProvider::named(provider)),
            Err(Absent(why)) => problems.add(format!("{place} is {name}, but {why}")),
            Err(Incomplete(problem)) => problems.add(problem),
            Err(Reported) => {}
        }
        None
    }

    /// The first provider that is configured. Others that are configured too get a warning.
    fn first(&self, problems: &mut Problems) -> Option<ResolvedProvider> {
        let mut passed_over = Vec::new();
        for (index, name) in SOURCES.into_iter().enumerate() {
            match self.find(name, Selection::LastResort, problems) {
                Ok(source) => {
                    self.warn(name, &SOURCES[index + 1..], problems);
                    return Some(ResolvedProvider { source, passed_over });
                }
                Err(Absent(why)) => passed_over.push((name, why)),
                Err(Incomplete(problem)) => {
                    problems.add(problem);
                    return None;
                }
                Err(Reported) => return None,
            }
        }
        None
    }

    /// Warns of a provider that was probably not meant.
    fn warn(&self, name: &str, later: &[&str], problems: &mut Problems) {
        let unused = later.iter().filter(|other| **other != "metadata");
        let unused = unused.filter(|other| self.find(other, Selection::LastResort, &mut Problems::default()).is_ok());
        let unused: Vec<&str> = unused.copied().collect();
        if !unused.is_empty() {
            problems.warn(format!("the credential is {name}; also configured and not used: {}", unused.join(", ")));
        }
        if name == "metadata" {
            let terraform = ["HW_ACCESS_KEY", "HW_SECRET_KEY"].into_iter().find(|name| self.variable(name).is_some());
            let hint =
                terraform.map(|name| format!("; {name} is not read, SWR_EXPORTER_{} is", &name[3..])).or_else(|| {
                    let profile = PathBuf::from(self.settings.variable("HOME")?).join(KOOCLI_PROFILE);
                    profile.is_file().then(|| format!("; the profile of KooCLI, {}, is not read", profile.display()))
                });
            problems.warn(format!(
                "no credential is configured; trying the metadata service of this machine{}",
                hint.unwrap_or_default()
            ));
        }
    }

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

    fn known_iam(&self) -> Option<String> {
        self.iam.clone().ok().flatten()
    }

    /// Without a file, or where the account takes its credentials from the environment, both ways are open.
    fn how_to_give(&self, (outside, in_file): Ways) -> String {
        self.settings.how_to_give(outside, in_file)
    }

    /// The source of a secret: a file of its own, the configuration file, or the first of these environment variables.
    fn secret(&self, file: &str, key: &str, names: &[&str]) -> Option<SecretSource> {
        let variable = || names.iter().find_map(|name| self.variable(name));
        self.settings.secret_source(file, key).or_else(|| variable().map(|text| SecretSource::Given(Secret::new(text))))
    }

    /// As [`Self::secret`], for secrets that never contain quotes: those of an environment file are part of the value.
    fn unquoted(&self, file: &str, key: &str, names: &[&str]) -> Result<Option<SecretSource>, NotConfigured> {
        let source = self.secret(file, key, names);
        match &source {
            Some(SecretSource::Given(secret)) if secret.expose().starts_with(['"', '\'']) => {
                let name = key.trim_start_matches("credentials.").replace('_', " ");
                Err(Incomplete(format!("the {name} begins with a quote: give it without quotes")))
            }
            _ => Ok(source),
        }
    }

    fn token(&self) -> Found {
        match self.unquoted("credentials.token-file", "credentials.token", &["SWR_EXPORTER_TOKEN"])? {
            Some(source) => Ok(CredentialProvider::Token(token::TokenProvider(source))),
            None => Err(Absent(format!("no token: {}", self.how_to_give(TOKEN)))),
        }
    }

    fn access_key(&self) -> Found {
        let id = self.unquoted(
            "credentials.access-key-file",
            "credentials.access_key",
            &["SWR_EXPORTER_ACCESS_KEY", "HUAWEICLOUD_SDK_AK"],
        )?;
        let secret = self.unquoted(
            "credentials.secret-key-file",
            "credentials.secret_key",
            &["SWR_EXPORTER_SECRET_KEY", "HUAWEICLOUD_SDK_SK"],
        )?;
        let security_token = self.unquoted(
            "credentials.security-token-file",
            "credentials.security_token",
            &["SWR_EXPORTER_SECURITY_TOKEN", "HUAWEICLOUD_SDK_SECURITY_TOKEN"],
        )?;
        match (id, secret) {
            (Some(id), Some(secret)) => {
                Ok(CredentialProvider::AccessKey(access_key::AccessKeyProvider { id, secret, security_token }))
            }
            (Some(_), None) => {
                Err(Incomplete(format!("the access key lacks its secret key: {}", self.how_to_give(SECRET_KEY))))
            }
            (None, Some(_)) => {
                Err(Incomplete(format!("the secret key lacks its access key: {}", self.how_to_give(ACCESS_KEY))))
            }
            (None, None) => Err(Absent(format!(
                "no access key: {}; {}",
                self.how_to_give(ACCESS_KEY),
                self.how_to_give(SECRET_KEY)
            ))),
        }
    }

    fn password(&self) -> Found {
        let settings = self.settings;
        let password = self.secret("credentials.password-file", "credentials.password", &[environment::PASSWORD]);
        let (user, domain) = (settings.text("credentials.username"), settings.text("credentials.domain-name"));
        let id = settings.text("swr.project-id").or_else(|| settings.variable("HUAWEICLOUD_SDK_PROJECT_ID"));
        let project = match (id, settings.text("swr.region")) {
            // The project is one of the agency's account.
            _ if agency::is_wanted(settings) => Some(iam::Project::Account),
            (Some(id), _) => Some(iam::Project::Id(id)),
            (None, Some(region)) => Some(iam::Project::Name(region)),
            (None, None) => None,
        };
        if password.is_none() && user.is_none() && domain.is_none() {
            let why = "no password: set --credentials.domain-name, --credentials.username and \
                       SWR_EXPORTER_PASSWORD or --credentials.password-file";
            return Err(Absent(why.to_owned()));
        }
        let wanted = [
            (domain.is_some(), "--credentials.domain-name (the account)"),
            (user.is_some(), "--credentials.username (the IAM user)"),
            (password.is_some(), "SWR_EXPORTER_PASSWORD or --credentials.password-file"),
            (project.is_some(), "--swr.project-id or --swr.region (the project that the token is for)"),
            (self.iam != Ok(None), LACKING_IAM),
        ];
        let lacking: Vec<&str> = wanted.iter().filter(|(is_there, _)| !is_there).map(|(_, what)| *what).collect();
        match (self.known_iam(), domain, user, password, project) {
            (Some(endpoint), Some(domain), Some(user), Some(password), Some(project)) => {
                Ok(CredentialProvider::Password(iam::PasswordProvider { endpoint, domain, user, password, project }))
            }
            _ if lacking.is_empty() => Err(Reported),
            _ => Err(Incomplete(format!("the login with a password lacks {}", lacking.join(", ")))),
        }
    }

    fn oidc(&self, problems: &mut Problems) -> Found {
        let file = |name| self.variable(name).map(|file| SecretSource::File(file.into()));
        if let (Some(provider_urn), Some(agency_urn)) =
            (self.variable("HUAWEICLOUD_OIDC_PROVIDER_URN"), self.variable("HUAWEICLOUD_OIDC_AGENCY_URN"))
        {
            let given = self.variable("HUAWEICLOUD_OIDC_ID_TOKEN").map(|token| SecretSource::Given(Secret::new(token)));
            let Some(id_token) = file("HUAWEICLOUD_OIDC_TOKEN_FILE").or(given) else {
                return Err(Incomplete("OIDC lacks the identity token: set HUAWEICLOUD_OIDC_TOKEN_FILE".to_owned()));
            };
            let duration_seconds = self.variable("HUAWEICLOUD_OIDC_DURATION_SECONDS").map_or(Ok(3600), |text| {
                number(&text, STS_LIFETIMES.0, STS_LIFETIMES.1)
                    .map_err(|problem| Incomplete(format!("HUAWEICLOUD_OIDC_DURATION_SECONDS: {problem}")))
            })?;
            let ids = self.variable("HUAWEICLOUD_OIDC_POLICY_IDS").unwrap_or_default();
            let exchange = oidc::Exchange::Sts {
                endpoint: self.sts_endpoint(problems)?,
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
        match (idp_id, id_token, self.known_iam()) {
            (Some(idp_id), Some(id_token), Some(endpoint)) => Ok(CredentialProvider::Oidc(oidc::OidcProvider {
                id_token,
                exchange: oidc::Exchange::Iam { endpoint, idp_id },
            })),
            (Some(_), Some(_), None) if self.iam.is_err() => Err(Reported),
            (Some(_), Some(_), None) => Err(Incomplete(format!("OIDC lacks {LACKING_IAM}"))),
            _ => Err(Absent(
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
                Ok(CredentialProvider::Profile(profile::ProfileProvider { path, iam_endpoint: self.known_iam() }))
            }
            None => Err(Absent(
                "HUAWEICLOUD_SDK_CREDENTIALS_FILE is not set and there is no ~/.huaweicloud/credentials".to_owned(),
            )),
        }
    }

    fn pod_identity(&self, problems: &mut Problems) -> Found {
        let Some(url) = self.variable("HC_CONTAINER_CREDENTIALS_FULL_URI") else {
            return Err(Absent("HC_CONTAINER_CREDENTIALS_FULL_URI is not set".to_owned()));
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            problems.add("HC_CONTAINER_CREDENTIALS_FULL_URI: invalid URL");
        }
        match self.variable("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Ok(CredentialProvider::Pod(pod_identity::PodIdentityProvider {
                url,
                token: SecretSource::File(file.into()),
            })),
            None => Err(Incomplete("pod identity lacks HC_CONTAINER_AUTHORIZATION_TOKEN_FILE".to_owned())),
        }
    }

    /// The metadata service speaks plain HTTP on a link-local address.
    fn metadata(&self, because: Selection, problems: &mut Problems) -> CredentialProvider {
        let given = self.settings.get("credentials.metadata-endpoint");
        let text = given.as_ref().map_or(metadata::LINK_LOCAL, |found| found.text());
        let endpoint = Endpoint::link_local(text.trim_end_matches('/')).map(|endpoint| endpoint.to_string());
        let endpoint = endpoint.unwrap_or_else(|_| {
            let place = given.map_or_else(String::new, |found| found.place);
            problems.add(format!("{place}: it must be scheme, host and port alone, as in http://169.254.169.254"));
            String::new()
        });
        CredentialProvider::Metadata(metadata::MetadataProvider { endpoint, because })
    }

    /// The STS endpoint as given, or that of the region if the API is the region's too. There is no default.
    fn sts_endpoint(&self, problems: &mut Problems) -> Result<String, NotConfigured> {
        if let Some(given) = self.settings.get_or_variable("swr.sts-endpoint", "HUAWEICLOUD_SDK_STS_ENDPOINT") {
            let endpoint = checked(&given.place, given.text(), "sts", problems).ok_or(Reported)?;
            return Ok(endpoint.to_string());
        }
        let region = self.settings.text("swr.region").unwrap_or_default();
        regions::sts_endpoint(&region).filter(|_| is_of_region(self.endpoint, &region)).ok_or_else(|| {
            let way = self.settings.how_to_give("--swr.sts-endpoint", "`sts_endpoint`");
            Incomplete(format!(
                "OIDC lacks the address of STS, which is not known for this region or endpoint: give {way}"
            ))
        })
    }
}

/// Whether the API is that of this region. If not, it may be that of another cloud, and no secret must go to the region's IAM
/// or STS. A wrong endpoint, which is reported, counts as that of the region.
fn is_of_region(endpoint: Option<&Endpoint>, region: &str) -> bool {
    endpoint.is_none_or(|endpoint| regions::endpoint(region) == Some(endpoint.to_string()))
}

/// The IAM endpoint as given, or that of the region if the API is the region's too. One that is wrong is reported.
pub(super) fn iam_endpoint(
    settings: &Settings<'_>,
    endpoint: Option<&Endpoint>,
    problems: &mut Problems,
) -> Result<Option<String>, ()> {
    match settings.get_or_variable("swr.iam-endpoint", "HUAWEICLOUD_SDK_IAM_ENDPOINT") {
        Some(given) => Ok(Some(checked(&given.place, given.text(), "iam", problems).ok_or(())?.to_string())),
        None => {
            let region = settings.text("swr.region").filter(|region| is_of_region(endpoint, region));
            Ok(region.and_then(|region| regions::iam_endpoint(&region)))
        }
    }
}

/// Parses the endpoint of a service; `place` is named in the problem.
pub(super) fn checked(place: &str, text: &str, service: &str, problems: &mut Problems) -> Option<Endpoint> {
    let parsed = text.parse().map_err(|problem: EndpointError| {
        problem.to_string().replace("https://swr-api.", &format!("https://{service}."))
    });
    problems.value_of(place, parsed)
}
