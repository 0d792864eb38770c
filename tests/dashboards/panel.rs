//! From few words to Grafana's JSON (schema version 41: Grafana 12; older ones from 10 on read it too).

use serde_json::{Map, Value, json};

/// Labels that tell replicas of one exporter apart.
const REPLICA: &str = "instance, pod, node, replica";

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

/// A dashboard: rows of panels, laid out from left to right.
pub struct Dashboard {
    /// The end of its address and the name of its file.
    pub uid: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// Variables besides data source and job.
    pub variables: &'static [Variable],
    /// The time shown at first, such as `now-7d`.
    pub from: &'static str,
    pub panels: Vec<Panel>,
}

/// A choice at the top of a dashboard; queries are narrowed to what is chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    Namespace,
    Repository,
    Instance,
}

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
    kind: Kind,
    title: &'static str,
    size: (u64, u64),
    about: &'static str,
    unit: &'static str,
    empty: &'static str,
    /// Query, legend or column, and a unit of the column.
    queries: Vec<(String, &'static str, &'static str)>,
    levels: Levels,
    /// Where the axis begins, unless the values decide.
    least: Option<u8>,
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
    Panel { kind, title, size, about, unit, empty, queries, levels: Levels::None, least: Some(0), link: None }
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

    /// Values, or names of repositories in a table, lead to another dashboard, with the given variables besides those that
    /// all have.
    pub fn link(mut self, title: &'static str, dashboard: &'static str, variables: &'static str) -> Self {
        self.link = Some((title, dashboard, variables));
        self
    }

    fn json(&self, id: usize, (x, y): (u64, u64), variables: &[Variable]) -> Value {
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

impl Dashboard {
    /// As Grafana imports it.
    pub fn json(&self) -> Value {
        let (mut x, mut y, mut height) = (0, 0, 0);
        let mut panels: Vec<Value> = Vec::new();
        let mut folded = false;
        for (index, panel) in self.panels.iter().enumerate() {
            if x + panel.size.0 > 24 {
                (x, y, height) = (0, y + height, 0);
            }
            let json = panel.json(index + 1, (x, y), self.variables);
            match panel.kind {
                Kind::Row | Kind::Folded => folded = panel.kind == Kind::Folded,
                _ => {}
            }
            match panels.last_mut().filter(|_| folded && panel.kind != Kind::Folded) {
                Some(row) => row["panels"].as_array_mut().unwrap().push(json),
                None => panels.push(json),
            }
            x += panel.size.0;
            height = height.max(panel.size.1);
        }
        let mut variables = vec![
            json!({ "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" }),
            // With several accounts the exporter's own series and the accounts' are scraped by different jobs.
            choice("job", "Job", "label_values({__name__=~\"swr_up|swr_exporter_build_info\"}, job)"),
            choice("account", "Account", "label_values(swr_up{job=~\"$job\"}, account)"),
        ];
        // One account has no label: all of it is what has any value or none.
        variables[2]["allValue"] = json!(".*");
        variables.extend(self.variables.iter().map(|variable| match variable {
            Variable::Namespace => choice(
                "namespace",
                "Organisation",
                "label_values(swr_namespace_repositories{job=~\"$job\", account=~\"$account\"}, namespace)",
            ),
            Variable::Repository => choice(
                "repository",
                "Repository",
                "label_values(swr_repository_size_bytes{job=~\"$job\", account=~\"$account\", namespace=~\"$namespace\"}, repository)",
            ),
            Variable::Instance => {
                choice("instance", "Instance", "label_values(swr_scrapes_total{job=~\"$job\"}, instance)")
            }
        }));
        json!({
            "uid": self.uid, "title": self.title, "description": self.about, "tags": ["swr-exporter"],
            "schemaVersion": 41, "version": 1, "editable": true, "graphTooltip": 1, "refresh": "1m",
            "time": { "from": self.from, "to": "now" }, "timezone": "", "annotations": { "list": [] },
            "links": [{
                "type": "dashboards", "tags": ["swr-exporter"], "title": "SWR", "asDropdown": false, "includeVars": true,
                "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "",
            }],
            "templating": { "list": variables }, "panels": panels,
        })
    }
}

/// A variable of several values, all of them at first. In queries it stands plainly, as in `job=~"$job"`: Grafana then
/// escapes what is special in regular expressions, dots of names among it, as a PromQL string wants it.
fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "datasource": source(),
        "query": { "query": query, "refId": name }, "refresh": 2, "sort": 5, "multi": true, "includeAll": true,
        "allValue": ".+", "current": { "text": ["All"], "value": ["$__all"] },
    })
}

fn source() -> Value {
    let pairs = [("type", "prometheus"), ("uid", "${datasource}")];
    Value::Object(Map::from_iter(pairs.map(|(key, value)| (key.to_owned(), value.into()))))
}

fn letter(number: usize) -> String {
    char::from(b'A' + u8::try_from(number).unwrap()).to_string()
}

/// Writes each `one(metric)` out: the largest over the replicas, with the labels that the variables choose.
fn narrowed(query: &str, variables: &[Variable]) -> String {
    let mut parts = query.split("one(");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').unwrap();
        let (metric, rest) = part.split_at(end);
        let mut labels = vec!["job=~\"$job\"", "account=~\"$account\""];
        let of = |level: &str| metric.contains(level);
        if (of("swr_repository_") || of("swr_tag_") || of("swr_namespace_")) && variables.contains(&Variable::Namespace)
        {
            labels.push("namespace=~\"$namespace\"");
        }
        if (of("swr_repository_") || of("swr_tag_")) && variables.contains(&Variable::Repository) {
            labels.push("repository=~\"$repository\"");
        }
        let (more, rest) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once('}').map(|(more, rest)| (format!(", {more}"), rest)).unwrap(),
            None => (String::new(), rest),
        };
        text += &format!("max without ({REPLICA}) ({metric}{{{}{more}}}{rest}", labels.join(", "));
    }
    text
}

#[test]
fn a_metric_is_narrowed_to_what_is_chosen() {
    let both = [Variable::Namespace, Variable::Repository];
    assert_eq!(
        narrowed("sum(one(swr_repository_info{visibility=\"public\"} offset 1d)) + one(swr_up)", &both),
        "sum(max without (instance, pod, node, replica) (swr_repository_info{job=~\"$job\", account=~\"$account\", \
         namespace=~\"$namespace\", \
         repository=~\"$repository\", visibility=\"public\"} offset 1d)) + \
         max without (instance, pod, node, replica) (swr_up{job=~\"$job\", account=~\"$account\"})"
    );
}
