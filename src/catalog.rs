//! The catalog of all metric families: name, type, unit, labels, HELP.
//!
//! Names are promises to users: prefix `swr_`, base units, the unit last; HELP is a full sentence that names the API field. A
//! new metric is one row here and one line where its samples are made. The table of docs/metrics.md and the tests follow from
//! [`ALL`].

use strum::IntoStaticStr;

/// A family of metrics.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// The name, with `_total` if it is a counter.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The base unit at the end of the name, if there is one.
    pub unit: Option<&'static str>,
    /// Label names, in the order in which they are written.
    pub labels: &'static [&'static str],
    /// HELP, a full sentence.
    pub help: &'static str,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// May rise and fall.
    Gauge,
    /// Never falls while the process lives.
    Counter,
    /// Observations in buckets.
    Histogram,
}

impl Kind {
    /// The name of the type in both exposition formats.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

macro_rules! families {
    ($($constant:ident = $name:literal, $kind:ident, $unit:expr, $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Family =
                Family { name: $name, kind: Kind::$kind, unit: $unit, labels: &$labels, help: $help };
        )*
        /// All families, in the order of docs/metrics.md.
        pub const ALL: &[&Family] = &[$(&$constant),*];
    };
}

const BYTES: Option<&str> = Some("bytes");
const SECONDS: Option<&str> = Some("seconds");
const REPOSITORY: [&str; 2] = ["namespace", "repository"];
const TAG: [&str; 3] = ["namespace", "repository", "tag"];
const INSTANCE_REPOSITORY: [&str; 3] = ["instance_id", "namespace", "repository"];

families! {
    // Repositories and namespaces: written once per snapshot.
    REPOSITORY_SIZE = "swr_repository_size_bytes", Gauge, BYTES, REPOSITORY,
        "Size of the repository in bytes (API field size), as of swr_snapshot_timestamp_seconds.";
    REPOSITORY_IMAGES = "swr_repository_images", Gauge, None, REPOSITORY,
        "Number of image tags in the repository (API field num_images), as of swr_snapshot_timestamp_seconds.";
    REPOSITORY_DOWNLOADS = "swr_repository_downloads", Gauge, None, REPOSITORY,
        "Downloads of the repository so far (API field num_download; it may fall), as of swr_snapshot_timestamp_seconds.";
    REPOSITORY_CREATED = "swr_repository_created_timestamp_seconds", Gauge, SECONDS, REPOSITORY,
        "Unix time at which the repository was created (API field created_at), as of swr_snapshot_timestamp_seconds.";
    REPOSITORY_UPDATED = "swr_repository_updated_timestamp_seconds", Gauge, SECONDS, REPOSITORY,
        "Unix time at which the repository was last updated (API field updated_at), as of swr_snapshot_timestamp_seconds.";
    REPOSITORY_INFO = "swr_repository_info", Gauge, None, ["namespace", "repository", "category", "visibility"],
        "Constant 1 with the category and visibility of the repository (API fields category and is_public), as of swr_snapshot_timestamp_seconds.";
    NAMESPACE_REPOSITORIES = "swr_namespace_repositories", Gauge, None, ["namespace"],
        "Number of listed repositories in the organization, as of swr_snapshot_timestamp_seconds.";
    NAMESPACE_SIZE = "swr_namespace_size_bytes", Gauge, BYTES, ["namespace"],
        "Sum of the sizes of the listed repositories of the organization in bytes (API field size), as of swr_snapshot_timestamp_seconds.";
    NAMESPACE_IMAGES = "swr_namespace_images", Gauge, None, ["namespace"],
        "Sum of the image tags of the listed repositories of the organization (API field num_images), as of swr_snapshot_timestamp_seconds.";
    NAMESPACE_DOWNLOADS = "swr_namespace_downloads", Gauge, None, ["namespace"],
        "Sum of the downloads of the listed repositories of the organization (API field num_download), as of swr_snapshot_timestamp_seconds.";
    NAMESPACE_UP = "swr_namespace_up", Gauge, None, ["namespace"],
        "Whether the latest listing of the organization was complete; if 0, its series come from an earlier listing; only with --swr.namespace.";
    NAMESPACE_SNAPSHOT = "swr_namespace_snapshot_timestamp_seconds", Gauge, SECONDS, ["namespace"],
        "Unix time at which the listing behind the organization's series began; only with --swr.namespace.";
    REPOSITORIES = "swr_repositories", Gauge, None, [],
        "Number of repositories in the listing, as of swr_snapshot_timestamp_seconds.";
    REPOSITORIES_OMITTED = "swr_repositories_omitted", Gauge, None, ["reason"],
        "Number of listed repositories without series of their own, by reason; they stay in the sums of their organization.";

    // Tags and details: written once per snapshot, where they are collected.
    REPOSITORY_TAGS = "swr_repository_tags_read", Gauge, None, REPOSITORY,
        "Number of tags found when the tags of the repository were last read (tag list).";
    REPOSITORY_UNLAYERED_TAGS = "swr_repository_unlayered_tags", Gauge, None, REPOSITORY,
        "Number of tags with unknown layers, which the layer bytes leave out: indexes of images without tags of their own, schema 1, a missing or broken manifest; absent if there are none.";
    REPOSITORY_UNIQUE_LAYERS = "swr_repository_unique_layer_bytes", Gauge, BYTES, REPOSITORY,
        "Bytes of the distinct layers and configurations of all tags of the repository (API field manifest), each counted once.";
    REPOSITORY_EXCLUSIVE_LAYERS = "swr_repository_exclusive_layer_bytes", Gauge, BYTES, REPOSITORY,
        "The part of the repository's unique layer bytes that no other listed repository refers to, so that deleting it frees them; absent until all repositories were read once.";
    REPOSITORY_NEWEST_TAG = "swr_repository_newest_tag_timestamp_seconds", Gauge, SECONDS, REPOSITORY,
        "Unix time of the last update of the tag updated most recently (API field updated of the tags).";
    REPOSITORY_OLDEST_TAG = "swr_repository_oldest_tag_timestamp_seconds", Gauge, SECONDS, REPOSITORY,
        "Unix time of the last update of the tag updated least recently (API field updated of the tags).";
    REPOSITORY_TAGS_BY_AGE = "swr_repository_tags_by_age", Gauge, None, ["namespace", "repository", "age"],
        "Number of tags by time since their update (API field updated of the tags); each tag is in one class, named by its upper end; as of swr_snapshot_timestamp_seconds.";
    NAMESPACE_UNIQUE_LAYERS = "swr_namespace_unique_layer_bytes", Gauge, BYTES, ["namespace"],
        "Bytes of the distinct layers and configurations of all tags of the organization, each counted once; absent until all its repositories were read once.";
    UNIQUE_LAYERS = "swr_unique_layer_bytes", Gauge, BYTES, [],
        "Bytes of the distinct layers and configurations of all tags listed, each counted once; absent until all repositories were read once.";
    REPOSITORY_RECLAIMABLE_LAYERS = "swr_repository_reclaimable_layer_bytes", Gauge, BYTES, ["namespace", "repository", "rule"],
        "Bytes freed by deleting the tags that the rule selects in this repository alone: layers and configurations that no other tag and no other listed repository refers to; absent if there are none, and until all repositories were read once.";
    REPOSITORY_RECLAIMABLE_TAGS = "swr_repository_reclaimable_tags", Gauge, None, ["namespace", "repository", "rule"],
        "Number of tags of the repository that the rule selects, as of swr_snapshot_timestamp_seconds; absent if there are none.";
    NAMESPACE_RECLAIMABLE_LAYERS = "swr_namespace_reclaimable_layer_bytes", Gauge, BYTES, ["namespace", "rule"],
        "Bytes freed by deleting the tags that the rule selects in all repositories of the organization at once: more than the sum of its repositories if they share layers; absent until all repositories were read once.";
    RECLAIMABLE_LAYERS = "swr_reclaimable_layer_bytes", Gauge, BYTES, ["rule"],
        "Bytes freed by deleting the tags that the rule selects in all listed repositories at once; absent until all were read once.";
    TAG_SIZE = "swr_tag_size_bytes", Gauge, BYTES, TAG,
        "Size of the image of the tag in bytes (API field size).";
    TAG_CREATED = "swr_tag_created_timestamp_seconds", Gauge, SECONDS, TAG,
        "Unix time at which the tag was created (API field created).";
    TAG_UPDATED = "swr_tag_updated_timestamp_seconds", Gauge, SECONDS, TAG,
        "Unix time at which the tag was last updated (API field updated).";
    TAG_INFO = "swr_tag_info", Gauge, None, ["namespace", "repository", "tag", "digest", "type", "schema", "trusted", "scanned"],
        "Constant 1 with the digest and kind of the tag's manifest (API fields digest, manifest, schema, is_trusted and scanned).";
    DETAILS_INFO = "swr_repository_details_info", Gauge, None, ["namespace", "repository", "id", "creator", "domain_id"],
        "Constant 1 with identifier, creator and account of the repository (API fields id, creator_name and domain_id), read once.";
    PRIORITY = "swr_repository_priority", Gauge, None, REPOSITORY,
        "Sorting priority of the repository (API field priority), read once.";
    REPOSITORY_RETENTION = "swr_repository_retention_rules", Gauge, None, REPOSITORY,
        "Number of retention rules of the repository, by which SWR deletes tags automatically (retention API); 0 if there are none.";
    // The account as a whole, where that is collected.
    ACCOUNT_REPOSITORIES = "swr_account_repositories", Gauge, None, [],
        "Number of repositories of the account by the API's own count (API field repo_num), visible to the user or not; not updated while swr_collector_up of account is 0.";
    ACCOUNT_IMAGES = "swr_account_images", Gauge, None, [],
        "Number of images of the account by the API's own count (API field image_num); not updated while swr_collector_up of account is 0.";
    ACCOUNT_NAMESPACES = "swr_account_namespaces", Gauge, None, [],
        "Number of organizations of the account by the API's own count (API field namspace_num); not updated while swr_collector_up of account is 0.";
    ACCOUNT_STORAGE = "swr_account_storage", Gauge, None, [],
        "Storage of the account in a unit that the API does not document (API field store_space); not updated while swr_collector_up of account is 0.";
    ACCOUNT_DOWNLOAD_TRAFFIC = "swr_account_download_traffic", Gauge, None, [],
        "Download traffic of the account in a unit that the API does not document (API field downflow_size); not updated while swr_collector_up of account is 0.";
    QUOTA_LIMIT = "swr_quota_limit", Gauge, None, ["quota"],
        "Limit of the quota of the account (API field quota_limit); not updated while swr_collector_up of account is 0.";
    QUOTA_USED = "swr_quota_used", Gauge, None, ["quota"],
        "Use of the quota of the account (API field used); not updated while swr_collector_up of account is 0.";
    NAMESPACE_UNLISTED = "swr_namespace_unlisted_repositories", Gauge, None, ["namespace"],
        "Number of repositories of the organization (API field repo_count) that are not listed, because the exporter's user may not see them.";

    // The Enterprise Edition, where that is collected.
    INSTANCES = "swr_instances", Gauge, None, [],
        "Number of Enterprise Edition instances of the project; not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_INFO = "swr_instance_info", Gauge, None, ["instance_id", "name", "spec", "version", "charge_mode"],
        "Constant 1 with the name, specification, version and charge mode of the instance.";
    INSTANCE_STATUS = "swr_instance_status", Gauge, None, ["instance_id", "status"],
        "Constant 1 with the status of the instance (API field status), such as Running; not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_CREATED = "swr_instance_created_timestamp_seconds", Gauge, SECONDS, ["instance_id"],
        "Unix time at which the instance was created (API field created_at).";
    INSTANCE_EXPIRES = "swr_instance_expiry_timestamp_seconds", Gauge, SECONDS, ["instance_id"],
        "Unix time at which the instance expires (API field expires_at); absent if it does not.";
    INSTANCE_STORAGE = "swr_instance_storage_bytes", Gauge, BYTES, ["instance_id"],
        "Storage of the instance in bytes (API field storage_used); not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_QUOTA_LIMIT = "swr_instance_quota_limit", Gauge, None, ["instance_id", "quota"],
        "Limit of the quota of the instance (API fields that end in _quota); not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_QUOTA_USED = "swr_instance_quota_used", Gauge, None, ["instance_id", "quota"],
        "Use of the quota of the instance (API fields that end in _count); not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORIES = "swr_instance_repositories", Gauge, None, ["instance_id"],
        "Number of listed repositories of the instance; not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_TAGS = "swr_instance_repository_tags", Gauge, None, INSTANCE_REPOSITORY,
        "Number of tags in the repository of the instance (API field tag_count); not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_ARTIFACTS = "swr_instance_repository_artifacts", Gauge, None, INSTANCE_REPOSITORY,
        "Number of artifacts in the repository of the instance (API field artifact_count); not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_DOWNLOADS = "swr_instance_repository_downloads", Gauge, None, INSTANCE_REPOSITORY,
        "Downloads of the repository of the instance so far (API field pull_count; it may fall); not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_CREATED = "swr_instance_repository_created_timestamp_seconds", Gauge, SECONDS, INSTANCE_REPOSITORY,
        "Unix time at which the repository of the instance was created (API field created_at).";
    INSTANCE_REPOSITORY_UPDATED = "swr_instance_repository_updated_timestamp_seconds", Gauge, SECONDS, INSTANCE_REPOSITORY,
        "Unix time at which the repository of the instance was last updated (API field updated_at); not updated while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_SIZE = "swr_instance_repository_size_bytes", Gauge, BYTES, INSTANCE_REPOSITORY,
        "Sum of the sizes of the repository's distinct artifact digests in bytes (API field size of the artifacts); a layer that several artifacts share counts in each, so the sum is more than is stored.";
    INSTANCE_REPOSITORY_PUSHED = "swr_instance_repository_last_push_timestamp_seconds", Gauge, SECONDS, INSTANCE_REPOSITORY,
        "Unix time of the latest push to the repository of the instance (API field push_time of the artifacts).";
    INSTANCE_REPOSITORY_PULLED = "swr_instance_repository_last_pull_timestamp_seconds", Gauge, SECONDS, INSTANCE_REPOSITORY,
        "Unix time of the latest pull from the repository of the instance (API field pull_time of the artifacts); absent if it was never pulled.";

    // The collection: live.
    UP = "swr_up", Gauge, None, [],
        "Whether the latest refresh was complete; 0 if it failed or none has ended yet.";
    COLLECTOR_UP = "swr_collector_up", Gauge, None, ["collector"],
        "Whether the latest run of the collector was complete; 0 before the first.";
    SNAPSHOT = "swr_snapshot_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time at which the refresh behind the served data began; absent while no data is served.";
    REFRESH = "swr_refresh_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time at which the latest refresh ended, successful or not; absent before the first.";
    REFRESH_DURATION = "swr_refresh_duration_seconds", Gauge, SECONDS, [],
        "Duration of the latest refresh in seconds, successful or not; absent before the first.";
    CACHE_WINDOW = "swr_cache_window_seconds", Gauge, SECONDS, [],
        "How long data is served without a refresh, in seconds (--cache.window).";
    REFRESHES = "swr_refreshes_total", Counter, None, [],
        "Number of refreshes that ended, successful or not.";
    REFRESH_FAILURES = "swr_refresh_failures_total", Counter, None, ["reason"],
        "Number of refreshes that failed or were incomplete, by reason.";
    SCRAPES = "swr_scrapes_total", Counter, None, ["served"],
        "Number of scrapes by the data they got: within the cache window (fresh), refreshed for them, older (stale), or nothing.";
    API_REQUESTS = "swr_api_requests_total", Counter, None, ["operation", "code"],
        "Number of API calls by operation and HTTP status; the code is none if there was no response.";
    API_REQUEST_DURATION = "swr_api_request_duration_seconds", Histogram, SECONDS, ["operation"],
        "Duration of API calls in seconds, from sending the request to the end of the response.";
    API_RETRIES = "swr_api_retries_total", Counter, None, ["operation"],
        "Number of API calls sent again after a failure.";
    API_THROTTLE_WAIT = "swr_api_throttle_wait_seconds_total", Counter, SECONDS, [],
        "Time in seconds that API calls waited for the rate limit or because the API asked for a pause.";
    API_CIRCUIT_OPEN = "swr_api_circuit_open", Gauge, None, [],
        "Whether API calls are held back because the listing failed repeatedly.";
    LISTING_INCONSISTENCIES = "swr_listing_inconsistencies_total", Counter, None, ["kind"],
        "Number of signs that a listing changed or was incomplete while it was read, by kind.";
    TAGS_PENDING = "swr_tags_pending", Gauge, None, [],
        "Number of repositories whose tags were never read, or changed since according to the latest listing; absent without the collector tags.";
    SAMPLES_DROPPED = "swr_samples_dropped_total", Counter, None, ["reason"],
        "Number of API values that were dropped because they could not be parsed, and of names that were shortened, by reason.";
    CREDENTIAL_EXPIRY = "swr_credential_expiry_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time at which the credential in use expires; absent if it never expires or that is unknown.";
    API_CLOCK_SKEW = "swr_api_clock_skew_seconds", Gauge, SECONDS, [],
        "The API's clock minus this machine's in seconds, from the latest Date header; absent before the first response.";

    // The exporter itself: live.
    PAGE_SERIES = "swr_exporter_page_series", Gauge, None, [],
        "Number of series of the current data, without the exporter's own; the scraper's sample_limit must be higher.";
    PAGE_BYTES = "swr_exporter_page_bytes", Gauge, BYTES, [],
        "Size of the current data in bytes before compression, without the exporter's own series; the scraper's body_size_limit must be higher.";
    SCRAPES_REFUSED = "swr_exporter_scrapes_refused_total", Counter, None, [],
        "Number of scrapes answered with 503 because too many were being served (--web.max-requests).";
    CONNECTIONS_CLOSED = "swr_exporter_connections_closed_total", Counter, None, ["reason"],
        "Number of connections that the exporter closed, by reason: too many from one address, overdue with a request or with reading a response, or a failed TLS handshake.";
    ACCEPT_ERRORS = "swr_exporter_accept_errors_total", Counter, None, [],
        "Number of connections that could not be accepted, for example for lack of file descriptors.";
    PANICS = "swr_exporter_handler_panics_total", Counter, None, [],
        "Number of requests that ended in a panic and were answered with 500; each is a bug in the exporter.";
    REQUESTS_REFUSED = "swr_exporter_requests_refused_total", Counter, None, ["reason"],
        "Number of requests answered with 401, 403 or 429, or with 503 for too many logins, by reason.";
    WEB_CONFIG_RELOAD = "swr_exporter_web_config_last_reload_successful", Gauge, None, [],
        "Whether the web configuration file was valid when last read; if 0, the previous one stays in force; absent without such a file.";
    WEB_CONFIG_RELOAD_TIME = "swr_exporter_web_config_last_reload_success_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time of the last successful read of the web configuration file; absent without such a file.";
    CONFIG_RELOAD_SUCCESSFUL = "swr_exporter_config_last_reload_successful", Gauge, None, [],
        "Whether the settings were valid when last read; if 0, the previous ones stay in force.";
    CONFIG_RELOAD_SUCCESS = "swr_exporter_config_last_reload_success_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time of the last successful read of the settings.";
    BUILD_INFO = "swr_exporter_build_info", Gauge, None, ["version", "revision", "rustversion"],
        "Constant 1 with the version, source revision and compiler of the exporter.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_keep_the_naming_rules_and_need_no_escaping() {
        let mut names = std::collections::BTreeSet::new();
        for Family { name, kind, unit, help, .. } in ALL {
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("swr_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}: _total is for counters");
            assert!(!name.ends_with("_count") && !name.ends_with("_info_total"), "{name}");
            if let Some(unit) = unit {
                assert!(name.trim_end_matches("_total").ends_with(&format!("_{unit}")), "{name}: unit last");
            }
            assert!(help.ends_with('.') && help.starts_with(char::is_uppercase), "{help}");
            assert!(!help.contains(['\\', '"', '\n']), "{name}: both formats share this text");
        }
    }
}
