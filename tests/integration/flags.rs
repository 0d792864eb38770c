//! Every setting of `serve` has the effect that it promises. Tests name settings by their environment variables; a unit
//! test of `config` shows that flags and the configuration file give the same values.

use crate::support::{Exporter, Scrape, command, eventually, simulator, start, start_as_it_is, text};
use std::path::Path;
use std::time::Duration;
use swr_exporter::cli::flags::ALL;
use swr_simulator::{Action, DEMO_ACCESS_KEY, DEMO_SECRET_KEY, DEMO_TOKEN, Delivery, Rule, Running};
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

#[test]
fn every_setting_has_a_test() {
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration")).unwrap();
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let tests: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    // A unit test of `config` has the one that is left out.
    for flag in ALL.iter().filter(|flag| flag.name != "swr.sts-endpoint") {
        let used = [format!("\"{}\"", flag.variable()), format!("\"--{}", flag.name)];
        assert!(used.iter().any(|used| tests.contains(used)), "--{} has no test", flag.name);
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
    assert!(Scrape::parse(text(exporter.get("/swr").await).await).is_up());
    assert!(text(exporter.get("/").await).await.contains("href=\"./swr\""));
}

#[tokio::test]
async fn external_url_and_route_prefix() {
    let upstream = simulator(3, 1).await;
    let url = ("SWR_EXPORTER_WEB_EXTERNAL_URL", "https://example.com/exporters/swr/");
    for (prefix, base) in [("", "/exporters/swr"), ("/", ""), ("/inner", "/inner")] {
        let exporter = with(&upstream, &[url, ("SWR_EXPORTER_WEB_ROUTE_PREFIX", prefix)]).await;
        assert!(Scrape::parse(text(exporter.get(&format!("{base}/metrics")).await).await).is_up());
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
    drop(third);
    let closed = exporter.scrape().await.value("swr_exporter_connections_closed_total", &[("reason", "address_limit")]);
    assert_eq!(closed, Some(1.0));
}

#[tokio::test]
async fn the_project_id_is_sent_and_signed() {
    let upstream = simulator(3, 1).await;
    let project = "0123456789abcdef0123456789abcdef";
    let exporter = with(&upstream, &[("SWR_EXPORTER_SWR_PROJECT_ID", project)]).await;
    assert!(exporter.scrape().await.is_up());
    let request = &upstream.handle.requests()[0];
    assert_eq!(request.header("x-project-id"), Some(project));
    assert!(request.header("authorization").unwrap().contains("x-project-id"));
}

#[tokio::test]
async fn requests_in_flight_are_limited() {
    let upstream = simulator(100, 3).await;
    upstream.handle.configure(|options| options.latency = Duration::from_millis(50));
    let environment = [("SWR_EXPORTER_SWR_PAGE_SIZE", "10"), ("SWR_EXPORTER_SWR_CONCURRENCY", "2")];
    assert!(with(&upstream, &environment).await.scrape().await.is_up());
    assert_eq!(upstream.handle.max_in_flight(), 2);
}

#[tokio::test]
async fn the_request_rate_is_limited() {
    let upstream = simulator(100, 3).await;
    let environment =
        [("SWR_EXPORTER_SWR_PAGE_SIZE", "10"), ("SWR_EXPORTER_SWR_RATE_LIMIT", "10"), ("SWR_EXPORTER_SWR_BURST", "3")];
    assert!(with(&upstream, &environment).await.scrape().await.is_up());
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
    assert!(with(&upstream, &by_token).await.scrape().await.is_up());
    let by_name = ("SWR_EXPORTER_CREDENTIALS_SOURCE", "access-key");
    assert!(with(&upstream, &[by_token[0], by_name]).await.scrape().await.is_up());
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
    assert!(with(&upstream, &by_files).await.scrape().await.is_up(), "files come before the environment's key");
    let mut sdk = prepared(&upstream, &[]);
    sdk.env_remove("SWR_EXPORTER_ACCESS_KEY").env_remove("SWR_EXPORTER_SECRET_KEY");
    sdk.env("HUAWEICLOUD_SDK_AK", DEMO_ACCESS_KEY).env("HUAWEICLOUD_SDK_SK", DEMO_SECRET_KEY);
    assert!(start(sdk).await.scrape().await.is_up(), "the variables of the vendor's SDK");

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
async fn repository_families_and_their_limit_or_none_at_all() {
    let upstream = simulator(30, 1).await;
    let environment =
        [("SWR_EXPORTER_COLLECTOR_REPOSITORIES_METRICS", "info,created"), ("SWR_EXPORTER_REPOSITORIES_LIMIT", "3")];
    let scrape = with(&upstream, &environment).await.scrape().await;
    assert_eq!(scrape.get("swr_repositories"), Some(30.0));
    assert_eq!(scrape.series("swr_repository_info").len(), 3);
    assert_eq!(scrape.series("swr_repository_created_timestamp_seconds").len(), 3);
    assert!(scrape.series("swr_repository_size_bytes").is_empty());
    let scrape = with(&upstream, &[("SWR_EXPORTER_COLLECTOR_REPOSITORIES", "false")]).await.scrape().await;
    assert!(scrape.is_up() && scrape.get("swr_repositories") == Some(30.0));
    assert_eq!(scrape.series("swr_namespace_size_bytes").len(), 1);
    assert!(scrape.series("swr_repository_size_bytes").is_empty() && scrape.series("swr_repository_info").is_empty());
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

#[tokio::test]
async fn details_are_read_if_enabled() {
    let upstream = simulator(5, 1).await;
    let settings = [("SWR_EXPORTER_COLLECTOR_DETAILS", "true"), ("SWR_EXPORTER_CACHE_WINDOW", "50ms")];
    let exporter = with(&upstream, &settings).await;
    let scrape =
        exporter.scrape_until("details", |scrape| scrape.series("swr_repository_details_info").len() == 5).await;
    assert!(
        scrape.get("swr_tags_pending").is_none() && crate::support::calls(&upstream, "/tags").is_empty(),
        "tags are another matter"
    );
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
