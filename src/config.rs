//! From flags, environment and configuration file to each stage's options, with every problem named at once.
//!
//! Belongs here: reading, defaults, contradictions. Deliberately absent: building or running anything.

pub mod regions;
pub mod yaml;
mod file;
mod settings;
mod account;
pub mod credentials;
mod sdk_regions;
pub mod web_file;

use crate::cli::ServeArgs;
use crate::{logging, web};
pub use account::{About, Account, Fingerprint};
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
    /// One problem, found where settings are used.
    pub fn of(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }

    /// Each problem.
    pub fn list(&self) -> &[String] {
        &self.0
    }

    /// One more.
    pub fn add(&mut self, problem: impl Into<String>) {
        let problem = problem.into();
        // What several stages need is looked at several times.
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
    let mut accounts: Vec<(&str, Settings<'_>)> = Vec::new();
    if path.is_none() {
        accounts.push((DEFAULT_ACCOUNT, Settings::of_process(args, environment)));
    }
    for (name, entries) in &file.accounts {
        accounts.push((name, Settings::of_account(args, environment, entries, &file.defaults)));
    }
    let mut resolved = Vec::new();
    let mut theirs: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, settings) in &accounts {
        shown += &format!("  {name}:\n");
        settings.show("    ", &mut shown);
        let mut own = Problems::default();
        resolved.extend(account::resolve(name, settings, &mut own));
        for problem in own.0 {
            match theirs.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, names)) => names.push(name),
                None => theirs.push((problem, vec![name])),
            }
        }
    }
    for (problem, names) in theirs {
        at.add(attributed(problem, &names, accounts.len()));
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

/// A problem with the names of the accounts that have it, unless all have it or the problem says whose it is.
fn attributed(problem: String, names: &[&str], of: usize) -> String {
    match names {
        names if names.len() == of => problem,
        [name] if problem.contains(&format!("accounts.{name}.")) => problem,
        [name] => format!("account `{name}`: {problem}"),
        names => format!("accounts `{}`: {problem}", names.join("`, `")),
    }
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

/// Every duration fits into the arithmetic of clocks, whatever is added to it.
const LONGEST_DURATION: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// A duration such as `30s` or `1h 30m`, ten years at most.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST_DURATION => Err(format!("`{text}` is longer than ten years")),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("`{text}` is no duration such as 500ms, 30s or 5m")),
    }
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

#[cfg(test)]
#[path = "config/accounts_tests.rs"]
mod accounts_tests;
