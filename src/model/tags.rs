//! Tags and details of repositories.
//!
//! A [`Tag`] lives only until the tags of its repository are reduced to a reading (`reading`). [`Images`] is what a snapshot
//! shows. Deliberately absent: manifests, which are reduced where they are read, and the counting of bytes (`layers`).

use super::Timestamp;
use super::reclaim::Rule;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A layer or a configuration, which a registry stores once for all images.
///
/// The size is part of the identity: if responses contradict each other on the size of a digest, each size counts, so that
/// the sums do not depend on which came first.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Blob {
    /// The SHA-256 of its content.
    pub digest: Digest32,
    /// Bytes.
    pub size: u64,
}

/// A digest in 32 bytes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Digest32(pub [u8; 32]);

impl Digest32 {
    /// Parses `sha256:` and 64 hexadecimal digits. For another algorithm it is the SHA-256 of the text; `None` without an
    /// algorithm.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if let Some(digits) = text.strip_prefix("sha256:")
            && hex::decode_to_slice(digits, &mut bytes).is_ok()
        {
            return Some(Self(bytes));
        }
        let (algorithm, rest) = text.split_once(':')?;
        (!algorithm.is_empty() && !rest.is_empty()).then(|| Self(Sha256::digest(text.as_bytes()).into()))
    }
}

/// The stored content that a manifest refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Contents {
    /// The configuration and the layers of an image.
    Image(Vec<Blob>),
    /// The digests of an index's images, which have their own manifests.
    Index(Vec<Digest32>),
    /// Unknown: the manifest is missing, broken, or of the old schema without sizes.
    #[default]
    Unknown,
}

/// One tag as it was read. A missing value is `None`, not zero. State files have the fields in this order.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Tag<C = Contents> {
    /// Its name.
    pub name: Box<str>,
    /// The digest of its manifest (API: `digest`), e.g. `sha256:57b6...`; empty if unknown.
    pub digest: Box<str>,
    /// From `manifest`.
    pub contents: C,
    /// Version of the manifest's schema (API: `schema`).
    pub schema: Option<u64>,
    /// API: `is_trusted`.
    pub trusted: Option<bool>,
    /// API: `scanned`.
    pub scanned: Option<bool>,
    /// Bytes (API: `size`).
    pub size: Option<u64>,
    /// API: `created`.
    pub created: Option<Timestamp>,
    /// API: `updated`.
    pub updated: Option<Timestamp>,
}

/// A tag that has its own series, with no more than the kind of its contents.
pub type TagSeries = Tag<ManifestKind>;

impl TagSeries {
    /// The memory that the series of a repository's tags take at the peak of a refresh: their values, and their lines in two
    /// compressed expositions.
    pub fn bytes(series: &[Self]) -> usize {
        const LINES: usize = 4;
        const LINE: usize = 120;
        let of = |tag: &Self| {
            let text = LINES * (LINE + tag.name.len()) + tag.digest.len();
            size_of::<Self>() + tag.name.len() + tag.digest.len() + 2 * text / 3
        };
        series.iter().map(of).sum()
    }
}

/// The kind of a manifest: the `type` label.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum ManifestKind {
    /// One image.
    Image,
    /// A list of images, such as one for each architecture.
    Index,
    /// Unknown.
    Unknown,
}

impl From<Tag> for TagSeries {
    fn from(tag: Tag) -> Self {
        let contents = match tag.contents {
            Contents::Image(_) => ManifestKind::Image,
            Contents::Index(_) => ManifestKind::Index,
            Contents::Unknown => ManifestKind::Unknown,
        };
        Self {
            name: tag.name,
            digest: tag.digest,
            contents,
            schema: tag.schema,
            trusted: tag.trusted,
            scanned: tag.scanned,
            size: tag.size,
            created: tag.created,
            updated: tag.updated,
        }
    }
}

/// Whole seconds since 1970, up to the limit of 32 bits in 2106.
pub fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.parts().0.max(0)).unwrap_or(u32::MAX)
}

/// The upper limits of the age classes in days. Older tags are in a last class.
pub const AGE_DAYS: [u32; 4] = [7, 30, 90, 365];

/// The label of each age class.
pub const AGE_LABELS: [&str; AGE_DAYS.len() + 1] = ["7d", "30d", "90d", "365d", "older"];

/// The number of tags in each age class at `now`, youngest first, and the second at which that changes next. `updated` is
/// sorted; a tag from the future is in the youngest class.
pub fn by_age(updated: &[u32], now: u32) -> ([u32; 5], u32) {
    let mut counts = [0; 5];
    let mut changes = u32::MAX;
    let mut younger_from = updated.len();
    for (class, days) in AGE_DAYS.into_iter().enumerate() {
        let limit = days * 86_400;
        // The first tag that is young enough for this class: updated + limit > now.
        let from = updated.partition_point(|second| u64::from(*second) + u64::from(limit) <= u64::from(now));
        counts[class] = count(younger_from - from);
        // The oldest tag is the next to leave the class.
        changes = updated.get(from).map_or(changes, |oldest| changes.min(oldest.saturating_add(limit)));
        younger_from = from;
    }
    counts[4] = count(younger_from);
    (counts, changes)
}

fn count(tags: usize) -> u32 {
    u32::try_from(tags).unwrap_or(u32::MAX)
}

/// Details of a repository beyond the listing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Details {
    /// API: `id`.
    pub id: Option<u64>,
    /// API: `creator_name`.
    pub creator: Option<Box<str>>,
    /// The account's id (API: `domain_id`).
    pub domain_id: Option<Box<str>>,
    /// API: `priority`.
    pub priority: Option<i64>,
}

/// The number of a repository's tags and the range of their dates.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct TagTotals {
    /// The number of tags.
    pub tags: u32,
    /// The number of tags whose layers are unknown, all or some of them.
    pub unlayered: u32,
    /// The newest `updated`.
    pub newest: Option<Timestamp>,
    /// The oldest `updated`.
    pub oldest: Option<Timestamp>,
}

/// The figures of a repository's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagFigures {
    /// Their number and the range of their dates.
    pub totals: TagTotals,
    /// Tags by age, youngest class first.
    pub by_age: [u32; 5],
    /// Bytes of distinct layers and configurations.
    pub unique_bytes: u128,
    /// Bytes that no other repository refers to; `None` while other repositories are unknown.
    pub exclusive_bytes: Option<u128>,
    /// The tags, if they have their own series.
    pub series: Option<Arc<[TagSeries]>>,
}

/// The figures of one repository beyond the listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryImages {
    /// `None` until its tags have been read.
    pub tags: Option<TagFigures>,
    /// `None` until they have been read.
    pub details: Option<Arc<Details>>,
    /// The number of rules by which the service deletes tags by itself.
    pub retention_rules: Option<u32>,
}

/// Figures from tags and details of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// In the order of [`Snapshot::repositories`](super::Snapshot::repositories).
    pub repositories: Vec<RepositoryImages>,
    /// Bytes of the distinct layers of each organization whose repositories are all known.
    pub namespaces: Vec<(Arc<str>, u128)>,
    /// Bytes of the account's distinct layers, once all its repositories are known.
    pub unique_bytes: Option<u128>,
    /// What each rule would free.
    pub reclaimable: Vec<Reclaimable>,
}

/// What a clean-up rule would free. All sums are empty until all repositories are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaimable {
    /// The rule.
    pub rule: Rule,
    /// The repositories in which it picks tags, by their index in [`Images::repositories`], ascending.
    pub repositories: Vec<ReclaimableHere>,
    /// Bytes that go if the rule is applied to all repositories of an organization.
    pub namespaces: Vec<(Arc<str>, u128)>,
    /// Bytes that go if the rule is applied to all repositories.
    pub bytes: Option<u128>,
}

/// What a rule would free in one repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReclaimableHere {
    /// The repository.
    pub index: u32,
    /// The number of tags that the rule picks.
    pub tags: u32,
    /// Bytes that go with these tags alone; `None` while other repositories are unknown.
    pub bytes: Option<u128>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digests_of_every_algorithm_are_told_apart() {
        let digits = "8ac8bfaff55af948c796026ee867448c5b5b5d9dd3549f4006d9759b25d4a893";
        assert_eq!(hex::encode(Digest32::parse(&format!("sha256:{digits}")).unwrap().0), digits);
        let other = Digest32::parse(&format!("sha512:{digits}{digits}")).unwrap();
        assert_ne!(Some(other), Digest32::parse("sha512:00"));
        assert_eq!(Digest32::parse(digits), None);
        assert_eq!(Digest32::parse("sha256:"), None);
    }

    proptest! {
        #[test]
        fn age_classes_are_disjoint_and_hold_until_they_say(
            mut updated in proptest::collection::vec(0u32..40_000_000, 0..30), now in 0u32..80_000_000
        ) {
            updated.sort_unstable();
            let (counts, changes) = by_age(&updated, now);
            prop_assert_eq!(counts.iter().sum::<u32>() as usize, updated.len());
            let class = |now: u32| -> [u32; 5] {
                let mut counts = [0; 5];
                for second in &updated {
                    let age = now.saturating_sub(*second);
                    counts[AGE_DAYS.iter().position(|days| age < days * 86_400).unwrap_or(4)] += 1;
                }
                counts
            };
            prop_assert_eq!(counts, class(now));
            prop_assert!(changes > now);
            prop_assert_eq!(by_age(&updated, changes - 1).0, counts);
            prop_assert!(changes == u32::MAX || by_age(&updated, changes).0 != counts);
        }
    }
}
