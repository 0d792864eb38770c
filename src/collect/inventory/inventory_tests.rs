//! The inventory with listings that change, and across a restart.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]

use super::*;
use crate::base::state_file::{self, Origin, RecordWriter};
use crate::collect::fetch_task::{FetchKind, Need};
use crate::model::Images;
use crate::model::reading::ReadingOptions;
use crate::model::tags::{Blob, Contents, Digest32, Tag};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::SystemTime;

const NOW: u32 = 1_700_000_000;

fn options() -> TagOptions {
    only(FetchKind::Tags)
}

pub(super) fn only(kind: FetchKind) -> TagOptions {
    TagOptions { enabled: PerKind::from_fn(|other| other == kind), ..TagOptions::default() }
}

fn row(namespace: &str, name: &str, updated: i64) -> Repository {
    Repository {
        name: name.into(),
        updated: Some(Timestamp(updated)),
        size: Some(updated.unsigned_abs()),
        ..Repository::unknown(namespace.into())
    }
}

fn listing(rows: &[(&str, &str, i64)]) -> Snapshot {
    let rows = rows.iter().map(|(namespace, name, updated)| row(namespace, name, *updated)).collect();
    Snapshot::new(Timestamp(0), rows).0
}

fn blob(number: u8) -> Blob {
    Blob { digest: Digest32([number; 32]), size: u64::from(number) }
}

fn reading(blobs: &[u8]) -> Reading {
    let contents = Contents::Image(blobs.iter().copied().map(blob).collect());
    let tag = Tag {
        name: "v1".into(),
        updated: Some(Timestamp(i64::from(NOW - 86_400) * 1_000_000_000)),
        contents,
        ..Tag::default()
    };
    Reading::of(vec![tag], &ReadingOptions { with_series: true, ..ReadingOptions::default() })
}

/// Performs every task of a plan.
fn perform(inventory: &mut TagInventory, plan: Plan, read: impl Fn(&FetchSubject) -> Option<Reading>) -> Vec<String> {
    let mut done = Vec::new();
    for task in plan.tasks.into_iter().rev() {
        let subject = inventory.subject(&task).unwrap();
        assert!(inventory.store(&task, &subject, Fetched::Tags(read(&subject)), NOW));
        done.push(format!("{}/{}", subject.namespace, subject.name));
    }
    done
}

fn update(inventory: &mut TagInventory, listing: &Snapshot) -> Plan {
    update_with(inventory, listing, &options(), NOW)
}

pub(super) fn update_with(inventory: &mut TagInventory, listing: &Snapshot, options: &TagOptions, now: u32) -> Plan {
    inventory.update(listing, options, now, Instant::now())
}

fn exclusive(images: &Images) -> Vec<Option<u128>> {
    images.repositories.iter().map(|of| of.tags.as_ref().and_then(|tags| tags.exclusive_bytes)).collect()
}

#[tokio::test]
async fn only_what_is_new_or_changed_is_read_again() {
    let mut inventory = TagInventory::default();
    let plan = update(&mut inventory, &listing(&[("a", "x", 1), ("a", "y", 5), ("b", "x", 3)]));
    assert_eq!(perform(&mut inventory, plan, |_| Some(reading(&[1]))), ["a/y", "b/x", "a/x"], "the largest first");
    assert!(update(&mut inventory, &listing(&[("a", "x", 1), ("a", "y", 5), ("b", "x", 3)])).tasks.is_empty());
    let plan = update(&mut inventory, &listing(&[("a", "new", 100), ("a", "x", 2), ("b", "x", 3)]));
    assert_eq!(plan.pending(), 2);
    assert_eq!(
        perform(&mut inventory, plan, |_| Some(reading(&[1]))),
        ["a/x", "a/new"],
        "what is shown and wrong first"
    );
}

#[tokio::test]
async fn a_repository_that_vanishes_takes_its_bytes_along() {
    let mut inventory = TagInventory::default();
    let plan = update(&mut inventory, &listing(&[("a", "x", 1), ("b", "y", 2)]));
    perform(&mut inventory, plan, |subject| Some(reading(if &*subject.name == "x" { &[1, 2] } else { &[2, 3] })));
    let images = inventory.images(&options(), NOW);
    assert_eq!(exclusive(&images), [Some(1), Some(3)]);
    assert_eq!((images.unique_bytes, images.namespaces.len()), (Some(6), 2));
    let plan = update(&mut inventory, &listing(&[("b", "y", 2)]));
    assert!(plan.tasks.is_empty());
    let images = inventory.images(&options(), NOW);
    assert_eq!((exclusive(&images), images.unique_bytes), (vec![Some(5)], Some(5)));
    assert_eq!(images.namespaces, [("b".into(), 5)], "absent is not zero");
    let figures = images.repositories[0].tags.as_ref().unwrap();
    assert_eq!((figures.totals.tags, figures.by_age), (1, [1, 0, 0, 0, 0]));
}

#[tokio::test]
async fn organizations_that_are_gone_take_no_memory() {
    let mut inventory = TagInventory::default();
    for round in 0..100 {
        let names: Vec<_> = (0..20).map(|number| format!("{round:03}-{number:02}")).collect();
        let mut rows: Vec<_> = names.iter().map(|name| (name.as_str(), "app", 1)).collect();
        rows.insert(0, ("", "stays", 1));
        let plan = update(&mut inventory, &listing(&rows));
        perform(&mut inventory, plan, |subject| Some(reading(if &*subject.name == "app" { &[1, 2] } else { &[2, 3] })));
        let images = inventory.images(&options(), NOW);
        assert_eq!((images.namespaces.len(), images.unique_bytes), (21, Some(6)));
        assert!(images.namespaces.iter().all(|(name, bytes)| *bytes == if name.is_empty() { 5 } else { 3 }));
        assert_eq!(inventory.groups.len(), 21);
        assert!(inventory.groups.values().all(|known| known.group < 2 * 21), "numbers are used again");
    }
}

#[tokio::test]
async fn exclusive_bytes_are_withheld_until_every_repository_was_read() {
    let mut inventory = TagInventory::default();
    let rows = [("a", "x", 9), ("a", "y", 8), ("b", "z", 7)];
    let mut plan = update(&mut inventory, &listing(&rows));
    plan.tasks.remove(0);
    perform(&mut inventory, plan, |_| Some(reading(&[1])));
    let images = inventory.images(&options(), NOW);
    assert_eq!(exclusive(&images), [None, None, None]);
    assert_eq!(images.unique_bytes, None);
    assert_eq!(images.namespaces, [("a".into(), 1)], "organization a is known already");
    let plan = update(&mut inventory, &listing(&rows));
    perform(&mut inventory, plan, |_| Some(reading(&[1, 2])));
    assert_eq!(exclusive(&inventory.images(&options(), NOW)), [Some(0), Some(0), Some(2)]);
    // The others keep their series when a new repository appears later.
    update(&mut inventory, &listing(&[("a", "x", 9), ("a", "y", 8), ("b", "new", 1), ("b", "z", 7)]));
    assert_eq!(exclusive(&inventory.images(&options(), NOW)), [Some(0), Some(0), None, Some(2)]);
}

#[tokio::test]
async fn what_fails_waits_longer_each_time_and_is_not_waited_for_in_the_end() {
    let mut inventory = TagInventory::default();
    let rows = listing(&[("a", "x", 1)]);
    let now = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..9 {
        let plan = inventory.update(&rows, &options(), NOW, now + Duration::from_secs(100_000));
        waits.push((inventory.delay(&plan.tasks[0], now, Duration::from_secs(30)) - now).as_secs());
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    let plan = inventory.update(&rows, &options(), NOW, now);
    assert_eq!((plan.tasks.len(), plan.delayed.len(), plan.pending()), (0, 1, 1));
    assert_eq!(inventory.images(&options(), NOW).unique_bytes, Some(0));
    // The same task for another repository in that slot does nothing.
    let (_, task) = plan.delayed[0];
    inventory.update(&listing(&[("a", "other", 1)]), &options(), NOW, now);
    assert!(inventory.subject(&task).is_none());
}

#[tokio::test]
async fn a_repository_that_is_gone_when_its_tags_are_read_is_not_pending() {
    let mut inventory = TagInventory::default();
    let plan = update(&mut inventory, &listing(&[("a", "x", 1)]));
    perform(&mut inventory, plan, |_| None);
    assert_eq!(update(&mut inventory, &listing(&[("a", "x", 1)])).pending(), 0);
    assert!(inventory.images(&options(), NOW).repositories[0].tags.is_none());
    assert_eq!(update(&mut inventory, &listing(&[("a", "x", 2)])).pending(), 1);
}

#[tokio::test]
async fn details_are_read_once_for_each_repository_by_its_birth() {
    let options = only(FetchKind::Details);
    let mut inventory = TagInventory::default();
    let rows = listing(&[("a", "x", 1)]);
    let mut plan = inventory.update(&rows, &options, NOW, Instant::now());
    let task = plan.tasks.pop().unwrap();
    let subject = inventory.subject(&task).unwrap();
    let details = Details { id: Some(7), ..Details::default() };
    inventory.store(&task, &subject, Fetched::Details(Some(details)), NOW);
    let rows = rows.with_each(|row| row.updated = Some(Timestamp(2)));
    assert!(inventory.update(&rows, &options, NOW, Instant::now()).tasks.is_empty(), "a push changes no details");
    assert_eq!(inventory.images(&options, NOW).repositories[0].details.as_ref().unwrap().id, Some(7));
    let rows = rows.with_each(|row| row.created = Some(Timestamp(9)));
    assert_eq!(inventory.update(&rows, &options, NOW, Instant::now()).tasks.len(), 1);
}

fn bytes(inventory: &TagInventory) -> Vec<u8> {
    let mut out = Vec::new();
    let write = |out: &mut RecordWriter<'_>| {
        out.push(&records::head(inventory))?;
        let batches = (0..).step_by(records::BATCH as usize).map_while(|from| records::batch(inventory, from));
        batches.flatten().try_for_each(|record| out.push(&record))
    };
    state_file::encode(&mut out, SystemTime::UNIX_EPOCH, Origin::default(), write).unwrap();
    out
}

pub(super) fn restarted(inventory: &TagInventory) -> TagInventory {
    restarted_at(inventory, SystemTime::now())
}

pub(super) fn restarted_at(inventory: &TagInventory, now: SystemTime) -> TagInventory {
    state_file::decode(&mut Cursor::new(bytes(inventory)), now).unwrap().0.value
}

proptest! {
    /// Listings change, some tasks are done and some are not, and sometimes the process restarts.
    #[test]
    fn the_book_keeps_what_was_read_and_bytes_are_those_counted_by_hand(
        listings in proptest::collection::vec(
            (proptest::collection::btree_map(0u8..30, 0i64..4, 0..25), any::<bool>(), 0usize..30), 1..20
        )
    ) {
        let mut inventory = TagInventory::default();
        // The latest reading of each repository that is still listed.
        let mut known: BTreeMap<u8, i64> = BTreeMap::new();
        let blobs = |name: u8, updated: i64| -> Vec<u8> { vec![name % 5, 100 + name, 200 + (updated as u8) * 7 + name % 3] };
        for (rows, restarts, most) in listings {
            if restarts {
                inventory = restarted(&inventory);
            }
            let names: Vec<String> = rows.keys().map(|name| format!("{name:02}")).collect();
            let listed: Vec<_> =
                rows.values().zip(&names).map(|(updated, name)| (if name < &"15".to_owned() { "a" } else { "b" }, name.as_str(), *updated)).collect();
            let mut plan = update(&mut inventory, &listing(&listed));
            known.retain(|name, _| rows.contains_key(name));
            let mut expected: Vec<u8> = rows.iter().filter(|(name, updated)| known.get(name) != Some(updated)).map(|(name, _)| *name).collect();
            let mut planned: Vec<u8> = plan.tasks.iter().map(|task| inventory.subject(task).unwrap().name.parse().unwrap()).collect();
            planned.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(planned, expected);
            plan.tasks.truncate(most);
            for task in plan.tasks {
                let subject = inventory.subject(&task).unwrap();
                let name: u8 = subject.name.parse().unwrap();
                inventory.store(&task, &subject, Fetched::Tags(Some(reading(&blobs(name, rows[&name])))), NOW);
                known.insert(name, rows[&name]);
            }
            let images = inventory.images(&options(), NOW);
            for (name, shown) in rows.keys().zip(&images.repositories) {
                let unique = shown.tags.as_ref().map(|tags| tags.unique_bytes);
                let by_hand = known.get(name).map(|updated| {
                    let mut all = blobs(*name, *updated);
                    all.sort_unstable();
                    all.dedup();
                    all.iter().map(|size| u128::from(*size)).sum()
                });
                prop_assert_eq!(unique, by_hand);
            }
            let mut all: Vec<u8> = known.iter().flat_map(|(name, updated)| blobs(*name, *updated)).collect();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(inventory.layers().total(), all.iter().map(|size| u128::from(*size)).sum::<u128>());
            prop_assert_eq!(bytes(&restarted(&inventory)).len(), bytes(&inventory).len());
        }
    }
}

#[tokio::test]
async fn retention_rules_are_read_again_within_the_interval_and_for_a_new_repository() {
    let options = only(FetchKind::Retention);
    let listing_of = |created| {
        let row = Repository { created: Some(Timestamp(created)), ..row("a", "x", 1) };
        Snapshot::new(Timestamp(0), vec![row]).0
    };
    let mut inventory = TagInventory::default();
    let mut tasks = |listing: &Snapshot, seconds, rules| {
        let plan = inventory.update(listing, &options, seconds, Instant::now());
        for task in &plan.tasks {
            let subject = inventory.subject(task).unwrap();
            inventory.store(task, &subject, Fetched::Retention(rules), seconds);
        }
        let shown = inventory.images(&options, seconds).repositories[0].retention_rules;
        (plan.tasks.iter().map(|task| task.need).collect::<Vec<_>>(), plan.pending(), shown)
    };
    assert_eq!(tasks(&listing_of(1), NOW, Some(2)), (vec![Need::Unread], 0, Some(2)), "only tags are pending");
    assert_eq!(tasks(&listing_of(1), NOW + 60, Some(3)), (vec![], 0, Some(2)));
    assert_eq!(tasks(&listing_of(1), NOW + 86_400, Some(3)), (vec![Need::Drift], 0, Some(3)));
    assert_eq!(tasks(&listing_of(2), NOW + 86_400, None), (vec![Need::Unread], 0, None), "another of the same name");
}

#[tokio::test]
async fn everything_comes_back_as_it_was() {
    let everything =
        TagOptions { enabled: PerKind::from_fn(|_| true), series: Some("a/.*".parse().unwrap()), ..options() };
    let rows = listing(&[("a", "x", 1)]);
    let mut inventory = TagInventory::default();
    let plan = inventory.update(&rows, &everything, NOW, Instant::now());
    for task in plan.tasks {
        let subject = inventory.subject(&task).unwrap();
        let details = Details { id: Some(1), creator: Some("me".into()), domain_id: None, priority: Some(-2) };
        let fetched = match task.kind {
            FetchKind::Tags => Fetched::Tags(Some(reading(&[1, 2]))),
            FetchKind::Details => Fetched::Details(Some(details)),
            FetchKind::Retention => Fetched::Retention(Some(2)),
        };
        inventory.store(&task, &subject, fetched, NOW);
    }
    let before = inventory.images(&everything, NOW);
    let mut restored = restarted(&inventory);
    assert!(restored.update(&rows, &everything, NOW, Instant::now()).tasks.is_empty());
    assert_eq!(restored.images(&everything, NOW), before);
    assert!(before.repositories[0].tags.as_ref().unwrap().series.is_some());
    // Series that are no longer wanted are dropped, and read again when they are wanted.
    restored.adapt(&options());
    assert!(restored.images(&everything, NOW).repositories[0].tags.as_ref().unwrap().series.is_none());
    assert_eq!(restored.update(&rows, &everything, NOW, Instant::now()).tasks.len(), 1);
}
