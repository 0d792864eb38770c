//! The overview: how much there is, what grows, what is odd.

use crate::dashboard::{Dashboard, Variable};
use crate::panel::{Kind, Panel, panel, row};

const OFF: &str = "no data yet";
const REPOSITORY: (&str, &str, &str) = (
    "Show the repository",
    "swr-repository",
    "var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}",
);
const EXPORTER: (&str, &str, &str) = ("Show the exporter", "swr-exporter", "");

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-overview",
        title: "SWR / Overview",
        about: "The repositories of Huawei Cloud SWR: totals, growth, the largest, the public, the stale.",
        variables: &[Variable::Namespace],
        from: "now-7d",
        panels: [now(), growth(), repositories(), attention(), crate::enterprise::panels()]
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn now() -> Vec<Panel> {
    let total =
        |title, query, unit, about| panel(Kind::Stat, title, (3, 4)).about(about, OFF).unit(unit).query(query, "");
    vec![
        row("Now"),
        total("Repositories", "sum(one(swr_namespace_repositories))", "short", "Repositories listed."),
        total(
            "Size",
            "sum(one(swr_namespace_size_bytes))",
            "bytes",
            "Sum of the sizes that the API tells of each repository; layers that repositories share count once for each.",
        ),
        total("Tags", "sum(one(swr_namespace_images))", "short", "Tags of all repositories."),
        total("Downloads", "sum(one(swr_namespace_downloads))", "short", "Downloads of all repositories so far."),
        panel(Kind::Stat, "Public repositories", (3, 4))
            .about("Repositories that everybody can pull from; the table below names them.", "none")
            .query("count(one(swr_repository_info{visibility=\"public\"}))", ""),
        panel(Kind::Stat, "Firing alerts", (3, 4))
            .about("Alerts of the rules that come with these dashboards; the table below names them.", "none")
            .yellow_and_red_from(1.0, 10.0)
            .query("count(ALERTS{alertname=~\"Swr.+\", alertstate=\"firing\", job=~\"$job\", account=~\"$account\"})", ""),
        total("Complete", "min(one(swr_up))", "bool_yes_no", "Whether the latest refresh of every account was complete.")
            .yellow_and_red_below(1.0, 1.0)
            .link(EXPORTER.0, EXPORTER.1, EXPORTER.2),
        total(
            "Age of the data",
            "max(clamp_min(time() - one(swr_snapshot_timestamp_seconds), 0))",
            "s",
            "Time since the repositories were last read, of the account that waits for longest. The exporter dashboard says why.",
        )
        .yellow_and_red_from(900.0, 3600.0)
        .link(EXPORTER.0, EXPORTER.1, EXPORTER.2),
    ]
}

/// A line for each of the fifteen largest organisations as of the end, and one for all others.
fn by_organisation(
    kind: Kind,
    title: &'static str,
    about: &'static str,
    empty: &'static str,
    sum: &str,
    at_the_end: &str,
) -> Panel {
    let all = format!("sum by (namespace) ({sum})");
    let largest = format!("topk(15, sum by (namespace) ({at_the_end}))");
    panel(kind, title, (12, 8))
        .about(about, empty)
        .query(&format!("{all} and {largest}"), "{{namespace}}")
        .query(&format!("sum({all} unless {largest})"), "all others")
}

fn growth() -> Vec<Panel> {
    let grown = |title, query: &str, empty| {
        panel(Kind::Stat, title, (4, 4))
            .about("By how much the sizes of all organisations together changed. Organisations that are new since then do not count.", empty)
            .unit("bytes")
            .query(query, "")
    };
    let since = |time| format!("sum(one(swr_namespace_size_bytes) - one(swr_namespace_size_bytes offset {time}))");
    vec![
        row("Growth"),
        grown("Growth in a day", &since("1d"), "needs a day of history"),
        grown("Growth in a week", &since("7d"), "needs a week of history"),
        grown("Growth in a month", &since("30d"), "needs a month of history"),
        panel(Kind::Stat, "Stored layers", (4, 4))
            .about("Bytes of all distinct layers of the account, each counted once: what is really stored. Needs the collector tags.", "collector tags is off")
            .unit("bytes")
            .query("sum(one(swr_unique_layer_bytes))", ""),
        panel(Kind::Bars, "Quotas", (8, 4))
            .about("Share of each quota of the account that is used. Needs the collector account.", "collector account is off")
            .unit("percentunit")
            .yellow_and_red_from(0.75, 0.9)
            .query("one(swr_quota_used) / (one(swr_quota_limit) > 0)", "{{quota}} {{account}}"),
        by_organisation(
            Kind::Stack,
            "Size by organisation",
            "Sum of the sizes of each organisation's repositories, the 15 largest by themselves. Where the recording rules are loaded, their series are used, which may be kept for longer.",
            OFF,
            "one(namespace:swr_namespace_size_bytes:max) or one(swr_namespace_size_bytes)",
            "one(swr_namespace_size_bytes @ end())",
        )
        .unit("bytes"),
        by_organisation(
            Kind::Stack,
            "Downloads per hour by organisation",
            "How many downloads were added in the hour before, the 15 organisations with the most downloads by themselves. Where the API's count falls, none is shown.",
            "needs an hour of history",
            "clamp_min(one(swr_namespace_downloads) - one(swr_namespace_downloads offset 1h), 0)",
            "one(swr_namespace_downloads @ end())",
        ),
        by_organisation(
            Kind::Lines,
            "Repositories by organisation",
            "Repositories listed of each organisation, the 15 largest by themselves.",
            OFF,
            "one(swr_namespace_repositories)",
            "one(swr_namespace_repositories @ end())",
        ),
        by_organisation(
            Kind::Lines,
            "Tags by organisation",
            "Tags of each organisation's repositories, the 15 largest by themselves.",
            OFF,
            "one(swr_namespace_images)",
            "one(swr_namespace_images @ end())",
        ),
    ]
}

/// A table of the first repositories by one number, with other numbers of the same ones.
fn first(
    title: &'static str,
    about: &'static str,
    empty: &'static str,
    by: &str,
    name: &'static str,
    unit: &'static str,
) -> Panel {
    panel(Kind::Table, title, (12, 10)).about(about, empty).link(REPOSITORY.0, REPOSITORY.1, REPOSITORY.2).column(
        &format!("topk(20, max by (account, namespace, repository) ({by}))"),
        name,
        unit,
    )
}

/// A number of the repositories that another query chooses.
fn of(metric: &str, by: &str) -> String {
    let each = "max by (account, namespace, repository)";
    format!("{each} ({metric}) and topk(20, {each} ({by}))")
}

fn repositories() -> Vec<Panel> {
    let size = "one(swr_repository_size_bytes)";
    let grown = "one(swr_repository_size_bytes) - one(swr_repository_size_bytes offset 1d) > 0";
    let pulled = "one(swr_repository_downloads) - one(swr_repository_downloads offset 7d) > 0";
    vec![
        row("Repositories"),
        first("Largest repositories", "The 20 largest repositories.", OFF, size, "Size", "bytes")
            .column(&of("one(swr_repository_images)", size), "Tags", "short")
            .column(&of("one(swr_repository_downloads)", size), "Downloads", "short"),
        first("Fastest-growing repositories", "The 20 repositories that grew most in a day.", "nothing grew, or a day of history is missing", grown, "Growth in a day", "bytes")
            .column(&of(size, grown), "Size", "bytes"),
        first("Most downloaded repositories", "The 20 repositories with the most downloads in a week.", "no downloads, or a week of history is missing", pulled, "Downloads in a week", "short")
            .column(&of("one(swr_repository_downloads)", pulled), "Downloads so far", "short"),
        first(
            "Largest share of its own",
            "The 20 repositories whose deletion would free most: layers that no other repository refers to. Needs the collector tags.",
            "collector tags is off",
            "one(swr_repository_exclusive_layer_bytes)",
            "Freed by deleting",
            "bytes",
        )
        .column(&of(size, "one(swr_repository_exclusive_layer_bytes)"), "Size", "bytes"),
    ]
}

fn attention() -> Vec<Panel> {
    // 180 days.
    let stale = "one(swr_repository_size_bytes) and time() - one(swr_repository_updated_timestamp_seconds) > 15552000";
    let public = "one(swr_repository_size_bytes) and ignoring (category, visibility) one(swr_repository_info{visibility=\"public\"})";
    vec![
        row("Worth a look"),
        panel(Kind::Stat, "Stale repositories", (6, 4))
            .about("Repositories that nobody has pushed to for 180 days.", "none")
            .query(&format!("count({stale})"), ""),
        panel(Kind::Stat, "Size of stale repositories", (6, 4))
            .about("What the repositories that nobody has pushed to for 180 days take up.", "none")
            .unit("bytes")
            .query(&format!("sum({stale})"), ""),
        panel(Kind::Stat, "Repositories without tags", (6, 4))
            .about("Repositories that were created and hold nothing.", "none")
            .query("count(one(swr_repository_images) == 0)", ""),
        panel(Kind::Stat, "Repositories out of sight", (6, 4))
            .about("Repositories that their organisations count and the listing does not show: the exporter's user may not see them. Needs the collector account.", "collector account is off")
            .query("sum(one(swr_namespace_unlisted_repositories))", ""),
        first("Largest stale repositories", "The 20 largest repositories that nobody has pushed to for 180 days.", "none", stale, "Size", "bytes")
            .column(&of("time() - one(swr_repository_updated_timestamp_seconds)", stale), "Not pushed for", "s"),
        first("Largest public repositories", "The 20 largest repositories that everybody can pull from.", "none", public, "Size", "bytes")
            .column(&of("one(swr_repository_downloads)", public), "Downloads", "short"),
        panel(Kind::Table, "Alerts", (24, 8))
            .about("What fires now. docs/alerts.md says what to do about each.", "none, or the rules are not loaded")
            .link(REPOSITORY.0, REPOSITORY.1, REPOSITORY.2)
            .column(
                "max by (alertname, severity, account, namespace, repository, quota, reason, collector, instance) (ALERTS{alertname=~\"Swr.+\", alertstate=\"firing\", job=~\"$job\", account=~\"$account\"})",
                "",
                "short",
            ),
    ]
}
