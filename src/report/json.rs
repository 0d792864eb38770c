//! The report for programs. docs/report.schema.json describes it.

use super::layout::rfc3339;
use super::{Freed, Listed, Name, NotPulled, Report, RepositoryRow, RuleReport, TagStep, TagSteps};
use crate::model::{Timestamp, Visibility};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};
use std::io::{self, Write};

pub(super) fn render(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    let totals = &report.totals;
    let fields = json!({
        "account": report.account,
        "made_at": rfc3339(report.made_at),
        "listed_at": rfc3339(report.listed_at),
        "oldest_reading": time(report.oldest_reading),
        "offline": report.is_offline,
        "only": report.only.as_ref().map(ToString::to_string),
        "totals": {
            "organizations": totals.organizations,
            "repositories": totals.repositories,
            "unread_repositories": totals.unread,
            "tags": totals.tags,
            "unlayered_tags": totals.unlayered,
            "listed_bytes": number(totals.listed_bytes),
            "stored_bytes": number(totals.stored_bytes),
        },
        "rules": null,
        "largest": listed(&report.largest),
        "stale": listed(&report.stale),
        "public": listed(&report.public),
        "without_retention": report.without_retention.as_ref().map(listed),
        "not_pulled": report.not_pulled.as_ref().map(not_pulled),
    });
    let rules: Vec<_> = report.rules.iter().map(rule).collect();
    let mut out = io::BufWriter::new(sink);
    serde_json::to_writer_pretty(&mut out, &Object { fields, name: "rules", long: rules })?;
    out.write_all(b"\n")?;
    out.flush()
}

fn rule(rule: &RuleReport) -> Object<Option<Steps<'_>>> {
    let organizations = rule.organizations.iter();
    let repositories = rule.repositories.iter();
    let fields = json!({
        "rule": rule.rule.to_string(),
        "total": freed(json!({}), &rule.total),
        "organizations": organizations.map(|(name, bytes)| freed(json!({ "namespace": name }), bytes)).collect::<Vec<_>>(),
        "more_organizations": rule.more_organizations,
        "repositories": repositories.map(|(name, bytes)| freed(of(name), bytes)).collect::<Vec<_>>(),
        "more_repositories": rule.more_repositories,
        "tags": null,
        "more_tags": freed(json!({}), &rule.more_tags),
    });
    Object { fields, name: "tags", long: rule.tags.as_ref().map(Steps) }
}

/// An object of which one field is so long that it is written without being held whole.
struct Object<T> {
    /// All of its fields. That of `name` stands for the long one.
    fields: Value,
    name: &'static str,
    long: T,
}

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        for (name, value) in self.fields.as_object().into_iter().flatten() {
            if name == self.name { map.serialize_entry(name, &self.long)? } else { map.serialize_entry(name, value)? }
        }
        map.end()
    }
}

struct Steps<'a>(&'a TagSteps);

impl Serialize for Steps<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let steps = self.0.iter().map(|TagStep { namespace, repository, tag, dated, bytes }| {
            json!({ "namespace": namespace, "repository": repository, "tag": tag, "updated": time(dated), "bytes": number(bytes) })
        });
        out.collect_seq(steps)
    }
}

fn of(name: &Name) -> Value {
    json!({ "namespace": name.namespace, "repository": name.repository })
}

fn freed(mut value: Value, freed: &Freed) -> Value {
    value["tags"] = json!(freed.tags);
    value["bytes"] = number(freed.bytes);
    value
}

fn listed(listed: &Listed) -> Value {
    json!({
        "count": listed.count,
        "listed_bytes": number(listed.listed_bytes),
        "repositories": listed.rows.iter().map(repository).collect::<Vec<_>>(),
    })
}

fn not_pulled(pulls: &NotPulled) -> Value {
    let rows = pulls.rows.iter().map(|row| {
        let mut value = of(&row.name);
        value["instance"] = json!(row.instance);
        value["bytes"] = json!(row.bytes);
        value["pulled"] = time(row.pulled);
        value
    });
    json!({ "count": pulls.count, "bytes": number(pulls.bytes), "repositories": rows.collect::<Vec<_>>() })
}

fn repository(row: &RepositoryRow) -> Value {
    let mut value = of(&row.name);
    value["listed_bytes"] = json!(row.listed_bytes);
    value["stored_bytes"] = row.stored_bytes.map_or(Value::Null, number);
    value["exclusive_bytes"] = row.exclusive_bytes.map_or(Value::Null, number);
    value["tags"] = json!(row.tags);
    value["updated"] = time(row.updated);
    value["visibility"] = match row.visibility {
        Some(Visibility::Public) => json!("public"),
        Some(Visibility::Private) => json!("private"),
        None => Value::Null,
    };
    value["retention_rules"] = json!(row.retention_rules);
    value
}

fn time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| rfc3339(time).into())
}

/// Sums beyond 64 bits come only of sizes that make no sense.
fn number(bytes: u128) -> Value {
    u64::try_from(bytes).unwrap_or(u64::MAX).into()
}
