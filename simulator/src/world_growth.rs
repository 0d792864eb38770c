//! Generation of the initial world, and its changes over simulated time.
//!
//! Both follow from the seed alone. Event times are drawn in advance, so the world at a given simulated time is
//! the same whether it is reached in one step or in thousands.

use std::collections::HashSet;
use std::time::Duration;

use super::image::{self, mix};
use super::names;
use super::options::Options;
use super::repository_row::{RepositoryRow, RetentionRule, Tags};
use super::world::World;

const NANOS_PER_DAY: f64 = 86_400e9;
/// Age of the oldest repository when the world begins: three years.
const HISTORY_NANOS: i64 = 3 * 365 * 86_400 * 1_000_000_000;
/// Most tags of a generated repository, as a retention rule would keep.
const MAX_TAGS: u32 = 400;

impl World {
    /// Generates the world at `options.start`.
    pub(super) fn generate(options: &Options) -> Self {
        let start = options.start.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut world = Self::empty(options.seed, i64::try_from(start.as_nanos()).unwrap_or(i64::MAX / 2));
        for index in 0..options.namespaces {
            world.insert_namespace(&names::organization(index));
        }
        if options.namespaces > 0 {
            world.populate(options.repositories);
        }
        world.steady = options.steady;
        world.turnover = options.turnover;
        world.abandoned = (options.abandoned, world.next_id);
        if options.events_per_day > 0.0 {
            world.mean_gap = NANOS_PER_DAY / (options.events_per_day * as_f64(options.repositories.max(1)));
            world.next_event = world.now;
            world.draw_next_event();
        }
        world.plan(&options.plans);
        world
    }

    /// Advances simulated time.
    pub fn advance(&mut self, time: Duration) {
        let target = self.now.saturating_add(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        loop {
            let planned = self.plans.iter().map(|planned| planned.next).min().unwrap_or(i64::MAX);
            let next = self.next_event.min(planned);
            if next > target {
                break;
            }
            self.now = next;
            if planned == next {
                self.follow_plans();
            } else {
                self.happen();
                self.draw_next_event();
            }
        }
        self.now = target;
    }

    fn draw_next_event(&mut self) {
        // Exponential gaps: events come in clusters and pauses, as they do where people and pipelines push.
        let gap = -(1.0 - self.rng.f64()).ln() * self.mean_gap;
        self.next_event = self.next_event.saturating_add(whole_nanos(gap).max(1));
    }

    fn happen(&mut self) {
        match self.rng.u32(..1_000) {
            0..734 => {
                let times = self.rng.u64(1..=20);
                if let Some(slot) = self.popular().filter(|slot| self.row(*slot).layer_bytes == 0) {
                    self.row_mut(slot).downloads += times;
                }
            }
            734..964 => self.push_somewhere(),
            964..994 => self.clean_up_somewhere(),
            _ if !self.turnover => {}
            994..998 => {
                self.create_somewhere();
                if self.steady {
                    self.remove_somewhere();
                }
            }
            _ if self.steady => {}
            _ => self.remove_somewhere(),
        }
    }

    fn remove_somewhere(&mut self) {
        // Keep the last one, or a small world would be empty after a long run.
        if self.len() > 1
            && let Some(slot) = self.popular().filter(|slot| self.row(*slot).layer_bytes == 0)
        {
            self.remove_slot(slot);
        }
    }

    /// Whether a repository gets no random pushes and clean-ups.
    fn is_abandoned(&self, slot: u32) -> bool {
        let (one_of, before) = self.abandoned;
        let row = self.row(slot);
        row.layer_bytes > 0 || one_of > 0 && row.id < before && (row.id.is_multiple_of(one_of) || row.tags.count() == 0)
    }

    fn push_somewhere(&mut self) {
        if let Some(slot) = self.popular().filter(|slot| !self.is_abandoned(*slot)) {
            self.push_to(slot);
        }
    }

    /// Pushes an image under a new tag.
    pub(super) fn push_to(&mut self, slot: u32) {
        let moment = self.moment(self.date());
        let row = self.row_mut(slot);
        // Truncation may place it before an earlier push in the same second.
        row.updated = moment.max(row.updated);
        match &mut row.tags {
            Tags::Numbered { first, count, latest } => {
                *count += 1;
                let newest = *first + *count - 1;
                if *count > MAX_TAGS || *latest {
                    *first += count.saturating_sub(MAX_TAGS);
                    *count = (*count).min(MAX_TAGS);
                    row.size = row.tag_bytes();
                } else {
                    row.size += image::bytes(row.recipe(), newest);
                }
                row.note_push(newest, row.updated);
            }
            Tags::Named(tags) => {
                let name = format!("grown-{}", tags.iter().map(|(_, number)| number + 1).max().unwrap_or_default());
                let newest = row.tags.push(row.id, &name);
                row.note_push(newest, row.updated);
                row.size = row.tag_bytes();
            }
        }
    }

    /// Applies a retention rule: deletes the oldest tags.
    fn clean_up_somewhere(&mut self) {
        let Some(slot) = self.popular().filter(|slot| !self.is_abandoned(*slot)) else { return };
        let share = self.rng.u32(2..5);
        if let Tags::Numbered { count: count @ 4.., .. } = self.row(slot).tags {
            self.keep_newest(slot, count - count / share);
        }
    }

    /// Deletes all but the newest tags.
    pub(super) fn keep_newest(&mut self, slot: u32, kept: u32) {
        let row = self.row_mut(slot);
        if let Tags::Numbered { first, count, .. } = &mut row.tags {
            *first += count.saturating_sub(kept);
            *count = (*count).min(kept);
            row.size = row.tag_bytes();
        }
    }

    fn create_somewhere(&mut self) {
        if self.organizations().is_empty() {
            return;
        }
        let organization = self.skewed_organization();
        let namespace = self.organizations()[organization as usize].name.clone();
        let wanted = names::repository(&mut self.rng);
        let mut name = wanted.clone();
        let mut number = 2;
        while self.find(&namespace, &name).is_some() {
            name = names::numbered(&wanted, number);
            number += 1;
        }
        let mut row = self.new_row(organization, name);
        row.created = self.moment(self.date());
        row.updated = row.created;
        row.category = self.category_number();
        row.tags = Tags::Numbered { first: 0, count: 1, latest: self.rng.bool() };
        row.size = row.tag_bytes();
        row.settle();
        self.insert_row(row);
    }

    fn populate(&mut self, repositories: usize) {
        let mut taken = HashSet::new();
        let mut rows = Vec::with_capacity(repositories);
        for index in 0..repositories {
            let organization = self.skewed_organization();
            let mut name = if self.rng.u32(..100) < 12 {
                names::COMMON[self.rng.usize(..names::COMMON.len())].to_owned()
            } else {
                names::repository(&mut self.rng)
            };
            let wanted = name.clone();
            let mut number = index;
            while !taken.insert((organization, name.clone())) {
                name = names::numbered(&wanted, number);
                number += repositories;
            }
            rows.push(self.born_earlier(organization, name));
        }
        self.insert_all(rows);
    }

    /// A repository created at some time before the world begins.
    fn born_earlier(&mut self, organization: u32, name: String) -> RepositoryRow {
        let now = self.now;
        let mut row = self.new_row(organization, name);
        let created = now - self.rng.i64(0..HISTORY_NANOS);
        let updated = self.rng.i64(created..=now);
        row.created = self.moment(created);
        row.updated = self.moment(updated).max(row.created);
        row.category = self.category_number();
        row.is_public = self.rng.u32(..20) == 0;
        if self.rng.u32(..10) == 0 {
            row.description = Some(format!("Built by the pipeline of \"{}\"", row.name).into_boxed_str());
        }
        row.retention = retention(row.id);
        row.downloads = heavy_tail(self.rng.f64(), 40.0, 5_000_000);
        // One in fifty was never pushed to.
        let count = if self.rng.u32(..50) == 0 { 0 } else { heavy_tail(self.rng.f64(), 1.0, u64::from(MAX_TAGS)) };
        let count = u32::try_from(count).expect("at most MAX_TAGS");
        let latest = count > 0 && self.rng.bool();
        row.tags = Tags::Numbered { first: self.rng.u32(..50), count, latest };
        row.size = row.tag_bytes();
        row.settle();
        row
    }

    fn category_number(&mut self) -> u8 {
        // Most users leave the default category.
        if self.rng.bool() { 5 } else { self.rng.u8(..8) }
    }

    /// An organization; the first ones are drawn much more often than the last.
    fn skewed_organization(&mut self) -> u32 {
        let all = self.organizations().len();
        let place = self.rng.f64().powi(3) * as_f64(all);
        u32::try_from(whole(place).min(all as u64 - 1)).expect("an index into the organizations")
    }

    /// A repository; older ones are drawn more often than younger ones.
    fn popular(&mut self) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        loop {
            let place = whole(self.rng.f64().powi(2) * as_f64(self.slots()));
            let slot = u32::try_from(place).expect("an index into the rows");
            if self.is_live(slot) {
                return Some(slot);
            }
        }
    }

    /// Truncates a time to one of the precisions that the service uses, mostly microseconds.
    pub(super) fn moment(&mut self, nanos: i64) -> i64 {
        let unit = match self.rng.u32(..100) {
            0..15 => 1_000_000_000,
            15..25 => 1_000_000,
            25..85 => 1_000,
            _ => 1,
        };
        nanos - nanos.rem_euclid(unit)
    }
}

/// The rule of a generated repository: most have none. It is not drawn from the world's random numbers.
fn retention(id: u32) -> Option<RetentionRule> {
    match mix(u64::from(id) ^ 0x2e7e) % 8 {
        0 => Some(RetentionRule::Days(30)),
        1 => Some(RetentionRule::Newest(20)),
        _ => None,
    }
}

/// A heavy-tailed value: near `least` for about half of all draws, rarely up to `most`.
fn heavy_tail(draw: f64, least: f64, most: u64) -> u64 {
    whole(least / (1.0 - draw)).min(most)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "draws are positive and far below 2^53")]
fn whole(value: f64) -> u64 {
    value as u64
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, which is what is wanted of an endless gap")]
fn whole_nanos(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::cast_precision_loss, reason = "counts of things in memory are far below 2^53")]
fn as_f64(value: usize) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(repositories: usize, seed: u64) -> Options {
        Options { repositories, seed, ..Options::default() }
    }

    #[test]
    fn one_seed_makes_one_world() {
        let first = World::generate(&options(500, 1)).repositories();
        assert_eq!(first, World::generate(&options(500, 1)).repositories());
        assert_ne!(first, World::generate(&options(500, 2)).repositories());
    }

    #[test]
    fn growth_does_not_depend_on_the_size_of_the_steps() {
        let (mut leap, mut walk) = (World::generate(&options(200, 9)), World::generate(&options(200, 9)));
        leap.advance(Duration::from_secs(30 * 3_600));
        for _ in 0..30 * 60 {
            walk.advance(Duration::from_secs(60));
        }
        assert_eq!(leap.repositories(), walk.repositories());
        assert_eq!(leap.now_nanos(), walk.now_nanos());
    }

    #[test]
    fn a_growing_world_has_pushes_downloads_births_and_deaths() {
        let mut world = World::generate(&options(300, 4));
        let before = world.repositories();
        world.advance(Duration::from_secs(72 * 3_600));
        let after = world.repositories();
        let find = |list: &[_], r: &super::super::Repository| {
            list.iter().position(|o: &super::super::Repository| (&o.namespace, &o.name) == (&r.namespace, &r.name))
        };
        assert!(after.iter().any(|r| find(&before, r).is_none()), "births");
        assert!(before.iter().any(|r| find(&after, r).is_none()), "deaths");
        let kept: Vec<_> = before.iter().filter_map(|r| Some((r, &after[find(&after, r)?]))).collect();
        assert!(kept.iter().any(|(old, new)| new.num_download > old.num_download));
        assert!(kept.iter().any(|(old, new)| new.num_images() > old.num_images() && new.size > old.size));
        assert!(kept.iter().all(|(old, new)| new.updated_nanos >= old.updated_nanos));
    }

    #[test]
    fn what_was_given_up_stays_as_it_is() {
        let mut world = World::generate(&Options { abandoned: 8, ..options(200, 1) });
        let before = world.repositories();
        world.advance(Duration::from_secs(30 * 86_400));
        let kept: Vec<_> = before.iter().filter_map(|old| Some((old, world.get(&old.namespace, &old.name)?))).collect();
        let untouched = kept.iter().filter(|(old, new)| old.updated_nanos == new.updated_nanos).count();
        assert!((10..60).contains(&untouched), "{untouched} of {}", kept.len());
        assert!(kept.iter().any(|(_, new)| new.tags.is_empty()), "never pushed to");
    }

    #[test]
    fn the_world_is_as_uneven_as_asked_for() {
        let world = World::generate(&options(2_000, 1));
        let all = world.repositories();
        assert_eq!(all.len(), 2_000);
        let mut sizes: Vec<u64> = all.iter().map(|r| r.size).collect();
        sizes.sort_unstable();
        assert!(sizes[1_990] > 20 * sizes[1_000], "few large, many small: {} and {}", sizes[1_990], sizes[1_000]);
        let mut shares: Vec<usize> = world.organizations().iter().map(|o| o.by_name.len()).collect();
        shares.sort_unstable();
        assert!(shares[0] > 0 && shares[4] > 3 * shares[0], "{shares:?}");
        assert!(all.windows(2).any(|pair| pair[0].name == pair[1].name), "one name in two organizations");
        assert!(all.iter().any(|r| r.tags.is_empty()) && all.iter().any(|r| r.name.contains('/')));
    }
}
