//! The provider chain: the provider that the settings name, or the first that is configured.

use super::exchange::{Provider, ProviderState};
use super::{
    AuthError, SecretReader, SecretSource, access_key, agency, iam, metadata, oidc, pod_identity, profile, token,
};

/// A source of credentials. A new one is a file under `auth/` and a variant here.
#[derive(Clone, Debug)]
pub enum CredentialProvider {
    /// A ready-made token.
    Token(token::TokenProvider),
    /// An access key from the settings or from files.
    AccessKey(access_key::AccessKeyProvider),
    /// A login with a password.
    Password(iam::PasswordProvider),
    /// An identity token of the platform.
    Oidc(oidc::OidcProvider),
    /// The credentials file of the vendor's SDK.
    Profile(profile::ProfileProvider),
    /// The agent of a CCE cluster.
    Pod(pod_identity::PodIdentityProvider),
    /// The metadata service of an ECS instance.
    Metadata(metadata::MetadataProvider),
    /// An agency of another account, taken on with the credential of one of the above.
    Agency(agency::AgencyProvider),
}

impl CredentialProvider {
    fn inner(&self) -> (&'static str, &dyn Provider) {
        match self {
            Self::Token(provider) => ("token", provider),
            Self::AccessKey(provider) => ("access-key", provider),
            Self::Password(provider) => ("password", provider),
            Self::Oidc(provider) => ("oidc", provider),
            Self::Profile(provider) => ("profile", provider),
            Self::Pod(provider) => ("pod-identity", provider),
            Self::Metadata(provider) => ("metadata", provider),
            Self::Agency(provider) => ("agency", provider),
        }
    }

    /// Its name in `--credentials.source`, or `agency`.
    pub fn name(&self) -> &'static str {
        self.inner().0
    }

    fn reads_files(&self) -> bool {
        match self {
            Self::Token(provider) => provider.0.is_file(),
            Self::AccessKey(provider) => {
                let parts = [Some(&provider.id), Some(&provider.secret), provider.security_token.as_ref()];
                parts.into_iter().flatten().any(SecretSource::is_file)
            }
            Self::Password(provider) => provider.password.is_file(),
            Self::Oidc(provider) => provider.id_token.is_file(),
            Self::Pod(provider) => provider.token.is_file(),
            Self::Profile(_) | Self::Agency(_) => true,
            Self::Metadata(_) => false,
        }
    }

    /// As [`Provider::load`], with files read by `reader`; an error too if their file system hangs.
    pub async fn load_by(&self, reader: &SecretReader) -> Result<ProviderState, AuthError> {
        if !self.reads_files() {
            return self.load();
        }
        let provider = self.clone();
        reader.run(move || provider.load()).await.unwrap_or(Err(AuthError::FilesHang))
    }
}

/// For the log: its name, or the agency and how it is taken on.
impl std::fmt::Display for CredentialProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agency(of) => write!(f, "the agency {}, by {}", of.owner(), of.base_name),
            source => f.write_str(source.name()),
        }
    }
}

impl Provider for CredentialProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        self.inner().1.load()
    }

    fn owner(&self) -> String {
        self.inner().1.owner()
    }
}

/// The provider in use.
#[derive(Debug)]
pub struct ResolvedProvider {
    /// The provider.
    pub source: CredentialProvider,
    /// Those before it in the chain, and why each was skipped.
    pub passed_over: Vec<(&'static str, String)>,
}

impl ResolvedProvider {
    /// A provider that the settings name.
    pub fn named(source: CredentialProvider) -> Self {
        Self { source, passed_over: Vec::new() }
    }
}

/// For the log: the name of the provider and why each one before it was skipped.
impl std::fmt::Display for ResolvedProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.source)?;
        for (index, (name, why)) in self.passed_over.iter().enumerate() {
            f.write_str(if index == 0 { "; not " } else { ", not " })?;
            write!(f, "{name} ({why})")?;
        }
        Ok(())
    }
}
