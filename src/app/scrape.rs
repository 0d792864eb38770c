//! `swr-exporter scrape`: one collection, and the metrics to standard output or into a file, for cron and for
//! node_exporter's textfile collector.
//!
//! There is no later page, so tags, details and figures beside the list are waited for until the refresh's deadline. What
//! is known of tags and details can be kept, in a file that `serve` does not touch; the snapshot is always read anew.
//!
//! Written is the page, and of the exporter's own families the gauges that tell how the collection went. Counters are
//! left out because a process that lives for one collection begins each at 0; what is about the process is left out
//! because node_exporter has families of the same names.

mod progress_bar;

use super::account::Account;
use super::memory::MemoryBudget;
use super::shared_resources::SharedResources;
use crate::base::deadline::Deadline;
use crate::cache::{self, state_file};
use crate::cli::ScrapeArgs;
use crate::collect::{self, WaitPolicy};
use crate::config::{self, StateFiles};
use crate::exposition::{self, Encoding, Format};
use crate::logging;
use anyhow::{Context, bail};
use progress_bar::ProgressBar;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// The longest that is waited at the end for what is known of tags to be written.
const LAST_KEEP: Duration = Duration::from_secs(60);

/// Collects once and writes the metrics. What could be read is written also where something could not be.
///
/// # Errors
/// Wrong settings, a collection that failed in whole or in part, or output that cannot be written. A file is replaced
/// as a whole or stays as it was.
pub fn run(args: &ScrapeArgs) -> anyhow::Result<()> {
    let environment = |name: &str| std::env::var(name).ok();
    let (account, log) = config::resolve_account(&args.serve, &environment, args.account.as_deref())?;
    let account = config::Account {
        // The others belong to `serve`, which may be running beside this.
        state: account.state.map(StateFiles::of_tags_beside),
        collect: collect::Options { wait_policy: WaitPolicy::UntilRead, ..account.collect },
        // What was read just now is not too old, however long it took.
        cache: cache::Options { max_age: Duration::MAX, ..account.cache },
        ..account
    };
    let directory = account.state.as_ref().map(|files| files.directory().to_owned());
    let format = if args.format == "openmetrics" { Format::OpenMetrics } else { Format::Text };
    // The outcome is told once, at the end; cron makes a letter of every word. Who wants a log asks for it.
    let _log = log.map(logging::start).transpose().map_err(anyhow::Error::msg)?;
    super::block_on(async {
        let account = Account::build(account, &mut SharedResources::new(MemoryBudget::of_this_process(), &[]))?;
        let meter = ProgressBar::start(account.progress());
        let (page, failure) = account.read().await;
        meter.stop().await;
        let mut missing: Vec<String> = failure.iter().map(ToString::to_string).collect();
        let mut written = Ok(());
        if let Some(page) = page {
            missing.extend(account.shortcomings());
            let metrics = exposition::response(&account.gauges(format), Some(&*page), format, Encoding::Identity);
            written = write(args.output.as_deref(), &metrics);
        }
        if let Some(directory) = directory
            && let Err(error) = keep(&account, &directory).await
        {
            missing
                .push(format!("--cache.file: cannot keep what is known of tags in {}: {error}", directory.display()));
        }
        written?;
        if missing.is_empty() { Ok(()) } else { bail!("{}", missing.join("; ")) }
    })
}

/// Ends what the account does, and keeps what is known of tags and details.
async fn keep(account: &Account, directory: &Path) -> io::Result<()> {
    let Some(keeping) = account.close() else { return Ok(()) };
    // Why a disk does not take it is for the log; whether it takes anything is found out here.
    state_file::try_directory(directory)?;
    let late = |_| io::Error::other(format!("it was not written within {} s", LAST_KEEP.as_secs()));
    Deadline::after(LAST_KEEP).bound(keeping).await.map_err(late)?.map_err(io::Error::other)
}

fn write(output: Option<&Path>, metrics: &[impl AsRef<[u8]>]) -> anyhow::Result<()> {
    match output {
        Some(path) => replace(path, metrics).with_context(|| format!("cannot write {}", path.display())),
        None => print(metrics).context("cannot write to standard output"),
    }
}

fn print(metrics: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    metrics.iter().try_for_each(|part| out.write_all(part.as_ref()))?;
    out.flush()
}

/// Writes beside the file, under a name that the textfile collector does not read, and renames: whoever reads it gets the
/// old metrics or the new ones. Readable by all, as the one who reads it is somebody else.
fn replace(path: &Path, metrics: &[impl AsRef<[u8]>]) -> io::Result<()> {
    // What a link leads to is replaced, and not the link.
    let path = match fs::canonicalize(path) {
        Ok(path) if !path.is_file() => {
            return Err(io::Error::other(
                "it is there and is no file; without --output, standard output is written to",
            ));
        }
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let Some(name) = path.file_name() else { return Err(io::Error::other("it is no name of a file")) };
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
        metrics.iter().try_for_each(|part| file.write_all(part.as_ref()))?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    write().inspect_err(|_| {
        // What is left of it is of no use to anybody.
        let _ = fs::remove_file(&temporary);
    })?;
    // The rename too is to survive a loss of power; where directories cannot be opened there is nothing to do.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}
