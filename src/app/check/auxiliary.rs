//! Checks of the auxiliary collectors: each of their calls once.

use super::STEP_TIMEOUT;
use super::report::{Report, Step};
use crate::base::deadline::Deadline;
use crate::collect;
use crate::failure::error_chain;
use crate::model::figures::Instance;
use crate::swr::artifacts::are_offered_by;
use crate::swr::markers::MarkerPage;
use crate::swr::{ApiError, CallBudget, Client, Operation, advice};

const ACCOUNT: &str = "--collector.account";
const ENTERPRISE: &str = "--collector.enterprise";
const ARTIFACTS: &str = "--collector.enterprise.artifacts";

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
        let first = listed.as_ref().ok().and_then(|listed| listed.rows.first()).cloned();
        let found = listed.map(|listed| listed.total.unwrap_or(listed.received).to_string());
        report.add(step("list instances", Operation::ListInstances, ENTERPRISE, found));
        if let Some(instance) = &first {
            let read = client.instance_statistics(&instance.id, &budget()).await.map(|_| "read".to_owned());
            report.add(step("read an instance's statistics", Operation::InstanceStatistics, ENTERPRISE, read));
        }
        let listed = client.instance_repositories(None, &budget()).await;
        let found = listed.map(|page| or_more(&page));
        report.add(step("list the instances' repositories", Operation::ListInstanceRepositories, ENTERPRISE, found));
        if let Some(instance) = first.filter(|_| options.artifacts) {
            check_artifacts(client, &instance, report).await;
        }
    }
}

async fn check_artifacts(client: &Client, instance: &Instance, report: &mut Report) {
    const WHAT: &str = "list an instance's artifacts";
    if !are_offered_by(&instance.version) {
        let why = format!("`{}` has version {}, which does not offer it", instance.name, instance.version);
        report.add(Step::skipped(WHAT, why));
        return;
    }
    let budget = CallBudget::until(Deadline::after(STEP_TIMEOUT));
    let found = client.artifacts(&instance.id, None, &budget).await.map(|page| or_more(&page));
    report.add(step(WHAT, Operation::ListArtifacts, ARTIFACTS, found));
}

fn or_more<T>(page: &MarkerPage<T>) -> String {
    match &page.next {
        None => page.received.to_string(),
        Some(_) => format!("{} or more", page.received),
    }
}

fn step(what: &str, operation: Operation, flag: &str, found: Result<String, ApiError>) -> Step {
    match found {
        Ok(found) => Step::works(what, found),
        Err(error) => Step::fails(what, error_chain(&error), advice::on_auxiliary_call(&error, operation, flag)),
    }
}
