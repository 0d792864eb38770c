//! The report for a terminal.

use super::layout::{
    Column, DAY, NOT_PULLED, Output, REPOSITORY, TAG, Table, below_tags, caveats, length, minute, name, not_pulled,
    plain, repository, share, source, table, tag, wrapped,
};
use super::{Listed, Report, RuleReport, STALE_DAYS};
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
    rules(report, width, out);
    report.rules.iter().for_each(|rule| places(report, rule, width, out));
    listed("Largest repositories", &report.largest, width, out);
    let stale = format!("Not updated for {STALE_DAYS} days, by what deleting them frees");
    listed(&stale, &report.stale, width, out);
    listed("Public repositories", &report.public, width, out);
    if let Some(without) = &report.without_retention {
        listed("Without a retention rule", without, width, out);
    }
    if let Some(pulls) = report.not_pulled.as_ref().filter(|pulls| !pulls.rows.is_empty()) {
        let all = format!("{}, {}", number(pulls.count), bytes(pulls.bytes));
        heading(&format!("Enterprise Edition: not pulled for {STALE_DAYS} days ({all})"), out);
        table(&NOT_PULLED, &pulls.rows.iter().map(not_pulled).collect::<Vec<_>>(), width, out);
        more(usize::try_from(pulls.count).unwrap_or(usize::MAX).saturating_sub(pulls.rows.len()), "repository", out);
    }
    for rule in &report.rules {
        tags(rule, width, output)?;
    }
    hint(report, width, &mut output.text);
    Ok(())
}

/// What to do with the report.
fn hint(report: &Report, width: usize, out: &mut String) {
    let freeing = report.rules.iter().filter(|rule| rule.tags.is_none()).find_map(|rule| {
        let (name, _) = rule.repositories.first()?;
        Some((rule.rule, name))
    });
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

fn rules(report: &Report, width: usize, out: &mut String) {
    if report.rules.is_empty() {
        return;
    }
    let scope = report.only.as_ref().map(|only| format!(", applied to {} alone", plain(&only.to_string())));
    heading(&format!("What each rule would free{}", scope.unwrap_or_default()), out);
    let columns =
        [Column::left("rule"), Column::right("tags"), Column::right("frees"), Column::right("of what is stored")];
    let row = |rule: &RuleReport| {
        let freed = rule.total;
        vec![
            rule.rule.to_string(),
            number(freed.tags),
            bytes(freed.bytes),
            share(freed.bytes, report.totals.stored_bytes),
        ]
    };
    table(&columns, &report.rules.iter().map(row).collect::<Vec<_>>(), width, out);
}

/// Where a rule frees most.
fn places(report: &Report, rule: &RuleReport, width: usize, out: &mut String) {
    if rule.repositories.is_empty() && rule.organizations.is_empty() {
        return;
    }
    heading(&format!("Where {} frees most", rule.rule), out);
    let frees = |title| [Column::left(title), Column::right("tags"), Column::right("frees")];
    if report.only.is_none() {
        let rows = rule.organizations.iter();
        let rows = rows.map(|(name, freed)| vec![plain(name), number(freed.tags), bytes(freed.bytes)]);
        table(&frees("organization, on its own"), &rows.collect::<Vec<_>>(), width, out);
        more(rule.more_organizations, "organization", out);
        out.push('\n');
    }
    let rows = rule.repositories.iter();
    let rows = rows.map(|(of, freed)| vec![name(of), number(freed.tags), bytes(freed.bytes)]);
    table(&frees("repository, on its own"), &rows.collect::<Vec<_>>(), width, out);
    more(rule.more_repositories, "repository", out);
}

fn more(count: usize, what: &str, out: &mut String) {
    if count > 0 {
        let _ = writeln!(out, "  and {}", things(count as u64, &format!("more {what}")));
    }
}

fn listed(title: &str, listed: &Listed, width: usize, out: &mut String) {
    if listed.rows.is_empty() {
        return;
    }
    heading(&format!("{title} ({}, {} listed)", number(listed.count), bytes(listed.listed_bytes)), out);
    table(&REPOSITORY, &listed.rows.iter().map(repository).collect::<Vec<_>>(), width, out);
    let left = usize::try_from(listed.count).unwrap_or(usize::MAX).saturating_sub(listed.rows.len());
    more(left, "repository", out);
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
