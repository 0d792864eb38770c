//! The report for tickets and wikis.

use super::layout::{
    Column, NOT_PULLED, Output, REPOSITORY, TAG, below_tags, caveats, minute, name, not_pulled, plain, repository,
    share, source, tag,
};
use super::{Freed, Listed, Report, STALE_DAYS};
use crate::base::words::{bytes, number, things};
use std::fmt::Write;
use std::io;

pub(super) fn render(report: &Report, output: &mut Output<'_>) -> io::Result<()> {
    let out = &mut output.text;
    let _ = write!(out, "# Clean-up report: {}\n\n{}. ", text(&plain(&report.account)), minute(report.made_at));
    let _ = writeln!(out, "{} Nothing was deleted.", source(report));
    for caveat in caveats(report) {
        let _ = write!(out, "\n> {caveat}\n");
    }
    let totals = &report.totals;
    let _ = write!(
        out,
        "\n- {} in {}, {}\n- {} listed: sum of the sizes of the repositories\n- {} stored: each layer counted once\n",
        things(totals.repositories, "repository"),
        things(totals.organizations, "organization"),
        things(totals.tags, "tag"),
        bytes(totals.listed_bytes),
        bytes(totals.stored_bytes),
    );
    if !report.rules.is_empty() {
        let scope = report.only.as_ref().map(|only| format!(", applied to {} alone", text(&plain(&only.to_string()))));
        let _ = write!(out, "\n## What each rule would free{}\n\n", scope.unwrap_or_default());
        let columns =
            [Column::left("rule"), Column::right("tags"), Column::right("frees"), Column::right("of what is stored")];
        let rows = report.rules.iter().map(|rule| {
            let Freed { tags, bytes: freed } = rule.total;
            vec![rule.rule.to_string(), number(tags), bytes(freed), share(freed, totals.stored_bytes)]
        });
        table(&columns, rows, out);
    }
    for rule in &report.rules {
        let columns = |what| [Column::left(what), Column::right("tags"), Column::right("frees")];
        let row = |name: String, freed: &Freed| vec![name, number(freed.tags), bytes(freed.bytes)];
        if !rule.organizations.is_empty() && report.only.is_none() {
            let _ = write!(out, "\n### {}: organizations, each on its own\n\n", rule.rule);
            let rows = rule.organizations.iter().map(|(name, freed)| row(plain(name), freed));
            table(&columns("organization"), rows, out);
        }
        if !rule.repositories.is_empty() {
            let _ = write!(out, "\n### {}: repositories, each on its own\n\n", rule.rule);
            let rows = rule.repositories.iter().map(|(of, freed)| row(name(of), freed));
            table(&columns("repository"), rows, out);
        }
    }
    listed("Largest repositories", &report.largest, out);
    listed(&format!("Not updated for {STALE_DAYS} days, by what deleting them frees"), &report.stale, out);
    listed("Public repositories", &report.public, out);
    if let Some(without) = &report.without_retention {
        listed("Without a retention rule", without, out);
    }
    if let Some(pulls) = report.not_pulled.as_ref().filter(|pulls| !pulls.rows.is_empty()) {
        let all = format!("{}, {}", number(pulls.count), bytes(pulls.bytes));
        let _ = write!(out, "\n## Enterprise Edition: not pulled for {STALE_DAYS} days ({all})\n\n");
        table(&NOT_PULLED, pulls.rows.iter().map(not_pulled), out);
    }
    for rule in &report.rules {
        let Some(steps) = rule.tags.as_ref().filter(|steps| !steps.is_empty()) else { continue };
        let _ = write!(output.text, "\n## {}: tags, those first that free most\n\n", rule.rule);
        output.text += "Each line says what its tag frees once those above it are gone.\n\n";
        titles(&TAG, &mut output.text);
        for step in steps.iter() {
            row(&tag(&step), &mut output.text);
            output.pass_on()?;
        }
        below_tags(rule).for_each(|cells| row(&cells, &mut output.text));
    }
    Ok(())
}

fn listed(title: &str, listed: &Listed, out: &mut String) {
    if !listed.rows.is_empty() {
        let _ = write!(out, "\n## {title} ({}, {} listed)\n\n", number(listed.count), bytes(listed.listed_bytes));
        table(&REPOSITORY, listed.rows.iter().map(repository), out);
    }
}

fn table(columns: &[Column], rows: impl Iterator<Item = Vec<String>>, out: &mut String) {
    titles(columns, out);
    rows.for_each(|cells| row(&cells, out));
}

fn titles(columns: &[Column], out: &mut String) {
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let _ = writeln!(out, "| {} |", titles.join(" | "));
    let rules: Vec<&str> = columns.iter().map(|column| if column.is_right { "--:" } else { "---" }).collect();
    let _ = writeln!(out, "|{}|", rules.join("|"));
}

fn row(cells: &[String], out: &mut String) {
    let cells: Vec<String> = cells.iter().map(|cell| text(cell)).collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// A text in which nothing is Markdown.
fn text(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if "\\`*_[]<>|".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
