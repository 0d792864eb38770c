//! The report for a terminal.

use super::layout::{
    DAY, Output, RULE, TAG, Table, below_tags, caveats, freed_in, freeing, length, lists, minute, name, plain, rules,
    source, table, tag, wrapped,
};
use super::{Report, RuleReport};
use crate::base::words::{bytes, number, things};
use std::fmt::Write;
use std::io;

/// The narrowest text; tables need as much.
const MIN_WIDTH: usize = 72;

/// The widest text: longer lines are hard to follow.
const MAX_WIDTH: usize = 132;

pub(super) fn render(report: &Report, width: usize, output: &mut Output<'_>) -> io::Result<()> {
    let width = width.clamp(MIN_WIDTH, MAX_WIDTH);
    let out = &mut output.text;
    let title = format!("Clean-up report: {}", plain(&report.account));
    let made = minute(report.made_at);
    let gap = width.saturating_sub(title.chars().count() + made.len()).max(2);
    let _ = writeln!(out, "{title}{:gap$}{made}", "");
    wrapped(&format!("{} This command deletes nothing.", source(report)), width, out);
    for caveat in caveats(report) {
        wrapped(&format!("Note: {caveat}"), width, out);
    }
    let totals = &report.totals;
    let summary = [
        ("Repositories", number(totals.repositories), format!("in {}", things(totals.organizations, "organization"))),
        ("Tags", number(totals.tags), String::new()),
        ("Listed", bytes(totals.listed_bytes), "sum of the sizes of the repositories".to_owned()),
        ("Stored", bytes(totals.stored_bytes), "each layer counted once".to_owned()),
    ];
    out.push('\n');
    for (what, value, remark) in summary {
        let _ = writeln!(out, "{}", format!("  {what:14}{value:>12}  {remark}").trim_end());
    }
    if let Some((title, rows)) = rules(report) {
        heading(&title, out);
        table(&RULE, &rows, width, out);
    }
    report.rules.iter().for_each(|rule| places(report, rule, width, out));
    for list in lists(report) {
        heading(&list.title, out);
        table(list.columns, &list.rows, width, out);
        more(list.more, "repository", out);
    }
    for rule in &report.rules {
        tags(rule, width, output)?;
    }
    hint(report, width, &mut output.text);
    Ok(())
}

/// What to do with the report.
fn hint(report: &Report, width: usize, out: &mut String) {
    let freeing = report
        .rules
        .iter()
        .filter(|rule| rule.tags.is_none())
        .find_map(|rule| Some((rule.rule, &rule.repositories.first()?.name)));
    if let Some((rule, of)) = freeing {
        out.push('\n');
        let only = name(of);
        wrapped(
            &format!("List the tags of a repository: swr-exporter report --tags --rule {rule} --only {only}"),
            width,
            out,
        );
    }
}

fn heading(text: &str, out: &mut String) {
    let _ = write!(out, "\n{text}\n\n");
}

/// Where a rule frees most.
fn places(report: &Report, rule: &RuleReport, width: usize, out: &mut String) {
    if rule.repositories.is_empty() && rule.organizations.is_empty() {
        return;
    }
    heading(&format!("Where {} frees most", rule.rule), out);
    if report.only.is_none() {
        table(&freeing("organization, on its own"), &freed_in(&rule.organizations), width, out);
        more(rule.more_organizations as u64, "organization", out);
        out.push('\n');
    }
    table(&freeing("repository, on its own"), &freed_in(&rule.repositories), width, out);
    more(rule.more_repositories as u64, "repository", out);
}

fn more(count: u64, what: &str, out: &mut String) {
    if count > 0 {
        let _ = writeln!(out, "  and {}", things(count, &format!("more {what}")));
    }
}

/// The tags of a rule, in order.
fn tags(rule: &RuleReport, width: usize, output: &mut Output<'_>) -> io::Result<()> {
    let Some(steps) = rule.tags.as_ref().filter(|steps| !steps.is_empty()) else { return Ok(()) };
    let out = &mut output.text;
    heading(&format!("{}: tags, those first that free most", rule.rule), out);
    wrapped(
        "Each line says what its tag frees once those above it are gone, so the lines add up to the total.",
        width,
        out,
    );
    out.push('\n');
    let mut table = Table::new(&TAG, width);
    for step in steps.iter() {
        let name = length(step.namespace) + length(step.repository) + length(step.tag) + "/:".len();
        table.fit([name, if step.dated.is_some() { DAY } else { 1 }, bytes(step.bytes).len()]);
    }
    below_tags(rule).for_each(|row| table.fit(row.iter().map(|cell| length(cell))));
    table.titles(out);
    for step in steps.iter() {
        table.row(&tag(&step), &mut output.text);
        output.pass_on()?;
    }
    below_tags(rule).for_each(|row| table.row(&row, &mut output.text));
    Ok(())
}
