//! Which edition of the listing is read: by offsets, which every region offers and which tells a total, or by markers.

use super::Options;
use super::listing;
use super::markers::{self, Stop};
use super::metrics::{Inconsistency, Metrics};
use crate::failure::{Failure, Reason};
use crate::model::{Repository, sort_unique};
use crate::swr::error::Answer;
use crate::swr::markers::MarkerPage;
use crate::swr::pages::SMALLEST_PAGE;
use crate::swr::{ApiError, CallBudget, Client};
use std::str::FromStr;
use tracing::{debug, info};

/// The edition of the listing that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListApi {
    /// By offsets.
    #[default]
    V2,
    /// By markers.
    V3,
    /// By markers where the region offers that, by offsets elsewhere.
    Auto,
}

impl FromStr for ListApi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "v2" => Ok(Self::V2),
            "v3" => Ok(Self::V3),
            "auto" => Ok(Self::Auto),
            _ => Err(format!("`{text}` is not known; known are v2, v3, auto")),
        }
    }
}

impl std::fmt::Display for ListApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::Auto => "auto",
        })
    }
}

/// Chooses the edition that a refresh reads; [`ListApi::Auto`] now means that it has to be tried. What was found out is
/// kept for an hour by the client.
pub(super) async fn choose(client: &Client, wanted: ListApi, effort: &CallBudget) -> ListApi {
    let of = |markers: bool| if markers { ListApi::V3 } else { ListApi::V2 };
    if wanted != ListApi::Auto {
        return wanted;
    }
    if let Some(markers) = client.lists_by_markers() {
        return of(markers);
    }
    let gate = async { client.offers_markers(client.project_id(effort).await?, effort).await };
    match effort.deadline.bound(gate).await {
        Ok(Ok(Some(false))) => {
            client.found_lists_by_markers(false);
            ListApi::V2
        }
        Ok(Ok(_)) => ListApi::Auto,
        // Without a project, or without leave to look, trying tells as much.
        Ok(Err(error)) => {
            debug!(%error, "the feature gates cannot be read");
            ListApi::Auto
        }
        Err(_) => ListApi::V2,
    }
}

/// Reads the listing of one organisation, or of the whole account; sorted by (namespace, name), each once.
///
/// # Errors
/// When a call fails for good, or the listing cannot be made whole by the deadline.
pub async fn read(
    client: &Client,
    namespace: Option<&str>,
    list_api: ListApi,
    options: &Options,
    effort: &CallBudget,
    metrics: &Metrics,
) -> Result<Vec<Repository>, Failure> {
    if list_api == ListApi::V2 {
        return listing::read(client, namespace, options, effort, metrics).await;
    }
    let listing = Listing { client, namespace, page_size: options.page_size, effort };
    let walked = effort.deadline.bound(markers::walks(&listing, options.most_repositories, metrics)).await;
    match walked {
        Err(_) => {
            let message = "the listing was not complete by the refresh's deadline";
            Err(Failure::new(Reason::Timeout, message))
        }
        Ok(Ok(mut rows)) => {
            if list_api == ListApi::Auto {
                client.found_lists_by_markers(true);
            }
            // A million rows take a while to sort: not on a thread that others wait for.
            let sorted = tokio::task::spawn_blocking(move || {
                let duplicates = sort_unique(&mut rows);
                (rows, duplicates)
            });
            let (rows, duplicates) = sorted.await.expect("sorting does not panic");
            metrics.saw(Inconsistency::Duplicate, duplicates as u64);
            Ok(rows)
        }
        Ok(Err(Stop::Failed(ApiError::NotFound(answer))))
            if options.list_api == ListApi::Auto && is_no_api(&answer) =>
        {
            info!("this region does not list by markers; it is asked by offsets");
            client.found_lists_by_markers(false);
            listing::read(client, namespace, options, effort, metrics).await
        }
        Ok(Err(stop)) => Err(stop.into()),
    }
}

/// Whether it was the gateway that knew nothing of the call; SWR itself says so of an organisation.
fn is_no_api(answer: &Answer) -> bool {
    !answer.said.code.as_deref().unwrap_or_default().starts_with("SVCSTG.")
}

struct Listing<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    page_size: u64,
    effort: &'a CallBudget,
}

impl markers::MarkedPages for Listing<'_> {
    type Row = Repository;
    type Key<'a> = (&'a str, &'a str);

    async fn page(&self, marker: Option<&str>) -> Result<MarkerPage<Repository>, ApiError> {
        let limit = self.page_size.min(self.client.largest_page()).max(1);
        match self.client.repositories_from(self.namespace, marker, limit, self.effort).await {
            Err(ApiError::Refused(_)) if marker.is_none() && limit > SMALLEST_PAGE => {
                let page = self.client.repositories_from(self.namespace, marker, SMALLEST_PAGE, self.effort).await?;
                self.client.found_largest_page(SMALLEST_PAGE);
                Ok(page)
            }
            page => page,
        }
    }

    fn key(row: &Repository) -> (&str, &str) {
        row.key()
    }
}
