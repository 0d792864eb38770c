//! One repository, or several side by side.

use crate::cleanup::tags_by_age;
use crate::dashboard::Dashboard;
use crate::panel::{Kind, Panel, panel, row};
use crate::query::{creators, first, growth, total_growth, total_growth_ratio};
use crate::tables::{FREED, NO_DATA, SIZE, TAGS_OFF};
use crate::variable::Variable;

const OVERVIEW: (&str, &str, &str) = ("Show the overview", "swr-overview", "${namespace:queryparam}");
const UNIQUE: &str = "repository(swr_repository_unique_layer_bytes)";
const LEGEND: &str = "{{cluster}} {{job}} {{account}} {{namespace}}/{{repository}}";

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-repository",
        title: "SWR / Repository",
        about: "Size, growth, tags, downloads, layers and owners of the selected repositories. Graphs show at most twenty of them.",
        variables: &[Variable::Namespace, Variable::Repository, Variable::Period],
        from: "now-7d",
        panels: [numbers(), history(), layers(), tags()].into_iter().flatten().collect(),
    }
}

fn numbers() -> Vec<Panel> {
    let number = |title, size, about, empty, unit, query| {
        panel(Kind::Stat, title, size).about(about, empty).unit(unit).query(query, "")
    };
    let metric = "swr_repository_size_bytes";
    vec![
        number("Size", (3, 4), "Sum of the sizes of the selected repositories.", NO_DATA, "bytes", "sum(each(swr_repository_size_bytes))")
            .link(OVERVIEW.0, OVERVIEW.1, OVERVIEW.2),
        panel(Kind::Stat, "Growth in ${period:text}", (5, 4))
            .about("How much the sizes of the selected repositories together changed in the selected period. New repositories add their size, deleted ones subtract it. Accounts without data from the start of the period are left out.", "no data from the start of the period")
            .unit("bytes")
            .column(&total_growth(metric), "Growth", "")
            .column(&total_growth_ratio(metric), "Share", "percentunit"),
        number("Tags", (3, 4), "Tags of the selected repositories.", NO_DATA, "short", "sum(each(swr_repository_images))"),
        number("Downloads", (3, 4), "Downloads of the selected repositories so far.", NO_DATA, "short", "sum(each(swr_repository_downloads))"),
        number("Last push", (4, 4), "When one of the selected repositories was last updated.", NO_DATA, "dateTimeFromNow", "clamp_max(max(each(swr_repository_updated_timestamp_seconds)), time()) * 1000"),
        number("Distinct layers", (3, 4), "Bytes of distinct layers, counted once in each repository. Needs the collector tags.", TAGS_OFF, "bytes", "sum(each(swr_repository_unique_layer_bytes))"),
        number("Not shared", (3, 4), "Bytes of layers that no other repository refers to. Deleting all selected repositories frees at least this; layers that only they share add to it. Needs the collector tags.", TAGS_OFF, "bytes", "sum(each(swr_repository_exclusive_layer_bytes))"),
        details(),
    ]
}

fn details() -> Panel {
    panel(Kind::Table, "Repository details", (24, 6))
        .about("Properties of the 50 largest selected repositories. The creator needs the collector details.", NO_DATA)
        .column(&format!("topk(50, {SIZE})"), "Size", "bytes")
        .column(&first(50, "1000 * repository(swr_repository_created_timestamp_seconds)", SIZE), "Created", "dateTimeFromNow")
        .column(&first(50, "clamp_max(repository(swr_repository_updated_timestamp_seconds), time()) * 1000", SIZE), "Last push", "dateTimeFromNow")
        .column(&format!("repository[category, visibility](swr_repository_info) and on (namespace, repository, $apart) topk(50, {SIZE})"), "", "")
        .column(&creators(50, SIZE), "", "")
}

fn history() -> Vec<Panel> {
    // The same twenty throughout: those that come first at the end of what is shown.
    let lines = |title, about, unit, number: &str, by: &str| {
        panel(Kind::Lines, title, (12, 9))
            .about(about, NO_DATA)
            .unit(unit)
            .points(200)
            .query(&format!("({number}) and topk(20, {by})"), LEGEND)
    };
    let metric = "swr_repository_size_bytes";
    let now = "repository(swr_repository_size_bytes @ end())";
    let before = "repository(swr_repository_size_bytes @ end() offset $period)";
    vec![
        row("Over time"),
        lines("Size by repository", "The size that the API reports, of the 20 largest.", "bytes", SIZE, now),
        lines(
            "Growth in ${period:text} by repository",
            "The size minus the size at the start of the selected period, of the 20 that changed most. Below zero if tags were deleted.",
            "bytes",
            &growth("repository", metric),
            &format!("abs({now} - ({before} or {now} * 0))"),
        )
        .signed(),
        lines(
            "Tags by repository",
            "The number of tags that the API reports, of the 20 with the most.",
            "short",
            "repository(swr_repository_images)",
            "repository(swr_repository_images @ end())",
        ),
        lines(
            "Downloads per hour by repository",
            "Downloads per hour of the 20 with the most. Nothing is shown where the API's count falls.",
            "short",
            "clamp_min(repository(swr_repository_downloads) - repository(swr_repository_downloads offset 1h), 0)",
            "repository(swr_repository_downloads @ end()) - repository(swr_repository_downloads @ start())",
        ),
    ]
}

fn layers() -> Vec<Panel> {
    vec![
        row("Layers"),
        panel(Kind::Lines, "Distinct and exclusive layers", (12, 9))
            .about("Distinct layers of the selected repositories, and the part that no other repository refers to. Needs the collector tags.", TAGS_OFF)
            .unit("bytes")
            .points(200)
            .query("sum(each(swr_repository_unique_layer_bytes))", "distinct")
            .query("sum(each(swr_repository_exclusive_layer_bytes))", "exclusive"),
        panel(Kind::Table, "Layers by repository", (12, 9))
            .about("Stored bytes, and bytes freed by deleting, of the 50 repositories that store most. Needs the collector tags.", TAGS_OFF)
            .column(&format!("topk(50, {UNIQUE})"), "Distinct", "bytes")
            .column(&first(50, FREED, UNIQUE), "Exclusive", "bytes"),
    ]
}

fn tags() -> Vec<Panel> {
    let oldest = "clamp_min(time() - repository(swr_repository_oldest_tag_timestamp_seconds), 0)";
    let newest = "clamp_min(time() - repository(swr_repository_newest_tag_timestamp_seconds), 0)";
    vec![
        row("Tags"),
        tags_by_age(Kind::Stack).points(200),
        panel(Kind::Table, "Oldest and newest tags", (12, 9))
            .about("The age of the oldest and of the newest tag, of the 50 repositories with the oldest. Needs the collector tags.", TAGS_OFF)
            .column(&format!("topk(50, {oldest})"), "Oldest tag", "s")
            .column(&first(50, newest, oldest), "Newest tag", "s"),
        panel(Kind::Table, "Largest tags", (24, 8))
            .about("The 50 largest tags, of repositories with series for each tag (--collector.tags.detail).", "no repository has a series a tag")
            .column("topk(50, repository[tag](swr_tag_size_bytes))", "Size", "bytes")
            .column("1000 * repository[tag](swr_tag_updated_timestamp_seconds) and topk(50, repository[tag](swr_tag_size_bytes))", "Last push", "dateTimeFromNow"),
    ]
}
