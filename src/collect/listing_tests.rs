//! The walk against a model of a list that moves while it is read.
#![allow(clippy::cast_possible_truncation, reason = "names of the model are small numbers")]

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// A list that changes before each read, by a script.
struct Model {
    names: Mutex<BTreeSet<u32>>,
    /// Changes before read 0, 1, 2...: a name to insert or remove.
    script: Mutex<Vec<Vec<u32>>>,
    clamp: u64,
    refuse_above: u64,
    largest: AtomicU64,
    reads: AtomicU64,
    lie: fn(u64, &mut Page, Window),
}

impl Model {
    fn of(names: impl IntoIterator<Item = u32>) -> Self {
        Self {
            names: Mutex::new(names.into_iter().collect()),
            script: Mutex::default(),
            clamp: u64::MAX,
            refuse_above: u64::MAX,
            largest: AtomicU64::new(u64::MAX),
            reads: AtomicU64::new(0),
            lie: |_, _, _| {},
        }
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

fn row(name: u32) -> Repository {
    Repository {
        namespace: "n".into(),
        name: format!("{name:08}").into(),
        category: None,
        visibility: None,
        size: Some(u64::from(name)),
        images: None,
        downloads: None,
        created: None,
        updated: None,
    }
}

impl PageSource for Model {
    async fn page(&self, window: Window) -> Result<Page, ApiError> {
        // Reads in flight end in an order of their own.
        for _ in 0..window.offset % 3 {
            tokio::task::yield_now().await;
        }
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        if window.limit > self.refuse_above {
            let answer =
                crate::swr::error::ErrorAnswer { status: hyper::StatusCode::BAD_REQUEST, body: Default::default() };
            return Err(ApiError::Refused(answer));
        }
        let mut names = self.names.lock().unwrap();
        let mut script = self.script.lock().unwrap();
        if !script.is_empty() {
            for name in script.remove(0) {
                if !names.remove(&name) {
                    names.insert(name);
                }
            }
        }
        let limit = window.limit.min(self.clamp) as usize;
        let rows: Vec<_> = names.iter().skip(window.offset as usize).take(limit).copied().map(row).collect();
        let mut page = Page { received: rows.len() as u64, rows, total: Some(names.len() as u64) };
        (self.lie)(read, &mut page, window);
        Ok(page)
    }

    fn concurrency(&self) -> usize {
        4
    }

    fn max_page_size(&self) -> u64 {
        self.largest.load(Ordering::Relaxed)
    }

    fn set_max_page_size(&self, rows: u64) {
        self.largest.store(rows, Ordering::Relaxed);
    }
}

async fn list(model: &Model, page_size: u64) -> Result<Vec<u64>, Failure> {
    let metrics = Metrics::new(&prometheus::Registry::new());
    let options = Options { page_size, max_repositories: 50_000, ..Options::default() };
    let rows = read_all(model, &options, &metrics).await?;
    Ok(rows.iter().map(|row| row.size.unwrap()).collect())
}

fn reason(result: Result<Vec<u64>, Failure>) -> Reason {
    result.unwrap_err().reason
}

#[tokio::test]
async fn a_list_at_rest_is_read_once_in_as_few_pages_as_there_are() {
    // A full page proves no end: whether more comes is seen by asking once more.
    for (rows, page_size, reads) in
        [(0, 1000, 1), (1, 1000, 1), (999, 1000, 1), (1000, 1000, 2), (1001, 1000, 2), (2345, 1000, 3)]
    {
        let model = Model::of(0..rows);
        assert_eq!(list(&model, page_size).await.unwrap(), (0..u64::from(rows)).collect::<Vec<_>>());
        assert_eq!(model.reads(), reads, "{rows} rows");
    }
}

#[tokio::test]
async fn pages_of_a_few_rows_work_too() {
    for page_size in 2..30 {
        let model = Model::of(0..200);
        assert_eq!(list(&model, page_size).await.unwrap().len(), 200, "pages of {page_size}");
    }
}

#[tokio::test]
async fn a_server_that_clamps_or_refuses_the_page_size_is_followed_and_remembered() {
    let model = Model { clamp: 37, ..Model::of(0..500) };
    assert_eq!(list(&model, 1000).await.unwrap().len(), 500);
    assert_eq!(model.max_page_size(), 37);
    let before = model.reads();
    list(&model, 1000).await.unwrap();
    assert!(model.reads() - before <= 17, "{}", model.reads() - before);

    let model = Model { refuse_above: 100, ..Model::of(0..500) };
    assert_eq!(list(&model, 1000).await.unwrap().len(), 500);
    assert_eq!(model.max_page_size(), 100);
}

#[tokio::test]
async fn an_insertion_before_the_cursor_at_every_page_loses_nothing() {
    let model = Model::of((0..10_000).map(|name| 100_000 + name));
    *model.script.lock().unwrap() = (0..150).map(|read| vec![read]).collect();
    let listed = list(&model, 100).await.unwrap();
    assert!((100_000..110_000).all(|name| listed.binary_search(&name).is_ok()));
    assert!(listed.windows(2).all(|pair| pair[0] < pair[1]), "each once");
}

#[tokio::test]
async fn a_deletion_before_the_cursor_at_every_page_loses_nothing() {
    let model = Model::of(0..10_000);
    *model.script.lock().unwrap() = (0..150).map(|read| vec![read]).collect();
    let listed = list(&model, 100).await.unwrap();
    assert!((150..10_000).all(|name| listed.binary_search(&name).is_ok()));
}

#[tokio::test]
async fn lying_totals_end_the_walk_within_two_pages_of_what_they_promise() {
    let absent: fn(u64, &mut Page, Window) = |_, page, _| page.total = None;
    let model = Model { lie: absent, ..Model::of(0..250) };
    assert_eq!(list(&model, 100).await.unwrap().len(), 250);

    let too_low: fn(u64, &mut Page, Window) = |_, page, _| page.total = Some(120);
    let model = Model { lie: too_low, ..Model::of(0..250) };
    assert_eq!(list(&model, 100).await.unwrap().len(), 250, "short pages end a list whose total is too low");

    for promised in [251u64, 400, 5000] {
        let too_high: fn(u64, &mut Page, Window) = match promised {
            251 => |_, page, _| page.total = Some(251),
            400 => |_, page, _| page.total = Some(400),
            _ => |_, page, _| page.total = Some(5000),
        };
        let model = Model { lie: too_high, ..Model::of(0..250) };
        assert_eq!(reason(list(&model, 100).await), Reason::Incomplete);
        let each = model.reads() / MAX_WALKS as u64;
        assert!(each <= promised.div_ceil(100) + 2, "{each} reads a walk for a total of {promised}");
    }
}

#[tokio::test]
async fn a_total_that_ends_with_a_full_page_is_not_taken_at_its_word() {
    // One lie, at any of the reads, that makes that page look like the last.
    for lying in 0..6 {
        let model = Model::of(0..500);
        let lies: [fn(u64, &mut Page, Window); 6] = [
            |read, page, window| lie_at(0, read, page, window),
            |read, page, window| lie_at(1, read, page, window),
            |read, page, window| lie_at(2, read, page, window),
            |read, page, window| lie_at(3, read, page, window),
            |read, page, window| lie_at(4, read, page, window),
            |read, page, window| lie_at(5, read, page, window),
        ];
        let model = Model { lie: lies[lying], ..model };
        assert_eq!(list(&model, 100).await.unwrap().len(), 500, "a lie at read {lying}");
    }
}

fn lie_at(lying: u64, read: u64, page: &mut Page, window: Window) {
    if read == lying {
        page.total = Some(window.offset + page.received);
    }
}

#[tokio::test]
async fn a_total_that_changes_at_every_page_ends() {
    let model =
        Model { lie: |read, page, _| page.total = page.total.map(|total| total + read % 2), ..Model::of(0..250) };
    let listed = list(&model, 100).await;
    assert!(listed.is_err() || listed.unwrap().len() == 250);
    assert!(model.reads() < 100);
}

#[tokio::test]
async fn a_server_that_ignores_the_offset_is_found_out_at_the_second_page() {
    let same: fn(u64, &mut Page, Window) = |_, page, window| {
        page.rows = (0..window.limit as u32).map(row).collect();
        page.received = page.rows.len() as u64;
        page.total = Some(100_000);
    };
    let model = Model { lie: same, ..Model::of(0..100) };
    assert_eq!(reason(list(&model, 1000).await), Reason::Incomplete);
    assert!(model.reads() <= 2, "{}", model.reads());
}

#[tokio::test]
async fn duplicates_and_rows_that_vanish_from_a_page_are_read_again() {
    let once: fn(u64, &mut Page, Window) = |read, page, _| {
        if read == 2 {
            page.rows[50] = page.rows[7].clone();
        }
        if read == 4 {
            page.rows.remove(20);
            page.received -= 1;
        }
    };
    let model = Model { lie: once, ..Model::of(0..1000) };
    assert_eq!(list(&model, 100).await.unwrap().len(), 1000);
    let always: fn(u64, &mut Page, Window) = |_, page, _| page.rows[50] = page.rows[7].clone();
    let model = Model { lie: always, ..Model::of(0..1000) };
    assert_eq!(reason(list(&model, 100).await), Reason::Incomplete);
}

#[tokio::test]
async fn more_repositories_than_the_bound_are_refused_before_they_are_read() {
    let model = Model { lie: |_, page, _| page.total = Some(10_000_000), ..Model::of(0..1000) };
    assert_eq!(reason(list(&model, 1000).await), Reason::Incomplete);
    assert!(model.reads() <= 2);
}

#[tokio::test]
async fn a_list_that_shrinks_to_a_fraction_is_followed() {
    let model = Model::of(0..5000);
    *model.script.lock().unwrap() = vec![vec![], vec![], (0..4000).collect()];
    let listed = list(&model, 100).await.unwrap();
    assert!((4000..5000).all(|name| listed.binary_search(&name).is_ok()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The law: what existed throughout is listed exactly once, whatever came and went.
    #[test]
    fn a_walk_covers_a_moving_list(
        start in proptest::collection::btree_set(0u32..3000, 0..600),
        script in proptest::collection::vec(proptest::collection::vec(0u32..3000, 0..12), 0..40),
        page_size in 5u64..120,
    ) {
        let mut standing = start.clone();
        for name in script.iter().flatten() {
            standing.remove(name);
        }
        let ever: BTreeSet<u32> = start.iter().chain(script.iter().flatten()).copied().collect();
        let model = Model::of(start);
        *model.script.lock().unwrap() = script;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match runtime.block_on(list(&model, page_size)) {
            Ok(listed) => {
                prop_assert!(listed.windows(2).all(|pair| pair[0] < pair[1]), "each once");
                for name in standing {
                    prop_assert!(listed.binary_search(&u64::from(name)).is_ok(), "{name} is missing");
                }
                prop_assert!(listed.iter().all(|name| ever.contains(&(*name as u32))));
            }
            Err(failure) => prop_assert_eq!(failure.reason, Reason::Incomplete),
        }
    }
}
