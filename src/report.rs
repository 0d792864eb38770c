//! The clean-up report: what could be deleted, where, and what it would free. For people and for tickets.
//!
//! `count` computes it from a listing and the readings of all repositories, `order` puts the tags of a rule in order, and
//! each format is a file. Pure but for the readings, which the caller gets from where they are. Deliberately absent:
//! anything that deletes.

mod count;
mod order;
mod layout;
mod text;
mod markdown;
mod json;
mod csv;

use crate::model::reading::KnownRepository;
use crate::model::reclaim::{Reclaim, Rule};
use crate::model::{Timestamp, Visibility};
pub use count::count;
use layout::Output;
pub use order::{TagStep, TagSteps};
use serde::Serialize;
use std::io;
use std::sync::Arc;

/// A repository that was not updated for so many days is stale.
pub const STALE_DAYS: u32 = 90;

/// What to report.
#[derive(Clone, Debug)]
pub struct Options {
    /// The account's name.
    pub account: String,
    /// The rules, and the tags that none of them picks.
    pub reclaim: Reclaim,
    /// The length of lists.
    pub top: usize,
    /// Whether the tags that the rules pick are listed, and how many at most.
    pub tags: Option<usize>,
    /// The organization or the one repository in which the rules are applied; `None` for all.
    pub only: Option<Scope>,
    /// The time by which tags have an age.
    pub now: Timestamp,
    /// Whether nothing was read from the API for this report.
    pub is_offline: bool,
}

/// A part of the account: an organization or a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The organization.
    pub namespace: Arc<str>,
    /// The repository; `None` for all of the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Box<str>>,
}

impl Scope {
    /// Whether a repository is within it.
    pub fn contains(&self, namespace: &str, repository: &str) -> bool {
        &*self.namespace == namespace && self.repository.as_ref().is_none_or(|name| &**name == repository)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.namespace)?;
        self.repository.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

/// Visits the readings of all repositories, each time the same ones, and fails if they cannot be read. Their tags are in the
/// order that [`Reclaim::keep`] demands.
pub type Readings<'a> = dyn FnMut(&mut dyn FnMut(KnownRepository)) -> anyhow::Result<()> + 'a;

/// The report. As JSON it is what docs/report.schema.json describes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The account's name.
    pub account: String,
    /// When the report was made.
    #[serde(serialize_with = "json::time")]
    pub made_at: Timestamp,
    /// When the listing was read.
    #[serde(serialize_with = "json::time")]
    pub listed_at: Timestamp,
    /// When the tags that were read longest ago were read.
    #[serde(serialize_with = "json::optional_time")]
    pub oldest_reading: Option<Timestamp>,
    /// Whether nothing was read from the API for this report.
    #[serde(rename = "offline")]
    pub is_offline: bool,
    /// The part of the account in which the rules are applied.
    #[serde(serialize_with = "json::optional_text")]
    pub only: Option<Scope>,
    /// The whole account.
    pub totals: Totals,
    /// What each rule would free.
    pub rules: Vec<RuleReport>,
    /// The repositories with the most stored bytes.
    pub largest: Listed,
    /// The repositories that were not updated for [`STALE_DAYS`], those first whose deletion frees most.
    pub stale: Listed,
    /// The public repositories, the largest first.
    pub public: Listed,
    /// The repositories without a retention rule, the largest first; `None` if rules were not read.
    pub without_retention: Option<Listed>,
    /// The repositories of the Enterprise Edition that were not pulled for [`STALE_DAYS`], the largest first; `None` if their
    /// artifacts were not read.
    pub not_pulled: Option<NotPulled>,
}

/// Repositories that were not pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NotPulled {
    /// The first ones.
    #[serde(rename = "repositories")]
    pub rows: Vec<NotPulledRow>,
    /// The number of all.
    pub count: u64,
    /// Bytes of all whose size is known.
    pub bytes: u128,
}

/// A repository of the Enterprise Edition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotPulledRow {
    /// The instance's name.
    pub instance: Arc<str>,
    /// The repository.
    #[serde(flatten)]
    pub name: Scope,
    /// Bytes of its distinct artifacts.
    pub bytes: Option<u64>,
    /// The latest pull; `None` if there was none.
    #[serde(serialize_with = "json::optional_time")]
    pub pulled: Option<Timestamp>,
}

/// Sums over the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Organizations with repositories.
    pub organizations: u64,
    /// Listed repositories.
    pub repositories: u64,
    /// Of these, those whose tags are not known: the sums may be too high, because these may share layers.
    #[serde(rename = "unread_repositories")]
    pub unread: u64,
    /// Tags that were read.
    pub tags: u64,
    /// Tags whose layers are not known; they are not in the bytes.
    #[serde(rename = "unlayered_tags")]
    pub unlayered: u64,
    /// Bytes as the listing shows them, added up.
    pub listed_bytes: u128,
    /// Bytes of distinct layers and configurations.
    pub stored_bytes: u128,
}

/// What a rule would free.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    /// The rule.
    #[serde(serialize_with = "json::text")]
    pub rule: Rule,
    /// It applied everywhere (or within the scope).
    pub total: Freed,
    /// It applied to one organization alone, those first that free most.
    pub organizations: Vec<FreedIn>,
    /// Further organizations that would free something.
    pub more_organizations: usize,
    /// It applied to one repository alone.
    pub repositories: Vec<FreedIn>,
    /// Further repositories that would free something.
    pub more_repositories: usize,
    /// The tags in the order that frees most; `None` if they were not asked for.
    pub tags: Option<TagSteps>,
    /// Further tags, which are not listed.
    pub more_tags: Freed,
}

/// What a rule would free in a part of the account.
#[derive(Clone, Debug, Serialize)]
pub struct FreedIn {
    /// The part.
    #[serde(flatten)]
    pub name: Scope,
    /// What is freed there.
    #[serde(flatten)]
    pub freed: Freed,
}

/// Tags that are picked, and the bytes that go with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// The number of tags.
    pub tags: u64,
    /// Bytes.
    pub bytes: u128,
}

/// The first repositories of a list, and sums over all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The first ones.
    #[serde(rename = "repositories")]
    pub rows: Vec<RepositoryRow>,
    /// The number of all.
    pub count: u64,
    /// Listed bytes of all.
    pub listed_bytes: u128,
}

/// One repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryRow {
    /// Its name.
    #[serde(flatten)]
    pub name: Scope,
    /// Bytes as the listing shows them.
    pub listed_bytes: Option<u64>,
    /// Bytes of its distinct layers and configurations; `None` if its tags are not known.
    pub stored_bytes: Option<u128>,
    /// Of these, the bytes that no other repository refers to.
    pub exclusive_bytes: Option<u128>,
    /// The number of tags.
    pub tags: Option<u64>,
    /// The last update.
    #[serde(serialize_with = "json::optional_time")]
    pub updated: Option<Timestamp>,
    /// Who may pull.
    pub visibility: Option<Visibility>,
    /// The number of retention rules.
    pub retention_rules: Option<u32>,
}

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a terminal of this many columns.
    Text {
        /// Columns.
        width: usize,
    },
    /// For tickets.
    Markdown,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

impl Report {
    /// Writes the report piece by piece.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write(&self, format: Format, sink: &mut dyn io::Write) -> io::Result<()> {
        let mut output = Output::new(sink);
        match format {
            Format::Json => return json::render(self, sink),
            Format::Text { width } => text::render(self, width, &mut output)?,
            Format::Markdown => markdown::render(self, &mut output)?,
            Format::Csv => csv::render(self, &mut output)?,
        }
        output.finish()
    }
}

#[cfg(test)]
#[path = "report/report_tests.rs"]
mod tests;
