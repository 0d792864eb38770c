//! The web configuration file of a running server: read again when it changes or on request.
//!
//! The settings in force are replaced as a whole, and only by settings that are usable as a whole: a certificate without its
//! key yet changes nothing and is tried again. A file may be cut off and still be valid, so
//! 1. files are read only when they have stood still for one look, and
//! 2. no change of a file takes a protection away from a running server. That needs a restart.

use super::reload_metrics::ReloadMetrics;
use crate::base::blocking::{BlockingThreads, FILE_TIMEOUT};
use crate::base::digest::Sha256Digest;
use crate::base::file_stamp::Stamp;
use crate::base::file_watcher::{FileWatcher, INTERVAL, Stamps};
use crate::catalog;
use crate::config::Problems;
use crate::config::web_file::{self, WebFile};
use crate::web::security::{CurrentSecurity, Security};
use prometheus::Registry;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{Mutex, watch};
use tracing::{error, info};

/// The security settings in force, and the file that they come from.
pub(super) struct WebConfig {
    at_start: Arc<Security>,
    current: watch::Sender<Arc<Security>>,
    file: Option<File>,
}

struct File {
    path: PathBuf,
    reader: BlockingThreads,
    last_load: Mutex<LastLoad>,
    metrics: ReloadMetrics,
}

struct LastLoad {
    files: web_file::Files,
    watcher: FileWatcher,
    /// Of the settings in force.
    digest: Sha256Digest,
    /// Why the files could not be used.
    problems: Option<Problems>,
}

impl WebConfig {
    /// Starts with a file that was read, or without one: plain HTTP for everybody.
    pub(super) fn new(file: Option<WebFile>, registry: &Registry) -> Self {
        let Some(WebFile { security, files, digest }) = file else {
            return Self { at_start: Arc::default(), current: watch::Sender::default(), file: None };
        };
        let path = files[0].clone();
        info!(file = %path.display(), "web configuration: {}", security.summary());
        let metrics = ReloadMetrics::new(registry, &catalog::WEB_CONFIG_RELOAD, &catalog::WEB_CONFIG_RELOAD_TIME);
        // Without stamps, so that the files are read again: they may have changed since.
        let last_load = LastLoad { files, watcher: FileWatcher::new(Vec::new()), digest, problems: None };
        let file = File { path, reader: BlockingThreads::new(1), last_load: Mutex::new(last_load), metrics };
        let at_start = Arc::new(security);
        Self { current: watch::Sender::new(at_start.clone()), at_start, file: Some(file) }
    }

    pub(super) fn current(&self) -> CurrentSecurity {
        self.current.subscribe()
    }

    /// Polls the files, and reads them when one has changed and all have stood still for one look. May be dropped at any time.
    pub(super) async fn follow(&self) -> Infallible {
        let Some(file) = &self.file else { return std::future::pending().await };
        loop {
            tokio::time::sleep(INTERVAL).await;
            let mut last_load = file.last_load.lock().await;
            let files = last_load.files.clone();
            let Some(stamps) = file.reader.run_within(FILE_TIMEOUT, move || stamps(&files)).await else {
                file.report_hang(&mut last_load);
                continue;
            };
            if last_load.watcher.observe(stamps, SystemTime::now()) {
                self.read(file, &mut last_load).await;
            }
        }
    }

    /// Why these settings cannot replace those in force.
    pub(super) fn refusal(&self, next: &Security) -> Option<Problems> {
        let weakened = self.current.borrow().weakened_by(next, &self.at_start);
        let path = self.file.as_ref().map(|file| file.path.display().to_string()).unwrap_or_default();
        (!weakened.is_empty()).then(|| {
            let weakened = weakened.join(", ");
            Problems::of(format!(
                "{path}: {weakened}; a running exporter does not give that up, restart it if it is meant"
            ))
        })
    }

    /// Puts a file in force that was read together with all other settings, and that [`Self::refusal`] has nothing against.
    pub(super) async fn replace(&self, read: Option<WebFile>) {
        if let (Some(file), Some(read)) = (&self.file, read) {
            let mut last_load = file.last_load.lock().await;
            // The files may have changed since.
            last_load.watcher = FileWatcher::new(Vec::new());
            self.accept(file, &mut last_load, read);
            file.metrics.success();
        }
    }

    /// Reads the files. Problems are logged once.
    async fn read(&self, file: &File, last_load: &mut LastLoad) {
        let path = file.path.clone();
        let Some(read) = file.reader.run_within(FILE_TIMEOUT, move || web_file::read(&path)).await else {
            return file.report_hang(last_load);
        };
        let (files, usable) = match read {
            Err((problems, files)) => (files, Err(problems)),
            Ok(read) => (read.files.clone(), self.refusal(&read.security).map_or(Ok(read), Err)),
        };
        if files != last_load.files {
            // The new ones may be half-written.
            last_load.watcher = FileWatcher::new(Vec::new());
            last_load.files = files;
        }
        match usable {
            Ok(read) => self.accept(file, last_load, read),
            Err(problems) => {
                file.metrics.failure();
                if last_load.problems.as_ref() != Some(&problems) {
                    let list = problems.list().join("; ");
                    error!("invalid web configuration; the previous one stays in force: {list}");
                }
                last_load.problems = Some(problems);
            }
        }
    }

    fn accept(&self, file: &File, last_load: &mut LastLoad, WebFile { security, files, digest }: WebFile) {
        last_load.files = files;
        let failed = last_load.problems.take().is_some();
        if digest != last_load.digest {
            last_load.digest = digest;
            info!(file = %file.path.display(), "web configuration reloaded: {}", security.summary());
            self.current.send_replace(Arc::new(security));
            file.metrics.success();
        } else if failed {
            info!(file = %file.path.display(), "the web configuration is valid again, without a change");
            file.metrics.success();
        }
    }
}

impl File {
    /// The file system hangs. The files are read again once it answers.
    fn report_hang(&self, last_load: &mut LastLoad) {
        let seconds = FILE_TIMEOUT.as_secs();
        let problems = Problems::of(format!("{}: not read within {seconds} s", self.path.display()));
        if last_load.problems.as_ref() != Some(&problems) {
            error!("the web configuration could not be read within {seconds} s");
        }
        last_load.problems = Some(problems);
        last_load.watcher = FileWatcher::new(Vec::new());
        self.metrics.failure();
    }
}

fn stamps(files: &[PathBuf]) -> Stamps {
    files.iter().map(|file| Stamp::of(file)).collect()
}
