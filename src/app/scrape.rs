//! `swr-exporter scrape`: one collection, and the metrics to standard output or into a file, for cron and for
//! node_exporter's textfile collector.
//!
//! Written is the page, and of the exporter's own families the gauges that tell how the collection went. Counters are
//! left out because a process that lives for one collection begins each at 0; what is about the process is left out
//! because node_exporter has families of the same names.

mod meter;

use super::account::{Account, Commons};
use super::memory::Budget;
use crate::cli::ScrapeArgs;
use crate::config;
use crate::exposition::{self, Encoding, Format};
use crate::logging;
use anyhow::{Context, bail};
use meter::Meter;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Collects once and writes the metrics. What could be read is written also where something could not be.
///
/// # Errors
/// Wrong settings, a collection that failed in whole or in part, or output that cannot be written. A file is replaced
/// as a whole or stays as it was.
pub fn run(args: &ScrapeArgs) -> anyhow::Result<()> {
    let environment = |name: &str| std::env::var(name).ok();
    let (account, log) = config::resolve_account(&args.serve, &environment, args.account.as_deref())?;
    // The snapshot belongs to `serve`, which may be running beside this.
    let account = config::Account { cache_directory: None, ..account };
    let format = if args.format == "openmetrics" { Format::OpenMetrics } else { Format::Text };
    // The outcome is told once, at the end; cron makes a letter of every word. Who wants a log asks for it.
    let wants_log = args.serve.get("log.level").is_some();
    let _log = wants_log.then(|| logging::start(log)).transpose().map_err(anyhow::Error::msg)?;
    super::block_on(async {
        let account = Account::build(account, &mut Commons::new(Budget::of_this_process()))?;
        let meter = Meter::start(account.progress());
        let (page, failure) = account.read().await;
        meter.stop().await;
        if let Some(page) = page {
            let metrics = exposition::response(&account.gauges(format), Some(&*page), format, Encoding::Identity);
            match &args.output {
                Some(path) => replace(path, &metrics).with_context(|| format!("cannot write {}", path.display()))?,
                None => print(&metrics).context("cannot write to standard output")?,
            }
        }
        match failure {
            None => Ok(()),
            Some(failure) => bail!("{failure}"),
        }
    })
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
