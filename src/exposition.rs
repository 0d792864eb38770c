//! The exposition: a snapshot in, encoded metrics out. Everything here is pure.
//!
//! The body of a scrape has two parts. The large one holds the families of a snapshot and is encoded once per snapshot
//! ([`Exposition`]). The small one holds the exporter's own, live families ([`live()`]) and is written for each scrape.
//! Their names are disjoint. [`response`] joins both in any encoding without compressing the large one again.
//!
//! **One large part serves both formats.** All families of a snapshot are gauges, whose sample lines are the same in
//! both formats. So are `# TYPE` and `# HELP`, because no HELP of the catalog needs escaping, and `# UNIT` is a comment
//! in text 0.0.4. OpenMetrics asks only for [`EOF`] at the very end.
//!
//! Deliberately absent: a runtime, HTTP, the choice of a format (`web` negotiates it), storage (`cache` holds the
//! [`Exposition`]).

mod escape;
mod constant_labels;
mod number;
mod text;
mod repository_metrics;
mod repository_selection;
mod top_repositories;
mod account_families;
mod compress;
mod plain_text;
mod huffman;
mod deflate_block;
mod line_deflater;
mod columns;
mod tag_families;
mod blocks;
mod snapshot_families;
mod encoded_exposition;
mod live_families;
#[cfg(test)]
mod testing;

pub use crate::model::pattern::Pattern;
pub use compress::{EOF, GZIP_LEVEL, ZSTD_LEVEL};
pub use constant_labels::ConstantLabels;
pub use encoded_exposition::{Exposition, ResponseBody, response};
pub use live_families::live;
pub use plain_text::PlainTextRoom;
pub use repository_metrics::{RepositoryMetric, RepositoryMetrics};
pub use top_repositories::{STALE_DAYS, TOP_LENGTH, TopEntry, TopRepositories};

/// What the exposition of a snapshot contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The families with a series per repository that are written.
    pub repository_metrics: RepositoryMetrics,
    /// Repositories that get series of their own; `None` for all. The others still count in the sums of their
    /// organization.
    pub include: Option<Pattern>,
    /// Repositories that get no series of their own, even if they are included; `None` for none.
    pub exclude: Option<Pattern>,
    /// The most repositories that get series of their own, the largest of the rest; 0 for no limit.
    pub max_series_repositories: usize,
    /// Labels of all series.
    pub labels: ConstantLabels,
}

impl Options {
    /// What the filters lack if they select no repository; a glob is a frequent mistake.
    pub fn filter_hint(&self) -> &'static str {
        let is_glob = |pattern: &Pattern| {
            let text = pattern.as_str();
            text.match_indices('*').any(|(at, _)| !text[..at].ends_with(['.', ')', ']']))
        };
        if self.include.as_ref().is_some_and(is_glob) {
            "it looks like a glob, but is a regular expression: write .* for any text"
        } else {
            "they are regular expressions that match the whole `namespace/repository`"
        }
    }
}

/// The text formats that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The exact `Content-Type`; newer Prometheus servers refuse a scrape without it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The content encodings on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not compressed.
    Identity,
    /// RFC 1952; what Prometheus asks for.
    Gzip,
    /// RFC 8878.
    Zstd,
}
