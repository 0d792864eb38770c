//! When something goes wrong: for which requests, how often, or by chance.

use fastrand::Rng;

use super::faults::Action;
use super::http::Request;

/// A fault for some requests.
#[derive(Clone, Debug)]
pub struct Rule {
    action: Action,
    method: Option<String>,
    path: String,
    query: Vec<(String, Option<String>)>,
    skip: u64,
    times: u64,
    met: u64,
}

/// Names a rule, to take it back or to ask about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId(u64);

impl Rule {
    /// A fault for every request.
    #[must_use]
    pub fn always(action: Action) -> Self {
        Self { action, method: None, path: String::new(), query: Vec::new(), skip: 0, times: u64::MAX, met: 0 }
    }

    /// A fault for the next request.
    #[must_use]
    pub fn once(action: Action) -> Self {
        Self::always(action).times(1)
    }

    /// Only for this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only for paths that begin so.
    #[must_use]
    pub fn path(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.path);
        self
    }

    /// Only for requests with this query parameter.
    #[must_use]
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.query.push((key.to_owned(), Some(value.to_owned())));
        self
    }

    /// Only for requests that have this query parameter, whatever its value.
    #[must_use]
    pub fn has_query(mut self, key: &str) -> Self {
        self.query.push((key.to_owned(), None));
        self
    }

    /// Leaves the first `count` matching requests in peace.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Meets so many requests at most.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        self.method.as_ref().is_none_or(|method| *method == request.method)
            && request.path.starts_with(&self.path)
            && self.query.iter().all(|(key, wanted)| {
                let found = request.query(key);
                wanted.as_ref().map_or(found.is_some(), |wanted| found == Some(wanted))
            })
    }

    fn meet(&mut self, request: &Request) -> bool {
        if !self.matches(request) {
            return false;
        }
        self.met += 1;
        self.met > self.skip && self.met - self.skip <= self.times
    }

    fn hits(&self) -> u64 {
        self.met.saturating_sub(self.skip).min(self.times)
    }
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<(RuleId, Rule)>,
    next: u64,
    random: Option<Random>,
}

#[derive(Debug)]
struct Random {
    rng: Rng,
    probability: f64,
    kinds: Vec<Action>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: Rule) -> RuleId {
        self.next += 1;
        let id = RuleId(self.next);
        self.rules.push((id, rule));
        id
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.rules.retain(|(other, _)| *other != id);
    }

    pub(super) fn hits(&self, id: RuleId) -> u64 {
        self.rules.iter().find(|(other, _)| *other == id).map_or(0, |(_, rule)| rule.hits())
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
        self.random = None;
    }

    pub(super) fn randomly(&mut self, seed: u64, probability: f64, kinds: Vec<Action>) {
        let random = Random { rng: Rng::with_seed(seed), probability, kinds };
        self.random = (!random.kinds.is_empty()).then_some(random);
    }

    /// What is to happen to a request, rules in the order in which they were added, chance last.
    pub(super) fn choose(&mut self, request: &Request) -> Vec<Action> {
        let mut chosen: Vec<Action> =
            self.rules.iter_mut().filter_map(|(_, rule)| rule.meet(request).then(|| rule.action.clone())).collect();
        if let Some(random) = &mut self.random
            && random.rng.f64() < random.probability
        {
            chosen.extend(random.rng.choice(&random.kinds).cloned());
        }
        chosen
    }
}
