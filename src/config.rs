//! From flags, environment and configuration file to each stage's options, with every problem named at once.
//!
//! Belongs here: reading, defaults, contradictions. Deliberately absent: building or running anything.

pub mod regions;
pub mod yaml;
mod file;
mod settings;
mod account;
mod listen_address;
pub mod credentials;
mod sdk_regions;
pub mod web_file;

use crate::base::file_stamp::Stamp;
use crate::cli::ServeArgs;
use crate::{logging, web};
pub use account::{About, Account, Fingerprint, Origins, StateFiles};
pub use listen_address::ListenAddress;
use settings::Settings;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use web_file::WebFile;

/// Everything that `serve` needs.
#[derive(Debug)]
pub struct Config {
    /// The file that the accounts are from, as it was when it was read; without one there is one account, by flags.
    pub file: Option<(PathBuf, Option<Stamp>)>,
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
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
    let log = log_options(&process, at);
    let web = web_options(&process, at);
    let listen = listen(&process, at);
    let mut shown = "# The settings in force.\nprocess:\n".to_owned();
    settings::show_process(args, environment, &mut shown);
    shown += "accounts:\n";
    let path = process.text("config.file").map(PathBuf::from);
    // Before it is read: whatever is written from now on is a change.
    let stamp = path.as_deref().and_then(Stamp::of);
    let file = path.as_deref().map(|path| file::read(path, environment, None, at));
    let accounts = accounts(args, environment, file.as_ref());
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
    let listen = if listen_is_default { vec![DEFAULT_ADDRESS.parse().expect("the default is valid")] } else { listen };
    let file = path.map(|path| (path, stamp));
    Ok(Config { file, listen, listen_is_default, web, web_file, accounts: resolved, log, shown })
}

/// Resolves one account, the one that is named or the only one, and what is logged. Neither how the web is served nor
/// other accounts matter, so nothing of them is a problem.
///
/// # Errors
/// All problems at once.
pub fn resolve_account(
    args: &ServeArgs,
    environment: Environment<'_>,
    name: Option<&str>,
) -> Result<(Account, logging::Options), Problems> {
    let mut problems = Problems::default();
    let at = &mut problems;
    let process = Settings::of_process(args, environment);
    let log = log_options(&process, at);
    let path = process.text("config.file").map(PathBuf::from);
    let file = path.as_deref().map(|path| file::read(path, environment, name, at));
    let accounts = accounts(args, environment, file.as_ref());
    let chosen = match name {
        Some(name) => accounts.iter().find(|(other, _)| *other == name),
        None => accounts.first().filter(|_| accounts.len() == 1),
    };
    let account = chosen.and_then(|(name, settings)| {
        let mut own = Problems::default();
        let account = account::resolve(name, settings, &mut own);
        own.0.into_iter().for_each(|problem| at.add(attributed(problem, &[name], accounts.len())));
        account
    });
    if chosen.is_none() && !accounts.is_empty() {
        let names: Vec<&str> = accounts.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        at.add(match name {
            Some(name) => format!("--account: there is no account `{name}`; there are {names}"),
            None => format!("--account: name one of the accounts {names}"),
        });
    }
    match account {
        Some(account) if problems.0.is_empty() => Ok((account, log)),
        _ => Err(problems),
    }
}

/// The accounts of a file, or the one that flags describe.
fn accounts<'a>(
    args: &'a ServeArgs,
    environment: Environment<'a>,
    file: Option<&'a file::File>,
) -> Vec<(&'a str, Settings<'a>)> {
    let Some(file) = file else { return vec![(DEFAULT_ACCOUNT, Settings::of_process(args, environment))] };
    let of = |entries| Settings::of_account(args, environment, entries, &file.defaults);
    file.accounts.iter().map(|(name, entries)| (name.as_str(), of(entries))).collect()
}

fn log_options(process: &Settings<'_>, at: &mut Problems) -> logging::Options {
    logging::Options {
        level: process.read("log.level", logging::Level::Info, at, str::parse),
        format: process.read("log.format", logging::Format::Logfmt, at, str::parse),
    }
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

fn listen(process: &Settings<'_>, at: &mut Problems) -> Vec<ListenAddress> {
    let Some(found) = process.get("web.listen-address") else { return Vec::new() };
    let parsed = found.values.iter().map(|address| address.parse());
    parsed.filter_map(|address| address.map_err(|problem| at.add(format!("{}: {problem}", found.place))).ok()).collect()
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
            // As a path stands in a request that has nothing to escape.
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~!$&'()*+,;=:@".contains(&byte);
            if path.starts_with('/') && path.len() > 1 && path.bytes().all(is_plain) && !web::is_taken(path) {
                Ok(path.to_owned())
            } else {
                let taken = web::TAKEN.join(", ");
                Err(format!("`{path}` is no path such as /metrics, with nothing to escape in it; {taken} are taken"))
            }
        }),
        max_requests: process.read("web.max-requests", default.max_requests, at, |text| number(text, 1, 10_000)),
        scrape_timeout: process.read("scrape.timeout", default.scrape_timeout, at, positive),
        enable_lifecycle: process.is_on("web.enable-lifecycle", default.enable_lifecycle, at),
        timeout_offset: process.read("scrape.timeout-offset", default.timeout_offset, at, duration),
        limits,
    };
    if options.timeout_offset >= options.scrape_timeout {
        at.add("--scrape.timeout-offset: it leaves nothing of --scrape.timeout; make it smaller");
    }
    options
}

/// Reads the value of a flag that is no setting of `serve`.
///
/// # Errors
/// The problem, with the flag's name.
pub fn of_flag<T>(flag: &str, text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Problems> {
    parse(text).map_err(|problem| Problems::of(format!("{flag}: {problem}")))
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

/// A duration that is longer than nothing.
///
/// # Errors
/// What was expected.
pub fn positive(text: &str) -> Result<Duration, String> {
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
