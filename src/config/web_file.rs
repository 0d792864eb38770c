//! The file of `--web.config.file`: TLS, HTTP and logins, in the format that Prometheus' own exporters read.
//!
//! The format is that of the exporter toolkit (its `docs/web-configuration.md`); `auth_excluded_paths` is proposed there
//! for paths that are open to all. What this server cannot honour is refused, and so is what would have no effect.

use super::yaml::{self, Place, Table, Value, did_you_mean};
use super::{Problems, duration};
use crate::secret::Secret;
use crate::web::basic_auth::PasswordHash;
use crate::web::client_certificates::Clients;
use crate::web::security::{Header, Options, RateLimit, Security};
use crate::web::tls::{self, Part, Version};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Certificates and keys are never larger.
const LONGEST_PEM: u64 = 1 << 20;

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

    /// Everything under `tls_server_config`; `None` when there is no pair to go on with.
    fn tls<'p>(
        &mut self,
        mut table: Table<'p>,
        place: &Place<'p>,
        sources: &mut Sources<'p>,
        at: &mut Problems,
    ) -> Option<tls::Options> {
        let certificate = self.pem(&mut table, ["cert", "cert_file"], at);
        let key = self.pem(&mut table, ["key", "key_file"], at);
        let authorities = self.pem(&mut table, ["client_ca", "client_ca_file"], at);
        for (found, names) in [(&certificate, "cert_file or cert"), (&key, "key_file or key")] {
            if matches!(found, Pem::Absent) {
                at.add(format!("{place}: there is no {names}, and TLS needs one"));
            }
        }
        let clients = clients(&mut table, &authorities, place, at);
        let least = version(&mut table, "min_version", at);
        let most = version(&mut table, "max_version", at);
        if let (Some((Version::Tls13, place)), Some((Version::Tls12, _))) = (&least, &most) {
            at.add(format!("{place}: it is newer than max_version"));
        }
        let cipher_suites = each(&mut table, "cipher_suites", at, tls::cipher_suite);
        let own_preference = flag(&mut table, "prefer_server_cipher_suites", at).unwrap_or(true);
        let curves = each(&mut table, "curve_preferences", at, tls::curve);
        table.finish(at);

        sources.certificate = certificate.place().cloned();
        sources.key = key.place().cloned();
        sources.authorities = authorities.place().cloned();
        sources.table = Some(place.clone());
        let (Pem::Text(certificate, _), Pem::Text(key, _)) = (certificate, key) else { return None };
        Some(tls::Options {
            clients,
            least: least.map_or(Version::Tls12, |(version, _)| version),
            most: most.map_or(Version::Tls13, |(version, _)| version),
            cipher_suites,
            own_preference,
            curves,
            ..tls::Options::new(certificate.expose().as_bytes().to_vec(), key)
        })
    }

    /// A PEM text that stands in the file, or in a file that it names; relative names begin where this file is.
    fn pem<'p>(&mut self, table: &mut Table<'p>, [inline, named]: [&'static str; 2], at: &mut Problems) -> Pem<'p> {
        let (inline_text, file) = (table.text(inline, at), table.text(named, at));
        // What is empty is as good as absent: files that are filled from templates have such.
        let (inline_text, file) =
            (inline_text.filter(|(text, _)| !text.is_empty()), file.filter(|(text, _)| !text.is_empty()));
        match (inline_text, file) {
            (None, None) => Pem::Absent,
            (Some((_, place)), Some(_)) => {
                at.add(format!("{place}: there is {named} too; give one of them"));
                Pem::Unread
            }
            (Some((text, place)), None) => Pem::Text(Secret::new(text), place),
            (None, Some((name, place))) => {
                let file = self.path.parent().unwrap_or(Path::new("")).join(&name);
                let read = load_pem(&file);
                self.files.push(file.clone());
                match read {
                    Ok(text) => {
                        self.note(text.expose().as_bytes());
                        Pem::Text(text, place)
                    }
                    Err(problem) => {
                        at.add(format!("{place}: {}: {problem}", file.display()));
                        Pem::Unread
                    }
                }
            }
        }
    }

    fn note(&mut self, content: &[u8]) {
        self.digest.update((content.len() as u64).to_be_bytes());
        self.digest.update(content);
    }
}

/// One of the PEM texts, and where it is named.
enum Pem<'a> {
    Absent,
    /// There is one, and what is wrong with it was said.
    Unread,
    Text(Secret, Place<'a>),
}

impl<'a> Pem<'a> {
    fn place(&self) -> Option<&Place<'a>> {
        match self {
            Self::Text(_, place) => Some(place),
            Self::Absent | Self::Unread => None,
        }
    }
}

/// Where the parts of TLS were named, for what is found out about them later.
#[derive(Default)]
struct Sources<'a> {
    table: Option<Place<'a>>,
    certificate: Option<Place<'a>>,
    key: Option<Place<'a>>,
    authorities: Option<Place<'a>>,
}

impl Sources<'_> {
    fn blame(&self, problem: &tls::Problem, at: &mut Problems) {
        let place = match problem.part {
            Part::Certificate => &self.certificate,
            Part::Key => &self.key,
            Part::Authorities => &self.authorities,
            Part::Together => &None,
        };
        match place.as_ref().or(self.table.as_ref()) {
            Some(place) => at.add(format!("{place}: {}", problem.reason)),
            None => at.add(problem.reason.clone()),
        }
    }
}

fn load_pem(file: &Path) -> Result<Secret, String> {
    let opened = crate::file::open(file).map_err(|error| error.to_string())?;
    let size = opened.metadata().map_err(|error| error.to_string())?.len();
    // Room for all of it at once: no copies are left behind by a text that grows.
    let mut text =
        Zeroizing::new(String::with_capacity(usize::try_from(size.min(LONGEST_PEM)).unwrap_or_default() + 1));
    opened.take(LONGEST_PEM + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => "it is not in PEM form".to_owned(),
        _ => error.to_string(),
    })?;
    if text.len() as u64 > LONGEST_PEM {
        return Err("it is larger than 1 MiB".to_owned());
    }
    Ok(Secret::new(std::mem::take(&mut *text)))
}

/// The policy for clients, by the names that Go gives them.
fn clients(table: &mut Table<'_>, authorities: &Pem<'_>, place: &Place<'_>, at: &mut Problems) -> Clients {
    let policy = table.text("client_auth_type", at).filter(|(policy, _)| !policy.is_empty());
    let names = table.texts("client_allowed_sans", at);
    let (policy, place) = policy.unwrap_or_else(|| ("NoClientCert".to_owned(), place.clone()));
    let policies = [
        "NoClientCert",
        "RequestClientCert",
        "RequireAnyClientCert",
        "RequireClientCert",
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    ];
    if !policies.contains(&policy.as_str()) {
        at.add(format!("{place}: `{policy}` is no policy{}", did_you_mean(&policy, policies)));
        return Clients::Anonymous;
    }
    let requires = policy.starts_with("Require");
    if let Some((names, place)) = &names {
        if !requires {
            at.add(format!(
                "{place}: it needs client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert: otherwise a client without a certificate gets in"
            ));
        } else if names.is_empty() {
            at.add(format!("{place}: the list is empty; leave it out to allow every name"));
        }
    }
    let names = names.map(|(names, _)| names).unwrap_or_default();
    let verifies = policy.contains("Verify");
    match (authorities, verifies) {
        (Pem::Absent, true) => {
            at.add(format!(
                "{place}: {policy} needs client_ca_file or client_ca: who is to have made the certificates?"
            ));
        }
        (Pem::Text(_, place), false) => at.add(format!(
            "{place}: without client_auth_type RequireAndVerifyClientCert or VerifyClientCertIfGiven it has no effect"
        )),
        _ => {}
    }
    let authorities = match authorities {
        Pem::Text(text, _) => text.expose().as_bytes().to_vec(),
        // What is missing was said.
        Pem::Absent | Pem::Unread if verifies => return Clients::Anonymous,
        Pem::Absent | Pem::Unread => Vec::new(),
    };
    match policy.as_str() {
        "NoClientCert" => Clients::Anonymous,
        "RequestClientCert" => Clients::Asked,
        "VerifyClientCertIfGiven" => Clients::VerifiedIfGiven(authorities),
        "RequireAndVerifyClientCert" => Clients::Verified(authorities, names),
        _ => Clients::Some(names),
    }
}

fn version<'a>(table: &mut Table<'a>, key: &'static str, at: &mut Problems) -> Option<(Version, Place<'a>)> {
    let (text, place) = table.text(key, at)?;
    match text.parse() {
        Ok(version) => Some((version, place)),
        Err(problem) => {
            at.add(format!("{place}: {problem}"));
            None
        }
    }
}

fn each<T>(
    table: &mut Table<'_>,
    key: &'static str,
    at: &mut Problems,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let Some((texts, place)) = table.texts(key, at) else { return Vec::new() };
    let parsed = texts.iter().map(|text| parse(text).map_err(|problem| at.add(format!("{place}: {problem}"))));
    parsed.filter_map(Result::ok).collect()
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
    if let (None, Some((_, place))) = (&interval, &burst) {
        at.add(format!("{place}: without interval it has no effect"));
    }
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
