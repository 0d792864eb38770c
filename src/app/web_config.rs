//! The web configuration file while it is served by: read again when it changes or somebody asks for it.
//!
//! What is in force is replaced as a whole, and only by what could be used as a whole: a file that is half written, or a
//! certificate whose key is yet to come, changes nothing and is tried again.

use super::blocking_reader::{BlockingReader, PATIENCE};
use crate::base::file_stamp::Stamp;
use crate::catalog;
use crate::config::Problems;
use crate::config::web_file::{self, WebFile};
use crate::metrics;
use crate::web::security::{InForce, Security};
use prometheus::{Gauge, Registry};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, watch};
use tracing::{error, info};

/// How often the files are looked at. Looking costs a few system calls, and nothing is read.
const EVERY: Duration = Duration::from_secs(1);

/// What was changed as lately as this may have been changed again without another time stamp.
const RECENT: Duration = Duration::from_secs(2);

/// The file and what it has led to.
pub(super) struct WebConfig {
    in_force: watch::Sender<Arc<Security>>,
    file: Option<File>,
}

struct File {
    path: PathBuf,
    reader: BlockingReader,
    seen: Mutex<Seen>,
    successful: Gauge,
    succeeded_at: Gauge,
}

/// What was read last.
struct Seen {
    files: web_file::Files,
    stamps: Vec<Option<Stamp>>,
    /// What is in force.
    digest: [u8; 32],
    /// What was wrong the last time, if something was.
    problems: Option<Problems>,
}

impl WebConfig {
    /// Puts a file in force that was read; without one everybody is served in plain HTTP.
    pub(super) fn new(file: Option<WebFile>, registry: &Registry) -> Self {
        let Some(WebFile { security, files, digest }) = file else {
            return Self { in_force: watch::Sender::new(Arc::default()), file: None };
        };
        let path = files[0].clone();
        info!(file = %path.display(), "the web is served with {}", security.summary());
        let successful = metrics::gauge(registry, &catalog::WEB_CONFIG_RELOAD);
        let succeeded_at = metrics::gauge(registry, &catalog::WEB_CONFIG_RELOAD_TIME);
        // No stamps: the first look reads it again, in case that it was changed since.
        let seen = Mutex::new(Seen { files, stamps: Vec::new(), digest, problems: None });
        let file = File { path, reader: BlockingReader::new(PATIENCE), seen, successful, succeeded_at };
        file.note_success();
        Self { in_force: watch::Sender::new(Arc::new(security)), file: Some(file) }
    }

    /// The settings in force, whichever they are at the time.
    pub(super) fn in_force(&self) -> InForce {
        self.in_force.subscribe()
    }

    /// Looks at the files again and again, and reads them when one has changed. May be dropped at any time.
    pub(super) async fn follow(&self) -> Infallible {
        let Some(file) = &self.file else { return std::future::pending().await };
        loop {
            tokio::time::sleep(EVERY).await;
            let mut seen = file.seen.lock().await;
            let (files, before) = (seen.files.clone(), seen.stamps.clone());
            if file.reader.run(move || is_as_before(&files, &before)).await != Some(true) {
                self.read(file, &mut seen).await;
            }
        }
    }

    /// Puts a file in force that was read together with all settings.
    pub(super) async fn replace(&self, read: Option<WebFile>) {
        if let (Some(file), Some(read)) = (&self.file, read) {
            let mut seen = file.seen.lock().await;
            // It may have changed since.
            seen.stamps.clear();
            self.accept(file, &mut seen, read);
            file.note_success();
        }
    }

    /// Reads the file and those that it names. What is wrong is logged, once.
    async fn read(&self, file: &File, seen: &mut Seen) {
        let path = file.path.clone();
        let read = file.reader.run(move || {
            let read = web_file::read(&path);
            let stamps = match &read {
                Ok(WebFile { files, .. }) | Err((_, files)) => stamps(files),
            };
            (read, stamps)
        });
        let Some((read, stamps)) = read.await else {
            error!("the web configuration could not be read within {} s", PATIENCE.as_secs());
            file.successful.set(0.0);
            return;
        };
        seen.stamps = stamps;
        match read {
            Ok(read) => self.accept(file, seen, read),
            Err((problems, files)) => {
                seen.files = files;
                file.successful.set(0.0);
                if seen.problems.as_ref() != Some(&problems) {
                    let list = problems.list().join("; ");
                    error!("the web configuration cannot be used, what was read before stays in force: {list}");
                }
                seen.problems = Some(problems);
            }
        }
    }

    fn accept(&self, file: &File, seen: &mut Seen, WebFile { security, files, digest }: WebFile) {
        seen.files = files;
        let failed = seen.problems.take().is_some();
        if digest != seen.digest {
            seen.digest = digest;
            info!(file = %file.path.display(), "the web configuration was read again: {}", security.summary());
            self.in_force.send_replace(Arc::new(security));
            file.note_success();
        } else if failed {
            info!(file = %file.path.display(), "the web configuration is as it was again");
            file.note_success();
        }
    }
}

impl File {
    fn note_success(&self) {
        self.successful.set(1.0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.succeeded_at.set(now.as_secs_f64());
    }
}

/// Whether nothing was written to since the stamps were taken, as far as stamps can tell.
fn is_as_before(files: &[PathBuf], before: &[Option<Stamp>]) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed();
    let is_recent = |stamp: &Stamp| now.abs_diff(stamp.changed.0) <= RECENT.as_secs();
    stamps(files) == before && !before.iter().flatten().any(is_recent)
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}
