//! `tls_server_config`: the pair, the clients whose certificates are taken, versions and algorithms.

use super::{Reading, flag};
use crate::base::secret::Secret;
use crate::config::Problems;
use crate::config::yaml::{Place, Table, did_you_mean};
use crate::web::client_certificates::Clients;
use crate::web::tls::{self, Part, Version};
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// Certificates and keys are never larger.
const LONGEST_PEM: u64 = 1 << 20;

impl Reading<'_> {
    /// Everything under `tls_server_config`; `None` when there is no pair to go on with.
    pub(super) fn tls<'p>(
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
pub(super) struct Sources<'a> {
    table: Option<Place<'a>>,
    certificate: Option<Place<'a>>,
    key: Option<Place<'a>>,
    authorities: Option<Place<'a>>,
}

impl Sources<'_> {
    /// Says what is wrong with a part where it was named.
    pub(super) fn blame(&self, problem: &tls::Problem, at: &mut Problems) {
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
    let opened = crate::base::file::open(file).map_err(|error| error.to_string())?;
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
