//! From few words to Grafana's JSON (schema version 41: Grafana 12; older ones from 10 on read it too).

use serde_json::{Map, Value, json};

/// Labels that tell replicas of one exporter apart.
const REPLICA: &str = "instance, pod, node, replica";

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
    /// One number.
    Stat,
    /// Lines over time.
    Lines,
    /// Lines over time, one on top of the other.
    Stack,
    /// Rows of the queries' common labels, a column a query.
    Table,
    /// A bar a series.
    Bars,
    /// A histogram over time.
    Heat,
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
    /// From which value on it is yellow, and red.
    levels: Option<(f64, f64)>,
    /// Address that the values lead to.
    link: Option<(&'static str, &'static str)>,
}

/// A heading.
pub fn row(title: &'static str) -> Panel {
    panel(Kind::Row, title, (24, 1))
}

/// A panel of a width of up to 24 and a height.
pub fn panel(kind: Kind, title: &'static str, size: (u64, u64)) -> Panel {
    let (about, unit, empty) = ("", "short", "");
    Panel { kind, title, size, about, unit, empty, queries: Vec::new(), levels: None, link: None }
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

    /// A query as a column of a table, in a unit of its own.
    pub fn column(mut self, query: &str, name: &'static str, unit: &'static str) -> Self {
        self.queries.push((query.to_owned(), name, unit));
        self
    }

    pub fn levels(mut self, yellow: f64, red: f64) -> Self {
        self.levels = Some((yellow, red));
        self
    }

    pub fn link(mut self, title: &'static str, address: &'static str) -> Self {
        self.link = Some((title, address));
        self
    }

    fn json(&self, id: usize, (x, y): (u64, u64), variables: &[Variable]) -> Value {
        let place = json!({ "x": x, "y": y, "w": self.size.0, "h": self.size.1 });
        if self.kind == Kind::Row {
            return json!({ "id": id, "type": "row", "title": self.title, "gridPos": place, "collapsed": false, "panels": [] });
        }
        let instant = matches!(self.kind, Kind::Table | Kind::Bars);
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
            panel["transformations"] = json!([
                { "id": "merge", "options": {} },
                { "id": "organize", "options": { "excludeByName": { "Time": true } } },
            ]);
        }
        panel
    }

    fn plugin(&self) -> &'static str {
        match self.kind {
            Kind::Row => "row",
            Kind::Stat => "stat",
            Kind::Lines | Kind::Stack => "timeseries",
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
                defaults["min"] = json!(0);
            }
            Kind::Bars => defaults["min"] = json!(0),
            _ => {}
        }
        if self.kind == Kind::Bars && self.unit == "percentunit" {
            defaults["max"] = json!(1);
        }
        let steps = match self.levels {
            Some((yellow, red)) => json!([
                { "color": "green", "value": null },
                { "color": "yellow", "value": yellow },
                { "color": "red", "value": red },
            ]),
            None => json!([{ "color": "text", "value": null }]),
        };
        defaults["thresholds"] = json!({ "mode": "absolute", "steps": steps });
        if let Some((title, address)) = self.link.filter(|_| self.kind != Kind::Table) {
            defaults["links"] = json!([{ "title": title, "url": address }]);
        }
        defaults
    }

    /// The columns of a table: their names and units; the names lead to what is behind them.
    fn overrides(&self) -> Value {
        if self.kind != Kind::Table {
            return json!([]);
        }
        let column = |(number, (_, name, unit)): (usize, &(String, &str, &str))| {
            // Grafana calls the values of a table by the letter of their query, but for a single query.
            let value = if self.queries.len() == 1 { "Value".to_owned() } else { format!("Value #{}", letter(number)) };
            json!({ "matcher": { "id": "byName", "options": value }, "properties": [
                { "id": "displayName", "value": name },
                { "id": "unit", "value": unit },
            ] })
        };
        let mut overrides: Vec<Value> = self.queries.iter().enumerate().map(column).collect();
        if let Some((title, address)) = self.link {
            overrides.push(json!({ "matcher": { "id": "byName", "options": "repository" }, "properties": [
                { "id": "links", "value": [{ "title": title, "url": address }] },
            ] }));
        }
        json!(overrides)
    }

    fn options(&self) -> Value {
        match self.kind {
            Kind::Row => json!({}),
            Kind::Stat => json!({
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
                "colorMode": "value", "graphMode": "area", "textMode": "auto",
            }),
            Kind::Lines | Kind::Stack => json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Kind::Table => json!({
                "showHeader": true, "sortBy": [{ "displayName": self.queries[0].1, "desc": true }],
            }),
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
        let mut panels = Vec::new();
        for (index, panel) in self.panels.iter().enumerate() {
            if x + panel.size.0 > 24 {
                (x, y, height) = (0, y + height, 0);
            }
            panels.push(panel.json(index + 1, (x, y), self.variables));
            x += panel.size.0;
            height = height.max(panel.size.1);
        }
        let mut variables = vec![
            json!({ "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" }),
            choice("job", "Job", "label_values(swr_exporter_build_info, job)"),
        ];
        // With several accounts the exporter's own series and the accounts' are scraped by different jobs.
        variables[1]["query"] =
            json!({ "query": "label_values({__name__=~\"swr_up|swr_exporter_build_info\"}, job)", "refId": "job" });
        variables[1]["definition"] = variables[1]["query"]["query"].clone();
        variables.extend(self.variables.iter().map(|variable| match variable {
            Variable::Namespace => choice(
                "namespace",
                "Organisation",
                "label_values(swr_namespace_repositories{job=~\"$job\"}, namespace)",
            ),
            Variable::Repository => choice(
                "repository",
                "Repository",
                "label_values(swr_repository_size_bytes{job=~\"$job\", namespace=~\"$namespace\"}, repository)",
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
                "keepTime": true, "targetBlank": false,
            }],
            "templating": { "list": variables }, "panels": panels,
        })
    }
}

/// A variable of several values, all of them at first.
fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "datasource": source(), "definition": query,
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
        let mut labels = vec!["job=~\"$job\""];
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
        "sum(max without (instance, pod, node, replica) (swr_repository_info{job=~\"$job\", namespace=~\"$namespace\", \
         repository=~\"$repository\", visibility=\"public\"} offset 1d)) + \
         max without (instance, pod, node, replica) (swr_up{job=~\"$job\"})"
    );
}
