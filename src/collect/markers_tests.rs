//! The walk by markers with a model of a list that moves while it is read, and with models that lie.

use super::super::walk::MAX_WALKS;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::sync::Mutex;

/// Changes a page. The first argument is the number of the read, from 0.
type Lie = fn(usize, &mut MarkerPage<u32>);

/// A list of numbers in order; the marker is the last number of the page before. It changes before each read, by a
/// script of numbers to insert or remove.
struct Model {
    rows: Mutex<BTreeSet<u32>>,
    script: Mutex<Vec<Vec<u32>>>,
    reads: Mutex<usize>,
    page_size: usize,
    lie: Lie,
}

impl Model {
    fn of(rows: impl IntoIterator<Item = u32>, page_size: usize, lie: Lie) -> Self {
        let rows = Mutex::new(rows.into_iter().collect());
        Self { rows, script: Mutex::default(), reads: Mutex::default(), page_size, lie }
    }

    fn reads(&self) -> usize {
        *self.reads.lock().unwrap()
    }
}

impl Model {
    fn page(&self, marker: Option<&str>) -> MarkerPage<u32> {
        let read = {
            let mut reads = self.reads.lock().unwrap();
            *reads += 1;
            *reads - 1
        };
        let mut rows = self.rows.lock().unwrap();
        let mut script = self.script.lock().unwrap();
        if !script.is_empty() {
            for row in script.remove(0) {
                if !rows.remove(&row) {
                    rows.insert(row);
                }
            }
        }
        let from = marker.map_or(0, |marker| marker.parse::<u32>().unwrap() + 1);
        let listed: Vec<u32> = rows.range(from..).take(self.page_size).copied().collect();
        let more = listed.last().is_some_and(|last| rows.range(last + 1..).next().is_some());
        let next = listed.last().filter(|_| more).map(u32::to_string);
        let mut page = MarkerPage { received: listed.len() as u64, rows: listed, next };
        (self.lie)(read, &mut page);
        page
    }
}

fn hash_key(row: &u32, by: &RandomState) -> u64 {
    by.hash_one(row)
}

fn metrics() -> Metrics {
    Metrics::new(&prometheus::Registry::new())
}

async fn list(model: &Model, max_rows: u64) -> Result<Vec<u32>, WalkFailure> {
    let read = |marker: Option<String>| std::future::ready(Ok(model.page(marker.as_deref())));
    read_all(read, hash_key, max_rows, &metrics()).await
}

fn incomplete(result: Result<Vec<u32>, WalkFailure>) -> String {
    match result {
        Err(WalkFailure::Incomplete(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_list_at_rest_is_read_once_in_as_few_pages_as_there_are() {
    for (rows, reads) in [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2), (25, 3)] {
        let model = Model::of(0..rows, 10, |_, _| {});
        assert_eq!(list(&model, 100_000).await.unwrap(), Vec::from_iter(0..rows));
        assert_eq!(model.reads(), reads, "{rows}");
    }
}

#[tokio::test]
async fn markers_that_lead_in_a_circle_are_noticed() {
    let model = Model::of(0..100, 10, |read, page| {
        // Each page is new, and its marker is not.
        page.rows = vec![1000 + u32::try_from(read).unwrap()];
        page.next = Some(format!("{}", read % 2));
    });
    assert!(incomplete(list(&model, 100_000).await).contains("leads back"));
    assert_eq!(model.reads(), 3 * MAX_WALKS);
}

#[tokio::test]
async fn a_list_without_end_ends_at_the_bound_on_rows() {
    let model = Model::of(0..1, 10, |read, page| {
        let read = u32::try_from(read).unwrap();
        page.rows = (read * 10..read * 10 + 10).collect();
        page.received = 10;
        page.next = Some(read.to_string());
    });
    assert!(incomplete(list(&model, 1000).await).contains("more than 1000"));
    assert_eq!(model.reads(), 101, "and no second walk");
}

#[tokio::test]
async fn one_empty_page_that_promises_more_starts_the_walk_over() {
    let model = Model::of(0..30, 10, |read, page| {
        if read == 1 {
            page.rows.clear();
            page.received = 0;
        }
    });
    assert_eq!(list(&model, 100_000).await.unwrap().len(), 30);
}

#[tokio::test]
async fn short_pages_and_rows_without_a_name_end_nothing() {
    let model = Model::of(0..50, 10, |read, page| {
        if read == 2 {
            page.rows.truncate(1);
            page.received = 1;
            page.next = Some("20".to_owned());
        }
        page.received += 1;
    });
    assert_eq!(list(&model, 100_000).await.unwrap(), Vec::from_iter(0..50));
}

#[tokio::test]
async fn a_call_that_fails_for_good_ends_the_walk_with_its_error() {
    let read = async |marker: Option<String>| match marker {
        None => Ok(MarkerPage { rows: vec![1], received: 1, next: Some("1".to_owned()) }),
        Some(_) => Err(ApiError::TooLarge { limit: 1 }),
    };
    let error = read_all(read, hash_key, 10, &metrics()).await.unwrap_err();
    assert!(matches!(error, WalkFailure::Call(ApiError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn what_exists_throughout_is_listed_once_and_nothing_that_never_was(
        rows in proptest::collection::btree_set(0u32..300, 0..120),
        script in proptest::collection::vec(proptest::collection::vec(0u32..300, 0..5), 0..30),
        page_size in 1usize..20,
    ) {
        let model = Model::of(rows.iter().copied(), page_size, |_, _| {});
        let (mut throughout, mut ever, mut now) = (rows.clone(), rows.clone(), rows);
        for step in &script {
            for row in step {
                if !now.remove(row) {
                    now.insert(*row);
                    ever.insert(*row);
                }
                throughout.retain(|row| now.contains(row));
            }
        }
        *model.script.lock().unwrap() = script;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let listed = runtime.block_on(list(&model, 100_000)).unwrap();
        let unique: BTreeSet<u32> = listed.iter().copied().collect();
        prop_assert_eq!(unique.len(), listed.len());
        prop_assert!(throughout.is_subset(&unique) && unique.is_subset(&ever));
    }
}
