//! `swr-exporter check`: tries everything that a refresh needs, step by step, and explains what fails and how to fix it.
//!
//! It stops where further steps could only fail for the same reason. A wrong credential is sent once.

mod auxiliary;
mod tags;
mod connectivity;
mod report;

use super::shared_resources::HttpClients;
use crate::auth::exchange::Provider;
use crate::auth::{AuthError, Authenticator, Credential, CredentialProvider, ProviderState, SecretReader};
use crate::base::deadline::Deadline;
use crate::base::file;
use crate::base::words::things;
use crate::cli::CheckArgs;
use crate::collect::{self, Collected, ListApi};
use crate::config::environment::Environment;
use crate::config::{self, AccountOptions, StateFiles};
use crate::exposition::{self, Exposition};
use crate::failure::error_chain;
use crate::model::{Row, Timestamp};
use crate::swr::pages::OffsetPage;
use crate::swr::row_reader::KnownRows;
use crate::swr::{self, ApiError, CallBudget, Client, advice};
use prometheus::Registry;
use report::{Report, Reports, Step};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long one step may take, retries included.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// A larger clock skew fails the check, although requests are signed by the API's clock.
const MAX_TOLERATED_SKEW: f64 = 300.0;

/// Checks all accounts and prints a report. Returns whether everything works.
///
/// # Errors
/// Wrong settings, or output that cannot be written.
pub fn run(args: &CheckArgs) -> anyhow::Result<bool> {
    let is_json = args.format == "json";
    let config = match config::resolve(&args.serve, &Environment::of_process()) {
        Ok(config) => config,
        Err(problems) => {
            if is_json {
                super::print([report::of_problems(&problems)])?;
            }
            return Err(problems.into());
        }
    };
    let offline = args.offline;
    super::block_on(async {
        let web = config.web_file.map(|file| file.security.summary());
        let mut reports = Reports::new(offline, web, config.warnings);
        for account in config.accounts {
            reports.add(check(account, offline).await);
        }
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        super::print([if is_json { reports.json() } else { reports.text(args.verbose, colour) }])?;
        Ok(reports.works())
    })
}

/// Checks an account; `offline` without the network.
async fn check(account: AccountOptions, offline: bool) -> Report {
    let mut report = Report::new(account.name);
    report.add(Step::works("settings", format!("valid; the API is {}", account.client.endpoint)));
    directory(account.state.as_ref(), &mut report);
    let clients = certificates(&account.https, &mut report);
    // Problems with its files are reported even if the API cannot be reached.
    let loaded = account.credentials.source.load_by(&SecretReader::default()).await;
    match &loaded {
        Ok(state) if offline => {
            report.add(Step::works("credential", describe_state(&account.credentials.source, state)));
        }
        Ok(_) => {}
        Err(error) => report.add(no_credential(error)),
    }
    let Some(clients) = clients.filter(|_| !offline) else { return report };
    if !connectivity::check(&account.client.endpoint, &clients.public, &mut report).await || loaded.is_err() {
        return report;
    }
    let metrics = swr::Metrics::new(&Registry::new());
    let token_client = clients.token_client(&metrics);
    let origin = origin(&account.credentials.source);
    let authenticator = Authenticator::new(account.credentials.source, Some(token_client));
    let acquired = Deadline::after(STEP_TIMEOUT * 2).bound(authenticator.credential()).await;
    match acquired {
        Ok(Ok(lease)) => {
            let valid = match lease.expires_at.and_then(|end| jiff::Timestamp::try_from(end).ok()) {
                Some(end) => format!(", valid until {end:.0}"),
                None => String::new(),
            };
            report.add(Step::works("credential", format!("{} from {origin}{valid}", kind(&lease.credential))));
        }
        Ok(Err(error)) => {
            report.add(no_credential(&error));
            return report;
        }
        Err(_) => {
            let advice = "check that this machine reaches the issuer of the credential";
            report.add(Step::fails("credential", format!("no response in time from {origin}"), advice));
            return report;
        }
    }
    let client = Client::new(account.client, Box::new(clients.public), authenticator, metrics, SystemTime::now);
    let listed = calls(&client, &account.collect, &mut report).await;
    if report.works() {
        let timeout = account.cache.refresh_timeout;
        whole_listing(&client, &account.collect, &account.exposition, timeout, &mut report).await;
    }
    if listed.is_usable {
        tags::check(&client, &account.tags, listed.row.as_ref(), &mut report).await;
        auxiliary::check(&client, &account.collect, &mut report).await;
    }
    report
}

fn no_credential(error: &AuthError) -> Step {
    Step::fails("credential", error_chain(error), advice::on_credential(error))
}

/// Adds a step for the state directory, if there is one. Without it the exporter works, and warns.
fn directory(files: Option<&StateFiles>, report: &mut Report) {
    let Some(directory) = files.map(StateFiles::directory) else { return };
    let shown = directory.display();
    report.add(match file::try_directory(directory) {
        Ok(()) => Step::works("cache", format!("{shown} is writable")),
        Err(error) => {
            let advice = "create the directory of --cache.directory, writable for the exporter's user";
            Step::fails("cache", format!("cannot write to {shown}: {error}"), advice)
        }
    });
}

fn certificates(https: &crate::transport::HttpsOptions, report: &mut Report) -> Option<HttpClients> {
    let clients = HttpClients::new(https);
    report.add(match &clients {
        Ok(_) => {
            let own = https.ca_file.as_ref().map_or_else(String::new, |file| format!("{} and ", file.display()));
            let trusted = format!("trusting {own}the system's CA certificates (Mozilla's if it has none)");
            Step::works("certificates", trusted)
        }
        Err(error) => {
            let advice = "set --swr.ca-file to a readable file of certificates in PEM format";
            Step::fails("certificates", error_chain(error), advice)
        }
    });
    clients.ok()
}

fn describe_state(source: &CredentialProvider, state: &ProviderState) -> String {
    match state {
        ProviderState::Ready(credential) => format!("{} from {}", kind(credential), origin(source)),
        ProviderState::NeedsExchange(..) => format!("{} is configured; not tried", origin(source)),
    }
}

/// Where a credential comes from: the file, user or address, and the source.
fn origin(source: &CredentialProvider) -> String {
    let (name, owner) = (source.name(), source.owner());
    if owner.is_empty() { format!("the settings (source {name})") } else { format!("{owner} (source {name})") }
}

/// The kind of a credential. Nothing of the credential itself is shown, not even an access key's id.
fn kind(credential: &Credential) -> &'static str {
    match credential {
        Credential::Token(_) => "token",
        Credential::AccessKey(key) if key.security_token.is_some() => "temporary access key",
        Credential::AccessKey(_) => "access key",
    }
}

/// Reads the whole listing as a refresh does, and says how many repositories have series.
async fn whole_listing(
    client: &Client,
    options: &collect::Options,
    exposition: &exposition::Options,
    timeout: Duration,
    report: &mut Report,
) {
    const WHAT: &str = "complete listing";
    let metrics = collect::Metrics::new(&Registry::new());
    let now = Timestamp::from(SystemTime::now());
    let collected = collect::collect(client, options, None, now, Deadline::after(timeout), &metrics).await;
    let snapshot = match collected {
        Ok(Collected { snapshot, gap: None }) => snapshot,
        Err(failure) | Ok(Collected { gap: Some(failure), .. }) => {
            let advice = "docs/troubleshooting.md explains this reason";
            return report.add(Step::fails(WHAT, failure.to_string(), advice));
        }
    };
    let all = snapshot.repositories.len() as u64;
    let repositories = things(all, "repository");
    let selected = Exposition::build(Arc::new(snapshot), exposition, None).selected_repositories();
    if selected == 0 && all > 0 {
        let advice = format!("check --repositories.include and --repositories.exclude: {}", exposition.filter_hint());
        return report.add(Step::fails(WHAT, format!("none of {repositories} has series"), advice));
    }
    let found = format!("{repositories}, {selected} of them have series");
    report.add_found(Step::works(WHAT, found).counting(Some(all)));
}

/// The outcome of the listing's calls.
struct Listed {
    /// Whether other calls may succeed.
    is_usable: bool,
    /// A repository for trying other calls.
    row: Option<Row>,
}

/// Makes each call of the listing once. A refresh decides what `auto` means; every region has API version 2.
async fn calls(client: &Client, options: &collect::Options, report: &mut Report) -> Listed {
    let namespaces = &options.namespaces;
    let wanted: Vec<Option<&str>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().map(|name| Some(name.as_str())).collect() };
    let mut skipped = 0;
    let mut is_unusable = false;
    let mut row = None;
    let known = KnownRows::none(client.fingerprint_key);
    for namespace in wanted {
        if is_unusable {
            skipped += 1;
            continue;
        }
        let budget = CallBudget::until(Deadline::after(STEP_TIMEOUT));
        let result = match options.list_api {
            ListApi::V3 => {
                client.repositories_from(namespace, None, 10, &known, &budget).await.map(|page| OffsetPage {
                    total: page.next.is_none().then_some(page.received),
                    received: page.received,
                    rows: page.rows,
                })
            }
            ListApi::V2 | ListApi::Auto => client.repositories(namespace, 0, 10, &known, &budget).await,
        };
        let what = match namespace {
            None => "list repositories".to_owned(),
            Some(name) => format!("list repositories of `{name}`"),
        };
        is_unusable =
            result.as_ref().is_err_and(|error| !matches!(error, ApiError::Permission(_) | ApiError::NotFound(_)));
        row = row.or_else(|| result.as_ref().ok()?.rows.first().cloned());
        report.add(match result {
            Ok(page) if namespace.is_some() && page.rows.is_empty() => Step::fails(
                what,
                "the organization shows no repository",
                "check its name in --swr.namespace and its region; if it exists and is not empty, give the user at least \
                 read permission in it (SWR console, organization, users)",
            ),
            Ok(page) => Step::works(what, match page.total {
                Some(0) => format!("no repositories; {}", advice::ON_EMPTY_LIST),
                Some(total) => format!("{} listed", things(total, "repository")),
                None => format!("{} listed, and there are more", things(page.rows.len() as u64, "repository")),
            })
            .counting(page.total),
            Err(error) => Step::fails(what, error_chain(&error), advice::on_call(&error, namespace)),
        });
    }
    if skipped > 0 {
        report.add(Step::skipped("list repositories", format!("{skipped} more organizations not tried")));
    }
    Listed { is_usable: !is_unusable, row }
}
