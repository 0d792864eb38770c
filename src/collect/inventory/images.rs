//! What the inventory shows for a listing.

use super::entry::TagSummary;
use super::{LISTED, TagInventory, TagOptions};
use crate::collect::plan::FetchKind;
use crate::model::Images;
use crate::model::layers::Group;
use crate::model::tags::{RepositoryImages, TagFigures, by_age};
use std::collections::HashMap;

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
        self.was_complete |= options.enabled[FetchKind::Tags] && unread.is_empty();
        let Self { entries, order, layers, was_complete, .. } = self;
        let figures = |slot: u32, summary: &mut TagSummary| {
            if !(summary.by_age_valid.0..summary.by_age_valid.1).contains(&seconds) {
                let (counts, until) = by_age(&summary.updated, seconds);
                (summary.by_age, summary.by_age_valid) = (counts, (seconds, until));
            }
            TagFigures {
                tags: summary.tags,
                unlayered: summary.unlayered,
                by_age: summary.by_age,
                unique_bytes: layers.unique(slot),
                exclusive_bytes: was_complete.then(|| layers.exclusive(slot)),
                newest: summary.newest,
                oldest: summary.oldest,
                series: summary.series.clone(),
            }
        };
        let repositories = order
            .iter()
            .map(|slot| {
                let entry = entries[*slot as usize].as_mut().expect(LISTED);
                let summary = entry
                    .tags
                    .as_mut()
                    .and_then(|tags| tags.summary.as_mut())
                    .filter(|_| options.enabled[FetchKind::Tags]);
                let details = entry.details.as_ref().filter(|_| options.enabled[FetchKind::Details]);
                let retention = entry.retention.filter(|_| options.enabled[FetchKind::Retention]);
                RepositoryImages {
                    tags: summary.map(|summary| figures(*slot, summary)),
                    details: details.and_then(|details| details.details.clone()),
                    retention_rules: retention.and_then(|retention| retention.rules),
                }
            })
            .collect();
        let is_known =
            |group: &Group| options.enabled[FetchKind::Tags] && (*was_complete || !unread.contains_key(group));
        // The order is by organization first. One that is not listed is absent, not 0.
        let at = |slot: u32| entries[slot as usize].as_ref().expect(LISTED);
        let namespaces = order
            .chunk_by(|one, next| at(*one).group == at(*next).group)
            .map(|slots| at(slots[0]))
            .filter(|entry| is_known(&entry.group))
            .map(|entry| (entry.namespace.clone(), layers.of_group(entry.group)))
            .collect();
        let unique_bytes = (options.enabled[FetchKind::Tags] && *was_complete).then(|| layers.total());
        Images { repositories, namespaces, unique_bytes }
    }
}
