//! What several dashboards show: tables of repositories, and links.

use crate::panel::{Kind, Panel, panel};
use crate::query::{creators, first};

/// What a panel says before the first refresh.
pub const NO_DATA: &str = "no data yet";
pub const TAGS_OFF: &str = "collector tags is off";

type Link = (&'static str, &'static str, &'static str);
pub const REPOSITORY: Link = (
    "Show the repository",
    "swr-repository",
    "var-namespace=${__data.fields.namespace}&var-repository=${__data.fields.repository}",
);
pub const EXPORTER: Link = ("Show the exporter", "swr-exporter", "");
pub const CLEANUP: Link = ("Show the clean-up candidates", "swr-cleanup", "${namespace:queryparam}");

pub const SIZE: &str = "repository(swr_repository_size_bytes)";
pub const FREED: &str = "repository(swr_repository_exclusive_layer_bytes)";

/// The sizes of the repositories that nobody has pushed to for the chosen time.
pub const STALE: &str = "(repository(swr_repository_size_bytes) and time() - repository(swr_repository_updated_timestamp_seconds) > $stale_after)";

/// A table of the repositories that come first by one number. Columns are added by [`Panel::column`].
pub fn repositories(title: &'static str, size: (u64, u64), about: &'static str, empty: &'static str) -> Panel {
    panel(Kind::Table, title, size).about(about, empty).link(REPOSITORY.0, REPOSITORY.1, REPOSITORY.2)
}

/// The stale repositories: what each takes up, what deleting it frees, and whom to ask.
pub fn stale(size: (u64, u64)) -> Panel {
    // By what deleting frees; by size where nothing is known of layers.
    let age = "(time() - repository(swr_repository_updated_timestamp_seconds) > $stale_after)";
    let by = format!("(({FREED} or {SIZE}) and {age})");
    let column = |number: &str| first(20, number, &by);
    repositories(
        "Stale repositories, not pushed to for ${stale_after:text}",
        size,
        "The 20 stale repositories whose deletion frees most, or the largest without the collector tags. Deleting several frees at least the sum, because layers that only they share go as well. The creator needs the collector details.",
        "none",
    )
    .column(&column(age), "Not pushed for", "s")
    .column(&column(SIZE), "Size", "bytes")
    .column(&column(FREED), "Deleting frees", "bytes")
    .column(&column("repository(swr_repository_images)"), "Tags", "short")
    .column(
        &column("clamp_min(repository(swr_repository_downloads) - repository(swr_repository_downloads offset $period), 0)"),
        "Downloads",
        "short",
    )
    .column(&creators(20, &by), "", "")
    .sorted_by(&["Deleting frees", "Size"])
}

/// Bytes that go when all stale repositories are deleted.
pub fn freed_by_stale() -> String {
    format!("sum({FREED} and {STALE})")
}
