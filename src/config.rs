//! Resolves flags, environment and configuration files to the options of each stage, and reports every problem at once.
//!
//! Belongs here: reading, defaults, contradictions. Deliberately absent: building or running anything.

pub mod regions;
pub mod yaml;
pub mod environment;
mod accounts_file;
mod settings;
mod account;
mod listen_address;
mod link;
mod web_options;
mod agency;
pub mod credentials;
mod sdk_regions;
pub mod web_file;

use crate::base::file_stamp::Stamp;
use crate::base::words::things;
use crate::cli::ServeArgs;
use crate::cli::flags::{self, Flag};
use crate::logging::{self, is_formatting};
use crate::model::reclaim::Reclaim;
use crate::web;
pub use account::{AccountOptions, Fingerprint, Origins, StateFiles};
use environment::Environment;
pub use link::Link;
pub use listen_address::ListenAddress;
use settings::Settings;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::warn;
use web_file::WebFile;

/// Everything that `serve` needs.
#[derive(Debug)]
pub struct Config {
    /// The configuration file with its stamp when it was read; without a file there is one account, from flags.
    pub file: Option<(PathBuf, Option<Stamp>)>,
    /// The addresses to listen on.
    pub listen: Vec<ListenAddress>,
    /// Whether the addresses are the default, which falls back to IPv4.
    pub listen_is_default: bool,
    /// Options of the server.
    pub web: web::Options,
    /// Links of the operator on the landing page.
    pub links: Vec<Link>,
    /// The content of `--web.config.file`; without one, everybody is served over plain HTTP.
    pub web_file: Option<WebFile>,
    /// The accounts to collect, in the order of the file.
    pub accounts: Vec<AccountOptions>,
    /// Options of the log.
    pub log: logging::Options,
    /// The effective settings as YAML, without secrets.
    pub shown: String,
    /// Settings that are valid but probably not meant, for the log and for `check`.
    pub warnings: Vec<String>,
}

/// The default address to listen on.
pub const DEFAULT_ADDRESS: &str = "[::]:10179";

/// The name of the account that is configured by flags.
pub const DEFAULT_ACCOUNT: &str = "default";

/// All problems in the settings, each with its place and remedy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<String>,
    /// Remarks on settings that are valid but probably not meant.
    warnings: Vec<String>,
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} in the settings:", things(self.list.len() as u64, "problem"))?;
        self.list.iter().try_for_each(|problem| writeln!(f, "  - {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// A single problem.
    pub fn of(problem: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(problem);
        problems
    }

    /// The problems.
    pub fn list(&self) -> &[String] {
        &self.list
    }

    /// Adds a warning, as [`Self::add`].
    pub fn warn(&mut self, warning: impl Into<String>) {
        push_once(&mut self.warnings, &warning.into());
    }

    /// Adds a problem, once: settings that several stages need are read several times. Control characters of quoted values,
    /// such as a line break that should not be there, are escaped.
    pub fn add(&mut self, problem: impl Into<String>) {
        push_once(&mut self.list, &problem.into());
    }

    /// The value of a setting; `None` if it is wrong, which is added with its place.
    pub(crate) fn value_of<T>(
        &mut self,
        place: impl std::fmt::Display,
        parsed: Result<T, impl std::fmt::Display>,
    ) -> Option<T> {
        parsed.map_err(|problem| self.add(format!("{place}: {problem}"))).ok()
    }
}

fn push_once(list: &mut Vec<String>, text: &str) {
    let mut shown = String::new();
    for character in text.chars() {
        if is_formatting(character) { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    if !list.contains(&shown) {
        list.push(shown);
    }
}

impl Config {
    /// Logs the warnings.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            warn!("settings: {warning}");
        }
    }
}

/// The format of the log, the default if the setting is wrong.
pub fn log_format(args: &ServeArgs, environment: &Environment) -> logging::Format {
    log_options(&Settings::of_process(args, environment), &mut Problems::default()).format
}

/// Whether settings are only to be checked.
///
/// # Errors
/// If the setting is wrong.
pub fn is_check_only(args: &ServeArgs, environment: &Environment) -> Result<bool, Problems> {
    let mut problems = Problems::default();
    let is_on = Settings::of_process(args, environment).is_on("config.check", false, &mut problems);
    if problems.list.is_empty() { Ok(is_on) } else { Err(problems) }
}

/// Resolves all settings. Reads the configuration files.
///
/// # Errors
/// All problems at once.
pub fn resolve(args: &ServeArgs, environment: &Environment) -> Result<Config, Problems> {
    let mut found = Problems::default();
    let problems = &mut found;
    let process = Settings::of_process(args, environment);
    let log = log_options(&process, problems);
    environment.check(problems);
    let known = flags::ALL.iter().map(Flag::variable).chain(environment::SECRETS.map(str::to_owned));
    environment.unknown(&known.collect::<Vec<_>>()).into_iter().for_each(|warning| problems.warn(warning));
    process.check_paths(flags::ALL.iter().filter(|flag| flag.key.is_none()), problems);
    let web = web_options::read(&process, problems);
    let listen = parsed_values(&process, "web.listen-address", problems);
    let mut shown = "# The settings in force, as a file for --config.file. Settings of the process, which are flags or variables:\n".to_owned();
    process.show_process(&mut shown);
    shown += "accounts:\n";
    let path = process.text("config.file").map(PathBuf::from);
    // Taken before the file is read, so that a later write counts as a change.
    let stamp = path.as_deref().and_then(Stamp::of);
    let file = path.as_deref().map(|path| accounts_file::read(path, environment, None, problems));
    let accounts = accounts(args, environment, file.as_ref());
    for (name, settings) in &accounts {
        shown += &format!("  {name}:\n");
        settings.show("    ", &mut shown);
    }
    let resolved = options_of(&accounts, accounts.len(), problems);
    let links = parsed_values(&process, "web.link", problems);
    let web_file = process.text("web.config.file").and_then(|path| {
        let read = web_file::read(Path::new(&path));
        read.map_err(|(wrong, _)| wrong.list.into_iter().for_each(|problem| problems.add(problem))).ok()
    });
    if !found.list.is_empty() {
        return Err(found);
    }
    let listen_is_default = listen.is_empty();
    let listen = if listen_is_default { vec![DEFAULT_ADDRESS.parse().expect("the default is valid")] } else { listen };
    let file = path.map(|path| (path, stamp));
    Ok(Config {
        file,
        listen,
        listen_is_default,
        web,
        links,
        web_file,
        accounts: resolved,
        log,
        shown,
        warnings: found.warnings,
    })
}

/// Resolves the settings of one account, the named or the only one, and of the log if a level is given. Problems with web
/// settings or with other accounts are ignored.
///
/// # Errors
/// All problems at once.
pub fn resolve_account(
    args: &ServeArgs,
    environment: &Environment,
    name: Option<&str>,
) -> Result<(AccountOptions, Option<logging::Options>), Problems> {
    let mut found = Problems::default();
    let problems = &mut found;
    let process = Settings::of_process(args, environment);
    environment.check(problems);
    let log = log_options(&process, problems);
    let path = process.text("config.file").map(PathBuf::from);
    let file = path.as_deref().map(|path| accounts_file::read(path, environment, name, problems));
    let accounts = accounts(args, environment, file.as_ref());
    let chosen = chosen(&accounts, name, problems);
    match chosen.and_then(|chosen| options_of(std::slice::from_ref(chosen), accounts.len(), problems).pop()) {
        Some(account) if found.list.is_empty() => Ok((account, process.get("log.level").map(|_| log))),
        _ => Err(found),
    }
}

/// The state of an account, for a program that asks nobody.
#[derive(Clone, Debug)]
pub struct OfflineAccount {
    /// The name.
    pub name: String,
    /// The files.
    pub state: StateFiles,
    /// The clean-up rules.
    pub reclaim: Reclaim,
}

/// Resolves where the state of one account is. Credentials and the like may be missing.
///
/// # Errors
/// All problems at once.
pub fn resolve_offline(
    args: &ServeArgs,
    environment: &Environment,
    name: Option<&str>,
) -> Result<OfflineAccount, Problems> {
    let mut found = Problems::default();
    let process = Settings::of_process(args, environment);
    let path = process.text("config.file").map(PathBuf::from);
    let file = path.as_deref().map(|path| accounts_file::read(path, environment, name, &mut found));
    let accounts = accounts(args, environment, file.as_ref());
    // Without a file, the directory may have the state of any account.
    let name = if file.is_none() { Some(name.unwrap_or(DEFAULT_ACCOUNT)) } else { name };
    let settings = if file.is_none() { accounts.first() } else { chosen(&accounts, name, &mut found) };
    if let Some((of_file, settings)) = settings {
        let reclaim = account::reclaim_options(settings, &mut found);
        let name = name.unwrap_or(of_file).to_owned();
        match settings.text("cache.directory") {
            Some(directory) if found.list.is_empty() => {
                return Ok(OfflineAccount { state: StateFiles::of(&directory, &name), name, reclaim });
            }
            Some(_) => {}
            None => found.add("--offline: give --cache.directory, in which the exporter keeps its state"),
        }
    }
    Err(found)
}

/// The named account, or the only one.
fn chosen<'a, 'b>(
    accounts: &'b [(&'a str, Settings<'a>)],
    name: Option<&str>,
    problems: &mut Problems,
) -> Option<&'b (&'a str, Settings<'a>)> {
    let chosen = match name {
        Some(name) => accounts.iter().find(|(other, _)| *other == name),
        None => accounts.first().filter(|_| accounts.len() == 1),
    };
    if chosen.is_none() && !accounts.is_empty() {
        let names: Vec<&str> = accounts.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        problems.add(match name {
            Some(name) => format!("--account: unknown account `{name}` (known: {names})"),
            None => format!("--account: required, because the file has several accounts: {names}"),
        });
    }
    chosen
}

/// The accounts of the file, or the one from flags.
fn accounts<'a>(
    args: &'a ServeArgs,
    environment: &'a Environment,
    file: Option<&'a accounts_file::AccountsFile>,
) -> Vec<(&'a str, Settings<'a>)> {
    let Some(file) = file else { return vec![(DEFAULT_ACCOUNT, Settings::of_process(args, environment))] };
    let of = |entries| Settings::of_account(args, environment, entries, &file.defaults);
    file.accounts.iter().map(|(name, entries)| (name.as_str(), of(entries))).collect()
}

fn log_options(process: &Settings<'_>, problems: &mut Problems) -> logging::Options {
    logging::Options {
        level: process.read("log.level", LevelFilter::INFO, problems, |text| keyword(text, &logging::LEVELS)),
        format: process.read("log.format", logging::Format::Logfmt, problems, |text| keyword(text, &logging::FORMATS)),
    }
}

/// Resolves some of `of` accounts. A problem or a warning is told once, with the names of the accounts that have it.
fn options_of(accounts: &[(&str, Settings<'_>)], of: usize, problems: &mut Problems) -> Vec<AccountOptions> {
    let (mut resolved, mut told) = (Vec::new(), [Vec::<(String, Vec<&str>)>::new(), Vec::new()]);
    for (name, settings) in accounts {
        let mut own = Problems::default();
        resolved.extend(account::resolve(name, settings, &mut own));
        for (told, own) in told.iter_mut().zip([own.list, own.warnings]) {
            for text in own {
                match told.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, names)) => names.push(name),
                    None => told.push((text, vec![name])),
                }
            }
        }
    }
    let [wrong, odd] = told;
    wrong.into_iter().for_each(|(text, names)| problems.add(attributed(text, &names, of)));
    odd.into_iter().for_each(|(text, names)| problems.warn(attributed(text, &names, of)));
    resolved
}

/// Names the accounts that have a problem, unless all have it or the problem itself names the account.
fn attributed(problem: String, names: &[&str], of: usize) -> String {
    match names {
        names if names.len() == of => problem,
        [name] if problem.contains(&format!("accounts.{name}.")) => problem,
        [name] => format!("account `{name}`: {problem}"),
        names => format!("accounts `{}`: {problem}", names.join("`, `")),
    }
}

/// A value without white space around it, or, of a password, without line ends around it.
fn trimmed(text: &str, is_password: bool) -> &str {
    let is_edge = |c: char| matches!(c, '\r' | '\n' | '\u{feff}') || !is_password && c.is_whitespace();
    text.trim_matches(is_edge)
}

/// Parses each value of a setting that may have several.
fn parsed_values<T: FromStr<Err: std::fmt::Display>>(
    process: &Settings<'_>,
    name: &str,
    problems: &mut Problems,
) -> Vec<T> {
    let Some(found) = process.get(name) else { return Vec::new() };
    found.values.iter().filter_map(|value| problems.value_of(&found.place, value.parse())).collect()
}

/// Parses the value of a flag that is not a setting of `serve`.
///
/// # Errors
/// The problem, with the flag's name.
pub fn of_flag<T>(flag: &str, text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Problems> {
    parse(text).map_err(|problem| Problems::of(format!("{flag}: {problem}")))
}

/// The longest duration, so that arithmetic with clocks cannot overflow.
const MAX_DURATION: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Parses a duration such as `30s` or `1h 30m`, at most ten years.
///
/// # Errors
/// What was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    // `M` are months, which nobody means.
    match humantime::parse_duration(text).ok().filter(|_| !text.contains('M')) {
        None => Err(format!("invalid duration `{text}` (examples: 500ms, 30s, 5m)")),
        Some(duration) if duration > MAX_DURATION => Err(format!("duration `{text}` is longer than ten years")),
        Some(duration) => Ok(duration),
    }
}

/// Reports a path that begins with `~`: only a shell replaces that, and a directory of that name would be made.
fn check_path(path: &str, place: &str, problems: &mut Problems) {
    if path == "~" || path.starts_with("~/") {
        problems.add(format!("{place}: `~` does not stand for the home directory here: write the whole path"));
    }
}

/// Parses a duration that is not zero.
///
/// # Errors
/// What was expected.
pub fn positive(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|duration| {
        if duration.is_zero() { Err(format!("duration `{text}` must be longer than 0")) } else { Ok(duration) }
    })
}

/// Parses a value that may be empty, which then is `None`.
fn unless_empty<T: FromStr>(text: &str) -> Result<Option<T>, T::Err> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// Parses a switch.
fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("invalid value `{text}` (allowed: true, false)"))
}

/// Parses one of a list of words.
fn keyword<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("unknown value `{text}` (known: {})", known.join(", "))
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
    format!("invalid number `{text}` (allowed: {least} to {most})")
}

#[cfg(test)]
#[path = "config/config_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "config/accounts_tests.rs"]
mod accounts_tests;
