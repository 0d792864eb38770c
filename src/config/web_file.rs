//! The web configuration file (`--web.config.file`): TLS, HTTP and basic authentication.
//!
//! The format is that of Prometheus' exporter toolkit (its `docs/web-configuration.md`); `auth_excluded_paths` is proposed
//! there. Settings that this server cannot honour are refused, and so are settings without effect.

mod tls;

use super::yaml::{self, Place, Table, Value, did_you_mean};
use super::{Problems, duration, switch};
use crate::base::digest::{self, Sha256Digest};
use crate::web::basic_auth::PasswordHash;
use crate::web::security::{Header, Options, RateLimit, Security};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tls::Sources;
use zeroize::Zeroizing;

/// The file and the files that it names, as far as it could be read: a change of any of them requires a reload.
pub type Files = Vec<PathBuf>;

/// The content of the file.
#[derive(Debug)]
pub struct WebFile {
    /// The settings.
    pub security: Security,
    /// The web configuration file itself comes first.
    pub files: Files,
    /// Of the contents of all files: equal digests mean equal settings.
    pub digest: Sha256Digest,
}

/// Reads the file and the files that it names. Blocks while the file system hangs; pipes and devices are refused.
///
/// # Errors
/// All problems.
pub fn read(path: &Path) -> Result<WebFile, (Problems, Files)> {
    let mut reader = WebFileReader { path, files: vec![path.to_owned()], contents: Vec::new() };
    let mut problems = Problems::default();
    let security = reader.security(&mut problems);
    let WebFileReader { files, contents, .. } = reader;
    match security.filter(|_| problems.list().is_empty()) {
        Some(security) => Ok(WebFile { security, files, digest: digest::of(contents) }),
        None => Err((problems, files)),
    }
}

struct WebFileReader<'a> {
    path: &'a Path,
    files: Files,
    contents: Vec<Sha256Digest>,
}

impl WebFileReader<'_> {
    fn security(&mut self, problems: &mut Problems) -> Option<Security> {
        let shown = self.path.display().to_string();
        let text = problems.value_of(&shown, yaml::load(self.path)).map(Zeroizing::new)?;
        self.note(text.as_bytes());
        let root = yaml::parse(&text);
        let root = root.map_err(|(line, problem)| problems.add(format!("{shown}:{line}: {problem}"))).ok()?;
        if root.value == Value::Nothing {
            problems.add(format!("{shown}: it is empty; leave out --web.config.file to serve plain HTTP to everybody"));
            return None;
        }
        let mut root = Table::of(root, Place::root(&shown), problems);
        let mut sources = Sources::default();
        let mut options = Options {
            tls: root.take("tls_server_config").filter(|(node, _)| node.value != Value::Map(Vec::new())).and_then(
                |(node, place)| self.tls(Table::of(node, place.clone(), problems), &place, &mut sources, problems),
            ),
            ..Options::default()
        };
        if let Some((node, place)) = root.take("http_server_config") {
            let mut table = Table::of(node, place, problems);
            if let (Some(http2), Some(tls)) = (flag(&mut table, "http2", problems), &mut options.tls) {
                tls.http2 = http2;
            }
            options.headers = headers(&mut table, problems);
            table.finish(problems);
        }
        options.users = users(&mut root, problems);
        options.open_paths = open_paths(&mut root, problems);
        options.rate_limit = rate_limit(&mut root, problems);
        root.finish(problems);
        Security::new(options)
            .map_err(|found| found.into_iter().for_each(|problem| sources.blame(&problem, problems)))
            .ok()
    }

    fn note(&mut self, content: &[u8]) {
        self.contents.push(digest::of([content]));
    }
}

fn flag(table: &mut Table<'_>, key: &'static str, problems: &mut Problems) -> Option<bool> {
    let (text, place) = table.text(key, problems)?;
    problems.value_of(place, switch(&text))
}

fn headers(table: &mut Table<'_>, problems: &mut Problems) -> Vec<Header> {
    let Some((node, place)) = table.take("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for (key, node, place) in Table::of(node, place, problems).rest() {
        // Empty: not set.
        let value = if node.value == Value::Nothing { Ok(String::new()) } else { node.value.into_text() };
        let Some(value) = problems.value_of(&place, value) else { continue };
        if !Header::names().any(|name| name == key.text) {
            problems.add(format!("{place}: this header cannot be set{}", did_you_mean(&key.text, Header::names())));
        } else if !value.is_empty() {
            headers.extend(problems.value_of(place, Header::new(&key.text, &value)));
        }
    }
    headers
}

fn users(root: &mut Table<'_>, problems: &mut Problems) -> HashMap<String, PasswordHash> {
    const NOBODY: &str = "it names nobody; leave it out to let everybody in";
    if let Some(place) = root.blank("basic_auth_users") {
        problems.add(format!("{place}: {NOBODY}"));
    }
    let Some((node, place)) = root.take("basic_auth_users") else { return HashMap::new() };
    if node.value == Value::Map(Vec::new()) {
        problems.add(format!("{place}: {NOBODY}"));
    }
    let mut users = HashMap::new();
    for (key, node, place) in Table::of(node, place, problems).rest() {
        if key.text.contains(':') {
            problems.add(format!("{place}: a name with a colon cannot log in"));
        }
        let hash = match node.value {
            Value::Text(text) => text.parse::<PasswordHash>(),
            other => Err(format!("expected a bcrypt hash, found {}", other.kind())),
        };
        users.extend(problems.value_of(place, hash).map(|hash| (key.text, hash)));
    }
    users
}

fn open_paths(root: &mut Table<'_>, problems: &mut Problems) -> Vec<String> {
    let Some((paths, place)) = root.texts("auth_excluded_paths", problems) else { return Vec::new() };
    for path in paths.iter().filter(|path| !path.starts_with('/')) {
        problems.add(format!("{place}: `{path}` does not begin with /"));
    }
    paths
}

fn rate_limit(root: &mut Table<'_>, problems: &mut Problems) -> Option<RateLimit> {
    let (node, place) = root.take("rate_limit")?;
    let mut table = Table::of(node, place.clone(), problems);
    let (interval, burst) = (table.text("interval", problems), table.text("burst", problems));
    table.finish(problems);
    if let (None, Some((_, place))) = (&interval, &burst) {
        problems.add(format!("{place}: without interval it has no effect"));
    }
    let interval = match interval {
        None => Duration::ZERO,
        Some((text, _)) if text == "0" => Duration::ZERO,
        Some((text, place)) => problems.value_of(place, duration(&text)).unwrap_or_default(),
    };
    let burst = burst.and_then(|(text, place)| {
        let burst = text.parse::<u32>().map_err(|_| format!("invalid number of requests `{text}`"));
        problems.value_of(place, burst)
    });
    match (interval, burst) {
        // Disabled.
        (Duration::ZERO, _) => None,
        (_, None | Some(0)) => {
            problems.add(format!("{place}: burst must be at least 1, or nothing would ever be answered"));
            None
        }
        (interval, Some(burst)) => Some(RateLimit { interval, burst }),
    }
}
