//! The exporter itself: is the data fresh, what does it ask of the API, what does it cost.

use crate::dashboard::{Dashboard, Variable};
use crate::panel::{Kind, Panel, panel, row};

const OFF: &str = "no data yet";
const NONE: &str = "none";

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-exporter",
        title: "SWR / Exporter",
        about: "Freshness, calls, errors, throttling and costs of swr-exporter, a line a replica.",
        variables: &[Variable::Instance],
        from: "now-6h",
        panels: [state(), collection(), calls(), scrapes(), process()].into_iter().flatten().collect(),
    }
}

/// The exporter's own series have no account, which is part of all of them.
const CHOSEN: &str = "job=~\"$job\", account=~\"$account\", instance=~\"$instance\"";

/// A metric of the chosen instances.
fn of(metric: &str) -> String {
    format!("{metric}{{{CHOSEN}}}")
}

fn rate(metric: &str) -> String {
    format!("rate({}[$__rate_interval])", of(metric))
}

fn state() -> Vec<Panel> {
    let stat = |title, about, unit, query: String| {
        panel(Kind::Stat, title, (4, 4)).about(about, OFF).unit(unit).query(&query, "")
    };
    vec![
        row("State"),
        stat(
            "Complete",
            "Whether the latest refresh of every account was complete.",
            "bool_yes_no",
            format!("min({})", of("swr_up")),
        )
        .yellow_and_red_below(1.0, 1.0),
        stat(
            "Age of the data",
            "Time since the data of the slowest account was read.",
            "s",
            format!("max(clamp_min(time() - {}, 0))", of("swr_snapshot_timestamp_seconds")),
        )
        .yellow_and_red_from(900.0, 3600.0)
        .link("Show the overview", "swr-overview", ""),
        stat(
            "Series",
            "Series of repositories and organisations on the largest page; compare with the sample_limit of the scrape configuration.",
            "short",
            format!("max({})", of("swr_exporter_page_series")),
        ),
        panel(Kind::Stat, "Credential ends in", (4, 4))
            .about(
                "Time until the credential in use expires. It is renewed when five minutes are left.",
                "never, or not known",
            )
            .unit("s")
            .yellow_and_red_below(300.0, 240.0)
            .query(&format!("min({} - time())", of("swr_credential_expiry_timestamp_seconds")), ""),
        stat(
            "Calls held back",
            "Whether calls are held back because the API failed repeatedly.",
            "bool_yes_no",
            format!("max({})", of("swr_api_circuit_open")),
        )
        .yellow_and_red_from(1.0, 1.0),
        stat(
            "Clock skew",
            "How far the API's clock is from that of an exporter, ahead or behind. Signatures fail from 15 minutes on, unless they are made by the API's clock, as they are once one was refused.",
            "s",
            format!("max(abs({}))", of("swr_api_clock_skew_seconds")),
        )
        .yellow_and_red_from(60.0, 900.0),
    ]
}

fn collection() -> Vec<Panel> {
    vec![
        row("Collection"),
        panel(Kind::Lines, "Age of the data by instance", (12, 8))
            .about("Time since the data was read. It swings up to the caching window and the time of a refresh.", OFF)
            .unit("s")
            .query(&format!("time() - {}", of("swr_snapshot_timestamp_seconds")), "{{instance}} {{account}}")
            .query(&format!("max({})", of("swr_cache_window_seconds")), "caching window"),
        panel(Kind::Lines, "Time of a refresh", (12, 8))
            .about("How long the latest refresh took.", OFF)
            .unit("s")
            .query(&of("swr_refresh_duration_seconds"), "{{instance}} {{account}}"),
        panel(Kind::Lines, "Refreshes per hour", (8, 8))
            .about("Refreshes that ended, and of these the failed ones by reason.", OFF)
            .query(&format!("3600 * sum({})", rate("swr_refreshes_total")), "all")
            .query(&format!("3600 * sum by (reason) ({}) > 0", rate("swr_refresh_failures_total")), "failed: {{reason}}"),
        panel(Kind::States, "Collectors", (8, 8))
            .about("Whether the latest read of each collector was complete.", OFF)
            .query(&format!("min by (collector) ({})", of("swr_collector_up")), "{{collector}}"),
        panel(Kind::Lines, "Tags pending", (8, 8))
            .about("Repositories whose tags are known to be out of date. Needs the collector tags.", "collector tags is off")
            .query(&of("swr_tags_pending"), "{{instance}} {{account}}"),
        panel(Kind::Lines, "Signs of a list that moved", (12, 8))
            .about("What was noticed while lists were read, per hour. It is dealt with; much of it makes refreshes longer.", NONE)
            .query(&format!("3600 * sum by (kind) ({})", rate("swr_listing_inconsistencies_total")), "{{kind}}"),
        panel(Kind::Lines, "Values left out", (12, 8))
            .about("Values of the API that could not be understood, per hour.", NONE)
            .query(&format!("3600 * sum by (reason) ({})", rate("swr_samples_dropped_total")), "{{reason}}"),
    ]
}

fn calls() -> Vec<Panel> {
    vec![
        row("Calls of the API"),
        panel(Kind::Stack, "Calls per minute", (12, 8))
            .about("Requests sent, by operation.", OFF)
            .query(&format!("60 * sum by (operation) ({})", rate("swr_api_requests_total")), "{{operation}}"),
        panel(Kind::Lines, "Share of calls that failed", (12, 8))
            .about("Share of requests with another status than 2xx, by status; none where no answer came.", NONE)
            .unit("percentunit")
            .query(
                &format!("sum by (code) (rate(swr_api_requests_total{{{CHOSEN}, code!~\"2..\"}}[$__rate_interval])) / ignoring (code) group_left () sum(rate(swr_api_requests_total{{{CHOSEN}}}[$__rate_interval]))"),
                "{{code}}",
            ),
        panel(Kind::Heat, "Latency", (12, 8))
            .about("Time from sending a request to the end of its answer.", OFF)
            .unit("s")
            .query(&format!("sum by (le) (increase({}[$__rate_interval]))", of("swr_api_request_duration_seconds_bucket")), "{{le}}"),
        panel(Kind::Lines, "Latency, 99 of 100", (12, 8))
            .about("The time within which 99 of 100 requests ended, by operation.", OFF)
            .unit("s")
            .query(&format!("histogram_quantile(0.99, sum by (le, operation) ({}))", rate("swr_api_request_duration_seconds_bucket")), "{{operation}}"),
        panel(Kind::Lines, "Throttling", (12, 8))
            .about("Seconds per second that requests waited for the rate limit or because the API asked for a pause.", OFF)
            .unit("percentunit")
            .query(&format!("sum({})", rate("swr_api_throttle_wait_seconds_total")), "waiting"),
        panel(Kind::Lines, "Retries per hour", (12, 8))
            .about("Requests that were sent again after a failure, by operation.", NONE)
            .query(&format!("3600 * sum by (operation) ({})", rate("swr_api_retries_total")), "{{operation}}"),
    ]
}

fn scrapes() -> Vec<Panel> {
    vec![
        row("Scrapes"),
        panel(Kind::Stack, "Scrapes per minute", (8, 8))
            .about("Scrapes by what they were given: data inside its window, data refreshed for them, older data, or none.", OFF)
            .query(&format!("60 * sum by (served) ({})", rate("swr_scrapes_total")), "{{served}}"),
        panel(Kind::Lines, "Turned away per hour", (8, 8))
            .about("Scrapes refused with 503, connections closed or not accepted, and answers that ended in a fault.", NONE)
            .query(&format!("3600 * sum({})", rate("swr_exporter_scrapes_refused_total")), "refused")
            .query(&format!("3600 * sum by (reason) ({})", rate("swr_exporter_connections_closed_total")), "closed: {{reason}}")
            .query(&format!("3600 * sum({})", rate("swr_exporter_accept_errors_total")), "not accepted")
            .query(&format!("3600 * sum({})", rate("swr_exporter_handler_panics_total")), "faults"),
        panel(Kind::Lines, "Size of the page", (8, 8))
            .about("Bytes of the page before compression; compare with the body_size_limit of the scrape configuration.", OFF)
            .unit("bytes")
            .query(&of("swr_exporter_page_bytes"), "{{instance}} {{account}}"),
    ]
}

fn process() -> Vec<Panel> {
    vec![
        row("Process"),
        panel(Kind::Lines, "Memory", (8, 8))
            .about("Resident memory of the process.", OFF)
            .unit("bytes")
            .query(&of("process_resident_memory_bytes"), "{{instance}}"),
        panel(Kind::Lines, "CPU", (8, 8))
            .about("Cores in use.", OFF)
            .query(&rate("process_cpu_seconds_total"), "{{instance}}"),
        panel(Kind::Lines, "Open files", (8, 8))
            .about("Open file descriptors, most of them connections.", OFF)
            .query(&of("process_open_fds"), "{{instance}}"),
        panel(Kind::Table, "Versions", (12, 6)).about("Version, revision and compiler of each exporter.", OFF).column(
            &format!("max by (instance, version, revision, rustversion) ({})", of("swr_exporter_build_info")),
            "",
            "short",
        ),
        panel(Kind::Table, "Settings", (12, 6))
            .about("Whether settings and web configuration could be read when they were last read.", OFF)
            .column(
                &format!("max by (instance) ({})", of("swr_exporter_config_last_reload_successful")),
                "Settings good",
                "bool_yes_no",
            )
            .column(
                &format!(
                    "time() - max by (instance) ({})",
                    of("swr_exporter_config_last_reload_success_timestamp_seconds")
                ),
                "Read before",
                "s",
            )
            .column(
                &format!("max by (instance) ({})", of("swr_exporter_web_config_last_reload_successful")),
                "Web configuration good",
                "bool_yes_no",
            ),
    ]
}
