//! What a simulator is told when it starts, and what can be changed while it runs.

use std::time::{Duration, SystemTime};

use super::identity::{
    DEMO_AGENCY_URN, DEMO_DOMAIN, DEMO_ID_TOKEN, DEMO_IDP_ID, DEMO_PASSWORD, DEMO_PROVIDER_URN, DEMO_USER, KeyLife,
    Lockout, Metadata, Operation, PodIdentity, User,
};

/// Access key of the default options.
pub const DEMO_ACCESS_KEY: &str = "SWRDEMOACCESSKEY0001";
/// Secret key of the default options.
pub const DEMO_SECRET_KEY: &str = "demoSecretKeyNotARealSecret000000000000";
/// Token of the default options.
pub const DEMO_TOKEN: &str = "demo-token-not-a-real-secret";
/// Project of the default options; the region's default project bears the region's name.
pub const DEMO_PROJECT: &str = "cn-north-4";
/// Identifier of [`DEMO_PROJECT`].
pub const DEMO_PROJECT_ID: &str = "0123456789abcdef0123456789abcdef";

/// An access key that the simulator knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
    /// Present for temporary keys, which must send it along.
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

/// What happens to a `limit` above the maximum. The documentation does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// The page is silently shorter than asked for.
    Clamp,
    /// 400 with `SVCSTG.SWR.4000056`.
    Refuse,
}

/// Which offsets are taken. Editions of the documentation differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offsets {
    /// Any number from 0.
    Any,
    /// 0 or a multiple of `limit`, otherwise 400 with `SVCSTG.SWR.4001025`.
    MultiplesOfLimit,
}

/// How rows of equal name, which live in different organisations, are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// By organisation.
    Stable,
    /// By organisation in every other request, and the other way round in the rest, as a database without a second sort
    /// column may do.
    Alternating,
}

/// The answer to a listing of an organisation that does not exist.
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
    /// Everything but these organisations: 403 when one is asked for, and absent from wider listings.
    Except(Vec<String>),
    /// These repositories, by organisation and name; of the organisations nothing else is seen, and they are listed
    /// themselves only where those are asked for that are merely visible.
    Only(Vec<(String, String)>),
}

/// Whether the region offers the listing by markers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListV3 {
    /// It does, and its feature gate says so.
    Offered,
    /// The gateway does not know it, and the gate says so.
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

/// Settings of a simulator. The first seven shape the world and are read once; the rest can be changed while it runs,
/// with [`Simulator::configure`](super::Simulator::configure).
#[derive(Clone, Debug)]
pub struct Options {
    /// Repositories in the beginning.
    pub repositories: usize,
    /// Organisations, the first larger than the last.
    pub namespaces: usize,
    /// What the world and the random faults follow from.
    pub seed: u64,
    /// Simulated time at the start. A fixed moment, so that worlds are equal; a demonstration may prefer the present.
    pub start: SystemTime,
    /// How much happens: events (a download, a push, a birth, a death) per repository and simulated day.
    pub events_per_day: f64,
    /// For each repository that is born, one goes: the world changes and does not grow.
    pub steady: bool,
    /// One of so many repositories of the beginning was given up: nobody pushes to it or cleans it up. So are those that
    /// were never pushed to. None by 0.
    pub abandoned: u32,

    /// Simulated seconds per real second; 0 lets the world stand still.
    pub speed: f64,
    /// Time before every answer.
    pub latency: Duration,
    /// Known access keys.
    pub access_keys: Vec<AccessKey>,
    /// Tokens that are valid until revoked.
    pub tokens: Vec<String>,
    /// Users of the simulated IAM.
    pub users: Vec<User>,
    /// Projects of the simulated IAM.
    pub projects: Vec<Project>,
    /// Life of tokens that the simulated IAM issues.
    pub token_life: Duration,
    /// When wrong passwords lock a user.
    pub lockout: Lockout,
    /// When wrong signatures lock an access key.
    pub key_lockout: Lockout,
    /// Identity tokens that are taken, by the older IAM and by STS.
    pub id_tokens: Vec<String>,
    /// Identity provider that the older IAM knows.
    pub idp_id: String,
    /// Identity provider that STS knows.
    pub provider_urn: String,
    /// Agency that STS lets holders of identity tokens assume.
    pub agency_urn: String,
    /// Life of the keys that IAM and STS give for tokens.
    pub key_life: KeyLife,
    /// The pod identity service.
    pub pod_identity: PodIdentity,
    /// The metadata service.
    pub metadata: Metadata,
    /// Seconds that the service's clock is ahead of ours; negative if behind. Shows in `Date` and in signature checks.
    pub clock_skew_seconds: i64,
    /// Page size of a listing without paging.
    pub default_limit: usize,
    /// Largest page.
    pub max_limit: usize,
    /// What a larger `limit` gets.
    pub over_limit: OverLimit,
    /// Which offsets are taken.
    pub offsets: Offsets,
    /// Order of rows with equal names.
    pub ties: Ties,
    /// Whether the listing by markers is offered.
    pub list_v3: ListV3,
    /// Instances of the Enterprise Edition, in each project.
    pub enterprise_instances: usize,
    /// What listing an unknown organisation gets.
    pub unknown_namespace: UnknownNamespace,
    /// What the caller may see.
    pub permission: Permission,
    /// Calls that are not permitted, whatever they are about: 403 with `SVCSTG.SWR.4030170`.
    pub denied: Vec<Operation>,
    /// Answers with 429 above this many requests in one second.
    pub requests_per_second: Option<u32>,
    /// Whether bodies are compressed.
    pub compression: Compression,
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
            unknown_namespace: UnknownNamespace::Empty,
            permission: Permission::All,
            denied: Vec::new(),
            requests_per_second: None,
            compression: Compression::Off,
        }
    }
}
