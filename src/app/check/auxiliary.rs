//! Checks of the auxiliary collectors: each of their calls once.

use super::STEP_TIMEOUT;
use super::report::{Report, Step};
use crate::base::deadline::Deadline;
use crate::collect;
use crate::failure::error_chain;
use crate::model::figures::Instance;
use crate::swr::artifacts::are_offered_by;
use crate::swr::markers::MarkerPage;
use crate::swr::{CallBudget, Client, Operation, advice};

const ACCOUNT: &str = "account";
const ENTERPRISE: &str = "enterprise";
const ARTIFACTS: &str = "enterprise.artifacts";

/// Adds a step for each call of the enabled collectors.
pub(super) async fn check(client: &Client, options: &collect::Options, report: &mut Report) {
    if !options.account && !options.enterprise {
        return;
    }
    let budget = || CallBudget::until(Deadline::after(STEP_TIMEOUT));
    if options.account {
        let listed = client.organizations(&budget()).await;
        let found = listed.map(|listed| (format!("{} organizations listed", listed.len()), Some(listed.len() as u64)));
        report.add_call("list organizations", Operation::ListNamespaces, ACCOUNT, found);
        let found = client.overview(&budget()).await.map(|_| ("can be read".to_owned(), None));
        report.add_call("totals of the account", Operation::Overview, ACCOUNT, found);
    }
    if let Err(error) = client.project_id(&budget()).await {
        report.add(Step::fails("project id", error_chain(&error), advice::on_project()));
        return;
    }
    if options.account {
        let read = client.quotas(&budget()).await;
        let found = read.map(|read| {
            let names: Vec<String> = read.iter().map(|quota| quota.name.to_string()).collect();
            (format!("limits of {}", names.join(", ")), None)
        });
        report.add_call("quotas", Operation::Quotas, ACCOUNT, found);
    }
    if options.enterprise {
        let listed = client.instances(0, &budget()).await;
        let first = listed.as_ref().ok().and_then(|listed| listed.rows.first()).cloned();
        let count = listed.as_ref().ok().map(|listed| listed.total.unwrap_or(listed.received));
        let found = listed.map(|_| (format!("{} instances listed", count.unwrap_or_default()), count));
        report.add_call("list instances", Operation::ListInstances, ENTERPRISE, found);
        if let Some(instance) = &first {
            let read = client.instance_statistics(&instance.id, &budget()).await;
            let found = read.map(|_| ("can be read".to_owned(), None));
            report.add_call("statistics of an instance", Operation::InstanceStatistics, ENTERPRISE, found);
        }
        let found = client.instance_repositories(None, &budget()).await.map(|page| listed_on(&page, "repositories"));
        report.add_call("list repositories of instances", Operation::ListInstanceRepositories, ENTERPRISE, found);
        if let Some(instance) = first.filter(|_| options.artifacts) {
            check_artifacts(client, &instance, report).await;
        }
    }
}

async fn check_artifacts(client: &Client, instance: &Instance, report: &mut Report) {
    const WHAT: &str = "list artifacts of an instance";
    if !are_offered_by(&instance.version) {
        let why = format!("`{}` has version {}, which does not offer them", instance.name, instance.version);
        report.add(Step::skipped(WHAT, why).of_collector(ARTIFACTS));
        return;
    }
    let budget = CallBudget::until(Deadline::after(STEP_TIMEOUT));
    let found = client.artifacts(&instance.id, None, &budget).await.map(|page| listed_on(&page, "artifacts"));
    report.add_call(WHAT, Operation::ListArtifacts, ARTIFACTS, found);
}

/// What a page holds, and the number if there is no further page.
fn listed_on<T>(page: &MarkerPage<T>, what: &str) -> (String, Option<u64>) {
    match &page.next {
        None => (format!("{} {what} listed", page.received), Some(page.received)),
        Some(_) => (format!("{} {what} listed, and there are more", page.received), None),
    }
}
