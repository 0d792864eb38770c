//! `tls_server_config`: certificate and key, client authentication, versions and algorithms.

use super::{WebFileReader, flag};
use crate::base::{file, secret::Secret};
use crate::config::Problems;
use crate::config::yaml::{Place, Table, did_you_mean};
use crate::web::client_certificates::ClientAuth;
use crate::web::pem::{TlsProblem, TlsSetting};
use crate::web::tls::{self, TlsVersion};
use std::io::ErrorKind;
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of the largest certificate or key file.
const MAX_PEM: u64 = 1 << 20;

impl WebFileReader<'_> {
    /// Everything under `tls_server_config`; `None` if certificate or key is missing.
    pub(super) fn tls<'p>(
        &mut self,
        mut table: Table<'p>,
        place: &Place<'p>,
        sources: &mut Sources<'p>,
        problems: &mut Problems,
    ) -> Option<tls::Options> {
        let mut pem = |setting, names| {
            let found = self.pem(&mut table, names, problems);
            if let Pem::Text(_, place) = &found {
                sources.0.push((setting, place.clone()));
            }
            found
        };
        let certificate = pem(TlsSetting::Certificate, ["cert", "cert_file"]);
        let key = pem(TlsSetting::Key, ["key", "key_file"]);
        let client_ca = pem(TlsSetting::ClientCa, ["client_ca", "client_ca_file"]);
        sources.0.push((TlsSetting::Combination, place.clone()));
        for (found, names) in [(&certificate, "cert_file or cert"), (&key, "key_file or key")] {
            if matches!(found, Pem::Absent) {
                problems.add(format!("{place}: {names} missing, which TLS needs"));
            }
        }
        let client_auth = client_auth(&mut table, &client_ca, place, problems);
        let min_version = version(&mut table, "min_version", problems);
        let max_version = version(&mut table, "max_version", problems);
        if let (Some((TlsVersion::Tls13, place)), Some((TlsVersion::Tls12, _))) = (&min_version, &max_version) {
            problems.add(format!("{place}: it is newer than max_version"));
        }
        let cipher_suites = each(&mut table, "cipher_suites", problems, tls::cipher_suite);
        let prefer_server_order = flag(&mut table, "prefer_server_cipher_suites", problems).unwrap_or(true);
        let curves = each(&mut table, "curve_preferences", problems, tls::curve);
        table.finish(problems);

        let (Pem::Text(certificate, _), Pem::Text(key, _)) = (certificate, key) else { return None };
        Some(tls::Options {
            certificate: certificate.expose().as_bytes().to_vec(),
            key,
            client_auth,
            min_version: min_version.map_or(TlsVersion::Tls12, |(version, _)| version),
            max_version: max_version.map_or(TlsVersion::Tls13, |(version, _)| version),
            cipher_suites,
            prefer_server_order,
            curves,
            // Unless `http_server_config` says otherwise.
            http2: true,
        })
    }

    /// A PEM text, inline or in a file that is named; relative names are relative to this file's directory.
    fn pem<'p>(
        &mut self,
        table: &mut Table<'p>,
        [inline, named]: [&'static str; 2],
        problems: &mut Problems,
    ) -> Pem<'p> {
        // An empty value counts as absent: templates produce such.
        let mut text = |key| table.text(key, problems).filter(|(text, _)| !text.is_empty());
        let (inline_text, file) = (text(inline), text(named));
        match (inline_text, file) {
            (None, None) => Pem::Absent,
            (Some((_, place)), Some(_)) => {
                problems.add(format!("{place}: there is {named} too; give one of them"));
                Pem::Unread
            }
            (Some((text, place)), None) => Pem::Text(Secret::new(text), place),
            (None, Some((name, place))) => {
                let file = self.path.parent().unwrap_or(Path::new("")).join(&name);
                let read = problems.value_of(format!("{place}: {}", file.display()), load_pem(&file));
                self.files.push(file);
                let Some(text) = read else { return Pem::Unread };
                self.note(text.expose().as_bytes());
                Pem::Text(text, place)
            }
        }
    }
}

/// A PEM text, and the place that names it.
enum Pem<'a> {
    Absent,
    /// It cannot be used; the problem was added.
    Unread,
    Text(Secret, Place<'a>),
}

/// The places of the settings, that of all together last, for problems that are found later.
#[derive(Default)]
pub(super) struct Sources<'a>(Vec<(TlsSetting, Place<'a>)>);

impl Sources<'_> {
    /// Adds a problem with the place of its setting.
    pub(super) fn blame(&self, problem: &TlsProblem, problems: &mut Problems) {
        match self.0.iter().find(|(setting, _)| *setting == problem.setting).or(self.0.last()) {
            Some((_, place)) => problems.add(format!("{place}: {}", problem.reason)),
            None => problems.add(problem.reason.clone()),
        }
    }
}

fn load_pem(path: &Path) -> Result<Secret, String> {
    let bytes = file::read(path, MAX_PEM).map(Zeroizing::new).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => "it is larger than 1 MiB".to_owned(),
        _ => error.to_string(),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not in PEM form".to_owned())?;
    Ok(Secret::new(text.to_owned()))
}

/// The policy for client certificates, by its name in Go.
fn client_auth(table: &mut Table<'_>, client_ca: &Pem<'_>, place: &Place<'_>, problems: &mut Problems) -> ClientAuth {
    let policy = table.text("client_auth_type", problems).filter(|(policy, _)| !policy.is_empty());
    let names = table.texts("client_allowed_sans", problems);
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
        problems.add(format!("{place}: unknown policy `{policy}`{}", did_you_mean(&policy, policies)));
        return ClientAuth::None;
    }
    let requires = policy.starts_with("Require");
    if let Some((names, place)) = &names {
        if !requires {
            problems.add(format!(
                "{place}: it needs client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert: otherwise a client without a certificate gets in"
            ));
        } else if names.is_empty() {
            problems.add(format!("{place}: the list is empty; leave it out to allow every name"));
        }
    }
    let names = names.map(|(names, _)| names).unwrap_or_default();
    let verifies = policy.contains("Verify");
    match (client_ca, verifies) {
        (Pem::Absent, true) => {
            problems.add(format!(
                "{place}: {policy} needs client_ca_file or client_ca: who is to have made the certificates?"
            ));
        }
        (Pem::Text(_, place), false) => problems.add(format!(
            "{place}: without client_auth_type RequireAndVerifyClientCert or VerifyClientCertIfGiven it has no effect"
        )),
        _ => {}
    }
    let client_ca = match client_ca {
        Pem::Text(text, _) => text.expose().as_bytes().to_vec(),
        // The problem was added above.
        Pem::Absent | Pem::Unread if verifies => return ClientAuth::None,
        Pem::Absent | Pem::Unread => Vec::new(),
    };
    match policy.as_str() {
        "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Requested,
        "VerifyClientCertIfGiven" => ClientAuth::VerifiedIfGiven(client_ca),
        "RequireAndVerifyClientCert" => ClientAuth::Verified(client_ca, names),
        _ => ClientAuth::Any(names),
    }
}

fn version<'a>(table: &mut Table<'a>, key: &'static str, problems: &mut Problems) -> Option<(TlsVersion, Place<'a>)> {
    let (text, place) = table.text(key, problems)?;
    problems.value_of(&place, text.parse()).map(|version| (version, place))
}

fn each<T>(
    table: &mut Table<'_>,
    key: &'static str,
    problems: &mut Problems,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let Some((texts, place)) = table.texts(key, problems) else { return Vec::new() };
    texts.iter().filter_map(|text| problems.value_of(&place, parse(text))).collect()
}
