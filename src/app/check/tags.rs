//! Checks of the calls for single repositories: each once, on a repository of the listing.

use super::STEP_TIMEOUT;
use super::report::{Report, Step};
use crate::base::deadline::Deadline;
use crate::collect::fetch_task::FetchKind;
use crate::collect::tag_listing;
use crate::collect::tags::Options;
use crate::model::Row;
use crate::swr::{CallBudget, Client, Operation};

/// Adds a step for each that is enabled.
pub(super) async fn check(client: &Client, options: &Options, row: Option<&Row>, report: &mut Report) {
    let mut kinds = options.collected.kinds().peekable();
    if kinds.peek().is_none() {
        return;
    }
    let budget = || CallBudget::until(Deadline::after(STEP_TIMEOUT));
    let Some(row) = row else {
        report.add(Step::skipped("single repositories", "no repository to try them on"));
        return;
    };
    let (namespace, name) = row.key();
    let listed = |count: u64| (format!("{count} listed"), Some(count));
    for kind in kinds {
        let (operation, found) = match kind {
            FetchKind::Tags => {
                let tags = tag_listing::read(client, namespace, name, &mut budget()).await;
                (Operation::ListTags, tags.map(|tags| listed(tags.len() as u64)))
            }
            FetchKind::Details => {
                let details = client.repository(namespace, name, &budget()).await;
                (Operation::ShowRepository, details.map(|_| ("can be read".to_owned(), None)))
            }
            FetchKind::Retention => {
                let rules = client.retention_rules(namespace, name, &budget()).await;
                (Operation::ListRetentions, rules.map(|rules| listed(rules.into())))
            }
        };
        let step = format!("{} of `{namespace}/{name}`", kind.noun());
        report.add_call(step, operation, kind.collector(), found);
    }
}
