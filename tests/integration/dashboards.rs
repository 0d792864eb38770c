//! The dashboards over a month of history in a real Prometheus: every panel returns what it should, and growth adds up.

mod history;
mod month;

use history::{Account, Repository, accounts};
pub use month::{Chosen, DASHBOARDS};
use month::{DAY, END, Month};
use std::collections::{BTreeMap, BTreeSet};

const PERIODS: [(&str, i64); 3] = [("1d", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY)];

/// The columns of each table where several accounts are chosen. With one, there is no column *Account*.
const COLUMNS: &str = include_str!("../fixtures/dashboard-columns.txt");
const STALE: &str = "Stale repositories, not pushed to for ${stale_after:text}";

/// Growth in bytes since a time, of the repositories that are chosen, from the history itself.
fn growth(since: i64, is_chosen: impl Fn(&Account, &Repository) -> bool) -> f64 {
    let mut growth = 0.0;
    for account in accounts().iter().filter(|account| account.has_data(0) && account.has_data(since)) {
        for repository in account.repositories.iter().filter(|repository| is_chosen(account, repository)) {
            growth += repository.size(0).unwrap_or_default() - repository.size(since).unwrap_or_default();
        }
    }
    growth
}

#[tokio::test]
async fn the_dashboards_answer_over_a_month_of_history() {
    let month = Month::start().await;
    every_panel_returns_rows_in_the_intended_columns(&month).await;
    growth_agrees_with_an_independent_sum(&month).await;
    growth_that_never_falls_is_larger_in_a_longer_period(&month).await;
    the_growth_table_has_what_is_new_and_who_owns_it(&month).await;
    stale_repositories_come_by_what_deleting_them_frees(&month).await;
    what_a_clean_up_frees_is_told_by_the_chosen_rule(&month).await;
    organizations_of_the_same_name_stay_apart(&month).await;
    each_account_has_its_state_and_its_reason(&month).await;
    the_process_is_shown_whatever_account_is_chosen(&month).await;
    alerts_come_by_severity(&month).await;
    variables_find_their_values(&month).await;
}

async fn every_panel_returns_rows_in_the_intended_columns(month: &Month) {
    let one = Chosen { account: "production", ..Chosen::default() };
    let mut tables = 0;
    for dashboard in DASHBOARDS {
        for panel in month.panels(dashboard) {
            let title = panel["title"].as_str().unwrap();
            for chosen in [&Chosen::default(), &one] {
                if panel["type"] != "table" {
                    let numbers = month.numbers(dashboard, title, chosen).await;
                    assert!(!numbers.is_empty(), "{dashboard}: {title} is empty");
                    continue;
                }
                let start = format!("{dashboard} | {title} | ");
                let mut expected = COLUMNS.lines().filter_map(|line| line.strip_prefix(&start));
                let expected = expected.next().unwrap_or_else(|| panic!("{dashboard}: which columns has {title}?"));
                let mut expected: Vec<&str> = expected.split(", ").collect();
                if chosen.account != ".*" {
                    // The account is well, so it has no last failure.
                    expected.retain(|column| !["Account", "Last failure", "Reason"].contains(column));
                }
                let table = month.table(dashboard, title, chosen).await;
                assert_eq!(table.columns, expected, "{dashboard}: {title}");
                assert!(!table.rows.is_empty(), "{dashboard}: {title} is empty");
                let names: BTreeSet<_> = table
                    .rows
                    .iter()
                    .map(|row| {
                        let names = ["Alert", "Account", "Organization", "Repository", "Tag", "Exporter", "Concerns"];
                        names.map(|name| row.get(name))
                    })
                    .collect();
                assert_eq!(names.len(), table.rows.len(), "{dashboard}: {title} has a row twice: {table:#?}");
                tables += 1;
            }
        }
    }
    assert_eq!(tables, 2 * COLUMNS.lines().count());
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= expected.abs() * 1e-9
}

async fn growth_agrees_with_an_independent_sum(month: &Month) {
    for (period, since) in PERIODS {
        for (dashboard, account, namespace) in [
            ("swr-overview", ".*", ".+"),
            ("swr-repository", ".*", ".+"),
            ("swr-overview", "production", ".+"),
            // An organization that is new, one that lost a repository, and one in two accounts.
            ("swr-overview", ".*", "ml"),
            ("swr-repository", ".*", "ml"),
            ("swr-repository", ".*", "data"),
            ("swr-overview", ".*", "payments"),
        ] {
            let chosen = Chosen { account, namespace, period, ..Chosen::default() };
            let is_chosen = |of: &Account, repository: &Repository| {
                [".*", of.name].contains(&account) && [".+", repository.namespace].contains(&namespace)
            };
            let shown = month.numbers(dashboard, "Growth in ${period:text}", &chosen).await;
            let expected = growth(since, is_chosen);
            assert!(
                close(shown[0], expected),
                "{dashboard}, {account}, {namespace}, {period}: {shown:?}, not {expected}"
            );
        }
        // The rows of the tables add up to the same.
        let chosen = Chosen { period, ..Chosen::default() };
        let table = month.table("swr-overview", "Organizations by growth in ${period:text}", &chosen).await;
        let sum: f64 = table.column("Growth").iter().map(|growth| growth.parse::<f64>().unwrap()).sum();
        assert!(close(sum, growth(since, |_, _| true)), "{period}: {sum}");
        let table = month.table("swr-overview", "Repositories that grew most in ${period:text}", &chosen).await;
        for row in &table.rows {
            let expected = growth(since, |account, repository| {
                row["Account"] == account.name
                    && row["Organization"] == repository.namespace
                    && row["Repository"] == repository.name
            });
            assert!(close(row["Growth"].parse().unwrap(), expected), "{period}: {row:?}, not {expected}");
        }
    }
}

async fn growth_that_never_falls_is_larger_in_a_longer_period(month: &Month) {
    let mut before = BTreeMap::new();
    let mut total = 0.0;
    for (period, _) in PERIODS {
        let chosen = Chosen { account: "production", namespace: "ml|platform|payments", period, ..Chosen::default() };
        let shown = month.numbers("swr-overview", "Growth in ${period:text}", &chosen).await[0];
        assert!(shown > 0.0 && shown >= total, "{shown} in {period}, {total} in a shorter time");
        total = shown;
        let table = month.table("swr-overview", "Repositories that grew most in ${period:text}", &chosen).await;
        let now: BTreeMap<String, f64> =
            table.rows.iter().map(|row| (row["Repository"].clone(), row["Growth"].parse().unwrap())).collect();
        for (repository, growth) in &before {
            assert!(now[repository] >= *growth, "{repository} in {period}: {} is less than {growth}", now[repository]);
        }
        before = now;
    }
    assert_eq!(before.len(), 3, "{before:?}");
}

async fn the_growth_table_has_what_is_new_and_who_owns_it(month: &Month) {
    let table = month.table("swr-overview", "Repositories that grew most in ${period:text}", &Chosen::default()).await;
    assert_eq!(table.column("Repository")[..3], ["feature-store", "llm-train", "ci-cache"]);
    assert_eq!(table.column("Creator")[..3], ["bob", "dave", "ci-bot"]);
    let new = table.row("Repository", "llm-train");
    assert_eq!(new["Growth"], new["Size"]);
    assert_eq!(new.get("Growth %"), None, "the cell says that it is new");
    assert_eq!(new["Created"], format!("{}", (END - 3 * DAY) * 1_000));
    let old = table.row("Repository", "feature-store");
    assert!(close(old["Growth %"].parse().unwrap(), 5.0 / 3.0), "{old:?}");
    // Of an account that is new in the exporter nothing is known, rather than that all of it grew.
    let chosen = Chosen { account: "staging", period: "30d", ..Chosen::default() };
    let table = month.table("swr-overview", "Repositories that grew most in ${period:text}", &chosen).await;
    assert!(table.rows.is_empty(), "{table:?}");
    assert!(month.numbers("swr-overview", "Growth in ${period:text}", &chosen).await.is_empty());
}

async fn stale_repositories_come_by_what_deleting_them_frees(month: &Month) {
    for (days, names) in [
        (90, vec!["old-0", "old-1", "backups", "backups", "old-2", "old-3", "old-4", "unused"]),
        (180, vec!["old-0", "old-1", "backups", "backups", "old-2", "old-3", "old-4"]),
        (365, vec!["old-0", "old-1", "backups", "backups", "old-2", "old-3", "old-4"]),
    ] {
        let chosen = Chosen { stale_after: days * DAY, ..Chosen::default() };
        for dashboard in ["swr-overview", "swr-cleanup"] {
            let table = month.table(dashboard, STALE, &chosen).await;
            assert_eq!(table.column("Repository"), names, "{days} days");
            assert_eq!(table.row("Repository", "old-0")["Creator"], "frank");
            let is_stale = |repository: &&Repository| repository.pushed > days;
            let accounts = accounts();
            let stale = accounts.iter().filter(|account| account.has_data(0)).flat_map(|account| &account.repositories);
            let freed: f64 = stale.filter(is_stale).filter_map(Repository::exclusive).sum();
            let shown = month.numbers(dashboard, "Stale frees", &chosen).await;
            assert!(close(shown[0], freed), "{days} days: {shown:?}, not {freed}");
        }
    }
}

async fn what_a_clean_up_frees_is_told_by_the_chosen_rule(month: &Month) {
    let chosen = Chosen { account: "production", ..Chosen::default() };
    let accounts = accounts();
    let production = &accounts.iter().find(|account| account.name == "production").unwrap().repositories;
    let mut by_hand: Vec<_> = production.iter().filter_map(|of| Some((0.5 * of.exclusive()?, of))).collect();
    by_hand.sort_by(|a, b| b.0.total_cmp(&a.0));
    let table = month.table("swr-cleanup", "Repositories by what the rule frees", &chosen).await;
    let names: Vec<_> = by_hand.iter().map(|(_, of)| of.name.as_str()).collect();
    assert_eq!(table.column("Repository")[..5], names[..5]);
    for (freed, of) in &by_hand[..5] {
        let row = table.row("Repository", &of.name);
        assert!((row["Rule frees"].parse::<f64>().unwrap() - freed).abs() <= 1.0, "{row:?}, not {freed}");
        assert_eq!((row["Tags picked"].as_str(), row["Creator"].as_str()), ("10", of.creator));
    }
    let stored: f64 = production.iter().filter_map(|of| of.size(0)).sum();
    assert!(close(month.numbers("swr-cleanup", "Rule frees", &chosen).await[0], 0.4 * stored));
    // Pipelines have a retention rule, and the others have none.
    let table = month.table("swr-cleanup", "Largest repositories without retention", &chosen).await;
    let largest: BTreeSet<_> = table.column("Repository")[..2].iter().copied().collect();
    assert_eq!(largest, ["base-images", "feature-store"].into());
    assert!(!table.column("Creator").contains(&"ci-bot"));
    let table = month.table("swr-cleanup", "Not pulled for ${stale_after:text}", &chosen).await;
    assert_eq!(table.column("Repository"), ["forgotten"]);
    let table = month.table("swr-cleanup", "Never pulled", &chosen).await;
    assert_eq!(table.column("Repository"), ["unused"]);
}

async fn organizations_of_the_same_name_stay_apart(month: &Month) {
    let table = month.table("swr-overview", "Organizations by growth in ${period:text}", &Chosen::default()).await;
    let payments = table.rows.iter().filter(|row| row["Organization"] == "payments");
    assert_eq!(payments.map(|row| row["Account"].as_str()).collect::<BTreeSet<_>>(), ["production", "staging"].into());
    let target = &month.panel("swr-overview", "Size by organization")["targets"][0];
    assert_eq!(target["legendFormat"], "{{cluster}} {{job}} {{account}} {{namespace}}");
    let lines = month.series(target, &Chosen::default()).await;
    let payments = lines.iter().filter(|(labels, _)| labels["namespace"] == "payments");
    assert_eq!(
        payments.map(|(labels, _)| labels["account"].as_str()).collect::<BTreeSet<_>>(),
        ["production", "staging"].into()
    );
}

async fn each_account_has_its_state_and_its_reason(month: &Month) {
    let panel = month.panel("swr-exporter", "Accounts");
    let table = month.table("swr-exporter", "Accounts", &Chosen::default()).await;
    let words = |field: &str| {
        let mut overrides = panel["fieldConfig"]["overrides"].as_array().unwrap().iter();
        let properties =
            overrides.find(|of| of["matcher"]["options"] == field).unwrap()["properties"].as_array().unwrap();
        properties.iter().find(|property| property["id"] == "mappings").unwrap()["value"][0]["options"].clone()
    };
    let (states, ages) = (words("Value #A"), words("Value #B"));
    for (account, state, color, reason) in [
        ("production", "OK", "green", None),
        ("staging", "OK", "green", None),
        ("stale", "stale", "red", Some("network")),
        ("failing", "refresh failed", "orange", Some("throttled")),
        ("refused", "never read", "red", Some("auth")),
        ("retired", "not scraped", "red", None),
    ] {
        let row = table.row("Account", account);
        let shown = &states[&row["State"]];
        assert_eq!((&shown["text"], &shown["color"]), (&state.into(), &color.into()), "{account}: {row:?}");
        assert_eq!(row.get("Reason").map(String::as_str), reason, "{account}");
    }
    assert_eq!(table.row("Account", "stale")["Data age"], "18000");
    assert_eq!(table.row("Account", "stale")["Circuit open"], "1");
    assert_eq!(table.row("Account", "stale")["Collectors failing"], "1");
    assert_eq!(table.row("Account", "refused")["Data age"], "inf");
    assert_eq!(ages["Infinity"]["text"], "never read");
    for dashboard in ["swr-overview", "swr-exporter"] {
        assert_eq!(month.numbers(dashboard, "Accounts not OK", &Chosen::default()).await, [4.0]);
        assert_eq!(month.numbers(dashboard, "Data age", &Chosen::default()).await, [f64::INFINITY]);
        let one = Chosen { account: "production", ..Chosen::default() };
        assert_eq!(month.numbers(dashboard, "Accounts not OK", &one).await, [0.0]);
        assert_eq!(month.numbers(dashboard, "Data age", &one).await, [30.0]);
    }
}

async fn the_process_is_shown_whatever_account_is_chosen(month: &Month) {
    let panels = ["Memory", "CPU", "Open files", "Rejected requests per hour", "Versions", "Configuration"];
    let chosen = Chosen { account: "no such account", ..Chosen::default() };
    for title in panels {
        assert!(!month.numbers("swr-exporter", title, &chosen).await.is_empty(), "{title}");
        for target in month.panel("swr-exporter", title)["targets"].as_array().unwrap() {
            assert!(!target["expr"].as_str().unwrap().contains("$job"), "{title} depends on the job that is chosen");
        }
    }
}

async fn alerts_come_by_severity(month: &Month) {
    let table = month.table("swr-overview", "Alerts", &Chosen::default()).await;
    assert_eq!(table.column("Severity"), ["3", "2", "2", "1"]);
    assert_eq!(
        table.column("Alert"),
        ["SwrDataStale", "SwrQuotaNearlyUsed", "SwrRepositoryGrowsFast", "SwrGrowthWithoutDownloads"]
    );
    assert_eq!(table.row("Alert", "SwrQuotaNearlyUsed")["Concerns"].trim(), "namespace");
    assert_eq!(month.numbers("swr-overview", "Firing alerts", &Chosen::default()).await, [1.0, 2.0, 1.0]);
    // The alerts of an organization, and those of no organization.
    let chosen = Chosen { namespace: "ml", ..Chosen::default() };
    let table = month.table("swr-overview", "Alerts", &chosen).await;
    assert_eq!(table.column("Alert"), ["SwrDataStale", "SwrQuotaNearlyUsed", "SwrGrowthWithoutDownloads"]);
}

/// Variables and annotations are queries as well.
async fn variables_find_their_values(month: &Month) {
    let end = END.to_string();
    for dashboard in DASHBOARDS {
        let of = &month.dashboards[dashboard];
        for variable in of["templating"]["list"].as_array().unwrap().iter().filter(|of| of["type"] == "query") {
            let name = variable["name"].as_str().unwrap();
            let query = variable["query"]["query"].as_str().unwrap();
            let found = if let Some(query) = query.strip_prefix("label_values(") {
                let (series, label) = query.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
                let path = format!("/api/v1/label/{label}/values");
                let series = Chosen::default().fill(series);
                let start = (END - DAY).to_string();
                let query = [("match[]", series.as_str()), ("start", &start), ("end", &end)];
                month.prometheus.server.json(&path, &query).await["data"].as_array().unwrap().len()
            } else {
                let query =
                    Chosen::default().fill(query.strip_prefix("query_result(").unwrap().strip_suffix(')').unwrap());
                let answer = month.prometheus.server.json("/api/v1/query", &[("query", &query), ("time", &end)]).await;
                let result = answer["data"]["result"].as_array().unwrap();
                assert!(result.iter().all(|of| of["metric"]["by"] == format!("{}, ", &name[3..])), "{answer}");
                result.len()
            };
            let expected = match name {
                "cluster" | "by_cluster" | "by_job" => 0,
                "account" => 6,
                "job" => 2,
                "by_account" | "instance" => 1,
                "rule" => 2,
                "namespace" => 8,
                "repository" => 18,
                _ => panic!("how many values has {name}?"),
            };
            assert_eq!(found, expected, "{dashboard}: {name}");
        }
        for annotation in of["annotations"]["list"].as_array().unwrap() {
            let query = Chosen::default().fill(annotation["target"]["expr"].as_str().unwrap());
            let answer = month.prometheus.server.json("/api/v1/query", &[("query", &query), ("time", &end)]).await;
            assert!(!answer["data"]["result"].as_array().unwrap().is_empty(), "{dashboard}: {annotation}");
        }
    }
}
