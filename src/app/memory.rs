//! The memory budget: how many repositories of all accounts fit into the memory limit of this process.
//!
//! A container that exceeds its limit is killed. A listing that would exceed it is refused instead, before it is read, and
//! the last good one stays. Source: the kernel's cgroup documentation, versions 1 and 2.

use crate::model::layers::Layers;
use crate::model::{RepositoryRef, Snapshot};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes without any repository.
const BASE: u64 = 24 << 20;

/// Bytes of a repository at the peak of a refresh, while the previous snapshot is still served, with room to spare:
/// `cargo bench --bench refresh` measured 620 bytes at 100,000 repositories of which all change, and 280 at 1,000,000 of which
/// one in a hundred changes.
const REPOSITORY: u64 = 850;

/// Further bytes of a repository whose tags are collected: figures of two snapshots, an entry of the inventory and its times,
/// measured by `cargo bench --bench tags`.
const REPOSITORY_TAGS: u64 = 1_200;

/// Bytes of a distinct layer.
const LAYER: u64 = Layers::BYTES as u64;

/// Plain text is kept for later scrapes in a part of what a memory limit leaves above so many bytes.
const PLAIN_TEXT_ABOVE: u64 = 128 << 20;

/// That part: one in so many bytes.
const PLAIN_TEXT_SHARE: u64 = 8;

/// The most plain text that is kept: of 600,000 series.
const MAX_PLAIN_TEXT: u64 = 64 << 20;

/// Tags leave room for one new repository for so many known ones.
const NEW_REPOSITORIES: u64 = 8;

/// The budget of all accounts, counted in repositories.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    /// `None` if memory is not limited.
    most: Option<u64>,
    plain_text_bytes: u64,
    held: AtomicU64,
}

impl MemoryBudget {
    /// The budget by the limits of this process's control groups.
    pub(super) fn of_this_process() -> Arc<Self> {
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(limit(Path::new("/sys/fs/cgroup"), &groups))
    }

    fn of(limit: Option<u64>) -> Arc<Self> {
        let plain_text_bytes = limit.map_or(MAX_PLAIN_TEXT, plain_text_bytes);
        Arc::new(Self { most: limit.map(fitting), plain_text_bytes, held: AtomicU64::new(0) })
    }

    /// How many bytes of plain text may be kept. They are no part of what repositories may take.
    pub(super) fn plain_text_bytes(&self) -> usize {
        usize::try_from(self.plain_text_bytes).unwrap_or(usize::MAX)
    }

    /// The largest state file that is read: one that is larger than the memory limit does not fit.
    pub(super) fn max_file(&self) -> u64 {
        self.most.map_or(u64::MAX, |most| BASE + most * REPOSITORY)
    }

    /// How many repositories fit.
    pub(super) fn most(&self) -> Option<u64> {
        self.most
    }

    /// An empty share, for one account.
    pub(super) fn share(self: &Arc<Self>) -> MemoryShare {
        MemoryShare { of: self.clone(), held: AtomicU64::new(0), for_tags: AtomicU64::new(0) }
    }
}

/// One account's part of the budget; returned when it is dropped.
#[derive(Debug)]
pub(super) struct MemoryShare {
    of: Arc<MemoryBudget>,
    held: AtomicU64,
    /// The part of `held` that tags take.
    for_tags: AtomicU64,
}

impl MemoryShare {
    /// How many repositories this account may have, beside its tags and the shares of other accounts. A listing that is no
    /// longer than before replaces what is held already.
    pub(super) fn most(&self) -> Option<u64> {
        let (left, for_tags) = (self.left_by_others()?, self.for_tags.load(Ordering::Relaxed));
        let listed = self.held.load(Ordering::Relaxed).saturating_sub(for_tags);
        Some(left.saturating_sub(for_tags).max(listed.min(left)).max(1))
    }

    /// How many distinct layers fit beside `repositories` of this account, and beside those that come before the next refresh.
    pub(super) fn most_layers(&self, repositories: u64) -> Option<usize> {
        let listed = repositories.saturating_add(repositories / NEW_REPOSITORIES);
        let bytes = self.left_by_others()?.saturating_sub(listed).saturating_mul(REPOSITORY);
        let left = bytes.saturating_sub(repositories.saturating_mul(REPOSITORY_TAGS));
        Some(usize::try_from(left / LAYER).unwrap_or(usize::MAX))
    }

    /// Whether so many repositories fit.
    pub(super) fn has_room_for(&self, repositories: u64) -> bool {
        self.most().is_none_or(|most| repositories <= most)
    }

    /// Sets the share. `layers` are present where tags are collected.
    pub(super) fn hold(&self, repositories: u64, layers: Option<usize>) {
        let bytes = layers.map_or(0, |layers| repositories * REPOSITORY_TAGS + layers as u64 * LAYER);
        let for_tags = bytes.div_ceil(REPOSITORY);
        self.for_tags.store(for_tags, Ordering::Relaxed);
        let all = repositories + for_tags;
        let before = self.held.swap(all, Ordering::Relaxed);
        self.of.held.fetch_add(all, Ordering::Relaxed);
        self.of.held.fetch_sub(before, Ordering::Relaxed);
    }

    fn left_by_others(&self) -> Option<u64> {
        let others = self.of.held.load(Ordering::Relaxed).saturating_sub(self.held.load(Ordering::Relaxed));
        self.of.most.map(|most| most.saturating_sub(others))
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.of.held.fetch_sub(*self.held.get_mut(), Ordering::Relaxed);
    }
}

/// The memory that the listing of a snapshot and its exposition take, as a number of ordinary repositories. Long names and
/// categories count for more than one.
pub(super) fn weight(snapshot: &Snapshot) -> u64 {
    let bytes: u64 = snapshot.repositories.iter().map(bytes).sum();
    bytes.div_ceil(REPOSITORY)
}

/// The same for its repositories of the Enterprise Edition.
pub(super) fn instances(snapshot: &Snapshot) -> u64 {
    snapshot.enterprise.repositories.as_ref().map_or(0, |rows| rows.value.len() as u64)
}

/// Lines of the exposition for one repository.
const LINES: u64 = 7;

/// Bytes of a line without names: the name of the family and of the labels, and the value.
const LINE: u64 = 70;

/// Text of names that hardly compresses shrinks to this fraction at least.
const COMPRESSION: u64 = 3;

/// Bytes of a row without its name.
const ROW: u64 = 100;

/// Rows and compressed text of two snapshots at the peak of a refresh; at least the ordinary.
fn bytes(row: RepositoryRef<'_>) -> u64 {
    let category = row.category.as_ref().map_or(0, |category| category.len());
    let names = (row.namespace.len() + row.name.len()) as u64;
    let text = LINES * (LINE + names) + category as u64;
    let row = ROW + row.name.len() as u64 + category as u64;
    (2 * (row + text / COMPRESSION)).max(REPOSITORY)
}

fn fitting(limit: u64) -> u64 {
    (limit.saturating_sub(BASE + plain_text_bytes(limit)) / REPOSITORY).max(1)
}

fn plain_text_bytes(limit: u64) -> u64 {
    (limit.saturating_sub(PLAIN_TEXT_ABOVE) / PLAIN_TEXT_SHARE).min(MAX_PLAIN_TEXT)
}

/// The lowest limit of the control groups in `groups` (the content of /proc/self/cgroup) and of their ancestors.
fn limit(root: &Path, groups: &str) -> Option<u64> {
    groups.lines().filter_map(|line| of_group(root, line)).min()
}

fn of_group(root: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (root, file) = match controllers {
        "" => (root.to_owned(), "memory.max"),
        "memory" => (root.join("memory"), "memory.limit_in_bytes"),
        _ => return None,
    };
    // In a container the path may be the host's and only the root exists. A file that cannot be read sets no limit.
    Path::new(path.trim_start_matches('/'))
        .ancestors()
        .filter_map(|group| std::fs::read_to_string(root.join(group).join(file)).ok())
        .filter_map(|text| text.trim().parse().ok())
        // No limit is a huge number in version 1 and the word "max" in version 2.
        .filter(|bytes| *bytes < 1 << 60)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Repository;

    fn write(root: &Path, path: &str, text: &str) {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    #[test]
    fn the_lowest_limit_of_a_group_and_its_ancestors_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert_eq!(limit(root, "0::/a/b\n"), None);
        write(root, "a/b/memory.max", "max\n");
        assert_eq!(limit(root, "0::/a/b\n"), None);
        write(root, "a/memory.max", "134217728\n");
        assert_eq!(limit(root, "0::/a/b\n"), Some(134_217_728));
        write(root, "memory/x/memory.limit_in_bytes", "67108864\n");
        write(root, "memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit(root, "4:memory:/x\n3:cpuset:/\n0::/a/b\n"), Some(67_108_864));
        assert_eq!(limit(root, "4:memory:/elsewhere\n"), None, "a missing group sets no limit");
    }

    #[test]
    fn long_names_and_categories_weigh_more_than_ordinary_ones() {
        let weight = |namespace: usize, name: usize, category: usize| {
            let row = |number: usize| Repository {
                name: format!("{number:0name$}").into(),
                category: Some("c".repeat(category).into()),
                ..Repository::unknown("n".repeat(namespace).into())
            };
            weight(&Snapshot::new(crate::model::Timestamp(0), (0..1000).map(row).collect()).0)
        };
        assert_eq!(weight(12, 24, 5), 1000, "ordinary names");
        assert!((1900..2500).contains(&weight(64, 128, 5)), "{}", weight(64, 128, 5));
        assert!(weight(12, 24, 1000) > 3000);
        assert!(weight(1000, 1000, 0) > 10_000);
    }

    #[test]
    fn accounts_share_what_there_is() {
        let budget = MemoryBudget::of(Some(BASE + 100 * REPOSITORY));
        let (first, second) = (budget.share(), budget.share());
        first.hold(70, None);
        assert_eq!((first.most(), second.most()), (Some(100), Some(30)));
        first.hold(20, None);
        second.hold(80, None);
        assert_eq!((first.most(), second.most()), (Some(20), Some(80)));
        drop(second);
        assert_eq!(first.most(), Some(100));
        assert_eq!(MemoryBudget::of(None).share().most(), None);
    }

    #[test]
    fn layers_may_take_what_repositories_leave() {
        assert_eq!(MemoryBudget::of(None).share().most_layers(1), None);
        let budget = MemoryBudget::of(Some(512 << 20));
        let (mine, other) = (budget.share(), budget.share());
        let alone = mine.most_layers(10_000).unwrap();
        assert!((6_000_000..7_000_000).contains(&alone), "{alone}");
        other.hold(300_000, None);
        assert!(mine.most_layers(10_000).unwrap() < alone - 3_000_000);
        mine.hold(10_000, Some(1_000_000));
        assert!(mine.most().unwrap() < 215_000, "layers leave less for repositories");
        assert!(other.most().unwrap() < 520_000);
        assert_eq!(mine.most_layers(600_000), Some(0));
    }

    #[test]
    fn tags_that_take_all_that_is_left_never_refuse_the_listing() {
        let share = MemoryBudget::of(Some(128 << 20)).share();
        let layers = share.most_layers(20_000).unwrap();
        share.hold(20_000, Some(layers));
        assert!(share.most().unwrap() > 22_000, "it may grow: {:?}", share.most());
        // What was being read when the limit was reached is kept as well.
        share.hold(20_000, Some(layers + 100_000));
        assert!(share.most().unwrap() >= 20_000, "{:?}", share.most());
    }

    #[test]
    fn plain_text_takes_a_part_of_what_small_containers_do_not_have() {
        for (limit, kept) in [(48, 0), (128, 0), (256, 16), (512, 48), (640, 64), (4096, 64)] {
            let budget = MemoryBudget::of(Some(limit << 20));
            assert_eq!(budget.plain_text_bytes(), kept << 20, "{limit} MiB");
            assert!(BASE + budget.most().unwrap() * REPOSITORY + ((kept as u64) << 20) <= limit << 20);
        }
        assert_eq!(MemoryBudget::of(None).plain_text_bytes(), 64 << 20);
    }

    #[test]
    fn a_hundred_thousand_repositories_fit_into_128_mib_and_not_into_64() {
        assert!(fitting(128 << 20) > 100_000);
        assert!(fitting(64 << 20) < 100_000);
        assert_eq!(fitting(1), 1);
    }
}
