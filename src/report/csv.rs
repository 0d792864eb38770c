//! The report for spreadsheets: the tags if they were asked for, else what each rule frees and where. Bytes are plain
//! numbers; fields are quoted as RFC 4180 says.

use super::Report;
use super::layout::rfc3339;
use std::borrow::Cow;

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    if report.rules.iter().any(|rule| rule.tags.is_some()) {
        line(&["rule", "step", "namespace", "repository", "tag", "updated", "bytes"], &mut out);
        for rule in &report.rules {
            for (step, number) in rule.tags.iter().flatten().zip(1..) {
                let (rule, number, bytes) = (rule.rule.to_string(), u64::to_string(&number), step.bytes.to_string());
                let updated = step.dated.map(rfc3339).unwrap_or_default();
                let of = (&*step.of.namespace, &*step.of.repository);
                line(&[&rule, &number, of.0, of.1, &step.tag, &updated, &bytes], &mut out);
            }
        }
        return out;
    }
    line(&["rule", "scope", "namespace", "repository", "tags", "bytes"], &mut out);
    for rule in &report.rules {
        let name = rule.rule.to_string();
        let mut row = |scope: &str, namespace: &str, repository: &str, freed: &super::Freed| {
            let (tags, bytes) = (freed.tags.to_string(), freed.bytes.to_string());
            line(&[&name, scope, namespace, repository, &tags, &bytes], &mut out);
        };
        let only = report.only.as_ref();
        let scope = match only {
            None => "account",
            Some(only) if only.repository.is_none() => "organization",
            Some(_) => "repository",
        };
        let namespace = only.map_or("", |only| &only.namespace);
        row(scope, namespace, only.and_then(|only| only.repository.as_deref()).unwrap_or_default(), &rule.total);
        if only.is_none() {
            rule.organizations.iter().for_each(|(name, freed)| row("organization", name, "", freed));
        }
        if scope != "repository" {
            rule.repositories.iter().for_each(|(of, freed)| row("repository", &of.namespace, &of.repository, freed));
        }
    }
    out
}

fn line(fields: &[&str], out: &mut String) {
    let quoted: Vec<Cow<'_, str>> = fields.iter().map(|field| quoted(field)).collect();
    *out += &quoted.join(",");
    *out += "\r\n";
}

/// A field. A spreadsheet would take one that begins like a formula for one.
fn quoted(field: &str) -> Cow<'_, str> {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !is_formula && !field.contains(['"', ',', '\n', '\r']) {
        return field.into();
    }
    let escaped = field.replace('"', "\"\"");
    if is_formula { format!("\"'{escaped}\"").into() } else { format!("\"{escaped}\"").into() }
}
