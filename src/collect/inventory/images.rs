//! What the book has to show beside a listing.

use super::entry::Kept;
use super::{LISTED, TagInventory, TagOptions};
use crate::model::Images;
use crate::model::layers::Group;
use crate::model::tags::{RepositoryImages, TagFigures, by_age};
use std::collections::HashMap;

/// After so many failures a repository is no longer waited for to call the picture whole.
const PATIENCE: u32 = 3;

impl TagInventory {
    /// What is to be shown beside the latest listing.
    pub fn images(&mut self, wants: &TagOptions, seconds: u32) -> Images {
        let mut unread: HashMap<Group, usize> = HashMap::new();
        // Once everything was known, it is not asked any more.
        for place in self.order.iter().filter(|_| !self.was_whole) {
            let entry = self.at(*place);
            if entry.tags.is_none() && entry.tags_tries.failed < PATIENCE {
                *unread.entry(entry.group).or_default() += 1;
            }
        }
        self.was_whole |= wants.tags && unread.is_empty();
        let Self { entries, order, layers, was_whole, .. } = self;
        let figures = |place: u32, kept: &mut Kept| {
            if !(kept.holds.0..kept.holds.1).contains(&seconds) {
                let (counts, until) = by_age(&kept.updated, seconds);
                (kept.by_age, kept.holds) = (counts, (seconds, until));
            }
            TagFigures {
                tags: kept.tags,
                unlayered: kept.unlayered,
                by_age: kept.by_age,
                unique_bytes: layers.unique(place),
                exclusive_bytes: was_whole.then(|| layers.exclusive(place)),
                newest: kept.newest,
                oldest: kept.oldest,
                series: kept.series.clone(),
            }
        };
        let repositories = order
            .iter()
            .map(|place| {
                let entry = entries[*place as usize].as_mut().expect(LISTED);
                let kept = entry.tags.as_mut().and_then(|tags| tags.kept.as_mut()).filter(|_| wants.tags);
                let details = entry.details.as_ref().filter(|_| wants.details);
                RepositoryImages {
                    tags: kept.map(|kept| figures(*place, kept)),
                    details: details.and_then(|details| details.details.clone()),
                }
            })
            .collect();
        let is_known = |group: &Group| wants.tags && (*was_whole || !unread.contains_key(group));
        // The order is by organisation first. One that is not listed is not shown, rather than at 0.
        let of = |place: u32| entries[place as usize].as_ref().expect(LISTED);
        let namespaces = order
            .chunk_by(|one, next| of(*one).group == of(*next).group)
            .map(|places| of(places[0]))
            .filter(|entry| is_known(&entry.group))
            .map(|entry| (entry.namespace.clone(), layers.of_group(entry.group)))
            .collect();
        let unique_bytes = (wants.tags && *was_whole).then(|| layers.total());
        Images { repositories, namespaces, unique_bytes }
    }
}
