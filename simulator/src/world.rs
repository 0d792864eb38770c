//! The simulated account: organizations, repositories, their tags, and the orders in which they are listed.
//!
//! Sized for a million repositories: rows are small, tag names are generated when they are read, and the order by name
//! is maintained rather than sorted for each page. `world_growth` generates the world and lets it grow.

use std::cmp::Ordering;

use fastrand::Rng;

use super::names;
use super::plan::Planned;
use super::repository_row::{Column, Repository, RepositoryRow, RetentionRule, Tags};

/// Everything that the simulated account holds.
#[derive(Debug)]
pub struct World {
    organizations: Vec<Organization>,
    categories: Vec<String>,
    /// A row keeps its slot for life, so that the orders below can be lists of `u32`.
    rows: Vec<Option<RepositoryRow>>,
    free: Vec<u32>,
    /// All rows by name, then organization.
    by_name: Vec<u32>,
    /// The latest order by another column, and the version of the world it is valid for.
    sorted: Option<(Column, u64, Vec<u32>)>,
    version: u64,
    pub(super) next_id: u32,
    pub(super) now: i64,
    pub(super) next_event: i64,
    pub(super) mean_gap: f64,
    pub(super) steady: bool,
    pub(super) turnover: bool,
    pub(super) plans: Vec<Planned>,
    /// Latest date of a change: real time, where the world runs faster than that.
    pub(super) latest_date: i64,
    /// Every n-th repository whose id is below the second number is abandoned; 0 means none.
    pub(super) abandoned: (u32, u32),
    pub(super) rng: Rng,
}

/// One organization.
#[derive(Debug)]
pub(super) struct Organization {
    pub(super) name: String,
    /// Its rows by name.
    pub(super) by_name: Vec<u32>,
}

impl World {
    /// A world without organizations, at `now` (nanoseconds since the Unix epoch).
    pub(super) fn empty(seed: u64, now: i64) -> Self {
        Self {
            organizations: Vec::new(),
            categories: names::CATEGORIES.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
            free: Vec::new(),
            by_name: Vec::new(),
            sorted: None,
            version: 0,
            next_id: 1,
            now,
            next_event: i64::MAX,
            mean_gap: f64::INFINITY,
            steady: false,
            turnover: true,
            plans: Vec::new(),
            latest_date: i64::MAX,
            abandoned: (0, 0),
            rng: Rng::with_seed(seed),
        }
    }

    /// Number of repositories.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no repository.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The simulated time, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn now_nanos(&self) -> i64 {
        self.now
    }

    /// The date of a change that happens now.
    pub(super) fn date(&self) -> i64 {
        self.now.min(self.latest_date)
    }

    /// Names of the organizations in order of creation, empty ones included.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        self.organizations.iter().map(|organization| organization.name.clone()).collect()
    }

    /// Every repository, by name and then organization.
    #[must_use]
    pub fn repositories(&self) -> Vec<Repository> {
        self.by_name.iter().map(|&slot| self.describe(self.row(slot))).collect()
    }

    /// Organization and name of every repository, by name and then organization.
    #[must_use]
    pub fn keys(&self) -> Vec<(String, String)> {
        let rows = self.by_name.iter().map(|&slot| self.row(slot));
        rows.map(|row| (self.organization_name(row).to_owned(), row.name.to_string())).collect()
    }

    /// One repository.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Repository> {
        self.find(namespace, name).map(|slot| self.describe(self.row(slot)))
    }

    /// Adds an organization; an existing one stays unchanged.
    pub fn insert_namespace(&mut self, name: &str) {
        self.organization_or_new(name);
    }

    /// Inserts a repository, replacing one of the same name; creates its organization if needed.
    pub fn insert(&mut self, repository: Repository) {
        self.remove(&repository.namespace, &repository.name);
        let organization = self.organization_or_new(&repository.namespace);
        let mut row = self.new_row(organization, repository.name.clone());
        self.fill(&mut row, repository);
        self.insert_row(row);
    }

    /// Deletes a repository; returns whether it existed.
    pub fn remove(&mut self, namespace: &str, name: &str) -> bool {
        let slot = self.find(namespace, name);
        if let Some(slot) = slot {
            self.remove_slot(slot);
        }
        slot.is_some()
    }

    /// Deletes the first `count` repositories in the order of names.
    pub fn remove_first(&mut self, count: usize) {
        let first = self.by_name[..count.min(self.by_name.len())].to_vec();
        for slot in first {
            self.remove_slot(slot);
        }
    }

    /// Changes a repository; returns whether it existed. Name and organization may change as well.
    pub fn update(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut Repository)) -> bool {
        let Some(slot) = self.find(namespace, name) else {
            return false;
        };
        let before = self.describe(self.row(slot));
        let mut after = before.clone();
        change(&mut after);
        if (&before.namespace, &before.name) == (&after.namespace, &after.name) {
            let mut row = self.row(slot).clone();
            self.fill(&mut row, after);
            self.rows[slot as usize] = Some(row);
            self.version += 1;
        } else {
            self.remove_slot(slot);
            self.insert(after);
        }
        true
    }

    /// Pushes an image under `tag`: a further tag if it is new, more bytes, a new update time. Returns whether the
    /// repository existed.
    pub fn push(&mut self, namespace: &str, name: &str, tag: &str) -> bool {
        let Some(slot) = self.find(namespace, name) else {
            return false;
        };
        let now = self.date();
        let row = self.row_mut(slot);
        let before = row.tag_bytes();
        let number = row.tags.push(row.id, tag);
        row.note_push(number, now);
        // Add the difference: a test may have set a size that the tags do not add up to.
        row.size = (row.size + row.tag_bytes()).saturating_sub(before);
        row.updated = now;
        true
    }

    /// Deletes a tag: fewer tags and bytes, the same update time. Returns whether it existed.
    pub fn untag(&mut self, namespace: &str, name: &str, tag: &str) -> bool {
        self.change_tags(namespace, name, |row| row.tags.remove(row.id, tag))
    }

    /// Points a tag, new or existing, to the image of another tag. Returns whether that one existed.
    pub fn retag(&mut self, namespace: &str, name: &str, tag: &str, other: &str) -> bool {
        let now = self.date();
        self.change_tags(namespace, name, |row| {
            let was_there = row.tags.move_to(row.id, tag, other);
            if was_there {
                row.updated = now;
            }
            was_there
        })
    }

    fn change_tags(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut RepositoryRow) -> bool) -> bool {
        let Some(slot) = self.find(namespace, name) else {
            return false;
        };
        let row = self.row_mut(slot);
        let before = row.tag_bytes();
        let changed = change(row);
        row.size = (row.size + row.tag_bytes()).saturating_sub(before);
        changed
    }

    /// Sets the rule by which the service deletes a repository's tags, or none. The simulator never applies it.
    /// Returns whether the repository existed.
    pub fn set_retention(&mut self, namespace: &str, name: &str, rule: Option<RetentionRule>) -> bool {
        let slot = self.find(namespace, name);
        if let Some(slot) = slot {
            self.row_mut(slot).retention = rule;
        }
        slot.is_some()
    }

    /// The rule by which the service deletes a repository's tags.
    #[must_use]
    pub fn retention(&self, namespace: &str, name: &str) -> Option<RetentionRule> {
        self.find(namespace, name).and_then(|slot| self.row(slot).retention)
    }

    /// Adds `times` downloads. Returns whether the repository existed.
    pub fn download(&mut self, namespace: &str, name: &str, times: u64) -> bool {
        let slot = self.find(namespace, name);
        if let Some(slot) = slot {
            self.row_mut(slot).downloads += times;
        }
        slot.is_some()
    }

    pub(super) fn row(&self, slot: u32) -> &RepositoryRow {
        self.rows[slot as usize].as_ref().expect("the orders name living rows only")
    }

    /// A row for changes to anything but its name and organization.
    pub(super) fn row_mut(&mut self, slot: u32) -> &mut RepositoryRow {
        self.version += 1;
        self.rows[slot as usize].as_mut().expect("the orders name living rows only")
    }

    pub(super) fn slots(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_live(&self, slot: u32) -> bool {
        self.rows.get(slot as usize).is_some_and(Option::is_some)
    }

    pub(super) fn organizations(&self) -> &[Organization] {
        &self.organizations
    }

    pub(super) fn organization(&self, name: &str) -> Option<(u32, &Organization)> {
        (0..).zip(&self.organizations).find(|(_, organization)| organization.name == name)
    }

    pub(super) fn organization_name(&self, row: &RepositoryRow) -> &str {
        &self.organizations[row.organization as usize].name
    }

    pub(super) fn category(&self, row: &RepositoryRow) -> &str {
        &self.categories[row.category as usize]
    }

    pub(super) fn find(&self, namespace: &str, name: &str) -> Option<u32> {
        let (_, organization) = self.organization(namespace)?;
        let place = organization.by_name.binary_search_by(|&slot| (*self.row(slot).name).cmp(name)).ok()?;
        Some(organization.by_name[place])
    }

    /// Sorts by a column unless the cached order is still valid.
    pub(super) fn prepare(&mut self, column: Column) {
        let holds = matches!(&self.sorted, Some((c, version, _)) if *c == column && *version == self.version);
        if column != Column::Name && !holds {
            let mut order = self.by_name.clone();
            self.sort(&mut order, column);
            self.sorted = Some((column, self.version, order));
        }
    }

    /// All rows in ascending order of a column that was prepared, ties by name and organization. The order by name
    /// needs no preparation.
    pub(super) fn ordered(&self, column: Column) -> &[u32] {
        match &self.sorted {
            Some((sorted, version, order)) if *sorted == column && *version == self.version => order,
            _ => &self.by_name,
        }
    }

    /// Sorts rows, given in the order of names, by another column.
    pub(super) fn sort(&self, slots: &mut [u32], column: Column) {
        match column {
            Column::Name => slots.sort_by(|a, b| self.compare(*a, *b)),
            Column::UpdatedTime => slots.sort_by_key(|slot| self.row(*slot).updated),
            Column::TagCount => slots.sort_by_key(|slot| self.row(*slot).tags.count()),
            Column::Namespace => slots.sort_by_key(|slot| self.organization_name(self.row(*slot))),
            Column::IsPublic => slots.sort_by_key(|slot| self.row(*slot).is_public),
        }
    }

    pub(super) fn organization_or_new(&mut self, name: &str) -> u32 {
        if let Some((index, _)) = self.organization(name) {
            return index;
        }
        self.organizations.push(Organization { name: name.to_owned(), by_name: Vec::new() });
        u32::try_from(self.organizations.len() - 1).expect("fewer than 2^32 organizations")
    }

    /// An empty row with a new id, not yet inserted.
    pub(super) fn new_row(&mut self, organization: u32, name: String) -> RepositoryRow {
        let id = self.next_id;
        self.next_id += 1;
        RepositoryRow::new(id, organization, name.into_boxed_str(), self.date())
    }

    pub(super) fn insert_row(&mut self, row: RepositoryRow) {
        let slot = self.place(row);
        let at = self.by_name.partition_point(|&other| self.compare(other, slot) == Ordering::Less);
        self.by_name.insert(at, slot);
        let row = self.row(slot);
        let (organization, name) = (row.organization as usize, &row.name);
        let within = &self.organizations[organization].by_name;
        let at = within.partition_point(|&other| self.row(other).name < *name);
        self.organizations[organization].by_name.insert(at, slot);
    }

    /// Inserts rows whose names are known to be free. Sorts once, where `insert_row` moves the tail each time.
    pub(super) fn insert_all(&mut self, rows: Vec<RepositoryRow>) {
        for row in rows {
            let slot = self.place(row);
            self.by_name.push(slot);
        }
        let mut order = std::mem::take(&mut self.by_name);
        order.sort_unstable_by(|a, b| self.compare(*a, *b));
        for organization in &mut self.organizations {
            organization.by_name.clear();
        }
        for &slot in &order {
            let organization = self.row(slot).organization as usize;
            self.organizations[organization].by_name.push(slot);
        }
        self.by_name = order;
    }

    pub(super) fn remove_slot(&mut self, slot: u32) {
        let at = self.by_name.partition_point(|&other| self.compare(other, slot) == Ordering::Less);
        self.by_name.remove(at);
        let row = self.row(slot);
        let (organization, name) = (row.organization as usize, &row.name);
        let at = self.organizations[organization].by_name.partition_point(|&other| self.row(other).name < *name);
        self.organizations[organization].by_name.remove(at);
        self.rows[slot as usize] = None;
        self.free.push(slot);
        self.version += 1;
    }

    fn place(&mut self, row: RepositoryRow) -> u32 {
        self.version += 1;
        if let Some(slot) = self.free.pop() {
            self.rows[slot as usize] = Some(row);
            return slot;
        }
        self.rows.push(Some(row));
        u32::try_from(self.rows.len() - 1).expect("fewer than 2^32 repositories")
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (self.row(a), self.row(b));
        a.name.cmp(&b.name).then_with(|| self.organization_name(a).cmp(self.organization_name(b)))
    }

    fn describe(&self, row: &RepositoryRow) -> Repository {
        Repository {
            namespace: self.organization_name(row).to_owned(),
            name: row.name.to_string(),
            category: self.category(row).to_owned(),
            description: row.description.as_deref().unwrap_or_default().to_owned(),
            size: row.size,
            is_public: row.is_public,
            num_download: row.downloads,
            created_nanos: row.created,
            updated_nanos: row.updated,
            tags: row.tags.named(row.id).into_iter().map(|(name, _)| name).collect(),
        }
    }

    /// Copies everything but the identity into a row.
    fn fill(&mut self, row: &mut RepositoryRow, repository: Repository) {
        let known = self.categories.iter().position(|category| *category == repository.category);
        let category = known.unwrap_or_else(|| {
            self.categories.push(repository.category);
            self.categories.len() - 1
        });
        // Category 255 stands for all beyond it.
        row.category = u8::try_from(category).unwrap_or(u8::MAX);
        row.description = (!repository.description.is_empty()).then(|| repository.description.into_boxed_str());
        row.size = repository.size;
        row.is_public = repository.is_public;
        row.downloads = repository.num_download;
        let is_moved = (row.created, row.updated) != (repository.created_nanos, repository.updated_nanos);
        (row.created, row.updated) = (repository.created_nanos, repository.updated_nanos);
        let known = row.tags.named(row.id);
        let mut next = known.iter().map(|(_, number)| number + 1).max().unwrap_or_default();
        let tags = repository.tags.into_iter().map(|name| {
            let image = known.iter().find(|(other, _)| *other == name).map(|(_, number)| *number);
            let number = image.unwrap_or(next);
            next = next.max(number + 1);
            (name, number)
        });
        row.tags = Tags::Named(tags.collect());
        if is_moved {
            row.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(world: &World) -> Vec<(String, String)> {
        world.repositories().into_iter().map(|r| (r.name, r.namespace)).collect()
    }

    #[test]
    fn the_order_by_name_and_organization_survives_every_change() {
        let mut world = World::empty(1, 0);
        let mut rng = Rng::with_seed(3);
        for step in 0..2_000 {
            let (namespace, name) = (format!("org-{}", rng.u8(..4)), format!("repo/{}", rng.u8(..60)));
            match step % 3 {
                0 | 1 => world.insert(Repository::new(namespace, name)),
                _ => {
                    world.remove(&namespace, &name);
                }
            }
        }
        let listed = names(&world);
        let mut expected = listed.clone();
        expected.sort();
        expected.dedup();
        assert_eq!(listed, expected);
        let by_organization: usize = world.organizations.iter().map(|o| o.by_name.len()).sum();
        assert_eq!(by_organization, world.len());
        for (name, namespace) in listed {
            assert!(world.get(&namespace, &name).is_some());
        }
    }

    #[test]
    fn push_adds_a_tag_bytes_and_a_new_time() {
        let mut world = World::empty(1, 5);
        world.insert(Repository::new("a", "b/c"));
        assert!(world.push("a", "b/c", "v1"));
        let first = world.get("a", "b/c").unwrap();
        assert!(world.push("a", "b/c", "v1"));
        assert!(world.download("a", "b/c", 3));
        let second = world.get("a", "b/c").unwrap();
        assert_eq!(first.tags, ["v1"]);
        assert_eq!(first.updated_nanos, 5);
        assert!(first.size > 0);
        assert_eq!((second.num_images(), second.num_download), (1, 3));
        assert!(!world.push("a", "absent", "v1"));
    }

    #[test]
    fn update_can_rename() {
        let mut world = World::empty(1, 0);
        world.insert(Repository::new("a", "old"));
        assert!(world.update("a", "old", |r| {
            r.name = "new".to_owned();
            r.category = "home-made".to_owned();
        }));
        assert!(world.get("a", "old").is_none());
        assert_eq!(world.get("a", "new").unwrap().category, "home-made");
    }
}
