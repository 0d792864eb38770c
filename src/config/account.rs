//! One account's settings, resolved to the options of the stages that it is made of.

use super::settings::Settings;
use super::{Problems, credentials, duration, not_in, number, positive, regions, sdk_regions};
use crate::auth::{CredentialProvider, ResolvedProvider};
use crate::cache::state_file::Origin;
use crate::exposition::RepositoryMetrics;
use crate::transport::Endpoint;
use crate::transport::proxy::ProxySettings;
use crate::transport::{HttpsOptions, read_ca_file};
use crate::{cache, collect, exposition, swr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One account.
#[derive(Debug)]
pub struct Account {
    /// Its name, which is also that of its snapshot's file.
    pub name: String,
    /// Where its credential comes from.
    pub credentials: ResolvedProvider,
    /// The client.
    pub client: swr::Options,
    /// The connection.
    pub https: HttpsOptions,
    /// What to collect.
    pub collect: collect::Options,
    /// What to read repository by repository.
    pub tags: collect::tags::Options,
    /// When to collect.
    pub cache: cache::Options,
    /// What to write.
    pub exposition: exposition::Options,
    /// Where its state is kept, if it is.
    pub state: Option<StateFiles>,
    /// What may be said of it where accounts are discovered.
    pub about: About,
    /// Equal as long as nothing was changed.
    pub fingerprint: Fingerprint,
    /// What is kept of it is of use to.
    pub origins: Origins,
}

/// The files of an account's state, all in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFiles {
    /// The last good snapshot, where that is kept.
    pub snapshot: Option<PathBuf>,
    /// What is known of tags and details.
    pub tags: PathBuf,
    /// Locked by the process that keeps them.
    pub lock: PathBuf,
}

impl StateFiles {
    fn of(directory: &str, name: &str) -> Self {
        let file = |ending| Path::new(directory).join(format!("{name}.{ending}"));
        Self { snapshot: Some(file("snapshot")), tags: file("tags"), lock: file("lock") }
    }

    /// Those of a process that keeps tags and details alone, beside one that keeps all.
    pub fn of_tags_beside(self) -> Self {
        let (tags, lock) = (self.tags.with_extension("scrape-tags"), self.lock.with_extension("scrape-lock"));
        Self { snapshot: None, tags, lock }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.tags.parent().unwrap_or(Path::new("."))
    }
}

/// What may be said of an account to whoever may scrape it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The region, if it was given.
    pub region: Option<String>,
    /// The endpoint.
    pub endpoint: String,
    /// The project, if it was given.
    pub project_id: Option<String>,
}

/// By what it is seen that settings were changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of all settings.
    pub all: [u8; 32],
    /// Of those about credentials.
    pub credentials: [u8; 32],
}

/// Whose data is read. A secret that is replaced by the next of the same account changes nothing of it, nor does the way
/// in which a list is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Of snapshots.
    pub snapshot: Origin,
    /// Of what is known of tags: other organisations make it neither wrong nor useless, as it is laid beside a listing
    /// before it is shown.
    pub tags: Origin,
}

/// Resolves one account; `None` where it has no credential.
pub(super) fn resolve(name: &str, settings: &Settings<'_>, at: &mut Problems) -> Option<Account> {
    let cache = cache_options(settings, at);
    let endpoint = endpoint(settings, at);
    let credentials = credentials::choose(settings, at);
    let client = client_options(settings, endpoint.as_ref(), at);
    let collect = collect_options(settings, cache.max_age, at);
    let tags = tag_options(settings, at);
    let exposition = exposition_options(settings, at);
    if let Err(unusable) = ProxySettings::read(&|name| settings.variable(name)) {
        unusable.iter().for_each(|problem| at.add(problem.to_string()));
    }
    let https = HttpsOptions { ca_file: settings.text("swr.ca-file").map(PathBuf::from), ..HttpsOptions::default() };
    let about = About {
        region: settings.text("swr.region"),
        endpoint: client.endpoint.clone(),
        project_id: client.project_id.clone(),
    };
    // The file of certificates is read only when an account is built, so what it holds counts as a setting; if it cannot be
    // read, that is told then.
    let certificates = https.ca_file.as_ref().and_then(|path| read_ca_file(path).ok()).unwrap_or_default();
    let fingerprint = Fingerprint {
        all: settings.fingerprint("", &certificates),
        credentials: settings.fingerprint("credentials.", &[]),
    };
    let state = settings.text("cache.file").map(|directory| StateFiles::of(&directory, name));
    let credentials = credentials?;
    let origins = origins(&about, &credentials.source, &collect.namespaces);
    Some(Account {
        name: name.to_owned(),
        credentials,
        client,
        https,
        collect,
        tags,
        cache,
        exposition,
        state,
        about,
        fingerprint,
        origins,
    })
}

fn origins(about: &About, source: &CredentialProvider, namespaces: &[String]) -> Origins {
    let owner = source.owner();
    let account = [&about.endpoint, about.project_id.as_deref().unwrap_or_default(), source.name(), &owner];
    Origins {
        snapshot: Origin::of(account.into_iter().chain(namespaces.iter().map(String::as_str))),
        tags: Origin::of(account),
    }
}

fn cache_options(settings: &Settings<'_>, at: &mut Problems) -> cache::Options {
    let default = cache::Options::default();
    let options = cache::Options {
        window: settings.read("cache.window", default.window, at, positive),
        wait: settings.read("cache.wait", default.wait, at, |text| match text {
            "deadline" => Ok(cache::Wait::Deadline),
            text => duration(text).map(cache::Wait::AtMost).map_err(|problem| format!("{problem}, or `deadline`")),
        }),
        max_age: settings.read("cache.max-age", default.max_age, at, positive),
        refresh_timeout: settings.read("swr.refresh-timeout", default.refresh_timeout, at, positive),
    };
    if options.max_age < options.window {
        at.add(format!(
            "--cache.max-age: {} is shorter than --cache.window {}, so data would be withdrawn before it is read again",
            humantime::format_duration(options.max_age),
            humantime::format_duration(options.window)
        ));
    }
    options
}

/// The endpoint: given, or by the region.
fn endpoint(settings: &Settings<'_>, at: &mut Problems) -> Option<Endpoint> {
    match (settings.get("swr.endpoint"), settings.get("swr.region")) {
        (Some(endpoint), _) => match endpoint.text().parse() {
            Ok(parsed) => Some(parsed),
            Err(problem) => {
                at.add(format!("{}: {problem}", endpoint.place));
                None
            }
        },
        (None, Some(region)) => {
            let own = sdk_regions::endpoint(settings, region.text(), at)?;
            let endpoint = own.or_else(|| regions::endpoint(region.text()).and_then(|endpoint| endpoint.parse().ok()));
            if endpoint.is_none() {
                at.add(format!(
                    "{}: `{}` is not known; known are {}; for another region or cloud give --swr.endpoint",
                    region.place,
                    region.text(),
                    regions::KNOWN.join(", ")
                ));
            }
            endpoint
        }
        (None, None) => {
            at.add(
                "no endpoint: give --swr.region, e.g. cn-north-4, or --swr.endpoint; `swr-exporter demo` needs neither",
            );
            None
        }
    }
}

fn client_options(settings: &Settings<'_>, endpoint: Option<&Endpoint>, at: &mut Problems) -> swr::Options {
    let default = swr::Options::default();
    let given = settings.get("swr.project-id");
    let project_id =
        given.as_ref().map(|found| found.text().to_owned()).or_else(|| settings.variable("HUAWEICLOUD_SDK_PROJECT_ID"));
    if project_id.as_ref().is_some_and(|id| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        let place = given.map_or_else(|| "HUAWEICLOUD_SDK_PROJECT_ID".to_owned(), |found| found.place);
        at.add(format!("{place}: an id has letters and digits only, as in 0123456789abcdef0123456789abcdef"));
    }
    let rate = swr::throttle::Rate {
        per_second: settings.read("swr.rate-limit", default.rate.per_second, at, rate),
        burst: settings.read("swr.burst", default.rate.burst, at, |text| number(text, 1, 100_000)),
    };
    swr::Options {
        endpoint: endpoint.map(ToString::to_string).unwrap_or_default(),
        project_id,
        // A region's default project bears the region's name.
        project_lookup: settings
            .text("swr.region")
            .zip(credentials::iam_endpoint(settings, at))
            .map(|(name, iam_endpoint)| swr::ProjectLookup { iam_endpoint, name }),
        concurrency: settings.read("swr.concurrency", default.concurrency, at, |text| number(text, 1, 64)),
        rate,
        request_timeout: settings.read("swr.request-timeout", default.request_timeout, at, positive),
        ..default
    }
}

fn collect_options(settings: &Settings<'_>, max_age: Duration, at: &mut Problems) -> collect::Options {
    let default = collect::Options::default();
    let found = settings.get("swr.namespace");
    let mut namespaces = found.as_ref().map(|found| found.values.clone()).unwrap_or_default();
    namespaces.sort();
    namespaces.dedup();
    if let Some(found) = found.filter(|_| namespaces.iter().any(String::is_empty)) {
        at.add(format!("{}: a name is empty", found.place));
    }
    collect::Options {
        namespaces,
        list_api: settings.read("swr.list-api", default.list_api, at, str::parse),
        account: settings.is_on("collector.account", false, at),
        enterprise: settings.is_on("collector.enterprise", false, at),
        page_size: settings.read("swr.page-size", default.page_size, at, |text| number(text, 10, 1000)),
        max_age,
        ..default
    }
}

fn tag_options(settings: &Settings<'_>, at: &mut Problems) -> collect::tags::Options {
    let default = collect::tags::Options::default();
    collect::tags::Options {
        tags: settings.is_on("collector.tags", false, at),
        details: settings.is_on("collector.details", false, at),
        series: settings.read("collector.tags.detail", None, at, |text| {
            if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
        }),
        per_second: settings.read("collector.tags.rate-limit", default.per_second, at, rate),
        full_interval: settings.read("collector.tags.full-interval", default.full_interval, at, positive),
        ..default
    }
}

fn exposition_options(settings: &Settings<'_>, at: &mut Problems) -> exposition::Options {
    let mut repository_metrics = RepositoryMetrics::default();
    if let Some(found) = settings.get("collector.repositories.metrics") {
        match found.values.join(",").parse() {
            Ok(metrics) => repository_metrics = metrics,
            Err(unknown) => {
                let unknown: exposition::UnknownMetrics = unknown;
                at.add(format!("{}: {unknown}", found.place));
            }
        }
    }
    if !settings.is_on("collector.repositories", true, at) {
        repository_metrics = RepositoryMetrics::NONE;
    }
    let mut pattern = |name| {
        let text = settings.text(name)?;
        settings.read(name, None, at, |_| text.parse().map(Some))
    };
    exposition::Options {
        repository_metrics,
        include: pattern("repositories.include"),
        exclude: pattern("repositories.exclude"),
        most_repositories: settings.read("repositories.limit", 0, at, |text| number(text, 0, 100_000_000)),
    }
}

/// Requests a second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().unwrap_or(f64::NAN);
    if (0.01..=10_000.0).contains(&rate) { Ok(rate) } else { Err(not_in(text, "0.01", "10000")) }
}
