//! `check` against an account that works and against ones that do not: it names the cause and what to do about it.

use crate::credentials_sources::{file_with, with_password, without_credential};
use crate::support::{Ended, command, done, exporter, simulator, text};
use crate::upstream_tls::{HERE, as_it_is, authority, certified, guarded};
use swr_simulator::{
    Action, DEMO_PASSWORD, DEMO_PROJECT, DEMO_PROJECT_ID, DEMO_SECRET_KEY, Delivery, Framing, Operation, Permission,
    Response, RetryAfter, Rule, Running, Shape, UnknownNamespace,
};
use tokio::process::Command;

/// Runs `check` with the environment and the flags of a prepared command.
async fn checked(prepared: Command, more: &[&str]) -> Ended {
    let prepared = prepared.as_std();
    let mut command = Command::new(prepared.get_program());
    command.args(["check", "-v"]).args(prepared.get_args()).args(more).env_clear();
    command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
    done(command).await
}

fn prepared(endpoint: &str) -> Command {
    let mut command = command();
    command.args(["--swr.endpoint", endpoint]);
    command
}

/// What fails, and what to do: both have to be named, in one step that fails and with exit code 1.
async fn names(command: Command, flags: &[&str], step: &str, cause: &str, advice: &str) -> Ended {
    let checked = checked(command, flags).await.with(1, &[]);
    let said = &checked.out;
    let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("  FAIL")).collect();
    assert!(failed.len() == 1 && failed[0].starts_with(&format!("  FAIL  {step}")), "{said}");
    assert!(failed[0].contains(cause), "{cause}\n{said}");
    assert!(said.lines().any(|line| line.starts_with("        -> ") && line.contains(advice)), "{advice}\n{said}");
    assert!(!said.contains('\u{1b}'), "no colour where nobody sees it");
    checked
}

async fn account() -> Running {
    simulator(20, 2).await
}

#[tokio::test]
async fn a_firewall_and_answers_without_end_have_advice() {
    let block = Action::Respond(Response::new(418, "text/html", "<html>blocked</html>"));
    let flood = Action::Deliver(Delivery::Flood(Framing::Chunked, None));
    for (action, cause, advice) in [
        (block, "blocked by a firewall", "lower --swr.rate-limit"),
        (flood, "more than", "lower --swr.page-size"),
        (Action::Deliver(Delivery::Bomb(64 << 20)), "larger than", "lower --swr.page-size"),
    ] {
        let upstream = account().await;
        upstream.handle.fault(Rule::always(action));
        names(prepared(&upstream.url()), &[], "list repositories", cause, advice).await;
    }
}

#[tokio::test]
async fn what_works_is_said_and_the_exit_code_is_zero() {
    let upstream = account().await;
    let names = upstream.handle.with_world(|world| world.namespaces());
    let result = checked(prepared(&upstream.url()), &["--swr.namespace", &names.join(",")]).await.with(0, &[]);
    assert!(result.out.ends_with("all checks passed\n"));
    for name in &names {
        assert!(result.out.contains(&format!("list repositories of `{name}`: ")), "{}", result.out);
    }
    assert!(result.out.contains("ok    complete listing: 20 repositories, 20 of them have series"), "{}", result.out);
    assert_eq!((upstream.handle.count("/v2"), result.said.as_str()), (4, ""), "by itself and within the whole list");

    let (upstream, (_folder, password)) = (account().await, file_with(DEMO_PASSWORD));
    let result = checked(with_password(&upstream, &password), &["--format", "json"]).await.with(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&result.out).unwrap();
    assert_eq!(json["ok"], true, "{json}");
    let steps = json["accounts"][0]["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["result"] == "ok" && step["advice"].is_null()), "{json}");
    assert!(steps.iter().any(|step| step["message"].as_str().unwrap().contains("(source password), valid until 20")));
}

#[tokio::test]
async fn several_accounts_have_a_line_each_and_only_failures_are_shown() {
    let (good, bad) = (account().await, account().await);
    bad.handle.configure(|options| options.denied = vec![Operation::ListRepositories]);
    let account = |name: &str, of: &Running| format!("  {name}:\n    endpoint: {}\n", of.url());
    let (_folder, file) = file_with(&format!("accounts:\n{}{}", account("one", &good), account("two", &bad)));
    let run = async |more: &[&str]| {
        let mut check = command();
        check.arg("check").arg("--config.file").arg(&file).args(more);
        done(check).await.out
    };
    let said = run(&[]).await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("ok    account one: ")
            && lines[0].ends_with(" checks passed; 20 repositories, 20 of them have series"),
        "{said}"
    );
    assert!(lines[1].starts_with("FAIL  account two: 1 of "), "{said}");
    assert!(lines[2].starts_with("  FAIL  list repositories: ") && lines[3].starts_with("        -> "), "{said}");
    assert_eq!((lines.len(), lines[4]), (5, "1 check failed"), "{said}");
    assert!(run(&["--verbose"]).await.contains("\n  ok    settings: "));
    let json: serde_json::Value = serde_json::from_str(&run(&["--format", "json"]).await).unwrap();
    let steps = json["accounts"][0]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["name"] == "list repositories" && step["count"] == 20), "{json}");
}

#[tokio::test]
async fn offline_nobody_is_asked() {
    let (upstream, (folder, password)) = (account().await, file_with(DEMO_PASSWORD));
    checked(with_password(&upstream, &password), &["--offline"]).await.with(0, &[]);
    std::fs::write(&password, "").unwrap();
    names(with_password(&upstream, &password), &["--offline"], "credential", "is empty", "write only the secret").await;
    drop(folder);
    names(with_password(&upstream, &password), &["--offline"], "credential", "cannot read", "may read it").await;
    assert_eq!((upstream.handle.total(), upstream.handle.connections()), (0, 0));
}

#[tokio::test]
async fn wrong_settings_are_listed_and_the_exit_code_is_two() {
    let result = checked(command(), &["--swr.region", "mars-1", "--cache.window", "x"]).await;
    assert_eq!(result.with(2, &["2 problems", "known: ae-ad-1"]).out, "");
    let result = checked(command(), &["--swr.region", "mars-1", "--format", "json"]).await.with(2, &[]);
    let json: serde_json::Value = serde_json::from_str(&result.out).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 1);
    checked(command(), &["--format", "xml"]).await.with(2, &[]);
}

#[tokio::test]
async fn a_wrong_key_is_named_after_one_attempt() {
    let upstream = account().await;
    let mut wrong = prepared(&upstream.url());
    wrong.env("SWR_EXPORTER_SECRET_KEY", "another");
    let namespaces = upstream.handle.with_world(|world| world.namespaces()).join(",");
    let flags = ["--swr.namespace", namespaces.as_str()];
    names(wrong, &flags, "list", "verify aksk signature fail", "does not belong to the access key").await;
    assert_eq!(upstream.handle.failed_signatures(), 1);
    let mut unknown = prepared(&upstream.url());
    unknown.env("SWR_EXPORTER_ACCESS_KEY", "UNKNOWN").env("SWR_EXPORTER_SECRET_KEY", DEMO_SECRET_KEY);
    names(unknown, &[], "list", "Get secretKey failed", "the access key is unknown here").await;
}

#[tokio::test]
async fn a_wrong_password_is_named_after_one_attempt() {
    let (upstream, (_folder, password)) = (account().await, file_with("wrong"));
    let command = with_password(&upstream, &password);
    names(command, &[], "credential", "The username or password is wrong", "check account, user, password").await;
    assert_eq!(upstream.handle.failed_logins(), 1);
}

#[tokio::test]
async fn a_wrong_region_or_endpoint_is_named() {
    let upstream = account().await;
    let mut token = without_credential(&upstream);
    token.env("SWR_EXPORTER_TOKEN", "of-another-region");
    names(token, &[], "list", "decrypt token fail", "of another region").await;
    let refusal = Action::error(404, Shape::Gateway, "APIGW.0101", "The API does not exist");
    upstream.handle.fault(Rule::always(refusal).path("/v2"));
    names(prepared(&upstream.url()), &[], "list", "APIGW.0101", "check --swr.region or --swr.endpoint").await;
}

#[tokio::test]
async fn a_clock_that_is_off_by_an_hour_is_named() {
    for (skew, way) in [(3600, "s behind the API"), (-3600, "s ahead of the API")] {
        let upstream = account().await;
        upstream.handle.configure(|options| options.clock_skew_seconds = skew);
        let checked = names(prepared(&upstream.url()), &[], "clock", way, "set the clock").await;
        assert!(checked.out.contains("  ok    list repositories: 20 repositories listed"), "{}", checked.out);
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let upstream = account().await;
    upstream.handle.configure(|options| options.denied = vec![Operation::ListRepositories]);
    names(prepared(&upstream.url()), &[], "list repositories", "SVCSTG.SWR.4030170", "swr:repo:listRepos").await;
    let namespaces = upstream.handle.with_world(|world| world.namespaces());
    upstream.handle.configure(|options| {
        options.denied.clear();
        options.permission = Permission::Except(vec![namespaces[0].clone()]);
    });
    let step = format!("list repositories of `{}`", namespaces[0]);
    let flag = namespaces.join(",");
    let flags = ["--swr.namespace", flag.as_str()];
    let checked = names(prepared(&upstream.url()), &flags, &step, "not permitted", "in the organization").await;
    assert!(checked.out.contains(&format!("ok    list repositories of `{}`", namespaces[1])), "the other is tried too");
}

#[tokio::test]
async fn a_permission_that_a_collector_lacks_is_named() {
    let on = ["--collector.account", "--collector.enterprise", "--swr.project-id", DEMO_PROJECT_ID];
    for (call, step, advice) in [
        (Operation::ListNamespaces, "list organizations", "swr:namespace:listNamespaces"),
        (Operation::Overview, "totals of the account", "swr::getDomainOverview"),
        (Operation::Quotas, "quotas", "SWR ReadOnlyAccess"),
        (Operation::ListInstances, "list instances", "swr:instance:list"),
        (Operation::InstanceStatistics, "statistics of an instance", "swr:instance:getStatistics"),
        (Operation::ListInstanceRepositories, "list repositories of instances", "listAllInstanceRepositories"),
    ] {
        let upstream = account().await;
        upstream.handle.configure(|options| options.denied = vec![call]);
        names(prepared(&upstream.url()), &on, step, "not permitted", advice).await;
    }
    let upstream = account().await;
    let result = checked(prepared(&upstream.url()), &on).await.with(0, &[]);
    assert!(result.out.contains("ok    list instances: 2 instances listed"), "{}", result.out);
    names(prepared(&upstream.url()), &on[..2], "project id", "neither is a region", "--swr.project-id").await;
    // With a region and IAM, the project is asked for.
    let iam = ["--swr.region", DEMO_PROJECT, "--swr.iam-endpoint", &upstream.url()];
    let flags: Vec<&str> = on[..2].iter().chain(&iam).copied().collect();
    checked(prepared(&upstream.url()), &flags).await.with(0, &[]);
    upstream.handle.fault(Rule::always(Action::error(403, Shape::Gateway, "APIGW.0302", "no")).path("/v3/projects"));
    names(prepared(&upstream.url()), &flags, "project id", "not permitted", "iam:projects:listProjects").await;
}

#[tokio::test]
async fn calls_for_single_repositories_are_tried_where_they_are_collected() {
    let upstream = account().await;
    let all = ["--collector.tags", "--collector.details", "--collector.retention"];
    let result = checked(prepared(&upstream.url()), &all).await.with(0, &[]);
    for what in ["tags", "details", "retention rules"] {
        assert!(result.out.contains(&format!("{what} of `")), "{}", result.out);
    }
    for (denied, step, permission) in [
        (Operation::ListTags, "tags of", "swr:repo:listRepoTags, or remove --collector.tags"),
        (Operation::ShowRepository, "details of", "swr:repo:getRepo, or remove --collector.details"),
        (Operation::ListRetentions, "retention rules of", "swr:repo:listRetentions, or remove --collector.retention"),
    ] {
        upstream.handle.configure(|options| options.denied = vec![denied]);
        names(prepared(&upstream.url()), &all, step, "SVCSTG.SWR.4030170", permission).await;
        // What is off is not tried.
        checked(prepared(&upstream.url()), &[]).await.with(0, &[]);
    }
}

#[tokio::test]
async fn calls_for_tags_and_details_are_tried_by_whichever_version_the_list_is_read() {
    let upstream = account().await;
    upstream.handle.configure(|options| options.denied = vec![Operation::ListTags]);
    // API version 2 is not there.
    let gone = Action::error(404, Shape::Gateway, "APIGW.0101", "The API does not exist");
    upstream.handle.fault(Rule::always(gone).path("/v2/manage/repos"));
    let flags = ["--swr.list-api=v3", "--collector.tags", "--collector.details"];
    let checked = names(prepared(&upstream.url()), &flags, "tags of", "SVCSTG.SWR.4030170", "listRepoTags").await;
    assert!(checked.out.contains("ok    details of `"), "{}", checked.out);
}

#[tokio::test]
async fn a_directory_that_nothing_can_be_kept_in_is_named() {
    let upstream = account().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let there = format!("--cache.directory={}", folder.path().join("created").display());
    for flags in [&[there.as_str()][..], &[&there, "--offline"]] {
        let result = checked(prepared(&upstream.url()), flags).await.with(0, &[]);
        assert!(result.out.contains("  ok    cache: "), "{}", result.out);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("created")).unwrap().count(), 0, "nothing is left there");
    let blocked = format!("--cache.directory={}", folder.path().join("file/below").display());
    for flags in [&[blocked.as_str()][..], &[&blocked, "--offline"]] {
        names(prepared(&upstream.url()), flags, "cache", "Not a directory", "create the directory").await;
    }
}

#[tokio::test]
async fn a_profile_that_lacks_something_is_told_what_to_write() {
    let upstream = account().await;
    let (_folder, profile) = file_with("[basic]\nak = AK\n");
    let mut command = without_credential(&upstream);
    command.env("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &profile);
    let checked = names(command, &["--offline"], "credential", "has neither ak and sk", "section [basic]").await;
    assert!(!checked.out.contains("alone"), "{}", checked.out);
}

#[tokio::test]
async fn an_unknown_organization_is_named() {
    for (answer, cause) in [(UnknownNamespace::Empty, "shows no repository"), (UnknownNamespace::NotFound, "not found")]
    {
        let upstream = account().await;
        upstream.handle.configure(|options| options.unknown_namespace = answer);
        let flags = ["--swr.namespace", "nowhere"];
        names(prepared(&upstream.url()), &flags, "list repositories of `nowhere`", cause, "--swr.namespace").await;
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_named() {
    let ca = authority("ours");
    let upstream = guarded(certified(HERE, Some(&ca), as_it_is)).await;
    let command = prepared(&format!("https://{}", upstream.address));
    names(command, &[], "tls", "UnknownIssuer", "--swr.ca-file").await;
    let (_folder, file) = file_with(&ca.pem);
    let flags = ["--swr.ca-file", file.to_str().unwrap()];
    checked(prepared(&format!("https://{}", upstream.address)), &flags).await.with(0, &[]);
    let (_folder, file) = file_with("no certificate");
    let flags = ["--swr.ca-file", file.to_str().unwrap()];
    let command = prepared(&format!("https://{}", upstream.address));
    names(command, &flags, "certificates", "holds no certificate", "PEM").await;
}

#[tokio::test]
async fn a_name_without_an_address_is_named() {
    let command = prepared("https://swr-api.nowhere.invalid");
    names(command, &[], "name", "swr-api.nowhere.invalid", "check --swr.region or --swr.endpoint").await;
}

#[tokio::test]
async fn an_api_or_a_proxy_that_is_not_there_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    names(prepared(&format!("http://{nobody}")), &[], "connection", "cannot connect", "allow outgoing connections")
        .await;
    let upstream = account().await;
    let mut proxied = prepared("https://swr-api.test.example");
    proxied.env("HTTPS_PROXY", format!("http://{nobody}"));
    names(proxied, &[], "connection", "cannot connect to the proxy", "name the API in NO_PROXY").await;
    assert_eq!(upstream.handle.total(), 0);
}

#[tokio::test]
async fn files_of_keys_that_are_empty_are_named_even_where_nobody_is_reached() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_folder, empty) = file_with("");
    let empty = empty.to_str().unwrap();
    let flags = ["--credentials.access-key-file", empty, "--credentials.secret-key-file", empty];
    let checked = checked(prepared(&format!("http://{nobody}")), &flags).await.with(1, &[]);
    let failed = checked.out.lines().filter_map(|line| line.strip_prefix("  FAIL  "));
    let steps: Vec<&str> = failed.map(|step| step.split(':').next().unwrap()).collect();
    assert_eq!(steps, ["credential", "connection"], "{}", checked.out);
    assert!(checked.out.contains(&format!("{empty} is empty")), "{}", checked.out);
}

#[tokio::test]
async fn a_throttled_user_is_named() {
    let upstream = account().await;
    upstream.handle.fault(Rule::always(Action::throttled(&RetryAfter::Seconds(600))).path("/v2"));
    names(prepared(&upstream.url()), &[], "list repositories", "throttled", "lower --swr.rate-limit").await;
}

#[tokio::test]
async fn a_filter_that_leaves_no_repository_is_named_and_a_glob_is_recognised() {
    let upstream = account().await;
    let one = upstream.handle.repositories()[0].clone();
    let flags = [format!("--repositories.include={}/{}", one.namespace, one.name)];
    let result = checked(prepared(&upstream.url()), &flags.each_ref().map(String::as_str)).await.with(0, &[]);
    assert!(result.out.contains("20 repositories, 1 of them have series"), "{}", result.out);
    for (flag, hint) in
        [("--repositories.include=org-0000/*", "write .*"), ("--repositories.exclude=.*", "regular expressions")]
    {
        let command = prepared(&upstream.url());
        names(command, &[flag], "complete listing", "none of 20 repositories has series", hint).await;
    }
}

#[tokio::test]
async fn a_filter_that_leaves_no_repository_is_told_once_in_the_log_and_on_the_page() {
    let upstream = account().await;
    let exporter = exporter(&upstream.url(), &["--repositories.include=org-0000/*", "--cache.window=50ms"]).await;
    exporter.refreshed(4.0).await;
    let log = exporter.log();
    assert_eq!(log.matches("no repository has series").count(), 1, "{log}");
    assert!(log.contains("it looks like a glob"), "{log}");
    let page = text(exporter.get("/").await).await;
    assert!(page.contains("No repository has series: --repositories.include"), "{page}");
}
