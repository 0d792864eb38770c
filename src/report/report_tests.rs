//! The report against a count by brute force.

use super::*;
use crate::model::reading::{Reading, ReadingOptions};
use crate::model::tags::{Blob, Contents, Digest32, Tag};
use crate::model::{Repository, Snapshot};
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: i64 = 1_700_000_000;

/// A repository: its organization, and its tags with their age in days and their blobs.
type World = Vec<(u8, Vec<(i64, BTreeSet<u8>)>)>;

fn blob(number: u8) -> Blob {
    // Half of them differ in the second half of the digest alone.
    let mut digest = [number / 2; 32];
    digest[31] = number;
    Blob { digest: Digest32(digest), size: 1 << (number % 40) }
}

fn row(index: usize, namespace: u8) -> Repository {
    Repository { name: format!("{index}").into(), size: Some(7), ..Repository::unknown(format!("{namespace}").into()) }
}

fn known(index: usize, namespace: u8, tags: &[(i64, BTreeSet<u8>)]) -> KnownRepository {
    let tags = tags.iter().zip(0..).map(|((age, blobs), number)| Tag {
        name: format!("t{number}").into(),
        updated: Some(Timestamp((NOW - age * 86_400) * 1_000_000_000)),
        contents: Contents::Image(blobs.iter().copied().map(blob).collect()),
        ..Tag::default()
    });
    let reading = Reading::of(tags.collect(), &ReadingOptions::default());
    let row = row(index, namespace);
    KnownRepository { namespace: row.namespace, name: row.name, tags: Some((1, reading)), retention_rules: Some(0) }
}

fn options(only: Option<Scope>) -> Options {
    Options {
        account: "default".to_owned(),
        reclaim: Reclaim { rules: [Rule::OlderThan { days: 30 }].into(), keep: None },
        top: 100,
        tags: Some(usize::MAX),
        only,
        now: Timestamp(NOW * 1_000_000_000),
        is_offline: true,
    }
}

fn reported(world: &World, only: Option<Scope>) -> Report {
    let rows = world.iter().enumerate().map(|(index, (namespace, _))| row(index, *namespace));
    let (listing, _) = Snapshot::new(Timestamp(0), rows.chain([row(98, 9)]).collect());
    // One that is gone from the listing counts nothing.
    let mut all: Vec<KnownRepository> =
        world.iter().enumerate().map(|(index, (namespace, tags))| known(index, *namespace, tags)).collect();
    all.push(known(99, 9, &[(100, (0..40).collect())]));
    let mut readings = |visit: &mut dyn FnMut(KnownRepository)| {
        all.iter().cloned().for_each(visit);
        Ok(())
    };
    count(&options(only), &listing, &mut readings).unwrap()
}

fn shown(report: &Report, format: Format) -> String {
    let mut out = Vec::new();
    report.write(format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Bytes of the blobs that the tags left refer to.
fn stored(world: &World, deleted: &BTreeSet<(usize, usize)>) -> u128 {
    let tags =
        world.iter().enumerate().flat_map(|(index, (_, tags))| tags.iter().enumerate().map(move |tag| (index, tag)));
    let left = tags.filter(|(index, (number, _))| !deleted.contains(&(*index, *number)));
    let blobs: BTreeSet<u8> = left.flat_map(|(_, (_, (_, blobs)))| blobs).copied().collect();
    blobs.into_iter().map(|number| u128::from(blob(number).size)).sum()
}

fn world() -> impl Strategy<Value = World> {
    let tag = (0i64..60, proptest::collection::btree_set(0u8..40, 0..6));
    proptest::collection::vec((0u8..3, proptest::collection::vec(tag, 0..6)), 1..8)
}

proptest! {
    #[test]
    fn sums_and_steps_are_those_counted_by_hand(world in world()) {
        let report = reported(&world, None);
        let is_old = |(index, number): &(usize, usize)| world[*index].1[*number].0 >= 30;
        let all: Vec<(usize, usize)> = world.iter().enumerate()
            .flat_map(|(index, (_, tags))| (0..tags.len()).map(move |number| (index, number))).collect();
        let old: BTreeSet<(usize, usize)> = all.iter().copied().filter(is_old).collect();
        let everything = stored(&world, &BTreeSet::new());
        prop_assert_eq!(report.totals.stored_bytes, everything);
        prop_assert_eq!((report.totals.unread, report.totals.tags), (1, all.len() as u64));
        let rule = &report.rules[0];
        prop_assert_eq!(rule.total, Freed { tags: old.len() as u64, bytes: everything - stored(&world, &old) });
        for namespace in 0..3u8 {
            let part = old.iter().copied().filter(|(index, _)| world[*index].0 == namespace).collect();
            let shown = rule.organizations.iter().find(|part| *part.name.namespace == *format!("{namespace}"));
            prop_assert_eq!(shown.map_or(0, |part| part.freed.bytes), everything - stored(&world, &part));
            let scope = Scope { namespace: format!("{namespace}").into(), repository: None };
            prop_assert_eq!(reported(&world, Some(scope)).rules[0].total.bytes, everything - stored(&world, &part));
        }
        for (index, (namespace, _)) in world.iter().enumerate() {
            let part = old.iter().copied().filter(|(of, _)| *of == index).collect();
            let name = format!("{index}");
            let shown = rule.repositories.iter().find(|part| part.name.repository.as_deref() == Some(&name));
            prop_assert_eq!(shown.map_or(0, |part| part.freed.bytes), everything - stored(&world, &part));
            let scope = Scope { namespace: format!("{namespace}").into(), repository: Some(name.into()) };
            let alone = reported(&world, Some(scope));
            prop_assert_eq!(alone.rules[0].total.bytes, everything - stored(&world, &part));
            prop_assert_eq!(alone.rules[0].tags.as_ref().unwrap().iter().count(), part.len());
        }
        // Each step frees what it says, and no other tag would free more.
        let (mut deleted, mut before) = (BTreeSet::new(), everything);
        for step in rule.tags.as_ref().unwrap().iter() {
            let tag: (usize, usize) = (step.repository.parse().unwrap(), step.tag[1..].parse().unwrap());
            for other in old.difference(&deleted).copied().collect::<Vec<_>>() {
                let mut with = deleted.clone();
                with.insert(other);
                prop_assert!(before - stored(&world, &with) <= step.bytes);
            }
            prop_assert!(deleted.insert(tag));
            let after = stored(&world, &deleted);
            prop_assert_eq!(before - after, step.bytes);
            before = after;
        }
        prop_assert_eq!(deleted, old);
        for format in [Format::Text { width: 80 }, Format::Markdown, Format::Json, Format::Csv] {
            prop_assert!(!shown(&report, format).is_empty());
        }
    }
}

#[test]
fn names_cannot_change_the_terminal_or_the_spreadsheet() {
    let report =
        Report { account: "a\u{1b}[2J\u{202e}`|".to_owned(), ..reported(&vec![(0, vec![(50, [1].into())])], None) };
    let text = shown(&report, Format::Text { width: 80 });
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    assert!(shown(&report, Format::Markdown).contains("\\`\\|"));
    assert!(text.contains("The tags of 1 repository are not known."), "{text}");
}

#[test]
fn data_of_the_future_is_told() {
    let report = reported(&vec![(0, vec![(50, [1].into())])], None);
    let ahead = Report { listed_at: Timestamp(report.made_at.0 + 3 * 86_400_000_000_000), ..report.clone() };
    for format in [Format::Text { width: 200 }, Format::Markdown] {
        assert!(shown(&ahead, format).contains("The data is dated 3 days in the future by this machine's clock"));
        assert!(!shown(&report, format).contains("in the future"));
    }
}
