//! Counts from a listing and the readings of all repositories.
//!
//! The readings are visited several times, so that not all of them have to be in memory: the first time to find out which
//! blobs may belong to several repositories. Only these go into a layer index; the others are counted where they are. The
//! tags of each rule take another visit.

use super::order::{Order, Picked, TagSteps};
use super::{
    Freed, FreedIn, Listed, NotPulled, NotPulledRow, Options, Readings, Report, RepositoryRow, RuleReport, STALE_DAYS,
    Scope, Totals,
};
use crate::model::layers::{Group, Layers};
use crate::model::reading::{KnownRepository, Reading};
use crate::model::tags::{Blob, seconds};
use crate::model::{RepositoryRef, Snapshot, Timestamp, Visibility};
use hashbrown::HashTable;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// Counts.
///
/// # Errors
/// Those of `readings`.
pub fn count(options: &Options, listing: &Snapshot, readings: &mut Readings<'_>) -> anyhow::Result<Report> {
    let mut counter = Counter::new(options, listing, Candidates::find(listing, readings)?);
    readings(&mut |known| {
        if let Some(index) = index_of(listing, &known) {
            counter.add(index, known);
        }
    })?;
    let mut steps = Vec::new();
    if let Some(most) = options.tags {
        // One rule after the other, because the order of a rule's tags takes the most memory.
        for rule in 0..options.reclaim.rules.len() {
            let mut order = Order::with_capacity(counter.picked(rule));
            readings(&mut |known| {
                if let Some(index) = index_of(listing, &known) {
                    counter.pick_tags(rule, index, known, &mut order);
                }
            })?;
            steps.push(order.steps(most, listing.repositories.clone()));
        }
    }
    Ok(counter.finish(steps))
}

fn index_of(listing: &Snapshot, known: &KnownRepository) -> Option<usize> {
    let key = (&*known.namespace, &*known.name);
    listing.repositories.find(key)
}

/// The blobs that may belong to several repositories, by a part of their digest.
struct Candidates(HashTable<u64>);

impl Candidates {
    fn find(listing: &Snapshot, readings: &mut Readings<'_>) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        readings(&mut |known| {
            let is_listed = index_of(listing, &known).is_some();
            if let Some((_, reading)) = known.tags.filter(|_| is_listed) {
                all.extend(reading.blobs.iter().map(part));
            }
        })?;
        all.sort_unstable();
        let mut several = HashTable::new();
        for equal in all.chunk_by(|a, b| a == b).filter(|equal| equal.len() > 1) {
            several.insert_unique(spread(equal[0]), equal[0], |part| spread(*part));
        }
        Ok(Self(several))
    }

    fn has(&self, blob: &Blob) -> bool {
        let part = part(blob);
        self.0.find(spread(part), |other| *other == part).is_some()
    }
}

/// Half of the digest's first half. Two blobs with the same part are told apart by the layer index.
fn part(blob: &Blob) -> u64 {
    u64::from_le_bytes(*blob.digest.0.first_chunk().expect("a digest is longer")) ^ blob.size
}

fn spread(part: u64) -> u64 {
    part.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What is counted of one repository.
#[derive(Clone, Default)]
struct Counted {
    is_read: bool,
    tags: u64,
    retention_rules: Option<u32>,
    group: Group,
    /// Bytes of the blobs that are no candidates.
    own_bytes: u128,
    /// By rule, the picked tags and bytes of such blobs.
    freed: Box<[Freed]>,
}

struct Counter<'a> {
    options: &'a Options,
    listing: &'a Snapshot,
    candidates: Candidates,
    layers: Layers,
    repositories: Vec<Counted>,
    groups: Vec<Arc<str>>,
    totals: Totals,
    oldest_reading: Option<u32>,
    knows_retention: bool,
    now: u32,
}

impl<'a> Counter<'a> {
    fn new(options: &'a Options, listing: &'a Snapshot, candidates: Candidates) -> Self {
        let mut layers = Layers::default();
        layers.set_rules(options.reclaim.rules.len());
        let mut repositories = Vec::with_capacity(listing.repositories.len());
        let mut groups: Vec<Arc<str>> = Vec::new();
        for sums in listing.namespace_sums() {
            let group = number(groups.len());
            groups.push(sums.name.clone());
            repositories.extend((0..sums.repositories).map(|_| Counted { group, ..Counted::default() }));
        }
        let totals = Totals {
            organizations: groups.len() as u64,
            repositories: repositories.len() as u64,
            listed_bytes: listing.repositories.iter().filter_map(|row| row.size).map(u128::from).sum(),
            ..Totals::default()
        };
        let now = seconds(options.now);
        let (oldest_reading, knows_retention) = (None, false);
        Self {
            options,
            listing,
            candidates,
            layers,
            repositories,
            groups,
            totals,
            oldest_reading,
            knows_retention,
            now,
        }
    }

    fn add(&mut self, index: usize, known: KnownRepository) {
        let counted = &mut self.repositories[index];
        counted.retention_rules = known.retention_rules;
        self.knows_retention |= known.retention_rules.is_some();
        let Some((read_at, reading)) = known.tags else { return };
        self.oldest_reading = Some(self.oldest_reading.map_or(read_at, |oldest| oldest.min(read_at)));
        self.totals.tags += u64::from(reading.totals.tags);
        self.totals.unlayered += u64::from(reading.totals.unlayered);
        (counted.is_read, counted.tags) = (true, reading.totals.tags.into());
        let mut shared = Vec::new();
        // How many of the candidates come before each position at which a rule ends.
        let picks = picks(self.options, self.listing, self.now, index, &reading);
        let mut shared_picks = vec![0; picks.len()];
        counted.freed = picks.iter().map(|(tags, _)| Freed { tags: (*tags).into(), bytes: 0 }).collect();
        for (position, blob) in (0u32..).zip(&reading.blobs) {
            let is_shared = self.candidates.has(blob);
            if is_shared {
                shared.push(*blob);
            } else {
                counted.own_bytes += u128::from(blob.size);
            }
            for ((_, end), (freed, shared_end)) in picks.iter().zip(counted.freed.iter_mut().zip(&mut shared_picks)) {
                match (position < *end, is_shared) {
                    (true, true) => *shared_end += 1,
                    (true, false) => freed.bytes += u128::from(blob.size),
                    (false, _) => {}
                }
            }
        }
        let owner = number(index);
        self.layers.set(owner, counted.group, &shared);
        shared_picks.into_iter().enumerate().for_each(|(rule, end)| self.layers.pick(owner, rule, end));
    }

    /// The number of tags that a rule picks.
    fn picked(&self, rule: usize) -> u64 {
        self.repositories.iter().filter_map(|counted| counted.freed.get(rule)).map(|freed| freed.tags).sum()
    }

    fn pick_tags(&self, rule: usize, index: usize, known: KnownRepository, order: &mut Order) {
        let Some((_, reading)) = known.tags else { return };
        let (tags, end) = picks(self.options, self.listing, self.now, index, &reading)[rule];
        if tags == 0 {
            return;
        }
        let picked = reading.list.tags().take(tags as usize);
        let picked = picked.map(|tag| Picked { name: tag.name, dated: tag.dated, blobs: tag.blobs().collect() });
        let blobs = reading.blobs.iter().take(end as usize);
        // A blob that others may share goes only if the index says so.
        let blobs = blobs.map(|blob| match self.candidates.has(blob) {
            true => self.layers.freed(blob, rule).map(|slot| (blob.size, Some(slot))),
            false => Some((blob.size, None)),
        });
        order.add(number(index), picked.collect(), &blobs.collect::<Vec<_>>());
    }

    fn finish(mut self, steps: Vec<TagSteps>) -> Report {
        let own_bytes: u128 = self.repositories.iter().map(|counted| counted.own_bytes).sum();
        self.totals.stored_bytes = own_bytes + self.layers.total();
        self.totals.unread = self.repositories.iter().filter(|counted| !counted.is_read).count() as u64;
        let mut steps = steps.into_iter();
        let rules = (0..self.options.reclaim.rules.len()).map(|rule| self.rule(rule, steps.next())).collect();
        let is_stale = |row: RepositoryRef<'_>| {
            let limit = i64::from(self.now) - i64::from(STALE_DAYS) * 86_400;
            row.updated.is_some_and(|updated| updated.parts().0 < limit)
        };
        let size = |index: usize| {
            let counted = &self.repositories[index];
            let stored = || counted.own_bytes + self.layers.unique(number(index));
            let listed = u128::from(self.listing.repositories.get(index).size.unwrap_or(0));
            if counted.is_read { stored() } else { listed }
        };
        let exclusive = |index: usize| self.row(index).exclusive_bytes.unwrap_or(0);
        Report {
            account: self.options.account.clone(),
            made_at: self.options.now,
            listed_at: self.listing.read_at,
            oldest_reading: self.oldest_reading.map(|second| Timestamp(i64::from(second) * 1_000_000_000)),
            is_offline: self.options.is_offline,
            only: self.options.only.clone(),
            totals: self.totals,
            rules,
            largest: self.list(|_| true, size),
            stale: self.list(|index| is_stale(self.listing.repositories.get(index)), exclusive),
            public: self
                .list(|index| self.listing.repositories.get(index).visibility == Some(Visibility::Public), size),
            not_pulled: self.not_pulled(),
            without_retention: self
                .knows_retention
                .then(|| self.list(|index| self.repositories[index].retention_rules == Some(0), size)),
        }
    }

    fn rule(&self, rule: usize, tags: Option<TagSteps>) -> RuleReport {
        let mut total = Freed { tags: 0, bytes: self.layers.reclaimable_in_all(rule) };
        let group = |group| Freed { tags: 0, bytes: self.layers.reclaimable_in_group(group, rule) };
        let mut organizations: Vec<_> = (0..self.groups.len()).map(|index| (index, group(number(index)))).collect();
        let mut repositories = Vec::new();
        for (index, counted) in self.repositories.iter().enumerate() {
            let Some(own) = counted.freed.get(rule) else { continue };
            for sum in [&mut total, &mut organizations[counted.group as usize].1] {
                sum.tags += own.tags;
                sum.bytes += own.bytes;
            }
            let bytes = own.bytes + self.layers.reclaimable(number(index), rule);
            repositories.push((index, Freed { tags: own.tags, bytes }));
        }
        let organization = |index: usize| Scope { namespace: self.groups[index].clone(), repository: None };
        let (organizations, more_organizations) = self.most_freed(organizations, organization);
        let (repositories, more_repositories) = self.most_freed(repositories, |index| self.name(index));
        let listed = tags.as_ref().map(TagSteps::freed);
        RuleReport {
            rule: self.options.reclaim.rules[rule],
            total,
            organizations,
            more_organizations,
            repositories,
            more_repositories,
            more_tags: listed.map_or_else(Freed::default, |listed| Freed {
                tags: total.tags - listed.tags,
                bytes: total.bytes.saturating_sub(listed.bytes),
            }),
            tags,
        }
    }

    /// The first of those that free something, those first that free most, and the number of the others.
    fn most_freed(&self, mut all: Vec<(usize, Freed)>, name: impl Fn(usize) -> Scope) -> (Vec<FreedIn>, usize) {
        all.retain(|(_, freed)| freed.bytes > 0);
        all.sort_by_key(|(_, freed)| Reverse(freed.bytes));
        let more = all.len().saturating_sub(self.options.top);
        all.truncate(self.options.top);
        (all.into_iter().map(|(index, freed)| FreedIn { name: name(index), freed }).collect(), more)
    }

    /// The first repositories of those that a list is about, the largest by `key` first.
    fn list(&self, is_about: impl Fn(usize) -> bool, key: impl Fn(usize) -> u128) -> Listed {
        let is_within = |index: &usize| {
            let row = self.listing.repositories.get(*index);
            self.options.only.as_ref().is_none_or(|only| only.contains(row.namespace, row.name)) && is_about(*index)
        };
        let mut all: Vec<(Reverse<u128>, usize)> =
            (0..self.repositories.len()).filter(is_within).map(|index| (Reverse(key(index)), index)).collect();
        all.sort_unstable();
        let sizes = all.iter().filter_map(|(_, index)| self.listing.repositories.get(*index).size);
        Listed {
            count: all.len() as u64,
            listed_bytes: sizes.map(u128::from).sum(),
            rows: all.iter().take(self.options.top).map(|(_, index)| self.row(*index)).collect(),
        }
    }

    /// Repositories of the Enterprise Edition. One without artifacts has nothing to pull.
    fn not_pulled(&self) -> Option<NotPulled> {
        self.listing.artifacts.complete_at?;
        let limit = i64::from(self.now) - i64::from(STALE_DAYS) * 86_400;
        let (enterprise, artifacts) = (&self.listing.enterprise, &self.listing.artifacts);
        let instances = enterprise.instances.iter().flat_map(|instances| &instances.value);
        let names: HashMap<&str, &Arc<str>> = instances.map(|instance| (&*instance.id, &instance.name)).collect();
        let mut rows = Vec::new();
        for repository in enterprise.repositories.iter().flat_map(|rows| &rows.value) {
            let Some(known) = artifacts.of(repository) else { continue };
            if known.pulled.is_none_or(|pulled| pulled.parts().0 < limit) {
                let name = Scope { namespace: repository.namespace.clone(), repository: Some(repository.name.clone()) };
                let instance = names.get(&*repository.instance).copied().unwrap_or(&repository.instance).clone();
                rows.push(NotPulledRow { instance, name, bytes: known.size, pulled: known.pulled });
            }
        }
        rows.sort_by_key(|row| Reverse(row.bytes));
        let bytes = rows.iter().filter_map(|row| row.bytes).map(u128::from).sum();
        let count = rows.len() as u64;
        rows.truncate(self.options.top);
        Some(NotPulled { rows, count, bytes })
    }

    fn row(&self, index: usize) -> RepositoryRow {
        let (row, counted) = (self.listing.repositories.get(index), &self.repositories[index]);
        let owner = number(index);
        RepositoryRow {
            name: self.name(index),
            listed_bytes: row.size,
            stored_bytes: counted.is_read.then(|| counted.own_bytes + self.layers.unique(owner)),
            exclusive_bytes: counted.is_read.then(|| counted.own_bytes + self.layers.exclusive(owner)),
            tags: if counted.is_read { Some(counted.tags) } else { row.images },
            updated: row.updated,
            visibility: row.visibility,
            retention_rules: counted.retention_rules,
        }
    }

    fn name(&self, index: usize) -> Scope {
        let row = self.listing.repositories.get(index);
        Scope { namespace: row.namespace.clone(), repository: Some(row.name.into()) }
    }
}

/// For each rule how many tags, and of the blobs those that only these need, are picked in a repository.
fn picks(options: &Options, listing: &Snapshot, now: u32, index: usize, reading: &Reading) -> Vec<(u32, u32)> {
    let row = listing.repositories.get(index);
    let is_within = options.only.as_ref().is_none_or(|only| only.contains(row.namespace, row.name));
    let picks = reading.list.picks(&options.reclaim.rules, now).by_rule;
    if is_within { picks } else { vec![(0, 0); picks.len()] }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("there are fewer repositories")
}
