//! The table of the settings of `serve`. A row gives the flag, its environment variable, its key in the configuration file,
//! its help and its line on the settings page.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};
use std::ffi::{OsStr, OsString};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// The name without dashes, `group.name`.
    pub name: &'static str,
    /// The key in an account of the configuration file, `outer.inner` if nested; `None` for settings of the process.
    pub key: Option<&'static str>,
    /// The number and form of its values.
    pub kind: FlagKind,
    /// The placeholder of its value in help.
    pub value: &'static str,
    /// The default, in words.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// The number and form of a setting's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// One value.
    One,
    /// Any number of values: a repeated flag, a list in the file, or separated by commas anywhere ([`split_list`]).
    Many,
    /// Names with values: a repeated `NAME=VALUE`, separated by commas in the variable, or a mapping in the file. What is
    /// given in several places is joined; the nearer place wins.
    Map,
    /// On or off: `--name` or `--no-name`, `true` or `false`. In the file, `collectors` lists the last part of the name.
    Switch,
}

/// The heading in help, by the first part of a setting's name.
const HEADINGS: [(&str, &str); 10] = [
    ("config", "Configuration"),
    ("web", "Web"),
    ("swr", "SWR"),
    ("credentials", "Credentials"),
    ("account", "Account"),
    ("cache", "Cache"),
    ("scrape", "Scrape"),
    ("collector", "Collectors"),
    ("repositories", "Collectors"),
    ("log", "Log"),
];

/// A row of [`ALL`].
const fn row(
    name: &'static str,
    key: Option<&'static str>,
    kind: FlagKind,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag { name, key, kind, value, default, help }
}

use FlagKind::{Many, Map, One, Switch};

/// Every setting, in the order of help.
#[rustfmt::skip]
pub const ALL: &[Flag] = &[
    row("config.file", None, One, "FILE", "none",
        "File with the settings of several accounts; read again when it changes, on SIGHUP and on POST /-/reload"),

    row("config.check", None, Switch, "", "off", "Validate settings and secret files, then exit, like `check --offline`"),

    row("web.listen-address", None, Many, "ADDRESS", "[::]:10179",
        "Address to listen on; can be repeated. The default falls back to IPv4"),
    row("web.telemetry-path", None, One, "PATH", "/metrics", "Path of the metrics"),
    row("web.external-url", None, One, "URL", "from the request",
        "URL under which others reach the exporter, such as https://example.com/exporters/swr"),
    row("web.route-prefix", None, One, "PATH", "from --web.external-url",
        "Prefix of all paths but /-/healthy and /-/ready; / if the reverse proxy cuts the path off"),
    row("web.config.file", None, One, "FILE", "none",
        "File with TLS, HTTP headers and basic authentication, in Prometheus' web configuration format; read again when it changes"),
    row("web.enable-lifecycle", None, Switch, "", "off",
        "Allow POST /-/reload without a login; with a login it is always allowed"),
    row("web.link", None, Many, "NAME=URL", "none",
        "Link on the status page, such as Grafana=https://grafana.example.com; can be repeated"),
    row("web.max-requests", None, One, "N", "40",
        "Scrapes served at the same time, not counting those that wait for a refresh; more get 503"),
    row("web.max-connections", None, One, "N", "512", "Open connections; more wait"),
    row("web.max-connections-per-address", None, One, "N", "128",
        "Open connections per client address (IPv6: per /64); more are closed"),

    row("swr.region", Some("region"), One, "REGION", "none", "Region, such as cn-north-4; it sets the endpoints"),
    row("swr.endpoint", Some("endpoint"), One, "URL", "from the region",
        "URL of the API, such as https://swr-api.eu-de.otc.t-systems.com"),
    row("swr.iam-endpoint", Some("iam_endpoint"), One, "URL", "from the region",
        "URL of IAM, such as https://iam.eu-de.otc.t-systems.com"),
    row("swr.sts-endpoint", Some("sts_endpoint"), One, "URL", "from the region", "URL of STS, for OIDC"),
    row("swr.project-id", Some("project_id"), One, "ID", "none", "Project id, sent with signed requests and used to get tokens"),
    row("swr.ca-file", Some("ca_file"), One, "FILE", "none", "PEM file with CA certificates to trust besides the system's"),
    row("swr.namespace", Some("namespaces"), Many, "NAME", "all", "List only this organization; can be repeated"),
    row("swr.list-api", Some("list_api"), One, "VERSION", "v2",
        "How to list: v2 (by offsets), v3 (by markers) or auto (v3 if the region offers it)"),
    row("swr.page-size", Some("page_size"), One, "N", "1000",
        "Repositories per page, 10 to 1000; reduced if the API refuses it"),
    row("swr.concurrency", Some("concurrency"), One, "N", "4", "API calls in flight"),
    row("swr.rate-limit", Some("rate_limit"), One, "N", "20", "API calls per second"),
    row("swr.burst", Some("burst"), One, "N", "40", "API calls that may be sent at once after a pause"),
    row("swr.request-timeout", Some("request_timeout"), One, "DURATION", "30s", "Time limit of an API call"),
    row("swr.refresh-timeout", Some("refresh_timeout"), One, "DURATION", "5m", "Time limit of a refresh"),

    row("credentials.source", Some("credentials.source"), One, "SOURCE", "auto",
        "Source of the credential: token, access-key, password, oidc, profile, pod-identity, metadata, or auto for the first \
         that is configured"),
    row("credentials.token-file", Some("credentials.token_file"), One, "FILE", "none",
        "File with an IAM token; or set SWR_EXPORTER_TOKEN to the token itself"),
    row("credentials.access-key-file", Some("credentials.access_key_file"), One, "FILE", "none",
        "File with the access key; or set SWR_EXPORTER_ACCESS_KEY or HUAWEICLOUD_SDK_AK"),
    row("credentials.secret-key-file", Some("credentials.secret_key_file"), One, "FILE", "none",
        "File with the secret key; or set SWR_EXPORTER_SECRET_KEY or HUAWEICLOUD_SDK_SK"),
    row("credentials.security-token-file", Some("credentials.security_token_file"), One, "FILE", "none",
        "File with the security token of a temporary access key; or set SWR_EXPORTER_SECURITY_TOKEN or \
         HUAWEICLOUD_SDK_SECURITY_TOKEN"),
    row("credentials.domain-name", Some("credentials.domain_name"), One, "NAME", "none",
        "Account of the IAM user, for the source password"),
    row("credentials.username", Some("credentials.username"), One, "NAME", "none",
        "Name of the IAM user, for the source password"),
    row("credentials.password-file", Some("credentials.password_file"), One, "FILE", "none",
        "File with the password; or set SWR_EXPORTER_PASSWORD to the password itself"),
    row("credentials.agency-name", Some("credentials.agency_name"), One, "NAME", "none",
        "Agency of another account to assume with the credential"),
    row("credentials.agency-domain-name", Some("credentials.agency_domain_name"), One, "NAME", "none",
        "Account of the agency, by its name"),
    row("credentials.agency-domain-id", Some("credentials.agency_domain_id"), One, "ID", "none",
        "Account of the agency, by its id"),
    row("credentials.metadata-endpoint", Some("credentials.metadata_endpoint"), One, "URL", "http://169.254.169.254",
        "URL of the ECS metadata service"),

    row("account.label", Some("labels"), Map, "NAME=VALUE", "none",
        "Label to add to all series of the account if no scraper adds it, such as account=production; can be repeated"),

    row("cache.window", Some("cache_window"), One, "DURATION", "5m", "How long data is served without a refresh"),
    row("cache.wait", Some("cache_wait"), One, "WAIT", "deadline",
        "How long a scrape waits for a refresh if there is older data: a duration, or `deadline` for the scrape's own timeout"),
    row("cache.max-age", Some("cache_max_age"), One, "DURATION", "1h", "Age at which data is withdrawn"),
    row("cache.directory", Some("cache_directory"), One, "DIRECTORY", "none",
        "Directory that keeps the last good data, so that a restart can serve it; created if missing"),

    row("scrape.timeout", None, One, "DURATION", "10s",
        "Scrape timeout if the scraper sends no X-Prometheus-Scrape-Timeout-Seconds"),
    row("scrape.timeout-offset", None, One, "DURATION", "500ms",
        "Subtracted from the scrape timeout, so that the response arrives in time"),

    row("collector.repositories", Some("collectors"), Switch, "", "on",
        "Series of each repository; the listing is read in any case"),
    row("collector.repositories.metrics", Some("repositories_metrics"), Many, "LIST", "all",
        "Series to write for each repository, separated by commas: size, images, downloads, created, updated, info"),
    row("collector.tags", Some("collectors"), Switch, "", "off",
        "Read the tags of new and changed repositories: distinct and exclusive bytes, age of tags"),
    row("collector.tags.detail", Some("tags_detail"), One, "REGEX", "none",
        "Series of each tag, for repositories whose full name namespace/repository matches"),
    row("collector.tags.rate-limit", Some("tags_rate_limit"), One, "N", "5",
        "Calls per second for tags, details and retention rules, within --swr.rate-limit"),
    row("collector.tags.full-interval", Some("tags_full_interval"), One, "DURATION", "24h",
        "Read the tags and retention rules of every repository again within this time, changed or not"),
    row("collector.tags.reclaim", Some("tags_reclaim"), Many, "RULE", "older_than_90d,beyond_newest_10",
        "Clean-up rules, at most 8: older_than_<N>d selects tags last updated at least N days ago, beyond_newest_<K> all but the \
         K updated last; `none` for none"),
    row("collector.tags.reclaim.keep", Some("tags_reclaim_keep"), One, "REGEX", "none",
        "Tags to keep: no clean-up rule selects a tag whose full name matches"),
    row("collector.details", Some("collectors"), Switch, "", "off", "Read id, creator and priority of each repository, once"),
    row("collector.retention", Some("collectors"), Switch, "", "off",
        "Read how many retention rules each repository has: a call per repository within --collector.tags.full-interval"),
    row("collector.account", Some("collectors"), Switch, "", "off",
        "Quotas and totals of the account, and repositories that are not listed; needs further permissions"),
    row("collector.enterprise", Some("collectors"), Switch, "", "off",
        "Instances of the Enterprise Edition and their repositories; needs further permissions and the project id"),
    row("collector.enterprise.artifacts", Some("collectors"), Switch, "", "off",
        "Size, latest push and latest pull of each repository of the Enterprise Edition: a call per 100 images and hour; turns \
         collector.enterprise on too"),
    row("repositories.include", Some("repositories_include"), One, "REGEX", "all",
        "Only repositories whose full name namespace/repository matches get series; the others stay in the sums"),
    row("repositories.exclude", Some("repositories_exclude"), One, "REGEX", "none",
        "Repositories whose full name namespace/repository matches get no series, even if they are included"),
    row("repositories.limit", Some("repositories_limit"), One, "N", "0",
        "Number of repositories that get series, the largest first; the others stay in the sums. 0 means no limit"),

    row("log.level", None, One, "LEVEL", "info", "trace (also of libraries), debug, info, warn or error"),
    row("log.format", None, One, "FORMAT", "logfmt", "logfmt or json, on standard error"),
];

/// Settings that have another name now, which stands for the default. They are answered with it.
#[rustfmt::skip]
pub const RENAMED: &[Flag] = &[
    row("cache.file", Some("cache_file"), One, "DIRECTORY", "cache.directory", "Renamed"),
];

/// The row with this name.
///
/// # Panics
/// If there is none: names are literals of this program.
pub fn flag(name: &str) -> &'static Flag {
    ALL.iter().chain(RENAMED).find(|flag| flag.name == name).unwrap_or_else(|| panic!("no setting is called {name}"))
}

impl Flag {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("SWR_EXPORTER_{}", self.name.to_uppercase().replace(['.', '-'], "_"))
    }

    fn heading(&self) -> &'static str {
        let group = self.name.split('.').next();
        HEADINGS.iter().find(|(prefix, _)| Some(*prefix) == group).map_or("Other", |(_, heading)| *heading)
    }

    fn short_help(&self) -> String {
        if self.default == "none" { self.help.to_owned() } else { format!("{} [default: {}]", self.help, self.default) }
    }

    /// Values for completion. Others are valid too, or reported by `config`.
    pub fn suggestions(&self) -> &'static [&'static str] {
        match self.name {
            "swr.list-api" => &["v2", "v3", "auto"],
            "credentials.source" => {
                &["auto", "token", "access-key", "password", "oidc", "profile", "pod-identity", "metadata"]
            }
            "cache.wait" => &["deadline"],
            "collector.repositories.metrics" => &["size", "images", "downloads", "created", "updated", "info"],
            "log.level" => &["trace", "debug", "info", "warn", "error"],
            "log.format" => &["logfmt", "json"],
            _ => &[],
        }
    }

    /// The name of the flag that turns a switch off.
    fn negation(&self) -> String {
        format!("no-{}", self.name)
    }

    fn arg(&self) -> Arg {
        let arg = Arg::new(self.name)
            .long(self.name)
            .env(self.variable())
            // The long help names the variable, and the short one has no room for it.
            .hide_env(true)
            // So that `config` can say what is wrong with -1.
            .allow_negative_numbers(true)
            .value_parser(Suggestions(self.suggestions()))
            .hide_possible_values(true)
            .value_hint(match self.value {
                "FILE" => ValueHint::FilePath,
                "DIRECTORY" => ValueHint::DirPath,
                _ if self.suggestions().is_empty() => ValueHint::Other,
                _ => ValueHint::Unknown,
            })
            .help(self.short_help())
            .long_help(format!("{}\n[env: {}]", self.short_help(), self.variable()))
            // The end of the short help names the common ones.
            .hide_short_help(true)
            .help_heading(self.heading());
        match self.kind {
            One => arg.value_name(self.value).action(ArgAction::Set),
            Many | Map => arg.value_name(self.value).action(ArgAction::Append),
            // A value needs `=`, so that the next argument is not taken for one. The flag overrides only itself: clap would
            // see a conflict between its negation and the variable.
            Switch => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .overrides_with(self.name)
                .action(ArgAction::Set)
                .value_name("BOOL"),
        }
    }

    /// Whether the command line turns a switch off: its negation is there, and the switch does not follow it.
    fn is_turned_off(&self, matches: &ArgMatches) -> bool {
        let position = |name: &str| {
            let on_command_line = matches.value_source(name) == Some(ValueSource::CommandLine);
            on_command_line.then(|| matches.index_of(name)).flatten()
        };
        self.kind == Switch && position(&self.negation()) > position(self.name)
    }
}

/// Takes any bytes, because clap also parses the variable, and `config` reports what is invalid. Completions suggest values.
#[derive(Clone)]
struct Suggestions(&'static [&'static str]);

impl TypedValueParser for Suggestions {
    type Value = OsString;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<OsString, clap::Error> {
        Ok(value.to_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        (!self.0.is_empty()).then(|| Box::new(self.0.iter().map(PossibleValue::new)) as Box<_>)
    }
}

/// The values of a setting of kind [`FlagKind::Many`]; each text may hold several, separated by commas.
pub fn split_list<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    texts.into_iter().flat_map(|text| text.split(',')).map(|value| value.trim().to_owned()).collect()
}

/// The settings given on the command line. `config` adds the environment, which clap only shows in help.
#[derive(Clone, Debug, Default)]
pub struct ServeArgs(Vec<(&'static str, Vec<String>)>);

impl ServeArgs {
    /// The values of a flag, if it was given; one, except for settings of kind [`FlagKind::Many`] and [`FlagKind::Map`].
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, values)| &values[..])
    }
}

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        let command = RENAMED.iter().fold(command, |command, flag| command.arg(flag.arg().hide(true)));
        ALL.iter().fold(command, |command, flag| {
            let command = command.arg(flag.arg());
            if flag.kind != Switch {
                return command;
            }
            let off = Arg::new(flag.negation())
                .long(flag.negation())
                .action(ArgAction::SetTrue)
                .overrides_with(flag.negation())
                .help_heading(flag.heading())
                .hide_short_help(true)
                .help(format!("Turn --{} off", flag.name));
            command.arg(off)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for flag in ALL.iter().chain(RENAMED) {
            if flag.is_turned_off(matches) {
                given.push((flag.name, vec!["false".to_owned()]));
            } else if matches.value_source(flag.name) == Some(ValueSource::CommandLine) {
                let texts = matches.get_many::<OsString>(flag.name).into_iter().flatten();
                let texts = texts.map(|text| text.to_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
                let texts = texts.ok_or_else(|| {
                    clap::Error::raw(ErrorKind::InvalidUtf8, format!("the value of --{} is not UTF-8\n", flag.name))
                })?;
                given.push((flag.name, if flag.kind == Many { split_list(&texts) } else { texts }));
            }
        }
        Ok(Self(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn args(line: &str) -> ServeArgs {
        crate::cli::Cli::try_parse_from(std::iter::once("swr-exporter").chain(line.split_whitespace())).unwrap().serve
    }

    #[test]
    fn the_last_flag_of_a_switch_counts() {
        let value = |line: &str| args(line).get("collector.repositories").map(|values| values.join(","));
        assert_eq!(value(""), None);
        assert_eq!(value("--collector.repositories").as_deref(), Some("true"));
        assert_eq!(value("--no-collector.repositories").as_deref(), Some("false"));
        assert_eq!(value("--collector.repositories=false").as_deref(), Some("false"));
        assert_eq!(value("--no-collector.repositories --collector.repositories").as_deref(), Some("true"));
        assert_eq!(value("--collector.repositories --no-collector.repositories").as_deref(), Some("false"));
        let (on, off) = ("--collector.repositories ", "--no-collector.repositories ");
        assert_eq!(value(&[off, on, off].concat()).as_deref(), Some("false"));
        assert_eq!(value(&[on, off, off, on, on].concat()).as_deref(), Some("true"));
    }

    #[test]
    fn lists_are_repeated_or_separated_by_commas() {
        let list = args("--swr.namespace a --swr.namespace b,c");
        assert_eq!(list.get("swr.namespace").unwrap(), ["a", "b", "c"]);
        assert_eq!(split_list(&[" a , b".to_owned(), String::new()]), ["a", "b", ""]);
    }

    #[test]
    fn each_row_is_complete_and_unique() {
        for flag in ALL {
            assert_ne!(flag.heading(), "Other", "{}", flag.name);
            assert_eq!(ALL.iter().filter(|other| other.name == flag.name).count(), 1, "{}", flag.name);
            let shared = |other: &&Flag| other.key == flag.key && flag.key.is_some_and(|key| key != "collectors");
            assert!(ALL.iter().filter(shared).count() <= 1, "{}", flag.name);
            assert!(!flag.help.ends_with('.') && !flag.default.is_empty(), "{}", flag.name);
        }
    }
}
