//! Every setting of `serve` has the effect that it promises. Tests name settings by their environment variables; a unit
//! test of `config` shows that flags and the configuration file give the same values.

use crate::support::{Exporter, Scrape, command, eventually, simulator, start, start_as_it_is, text};
use std::process::Stdio;
use std::time::Duration;
use swr_exporter::cli::flags::{ALL, Flag};
use swr_simulator::{Action, DEMO_ACCESS_KEY, DEMO_PROJECT_ID, DEMO_SECRET_KEY, DEMO_TOKEN, Delivery, Rule, Running};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::time::Instant;

/// The exporter's command for an upstream, with these settings.
fn prepared(upstream: &Running, settings: &[(&str, &str)]) -> Command {
    let mut command = command();
    command.env("SWR_EXPORTER_SWR_ENDPOINT", upstream.url()).envs(settings.iter().copied());
    command
}

async fn with(upstream: &Running, settings: &[(&str, &str)]) -> Exporter {
    start(prepared(upstream, settings)).await
}

fn hang() -> Rule {
    Rule::always(Action::Deliver(Delivery::Hang))
}

fn is_up(scrape: &Scrape) -> bool {
    scrape.get("swr_up") == Some(1.0)
}

#[test]
fn every_setting_has_a_test_here() {
    let tests = include_str!("flags.rs");
    // Tests of reloads, of `settings`, of `reclaim`, of agencies, and a unit test of `config`.
    let elsewhere = [
        "config.file",
        "config.check",
        "collector.tags.reclaim",
        "collector.tags.reclaim.keep",
        "credentials.agency-name",
        "credentials.agency-domain-name",
        "credentials.agency-domain-id",
        "swr.sts-endpoint",
    ];
    for variable in ALL.iter().filter(|flag| !elsewhere.contains(&flag.name)).map(Flag::variable) {
        assert!(tests.contains(&format!("\"{variable}\"")), "{variable} has no test in this file");
    }
}

#[tokio::test]
async fn listen_addresses_and_telemetry_path() {
    let upstream = simulator(3, 1).await;
    let environment =
        [("SWR_EXPORTER_WEB_LISTEN_ADDRESS", "127.0.0.1:0,127.0.0.9:0"), ("SWR_EXPORTER_WEB_TELEMETRY_PATH", "/swr")];
    let exporter = start_as_it_is(prepared(&upstream, &environment)).await;
    assert!(exporter.address().starts_with("127.0.0.1:"));
    eventually("both addresses are listened on", || exporter.log().contains("address=127.0.0.9:")).await;
    assert_eq!(exporter.get("/metrics").await.status(), 404);
    assert!(is_up(&Scrape::parse(text(exporter.get("/swr").await).await)));
    assert!(text(exporter.get("/").await).await.contains("href=\"./swr\""));
}

#[tokio::test]
async fn external_url_and_route_prefix() {
    let upstream = simulator(3, 1).await;
    let url = ("SWR_EXPORTER_WEB_EXTERNAL_URL", "https://example.com/exporters/swr/");
    for (prefix, base) in [("", "/exporters/swr"), ("/", ""), ("/inner", "/inner")] {
        let exporter = with(&upstream, &[url, ("SWR_EXPORTER_WEB_ROUTE_PREFIX", prefix)]).await;
        assert!(is_up(&Scrape::parse(text(exporter.get(&format!("{base}/metrics")).await).await)));
        let targets = text(exporter.get(&format!("{base}/sd")).await).await;
        let targets: serde_json::Value = serde_json::from_str(&targets).unwrap();
        assert_eq!(targets[0]["targets"], serde_json::json!(["example.com"]));
        let labels = &targets[0]["labels"];
        assert_eq!(
            (&labels["__scheme__"], &labels["__metrics_path__"]),
            (&"https".into(), &"/exporters/swr/probe".into())
        );
    }
}

#[tokio::test]
async fn labels_of_an_account() {
    let upstream = simulator(3, 1).await;
    let exporter = with(&upstream, &[("SWR_EXPORTER_ACCOUNT_LABEL", "account=production, cloud = \"otc\"")]).await;
    let scrape = exporter.scrape().await;
    assert!(scrape.is_up());
    let is_labelled = |line: &&str| line.contains("account=\"production\",cloud=\"\\\"otc\\\"\"}");
    let (labelled, bare): (Vec<_>, Vec<_>) =
        scrape.text.lines().filter(|line| !line.starts_with('#')).partition(is_labelled);
    assert!(labelled.len() > 50 && labelled.iter().any(|line| line.starts_with("swr_repository_size_bytes{")));
    assert!(labelled.iter().any(|line| line.starts_with("swr_api_request_duration_seconds_bucket{")));
    assert!(bare.iter().all(|line| line.starts_with("process_") || line.starts_with("swr_exporter_")), "{bare:?}");
    crate::support::passes_promtool(&scrape.text).await;
}

#[tokio::test]
async fn links_on_the_status_page() {
    let upstream = simulator(3, 1).await;
    let links = "Prometheus=http://127.0.0.1:9090,Grafana=http://127.0.0.1:3000/d/swr";
    let exporter = with(&upstream, &[("SWR_EXPORTER_WEB_LINK", links)]).await;
    let page = text(exporter.get("/").await).await;
    assert!(page.contains("<a href=\"http://127.0.0.1:9090\">Prometheus</a>"), "{page}");
    assert!(page.contains("<a href=\"http://127.0.0.1:3000/d/swr\">Grafana</a>"), "{page}");
}

#[tokio::test]
async fn web_config_file() {
    let (upstream, folder) = (simulator(3, 1).await, tempfile::tempdir().unwrap());
    let file = folder.path().join("web.yml");
    std::fs::write(&file, "http_server_config: { headers: { X-Frame-Options: deny } }\n").unwrap();
    let exporter = with(&upstream, &[("SWR_EXPORTER_WEB_CONFIG_FILE", file.to_str().unwrap())]).await;
    assert_eq!(exporter.get("/metrics").await.headers()["x-frame-options"], "deny");
}

#[tokio::test]
async fn scrapes_at_once_are_limited() {
    let upstream = simulator(20_000, 20).await;
    let exporter = with(&upstream, &[("SWR_EXPORTER_WEB_MAX_REQUESTS", "1")]).await;
    exporter.scrape_until("data", is_up).await;
    // A client that reads nothing holds the only place.
    let mut slow = crate::peers::connect(exporter.address(), 0).await;
    slow.write_all(crate::peers::SCRAPE.as_bytes()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let start = Instant::now();
        let answer = exporter.get("/metrics").await;
        if answer.status() == 503 {
            assert_eq!(answer.headers()["retry-after"], "1");
            assert!(start.elapsed() < Duration::from_secs(5), "at once: {:?}", start.elapsed());
            break;
        }
        assert!(Instant::now() < deadline, "the second scrape was never refused");
    }
}

#[tokio::test]
async fn reloads_by_request_are_allowed_by_a_setting() {
    let upstream = simulator(3, 1).await;
    for (value, status) in [("false", 403), ("true", 200)] {
        let exporter = with(&upstream, &[("SWR_EXPORTER_WEB_ENABLE_LIFECYCLE", value)]).await;
        let url = format!("http://{}/-/reload", exporter.address());
        let answer = crate::support::client().post(url).send().await.unwrap();
        assert_eq!(answer.status(), status, "{value}");
    }
}

#[tokio::test]
async fn connections_are_limited_in_all_and_per_address() {
    const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n";
    let upstream = simulator(3, 1).await;
    let settings = [("SWR_EXPORTER_WEB_MAX_CONNECTIONS", "3"), ("SWR_EXPORTER_WEB_MAX_CONNECTIONS_PER_ADDRESS", "2")];
    let exporter = with(&upstream, &settings).await;
    let from = async |host: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{host}:0").parse().unwrap()).unwrap();
        let mut client = socket.connect(exporter.address().parse().unwrap()).await.unwrap();
        let _ = client.write_all(REQUEST).await;
        client
    };
    let answer = async |client: &mut TcpStream| {
        let mut first = [0];
        client.read(&mut first).await.unwrap_or(0)
    };
    let (mut first, mut second) = (from("127.0.0.1").await, from("127.0.0.1").await);
    assert_eq!((answer(&mut first).await, answer(&mut second).await), (1, 1));
    assert_eq!(answer(&mut from("127.0.0.1").await).await, 0, "two from one address, and the third is closed");
    let mut third = from("127.0.0.2").await;
    assert_eq!(answer(&mut third).await, 1);
    let mut fourth = from("127.0.0.3").await;
    let early = tokio::time::timeout(Duration::from_millis(300), answer(&mut fourth)).await;
    assert!(early.is_err(), "three in all, and the fourth waits");
    drop(first);
    assert_eq!(answer(&mut fourth).await, 1, "until there is room");
}

#[tokio::test]
async fn a_region_gives_the_endpoint() {
    let mut command = command();
    command.env("SWR_EXPORTER_SWR_REGION", "eu-west-101");
    let exporter = start(command).await;
    assert!(exporter.log().contains("endpoint=https://swr-api.eu-west-101.myhuaweicloud.eu"), "{}", exporter.log());
}

#[tokio::test]
async fn the_project_id_is_sent_and_signed() {
    let upstream = simulator(3, 1).await;
    let project = "0123456789abcdef0123456789abcdef";
    let exporter = with(&upstream, &[("SWR_EXPORTER_SWR_PROJECT_ID", project)]).await;
    assert!(is_up(&exporter.scrape().await));
    let request = &upstream.handle.requests()[0];
    assert_eq!(request.header("x-project-id"), Some(project));
    assert!(request.header("authorization").unwrap().contains("x-project-id"));
}

#[tokio::test]
async fn the_ca_file_is_read() {
    let upstream = simulator(3, 1).await;
    let mut command = prepared(&upstream, &[("SWR_EXPORTER_SWR_CA_FILE", "/nowhere/ca.pem")]);
    // A free port, so that nothing else is wrong.
    command.args(["--web.listen-address", "127.0.0.1:0"]).stderr(Stdio::piped());
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot read certificates from /nowhere/ca.pem"), "{said}");
}

#[tokio::test]
async fn only_the_named_organizations_are_listed_in_pages_of_the_set_size() {
    let upstream = simulator(120, 3).await;
    let names = upstream.handle.with_world(|world| world.namespaces());
    let two = format!("{},{}", names[0], names[1]);
    let environment = [("SWR_EXPORTER_SWR_NAMESPACE", two.as_str()), ("SWR_EXPORTER_SWR_PAGE_SIZE", "25")];
    let scrape = with(&upstream, &environment).await.scrape().await;
    let count = |name: &String| upstream.handle.repositories().iter().filter(|row| row.namespace == *name).count();
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), count(&names[0]) + count(&names[1]));
    assert_eq!(scrape.series("swr_namespace_repositories").len(), 2);
    let requests = upstream.handle.requests();
    assert!(requests.len() > 2);
    assert!(
        requests.iter().all(|request| request.query("limit").is_some_and(|limit| limit.parse::<u8>().unwrap() <= 25))
    );
    assert!(requests.iter().all(|request| names[..2].iter().any(|name| request.query("namespace") == Some(name))));
}

#[tokio::test]
async fn requests_in_flight_are_limited() {
    let upstream = simulator(100, 3).await;
    upstream.handle.configure(|options| options.latency = Duration::from_millis(50));
    let environment = [("SWR_EXPORTER_SWR_PAGE_SIZE", "10"), ("SWR_EXPORTER_SWR_CONCURRENCY", "2")];
    assert!(is_up(&with(&upstream, &environment).await.scrape().await));
    assert_eq!(upstream.handle.max_in_flight(), 2);
}

#[tokio::test]
async fn the_request_rate_is_limited() {
    let upstream = simulator(100, 3).await;
    let environment =
        [("SWR_EXPORTER_SWR_PAGE_SIZE", "10"), ("SWR_EXPORTER_SWR_RATE_LIMIT", "10"), ("SWR_EXPORTER_SWR_BURST", "3")];
    assert!(is_up(&with(&upstream, &environment).await.scrape().await));
    let times: Vec<Instant> = upstream.handle.requests().iter().map(|request| request.at).collect();
    assert!(times.len() >= 10);
    // In any period at most the burst and ten per second. A late request makes the next ones look close together.
    let slack = Duration::from_millis(150);
    for (first, start) in times.iter().enumerate() {
        for (sent, end) in times[first..].iter().enumerate().skip(3) {
            let least = Duration::from_millis(100) * u32::try_from(sent - 2).unwrap();
            assert!(*end - *start + slack >= least, "{sent} more requests within {:?}", *end - *start);
        }
    }
}

#[tokio::test]
async fn requests_and_refreshes_have_timeouts() {
    let upstream = simulator(3, 1).await;
    upstream.handle.fault(hang());
    let failed = |scrape: &Scrape| scrape.value("swr_refresh_failures_total", &[("reason", "timeout")]) == Some(1.0);
    let one = with(&upstream, &[("SWR_EXPORTER_SWR_REQUEST_TIMEOUT", "200ms")]).await;
    one.scrape_until("a request's timeout", failed).await;
    assert!(upstream.handle.total() > 1, "after the request's timeout it is sent again");
    upstream.handle.clear_journal();
    let whole = with(&upstream, &[("SWR_EXPORTER_SWR_REFRESH_TIMEOUT", "600ms")]).await;
    let scrape = whole.scrape_until("the refresh's timeout", failed).await;
    let took = scrape.get("swr_refresh_duration_seconds").unwrap();
    assert!((0.5..10.0).contains(&took), "{took}");
    assert_eq!(upstream.handle.total(), 1, "one request, cut off with the refresh");
}

#[tokio::test]
async fn the_named_source_of_credentials_is_used() {
    let upstream = simulator(3, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let token = file("token", DEMO_TOKEN);
    let by_token = [("SWR_EXPORTER_CREDENTIALS_TOKEN_FILE", token.as_str())];
    assert!(is_up(&with(&upstream, &by_token).await.scrape().await));
    let by_name = ("SWR_EXPORTER_CREDENTIALS_SOURCE", "access-key");
    assert!(is_up(&with(&upstream, &[by_token[0], by_name]).await.scrape().await));
    let (access_key, secret_key) = (file("ak", "ANOTHERKEY"), file("sk", "another-secret"));
    let security_token = file("st", "security-token");
    upstream.handle.configure(|options| {
        options.access_keys.push(swr_simulator::AccessKey {
            access_key: "ANOTHERKEY".to_owned(),
            secret_key: "another-secret".to_owned(),
            security_token: Some("security-token".to_owned()),
        });
    });
    let by_files = [
        ("SWR_EXPORTER_CREDENTIALS_ACCESS_KEY_FILE", access_key.as_str()),
        ("SWR_EXPORTER_CREDENTIALS_SECRET_KEY_FILE", secret_key.as_str()),
        ("SWR_EXPORTER_CREDENTIALS_SECURITY_TOKEN_FILE", security_token.as_str()),
    ];
    assert!(is_up(&with(&upstream, &by_files).await.scrape().await), "files come before the environment's key");
    let mut sdk = prepared(&upstream, &[]);
    sdk.env_remove("SWR_EXPORTER_ACCESS_KEY").env_remove("SWR_EXPORTER_SECRET_KEY");
    sdk.env("HUAWEICLOUD_SDK_AK", DEMO_ACCESS_KEY).env("HUAWEICLOUD_SDK_SK", DEMO_SECRET_KEY);
    assert!(is_up(&start(sdk).await.scrape().await), "the variables of the vendor's SDK");

    let used: Vec<_> = upstream
        .handle
        .requests()
        .iter()
        .map(|request| ["x-auth-token", "authorization", "x-security-token"].map(|name| request.header(name).is_some()))
        .collect();
    let (token, key, temporary_key) = ([true, false, false], [false, true, false], [false, true, true]);
    assert_eq!(used, [token, key, temporary_key, key]);
}

#[tokio::test]
async fn a_password_login_uses_the_set_endpoint_user_and_project() {
    use swr_simulator::{DEMO_DOMAIN, DEMO_PASSWORD, DEMO_PROJECT_ID, DEMO_USER};
    let (upstream, iam) = (simulator(3, 1).await, simulator(3, 1).await);
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, DEMO_PASSWORD).unwrap();
    let mut command = prepared(
        &upstream,
        &[
            ("SWR_EXPORTER_CREDENTIALS_SOURCE", "password"),
            ("SWR_EXPORTER_SWR_IAM_ENDPOINT", &iam.url()),
            ("SWR_EXPORTER_SWR_PROJECT_ID", DEMO_PROJECT_ID),
            ("SWR_EXPORTER_CREDENTIALS_DOMAIN_NAME", DEMO_DOMAIN),
            ("SWR_EXPORTER_CREDENTIALS_USERNAME", DEMO_USER),
            ("SWR_EXPORTER_CREDENTIALS_PASSWORD_FILE", password.to_str().unwrap()),
        ],
    );
    // The file wins over the variable.
    command.env("SWR_EXPORTER_PASSWORD", "wrong");
    let exporter = start(command).await;
    exporter.scrape().await;
    // The upstream does not know the token of the other service, so the exporter logs in once more.
    assert_eq!((iam.handle.logins(), iam.handle.failed_logins(), upstream.handle.logins()), (2, 0, 0));
    let login: serde_json::Value = serde_json::from_slice(&iam.handle.requests()[0].body).unwrap();
    assert_eq!(login["auth"]["scope"]["project"], serde_json::json!({"id": DEMO_PROJECT_ID}));
}

#[tokio::test]
async fn the_metadata_endpoint_is_used() {
    let (upstream, machine) = (simulator(3, 1).await, simulator(3, 1).await);
    let environment = [
        ("SWR_EXPORTER_CREDENTIALS_SOURCE", "metadata"),
        ("SWR_EXPORTER_CREDENTIALS_METADATA_ENDPOINT", &machine.url()),
    ];
    with(&upstream, &environment).await.scrape().await;
    assert!(machine.handle.count("/openstack/latest/securitykey") > 0);
    assert_eq!(upstream.handle.count("/openstack"), 0);
}

#[tokio::test]
async fn the_cache_waits_keeps_and_withdraws() {
    let upstream = simulator(3, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("SWR_EXPORTER_CACHE_WINDOW", "500ms"),
        ("SWR_EXPORTER_CACHE_WAIT", "0s"),
        ("SWR_EXPORTER_CACHE_MAX_AGE", "3s"),
        ("SWR_EXPORTER_SWR_REFRESH_TIMEOUT", "1s"),
        ("SWR_EXPORTER_CACHE_DIRECTORY", folder.path().to_str().unwrap()),
    ];
    let exporter = with(&upstream, &environment).await;
    assert_eq!(exporter.scrape().await.get("swr_cache_window_seconds"), Some(0.5));
    let file = folder.path().join("default.snapshot");
    eventually("the snapshot is kept", || file.exists()).await;
    upstream.handle.fault(hang());
    let stale = |scrape: &Scrape| scrape.value("swr_scrapes_total", &[("served", "stale")]) > Some(0.0);
    let start = Instant::now();
    exporter.scrape_until("older data, at once", stale).await;
    assert!(start.elapsed() < Duration::from_secs(8), "without waiting for the upstream: {:?}", start.elapsed());
    exporter.scrape_until("withdrawal", |scrape| scrape.series("swr_repository_size_bytes").is_empty()).await;
}

#[tokio::test]
async fn a_scrape_without_data_ends_by_its_deadline() {
    let upstream = simulator(3, 1).await;
    upstream.handle.fault(hang());
    let by_itself = with(&upstream, &[("SWR_EXPORTER_SCRAPE_TIMEOUT", "700ms")]).await;
    let start = Instant::now();
    assert_eq!(by_itself.get("/metrics").await.status(), 200);
    assert!((700..7000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    let offset = with(&upstream, &[("SWR_EXPORTER_SCRAPE_TIMEOUT_OFFSET", "9500ms")]).await;
    let start = Instant::now();
    let scrape = offset.scrape_within(Duration::from_secs(10)).await;
    assert!((500..7000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(scrape.get("swr_up"), Some(0.0));
    assert_eq!(scrape.value("swr_scrapes_total", &[("served", "nothing")]), Some(1.0));
    assert_eq!(scrape.get("swr_snapshot_timestamp_seconds"), None, "absent is not zero");
}

#[tokio::test]
async fn repository_families_and_their_limit() {
    let upstream = simulator(30, 1).await;
    let environment =
        [("SWR_EXPORTER_COLLECTOR_REPOSITORIES_METRICS", "info,created"), ("SWR_EXPORTER_REPOSITORIES_LIMIT", "3")];
    let scrape = with(&upstream, &environment).await.scrape().await;
    assert_eq!(scrape.get("swr_repositories"), Some(30.0));
    assert_eq!(scrape.series("swr_repository_info").len(), 3);
    assert_eq!(scrape.series("swr_repository_created_timestamp_seconds").len(), 3);
    assert!(scrape.series("swr_repository_size_bytes").is_empty());
}

#[tokio::test]
async fn repositories_are_filtered_by_name() {
    let upstream = simulator(0, 1).await;
    for (namespace, name) in [("a", "x"), ("a", "y/1"), ("a", "y/2"), ("b", "x"), ("b", "xx")] {
        upstream.handle.insert(swr_simulator::Repository::new(namespace, name));
    }
    let environment =
        [("SWR_EXPORTER_REPOSITORIES_INCLUDE", "a/.*|b/x"), ("SWR_EXPORTER_REPOSITORIES_EXCLUDE", ".*/y/[0-1]{1,2}")];
    let scrape = with(&upstream, &environment).await.scrape().await;
    let shown: Vec<_> =
        scrape.series("swr_repository_size_bytes").iter().map(|(labels, _)| labels["repository"].as_str()).collect();
    assert_eq!(shown, ["x", "y/2", "x"]);
    assert_eq!(scrape.value("swr_repositories_omitted", &[("reason", "filter")]), Some(2.0));
    assert_eq!(scrape.value("swr_namespace_repositories", &[("namespace", "b")]), Some(2.0));
}

/// The times of calls for tags.
fn tag_calls(upstream: &Running) -> Vec<Instant> {
    let requests = upstream.handle.requests();
    requests.iter().filter(|request| request.path.ends_with("/tags")).map(|request| request.at).collect()
}

#[tokio::test]
async fn tags_are_read_at_the_set_rate_and_selected_ones_have_series() {
    let upstream = simulator(30, 1).await;
    let wanted = upstream.handle.repositories().into_iter().find(|one| !one.tags.is_empty()).unwrap();
    let expression = format!("{}/{}", wanted.namespace, wanted.name.replace('.', "[.]"));
    let settings = [
        ("SWR_EXPORTER_COLLECTOR_TAGS", "true"),
        ("SWR_EXPORTER_COLLECTOR_TAGS_RATE_LIMIT", "10"),
        ("SWR_EXPORTER_COLLECTOR_TAGS_DETAIL", expression.as_str()),
        ("SWR_EXPORTER_CACHE_WINDOW", "50ms"),
    ];
    let exporter = with(&upstream, &settings).await;
    let scrape = exporter
        .scrape_until("every tag is read", |scrape| {
            scrape.series("swr_repository_tags_read").len() == 30 && scrape.get("swr_tags_pending") == Some(0.0)
        })
        .await;
    assert_eq!(scrape.series("swr_tag_info").len(), wanted.tags.len());
    let calls = tag_calls(&upstream);
    // Twenty at once, then ten per second.
    assert!(calls.len() == 30 && calls[29] - calls[0] > Duration::from_millis(800), "{:?}", calls[29] - calls[0]);
}

#[tokio::test]
async fn tags_are_read_again_within_the_full_interval() {
    let upstream = simulator(10, 1).await;
    let settings = [
        ("SWR_EXPORTER_COLLECTOR_TAGS", "true"),
        ("SWR_EXPORTER_COLLECTOR_TAGS_FULL_INTERVAL", "3s"),
        ("SWR_EXPORTER_CACHE_WINDOW", "50ms"),
    ];
    let exporter = with(&upstream, &settings).await;
    exporter.scrape_until("a second round", |_| tag_calls(&upstream).len() >= 20).await;
    let calls = tag_calls(&upstream);
    assert!(calls[19] - calls[9] > Duration::from_millis(500), "nothing has changed, so nothing is urgent");
}

#[tokio::test]
async fn details_are_read_if_enabled() {
    let upstream = simulator(5, 1).await;
    let settings = [("SWR_EXPORTER_COLLECTOR_DETAILS", "true"), ("SWR_EXPORTER_CACHE_WINDOW", "50ms")];
    let exporter = with(&upstream, &settings).await;
    let scrape =
        exporter.scrape_until("details", |scrape| scrape.series("swr_repository_details_info").len() == 5).await;
    assert!(scrape.get("swr_tags_pending").is_none() && tag_calls(&upstream).is_empty(), "tags are another matter");
}

#[tokio::test]
async fn series_of_repositories_can_be_disabled() {
    let upstream = simulator(30, 1).await;
    let scrape = with(&upstream, &[("SWR_EXPORTER_COLLECTOR_REPOSITORIES", "false")]).await.scrape().await;
    assert!(is_up(&scrape) && scrape.get("swr_repositories") == Some(30.0));
    assert_eq!(scrape.series("swr_namespace_size_bytes").len(), 1);
    assert!(scrape.series("swr_repository_size_bytes").is_empty() && scrape.series("swr_repository_info").is_empty());
}

#[tokio::test]
async fn the_listing_uses_the_set_api_version() {
    for (edition, path) in [("v2", "/v2/manage/repos"), ("v3", "/v3/manage/repos"), ("auto", "/v3/manage/repos")] {
        let upstream = simulator(30, 2).await;
        let exporter = with(&upstream, &[("SWR_EXPORTER_SWR_LIST_API", edition)]).await;
        assert_eq!(exporter.scrape().await.get("swr_repositories"), Some(30.0));
        let listed = [upstream.handle.count("/v2/manage/repos"), upstream.handle.count("/v3/manage/repos")];
        assert_eq!((upstream.handle.count(path), listed.iter().sum::<u64>()), (1, 1), "{edition}");
    }
}

#[tokio::test]
async fn optional_collectors_can_be_enabled() {
    let project = ("SWR_EXPORTER_SWR_PROJECT_ID", DEMO_PROJECT_ID);
    let upstream = simulator(30, 2).await;
    let exporter = with(&upstream, &[project, ("SWR_EXPORTER_COLLECTOR_ACCOUNT", "true")]).await;
    let scrape = exporter.scrape().await;
    let quota = scrape.value("swr_quota_used", &[("quota", "namespace")]);
    assert_eq!((scrape.get("swr_account_repositories"), quota), (Some(30.0), Some(2.0)));
    assert_eq!(scrape.get("swr_instances"), None);
    let exporter = with(&upstream, &[project, ("SWR_EXPORTER_COLLECTOR_ENTERPRISE", "true")]).await;
    let scrape = exporter.scrape().await;
    assert_eq!((scrape.get("swr_instances"), scrape.get("swr_account_repositories")), (Some(2.0), None));
    assert_eq!(scrape.series("swr_instance_repository_downloads").len(), 30);
    assert!(scrape.series("swr_instance_repository_size_bytes").is_empty());
    let exporter = with(&upstream, &[project, ("SWR_EXPORTER_COLLECTOR_ENTERPRISE_ARTIFACTS", "true")]).await;
    assert!(!exporter.scrape().await.series("swr_instance_repository_size_bytes").is_empty());
    let rate = ("SWR_EXPORTER_COLLECTOR_TAGS_RATE_LIMIT", "1000");
    let exporter = with(&upstream, &[rate, ("SWR_EXPORTER_COLLECTOR_RETENTION", "true")]).await;
    assert_eq!(exporter.scrape().await.series("swr_repository_retention_rules").len(), 30);
}

#[tokio::test]
async fn the_log_has_the_set_level_and_format() {
    let upstream = simulator(3, 1).await;
    let environment = [("SWR_EXPORTER_LOG_LEVEL", "debug"), ("SWR_EXPORTER_LOG_FORMAT", "json")];
    let mut command = prepared(&upstream, &environment);
    let mut process = command.args(["--web.listen-address", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(crate::support::PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    let address = loop {
        let line = next().await;
        if line["msg"] == "listening" {
            assert_eq!(line.get("account"), None);
            break line["address"].as_str().unwrap().to_owned();
        }
        assert_eq!(line["account"], "default", "{line}");
    };
    upstream.handle.fault(Rule::once(Action::busy()));
    let _ = crate::peers::exchange(crate::peers::connect(&address, 0).await, crate::peers::SCRAPE).await.unwrap();
    while next().await["level"] != "debug" {}
}
