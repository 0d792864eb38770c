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
        "Downloads of the repository so far (API field num_download, not promised never to fall), as of swr_snapshot_timestamp_seconds.";
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
        "Whether the latest listing of the organization was complete, where organizations are listed one by one; if 0, its series are those of an earlier read.";
    NAMESPACE_SNAPSHOT = "swr_namespace_snapshot_timestamp_seconds", Gauge, SECONDS, ["namespace"],
        "Unix time at which the read behind the organization's series began, where organizations are listed one by one.";
    REPOSITORIES = "swr_repositories", Gauge, None, [],
        "Number of repositories in the listing, as of swr_snapshot_timestamp_seconds.";
    REPOSITORIES_OMITTED = "swr_repositories_omitted", Gauge, None, ["reason"],
        "Listed repositories that have no series of their own, by reason; they stay in the sums of their organization.";

    // Tags and details: written once per snapshot, where they are collected.
    REPOSITORY_TAGS = "swr_repository_tags_read", Gauge, None, REPOSITORY,
        "Number of tags found when the tags of the repository were last read (tag list).";
    REPOSITORY_UNLAYERED_TAGS = "swr_repository_unlayered_tags", Gauge, None, REPOSITORY,
        "Tags whose layers are not known (indexes of images without tags of their own, schema 1, no or a broken manifest), which the layer bytes leave out; only where there are any.";
    REPOSITORY_UNIQUE_LAYERS = "swr_repository_unique_layer_bytes", Gauge, BYTES, REPOSITORY,
        "Bytes of the distinct layers and configurations of all tags of the repository (API field manifest), each counted once.";
    REPOSITORY_EXCLUSIVE_LAYERS = "swr_repository_exclusive_layer_bytes", Gauge, BYTES, REPOSITORY,
        "Of the repository's unique layer bytes those that no other repository listed refers to, which is what deleting it could free; absent until all repositories were read once.";
    REPOSITORY_NEWEST_TAG = "swr_repository_newest_tag_timestamp_seconds", Gauge, SECONDS, REPOSITORY,
        "Unix time at which the tag that was updated last was updated (API field updated of the tags).";
    REPOSITORY_OLDEST_TAG = "swr_repository_oldest_tag_timestamp_seconds", Gauge, SECONDS, REPOSITORY,
        "Unix time at which the tag that has not been updated for longest was updated (API field updated of the tags).";
    REPOSITORY_TAGS_BY_AGE = "swr_repository_tags_by_age", Gauge, None, ["namespace", "repository", "age"],
        "Number of tags by the time since they were updated (API field updated of the tags), in disjoint classes by the upper end, as of swr_snapshot_timestamp_seconds.";
    NAMESPACE_UNIQUE_LAYERS = "swr_namespace_unique_layer_bytes", Gauge, BYTES, ["namespace"],
        "Bytes of the distinct layers and configurations of all tags of the organization, each counted once; absent until all its repositories were read once.";
    UNIQUE_LAYERS = "swr_unique_layer_bytes", Gauge, BYTES, [],
        "Bytes of the distinct layers and configurations of all tags listed, each counted once; absent until all repositories were read once.";
    REPOSITORY_RECLAIMABLE_LAYERS = "swr_repository_reclaimable_layer_bytes", Gauge, BYTES, ["namespace", "repository", "rule"],
        "Bytes that go when the tags of this repository alone that the rule picks are deleted: layers and configurations that only these tags refer to, and no other repository listed; only where there are any, and absent until all repositories were read once.";
    REPOSITORY_RECLAIMABLE_TAGS = "swr_repository_reclaimable_tags", Gauge, None, ["namespace", "repository", "rule"],
        "Number of tags of the repository that the rule picks, as of swr_snapshot_timestamp_seconds; only where there are any.";
    NAMESPACE_RECLAIMABLE_LAYERS = "swr_namespace_reclaimable_layer_bytes", Gauge, BYTES, ["namespace", "rule"],
        "Bytes that go when the tags that the rule picks are deleted in all repositories of the organisation at once, which is more than the sum over its repositories where these share layers; absent until all repositories were read once.";
    RECLAIMABLE_LAYERS = "swr_reclaimable_layer_bytes", Gauge, BYTES, ["rule"],
        "Bytes that go when the tags that the rule picks are deleted in all repositories listed at once; absent until all were read once.";
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
        "Number of rules by which the service deletes tags of the repository by itself (retention API); 0 where there are none.";
    // The account as a whole, where that is collected.
    ACCOUNT_REPOSITORIES = "swr_account_repositories", Gauge, None, [],
        "Number of repositories of the account by the API's own count (API field repo_num), whoever may see them; an earlier one while swr_collector_up of account is 0.";
    ACCOUNT_IMAGES = "swr_account_images", Gauge, None, [],
        "Number of images of the account by the API's own count (API field image_num); an earlier one while swr_collector_up of account is 0.";
    ACCOUNT_NAMESPACES = "swr_account_namespaces", Gauge, None, [],
        "Number of organizations of the account by the API's own count (API field namspace_num); an earlier one while swr_collector_up of account is 0.";
    ACCOUNT_STORAGE = "swr_account_storage", Gauge, None, [],
        "Storage of the account in a unit that the API does not document (API field store_space); an earlier value while swr_collector_up of account is 0.";
    ACCOUNT_DOWNLOAD_TRAFFIC = "swr_account_download_traffic", Gauge, None, [],
        "Download traffic of the account in a unit that the API does not document (API field downflow_size); an earlier value while swr_collector_up of account is 0.";
    QUOTA_LIMIT = "swr_quota_limit", Gauge, None, ["quota"],
        "The most that the account may have of this (API field quota_limit); an earlier value while swr_collector_up of account is 0.";
    QUOTA_USED = "swr_quota_used", Gauge, None, ["quota"],
        "What the account has of this (API field used); an earlier value while swr_collector_up of account is 0.";
    NAMESPACE_UNLISTED = "swr_namespace_unlisted_repositories", Gauge, None, ["namespace"],
        "Repositories that the organization has (API field repo_count) beyond those listed: the user of the exporter may not see them.";

    // The Enterprise Edition, where that is collected.
    INSTANCES = "swr_instances", Gauge, None, [],
        "Number of Enterprise Edition instances of the project; an earlier one while swr_collector_up of enterprise is 0.";
    INSTANCE_INFO = "swr_instance_info", Gauge, None, ["instance_id", "name", "spec", "version", "charge_mode"],
        "Constant 1 with the name, specification, version and way of charging of the instance.";
    INSTANCE_STATUS = "swr_instance_status", Gauge, None, ["instance_id", "status"],
        "Constant 1 with the status of the instance (API field status), such as Running; an earlier one while swr_collector_up of enterprise is 0.";
    INSTANCE_CREATED = "swr_instance_created_timestamp_seconds", Gauge, SECONDS, ["instance_id"],
        "Unix time at which the instance was created (API field created_at).";
    INSTANCE_EXPIRES = "swr_instance_expiry_timestamp_seconds", Gauge, SECONDS, ["instance_id"],
        "Unix time at which the instance expires (API field expires_at); absent where it does not.";
    INSTANCE_STORAGE = "swr_instance_storage_bytes", Gauge, BYTES, ["instance_id"],
        "Storage of the instance in bytes (API field storage_used); an earlier value while swr_collector_up of enterprise is 0.";
    INSTANCE_QUOTA_LIMIT = "swr_instance_quota_limit", Gauge, None, ["instance_id", "quota"],
        "The most that the instance may have of this (API fields that end in _quota); an earlier value while swr_collector_up of enterprise is 0.";
    INSTANCE_QUOTA_USED = "swr_instance_quota_used", Gauge, None, ["instance_id", "quota"],
        "What the instance has of this (API fields that end in _count); an earlier value while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORIES = "swr_instance_repositories", Gauge, None, ["instance_id"],
        "Number of repositories listed of the instance; an earlier one while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_TAGS = "swr_instance_repository_tags", Gauge, None, INSTANCE_REPOSITORY,
        "Number of tags in the repository of the instance (API field tag_count); an earlier one while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_ARTIFACTS = "swr_instance_repository_artifacts", Gauge, None, INSTANCE_REPOSITORY,
        "Number of artifacts in the repository of the instance (API field artifact_count); an earlier one while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_DOWNLOADS = "swr_instance_repository_downloads", Gauge, None, INSTANCE_REPOSITORY,
        "Downloads of the repository of the instance so far (API field pull_count, not promised never to fall); an earlier value while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_CREATED = "swr_instance_repository_created_timestamp_seconds", Gauge, SECONDS, INSTANCE_REPOSITORY,
        "Unix time at which the repository of the instance was created (API field created_at).";
    INSTANCE_REPOSITORY_UPDATED = "swr_instance_repository_updated_timestamp_seconds", Gauge, SECONDS, INSTANCE_REPOSITORY,
        "Unix time at which the repository of the instance was last updated (API field updated_at); an earlier one while swr_collector_up of enterprise is 0.";
    INSTANCE_REPOSITORY_SIZE = "swr_instance_repository_size_bytes", Gauge, BYTES, INSTANCE_REPOSITORY,
        "Sum of the sizes of the repository's distinct artifact digests in bytes (API field size of the artifacts); layers that artifacts share count once for each, so it is more than is stored.";
    INSTANCE_REPOSITORY_PUSHED = "swr_instance_repository_last_push_timestamp_seconds", Gauge, SECONDS, INSTANCE_REPOSITORY,
        "Unix time of the latest push to the repository of the instance (API field push_time of the artifacts).";
    INSTANCE_REPOSITORY_PULLED = "swr_instance_repository_last_pull_timestamp_seconds", Gauge, SECONDS, INSTANCE_REPOSITORY,
        "Unix time of the latest pull from the repository of the instance (API field pull_time of the artifacts); absent if it was never pulled.";

    // The collection: live.
    UP = "swr_up", Gauge, None, [],
        "Whether the latest refresh was complete; 0 when it failed or none has ended yet.";
    COLLECTOR_UP = "swr_collector_up", Gauge, None, ["collector"],
        "Whether the collector's latest read was complete; 0 before the first.";
    SNAPSHOT = "swr_snapshot_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time at which the read behind the served data began; absent while no data is served.";
    REFRESH = "swr_refresh_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time at which the latest refresh ended, good or bad; absent before the first.";
    REFRESH_DURATION = "swr_refresh_duration_seconds", Gauge, SECONDS, [],
        "Duration of the latest refresh in seconds, good or bad; absent before the first.";
    CACHE_WINDOW = "swr_cache_window_seconds", Gauge, SECONDS, [],
        "How long a snapshot is served without asking the upstream again, as configured.";
    REFRESHES = "swr_refreshes_total", Counter, None, [],
        "Refreshes that ended, good or bad.";
    REFRESH_FAILURES = "swr_refresh_failures_total", Counter, None, ["reason"],
        "Refreshes that failed or were incomplete, by reason.";
    SCRAPES = "swr_scrapes_total", Counter, None, ["served"],
        "Scrapes by what they were given: data inside its window, data refreshed for them, older data, or none.";
    API_REQUESTS = "swr_api_requests_total", Counter, None, ["operation", "code"],
        "Requests sent to the upstream by operation and HTTP status; code none where no answer came.";
    API_REQUEST_DURATION = "swr_api_request_duration_seconds", Histogram, SECONDS, ["operation"],
        "Time from sending a request to the upstream to the end of its answer, in seconds.";
    API_RETRIES = "swr_api_retries_total", Counter, None, ["operation"],
        "Requests that were sent again after a failure.";
    API_THROTTLE_WAIT = "swr_api_throttle_wait_seconds_total", Counter, SECONDS, [],
        "Seconds that requests waited for the rate limit or because the upstream asked for a pause.";
    API_CIRCUIT_OPEN = "swr_api_circuit_open", Gauge, None, [],
        "Whether requests are held back because the list of repositories failed repeatedly.";
    LISTING_INCONSISTENCIES = "swr_listing_inconsistencies_total", Counter, None, ["kind"],
        "Signs that a listing changed or was incomplete while it was read, by kind.";
    TAGS_PENDING = "swr_tags_pending", Gauge, None, [],
        "Repositories whose tags were never read or have changed since they were, as far as the latest listing tells; absent where tags are not collected.";
    SAMPLES_DROPPED = "swr_samples_dropped_total", Counter, None, ["reason"],
        "Values of the upstream that could not be understood and were left out, or names that were cut, by reason.";
    CREDENTIAL_EXPIRY = "swr_credential_expiry_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time at which the credential in use expires; absent where it never does or is not known.";
    API_CLOCK_SKEW = "swr_api_clock_skew_seconds", Gauge, SECONDS, [],
        "The upstream's clock minus ours in seconds, from the latest Date header; absent before the first answer.";

    // The exporter itself: live.
    PAGE_SERIES = "swr_exporter_page_series", Gauge, None, [],
        "Series on the page of the current snapshot, without the exporter's own; compare with the scraper's sample_limit.";
    PAGE_BYTES = "swr_exporter_page_bytes", Gauge, BYTES, [],
        "Bytes of the page of the current snapshot before compression, without the exporter's own series; compare with the scraper's body_size_limit.";
    SCRAPES_REFUSED = "swr_exporter_scrapes_refused_total", Counter, None, [],
        "Scrapes answered with 503 because as many were being served as may be.";
    CONNECTIONS_CLOSED = "swr_exporter_connections_closed_total", Counter, None, ["reason"],
        "Connections the exporter closed: too many from one address, overdue with a request or with reading an answer, or without agreement on TLS.";
    ACCEPT_ERRORS = "swr_exporter_accept_errors_total", Counter, None, [],
        "Connections that could not be accepted, such as for want of file descriptors.";
    PANICS = "swr_exporter_handler_panics_total", Counter, None, [],
        "Requests that ended in a panic and were answered with 500; each is a fault of the exporter.";
    REQUESTS_REFUSED = "swr_exporter_requests_refused_total", Counter, None, ["reason"],
        "Requests answered 401, 403 or 429, or 503 for too many logins, by reason.";
    WEB_CONFIG_RELOAD = "swr_exporter_web_config_last_reload_successful", Gauge, None, [],
        "Whether the web configuration file could be used when it was last read; if 0, the settings before are in force; absent without such a file.";
    WEB_CONFIG_RELOAD_TIME = "swr_exporter_web_config_last_reload_success_timestamp_seconds", Gauge, SECONDS, [],
        "Unix time at which the web configuration file was last read and could be used; absent without such a file.";
    CONFIG_RELOAD_SUCCESSFUL = "swr_exporter_config_last_reload_successful", Gauge, None, [],
        "Whether settings were read successfully the last time; where it is 0, those read before are in force.";
    CONFIG_RELOAD_SUCCESS = "swr_exporter_config_last_reload_success_timestamp_seconds", Gauge, SECONDS, [],
        "When settings were last read successfully, in seconds since 1970.";
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
