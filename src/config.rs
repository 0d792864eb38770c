//! From flags, environment and configuration file to each stage's options, with every problem named at once.
//!
//! Belongs here: reading, defaults, contradictions. Deliberately absent: building or running anything.

pub mod regions;
pub mod yaml;
mod file;
mod settings;
pub mod credentials;
mod sdk_regions;
pub mod web_file;

use crate::auth::Choice;
use crate::cli::ServeArgs;
use crate::exposition::RepositoryMetrics;
use crate::logging;
use crate::swr::endpoint::Endpoint;
use crate::transport::HttpsOptions;
use crate::{cache, collect, exposition, swr, web};
use settings::Settings;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use web_file::WebFile;

/// Everything that `serve` needs.
#[derive(Debug)]
pub struct Config {
    /// The file that the accounts are from; without one there is one account, by flags.
    pub file: Option<PathBuf>,
    /// Where to listen.
    pub listen: Vec<String>,
    /// Whether the addresses are the default, which falls back to IPv4.
    pub listen_is_default: bool,
    /// The server.
    pub web: web::Options,
    /// What `--web.config.file` says; `None`: there is none, and everybody is served in plain HTTP.
    pub web_file: Option<WebFile>,
    /// The accounts to collect, in the order of the file.
    pub accounts: Vec<Account>,
    /// The log.
    pub log: logging::Options,
    /// The settings in force, as YAML, without secrets.
    pub shown: String,
}

/// One account.
#[derive(Debug)]
pub struct Account {
    /// Its name, which is also that of its snapshot's file.
    pub name: String,
    /// Where its credential comes from.
    pub credentials: Choice,
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
    /// Where the last good snapshot is kept.
    pub cache_directory: Option<PathBuf>,
    /// What may be said of it where accounts are discovered.
    pub about: About,
    /// Equal as long as nothing was changed.
    pub fingerprint: Fingerprint,
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

/// Where metrics are served when nothing else is said.
pub const DEFAULT_ADDRESS: &str = "[::]:10179";

/// The name of the account that flags describe.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Everything that is wrong with the settings, each with its place and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        writeln!(f, "{count} problem{} with the settings:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| writeln!(f, "  - {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// Each problem.
    pub fn list(&self) -> &[String] {
        &self.0
    }

    /// One more.
    pub fn add(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        // What is wrong for all accounts is said once.
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }
}

/// Reads one environment variable; the process's own in the program, a table in tests.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Resolves the settings. Reads the configuration file.
///
/// # Errors
/// All problems at once.
pub fn resolve(args: &ServeArgs, environment: Environment<'_>) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let at = &mut problems;
    let process = Settings::of_process(args, environment);
    let log = logging::Options {
        level: process.read("log.level", logging::Level::Info, at, str::parse),
        format: process.read("log.format", logging::Format::Logfmt, at, str::parse),
    };
    let web = web_options(&process, at);
    let listen = listen(&process, at);
    let mut shown = "# The settings in force.\nprocess:\n".to_owned();
    settings::show_process(args, environment, &mut shown);
    shown += "accounts:\n";
    let path = process.text("config.file").map(PathBuf::from);
    let file = path.as_deref().map(|path| file::read(path, environment, at)).unwrap_or_default();
    let mut resolved = Vec::new();
    let mut resolve_one = |name: &str, settings: &Settings<'_>| {
        shown += &format!("  {name}:\n");
        settings.show("    ", &mut shown);
        resolved.extend(account(name, settings, at));
    };
    if path.is_none() {
        resolve_one(DEFAULT_ACCOUNT, &process);
    }
    for (name, entries) in &file.accounts {
        resolve_one(name, &Settings::of_account(args, environment, entries, &file.defaults));
    }
    let web_file = process.text("web.config.file").and_then(|path| {
        let read = web_file::read(Path::new(&path));
        read.map_err(|(problems, _)| problems.0.into_iter().for_each(|problem| at.add(problem))).ok()
    });
    if !problems.0.is_empty() {
        return Err(problems);
    }
    let listen_is_default = listen.is_empty();
    let listen = if listen_is_default { vec![DEFAULT_ADDRESS.to_owned()] } else { listen };
    Ok(Config { file: path, listen, listen_is_default, web, web_file, accounts: resolved, log, shown })
}

fn account(name: &str, settings: &Settings<'_>, at: &mut Problems) -> Option<Account> {
    let before = at.0.len();
    let cache = cache_options(settings, at);
    let endpoint = endpoint(settings, at);
    let credentials = credentials::choose(settings, at);
    let client = client_options(settings, endpoint.as_ref(), at);
    let collect = collect_options(settings, cache.max_age, at);
    let tags = tag_options(settings, at);
    let exposition = exposition_options(settings, at);
    let https = HttpsOptions { ca_file: settings.text("swr.ca-file").map(PathBuf::from), ..HttpsOptions::default() };
    // With several accounts a problem has to say whose it is.
    if name != DEFAULT_ACCOUNT {
        for problem in &mut at.0[before..] {
            if !problem.contains(&format!("accounts.{name}")) {
                *problem = format!("account `{name}`: {problem}");
            }
        }
    }
    let about = About {
        region: settings.text("swr.region"),
        endpoint: client.endpoint.clone(),
        project_id: client.project_id.clone(),
    };
    // The file of certificates is read only when an account is built, so what it holds counts as a setting.
    let certificates = https.ca_file.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
    let fingerprint = Fingerprint {
        all: settings.fingerprint("", &certificates),
        credentials: settings.fingerprint("credentials.", &[]),
    };
    let cache_directory = settings.text("cache.file").map(PathBuf::from);
    let credentials = credentials?;
    Some(Account {
        name: name.to_owned(),
        credentials,
        client,
        https,
        collect,
        tags,
        cache,
        exposition,
        cache_directory,
        about,
        fingerprint,
    })
}

fn listen(process: &Settings<'_>, at: &mut Problems) -> Vec<String> {
    let Some(found) = process.get("web.listen-address") else { return Vec::new() };
    for address in &found.values {
        if address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            at.add(format!("{}: `{address}` has no port; write it as in 127.0.0.1:10179 or [::]:10179", found.place));
        }
    }
    found.values
}

fn web_options(process: &Settings<'_>, at: &mut Problems) -> web::Options {
    let default = web::Options::default();
    let limits = web::Limits {
        connections: process
            .read("web.max-connections", default.limits.connections, at, |text| number(text, 1, 1_000_000)),
        connections_per_address: process.read(
            "web.max-connections-per-address",
            default.limits.connections_per_address,
            at,
            |text| number(text, 1, 1_000_000),
        ),
        ..default.limits
    };
    let options = web::Options {
        telemetry_path: process.read("web.telemetry-path", default.telemetry_path, at, |path| {
            if path.starts_with('/') && path.len() > 1 && !path.contains(['?', '#', ' ']) && !web::is_taken(path) {
                Ok(path.to_owned())
            } else {
                Err(format!("`{path}` is no path such as /metrics; {} are taken", web::TAKEN.join(", ")))
            }
        }),
        max_requests: process.read("web.max-requests", default.max_requests, at, |text| number(text, 1, 10_000)),
        scrape_timeout: process.read("scrape.timeout", default.scrape_timeout, at, positive),
        timeout_offset: process.read("scrape.timeout-offset", default.timeout_offset, at, duration),
        limits,
    };
    if options.timeout_offset >= options.scrape_timeout {
        at.add("--scrape.timeout-offset: it leaves nothing of --scrape.timeout; make it smaller");
    }
    options
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
    exposition::Options {
        repository_metrics,
        most_repositories: settings.read("repositories.limit", 0, at, |text| number(text, 0, 100_000_000)),
        ..exposition::Options::default()
    }
}

/// Requests a second.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().unwrap_or(f64::NAN);
    if (0.01..=10_000.0).contains(&rate) { Ok(rate) } else { Err(not_in(text, "0.01", "10000")) }
}

/// A duration such as `30s` or `1h 30m`.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is no duration such as 500ms, 30s or 5m"))
}

fn positive(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|duration| {
        if duration.is_zero() { Err(format!("`{text}` must be longer than nothing")) } else { Ok(duration) }
    })
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(text: &str, least: T, most: T) -> Result<T, String> {
    let range = least..=most;
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(not_in(text, &range.start().to_string(), &range.end().to_string())),
    }
}

fn not_in(text: &str, least: &str, most: &str) -> String {
    format!("`{text}` is no number from {least} to {most}")
}

#[cfg(test)]
#[path = "config/config_tests.rs"]
mod tests;
