//! Checks of the calls for single repositories: each once, on a repository of the listing.

use super::STEP_TIMEOUT;
use super::report::{Report, Step};
use crate::base::deadline::Deadline;
use crate::collect::tag_listing;
use crate::collect::tags::Options;
use crate::model::Row;
use crate::swr::{CallBudget, Client, Operation};

/// Adds a step for each that is enabled.
pub(super) async fn check(client: &Client, options: &Options, row: Option<&Row>, report: &mut Report) {
    if !options.fetches_any() {
        return;
    }
    let budget = || CallBudget::until(Deadline::after(STEP_TIMEOUT));
    let Some(row) = row else {
        report.add(Step::skipped("single repositories", "no repository to try them on"));
        return;
    };
    let (namespace, name) = row.key();
    let of = |what: &str| format!("{what} of `{namespace}/{name}`");
    let listed = |count: u64| (format!("{count} listed"), Some(count));
    if options.tags {
        let found =
            tag_listing::read(client, namespace, name, &mut budget()).await.map(|tags| listed(tags.len() as u64));
        report.add(Step::of_call(of("tags"), Operation::ListTags, "tags", found));
    }
    if options.details {
        let found = client.repository(namespace, name, &budget()).await.map(|_| ("can be read".to_owned(), None));
        report.add(Step::of_call(of("details"), Operation::ShowRepository, "details", found));
    }
    if options.retention {
        let found = client.retention_rules(namespace, name, &budget()).await.map(|rules| listed(rules.into()));
        report.add(Step::of_call(of("retention rules"), Operation::ListRetentions, "retention", found));
    }
}
