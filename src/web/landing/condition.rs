//! How well an account is, in one word: what an operator wants to know first.

use super::super::{AccountState, Latest};

/// Ordered: who needs help comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    /// Refreshes fail and there is nothing to serve.
    Failing,
    /// The latest refresh failed; what was read before, or could be read, is served.
    Degraded,
    /// Nothing is wrong and there is nothing new: no refresh yet, or none for very long, because nobody scrapes.
    Waiting,
    /// The latest refresh was complete and its data is served.
    Working,
}

impl Condition {
    pub(super) fn of(state: &AccountState) -> Self {
        match (state.latest, &state.served) {
            (Latest::Failed, None) => Self::Failing,
            (Latest::Failed, Some(_)) => Self::Degraded,
            (Latest::Complete, Some(_)) => Self::Working,
            (Latest::None, _) | (Latest::Complete, None) => Self::Waiting,
        }
    }

    /// The word for it, which is its class in the style too.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Degraded => "degraded",
            Self::Waiting => "waiting",
            Self::Working => "working",
        }
    }

    /// What the word means for whoever scrapes.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Failing => "The latest refresh failed, and there is no data to serve.",
            Self::Degraded => "The latest refresh failed. What was read before is served.",
            Self::Waiting => "Nothing is wrong. The next scrape reads the account.",
            Self::Working => "The latest refresh was complete.",
        }
    }

    /// A shape for each, so that colour is not needed to tell them apart.
    pub(super) const fn shape(self) -> &'static str {
        match self {
            Self::Failing => r#"<path d="M4 0 0 4l4 4-4 4 4 4 4-4 4 4 4-4-4-4 4-4-4-4-4 4z"/>"#,
            Self::Degraded => r#"<path d="M8 0 16 15H0z"/>"#,
            Self::Waiting => r#"<path d="M0 0h16v16H0zm3 3v10h10V3z"/>"#,
            Self::Working => r#"<circle cx="8" cy="8" r="8"/>"#,
        }
    }
}
