//! The settings of one account, or of the process, as they were given: flag before environment before file before default.

use super::accounts_file::{Entries, FoundSetting, SECRETS};
use super::environment::Environment;
use super::{Problems, check_path, switch, trimmed};
use crate::auth::SecretSource;
use crate::base::digest::{self, Sha256Digest};
use crate::base::secret::Secret;
use crate::cli::ServeArgs;
use crate::cli::flags::{self, Flag, FlagKind};
use std::iter::once;

/// The settings of one account, or of the process.
pub(super) struct Settings<'a> {
    args: &'a ServeArgs,
    environment: &'a Environment,
    /// Entries of the file: those of the account, then the defaults for all accounts.
    entries: Vec<&'a Entries>,
}

impl<'a> Settings<'a> {
    pub(super) fn of_process(args: &'a ServeArgs, environment: &'a Environment) -> Self {
        Self { args, environment, entries: Vec::new() }
    }

    pub(super) fn of_account(
        args: &'a ServeArgs,
        environment: &'a Environment,
        account: &'a Entries,
        defaults: &'a Entries,
    ) -> Self {
        Self { args, environment, entries: vec![account, defaults] }
    }

    pub(super) fn get(&self, name: &str) -> Option<FoundSetting> {
        let in_file = self.entries.iter().filter_map(|entries| entries.get(name)).cloned();
        let mut found = self.outside_file(name).into_iter().chain(in_file);
        let mut nearest = found.next()?;
        if flags::flag(name).kind == FlagKind::Map {
            let name = |pair: &str| pair.split('=').next().unwrap_or_default().trim().to_owned();
            for pair in found.flat_map(|farther| farther.values) {
                if nearest.values.iter().all(|nearer| name(nearer) != name(&pair)) {
                    nearest.values.push(pair);
                }
            }
        }
        Some(nearest)
    }

    /// The setting or, if it was not given, a variable of the vendor's SDK.
    pub(super) fn get_or_variable(&self, name: &str, variable: &str) -> Option<FoundSetting> {
        let of_sdk = || Some(FoundSetting { values: vec![self.variable(variable)?], place: variable.to_owned() });
        self.get(name).or_else(of_sdk)
    }

    /// The setting if it was given by its flag or its environment variable.
    fn outside_file(&self, name: &str) -> Option<FoundSetting> {
        if let Some(values) = self.args.get(name) {
            let values = values.iter().map(|value| trimmed(value, false).to_owned()).collect();
            return Some(FoundSetting { values, place: format!("--{name}") });
        }
        let flag = flags::flag(name);
        let value = self.variable(&flag.variable())?;
        let is_list = matches!(flag.kind, FlagKind::Many | FlagKind::Map);
        let values = if is_list { flags::split_list([&value]) } else { vec![value] };
        // An empty variable, as compose files set it, counts as unset.
        values.iter().any(|value| !value.is_empty()).then(|| FoundSetting { values, place: flag.variable() })
    }

    /// The value, unless it is empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|found| found.text().to_owned()).filter(|text| !text.is_empty())
    }

    /// The parsed value, or the default if it was not given. A wrong value is a problem and gives the default too, so that
    /// other problems are still found.
    pub(super) fn read<T>(
        &self,
        name: &str,
        default: T,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(found) = self.get(name) else { return default };
        problems.value_of(&found.place, parse(found.text())).unwrap_or(default)
    }

    /// Checks the paths among these settings.
    pub(super) fn check_paths(&self, flags: impl Iterator<Item = &'static Flag>, problems: &mut Problems) {
        let paths = flags.filter(|flag| matches!(flag.value, "FILE" | "DIRECTORY"));
        paths.filter_map(|flag| self.get(flag.name)).for_each(|path| check_path(path.text(), &path.place, problems));
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str, default: bool, problems: &mut Problems) -> bool {
        self.read(name, default, problems, switch)
    }

    /// The source of a secret: the file named by the setting `file`, or the secret `key` in the configuration file. What an
    /// account says wins over the defaults for all accounts, whichever of the two it is.
    pub(super) fn secret_source(&self, file: &str, key: &str) -> Option<SecretSource> {
        let named = |values: &[String]| {
            values.first().filter(|path| !path.is_empty()).map(|path| SecretSource::File(path.into()))
        };
        self.outside_file(file).and_then(|found| named(&found.values)).or_else(|| {
            self.entries.iter().find_map(|entries| {
                let file = entries.get(file).and_then(|entry| named(&entry.values));
                file.or_else(|| entries.secret(key).cloned().map(SecretSource::Given))
            })
        })
    }

    /// Whether settings of credentials in the file could not be read.
    pub(super) fn has_wrong_credentials(&self) -> bool {
        self.entries.iter().any(|entries| entries.has_wrong_credentials)
    }

    /// How to give a setting, as an alternative of ways: by flag or variable, or in the words of the file.
    pub(super) fn how_to_give(&self, outside: &str, in_file: &str) -> String {
        if self.entries.is_empty() { outside.to_owned() } else { in_file.to_owned() }
    }

    fn secret(&self, key: &str) -> Option<&Secret> {
        self.entries.iter().find_map(|entries| entries.secret(key))
    }

    /// An environment variable about credentials. An account with credentials in the file does not look at the environment,
    /// which may hold those of another account.
    pub(super) fn credential_variable(&self, name: &str) -> Option<String> {
        if self.entries.iter().any(|entries| entries.has_credentials()) { None } else { self.variable(name) }
    }

    /// An environment variable, unless it is empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).ok().filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// The digest of the settings whose names begin with `prefix`, of the secrets, and of `extra`. Files that settings name
    /// count by their names.
    pub(super) fn fingerprint(&self, prefix: &str, extra: &[u8]) -> Sha256Digest {
        let flags = account_flags().filter(|flag| flag.name.starts_with(prefix));
        let given = flags.filter_map(|flag| {
            let found = self.get(flag.name)?;
            Some(digest::of(once(flag.name).chain(found.values.iter().map(String::as_str))))
        });
        let secrets = SECRETS.iter().filter_map(|name| Some(digest::of([*name, self.secret(name)?.expose()])));
        digest::of(given.chain(secrets).chain([digest::of([extra])]))
    }

    /// Appends the effective settings of an account as in the configuration file, and the defaults as comments after them.
    /// Secrets are not shown.
    pub(super) fn show(&self, indent: &str, out: &mut String) {
        type Flags = Vec<&'static Flag>;
        let (given, default): (Flags, Flags) = account_flags().partition(|flag| self.get(flag.name).is_some());
        let (switches, given): (Flags, Flags) = given.into_iter().partition(|flag| flag.kind == FlagKind::Switch);
        let secrets: Vec<_> = SECRETS.into_iter().filter(|name| self.secret(name).is_some()).collect();
        let of_credentials = |key: &'static str| key.strip_prefix("credentials.");
        let keys = given.into_iter().filter_map(|flag| Some((flag, flag.key?)));
        let (credentials, others): (Vec<_>, Vec<_>) = keys.partition(|(_, key)| of_credentials(key).is_some());
        for (flag, key) in others {
            self.show_one(flag, key, indent, out);
        }
        if !credentials.is_empty() || !secrets.is_empty() {
            *out += &format!("{indent}credentials:\n");
        }
        let inner = format!("{indent}  ");
        for (flag, key) in credentials {
            self.show_one(flag, of_credentials(key).unwrap_or(key), &inner, out);
        }
        for key in secrets {
            *out += &format!("{inner}# {}: <secret>\n", of_credentials(key).unwrap_or(key));
        }
        if !switches.is_empty() {
            let name = |flag: &Flag| flag.name.strip_prefix("collector.").unwrap_or(flag.name);
            let found = switches.iter().filter_map(|flag| Some((name(flag), self.get(flag.name)?)));
            let (names, places): (Vec<_>, Vec<_>) = found
                .map(|(name, found)| (format!("{}{name}", if found.text() == "true" { "" } else { "-" }), found.place))
                .unzip();
            *out += &format!("{indent}collectors: [{}] # {}\n", names.join(", "), places.join(", "));
        }
        for flag in default {
            let key = if flag.kind == FlagKind::Switch { flag.name } else { flag.key.unwrap_or(flag.name) };
            self.show_one(flag, key, indent, out);
        }
    }

    /// Appends the effective settings of the process as comments: the configuration file cannot hold them.
    pub(super) fn show_process(&self, out: &mut String) {
        for flag in flags::ALL.iter().filter(|flag| flag.key.is_none()) {
            let mut line = String::new();
            self.show_one(flag, flag.name, "", &mut line);
            *out += &format!("#   {}", line.trim_start_matches("# "));
        }
    }

    fn show_one(&self, flag: &Flag, key: &str, indent: &str, out: &mut String) {
        *out += &match self.get(flag.name) {
            Some(found) if flag.kind == FlagKind::Map => {
                let pairs = found.values.iter().map(|value| value.split_once('=').unwrap_or((value, "")));
                let pairs: Vec<String> =
                    pairs.map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
                format!("{indent}{key}: {{{}}} # {}\n", pairs.join(", "), found.place)
            }
            Some(found) if flag.kind == FlagKind::Many => {
                let values: Vec<String> = found.values.iter().map(|value| quoted(value)).collect();
                format!("{indent}{key}: [{}] # {}\n", values.join(", "), found.place)
            }
            Some(found) => format!("{indent}{key}: {} # {}\n", quoted(found.text()), found.place),
            None if flag.default == "none" => format!("{indent}# {key}: not set\n"),
            None => format!("{indent}# {key}: {} (default)\n", flag.default),
        };
    }
}

pub(super) fn account_flags() -> impl Iterator<Item = &'static Flag> {
    flags::ALL.iter().filter(|flag| flag.key.is_some())
}

/// A YAML scalar in double quotes, which has the escapes of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
