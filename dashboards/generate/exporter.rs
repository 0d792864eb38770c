//! The exporter itself: is the data fresh, what does it ask of the API, what does it cost.

use crate::dashboard::Dashboard;
use crate::panel::{Kind, Panel, panel, row};
use crate::query::{self, CHOSEN};
use crate::tables::NO_DATA;
use crate::variable::Variable;

const NONE: &str = "none";
const LEGEND: &str = "{{instance}} {{account}}";
/// A row of the table of accounts.
const ROW: &str = "account[instance]";

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "swr-exporter",
        title: "SWR / Exporter",
        about: "Accounts, freshness, API calls, errors, throttling and costs of swr-exporter, one line per replica.",
        variables: &[Variable::Instance],
        from: "now-6h",
        panels: [state(), collection(), calls(), scrapes(), process()].into_iter().flatten().collect(),
    }
}

/// A metric of the chosen accounts and instances.
fn of(metric: &str) -> String {
    format!("{metric}{{{CHOSEN}, instance=~\"$instance\"}}")
}

fn rate(metric: &str) -> String {
    format!("rate({}[$__rate_interval])", of(metric))
}

/// A metric of the process. It belongs to no account, and with several accounts to another job than theirs.
fn process_of(metric: &str) -> String {
    let chosen = "cluster=~\"$cluster\", instance=~\"$instance\"";
    let series = if metric.starts_with("process_cpu") {
        format!("rate({metric}{{{chosen}}}[$__rate_interval])")
    } else {
        format!("{metric}{{{chosen}}}")
    };
    if metric.starts_with("process_") {
        format!("{series} and on (job, instance) swr_exporter_build_info{{{chosen}}}")
    } else {
        series
    }
}

/// How often something of the process happened in an hour.
fn per_hour(metric: &str, by: &str) -> String {
    format!("3600 * sum by ({by}) (rate({}[$__rate_interval]))", process_of(metric))
}

fn state() -> Vec<Panel> {
    let stat = |title, about, unit, query: String| {
        panel(Kind::Stat, title, (4, 4)).about(about, NO_DATA).unit(unit).query(&query, "")
    };
    vec![
        stat("Accounts not OK", "Accounts whose latest refresh failed, whose data is too old, that were never read, or that are no longer scraped. The table below names them.", "short", query::not_ok())
            .yellow_and_red_from(1.0, 1.0),
        stat("Data age", "Time since the account with the oldest data was last read.", "s", format!("max({})", query::age("account")))
            .words(query::NEVER)
            .link("Show the overview", "swr-overview", ""),
        stat("Series", "Series of repositories and organizations in the largest response. The sample_limit of the scrape configuration must be higher.", "short", format!("max({})", of("swr_exporter_page_series"))),
        panel(Kind::Stat, "Credential expires in", (4, 4))
            .about("Time until the first credential in use expires. It is renewed five minutes before.", "never, or not known")
            .unit("s")
            .yellow_and_red_below(300.0, 240.0)
            .query(&format!("min({} - time())", of("swr_credential_expiry_timestamp_seconds")), ""),
        stat("Circuits open", "Accounts whose API calls are held back because the API failed repeatedly.", "short", format!("sum({})", of("swr_api_circuit_open")))
            .yellow_and_red_from(1.0, 1.0),
        stat("Clock skew", "Largest difference between the API's clock and an exporter's. From 15 minutes on the API refuses signatures; the exporter then signs with the API's time.", "s", format!("max(abs({}))", of("swr_api_clock_skew_seconds")))
            .yellow_and_red_from(60.0, 900.0),
        accounts((24, 8)),
    ]
}

/// Which account fails, and why.
fn accounts(size: (u64, u64)) -> Panel {
    let by = "by (instance, $apart)";
    let failures = of("swr_refresh_failures_total");
    // The latest time in the past day at which a counter of failures rose.
    let failed = format!(
        "max by (instance, reason, $apart) (max_over_time((({failures} > {failures} offset 5m) * 0 + time())[1d:5m]))"
    );
    panel(Kind::Table, "Accounts", size)
        .about("The state of each account in each exporter. The reason is that of the last failed refresh in the past day.", NO_DATA)
        .column(&query::state(ROW), "State", "short")
        .words(query::STATES)
        .column(&query::age(ROW), "Data age", "s")
        .words(query::NEVER)
        .column(&format!("{ROW}(swr_repositories)"), "Repositories", "short")
        .column(&format!("{ROW}(swr_api_circuit_open)"), "Circuit open", "short")
        .words(&[("0", "no", "text"), ("1", "yes", "orange")])
        .column(&format!("sum {by} (1 - {}(swr_collector_up))", "account[instance, collector]"), "Collectors failing", "short")
        .words(&[("0", "none", "text"), ("1", "1", "orange"), ("2", "2", "orange"), ("3", "3", "orange"), ("4", "4", "orange")])
        .column(&format!("1000 * topk {by} (1, {failed})"), "Last failure", "dateTimeFromNow")
}

fn collection() -> Vec<Panel> {
    vec![
        row("Collection"),
        panel(Kind::Lines, "Data age by account", (12, 8))
            .about("Time since the data was read. Normally it stays below the sum of cache window, scrape interval and refresh duration.", NO_DATA)
            .unit("s")
            .query(&format!("time() - {}", of("swr_snapshot_timestamp_seconds")), LEGEND)
            .query(&format!("max({})", of("swr_cache_window_seconds")), "cache window"),
        panel(Kind::Lines, "Refresh duration", (12, 8))
            .about("How long the latest refresh took.", NO_DATA)
            .unit("s")
            .query(&of("swr_refresh_duration_seconds"), LEGEND),
        panel(Kind::Lines, "Refreshes per hour", (8, 8))
            .about("Refreshes that ended, and of these the failed ones by reason.", NO_DATA)
            .query(&format!("3600 * sum({})", rate("swr_refreshes_total")), "all")
            .query(&format!("3600 * sum by (reason) ({}) > 0", rate("swr_refresh_failures_total")), "failed: {{reason}}"),
        panel(Kind::States, "Collectors", (8, 8))
            .about("Whether the latest read of each collector was complete.", NO_DATA)
            .query(&format!("min by (collector, $apart) ({})", of("swr_collector_up")), "{{cluster}} {{job}} {{account}} {{collector}}"),
        panel(Kind::Lines, "Repositories with outdated tags", (8, 8))
            .about("Repositories whose tags have to be read again. Needs the collector tags.", "collector tags is off")
            .query(&of("swr_tags_pending"), LEGEND),
        panel(Kind::Lines, "Listing inconsistencies per hour", (12, 8))
            .about("Changes noticed while a listing was read. They are handled; many of them make refreshes longer.", NONE)
            .query(&format!("3600 * sum by (kind) ({})", rate("swr_listing_inconsistencies_total")), "{{kind}}"),
        panel(Kind::Lines, "Dropped samples per hour", (12, 8))
            .about("Values of the API that could not be understood.", NONE)
            .query(&format!("3600 * sum by (reason) ({})", rate("swr_samples_dropped_total")), "{{reason}}"),
    ]
}

fn calls() -> Vec<Panel> {
    let requests = rate("swr_api_requests_total");
    let failed =
        format!("rate(swr_api_requests_total{{{CHOSEN}, instance=~\"$instance\", code!~\"2..\"}}[$__rate_interval])");
    vec![
        row("API calls"),
        panel(Kind::Stack, "API calls per minute", (12, 8))
            .about("API calls by operation.", NO_DATA)
            .query(&format!("60 * sum by (operation) ({requests})"), "{{operation}}"),
        panel(Kind::Lines, "Failed API calls", (12, 8))
            .about("Share of API calls without a 2xx status, by status; none means that there was no response.", NONE)
            .unit("percentunit")
            .query(&format!("sum by (code) ({failed}) / ignoring (code) group_left () sum({requests})"), "{{code}}"),
        panel(Kind::Heat, "Latency", (12, 8)).about("Duration of API calls.", NO_DATA).unit("s").query(
            &format!("sum by (le) (increase({}[$__rate_interval]))", of("swr_api_request_duration_seconds_bucket")),
            "{{le}}",
        ),
        panel(Kind::Lines, "Latency p99", (12, 8))
            .about("99th percentile of the duration of API calls, by operation.", NO_DATA)
            .unit("s")
            .query(
                &format!(
                    "histogram_quantile(0.99, sum by (le, operation) ({}))",
                    rate("swr_api_request_duration_seconds_bucket")
                ),
                "{{operation}}",
            ),
        panel(Kind::Lines, "Throttling", (12, 8))
            .about(
                "Share of the time that API calls waited for the rate limit, or because the API asked for a pause.",
                NO_DATA,
            )
            .unit("percentunit")
            .query(&format!("sum({})", rate("swr_api_throttle_wait_seconds_total")), "waiting"),
        panel(Kind::Lines, "Retries per hour", (12, 8))
            .about("API calls sent again after a failure, by operation.", NONE)
            .query(&format!("3600 * sum by (operation) ({})", rate("swr_api_retries_total")), "{{operation}}"),
    ]
}

fn scrapes() -> Vec<Panel> {
    vec![
        row("Scrapes"),
        panel(Kind::Stack, "Scrapes per minute", (8, 8))
            .about("Scrapes by the data they got: within the cache window (fresh), refreshed for them, older (stale), or nothing.", NO_DATA)
            .query(&format!("60 * sum by (served) ({})", rate("swr_scrapes_total")), "{{served}}"),
        panel(Kind::Lines, "Rejected requests per hour", (8, 8))
            .about("Scrapes refused with 503, other requests refused, connections closed or not accepted, and requests that ended in an internal error.", NONE)
            .query(&per_hour("swr_exporter_scrapes_refused_total", ""), "scrapes")
            .query(&per_hour("swr_exporter_requests_refused_total", "reason"), "requests: {{reason}}")
            .query(&per_hour("swr_exporter_connections_closed_total", "reason"), "connections closed: {{reason}}")
            .query(&per_hour("swr_exporter_accept_errors_total", ""), "connections not accepted")
            .query(&per_hour("swr_exporter_handler_panics_total", ""), "faults"),
        panel(Kind::Lines, "Exposition size", (8, 8))
            .about("Size of a response before compression. The body_size_limit of the scrape configuration must be higher.", NO_DATA)
            .unit("bytes")
            .query(&of("swr_exporter_page_bytes"), LEGEND),
    ]
}

fn process() -> Vec<Panel> {
    let each = |metric: &str| format!("max by (instance) ({})", process_of(metric));
    vec![
        row("Process"),
        panel(Kind::Lines, "Memory", (8, 8))
            .about("Resident memory of the process.", NO_DATA)
            .unit("bytes")
            .query(&process_of("process_resident_memory_bytes"), "{{instance}}"),
        panel(Kind::Lines, "CPU", (8, 8))
            .about("Processors in use.", NO_DATA)
            .query(&process_of("process_cpu_seconds_total"), "{{instance}}"),
        panel(Kind::Lines, "Open files", (8, 8))
            .about("Open file descriptors, most of them connections.", NO_DATA)
            .query(&process_of("process_open_fds"), "{{instance}}"),
        panel(Kind::Table, "Versions", (12, 6))
            .about("Version, revision and compiler of each exporter.", NO_DATA)
            .column(&format!("max by (instance, version, revision, rustversion) ({})", process_of("swr_exporter_build_info")), "", ""),
        panel(Kind::Table, "Configuration", (12, 6))
            .about("Whether the latest read of the configuration and of the web configuration succeeded, and how old the configuration in use is.", NO_DATA)
            .column(&each("swr_exporter_config_last_reload_successful"), "Config valid", "short")
            .words(VALID)
            .column(&format!("time() - {}", each("swr_exporter_config_last_reload_success_timestamp_seconds")), "Config age", "s")
            .column(&each("swr_exporter_web_config_last_reload_successful"), "Web config valid", "short")
            .words(VALID),
    ]
}

const VALID: &[(&str, &str, &str)] = &[("0", "no", "red"), ("1", "yes", "green")];
