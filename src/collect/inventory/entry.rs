//! The inventory's entry of one repository.

use super::TagOptions;
use crate::collect::fetch_task::{ChangeStamp, FetchKind, LastRead, Need, PerKind, is_due, need_of_tags};
use crate::model::layers::{Group, Layers};
use crate::model::reading::Reading;
use crate::model::reclaim::Rule;
use crate::model::tag_list::TagList;
use crate::model::tags::{Details, TagSeries, TagTotals, by_age};
use crate::model::{RepositoryRef, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct InventoryEntry {
    pub(super) namespace: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) group: Group,
    pub(super) generation: u32,
    /// The change stamp in the latest listing.
    pub(super) listed: ChangeStamp,
    pub(super) created: Option<Timestamp>,
    pub(super) tags: Option<KnownTags>,
    pub(super) details: Option<KnownDetails>,
    pub(super) retention: Option<KnownRetention>,
    pub(super) failures: PerKind<FetchFailures>,
}

#[derive(Debug)]
pub(super) struct KnownTags {
    pub(super) read: LastRead,
    /// `None` when the repository is gone or may not be read.
    pub(super) summary: Option<TagSummary>,
}

/// What is kept of a [`Reading`] besides its layers, which are in the layer index.
#[derive(Debug)]
pub(super) struct TagSummary {
    pub(super) totals: TagTotals,
    pub(super) list: TagList,
    pub(super) series: Option<Arc<[TagSeries]>>,
    pub(super) by_age: [u32; 5],
    /// The number of tags that each rule picks.
    pub(super) picked: Box<[u32]>,
    /// The period in which `by_age` and `picked` are valid, in seconds since 1970.
    pub(super) valid: (u32, u32),
}

impl TagSummary {
    pub(super) fn of(reading: Reading) -> Self {
        let Reading { totals, list, blobs: _, series } = reading;
        Self { totals, list, series, by_age: [0; 5], picked: Box::default(), valid: (0, 0) }
    }

    /// Takes on what the time decides.
    pub(super) fn set_time(&mut self, by_time: ByTime, slot: u32, layers: &mut Layers) {
        let ByTime { by_age, picks, valid } = by_time;
        for (rule, (_, blobs)) in picks.iter().enumerate() {
            layers.pick(slot, rule, *blobs);
        }
        (self.by_age, self.valid) = (by_age, valid);
        self.picked = picks.into_iter().map(|(tags, _)| tags).collect();
    }

    /// The memory it takes beyond its fixed size, and beyond its lines in two compressed expositions.
    pub(super) fn bytes(&self) -> usize {
        self.list.len() + self.series.as_deref().map_or(0, TagSeries::bytes)
    }
}

/// What the time decides of a list of tags.
#[derive(Debug)]
pub(super) struct ByTime {
    by_age: [u32; 5],
    /// For each rule the number of tags that it picks, and of their blobs.
    picks: Vec<(u32, u32)>,
    /// The period in which these are valid.
    valid: (u32, u32),
}

impl ByTime {
    /// At a second since 1970.
    pub(super) fn of(list: &TagList, rules: &[Rule], seconds: u32) -> Self {
        let mut updated = Vec::new();
        let picks = list.picks_beside(rules, seconds, |tag| updated.extend(tag.updated()));
        updated.sort_unstable();
        let (by_age, until) = by_age(&updated, seconds);
        Self { by_age, picks: picks.by_rule, valid: (seconds, until.min(picks.until)) }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct KnownDetails {
    /// When the repository was created: another repository of the same name differs.
    pub(super) created: Option<Timestamp>,
    /// `None` when the repository is gone.
    pub(super) details: Option<Arc<Details>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct KnownRetention {
    /// When the repository was created: another repository of the same name differs.
    pub(super) created: Option<Timestamp>,
    /// The time of the fetch in seconds since 1970.
    pub(super) at: u32,
    /// The number of rules; `None` when the repository is gone.
    pub(super) rules: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FetchFailures {
    pub(super) count: u32,
    pub(super) not_before: Option<Instant>,
}

impl InventoryEntry {
    pub(super) fn new(namespace: Arc<str>, group: Group, generation: u32, row: RepositoryRef<'_>) -> Self {
        Self {
            namespace,
            name: row.name.into(),
            group,
            generation,
            listed: ChangeStamp::of(row),
            created: row.created,
            tags: None,
            details: None,
            retention: None,
            failures: PerKind::default(),
        }
    }

    pub(super) fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    pub(super) fn needs(&self, options: &TagOptions, now: u32) -> impl Iterator<Item = (Need, FetchKind)> + use<> {
        // Generations are consecutive; the multiplication spreads them evenly.
        let phase = self.generation.wrapping_mul(0x9e37_79b9);
        let needs = PerKind::from_fn(|kind| match kind {
            _ if !options.enabled[kind] => None,
            FetchKind::Tags => self.need_of_tags(options, phase, now),
            FetchKind::Details => {
                let known = self.details.as_ref().is_some_and(|details| details.created == self.created);
                (!known).then_some(Need::Unread)
            }
            FetchKind::Retention => match self.retention.filter(|known| known.created == self.created) {
                None => Some(Need::Unread),
                // Half a turn from the tags.
                Some(known) => {
                    let phase = phase.wrapping_add(1 << 31);
                    is_due(known.at, phase, now, options.full_interval).then_some(Need::Drift)
                }
            },
        });
        FetchKind::ALL.into_iter().filter_map(move |kind| Some((needs[kind]?, kind)))
    }

    pub(super) fn summary(&self) -> Option<&TagSummary> {
        self.tags.as_ref()?.summary.as_ref()
    }

    pub(super) fn summary_mut(&mut self) -> Option<&mut TagSummary> {
        self.tags.as_mut()?.summary.as_mut()
    }

    fn need_of_tags(&self, options: &TagOptions, phase: u32, now: u32) -> Option<Need> {
        let read = self.tags.as_ref().map(|tags| &tags.read);
        let lacks_series = || {
            self.summary().is_some_and(|summary| summary.series.is_none())
                && options.series.as_ref().is_some_and(|series| series.matches(&self.namespace, &self.name))
        };
        need_of_tags(read, self.listed, phase, now, options.full_interval)
            .or_else(|| lacks_series().then_some(Need::Drift))
    }
}
