//! Commands and flags, as clap sees them. Values are texts here: `config` reads them, so that it can name every problem
//! at once and not only the first.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::bare_urls, reason = "these comments are what --help prints")]

use clap::{Args, Parser, Subcommand};

/// Prometheus exporter for Huawei Cloud SWR (Software Repository for Container).
#[derive(Debug, Parser)]
#[command(name = "swr-exporter", version, args_conflicts_with_subcommands = true, max_term_width = 120)]
pub struct Cli {
    /// What to do; without a command, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of `serve`, which may be given without its name.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve metrics (what is done without a command).
    Serve(Box<ServeArgs>),
    /// Try all that a refresh needs and say what does not work: 0 if everything does, 1 if not, 2 for wrong settings.
    Check(Box<CheckArgs>),
    /// Serve metrics of a simulated account: no cloud, no credentials, no settings.
    Demo(DemoArgs),
    /// Serve the simulated SWR API alone, to try other clients against.
    Simulate(SimulateArgs),
}

/// Flags of `serve`. Each can also be set by SWR_EXPORTER_ and its name in capitals with `_` for `.` and `-`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Web")]
pub struct ServeArgs {
    /// Address to listen on; may be repeated [default: [::]:10179]
    #[arg(
        long = "web.listen-address",
        env = "SWR_EXPORTER_WEB_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub web_listen_address: Vec<String>,
    /// Path of the metrics [default: /metrics]
    #[arg(
        long = "web.telemetry-path",
        env = "SWR_EXPORTER_WEB_TELEMETRY_PATH",
        value_name = "PATH",
        hide_env_values = true
    )]
    pub web_telemetry_path: Option<String>,
    /// File with TLS, HTTP headers and logins, as Prometheus' own exporters have it [default: plain HTTP for everybody]
    #[arg(long = "web.config.file", env = "SWR_EXPORTER_WEB_CONFIG_FILE", value_name = "FILE", hide_env_values = true)]
    pub web_config_file: Option<String>,
    /// Scrapes served at once; one more gets 503 [default: 40]
    #[arg(long = "web.max-requests", env = "SWR_EXPORTER_WEB_MAX_REQUESTS", value_name = "N", hide_env_values = true)]
    pub web_max_requests: Option<String>,

    /// Region, which gives the endpoint, e.g. cn-north-4
    #[arg(
        long = "swr.region",
        env = "SWR_EXPORTER_SWR_REGION",
        value_name = "REGION",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_region: Option<String>,
    /// Address of the API where the region does not give it, e.g. https://swr-api.eu-de.otc.t-systems.com
    #[arg(
        long = "swr.endpoint",
        env = "SWR_EXPORTER_SWR_ENDPOINT",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_endpoint: Option<String>,
    /// Address of IAM where the region does not give it, e.g. https://iam.eu-de.otc.t-systems.com
    #[arg(
        long = "swr.iam-endpoint",
        env = "SWR_EXPORTER_SWR_IAM_ENDPOINT",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_iam_endpoint: Option<String>,
    /// Project id to send with signed requests, and to ask a token for
    #[arg(
        long = "swr.project-id",
        env = "SWR_EXPORTER_SWR_PROJECT_ID",
        value_name = "ID",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_project_id: Option<String>,
    /// Certificates in PEM form to trust besides the system's
    #[arg(
        long = "swr.ca-file",
        env = "SWR_EXPORTER_SWR_CA_FILE",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_ca_file: Option<String>,
    /// List only this organisation; may be repeated [default: all]
    #[arg(
        long = "swr.namespace",
        env = "SWR_EXPORTER_SWR_NAMESPACE",
        value_name = "NAME",
        value_delimiter = ',',
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_namespace: Vec<String>,
    /// Repositories a page, 10 to 1000; a service that refuses it is asked for fewer [default: 1000]
    #[arg(
        long = "swr.page-size",
        env = "SWR_EXPORTER_SWR_PAGE_SIZE",
        value_name = "N",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_page_size: Option<String>,
    /// Requests in flight at once [default: 4]
    #[arg(
        long = "swr.concurrency",
        env = "SWR_EXPORTER_SWR_CONCURRENCY",
        value_name = "N",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_concurrency: Option<String>,
    /// Requests a second [default: 20]
    #[arg(
        long = "swr.rate-limit",
        env = "SWR_EXPORTER_SWR_RATE_LIMIT",
        value_name = "N",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_rate_limit: Option<String>,
    /// Requests that may leave at once after a rest [default: 40]
    #[arg(
        long = "swr.burst",
        env = "SWR_EXPORTER_SWR_BURST",
        value_name = "N",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_burst: Option<String>,
    /// The longest that one request may take [default: 30s]
    #[arg(
        long = "swr.request-timeout",
        env = "SWR_EXPORTER_SWR_REQUEST_TIMEOUT",
        value_name = "DURATION",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_request_timeout: Option<String>,
    /// The longest that a whole refresh may take [default: 5m]
    #[arg(
        long = "swr.refresh-timeout",
        env = "SWR_EXPORTER_SWR_REFRESH_TIMEOUT",
        value_name = "DURATION",
        hide_env_values = true,
        help_heading = "SWR"
    )]
    pub swr_refresh_timeout: Option<String>,

    /// Where the credential comes from: auto, token, access-key, password, oidc, profile, pod-identity or metadata [default: auto]
    #[arg(
        long = "credentials.source",
        env = "SWR_EXPORTER_CREDENTIALS_SOURCE",
        value_name = "SOURCE",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_source: Option<String>,
    /// File that holds an IAM token [environment: SWR_EXPORTER_TOKEN for the token itself]
    #[arg(
        long = "credentials.token-file",
        env = "SWR_EXPORTER_CREDENTIALS_TOKEN_FILE",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_token_file: Option<String>,
    /// File that holds the access key [environment: SWR_EXPORTER_ACCESS_KEY or HUAWEICLOUD_SDK_AK]
    #[arg(
        long = "credentials.access-key-file",
        env = "SWR_EXPORTER_CREDENTIALS_ACCESS_KEY_FILE",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_access_key_file: Option<String>,
    /// File that holds the secret key [environment: SWR_EXPORTER_SECRET_KEY or HUAWEICLOUD_SDK_SK]
    #[arg(
        long = "credentials.secret-key-file",
        env = "SWR_EXPORTER_CREDENTIALS_SECRET_KEY_FILE",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_secret_key_file: Option<String>,
    /// File that holds the security token of a temporary key [environment: SWR_EXPORTER_SECURITY_TOKEN or HUAWEICLOUD_SDK_SECURITY_TOKEN]
    #[arg(
        long = "credentials.security-token-file",
        env = "SWR_EXPORTER_CREDENTIALS_SECURITY_TOKEN_FILE",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_security_token_file: Option<String>,
    /// Account of the IAM user who logs in with a password
    #[arg(
        long = "credentials.domain-name",
        env = "SWR_EXPORTER_CREDENTIALS_DOMAIN_NAME",
        value_name = "NAME",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_domain_name: Option<String>,
    /// IAM user who logs in with a password
    #[arg(
        long = "credentials.username",
        env = "SWR_EXPORTER_CREDENTIALS_USERNAME",
        value_name = "NAME",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_username: Option<String>,
    /// File that holds the password [environment: SWR_EXPORTER_PASSWORD for the password itself]
    #[arg(
        long = "credentials.password-file",
        env = "SWR_EXPORTER_CREDENTIALS_PASSWORD_FILE",
        value_name = "FILE",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_password_file: Option<String>,
    /// Address of the metadata service [default: http://169.254.169.254]
    #[arg(
        long = "credentials.metadata-endpoint",
        env = "SWR_EXPORTER_CREDENTIALS_METADATA_ENDPOINT",
        value_name = "URL",
        hide_env_values = true,
        help_heading = "Credentials (secrets come from the environment or, better, from files)"
    )]
    pub credentials_metadata_endpoint: Option<String>,

    /// How long a snapshot is served without asking again [default: 5m]
    #[arg(
        long = "cache.window",
        env = "SWR_EXPORTER_CACHE_WINDOW",
        value_name = "DURATION",
        hide_env_values = true,
        help_heading = "Cache"
    )]
    pub cache_window: Option<String>,
    /// How long a scrape waits for a refresh when it has older data: `deadline`, or a duration [default: deadline]
    #[arg(
        long = "cache.wait",
        env = "SWR_EXPORTER_CACHE_WAIT",
        value_name = "WAIT",
        hide_env_values = true,
        help_heading = "Cache"
    )]
    pub cache_wait: Option<String>,
    /// Older data is withdrawn [default: 1h]
    #[arg(
        long = "cache.max-age",
        env = "SWR_EXPORTER_CACHE_MAX_AGE",
        value_name = "DURATION",
        hide_env_values = true,
        help_heading = "Cache"
    )]
    pub cache_max_age: Option<String>,
    /// Directory for the last good snapshot, so that a restart serves at once [default: none is kept]
    #[arg(
        long = "cache.file",
        env = "SWR_EXPORTER_CACHE_FILE",
        value_name = "DIRECTORY",
        hide_env_values = true,
        help_heading = "Cache"
    )]
    pub cache_file: Option<String>,

    /// How long a scrape may take where the scraper sends no X-Prometheus-Scrape-Timeout-Seconds [default: 10s]
    #[arg(
        long = "scrape.timeout",
        env = "SWR_EXPORTER_SCRAPE_TIMEOUT",
        value_name = "DURATION",
        hide_env_values = true,
        help_heading = "Scrape"
    )]
    pub scrape_timeout: Option<String>,
    /// Taken off the scraper's timeout, so that the answer is there before it gives up [default: 500ms]
    #[arg(
        long = "scrape.timeout-offset",
        env = "SWR_EXPORTER_SCRAPE_TIMEOUT_OFFSET",
        value_name = "DURATION",
        hide_env_values = true,
        help_heading = "Scrape"
    )]
    pub scrape_timeout_offset: Option<String>,

    /// Which of size, images, downloads, created, updated and info are written [default: all]
    #[arg(
        long = "collector.repositories.metrics",
        env = "SWR_EXPORTER_COLLECTOR_REPOSITORIES_METRICS",
        value_name = "LIST",
        hide_env_values = true,
        help_heading = "Collectors"
    )]
    pub collector_repositories_metrics: Option<String>,

    /// At most so many repositories get series, the largest; the rest stay in the sums of their organisation [default: 0, no limit]
    #[arg(
        long = "repositories.limit",
        env = "SWR_EXPORTER_REPOSITORIES_LIMIT",
        value_name = "N",
        hide_env_values = true,
        help_heading = "Collectors"
    )]
    pub repositories_limit: Option<String>,

    /// trace, debug, info, warn or error [default: info]
    #[arg(
        long = "log.level",
        env = "SWR_EXPORTER_LOG_LEVEL",
        value_name = "LEVEL",
        hide_env_values = true,
        help_heading = "Log"
    )]
    pub log_level: Option<String>,
    /// logfmt or json [default: logfmt]
    #[arg(
        long = "log.format",
        env = "SWR_EXPORTER_LOG_FORMAT",
        value_name = "FORMAT",
        hide_env_values = true,
        help_heading = "Log"
    )]
    pub log_format: Option<String>,
}

/// Flags of `check`: those of `serve`, which are checked, and how.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The settings.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Check settings and secret files alone, and ask nobody
    #[arg(long, help_heading = "Check")]
    pub offline: bool,
    /// text or json
    #[arg(long, default_value = "text", value_parser = ["text", "json"], value_name = "FORMAT", help_heading = "Check")]
    pub format: String,
}

/// The simulated world.
#[derive(Args, Clone, Debug)]
pub struct WorldArgs {
    /// Repositories to begin with
    #[arg(long, default_value_t = 200)]
    pub repositories: usize,
    /// Organisations
    #[arg(long, default_value_t = 8)]
    pub namespaces: usize,
    /// The same seed gives the same world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Simulated seconds a second: how fast the world grows
    #[arg(long, default_value_t = 600.0)]
    pub speed: f64,
}

/// Flags of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// The world.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Address to listen on; port 0 is a free one
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub listen_address: String,
    /// How long a snapshot is served without asking again
    #[arg(long = "cache.window", default_value = "15s", value_name = "DURATION")]
    pub cache_window: String,
}

/// Flags of `simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// The world.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Address to listen on; port 0 is a free one
    #[arg(long, default_value = "127.0.0.1:10180", value_name = "ADDRESS")]
    pub listen_address: String,
    /// For each new repository one goes: the world changes and does not grow
    #[arg(long)]
    pub steady: bool,
    /// Before each answer
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub latency: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_serve_has_its_environment_variable() {
        let command = Cli::command();
        let flags: Vec<_> =
            command.get_arguments().filter(|flag| flag.get_long().is_some_and(|long| long.contains('.'))).collect();
        assert!(flags.len() > 20);
        for flag in flags {
            let long = flag.get_long().unwrap();
            let expected = format!("SWR_EXPORTER_{}", long.to_uppercase().replace(['.', '-'], "_"));
            assert_eq!(flag.get_env().and_then(|name| name.to_str()), Some(expected.as_str()), "--{long}");
            assert!(flag.is_hide_env_values_set(), "--{long}: --help must not show the environment");
        }
    }
}
