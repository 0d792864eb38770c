//! An agency of another account, taken on with each kind of credential.

use crate::accounts::Accounts;
use crate::credentials_sources::{file_with, scrapes_well, short_lived, with_password, without_credential};
use crate::support::{command, eventually, start};
use std::time::Duration;
use swr_simulator::{DEMO_DELEGATED_AGENCY, DEMO_DELEGATING_DOMAIN, DEMO_PASSWORD, Running};
use tokio::process::Command;

/// Two lives of a key and a little more.
const LIVES: Duration = Duration::from_secs(9);

/// The keys of the agency are renewed, and nothing is asked of SWR with another credential.
async fn reads_by_agency(mut command: Command, upstream: &Running, base: &str) {
    command.args(["--credentials.agency-name", DEMO_DELEGATED_AGENCY]);
    command.args(["--credentials.agency-domain-name", DEMO_DELEGATING_DOMAIN]);
    command.env("SWR_EXPORTER_SWR_IAM_ENDPOINT", upstream.url());
    let exporter = start(command).await;
    let scrape = scrapes_well(&exporter, LIVES).await;
    let keys = scrape.value("swr_api_requests_total", &[("operation", "agency"), ("code", "201")]).unwrap();
    assert!((3.0..=20.0).contains(&keys), "{keys} keys");
    assert!(scrape.get("swr_credential_expiry_timestamp_seconds").is_some());
    let log = exporter.log();
    let told = format!("from the agency {DEMO_DELEGATED_AGENCY} of domain_name {DEMO_DELEGATING_DOMAIN}, by {base}");
    assert!(log.contains(&told), "{told}\n{log}");
    let listings = upstream.handle.requests().into_iter().filter(|request| request.path.starts_with("/v2/manage"));
    for request in listings {
        assert!(request.header("x-security-token").is_some(), "{request:?}");
    }
}

#[tokio::test]
async fn an_access_key_takes_on_an_agency() {
    let upstream = short_lived().await;
    let mut command = command();
    command.args(["--swr.endpoint", &upstream.url()]).env("SWR_EXPORTER_CACHE_WINDOW", "100ms");
    reads_by_agency(command, &upstream, "access-key").await;
    assert_eq!(upstream.handle.count("/v3/auth/tokens"), 0);
}

#[tokio::test]
async fn a_password_takes_on_an_agency_with_a_token_of_its_account() {
    let (upstream, (_folder, password)) = (short_lived().await, file_with(DEMO_PASSWORD));
    reads_by_agency(with_password(&upstream, &password), &upstream, "password").await;
    let requests = upstream.handle.requests();
    let logins: Vec<_> = requests.iter().filter(|request| request.path == "/v3/auth/tokens").collect();
    assert!(!logins.is_empty());
    for login in logins {
        let body: serde_json::Value = serde_json::from_slice(&login.body).unwrap();
        assert!(body["auth"]["scope"]["domain"]["name"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn the_agency_of_an_instance_takes_on_another() {
    let upstream = short_lived().await;
    let mut command = without_credential(&upstream);
    command.args(["--credentials.metadata-endpoint", &upstream.url()]);
    reads_by_agency(command, &upstream, "metadata").await;
}

#[tokio::test]
async fn one_key_of_the_environment_reads_the_accounts_of_a_file() {
    let upstream = short_lived().await;
    let credentials = |agency: &str| {
        format!("credentials: {{ agency_name: {agency}, agency_domain_name: {DEMO_DELEGATING_DOMAIN} }}")
    };
    let accounts = Accounts::new(&format!(
        "defaults: {{ endpoint: \"{0}\", iam_endpoint: \"{0}\" }}\naccounts:\n  good: {{ {1} }}\n  bad: {{ {2} }}\n",
        upstream.url(),
        credentials(DEMO_DELEGATED_AGENCY),
        credentials("nobody")
    ));
    let exporter = accounts.start().await;
    assert_eq!(exporter.probe("good").await.get("swr_up"), Some(1.0), "{}", exporter.log());
    let bad = exporter.probe("bad").await;
    assert_eq!((bad.get("swr_up"), bad.sum("swr_refresh_failures_total")), (Some(0.0), 1.0));
    assert_eq!(bad.value("swr_refresh_failures_total", &[("reason", "auth")]), Some(1.0));
    let is_told = |log: String| log.contains("a key of the agency was refused") && log.contains("Agent Operator");
    eventually("the log says why and what to do", || is_told(exporter.log())).await;
}
