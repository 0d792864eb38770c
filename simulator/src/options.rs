//! Settings of the simulator, at the start and at run time.

use std::time::{Duration, SystemTime};

use super::credential_options::{
    DEMO_AGENCY_URN, DEMO_DELEGATED_AGENCY, DEMO_DELEGATING_DOMAIN, DEMO_DOMAIN, DEMO_ID_TOKEN, DEMO_IDP_ID,
    DEMO_PASSWORD, DEMO_PROVIDER_URN, DEMO_USER, KeyLife, Lockout, Metadata, Operation, PodIdentity, User,
};
use super::plan::Plan;

/// Access key of the default options.
pub const DEMO_ACCESS_KEY: &str = "SWRDEMOACCESSKEY0001";
/// Secret key of the default options.
pub const DEMO_SECRET_KEY: &str = "demoSecretKeyNotARealSecret000000000000";
/// Token of the default options.
pub const DEMO_TOKEN: &str = "demo-token-not-a-real-secret";
/// Project of the default options, named like its region as default projects are.
pub const DEMO_PROJECT: &str = "cn-north-4";
/// Identifier of [`DEMO_PROJECT`].
pub const DEMO_PROJECT_ID: &str = "0123456789abcdef0123456789abcdef";

/// An access key that the simulator knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// Required with temporary keys.
    pub security_token: Option<String>,
}

/// A project that tokens can be scoped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Identifier, 32 hexadecimal digits.
    pub id: String,
    /// Name, usually that of a region.
    pub name: String,
}

/// Effect of a `limit` above the maximum, which the API does not document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// The page is silently shorter than requested.
    Clamp,
    /// 400 with `SVCSTG.SWR.4000056`.
    Refuse,
}

/// Valid offsets; versions of the documentation differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offsets {
    /// Any number from 0.
    Any,
    /// 0 or a multiple of `limit`, otherwise 400 with `SVCSTG.SWR.4001025`.
    MultiplesOfLimit,
}

/// Order of rows of equal name in different organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// By organization.
    Stable,
    /// By organization, reversed in every second request, as a database without a second sort
    /// column may do.
    Alternating,
}

/// The response to a listing of an organization that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownNamespace {
    /// An empty list.
    Empty,
    /// 404.
    NotFound,
}

/// Whose repositories may be listed and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everything.
    All,
    /// Nothing: 403 with `SVCSTG.SWR.4030170`.
    None,
    /// Everything but these organizations: 403 when one is requested, and absent from wider listings.
    Except(Vec<String>),
    /// These repositories, by organization and name. Their organizations are listed
    /// only with `mode=visible`.
    Only(Vec<(String, String)>),
}

/// Whether the region offers the listing by markers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListV3 {
    /// Offered, and announced by the feature gate.
    Offered,
    /// Unknown to the gateway, and not announced.
    Absent,
}

/// Whether bodies are compressed for clients that accept it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Never.
    Off,
    /// When `Accept-Encoding` names gzip.
    Gzip,
}

/// Settings of a simulator. Those above the blank line shape the world and are read once; the rest can be changed,
/// with [`Simulator::configure`](super::Simulator::configure).
#[derive(Clone, Debug)]
pub struct Options {
    /// Repositories in the beginning.
    pub repositories: usize,
    /// Organizations, the first larger than the last.
    pub namespaces: usize,
    /// Seed of the world and of random faults.
    pub seed: u64,
    /// Simulated time at the start; fixed by default, so that worlds are equal.
    pub start: SystemTime,
    /// Events (downloads, pushes, creations, deletions) per repository and simulated day.
    pub events_per_day: f64,
    /// Deletes a repository for each new one, so that the number stays constant.
    pub steady: bool,
    /// Whether repositories are created and deleted at random.
    pub turnover: bool,
    /// Repositories that grow by a plan, in addition to `repositories`.
    pub plans: Vec<Plan>,
    /// Abandons every n-th initial repository, and those never pushed to: no pushes, no clean-ups.
    /// 0 means none.
    pub abandoned: u32,

    /// Simulated seconds per real second; 0 stops time.
    pub speed: f64,
    /// Time before every response.
    pub latency: Duration,
    /// Known access keys.
    pub access_keys: Vec<AccessKey>,
    /// Tokens valid until revoked.
    pub tokens: Vec<String>,
    /// Users of the simulated IAM.
    pub users: Vec<User>,
    /// Projects of the simulated IAM.
    pub projects: Vec<Project>,
    /// Lifetime of tokens that the simulated IAM issues.
    pub token_life: Duration,
    /// When wrong passwords lock a user.
    pub lockout: Lockout,
    /// When wrong signatures lock an access key.
    pub key_lockout: Lockout,
    /// Identity tokens accepted by the older IAM and by STS.
    pub id_tokens: Vec<String>,
    /// Identity provider that the older IAM knows.
    pub idp_id: String,
    /// Identity provider that STS knows.
    pub provider_urn: String,
    /// Agency that STS lets holders of identity tokens assume.
    pub agency_urn: String,
    /// Agency of another account that callers of IAM may take on, and the name of that account.
    pub delegated_agency: (String, String),
    /// Lifetime of keys that IAM and STS issue for tokens.
    pub key_life: KeyLife,
    /// The pod identity service.
    pub pod_identity: PodIdentity,
    /// The metadata service.
    pub metadata: Metadata,
    /// Seconds by which the service's clock is ahead, negative if behind. Affects `Date` and signature checks.
    pub clock_skew_seconds: i64,
    /// Page size of a listing without paging.
    pub default_limit: usize,
    /// Largest page.
    pub max_limit: usize,
    /// Effect of a larger `limit`.
    pub over_limit: OverLimit,
    /// Valid offsets.
    pub offsets: Offsets,
    /// Order of rows with equal names.
    pub ties: Ties,
    /// Whether the listing by markers is offered.
    pub list_v3: ListV3,
    /// Instances of the Enterprise Edition, in each project.
    pub enterprise_instances: usize,
    /// Their version. Instances older than 25.6.0 have no list of artifacts.
    pub enterprise_version: &'static str,
    /// Response to a listing of an unknown organization.
    pub unknown_namespace: UnknownNamespace,
    /// What the caller may see.
    pub permission: Permission,
    /// Calls that are denied: 403 with `SVCSTG.SWR.4030170`.
    pub denied: Vec<Operation>,
    /// Requests per second above which 429 is returned.
    pub requests_per_second: Option<u32>,
    /// Whether bodies are compressed.
    pub compression: Compression,
}

impl Options {
    /// Whether the caller may not see an organization.
    pub(super) fn denies(&self, namespace: &str) -> bool {
        match &self.permission {
            Permission::All => false,
            Permission::None => true,
            Permission::Except(closed) => closed.iter().any(|name| name == namespace),
            Permission::Only(open) => open.iter().all(|(organization, _)| organization != namespace),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            repositories: 100,
            namespaces: 5,
            seed: 1,
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600), // 2026-01-01
            events_per_day: 24.0,
            steady: false,
            turnover: true,
            plans: Vec::new(),
            abandoned: 0,
            speed: 0.0,
            latency: Duration::ZERO,
            access_keys: vec![AccessKey {
                access_key: DEMO_ACCESS_KEY.to_owned(),
                secret_key: DEMO_SECRET_KEY.to_owned(),
                security_token: None,
            }],
            tokens: vec![DEMO_TOKEN.to_owned()],
            users: vec![User::new(DEMO_DOMAIN, DEMO_USER, DEMO_PASSWORD)],
            projects: vec![Project { id: DEMO_PROJECT_ID.to_owned(), name: DEMO_PROJECT.to_owned() }],
            token_life: Duration::from_secs(24 * 3_600),
            lockout: Lockout::default(),
            key_lockout: Lockout::default(),
            id_tokens: vec![DEMO_ID_TOKEN.to_owned()],
            idp_id: DEMO_IDP_ID.to_owned(),
            provider_urn: DEMO_PROVIDER_URN.to_owned(),
            agency_urn: DEMO_AGENCY_URN.to_owned(),
            delegated_agency: (DEMO_DELEGATED_AGENCY.to_owned(), DEMO_DELEGATING_DOMAIN.to_owned()),
            key_life: KeyLife::AsAsked,
            pod_identity: PodIdentity::default(),
            metadata: Metadata::default(),
            clock_skew_seconds: 0,
            default_limit: 100,
            max_limit: 1_000,
            over_limit: OverLimit::Clamp,
            offsets: Offsets::Any,
            ties: Ties::Stable,
            list_v3: ListV3::Offered,
            enterprise_instances: 2,
            enterprise_version: "25.6.7",
            unknown_namespace: UnknownNamespace::Empty,
            permission: Permission::All,
            denied: Vec::new(),
            requests_per_second: None,
            compression: Compression::Off,
        }
    }
}
