//! One account's settings as they were given: flag before environment before file before default.

use super::file::{Entries, SECRETS};
use super::{Environment, Problems};
use crate::auth::SecretSource;
use crate::base::secret::Secret;
use crate::cli::ServeArgs;
use crate::cli::flags::{self, Flag, Kind};
use sha2::{Digest, Sha256};

/// What was given for one setting.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The values; one, but for lists.
    pub(super) values: Vec<String>,
    /// Where, for messages: `--swr.region`, `SWR_EXPORTER_SWR_REGION` or a line of the file.
    pub(super) place: String,
}

impl Found {
    /// The one value of a setting that has one.
    pub(super) fn text(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

/// The settings of one account, or of the process.
pub(super) struct Settings<'a> {
    args: &'a ServeArgs,
    environment: Environment<'a>,
    /// The account's, then those for all accounts.
    file: Vec<&'a Entries>,
}

impl<'a> Settings<'a> {
    /// Without a file.
    pub(super) fn of_process(args: &'a ServeArgs, environment: Environment<'a>) -> Self {
        Self { args, environment, file: Vec::new() }
    }

    /// Of an account of the file.
    pub(super) fn of_account(
        args: &'a ServeArgs,
        environment: Environment<'a>,
        account: &'a Entries,
        defaults: &'a Entries,
    ) -> Self {
        Self { args, environment, file: vec![account, defaults] }
    }

    /// What was given, by the name of the flag.
    pub(super) fn get(&self, name: &str) -> Option<Found> {
        if let Some(given) = self.args.get(name) {
            let place = if given.by_environment { flags::flag(name).variable() } else { format!("--{name}") };
            return Some(Found { values: given.values.clone(), place });
        }
        let entry = self.file.iter().find_map(|entries| entries.get(name))?;
        Some(Found { values: entry.values.clone(), place: entry.place.clone() })
    }

    /// The one value, unless it is empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|found| found.text().to_owned()).filter(|text| !text.is_empty())
    }

    /// The value read, or the default, also when it is wrong: the other problems are still to be found.
    pub(super) fn read<T>(
        &self,
        name: &str,
        default: T,
        at: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(found) = self.get(name) else { return default };
        parse(found.text()).unwrap_or_else(|problem| {
            at.add(format!("{}: {problem}", found.place));
            default
        })
    }

    /// Whether something is on.
    pub(super) fn is_on(&self, name: &str, default: bool, at: &mut Problems) -> bool {
        self.read(name, default, at, |text| text.parse().map_err(|_| format!("`{text}` is neither true nor false")))
    }

    /// A secret in a file of its own or in the configuration file. What is said of one account wins over what is said of
    /// all, whichever of the two it is.
    pub(super) fn part(&self, file: &str, key: &str) -> Option<SecretSource> {
        let named = |values: &[String]| {
            values.first().filter(|path| !path.is_empty()).map(|path| SecretSource::File(path.into()))
        };
        let by_flag = self.args.get(file).and_then(|given| named(&given.values));
        by_flag.or_else(|| {
            self.file.iter().find_map(|entries| {
                let file = entries.get(file).and_then(|entry| named(&entry.values));
                file.or_else(|| entries.secret(key).cloned().map(SecretSource::Given))
            })
        })
    }

    /// A secret that the file holds.
    fn secret(&self, key: &str) -> Option<Secret> {
        self.file.iter().find_map(|entries| entries.secret(key)).cloned()
    }

    /// A variable of the environment that says something about credentials. An account that has some of its own in the file
    /// does not look there: what is in the environment is another's.
    pub(super) fn credential_variable(&self, name: &str) -> Option<String> {
        if self.file.iter().any(|entries| entries.has_credentials()) { None } else { self.variable(name) }
    }

    /// A variable of the environment that is set to something.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// Equal for equal settings among those whose names begin alike, `""` for all, and for what else counts. Files that
    /// settings name count by their name.
    pub(super) fn fingerprint(&self, prefix: &str, besides: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        for flag in account_flags().filter(|flag| flag.name.starts_with(prefix)) {
            if let Some(found) = self.get(flag.name) {
                part(flag.name);
                part(&found.values.len().to_string());
                found.values.iter().for_each(|value| part(value));
            }
        }
        for name in SECRETS {
            if let Some(secret) = self.secret(name) {
                part(name);
                part(secret.expose());
            }
        }
        hash.update(besides);
        hash.finalize().into()
    }

    /// Each setting of an account with what is in force, as a mapping of the file; secrets are not shown.
    pub(super) fn show(&self, indent: &str, out: &mut String) {
        for flag in account_flags() {
            let key = if flag.kind == Kind::Switch { flag.name } else { flag.key.unwrap_or(flag.name) };
            self.show_one(flag, key, indent, out);
        }
        for name in SECRETS.iter().filter(|name| self.secret(name).is_some()) {
            *out += &format!("{indent}{name}: <secret>\n");
        }
    }

    fn show_one(&self, flag: &Flag, key: &str, indent: &str, out: &mut String) {
        *out += &match self.get(flag.name) {
            Some(found) if flag.kind == Kind::Many => {
                let values: Vec<String> = found.values.iter().map(|value| quoted(value)).collect();
                format!("{indent}{key}: [{}] # {}\n", values.join(", "), found.place)
            }
            Some(found) => format!("{indent}{key}: {} # {}\n", quoted(found.text()), found.place),
            None => format!("{indent}# {key}: {} (default)\n", flag.default),
        };
    }
}

/// The settings of the process, as comments and mapping of the page of settings.
pub(super) fn show_process(args: &ServeArgs, environment: Environment<'_>, out: &mut String) {
    let settings = Settings::of_process(args, environment);
    for flag in flags::ALL.iter().filter(|flag| flag.key.is_none()) {
        settings.show_one(flag, flag.name, "  ", out);
    }
}

fn account_flags() -> impl Iterator<Item = &'static Flag> {
    flags::ALL.iter().filter(|flag| flag.key.is_some())
}

/// A YAML scalar in double quotes, which are JSON's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
