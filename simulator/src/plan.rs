//! Plans for repositories: steady, sudden or saw-tooth growth. `planned_growth` follows them.

use std::time::Duration;

use super::names;
use super::repository_row::RetentionRule;

const NANOS_PER_DAY: f64 = 86_400e9;

/// A repository with a planned history. Times are in days after the start of the world; negative ones lie before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Organization, created if needed.
    pub namespace: String,
    /// Name within the organization.
    pub name: String,
    /// Who created it; one of the simulator's users.
    pub creator: &'static str,
    /// Bytes of each image's own layer.
    pub image_bytes: u64,
    /// Tags at creation, or at the start of the world.
    pub tags: u32,
    /// Time of creation.
    pub created: f64,
    /// Time of the latest push, for repositories that are older than the world.
    pub updated: f64,
    /// Time of deletion.
    pub deleted: Option<f64>,
    /// The rule by which the service deletes tags, if any.
    pub retention: Option<RetentionRule>,
    /// Whether anybody may pull.
    pub is_public: bool,
    /// Downloads so far.
    pub downloads: u64,
    /// Changes after creation.
    pub activity: Activity,
}

/// What happens to a planned repository.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activity {
    /// Nothing.
    None,
    /// A push at regular intervals, from a time on.
    Pushes {
        /// Time of the first push.
        from: f64,
        /// Interval.
        every: Duration,
    },
    /// Exponential growth, from a time on.
    Compound {
        /// Time at which growth begins.
        from: f64,
        /// Growth in a day as a share of the size.
        per_day: f64,
    },
    /// Many pushes within an hour, again and again.
    Bursts {
        /// Time of the first burst.
        from: f64,
        /// Interval between bursts.
        every: Duration,
        /// Pushes in each.
        pushes: u32,
    },
    /// Regular pushes, and a clean-up once a day.
    SawTooth {
        /// Time of the first push and clean-up.
        from: f64,
        /// Pushes in a day.
        pushes_per_day: u32,
        /// Tags that the clean-up keeps.
        kept: u32,
    },
    /// Downloads at regular intervals.
    Downloads {
        /// Interval.
        every: Duration,
        /// Downloads each time.
        times: u64,
    },
}

impl Plan {
    /// A private repository that is older than the world and does not change.
    #[must_use]
    pub fn new(namespace: &str, name: &str, image_bytes: u64, tags: u32) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            creator: names::CREATORS[0],
            image_bytes,
            tags,
            created: -400.0,
            updated: -0.5,
            deleted: None,
            retention: None,
            is_public: false,
            downloads: 500,
            activity: Activity::None,
        }
    }

    /// Time of the n-th change after creation.
    fn time_of(&self, n: u32) -> Option<f64> {
        let days = |time: Duration| time.as_secs_f64() / 86_400.0;
        let count = f64::from(n);
        Some(match self.activity {
            Activity::None => return None,
            Activity::Pushes { from, every } => from + count * days(every),
            Activity::Compound { from, per_day } => from + (1.0 + count / f64::from(self.tags)).ln() / per_day.ln_1p(),
            Activity::Bursts { from, every, pushes } => {
                from + f64::from(n / pushes) * days(every) + f64::from(n % pushes) / f64::from(pushes) / 24.0
            }
            Activity::SawTooth { from, pushes_per_day, .. } => from + count / f64::from(pushes_per_day),
            Activity::Downloads { every, .. } => count * days(every),
        })
    }
}

/// A plan and how far it has been followed.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// Start of the world, in nanoseconds since the Unix epoch.
    pub(super) start: i64,
    /// Time of the next step, in nanoseconds since the Unix epoch; `i64::MAX` if there is none.
    pub(super) next: i64,
    pub(super) is_created: bool,
    /// Changes so far.
    pub(super) changes: u32,
}

impl Planned {
    pub(super) fn at(&self, days: f64) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "days within centuries of the start")]
        let offset = (days * NANOS_PER_DAY) as i64;
        self.start.saturating_add(offset)
    }

    pub(super) fn is_deleted(&self, now: i64) -> bool {
        self.plan.deleted.is_some_and(|deleted| self.at(deleted) <= now)
    }

    pub(super) fn schedule(&mut self, now: i64) {
        let change = self.plan.time_of(self.changes).map(|days| self.at(days));
        let deletion = self.plan.deleted.map(|days| self.at(days));
        self.next = change.into_iter().chain(deletion).min().map_or(i64::MAX, |next| next.max(now));
    }
}
