//! The account as a whole: organisations, totals and quotas, a call each.

use super::auxiliary::{FailedCall, Known};
use crate::model::figures::Account;
use crate::swr::{CallBudget, Client, Operation};
use std::sync::Arc;

/// The `collector` label.
pub(super) const COLLECTOR: &str = "account";

/// Makes the three calls, one after the other; what one of them does not bring is as it was known.
pub(super) async fn read(client: Arc<Client>, effort: CallBudget, known: Known<Account>) -> (Account, Vec<FailedCall>) {
    let mut failed = Vec::new();
    let account = Account {
        organisations: known.fresh_or_known(
            client.organisations(&effort).await.map_err(|error| FailedCall::of(Operation::ListNamespaces, error)),
            |account| account.organisations.as_ref(),
            &mut failed,
        ),
        overview: known.fresh_or_known(
            client.overview(&effort).await.map_err(|error| FailedCall::of(Operation::Overview, error)),
            |account| account.overview.as_ref(),
            &mut failed,
        ),
        quotas: known.fresh_or_known(
            client.quotas(&effort).await.map_err(|error| FailedCall::of(Operation::Quotas, error)),
            |account| account.quotas.as_ref(),
            &mut failed,
        ),
    };
    (account, failed)
}
