//! Repositories of snapshots that share rows.

use super::*;
use crate::model::{Repository, Timestamp, Visibility};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn repository(number: u32, size: u64) -> Repository {
    Repository {
        name: format!("name-{:04}", number / 3).into(),
        size: (size > 0).then_some(size),
        category: (!size.is_multiple_of(3)).then(|| format!("category-{}", size % 5).into()),
        visibility: [None, Some(Visibility::Public), Some(Visibility::Private)][(size % 3) as usize],
        updated: (!size.is_multiple_of(2)).then_some(Timestamp(-5)),
        ..Repository::unknown(format!("namespace-{}", number % 3).into())
    }
}

/// Rows as a page brings them.
fn page(rows: &[Repository]) -> Vec<Row> {
    let mut packer = Packer::default();
    for row in rows {
        let mut fingerprint = [1; 12];
        fingerprint[..8].copy_from_slice(&row.size.unwrap_or_default().to_le_bytes());
        packer.push(row.as_ref(), Fingerprint(fingerprint), 1);
    }
    Row::all(&packer.finish()).collect()
}

fn owned(repositories: &Repositories) -> Vec<Repository> {
    repositories.iter().map(RepositoryRef::to_owned).collect()
}

proptest! {
    #[test]
    fn rows_of_before_and_others_are_merged_and_the_latest_of_each_stays(
        listings in prop::collection::vec(prop::collection::vec((0u32..600, 0u64..9, any::<bool>()), 0..700), 1..5)
    ) {
        let mut before = Repositories::default();
        for listing in listings {
            let known: BTreeMap<_, _> = before.rows().map(|row| (row.get().to_owned().name, row)).collect();
            let mut expected = BTreeMap::new();
            let mut rows = Vec::new();
            for (number, size, keep) in listing {
                let new = repository(number, size);
                let row = match known.get(&new.name).filter(|_| keep) {
                    Some(row) => row.clone(),
                    None => page(&[new]).remove(0),
                };
                let value = row.get().to_owned();
                expected.insert((value.namespace.clone(), value.name.clone()), value);
                rows.push(row);
            }
            let (merged, dropped) = Repositories::merged(&rows, &before);
            prop_assert_eq!(owned(&merged), expected.into_values().collect::<Vec<_>>());
            prop_assert_eq!((dropped, merged.len()), (rows.len() - merged.len(), merged.iter().count()));
            let (mut listed, mut seen) = (rows.iter().map(Row::key), BTreeSet::new());
            for known in (0..merged.listed()).filter_map(|number| merged.known_row(number)) {
                let row = merged.row(&known);
                prop_assert_eq!(row.get().size.unwrap_or_default(), known.fingerprint.short());
                prop_assert!(listed.any(|key| key == row.key()), "known rows come in the order of the listing");
                seen.insert(merged.get(merged.find(row.key()).unwrap()).key());
            }
            let all: BTreeSet<_> = merged.iter().map(|row| row.key()).collect();
            prop_assert_eq!(seen, all);
            for (index, row) in merged.iter().enumerate() {
                prop_assert_eq!((merged.get(index), merged.find(row.key())), (row, Some(index)));
            }
            prop_assert_eq!(merged.find(("namespace-1", "name-0001-b")), None);
            before = merged;
        }
    }
}

#[test]
fn chunks_without_a_change_are_shared_and_a_new_row_moves_no_border_but_its_own() {
    let rows: Vec<_> = (0..6_000).map(|number| repository(number, 1)).collect();
    let (first, _) = Repositories::merged(&page(&rows), &Repositories::default());
    let mut now: Vec<Row> = first.rows().filter(|row| row.get().name != "name-0700").collect();
    now.extend(page(&[repository(3_000, 2), Repository { name: "name-0001-b".into(), ..repository(0, 1) }]));
    let (second, _) = Repositories::merged(&now, &first);
    let shared = second.chunks.iter().filter(|new| first.chunks.iter().any(|old| Arc::ptr_eq(old, new))).count();
    assert_eq!(second.len(), 6_000 - 3 + 1);
    assert!(first.chunks.len() > 150 && shared >= first.chunks.len() - 8, "{shared} of {}", first.chunks.len());
    assert!(second.chunks.iter().all(|chunk| chunk.len() <= LONGEST_CHUNK));
    for size in [BlockSize::Small, BlockSize::Large] {
        assert_eq!(second.blocks(size).map(<[_]>::len).sum::<usize>(), second.chunks.len());
    }
}

#[test]
fn a_chunk_in_which_only_values_change_shares_its_identities() {
    let rows: Vec<_> = (0..1_000).map(|number| repository(number, 1)).collect();
    let (first, _) = Repositories::merged(&page(&rows), &Repositories::default());
    let changed = [
        Repository { size: Some(77), ..rows[500].clone() },
        Repository { created: Some(Timestamp(77)), ..rows[700].clone() },
    ];
    let is_changed = |row: &Row| changed.iter().any(|changed| changed.as_ref().key() == row.key());
    let mut now: Vec<Row> = first.rows().filter(|row| !is_changed(row)).collect();
    now.extend(page(&changed));
    let (second, _) = Repositories::merged(&now, &first);
    let pairs = || first.chunks().iter().zip(second.chunks());
    assert_eq!(pairs().filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 2);
    assert_eq!(pairs().filter(|(old, new)| !old.shares_identities(new)).count(), 1, "a size is no identity");
    assert!(changed.iter().all(|changed| second.iter().any(|row| row == changed.as_ref())));
}
