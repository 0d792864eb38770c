//! The collector `account`: organizations, totals and quotas, one call each.

use super::partial::{FailedCall, Previous};
use crate::model::figures::AccountFigures;
use crate::swr::{CallBudget, Client, Operation};
use std::sync::Arc;

pub(super) const COLLECTOR: &str = "account";

/// Makes the three calls, one after the other. A value whose call fails stays as it was.
pub(super) async fn read(
    client: Arc<Client>,
    budget: CallBudget,
    previous: Previous<AccountFigures>,
) -> (AccountFigures, Vec<FailedCall>) {
    let mut failed = Vec::new();
    let organizations = client.organizations(&budget).await.map_err(FailedCall::of(Operation::ListNamespaces));
    let overview = client.overview(&budget).await.map_err(FailedCall::of(Operation::Overview));
    let quotas = client.quotas(&budget).await.map_err(FailedCall::of(Operation::Quotas));
    let account = AccountFigures {
        organizations: previous.unless_fresh(organizations, |known| known.organizations.as_ref(), &mut failed),
        overview: previous.unless_fresh(overview, |known| known.overview.as_ref(), &mut failed),
        quotas: previous.unless_fresh(quotas, |known| known.quotas.as_ref(), &mut failed),
    };
    (account, failed)
}
