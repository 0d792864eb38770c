//! Clean-up: what could be deleted, what that would free, and whom to ask.

use crate::dashboard::Dashboard;
use crate::panel::{Kind, Panel, panel, row};
use crate::query::{creators, first};
use crate::tables::{self, FREED, SIZE, STALE, TAGS_OFF, repositories};
use crate::variable::Variable;

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-cleanup",
        title: "SWR / Clean-up",
        about: "Candidates for deletion: stale, never downloaded and public repositories, old tags, and what deleting them frees.",
        variables: &[Variable::Namespace, Variable::StaleAfter, Variable::Period],
        from: "now-30d",
        panels: [now(), whole_repositories(), tags()].into_iter().flatten().collect(),
    }
}

fn now() -> Vec<Panel> {
    let number =
        |title, about, empty, query: &str| panel(Kind::Stat, title, (4, 4)).about(about, empty).query(query, "");
    vec![
        number("Stale frees", "Bytes freed at least by deleting all stale repositories; layers that only they share add to it. Needs the collector tags.", "none, or tags is off", &tables::freed_by_stale())
            .unit("bytes"),
        number("Stale repositories", "Repositories that nobody has pushed to for the selected time.", "none", &format!("count({STALE})")),
        number("Size of stale", "Sum of the sizes of the stale repositories. Deleting them frees less if they share layers with others.", "none", &format!("sum({STALE})"))
            .unit("bytes"),
        number("Never downloaded", "Repositories that hold tags and were never downloaded.", "none", &format!("count({NEVER_DOWNLOADED})")),
        number("Without tags", "Repositories that hold no tags.", "none", "count(repository(swr_repository_images) == 0)"),
        number("Tags over a year", "Tags that were last updated more than a year ago. Needs the collector tags.", TAGS_OFF, "sum(repository(swr_repository_tags_by_age{age=\"older\"}))"),
    ]
}

const NEVER_DOWNLOADED: &str = "(repository(swr_repository_size_bytes) and repository(swr_repository_downloads) == 0 and repository(swr_repository_images) > 0)";
const PUBLIC: &str =
    "(repository(swr_repository_size_bytes) and repository(swr_repository_info{visibility=\"public\"}))";

fn whole_repositories() -> Vec<Panel> {
    vec![
        row("Repositories"),
        tables::stale((24, 10)),
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
