//! The overview: what fires, what grows, who owns it, what is stale.

use crate::dashboard::Dashboard;
use crate::panel::{Kind, Panel, panel, row};
use crate::query::{self, CHOSEN, creators, first, growth, growth_ratio};
use crate::tables::{self, CLEANUP, EXPORTER, FREED, NO_DATA, REPOSITORY, SIZE, TAGS_OFF};
use crate::variable::Variable;

const NAMESPACE_SIZE: &str = "swr_namespace_size_bytes";
const NOTHING_GREW: &str = "nothing grew, or there is no data from the start of the period";

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-overview",
        title: "SWR / Overview",
        about: "The repositories of Huawei Cloud SWR: alerts, growth, owners, stale repositories, totals.",
        variables: &[Variable::Namespace, Variable::Period, Variable::StaleAfter],
        from: "now-7d",
        panels: [now(), organizations(), stale(), usage(), counts(), crate::enterprise::panels()]
            .into_iter()
            .flatten()
            .collect(),
    }
}

/// The first screen: is there anything to do, what grew, and who owns it.
fn now() -> Vec<Panel> {
    vec![
        firing((4, 4)),
        panel(Kind::Stat, "Growth in ${period:text}", (4, 4))
            .about("How much the sizes of all repositories together changed in the selected period. New repositories add their size, deleted ones subtract it. Accounts without data from the start of the period are left out.", "no data from the start of the period")
            .unit("bytes")
            .column(&query::total_growth(NAMESPACE_SIZE), "Growth", "")
            .column(&query::total_growth_ratio(NAMESPACE_SIZE), "Share", "percentunit"),
        panel(Kind::Stat, "Size", (3, 4))
            .about("Sum of the repository sizes that the API reports. A layer that several repositories share counts in each.", NO_DATA)
            .unit("bytes")
            .query("sum(each(swr_namespace_size_bytes))", ""),
        panel(Kind::Stat, "Repositories", (3, 4))
            .about("Number of listed repositories.", NO_DATA)
            .query("sum(each(swr_namespace_repositories))", ""),
        panel(Kind::Stat, "Stale frees", (3, 4))
            .about("Bytes freed at least by deleting all stale repositories. Needs the collector tags.", "none, or tags is off")
            .unit("bytes")
            .link(CLEANUP.0, CLEANUP.1, CLEANUP.2)
            .query(&tables::freed_by_stale(), ""),
        panel(Kind::Stat, "Accounts not OK", (4, 4))
            .about("Accounts whose latest refresh failed, whose data is too old, that were never read, or that are no longer scraped. The exporter dashboard names them.", NO_DATA)
            .yellow_and_red_from(1.0, 1.0)
            .link(EXPORTER.0, EXPORTER.1, EXPORTER.2)
            .query(&query::not_ok(), ""),
        panel(Kind::Stat, "Data age", (3, 4))
            .about("Time since the account with the oldest data was last read.", NO_DATA)
            .unit("s")
            .link(EXPORTER.0, EXPORTER.1, EXPORTER.2)
            .query(&format!("max({})", query::age("account")), "")
            .words(query::NEVER),
        alerts((24, 6)),
        grown((24, 10)),
    ]
}

/// The chosen accounts' and organizations' alerts, and those that belong to no organization.
fn alert_series(metric: &str, matchers: &str) -> String {
    let series = format!("{metric}{{alertname=~\"Swr.+\"{matchers}, {CHOSEN}, namespace=~\"$namespace|\"}}");
    format!("label_join({series}, \"about\", \"\", \"quota\", \"reason\", \"collector\", \"instance\")")
}

const FIRING: &str = ", alertstate=\"firing\"";

fn firing(size: (u64, u64)) -> Panel {
    let count =
        |severity: &str| format!("count({})", alert_series("ALERTS", &format!("{FIRING}, severity=\"{severity}\"")));
    panel(Kind::Stat, "Firing alerts", size)
        .about("Alerts that fire now, by severity. The table below names them. For some minutes after a restart of Prometheus both show too few.", "none")
        .query(&count("critical"), "critical")
        .color("red")
        .query(&count("warning"), "warning")
        .color("orange")
        .query(&count("info"), "info")
        .color("blue")
}

fn alerts(size: (u64, u64)) -> Panel {
    let by = "max by (alertname, namespace, repository, about, $apart)";
    let severity = |rank: &str, matcher: &str| {
        format!("{rank} * {}", alert_series("ALERTS", &format!("{FIRING}, severity{matcher}")))
    };
    let ranks =
        [severity("3", "=\"critical\""), severity("2", "=\"warning\""), severity("1", "!~\"critical|warning\"")];
    let firing = format!("{by} ({})", ranks.join(" or "));
    panel(Kind::Table, "Alerts", size)
        .about(
            "Alerts that fire now. docs/alerts.md explains each, and what to do.",
            "none, or the rules are not loaded",
        )
        .link(REPOSITORY.0, REPOSITORY.1, REPOSITORY.2)
        .column(&firing, "Severity", "short")
        .words(&[("3", "critical", "red"), ("2", "warning", "orange"), ("1", "info", "blue")])
        .column(
            &format!("1000 * {by} ({}) and {firing}", alert_series("ALERTS_FOR_STATE", "")),
            "Since",
            "dateTimeFromNow",
        )
        .sorted_by(&["Severity", "Since"])
}

fn grown(size: (u64, u64)) -> Panel {
    let metric = "swr_repository_size_bytes";
    let by = format!("({} > 0)", growth("repository", metric));
    let column = |number: &str| first(20, number, &by);
    tables::repositories(
        "Repositories that grew most in ${period:text}",
        size,
        "The 20 repositories that grew most in the selected period. The column of freed bytes needs the collector tags, the creator the collector details.",
        NOTHING_GREW,
    )
    .column(&format!("topk(20, {by})"), "Growth", "bytes")
    .column(&column(&growth_ratio("repository", metric)), "Growth %", "percentunit")
    .otherwise("new")
    .column(&column(SIZE), "Size", "bytes")
    .column(&column(FREED), "Deleting frees", "bytes")
    .column(&column("1000 * repository(swr_repository_created_timestamp_seconds)"), "Created", "dateTimeFromNow")
    .column(&creators(20, &by), "", "")
}

/// A line for each of the fifteen largest organizations as of the end, and one for all others.
fn by_organization(kind: Kind, title: &'static str, about: &'static str, number: &str, at_the_end: &str) -> Panel {
    let largest = format!("topk(15, {at_the_end})");
    panel(kind, title, (12, 9))
        .about(about, NO_DATA)
        .query(&format!("({number}) and {largest}"), "{{cluster}} {{job}} {{account}} {{namespace}}")
        .query(&format!("sum(({number}) unless {largest})"), "all others")
}

fn organizations() -> Vec<Panel> {
    let by = growth("organization", NAMESPACE_SIZE);
    let column = |number: &str| first(20, number, &format!("({by})"));
    vec![
        row("Organizations"),
        panel(Kind::Table, "Organizations by growth in ${period:text}", (12, 9))
            .about("The 20 organizations that grew most in the selected period. If none grew, those that shrank least.", "no data from the start of the period")
            .link(REPOSITORY.0, REPOSITORY.1, REPOSITORY.2)
            .column(&format!("topk(20, {by})"), "Growth", "bytes")
            .column(&column(&growth_ratio("organization", NAMESPACE_SIZE)), "Growth %", "percentunit")
            .otherwise("new")
            .column(&column("organization(swr_namespace_size_bytes)"), "Size", "bytes"),
        by_organization(
            Kind::Stack,
            "Size by organization",
            "Sum of the repository sizes of each organization; the 15 largest have their own line. Uses recorded series, which may be kept longer, if the rules are loaded.",
            "organization(namespace:swr_namespace_size_bytes:max) or organization(swr_namespace_size_bytes)",
            "organization(swr_namespace_size_bytes @ end())",
        )
        .unit("bytes"),
    ]
}

fn stale() -> Vec<Panel> {
    vec![row("Stale"), tables::stale((24, 9))]
}

fn usage() -> Vec<Panel> {
    let pulled = "(repository(swr_repository_downloads) - repository(swr_repository_downloads offset $period) > 0)";
    vec![
        row("Size and downloads"),
        tables::repositories("Largest repositories", (12, 9), "The 20 largest repositories.", NO_DATA)
            .column(&format!("topk(20, {SIZE})"), "Size", "bytes")
            .column(&first(20, "repository(swr_repository_images)", SIZE), "Tags", "short"),
        tables::repositories(
            "Most downloaded in ${period:text}",
            (12, 9),
            "The 20 repositories with the most downloads in the selected period.",
            "no downloads, or no data from the start of the period",
        )
        .column(&format!("topk(20, {pulled})"), "Downloads", "short")
        .column(&first(20, "repository(swr_repository_downloads)", pulled), "In total", "short"),
        by_organization(
            Kind::Stack,
            "Downloads per hour by organization",
            "Downloads per hour; the 15 organizations with the most have their own line. Nothing is shown where the API's count falls.",
            "clamp_min(organization(swr_namespace_downloads) - organization(swr_namespace_downloads offset 1h), 0)",
            "organization(swr_namespace_downloads @ end())",
        ),
        panel(Kind::Bars, "Quotas", (12, 9))
            .about("Used share of each quota of the account. Needs the collector account.", "collector account is off")
            .unit("percentunit")
            .yellow_and_red_from(0.75, 0.9)
            .query(
                "account[quota](swr_quota_used) / (account[quota](swr_quota_limit) > 0)",
                "{{cluster}} {{job}} {{account}} {{quota}}",
            ),
    ]
}

fn counts() -> Vec<Panel> {
    let total = |title, query, about| panel(Kind::Stat, title, (6, 4)).about(about, NO_DATA).query(query, "");
    vec![
        row("Counts"),
        total("Tags", "sum(each(swr_namespace_images))", "Tags of all repositories."),
        total("Downloads", "sum(each(swr_namespace_downloads))", "Downloads of all repositories so far."),
        panel(Kind::Stat, "Distinct layers", (6, 4))
            .about("Bytes of all distinct layers, each counted once in an account: what is really stored. Needs the collector tags.", TAGS_OFF)
            .unit("bytes")
            .query("sum(each(swr_unique_layer_bytes))", ""),
        panel(Kind::Stat, "Hidden from this user", (6, 4))
            .about("Repositories that exist but are not listed, because the exporter's user may not see them. Needs the collector account.", "collector account is off")
            .query("sum(each(swr_namespace_unlisted_repositories))", ""),
        by_organization(
            Kind::Lines,
            "Repositories by organization",
            "Listed repositories of each organization; the 15 largest have their own line.",
            "organization(swr_namespace_repositories)",
            "organization(swr_namespace_repositories @ end())",
        ),
        by_organization(
            Kind::Lines,
            "Tags by organization",
            "Tags of each organization; the 15 with the most have their own line.",
            "organization(swr_namespace_images)",
            "organization(swr_namespace_images @ end())",
        ),
    ]
}
