//! The reader of settings files, apart from all that is served, as a file system may hang.

pub(super) use crate::base::blocking_reader::BlockingReader;
use std::time::Duration;

/// The longest that reading settings may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
