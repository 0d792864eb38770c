//! The condition of an account in one word.

use super::AccountStatus;
use crate::cache::Attempt;

/// Ordered by urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    /// Refreshes fail and there is no data to serve.
    Failing,
    /// The latest refresh failed; older or incomplete data is served.
    Degraded,
    /// No refresh yet, or none for so long that the data expired, because nobody scrapes.
    Waiting,
    /// The latest refresh was complete, and its data is served.
    Working,
}

impl Condition {
    pub(super) fn of(status: &AccountStatus<'_>) -> Self {
        match (&status.cache.latest, &status.cache.held) {
            (Some(Attempt { failure: Some(_), .. }), None) => Self::Failing,
            (Some(Attempt { failure: Some(_), .. }), Some(_)) => Self::Degraded,
            (Some(Attempt { failure: None, .. }), Some(_)) => Self::Working,
            (None, _) | (Some(_), None) => Self::Waiting,
        }
    }

    /// Its word, which is also its CSS class.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Degraded => "degraded",
            Self::Waiting => "waiting",
            Self::Working => "working",
        }
    }

    /// What it means for scrapes.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Failing => "The latest refresh failed, and there is no data to serve.",
            Self::Degraded => "The latest refresh failed. What was read before is served.",
            Self::Waiting => "Nothing is wrong. The next scrape reads the account.",
            Self::Working => "The latest refresh was complete.",
        }
    }

    /// Its shape: conditions must not differ by colour alone.
    pub(super) const fn shape(self) -> &'static str {
        match self {
            Self::Failing => r#"<path d="M4 0 0 4l4 4-4 4 4 4 4-4 4 4 4-4-4-4 4-4-4-4-4 4z"/>"#,
            Self::Degraded => r#"<path d="M8 0 16 15H0z"/>"#,
            Self::Waiting => r#"<path d="M0 0h16v16H0zm3 3v10h10V3z"/>"#,
            Self::Working => r#"<circle cx="8" cy="8" r="8"/>"#,
        }
    }
}
