//! `swr-exporter check`: tries, one after the other, all that a refresh needs, and says what does not work and what to do.
//!
//! It stops where what follows could only fail for the same reason. A wrong credential is sent once and no more.

mod advice;
mod auxiliary;
mod tags;
mod reach;
mod report;

pub use report::{Format, Report, Reports};

use super::shared_resources::HttpClients;
use crate::auth::{AuthError, Authenticator, Credential, ProviderState, ResolvedProvider};
use crate::base::blocking_reader::BlockingReader;
use crate::base::deadline::Deadline;
use crate::cache::state_file;
use crate::cli::CheckArgs;
use crate::collect::{self, ListApi};
use crate::config::{self, Account, StateFiles};
use crate::failure::error_chain;
use crate::model::Repository;
use crate::swr::pages::OffsetPage;
use crate::swr::{self, ApiError, CallBudget, Client};
use prometheus::Registry;
use report::Step;
use std::io::{IsTerminal, Write};
use std::time::{Duration, SystemTime};

/// The longest that one step may take, its retries included.
const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that is further off than this is a fault, although requests are signed by the API's.
const MOST_SKEW_SECONDS: f64 = 300.0;

/// Checks and prints. Whether everything works.
///
/// # Errors
/// Wrong settings, or output that cannot be written.
pub fn run(args: &CheckArgs) -> anyhow::Result<bool> {
    let format: Format = args.format.parse().map_err(anyhow::Error::msg)?;
    let config = match config::resolve(&args.serve, &|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(problems) => {
            if format == Format::Json {
                print(&report::of_problems(&problems))?;
            }
            return Err(problems.into());
        }
    };
    let offline = args.offline;
    let mut works = false;
    super::block_on(async {
        let mut reports = Reports::new(offline);
        for account in config.accounts {
            reports.add(if offline { offline_check(account).await } else { check(account).await });
        }
        works = reports.works();
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print(&reports.render(format, colour))?;
        Ok(())
    })?;
    Ok(works)
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What can be told without asking anybody.
async fn offline_check(account: Account) -> Report {
    let mut report = Report::new(account.name);
    report.add(settings(&account.client.endpoint, &account.credentials));
    directory(account.state.as_ref(), &mut report);
    report.add(certificates(&account.https).1);
    report.add(match account.credentials.source.load(&BlockingReader::new(PATIENCE)).await {
        Ok(basis) => Step::works("credential", of_basis(&account.credentials, &basis)),
        Err(error) => no_credential(&error),
    });
    report
}

async fn check(account: Account) -> Report {
    let mut report = Report::new(account.name);
    report.add(settings(&account.client.endpoint, &account.credentials));
    directory(account.state.as_ref(), &mut report);
    let (ways, step) = certificates(&account.https);
    report.add(step);
    let Some(ways) = ways else { return report };
    // What is wrong with its files is told whether or not the API can be reached.
    let unfit = account.credentials.source.load(&BlockingReader::new(PATIENCE)).await.err();
    if let Some(error) = &unfit {
        report.add(no_credential(error));
    }
    if !reach::check(&account.client.endpoint, &ways.cloud, &mut report).await || unfit.is_some() {
        return report;
    }
    let metrics = swr::Metrics::new(&Registry::new());
    let door = ways.door(&metrics);
    let described = account.credentials.source.name();
    let authenticator = Authenticator::new(account.credentials.source, Some(door));
    let leased = Deadline::after(PATIENCE * 2).bound(authenticator.credential()).await;
    match leased {
        Ok(Ok(lease)) => report
            .add(Step::works("credential", format!("{described}: {}", of_lease(&lease.credential, lease.expires_at)))),
        Ok(Err(error)) => {
            report.add(no_credential(&error));
            return report;
        }
        Err(_) => {
            let advice = "check that this machine reaches whoever gives the credential".to_owned();
            report.add(Step::fails("credential", format!("{described} did not give one in time"), advice));
            return report;
        }
    }
    let client = Client::new(account.client, Box::new(ways.cloud), authenticator, metrics, SystemTime::now);
    let listed = calls(&client, &account.collect, &mut report).await;
    if listed.is_hopeful {
        tags::check(&client, &account.tags, listed.row.as_ref(), &mut report).await;
        auxiliary::check(&client, &account.collect, &mut report).await;
    }
    report
}

fn no_credential(error: &AuthError) -> Step {
    Step::fails("credential", error_chain(error), advice::on_credential(error))
}

fn settings(endpoint: &str, credentials: &ResolvedProvider) -> Step {
    Step::works("settings", format!("{endpoint}, credentials from {credentials}"))
}

/// Adds a step where something is to be kept: an exporter that cannot keep it works, and warns.
fn directory(files: Option<&StateFiles>, report: &mut Report) {
    let Some(directory) = files.map(StateFiles::directory) else { return };
    let shown = directory.display();
    report.add(match state_file::try_directory(directory) {
        Ok(()) => Step::works("cache", format!("can be kept in {shown}")),
        Err(error) => {
            let advice =
                "create the directory that --cache.file names, and let the exporter's user write there".to_owned();
            Step::fails("cache", format!("cannot be kept in {shown}: {error}"), advice)
        }
    });
}

fn certificates(https: &crate::transport::HttpsOptions) -> (Option<HttpClients>, Step) {
    match HttpClients::new(https) {
        Ok(ways) => {
            let trusted = match &https.ca_file {
                Some(file) => {
                    format!("the system's, or Mozilla's where it has none, and those of {} are trusted", file.display())
                }
                None => "the system's are trusted, or Mozilla's where it has none".to_owned(),
            };
            (Some(ways), Step::works("certificates", trusted))
        }
        Err(error) => {
            let advice = "give --swr.ca-file a readable file of certificates in PEM form".to_owned();
            (None, Step::fails("certificates", error_chain(&error), advice))
        }
    }
}

fn of_basis(credentials: &ResolvedProvider, basis: &ProviderState) -> String {
    match basis {
        ProviderState::Ready(credential) => format!("{}: {}", credentials.source.name(), of_lease(credential, None)),
        ProviderState::NeedsExchange(..) => format!("{}: what it needs is there", credentials.source.name()),
    }
}

/// A credential without anything secret; an access key's id is shown by nobody else, so it is not shown here either.
fn of_lease(credential: &Credential, expires_at: Option<SystemTime>) -> String {
    let kind = match credential {
        Credential::Token(_) => "a token",
        Credential::AccessKey(key) if key.security_token.is_some() => "a temporary access key",
        Credential::AccessKey(_) => "an access key",
    };
    match expires_at.and_then(|end| jiff::Timestamp::try_from(end).ok()) {
        Some(end) => format!("{kind} until {end:.0}"),
        None => kind.to_owned(),
    }
}

/// What the calls of the listing have shown.
struct Listed {
    /// Whether other calls have a chance.
    is_hopeful: bool,
    /// A repository to try others on.
    row: Option<Repository>,
}

/// Makes each call of the listing once.
async fn calls(client: &Client, options: &collect::Options, report: &mut Report) -> Listed {
    let namespaces = &options.namespaces;
    let wanted: Vec<Option<&str>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().map(|name| Some(name.as_str())).collect() };
    let mut skipped = 0;
    let mut hopeless = false;
    let mut row = None;
    for namespace in wanted {
        if hopeless {
            skipped += 1;
            continue;
        }
        let effort = CallBudget::until(Deadline::after(PATIENCE));
        // What `auto` means is found out by a refresh; every region has the second edition.
        let result = match options.list_api {
            ListApi::V3 => client.repositories_from(namespace, None, 10, &effort).await.map(|page| OffsetPage {
                total: page.next.is_none().then_some(page.received),
                received: page.received,
                rows: page.rows,
            }),
            ListApi::V2 | ListApi::Auto => client.repositories(namespace, 0, 10, &effort).await,
        };
        let what = match namespace {
            None => "list repositories".to_owned(),
            Some(name) => format!("list repositories of `{name}`"),
        };
        hopeless =
            result.as_ref().is_err_and(|error| !matches!(error, ApiError::Permission(_) | ApiError::NotFound(_)));
        row = row.or_else(|| result.as_ref().ok()?.rows.first().cloned());
        report.add(match result {
            Ok(page) if namespace.is_some() && page.rows.is_empty() => Step::fails(
                what,
                "the organisation shows no repository".to_owned(),
                "check its name in --swr.namespace and its region; if it exists and is not empty, give the user at least \
                 read permission in it (SWR console, organisation, users)"
                    .to_owned(),
            ),
            Ok(page) => Step::works(what, match page.total {
                Some(0) => "none; if there should be some, the user lacks permission in their organisations".to_owned(),
                Some(total) => format!("{total}"),
                None => format!("{} or more", page.rows.len()),
            }),
            Err(error) => {
                let advice = advice::on_call(&error, namespace);
                Step::fails(what, error_chain(&error), advice)
            }
        });
    }
    if skipped > 0 {
        report.add(Step::skipped("list repositories", format!("{skipped} more organisations")));
    }
    Listed { is_hopeful: !hopeless, row }
}
