//! The Enterprise Edition: dedicated instances of a project, their counts, and their repositories (swr-api.md, 8).

use super::buffered;
use super::client::{Call, Client};
use super::error::ApiError;
use super::markers::MarkerPage;
use super::metrics::Operation;
use super::retry::CallBudget;
use super::wire::{self, DroppedFields, StringInterner};
use crate::model::figures::{Instance, InstanceRepository, Quota, Statistics};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The largest page of these calls.
pub const PAGE: u64 = 100;

/// One page of the list of instances.
#[derive(Debug)]
pub struct Instances {
    /// Those with a usable id, in the order of the list.
    pub rows: Vec<Instance>,
    /// Rows on the page, understood or not.
    pub received: u64,
    /// How many there are, as far as the answer says.
    pub total: Option<u64>,
}

impl Client {
    /// Lists the project's instances from `offset` on, [`PAGE`] at most.
    ///
    /// # Errors
    /// When the project is not known, or the call fails.
    pub async fn instances(&self, offset: u64, effort: &CallBudget) -> Result<Instances, ApiError> {
        let path = format!("/v2/{}/instances", self.project_id(effort).await?);
        let (offset, limit) = (offset.to_string(), PAGE.to_string());
        let query = [("offset", offset.as_str()), ("limit", limit.as_str())];
        self.figures(Call { operation: Operation::ListInstances, path: &path, query: &query }, effort, instances).await
    }

    /// Reads the counts of one instance.
    ///
    /// # Errors
    /// When the project is not known, the id cannot stand in a path, or the call fails.
    pub async fn instance_statistics(&self, id: &str, effort: &CallBudget) -> Result<Statistics, ApiError> {
        let path = format!("/v2/{}/instances/{id}/statistics", self.project_id(effort).await?);
        self.figures(Call { operation: Operation::InstanceStatistics, path: &path, query: &[] }, effort, statistics)
            .await
    }

    /// Lists the repositories of all instances of the project from a marker on, [`PAGE`] at most.
    ///
    /// # Errors
    /// When the project is not known, or the call fails.
    pub async fn instance_repositories(
        &self,
        marker: Option<&str>,
        effort: &CallBudget,
    ) -> Result<MarkerPage<InstanceRepository>, ApiError> {
        let path = format!("/v2/{}/repositories", self.project_id(effort).await?);
        let limit = PAGE.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(marker.map(|marker| ("marker", marker)));
        let call = Call { operation: Operation::ListInstanceRepositories, path: &path, query: &query };
        self.figures(call, effort, repositories).await
    }
}

#[derive(Deserialize)]
struct WireInstances<'a> {
    #[serde(borrow)]
    instances: Option<&'a RawValue>,
    #[serde(borrow)]
    total: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireInstance<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    charge_mode: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    expires_at: Option<&'a RawValue>,
}

/// Reads an answer with instances.
///
/// # Errors
/// When it is no such answer.
pub fn instances(text: &str, omissions: &mut DroppedFields) -> Result<Instances, ApiError> {
    let answer: WireInstances<'_> = serde_json::from_str(text)?;
    let objects = buffered::elements_if_any(answer.instances)?;
    let mut rows = Vec::new();
    for object in &objects {
        let wire: WireInstance<'_> = serde_json::from_str(object.get())?;
        // It has to stand in a path.
        let id = wire::name(wire.id, omissions)
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        let Some(id) = id else {
            omissions.name += 1;
            continue;
        };
        let mut text = |raw| -> Arc<str> { wire::name_if_any(raw, omissions).unwrap_or_default().into() };
        let (name, spec, version) = (text(wire.name), text(wire.spec), text(wire.version));
        let (status, charge_mode) = (text(wire.status), text(wire.charge_mode));
        let (created, expires) =
            (wire::timestamp(wire.created_at, omissions), wire::timestamp(wire.expires_at, omissions));
        let id = id.into();
        rows.push(Instance { id, name, spec, version, status, charge_mode, created, expires, statistics: None });
    }
    let total = answer.total.and_then(|raw| raw.get().parse().ok());
    Ok(Instances { rows, received: objects.len() as u64, total })
}

/// What `X_quota` allows, and the key that says how many there are. A kind without a count has a limit alone.
const QUOTAS: [(&str, &str); 9] = [
    ("image_repo", "total_image_count"),
    ("intranet_endpoint", "intranet_endpoint_count"),
    ("long_term", ""),
    ("namespace", "total_namespace_count"),
    ("notify_policy", "notify_policy_count"),
    ("replica_policy", "replica_policy_count"),
    ("replica_registry", "replica_registry_count"),
    ("retention_policy", "retention_policy_count"),
    ("sign_policy", "sign_policy_count"),
];

/// Reads an answer with the counts of an instance.
///
/// # Errors
/// When it is no such answer.
pub fn statistics(text: &str, omissions: &mut DroppedFields) -> Result<Statistics, ApiError> {
    // Flat, all numbers; those that are not asked for are not looked at.
    let wire: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text)?;
    let mut count = |key: &str| {
        let raw = wire.get(key).copied().filter(|raw| raw.get() != "null");
        wire::number(raw, omissions)
    };
    let storage = count("storage_used");
    let quotas = QUOTAS.iter().map(|(name, counted)| {
        let (limit, used) = (count(&format!("{name}_quota")), count(counted));
        Quota { name: (*name).into(), limit, used }
    });
    Ok(Statistics { quotas: quotas.filter(|quota| quota.limit.is_some() || quota.used.is_some()).collect(), storage })
}

#[derive(Deserialize)]
struct WireRepositories<'a> {
    #[serde(borrow)]
    repositories: Option<&'a RawValue>,
    #[serde(borrow)]
    page_info: Option<PageInfo<'a>>,
}

#[derive(Deserialize)]
struct PageInfo<'a> {
    #[serde(borrow)]
    next_marker: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireRepository<'a> {
    #[serde(borrow)]
    instance_id: Option<&'a RawValue>,
    #[serde(borrow)]
    namespace_name: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    tag_count: Option<&'a RawValue>,
    #[serde(borrow)]
    artifact_count: Option<&'a RawValue>,
    #[serde(borrow)]
    pull_count: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    updated_at: Option<&'a RawValue>,
}

/// Reads an answer with repositories of instances.
///
/// # Errors
/// When it is no such answer.
pub fn repositories(text: &str, omissions: &mut DroppedFields) -> Result<MarkerPage<InstanceRepository>, ApiError> {
    let answer: WireRepositories<'_> = serde_json::from_str(text)?;
    let objects = buffered::elements_if_any(answer.repositories)?;
    let mut shared = StringInterner::default();
    let mut rows = Vec::new();
    for object in &objects {
        let wire: WireRepository<'_> = serde_json::from_str(object.get())?;
        let mut name = |raw| wire::name(raw, omissions);
        let (Some(instance), Some(namespace), Some(name)) =
            (name(wire.instance_id), name(wire.namespace_name), name(wire.name))
        else {
            omissions.name += 1;
            continue;
        };
        // The name comes with the namespace before it, and the namespace is a label of its own.
        let within = name.strip_prefix(&*namespace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&name);
        rows.push(InstanceRepository {
            name: within.into(),
            instance: shared.get(instance),
            namespace: shared.get(namespace),
            tags: wire::number(wire.tag_count, omissions),
            artifacts: wire::number(wire.artifact_count, omissions),
            downloads: wire::number(wire.pull_count, omissions),
            created: wire::timestamp(wire.created_at, omissions),
            updated: wire::timestamp(wire.updated_at, omissions),
        });
    }
    let next = buffered::marker(answer.page_info.and_then(|info| info.next_marker))?;
    Ok(MarkerPage { rows, received: objects.len() as u64, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instances_are_read_whatever_is_missing() {
        let text = r#"{"instances":[{"id":"5a-1","name":"prod","spec":"swr.ee.professional","version":"25.6.0",
            "status":"Running","charge_mode":"postPaid","access_address":"x","created_at":"2025-05-22T20:28:30+08:00",
            "expires_at":"0001-01-01T00:00:00.000Z"},{"id":"6b"},{"id":"../.."},{"name":"no id"}],"total":4}"#;
        let mut omissions = DroppedFields::default();
        let page = instances(text, &mut omissions).unwrap();
        assert_eq!((page.received, page.total, page.rows.len(), omissions.name), (4, Some(4), 2, 2));
        let first = &page.rows[0];
        assert_eq!(
            (&*first.name, &*first.status, first.created.is_some(), first.expires),
            ("prod", "Running", true, None)
        );
        assert_eq!(&*page.rows[1].name, "");
        assert!(instances(r#"{"instances":null,"total":0}"#, &mut omissions).unwrap().rows.is_empty());
    }

    #[test]
    fn statistics_become_quotas_with_what_is_used_of_them() {
        let text = r#"{"storage_used":1073741824,"total_namespace_count":2,"namespace_quota":50,"total_image_count":7,
            "image_repo_quota":3000,"long_term_quota":10,"sign_policy_count":null,"new_count":{"x":1},"notify_policy_quota":-1}"#;
        let mut omissions = DroppedFields::default();
        let seen = statistics(text, &mut omissions).unwrap();
        let quota = |name: &str, limit, used| Quota { name: name.into(), limit, used };
        let expected = [
            quota("image_repo", Some(3000), Some(7)),
            quota("long_term", Some(10), None),
            quota("namespace", Some(50), Some(2)),
        ];
        assert_eq!((seen.storage, seen.quotas.as_slice()), (Some(1 << 30), expected.as_slice()));
        assert_eq!(omissions, DroppedFields { number: 1, ..DroppedFields::default() });
        assert!(statistics("[]", &mut omissions).is_err());
    }

    #[test]
    fn a_repository_is_named_within_its_namespace() {
        let text = r#"{"repositories":[
            {"id":1,"name":"team/app/web","namespace_name":"team","namespace_id":4,"tag_count":3,"artifact_count":5,
             "pull_count":9,"created_at":"2025-01-01T00:00:00Z","updated_at":"","instance_id":"5a","instance_name":"prod",
             "resource_urn":"x"},
            {"name":"plain","namespace_name":"team","instance_id":"5a","pull_count":"many"},
            {"name":"lost","namespace_name":"team"}],"page_info":{"next_marker":"bWFyaw==","previous_marker":""}}"#;
        let mut omissions = DroppedFields::default();
        let page = repositories(text, &mut omissions).unwrap();
        assert_eq!((page.received, page.next.as_deref()), (3, Some("bWFyaw==")));
        let keys: Vec<_> = page.rows.iter().map(InstanceRepository::key).collect();
        assert_eq!(keys, [("5a", "team", "app/web"), ("5a", "team", "plain")]);
        assert_eq!((page.rows[0].downloads, page.rows[0].artifacts, page.rows[1].downloads), (Some(9), Some(5), None));
        assert_eq!((omissions.number, omissions.name), (1, 1));
        let last = repositories(r#"{"repositories":[],"page_info":{"next_marker":null}}"#, &mut omissions).unwrap();
        assert_eq!(last.next, None);
    }

    proptest! {
        /// Values of every type under the keys that are looked at, and texts that are no JSON at all.
        #[test]
        fn no_answer_makes_a_reader_panic(
            key in prop::sample::select(vec!["instances", "repositories", "page_info", "total", "storage_used", "namespace_quota"]),
            inner in prop::sample::select(vec!["id", "name", "instance_id", "namespace_name", "pull_count", "created_at", "next_marker"]),
            value in prop::sample::select(vec!["null", "-1", "1e400", "\"\\ud800\"", "[]", "{}", "true", "\"2025-01-01T00:00:00Z\"", "18446744073709551616"]),
            garbage in ".{0,60}",
        ) {
            let texts = [
                format!(r#"{{"{key}":{value}}}"#),
                format!(r#"{{"{key}":[{{"{inner}":{value}}}]}}"#),
                format!(r#"{{"{key}":{{"{inner}":{value}}}}}"#),
                garbage,
            ];
            for text in texts {
                let mut omissions = DroppedFields::default();
                let _ = (instances(&text, &mut omissions), repositories(&text, &mut omissions), statistics(&text, &mut omissions));
            }
        }
    }
}
