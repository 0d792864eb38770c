//! The condition of an account in one word.

use super::AccountStatus;
use crate::cache::Attempt;
use crate::collect::CollectorState::Incomplete;
use crate::exposition::Exposition;
use strum::IntoStaticStr;

/// Ordered by urgency.
#[derive(Clone, Copy, Debug, IntoStaticStr, PartialEq, Eq, PartialOrd, Ord)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Condition {
    /// Refreshes fail and there is no data to serve.
    Failing,
    /// The latest refresh failed; older or incomplete data is served.
    Degraded,
    /// The list is complete, and another collector failed.
    Incomplete,
    /// The list is complete and has no repository.
    Empty,
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
            (None, _) | (Some(_), None) => Self::Waiting,
            (Some(_), Some(_)) if status.collectors.values().any(|state| matches!(state, Incomplete(_))) => {
                Self::Incomplete
            }
            (Some(_), Some((exposition, _))) if is_empty(exposition) => Self::Empty,
            (Some(_), Some(_)) => Self::Working,
        }
    }

    /// Whether somebody should look at the account.
    pub(super) fn needs_attention(self) -> bool {
        self < Self::Waiting
    }

    /// Its word, which is also its CSS class.
    pub(super) fn word(self) -> &'static str {
        self.into()
    }

    /// The headline of a page with this account alone.
    pub(super) const fn headline(self) -> &'static str {
        match self {
            Self::Failing => "There is no data",
            Self::Degraded => "The latest refresh failed",
            Self::Incomplete => "A collector failed",
            Self::Empty => "The account lists no repository",
            Self::Waiting => "Waiting for the first scrape",
            Self::Working => "The account is OK",
        }
    }

    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Failing => "The latest refresh failed, and there is no data to serve.",
            Self::Degraded => "The latest refresh failed. Earlier data is served.",
            Self::Incomplete => "The list of repositories is complete. Another collector failed.",
            Self::Empty => "The latest refresh was complete and listed no repository.",
            Self::Waiting => "Nothing is wrong. The next scrape reads the account.",
            Self::Working => "The latest refresh was complete.",
        }
    }

    /// Its shape: conditions must not differ by colour alone.
    pub(super) const fn shape(self) -> &'static str {
        match self {
            Self::Failing => r#"<path d="M4 0 0 4l4 4-4 4 4 4 4-4 4 4 4-4-4-4 4-4-4-4-4 4z"/>"#,
            Self::Degraded | Self::Incomplete | Self::Empty => r#"<path d="M8 0 16 15H0z"/>"#,
            Self::Waiting => r#"<path d="M0 0h16v16H0zm3 3v10h10V3z"/>"#,
            Self::Working => r#"<circle cx="8" cy="8" r="8"/>"#,
        }
    }
}

/// An account that uses instances of the Enterprise Edition alone is not empty.
fn is_empty(exposition: &Exposition) -> bool {
    let snapshot = exposition.snapshot();
    snapshot.repositories.is_empty() && snapshot.enterprise.instances.is_none()
}
