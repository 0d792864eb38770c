//! The dashboards over a month of history in a real Prometheus: every panel returns what it should, and growth adds up.

mod history;

use crate::prometheus::Prometheus;
use history::{Account, Repository, accounts};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// 2026-02-01 00:00:00 UTC.
const END: i64 = 1_769_904_000;
const DAY: i64 = 86_400;
const PERIODS: [(&str, i64); 3] = [("1d", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY)];

pub const DASHBOARDS: [&str; 4] = ["swr-overview", "swr-cleanup", "swr-repository", "swr-exporter"];

/// The columns of each table where several accounts are chosen. With one, there is no column *Account*.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("swr-overview", "Alerts", "Alert, Account, Organization, Repository, Concerns, Severity, Since"),
    (
        "swr-overview",
        "Repositories that grew most in ${period:text}",
        "Account, Organization, Repository, Growth, Growth %, Size, Deleting frees, Created, Creator",
    ),
    ("swr-overview", "Organizations by growth in ${period:text}", "Account, Organization, Growth, Growth %, Size"),
    (
        "swr-overview",
        STALE,
        "Account, Organization, Repository, Not pushed for, Size, Deleting frees, Downloads, Retention, Tags, Creator",
    ),
    ("swr-overview", "Largest repositories", "Account, Organization, Repository, Size, Tags"),
    ("swr-overview", "Most downloaded in ${period:text}", "Account, Organization, Repository, Downloads, In total"),
    (
        "swr-overview",
        "Instances by name",
        "Account, Instance, Instance ID, Edition, Version, Status, Storage, Repositories, Expires in",
    ),
    ("swr-overview", "Organizations of instances", "Account, Organization, Instance, Tags, Downloads"),
    (
        "swr-overview",
        "Repositories of instances",
        "Account, Organization, Repository, Instance, Tags, Artifacts, Downloads",
    ),
    (
        "swr-cleanup",
        STALE,
        "Account, Organization, Repository, Not pushed for, Size, Deleting frees, Rule frees, Retention, Tags, Creator",
    ),
    ("swr-cleanup", "Organizations by what the rule frees", "Account, Organization, Rule frees, Layers, Share"),
    (
        "swr-cleanup",
        "Repositories by what the rule frees",
        "Account, Organization, Repository, Rule frees, Size, Tags picked, Tags, Retention, Creator",
    ),
    (
        "swr-cleanup",
        "Largest repositories without retention",
        "Account, Organization, Repository, Size, Growth, Rule frees, Tags, Creator",
    ),
    ("swr-cleanup", "Not pulled for ${stale_after:text}", "Account, Organization, Repository, Size, Not pulled"),
    ("swr-cleanup", "Never pulled", "Account, Organization, Repository, Size, Not pushed"),
    ("swr-cleanup", "Repositories by what deleting frees", "Account, Organization, Repository, Frees, Size"),
    ("swr-cleanup", "Never downloaded repositories", "Account, Organization, Repository, Size, Creator"),
    ("swr-cleanup", "Public repositories", "Account, Organization, Repository, Size, Downloads"),
    ("swr-cleanup", "Repositories with the most old tags", "Account, Organization, Repository, Old tags, All tags"),
    (
        "swr-repository",
        "Repository details",
        "Account, Organization, Repository, Category, Visibility, Size, Created, Last push, Retention, Creator",
    ),
    ("swr-repository", "Layers by repository", "Account, Organization, Repository, Distinct, Exclusive"),
    ("swr-repository", "Oldest and newest tags", "Account, Organization, Repository, Oldest tag, Newest tag"),
    ("swr-repository", "Largest tags", "Account, Organization, Repository, Tag, Size, Last push"),
    (
        "swr-exporter",
        "Accounts",
        "Account, Exporter, State, Data age, Repositories, Circuit open, Collectors failing, Last failure, Reason",
    ),
    ("swr-exporter", "Versions", "Exporter, Version, Revision, Compiler"),
    ("swr-exporter", "Configuration", "Exporter, Config valid, Config age, Web config valid"),
];
const STALE: &str = "Stale repositories, not pushed to for ${stale_after:text}";

/// What is chosen at the top of a dashboard.
#[derive(Clone)]
pub struct Chosen {
    account: &'static str,
    namespace: &'static str,
    period: &'static str,
    stale_after: i64,
}

impl Default for Chosen {
    /// As the dashboards begin.
    fn default() -> Self {
        Self { account: ".*", namespace: ".+", period: "7d", stale_after: 180 * DAY }
    }
}

impl Chosen {
    /// The query as Grafana sends it.
    pub fn fill(&self, query: &str) -> String {
        let by_account = if self.account == ".*" { "account, " } else { "" };
        let filled = [
            ("$__rate_interval", "4h"),
            ("$by_cluster", ""),
            ("$by_job", ""),
            ("$by_account", by_account),
            ("$cluster", ".*"),
            ("$job", ".*"),
            ("$account", self.account),
            ("$namespace", self.namespace),
            ("$repository", ".+"),
            ("$instance", ".+"),
            ("$period", self.period),
            ("$rule", "older_than_90d"),
            ("$stale_after", &self.stale_after.to_string()),
        ]
        .iter()
        .fold(query.to_owned(), |query, (variable, value)| query.replace(variable, value));
        assert!(!filled.contains('$'), "a variable that is not known: {filled}");
        filled
    }
}

type Row = BTreeMap<String, String>;

/// A table as it is shown: titles of columns, and rows in their order.
#[derive(Debug)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    fn column(&self, title: &str) -> Vec<&str> {
        self.rows.iter().map(|row| row.get(title).map_or("", String::as_str)).collect()
    }

    /// The row of a repository or an account.
    fn row(&self, column: &str, value: &str) -> &Row {
        let mut rows = self.rows.iter().filter(|row| row.get(column).is_some_and(|found| found == value));
        rows.next().unwrap_or_else(|| panic!("no {column} {value} in {self:#?}"))
    }
}

/// A Prometheus with the history.
struct Month {
    prometheus: Prometheus,
    dashboards: BTreeMap<&'static str, Value>,
}

impl Month {
    async fn start() -> Self {
        let prometheus = Prometheus::with_history(&history::openmetrics(END)).await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
        let read = |name| {
            let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        };
        Self { prometheus, dashboards: DASHBOARDS.map(read).into() }
    }

    /// The panels of a dashboard, those of folded rows included.
    fn panels(&self, dashboard: &str) -> Vec<&Value> {
        let top = self.dashboards[dashboard]["panels"].as_array().unwrap();
        let all =
            top.iter().flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()));
        all.filter(|panel| panel["type"] != "row").collect()
    }

    fn panel(&self, dashboard: &str, title: &str) -> &Value {
        let mut panels = self.panels(dashboard).into_iter().filter(|panel| panel["title"] == title);
        panels.next().unwrap_or_else(|| panic!("no panel {title}"))
    }

    /// The series of a panel's query: labels and the value at the end.
    async fn series(&self, target: &Value, chosen: &Chosen) -> Vec<(Row, f64)> {
        let query = chosen.fill(target["expr"].as_str().unwrap());
        let end = END.to_string();
        let answer = if target["instant"] == true {
            self.prometheus.server.json("/api/v1/query", &[("query", &query), ("time", &end)]).await
        } else {
            let start = (END - 6 * 3_600).to_string();
            let range = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", "3600")];
            self.prometheus.server.json("/api/v1/query_range", &range).await
        };
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let series = |series: &Value| {
            let labels = series["metric"].as_object().unwrap().iter();
            let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
            let last = series["values"].as_array().map_or(&series["value"], |values| values.last().unwrap());
            (labels, last[1].as_str().unwrap().parse().unwrap())
        };
        answer["data"]["result"].as_array().unwrap().iter().map(series).collect()
    }

    /// The numbers of a panel, a number a query.
    async fn numbers(&self, dashboard: &str, title: &str, chosen: &Chosen) -> Vec<f64> {
        let mut numbers = Vec::new();
        for target in self.panel(dashboard, title)["targets"].as_array().unwrap() {
            numbers.extend(self.series(target, chosen).await.into_iter().map(|(_, value)| value));
        }
        numbers
    }

    /// A table as Grafana shows it.
    async fn table(&self, dashboard: &str, title: &str, chosen: &Chosen) -> Table {
        let panel = self.panel(dashboard, title);
        let targets = panel["targets"].as_array().unwrap();
        let mut frames: Vec<Vec<Row>> = Vec::new();
        for target in targets {
            let letter = target["refId"].as_str().unwrap();
            let value = if targets.len() == 1 { "Value".to_owned() } else { format!("Value #{letter}") };
            let series = self.series(target, chosen).await.into_iter();
            frames.push(
                series
                    .map(|(row, number)| {
                        [row, [(value.clone(), number.to_string())].into()].into_iter().flatten().collect()
                    })
                    .collect(),
            );
        }
        let found = fields(frames.iter().flatten());
        let rows = merge(frames);
        let organize = &panel["transformations"][1]["options"];
        let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
        let display_name = |field: &str| {
            let mut of = overrides.iter().filter(|of| of["matcher"]["options"] == field);
            let mut properties = of.next().into_iter().flat_map(|of| of["properties"].as_array().unwrap());
            let name = properties.find(|property| property["id"] == "displayName");
            name.map(|name| name["value"].as_str().unwrap().to_owned())
        };
        let title =
            |field: &str| organize["renameByName"][field].as_str().map(str::to_owned).or_else(|| display_name(field));
        let mut fields: Vec<&String> = found.iter().filter(|field| organize["excludeByName"][*field] != true).collect();
        fields.sort_by_key(|field| organize["indexByName"][*field].as_u64().expect("each column has its place"));
        let titles: BTreeMap<&String, String> =
            fields.iter().map(|field| (*field, title(field).expect("each column has a title"))).collect();
        let columns: Vec<String> = fields.iter().map(|field| titles[*field].clone()).collect();
        let named = |row: Row| -> Row {
            row.into_iter().filter_map(|(field, value)| Some((titles.get(&field)?.clone(), value))).collect()
        };
        let mut rows: Vec<Row> = rows.into_iter().map(named).collect();
        // The last of the columns is sorted by first, so that the first one decides.
        for sort in panel["options"]["sortBy"].as_array().into_iter().flatten().rev() {
            let column = sort["displayName"].as_str().unwrap();
            let number = |row: &Row| row.get(column).and_then(|value| value.parse().ok()).unwrap_or(f64::NEG_INFINITY);
            assert_eq!(sort["desc"], true);
            rows.sort_by(|a, b| number(b).total_cmp(&number(a)));
        }
        Table { columns, rows }
    }
}

fn fields<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeSet<String> {
    rows.flat_map(Row::keys).cloned().collect()
}

/// Grafana's transformation *merge*: rows become one that agree in the fields that all queries have, and differ in none.
fn merge(mut frames: Vec<Vec<Row>>) -> Vec<Row> {
    frames.retain(|rows| !rows.is_empty());
    let common = frames.iter().map(|rows| fields(rows.iter())).reduce(|a, b| a.intersection(&b).cloned().collect());
    let common = common.unwrap_or_default();
    let mut merged: Vec<Row> = Vec::new();
    for row in frames.into_iter().flatten() {
        let is_same = |other: &&mut Row| {
            common.iter().all(|field| other.get(field) == row.get(field))
                && row.iter().all(|(field, value)| other.get(field).is_none_or(|found| found == value))
        };
        match merged.iter_mut().find(is_same) {
            Some(other) => other.extend(row),
            None => merged.push(row),
        }
    }
    merged
}

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
                let mut expected = COLUMNS.iter().filter(|(of, panel, _)| (*of, *panel) == (dashboard, title));
                let expected = expected.next().unwrap_or_else(|| panic!("{dashboard}: which columns has {title}?")).2;
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
    assert_eq!(tables, 2 * COLUMNS.len());
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
