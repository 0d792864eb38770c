//! Calls of the Enterprise Edition: the dedicated instances of a project, their statistics, and their repositories.

use super::buffered;
use super::markers::MarkerPage;
use super::pages::OffsetPage;
use super::request::Call;
use super::wire::{self, DroppedFields, StringInterner, read_fields};
use super::{ApiError, CallBudget, Client, Operation};
use crate::model::figures::{Instance, InstanceRepository, Quota, Statistics};
use std::borrow::Cow;
use std::sync::Arc;

/// The largest page of these calls.
pub const PAGE_SIZE: u64 = 100;

impl Client {
    /// Lists the project's instances from `offset` on, at most [`PAGE_SIZE`].
    pub async fn instances(&self, offset: u64, budget: &CallBudget) -> Result<OffsetPage<Instance>, ApiError> {
        let path = format!("/v2/{}/instances", self.project_id(budget).await?);
        let (offset, limit) = (offset.to_string(), PAGE_SIZE.to_string());
        let query = [("offset", offset.as_str()), ("limit", limit.as_str())];
        self.get_json(Call { operation: Operation::ListInstances, path: &path, query: &query }, budget, instances).await
    }

    /// Reads the statistics of one instance.
    pub async fn instance_statistics(&self, id: &str, budget: &CallBudget) -> Result<Statistics, ApiError> {
        let path = format!("/v2/{}/instances/{id}/statistics", self.project_id(budget).await?);
        let call = Call { operation: Operation::InstanceStatistics, path: &path, query: &[] };
        self.get_json(call, budget, statistics).await
    }

    /// Lists the repositories of all instances of the project from a marker on, at most [`PAGE_SIZE`].
    pub async fn instance_repositories(
        &self,
        marker: Option<&str>,
        budget: &CallBudget,
    ) -> Result<MarkerPage<InstanceRepository>, ApiError> {
        let path = format!("/v2/{}/repositories", self.project_id(budget).await?);
        let limit = PAGE_SIZE.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(marker.map(|marker| ("marker", marker)));
        let call = Call { operation: Operation::ListInstanceRepositories, path: &path, query: &query };
        self.get_json(call, budget, repositories).await
    }
}

/// Parses a page of instances. Those without an id that can be part of a path are left out.
pub fn instances(text: &str, dropped: &mut DroppedFields) -> Result<OffsetPage<Instance>, ApiError> {
    read_fields!(text, instances, total);
    let (rows, received) = buffered::rows(instances, dropped, |object, dropped| {
        read_fields!(object, id, name, spec, version, status, charge_mode, created_at, expires_at);
        let id = wire::required_text(id, dropped)
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        let Some(id) = id else { return Ok(None) };
        let mut text = |raw| -> Arc<str> { wire::optional_text(raw, dropped).unwrap_or_default().into() };
        Ok(Some(Instance {
            id: id.into(),
            name: text(name),
            spec: text(spec),
            version: text(version),
            status: text(status),
            charge_mode: text(charge_mode),
            created: wire::timestamp(created_at, dropped),
            expires: wire::timestamp(expires_at, dropped),
            statistics: None,
        }))
    })?;
    let total = total.and_then(|raw| raw.get().parse().ok());
    Ok(OffsetPage { rows, received, total })
}

/// The quotas, each with the key of its limit and of its usage; one without a usage has a limit only.
const QUOTAS: [(&str, [&str; 2]); 9] = [
    ("image_repo", ["image_repo_quota", "total_image_count"]),
    ("intranet_endpoint", ["intranet_endpoint_quota", "intranet_endpoint_count"]),
    ("long_term", ["long_term_quota", ""]),
    ("namespace", ["namespace_quota", "total_namespace_count"]),
    ("notify_policy", ["notify_policy_quota", "notify_policy_count"]),
    ("replica_policy", ["replica_policy_quota", "replica_policy_count"]),
    ("replica_registry", ["replica_registry_quota", "replica_registry_count"]),
    ("retention_policy", ["retention_policy_quota", "retention_policy_count"]),
    ("sign_policy", ["sign_policy_quota", "sign_policy_count"]),
];

/// Parses the statistics of an instance.
pub fn statistics(text: &str, dropped: &mut DroppedFields) -> Result<Statistics, ApiError> {
    read_fields!(text, storage_used);
    let storage = wire::integer(storage_used, dropped);
    let mut quotas = Vec::new();
    for (name, keys) in QUOTAS {
        let [limit, used] = wire::fields(text, keys)?;
        let quota = Quota { name: name.into(), limit: wire::limit(limit, dropped), used: wire::integer(used, dropped) };
        if quota.limit.is_some() || quota.used.is_some() {
            quotas.push(quota);
        }
    }
    Ok(Statistics { quotas, storage })
}

/// Parses a page of repositories.
pub fn repositories(text: &str, dropped: &mut DroppedFields) -> Result<MarkerPage<InstanceRepository>, ApiError> {
    read_fields!(text, repositories, page_info);
    let mut interner = StringInterner::default();
    let (rows, received) = buffered::rows(repositories, dropped, |object, dropped| {
        read_fields!(
            object,
            id,
            instance_id,
            namespace_name,
            name,
            tag_count,
            artifact_count,
            pull_count,
            created_at,
            updated_at
        );
        let mut required = |raw| wire::required_text(raw, dropped);
        let (instance, namespace, name) = (required(instance_id), required(namespace_name), required(name));
        // Some versions send no namespace of its own, only the one in front of the name.
        let before_slash = name.as_deref().and_then(|name| name.split_once('/')).map(|(namespace, _)| namespace);
        let namespace = namespace.or_else(|| Some(Cow::Owned(before_slash?.to_owned())));
        let (Some(instance), Some(namespace), Some(name)) = (instance, namespace, name) else { return Ok(None) };
        // The API puts the namespace in front of the name; it has a label of its own.
        let within = name.strip_prefix(&*namespace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&name);
        Ok(Some(InstanceRepository {
            id: wire::integer(id, dropped),
            name: within.into(),
            instance: interner.get(instance),
            namespace: interner.get(namespace),
            tags: wire::integer(tag_count, dropped),
            artifacts: wire::integer(artifact_count, dropped),
            downloads: wire::integer(pull_count, dropped),
            created: wire::timestamp(created_at, dropped),
            updated: wire::timestamp(updated_at, dropped),
        }))
    })?;
    let next_marker = page_info.map(|info| wire::fields(info.get(), ["next_marker"])).transpose()?;
    let next = buffered::marker(next_marker.and_then(|[marker]| marker))?;
    Ok(MarkerPage { rows, received, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_read_whatever_is_missing() {
        let text = r#"{"instances":[{"id":"5a-1","name":"prod","spec":"swr.ee.professional","version":"25.6.0",
            "status":"Running","charge_mode":"postPaid","access_address":"x","created_at":"2025-05-22T20:28:30+08:00",
            "expires_at":"0001-01-01T00:00:00.000Z"},{"id":"6b"},{"id":"../.."},{"name":"no id"}],"total":4}"#;
        let mut dropped = DroppedFields::default();
        let page = instances(text, &mut dropped).unwrap();
        assert_eq!((page.received, page.total, page.rows.len(), dropped.name), (4, Some(4), 2, 2));
        let first = &page.rows[0];
        assert_eq!(
            (&*first.name, &*first.status, first.created.is_some(), first.expires),
            ("prod", "Running", true, None)
        );
        assert_eq!(&*page.rows[1].name, "");
        assert!(instances(r#"{"instances":null,"total":0}"#, &mut dropped).unwrap().rows.is_empty());
    }

    #[test]
    fn statistics_become_quotas_with_what_is_used_of_them() {
        let text = r#"{"storage_used":1073741824,"total_namespace_count":2,"namespace_quota":50,"total_image_count":7,
            "image_repo_quota":3000,"long_term_quota":10,"sign_policy_count":null,"new_count":{"x":1},"notify_policy_quota":-1,
            "replica_policy_quota":-2,"retention_policy_count":1,"retention_policy_count":1}"#;
        let mut dropped = DroppedFields::default();
        let seen = statistics(text, &mut dropped).unwrap();
        let quota = |name: &str, limit, used| Quota { name: name.into(), limit, used };
        let expected = [
            quota("image_repo", Some(3000), Some(7)),
            quota("long_term", Some(10), None),
            quota("namespace", Some(50), Some(2)),
        ];
        assert_eq!((seen.storage, seen.quotas.as_slice()), (Some(1 << 30), expected.as_slice()));
        assert_eq!(dropped.number, 2, "-2, and a key that is there twice; -1 means unlimited");
        assert!(statistics("[]", &mut dropped).is_err());
    }

    #[test]
    fn a_repository_is_named_within_its_namespace() {
        let text = r#"{"repositories":[
            {"id":1,"name":"team/app/web","namespace_name":"team","namespace_id":4,"tag_count":3,"artifact_count":5,
             "pull_count":9,"created_at":"2025-01-01T00:00:00Z","updated_at":"","instance_id":"5a","instance_name":"prod",
             "resource_urn":"x"},
            {"name":"plain","namespace_name":"team","instance_id":"5a","pull_count":"many"},
            {"name":"ccccc/test","namespace_id":36,"instance_id":"5a","pull_count":12},
            {"name":"lost","instance_id":"5a"},{"name":"lost","namespace_name":"team"}],"page_info":{"next_marker":"bWFyaw==","previous_marker":""}}"#;
        let mut dropped = DroppedFields::default();
        let page = repositories(text, &mut dropped).unwrap();
        assert_eq!((page.received, page.next.as_deref()), (5, Some("bWFyaw==")));
        let keys: Vec<_> = page.rows.iter().map(InstanceRepository::key).collect();
        assert_eq!(keys, [("5a", "team", "app/web"), ("5a", "team", "plain"), ("5a", "ccccc", "test")]);
        assert_eq!((page.rows[0].downloads, page.rows[0].artifacts, page.rows[1].downloads), (Some(9), Some(5), None));
        assert_eq!((dropped.number, dropped.name), (1, 2));
        let last = repositories(r#"{"repositories":[],"page_info":{"next_marker":null}}"#, &mut dropped).unwrap();
        assert_eq!(last.next, None);
    }
}
