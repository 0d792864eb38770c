//! Clean-up: what could be deleted, what that would free, and whom to ask.

use crate::dashboard::Dashboard;
use crate::panel::{Kind, Panel, folded, panel, row};
use crate::query::{creators, first, growth};
use crate::tables::{self, FREED, RETENTION, RULE_FREES, SIZE, STALE, TAGS_OFF, repositories};
use crate::variable::Variable;

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-cleanup",
        title: "SWR / Clean-up",
        about: "What could be deleted and what that frees: old tags by clean-up rule, stale and never downloaded repositories, growth without a retention rule.",
        variables: &[Variable::Namespace, Variable::Rule, Variable::StaleAfter, Variable::Period],
        from: "now-30d",
        panels: [now(), rules(), whole_repositories(), tags(), enterprise()].into_iter().flatten().collect(),
    }
}

fn now() -> Vec<Panel> {
    let number =
        |title, about, empty, query: &str| panel(Kind::Stat, title, (3, 4)).about(about, empty).query(query, "");
    let freed = "sum(each(swr_reclaimable_layer_bytes{rule=\"$rule\"}))";
    vec![
        number("Rule frees", "What deleting all tags frees that the selected clean-up rule picks, in all selected accounts. Needs the collector tags.", TAGS_OFF, freed)
            .unit("bytes"),
        number("Share of layers", "The same as a share of all distinct layers. Needs the collector tags.", TAGS_OFF, &format!("{freed} / sum(each(swr_unique_layer_bytes))"))
            .unit("percentunit"),
        number("Tags picked", "Tags that the selected clean-up rule picks. Needs the collector tags.", "none", "sum(repository(swr_repository_reclaimable_tags{rule=\"$rule\"}))"),
        number("No retention", "Repositories without a retention rule of the service. Needs the collector retention.", "none, or collector retention is off", &format!("count({RETENTION} == 0)")),
        number("Stale frees", "Bytes freed at least by deleting all stale repositories; layers that only they share add to it. Needs the collector tags.", "none, or tags is off", &tables::freed_by_stale())
            .unit("bytes"),
        number("Stale", "Repositories that nobody has pushed to for the selected time.", "none", &format!("count({STALE})")),
        number("Not downloaded", "Repositories that hold tags and were never downloaded.", "none", &format!("count({NEVER_DOWNLOADED})")),
        number("Without tags", "Repositories that hold no tags.", "none", "count(repository(swr_repository_images) == 0)"),
    ]
}

fn rules() -> Vec<Panel> {
    let organizations = "organization(swr_namespace_reclaimable_layer_bytes{rule=\"$rule\"})";
    let layers = "organization(swr_namespace_unique_layer_bytes)";
    let endless = format!("({SIZE} and {RETENTION} == 0)");
    let by_rule = |number: &str| first(20, number, RULE_FREES);
    vec![
        row("Clean-up rules"),
        panel(Kind::Lines, "Freed by each rule", (12, 9))
            .about("What each clean-up rule would free in each account. It rises as tags grow old, and falls when they are deleted. Needs the collector tags.", TAGS_OFF)
            .unit("bytes")
            .query("account[rule](swr_reclaimable_layer_bytes)", "{{cluster}} {{job}} {{account}} {{rule}}"),
        panel(Kind::Table, "Organizations by what the rule frees", (12, 9))
            .about("The 20 organizations in which the selected rule frees most, applied to all repositories of the organization at once. Needs the collector tags.", TAGS_OFF)
            .column(&format!("topk(20, {organizations})"), "Rule frees", "bytes")
            .column(&format!("{layers} and topk(20, {organizations})"), "Layers", "bytes")
            .column(&format!("{organizations} / {layers} and topk(20, {organizations})"), "Share", "percentunit"),
        repositories(
            "Repositories by what the rule frees",
            (24, 10),
            "The 20 repositories in which the selected rule frees most, each by itself. *Retention* is the number of retention rules. Needs the collector tags; the retention rules need the collector retention, the creator the collector details.",
            TAGS_OFF,
        )
        .column(&format!("topk(20, {RULE_FREES})"), "Rule frees", "bytes")
        .column(&by_rule(SIZE), "Size", "bytes")
        .column(&by_rule("repository(swr_repository_reclaimable_tags{rule=\"$rule\"})"), "Tags picked", "short")
        .column(&by_rule("repository(swr_repository_images)"), "Tags", "short")
        .column(&by_rule(RETENTION), "Retention", "short")
        .column(&creators(20, RULE_FREES), "", ""),
        repositories(
            "Largest repositories without retention",
            (24, 9),
            "The 20 largest repositories for which the service has no retention rule, and how much they grew in the selected period. Needs the collector retention.",
            "none, or collector retention is off",
        )
        .column(&format!("topk(20, {endless})"), "Size", "bytes")
        .column(&first(20, &growth("repository", "swr_repository_size_bytes"), &endless), "Growth", "bytes")
        .column(&first(20, RULE_FREES, &endless), "Rule frees", "bytes")
        .column(&first(20, "repository(swr_repository_images)", &endless), "Tags", "short")
        .column(&creators(20, &endless), "", ""),
    ]
}

const NEVER_DOWNLOADED: &str = "(repository(swr_repository_size_bytes) and repository(swr_repository_downloads) == 0 and repository(swr_repository_images) > 0)";
const PUBLIC: &str =
    "(repository(swr_repository_size_bytes) and repository(swr_repository_info{visibility=\"public\"}))";

fn whole_repositories() -> Vec<Panel> {
    vec![
        row("Repositories"),
        tables::stale((24, 10), (RULE_FREES, "Rule frees", "bytes")),
        repositories(
            "Repositories by what deleting frees",
            (12, 9),
            "The 20 repositories with the most bytes in layers that no other repository refers to. Needs the collector tags.",
            TAGS_OFF,
        )
        .column(&format!("topk(20, {FREED})"), "Frees", "bytes")
        .column(&first(20, SIZE, FREED), "Size", "bytes"),
        repositories("Never downloaded repositories", (12, 9), "The 20 largest repositories that were never downloaded. The creator needs the collector details.", "none")
            .column(&format!("topk(20, {NEVER_DOWNLOADED})"), "Size", "bytes")
            .column(&creators(20, NEVER_DOWNLOADED), "", ""),
        repositories("Public repositories", (12, 9), "The 20 largest repositories that everybody can pull from.", "none")
            .column(&format!("topk(20, {PUBLIC})"), "Size", "bytes")
            .column(&first(20, "repository(swr_repository_downloads)", PUBLIC), "Downloads", "short"),
        panel(Kind::Lines, "Distinct layers by organization", (12, 9))
            .about("Bytes of distinct layers of the 15 largest organizations. A clean-up that frees storage lowers the line. Needs the collector tags.", TAGS_OFF)
            .unit("bytes")
            .query(
                "organization(swr_namespace_unique_layer_bytes) and topk(15, organization(swr_namespace_unique_layer_bytes @ end()))",
                "{{cluster}} {{job}} {{account}} {{namespace}}",
            ),
    ]
}

/// A legend for each class of ages.
pub const AGES: [(&str, &str); 5] = [
    ("7d", "up to 7 days"),
    ("30d", "up to 30 days"),
    ("90d", "up to 90 days"),
    ("365d", "up to a year"),
    ("older", "older"),
];

/// Tags by the time since they were updated. Over time it reads all chosen repositories for each point.
pub fn tags_by_age(kind: Kind) -> Panel {
    let panel = panel(kind, "Tags by age", (12, 9)).about(
        "Tags by time since their last update. Many old ones call for a retention rule. Needs the collector tags.",
        TAGS_OFF,
    );
    AGES.into_iter().fold(panel, |panel, (age, legend)| {
        panel.query(&format!("sum(each(swr_repository_tags_by_age{{age=\"{age}\"}}))"), legend)
    })
}

fn tags() -> Vec<Panel> {
    let old = "(sum by (namespace, repository, $apart) (repository[age](swr_repository_tags_by_age{age=~\"365d|older\"})) > 0)";
    vec![
        row("Tags"),
        tags_by_age(Kind::Bars),
        repositories(
            "Repositories with the most old tags",
            (12, 9),
            "The 20 repositories with the most tags that were last updated more than 90 days ago. Needs the collector tags.",
            "none, or the collector tags is off",
        )
        .column(&format!("topk(20, {old})"), "Old tags", "short")
        .column(&first(20, "repository(swr_repository_images)", old), "All tags", "short"),
    ]
}

fn enterprise() -> Vec<Panel> {
    const OFF: &str = "none, or collector enterprise.artifacts is off";
    let size = "repository(swr_instance_repository_size_bytes)";
    let pulled = "repository(swr_instance_repository_last_pull_timestamp_seconds)";
    let pushed = "repository(swr_instance_repository_last_push_timestamp_seconds)";
    let unused = format!("({size} and time() - {pulled} > $stale_after)");
    let never = format!("({size} unless {pulled})");
    vec![
        folded("Enterprise Edition"),
        panel(Kind::Table, "Not pulled for ${stale_after:text}", (12, 9))
            .about("The 20 largest repositories of instances that nobody has pulled from for the selected time. Needs the collector enterprise.artifacts.", OFF)
            .column(&format!("topk(20, {unused})"), "Size", "bytes")
            .column(&first(20, &format!("(time() - {pulled})"), &unused), "Not pulled", "s"),
        panel(Kind::Table, "Never pulled", (12, 9))
            .about("The 20 largest repositories of instances that nobody ever pulled from, and how long ago the latest push was. Needs the collector enterprise.artifacts.", OFF)
            .column(&format!("topk(20, {never})"), "Size", "bytes")
            .column(&first(20, &format!("(time() - {pushed})"), &never), "Not pushed", "s"),
    ]
}
