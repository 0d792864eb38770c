//! Growth by plan, beside the random growth in `world_growth`.

use super::names;
use super::plan::{Activity, Plan, Planned};
use super::repository_row::Tags;
use super::world::World;

impl World {
    /// Adds planned repositories to a new world.
    pub(super) fn plan(&mut self, plans: &[Plan]) {
        let start = self.now;
        for plan in plans {
            let mut planned = Planned { plan: plan.clone(), start, next: i64::MAX, is_created: false, changes: 0 };
            planned.next = planned.at(plan.created).max(start);
            self.plans.push(planned);
        }
        self.follow_plans();
    }

    /// Does everything that is planned for now.
    pub(super) fn follow_plans(&mut self) {
        let mut plans = std::mem::take(&mut self.plans);
        let now = self.now;
        for planned in plans.iter_mut().filter(|planned| planned.next <= now) {
            if !planned.is_created {
                self.create(planned);
                planned.is_created = true;
                planned.schedule(now);
                continue;
            }
            let (plan, n) = (&planned.plan, planned.changes);
            let Some(slot) = self.find(&plan.namespace, &plan.name) else {
                planned.next = i64::MAX;
                continue;
            };
            if planned.is_deleted(now) {
                self.remove_slot(slot);
                planned.next = i64::MAX;
                continue;
            }
            match plan.activity {
                Activity::None => {}
                Activity::Downloads { times, .. } => self.row_mut(slot).downloads += times,
                Activity::SawTooth { pushes_per_day, kept, .. } => {
                    if n % pushes_per_day == 0 {
                        self.keep_newest(slot, kept);
                    }
                    self.push_to(slot);
                }
                Activity::Pushes { .. } | Activity::Compound { .. } | Activity::Bursts { .. } => self.push_to(slot),
            }
            planned.changes += 1;
            planned.schedule(now);
        }
        self.plans = plans;
    }

    fn create(&mut self, planned: &Planned) {
        let plan = &planned.plan;
        self.remove(&plan.namespace, &plan.name);
        let organization = self.organization_or_new(&plan.namespace);
        let mut row = self.new_row(organization, plan.name.clone());
        let creator = names::CREATORS.iter().position(|name| *name == plan.creator).unwrap_or_default();
        row.creator = u8::try_from(creator).expect("few creators");
        row.created = self.moment(planned.at(plan.created));
        row.updated = self.moment(planned.at(plan.updated).max(row.created).min(self.date())).max(row.created);
        row.category = 5;
        row.retention = plan.retention;
        row.is_public = plan.is_public;
        row.downloads = plan.downloads;
        row.layer_bytes = plan.image_bytes;
        row.tags = Tags::Numbered { first: 0, count: plan.tags, latest: false };
        row.size = row.tag_bytes();
        row.settle();
        self.insert_row(row);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Options, Repository};

    const GIB: u64 = 1 << 30;
    const HOUR: Duration = Duration::from_secs(3_600);

    /// The repository of a plan on each of some days.
    fn followed(plan: Plan, days: u32) -> Vec<Option<Repository>> {
        let (namespace, name) = (plan.namespace.clone(), plan.name.clone());
        let mut world = World::generate(&Options { repositories: 20, plans: vec![plan], ..Options::default() });
        let mut seen = vec![world.get(&namespace, &name)];
        for _ in 0..days {
            world.advance(24 * HOUR);
            seen.push(world.get(&namespace, &name));
        }
        seen
    }

    fn gibibytes(seen: &[Option<Repository>]) -> Vec<u64> {
        seen.iter().map(|seen| seen.as_ref().map_or(0, |repository| repository.size / GIB)).collect()
    }

    #[test]
    fn each_activity_grows_as_planned() {
        let plan = |activity| Plan { activity, ..Plan::new("org", "app", GIB, 100) };
        let steady = gibibytes(&followed(plan(Activity::Pushes { from: 1.0, every: 3 * HOUR }), 4));
        assert!(steady[0] == steady[1].min(steady[0]) && steady[4].abs_diff(steady[1] + 24) <= 2, "{steady:?}");
        let compound = gibibytes(&followed(plan(Activity::Compound { from: 0.0, per_day: 0.02 }), 20));
        assert!((145..152).contains(&(compound[20] * 100 / compound[0])), "{compound:?}");
        let bursts = gibibytes(&followed(plan(Activity::Bursts { from: 1.5, every: 48 * HOUR, pushes: 40 }), 4));
        assert!(bursts[1] == bursts[0] && (38..45).contains(&(bursts[2] - bursts[1])) && bursts[3] == bursts[2]);
        let saw = followed(plan(Activity::SawTooth { from: 0.25, pushes_per_day: 50, kept: 10 }), 6);
        let tags: Vec<usize> = saw.iter().map(|seen| seen.as_ref().unwrap().num_images()).collect();
        assert_eq!(tags, [100, 48, 48, 48, 48, 48, 48]);
        let pulled = followed(plan(Activity::Downloads { every: HOUR, times: 3 }), 1);
        assert_eq!(pulled[1].as_ref().unwrap().num_download, 500 + 25 * 3);
    }

    #[test]
    fn planned_repositories_are_created_and_deleted_in_time() {
        let plan = Plan { created: 1.5, deleted: Some(3.5), ..Plan::new("new", "app", GIB, 3) };
        let seen = followed(plan, 4);
        assert_eq!(seen.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, true, false]);
        let created = seen[2].as_ref().unwrap().created_nanos - 1_767_225_600_000_000_000;
        assert_eq!(created / 1_000_000_000 / 3_600, 36);
    }

    #[test]
    fn the_size_of_the_steps_does_not_matter_to_plans() {
        let plans = vec![
            Plan { activity: Activity::Compound { from: 0.3, per_day: 0.1 }, ..Plan::new("a", "b", GIB, 10) },
            Plan { activity: Activity::Pushes { from: 0.1, every: HOUR }, ..Plan::new("a", "c", GIB, 10) },
        ];
        let options = Options { plans, ..Options::default() };
        let (mut leap, mut walk) = (World::generate(&options), World::generate(&options));
        leap.advance(48 * HOUR);
        (0..480).for_each(|_| walk.advance(HOUR / 10));
        assert_eq!(leap.repositories(), walk.repositories());
    }
}
