//! From flags and environment to each stage's options, with every problem named at once.
//!
//! Belongs here: reading, defaults, contradictions. Deliberately absent: building or running anything.

pub mod regions;
pub mod credentials;

use crate::auth::Choice;
use crate::cli::ServeArgs;
use crate::exposition::RepositoryMetrics;
use crate::logging;
use crate::swr::endpoint::Endpoint;
use crate::transport::HttpsOptions;
use crate::{cache, collect, exposition, swr, web};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Everything that `serve` needs.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<String>,
    /// Whether the addresses are the default, which falls back to IPv4.
    pub listen_is_default: bool,
    /// The server.
    pub web: web::Options,
    /// The account to collect.
    pub account: Account,
    /// The log.
    pub log: logging::Options,
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
    /// When to collect.
    pub cache: cache::Options,
    /// What to write.
    pub exposition: exposition::Options,
    /// Where the last good snapshot is kept.
    pub cache_directory: Option<PathBuf>,
}

/// Where metrics are served when nothing else is said.
pub const DEFAULT_ADDRESS: &str = "[::]:10179";

/// Everything that is wrong with the settings, each with its place and what to do.
#[derive(Debug, Default, PartialEq, Eq)]
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

    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// The value if it is given, or the default, also when it is wrong: the other problems are still to be found.
    fn read<T>(
        &mut self,
        flag: &str,
        given: Option<&str>,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        match given.map(parse) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(problem)) => {
                self.add(format!("--{flag}: {problem}"));
                default
            }
        }
    }
}

/// Reads one environment variable; the process's own in the program, a table in tests.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Resolves the settings.
///
/// # Errors
/// All problems at once.
pub fn resolve(args: &ServeArgs, environment: Environment<'_>) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let at = &mut problems;
    let log = logging::Options {
        level: at.read("log.level", args.log_level.as_deref(), logging::Level::Info, str::parse),
        format: at.read("log.format", args.log_format.as_deref(), logging::Format::Logfmt, str::parse),
    };
    let web = web_options(args, at);
    let cache = cache_options(args, at);
    let endpoint = endpoint(args, at);
    let credentials = credentials::choose(args, environment, at);
    let client = client_options(args, environment, endpoint.as_ref(), at);
    let collect = collect_options(args, cache.max_age, at);
    let metrics = args.collector_repositories_metrics.as_deref();
    let exposition = exposition::Options {
        repository_metrics: at.read("collector.repositories.metrics", metrics, RepositoryMetrics::default(), |text| {
            text.parse().map_err(|unknown: exposition::UnknownMetrics| unknown.to_string())
        }),
        most_repositories: at
            .read("repositories.limit", args.repositories_limit.as_deref(), 0, |text| number(text, 0, 100_000_000)),
        ..exposition::Options::default()
    };
    for address in &args.web_listen_address {
        if address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            at.add(format!(
                "--web.listen-address: `{address}` has no port; write it as in 127.0.0.1:10179 or [::]:10179"
            ));
        }
    }
    let https = HttpsOptions { ca_file: args.swr_ca_file.as_ref().map(PathBuf::from), ..HttpsOptions::default() };
    let (Some(credentials), true) = (credentials, problems.0.is_empty()) else { return Err(problems) };
    let listen_is_default = args.web_listen_address.is_empty();
    let listen = if listen_is_default { vec![DEFAULT_ADDRESS.to_owned()] } else { args.web_listen_address.clone() };
    let cache_directory = args.cache_file.as_ref().map(PathBuf::from);
    let account =
        Account { name: "default".to_owned(), credentials, client, https, collect, cache, exposition, cache_directory };
    Ok(Config { listen, listen_is_default, web, account, log })
}

fn web_options(args: &ServeArgs, at: &mut Problems) -> web::Options {
    let default = web::Options::default();
    let options = web::Options {
        telemetry_path: at.read(
            "web.telemetry-path",
            args.web_telemetry_path.as_deref(),
            default.telemetry_path,
            |path| {
                if path.starts_with('/')
                    && path.len() > 1
                    && !path.contains(['?', '#', ' '])
                    && !path.starts_with("/-/")
                {
                    Ok(path.to_owned())
                } else {
                    Err(format!("`{path}` is no path such as /metrics; / and /-/ are taken"))
                }
            },
        ),
        max_requests: at.read("web.max-requests", args.web_max_requests.as_deref(), default.max_requests, |text| {
            number(text, 1, 10_000)
        }),
        scrape_timeout: at.read("scrape.timeout", args.scrape_timeout.as_deref(), default.scrape_timeout, positive),
        timeout_offset: at.read(
            "scrape.timeout-offset",
            args.scrape_timeout_offset.as_deref(),
            default.timeout_offset,
            duration,
        ),
        limits: default.limits,
    };
    if options.timeout_offset >= options.scrape_timeout {
        at.add("--scrape.timeout-offset: it leaves nothing of --scrape.timeout; make it smaller");
    }
    options
}

fn cache_options(args: &ServeArgs, at: &mut Problems) -> cache::Options {
    let default = cache::Options::default();
    let options = cache::Options {
        window: at.read("cache.window", args.cache_window.as_deref(), default.window, positive),
        wait: at.read("cache.wait", args.cache_wait.as_deref(), default.wait, |text| match text {
            "deadline" => Ok(cache::Wait::Deadline),
            text => duration(text).map(cache::Wait::AtMost).map_err(|problem| format!("{problem}, or `deadline`")),
        }),
        max_age: at.read("cache.max-age", args.cache_max_age.as_deref(), default.max_age, positive),
        refresh_timeout: at.read(
            "swr.refresh-timeout",
            args.swr_refresh_timeout.as_deref(),
            default.refresh_timeout,
            positive,
        ),
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
fn endpoint(args: &ServeArgs, at: &mut Problems) -> Option<Endpoint> {
    match (&args.swr_endpoint, &args.swr_region) {
        (Some(endpoint), _) => match endpoint.parse() {
            Ok(endpoint) => Some(endpoint),
            Err(problem) => {
                at.add(format!("--swr.endpoint: {problem}"));
                None
            }
        },
        (None, Some(region)) => match regions::endpoint(region).and_then(|endpoint| endpoint.parse().ok()) {
            Some(endpoint) => Some(endpoint),
            None => {
                at.add(format!(
                    "--swr.region: `{region}` is not known; known are {}; for another region or cloud give --swr.endpoint",
                    regions::KNOWN.join(", ")
                ));
                None
            }
        },
        (None, None) => {
            at.add(
                "no endpoint: give --swr.region, e.g. cn-north-4, or --swr.endpoint; `swr-exporter demo` needs neither",
            );
            None
        }
    }
}

fn client_options(
    args: &ServeArgs,
    environment: Environment<'_>,
    endpoint: Option<&Endpoint>,
    at: &mut Problems,
) -> swr::Options {
    let default = swr::Options::default();
    let project_id = args
        .swr_project_id
        .clone()
        .or_else(|| environment("HUAWEICLOUD_SDK_PROJECT_ID"))
        .filter(|id| !id.is_empty() || args.swr_project_id.is_some());
    if project_id.as_ref().is_some_and(|id| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        at.add("--swr.project-id: an id has letters and digits only, as in 0123456789abcdef0123456789abcdef");
    }
    let rate = swr::throttle::Rate {
        per_second: at.read("swr.rate-limit", args.swr_rate_limit.as_deref(), default.rate.per_second, |text| {
            let rate = text.parse().unwrap_or(f64::NAN);
            if (0.01..=10_000.0).contains(&rate) { Ok(rate) } else { Err(not_in(text, "0.01", "10000")) }
        }),
        burst: at.read("swr.burst", args.swr_burst.as_deref(), default.rate.burst, |text| number(text, 1, 100_000)),
    };
    swr::Options {
        endpoint: endpoint.map(ToString::to_string).unwrap_or_default(),
        project_id,
        concurrency: at
            .read("swr.concurrency", args.swr_concurrency.as_deref(), default.concurrency, |text| number(text, 1, 64)),
        rate,
        request_timeout: at.read(
            "swr.request-timeout",
            args.swr_request_timeout.as_deref(),
            default.request_timeout,
            positive,
        ),
        ..default
    }
}

fn collect_options(args: &ServeArgs, max_age: Duration, at: &mut Problems) -> collect::Options {
    let default = collect::Options::default();
    let mut namespaces = args.swr_namespace.clone();
    namespaces.sort();
    namespaces.dedup();
    if namespaces.iter().any(String::is_empty) {
        at.add("--swr.namespace: a name is empty");
    }
    collect::Options {
        namespaces,
        page_size: at
            .read("swr.page-size", args.swr_page_size.as_deref(), default.page_size, |text| number(text, 10, 1000)),
        max_age,
        ..default
    }
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
