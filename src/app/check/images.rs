//! The calls for tags and details, each once, for a repository of the list.

use super::report::{Report, Step};
use super::{PATIENCE, advice};
use crate::collect::tags::Options;
use crate::deadline::Deadline;
use crate::failure::chain;
use crate::swr::{ApiError, Client, Effort, Operation};

/// Adds a step for each of the two that is collected.
pub(super) async fn check(client: &Client, options: &Options, namespaces: &[String], report: &mut Report) {
    if !options.tags && !options.details {
        return;
    }
    let effort = || Effort::until(Deadline::after(PATIENCE));
    // What is wrong with the list has been told.
    let namespace = namespaces.first().map(String::as_str);
    let Ok(page) = client.repositories(namespace, 0, 10, &effort()).await else { return };
    let Some(row) = page.rows.first() else {
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
            Step::fails(what, chain(&error), advice)
        }
    }
}
