//! The web configuration file of a running server: read again when it changes or on request.
//!
//! The settings in force are replaced as a whole, and only by settings that are usable as a whole. A half-written file, or a
//! certificate without its key yet, changes nothing and is tried again.

use super::reload_metrics::ReloadMetrics;
use crate::base::blocking::{BlockingThreads, FILE_TIMEOUT};
use crate::base::digest::Digest;
use crate::base::file_stamp::Stamp;
use crate::catalog;
use crate::config::Problems;
use crate::config::web_file::{self, WebFile};
use crate::web::security::{CurrentSecurity, Security};
use prometheus::Registry;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, watch};
use tracing::{error, info};

/// How often the files are checked for changes: a few system calls, without reading them.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A file modified within this period may change again without a new time stamp, so it is read again.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_secs(2);

/// The security settings in force, and the file that they come from.
pub(super) struct WebConfig {
    current: watch::Sender<Arc<Security>>,
    file: Option<File>,
}

struct File {
    path: PathBuf,
    reader: BlockingThreads,
    last_read: Mutex<LastRead>,
    metrics: ReloadMetrics,
}

/// What was read last.
struct LastRead {
    files: web_file::Files,
    stamps: Vec<Option<Stamp>>,
    /// Of the settings in force.
    digest: Digest,
    /// Why the files could not be used.
    problems: Option<Problems>,
}

impl WebConfig {
    /// Starts with a file that was read, or without one: plain HTTP for everybody.
    pub(super) fn new(file: Option<WebFile>, registry: &Registry) -> Self {
        let Some(WebFile { security, files, digest }) = file else {
            return Self { current: watch::Sender::new(Arc::default()), file: None };
        };
        let path = files[0].clone();
        info!(file = %path.display(), "the web is served with {}", security.summary());
        let metrics = ReloadMetrics::new(registry, &catalog::WEB_CONFIG_RELOAD, &catalog::WEB_CONFIG_RELOAD_TIME);
        // Without stamps, so that the first poll reads the files again: they may have changed since.
        let last_read = Mutex::new(LastRead { files, stamps: Vec::new(), digest, problems: None });
        let file = File { path, reader: BlockingThreads::new(1), last_read, metrics };
        Self { current: watch::Sender::new(Arc::new(security)), file: Some(file) }
    }

    /// The settings in force.
    pub(super) fn current(&self) -> CurrentSecurity {
        self.current.subscribe()
    }

    /// Polls the files and reads them when one has changed. May be dropped at any time.
    pub(super) async fn follow(&self) -> Infallible {
        let Some(file) = &self.file else { return std::future::pending().await };
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let mut last_read = file.last_read.lock().await;
            let (files, before) = (last_read.files.clone(), last_read.stamps.clone());
            if file.reader.run_within(FILE_TIMEOUT, move || is_unchanged(&files, &before)).await != Some(true) {
                self.read(file, &mut last_read).await;
            }
        }
    }

    /// Puts a file in force that was read together with all other settings.
    pub(super) async fn replace(&self, read: Option<WebFile>) {
        if let (Some(file), Some(read)) = (&self.file, read) {
            let mut last_read = file.last_read.lock().await;
            // The files may have changed since.
            last_read.stamps.clear();
            self.accept(file, &mut last_read, read);
            file.metrics.success();
        }
    }

    /// Reads the files. Problems are logged once.
    async fn read(&self, file: &File, last_read: &mut LastRead) {
        let path = file.path.clone();
        let read = file.reader.run_within(FILE_TIMEOUT, move || {
            let read = web_file::read(&path);
            let stamps = match &read {
                Ok(WebFile { files, .. }) | Err((_, files)) => stamps(files),
            };
            (read, stamps)
        });
        let Some((read, stamps)) = read.await else {
            error!("the web configuration could not be read within {} s", FILE_TIMEOUT.as_secs());
            file.metrics.failure();
            return;
        };
        last_read.stamps = stamps;
        match read {
            Ok(read) => self.accept(file, last_read, read),
            Err((problems, files)) => {
                last_read.files = files;
                file.metrics.failure();
                if last_read.problems.as_ref() != Some(&problems) {
                    let list = problems.list().join("; ");
                    error!("the web configuration cannot be used, what was read before stays in force: {list}");
                }
                last_read.problems = Some(problems);
            }
        }
    }

    fn accept(&self, file: &File, last_read: &mut LastRead, WebFile { security, files, digest }: WebFile) {
        last_read.files = files;
        let failed = last_read.problems.take().is_some();
        if digest != last_read.digest {
            last_read.digest = digest;
            info!(file = %file.path.display(), "the web configuration was read again: {}", security.summary());
            self.current.send_replace(Arc::new(security));
            file.metrics.success();
        } else if failed {
            info!(file = %file.path.display(), "the web configuration is as it was again");
            file.metrics.success();
        }
    }
}

/// Whether no file was modified since the stamps were taken, as far as stamps can tell.
fn is_unchanged(files: &[PathBuf], before: &[Option<Stamp>]) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed();
    let is_recent = |stamp: &Stamp| now.abs_diff(stamp.changed.0) <= TIMESTAMP_GRANULARITY.as_secs();
    stamps(files) == before && !before.iter().flatten().any(is_recent)
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}
