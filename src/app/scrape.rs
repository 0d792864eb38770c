//! `swr-exporter scrape`: collects once and writes the metrics to standard output or into a file, for cron and for
//! node_exporter's textfile collector.
//!
//! There is no later scrape, so it waits for tags, details and auxiliary figures until the refresh's deadline. The tag
//! inventory can be kept, in a file that `serve` does not touch; the listing is always read anew.
//!
//! Of the exporter's own families only the gauges about the collection are written. Counters would all begin at 0 in each
//! run, and node_exporter has families of the same names about its process.

use super::account::Account;
use super::progress_bar::{self, ProgressBar};
use crate::base::deadline::Deadline;
use crate::base::file;
use crate::cli::ScrapeArgs;
use crate::collect::WaitPolicy;
use crate::config::environment::Environment;
use crate::config::{self, StateFiles};
use crate::exposition::{self, Encoding, Exposition, Format, PlainTextRoom};
use crate::logging;
use anyhow::{Context, bail};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long the end of the program waits for the tag inventory to be written.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Collects once and writes the metrics, also if only a part could be read.
///
/// # Errors
/// Wrong settings, a collection that failed in whole or in part, or output that cannot be written. A file is replaced
/// as a whole or stays as it was.
pub fn run(args: &ScrapeArgs) -> anyhow::Result<()> {
    let (mut account, log) = config::resolve_account(&args.serve, &Environment::of_process(), args.account.as_deref())?;
    if let Some(name) = &args.account {
        // Nobody adds labels of a target to a file, and there may be one for each account.
        account.exposition.labels = account.exposition.labels.with_account(name);
    }
    let format = if args.format == "openmetrics" { Format::OpenMetrics } else { Format::Text };
    // No log unless one is asked for: the outcome is reported once, at the end, because cron mails all output.
    let _log = log.map(logging::start).transpose().map_err(anyhow::Error::msg)?;
    super::block_on(async {
        let began = Instant::now();
        let write = |account: &Account, exposition: &Exposition| {
            let (live, room) = (account.gauges(format), PlainTextRoom::new(0));
            let metrics = exposition::response(&live, Some(exposition), format, Encoding::Identity, &room);
            write(args.output.as_deref(), metrics)?;
            if let Some(path) = &args.output {
                progress_bar::say(&format!(
                    "wrote {} series of {} repositories to {} in {} s",
                    exposition.series(),
                    exposition.selected_repositories(),
                    path.display(),
                    began.elapsed().as_secs()
                ));
            }
            Ok(())
        };
        collect_once(account, write).await
    })
}

/// Collects an account, lets `write` have what could be read, and keeps the tag inventory. The error tells all that failed.
pub(super) async fn collect_once(
    mut account: config::AccountOptions,
    write: impl FnOnce(&Account, &Exposition) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // The other files belong to `serve`, which may be running too.
    account.state = account.state.map(StateFiles::of_tags_beside);
    account.collect.wait_policy = WaitPolicy::UntilRead;
    // Data that was just read is not too old, however long that took.
    account.cache.max_age = Duration::MAX;
    let directory = account.state.as_ref().map(|files| files.directory().to_owned());
    let account = Account::build_alone(account).await?;
    let progress_bar = ProgressBar::start(account.progress());
    let (exposition, failure) = account.read().await;
    progress_bar.stop().await;
    let mut missing: Vec<String> = failure.iter().map(ToString::to_string).collect();
    let mut written = Ok(());
    if let Some(exposition) = exposition {
        missing.extend(account.shortcomings());
        written = write(&account, &exposition);
    }
    if let Some(directory) = directory
        && let Err(error) = keep(&account, &directory).await
    {
        missing.push(format!("--cache.directory: cannot save the tags in {}: {error}", directory.display()));
    }
    written?;
    if missing.is_empty() { Ok(()) } else { bail!("{}", missing.join("; ")) }
}

/// Closes the account and keeps its tag inventory.
async fn keep(account: &Account, directory: &Path) -> io::Result<()> {
    let Some(keeping) = account.close() else { return Ok(()) };
    // Errors of the write itself are logged only, so this finds out whether it can work at all.
    file::try_directory(directory)?;
    let late = |_| io::Error::other(format!("it was not written within {} s", LAST_WRITE_TIMEOUT.as_secs()));
    Deadline::after(LAST_WRITE_TIMEOUT).bound(keeping).await.map_err(late)?.map_err(io::Error::other)
}

fn write(output: Option<&Path>, metrics: impl IntoIterator<Item = impl AsRef<[u8]>>) -> anyhow::Result<()> {
    match output.filter(|path| *path != Path::new("-")) {
        Some(path) => replace(path, metrics).with_context(|| format!("cannot write {}", path.display())),
        None => super::print(metrics),
    }
}

/// Replaces the file, by way of a name that the textfile collector does not read. Readable by all, because another user
/// reads it.
fn replace(path: &Path, metrics: impl IntoIterator<Item = impl AsRef<[u8]>>) -> io::Result<()> {
    // In a directory that others may write to, a link could lead anywhere.
    let is_foreign = |owner: u32| owner != 0 && owner != rustix::process::geteuid().as_raw();
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink() && is_foreign(metadata.uid())) {
        return Err(io::Error::other("it is a symbolic link of another user, which is not followed"));
    }
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::other("it exists and is not a file; without --output, metrics go to standard output"));
    }
    // The target of a link is replaced, not the link.
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    file::replace(&path, 0o644, |file| metrics.into_iter().try_for_each(|part| file.write_all(part.as_ref())))
}
