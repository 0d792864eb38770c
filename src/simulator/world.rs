//! The truth: organisations, repositories, their tags, and the orders in which they are listed.
//!
//! Made for a million repositories: a row is small, the names of tags are written only when somebody reads them, and the
//! order by name is kept rather than sorted for each page. How the world comes to be and how it grows is in `growth`.

use std::cmp::Ordering;

use fastrand::Rng;

use super::image;
use super::names;

/// One repository, as a person would describe it. The world keeps a smaller form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Organisation.
    pub namespace: String,
    /// Name within the organisation; may contain `/`.
    pub name: String,
    /// Such as `app_server` or `linux`.
    pub category: String,
    /// Often empty.
    pub description: String,
    /// Bytes, the sum over all tags.
    pub size: u64,
    /// Whether everybody may pull.
    pub is_public: bool,
    /// Downloads so far.
    pub num_download: u64,
    /// Nanoseconds since the Unix epoch.
    pub created_nanos: i64,
    /// Nanoseconds since the Unix epoch.
    pub updated_nanos: i64,
    /// Names of the tags; `num_images` is how many there are.
    pub tags: Vec<String>,
}

impl Repository {
    /// A private, empty repository that was never pulled, created on 2025-01-01.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            category: "other".to_owned(),
            description: String::new(),
            size: 0,
            is_public: false,
            num_download: 0,
            created_nanos: 1_735_689_600_000_000_000,
            updated_nanos: 1_735_689_600_000_000_000,
            tags: Vec::new(),
        }
    }

    /// Number of tags, which the service calls images.
    #[must_use]
    pub fn num_images(&self) -> usize {
        self.tags.len()
    }
}

/// Everything that the simulated account holds.
#[derive(Debug)]
pub struct World {
    organisations: Vec<Organisation>,
    categories: Vec<String>,
    /// Rows keep their place for life, so that the orders below can be lists of small numbers.
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    /// All rows by name, then organisation.
    by_name: Vec<u32>,
    /// The last order by another column, and the version of the world that it holds for.
    sorted: Option<(Column, u64, Vec<u32>)>,
    version: u64,
    next_id: u32,
    pub(super) now: i64,
    pub(super) next_event: i64,
    pub(super) mean_gap: f64,
    pub(super) rng: Rng,
}

/// One organisation.
#[derive(Debug)]
pub(super) struct Organisation {
    pub(super) name: String,
    /// Its rows by name.
    pub(super) by_name: Vec<u32>,
}

/// One repository, stored.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: u32,
    pub(super) organisation: u32,
    pub(super) category: u8,
    pub(super) is_public: bool,
    pub(super) name: Box<str>,
    pub(super) description: Option<Box<str>>,
    pub(super) size: u64,
    pub(super) downloads: u64,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) tags: Tags,
}

/// The tags of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// The images numbered `first` to `first + count`, under names that follow from the numbers, and perhaps `latest`.
    Numbered {
        first: u32,
        count: u32,
        latest: bool,
    },
    /// Names chosen by a test.
    Named(Box<Vec<String>>),
}

/// Columns that the service can order repositories by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    UpdatedTime,
    TagCount,
    Namespace,
    IsPublic,
}

impl Tags {
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Numbered { count, latest, .. } => u64::from(*count) + u64::from(*latest),
            Self::Named(names) => names.len() as u64,
        }
    }

    /// Calls `visit` with the name of each tag and the number of the image that it names.
    pub(super) fn each(&self, repository: u32, mut visit: impl FnMut(&str, u32)) {
        match self {
            Self::Numbered {
                first,
                count,
                latest,
            } => {
                let mut name = Vec::with_capacity(24);
                for number in *first..first + count {
                    name.clear();
                    names::write_tag(&mut name, repository, number);
                    visit(&String::from_utf8_lossy(&name), number);
                }
                if *latest {
                    visit("latest", first + count.saturating_sub(1));
                }
            }
            Self::Named(names) => {
                for (number, name) in (0..).zip(names.iter()) {
                    visit(name, number);
                }
            }
        }
    }

    /// Bytes of all tags together, each counted as if it shared nothing.
    pub(super) fn bytes(&self, repository: u32) -> u64 {
        match self {
            Self::Numbered {
                first,
                count,
                latest,
            } => {
                let newest = if *latest {
                    image::bytes(repository, first + count.saturating_sub(1))
                } else {
                    0
                };
                (*first..first + count)
                    .map(|number| image::bytes(repository, number))
                    .sum::<u64>()
                    + newest
            }
            Self::Named(names) => (0..)
                .zip(names.iter())
                .map(|(number, _)| image::bytes(repository, number))
                .sum(),
        }
    }
}

impl World {
    /// A world without organisations, at `now` (nanoseconds since the Unix epoch).
    pub(super) fn empty(seed: u64, now: i64) -> Self {
        Self {
            organisations: Vec::new(),
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

    /// Names of the organisations, in the order in which they came to be. Empty ones are among them.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        self.organisations
            .iter()
            .map(|organisation| organisation.name.clone())
            .collect()
    }

    /// Every repository, by name and then organisation.
    #[must_use]
    pub fn repositories(&self) -> Vec<Repository> {
        self.by_name
            .iter()
            .map(|&slot| self.describe(self.row(slot)))
            .collect()
    }

    /// One repository.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Repository> {
        self.find(namespace, name)
            .map(|slot| self.describe(self.row(slot)))
    }

    /// Adds an organisation; one that exists already is left as it is.
    pub fn insert_namespace(&mut self, name: &str) {
        self.organisation_or_new(name);
    }

    /// Puts a repository in, replacing one of the same name; its organisation appears if need be.
    pub fn insert(&mut self, repository: Repository) {
        self.remove(&repository.namespace, &repository.name);
        let organisation = self.organisation_or_new(&repository.namespace);
        let mut row = self.new_row(organisation, repository.name.clone());
        self.fill(&mut row, repository);
        self.insert_row(row);
    }

    /// Deletes a repository; whether it was there.
    pub fn remove(&mut self, namespace: &str, name: &str) -> bool {
        let slot = self.find(namespace, name);
        if let Some(slot) = slot {
            self.remove_slot(slot);
        }
        slot.is_some()
    }

    /// Deletes the first `count` repositories in the order of names.
    pub fn remove_first(&mut self, count: usize) {
        for slot in self.by_name[..count.min(self.by_name.len())].to_vec() {
            self.remove_slot(slot);
        }
    }

    /// Changes a repository by hand; whether it was there. The name and the organisation may be changed as well.
    pub fn update(
        &mut self,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Repository),
    ) -> bool {
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

    /// Pushes an image under `tag`: one more tag if it is a new one, more bytes, a new update time. Whether the
    /// repository was there.
    pub fn push(&mut self, namespace: &str, name: &str, tag: &str) -> bool {
        let Some(slot) = self.find(namespace, name) else {
            return false;
        };
        let now = self.now;
        let row = self.row_mut(slot);
        let mut tags = Vec::new();
        row.tags.each(row.id, |name, _| tags.push(name.to_owned()));
        if !tags.iter().any(|known| known == tag) {
            let number = u32::try_from(tags.len()).unwrap_or(u32::MAX);
            row.size += image::bytes(row.id, number);
            tags.push(tag.to_owned());
            row.tags = Tags::Named(Box::new(tags));
        }
        row.updated = now;
        true
    }

    /// Counts `times` downloads. Whether the repository was there.
    pub fn download(&mut self, namespace: &str, name: &str, times: u64) -> bool {
        let slot = self.find(namespace, name);
        if let Some(slot) = slot {
            self.row_mut(slot).downloads += times;
        }
        slot.is_some()
    }

    pub(super) fn row(&self, slot: u32) -> &Row {
        self.rows[slot as usize]
            .as_ref()
            .expect("the orders name living rows only")
    }

    /// A row to be changed in anything but its name and organisation.
    pub(super) fn row_mut(&mut self, slot: u32) -> &mut Row {
        self.version += 1;
        self.rows[slot as usize]
            .as_mut()
            .expect("the orders name living rows only")
    }

    pub(super) fn slots(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_live(&self, slot: u32) -> bool {
        self.rows.get(slot as usize).is_some_and(Option::is_some)
    }

    pub(super) fn organisations(&self) -> &[Organisation] {
        &self.organisations
    }

    pub(super) fn organisation(&self, name: &str) -> Option<(u32, &Organisation)> {
        (0..)
            .zip(&self.organisations)
            .find(|(_, organisation)| organisation.name == name)
    }

    pub(super) fn organisation_name(&self, row: &Row) -> &str {
        &self.organisations[row.organisation as usize].name
    }

    pub(super) fn category(&self, row: &Row) -> &str {
        &self.categories[row.category as usize]
    }

    pub(super) fn find(&self, namespace: &str, name: &str) -> Option<u32> {
        let (_, organisation) = self.organisation(namespace)?;
        let place = organisation
            .by_name
            .binary_search_by(|&slot| (*self.row(slot).name).cmp(name))
            .ok()?;
        Some(organisation.by_name[place])
    }

    /// Sorts by a column, unless the last order by it still holds.
    pub(super) fn prepare(&mut self, column: Column) {
        let holds = matches!(&self.sorted, Some((c, version, _)) if *c == column && *version == self.version);
        if column != Column::Name && !holds {
            let mut order = self.by_name.clone();
            self.sort(&mut order, column);
            self.sorted = Some((column, self.version, order));
        }
    }

    /// All rows in the ascending order of a column that was prepared, ties by name and organisation. The order by name
    /// needs no preparation.
    pub(super) fn ordered(&self, column: Column) -> &[u32] {
        match &self.sorted {
            Some((sorted, version, order)) if *sorted == column && *version == self.version => {
                order
            }
            _ => &self.by_name,
        }
    }

    /// Sorts rows that are in the order of names by another column.
    pub(super) fn sort(&self, slots: &mut [u32], column: Column) {
        match column {
            Column::Name => slots.sort_by(|a, b| self.compare(*a, *b)),
            Column::UpdatedTime => slots.sort_by_key(|slot| self.row(*slot).updated),
            Column::TagCount => slots.sort_by_key(|slot| self.row(*slot).tags.count()),
            Column::Namespace => slots.sort_by_key(|slot| self.organisation_name(self.row(*slot))),
            Column::IsPublic => slots.sort_by_key(|slot| self.row(*slot).is_public),
        }
    }

    pub(super) fn organisation_or_new(&mut self, name: &str) -> u32 {
        if let Some((index, _)) = self.organisation(name) {
            return index;
        }
        self.organisations.push(Organisation {
            name: name.to_owned(),
            by_name: Vec::new(),
        });
        u32::try_from(self.organisations.len() - 1).expect("fewer than 2^32 organisations")
    }

    /// An empty row with a number of its own; it is not in the world yet.
    pub(super) fn new_row(&mut self, organisation: u32, name: String) -> Row {
        let id = self.next_id;
        self.next_id += 1;
        Row {
            id,
            organisation,
            category: 0,
            is_public: false,
            name: name.into_boxed_str(),
            description: None,
            size: 0,
            downloads: 0,
            created: self.now,
            updated: self.now,
            tags: Tags::Named(Box::default()),
        }
    }

    pub(super) fn insert_row(&mut self, row: Row) {
        let slot = self.place(row);
        let at = self
            .by_name
            .partition_point(|&other| self.compare(other, slot) == Ordering::Less);
        self.by_name.insert(at, slot);
        let row = self.row(slot);
        let (organisation, name) = (row.organisation as usize, &row.name);
        let within = &self.organisations[organisation].by_name;
        let at = within.partition_point(|&other| self.row(other).name < *name);
        self.organisations[organisation].by_name.insert(at, slot);
    }

    /// Puts in rows whose names are known to be free: sorts once, where `insert_row` would move the tail each time.
    pub(super) fn insert_all(&mut self, rows: Vec<Row>) {
        for row in rows {
            let slot = self.place(row);
            self.by_name.push(slot);
        }
        let mut order = std::mem::take(&mut self.by_name);
        order.sort_unstable_by(|a, b| self.compare(*a, *b));
        for organisation in &mut self.organisations {
            organisation.by_name.clear();
        }
        for &slot in &order {
            let organisation = self.row(slot).organisation as usize;
            self.organisations[organisation].by_name.push(slot);
        }
        self.by_name = order;
    }

    pub(super) fn remove_slot(&mut self, slot: u32) {
        let at = self
            .by_name
            .partition_point(|&other| self.compare(other, slot) == Ordering::Less);
        self.by_name.remove(at);
        let row = self.row(slot);
        let (organisation, name) = (row.organisation as usize, &row.name);
        let at = self.organisations[organisation]
            .by_name
            .partition_point(|&other| self.row(other).name < *name);
        self.organisations[organisation].by_name.remove(at);
        self.rows[slot as usize] = None;
        self.free.push(slot);
        self.version += 1;
    }

    fn place(&mut self, row: Row) -> u32 {
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
        a.name
            .cmp(&b.name)
            .then_with(|| self.organisation_name(a).cmp(self.organisation_name(b)))
    }

    fn describe(&self, row: &Row) -> Repository {
        let mut tags = Vec::new();
        row.tags.each(row.id, |name, _| tags.push(name.to_owned()));
        Repository {
            namespace: self.organisation_name(row).to_owned(),
            name: row.name.to_string(),
            category: self.category(row).to_owned(),
            description: row.description.as_deref().unwrap_or_default().to_owned(),
            size: row.size,
            is_public: row.is_public,
            num_download: row.downloads,
            created_nanos: row.created,
            updated_nanos: row.updated,
            tags,
        }
    }

    /// Takes everything but the identity over into a row.
    fn fill(&mut self, row: &mut Row, repository: Repository) {
        let known = self
            .categories
            .iter()
            .position(|category| *category == repository.category);
        let category = known.unwrap_or_else(|| {
            self.categories.push(repository.category);
            self.categories.len() - 1
        });
        // More than 255 categories would be a test of nothing; the last one stands for the rest.
        row.category = u8::try_from(category).unwrap_or(u8::MAX);
        row.description =
            (!repository.description.is_empty()).then(|| repository.description.into_boxed_str());
        row.size = repository.size;
        row.is_public = repository.is_public;
        row.downloads = repository.num_download;
        row.created = repository.created_nanos;
        row.updated = repository.updated_nanos;
        row.tags = Tags::Named(Box::new(repository.tags));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(world: &World) -> Vec<(String, String)> {
        world
            .repositories()
            .into_iter()
            .map(|r| (r.name, r.namespace))
            .collect()
    }

    #[test]
    fn the_order_by_name_and_organisation_survives_every_change() {
        let mut world = World::empty(1, 0);
        let mut rng = Rng::with_seed(3);
        for step in 0..2_000 {
            let (namespace, name) = (
                format!("org-{}", rng.u8(..4)),
                format!("repo/{}", rng.u8(..60)),
            );
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
        let by_organisation: usize = world.organisations.iter().map(|o| o.by_name.len()).sum();
        assert_eq!(by_organisation, world.len());
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
        assert_eq!((first.updated_nanos, first.size), (5, second.size));
        assert!(first.size > 0);
        assert_eq!(second.num_download, 3);
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
