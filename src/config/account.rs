//! Resolves the settings of one account to the options of its stages.

use super::settings::{self, Settings};
use super::{
    Problems, credentials, duration, keyword, not_in, number, positive, regions, sdk_regions, unless_empty, yaml,
};
use crate::auth::exchange::Provider;
use crate::auth::{CredentialProvider, ResolvedProvider, SecretSource};
use crate::base::digest::{self, Sha256Digest};
use crate::base::rate_limit::Rate;
use crate::base::state_file::Origin;
use crate::cli::flags;
use crate::collect::ListApi;
use crate::collect::fetch_task::PerKind;
use crate::collect::inventory::TagOptions;
use crate::exposition::{ConstantLabels, RepositoryMetrics};
use crate::model::reclaim::{self, Reclaim};
use crate::transport::Endpoint;
use crate::transport::proxy::ProxySettings;
use crate::transport::{HttpsOptions, read_ca_file};
use crate::{cache, collect, exposition, swr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One account.
#[derive(Debug)]
pub struct AccountOptions {
    /// The name, which is also that of its state files.
    pub name: String,
    /// The provider of its credential.
    pub credentials: ResolvedProvider,
    /// Options of the API client.
    pub client: swr::Options,
    /// Options of connections.
    pub https: HttpsOptions,
    /// Options of the listing.
    pub collect: collect::Options,
    /// Options of tags and details.
    pub tags: collect::tags::Options,
    /// Options of the cache.
    pub cache: cache::Options,
    /// Options of the exposition.
    pub exposition: exposition::Options,
    /// The files that keep its state, if any.
    pub state: Option<StateFiles>,
    /// What service discovery publishes of it to everybody who may scrape it: names and values of labels.
    pub meta_labels: Vec<(&'static str, String)>,
    /// Changes when the settings change.
    pub fingerprint: Fingerprint,
    /// Identifies whose data its state is.
    pub origins: Origins,
}

/// The state files of an account, all in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFiles {
    /// The last good snapshot, if it is kept.
    pub snapshot: Option<PathBuf>,
    /// The tag inventory.
    pub tags: PathBuf,
    /// The lock of the process that owns the files.
    pub lock: PathBuf,
}

impl StateFiles {
    /// The endings of the files, that of the lock last.
    pub const ENDINGS: [&str; 3] = ["snapshot", "tags", "lock"];

    /// Those of a process that keeps only tags, that of the lock last.
    pub const OF_TAGS: [&str; 2] = ["scrape-tags", "scrape-lock"];

    pub(super) fn of(directory: &str, name: &str) -> Self {
        let [snapshot, tags, lock] = Self::ENDINGS.map(|ending| Path::new(directory).join(format!("{name}.{ending}")));
        Self { snapshot: Some(snapshot), tags, lock }
    }

    /// The files of a process that keeps only tags, beside another process that keeps everything.
    pub fn of_tags_beside(self) -> Self {
        let [tags, lock] = Self::OF_TAGS.map(|ending| self.tags.with_extension(ending));
        Self { snapshot: None, tags, lock }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.tags.parent().unwrap_or(Path::new("."))
    }
}

/// Digests by which changed settings are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of all settings.
    pub all: Sha256Digest,
    /// Of the settings of credentials.
    pub credentials: Sha256Digest,
}

/// Whose data is read. A rotated secret of the same user does not change it, nor does the API version of the listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Of snapshots.
    pub snapshot: Origin,
    /// Of the tag inventory. Organizations do not matter: it is compared with a listing before it is shown.
    pub tags: Origin,
}

/// Resolves one account; `None` if it has no credential.
pub(super) fn resolve(name: &str, settings: &Settings<'_>, problems: &mut Problems) -> Option<AccountOptions> {
    for renamed in flags::RENAMED {
        if let Some(found) = settings.get(renamed.name) {
            let key = flags::flag(renamed.default).key.unwrap_or_default();
            problems
                .add(format!("{}: renamed to --{} (in the configuration file: {key})", found.place, renamed.default));
        }
    }
    settings.check_paths(settings::account_flags(), problems);
    let cache = cache_options(settings, problems);
    let endpoint = endpoint(settings, problems);
    let credentials = credentials::choose(settings, endpoint.as_ref(), problems);
    let client = client_options(settings, endpoint.as_ref(), problems);
    let collect = collect_options(settings, cache.max_age, problems);
    let tags = tag_options(settings, problems);
    let exposition = exposition_options(settings, problems);
    if let Err(unusable) = ProxySettings::read(&|name| settings.variable(name)) {
        unusable.iter().for_each(|problem| problems.add(problem.to_string()));
    }
    let https = HttpsOptions { ca_file: settings.text("swr.ca-file").map(PathBuf::from), ..HttpsOptions::default() };
    let meta_labels = [
        ("__meta_swr_endpoint", Some(client.endpoint.clone())),
        ("__meta_swr_region", settings.text("swr.region")),
        ("__meta_swr_project_id", client.project_id.clone()),
    ];
    let meta_labels = meta_labels.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    // The CA file is read only when an account is built, so its content counts as a setting. An error is reported then.
    let certificates = https.ca_file.as_ref().and_then(|path| read_ca_file(path).ok()).unwrap_or_default();
    let fingerprint = Fingerprint {
        all: settings.fingerprint("", &certificates),
        credentials: settings.fingerprint("credentials.", &[]),
    };
    let state = settings.text("cache.directory").map(|directory| StateFiles::of(&directory, name));
    let credentials = credentials?;
    let origins = origins(&client, &credentials.source, &collect.namespaces);
    Some(AccountOptions {
        name: name.to_owned(),
        credentials,
        client,
        https,
        collect,
        tags,
        cache,
        exposition,
        state,
        meta_labels,
        fingerprint,
        origins,
    })
}

fn origins(client: &swr::Options, source: &CredentialProvider, namespaces: &[String]) -> Origins {
    let owner = source.owner();
    let account = [&client.endpoint, client.project_id.as_deref().unwrap_or_default(), source.name(), &owner];
    let inline = inline_identity(source);
    let of_snapshot = account.into_iter().chain([inline.as_str()]);
    Origins {
        snapshot: Origin::of(of_snapshot.chain(namespaces.iter().map(String::as_str))),
        tags: Origin::of(account),
    }
}

/// A digest that tells whose an inline credential is, where settings name neither file nor user: of an access key's id, or of
/// a token.
fn inline_identity(source: &CredentialProvider) -> String {
    let identity = match source {
        CredentialProvider::Token(token) => &token.0,
        CredentialProvider::AccessKey(key) => &key.id,
        _ => return String::new(),
    };
    match identity {
        SecretSource::Given(secret) => hex::encode(digest::of([secret.expose()])),
        SecretSource::File(_) => String::new(),
    }
}

fn cache_options(settings: &Settings<'_>, problems: &mut Problems) -> cache::Options {
    let default = cache::Options::default();
    let options = cache::Options {
        window: settings.read("cache.window", default.window, problems, positive),
        wait: settings.read("cache.wait", default.wait, problems, |text| match text {
            "deadline" => Ok(cache::Wait::Deadline),
            text => duration(text).map(cache::Wait::AtMost).map_err(|problem| format!("{problem}; or use `deadline`")),
        }),
        max_age: settings.read("cache.max-age", default.max_age, problems, positive),
        refresh_timeout: settings.read("swr.refresh-timeout", default.refresh_timeout, problems, positive),
    };
    if options.max_age < options.window {
        problems.add(format!(
            "--cache.max-age: {} is shorter than --cache.window {}, so data would be withdrawn before it is read again",
            humantime::format_duration(options.max_age),
            humantime::format_duration(options.window)
        ));
    }
    options
}

/// The endpoint as given, or that of the region.
fn endpoint(settings: &Settings<'_>, problems: &mut Problems) -> Option<Endpoint> {
    match (settings.get("swr.endpoint"), settings.get("swr.region")) {
        (Some(endpoint), _) => credentials::checked(&endpoint.place, endpoint.text(), "swr-api", problems),
        (None, Some(region)) => {
            let (place, name) = (&region.place, region.text());
            if let Some(own) = sdk_regions::endpoint(settings, name, problems)? {
                return Some(own);
            }
            let endpoint: Option<Endpoint> = regions::endpoint(name).and_then(|endpoint| endpoint.parse().ok());
            if let Some(partner) = regions::partner(name) {
                let cloud = partner.cloud;
                let both =
                    settings.how_to_give("--swr.endpoint and --swr.iam-endpoint", "`endpoint` and `iam_endpoint`");
                let both = format!("set {both}{}", partner.addresses());
                match &endpoint {
                    None => problems.add(format!("{place}: {name} is a region of {cloud}, whose customers {both}")),
                    Some(_) => problems.warn(format!(
                        "{place}: the address of {name} belongs to Huawei Cloud; customers of {cloud} {both}"
                    )),
                }
            } else if endpoint.is_none() {
                let way = settings.how_to_give("--swr.endpoint", "`endpoint`");
                let hint = yaml::did_you_mean(name, regions::known());
                problems.add(format!("{place}: unknown region `{name}`{hint}; for another region or cloud, set {way}"));
            }
            endpoint
        }
        (None, None) => {
            problems.add(settings.how_to_give(
                "no endpoint: set --swr.region (such as cn-north-4) or --swr.endpoint; `swr-exporter demo` needs neither",
                "no endpoint: set `region` (such as cn-north-4) or `endpoint`",
            ));
            None
        }
    }
}

fn client_options(settings: &Settings<'_>, endpoint: Option<&Endpoint>, problems: &mut Problems) -> swr::Options {
    let default = swr::Options::default();
    let project_id = settings.get_or_variable("swr.project-id", "HUAWEICLOUD_SDK_PROJECT_ID").map(|found| {
        let id = found.text().to_owned();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            problems.add(format!(
                "{}: invalid project id (letters and digits only, such as 0123456789abcdef0123456789abcdef)",
                found.place
            ));
        }
        id
    });
    let rate = Rate {
        per_second: settings.read("swr.rate-limit", default.rate.per_second, problems, rate),
        burst: settings.read("swr.burst", default.rate.burst, problems, |text| number(text, 1, 100_000).map(f64::from)),
    };
    swr::Options {
        endpoint: endpoint.map(ToString::to_string).unwrap_or_default(),
        project_id,
        // The default project of a region has the region's name.
        project_lookup: settings
            .text("swr.region")
            .zip(credentials::iam_endpoint(settings, endpoint, problems).ok().flatten())
            .map(|(name, iam_endpoint)| swr::ProjectLookup { iam_endpoint, name }),
        concurrency: settings.read("swr.concurrency", default.concurrency, problems, |text| number(text, 1, 64)),
        rate,
        request_timeout: settings.read("swr.request-timeout", default.request_timeout, problems, positive),
        ..default
    }
}

fn collect_options(settings: &Settings<'_>, max_age: Duration, problems: &mut Problems) -> collect::Options {
    let default = collect::Options::default();
    let found = settings.get("swr.namespace");
    let mut namespaces = found.as_ref().map(|found| found.values.clone()).unwrap_or_default();
    namespaces.sort();
    namespaces.dedup();
    if let Some(found) = found {
        let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        for name in &namespaces {
            if name.is_empty() {
                problems.add(format!("{}: empty name", found.place));
            } else if !name.bytes().all(is_of_a_name) {
                problems
                    .add(format!("{}: no organization is named `{name}` (letters, digits, -, . and _)", found.place));
            }
        }
    }
    let artifacts = settings.is_on("collector.enterprise.artifacts", false, problems);
    collect::Options {
        namespaces,
        list_api: settings.read("swr.list-api", default.list_api, problems, |text| keyword(text, &ListApi::WORDS)),
        account: settings.is_on("collector.account", false, problems),
        // Artifacts belong to repositories.
        enterprise: settings.is_on("collector.enterprise", false, problems) || artifacts,
        artifacts,
        artifacts_per_second: settings.read("collector.tags.rate-limit", default.artifacts_per_second, problems, rate),
        page_size: settings.read("swr.page-size", default.page_size, problems, |text| number(text, 10, 1000)),
        max_age,
        ..default
    }
}

fn tag_options(settings: &Settings<'_>, problems: &mut Problems) -> collect::tags::Options {
    let default = collect::tags::Options::default();
    let interval = default.collected.full_interval;
    let collected = TagOptions {
        enabled: PerKind::from_fn(|kind| settings.is_on(&format!("collector.{}", kind.collector()), false, problems)),
        series: settings.read("collector.tags.detail", None, problems, unless_empty),
        full_interval: settings.read("collector.tags.full-interval", interval, problems, positive),
        reclaim: reclaim_options(settings, problems),
    };
    let per_second = settings.read("collector.tags.rate-limit", default.per_second, problems, rate);
    collect::tags::Options { collected, per_second, ..default }
}

/// The clean-up rules.
pub(super) fn reclaim_options(settings: &Settings<'_>, problems: &mut Problems) -> Reclaim {
    let default = Reclaim::default();
    let mut rules = default.rules;
    if let Some(found) = settings.get("collector.tags.reclaim") {
        let texts: Vec<&str> = match found.values.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            // A variable cannot be empty and set.
            ["" | "none"] => Vec::new(),
            ref texts => texts.to_vec(),
        };
        match reclaim::parse(texts) {
            Ok(parsed) => rules = parsed,
            Err(wrong) => wrong.iter().for_each(|problem| problems.add(format!("{}: {problem}", found.place))),
        }
    }
    let keep = settings.read("collector.tags.reclaim.keep", default.keep, problems, unless_empty);
    Reclaim { rules, keep }
}

fn exposition_options(settings: &Settings<'_>, problems: &mut Problems) -> exposition::Options {
    let found = settings.get("collector.repositories.metrics");
    let given = found.and_then(|found| problems.value_of(&found.place, found.values.join(",").parse()));
    let mut repository_metrics: RepositoryMetrics = given.unwrap_or_default();
    if !settings.is_on("collector.repositories", true, problems) {
        repository_metrics = RepositoryMetrics::NONE;
    }
    let mut pattern = |name| {
        let text = settings.text(name)?;
        let parsed = settings.read(name, None, problems, unless_empty);
        if parsed.is_some() && text.ends_with("/*") {
            let place = settings.get(name).map_or_else(String::new, |found| found.place);
            problems.warn(format!(
                "{place}: `{text}` is a regular expression, but looks like a glob: write `{}.*`",
                &text[..text.len() - 1]
            ));
        }
        parsed
    };
    exposition::Options {
        repository_metrics,
        include: pattern("repositories.include"),
        exclude: pattern("repositories.exclude"),
        max_series_repositories: settings.read("repositories.limit", 0, problems, |text| number(text, 0, 100_000_000)),
        labels: constant_labels(settings, problems),
    }
}

fn constant_labels(settings: &Settings<'_>, problems: &mut Problems) -> ConstantLabels {
    let mut labels = ConstantLabels::default();
    if let Some(found) = settings.get("account.label") {
        for pair in &found.values {
            let set = match pair.split_once('=') {
                Some((name, value)) => labels.set(name.trim(), value.trim()),
                None => Err(format!("invalid label `{pair}` (example: account=production)")),
            };
            problems.value_of(&found.place, set);
        }
    }
    labels
}

/// Parses a number of requests per second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().unwrap_or(f64::NAN);
    if (0.01..=10_000.0).contains(&rate) { Ok(rate) } else { Err(not_in(text, "0.01", "10000")) }
}
