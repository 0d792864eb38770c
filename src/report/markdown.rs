//! The report for tickets and wikis.

use super::Report;
use super::layout::{
    Column, Output, RULE, TAG, below_tags, caveats, freed_in, freeing, lists, minute, plain, rules, source, tag,
};
use crate::base::words::{bytes, things};
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
    if let Some((title, rows)) = rules(report) {
        let _ = write!(out, "\n## {}\n\n", text(&title));
        table(&RULE, &rows, out);
    }
    for rule in &report.rules {
        if !rule.organizations.is_empty() && report.only.is_none() {
            let _ = write!(out, "\n### {}: organizations, each on its own\n\n", rule.rule);
            table(&freeing("organization"), &freed_in(&rule.organizations), out);
        }
        if !rule.repositories.is_empty() {
            let _ = write!(out, "\n### {}: repositories, each on its own\n\n", rule.rule);
            table(&freeing("repository"), &freed_in(&rule.repositories), out);
        }
    }
    for list in lists(report) {
        let _ = write!(out, "\n## {}\n\n", list.title);
        table(list.columns, &list.rows, out);
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

fn table(columns: &[Column], rows: &[Vec<String>], out: &mut String) {
    titles(columns, out);
    rows.iter().for_each(|cells| row(cells, out));
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
