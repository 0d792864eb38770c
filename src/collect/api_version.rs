//! The version of the listing API: v2 is paged by offset, has a total, and exists in every region; v3 is paged by markers.

use super::listing::{self, ListingContext};
use super::markers;
use super::metrics::Inconsistency;
use super::walk::WalkFailure;
use crate::model::{Repositories, Row};
use crate::swr::ApiError;
use crate::swr::error::is_from_swr;
use crate::swr::markers::MarkerPage;
use crate::swr::pages::{FALLBACK_PAGE_SIZE, smaller_page};
use std::hash::{BuildHasher, RandomState};
use tracing::{debug, info};

/// The configured version of the listing API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListApi {
    /// Paged by offset.
    #[default]
    V2,
    /// Paged by markers.
    V3,
    /// v3 where the region offers it, v2 elsewhere.
    Auto,
}

impl ListApi {
    /// The words of the setting.
    pub const WORDS: [(&str, Self); 3] = [("v2", Self::V2), ("v3", Self::V3), ("auto", Self::Auto)];
}

/// Chooses the version that a refresh uses; [`ListApi::Auto`] in the result means that v3 is tried. The client remembers
/// for an hour what was discovered.
pub(super) async fn choose(context: ListingContext<'_>) -> ListApi {
    let ListingContext { client, options, budget, .. } = context;
    if options.list_api != ListApi::Auto {
        return options.list_api;
    }
    if let Some(offered) = client.lists_by_markers.get() {
        return if offered { ListApi::V3 } else { ListApi::V2 };
    }
    let gate = async { client.offers_markers(client.project_id(budget).await?, budget).await };
    match budget.deadline.bound(gate).await {
        Ok(Ok(Some(false))) => {
            client.lists_by_markers.set(false);
            ListApi::V2
        }
        Ok(Ok(_)) => ListApi::Auto,
        // Without a project, or without permission to read the feature gates, a try tells as much.
        Ok(Err(error)) => {
            debug!(%error, "the feature gates cannot be read");
            ListApi::Auto
        }
        Err(_) => ListApi::V2,
    }
}

/// Reads the listing of one organization, or of the whole account.
///
/// # Errors
/// When a call fails for good, or the listing is not complete by the deadline.
pub async fn read(
    context: ListingContext<'_>,
    namespace: Option<&str>,
    list_api: ListApi,
) -> Result<Repositories, WalkFailure> {
    if list_api == ListApi::V2 {
        return listing::read(context, namespace).await;
    }
    let ListingContext { client, options, known, budget, metrics } = context;
    let read = |marker: Option<String>| page(context, namespace, marker);
    let hash_key = |row: &Row, by: &RandomState| by.hash_one(row.key());
    let walk = markers::read_all(read, hash_key, options.max_repositories, metrics);
    let walked = budget.deadline.bound(walk).await;
    match walked {
        Err(_) => Err(WalkFailure::NotInTime),
        Ok(Ok(rows)) => {
            if list_api == ListApi::Auto {
                client.lists_by_markers.set(true);
            }
            let (rows, duplicates) = listing::sorted(rows, known.repositories().clone()).await;
            metrics.count(Inconsistency::Duplicate, duplicates as u64);
            Ok(rows)
        }
        // Not from SWR itself, which would mean the organization: the gateway does not know the call.
        Ok(Err(WalkFailure::Call(ApiError::NotFound(response))))
            if options.list_api == ListApi::Auto && !is_from_swr(&response) =>
        {
            info!("this region does not list by markers; listing by offsets");
            client.lists_by_markers.set(false);
            listing::read(context, namespace).await
        }
        Ok(Err(failure)) => Err(failure),
    }
}

async fn page(
    ListingContext { client, options, known, budget, .. }: ListingContext<'_>,
    namespace: Option<&str>,
    marker: Option<String>,
) -> Result<MarkerPage<Row>, ApiError> {
    let accepted = &client.page_sizes.accepted;
    let configured = options.page_size.min(accepted.get().unwrap_or(u64::MAX)).max(1);
    let mut limit = configured;
    loop {
        match client.repositories_from(namespace, marker.as_deref(), limit, known, budget).await {
            Err(ApiError::Refused(_)) if marker.is_none() && limit > FALLBACK_PAGE_SIZE => limit = FALLBACK_PAGE_SIZE,
            Err(ApiError::TooLarge { .. }) if limit > 1 => limit = smaller_page(limit),
            page => {
                if limit < configured && page.is_ok() {
                    accepted.set(limit.max(FALLBACK_PAGE_SIZE));
                }
                return page;
            }
        }
    }
}
