//! What the credential services are told: users, lock-out, federation, pods, and the metadata service.
//!
//! Plain settings; `options` holds them all, and each service reads its own when it is asked.

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
/// Identity token of the default options. Looks like one and says nothing.
pub const DEMO_ID_TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZW1vIn0.demoIdTokenNotARealSecret";
/// What a pod of the default options shows to the pod identity service.
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
    /// What the right password is good for.
    pub access: UserAccess,
}

/// What a user may do with the right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserAccess {
    /// Get tokens.
    Programmatic,
    /// Nothing without a second factor: 401 that asks for one.
    MfaRequired,
    /// Use the console, not the API: 403.
    ConsoleOnly,
}

/// When repeated failures lock a user or an access key, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// The failure that locks.
    pub after: usize,
    /// Failures older than this no longer count.
    pub within: Duration,
    /// How long the lock holds. Attempts meanwhile fail and do not prolong it.
    pub lasts: Duration,
}

/// A temporary access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryKey {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
    /// Must be sent along.
    pub security_token: String,
    /// End of its life by the service's clock.
    pub expires_at: SystemTime,
}

/// How long the keys live that are given for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLife {
    /// As long as the request asks.
    AsAsked,
    /// This long, whatever is asked.
    Exactly(Duration),
}

/// The pod identity service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentity {
    /// Where it is asked, with `POST`.
    pub path: String,
    /// What pods may show.
    pub tokens: Vec<String>,
    /// Life of the keys that it gives.
    pub key_life: Duration,
}

/// The metadata service of a virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// How it wants to be asked.
    pub mode: MetadataMode,
    /// Whether it has keys to give.
    pub agency: Agency,
    /// Life of the keys that it gives.
    pub key_life: Duration,
    /// How long before the end of a key a new one is given instead. Both work meanwhile.
    pub rotate_before: Duration,
}

/// How the metadata service wants to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataMode {
    /// With a token: 401 without a valid one.
    TokenRequired,
    /// With a token or without; a bad token is refused all the same.
    TokenOptional,
    /// Without: asking for a token gets this status, of which 404, 405 and 503 have been seen.
    Open(u16),
    /// Not at all: 503. For a machine without the service, let the paths hang by a fault.
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

/// The calls that need a permission of their own.
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
    /// The strictest that an account can be set to, so that a client which respects it is safe everywhere.
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
