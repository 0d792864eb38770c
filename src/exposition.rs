//! Pure: a snapshot in, finished pages out.
//!
//! Two bodies make a scrape. The large one holds the families of a snapshot and is made once per snapshot ([`Exposition`]);
//! the small one holds the exporter's own, live families ([`live()`]) and is made for each scrape. Their names are
//! disjoint. [`response`] joins the two in any encoding without compressing the large one again.
//!
//! **One large body serves both formats.** All families of a snapshot are gauges, whose sample lines are the same in both;
//! `# TYPE` and `# HELP` are too, as no HELP of the catalog needs escaping; and a `# UNIT` line is a comment in text
//! 0.0.4. OpenMetrics asks only for [`EOF`] at the very end.
//!
//! Deliberately absent: a runtime, HTTP, the choice of a format (`web` negotiates), the store (`cache` holds pages).

mod escape;
mod number;
mod text;
mod selection;
mod limit;
mod top_repositories;
mod rows;
mod figures;
mod families;
mod tags;
mod compress;
mod segments;
mod encoded;
mod live;
#[cfg(test)]
mod testing;

pub use crate::model::pattern::Pattern;
pub use compress::{EOF, GZIP_LEVEL, ZSTD_LEVEL};
pub use encoded::{Exposition, response};
pub use families::write_snapshot;
pub use live::live;
pub use selection::{RepositoryMetric, RepositoryMetrics, UnknownMetrics};
pub use text::Counts;
pub use top_repositories::{MOST_LEADERS, TopRepositories, TopRepository};

/// What a page holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which of the families with a series per repository are written.
    pub repository_metrics: RepositoryMetrics,
    /// Only these repositories get series of their own; `None` for all. The others stay in the sums of their organisation.
    pub include: Option<Pattern>,
    /// These repositories get no series of their own, also where they are included; `None` for none.
    pub exclude: Option<Pattern>,
    /// How many of the rest get series of their own at most, the largest; 0 for all.
    pub most_repositories: usize,
}

/// The two text formats that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The exact `Content-Type`; without it newer Prometheus servers refuse the page.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The encodings in which a page can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952; what Prometheus asks for.
    Gzip,
    /// RFC 8878.
    Zstd,
}
