//! Figures of the account as a whole, and of the instances of the Enterprise Edition.
//!
//! Each part comes from a separate call. If that fails, the part is that of an earlier call, or absent.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A value, and when the call that read it began.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Dated<T> {
    /// The value.
    pub value: T,
    /// When the call began.
    pub read_at: Timestamp,
}

/// Figures of the account as a whole.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AccountFigures {
    /// The organizations to which the caller has rights, or to repositories of which.
    pub organizations: Option<Dated<Vec<Organization>>>,
    /// The totals.
    pub overview: Option<Dated<Overview>>,
    /// The quotas.
    pub quotas: Option<Dated<Vec<Quota>>>,
}

/// One organization.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Organization {
    /// Its name.
    pub name: Arc<str>,
    /// The number of its repositories, including those the caller may not see (API: `repo_count`, not documented).
    pub repositories: Option<u64>,
}

/// The account's totals as the API counts them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Overview {
    /// API: `namspace_num`.
    pub namespaces: Option<u64>,
    /// API: `repo_num`.
    pub repositories: Option<u64>,
    /// API: `image_num`.
    pub images: Option<u64>,
    /// API: `store_space`, in a unit that is not documented; it has fractions, so it is not bytes.
    pub storage: Option<f64>,
    /// API: `downflow_size`, in a unit that is not documented.
    pub download_traffic: Option<f64>,
}

/// A quota: a limit and its use.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// The API's name of what is limited.
    pub name: Arc<str>,
    /// The limit.
    pub limit: Option<u64>,
    /// The amount in use.
    pub used: Option<u64>,
}

/// The instances of the Enterprise Edition of one project.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Enterprise {
    /// Sorted by id, each once.
    pub instances: Option<Dated<Vec<Instance>>>,
    /// Sorted by (instance, namespace, name), each once.
    pub repositories: Option<Dated<Vec<InstanceRepository>>>,
}

/// One instance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Instance {
    /// Its id.
    pub id: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// e.g. `swr.ee.professional`.
    pub spec: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// e.g. `Running`.
    pub status: Arc<str>,
    /// The charge mode.
    pub charge_mode: Arc<str>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it expires, if it does.
    pub expires: Option<Timestamp>,
    /// Its counts, from a separate call.
    pub statistics: Option<Dated<Statistics>>,
}

/// The counts of one instance.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Bytes (API: `storage_used`).
    pub storage: Option<u64>,
    /// Quotas by kind.
    pub quotas: Vec<Quota>,
}

/// The artifacts of the project's instances, summed up by repository.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Artifacts {
    /// When the latest complete read began.
    pub complete_at: Option<Timestamp>,
    /// Sorted by instance, each once. An instance that does not offer the list is left out.
    pub instances: Vec<InstanceArtifacts>,
}

impl Artifacts {
    /// What is known of an instance.
    pub fn of_instance(&self, id: &str) -> Option<&Dated<Vec<RepositoryArtifacts>>> {
        let index = self.instances.binary_search_by(|known| (*known.instance).cmp(id)).ok()?;
        Some(&self.instances[index].repositories)
    }

    /// What is known of a repository.
    pub fn of(&self, repository: &InstanceRepository) -> Option<&RepositoryArtifacts> {
        let rows = &self.of_instance(&repository.instance)?.value;
        let index = rows.binary_search_by(|row| Some(row.repository).cmp(&repository.id)).ok()?;
        Some(&rows[index])
    }
}

/// The artifacts of one instance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct InstanceArtifacts {
    /// The instance's id.
    pub instance: Arc<str>,
    /// Sorted by repository, each once. A repository without artifacts is left out.
    pub repositories: Dated<Vec<RepositoryArtifacts>>,
}

/// The artifacts of one repository.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct RepositoryArtifacts {
    /// The repository's id within its instance.
    pub repository: u64,
    /// Bytes of all distinct digests; `None` if the size of one of them is not known. Layers that artifacts share count once
    /// for each.
    pub size: Option<u64>,
    /// The latest push.
    pub pushed: Option<Timestamp>,
    /// The latest pull; `None` if there was none.
    pub pulled: Option<Timestamp>,
}

/// One repository of an instance.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct InstanceRepository {
    /// The repository's id within its instance.
    pub id: Option<u64>,
    /// The instance's id.
    pub instance: Arc<str>,
    /// The namespace within the instance.
    pub namespace: Arc<str>,
    /// The name within the namespace; may contain `/`.
    pub name: Box<str>,
    /// API: `tag_count`.
    pub tags: Option<u64>,
    /// API: `artifact_count`.
    pub artifacts: Option<u64>,
    /// API: `pull_count`.
    pub downloads: Option<u64>,
    /// API: `created_at`.
    pub created: Option<Timestamp>,
    /// API: `updated_at`.
    pub updated: Option<Timestamp>,
}

impl InstanceRepository {
    /// Its identity within the project.
    pub fn key(&self) -> (&str, &str, &str) {
        (&self.instance, &self.namespace, &self.name)
    }
}
