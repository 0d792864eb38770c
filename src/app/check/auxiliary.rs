//! Checks of the auxiliary collectors: each of their calls once.

use super::STEP_TIMEOUT;
use super::report::{Report, Step};
use crate::base::deadline::Deadline;
use crate::collect;
use crate::failure::error_chain;
use crate::swr::{ApiError, CallBudget, Client, Operation, advice};

const ACCOUNT: &str = "--collector.account";
const ENTERPRISE: &str = "--collector.enterprise";

/// Adds a step for each call of the enabled collectors.
pub(super) async fn check(client: &Client, options: &collect::Options, report: &mut Report) {
    if !options.account && !options.enterprise {
        return;
    }
    let budget = || CallBudget::until(Deadline::after(STEP_TIMEOUT));
    if options.account {
        let listed = client.organizations(&budget()).await;
        let found = listed.map(|listed| listed.len().to_string());
        report.add(step("list organizations", Operation::ListNamespaces, ACCOUNT, found));
        let read = client.overview(&budget()).await;
        let found =
            read.map(|read| read.repositories.map_or_else(String::new, |count| format!("{count} repositories")));
        report.add(step("read the totals", Operation::Overview, ACCOUNT, found));
    }
    if let Err(error) = client.project_id(&budget()).await {
        report.add(Step::fails("find the project", error_chain(&error), advice::on_project()));
        return;
    }
    if options.account {
        let read = client.quotas(&budget()).await;
        let found = read.map(|read| read.iter().map(|quota| quota.name.to_string()).collect::<Vec<_>>().join(", "));
        report.add(step("read the quotas", Operation::Quotas, ACCOUNT, found));
    }
    if options.enterprise {
        let listed = client.instances(0, &budget()).await;
        let first = listed.as_ref().ok().and_then(|listed| listed.rows.first()).map(|instance| instance.id.clone());
        let found = listed.map(|listed| listed.total.unwrap_or(listed.received).to_string());
        report.add(step("list instances", Operation::ListInstances, ENTERPRISE, found));
        if let Some(id) = first {
            let read = client.instance_statistics(&id, &budget()).await.map(|_| "read".to_owned());
            report.add(step("read an instance's statistics", Operation::InstanceStatistics, ENTERPRISE, read));
        }
        let listed = client.instance_repositories(None, &budget()).await;
        let found = listed.map(|page| match page.next {
            None => page.received.to_string(),
            Some(_) => format!("{} or more", page.received),
        });
        report.add(step("list the instances' repositories", Operation::ListInstanceRepositories, ENTERPRISE, found));
    }
}

fn step(what: &str, operation: Operation, flag: &str, found: Result<String, ApiError>) -> Step {
    match found {
        Ok(found) => Step::works(what, found),
        Err(error) => Step::fails(what, error_chain(&error), advice::on_auxiliary_call(&error, operation, flag)),
    }
}
