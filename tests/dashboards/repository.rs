//! One repository, or several side by side.

use crate::panel::{Dashboard, Kind, Panel, Variable, panel, row};

const OFF: &str = "no data yet";
const TAGS_OFF: &str = "collector tags is off";
const OVERVIEW: (&str, &str) = ("Show the overview", "/d/swr-overview?${job:queryparam}&${namespace:queryparam}");

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-repository",
        title: "SWR / Repository",
        about: "The chosen repositories: size, tags, downloads, layers, ages. Of many, the lines show the twenty largest.",
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
        .link(OVERVIEW.0, OVERVIEW.1),
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
            "max(one(swr_repository_updated_timestamp_seconds)) * 1000",
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
    let name = "{{namespace}}/{{repository}}";
    let lines =
        |title, about, unit, query| panel(Kind::Lines, title, (12, 8)).about(about, OFF).unit(unit).query(query, name);
    vec![
        row("Over time"),
        lines(
            "Size by repository",
            "The size that the API tells.",
            "bytes",
            "topk(20, one(swr_repository_size_bytes))",
        ),
        lines(
            "Tags by repository",
            "The number of tags that the API tells.",
            "short",
            "topk(20, one(swr_repository_images))",
        ),
        lines(
            "Downloads per hour by repository",
            "How many downloads were added in the hour before. Where the API's count falls, none is shown.",
            "short",
            "topk(20, clamp_min(one(swr_repository_downloads) - one(swr_repository_downloads offset 1h), 0))",
        ),
        lines(
            "Growth in a day by repository",
            "The size less the size of a day before; below zero where tags were deleted.",
            "bytes",
            "topk(20, one(swr_repository_size_bytes) - one(swr_repository_size_bytes offset 1d))",
        ),
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
            .about("What each repository stores, and what deleting it would free.", TAGS_OFF)
            .column(
                "topk(50, max by (namespace, repository) (one(swr_repository_unique_layer_bytes)))",
                "Distinct",
                "bytes",
            )
            .column(
                "topk(50, max by (namespace, repository) (one(swr_repository_exclusive_layer_bytes)))",
                "Exclusive",
                "bytes",
            ),
    ]
}

fn ages() -> Vec<Panel> {
    vec![
        row("Tags"),
        panel(Kind::Stack, "Tags by age", (12, 8))
            .about("Tags by the time since they were updated. Many old ones speak for a retention rule.", TAGS_OFF)
            .query("sum by (age) (one(swr_repository_tags_by_age))", "{{age}}"),
        panel(Kind::Table, "Oldest and newest tags", (12, 8))
            .about("The age of the oldest and of the newest tag of each repository.", TAGS_OFF)
            .column("topk(50, time() - max by (namespace, repository) (one(swr_repository_oldest_tag_timestamp_seconds)))", "Oldest tag", "s")
            .column("topk(50, time() - max by (namespace, repository) (one(swr_repository_newest_tag_timestamp_seconds)))", "Newest tag", "s"),
        panel(Kind::Table, "Largest tags", (12, 8))
            .about("The 50 largest tags, of repositories that have a series a tag (--collector.tags.detail).", "no repository has a series a tag")
            .column("topk(50, max by (namespace, repository, tag) (one(swr_tag_size_bytes)))", "Size", "bytes"),
        panel(Kind::Table, "What it is", (12, 8))
            .about("Category, visibility and age of the chosen repositories, 50 at the most.", OFF)
            .column(
                "topk(50, max by (namespace, repository, category, visibility) (one(swr_repository_info)) * on (namespace, repository) group_left () max by (namespace, repository) (time() - one(swr_repository_created_timestamp_seconds)))",
                "Created before",
                "s",
            ),
    ]
}
