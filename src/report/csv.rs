//! The report for spreadsheets: the tags if they were asked for, else what each rule frees and where. Bytes are plain
//! numbers; fields are quoted as RFC 4180 says.

use super::layout::{Output, rfc3339};
use super::{Freed, Report, Scope, TagSteps};
use std::borrow::Cow;
use std::io;

pub(super) fn render(report: &Report, output: &mut Output<'_>) -> io::Result<()> {
    if report.rules.iter().any(|rule| rule.tags.is_some()) {
        line(&["rule", "step", "namespace", "repository", "tag", "updated", "bytes"], &mut output.text);
        for rule in &report.rules {
            let name = rule.rule.to_string();
            for (step, number) in rule.tags.iter().flat_map(TagSteps::iter).zip(1..) {
                let (number, bytes) = (u64::to_string(&number), step.bytes.to_string());
                let updated = step.dated.map(rfc3339).unwrap_or_default();
                let fields = [&*name, &number, step.namespace, step.repository, step.tag, &updated, &bytes];
                line(&fields, &mut output.text);
                output.pass_on()?;
            }
        }
        return Ok(());
    }
    let out = &mut output.text;
    line(&["rule", "scope", "namespace", "repository", "tags", "bytes"], out);
    for rule in &report.rules {
        let name = rule.rule.to_string();
        let mut row = |scope: &str, of: Option<&Scope>, freed: &Freed| {
            let namespace = of.map_or("", |of| &of.namespace);
            let repository = of.and_then(|of| of.repository.as_deref()).unwrap_or_default();
            line(&[&name, scope, namespace, repository, &freed.tags.to_string(), &freed.bytes.to_string()], out);
        };
        let scope = match &report.only {
            None => "account",
            Some(Scope { repository: None, .. }) => "organization",
            Some(_) => "repository",
        };
        row(scope, report.only.as_ref(), &rule.total);
        if scope == "account" {
            rule.organizations.iter().for_each(|part| row("organization", Some(&part.name), &part.freed));
        }
        if scope != "repository" {
            rule.repositories.iter().for_each(|part| row("repository", Some(&part.name), &part.freed));
        }
    }
    Ok(())
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
