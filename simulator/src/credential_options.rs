//! Settings of the credential services: users, lock-out, federation, pod identity, metadata service.
//!
//! [`Options`](super::Options) holds them; each service reads its own at every request.

use std::time::{Duration, SystemTime};

/// Account of the default options.
pub const DEMO_DOMAIN: &str = "demo-account";
/// User of the default options, in [`DEMO_DOMAIN`].
pub const DEMO_USER: &str = "demo-user";
/// Password of [`DEMO_USER`].
pub const DEMO_PASSWORD: &str = "demoPasswordNotARealSecret";
/// Identity provider of the default options, for the exchange of the older IAM.
pub const DEMO_IDP_ID: &str = "demo-idp";
/// Identity provider of the default options, for the exchange of STS.
pub const DEMO_PROVIDER_URN: &str = "iam::0123456789abcdef:oidc-provider:demo-idp";
/// Agency of the default options, for the exchange of STS.
pub const DEMO_AGENCY_URN: &str = "iam::0123456789abcdef:agency:demo-agency";
/// Agency of the default options that users of the account may take on.
pub const DEMO_DELEGATED_AGENCY: &str = "swr-readers";
/// Account of [`DEMO_DELEGATED_AGENCY`].
pub const DEMO_DELEGATING_DOMAIN: &str = "another-account";
/// Identity token of the default options: a syntactically valid JWT without content.
pub const DEMO_ID_TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZW1vIn0.demoIdTokenNotARealSecret";
/// Pod token of the default options, for the pod identity service.
pub const DEMO_POD_TOKEN: &str = "demo-pod-token-not-a-real-secret";

/// An IAM user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Account.
    pub domain: String,
    /// Name within the account.
    pub name: String,
    /// Password.
    pub password: String,
    /// What the user may do with the right password.
    pub access: UserAccess,
}

/// What a user may do with the right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserAccess {
    /// Get tokens.
    Programmatic,
    /// Nothing without a second factor: 401.
    MfaRequired,
    /// Use the console, not the API: 403.
    ConsoleOnly,
}

/// When repeated failures lock a user or an access key, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// Number of failures that locks.
    pub after: usize,
    /// Failures older than this no longer count.
    pub within: Duration,
    /// Duration of the lock. Attempts meanwhile fail and do not extend it.
    pub lasts: Duration,
}

/// A temporary access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryKey {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// Security token, required with the key.
    pub security_token: String,
    /// Expiry by the service's clock.
    pub expires_at: SystemTime,
}

/// Lifetime of keys that are issued for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLife {
    /// As requested.
    AsAsked,
    /// Fixed, whatever the request asks for.
    Exactly(Duration),
}

/// The pod identity service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentity {
    /// Path of its `POST` endpoint.
    pub path: String,
    /// Accepted pod tokens.
    pub tokens: Vec<String>,
    /// Lifetime of its keys.
    pub key_life: Duration,
}

/// The metadata service of a virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// How it is called.
    pub mode: MetadataMode,
    /// Whether it can issue keys.
    pub agency: Agency,
    /// Lifetime of its keys.
    pub key_life: Duration,
    /// Time before expiry at which a new key is issued. Both are valid meanwhile.
    pub rotate_before: Duration,
}

/// How the metadata service is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataMode {
    /// With a token: 401 without a valid one.
    TokenRequired,
    /// With or without a token; an invalid token is rejected.
    TokenOptional,
    /// Without a token: requesting one returns this status (404, 405 and 503 have been observed).
    Open(u16),
    /// Down: 503. For a machine without the service, add a fault that hangs.
    Down,
}

/// Whether an agency is bound to the virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agency {
    /// One is.
    Bound,
    /// None is: there are no keys.
    Missing,
}

/// Calls that need their own permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GET /v2/manage/repos` and `GET /v3/manage/repos`.
    ListRepositories,
    /// `GET /v2/manage/namespaces`.
    ListNamespaces,
    /// `GET /v2/manage/namespaces/{namespace}`.
    ShowNamespace,
    /// `GET /v2/manage/namespaces/{namespace}/repos/{repository}`.
    ShowRepository,
    /// `GET /v2/manage/namespaces/{namespace}/repos/{repository}/tags`.
    ListTags,
    /// `GET /v2/manage/namespaces/{namespace}/repos/{repository}/retentions`.
    ListRetentions,
    /// `GET /v2/manage/overview`.
    Overview,
    /// `GET /v2/manage/projects/{project}/quotas`.
    Quotas,
    /// `GET /v2/manage/projects/{project}/feature-gates`.
    FeatureGates,
    /// `GET /v2/{project}/instances`.
    ListInstances,
    /// `GET /v2/{project}/instances/{instance}/statistics`.
    InstanceStatistics,
    /// `GET /v2/{project}/repositories`.
    ListInstanceRepositories,
    /// `GET /v2/{project}/instances/{instance}/artifacts`.
    ListArtifacts,
}

impl User {
    /// A user who may log in.
    #[must_use]
    pub fn new(domain: &str, name: &str, password: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            name: name.to_owned(),
            password: password.to_owned(),
            access: UserAccess::Programmatic,
        }
    }
}

impl Default for Lockout {
    /// The strictest setting an account can have, so that a client that copes with it is safe everywhere.
    fn default() -> Self {
        let quarter_hour = Duration::from_secs(15 * 60);
        Self { after: 3, within: quarter_hour, lasts: quarter_hour }
    }
}

impl Default for PodIdentity {
    fn default() -> Self {
        Self {
            path: "/pod-identity/credentials".to_owned(),
            tokens: vec![DEMO_POD_TOKEN.to_owned()],
            key_life: Duration::from_secs(3_600),
        }
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            mode: MetadataMode::TokenRequired,
            agency: Agency::Bound,
            key_life: Duration::from_secs(3_600),
            rotate_before: Duration::from_secs(600),
        }
    }
}
