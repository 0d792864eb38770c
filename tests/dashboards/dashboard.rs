//! A dashboard: rows of panels, what can be chosen, and queries that are narrowed to it.
//!
//! Schema version 41 is that of Grafana 12; older ones from 10 on read it too.

use crate::panel::{Kind, Panel};
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

pub fn source() -> Value {
    let pairs = [("type", "prometheus"), ("uid", "${datasource}")];
    Value::Object(Map::from_iter(pairs.map(|(key, value)| (key.to_owned(), value.into()))))
}

/// Writes each `one(metric)` out: the largest over the replicas, with the labels that the variables choose.
pub fn narrowed(query: &str, variables: &[Variable]) -> String {
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
