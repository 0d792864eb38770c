//! Every source of credentials from end to end, with keys and tokens that live a few seconds, while scrapes run.

use crate::support::{Exporter, Scrape, bare, eventually, simulator, start};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use swr_simulator::{
    Action, DEMO_AGENCY_URN, DEMO_DOMAIN, DEMO_ID_TOKEN, DEMO_IDP_ID, DEMO_PASSWORD, DEMO_POD_TOKEN, DEMO_PROJECT,
    DEMO_PROJECT_ID, DEMO_PROVIDER_URN, DEMO_USER, KeyLife, MetadataMode, Rule, Running, Shape,
};
use tokio::process::Command;
use tokio::time::Instant;

/// Long enough for several refreshes, short enough for several lives.
const LIFE: Duration = Duration::from_secs(4);

/// An account whose credential services give nothing that lasts.
pub async fn short_lived() -> Running {
    let upstream = simulator(30, 3).await;
    upstream.handle.configure(|options| {
        options.token_life = LIFE;
        options.key_life = KeyLife::Exactly(LIFE);
        options.pod_identity.key_life = LIFE;
        options.metadata.key_life = LIFE;
        options.metadata.rotate_before = LIFE / 2;
    });
    upstream
}

/// The exporter for an upstream without any credential.
pub fn without_credential(upstream: &Running) -> Command {
    let mut command = bare();
    command.args(["--swr.endpoint", &upstream.url()]).env("SWR_EXPORTER_CACHE_WINDOW", "100ms");
    command
}

/// The exporter with the demo's password in a file.
pub fn with_password(upstream: &Running, password_file: &Path) -> Command {
    let mut command = without_credential(upstream);
    command.args(["--swr.iam-endpoint", &upstream.url(), "--swr.region", DEMO_PROJECT]);
    command.args(["--credentials.domain-name", DEMO_DOMAIN, "--credentials.username", DEMO_USER]);
    command.arg("--credentials.password-file").arg(password_file);
    command
}

/// A folder with one file.
pub fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{text}\n")).unwrap();
    (folder, path)
}

/// Scrapes for a time, and fails if one scrape is not what it should be.
pub async fn scrapes_well(exporter: &Exporter, time: Duration) -> Scrape {
    let end = Instant::now() + time;
    loop {
        let scrape = exporter.scrape().await;
        assert_eq!(scrape.get("swr_up"), Some(1.0), "{}\n{}", scrape.without_repositories(), exporter.log());
        assert_eq!(scrape.series("swr_repository_size_bytes").len(), 30);
        if Instant::now() > end {
            assert_eq!(scrape.sum("swr_refresh_failures_total"), 0.0);
            return scrape;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lets two lives go by: no scrape fails, and the metrics tell what was asked and when it ends.
async fn outlives_its_credentials(exporter: &Exporter, operation: &str) {
    let scrape = scrapes_well(exporter, LIFE * 2).await;
    let asked =
        scrape.value("swr_api_requests_total", &[("operation", operation), ("code", "200")]).unwrap_or_default()
            + scrape.value("swr_api_requests_total", &[("operation", operation), ("code", "201")]).unwrap_or_default();
    assert!((3.0..=20.0).contains(&asked), "{asked} calls of {operation}");
    assert_eq!(scrape.value("swr_api_request_duration_seconds_count", &[("operation", operation)]), Some(asked));
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let ends = scrape.get("swr_credential_expiry_timestamp_seconds").unwrap();
    assert!(ends > now - 1.0 && ends < now + LIFE.as_secs_f64() + 1.0, "{ends} at {now}");
}

#[tokio::test]
async fn a_password_outlives_its_tokens() {
    let (upstream, (_folder, password)) = (short_lived().await, file_with(DEMO_PASSWORD));
    let exporter = start(with_password(&upstream, &password)).await;
    outlives_its_credentials(&exporter, "iam_token").await;
    assert_eq!(upstream.handle.failed_logins(), 0);
    let logins = upstream.handle.requests().into_iter().filter(|request| request.path == "/v3/auth/tokens");
    for login in logins {
        assert_eq!(login.query("nocatalog"), Some("true"));
        let body: serde_json::Value = serde_json::from_slice(&login.body).unwrap();
        assert_eq!(body["auth"]["scope"]["project"], serde_json::json!({"name": DEMO_PROJECT}));
    }
    assert!(exporter.log().contains("from password\""), "{}", exporter.log());
}

#[tokio::test]
async fn the_metadata_service_is_asked_with_a_token_first() {
    let upstream = short_lived().await;
    let mut command = without_credential(&upstream);
    command.args(["--credentials.source", "metadata", "--credentials.metadata-endpoint", &upstream.url()]);
    outlives_its_credentials(&start(command).await, "metadata").await;
    assert!(upstream.handle.count("/meta-data/latest/api/token") >= 2);
}

#[tokio::test]
async fn a_metadata_service_without_tokens_is_asked_plainly() {
    for status in [404, 405, 503] {
        let upstream = short_lived().await;
        upstream.handle.configure(|options| options.metadata.mode = MetadataMode::Open(status));
        let mut command = without_credential(&upstream);
        command.env("SWR_EXPORTER_CREDENTIALS_METADATA_ENDPOINT", upstream.url());
        let exporter = start(command).await;
        scrapes_well(&exporter, Duration::from_millis(500)).await;
        assert!(exporter.log().contains("from metadata\""), "{}", exporter.log());
    }
}

#[tokio::test]
async fn pod_identity_outlives_its_keys() {
    let (upstream, (_folder, token)) = (short_lived().await, file_with(DEMO_POD_TOKEN));
    let mut command = without_credential(&upstream);
    command.env("HC_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/pod-identity/credentials", upstream.url()));
    command.env("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token);
    outlives_its_credentials(&start(command).await, "pod_identity").await;
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_iam_and_read_again() {
    let (upstream, (_folder, token)) = (short_lived().await, file_with(DEMO_ID_TOKEN));
    let mut command = without_credential(&upstream);
    command
        .env("HUAWEICLOUD_SDK_IDP_ID", DEMO_IDP_ID)
        .env("HUAWEICLOUD_SDK_ID_TOKEN_FILE", &token)
        .env("HUAWEICLOUD_SDK_IAM_ENDPOINT", upstream.url());
    let exporter = start(command).await;
    scrapes_well(&exporter, Duration::from_secs(1)).await;
    // As the kubelet does: another token in the same place, and the old one is worth nothing.
    upstream.handle.accept_id_token("rotated.id.token");
    std::fs::write(&token, "rotated.id.token").unwrap();
    upstream.handle.revoke_id_token(DEMO_ID_TOKEN);
    outlives_its_credentials(&exporter, "oidc").await;
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_sts() {
    let (upstream, (_folder, token)) = (short_lived().await, file_with(DEMO_ID_TOKEN));
    let mut command = without_credential(&upstream);
    command
        .env("HUAWEICLOUD_OIDC_PROVIDER_URN", DEMO_PROVIDER_URN)
        .env("HUAWEICLOUD_OIDC_AGENCY_URN", DEMO_AGENCY_URN)
        .env("HUAWEICLOUD_OIDC_TOKEN_FILE", &token)
        .env("HUAWEICLOUD_SDK_STS_ENDPOINT", upstream.url());
    outlives_its_credentials(&start(command).await, "oidc").await;
    assert!(upstream.handle.count("/v5/agencies/assume-with-oidc") >= 3);
}

#[tokio::test]
async fn the_profile_gives_a_key_or_an_identity_provider() {
    let upstream = short_lived().await;
    let (ak, sk) = (swr_simulator::DEMO_ACCESS_KEY, swr_simulator::DEMO_SECRET_KEY);
    let (folder, profile) = file_with(&format!("[basic]\nak = {ak}\nsk = {sk}\nproject_id = {DEMO_PROJECT_ID}"));
    let mut command = without_credential(&upstream);
    command.env("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &profile);
    let exporter = start(command).await;
    scrapes_well(&exporter, Duration::from_millis(500)).await;
    assert_eq!(upstream.handle.requests()[0].header("x-project-id"), Some(DEMO_PROJECT_ID));
    let token = folder.path().join("id");
    std::fs::write(&token, DEMO_ID_TOKEN).unwrap();
    let token = token.display();
    let federated = format!("[basic]\nidp_id={DEMO_IDP_ID}\nid_token_file={token}\niam_endpoint={}\n", upstream.url());
    std::fs::create_dir(folder.path().join(".huaweicloud")).unwrap();
    std::fs::write(folder.path().join(".huaweicloud/credentials"), federated).unwrap();
    let mut command = without_credential(&upstream);
    command.env("HOME", folder.path());
    outlives_its_credentials(&start(command).await, "oidc").await;
}

#[tokio::test]
async fn a_machine_that_gives_nothing_is_told_from_one_that_refuses() {
    let upstream = short_lived().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = without_credential(&upstream);
    command.args(["--credentials.metadata-endpoint", &format!("http://{nobody}")]);
    let exporter = start(command).await;
    let failed = |scrape: &Scrape| scrape.sum("swr_refresh_failures_total") >= 1.0;
    exporter.scrape_until("a failure", failed).await;
    let nothing = "no credential is configured and this machine's metadata service gives none";
    eventually("the log says that there is nothing", || exporter.log().contains(nothing)).await;

    // Something on the way, or the metadata service of another cloud.
    for status in [403, 404] {
        let refusal = Action::error(status, Shape::Html, "", "");
        upstream.handle.fault(Rule::always(refusal).path("/openstack"));
        let mut command = without_credential(&upstream);
        command.args(["--credentials.metadata-endpoint", &upstream.url()]);
        let exporter = start(command).await;
        exporter.scrape_until("a failure", failed).await;
        eventually("the log says that there is nothing", || exporter.log().contains(nothing)).await;
        upstream.handle.clear_faults();
    }

    upstream.handle.configure(|options| options.metadata.agency = swr_simulator::Agency::Missing);
    let mut command = without_credential(&upstream);
    command.args(["--credentials.metadata-endpoint", &upstream.url()]);
    let exporter = start(command).await;
    exporter.scrape_until("a failure", failed).await;
    eventually("the log says what to do", || exporter.log().contains("bind an agency to this instance")).await;
    let log = exporter.log();
    assert!(log.contains("the metadata service answered 40") && !log.contains("the API answered"), "{log}");
}
