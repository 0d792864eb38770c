//! One repository, or several side by side.

use crate::dashboard::{Dashboard, Variable};
use crate::panel::{Kind, Panel, panel, row};

const OFF: &str = "no data yet";
const TAGS_OFF: &str = "collector tags is off";
const OVERVIEW: (&str, &str, &str) = ("Show the overview", "swr-overview", "${namespace:queryparam}");

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-repository",
        title: "SWR / Repository",
        about: "The chosen repositories: size, tags, downloads, layers, ages. Of many, the lines show twenty.",
        variables: &[Variable::Namespace, Variable::Repository],
        from: "now-7d",
        panels: [numbers(), course(), layers(), ages()].into_iter().flatten().collect(),
    }
}

fn numbers() -> Vec<Panel> {
    let number = |title, about, empty, unit, query| {
        panel(Kind::Stat, title, (4, 4)).about(about, empty).unit(unit).query(query, "")
    };
    vec![
        row("Now"),
        number(
            "Size",
            "Sum of the sizes of the chosen repositories.",
            OFF,
            "bytes",
            "sum(one(swr_repository_size_bytes))",
        )
        .link(OVERVIEW.0, OVERVIEW.1, OVERVIEW.2),
        number("Tags", "Tags of the chosen repositories.", OFF, "short", "sum(one(swr_repository_images))"),
        number(
            "Downloads",
            "Downloads of the chosen repositories so far.",
            OFF,
            "short",
            "sum(one(swr_repository_downloads))",
        ),
        number(
            "Last push",
            "When one of the chosen repositories was last updated.",
            OFF,
            "dateTimeFromNow",
            "clamp_max(max(one(swr_repository_updated_timestamp_seconds)), time()) * 1000",
        ),
        number(
            "Distinct layers",
            "Bytes of distinct layers, counted once in each repository.",
            TAGS_OFF,
            "bytes",
            "sum(one(swr_repository_unique_layer_bytes))",
        ),
        number(
            "Freed by deleting",
            "Bytes of layers that no other repository refers to.",
            TAGS_OFF,
            "bytes",
            "sum(one(swr_repository_exclusive_layer_bytes))",
        ),
    ]
}

fn course() -> Vec<Panel> {
    // The same twenty throughout: those that come first at the end of what is shown.
    let lines = |title, about, unit, number: &str, by: &str| {
        panel(Kind::Lines, title, (12, 8))
            .about(about, OFF)
            .unit(unit)
            .points(300)
            .query(&format!("{number} and topk(20, {by})"), "{{namespace}}/{{repository}}")
    };
    vec![
        row("Over time"),
        lines(
            "Size by repository",
            "The size that the API tells, of the 20 largest.",
            "bytes",
            "one(swr_repository_size_bytes)",
            "one(swr_repository_size_bytes @ end())",
        ),
        lines(
            "Tags by repository",
            "The number of tags that the API tells, of the 20 with the most.",
            "short",
            "one(swr_repository_images)",
            "one(swr_repository_images @ end())",
        ),
        lines(
            "Downloads per hour by repository",
            "How many downloads were added in the hour before, of the 20 with the most in the time shown. Where the API's count falls, none is shown.",
            "short",
            "clamp_min(one(swr_repository_downloads) - one(swr_repository_downloads offset 1h), 0)",
            "one(swr_repository_downloads @ end()) - one(swr_repository_downloads @ start())",
        ),
        lines(
            "Growth in a day by repository",
            "The size less the size of a day before, of the 20 that changed most in the last day; below zero where tags were deleted.",
            "bytes",
            "one(swr_repository_size_bytes) - one(swr_repository_size_bytes offset 1d)",
            "abs(one(swr_repository_size_bytes @ end()) - one(swr_repository_size_bytes @ end() offset 1d))",
        )
        .signed(),
    ]
}

fn layers() -> Vec<Panel> {
    vec![
        row("Layers"),
        panel(Kind::Lines, "Stored and shared", (12, 8))
            .about(
                "Distinct layers, and of these what no other repository refers to, over the chosen repositories.",
                TAGS_OFF,
            )
            .unit("bytes")
            .query("sum(one(swr_repository_unique_layer_bytes))", "distinct")
            .query("sum(one(swr_repository_exclusive_layer_bytes))", "exclusive"),
        panel(Kind::Table, "Layers by repository", (12, 8))
            .about("What each repository stores, and what deleting it would free, of the 50 that store most.", TAGS_OFF)
            .column(
                &fifty("one(swr_repository_unique_layer_bytes)", "one(swr_repository_unique_layer_bytes)"),
                "Distinct",
                "bytes",
            )
            .column(
                &fifty("one(swr_repository_exclusive_layer_bytes)", "one(swr_repository_unique_layer_bytes)"),
                "Exclusive",
                "bytes",
            ),
    ]
}

/// A number of the fifty repositories that come first by another.
fn fifty(number: &str, by: &str) -> String {
    let each = "max by (account, namespace, repository)";
    format!("{each} ({number}) and topk(50, {each} ({by}))")
}

fn ages() -> Vec<Panel> {
    let oldest = "clamp_min(time() - one(swr_repository_oldest_tag_timestamp_seconds), 0)";
    let newest = "clamp_min(time() - one(swr_repository_newest_tag_timestamp_seconds), 0)";
    let classes = [
        ("7d", "up to 7 days"),
        ("30d", "up to 30 days"),
        ("90d", "up to 90 days"),
        ("365d", "up to a year"),
        ("older", "older"),
    ];
    let by_age = panel(Kind::Stack, "Tags by age", (12, 8))
        .about("Tags by the time since they were updated. Many old ones speak for a retention rule.", TAGS_OFF);
    vec![
        row("Tags"),
        classes.into_iter().fold(by_age, |panel, (age, legend)| {
            panel.query(&format!("sum(one(swr_repository_tags_by_age{{age=\"{age}\"}}))"), legend)
        }),
        panel(Kind::Table, "Oldest and newest tags", (12, 8))
            .about("The age of the oldest and of the newest tag, of the 50 repositories with the oldest.", TAGS_OFF)
            .column(&fifty(oldest, oldest), "Oldest tag", "s")
            .column(&fifty(newest, oldest), "Newest tag", "s"),
        panel(Kind::Table, "Largest tags", (12, 8))
            .about("The 50 largest tags, of repositories that have a series a tag (--collector.tags.detail).", "no repository has a series a tag")
            .column("topk(50, max by (account, namespace, repository, tag) (one(swr_tag_size_bytes)))", "Size", "bytes"),
        panel(Kind::Table, "What it is", (12, 8))
            .about("Category, visibility and age of the chosen repositories, the 50 oldest.", OFF)
            .column(
                "topk(50, max by (account, namespace, repository, category, visibility) (one(swr_repository_info)) * on (account, namespace, repository) group_left () max by (account, namespace, repository) (clamp_min(time() - one(swr_repository_created_timestamp_seconds), 0)))",
                "Age",
                "s",
            ),
    ]
}
