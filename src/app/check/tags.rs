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
        report.add(Step::skipped("read single repositories", "there is no repository to try it on"));
        return;
    };
    let (namespace, name) = row.key();
    let of = |what: &str| format!("read {what} of `{namespace}/{name}`");
    if options.tags {
        let found = client.tags(namespace, name, &mut budget()).await.map(|tags| tags.len().to_string());
        report.add(step(of("the tags"), Operation::ListTags, "--collector.tags", found));
    }
    if options.details {
        let found = client.repository(namespace, name, &budget()).await.map(|_| "read".to_owned());
        report.add(step(of("the details"), Operation::ShowRepository, "--collector.details", found));
    }
    if options.retention {
        let counted = client.retention_rules(namespace, name, &budget()).await;
        let found = counted.map(|rules| rules.to_string());
        report.add(step(of("the retention rules"), Operation::ListRetentions, "--collector.retention", found));
    }
}

fn step(what: String, operation: Operation, flag: &str, found: Result<String, ApiError>) -> Step {
    match found {
        Ok(found) => Step::works(what, found),
        Err(error) => {
            let advice = advice::on_auxiliary_call(&error, operation, flag);
            Step::fails(what, error_chain(&error), advice)
        }
    }
}
