//! What the inventory shows for a listing.

use super::entry::{ByTime, InventoryEntry, TagSummary};
use super::{LISTED, TagInventory, TagOptions};
use crate::collect::fetch_task::FetchKind;
use crate::model::Images;
use crate::model::layers::Group;
use crate::model::reclaim::Rule;
use crate::model::tags::{Reclaimable, ReclaimableHere, RepositoryImages, TagFigures};
use std::collections::HashMap;
use std::sync::Arc;

/// After this many failures, a repository no longer keeps the inventory from counting as complete.
const MAX_FAILURES: u32 = 3;

impl TagInventory {
    /// What is known of the latest listing's repositories, and the layer sizes.
    pub fn images(&mut self, options: &TagOptions, seconds: u32) -> Images {
        let mut unread: HashMap<Group, usize> = HashMap::new();
        // Once the inventory was complete, it stays so.
        for slot in self.order.iter().filter(|_| !self.was_complete) {
            let entry = self.at(*slot);
            if entry.tags.is_none() && entry.failures[FetchKind::Tags].count < MAX_FAILURES {
                *unread.entry(entry.group).or_default() += 1;
            }
        }
        let reads_tags = options.enabled[FetchKind::Tags];
        self.was_complete |= reads_tags && unread.is_empty();
        self.set_rules(&options.reclaim.rules);
        let Self { entries, order, layers, was_complete, rules, .. } = self;
        let mut reclaimable: Vec<Reclaimable> = rules.iter().filter(|_| reads_tags).map(nothing).collect();
        let mut figures = |index: u32, slot: u32, summary: &mut TagSummary| {
            if !(summary.valid.0..summary.valid.1).contains(&seconds) {
                summary.set_time(ByTime::of(&summary.list, rules, seconds), slot, layers);
            }
            for (rule, (of_rule, tags)) in reclaimable.iter_mut().zip(&summary.picked).enumerate() {
                if *tags > 0 {
                    let bytes = was_complete.then(|| layers.reclaimable(slot, rule));
                    of_rule.repositories.push(ReclaimableHere { index, tags: *tags, bytes });
                }
            }
            TagFigures {
                totals: summary.totals,
                by_age: summary.by_age,
                unique_bytes: layers.unique(slot),
                exclusive_bytes: was_complete.then(|| layers.exclusive(slot)),
                series: summary.series.clone(),
            }
        };
        let repositories = (0..)
            .zip(&*order)
            .map(|(index, slot)| {
                let entry = entries[*slot as usize].as_mut().expect(LISTED);
                let tags = entry.summary_mut().filter(|_| reads_tags).map(|summary| figures(index, *slot, summary));
                let details = entry.details.as_ref().filter(|_| options.enabled[FetchKind::Details]);
                let retention = entry.retention.filter(|_| options.enabled[FetchKind::Retention]);
                RepositoryImages {
                    tags,
                    details: details.and_then(|details| details.details.clone()),
                    retention_rules: retention.and_then(|retention| retention.rules),
                }
            })
            .collect();
        let is_known = |group: &Group| reads_tags && (*was_complete || !unread.contains_key(group));
        // The order is by organization first. One that is not listed is absent, not 0.
        let at = |slot: u32| entries[slot as usize].as_ref().expect(LISTED);
        let groups = || {
            let groups = order.chunk_by(|one, next| at(*one).group == at(*next).group);
            groups.map(|slots| (&at(slots[0]).namespace, at(slots[0]).group))
        };
        let namespaces = groups()
            .filter(|(_, group)| is_known(group))
            .map(|(name, group)| (name.clone(), layers.of_group(group)))
            .collect();
        let unique_bytes = (reads_tags && *was_complete).then(|| layers.total());
        for (rule, of_rule) in reclaimable.iter_mut().enumerate().filter(|_| *was_complete) {
            let of_group = |(name, group): (&Arc<str>, _)| (name.clone(), layers.reclaimable_in_group(group, rule));
            of_rule.namespaces = groups().map(of_group).collect();
            of_rule.bytes = Some(layers.reclaimable_in_all(rule));
        }
        Images { repositories, namespaces, unique_bytes, reclaimable }
    }

    /// Sets the rules. If they are others than before, each repository is looked at again.
    fn set_rules(&mut self, rules: &Arc<[Rule]>) {
        if self.rules != *rules {
            self.rules = rules.clone();
            self.layers.set_rules(rules.len());
            let summaries = self.entries.iter_mut().flatten().filter_map(InventoryEntry::summary_mut);
            summaries.for_each(|summary| summary.valid = (0, 0));
        }
    }
}

fn nothing(rule: &Rule) -> Reclaimable {
    Reclaimable { rule: *rule, repositories: Vec::new(), namespaces: Vec::new(), bytes: None }
}
