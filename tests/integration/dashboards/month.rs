//! A month of history in a real Prometheus, and panels and tables as Grafana shows them.

use super::history;
use crate::prometheus::Prometheus;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// 2026-02-01 00:00:00 UTC.
pub const END: i64 = 1_769_904_000;
pub const DAY: i64 = 86_400;
pub const DASHBOARDS: [&str; 4] = ["swr-overview", "swr-cleanup", "swr-repository", "swr-exporter"];

/// What is chosen at the top of a dashboard.
#[derive(Clone)]
pub struct Chosen {
    pub account: &'static str,
    pub namespace: &'static str,
    pub period: &'static str,
    pub stale_after: i64,
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

pub type Row = BTreeMap<String, String>;

/// A table as it is shown: titles of columns, and rows in their order.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

impl Table {
    pub fn column(&self, title: &str) -> Vec<&str> {
        self.rows.iter().map(|row| row.get(title).map_or("", String::as_str)).collect()
    }

    /// The row of a repository or an account.
    pub fn row(&self, column: &str, value: &str) -> &Row {
        let mut rows = self.rows.iter().filter(|row| row.get(column).is_some_and(|found| found == value));
        rows.next().unwrap_or_else(|| panic!("no {column} {value} in {self:#?}"))
    }
}

/// A Prometheus with the history.
pub struct Month {
    pub prometheus: Prometheus,
    pub dashboards: BTreeMap<&'static str, Value>,
}

impl Month {
    pub async fn start() -> Self {
        let prometheus = Prometheus::with_history(&history::openmetrics(END)).await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
        let read = |name| {
            let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        };
        Self { prometheus, dashboards: DASHBOARDS.map(read).into() }
    }

    /// The panels of a dashboard, those of folded rows included.
    pub fn panels(&self, dashboard: &str) -> Vec<&Value> {
        let top = self.dashboards[dashboard]["panels"].as_array().unwrap();
        let all =
            top.iter().flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()));
        all.filter(|panel| panel["type"] != "row").collect()
    }

    pub fn panel(&self, dashboard: &str, title: &str) -> &Value {
        let mut panels = self.panels(dashboard).into_iter().filter(|panel| panel["title"] == title);
        panels.next().unwrap_or_else(|| panic!("no panel {title}"))
    }

    /// The series of a panel's query: labels and the value at the end.
    pub async fn series(&self, target: &Value, chosen: &Chosen) -> Vec<(Row, f64)> {
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
    pub async fn numbers(&self, dashboard: &str, title: &str, chosen: &Chosen) -> Vec<f64> {
        let mut numbers = Vec::new();
        for target in self.panel(dashboard, title)["targets"].as_array().unwrap() {
            numbers.extend(self.series(target, chosen).await.into_iter().map(|(_, value)| value));
        }
        numbers
    }

    /// A table as Grafana shows it.
    pub async fn table(&self, dashboard: &str, title: &str, chosen: &Chosen) -> Table {
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
