//! Checks of the calls for single repositories: each once, on a repository of the listing.

use super::STEP_TIMEOUT;
use super::report::{Report, Step};
use crate::base::deadline::Deadline;
use crate::collect::tags::Options;
use crate::failure::error_chain;
use crate::model::Row;
use crate::swr::{ApiError, CallBudget, Client, Operation, advice};

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
    if options.tags {
        let found = client.tags(namespace, name, &mut budget()).await.map(|tags| Some(tags.len() as u64));
        report.add(step(of("tags"), Operation::ListTags, "tags", found));
    }
    if options.details {
        let found = client.repository(namespace, name, &budget()).await.map(|_| None);
        report.add(step(of("details"), Operation::ShowRepository, "details", found));
    }
    if options.retention {
        let found = client.retention_rules(namespace, name, &budget()).await.map(|rules| Some(rules.into()));
        report.add(step(of("retention rules"), Operation::ListRetentions, "retention", found));
    }
}

/// The step of a call; `found` is the number of tags or rules, if the call returns a list.
fn step(what: String, operation: Operation, collector: &'static str, found: Result<Option<u64>, ApiError>) -> Step {
    let step = match found {
        Ok(Some(count)) => Step::works(what, format!("{count} listed")).counting(Some(count)),
        Ok(None) => Step::works(what, "can be read"),
        Err(error) => {
            let advice = advice::on_auxiliary_call(&error, operation, collector);
            Step::fails(what, error_chain(&error), advice)
        }
    };
    step.of_collector(collector)
}
