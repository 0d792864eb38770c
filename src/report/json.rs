//! The report for programs. docs/report.schema.json describes it.

use super::layout::rfc3339;
use super::{Freed, Listed, Name, NotPulled, Report, RepositoryRow, RuleReport};
use crate::model::{Timestamp, Visibility};
use serde_json::{Value, json};

pub(super) fn render(report: &Report) -> String {
    let totals = &report.totals;
    let value = json!({
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
        "rules": report.rules.iter().map(rule).collect::<Vec<_>>(),
        "largest": listed(&report.largest),
        "stale": listed(&report.stale),
        "public": listed(&report.public),
        "without_retention": report.without_retention.as_ref().map(listed),
        "not_pulled": report.not_pulled.as_ref().map(not_pulled),
    });
    format!("{value:#}\n")
}

fn rule(rule: &RuleReport) -> Value {
    let organizations = rule.organizations.iter();
    let repositories = rule.repositories.iter();
    let steps = rule.tags.as_ref().map(|steps| {
        let steps = steps.iter().map(|step| {
            let mut value = of(&step.of);
            value["tag"] = json!(step.tag);
            value["updated"] = time(step.dated);
            value["bytes"] = number(step.bytes);
            value
        });
        steps.collect::<Vec<_>>()
    });
    json!({
        "rule": rule.rule.to_string(),
        "total": freed(json!({}), &rule.total),
        "organizations": organizations.map(|(name, bytes)| freed(json!({ "namespace": name }), bytes)).collect::<Vec<_>>(),
        "more_organizations": rule.more_organizations,
        "repositories": repositories.map(|(name, bytes)| freed(of(name), bytes)).collect::<Vec<_>>(),
        "more_repositories": rule.more_repositories,
        "tags": steps,
        "more_tags": freed(json!({}), &rule.more_tags),
    })
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
