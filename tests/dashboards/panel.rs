//! A panel: from few words to Grafana's JSON.

use crate::dashboard::{Variable, narrowed, source};
use serde_json::{Map, Value, json};

/// What every link carries along.
const CHOSEN: &str = "${datasource:queryparam}&${job:queryparam}&${account:queryparam}&${__url_time_range}";

/// The labels of tables in the order of their columns, and what people call them. Those of replicas come last.
const COLUMNS: &[(&str, &str)] = &[
    ("alertname", "Alert"),
    ("severity", "Severity"),
    ("account", "Account"),
    ("namespace", "Organisation"),
    ("repository", "Repository"),
    ("tag", "Tag"),
    ("category", "Category"),
    ("visibility", "Visibility"),
    ("quota", "Quota"),
    ("collector", "Collector"),
    ("reason", "Reason"),
    ("instance", "Exporter"),
    ("name", "Instance"),
    ("instance_id", "Instance ID"),
    ("spec", "Edition"),
    ("version", "Version"),
    ("revision", "Revision"),
    ("rustversion", "Compiler"),
    ("status", "Status"),
];

/// How a panel draws.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A heading across the page.
    Row,
    /// A heading whose panels are folded away until somebody opens it, and ask nothing before.
    Folded,
    /// One number as of now: what ended earlier is not shown.
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

pub struct Panel {
    pub kind: Kind,
    title: &'static str,
    pub size: (u64, u64),
    about: &'static str,
    unit: &'static str,
    empty: &'static str,
    /// Query, legend or column, and a unit of the column.
    queries: Vec<(String, &'static str, &'static str)>,
    levels: Levels,
    /// Where the axis begins, unless the values decide.
    least: Option<u8>,
    /// How many points a line has at the most; where none is given, one a pixel.
    points: Option<u16>,
    /// Where the values lead to: what it is, the dashboard, and what is chosen there.
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
    let (about, unit, empty) = ("", "short", "");
    let queries = Vec::new();
    Panel {
        kind,
        title,
        size,
        about,
        unit,
        empty,
        queries,
        levels: Levels::None,
        least: Some(0),
        points: None,
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

    /// A query with its legend. `one(...)` in it is a metric over all replicas, narrowed to what is chosen.
    pub fn query(self, query: &str, legend: &'static str) -> Self {
        self.column(query, legend, "")
    }

    /// A query as a column of a table, in a unit of its own. A column without a name is not shown: its labels are.
    pub fn column(mut self, query: &str, name: &'static str, unit: &'static str) -> Self {
        self.queries.push((query.to_owned(), name, unit));
        self
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

    /// A line has at most so many points, as each of them reads all repositories.
    pub fn points(mut self, points: u16) -> Self {
        self.points = Some(points);
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
        let target = |(number, (query, legend, _)): (usize, &(String, &str, &str))| {
            json!({
                "refId": letter(number), "datasource": source(), "expr": narrowed(query, variables),
                "legendFormat": if legend.is_empty() { "__auto" } else { *legend },
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
            let mut hidden = json!({ "Time": true });
            for (number, _) in self.queries.iter().enumerate().filter(|(_, query)| query.1.is_empty()) {
                hidden[self.value(number)] = json!(true);
            }
            let order: Map<_, _> =
                COLUMNS.iter().map(|column| column.0.to_owned()).zip((0..).map(Value::from)).collect();
            let names: Map<_, _> = COLUMNS.iter().map(|(label, name)| ((*label).to_owned(), (*name).into())).collect();
            panel["transformations"] = json!([
                { "id": "merge", "options": {} },
                { "id": "organize", "options": { "excludeByName": hidden, "indexByName": order, "renameByName": names } },
            ]);
        }
        panel
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
        let mut defaults = json!({ "unit": self.unit, "noValue": self.empty });
        match self.kind {
            Kind::Lines => defaults["custom"] = json!({ "fillOpacity": 8, "showPoints": "never" }),
            Kind::Stack => {
                defaults["custom"] =
                    json!({ "fillOpacity": 40, "showPoints": "never", "stacking": { "mode": "normal", "group": "A" } });
            }
            Kind::States => {
                let state =
                    |text: &str, color: &str, index: u8| json!({ "text": text, "color": color, "index": index });
                defaults["mappings"] = json!([{ "type": "value", "options": {
                    "0": state("failed", "red", 0), "1": state("complete", "green", 1),
                } }]);
                defaults["custom"] = json!({ "fillOpacity": 70, "lineWidth": 0 });
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
            Levels::Above(yellow, red) => {
                vec![step("green", None), step("yellow", Some(yellow)), step("red", Some(red))]
            }
            Levels::Below(yellow, red) => {
                vec![step("red", None), step("yellow", Some(red)), step("green", Some(yellow))]
            }
        };
        defaults["thresholds"] = json!({ "mode": "absolute", "steps": steps });
        if self.kind != Kind::Table {
            defaults["links"] = self.links();
        }
        defaults
    }

    fn links(&self) -> Value {
        let link = |(title, dashboard, variables): (&str, &str, &str)| {
            let variables = if variables.is_empty() { String::new() } else { format!("{variables}&") };
            json!({ "title": title, "url": format!("/d/{dashboard}?{variables}{CHOSEN}") })
        };
        json!(self.link.map(link).into_iter().collect::<Vec<_>>())
    }

    /// What Grafana calls the values of a query of a table: by its letter, but for a single query.
    fn value(&self, number: usize) -> String {
        if self.queries.len() == 1 { "Value".to_owned() } else { format!("Value #{}", letter(number)) }
    }

    /// The columns of a table: their names and units; the names lead to what is behind them.
    fn overrides(&self) -> Value {
        if self.kind != Kind::Table {
            return json!([]);
        }
        let column = |(number, (_, name, unit)): (usize, &(String, &str, &str))| {
            json!({ "matcher": { "id": "byName", "options": self.value(number) }, "properties": [
                { "id": "displayName", "value": name },
                { "id": "unit", "value": unit },
            ] })
        };
        let shown = self.queries.iter().enumerate().filter(|(_, query)| !query.1.is_empty());
        let mut overrides: Vec<Value> = shown.map(column).collect();
        if self.link.is_some() {
            overrides.push(json!({ "matcher": { "id": "byName", "options": "repository" }, "properties": [
                { "id": "links", "value": self.links() },
            ] }));
        }
        json!(overrides)
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
            Kind::Table => match self.queries[0].1 {
                "" => json!({ "showHeader": true }),
                first => json!({ "showHeader": true, "sortBy": [{ "displayName": first, "desc": true }] }),
            },
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

fn letter(number: usize) -> String {
    char::from(b'A' + u8::try_from(number).unwrap()).to_string()
}
