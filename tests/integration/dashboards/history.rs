//! A month of made-up accounts, as OpenMetrics with a sample an hour.
//!
//! Every kind of growth is in it, and every state of an account. Times are seconds before the end.

use std::collections::BTreeMap;
use std::fmt::Write;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const GIB: f64 = 1_073_741_824.0;
/// How far back it goes.
const DAYS: i64 = 31;
/// Where the value of a series matters now and not over time, it goes back so far.
const LATELY: i64 = 26 * HOUR;

/// An account.
pub struct Account {
    pub name: &'static str,
    /// When it was first and last scraped.
    since: i64,
    until: i64,
    /// When its data was read, before each scrape; none where it never was.
    age: Option<i64>,
    up: bool,
    failure: Option<&'static str>,
    pub repositories: Vec<Repository>,
}

pub struct Repository {
    pub namespace: &'static str,
    pub name: String,
    /// Its size in GiB at a time; none before it was created and after it was deleted.
    size: Box<dyn Fn(f64) -> Option<f64>>,
    tags: f64,
    downloads: f64,
    /// Days ago.
    created: i64,
    pub pushed: i64,
    public: bool,
    pub creator: &'static str,
    /// The share of its size that deleting it frees.
    exclusive: f64,
}

impl Repository {
    fn new(namespace: &'static str, name: impl Into<String>, size: impl Fn(f64) -> Option<f64> + 'static) -> Self {
        let (tags, downloads, created, pushed) = (20.0, 500.0, 600, 0);
        let size = Box::new(size);
        let (public, creator, exclusive) = (false, "grace", 0.25);
        Self { namespace, name: name.into(), size, tags, downloads, created, pushed, public, creator, exclusive }
    }

    /// Bytes at a time.
    pub fn size(&self, before_the_end: i64) -> Option<f64> {
        let days = -(before_the_end as f64) / DAY as f64;
        (self.size)(days).map(|size| (size * GIB).round())
    }

    pub fn exclusive(&self) -> Option<f64> {
        self.size(0).map(|size| (size * self.exclusive).round())
    }
}

impl Account {
    /// An account that is well.
    fn new(name: &'static str, repositories: Vec<Repository>) -> Self {
        Self { name, since: DAYS * DAY, until: 0, age: Some(30), up: true, failure: None, repositories }
    }

    /// Whether it was scraped and had data then.
    pub fn has_data(&self, before_the_end: i64) -> bool {
        self.age.is_some() && (self.until..=self.since).contains(&before_the_end)
    }
}

/// The accounts; they differ in what is wrong with them.
pub fn accounts() -> Vec<Account> {
    let constant = |size: f64| move |_: f64| Some(size);
    let linear = |size: f64, a_day: f64| move |days: f64| Some(size + a_day * (days + DAYS as f64));
    let mut production = vec![
        Repository { exclusive: 0.9, creator: "alice", ..Repository::new("platform", "base-images", constant(800.0)) },
        // Two percent a day for three weeks.
        Repository {
            creator: "ci-bot",
            ..Repository::new("platform", "ci-cache", |days| Some(100.0 * 1.02_f64.powf((days + 21.0).max(0.0))))
        },
        // Half a TiB within an hour.
        Repository {
            creator: "bob",
            exclusive: 0.95,
            ..Repository::new("data", "feature-store", |days| {
                Some(300.0 + 500.0 * ((days + 0.25) * 24.0).clamp(0.0, 1.0))
            })
        },
        Repository { creator: "bob", ..Repository::new("data", "deleted", |days| (days < -2.0).then_some(60.0)) },
        // Three days old, in an organization as old.
        Repository {
            creator: "dave",
            created: 3,
            exclusive: 0.99,
            ..Repository::new("ml", "llm-train", |days| (days >= -3.0).then_some(1.0 + 100.0 * (days + 3.0)))
        },
        Repository {
            creator: "carol",
            ..Repository::new("payments", "api", |days| Some(1.0 + 1.5 * (days + 7.0).max(0.0)))
        },
        Repository { creator: "erin", downloads: 90_000.0, ..Repository::new("web", "frontend", linear(20.0, 0.3)) },
        // Pushes by day, clean-up at night.
        Repository {
            creator: "ci-bot",
            ..Repository::new("web", "nightly", |days| Some(40.0 + 20.0 * (days + 31.5).fract()))
        },
        Repository {
            public: true,
            pushed: 30,
            downloads: 120_000.0,
            ..Repository::new("public", "tools", constant(5.0))
        },
        Repository {
            downloads: 0.0,
            pushed: 100,
            creator: "frank",
            ..Repository::new("legacy", "unused", constant(3.0))
        },
        Repository { tags: 0.0, downloads: 0.0, pushed: 10, ..Repository::new("legacy", "empty", constant(0.0)) },
    ];
    for (index, size) in [51.0, 41.0, 31.0, 21.0, 11.0].into_iter().enumerate() {
        let old = Repository::new("legacy", format!("old-{index}"), constant(size));
        production.push(Repository {
            pushed: 400 + 30 * i64::try_from(index).unwrap(),
            creator: "frank",
            exclusive: 0.7,
            ..old
        });
    }
    let staging = vec![
        Repository::new("payments", "api", linear(10.0, 1.0)),
        Repository::new("payments", "worker", constant(2.0)),
    ];
    let archive = || vec![Repository { pushed: 500, ..Repository::new("archive", "backups", constant(100.0)) }];
    vec![
        Account::new("production", production),
        // In the exporter for ten days: over 30 days nothing is known of its growth.
        Account { since: 10 * DAY, ..Account::new("staging", staging) },
        // Its API fails, and its data is five hours old.
        Account { age: Some(5 * HOUR), up: false, failure: Some("network"), ..Account::new("stale", archive()) },
        // Its latest refresh failed; the data is recent.
        Account { up: false, failure: Some("throttled"), ..Account::new("failing", archive()) },
        // It never had a valid key.
        Account { age: None, up: false, failure: Some("auth"), ..Account::new("refused", Vec::new()) },
        // It was taken out of the configuration five hours ago.
        Account { until: 5 * HOUR, ..Account::new("retired", archive()) },
    ]
}

/// The samples of each series, by metric.
#[derive(Default)]
struct Samples(BTreeMap<String, String>);

impl Samples {
    /// A sample an hour between two times before the end, where there is a value.
    fn add(
        &mut self,
        metric: &str,
        labels: &str,
        (since, until): (i64, i64),
        end: i64,
        value: impl Fn(i64) -> Option<f64>,
    ) {
        let family = self.0.entry(metric.to_owned()).or_default();
        for before in (until..=since).rev().filter(|before| before % HOUR == 0) {
            if let Some(value) = value(before) {
                writeln!(family, "{metric}{{{labels}}} {value} {}", end - before).unwrap();
            }
        }
    }
}

/// The history of the accounts, of the exporter that reads them, of the alerts and of some recorded series.
pub fn openmetrics(end: i64) -> String {
    let mut samples = Samples::default();
    let all = accounts();
    for account in &all {
        let labels = format!("job=\"swr\",instance=\"exporter:10179\",account=\"{}\"", account.name);
        let scraped = (account.since, account.until);
        let lately = (account.since.min(account.until + LATELY), account.until);
        let mut now = |metric: &str, more: &str, value: f64| {
            samples.add(metric, &format!("{labels}{more}"), lately, end, |_| Some(value));
        };
        now("up", "", 1.0);
        now("swr_up", "", f64::from(u8::from(account.up)));
        now("swr_cache_window_seconds", "", 300.0);
        now("swr_api_circuit_open", "", f64::from(u8::from(account.name == "stale")));
        now("swr_api_clock_skew_seconds", "", 0.2);
        now("swr_credential_expiry_timestamp_seconds", "", (end + 7_200) as f64);
        now("swr_refresh_duration_seconds", "", 0.8);
        now("swr_exporter_page_series", "", 500.0);
        now("swr_exporter_page_bytes", "", 60_000.0);
        now("swr_tags_pending", "", 3.0);
        let stored: f64 = account.repositories.iter().filter_map(|repository| repository.size(0)).sum();
        now("swr_unique_layer_bytes", "", 0.95 * stored);
        now("swr_reclaimable_layer_bytes", ",rule=\"older_than_90d\"", 0.4 * stored);
        now("swr_reclaimable_layer_bytes", ",rule=\"beyond_newest_10\"", 0.3 * stored);
        now("swr_quota_limit", ",quota=\"namespace\"", 10.0);
        now("swr_quota_used", ",quota=\"namespace\"", 8.0);
        for collector in ["repositories", "tags", "details", "account"] {
            let works = account.up || collector != "repositories";
            now("swr_collector_up", &format!(",collector=\"{collector}\""), f64::from(u8::from(works)));
        }
        let mut counter = |metric: &str, more: &str, an_hour: f64| {
            let value = |before: i64| Some(an_hour * (LATELY + account.until - before) as f64 / HOUR as f64);
            samples.add(metric, &format!("{labels}{more}"), lately, end, value);
        };
        counter("swr_refreshes_total", "", 12.0);
        for reason in ["auth", "network", "throttled"] {
            let failures = if account.failure == Some(reason) { 12.0 } else { 0.0 };
            counter("swr_refresh_failures_total", &format!(",reason=\"{reason}\""), failures);
        }
        counter("swr_scrapes_total", ",served=\"fresh\"", 60.0);
        counter("swr_api_requests_total", ",operation=\"list_repositories\",code=\"200\"", 12.0);
        counter("swr_api_requests_total", ",operation=\"list_repositories\",code=\"429\"", 1.0);
        for (le, calls) in [("0.1", 6.0), ("1", 12.0), ("+Inf", 13.0)] {
            counter(
                "swr_api_request_duration_seconds_bucket",
                &format!(",operation=\"list_repositories\",le=\"{le}\""),
                calls,
            );
        }
        counter("swr_api_retries_total", ",operation=\"list_repositories\"", 1.0);
        counter("swr_api_throttle_wait_seconds_total", "", 2.0);
        counter("swr_listing_inconsistencies_total", ",kind=\"duplicate\"", 1.0);
        counter("swr_samples_dropped_total", ",reason=\"timestamp\"", 1.0);
        let Some(age) = account.age else { continue };
        let read = move |before: i64| Some((end - before - age) as f64);
        samples.add("swr_snapshot_timestamp_seconds", &labels, lately, end, read);
        // The rules judge one account; for the others the dashboards do.
        if account.name == "production" {
            let name = "account:swr_snapshot_timestamp_seconds";
            let recorded = "job=\"swr\",account=\"production\"";
            for series in ["age", "fresh"] {
                samples.add(&format!("{name}:{series}"), recorded, lately, end, |_| Some(age as f64));
            }
        }
        repositories(&mut samples, account, &labels, end, scraped, lately);
        if account.name == "production" {
            enterprise(&mut samples, &labels, end, lately);
        }
    }
    process(&mut samples, end);
    alerts(&mut samples, end);
    let families: String = samples.0.into_values().collect();
    families + "# EOF\n"
}

fn repositories(
    samples: &mut Samples,
    account: &Account,
    labels: &str,
    end: i64,
    scraped: (i64, i64),
    lately: (i64, i64),
) {
    let exist = |before: i64| account.repositories.iter().filter(move |repository| repository.size(before).is_some());
    samples.add("swr_repositories", labels, scraped, end, |before| Some(exist(before).count() as f64));
    for repository in &account.repositories {
        let labels = format!("{labels},namespace=\"{}\",repository=\"{}\"", repository.namespace, repository.name);
        let (tags, downloads) = (repository.tags, repository.downloads);
        let pulled = move |before: i64| downloads * (1.0 + 0.01 * (DAYS * DAY - before) as f64 / DAY as f64);
        let exists = |before: i64, value: f64| repository.size(before).map(|_| value);
        let mut month =
            |metric: &str, value: &dyn Fn(i64) -> Option<f64>| samples.add(metric, &labels, scraped, end, value);
        month("swr_repository_size_bytes", &|before| repository.size(before));
        month("swr_repository_images", &|before| exists(before, tags));
        month("swr_repository_downloads", &|before| exists(before, pulled(before).floor()));
        let mut now = |metric: &str, more: &str, value: f64| {
            samples.add(metric, &format!("{labels}{more}"), lately, end, |before| exists(before, value));
        };
        let (created, pushed) = ((end - repository.created * DAY) as f64, (end - repository.pushed * DAY) as f64);
        let visibility = if repository.public { "public" } else { "private" };
        now("swr_repository_created_timestamp_seconds", "", created);
        now("swr_repository_updated_timestamp_seconds", "", pushed);
        now("swr_repository_info", &format!(",category=\"app_server\",visibility=\"{visibility}\""), 1.0);
        now(
            "swr_repository_details_info",
            &format!(",id=\"1\",creator=\"{}\",domain_id=\"d\"", repository.creator),
            1.0,
        );
        now("swr_repository_unique_layer_bytes", "", repository.size(0).unwrap_or_default());
        now("swr_repository_exclusive_layer_bytes", "", repository.exclusive().unwrap_or_default());
        now("swr_repository_retention_rules", "", f64::from(u8::from(repository.creator == "ci-bot")));
        let reclaimable = 0.5 * repository.exclusive().unwrap_or_default();
        for (rule, share) in [("older_than_90d", 1.0), ("beyond_newest_10", 0.5)] {
            now("swr_repository_reclaimable_layer_bytes", &format!(",rule=\"{rule}\""), (share * reclaimable).round());
            now("swr_repository_reclaimable_tags", &format!(",rule=\"{rule}\""), (tags / 2.0).floor());
        }
        now("swr_repository_oldest_tag_timestamp_seconds", "", created);
        now("swr_repository_newest_tag_timestamp_seconds", "", pushed);
        for age in ["7d", "30d", "90d", "365d", "older"] {
            now("swr_repository_tags_by_age", &format!(",age=\"{age}\""), (tags / 5.0).floor());
        }
        if repository.name == "base-images" {
            now("swr_tag_size_bytes", ",tag=\"latest\"", GIB);
            now("swr_tag_updated_timestamp_seconds", ",tag=\"latest\"", pushed);
        }
    }
    let namespaces: std::collections::BTreeSet<_> =
        account.repositories.iter().map(|repository| repository.namespace).collect();
    for namespace in namespaces {
        let labels = format!("{labels},namespace=\"{namespace}\"");
        let of = |before: i64| exist(before).filter(move |repository| repository.namespace == namespace);
        let some = |before: i64, value: f64| of(before).next().map(|_| value);
        let mut month = |metric: &str, value: &dyn Fn(i64) -> f64| {
            samples.add(metric, &labels, scraped, end, |before| some(before, value(before)));
        };
        let size = |before: i64| of(before).filter_map(|repository| repository.size(before)).sum();
        month("swr_namespace_size_bytes", &size);
        month("namespace:swr_namespace_size_bytes:max", &size);
        month("swr_namespace_repositories", &|before| of(before).count() as f64);
        month("swr_namespace_images", &|before| of(before).map(|repository| repository.tags).sum());
        month("swr_namespace_downloads", &|before| 1_000.0 * (DAYS * DAY - before) as f64 / DAY as f64);
        samples.add("swr_namespace_unique_layer_bytes", &labels, lately, end, |_| Some(0.95 * size(0)));
        for (rule, share) in [("older_than_90d", 0.4), ("beyond_newest_10", 0.3)] {
            let labels = format!("{labels},rule=\"{rule}\"");
            let freed = |_| Some(share * size(0));
            samples.add("swr_namespace_reclaimable_layer_bytes", &labels, lately, end, freed);
        }
        samples.add("swr_namespace_unlisted_repositories", &labels, lately, end, |_| Some(0.0));
    }
}

/// An instance of the Enterprise Edition with one repository.
fn enterprise(samples: &mut Samples, labels: &str, end: i64, lately: (i64, i64)) {
    samples.add("swr_instances", labels, lately, end, |_| Some(1.0));
    let labels = format!("{labels},instance_id=\"i-1\"");
    let mut now = |metric: &str, more: &str, value: f64| {
        samples.add(metric, &format!("{labels}{more}"), lately, end, |_| Some(value));
    };
    now("swr_instance_info", ",name=\"main\",spec=\"swr.ee.basic\",version=\"2\",charge_mode=\"postPaid\"", 1.0);
    now("swr_instance_status", ",status=\"Running\"", 1.0);
    now("swr_instance_storage_bytes", "", 50.0 * GIB);
    now("swr_instance_repositories", "", 1.0);
    now("swr_instance_expiry_timestamp_seconds", "", (end + 90 * DAY) as f64);
    now("swr_instance_quota_used", ",quota=\"repository\"", 1.0);
    now("swr_instance_quota_limit", ",quota=\"repository\"", 10.0);
    for metric in ["tags", "artifacts", "downloads"] {
        now(&format!("swr_instance_repository_{metric}"), ",namespace=\"library\",repository=\"nginx\"", 7.0);
    }
    // The days since the last pull; none where nobody ever pulled.
    for (repository, gibibytes, pulled) in
        [("nginx", 2.0, Some(1)), ("forgotten", 30.0, Some(400)), ("unused", 20.0, None)]
    {
        let of = format!(",namespace=\"library\",repository=\"{repository}\"");
        now("swr_instance_repository_size_bytes", &of, gibibytes * GIB);
        now("swr_instance_repository_last_push_timestamp_seconds", &of, (end - 500 * DAY) as f64);
        if let Some(days) = pulled {
            now("swr_instance_repository_last_pull_timestamp_seconds", &of, (end - days * DAY) as f64);
        }
    }
}

/// The exporter's own series: another job than that of the accounts, and no account.
fn process(samples: &mut Samples, end: i64) {
    let labels = "job=\"swr-exporter\",instance=\"exporter:10179\"";
    let lately = (LATELY, 0);
    let mut now = |metric: &str, more: &str, value: f64| {
        samples.add(metric, &format!("{labels}{more}"), lately, end, |_| Some(value));
    };
    now("swr_exporter_build_info", ",version=\"0.1.0\",revision=\"a30f654\",rustversion=\"1.95.0\"", 1.0);
    let started = (end - 3 * HOUR) as f64;
    now("process_start_time_seconds", "", started);
    now("process_resident_memory_bytes", "", 4e7);
    now("process_open_fds", "", 25.0);
    now("swr_exporter_config_last_reload_successful", "", 1.0);
    now("swr_exporter_config_last_reload_success_timestamp_seconds", "", started);
    now("swr_exporter_web_config_last_reload_successful", "", 0.0);
    let mut counter = |metric: &str, more: &str| {
        samples.add(metric, &format!("{labels}{more}"), lately, end, |before| Some((LATELY - before) as f64 / 1e4));
    };
    counter("process_cpu_seconds_total", "");
    counter("swr_exporter_scrapes_refused_total", "");
    counter("swr_exporter_requests_refused_total", ",reason=\"busy\"");
    counter("swr_exporter_connections_closed_total", ",reason=\"tls\"");
    counter("swr_exporter_accept_errors_total", "");
    counter("swr_exporter_handler_panics_total", "");
}

fn alerts(samples: &mut Samples, end: i64) {
    for (alert, severity, labels, since) in [
        ("SwrDataStale", "critical", "account=\"stale\"", 4),
        (
            "SwrRepositoryGrowsFast",
            "warning",
            "account=\"production\",namespace=\"data\",repository=\"feature-store\"",
            5,
        ),
        ("SwrQuotaNearlyUsed", "warning", "account=\"production\",quota=\"namespace\"", 2),
        ("SwrGrowthWithoutDownloads", "info", "account=\"production\",namespace=\"ml\",repository=\"llm-train\"", 20),
    ] {
        let labels = format!("job=\"swr\",alertname=\"{alert}\",severity=\"{severity}\",{labels}");
        let lasts = (since * HOUR, 0);
        samples.add("ALERTS_FOR_STATE", &labels, lasts, end, |_| Some((end - since * HOUR) as f64));
        samples.add("ALERTS", &format!("{labels},alertstate=\"firing\""), lasts, end, |_| Some(1.0));
    }
}
