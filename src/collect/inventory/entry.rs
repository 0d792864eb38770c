//! The inventory's entry of one repository.

use super::TagOptions;
use crate::collect::plan::{ChangeStamp, LastRead, Need, need_of_tags};
use crate::model::layers::Group;
use crate::model::tags::{Details, Reading, TagSeries};
use crate::model::{RepositoryRef, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;

/// One repository.
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
    pub(super) tag_failures: FetchFailures,
    pub(super) detail_failures: FetchFailures,
}

/// The result of the latest fetch of tags.
#[derive(Debug)]
pub(super) struct KnownTags {
    pub(super) read: LastRead,
    /// `None` when the repository is gone or may not be read.
    pub(super) summary: Option<TagSummary>,
}

/// What is kept of a [`Reading`] besides its layers, which are in the layer index.
#[derive(Debug)]
pub(super) struct TagSummary {
    pub(super) tags: u32,
    pub(super) unlayered: u32,
    pub(super) newest: Option<Timestamp>,
    pub(super) oldest: Option<Timestamp>,
    pub(super) updated: Box<[u32]>,
    pub(super) series: Option<Arc<[TagSeries]>>,
    pub(super) by_age: [u32; 5],
    /// The period in which `by_age` is valid, in seconds since 1970.
    pub(super) by_age_valid: (u32, u32),
}

impl TagSummary {
    pub(super) fn of(reading: Reading) -> Self {
        let Reading { tags, unlayered, newest, oldest, updated, blobs: _, series } = reading;
        Self { tags, unlayered, newest, oldest, updated, series, by_age: [0; 5], by_age_valid: (0, 0) }
    }
}

/// The result of the latest fetch of details.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct KnownDetails {
    /// When the repository was created: another repository of the same name differs.
    pub(super) created: Option<Timestamp>,
    /// `None` when the repository is gone.
    pub(super) details: Option<Arc<Details>>,
}

/// The failures of a fetch in a row.
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
            tag_failures: FetchFailures::default(),
            detail_failures: FetchFailures::default(),
        }
    }

    pub(super) fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    pub(super) fn failures(&mut self, need: Need) -> &mut FetchFailures {
        if need == Need::Details { &mut self.detail_failures } else { &mut self.tag_failures }
    }

    pub(super) fn needs(&self, options: &TagOptions, now: u32) -> impl Iterator<Item = Need> + use<> {
        let mut of_tags = None;
        if options.tags {
            // Generations are consecutive; the multiplication spreads them evenly.
            let phase = self.generation.wrapping_mul(0x9e37_79b9);
            let read = self.tags.as_ref().map(|tags| &tags.read);
            of_tags = need_of_tags(read, self.listed, phase, now, options.full_interval);
            let summary = self.tags.as_ref().and_then(|tags| tags.summary.as_ref());
            if of_tags.is_none()
                && summary.is_some_and(|summary| summary.series.is_none())
                && options.series.as_ref().is_some_and(|series| series.matches(&self.namespace, &self.name))
            {
                of_tags = Some(Need::Drift);
            }
        }
        let known = self.details.as_ref().is_some_and(|details| details.created == self.created);
        let of_details = (options.details && !known).then_some(Need::Details);
        of_tags.into_iter().chain(of_details)
    }
}
