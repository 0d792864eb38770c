//! The file of `--web.config.file`: TLS, HTTP and logins, in the format that Prometheus' own exporters read.
//!
//! The format is that of the exporter toolkit (its `docs/web-configuration.md`); `auth_excluded_paths` is proposed there
//! for paths that are open to all. What this server cannot honour is refused, and so is what would have no effect.

mod tls;

use super::yaml::{self, Place, Table, Value, did_you_mean};
use super::{Problems, duration};
use crate::web::basic_auth::PasswordHash;
use crate::web::security::{Header, Options, RateLimit, Security};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tls::Sources;
use zeroize::Zeroizing;

/// The file itself and those it names, as far as it could be read: when one changes, all are to be read again.
pub type Files = Vec<PathBuf>;

/// What a file says.
#[derive(Debug)]
pub struct WebFile {
    /// The settings.
    pub security: Security,
    /// The file itself first.
    pub files: Files,
    /// Of the content of all of them: equal digests mean equal settings.
    pub digest: [u8; 32],
}

/// Reads the file and those it names. Blocks for as long as the file system does, but for no pipe and no device.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(path: &Path) -> Result<WebFile, (Problems, Files)> {
    let mut reading = Reading { path, files: vec![path.to_owned()], digest: Sha256::new() };
    let mut problems = Problems::default();
    let security = reading.security(&mut problems);
    let Reading { files, digest, .. } = reading;
    match security.filter(|_| problems.list().is_empty()) {
        Some(security) => Ok(WebFile { security, files, digest: digest.finalize().into() }),
        None => Err((problems, files)),
    }
}

struct Reading<'a> {
    path: &'a Path,
    files: Files,
    digest: Sha256,
}

impl Reading<'_> {
    fn security(&mut self, at: &mut Problems) -> Option<Security> {
        let shown = self.path.display().to_string();
        let text = match yaml::load(self.path).map(Zeroizing::new) {
            Ok(text) => text,
            Err(problem) => {
                at.add(format!("{shown}: {problem}"));
                return None;
            }
        };
        self.note(text.as_bytes());
        let root = match yaml::parse(&text) {
            Ok(root) => root,
            Err((line, problem)) => {
                at.add(format!("{shown}:{line}: {problem}"));
                return None;
            }
        };
        let mut root = Table::of(root, Place::root(&shown), at);
        let mut sources = Sources::default();
        let mut http2 = true;
        let mut options = Options {
            tls: root
                .take("tls_server_config")
                .filter(|(node, _)| node.value != Value::Map(Vec::new()))
                .and_then(|(node, place)| self.tls(Table::of(node, place.clone(), at), &place, &mut sources, at)),
            ..Options::default()
        };
        if let Some((node, place)) = root.take("http_server_config") {
            let mut table = Table::of(node, place, at);
            http2 = flag(&mut table, "http2", at).unwrap_or(true);
            options.headers = headers(&mut table, at);
            table.finish(at);
        }
        options.users = users(&mut root, at);
        options.open_paths = open_paths(&mut root, at);
        options.rate_limit = rate_limit(&mut root, at);
        root.finish(at);
        if let Some(tls) = &mut options.tls {
            tls.http2 = http2;
        }
        Security::new(options)
            .map_err(|problems| problems.into_iter().for_each(|problem| sources.blame(&problem, at)))
            .ok()
    }

    fn note(&mut self, content: &[u8]) {
        self.digest.update((content.len() as u64).to_be_bytes());
        self.digest.update(content);
    }
}

fn flag(table: &mut Table<'_>, key: &'static str, at: &mut Problems) -> Option<bool> {
    let (text, place) = table.text(key, at)?;
    match text.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => {
            at.add(format!("{place}: `{text}` is neither true nor false"));
            None
        }
    }
}

fn headers(table: &mut Table<'_>, at: &mut Problems) -> Vec<Header> {
    let Some((node, place)) = table.take("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for (key, node, place) in Table::of(node, place, at).rest() {
        let value = match node.value {
            Value::Text(text) => text,
            // Blank: not set.
            Value::Nothing => String::new(),
            other => {
                at.add(format!("{place}: expected a text, found {}", other.kind()));
                continue;
            }
        };
        if !Header::names().any(|name| name == key.text) {
            at.add(format!("{place}: this header cannot be set{}", did_you_mean(&key.text, Header::names())));
        } else if !value.is_empty() {
            match Header::new(&key.text, &value) {
                Ok(header) => headers.push(header),
                Err(problem) => at.add(format!("{place}: {problem}")),
            }
        }
    }
    headers
}

fn users(root: &mut Table<'_>, at: &mut Problems) -> HashMap<String, PasswordHash> {
    let Some((node, place)) = root.take("basic_auth_users") else { return HashMap::new() };
    let mut users = HashMap::new();
    for (key, node, place) in Table::of(node, place, at).rest() {
        if key.text.contains(':') {
            at.add(format!("{place}: a name with a colon cannot log in"));
        }
        let hash = match node.value {
            Value::Text(text) => text.parse::<PasswordHash>(),
            other => Err(format!("expected a bcrypt hash, found {}", other.kind())),
        };
        match hash {
            Ok(hash) => drop(users.insert(key.text, hash)),
            Err(problem) => at.add(format!("{place}: {problem}")),
        }
    }
    users
}

fn open_paths(root: &mut Table<'_>, at: &mut Problems) -> Vec<String> {
    let Some((paths, place)) = root.texts("auth_excluded_paths", at) else { return Vec::new() };
    for path in paths.iter().filter(|path| !path.starts_with('/')) {
        at.add(format!("{place}: `{path}` does not begin with /"));
    }
    paths
}

fn rate_limit(root: &mut Table<'_>, at: &mut Problems) -> Option<RateLimit> {
    let (node, place) = root.take("rate_limit")?;
    let mut table = Table::of(node, place.clone(), at);
    let (interval, burst) = (table.text("interval", at), table.text("burst", at));
    table.finish(at);
    let interval = match interval {
        None => Duration::ZERO,
        Some((text, _)) if text == "0" => Duration::ZERO,
        Some((text, place)) => duration(&text).unwrap_or_else(|problem| {
            at.add(format!("{place}: {problem}"));
            Duration::ZERO
        }),
    };
    let burst = burst.and_then(|(text, place)| match text.parse::<u32>() {
        Ok(burst) => Some(burst),
        Err(_) => {
            at.add(format!("{place}: `{text}` is no number of requests"));
            None
        }
    });
    match (interval, burst) {
        // Switched off, as by a file without it.
        (Duration::ZERO, _) => None,
        (_, None | Some(0)) => {
            at.add(format!("{place}: burst must be at least 1, or nothing would ever be answered"));
            None
        }
        (interval, Some(burst)) => Some(RateLimit { interval, burst }),
    }
}
