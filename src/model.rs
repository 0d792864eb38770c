//! The model: collected data as plain values with their units.
//!
//! The API's format may change with the vendor, and the metrics are a promise to users; they meet only here. Deliberately
//! absent: clocks, metrics, HTTP.

pub mod earlier_sizes;
pub mod figures;
pub mod layers;
pub mod label_value;
pub mod pattern;
pub mod reading;
pub mod reclaim;
pub mod records;
pub mod chunks;
pub mod repositories;
pub mod size_history;
pub mod tag_list;
pub mod tags;

pub use chunks::{RepositoryRef, Row};
use earlier_sizes::EarlierSizes;
use figures::{AccountFigures, Artifacts, Enterprise};
pub use repositories::Repositories;
use serde::{Deserialize, Serialize};
use size_history::SizeHistory;
use std::sync::Arc;
use std::time::Duration;
pub use tags::{Images, RepositoryImages};

/// One complete listing of an account's repositories.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When the listing began, by the wall clock.
    pub read_at: Timestamp,
    /// Sorted by (namespace, name), each pair once.
    pub repositories: Repositories,
    /// The outcome for each organization that was listed separately; empty if the account was listed as a whole.
    pub namespaces: Vec<NamespaceRead>,
    /// Figures of the account; all absent if they are not collected.
    pub account: Arc<AccountFigures>,
    /// Figures of the Enterprise Edition; all absent if they are not collected.
    pub enterprise: Arc<Enterprise>,
    /// Artifacts of the Enterprise Edition; none if they are not collected.
    pub artifacts: Arc<Artifacts>,
    /// Figures from tags and details, if they are collected.
    pub images: Option<Arc<Images>>,
    /// The total size over the last days.
    pub size_history: SizeHistory,
    /// What each repository held before, if that is known.
    pub earlier_sizes: Option<Arc<EarlierSizes>>,
}

impl Snapshot {
    /// Sorts the rows; of two with the same (namespace, name) the later one stays. Returns the snapshot and the number of rows
    /// dropped.
    pub fn new(read_at: Timestamp, repositories: Vec<Repository>) -> (Self, usize) {
        let rows: Vec<Row> = repositories.into_iter().map(|row| Row::from(&row)).collect();
        let (repositories, dropped) = Repositories::merged(&rows, &Repositories::default());
        (Self { read_at, repositories, ..Self::default() }, dropped)
    }

    /// The snapshot with each repository changed, for tests.
    #[cfg(test)]
    pub(crate) fn with_each(&self, change: impl Fn(&mut Repository)) -> Self {
        let mut rows: Vec<_> = self.repositories.iter().map(RepositoryRef::to_owned).collect();
        rows.iter_mut().for_each(change);
        Self { repositories: Self::new(self.read_at, rows).0.repositories, ..self.clone() }
    }

    /// Bytes of all repositories whose size is known.
    pub fn bytes(&self) -> u64 {
        self.repositories.iter().filter_map(|row| row.size).fold(0, u64::saturating_add)
    }

    /// The sums of each organization, in order.
    pub fn namespace_sums(&self) -> Vec<NamespaceSums<'_>> {
        let mut all: Vec<NamespaceSums<'_>> = Vec::new();
        for row in self.repositories.iter() {
            if all.last().is_none_or(|last| !Arc::ptr_eq(last.name, row.namespace) && last.name != row.namespace) {
                all.push(NamespaceSums::of(row.namespace));
            }
            let sums = all.last_mut().expect("one was pushed if there was none");
            sums.repositories += 1;
            for (sum, value) in
                [(&mut sums.size, row.size), (&mut sums.images, row.images), (&mut sums.downloads, row.downloads)]
            {
                if let Some(value) = value {
                    *sum = Some(sum.unwrap_or_default() + u128::from(value));
                }
            }
        }
        all
    }
}

/// The sums over the repositories of one organization. A field that none of them has is `None`, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceSums<'a> {
    /// The organization.
    pub name: &'a Arc<str>,
    /// The number of its repositories.
    pub repositories: u64,
    /// Bytes.
    pub size: Option<u128>,
    /// Tags.
    pub images: Option<u128>,
    /// Downloads.
    pub downloads: Option<u128>,
}

impl<'a> NamespaceSums<'a> {
    fn of(name: &'a Arc<str>) -> Self {
        Self { name, repositories: 0, size: None, images: None, downloads: None }
    }
}

/// One image repository as the listing shows it. A value that was missing or unreadable is `None`, not zero.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Repository<Shared = Arc<str>, Text = Box<str>> {
    /// The organization; rows of the same one share the text.
    pub namespace: Shared,
    /// The name within the organization; may contain `/`.
    pub name: Text,
    /// `category` of the API, e.g. `linux`; shared between rows.
    pub category: Option<Shared>,
    /// From `is_public`.
    pub visibility: Option<Visibility>,
    /// Bytes (API: `size`).
    pub size: Option<u64>,
    /// The number of tags (API: `num_images`).
    pub images: Option<u64>,
    /// Downloads so far (API: `num_download`). It may fall: the API does not promise otherwise.
    pub downloads: Option<u64>,
    /// API: `created_at`.
    pub created: Option<Timestamp>,
    /// API: `updated_at`.
    pub updated: Option<Timestamp>,
}

impl Repository {
    /// A repository without a name, of which nothing is known yet.
    pub fn unknown(namespace: Arc<str>) -> Self {
        Self { namespace, ..Self::default() }
    }

    /// Its identity within the account.
    pub fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }
}

/// Who may pull images.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Anyone.
    Public,
    /// The account's users and those it admits.
    Private,
}

/// The outcome of the latest listing of one organization, if organizations are listed separately.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct NamespaceRead {
    /// The organization.
    pub name: Arc<str>,
    /// When the listing of its rows began; `None` if none has succeeded.
    pub read_at: Option<Timestamp>,
    /// Whether the latest listing succeeded; if not, the rows are older.
    pub complete: bool,
}

/// Nanoseconds since 1970-01-01T00:00:00Z; covers the years 1678 to 2261.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch, rounded down, and the nanoseconds above them.
    pub fn parts(self) -> (i64, u32) {
        let nanoseconds = self.0.rem_euclid(1_000_000_000);
        (self.0.div_euclid(1_000_000_000), u32::try_from(nanoseconds).expect("a remainder below 10^9 fits"))
    }

    /// The second in UTC, as strftime(3) formats it.
    pub fn format(self, format: &str) -> String {
        jiff::Timestamp::from_second(self.parts().0).unwrap_or_default().strftime(format).to_string()
    }

    /// Whether it is at most `max_age` before `now`.
    pub fn is_within(self, max_age: Duration, now: Self) -> bool {
        now.0.saturating_sub(self.0) <= i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX)
    }
}

impl From<std::time::SystemTime> for Timestamp {
    /// Times outside the range become its limits.
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
        Repository { name: name.into(), size: Some(size), ..Repository::unknown(namespace.into()) }
    }

    #[test]
    fn of_two_rows_with_one_key_the_later_read_wins() {
        let rows = vec![row("b", "x", 1), row("a", "x", 2), row("b", "x", 3), row("b", "x", 4)];
        let (snapshot, dropped) = Snapshot::new(Timestamp(0), rows);
        assert_eq!(dropped, 2);
        let kept: Vec<_> = snapshot.repositories.iter().map(RepositoryRef::to_owned).collect();
        assert_eq!(kept, [row("a", "x", 2), row("b", "x", 4)]);
        assert_eq!(snapshot.namespace_sums().len(), 2);
    }

    #[test]
    fn a_timestamp_before_the_epoch_keeps_its_fraction_positive() {
        assert_eq!(Timestamp(-1).parts(), (-1, 999_999_999));
        assert_eq!(Timestamp(1_500_000_000).parts(), (1, 500_000_000));
        let early = std::time::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(early), Timestamp(-1_000_000_000));
    }

    #[test]
    fn an_age_is_computed_also_if_the_clock_went_back() {
        let (time, second) = (Timestamp(5_000_000_000), Duration::from_secs(1));
        assert!(time.is_within(second, Timestamp(6_000_000_000)) && !time.is_within(second, Timestamp(6_000_000_001)));
        assert!(time.is_within(second, Timestamp(i64::MIN)) && time.is_within(Duration::MAX, Timestamp(i64::MAX)));
    }
}
