//! Fault rules: which requests a fault applies to, how often, or with which probability.

use std::fmt;
use std::sync::Arc;

use fastrand::Rng;

use super::faults::Action;
use super::http::Request;

/// An arbitrary condition of a rule.
type Condition = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

/// A fault and the requests it applies to.
#[derive(Clone)]
pub struct Rule {
    action: Action,
    method: Option<String>,
    path: String,
    query: Vec<(String, Option<String>)>,
    condition: Option<Condition>,
    skip: u64,
    times: u64,
    met: u64,
}

/// Identifies a rule, to remove or query it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId(u64);

impl Rule {
    /// A fault for every request.
    #[must_use]
    pub fn always(action: Action) -> Self {
        Self {
            action,
            method: None,
            path: String::new(),
            query: Vec::new(),
            condition: None,
            skip: 0,
            times: u64::MAX,
            met: 0,
        }
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

    /// Only for paths with this prefix.
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

    /// Only for requests with this query parameter, any value.
    #[must_use]
    pub fn has_query(mut self, key: &str) -> Self {
        self.query.push((key.to_owned(), None));
        self
    }

    /// Only for requests that satisfy a condition.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.condition = Some(Arc::new(condition));
        self
    }

    /// Skips the first `count` matching requests.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Applies at most `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        self.method.as_ref().is_none_or(|method| *method == request.method)
            && request.path.starts_with(&self.path)
            && self.condition.as_ref().is_none_or(|condition| condition(request))
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

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} for {}* after {}, {} times", self.action, self.path, self.skip, self.times)
    }
}

/// The enabled faults.
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

    /// The faults for a request: rules in the order of addition, then the random one.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::http::parse_head;
    use super::*;

    fn request(target: &str) -> Request {
        parse_head(format!("GET {target} HTTP/1.1").into_bytes()).unwrap()
    }

    fn nothing() -> Action {
        Action::Delay(Duration::ZERO)
    }

    #[test]
    fn a_rule_meets_only_what_it_is_meant_for() {
        let page = "/v2/manage/repos?offset=200&limit=100";
        for (rule, meets) in [
            (Rule::always(nothing()), true),
            (Rule::always(nothing()).method("GET"), true),
            (Rule::always(nothing()).method("POST"), false),
            (Rule::always(nothing()).path("/v2/manage"), true),
            (Rule::always(nothing()).path("/v3"), false),
            (Rule::always(nothing()).query("offset", "200").has_query("limit"), true),
            (Rule::always(nothing()).query("offset", "100"), false),
            (Rule::always(nothing()).has_query("namespace"), false),
            (Rule::always(nothing()).when(|request| request.query("offset") != Some("0")), true),
        ] {
            let text = format!("{rule:?}");
            let mut faults = Faults::default();
            faults.add(rule);
            assert_eq!(!faults.choose(&request(page)).is_empty(), meets, "{text}");
        }
    }

    #[test]
    fn a_rule_can_spare_the_first_and_tire() {
        let mut faults = Faults::default();
        let id = faults.add(Rule::always(nothing()).path("/a").after(2).times(3));
        let met: Vec<bool> = (0..8)
            .map(|_| {
                faults.choose(&request("/b"));
                !faults.choose(&request("/a")).is_empty()
            })
            .collect();
        assert_eq!(met, [false, false, true, true, true, false, false, false]);
        assert_eq!(faults.hits(id), 3);
        faults.remove(id);
        assert_eq!(faults.hits(id), 0);
    }

    #[test]
    fn chance_follows_from_its_seed() {
        let draw = |seed| {
            let mut faults = Faults::default();
            faults.randomly(seed, 0.3, vec![nothing(), Action::busy()]);
            (0..1_000).map(|_| faults.choose(&request("/")).first().map(Action::kind)).collect::<Vec<_>>()
        };
        let drawn = draw(1);
        assert_eq!(drawn, draw(1));
        assert_ne!(drawn, draw(2));
        let share = drawn.iter().flatten().count();
        assert!((200..400).contains(&share), "{share}");
        assert!(drawn.contains(&Some("delay")) && drawn.contains(&Some("error")));
    }
}
