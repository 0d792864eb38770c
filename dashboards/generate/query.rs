//! PromQL with shorthands: metrics are narrowed to the chosen variables, and replicas are aggregated away.

use crate::variable::Variable;

/// Labels that tell replicas of one exporter apart.
const REPLICA: &str = "instance, pod, node, replica";

/// Labels that tell accounts apart. Each has a hidden variable `by_<label>`, which is empty while one value is chosen:
/// then tables and legends do without the label.
pub const APART: [&str; 3] = ["cluster", "job", "account"];

/// The matchers of everything that belongs to an account.
pub const CHOSEN: &str = "cluster=~\"$cluster\", job=~\"$job\", account=~\"$account\"";

/// What each shorthand aggregates by, before the labels that tell accounts apart.
const LEVELS: [(&str, Option<&str>); 4] = [
    ("each", None),
    ("account", Some("")),
    ("organization", Some("namespace, ")),
    ("repository", Some("namespace, repository, ")),
];

/// Writes the shorthands out:
///
/// - `each(metric)`: the largest over the replicas, with all other labels; for sums over accounts;
/// - `account(metric)`, `organization(metric)`, `repository(metric)`: the largest by the labels of that level, of which
///   those of the account appear only where several are chosen; for tables and lines;
/// - `repository[creator](metric)`: the same with further labels;
/// - `account(metric[1d])`: the same of the last value in a day;
/// - `$apart`: the labels that tell the chosen accounts apart.
pub fn expand(query: &str, variables: &[Variable]) -> String {
    let mut text = String::new();
    let mut rest = query;
    while let Some((at, by, labels, after)) = next_shorthand(rest) {
        let end = after.find(|c: char| !is_part_of_a_name(c)).expect("a metric ends before its parenthesis does");
        let (metric, more) = after.split_at(end);
        let (matchers, more) = match more.strip_prefix('{').and_then(|more| more.split_once('}')) {
            Some((own, more)) => (format!(", {own}"), more),
            None => (String::new(), more),
        };
        text += &rest[..at];
        text += &match by {
            None => format!("max without ({REPLICA})"),
            Some(by) => format!("max by ({by}{labels}$apart)"),
        };
        let selected = format!("{metric}{{{}{matchers}}}", selector(metric, variables));
        (text, rest) = match more.strip_prefix('[').and_then(|more| more.split_once(']')) {
            Some((range, more)) => (format!("{text} (last_over_time({selected}[{range}])"), more),
            None => (format!("{text} ({selected}"), more),
        };
    }
    text += rest;
    let apart: String = APART.map(|label| format!("$by_{label}")).concat();
    text.replace("$apart", &apart)
}

/// The first shorthand: where it is, what it aggregates by, its further labels, and what follows its parenthesis.
fn next_shorthand(text: &str) -> Option<(usize, Option<&'static str>, String, &str)> {
    let found = LEVELS.iter().flat_map(|(name, by)| text.match_indices(name).map(move |(at, _)| (at, *name, *by)));
    let mut found: Vec<_> = found.filter(|(at, ..)| !text[..*at].ends_with(is_part_of_a_name)).collect();
    found.sort_unstable_by_key(|(at, ..)| *at);
    found.into_iter().find_map(|(at, name, by)| {
        let after = &text[at + name.len()..];
        let (labels, after) = match after.strip_prefix('[') {
            Some(after) => after.split_once(']').map(|(labels, after)| (format!("{labels}, "), after))?,
            None => (String::new(), after),
        };
        Some((at, by, labels, after.strip_prefix('(').filter(|after| after.starts_with(is_part_of_a_name))?))
    })
}

fn selector(metric: &str, variables: &[Variable]) -> String {
    let mut selector = CHOSEN.to_owned();
    let of = |level: &str| metric.contains(level);
    let of_repository = of("swr_repository_") || of("swr_tag_");
    if (of_repository || of("swr_namespace_")) && variables.contains(&Variable::Namespace) {
        selector += ", namespace=~\"$namespace\"";
    }
    if of_repository && variables.contains(&Variable::Repository) {
        selector += ", repository=~\"$repository\"";
    }
    selector
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The accounts that were read both now and at the start of the period: without a past, all would look new.
const WITH_A_PAST: &str = "account(swr_repositories) and account(swr_repositories offset $period)";

/// The growth of each repository or organization that exists, in bytes. One that is new has grown by its whole size.
pub fn growth(level: &str, metric: &str) -> String {
    let (now, before) = (format!("{level}({metric})"), format!("{level}({metric} offset $period)"));
    format!("(({now} - ({before} or {now} * 0)) and on ($apart) ({WITH_A_PAST}))")
}

/// The growth as a share of the size before. One that is new has none.
pub fn growth_ratio(level: &str, metric: &str) -> String {
    let (now, before) = (format!("{level}({metric})"), format!("{level}({metric} offset $period)"));
    format!("{now} / ({before} > 0) - 1")
}

/// Sizes at the start of the period, summed over what still exists, what is new and what is gone; and the same now.
fn totals(metric: &str) -> [String; 2] {
    let labels = if metric.contains("repository") { "namespace, repository" } else { "namespace" };
    let (now, before) = (format!("each({metric})"), format!("each({metric} offset $period)"));
    let gate = format!("and ignoring ({labels}) (each(swr_repositories) and each(swr_repositories offset $period))");
    [format!("sum(({before} or {now} * 0) {gate})"), format!("sum(({now} or {before} * 0) {gate})")]
}

/// How much a sum of sizes grew: what is new counts, and what is gone as well.
pub fn total_growth(metric: &str) -> String {
    let [before, now] = totals(metric);
    format!("{now} - {before}")
}

/// The same as a share of the sum before.
pub fn total_growth_ratio(metric: &str) -> String {
    let [before, now] = totals(metric);
    format!("{now} / ({before} > 0) - 1")
}

/// The number of each repository among the `count` that come first by `by`.
pub fn first(count: u8, number: &str, by: &str) -> String {
    format!("{number} and topk({count}, {by})")
}

/// The creator of each repository among the `count` that come first by `by`, as a label.
pub fn creators(count: u8, by: &str) -> String {
    format!(
        "repository[creator](swr_repository_details_info) and on (namespace, repository, $apart) topk({count}, {by})"
    )
}

/// The age of each account's data, which is infinite where there is none.
pub fn age(level: &str) -> String {
    format!("clamp_min(time() - {level}(swr_snapshot_timestamp_seconds), 0) or {level}(swr_up) + Inf")
}

/// The accounts whose data is too old. The recording rules decide, or their defaults where they are not loaded.
fn stale(level: &str) -> String {
    let age = format!("time() - {level}(swr_snapshot_timestamp_seconds)");
    let recorded = "account(account:swr_snapshot_timestamp_seconds:age)";
    let fresh = "account(account:swr_snapshot_timestamp_seconds:fresh)";
    let limit = format!("clamp_min(3 * {level}(swr_cache_window_seconds), 900)");
    format!("(({age}) and on ($apart) ({recorded} unless {fresh}) or ({age} > {limit}) unless on ($apart) {recorded})")
}

/// What each account is like; [`STATES`] has the words.
pub fn state(level: &str) -> String {
    let up = format!("{level}(swr_up)");
    let never = format!("({up} unless {level}(swr_snapshot_timestamp_seconds))");
    format!("{never} * 0 + 3 or {} * 0 + 2 or 1 - {up} or {level}(swr_up[1d]) * 0 + 4", stale(level))
}

/// How many accounts are not OK.
pub fn not_ok() -> String {
    format!("sum(({}) > bool 0)", state("account"))
}

/// The values of [`state`].
pub const STATES: &[(&str, &str, &str)] = &[
    ("0", "OK", "green"),
    ("1", "refresh failed", "orange"),
    ("2", "stale", "red"),
    ("3", "never read", "red"),
    ("4", "not scraped", "red"),
];

/// What an infinite age means.
pub const NEVER: &[(&str, &str, &str)] = &[("Infinity", "never read", "red")];

#[test]
fn a_metric_is_narrowed_to_what_is_chosen() {
    let chosen = "cluster=~\"$cluster\", job=~\"$job\", account=~\"$account\"";
    let apart = "$by_cluster$by_job$by_account";
    for (shorthand, written) in [
        ("each(swr_up)", format!("max without (instance, pod, node, replica) (swr_up{{{chosen}}})")),
        ("account(swr_up[1d])", format!("max by ({apart}) (last_over_time(swr_up{{{chosen}}}[1d]))")),
        ("1 - account(swr_up offset 1d)", format!("1 - max by ({apart}) (swr_up{{{chosen}}} offset 1d)")),
        (
            "sum by (namespace, $apart) (organization(swr_namespace_images))",
            format!(
                "sum by (namespace, {apart}) (max by (namespace, {apart}) \
                 (swr_namespace_images{{{chosen}, namespace=~\"$namespace\"}}))"
            ),
        ),
        (
            "repository[creator](swr_repository_info{visibility=\"public\"})",
            format!(
                "max by (namespace, repository, creator, {apart}) (swr_repository_info{{{chosen}, \
                 namespace=~\"$namespace\", repository=~\"$repository\", visibility=\"public\"}})"
            ),
        ),
    ] {
        assert_eq!(expand(shorthand, &[Variable::Namespace, Variable::Repository]), written);
    }
}
