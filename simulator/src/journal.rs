//! The journal: recent requests for assertions, and bounded counters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::http::Request;

/// Requests kept, since a demo may run for weeks.
const KEPT: usize = 10_000;
/// Distinct paths counted. Further paths count in the total only.
const COUNTED_PATHS: usize = 100_000;

/// The journal, since it was last cleared.
#[derive(Debug)]
pub(super) struct Journal {
    /// Number of the request at the front of `kept`.
    first: u64,
    kept: VecDeque<Request>,
    next: u64,
    paths: BTreeMap<String, u64>,
    statuses: BTreeMap<u16, u64>,
    total: u64,
    in_flight: usize,
    max_in_flight: usize,
}

/// A request in flight; dropping it ends its count.
pub(super) struct InFlight {
    journal: Arc<Mutex<Journal>>,
    pub(super) number: u64,
    counted: bool,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            first: 0,
            kept: VecDeque::new(),
            next: 0,
            paths: BTreeMap::new(),
            statuses: BTreeMap::new(),
            total: 0,
            in_flight: 0,
            max_in_flight: 0,
        }
    }

    /// Records a request and returns its number.
    pub(super) fn begin(&mut self, request: &Request) -> u64 {
        let number = self.next;
        self.next += 1;
        self.total += 1;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
        if self.paths.len() < COUNTED_PATHS || self.paths.contains_key(&request.path) {
            *self.paths.entry(request.path.clone()).or_default() += 1;
        }
        if self.kept.is_empty() {
            self.first = number;
        }
        self.kept.push_back(request.clone());
        if self.kept.len() > KEPT {
            self.kept.pop_front();
            self.first += 1;
        }
        number
    }

    /// Records the faults applied to a request.
    pub(super) fn faults(&mut self, number: u64, faults: &[&'static str]) {
        if let Some(request) = self.kept(number) {
            request.faults = faults.to_vec();
        }
    }

    /// Records the status of a response.
    pub(super) fn answered(&mut self, number: u64, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
        if let Some(request) = self.kept(number) {
            request.status = Some(status);
        }
    }

    pub(super) fn finished(&mut self) {
        self.in_flight -= 1;
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.kept.iter().cloned().collect()
    }

    /// Requests whose path begins with `prefix`, recorded or not.
    pub(super) fn count(&self, prefix: &str) -> u64 {
        self.paths.range(prefix.to_owned()..).take_while(|(path, _)| path.starts_with(prefix)).map(|(_, n)| n).sum()
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn statuses(&self) -> BTreeMap<u16, u64> {
        self.statuses.clone()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Clears everything but the requests in flight.
    pub(super) fn clear(&mut self) {
        *self = Self { next: self.next, in_flight: self.in_flight, max_in_flight: self.in_flight, ..Self::new() };
    }

    fn kept(&mut self, number: u64) -> Option<&mut Request> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.kept.get_mut(at)
    }
}

impl InFlight {
    /// Records a request in the journal. Input that is not a request is not counted.
    pub(super) fn begin(journal: &Arc<Mutex<Journal>>, request: Option<&Request>) -> Self {
        let number = request.map(|request| journal.lock().begin(request));
        Self { journal: Arc::clone(journal), number: number.unwrap_or_default(), counted: number.is_some() }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.counted {
            self.journal.lock().finished();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    fn request(path: &str) -> Request {
        Request {
            method: "GET".to_owned(),
            target: path.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: BTreeMap::new(),
            body: Vec::new(),
            at: Instant::now(),
            status: None,
            faults: Vec::new(),
        }
    }

    #[test]
    fn only_the_last_requests_are_kept_but_all_are_counted() {
        let mut journal = Journal::new();
        for index in 0..KEPT + 5 {
            let number = journal.begin(&request(&format!("/{}", index % 7)));
            journal.answered(number, 200);
            journal.finished();
        }
        assert_eq!(journal.requests().len(), KEPT);
        assert_eq!(journal.count("/"), 10_005);
        assert_eq!(journal.count("/3"), 1_429);
        assert!(journal.requests().iter().all(|r| r.status == Some(200)));
        assert_eq!((journal.max_in_flight(), journal.in_flight()), (1, 0));
    }

    #[test]
    fn clearing_keeps_late_answers_apart() {
        let mut journal = Journal::new();
        let early = journal.begin(&request("/early"));
        journal.clear();
        let late = journal.begin(&request("/late"));
        journal.answered(early, 500);
        journal.answered(late, 200);
        assert_eq!(journal.requests()[0].status, Some(200));
        assert_eq!((journal.total(), journal.max_in_flight()), (1, 2));
    }
}
