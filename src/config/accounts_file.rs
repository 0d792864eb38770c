//! The configuration file: accounts with their settings, and defaults for all accounts.
//!
//! Belongs here: which keys there are and where. Values are parsed where the value of the flag is parsed, so that the same
//! rules hold for both.

use super::environment::Environment;
use super::yaml::{self, Place, Table};
use super::{Problems, check_path, trimmed};
use crate::base::secret::Secret;
use crate::cli::flags::{self, Flag, FlagKind};
use std::path::Path;

/// The keys of secrets that the file may contain, preferably as `${NAME}`.
pub(super) const SECRETS: [&str; 5] =
    ["credentials.token", "credentials.access_key", "credentials.secret_key", "credentials.security_token", PASSWORD];

const PASSWORD: &str = "credentials.password";

/// The most bytes in an account's name, which is a label value and a part of URLs and file names.
const MAX_NAME: usize = 64;

/// Settings in the file of one account, or of all accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    settings: Vec<(&'static str, FoundSetting)>,
    secrets: Vec<(&'static str, Secret)>,
    /// Whether settings of credentials could not be read; the problem is reported with their place.
    pub(super) has_wrong_credentials: bool,
}

/// A setting as it was given.
#[derive(Clone, Debug)]
pub(super) struct FoundSetting {
    /// The values; one, except for lists.
    pub(super) values: Vec<String>,
    /// Where it was given, for messages: `--swr.region`, `SWR_EXPORTER_SWR_REGION` or a line of the file.
    pub(super) place: String,
}

impl FoundSetting {
    pub(super) fn text(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

impl Entries {
    pub(super) fn get(&self, name: &str) -> Option<&FoundSetting> {
        self.settings.iter().find(|(other, _)| *other == name).map(|(_, found)| found)
    }

    pub(super) fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|(other, _)| *other == name).map(|(_, secret)| secret)
    }

    /// Whether there are settings of credentials other than the name of the source and the agency to take on.
    pub(super) fn has_credentials(&self) -> bool {
        let mut of_credentials = self.settings.iter().filter_map(|(name, _)| name.strip_prefix("credentials."));
        !self.secrets.is_empty() || of_credentials.any(|name| name != "source" && !name.starts_with("agency-"))
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct AccountsFile {
    pub(super) defaults: Entries,
    pub(super) accounts: Vec<(String, Entries)>,
}

/// Reads a file. If only one account is wanted, problems with the others are ignored.
pub(super) fn read(
    path: &Path,
    environment: &Environment,
    wanted: Option<&str>,
    problems: &mut Problems,
) -> AccountsFile {
    let name = path.display().to_string();
    let Some(text) = problems.value_of(&name, yaml::load(path)) else { return AccountsFile::default() };
    let root = yaml::parse(&text).map_err(|(line, problem)| {
        // Within braces or brackets, the brace of `${` begins a mapping.
        let has_variable = text.lines().nth(line.saturating_sub(1)).is_some_and(|line| line.contains("${"));
        let hint = if has_variable { "; write \"${NAME}\" with its quotes" } else { "" };
        problems.add(format!("{name}:{line}: {problem}{hint}"));
    });
    let Ok(root) = root else { return AccountsFile::default() };
    let mut reader = EntryReader { environment, directory: path.parent().unwrap_or(Path::new("")), problems };
    let place = Place::root(&name);
    let mut table = Table::of(root, place.clone(), reader.problems);
    let mut file = AccountsFile::default();
    if let Some((node, place)) = table.take("defaults") {
        let table = Table::of(node, place, reader.problems);
        file.defaults = reader.account(table);
    }
    let before = reader.problems.list().len();
    if let Some((node, place)) = table.take("accounts") {
        let mut accounts = Table::of(node, place, reader.problems);
        for (key, node, place) in accounts.rest() {
            let before = reader.problems.list.len();
            if !is_name(&key.text) {
                reader.problems.add(format!(
                    "{place}: invalid account name (up to {MAX_NAME} letters, digits, `_`, `-` and `.`; not starting with the last \
                     two)"
                ));
            }
            let table = Table::of(node, place, reader.problems);
            let entries = reader.account(table);
            if wanted.is_some_and(|wanted| wanted != key.text) {
                reader.problems.list.truncate(before);
            }
            file.accounts.push((key.text, entries));
        }
    }
    if file.accounts.is_empty() && reader.problems.list().len() == before {
        reader.problems.add(format!("{place}: no accounts: add one below `accounts`"));
    }
    table.finish(reader.problems);
    file
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

struct EntryReader<'a, 'b> {
    environment: &'a Environment,
    /// Relative paths start here.
    directory: &'a Path,
    problems: &'b mut Problems,
}

impl EntryReader<'_, '_> {
    fn account(&mut self, mut table: Table<'_>) -> Entries {
        let mut entries = Entries::default();
        if let Some((node, place)) = table.take("credentials") {
            let before = self.problems.list.len();
            let mut credentials = Table::of(node, place, self.problems);
            for flag in flags::ALL {
                if let Some(key) = flag.key.and_then(|key| key.strip_prefix("credentials.")) {
                    self.setting(flag, key, &mut credentials, &mut entries);
                }
            }
            for name in SECRETS {
                let key = name.strip_prefix("credentials.").unwrap_or(name);
                if let Some((text, place)) = credentials.text(key, self.problems)
                    && let Some(values) = self.values(FlagKind::One, &[text], name == PASSWORD, &place)
                {
                    if entries.get(&format!("{}-file", name.replace('_', "-"))).is_some() {
                        self.problems.warn(format!("{place}: not used, because {key}_file gives it too"));
                    }
                    entries.secrets.extend(values.into_iter().map(|secret| (name, Secret::new(secret))));
                }
            }
            credentials.finish(self.problems);
            entries.has_wrong_credentials = self.problems.list.len() > before;
        }
        for flag in flags::ALL.iter().chain(flags::RENAMED) {
            match flag.key {
                Some(key) if flag.kind != FlagKind::Switch && !key.starts_with("credentials.") => {
                    self.setting(flag, key, &mut table, &mut entries);
                }
                _ => {}
            }
        }
        self.collectors(&mut table, &mut entries);
        table.finish(self.problems);
        entries
    }

    fn setting(&mut self, flag: &'static Flag, key: &'static str, table: &mut Table<'_>, entries: &mut Entries) {
        let found = match flag.kind {
            FlagKind::Many => table.texts(key, self.problems),
            FlagKind::Map => table.pairs(key, self.problems),
            FlagKind::One | FlagKind::Switch => table.text(key, self.problems).map(|(text, place)| (vec![text], place)),
        };
        let Some((texts, place)) = found else { return };
        let Some(mut values) = self.values(flag.kind, &texts, false, &place) else { return };
        if matches!(flag.value, "FILE" | "DIRECTORY") {
            // Paths are relative to the file that contains them, as in Prometheus' own files.
            for value in &mut values {
                check_path(value, &place.to_string(), self.problems);
                *value = self.directory.join(&*value).to_string_lossy().into_owned();
            }
        }
        entries.settings.push((flag.name, FoundSetting { values, place: place.to_string() }));
    }

    /// Reads `collectors`, a list of collectors to turn on or, with `-` before the name, off. Others keep their default.
    fn collectors(&mut self, table: &mut Table<'_>, entries: &mut Entries) {
        let Some((texts, place)) = table.texts("collectors", self.problems) else { return };
        let Some(names) = self.values(FlagKind::Many, &texts, false, &place) else { return };
        let switches = flags::ALL.iter().filter(|flag| flag.kind == FlagKind::Switch && flag.key == Some("collectors"));
        let known: Vec<&str> = switches.filter_map(|flag| flag.name.strip_prefix("collector.")).collect();
        for text in &names {
            let (name, is_on) = text.strip_prefix('-').map_or((text.as_str(), true), |name| (name.trim(), false));
            let Some(flag) = known.contains(&name).then(|| flags::flag(&format!("collector.{name}")).name) else {
                let hint = yaml::did_you_mean(name, known.iter().copied());
                self.problems.add(format!("{place}: unknown collector `{name}`{hint}"));
                continue;
            };
            let values = vec![is_on.to_string()];
            if entries.get(flag).is_some_and(|entry| entry.values != values) {
                self.problems.add(format!("{place}: `{name}` is both on and off"));
            }
            entries.settings.push((flag, FoundSetting { values, place: place.to_string() }));
        }
    }

    /// The values with their variables expanded. `None` if that fails, which is reported, or if all are empty, as in files
    /// filled from templates. A list without entries is a value.
    fn values(
        &mut self,
        kind: FlagKind,
        texts: &[String],
        is_password: bool,
        place: &Place<'_>,
    ) -> Option<Vec<String>> {
        let mut expanded = Vec::new();
        for text in texts {
            let text = self.problems.value_of(place, expand(text, self.environment));
            expanded.extend(text.map(|text| trimmed(&text, is_password).to_owned()));
        }
        let values = if kind == FlagKind::Many { flags::split_list(&expanded) } else { expanded };
        (texts.is_empty() || values.iter().any(|value| !value.is_empty())).then_some(values)
    }
}

/// Expands `${NAME}` to the environment variable; `$${` stands for `${`.
fn expand(text: &str, environment: &Environment) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(index) = rest.find("${") {
        let (before, reference) = rest.split_at(index);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &reference[2..];
            continue;
        }
        out.push_str(before);
        let Some(end) = reference.find('}') else {
            return Err("`${` without `}`; write `$${` for the characters themselves".to_owned());
        };
        let name = &reference[2..end];
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !is_name || name.as_bytes()[0].is_ascii_digit() {
            return Err("invalid name of an environment variable in `${}`".to_owned());
        }
        out.push_str(environment.inserted(name)?);
        rest = &reference[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_and_dollars_can_be_escaped() {
        let environment = Environment::from(&[("NAME", "va$lue\n")][..]);
        assert_eq!(expand("a${NAME}b${NAME}", &environment).unwrap(), "ava$luebva$lue");
        assert_eq!(expand("$${NAME} $5 $", &environment).unwrap(), "${NAME} $5 $");
        assert_eq!(expand("${OTHER}", &environment).unwrap_err(), "the environment variable OTHER is not set");
        for wrong in ["${", "${}", "${a b}", "${1}"] {
            assert!(expand(wrong, &environment).is_err(), "{wrong}");
        }
    }

    #[test]
    fn debug_output_shows_no_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.yml");
        let keys = SECRETS.map(|name| name.replace("credentials.", "      ") + ": \"can${MIDDLE}y\"\n").concat();
        std::fs::write(&path, format!("accounts:\n  one:\n    region: here\n    credentials:\n{keys}")).unwrap();
        let mut problems = Problems::default();
        let file = read(&path, &Environment::from(&[("MIDDLE", "ar")][..]), None, &mut problems);
        assert_eq!(problems.list(), [""; 0]);
        let (_, account) = &file.accounts[0];
        assert!(SECRETS.iter().all(|name| account.secret(name).unwrap().expose() == "canary"));
        let shown = format!("{file:?}");
        assert!(shown.contains("here") && !shown.contains("can"), "{shown}");
    }

    #[test]
    fn names_are_valid_in_labels_urls_and_file_names() {
        for name in ["production", "cn-north-4.team_1", "A"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "-a", "a/b", "a b", "ü", "a\n", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
