//! The families of the account as a whole and of the Enterprise Edition.

use super::text::{Value, Writer};
use crate::catalog;
use crate::model::figures::{
    Artifacts, Enterprise, Instance, InstanceRepository, Overview, Quota, RepositoryArtifacts,
};
use crate::model::{NamespaceRead, NamespaceSums, Snapshot};

/// The account's totals and quotas, and how many repositories of each organization were not listed.
pub(super) fn account(snapshot: &Snapshot, sums: &[NamespaceSums<'_>], writer: &mut Writer<'_>) {
    let account = &snapshot.account;
    let overview = account.overview.as_ref().map(|overview| &overview.value);
    let mut total = |family, value: fn(&Overview) -> Option<Value>| writer.family(family, overview, value, |_| []);
    total(&catalog::ACCOUNT_REPOSITORIES, |overview| overview.repositories.map(Value::Integer));
    total(&catalog::ACCOUNT_IMAGES, |overview| overview.images.map(Value::Integer));
    total(&catalog::ACCOUNT_NAMESPACES, |overview| overview.namespaces.map(Value::Integer));
    total(&catalog::ACCOUNT_STORAGE, |overview| overview.storage.map(Value::Fraction));
    total(&catalog::ACCOUNT_DOWNLOAD_TRAFFIC, |overview| overview.download_traffic.map(Value::Fraction));
    let quotas = account.quotas.as_ref().map_or(&[][..], |quotas| &quotas.value);
    writer.family(&catalog::QUOTA_LIMIT, quotas, |quota| quota.limit.map(Value::Integer), |quota| [&quota.name]);
    writer.family(&catalog::QUOTA_USED, quotas, |quota| quota.used.map(Value::Integer), |quota| [&quota.name]);
    let unlisted = unlisted(snapshot, sums);
    writer.family(&catalog::NAMESPACE_UNLISTED, unlisted, |(_, count)| Some(Value::Integer(count)), |(name, _)| [name]);
}

/// The number of repositories of each organization that were not listed. If organizations are listed one by one, only
/// those with a listing are compared.
fn unlisted<'a>(snapshot: &'a Snapshot, sums: &[NamespaceSums<'_>]) -> Vec<(&'a str, u64)> {
    let mut listed = sums.iter().peekable();
    let organizations = snapshot.account.organizations.iter().flat_map(|organizations| &organizations.value);
    let mut unlisted = Vec::new();
    for organization in organizations {
        let name = &*organization.name;
        // Listing and organizations are both sorted by name.
        while listed.next_if(|sums| &**sums.name < name).is_some() {}
        let here = listed.peek().filter(|sums| &**sums.name == name).map_or(0, |sums| sums.repositories);
        let has_listing = |read: &NamespaceRead| &*read.name == name && read.read_at.is_some();
        let compared = snapshot.namespaces.is_empty() || snapshot.namespaces.iter().any(has_listing);
        if let (true, Some(count)) = (compared, organization.repositories) {
            // The listing may have grown between the two calls.
            unlisted.push((name, count.saturating_sub(here)));
        }
    }
    unlisted
}

pub(super) fn enterprise(enterprise: &Enterprise, artifacts: &Artifacts, writer: &mut Writer<'_>) {
    let listed = enterprise.instances.as_ref().map(|listed| listed.value.as_slice());
    let count = |count: usize| Some(Value::Integer(count as u64));
    writer.family(&catalog::INSTANCES, listed, |instances| count(instances.len()), |_| []);
    let instances = listed.unwrap_or_default();
    let one = |_| count(1);
    writer.family(&catalog::INSTANCE_INFO, instances, one, |instance| {
        [&instance.id, &instance.name, &instance.spec, &instance.version, &instance.charge_mode]
    });
    writer.family(&catalog::INSTANCE_STATUS, instances, one, |instance| [&instance.id, &instance.status]);
    let mut each = |family, value: fn(&Instance) -> Option<Value>| {
        writer.family(family, instances, value, |instance| [&instance.id]);
    };
    each(&catalog::INSTANCE_CREATED, |instance| instance.created.map(Value::Time));
    each(&catalog::INSTANCE_EXPIRES, |instance| instance.expires.map(Value::Time));
    each(&catalog::INSTANCE_STORAGE, |instance| instance.statistics.as_ref()?.value.storage.map(Value::Integer));
    let mut quotas = |family, value: fn(&Quota) -> Option<u64>| {
        let quotas = instances.iter().flat_map(|instance| {
            let quotas = instance.statistics.iter().flat_map(|statistics| &statistics.value.quotas);
            quotas.map(|quota| (&*instance.id, quota))
        });
        writer.family(family, quotas, |(_, quota)| value(quota).map(Value::Integer), |(id, quota)| [id, &quota.name]);
    };
    quotas(&catalog::INSTANCE_QUOTA_LIMIT, |quota| quota.limit);
    quotas(&catalog::INSTANCE_QUOTA_USED, |quota| quota.used);
    let rows = enterprise.repositories.as_ref().map_or(&[][..], |rows| &rows.value);
    let of_instances = rows.chunk_by(|a, b| a.instance == b.instance);
    writer.family(&catalog::INSTANCE_REPOSITORIES, of_instances, |rows| count(rows.len()), |rows| [&rows[0].instance]);
    let mut each = |family, value: fn(&InstanceRepository) -> Option<Value>| {
        writer.family(family, rows, value, |row| [&row.instance, &row.namespace, &row.name]);
    };
    each(&catalog::INSTANCE_REPOSITORY_TAGS, |row| row.tags.map(Value::Integer));
    each(&catalog::INSTANCE_REPOSITORY_ARTIFACTS, |row| row.artifacts.map(Value::Integer));
    each(&catalog::INSTANCE_REPOSITORY_DOWNLOADS, |row| row.downloads.map(Value::Integer));
    each(&catalog::INSTANCE_REPOSITORY_CREATED, |row| row.created.map(Value::Time));
    each(&catalog::INSTANCE_REPOSITORY_UPDATED, |row| row.updated.map(Value::Time));
    let mut sums = |family, value: fn(&RepositoryArtifacts) -> Option<Value>| {
        let value = |row| artifacts.of(row).and_then(value);
        writer.family(family, rows, value, |row| [&row.instance, &row.namespace, &row.name]);
    };
    sums(&catalog::INSTANCE_REPOSITORY_SIZE, |artifacts| artifacts.size.map(Value::Integer));
    sums(&catalog::INSTANCE_REPOSITORY_PUSHED, |artifacts| artifacts.pushed.map(Value::Time));
    sums(&catalog::INSTANCE_REPOSITORY_PULLED, |artifacts| artifacts.pulled.map(Value::Time));
}

#[cfg(test)]
mod tests {
    use crate::exposition::Options;
    use crate::exposition::testing::{row, text};
    use crate::model::figures::{
        AccountFigures, Artifacts, Dated, Enterprise, Instance, InstanceArtifacts, InstanceRepository, Organization,
        Overview, Quota, RepositoryArtifacts, Statistics,
    };
    use crate::model::{NamespaceRead, Snapshot, Timestamp};
    use std::sync::Arc;

    fn dated<T>(value: T) -> Option<Dated<T>> {
        Some(Dated { value, read_at: Timestamp(0) })
    }

    fn quota(name: &str, limit: Option<u64>, used: Option<u64>) -> Quota {
        Quota { name: name.into(), limit, used }
    }

    /// The sample lines of the families whose names begin with one of the prefixes.
    fn lines(snapshot: &Snapshot, prefixes: &[&str]) -> String {
        let text = text(snapshot, &Options::default());
        let wanted = text.lines().filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix)));
        wanted.collect::<Vec<_>>().join("\n")
    }

    fn organizations(counts: &[(&str, Option<u64>)]) -> Arc<AccountFigures> {
        let organization = |(name, repositories): &(&str, Option<u64>)| Organization {
            name: (*name).into(),
            repositories: *repositories,
        };
        Arc::new(AccountFigures {
            organizations: dated(counts.iter().map(organization).collect()),
            ..AccountFigures::default()
        })
    }

    #[test]
    fn an_account_gives_these_samples() {
        let (mut snapshot, _) = Snapshot::new(Timestamp(0), vec![row("web", "a")]);
        assert_eq!(lines(&snapshot, &["swr_account", "swr_quota", "swr_instance"]), "", "absent is not zero");
        snapshot.account = Arc::new(AccountFigures {
            overview: dated(Overview {
                namespaces: Some(3),
                repositories: Some(14),
                images: None,
                storage: Some(99.21),
                download_traffic: Some(0.0),
            }),
            quotas: dated(vec![quota("namespace", Some(5), Some(2)), quota("x\"y", None, Some(1))]),
            organizations: None,
        });
        let want = r#"swr_account_repositories 14
swr_account_namespaces 3
swr_account_storage 99.21
swr_account_download_traffic 0
swr_quota_limit{quota="namespace"} 5
swr_quota_used{quota="namespace"} 2
swr_quota_used{quota="x\"y"} 1"#;
        assert_eq!(lines(&snapshot, &["swr_account", "swr_quota", "swr_namespace_unlisted"]), want);
    }

    #[test]
    fn unlisted_repositories_are_the_count_less_those_listed() {
        let rows = vec![row("base", "a"), row("base", "b"), row("web", "a"), row("zoo", "a")];
        let (mut snapshot, _) = Snapshot::new(Timestamp(0), rows);
        let counts = [("base", Some(5)), ("hidden", Some(7)), ("web", Some(0)), ("zoo", None)];
        snapshot.account = organizations(&counts);
        let want = r#"swr_namespace_unlisted_repositories{namespace="base"} 3
swr_namespace_unlisted_repositories{namespace="hidden"} 7
swr_namespace_unlisted_repositories{namespace="web"} 0"#;
        assert_eq!(lines(&snapshot, &["swr_namespace_unlisted"]), want);
        // An organization without a listing has nothing to compare with.
        let read = |name: &str, read_at| NamespaceRead { name: name.into(), read_at, complete: read_at.is_some() };
        snapshot.namespaces = vec![read("base", Some(Timestamp(0))), read("hidden", None)];
        assert_eq!(
            lines(&snapshot, &["swr_namespace_unlisted"]),
            r#"swr_namespace_unlisted_repositories{namespace="base"} 3"#
        );
    }

    #[test]
    fn an_instance_gives_these_samples() {
        let instance = Instance {
            id: "5a".into(),
            name: "prod".into(),
            spec: "swr.ee.basic".into(),
            version: "25.6.0".into(),
            status: "Running".into(),
            charge_mode: "postPaid".into(),
            created: Some(Timestamp(1_500_000_000)),
            expires: None,
            statistics: dated(Statistics {
                storage: Some(1 << 30),
                quotas: vec![quota("namespace", Some(50), Some(2))],
            }),
        };
        let bare = Instance { id: "6b".into(), statistics: None, created: None, ..instance.clone() };
        let repository = InstanceRepository {
            id: Some(7),
            instance: "5a".into(),
            namespace: "team".into(),
            name: "app/web".into(),
            tags: Some(3),
            artifacts: None,
            downloads: Some(9),
            created: None,
            updated: Some(Timestamp(2_000_000_000)),
        };
        let unknown = InstanceRepository {
            id: Some(8),
            name: "new".into(),
            tags: None,
            downloads: None,
            updated: None,
            ..repository.clone()
        };
        let enterprise =
            Enterprise { instances: dated(vec![instance, bare]), repositories: dated(vec![repository, unknown]) };
        let sums = RepositoryArtifacts { repository: 7, size: Some(30), pushed: Some(Timestamp(1)), pulled: None };
        let known = InstanceArtifacts { instance: "5a".into(), repositories: dated(vec![sums]).unwrap() };
        let artifacts = Artifacts { complete_at: None, instances: vec![known] };
        let snapshot =
            Snapshot { enterprise: Arc::new(enterprise), artifacts: Arc::new(artifacts), ..Snapshot::default() };
        let want = r#"swr_instances 2
swr_instance_info{instance_id="5a",name="prod",spec="swr.ee.basic",version="25.6.0",charge_mode="postPaid"} 1
swr_instance_info{instance_id="6b",name="prod",spec="swr.ee.basic",version="25.6.0",charge_mode="postPaid"} 1
swr_instance_status{instance_id="5a",status="Running"} 1
swr_instance_status{instance_id="6b",status="Running"} 1
swr_instance_created_timestamp_seconds{instance_id="5a"} 1.5
swr_instance_storage_bytes{instance_id="5a"} 1073741824
swr_instance_quota_limit{instance_id="5a",quota="namespace"} 50
swr_instance_quota_used{instance_id="5a",quota="namespace"} 2
swr_instance_repositories{instance_id="5a"} 2
swr_instance_repository_tags{instance_id="5a",namespace="team",repository="app/web"} 3
swr_instance_repository_downloads{instance_id="5a",namespace="team",repository="app/web"} 9
swr_instance_repository_updated_timestamp_seconds{instance_id="5a",namespace="team",repository="app/web"} 2
swr_instance_repository_size_bytes{instance_id="5a",namespace="team",repository="app/web"} 30
swr_instance_repository_last_push_timestamp_seconds{instance_id="5a",namespace="team",repository="app/web"} 0.000000001"#;
        assert_eq!(lines(&snapshot, &["swr_instance"]), want);
    }
}
