//! The verified walk with a model of a list that moves while it is read.
#![allow(clippy::cast_possible_truncation, reason = "names of the model are small numbers")]

use super::*;
use crate::failure::{Failure, Reason};
use crate::model::Repository;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Changes the page of a read, which is counted from 0.
type Lie = dyn Fn(u64, &mut Page, Window) + Sync;

/// A list that changes before each read, by a script.
struct Model {
    names: Mutex<BTreeSet<u32>>,
    /// Changes before read 0, 1, 2...: a name to insert or remove.
    script: Mutex<Vec<Vec<u32>>>,
    clamp: u64,
    refuse_above: u64,
    sizes: PageSizes,
    reads: AtomicU64,
    before: Repositories,
    lie: Box<Lie>,
    /// Whether the response to this read exceeds the limit on bytes.
    is_too_large: fn(u64, Window) -> bool,
}

impl Model {
    fn of(names: impl IntoIterator<Item = u32>) -> Self {
        Self {
            names: Mutex::new(names.into_iter().collect()),
            script: Mutex::default(),
            clamp: u64::MAX,
            refuse_above: u64::MAX,
            sizes: PageSizes::default(),
            reads: AtomicU64::new(0),
            before: Repositories::default(),
            lie: Box::new(|_, _, _| {}),
            is_too_large: |_, _| false,
        }
    }

    fn lying(names: impl IntoIterator<Item = u32>, lie: impl Fn(u64, &mut Page, Window) + Sync + 'static) -> Self {
        Self { lie: Box::new(lie), ..Self::of(names) }
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

fn row(name: u32) -> Row {
    Row::from(&Repository {
        namespace: "n".into(),
        name: format!("{name:08}").into(),
        category: None,
        visibility: None,
        size: Some(u64::from(name)),
        images: None,
        downloads: None,
        created: None,
        updated: None,
    })
}

impl Model {
    async fn page(&self, window: Window) -> Result<Page, ApiError> {
        // Concurrent reads end in any order.
        for _ in 0..window.offset % 3 {
            tokio::task::yield_now().await;
        }
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        if window.limit > self.refuse_above {
            let (from, status, body) =
                (crate::transport::error_response::Service::Api, hyper::StatusCode::BAD_REQUEST, Default::default());
            return Err(ApiError::Refused(crate::swr::error::ErrorResponse { from, status, body, retry_after: None }));
        }
        if (self.is_too_large)(read, window) {
            return Err(ApiError::TooLarge { limit: 1 });
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

    async fn read_all(&self, options: &Options) -> Result<Repositories, WalkFailure> {
        let page = |window| self.page(window);
        let source = Source { page, concurrency: 4, sizes: &self.sizes, before: &self.before };
        read_all(&source, options, &Metrics::new(&prometheus::Registry::new())).await
    }
}

async fn list(model: &Model, page_size: u64) -> Result<Vec<u64>, Failure> {
    let options = Options { page_size, max_repositories: 50_000, ..Options::default() };
    let rows = model.read_all(&options).await?;
    Ok(rows.iter().map(|row| row.size.unwrap()).collect())
}

fn reason(result: Result<Vec<u64>, Failure>) -> Reason {
    result.unwrap_err().reason
}

#[tokio::test]
async fn a_list_at_rest_is_read_once_in_as_few_pages_as_there_are() {
    // A full page does not prove the end, so one more page is read.
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
    assert_eq!(model.sizes.clamp.get(), Some(37));
    let before = model.reads();
    list(&model, 1000).await.unwrap();
    assert!(model.reads() - before <= 17, "{}", model.reads() - before);

    let model = Model { refuse_above: 100, ..Model::of(0..500) };
    assert_eq!(list(&model, 1000).await.unwrap().len(), 500);
    assert_eq!(model.sizes.accepted.get(), Some(100));
}

/// Lists once, and returns how many reads that took.
async fn reads_of(model: &Model, page_size: u64) -> u64 {
    let before = model.reads();
    let expected = model.names.lock().unwrap().len();
    assert_eq!(list(model, page_size).await.unwrap().len(), expected);
    model.reads() - before
}

#[tokio::test]
async fn short_first_pages_by_accident_cost_a_few_reads_and_are_not_remembered() {
    let cut_off = |page: &mut Page| {
        page.rows.truncate(10);
        page.received = 10;
    };
    let model = Model::lying(0..20_000, move |read, page, window| {
        if window.offset == 0 && read < 4 {
            cut_off(page);
        }
    });
    let normal = reads_of(&Model::of(0..20_000), 1000).await;
    assert!(reads_of(&model, 1000).await <= normal + 6);
    assert_eq!(reads_of(&model, 1000).await, normal);

    // Every page is cut, long enough to be taken for a property of the server.
    let first_of = |reads: u64| {
        let lie = move |read, page: &mut Page, _| {
            if read < reads {
                cut_off(page);
            }
        };
        Box::new(lie)
    };
    let mut model = Model { lie: first_of(5), ..Model::of(0..20_000) };
    assert!(reads_of(&model, 1000).await <= normal + 33, "larger pages are tried again in the same walk");
    assert_eq!(reads_of(&model, 1000).await, normal);

    // Only once: nothing is concluded from it.
    model.lie = first_of(1);
    model.reads = AtomicU64::new(0);
    assert!(reads_of(&model, 1000).await <= normal + 3);
}

#[tokio::test]
async fn a_first_page_that_lost_rows_is_no_clamp() {
    for rows in [100, 900, 1000, 5000] {
        let model = Model::lying(0..rows, |read, page, _| {
            if read == 0 {
                page.rows.drain(20..25);
                page.received -= 5;
            }
        });
        // The list changes, so the total is no proof.
        *model.script.lock().unwrap() = vec![vec![], vec![], vec![rows], vec![], vec![rows], vec![], vec![rows]];
        let listed = list(&model, 1000).await.unwrap();
        assert!((0..u64::from(rows)).all(|name| listed.binary_search(&name).is_ok()), "{rows}");
    }
}

#[tokio::test]
async fn a_page_that_is_too_large_is_read_again_in_smaller_pages() {
    // Whatever the position, from some position on, and for a moment.
    type Case = (fn(u64, Window) -> bool, u64, u64);
    let cases: [Case; 3] = [
        (|_, window| window.limit > 300, 28, 24),
        (|_, window| window.limit > 300 && window.end() > 3000, 36, 32),
        (|read, _| read < 4, 4 + 6 * 18 + 6, 6),
    ];
    for (is_too_large, first, second) in cases {
        let model = Model { is_too_large, ..Model::of(0..5000) };
        let reads = reads_of(&model, 1000).await;
        assert!(reads <= first, "{reads} reads");
        let reads = reads_of(&model, 1000).await;
        assert!(reads <= second, "{reads} reads later");
    }
}

#[tokio::test]
async fn a_page_that_is_too_large_at_any_size_is_that_failure_after_a_few_reads() {
    let model = Model { is_too_large: |_, _| true, ..Model::of(0..5000) };
    let options = Options { page_size: 1000, ..Options::default() };
    let failure = model.read_all(&options).await.unwrap_err();
    assert!(matches!(failure, WalkFailure::Call(ApiError::TooLarge { .. })));
    assert!(model.reads() <= 6, "{}", model.reads());
}

#[tokio::test]
async fn a_total_that_ends_with_a_full_page_is_not_taken_at_its_word() {
    // One wrong total, in any of the reads, that makes the page look like the last.
    for lying in 0..6 {
        let model = Model::lying(0..500, move |read, page, window| {
            if read == lying {
                page.total = Some(window.offset + page.received);
            }
        });
        assert_eq!(list(&model, 100).await.unwrap().len(), 500, "a lie at read {lying}");
    }
}

#[tokio::test]
async fn duplicates_and_rows_that_vanish_from_a_page_are_read_again() {
    let model = Model::lying(0..1000, |read, page, _| {
        if read == 2 {
            page.rows[50] = page.rows[7].clone();
        }
        if read == 4 {
            page.rows.remove(20);
            page.received -= 1;
        }
    });
    assert_eq!(list(&model, 100).await.unwrap().len(), 1000);
    let model = Model::lying(0..1000, |_, page, _| page.rows[50] = page.rows[7].clone());
    assert_eq!(reason(list(&model, 100).await), Reason::Incomplete);
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

    /// The law: repositories that exist all the time are listed exactly once, whatever comes and goes.
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

#[tokio::test]
async fn without_a_total_a_page_that_is_short_or_empty_by_accident_does_not_end_the_list() {
    // Cuts the page of one read, and tells no total.
    let without_total = |short: u64, rows: usize| {
        Box::new(move |read: u64, page: &mut Page, _: Window| {
            page.total = None;
            if read == short {
                page.rows.truncate(rows);
                page.received = page.rows.len() as u64;
            }
        })
    };
    for (short, rows) in [(0, 10), (0, 0), (2, 10), (4, 0)] {
        let model = Model { lie: without_total(short, rows), ..Model::of(0..350) };
        assert_eq!(list(&model, 100).await.unwrap().len(), 350, "read {short} has {rows} rows");
    }
    for clamp in [2, 10, 99] {
        let model = Model { lie: without_total(u64::MAX, 0), clamp, ..Model::of(0..350) };
        assert_eq!(list(&model, 100).await.unwrap().len(), 350, "pages of {clamp}");
    }
    for names in [0, 1, 5, 100] {
        let model = Model { lie: without_total(u64::MAX, 0), ..Model::of(0..names) };
        assert_eq!(list(&model, 100).await.unwrap().len(), names as usize);
        assert!(model.reads() <= 4, "{} reads of {names}", model.reads());
    }
}
