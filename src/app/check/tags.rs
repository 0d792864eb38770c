//! The calls for tags and details, each once, for a repository that the list has shown.

use super::report::{Report, Step};
use super::{PATIENCE, advice};
use crate::base::deadline::Deadline;
use crate::collect::tags::Options;
use crate::failure::error_chain;
use crate::model::Repository;
use crate::swr::{ApiError, CallBudget, Client, Operation};

/// Adds a step for each of the two that is collected.
pub(super) async fn check(client: &Client, options: &Options, row: Option<&Repository>, report: &mut Report) {
    if !options.tags && !options.details {
        return;
    }
    let effort = || CallBudget::until(Deadline::after(PATIENCE));
    let Some(row) = row else {
        report.add(Step::skipped("read tags and details", "there is no repository to try it on"));
        return;
    };
    let of = |what: &str| format!("read {what} of `{}/{}`", row.namespace, row.name);
    if options.tags {
        let found = client.tags(&row.namespace, &row.name, &mut effort()).await.map(|tags| tags.len().to_string());
        report.add(step(of("the tags"), Operation::ListTags, "--collector.tags", found));
    }
    if options.details {
        let found = client.repository(&row.namespace, &row.name, &effort()).await.map(|_| "read".to_owned());
        report.add(step(of("the details"), Operation::ShowRepository, "--collector.details", found));
    }
}

fn step(what: String, operation: Operation, flag: &str, found: Result<String, ApiError>) -> Step {
    match found {
        Ok(found) => Step::works(what, found),
        Err(error) => {
            let advice = advice::on_call_beside(&error, operation, flag);
            Step::fails(what, error_chain(&error), advice)
        }
    }
}
