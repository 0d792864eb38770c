//! Organisations listed one by one: what one of them loses does not cost the others.

use super::metrics::Metrics;
use super::{Collected, Options, listing};
use crate::failure::Failure;
use crate::model::{NamespaceRead, Repository, Snapshot, Timestamp};
use crate::swr::{Client, Effort};
use futures_util::{StreamExt, stream};
use tracing::warn;

/// Lists each organisation of the options. One that fails keeps the rows of its previous read and says so.
///
/// # Errors
/// When none could be read: then there is nothing new.
pub(super) async fn collect(
    client: &Client,
    options: &Options,
    previous: Option<&Snapshot>,
    began: Timestamp,
    effort: &Effort,
    metrics: &Metrics,
) -> Result<Collected, Failure> {
    let reads: Vec<(&String, Result<Vec<Repository>, Failure>)> = stream::iter(&options.namespaces)
        .map(|name| async move { (name, listing::read(client, Some(name), options, effort, metrics).await) })
        .buffered(client.concurrency())
        .collect()
        .await;
    let read_any = reads.iter().any(|(_, rows)| rows.is_ok());
    let mut gap = None;
    let (mut rows, mut namespaces) = (Vec::new(), Vec::new());
    for (name, read) in reads {
        let (complete, read_at) = match read {
            Ok(read) => {
                rows.extend(read);
                (true, Some(began))
            }
            Err(failure) => {
                if read_any {
                    warn!(namespace = %name, reason = %failure.reason, "listing `{name}` failed, its older rows stay: {}", failure.message);
                }
                gap.get_or_insert(failure);
                (false, previous.and_then(|previous| keep(previous, name, &mut rows)))
            }
        };
        namespaces.push(NamespaceRead { name: name.as_str().into(), read_at, complete });
    }
    match gap {
        Some(failure) if !read_any => Err(failure),
        gap => {
            let (mut snapshot, _) = Snapshot::new(began, rows);
            snapshot.namespaces = namespaces;
            Ok(Collected { snapshot, gap })
        }
    }
}

/// Takes over what is known of one organisation, and says when it was read.
fn keep(previous: &Snapshot, name: &str, rows: &mut Vec<Repository>) -> Option<Timestamp> {
    let read_at = previous.namespaces.iter().find(|read| &*read.name == name)?.read_at?;
    let first = previous.repositories.partition_point(|row| &*row.namespace < name);
    rows.extend(previous.repositories[first..].iter().take_while(|row| &*row.namespace == name).cloned());
    Some(read_at)
}
