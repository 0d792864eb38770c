//! The demo's world: an account with a past in which every kind of growth occurs.

use crate::cli::WorldArgs;
use crate::config::Problems;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::time::{Duration, SystemTime};
use swr_simulator::{Activity, Options, Plan, RetentionRule, Simulator};

/// Age of the world at the beginning of today, in days. It settles during the first of them.
const WORLD_DAYS: u32 = 65;
/// Random events until today at most, so that a large world is ready within seconds as well.
const MAX_EVENTS: f64 = 1_500_000.0;
/// The longest history that can be written.
pub(super) const MAX_HISTORY: Duration = Duration::from_secs(45 * 86_400);
/// Highest `--speed`: nobody can watch a year in five minutes.
const FASTEST: f64 = 100_000.0;

/// The simulator's options from the flags. Time begins now.
pub(super) fn options(args: &WorldArgs, latency: Duration) -> Result<Options, Problems> {
    if !(0.0..=FASTEST).contains(&args.speed) {
        return Err(Problems::of(format!("--speed: invalid number `{}` (allowed: 0 to {FASTEST})", args.speed)));
    }
    Ok(Options {
        repositories: args.repositories,
        namespaces: args.namespaces,
        seed: args.seed,
        speed: args.speed,
        latency,
        start: SystemTime::now(),
        ..Options::default()
    })
}

/// The beginning of a day in UTC, by default today.
pub(super) fn beginning_of(day: Option<&str>) -> Result<SystemTime, Problems> {
    let date = match day {
        Some(day) => day.parse::<Date>().map_err(|_| Problems::of(format!("--today: invalid date `{day}`")))?,
        None => jiff::Timestamp::now().to_zoned(TimeZone::UTC).date(),
    };
    let beginning =
        date.to_zoned(TimeZone::UTC).map_err(|error| Problems::of(format!("--today: {error}")))?.timestamp();
    if beginning > jiff::Timestamp::now() {
        return Err(Problems::of(format!("--today: {date} lies in the future")));
    }
    Ok(beginning.into())
}

/// The world as it is at a time after the beginning of `today`. It does not move yet.
///
/// It follows from the options and `today` alone, so that a written history and a demo that starts later agree.
pub(super) fn at(options: Options, today: SystemTime, time: SystemTime) -> Simulator {
    let start = today - Duration::from_secs(86_400) * WORLD_DAYS;
    let mut plans = plans();
    plans.truncate(options.repositories);
    let repositories = u32::try_from(options.repositories).unwrap_or(u32::MAX);
    let simulator = Simulator::new(Options {
        start,
        speed: 0.0,
        // So many exist today, those that were deleted not counted.
        repositories: options.repositories - plans.iter().filter(|plan| plan.deleted.is_none()).count(),
        plans,
        // Calm apart from the plans.
        events_per_day: (MAX_EVENTS / f64::from(WORLD_DAYS.saturating_mul(repositories.max(1)))).min(6.0),
        turnover: false,
        abandoned: 8,
        ..options
    });
    simulator.advance(time.duration_since(start).unwrap_or_default());
    simulator
}

/// Repositories that grow steadily, suddenly, together, as a saw-tooth and not at all; the most telling first.
fn plans() -> Vec<Plan> {
    const GIB: u64 = 1 << 30;
    const HOUR: Duration = Duration::from_secs(3_600);
    // Days before the beginning of today.
    let ago = |days: f64| f64::from(WORLD_DAYS) - days;
    let plan = |creator, activity, plan| Plan { creator, activity, ..plan };
    let burst = Activity::Bursts { from: ago(0.25), every: 20 * HOUR, pushes: 25 };
    let mut plans = vec![
        // 25 days of 2 % a day; nobody pulls it.
        plan(
            "ci-bot",
            Activity::Compound { from: ago(25.0), per_day: 0.02 },
            Plan::new("platform", "ci-cache", GIB, 120),
        ),
        plan("bob", burst, Plan::new("data", "feature-store", 2 * GIB, 130)),
        // A new repository in a new organization.
        Plan {
            creator: "dave",
            created: ago(0.9),
            activity: Activity::Pushes { from: ago(0.85), every: 4 * HOUR },
            ..Plan::new("ml", "llm-train", 12 * GIB, 3)
        },
        Plan {
            creator: "ci-bot",
            retention: Some(RetentionRule::Newest(30)),
            activity: Activity::SawTooth { from: 2.0 / 24.0, pushes_per_day: 96, kept: 30 },
            ..Plan::new("web", "nightly", GIB / 5, 60)
        },
        Plan { creator: "bob", deleted: Some(ago(1.7)), ..Plan::new("data", "old-dataset", 2 * GIB, 40) },
        Plan {
            is_public: true,
            downloads: 120_000,
            updated: f64::from(WORLD_DAYS) - 150.0,
            activity: Activity::Downloads { every: HOUR / 60, times: 3 },
            ..Plan::new("public", "tools", GIB / 10, 25)
        },
        Plan {
            creator: "erin",
            updated: -200.0,
            created: -200.0,
            downloads: 0,
            ..Plan::new("legacy", "empty", GIB, 0)
        },
    ];
    for (index, tags) in (0_u32..).zip([60, 45, 35, 25, 15, 10]) {
        let updated = -140.0 - 90.0 * f64::from(index);
        let archive = Plan::new("legacy", &format!("archive-{index}"), GIB, tags);
        // The smallest was never pulled.
        let downloads = if tags == 10 { 0 } else { 20 };
        plans.push(Plan { creator: "frank", created: -900.0, updated, downloads, ..archive });
    }
    // Many repositories that grow a little: each is below every threshold, their organization is not.
    for index in 1..=30_u32 {
        let from = ago(24.0) + f64::from(index) / 90.0;
        let creator = if index.is_multiple_of(2) { "carol" } else { "grace" };
        let model = Plan::new("research", &format!("model-{index:02}"), 3 * GIB / 10, 40);
        plans.push(plan(creator, Activity::Pushes { from, every: 8 * HOUR }, model));
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn nanoseconds(time: SystemTime) -> i64 {
        i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
    }

    #[test]
    fn the_world_at_a_time_is_the_same_however_it_is_reached_and_has_no_date_after_it() {
        let today = beginning_of(Some("2026-03-01")).unwrap();
        let time = today + Duration::from_secs(50_000);
        let options = || Options { repositories: 80, ..Options::default() };
        let past = at(options(), today, today - Duration::from_secs(86_400));
        past.advance(Duration::from_secs(86_400 + 50_000));
        let now = at(options(), today, time);
        assert_eq!(past.repositories(), now.repositories());
        assert_eq!(now.repositories().len(), 80);
        let latest = nanoseconds(time);
        assert!(now.repositories().iter().all(|r| r.created_nanos <= latest && r.updated_nanos <= latest));
    }

    #[test]
    fn a_fast_world_has_no_date_in_the_future() {
        let today = beginning_of(None).unwrap();
        let world = at(Options { repositories: 60, ..Options::default() }, today, SystemTime::now());
        let before = world.repositories();
        world.configure(|options| options.speed = 1e6);
        while world.repositories() == before {}
        let after = world.repositories();
        let latest = nanoseconds(SystemTime::now());
        assert!(after.iter().all(|r| r.created_nanos <= latest && r.updated_nanos <= latest));
    }

    #[test]
    fn small_worlds_have_the_plans_that_fit() {
        let today = beginning_of(Some("2026-03-01")).unwrap();
        for repositories in [0, 1, 3, 42, 43, 44] {
            let world = at(Options { repositories, ..Options::default() }, today, today);
            assert_eq!(world.repositories().len(), repositories);
        }
        let names: BTreeSet<String> = plans().iter().map(|plan| format!("{}/{}", plan.namespace, plan.name)).collect();
        assert_eq!(names.len(), plans().len());
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(nanoseconds(beginning_of(Some("1970-01-02")).unwrap()), 86_400_000_000_000);
        assert!(beginning_of(Some("yesterday")).is_err() && beginning_of(Some("9000-01-01")).is_err());
        assert!(beginning_of(None).unwrap() <= SystemTime::now());
    }
}
