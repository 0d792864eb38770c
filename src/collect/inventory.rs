//! The inventory of what was fetched of every repository, between listings and between processes.
//!
//! Each listing is compared with the inventory: new repositories get a slot, repositories that are gone lose theirs and
//! with it their layers, and changed ones become fetch tasks. The results are stored here. Pure: no calls, and the time is a
//! parameter.

mod entry;
mod images;
pub mod records;

use super::fetch_task::{ChangeStamp, FetchKind, FetchTask, LastRead, PerKind};
use crate::base::backoff::Backoff;
use crate::model::layers::{Group, Layers};
use crate::model::pattern::Pattern;
use crate::model::reading::Reading;
use crate::model::reclaim::{Reclaim, Rule};
use crate::model::tag_list::IndexedImage;
use crate::model::tags::Details;
use crate::model::{Repository, RepositoryRef, Snapshot, Timestamp};
use entry::{ByTime, FetchFailures, InventoryEntry, KnownDetails, KnownRetention, KnownTags, TagSummary};
use records::EntryRecord;
use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is collected of each repository.
#[derive(Clone, Debug)]
pub struct TagOptions {
    /// Whether each kind is collected.
    pub enabled: PerKind<bool>,
    /// The repositories whose tags have series of their own.
    pub series: Option<Pattern>,
    /// The maximum age of a reading of tags and of retention rules, as far as the rate of calls allows.
    pub full_interval: Duration,
    /// The clean-up rules.
    pub reclaim: Reclaim,
}

impl Default for TagOptions {
    fn default() -> Self {
        let full_interval = Duration::from_secs(24 * 3600);
        Self { enabled: PerKind::default(), series: None, full_interval, reclaim: Reclaim::default() }
    }
}

impl TagOptions {
    /// The kinds that are collected.
    pub fn kinds(&self) -> impl Iterator<Item = FetchKind> {
        FetchKind::ALL.into_iter().filter(|kind| self.enabled[*kind])
    }
}

/// The inventory. A slot is a small number that belongs to a repository as long as it is listed.
#[derive(Debug)]
pub struct TagInventory {
    entries: Vec<Option<InventoryEntry>>,
    free: Vec<u32>,
    /// Slots in the order of the latest listing.
    order: Vec<u32>,
    groups: HashMap<Arc<str>, NamespaceGroup>,
    free_groups: Vec<Group>,
    layers: Layers,
    /// The memory that lists and series of tags take.
    tag_bytes: usize,
    /// The rules that have picked blobs in `layers`.
    rules: Arc<[Rule]>,
    /// The tags that no rule picks, by which the lists of tags are ordered.
    keep: Option<Pattern>,
    next_generation: u32,
    /// Whether all repositories were known at some time. Until then, a layer may belong to a repository not read yet.
    was_complete: bool,
}

#[derive(Debug)]
struct NamespaceGroup {
    group: Group,
    repositories: u32,
}

impl Default for TagInventory {
    /// An empty inventory. Generations start at random, so that a task of one inventory matches nothing in another.
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            order: Vec::new(),
            groups: HashMap::new(),
            free_groups: Vec::new(),
            layers: Layers::default(),
            tag_bytes: 0,
            rules: Arc::default(),
            keep: None,
            next_generation: fastrand::u32(..),
            was_complete: false,
        }
    }
}

/// The fetches that a listing makes necessary.
#[derive(Debug, Default)]
pub struct Plan {
    /// Tasks that can be done now, the most urgent last.
    pub tasks: Vec<FetchTask>,
    /// Tasks that failed before and have to wait.
    pub delayed: Vec<(Instant, FetchTask)>,
}

impl Plan {
    /// The number of repositories whose tags are known to be out of date.
    pub fn pending(&self) -> usize {
        let all = self.tasks.iter().chain(self.delayed.iter().map(|(_, task)| task));
        all.filter(|task| task.is_pending()).count()
    }
}

/// The repository of a task, as the listing showed it when the task began.
#[derive(Clone, Debug)]
pub struct FetchSubject {
    /// The organization.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Box<str>,
    /// The change stamp.
    pub listed: ChangeStamp,
    /// The images below indexes, as they were last read.
    pub indexed: Vec<IndexedImage>,
    created: Option<Timestamp>,
}

/// What was fetched of a repository; `None` if it has none that can be read.
#[derive(Debug)]
pub enum Fetched {
    /// Its tags.
    Tags(Option<Reading>),
    /// Its details.
    Details(Option<Details>),
    /// The number of its retention rules.
    Retention(Option<u32>),
}

impl Fetched {
    /// That there is nothing to read.
    pub fn nothing(kind: FetchKind) -> Self {
        match kind {
            FetchKind::Tags => Self::Tags(None),
            FetchKind::Details => Self::Details(None),
            FetchKind::Retention => Self::Retention(None),
        }
    }
}

impl TagInventory {
    /// Compares a listing with the inventory, which takes on its order. `seconds` is the time since 1970, `now` the same
    /// moment on the monotonic clock.
    pub fn update(&mut self, listing: &Snapshot, options: &TagOptions, seconds: u32, now: Instant) -> Plan {
        let mut old = std::mem::take(&mut self.order).into_iter().peekable();
        let mut order = Vec::with_capacity(listing.repositories.len());
        let mut plan = Plan::default();
        for row in listing.repositories.iter() {
            let found = loop {
                let Some(&slot) = old.peek() else { break None };
                match self.at(slot).key().cmp(&row.key()) {
                    Ordering::Less => {
                        old.next();
                        self.remove(slot);
                    }
                    Ordering::Equal => break old.next(),
                    Ordering::Greater => break None,
                }
            };
            let slot = found.unwrap_or_else(|| self.insert(row));
            order.push(slot);
            let entry = self.at_mut(slot);
            (entry.listed, entry.created) = (ChangeStamp::of(row), row.created);
            for (need, kind) in entry.needs(options, seconds) {
                let size = Reverse(entry.listed.size.unwrap_or(0));
                let task = FetchTask { need, kind, size, slot, generation: entry.generation };
                match entry.failures[kind].not_before.filter(|until| *until > now) {
                    Some(until) => plan.delayed.push((until, task)),
                    None => plan.tasks.push(task),
                }
            }
        }
        for slot in old {
            self.remove(slot);
        }
        self.order = order;
        plan.tasks.sort_unstable_by(|a, b| b.cmp(a));
        plan
    }

    /// The repository of a task; `None` when it is gone.
    pub fn subject(&self, task: &FetchTask) -> Option<FetchSubject> {
        let entry = self.entry(task.slot).filter(|entry| entry.generation == task.generation)?;
        let (namespace, name) = (entry.namespace.clone(), entry.name.clone());
        let has_images = entry.summary().is_some_and(|summary| summary.list.has_images());
        let reading = if has_images { self.reading_of(task.slot) } else { None };
        let indexed = reading.map(|reading| reading.list.unpack(&reading.blobs).1).unwrap_or_default();
        Some(FetchSubject { namespace, name, listed: entry.listed, indexed, created: entry.created })
    }

    /// Stores what was fetched. Returns whether it matches the latest listing.
    pub fn store(&mut self, task: &FetchTask, subject: &FetchSubject, fetched: Fetched, seconds: u32) -> bool {
        let Some(entry) = self.entry_mut(task) else { return true };
        entry.failures[task.kind] = FetchFailures::default();
        let created = subject.created;
        match fetched {
            Fetched::Tags(reading) => {
                let is_latest = entry.listed == subject.listed;
                self.set_tags(task.slot, LastRead { stamp: subject.listed, at: seconds }, reading);
                return is_latest;
            }
            Fetched::Details(details) => {
                entry.details = Some(KnownDetails { created, details: details.map(Arc::new) });
            }
            Fetched::Retention(rules) => entry.retention = Some(KnownRetention { created, at: seconds, rules }),
        }
        true
    }

    /// Records that a task failed, and returns when it may be tried again: after `first`, doubled by each failure, up to an
    /// hour.
    pub fn delay(&mut self, task: &FetchTask, now: Instant, first: Duration) -> Instant {
        let Some(entry) = self.entry_mut(task) else { return now };
        let failures = &mut entry.failures[task.kind];
        failures.count = failures.count.saturating_add(1);
        let until = now + Backoff::new(first, Duration::from_secs(3600)).delay(failures.count);
        failures.not_before = Some(until);
        until
    }

    /// The number of repositories.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are no repositories.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Distinct layers and configurations.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The number of slots, used or free.
    fn slots(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("slots are numbers of 32 bits")
    }

    fn entry(&self, slot: u32) -> Option<&InventoryEntry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    /// Adds an entry from before a restart. [`TagInventory::sort`] has to follow before the next listing.
    fn restore(&mut self, record: EntryRecord, by_time: Option<ByTime>) {
        let row = Repository { name: record.name, ..Repository::unknown(record.namespace) };
        let slot = self.insert(row.as_ref());
        self.order.push(slot);
        if let Some((read, reading)) = record.tags {
            self.set_tags(slot, read, reading);
        }
        let entry = self.entries[slot as usize].as_mut().expect(LISTED);
        if let (Some(summary), Some(by_time)) = (entry.summary_mut(), by_time) {
            summary.set_time(by_time, slot, &mut self.layers);
        }
        (entry.details, entry.retention) = (record.details, record.retention);
    }

    fn set_tags(&mut self, slot: u32, read: LastRead, reading: Option<Reading>) {
        let group = self.at(slot).group;
        self.tag_bytes -= self.tag_bytes_of(slot);
        self.layers.set(slot, group, reading.as_ref().map_or(&[][..], |reading| &reading.blobs));
        self.at_mut(slot).tags = Some(KnownTags { read, summary: reading.map(TagSummary::of) });
        self.tag_bytes += self.tag_bytes_of(slot);
    }

    fn reading_of(&self, slot: u32) -> Option<Reading> {
        let summary = self.entry(slot)?.summary()?;
        Some(Reading {
            totals: summary.totals,
            list: summary.list.clone(),
            blobs: self.layers.blobs(slot).collect(),
            series: summary.series.clone(),
        })
    }

    /// The memory that lists and series of tags take.
    pub fn tag_bytes(&self) -> usize {
        self.tag_bytes
    }

    /// The memory that the list and the series of one repository's tags take.
    pub fn tag_bytes_of(&self, slot: u32) -> usize {
        self.entry(slot).and_then(InventoryEntry::summary).map_or(0, TagSummary::bytes)
    }

    /// Adapts what earlier settings left: drops tag series that are no longer wanted, and orders tags by the ones that no rule
    /// picks. Series that become wanted are fetched.
    pub(super) fn adapt(&mut self, options: &TagOptions) {
        for entry in self.entries.iter_mut().flatten() {
            let wanted = options.series.as_ref().is_some_and(|series| series.matches(&entry.namespace, &entry.name));
            entry.summary_mut().filter(|_| !wanted).into_iter().for_each(|summary| summary.series = None);
        }
        self.tag_bytes = (0..self.slots()).map(|slot| self.tag_bytes_of(slot)).sum();
        if self.keep == options.reclaim.keep {
            return;
        }
        self.keep.clone_from(&options.reclaim.keep);
        for slot in 0..self.slots() {
            let read = self.entry(slot).and_then(|entry| entry.tags.as_ref()).map(|tags| tags.read);
            if let (Some(read), Some(reading)) = (read, self.reading_of(slot)) {
                let reading = reading.keeping(self.keep.as_ref());
                self.set_tags(slot, read, Some(reading));
            }
        }
    }

    /// Sorts restored entries; of two with the same name the later one stays.
    fn sort(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.sort_by(|a, b| self.at(*a).key().cmp(&self.at(*b).key()).then(b.cmp(a)));
        order.dedup_by(|other, kept| {
            let is_same = self.at(*other).key() == self.at(*kept).key();
            if is_same {
                self.remove(*other);
            }
            is_same
        });
        self.order = order;
    }

    fn at(&self, slot: u32) -> &InventoryEntry {
        self.entries[slot as usize].as_ref().expect(LISTED)
    }

    fn at_mut(&mut self, slot: u32) -> &mut InventoryEntry {
        self.entries[slot as usize].as_mut().expect(LISTED)
    }

    fn entry_mut(&mut self, task: &FetchTask) -> Option<&mut InventoryEntry> {
        self.entries.get_mut(task.slot as usize)?.as_mut().filter(|entry| entry.generation == task.generation)
    }

    fn insert(&mut self, row: RepositoryRef<'_>) -> u32 {
        let (namespace, group) = self.group_of(row.namespace);
        self.next_generation = self.next_generation.wrapping_add(1);
        let entry = Some(InventoryEntry::new(namespace, group, self.next_generation, row));
        if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = entry;
            return slot;
        }
        self.entries.push(entry);
        self.slots() - 1
    }

    /// The organization's name, as all its entries share it, and its group, for one more repository.
    fn group_of(&mut self, namespace: &Arc<str>) -> (Arc<str>, Group) {
        let name = self.groups.get_key_value(namespace).map_or(namespace, |(name, _)| name).clone();
        let count = u32::try_from(self.groups.len()).expect("fewer organizations than repositories");
        let known = self.groups.entry(name.clone()).or_insert_with(|| {
            let group = self.free_groups.pop().unwrap_or(count);
            NamespaceGroup { group, repositories: 0 }
        });
        known.repositories += 1;
        (name, known.group)
    }

    /// Removes a repository, and its organization with the last one.
    fn remove(&mut self, slot: u32) {
        self.tag_bytes -= self.tag_bytes_of(slot);
        self.layers.release(slot);
        let entry = self.entries[slot as usize].take().expect(LISTED);
        self.free.push(slot);
        if let Some(known) = self.groups.get_mut(&entry.namespace) {
            known.repositories -= 1;
            if known.repositories == 0 {
                self.free_groups.push(known.group);
                self.groups.remove(&entry.namespace);
            }
        }
    }
}

const LISTED: &str = "a slot in the order has an entry";

#[cfg(test)]
#[path = "inventory/inventory_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "inventory/reclaim_tests.rs"]
mod reclaim_tests;
