//! Numbers, dates and tables as people read them.

use super::{Freed, FreedIn, Listed, NotPulledRow, Report, RepositoryRow, RuleReport, STALE_DAYS, Scope, TagStep};
use crate::base::words::{bytes, number, things};
use crate::logging::is_formatting;
use crate::model::Timestamp;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

/// A text that is written piece by piece, so that a long one is never held whole.
pub(super) struct Output<'a> {
    /// What is not written yet.
    pub(super) text: String,
    sink: &'a mut dyn io::Write,
}

impl<'a> Output<'a> {
    pub(super) fn new(sink: &'a mut dyn io::Write) -> Self {
        Self { text: String::new(), sink }
    }

    /// Writes a piece if there is enough of it.
    pub(super) fn pass_on(&mut self) -> io::Result<()> {
        const PIECE: usize = 64 << 10;
        if self.text.len() < PIECE { Ok(()) } else { self.finish() }
    }

    /// Writes the rest.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.sink.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }
}

/// A share in percent.
pub(super) fn share(part: u128, whole: u128) -> String {
    match part.saturating_mul(1000).checked_div(whole) {
        None => "-".to_owned(),
        Some(0) if part > 0 => "< 0.1 %".to_owned(),
        Some(thousandths) => format!("{}.{} %", thousandths / 10, thousandths % 10),
    }
}

/// The length of a day such as 2026-01-31.
pub(super) const DAY: usize = 10;

/// The day, in UTC.
pub(super) fn day(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.format("%Y-%m-%d"))
}

/// The minute, in UTC.
pub(super) fn minute(time: Timestamp) -> String {
    time.format("%Y-%m-%d %H:%M UTC")
}

/// The second, in UTC, as RFC 3339 has it.
pub(super) fn rfc3339(time: Timestamp) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ")
}

/// An age in its largest unit.
pub(super) fn age(from: Timestamp, to: Timestamp) -> String {
    let seconds = u64::try_from(to.parts().0.saturating_sub(from.parts().0)).unwrap_or(0);
    match seconds {
        0..120 => things(seconds, "second"),
        120..7_200 => things(seconds / 60, "minute"),
        7_200..172_800 => things(seconds / 3_600, "hour"),
        _ => things(seconds / 86_400, "day"),
    }
}

/// A name without characters that would change how a terminal shows it.
pub(super) fn plain(name: &str) -> String {
    name.chars().map(|c| if is_formatting(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The name of an organization or repository.
pub(super) fn name(name: &Scope) -> String {
    plain(&name.to_string())
}

/// The columns of tables of tags.
pub(super) const TAG: [Column; 3] = [Column::left("tag"), Column::right("updated"), Column::right("frees")];

/// The cells of a step.
pub(super) fn tag(step: &TagStep<'_>) -> [String; TAG.len()] {
    let TagStep { namespace, repository, tag, dated, bytes: freed } = *step;
    [plain(&format!("{namespace}/{repository}:{tag}")), day(dated), bytes(freed)]
}

/// The cells below the steps of a rule: what is not listed, and the total.
pub(super) fn below_tags(rule: &RuleReport) -> impl Iterator<Item = [String; TAG.len()]> {
    let row = |text: String, freed: Freed| [text, String::new(), bytes(freed.bytes)];
    let rest = rule.more_tags;
    let rest = (rest.tags > 0).then(|| row(format!("and {}", things(rest.tags, "more tag")), rest));
    rest.into_iter().chain([row(format!("total: {}", things(rule.total.tags, "tag")), rule.total)])
}

/// What to know before the figures are used.
pub(super) fn caveats(report: &Report) -> Vec<String> {
    let mut caveats = Vec::new();
    if report.listed_at > report.made_at {
        let ahead = age(report.made_at, report.listed_at);
        caveats.push(format!("The data is dated {ahead} in the future by this machine's clock, so ages are wrong."));
    }
    if report.totals.unread > 0 {
        caveats.push(format!(
            "The tags of {} are not known. They may share layers with others, so the figures may be too high.",
            things(report.totals.unread, "repository")
        ));
    }
    if report.totals.unlayered > 0 {
        caveats.push(format!(
            "The layers of {} are not known; their bytes are not counted.",
            things(report.totals.unlayered, "tag")
        ));
    }
    caveats
}

/// When the data is from.
pub(super) fn source(report: &Report) -> String {
    let listed = age(report.listed_at, report.made_at);
    let tags = report.oldest_reading.map(|oldest| age(oldest, report.made_at));
    let tags = tags.map(|age| format!(", tags at most {age} ago")).unwrap_or_default();
    let how = if report.is_offline { "From the state files" } else { "From the API" };
    format!("{how}: repositories read {listed} ago{tags}.")
}

/// The columns of tables of repositories.
const REPOSITORY: [Column; 6] = [
    Column::left("repository"),
    Column::right("tags"),
    Column::right("listed"),
    Column::right("stored"),
    Column::right("only here"),
    Column::right("updated"),
];

/// The cells of a repository.
fn repository(row: &RepositoryRow) -> Vec<String> {
    let optional = |value: Option<u128>| value.map_or_else(|| "-".to_owned(), bytes);
    vec![
        name(&row.name),
        row.tags.map_or_else(|| "-".to_owned(), number),
        optional(row.listed_bytes.map(u128::from)),
        optional(row.stored_bytes),
        optional(row.exclusive_bytes),
        day(row.updated),
    ]
}

/// The columns of tables of repositories that were not pulled.
const NOT_PULLED: [Column; 4] =
    [Column::left("repository"), Column::left("instance"), Column::right("size"), Column::right("last pull")];

/// The cells of such a repository.
fn not_pulled(row: &NotPulledRow) -> Vec<String> {
    let size = row.bytes.map_or_else(|| "-".to_owned(), bytes);
    let pulled = row.pulled.map_or_else(|| "never".to_owned(), |pulled| day(Some(pulled)));
    vec![name(&row.name), plain(&row.instance), size, pulled]
}

/// A list of repositories of the whole account.
pub(super) struct List {
    pub(super) title: String,
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Vec<String>>,
    /// Further repositories, which are not listed.
    pub(super) more: u64,
}

/// The lists that are not empty.
pub(super) fn lists(report: &Report) -> impl Iterator<Item = List> {
    let stale = format!("Not updated for {STALE_DAYS} days, by what deleting them frees");
    let repositories = [
        ("Largest repositories", Some(&report.largest)),
        (&*stale, Some(&report.stale)),
        ("Public repositories", Some(&report.public)),
        ("Without a retention rule", report.without_retention.as_ref()),
    ];
    let of_repositories = |(title, listed): (&str, Option<&Listed>)| {
        let listed = listed?;
        Some(List {
            title: format!("{title} ({}, {} listed)", number(listed.count), bytes(listed.listed_bytes)),
            columns: &REPOSITORY,
            rows: listed.rows.iter().map(repository).collect(),
            more: listed.count.saturating_sub(listed.rows.len() as u64),
        })
    };
    let not_pulled = report.not_pulled.as_ref().map(|pulls| {
        let all = format!("{}, {}", number(pulls.count), bytes(pulls.bytes));
        List {
            title: format!("Enterprise Edition: not pulled for {STALE_DAYS} days ({all})"),
            columns: &NOT_PULLED,
            rows: pulls.rows.iter().map(not_pulled).collect(),
            more: pulls.count.saturating_sub(pulls.rows.len() as u64),
        }
    });
    let lists: Vec<List> = repositories.into_iter().filter_map(of_repositories).chain(not_pulled).collect();
    lists.into_iter().filter(|list| !list.rows.is_empty())
}

/// What each rule would free: the heading, and a row for each rule with the cells of [`RULE`]; `None` without rules.
pub(super) fn rules(report: &Report) -> Option<(String, Vec<Vec<String>>)> {
    let scope = report.only.as_ref().map(|only| format!(", applied to {} alone", name(only)));
    let row = |rule: &RuleReport| {
        let mut cells = frees(rule.rule.to_string(), &rule.total);
        cells.push(share(rule.total.bytes, report.totals.stored_bytes));
        cells
    };
    let title = format!("What each rule would free{}", scope.unwrap_or_default());
    (!report.rules.is_empty()).then(|| (title, report.rules.iter().map(row).collect()))
}

/// The columns of the table of rules.
pub(super) const RULE: [Column; 4] =
    [Column::left("rule"), Column::right("tags"), Column::right("frees"), Column::right("of what is stored")];

/// The columns of tables of what a rule frees and where.
pub(super) fn freeing(what: &'static str) -> [Column; 3] {
    [Column::left(what), Column::right("tags"), Column::right("frees")]
}

/// The rows of a table of what a rule frees and where.
pub(super) fn freed_in(parts: &[FreedIn]) -> Vec<Vec<String>> {
    parts.iter().map(|part| frees(name(&part.name), &part.freed)).collect()
}

/// The cells of something that is freed.
fn frees(name: String, freed: &Freed) -> Vec<String> {
    vec![name, number(freed.tags), bytes(freed.bytes)]
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) is_right: bool,
}

impl Column {
    pub(super) const fn left(title: &'static str) -> Self {
        Self { title, is_right: false }
    }

    pub(super) const fn right(title: &'static str) -> Self {
        Self { title, is_right: true }
    }
}

/// A table with aligned columns, indented by two. The first column is shortened where a line would be wider than `width`.
pub(super) fn table(columns: &[Column], rows: &[Vec<String>], width: usize, out: &mut String) {
    let mut table = Table::new(columns, width);
    rows.iter().for_each(|row| table.fit(row.iter().map(|cell| length(cell))));
    table.titles(out);
    rows.iter().for_each(|row| table.row(row, out));
}

pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

/// A table whose rows are first measured and then written.
pub(super) struct Table<'a> {
    columns: &'a [Column],
    widths: Vec<usize>,
    width: usize,
}

impl<'a> Table<'a> {
    pub(super) fn new(columns: &'a [Column], width: usize) -> Self {
        Self { columns, widths: columns.iter().map(|column| length(column.title)).collect(), width }
    }

    /// Makes room for a row whose cells have these lengths.
    pub(super) fn fit(&mut self, lengths: impl IntoIterator<Item = usize>) {
        self.widths.iter_mut().zip(lengths).for_each(|(width, length)| *width = length.max(*width));
    }

    pub(super) fn titles(&self, out: &mut String) {
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_owned()).collect();
        self.row(&titles, out);
    }

    pub(super) fn row(&self, row: &[String], out: &mut String) {
        let others: usize = self.widths[1..].iter().map(|width| width + 2).sum();
        let first = self.widths[0].min(self.width.saturating_sub(others + 2).max(12));
        let mut line = format!("  {:first$}", shortened(&row[0], first));
        for ((cell, column), width) in row.iter().zip(self.columns).zip(&self.widths).skip(1) {
            let (width, cell) = (*width, cell.as_str());
            let _ = if column.is_right { write!(line, "  {cell:>width$}") } else { write!(line, "  {cell:width$}") };
        }
        *out += line.trim_end();
        out.push('\n');
    }
}

/// A text with its middle left out if it is longer than `width`: the ends of names tell more.
fn shortened(text: &str, width: usize) -> Cow<'_, str> {
    if length(text) <= width {
        return text.into();
    }
    let characters: Vec<char> = text.chars().collect();
    let tail = (width - 1) * 2 / 3;
    let head = width - 1 - tail;
    let characters = characters[..head].iter().chain(['…'].iter()).chain(&characters[characters.len() - tail..]);
    characters.collect::<String>().into()
}

/// Paragraphs of words within `width`.
pub(super) fn wrapped(text: &str, width: usize, out: &mut String) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        }
        *out += word;
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_times_are_short() {
        assert_eq!([share(1, 3), share(0, 3), share(1, 100_000), share(0, 0)], ["33.3 %", "0.0 %", "< 0.1 %", "-"]);
        let ages = [7_300, 172_800].map(|seconds| age(Timestamp(0), Timestamp(seconds * 1_000_000_000)));
        assert_eq!(ages, ["2 hours", "2 days"]);
        assert_eq!(minute(Timestamp(1_700_000_000_000_000_000)), "2023-11-14 22:13 UTC");
    }

    #[test]
    fn tables_fit_and_keep_the_ends_of_names() {
        let mut out = String::new();
        let rows = [
            vec!["team/a-very-long-name-of-a-service/backend".to_owned(), "7".to_owned()],
            vec!["x".to_owned(), "12".to_owned()],
        ];
        table(&[Column::left("repository"), Column::right("tags")], &rows, 32, &mut out);
        assert_eq!(
            out,
            "  repository                tags\n  team/a-v…service/backend     7\n  x                           12\n"
        );
        assert!(out.lines().all(|line| line.chars().count() <= 32));
    }
}
