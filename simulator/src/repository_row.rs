//! One repository: the public description, and the compact row that the world stores.

use super::image::{self, Recipe, mix};
use super::names;

/// A repository. The world stores a smaller form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Organization.
    pub namespace: String,
    /// Name within the organization; may contain `/`.
    pub name: String,
    /// Category, such as `app_server` or `linux`.
    pub category: String,
    /// Description, often empty.
    pub description: String,
    /// Bytes, the sum over all tags.
    pub size: u64,
    /// Whether anybody may pull.
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

/// A rule by which the service deletes tags by itself. A repository has at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionRule {
    /// Tags older than so many days are deleted.
    Days(u16),
    /// All but so many tags are deleted.
    Newest(u16),
}

/// One repository, stored.
#[derive(Clone, Debug)]
pub(super) struct RepositoryRow {
    pub(super) id: u32,
    pub(super) organization: u32,
    pub(super) category: u8,
    pub(super) is_public: bool,
    pub(super) name: Box<str>,
    pub(super) description: Option<Box<str>>,
    pub(super) size: u64,
    pub(super) downloads: u64,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) tags: Tags,
    /// Index into [`names::CREATORS`].
    pub(super) creator: u8,
    /// See [`Recipe::layer_bytes`]. More than 0 in a repository that follows a plan.
    pub(super) layer_bytes: u64,
    pub(super) retention: Option<RetentionRule>,
    /// Images pushed since creation of the row: number and time. Times of others follow from `settled`.
    pushes: Vec<(u32, i64)>,
    /// The newest image at creation of the row, and its time.
    settled: (u32, i64),
    /// Time between two images up to the settled one.
    gap: i64,
}

/// Least time between two images.
const HOUR: i64 = 3_600_000_000_000;

impl RepositoryRow {
    /// An empty row.
    pub(super) fn new(id: u32, organization: u32, name: Box<str>, now: i64) -> Self {
        Self {
            id,
            organization,
            category: 0,
            is_public: false,
            name,
            description: None,
            size: 0,
            downloads: 0,
            created: now,
            updated: now,
            tags: Tags::Named(Vec::new()),
            creator: names::creator_of(id),
            layer_bytes: 0,
            retention: None,
            pushes: Vec::new(),
            settled: (0, now),
            gap: HOUR,
        }
    }

    /// What its images are generated from.
    pub(super) fn recipe(&self) -> Recipe {
        Recipe { repository: self.id, layer_bytes: self.layer_bytes }
    }

    /// Sum of the tags' sizes, shared layers counted each time.
    pub(super) fn tag_bytes(&self) -> u64 {
        let image = |number| image::bytes(self.recipe(), number);
        match &self.tags {
            Tags::Numbered { first, count, latest } => {
                let newest = if *latest { image(first + count.saturating_sub(1)) } else { 0 };
                (*first..first + count).map(image).sum::<u64>() + newest
            }
            Tags::Named(tags) => tags.iter().map(|(_, number)| image(*number)).sum(),
        }
    }

    /// Dates the newest image at the row's last update, and spreads the earlier ones back to its creation.
    pub(super) fn settle(&mut self) {
        self.settled = (self.tags.newest(), self.updated);
        let images = i64::try_from(self.tags.count()).unwrap_or(i64::MAX).max(1);
        self.gap = (self.updated.saturating_sub(self.created) / images).max(HOUR);
        self.pushes.clear();
    }

    /// Records a push.
    pub(super) fn note_push(&mut self, number: u32, time: i64) {
        match self.pushes.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(place) => self.pushes[place].1 = time,
            Err(place) => self.pushes.insert(place, (number, time)),
        }
        if self.pushes.len() > MAX_PUSHES {
            self.pushes.remove(0);
        }
    }

    /// Push time of an image; later pushes do not change it.
    pub(super) fn pushed_at(&self, number: u32) -> i64 {
        if let Ok(place) = self.pushes.binary_search_by_key(&number, |(number, _)| *number) {
            return self.pushes[place].1;
        }
        let (newest, time) = self.settled;
        time.saturating_sub(i64::from(newest.saturating_sub(number)).saturating_mul(self.gap)).max(self.created)
    }

    /// Time of an image's latest download before `now`; `None` if there was none. Images of one in four repositories
    /// were last pulled within a month of their push, those of the others within days of `now`.
    pub(super) fn pulled_at(&self, number: u32, now: i64) -> Option<i64> {
        let character = mix(u64::from(self.id) ^ 0xd0_17);
        let draw = mix(character ^ u64::from(number));
        if self.downloads == 0 || draw.is_multiple_of(8) {
            return None;
        }
        let pushed = self.pushed_at(number);
        let hours = |most: u64| i64::try_from(draw >> 8).unwrap_or_default() % i64::try_from(most).unwrap_or(1) * HOUR;
        let pulled = if character.is_multiple_of(4) { pushed + hours(30 * 24) } else { now - hours(5 * 24) };
        Some(pulled.clamp(pushed, now.max(pushed)))
    }
}

/// Pushes kept; no generated repository has more tags.
const MAX_PUSHES: usize = 400;

/// The tags of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// Images `first` to `first + count`, with names derived from their numbers, and perhaps `latest`.
    Numbered { first: u32, count: u32, latest: bool },
    /// Given names, each with the number of its image.
    Named(Vec<(String, u32)>),
}

/// Sort columns of the listing.
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

    /// Calls `visit` with each tag's name and image number.
    pub(super) fn each(&self, repository: u32, mut visit: impl FnMut(&str, u32)) {
        match self {
            Self::Numbered { first, count, latest } => {
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
            Self::Named(tags) => {
                for (name, number) in tags {
                    visit(name, *number);
                }
            }
        }
    }

    /// The tags as an editable list.
    pub(super) fn named(&self, repository: u32) -> Vec<(String, u32)> {
        let mut tags = Vec::new();
        self.each(repository, |name, number| tags.push((name.to_owned(), number)));
        tags
    }

    /// The number of the newest image.
    fn newest(&self) -> u32 {
        match self {
            Self::Numbered { first, count, .. } => (first + count).saturating_sub(1),
            Self::Named(tags) => tags.iter().map(|(_, number)| *number).max().unwrap_or_default(),
        }
    }

    /// Removes a tag; returns whether it existed.
    pub(super) fn remove(&mut self, repository: u32, tag: &str) -> bool {
        let mut tags = self.named(repository);
        let before = tags.len();
        tags.retain(|(name, _)| name != tag);
        let was_there = tags.len() < before;
        *self = Self::Named(tags);
        was_there
    }

    /// Points a tag, new or existing, to the image of another; returns whether that one existed.
    pub(super) fn move_to(&mut self, repository: u32, tag: &str, other: &str) -> bool {
        let mut tags = self.named(repository);
        let Some(number) = tags.iter().find(|(name, _)| name == other).map(|(_, number)| *number) else { return false };
        match tags.iter_mut().find(|(name, _)| name == tag) {
            Some((_, image)) => *image = number,
            None => tags.push((tag.to_owned(), number)),
        }
        *self = Self::Named(tags);
        true
    }

    /// Pushes a new image under a tag, new or existing; returns the image's number.
    pub(super) fn push(&mut self, repository: u32, tag: &str) -> u32 {
        let mut tags = self.named(repository);
        let number = tags.iter().map(|(_, number)| number + 1).max().unwrap_or_default();
        match tags.iter_mut().find(|(name, _)| name == tag) {
            Some((_, image)) => *image = number,
            None => tags.push((tag.to_owned(), number)),
        }
        *self = Self::Named(tags);
        number
    }
}
