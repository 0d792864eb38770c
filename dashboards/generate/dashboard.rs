//! A dashboard: rows of panels, variables to choose from, and what is marked in graphs.
//!
//! Schema version 41 is that of Grafana 12; versions from 10 on read it too.

use crate::panel::{Kind, Panel};
use crate::query::{APART, CHOSEN};
use crate::variable::{Variable, source};
use serde_json::{Value, json};

/// A dashboard: rows of panels, laid out from left to right.
pub struct Dashboard {
    /// The end of its address and the name of its file.
    pub uid: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// Variables besides those that every dashboard has.
    pub variables: &'static [Variable],
    /// The time shown at first, such as `now-7d`.
    pub from: &'static str,
    pub panels: Vec<Panel>,
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
            if matches!(panel.kind, Kind::Row | Kind::Folded) {
                folded = panel.kind == Kind::Folded;
            }
            match panels.last_mut().filter(|_| folded && panel.kind != Kind::Folded) {
                Some(row) => row["panels"].as_array_mut().expect("a row has panels").push(json),
                None => panels.push(json),
            }
            x += panel.size.0;
            height = height.max(panel.size.1);
        }
        json!({
            "uid": self.uid, "title": self.title, "description": self.about, "tags": ["swr-exporter"],
            "schemaVersion": 41, "version": 1, "editable": true, "graphTooltip": 1, "refresh": "5m",
            "time": { "from": self.from, "to": "now" }, "timezone": "",
            "annotations": { "list": self.annotations() },
            "links": [{
                "type": "dashboards", "tags": ["swr-exporter"], "title": "SWR", "asDropdown": false, "includeVars": true,
                "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "",
            }],
            "templating": { "list": self.templating() }, "panels": panels,
        })
    }

    fn templating(&self) -> Vec<Value> {
        let mut variables = vec![
            json!({ "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" }),
            choice("cluster", "Cluster", "label_values(swr_up, cluster)"),
            // With several accounts, the exporter's own series and those of the accounts are scraped by different jobs.
            choice(
                "job",
                "Job",
                "label_values({__name__=~\"swr_up|swr_exporter_build_info\", cluster=~\"$cluster\"}, job)",
            ),
            choice("account", "Account", "label_values(swr_up{cluster=~\"$cluster\", job=~\"$job\"}, account)"),
        ];
        // All accounts, clusters and jobs include series that do not have the label.
        for variable in &mut variables[1..] {
            variable["allValue"] = json!(".*");
        }
        variables.extend(self.variables.iter().map(|variable| match variable {
            Variable::Namespace => choice(
                "namespace",
                "Organization",
                &format!("label_values(swr_namespace_repositories{{{CHOSEN}}}, namespace)"),
            ),
            Variable::Repository => choice(
                "repository",
                "Repository",
                &format!("label_values(swr_repository_size_bytes{{{CHOSEN}, namespace=~\"$namespace\"}}, repository)"),
            ),
            Variable::Instance => {
                choice("instance", "Instance", "label_values(swr_exporter_build_info{cluster=~\"$cluster\"}, instance)")
            }
            Variable::Period => constant("period", "Period", &[("1 day", "1d"), ("7 days", "7d"), ("30 days", "30d")]),
            Variable::StaleAfter => constant(
                "stale_after",
                "Stale after",
                &[("90 days", "7776000"), ("180 days", "15552000"), ("365 days", "31536000")],
            ),
            Variable::Rule => one_of(
                "rule",
                "Clean-up rule",
                &format!("label_values(swr_reclaimable_layer_bytes{{{CHOSEN}}}, rule)"),
                "older_than_90d",
            ),
        }));
        variables.extend(APART.map(by));
        variables
    }

    fn annotations(&self) -> Vec<Value> {
        let annotation = |name: &str, color: &str, query: String, title: &str, text: &str| {
            json!({
                "name": name, "enable": true, "hide": false, "iconColor": color, "datasource": source(),
                "target": { "refId": "Anno", "expr": query, "interval": "1m" },
                "titleFormat": title, "textFormat": text, "tagKeys": "severity",
            })
        };
        let mut annotations = vec![annotation(
            "Alerts",
            "red",
            format!("ALERTS{{alertname=~\"Swr.+\", alertstate=\"firing\", {CHOSEN}}}"),
            "{{alertname}}",
            "{{account}} {{namespace}} {{repository}} {{instance}}",
        )];
        if self.variables.contains(&Variable::Instance) {
            let started = "process_start_time_seconds{cluster=~\"$cluster\", instance=~\"$instance\"}";
            let ours = "swr_exporter_build_info{cluster=~\"$cluster\", instance=~\"$instance\"}";
            let mut restarts = annotation(
                "Restarts",
                "blue",
                format!("{started} * 1000 and on (job, instance) {ours}"),
                "Started",
                "{{instance}}",
            );
            // The value is the time that is marked.
            restarts["useValueForTime"] = json!(true);
            annotations.push(restarts);
        }
        annotations
    }
}

/// A variable of several values, all of them at first. In queries it stands plainly, as in `job=~"$job"`: Grafana then
/// escapes what is special in regular expressions, as a PromQL string wants it.
fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "datasource": source(),
        "query": { "query": query, "refId": name }, "refresh": 2, "sort": 5, "multi": true, "includeAll": true,
        "allValue": ".+", "current": { "text": ["All"], "value": ["$__all"] },
    })
}

/// A variable of one value of several, this one at first.
fn one_of(name: &str, label: &str, query: &str, first: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "datasource": source(),
        "query": { "query": query, "refId": name }, "refresh": 2, "sort": 5, "multi": false, "includeAll": false,
        "current": { "text": first, "value": first },
    })
}

/// A variable of one of three values, the one in the middle at first.
fn constant(name: &str, label: &str, values: &[(&str, &str); 3]) -> Value {
    let options = values.map(|(text, value)| json!({ "text": text, "value": value, "selected": value == values[1].1 }));
    let query = values.map(|(text, value)| format!("{text} : {value}")).join(", ");
    json!({
        "name": name, "label": label, "type": "custom", "query": query, "multi": false, "includeAll": false,
        "current": options[1], "options": options,
    })
}

/// The hidden variable that is `<label>, ` where the chosen accounts have several values of a label, and empty where not.
fn by(label: &str) -> Value {
    let name = format!("by_{label}");
    let several = format!("count(count by ({label}) (swr_up{{{CHOSEN}}})) > 1");
    let query = format!("query_result(label_replace({several}, \"by\", \"{label}, \", \"\", \"\"))");
    json!({
        "name": name, "type": "query", "datasource": source(), "query": { "query": query, "refId": name },
        "regex": "/by=\"([^\"]*)\"/", "refresh": 2, "sort": 0, "hide": 2, "skipUrlSync": true,
        "multi": false, "includeAll": false, "current": { "text": "", "value": "" },
    })
}
