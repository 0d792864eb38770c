//! A panel: its queries, columns and colours, and the JSON that Grafana reads.

use crate::query::expand;
use crate::variable::{Variable, source};
use serde_json::{Map, Value, json};

/// What every link carries along.
const CHOSEN: &str =
    "${datasource:queryparam}&${cluster:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}";

/// The labels of tables in the order of their columns, with their titles and widths; those of width 0 share what is left.
/// The values of the queries stand before [`TRAILING`].
const COLUMNS: &[(&str, &str, u16)] = &[
    ("alertname", "Alert", 230),
    ("cluster", "Cluster", 110),
    ("job", "Job", 110),
    ("account", "Account", 110),
    ("namespace", "Organization", 140),
    ("repository", "Repository", 0),
    ("tag", "Tag", 140),
    ("category", "Category", 110),
    ("visibility", "Visibility", 90),
    ("about", "Concerns", 220),
    ("instance", "Exporter", 0),
    ("name", "Instance", 110),
    ("instance_id", "Instance ID", 0),
    ("spec", "Edition", 110),
    ("version", "Version", 90),
    ("revision", "Revision", 130),
    ("rustversion", "Compiler", 130),
    ("status", "Status", 110),
    ("reason", "Reason", 110),
    ("creator", "Creator", 120),
];
const TRAILING: [&str; 2] = ["reason", "creator"];

/// How a panel draws.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A heading across the page.
    Row,
    /// A heading whose panels are folded away until somebody opens it, and query nothing before.
    Folded,
    /// One number a query as of now: a series that ended earlier is not shown.
    Stat,
    /// Lines over time.
    Lines,
    /// Lines over time, one on top of the other.
    Stack,
    /// Whether something was well, over time: a bar a series, of 1 and 0.
    States,
    /// Rows of the queries' common labels, a column a query.
    Table,
    /// A bar a series.
    Bars,
    /// A histogram over time.
    Heat,
}

/// From which values on a number is yellow, and red.
#[derive(Clone, Copy)]
enum Levels {
    None,
    Above(f64, f64),
    Below(f64, f64),
}

/// A query: a line, a number, or a column of a table.
struct Query {
    expr: String,
    /// The legend or the title of the column. A column without a title is hidden: its labels are shown.
    name: &'static str,
    /// The unit, where it differs from the panel's.
    unit: &'static str,
    /// What a cell says that has no value.
    empty: &'static str,
    /// Values that stand for words: the value, the word and its colour.
    words: &'static [(&'static str, &'static str, &'static str)],
    /// The colour, where it does not depend on the value.
    color: &'static str,
}

pub struct Panel {
    pub kind: Kind,
    title: &'static str,
    pub size: (u64, u64),
    about: &'static str,
    unit: &'static str,
    empty: &'static str,
    queries: Vec<Query>,
    levels: Levels,
    /// Where the axis begins, unless the values decide.
    least: Option<u8>,
    /// The most points of a line; without it, one a pixel.
    points: Option<u16>,
    /// Titles of the columns that a table is sorted by, the largest value first; a column that is missing is skipped.
    sort: Vec<&'static str>,
    /// Where the values lead to: the title of the link, the dashboard, and what is chosen there.
    link: Option<(&'static str, &'static str, &'static str)>,
}

/// A heading.
pub fn row(title: &'static str) -> Panel {
    panel(Kind::Row, title, (24, 1))
}

/// A heading that hides its panels at first.
pub fn folded(title: &'static str) -> Panel {
    panel(Kind::Folded, title, (24, 1))
}

/// A panel of a width of up to 24 and a height.
pub fn panel(kind: Kind, title: &'static str, size: (u64, u64)) -> Panel {
    Panel {
        kind,
        title,
        size,
        about: "",
        unit: "short",
        empty: "",
        queries: Vec::new(),
        levels: Levels::None,
        least: Some(0),
        points: None,
        sort: Vec::new(),
        link: None,
    }
}

impl Panel {
    /// What it shows, for people; and what it says when there is nothing to show.
    pub fn about(mut self, about: &'static str, empty: &'static str) -> Self {
        (self.about, self.empty) = (about, empty);
        self
    }

    /// Grafana's name of a unit.
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// A query with its legend, in the shorthands of [`expand`].
    pub fn query(self, expr: &str, legend: &'static str) -> Self {
        self.column(expr, legend, "")
    }

    /// A query as a column of a table, or as a number in a unit of its own.
    pub fn column(mut self, expr: &str, name: &'static str, unit: &'static str) -> Self {
        self.queries.push(Query { expr: expr.to_owned(), name, unit, empty: "–", words: &[], color: "" });
        self
    }

    /// What the latest column says where it has no value.
    pub fn otherwise(mut self, empty: &'static str) -> Self {
        self.latest().empty = empty;
        self
    }

    /// The words that the values of the latest query stand for: value, word, colour.
    pub fn words(mut self, words: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        self.latest().words = words;
        self
    }

    /// The colour of the latest query.
    pub fn color(mut self, color: &'static str) -> Self {
        self.latest().color = color;
        self
    }

    fn latest(&mut self) -> &mut Query {
        self.queries.last_mut().expect("a query comes first")
    }

    /// More is worse.
    pub fn yellow_and_red_from(mut self, yellow: f64, red: f64) -> Self {
        self.levels = Levels::Above(yellow, red);
        self
    }

    /// Less is worse.
    pub fn yellow_and_red_below(mut self, yellow: f64, red: f64) -> Self {
        self.levels = Levels::Below(yellow, red);
        self
    }

    /// Values may be negative, so the axis need not begin at zero.
    pub fn signed(mut self) -> Self {
        self.least = None;
        self
    }

    /// The most points of a line, as each of them reads all repositories.
    pub fn points(mut self, points: u16) -> Self {
        self.points = Some(points);
        self
    }

    /// Sorts a table by these columns, the largest value first. Without it, the first column decides.
    pub fn sorted_by(mut self, columns: &[&'static str]) -> Self {
        self.sort = columns.to_vec();
        self
    }

    /// Values, or names of repositories in a table, lead to another dashboard, with the given variables besides those that
    /// all have.
    pub fn link(mut self, title: &'static str, dashboard: &'static str, variables: &'static str) -> Self {
        self.link = Some((title, dashboard, variables));
        self
    }

    pub fn json(&self, id: usize, (x, y): (u64, u64), variables: &[Variable]) -> Value {
        let place = json!({ "x": x, "y": y, "w": self.size.0, "h": self.size.1 });
        if matches!(self.kind, Kind::Row | Kind::Folded) {
            let collapsed = self.kind == Kind::Folded;
            return json!({ "id": id, "type": "row", "title": self.title, "gridPos": place, "collapsed": collapsed, "panels": [] });
        }
        let instant = matches!(self.kind, Kind::Stat | Kind::Table | Kind::Bars);
        let format = match self.kind {
            Kind::Table => "table",
            Kind::Heat => "heatmap",
            _ => "time_series",
        };
        let target = |(number, query): (usize, &Query)| {
            json!({
                "refId": letter(number), "datasource": source(), "expr": expand(&query.expr, variables),
                "legendFormat": if query.name.is_empty() { "__auto" } else { query.name },
                "format": format, "instant": instant, "range": !instant,
            })
        };
        let mut panel = json!({
            "id": id, "type": self.plugin(), "title": self.title, "description": self.about, "datasource": source(),
            "gridPos": place, "targets": self.queries.iter().enumerate().map(target).collect::<Vec<_>>(),
            "fieldConfig": { "defaults": self.defaults(), "overrides": self.overrides() },
            "options": self.options(),
        });
        if let Some(points) = self.points {
            panel["maxDataPoints"] = json!(points);
        }
        if self.kind == Kind::Table {
            panel["transformations"] =
                json!([{ "id": "merge", "options": {} }, { "id": "organize", "options": self.order() }]);
        }
        panel
    }

    /// The order and the titles of a table's columns.
    fn order(&self) -> Value {
        let mut hidden = json!({ "Time": true });
        let (mut order, mut names) = (Map::new(), Map::new());
        let labels = || self.labels().into_iter().map(|(label, title, _)| (label, title));
        for (label, title) in labels().filter(|(label, _)| !TRAILING.contains(label)) {
            order.insert(label.to_owned(), order.len().into());
            names.insert(label.to_owned(), title.into());
        }
        for (number, query) in self.queries.iter().enumerate() {
            if query.name.is_empty() {
                hidden[self.value(number)] = json!(true);
            } else {
                order.insert(self.value(number), order.len().into());
            }
        }
        for (label, title) in labels().filter(|(label, _)| TRAILING.contains(label)) {
            order.insert(label.to_owned(), order.len().into());
            names.insert(label.to_owned(), title.into());
        }
        json!({ "excludeByName": hidden, "indexByName": order, "renameByName": names })
    }

    /// The labels that the queries may have.
    fn labels(&self) -> Vec<(&'static str, &'static str, u16)> {
        let queries: String = self.queries.iter().map(|query| expand(&query.expr, &[])).collect();
        let by: Vec<&str> = queries.split("by (").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        let words: Vec<&str> = by.iter().flat_map(|by| by.split([',', ' ', '$'])).collect();
        let is_used = |label: &str| words.iter().any(|word| *word == label || word.strip_prefix("by_") == Some(label));
        COLUMNS.iter().copied().filter(|(label, ..)| is_used(label)).collect()
    }

    fn plugin(&self) -> &'static str {
        match self.kind {
            Kind::Row | Kind::Folded => "row",
            Kind::Stat => "stat",
            Kind::Lines | Kind::Stack => "timeseries",
            Kind::States => "state-timeline",
            Kind::Table => "table",
            Kind::Bars => "bargauge",
            Kind::Heat => "heatmap",
        }
    }

    fn defaults(&self) -> Value {
        // The unit of a heat map belongs to its axis: its cells are counts.
        let unit = if self.kind == Kind::Heat { "short" } else { self.unit };
        let mut defaults = json!({ "unit": unit, "noValue": self.empty });
        match self.kind {
            Kind::Lines => defaults["custom"] = json!({ "fillOpacity": 8, "showPoints": "never" }),
            Kind::Stack => {
                defaults["custom"] =
                    json!({ "fillOpacity": 40, "showPoints": "never", "stacking": { "mode": "normal", "group": "A" } });
            }
            Kind::States => {
                defaults["mappings"] = mappings(&[("0", "failed", "red"), ("1", "complete", "green")]);
                defaults["custom"] = json!({ "fillOpacity": 70, "lineWidth": 0 });
            }
            Kind::Stat => {
                if let Some(query) = self.queries.iter().find(|query| !query.words.is_empty()) {
                    defaults["mappings"] = mappings(query.words);
                }
            }
            _ => {}
        }
        if let (Kind::Lines | Kind::Stack | Kind::Bars, Some(least)) = (self.kind, self.least) {
            defaults["min"] = json!(least);
        }
        if self.kind == Kind::Bars && self.unit == "percentunit" {
            defaults["max"] = json!(1);
        }
        let step = |color: &str, value: Option<f64>| json!({ "color": color, "value": value });
        let steps = match self.levels {
            Levels::None => vec![step("text", None)],
            Levels::Above(yellow, red) if yellow >= red => vec![step("green", None), step("red", Some(red))],
            Levels::Above(yellow, red) => {
                vec![step("green", None), step("yellow", Some(yellow)), step("red", Some(red))]
            }
            Levels::Below(yellow, red) => {
                vec![step("red", None), step("yellow", Some(red)), step("green", Some(yellow))]
            }
        };
        defaults["thresholds"] = json!({ "mode": "absolute", "steps": steps });
        if self.kind != Kind::Table {
            defaults["links"] = self.link.map(link).into_iter().collect();
        }
        defaults
    }

    /// What Grafana calls the values of a query of a table: by its letter, but for a single query.
    fn value(&self, number: usize) -> String {
        if self.queries.len() == 1 { "Value".to_owned() } else { format!("Value #{}", letter(number)) }
    }

    /// The columns of a table, and numbers that differ from the others of their panel.
    fn overrides(&self) -> Value {
        let named = |name: &str, properties: Vec<(&str, Value)>| {
            let property = |(id, value): (&str, Value)| json!({ "id": id, "value": value });
            let properties: Vec<Value> = properties.into_iter().map(property).collect();
            json!({ "matcher": { "id": "byName", "options": name }, "properties": properties })
        };
        let queries = self.queries.iter().enumerate().filter(|(_, query)| !query.name.is_empty());
        if self.kind != Kind::Table {
            let special = queries.filter(|(_, query)| !query.unit.is_empty() || !query.color.is_empty());
            let number = |(_, query): (usize, &Query)| {
                let mut properties = Vec::new();
                if !query.unit.is_empty() {
                    properties.push(("unit", json!(query.unit)));
                }
                if !query.color.is_empty() {
                    properties.push(("color", json!({ "mode": "fixed", "fixedColor": query.color })));
                }
                named(query.name, properties)
            };
            return special.map(number).collect();
        }
        let labels = self.labels();
        let flexible =
            labels.iter().rev().find(|(_, _, width)| *width == 0).or(labels.last()).map(|(label, ..)| *label);
        let label = |(label, _, width): (&str, &str, u16)| {
            let mut properties = vec![("noValue", json!("–"))];
            if width > 0 && flexible != Some(label) {
                properties.push(("custom.width", json!(width)));
            }
            let to = match label {
                "namespace" => {
                    Some(("Show this organization", "swr-overview", "var-namespace=${__data.fields.namespace}"))
                }
                "repository" => self.link,
                _ => None,
            };
            if let Some(to) = to.filter(|_| self.link.is_some()) {
                properties.push(("links", json!([link(to)])));
            }
            named(label, properties)
        };
        let value = |(number, query): (usize, &Query)| {
            let words = query.words.iter().map(|(_, text, _)| text.len());
            let letters = words.chain([query.name.len(), if query.unit == "dateTimeFromNow" { 17 } else { 9 }]).max();
            let width = 24 + 8 * letters.expect("a column has a title");
            let mut properties = vec![
                ("displayName", json!(query.name)),
                ("unit", json!(query.unit)),
                ("noValue", json!(query.empty)),
                ("custom.width", json!(width)),
            ];
            if !query.words.is_empty() {
                properties.push(("mappings", mappings(query.words)));
                properties.push(("custom.cellOptions", json!({ "type": "color-text" })));
            }
            named(&self.value(number), properties)
        };
        self.labels().into_iter().map(label).chain(queries.map(value)).collect()
    }

    fn options(&self) -> Value {
        match self.kind {
            Kind::Row | Kind::Folded => json!({}),
            Kind::Stat => json!({
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
                "colorMode": "value", "graphMode": "none", "textMode": "auto",
            }),
            Kind::Lines | Kind::Stack => json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Kind::States => json!({
                "showValue": "never", "mergeValues": true, "rowHeight": 0.8,
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "single" },
            }),
            Kind::Table => {
                let first = Some(self.queries[0].name).filter(|name| !name.is_empty());
                let columns = if self.sort.is_empty() { first.into_iter().collect() } else { self.sort.clone() };
                let sort = |column: &&str| json!({ "displayName": column, "desc": true });
                json!({ "showHeader": true, "cellHeight": "sm", "sortBy": columns.iter().map(sort).collect::<Vec<_>>() })
            }
            Kind::Bars => json!({
                "orientation": "horizontal", "displayMode": "basic",
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            }),
            Kind::Heat => json!({
                "calculate": false, "yAxis": { "unit": self.unit }, "color": { "mode": "scheme", "scheme": "Oranges" },
                "tooltip": { "mode": "single", "yHistogram": true },
            }),
        }
    }
}

fn link((title, dashboard, variables): (&str, &str, &str)) -> Value {
    let variables = if variables.is_empty() { String::new() } else { format!("{variables}&") };
    json!({ "title": title, "url": format!("/d/{dashboard}?{variables}{CHOSEN}") })
}

/// Grafana's words for values.
fn mappings(words: &[(&str, &str, &str)]) -> Value {
    let options: Map<_, _> = words
        .iter()
        .zip(0..)
        .map(|((value, text, color), index)| {
            ((*value).to_owned(), json!({ "text": text, "color": color, "index": index }))
        })
        .collect();
    json!([{ "type": "value", "options": options }])
}

fn letter(number: usize) -> String {
    char::from(b'A' + u8::try_from(number).expect("a panel has few queries")).to_string()
}
