//! A snapshot as records of a state file: a head, then the rows one by one. Tags are kept in a file of their own.

use super::earlier_sizes::EarlierSizesBuilder;
use super::figures::{AccountFigures, Artifacts, Dated, Enterprise, InstanceArtifacts, InstanceRepository};
use super::repositories::RepositoriesBuilder;
use super::size_history::SizeHistory;
use super::{NamespaceRead, Repository, Snapshot, Timestamp};
use crate::base::state_file::{Persistent, RecordReader, RecordWriter, Unusable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

/// The first record: all but the rows, and how many of them follow.
#[derive(Deserialize, Serialize)]
struct Head {
    read_at: Timestamp,
    namespaces: Vec<NamespaceRead>,
    account: Arc<AccountFigures>,
    /// Without its repositories, whose number stands in their place.
    enterprise: Enterprise,
    instance_repositories: Option<Dated<u64>>,
    /// Without the rows of its instances.
    artifacts: Artifacts,
    /// The number of rows of each instance.
    artifact_rows: Vec<u64>,
    repositories: u64,
    size_history: SizeHistory,
    /// The times of the earlier sizes, which stand beside the rows.
    earlier_sizes: Option<(Timestamp, Timestamp)>,
}

/// Writes a snapshot.
pub fn write(snapshot: &Snapshot, records: &mut RecordWriter<'_>) -> io::Result<()> {
    write_head(snapshot, records)?;
    let instances = snapshot.enterprise.repositories.iter();
    instances.flat_map(|rows| &rows.value).try_for_each(|row| records.push(row))?;
    let rows = snapshot.artifacts.instances.iter().flat_map(|known| &known.repositories.value);
    rows.copied().try_for_each(|row| records.push(&row))?;
    match snapshot.earlier_sizes.as_deref() {
        Some(earlier) => {
            let mut rows = snapshot.repositories.iter().zip(earlier.differences(snapshot));
            rows.try_for_each(|record| records.push(&record))
        }
        None => snapshot.repositories.iter().try_for_each(|row| records.push(&row)),
    }
}

fn write_head(snapshot: &Snapshot, records: &mut RecordWriter<'_>) -> io::Result<()> {
    let Enterprise { instances, repositories } = &*snapshot.enterprise;
    let count = |rows: &Dated<Vec<_>>| Dated { value: rows.value.len() as u64, read_at: rows.read_at };
    let artifacts = &*snapshot.artifacts;
    let bare = |known: &InstanceArtifacts| InstanceArtifacts {
        instance: known.instance.clone(),
        repositories: Dated { value: Vec::new(), read_at: known.repositories.read_at },
    };
    records.push(&Head {
        read_at: snapshot.read_at,
        namespaces: snapshot.namespaces.clone(),
        account: snapshot.account.clone(),
        enterprise: Enterprise { instances: instances.clone(), repositories: None },
        instance_repositories: repositories.as_ref().map(count),
        artifacts: Artifacts {
            complete_at: artifacts.complete_at,
            instances: artifacts.instances.iter().map(bare).collect(),
        },
        artifact_rows: artifacts.instances.iter().map(|known| known.repositories.value.len() as u64).collect(),
        repositories: snapshot.repositories.len() as u64,
        size_history: snapshot.size_history.clone(),
        earlier_sizes: snapshot.earlier_sizes.as_ref().map(|earlier| earlier.times()),
    })
}

impl Persistent for Snapshot {
    const NAME: &'static str = "the snapshot";

    fn read(records: &mut RecordReader<'_>) -> Result<Self, Unusable> {
        let head: Head = records.expect()?;
        let mut enterprise = head.enterprise;
        if let Some(Dated { value: count, read_at }) = head.instance_repositories {
            let (mut instance, mut namespace) = (Arc::default(), Arc::default());
            let rows = read_rows(records, count, |row: &mut InstanceRepository| {
                share(&mut instance, &mut row.instance);
                share(&mut namespace, &mut row.namespace);
            })?;
            enterprise.repositories = Some(Dated { value: rows, read_at });
        }
        let mut artifacts = head.artifacts;
        for (known, count) in artifacts.instances.iter_mut().zip(head.artifact_rows) {
            known.repositories.value = read_rows(records, count, |_| {})?;
        }
        let (mut namespace, mut category) = (Arc::default(), Arc::default());
        let (mut repositories, mut earlier_sizes) = (RepositoriesBuilder::default(), EarlierSizesBuilder::default());
        for _ in 0..head.repositories {
            let mut row: Repository;
            if head.earlier_sizes.is_some() {
                let differences;
                (row, differences) = records.expect()?;
                earlier_sizes.push_differences(differences, row.size);
            } else {
                row = records.expect()?;
            }
            share(&mut namespace, &mut row.namespace);
            row.category.iter_mut().for_each(|own| share(&mut category, own));
            if !repositories.push(row.as_ref()) {
                return Err(Unusable::Content);
            }
        }
        Ok(Self {
            read_at: head.read_at,
            repositories: repositories.finish(),
            namespaces: head.namespaces,
            account: head.account,
            enterprise: enterprise.into(),
            images: None,
            artifacts: artifacts.into(),
            size_history: head.size_history,
            earlier_sizes: head.earlier_sizes.map(|times| Arc::new(earlier_sizes.finish(times))),
        })
    }
}

/// Reads `count` rows. Memory grows with the rows that are there, whatever `count` says.
fn read_rows<R: DeserializeOwned>(
    records: &mut RecordReader<'_>,
    count: u64,
    mut share: impl FnMut(&mut R),
) -> Result<Vec<R>, Unusable> {
    let mut rows = Vec::new();
    for _ in 0..count {
        let mut row = records.expect()?;
        share(&mut row);
        rows.push(row);
    }
    Ok(rows)
}

/// Lets a row share a text with the row before it: neighbours mostly have the same.
fn share(previous: &mut Arc<str>, own: &mut Arc<str>) {
    if previous == own {
        own.clone_from(previous);
    } else {
        previous.clone_from(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::state_file::{Origin, decode, encode};
    use crate::model::Visibility;
    use crate::model::earlier_sizes::EarlierSizes;
    use crate::model::figures::{Instance, Organization, Overview, Quota, RepositoryArtifacts, Statistics};
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;
    use std::io::Cursor;
    use std::time::SystemTime;

    fn text() -> impl Strategy<Value = Arc<str>> {
        "[a-c]|.{0,9}".prop_map(Into::into)
    }

    fn number() -> impl Strategy<Value = Option<u64>> {
        of(any::<u64>())
    }

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        of(any::<i64>().prop_map(Timestamp))
    }

    fn dated<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<Dated<T>>> {
        of((value, any::<i64>()).prop_map(|(value, at)| Dated { value, read_at: Timestamp(at) }))
    }

    fn repository() -> impl Strategy<Value = Repository> {
        let visibility = of(prop_oneof![Just(Visibility::Public), Just(Visibility::Private)]);
        let numbers = (number(), number(), number());
        let category = text().prop_map(|text| format!("category {text}").into());
        ((text(), ".{1,20}", of(category)), visibility, numbers, time(), time()).prop_map(
            |((namespace, name, category), visibility, (size, images, downloads), created, updated)| Repository {
                namespace,
                name: name.into(),
                category,
                visibility,
                size,
                images,
                downloads,
                created,
                updated,
            },
        )
    }

    fn quotas() -> impl Strategy<Value = Vec<Quota>> {
        vec((text(), number(), number()).prop_map(|(name, limit, used)| Quota { name, limit, used }), 0..4)
    }

    fn account() -> impl Strategy<Value = AccountFigures> {
        let organization = (text(), number()).prop_map(|(name, repositories)| Organization { name, repositories });
        let overview = (number(), of(0.0f64..1e300)).prop_map(|(count, storage)| Overview {
            namespaces: count,
            repositories: None,
            images: count,
            storage,
            download_traffic: storage,
        });
        (dated(vec(organization, 0..5)), dated(overview), dated(quotas()))
            .prop_map(|(organizations, overview, quotas)| AccountFigures { organizations, overview, quotas })
    }

    fn enterprise() -> impl Strategy<Value = Enterprise> {
        let statistics = (number(), quotas()).prop_map(|(storage, quotas)| Statistics { storage, quotas });
        let instance = (text(), time(), dated(statistics)).prop_map(|(text, time, statistics)| Instance {
            id: text.clone(),
            name: text.clone(),
            spec: "swr.ee.basic".into(),
            version: "".into(),
            status: "Running".into(),
            charge_mode: text,
            created: time,
            expires: None,
            statistics,
        });
        let repository =
            (text(), text(), number(), time()).prop_map(|(instance, name, count, time)| InstanceRepository {
                id: count,
                instance,
                namespace: name.clone(),
                name: (*name).into(),
                tags: count,
                artifacts: None,
                downloads: count,
                created: time,
                updated: None,
            });
        (dated(vec(instance, 0..4)), dated(vec(repository, 0..9)))
            .prop_map(|(instances, repositories)| Enterprise { instances, repositories })
    }

    fn artifacts() -> impl Strategy<Value = Artifacts> {
        let row = (any::<u64>(), number(), time(), time())
            .prop_map(|(repository, size, pushed, pulled)| RepositoryArtifacts { repository, size, pushed, pulled });
        let rows = (vec(row, 0..9), any::<i64>()).prop_map(|(value, at)| Dated { value, read_at: Timestamp(at) });
        let instance = (text(), rows).prop_map(|(instance, repositories)| InstanceArtifacts { instance, repositories });
        (time(), vec(instance, 0..4)).prop_map(|(complete_at, instances)| Artifacts { complete_at, instances })
    }

    fn read(write: impl FnOnce(&mut RecordWriter<'_>) -> io::Result<()>) -> Result<Snapshot, Unusable> {
        let mut file = Vec::new();
        encode(&mut file, SystemTime::UNIX_EPOCH, Origin::default(), write).unwrap();
        decode(&mut Cursor::new(file), SystemTime::now()).map(|(loaded, _)| loaded.value)
    }

    proptest! {
        #[test]
        fn a_snapshot_comes_back_as_it_was(
            rows in vec(repository(), 0..40), at: i64, complete: bool, account in account(), enterprise in enterprise(),
            artifacts in artifacts(), others in vec(repository(), 0..40), earlier: Option<i64>,
        ) {
            let (mut snapshot, _) = Snapshot::new(Timestamp(at), rows);
            snapshot.namespaces = vec![NamespaceRead { name: "a".into(), read_at: Some(Timestamp(at)), complete }];
            (snapshot.account, snapshot.enterprise) = (account.into(), enterprise.into());
            snapshot.artifacts = artifacts.into();
            snapshot.size_history.record(Timestamp(at), snapshot.bytes());
            if let Some(earlier) = earlier {
                let (mut before, _) = Snapshot::new(Timestamp(earlier), others);
                before.earlier_sizes = Some(Arc::new(EarlierSizes::carried(&before, None)));
                snapshot.earlier_sizes = Some(Arc::new(EarlierSizes::carried(&snapshot, Some(&before))));
            }
            let loaded = read(|records| write(&snapshot, records)).unwrap();
            prop_assert_eq!(&loaded, &snapshot);
            for (row, next) in loaded.repositories.iter().zip(loaded.repositories.iter().skip(1)) {
                prop_assert_eq!(row.namespace == next.namespace, Arc::ptr_eq(row.namespace, next.namespace));
            }
        }

        #[test]
        fn any_records_are_read_without_panic_or_much_memory(bytes in vec(any::<u8>(), 0..200)) {
            let _ = read(|records| bytes.iter().try_for_each(|byte| records.push(byte)));
        }
    }

    #[test]
    fn a_repository_that_is_there_twice_is_no_snapshot() {
        let (snapshot, _) = Snapshot::new(Timestamp(1), vec![Repository::unknown("a".into())]);
        let twice = |records: &mut RecordWriter<'_>| {
            let (two, _) = Snapshot::new(Timestamp(1), ["a", "b"].map(|name| Repository::unknown(name.into())).into());
            write_head(&two, records)?;
            let row = snapshot.repositories.iter().next().unwrap();
            records.push(&row).and_then(|()| records.push(&row))
        };
        assert!(matches!(read(twice), Err(Unusable::Content)));
    }
}
