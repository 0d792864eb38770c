//! What is known of every repository's tags and details, between listings and between processes.
//!
//! Each listing is laid beside the book: new repositories get a place, vanished ones lose theirs and with it their bytes,
//! and what has changed becomes an task. What an task brings is entered here. Pure: no calls, and the time is given.

mod entry;
mod images;
pub mod codec;

use super::plan::{ChangeStamp, FetchTask, LastRead};
use crate::model::layers::{Group, Layers};
use crate::model::pattern::Pattern;
use crate::model::tags::{Details, Reading};
use crate::model::{Repository, Snapshot, Timestamp};
use entry::{Entry, Kept, KnownDetails, Tags, Tries};
use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is wanted of each repository.
#[derive(Clone, Debug)]
pub struct TagOptions {
    /// Its tags.
    pub tags: bool,
    /// Its details.
    pub details: bool,
    /// Whose tags have series of their own.
    pub series: Option<Pattern>,
    /// No reading of tags gets older than this.
    pub full_interval: Duration,
}

/// The book. A place is a small number that belongs to a repository as long as it is listed.
#[derive(Debug)]
pub struct TagInventory {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Places in the order of the latest listing.
    order: Vec<u32>,
    groups: HashMap<Arc<str>, Group>,
    layers: Layers,
    next_serial: u32,
    /// Whether all repositories were known at some time: until then, bytes may belong to one that was not read yet.
    was_whole: bool,
}

impl Default for TagInventory {
    /// An empty one. Serials begin anywhere, so that an task from one book finds nobody in another.
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            order: Vec::new(),
            groups: HashMap::new(),
            layers: Layers::default(),
            next_serial: fastrand::u32(..),
            was_whole: false,
        }
    }
}

/// What a listing makes necessary.
#[derive(Debug, Default)]
pub struct Plan {
    /// What can be done now, the most urgent last.
    pub tasks: Vec<FetchTask>,
    /// What has failed before and has to wait.
    pub delayed: Vec<(Instant, FetchTask)>,
}

impl Plan {
    /// Repositories whose tags are known to be out of date.
    pub fn pending(&self) -> usize {
        let all = self.tasks.iter().chain(self.delayed.iter().map(|(_, task)| task));
        all.filter(|task| task.need.is_pending()).count()
    }
}

/// The repository that an task is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its organisation.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Box<str>,
    /// What the listing said when the task was begun.
    pub listed: ChangeStamp,
    created: Option<Timestamp>,
}

impl TagInventory {
    /// Lays a listing beside the book, whose order is its order from now on. `seconds` is the time since 1970, `now` the
    /// same moment on the monotonic clock.
    pub fn align(&mut self, listing: &Snapshot, wants: &TagOptions, seconds: u32, now: Instant) -> Plan {
        let before = std::mem::take(&mut self.order);
        let mut old = before.into_iter().peekable();
        let mut order = Vec::with_capacity(listing.repositories.len());
        let mut plan = Plan::default();
        for row in &listing.repositories {
            let found = loop {
                let Some(&place) = old.peek() else { break None };
                match self.at(place).key().cmp(&row.key()) {
                    Ordering::Less => {
                        old.next();
                        self.forget(place);
                    }
                    Ordering::Equal => {
                        old.next();
                        break Some(place);
                    }
                    Ordering::Greater => break None,
                }
            };
            let place = found.unwrap_or_else(|| self.place_for(row));
            order.push(place);
            let entry = self.at_mut(place);
            (entry.listed, entry.created) = (ChangeStamp::of(row), row.created);
            for need in entry.needs(wants, seconds) {
                let size = Reverse(entry.listed.size.unwrap_or(0));
                let task = FetchTask { need, size, place, serial: entry.serial };
                match entry.tries(need).not_before.filter(|until| *until > now) {
                    Some(until) => plan.delayed.push((until, task)),
                    None => plan.tasks.push(task),
                }
            }
        }
        for place in old {
            self.forget(place);
        }
        self.order = order;
        plan.tasks.sort_unstable_by(|a, b| b.cmp(a));
        plan
    }

    /// Whom an task is about; `None` when the repository has vanished meanwhile.
    pub fn subject(&self, task: &FetchTask) -> Option<Subject> {
        let entry = self.of(task)?;
        let (namespace, name) = (entry.namespace.clone(), entry.name.clone());
        Some(Subject { namespace, name, listed: entry.listed, created: entry.created })
    }

    /// Enters what the tags of a repository are, or that they cannot be had. Whether that is the listing's latest word.
    pub fn enter_tags(&mut self, task: &FetchTask, subject: &Subject, reading: Option<Reading>, seconds: u32) -> bool {
        let Some(entry) = self.entry_mut(task) else { return true };
        let is_latest = entry.listed == subject.listed;
        entry.tags_tries = Tries::default();
        let read = LastRead { mark: subject.listed, at: seconds };
        let group = entry.group;
        let blobs = reading.as_ref().map_or(&[][..], |reading| &reading.blobs);
        self.layers.set(task.place, group, blobs);
        let kept = reading.map(Kept::of);
        self.at_mut(task.place).tags = Some(Tags { read, kept });
        is_latest
    }

    /// Enters the details of a repository, or that there are none to be had.
    pub fn enter_details(&mut self, task: &FetchTask, subject: &Subject, details: Option<Details>) {
        if let Some(entry) = self.entry_mut(task) {
            entry.details_tries = Tries::default();
            entry.details = Some(KnownDetails { created: subject.created, details: details.map(Arc::new) });
        }
    }

    /// An task failed; says when it may be tried again, at intervals that double from `first` up to an hour.
    pub fn put_off(&mut self, task: &FetchTask, now: Instant, first: Duration) -> Instant {
        let Some(entry) = self.entry_mut(task) else { return now };
        let tries = entry.tries(task.need);
        tries.failed = tries.failed.saturating_add(1);
        let wait = first.saturating_mul(1 << (tries.failed - 1).min(16)).min(Duration::from_secs(3600));
        let until = now + wait;
        tries.not_before = Some(until);
        until
    }

    /// Repositories in the book.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Distinct layers and configurations.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// How many places there are, used or free.
    fn places(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("places are numbers of 32 bits")
    }

    fn entry(&self, place: u32) -> Option<&Entry> {
        self.entries.get(place as usize)?.as_ref()
    }

    /// Takes an entry from before a restart. The order has to be put right by [`TagInventory::sort`] before the next listing.
    fn restore(&mut self, row: &Repository, tags: Option<(LastRead, Option<Reading>)>, details: Option<KnownDetails>) {
        let place = self.place_for(row);
        self.order.push(place);
        let group = self.at(place).group;
        if let Some((read, reading)) = tags {
            self.layers.set(place, group, reading.as_ref().map_or(&[][..], |reading| &reading.blobs));
            self.at_mut(place).tags = Some(Tags { read, kept: reading.map(Kept::of) });
        }
        self.at_mut(place).details = details;
    }

    /// Lets go of series that nobody asks for any more; those that are asked for anew are read.
    pub(super) fn drop_unwanted_series(&mut self, wants: &TagOptions) {
        for entry in self.entries.iter_mut().flatten() {
            let wanted = wants.series.as_ref().is_some_and(|series| series.matches(&entry.namespace, &entry.name));
            if let Some(kept) = entry.tags.as_mut().and_then(|tags| tags.kept.as_mut())
                && !wanted
            {
                kept.series = None;
            }
        }
    }

    /// Puts restored entries in order; of two with one name the later one stays.
    fn sort(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.sort_by(|a, b| self.at(*a).key().cmp(&self.at(*b).key()).then(b.cmp(a)));
        order.dedup_by(|other, kept| {
            let same = self.at(*other).key() == self.at(*kept).key();
            if same {
                self.forget(*other);
            }
            same
        });
        self.order = order;
    }

    fn at(&self, place: u32) -> &Entry {
        self.entries[place as usize].as_ref().expect(LISTED)
    }

    fn at_mut(&mut self, place: u32) -> &mut Entry {
        self.entries[place as usize].as_mut().expect(LISTED)
    }

    fn of(&self, task: &FetchTask) -> Option<&Entry> {
        self.entry(task.place).filter(|entry| entry.serial == task.serial)
    }

    fn entry_mut(&mut self, task: &FetchTask) -> Option<&mut Entry> {
        self.entries.get_mut(task.place as usize)?.as_mut().filter(|entry| entry.serial == task.serial)
    }

    fn place_for(&mut self, row: &Repository) -> u32 {
        let (namespace, group) = match self.groups.get_key_value(&*row.namespace) {
            Some((name, group)) => (name.clone(), *group),
            None => {
                let group = u32::try_from(self.groups.len()).expect("fewer organisations than repositories");
                self.groups.insert(row.namespace.clone(), group);
                (row.namespace.clone(), group)
            }
        };
        self.next_serial = self.next_serial.wrapping_add(1);
        let entry = Entry {
            namespace,
            name: row.name.clone(),
            group,
            serial: self.next_serial,
            listed: ChangeStamp::of(row),
            created: row.created,
            tags: None,
            details: None,
            tags_tries: Tries::default(),
            details_tries: Tries::default(),
        };
        if let Some(place) = self.free.pop() {
            self.entries[place as usize] = Some(entry);
            return place;
        }
        self.entries.push(Some(entry));
        self.places() - 1
    }

    fn forget(&mut self, place: u32) {
        self.layers.release(place);
        self.entries[place as usize] = None;
        self.free.push(place);
    }
}

const LISTED: &str = "what is in the order has an entry";

#[cfg(test)]
#[path = "inventory/inventory_tests.rs"]
mod tests;
