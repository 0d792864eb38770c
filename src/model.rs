//! The narrow waist: what was read, as plain data.
//!
//! The wire shape may change with the vendor and the exposition is a promise to users; they meet only here. Belongs
//! here: values with their units. Deliberately absent: serde, clocks, metrics, any idea of HTTP.

pub mod figures;
pub mod layers;
pub mod names;
pub mod pattern;
pub mod records;
pub mod tags;

use figures::{Account, Enterprise};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
pub use tags::Images;

/// One complete read of an account's repositories, never changed after it is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When the read began, by the wall clock.
    pub read_at: Timestamp,
    /// Sorted by (namespace, name), each pair once. [`Snapshot::new`] sees to it.
    pub repositories: Vec<Repository>,
    /// The state of each organisation that was listed by itself; empty when the account was listed as a whole.
    pub namespaces: Vec<NamespaceRead>,
    /// Figures of the account as a whole; all absent where they are not collected.
    pub account: Arc<Account>,
    /// The Enterprise Edition; all absent where it is not collected.
    pub enterprise: Arc<Enterprise>,
    /// What tags and details tell, where they are collected.
    pub images: Option<Arc<Images>>,
}

impl Snapshot {
    /// Puts the rows in order and drops the earlier of two with one (namespace, name): the later read wins.
    ///
    /// Returns the snapshot and the number of rows dropped.
    pub fn new(read_at: Timestamp, mut repositories: Vec<Repository>) -> (Self, usize) {
        let dropped = sort_unique(&mut repositories);
        repositories.shrink_to_fit();
        (Self { read_at, repositories, ..Self::default() }, dropped)
    }

    /// The repositories grouped by organisation, in order.
    pub fn by_namespace(&self) -> impl Iterator<Item = &[Repository]> {
        self.repositories.chunk_by(|a, b| a.namespace == b.namespace)
    }
}

/// Sorts by (namespace, name) and drops the earlier of two rows with one key; says how many it dropped.
pub fn sort_unique(repositories: &mut Vec<Repository>) -> usize {
    let before = repositories.len();
    // Stable, so that among equals the order of reading is kept.
    repositories.sort_by(|a, b| a.key().cmp(&b.key()));
    repositories.dedup_by(|later, kept| {
        let same = later.key() == kept.key();
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    before - repositories.len()
}

/// One image repository as the listing shows it. Absent is not zero: what was missing or unreadable is `None`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// The organisation; the text is shared between the rows of one.
    pub namespace: Arc<str>,
    /// The name within the organisation; may contain `/`.
    pub name: Box<str>,
    /// `category` of the API, e.g. `linux`; shared between rows.
    pub category: Option<Arc<str>>,
    /// From `is_public`.
    pub visibility: Option<Visibility>,
    /// Bytes, up to 2^63-1 (API: `size`).
    pub size: Option<u64>,
    /// The number of tags (API: `num_images`).
    pub images: Option<u64>,
    /// Downloads so far (API: `num_download`); the API does not promise that it never falls.
    pub downloads: Option<u64>,
    /// API: `created_at`.
    pub created: Option<Timestamp>,
    /// API: `updated_at`.
    pub updated: Option<Timestamp>,
}

impl Repository {
    /// A repository without a name yet, of which nothing is known.
    pub fn unknown(namespace: Arc<str>) -> Self {
        Self {
            namespace,
            name: Box::default(),
            category: None,
            visibility: None,
            size: None,
            images: None,
            downloads: None,
            created: None,
            updated: None,
        }
    }

    /// What identifies a repository in an account.
    pub fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }
}

/// Who may pull.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Visibility {
    /// Anyone.
    Public,
    /// The account and whom it lets.
    Private,
}

/// How the latest read of one organisation went, where organisations are listed one by one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct NamespaceRead {
    /// The organisation.
    pub name: Arc<str>,
    /// When the read behind its rows began; `None` when it never succeeded.
    pub read_at: Option<Timestamp>,
    /// Whether the latest read succeeded; if not, the rows are older ones.
    pub complete: bool,
}

/// Nanoseconds since 1970-01-01T00:00:00Z, good for the years 1678 to 2261.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch, rounded down, and the nanoseconds above them.
    pub fn parts(self) -> (i64, u32) {
        let nanoseconds = self.0.rem_euclid(1_000_000_000);
        (self.0.div_euclid(1_000_000_000), u32::try_from(nanoseconds).expect("a remainder below 10^9 fits"))
    }
}

impl From<std::time::SystemTime> for Timestamp {
    /// Times outside the range become its ends.
    fn from(time: std::time::SystemTime) -> Self {
        match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => Self(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX)),
            Err(before) => Self(i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(namespace: &str, name: &str, size: u64) -> Repository {
        Repository {
            namespace: namespace.into(),
            name: name.into(),
            category: None,
            visibility: None,
            size: Some(size),
            images: None,
            downloads: None,
            created: None,
            updated: None,
        }
    }

    #[test]
    fn of_two_rows_with_one_key_the_later_read_wins() {
        let rows = vec![row("b", "x", 1), row("a", "x", 2), row("b", "x", 3), row("b", "x", 4)];
        let (snapshot, dropped) = Snapshot::new(Timestamp(0), rows);
        assert_eq!(dropped, 2);
        assert_eq!(snapshot.repositories, [row("a", "x", 2), row("b", "x", 4)]);
        assert_eq!(snapshot.by_namespace().count(), 2);
    }

    #[test]
    fn a_timestamp_before_the_epoch_keeps_its_fraction_positive() {
        assert_eq!(Timestamp(-1).parts(), (-1, 999_999_999));
        assert_eq!(Timestamp(1_500_000_000).parts(), (1, 500_000_000));
        let early = std::time::UNIX_EPOCH - std::time::Duration::from_secs(1);
        assert_eq!(Timestamp::from(early), Timestamp(-1_000_000_000));
    }
}
