//! What the book has of one repository.

use super::TagOptions;
use crate::collect::plan::{ChangeStamp, LastRead, Need, need_of_tags};
use crate::model::Timestamp;
use crate::model::layers::Group;
use crate::model::tags::{Details, Reading, TagSeries};
use std::sync::Arc;
use tokio::time::Instant;

/// One repository.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) namespace: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) group: Group,
    pub(super) serial: u32,
    /// The latest listing's word.
    pub(super) listed: ChangeStamp,
    pub(super) created: Option<Timestamp>,
    pub(super) tags: Option<Tags>,
    pub(super) details: Option<KnownDetails>,
    pub(super) tags_tries: Tries,
    pub(super) details_tries: Tries,
}

/// Tags as they were read.
#[derive(Debug)]
pub(super) struct Tags {
    pub(super) read: LastRead,
    /// `None` when they cannot be read: the repository is not there, or not for us.
    pub(super) kept: Option<Kept>,
}

/// What is kept of a [`Reading`]; its blobs are in the index.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) tags: u32,
    pub(super) unlayered: u32,
    pub(super) newest: Option<Timestamp>,
    pub(super) oldest: Option<Timestamp>,
    pub(super) updated: Box<[u32]>,
    pub(super) series: Option<Arc<[TagSeries]>>,
    pub(super) by_age: [u32; 5],
    /// From when until when that holds, in seconds since 1970.
    pub(super) holds: (u32, u32),
}

impl Kept {
    pub(super) fn of(reading: Reading) -> Self {
        let Reading { tags, unlayered, newest, oldest, updated, blobs: _, series } = reading;
        Self { tags, unlayered, newest, oldest, updated, series, by_age: [0; 5], holds: (0, 0) }
    }
}

/// Details as they were read.
#[derive(Debug)]
pub(super) struct KnownDetails {
    /// The repository's birth: another one under the same name has another.
    pub(super) created: Option<Timestamp>,
    /// `None` when there are none to be had.
    pub(super) details: Option<Arc<Details>>,
}

/// How an task has fared so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    pub(super) failed: u32,
    pub(super) not_before: Option<Instant>,
}

impl Entry {
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    pub(super) fn tries(&mut self, need: Need) -> &mut Tries {
        if need == Need::Details { &mut self.details_tries } else { &mut self.tags_tries }
    }

    pub(super) fn needs(&self, wants: &TagOptions, now: u32) -> impl Iterator<Item = Need> + use<> {
        let read = self.tags.as_ref().map(|tags| &tags.read);
        let mut of_tags = None;
        if wants.tags {
            // Serials are given in turn, so the moments of neighbours are far apart and all of them evenly spread.
            let phase = self.serial.wrapping_mul(0x9e37_79b9);
            of_tags = need_of_tags(read, self.listed, phase, now, wants.full_interval);
            let kept = self.tags.as_ref().and_then(|tags| tags.kept.as_ref());
            if of_tags.is_none()
                && kept.is_some_and(|kept| kept.series.is_none())
                && wants.series.as_ref().is_some_and(|series| series.matches(&self.namespace, &self.name))
            {
                of_tags = Some(Need::Drift);
            }
        }
        let known = self.details.as_ref().is_some_and(|details| details.created == self.created);
        let of_details = (wants.details && !known).then_some(Need::Details);
        of_tags.into_iter().chain(of_details)
    }
}
