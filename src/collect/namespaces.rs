//! Organizations that are listed one by one: a failure of one does not affect the others.
//!
//! The gap that a failed organization leaves is part of the snapshot and of its metrics.

use super::api_version::{self, ListApi};
use super::listing::{self, ListingContext};
use super::walk::WalkFailure;
use super::{Collected, Options};
use crate::failure::Failure;
use crate::model::{NamespaceRead, Repositories, Row, Snapshot, Timestamp};
use futures_util::{StreamExt, stream};
use tracing::debug;

/// Lists each organization of the options. One that fails keeps the rows of its previous read; an error if all of them fail.
pub(super) async fn collect(
    context: ListingContext<'_>,
    list_api: ListApi,
    previous: Option<&Snapshot>,
    began: Timestamp,
) -> Result<Collected, Failure> {
    let options = context.options;
    let reads: Vec<Result<Repositories, WalkFailure>> = stream::iter(0..options.namespaces.len())
        .map(|index| api_version::read(context, Some(&options.namespaces[index]), list_api))
        .buffered(context.client.concurrency())
        .collect()
        .await;
    let failed = reads.iter().filter(|rows| rows.is_err()).count();
    let mut gap = None;
    let (mut rows, mut namespaces) = (Vec::new(), Vec::new());
    for (name, read) in options.namespaces.iter().zip(reads) {
        let (complete, read_at) = match read {
            Ok(read) => {
                rows.extend(read.rows());
                (true, Some(began))
            }
            Err(failure) => {
                let failure = Failure::from(failure);
                debug!(namespace = %name, reason = %failure.reason, "listing `{name}` failed: {}", failure.message);
                gap.get_or_insert_with(|| summary(failed, options.namespaces.len(), name, failure));
                (false, previous.and_then(|previous| keep_rows(previous, name, began, options, &mut rows)))
            }
        };
        namespaces.push(NamespaceRead { name: name.as_str().into(), read_at, complete });
    }
    match gap {
        Some(failure) if failed == options.namespaces.len() => Err(failure),
        gap => {
            let (repositories, _) = listing::sorted(rows, context.known.repositories().clone()).await;
            Ok(Collected {
                snapshot: Snapshot { read_at: began, repositories, namespaces, ..Snapshot::default() },
                gap,
            })
        }
    }
}

/// The first failure, with the number of organizations that failed.
fn summary(failed: usize, of: usize, name: &str, mut failure: Failure) -> Failure {
    failure.message =
        format!("{failed} of {of} organizations could not be listed, the first is `{name}`: {}", failure.message);
    failure
}

/// Keeps the previous rows of an organization, unless they are too old, and returns when they were read.
fn keep_rows(
    previous: &Snapshot,
    name: &str,
    now: Timestamp,
    options: &Options,
    rows: &mut Vec<Row>,
) -> Option<Timestamp> {
    let read_at = previous.namespaces.iter().find(|read| &*read.name == name)?.read_at?;
    if !read_at.is_within(options.max_age, now) {
        return None;
    }
    rows.extend(previous.repositories.rows().filter(|row| row.key().0 == name));
    Some(read_at)
}
