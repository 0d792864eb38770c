//! The auxiliary collectors and the versions of the listing API, with real requests to a simulated account.

use prometheus::Registry;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use swr_exporter::auth::{Authenticator, CredentialProvider, SecretSource, access_key};
use swr_exporter::base::deadline::Deadline;
use swr_exporter::base::secret::Secret;
use swr_exporter::collect::auxiliary::MAX_WAIT;
use swr_exporter::collect::{AuxiliaryCollectors, Collected, ListApi, Metrics, Options, collect};
use swr_exporter::model::figures::{AccountFigures, Enterprise};
use swr_exporter::model::{Snapshot, Timestamp};
use swr_exporter::swr;
use swr_exporter::swr::{Client, ProjectLookup};
use swr_exporter::transport::{Https, HttpsOptions};
use swr_simulator as simulator;
use swr_simulator::{
    Action, DEMO_ACCESS_KEY, DEMO_PROJECT, DEMO_PROJECT_ID, DEMO_SECRET_KEY, ListV3, Operation as Call, Rule, Running,
    Shape, Simulator,
};
use tokio::time::Instant;

/// One simulated account, collected without the application.
struct Setup {
    upstream: Running,
    client: Arc<Client>,
    options: Options,
    auxiliary: AuxiliaryCollectors,
    metrics: Metrics,
    registry: Registry,
    snapshot: Option<Snapshot>,
}

/// A client of a simulated account, with the demo's access key.
pub fn demo_client(options: swr::Options, metrics: swr::Metrics, wall_clock: fn() -> SystemTime) -> Client {
    let https = Https::new(&HttpsOptions::default()).unwrap();
    let given = |text: &str| SecretSource::Given(Secret::new(text.to_owned()));
    let (id, secret) = (given(DEMO_ACCESS_KEY), given(DEMO_SECRET_KEY));
    let key = access_key::AccessKeyProvider { id, secret, security_token: None };
    let authenticator = Authenticator::new(CredentialProvider::AccessKey(key), None);
    Client::new(options, Box::new(https), authenticator, metrics, wall_clock)
}

async fn prepared(change: impl FnOnce(&mut Options, &mut swr::Options)) -> Setup {
    let world = simulator::Options { repositories: 60, namespaces: 4, ..simulator::Options::default() };
    let upstream = Simulator::start(world).await.unwrap();
    let registry = Registry::new();
    let mut options = Options { account: true, enterprise: true, ..Options::default() };
    let mut of_client = swr::Options {
        endpoint: upstream.url(),
        project_lookup: Some(ProjectLookup { iam_endpoint: upstream.url(), name: DEMO_PROJECT.to_owned() }),
        ..swr::Options::default()
    };
    change(&mut options, &mut of_client);
    let client = demo_client(of_client, swr::Metrics::new(&registry), SystemTime::now);
    let metrics = Metrics::new(&registry);
    let auxiliary = AuxiliaryCollectors::new(&options, &metrics);
    Setup { upstream, client: Arc::new(client), options, auxiliary, metrics, registry, snapshot: None }
}

impl Setup {
    /// One refresh, as the application does it.
    async fn refresh(&mut self) -> &Snapshot {
        let deadline = Deadline::after(Duration::from_secs(60));
        let began = Timestamp::from(SystemTime::now());
        let known = self.snapshot.take().map(Arc::new);
        let Collected { mut snapshot, gap } =
            collect(&self.client, &self.options, known.clone(), began, deadline, &self.metrics).await.unwrap();
        assert_eq!(gap, None);
        assert_eq!(snapshot.repositories.len(), self.upstream.handle.repositories().len());
        let at = snapshot.read_at;
        (snapshot.account, snapshot.enterprise, snapshot.artifacts) =
            self.auxiliary.collect(&self.client, at, known.as_deref(), 1000, deadline).await;
        self.snapshot.insert(snapshot)
    }

    fn up(&self, collector: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "swr_collector_up").unwrap();
        let metric = family.get_metric().iter().find(|metric| metric.get_label()[0].value() == collector).unwrap();
        metric.get_gauge().get_value()
    }

    fn deny(&self, calls: &[Call]) {
        self.upstream.handle.configure(|options| options.denied = calls.to_vec());
    }
}

#[tokio::test]
async fn everything_is_read_once_a_refresh_and_the_project_once_for_all() {
    let mut setup = prepared(|_, _| {}).await;
    let snapshot = setup.refresh().await.clone();
    assert_eq!((setup.up("account"), setup.up("enterprise"), setup.up("repositories")), (1.0, 1.0, 1.0));
    assert_eq!(snapshot.account.overview.as_ref().unwrap().read_at, snapshot.read_at);

    setup.refresh().await;
    let count = |path: &str| setup.upstream.handle.count(path);
    assert_eq!((count("/v3/projects"), count("/v2/manage/overview"), count("/v2/manage/namespaces")), (1, 2, 2));
    let project = format!("/v2/{DEMO_PROJECT_ID}");
    assert_eq!((count(&format!("{project}/instances?")), count(&format!("{project}/repositories"))), (0, 2));
    assert_eq!(setup.upstream.handle.statuses().keys().copied().collect::<Vec<_>>(), [200]);
}

#[tokio::test]
async fn more_instances_than_are_read_cost_their_figures_alone() {
    let mut setup = prepared(|_, _| {}).await;
    setup.upstream.handle.configure(|options| options.enterprise_instances = 1_500);
    let snapshot = setup.refresh().await.clone();
    assert!(snapshot.enterprise.instances.is_none() && snapshot.account.overview.is_some());
    assert_eq!(snapshot.enterprise.repositories.as_ref().unwrap().value.len(), 60);
    assert_eq!((setup.up("account"), setup.up("enterprise"), setup.up("repositories")), (1.0, 0.0, 1.0));
    let requests = setup.upstream.handle.requests();
    let of = |ending: &str| requests.iter().filter(|request| request.path.ends_with(ending)).count();
    assert_eq!(
        (of("/instances"), of("/statistics")),
        (10, 0),
        "no page after the bound, and no call for each instance"
    );
    // Exactly as many as are read are read.
    setup.upstream.handle.configure(|options| options.enterprise_instances = 2);
    assert_eq!(setup.refresh().await.enterprise.instances.as_ref().unwrap().value.len(), 2);
    assert_eq!(setup.up("enterprise"), 1.0);
}

#[tokio::test]
async fn disabled_collectors_make_no_calls() {
    let mut setup = prepared(|options, _| (options.account, options.enterprise) = (false, false)).await;
    let snapshot = setup.refresh().await;
    assert_eq!((&*snapshot.account, &*snapshot.enterprise), (&AccountFigures::default(), &Enterprise::default()));
    assert_eq!(setup.upstream.handle.total(), 1);
}

#[tokio::test]
async fn a_call_that_is_not_permitted_costs_its_part_alone() {
    for call in [Call::Overview, Call::Quotas, Call::ListNamespaces] {
        let mut setup = prepared(|_, _| {}).await;
        setup.deny(&[call]);
        let account = setup.refresh().await.account.clone();
        let there = [account.overview.is_some(), account.quotas.is_some(), account.organizations.is_some()];
        let expected = [Call::Overview, Call::Quotas, Call::ListNamespaces].map(|other| other != call);
        assert_eq!(there, expected, "{call:?}");
        assert_eq!((setup.up("account"), setup.up("enterprise"), setup.up("repositories")), (0.0, 1.0, 1.0));
        setup.deny(&[]);
        let account = setup.refresh().await.account.clone();
        assert!(account.overview.is_some() && account.quotas.is_some() && account.organizations.is_some());
        assert_eq!(setup.up("account"), 1.0);
    }
    for call in [Call::ListInstances, Call::InstanceStatistics, Call::ListInstanceRepositories] {
        let mut setup = prepared(|_, _| {}).await;
        setup.deny(&[call]);
        let enterprise = setup.refresh().await.enterprise.clone();
        let instances = enterprise.instances.as_ref().map(|listed| &listed.value);
        assert_eq!(instances.is_some(), call != Call::ListInstances);
        let counted = instances.is_some_and(|listed| listed.iter().all(|one| one.statistics.is_some()));
        assert_eq!(counted, call == Call::ListInstanceRepositories);
        assert_eq!(enterprise.repositories.is_some(), call != Call::ListInstanceRepositories);
        assert_eq!((setup.up("account"), setup.up("enterprise"), setup.up("repositories")), (1.0, 0.0, 1.0));
    }
}

#[tokio::test]
async fn a_failed_call_keeps_the_previous_value_until_it_is_too_old() {
    let mut setup = prepared(|options, _| options.max_age = Duration::from_millis(400)).await;
    let first = setup.refresh().await.clone();
    setup.deny(&[Call::Overview, Call::InstanceStatistics]);
    let second = setup.refresh().await.clone();
    assert_eq!(second.account.overview, first.account.overview);
    assert!(second.account.quotas.as_ref().unwrap().read_at > first.account.quotas.as_ref().unwrap().read_at);
    let statistics = |snapshot: &Snapshot| snapshot.enterprise.instances.as_ref().unwrap().value[0].statistics.clone();
    assert!(statistics(&second).is_some() && statistics(&second) == statistics(&first));
    let began = Instant::now();
    loop {
        let third = setup.refresh().await.clone();
        if third.account.overview.is_none() {
            assert!(statistics(&third).is_none() && third.account.quotas.is_some());
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn failures_of_auxiliary_calls_neither_open_the_circuit_nor_hold_back_the_credential() {
    let mut setup = prepared(|_, _| {}).await;
    let broken = Action::error(500, Shape::Current, "SVCSTG.SWR.5000003", "internal error");
    for path in ["/v2/manage/overview", "/v2/manage/namespaces", "/v2/manage/projects"] {
        setup.upstream.handle.fault(Rule::always(broken.clone()).path(path));
    }
    let refused = Action::error(401, Shape::Gateway, "APIGW.0301", "Incorrect IAM authentication information");
    setup.upstream.handle.fault(Rule::always(refused).path(&format!("/v2/{DEMO_PROJECT_ID}")));
    for _ in 0..4 {
        let snapshot = setup.refresh().await;
        assert_eq!((&*snapshot.account, &*snapshot.enterprise), (&AccountFigures::default(), &Enterprise::default()));
        assert_eq!((setup.up("account"), setup.up("enterprise"), setup.up("repositories")), (0.0, 0.0, 1.0));
    }
    let tried = setup.upstream.handle.statuses();
    assert!(tried[&500] >= 4 && tried[&500] <= 4 * 5, "three calls and two repetitions at most: {tried:?}");
    assert_eq!(tried[&401], 4 * 2, "each once: instances and repositories");
}

#[tokio::test]
async fn a_call_that_hangs_delays_the_listing_by_no_more_than_its_share_and_brings_its_figures_later() {
    let mut setup = prepared(|_, _| {}).await;
    let late = Duration::from_secs(5);
    let overview = setup.upstream.handle.fault(Rule::once(Action::Delay(late)).path("/v2/manage/overview"));
    let began = Instant::now();
    let snapshot = setup.refresh().await.clone();
    assert!((MAX_WAIT..late).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(*snapshot.account, AccountFigures::default(), "the read goes on");
    assert!(snapshot.enterprise.repositories.is_some(), "and costs no other");
    assert_eq!((setup.up("account"), setup.up("repositories")), (0.0, 1.0));
    while setup.up("account") < 1.0 {
        setup.refresh().await;
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    let account = &setup.snapshot.as_ref().unwrap().account;
    assert!(account.overview.is_some() && account.quotas.is_some());
    assert_eq!(
        (setup.upstream.handle.fault_hits(overview), setup.upstream.handle.count("/v2/manage/overview")),
        (1, 1)
    );
    assert_eq!(account.overview.as_ref().unwrap().read_at, snapshot.read_at, "it says since when");
}

#[tokio::test]
async fn without_a_project_only_the_calls_that_need_one_are_missing() {
    let mut setup = prepared(|_, client| client.project_lookup = None).await;
    let snapshot = setup.refresh().await;
    assert!(snapshot.account.overview.is_some() && snapshot.account.quotas.is_none());
    assert!(snapshot.enterprise.instances.is_none());
    let mut setup = prepared(|_, client| {
        client.project_lookup = None;
        client.project_id = Some(DEMO_PROJECT_ID.to_owned());
    })
    .await;
    assert!(setup.refresh().await.account.quotas.is_some());
    assert_eq!(setup.upstream.handle.count("/v3/projects"), 0);
}

#[tokio::test]
async fn the_v3_listing_has_the_same_rows_as_the_v2_listing() {
    let rows = async |list_api| {
        let mut setup = prepared(|options, _| {
            (options.list_api, options.page_size) = (list_api, 25);
            (options.account, options.enterprise) = (false, false);
        })
        .await;
        let rows = setup.refresh().await.repositories.clone();
        (rows, setup.upstream.handle.count("/v2/manage/repos"), setup.upstream.handle.count("/v3/manage/repos"))
    };
    let (by_offsets, second, third) = rows(ListApi::V2).await;
    assert!(second >= 3 && third == 0);
    assert_eq!(rows(ListApi::V3).await, (by_offsets.clone(), 0, 3));
    assert_eq!(rows(ListApi::Auto).await, (by_offsets, 0, 3));
}

#[tokio::test]
async fn auto_uses_v2_where_the_region_has_no_v3_and_remembers_it() {
    let mut setup = prepared(|options, _| options.list_api = ListApi::Auto).await;
    setup.upstream.handle.configure(|options| options.list_v3 = ListV3::Absent);
    for _ in 0..3 {
        setup.refresh().await;
    }
    let count = |path: &str| setup.upstream.handle.count(path);
    let gates = format!("/v2/manage/projects/{DEMO_PROJECT_ID}/feature-gates");
    assert_eq!((count(&gates), count("/v3/manage"), count("/v2/manage/repos")), (1, 0, 3), "the gate told");

    // Without the feature gates, one call is refused and the listing continues at once.
    setup = prepared(|options, _| options.list_api = ListApi::Auto).await;
    setup.upstream.handle.configure(|options| options.list_v3 = ListV3::Absent);
    setup.deny(&[Call::FeatureGates]);
    for _ in 0..3 {
        setup.refresh().await;
    }
    let count = |path: &str| setup.upstream.handle.count(path);
    assert_eq!((count(&gates), count("/v3/manage"), count("/v2/manage/repos")), (1, 1, 3), "one refusal told");
}

#[tokio::test]
async fn auto_finds_v3_without_permission_to_read_the_feature_gates() {
    let mut setup = prepared(|options, _| options.list_api = ListApi::Auto).await;
    setup.deny(&[Call::FeatureGates]);
    for _ in 0..2 {
        setup.refresh().await;
    }
    assert_eq!((setup.upstream.handle.count("/v3/manage"), setup.upstream.handle.count("/v2/manage/repos")), (2, 0));
    // A region that no longer offers v3 is listed with v2 from then on.
    setup.upstream.handle.configure(|options| options.list_v3 = ListV3::Absent);
    setup.refresh().await;
    setup.refresh().await;
    assert_eq!((setup.upstream.handle.count("/v3/manage"), setup.upstream.handle.count("/v2/manage/repos")), (3, 2));
}

#[tokio::test]
async fn a_missing_v3_that_is_configured_is_a_failure_with_its_code() {
    let setup = prepared(|options, _| options.list_api = ListApi::V3).await;
    setup.upstream.handle.configure(|options| options.list_v3 = ListV3::Absent);
    let deadline = Deadline::after(Duration::from_secs(60));
    let failure =
        collect(&setup.client, &setup.options, None, Timestamp(0), deadline, &setup.metrics).await.unwrap_err();
    assert!(failure.message.contains("APIGW.0101"), "{failure}");
}

#[tokio::test]
async fn a_page_size_that_v3_refuses_is_requested_once() {
    let mut setup = prepared(|options, _| options.list_api = ListApi::V3).await;
    setup.upstream.handle.configure(|options| {
        (options.max_limit, options.over_limit) = (100, simulator::OverLimit::Refuse);
    });
    for _ in 0..3 {
        setup.refresh().await;
    }
    let statuses = setup.upstream.handle.statuses();
    assert_eq!(statuses[&400], 1);
}

#[tokio::test]
async fn a_response_over_the_limit_on_bytes_is_requested_in_smaller_pages_in_both_versions() {
    for list_api in [ListApi::V2, ListApi::V3] {
        let mut setup = prepared(|options, client| {
            (options.list_api, options.account, options.enterprise) = (list_api, false, false);
            client.max_response_bytes = 6000;
        })
        .await;
        for _ in 0..2 {
            setup.refresh().await;
        }
        let requests = setup.upstream.handle.requests();
        let full = requests.iter().filter(|request| request.query("limit") == Some("1000")).count();
        assert_eq!(full, 1, "a smaller size is remembered: {list_api:?}");
    }
}
