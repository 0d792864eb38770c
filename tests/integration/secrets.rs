//! Secrets go to the upstream alone: canaries in every place where a secret may be given, and a search for them, in every
//! spelling, in everything that the program writes.

use crate::support::{Ended, Exporter, Scrape, bare, command, done, simulator, start, text};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use swr_simulator::{AccessKey, Action, Delivery, RetryAfter, Rule, Running, Shape};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

const ACCESS_KEY: &str = "CANARYACCESSKEY00001";
const SECRET_KEY: &str = "cAnArY/secret+key==0123456789abcdefghijk";
const SECURITY_TOKEN: &str = "canary.security/token+with/odd=chars&more";
const TOKEN: &str = "canary-iam-token/MIIEPQYJ+KoZIhvcNAQcCoIIE==";

const PASSWORD: &str = "Canary pass\"word/with \\odd+chars";
const ID_TOKEN: &str = "canaryHeader.canaryClaims.canarySignature-_0123";
const POD_TOKEN: &str = "canary-pod-token/0123456789+abcdef==";

/// Every marked secret.
pub const CANARIES: [&str; 7] = [ACCESS_KEY, SECRET_KEY, SECURITY_TOKEN, TOKEN, PASSWORD, ID_TOKEN, POD_TOKEN];

/// The spellings of a secret: as it is, percent-encoded, in hex, reversed, and in base64 at any of the three alignments.
fn spellings(secret: &str) -> Vec<String> {
    let percent = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
    let unreserved = percent.replace("%2D", "-").replace("%2E", ".").replace("%5F", "_").replace("%7E", "~");
    let mut spellings = vec![secret.to_owned(), percent, unreserved];
    spellings.extend([hex::encode(secret), secret.chars().rev().collect()]);
    for skipped in 0..3 {
        let encoded = BASE64_STANDARD_NO_PAD.encode(&secret.as_bytes()[skipped..]);
        // The last digits depend on what follows.
        spellings.push(encoded[..encoded.len() - 4].to_owned());
    }
    spellings.iter().map(|text| text.to_lowercase()).collect()
}

/// Fails if a canary is in a text, whatever the case of its letters.
pub fn assert_clean(what: &str, text: &str) {
    let text = text.to_lowercase();
    for canary in CANARIES {
        for spelling in spellings(canary) {
            assert!(!text.contains(&spelling), "{what} shows {canary} as {spelling}:\n{text}");
        }
    }
}

/// The exporter at its most talkative, with canaries in the environment.
fn talkative(upstream: &Running) -> Command {
    let mut command = command();
    command
        .env("SWR_EXPORTER_ACCESS_KEY", ACCESS_KEY)
        .env("SWR_EXPORTER_SECRET_KEY", SECRET_KEY)
        .env("SWR_EXPORTER_SECURITY_TOKEN", SECURITY_TOKEN)
        .args(["--swr.endpoint", &upstream.url(), "--log.level", "trace", "--cache.window", "100ms"]);
    command
}

/// Lets the upstream know the token and the access key.
fn knows_canaries(upstream: &Running) {
    upstream.handle.configure(|options| {
        options.access_keys.push(AccessKey {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            security_token: Some(SECURITY_TOKEN.to_owned()),
        });
        options.tokens.push(TOKEN.to_owned());
    });
}

/// Reads every page there is, and some there are not.
async fn assert_pages_clean(exporter: &Exporter) {
    for path in ["/", "/metrics", "/-/healthy", "/-/ready", "/config", "/probe", "/sd", "/debug/pprof/", "/env", "/%00"]
    {
        let answer = exporter.get(path).await;
        assert_clean(path, &format!("{:?}", answer.headers()));
        assert_clean(path, &text(answer).await);
    }
}

/// Lets the upstream fail in many ways, one refresh after another, and looks at the pages after each.
async fn fail_in_many_ways(upstream: &Running, exporter: &Exporter) {
    for action in [
        Action::error(
            401,
            Shape::Gateway,
            "APIGW.0301",
            "Incorrect IAM authentication information: verify aksk signature fail",
        ),
        Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no permission"),
        Action::error(500, Shape::Html, "", ""),
        Action::throttled(&RetryAfter::Seconds(1)),
        Action::Deliver(Delivery::Reset),
        Action::Deliver(Delivery::Truncated(10)),
        Action::redirect(302, "http://127.0.0.1:9/elsewhere"),
    ] {
        let id = upstream.handle.fault(Rule::always(action));
        let before = upstream.handle.fault_hits(id);
        exporter.scrape_until("a failure", |_| upstream.handle.fault_hits(id) > before).await;
        assert_pages_clean(exporter).await;
        upstream.handle.clear_faults();
        // A success between failures keeps the circuit closed, and the test short.
        exporter.scrape_until("recovery", Scrape::is_up).await;
    }
}

#[tokio::test]
async fn no_log_line_and_no_page_shows_a_secret() {
    let upstream = simulator(20, 2).await;
    knows_canaries(&upstream);
    let folder = tempfile::tempdir().unwrap();
    let mut command = talkative(&upstream);
    command.args(["--cache.directory", folder.path().to_str().unwrap()]);
    let mut exporter = start(command).await;
    exporter.scrape_until("a good refresh", Scrape::is_up).await;
    fail_in_many_ways(&upstream, &exporter).await;
    let arguments = std::fs::read(format!("/proc/{}/cmdline", exporter.pid())).unwrap();
    assert_clean("its command line", &String::from_utf8_lossy(&arguments));
    exporter.stop().await;
    assert_clean("the log", &exporter.log());
    assert!(exporter.log().contains("level=debug") && exporter.log().contains("refresh failed"));
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert_clean("the state file", &String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn a_secret_that_is_refused_or_unusable_is_not_shown() {
    // The upstream knows none of these; a token and files this time.
    let upstream = simulator(20, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("odd");
    std::fs::write(&odd, format!("{TOKEN}\n{SECRET_KEY}\u{1}\n")).unwrap();
    let whole = folder.path().join("whole");
    std::fs::write(&whole, TOKEN).unwrap();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    for flags in [
        vec![],
        vec!["--credentials.token-file".to_owned(), path(&whole)],
        vec!["--credentials.token-file".to_owned(), path(&odd)],
        vec!["--credentials.secret-key-file".to_owned(), path(&odd)],
        vec!["--credentials.token-file".to_owned(), path(folder.path())],
    ] {
        let mut command = talkative(&upstream);
        command.args(&flags);
        let mut exporter = start(command).await;
        exporter.scrape_until("a failure", |scrape| scrape.series("swr_refresh_timestamp_seconds").len() == 1).await;
        assert_pages_clean(&exporter).await;
        exporter.stop().await;
        assert!(exporter.log().contains("refresh failed"), "{flags:?}");
        assert_clean(&format!("the log with {flags:?}"), &exporter.log());
    }
}

/// The environment of each source of credentials, with canaries for secrets; `url` is that of every service, and files are
/// written to a folder.
pub fn sources(url: &str, folder: &std::path::Path) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    use swr_simulator::{DEMO_AGENCY_URN, DEMO_DOMAIN, DEMO_IDP_ID, DEMO_PROJECT, DEMO_PROVIDER_URN, DEMO_USER};
    let text = str::to_owned;
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let profile = format!("[basic]\nak={ACCESS_KEY}\nsk={SECRET_KEY}\nsecurity_token={SECURITY_TOKEN}\n");
    vec![
        ("token", vec![("SWR_EXPORTER_TOKEN", text(TOKEN))]),
        (
            "access-key",
            vec![
                ("SWR_EXPORTER_ACCESS_KEY", text(ACCESS_KEY)),
                ("SWR_EXPORTER_SECRET_KEY", text(SECRET_KEY)),
                ("SWR_EXPORTER_SECURITY_TOKEN", text(SECURITY_TOKEN)),
            ],
        ),
        (
            "password",
            vec![
                ("SWR_EXPORTER_SWR_IAM_ENDPOINT", text(url)),
                ("SWR_EXPORTER_SWR_REGION", text(DEMO_PROJECT)),
                ("SWR_EXPORTER_CREDENTIALS_DOMAIN_NAME", text(DEMO_DOMAIN)),
                ("SWR_EXPORTER_CREDENTIALS_USERNAME", text(DEMO_USER)),
                ("SWR_EXPORTER_PASSWORD", text(PASSWORD)),
            ],
        ),
        (
            "oidc",
            vec![
                ("HUAWEICLOUD_OIDC_PROVIDER_URN", text(DEMO_PROVIDER_URN)),
                ("HUAWEICLOUD_OIDC_AGENCY_URN", text(DEMO_AGENCY_URN)),
                ("HUAWEICLOUD_OIDC_ID_TOKEN", text(ID_TOKEN)),
                ("HUAWEICLOUD_SDK_STS_ENDPOINT", text(url)),
            ],
        ),
        (
            "oidc",
            vec![
                ("HUAWEICLOUD_SDK_IDP_ID", text(DEMO_IDP_ID)),
                ("HUAWEICLOUD_SDK_ID_TOKEN_FILE", file("id", ID_TOKEN)),
                ("HUAWEICLOUD_SDK_IAM_ENDPOINT", text(url)),
            ],
        ),
        ("profile", vec![("HUAWEICLOUD_SDK_CREDENTIALS_FILE", file("profile", &profile))]),
        (
            "pod-identity",
            vec![
                ("HC_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/pod-identity/credentials")),
                ("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", file("pod", POD_TOKEN)),
            ],
        ),
        ("metadata", vec![("SWR_EXPORTER_CREDENTIALS_METADATA_ENDPOINT", text(url))]),
    ]
}

#[tokio::test]
async fn no_source_of_credentials_shows_what_it_has_or_gets() {
    let upstream = simulator(20, 2).await;
    upstream.handle.configure(|options| {
        PASSWORD.clone_into(&mut options.users[0].password);
        options.id_tokens = vec![ID_TOKEN.to_owned()];
        options.pod_identity.tokens = vec![POD_TOKEN.to_owned()];
        options.token_life = std::time::Duration::from_secs(3);
    });
    knows_canaries(&upstream);
    let folder = tempfile::tempdir().unwrap();
    for (source, environment) in sources(&upstream.url(), folder.path()) {
        let mut command = bare();
        command.args(["--swr.endpoint", &upstream.url(), "--log.level", "trace", "--cache.window", "100ms"]);
        command.args(["--credentials.source", source]);
        command.envs(environment);
        let mut exporter = start(command).await;
        exporter.scrape_until("a good refresh", Scrape::is_up).await;
        let got = upstream.handle.temporary_keys();
        // Everything that can refuse or break does.
        for path in ["/v3", "/v5", "/pod-identity", "/openstack", "/meta-data", "/v2"] {
            let refusal = Action::error(401, Shape::Iam, "401", "refused");
            upstream.handle.fault(Rule::always(refusal).path(path));
        }
        upstream.handle.revoke_issued_tokens();
        upstream.handle.revoke_temporary_keys();
        exporter.scrape_until("a failure", |scrape| !scrape.is_up()).await;
        assert_pages_clean(&exporter).await;
        upstream.handle.clear_faults();
        upstream.handle.fault(Rule::always(Action::Deliver(Delivery::Reset)));
        exporter.scrape_until("another failure", |scrape| !scrape.is_up()).await;
        upstream.handle.clear_faults();
        exporter.stop().await;
        let log = exporter.log();
        assert!(log.contains("refresh failed"), "{source}");
        assert_clean(&format!("the log with {source}"), &log);
        for key in got {
            for secret in [&key.secret_key, &key.security_token] {
                assert!(!log.contains(secret.as_str()), "{source} shows what it got");
            }
        }
    }
}

#[tokio::test]
async fn neither_help_nor_a_problem_shows_a_secret() {
    let in_the_address = format!("https://user:{SECRET_KEY}@example.com");
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["--version"],
        &["--cache.window", "never"],
        &["--credentials.source", "wrong"],
        &["--credentials.secret-key", "where-no-flag-is"],
        &["--swr.region", "mars-1"],
        &["--swr.endpoint", in_the_address.as_str()],
        &["--swr.ca-file", "/nowhere"],
    ] {
        let mut command = command();
        command.env("SWR_EXPORTER_ACCESS_KEY", ACCESS_KEY).env("SWR_EXPORTER_SECRET_KEY", SECRET_KEY);
        command.env("SWR_EXPORTER_SECURITY_TOKEN", SECURITY_TOKEN).env("SWR_EXPORTER_TOKEN", TOKEN);
        command.env("SWR_EXPORTER_SWR_REGION", "cn-north-4").args(arguments);
        let Ended { out, said, .. } = done(command).await;
        assert_clean(&format!("{arguments:?} on standard output"), &out);
        assert_clean(&format!("{arguments:?} on standard error"), &said);
        assert!(out.len() + said.len() > 0);
    }
}

#[test]
fn the_search_finds_what_is_there() {
    for text in [
        "x=cAnArY/secret+key==0123456789abcdefghijk;",
        "CANARYACCESSKEY00001",
        "canary%2Diam%2dtoken or canary-iam-token%2FMIIEPQYJ%2BKoZIhvcNAQcCoIIE%3D%3D",
        &hex::encode(TOKEN),
        &BASE64_STANDARD_NO_PAD.encode(format!("ab{SECRET_KEY}")),
    ] {
        assert!(std::panic::catch_unwind(|| assert_clean("a test", text)).is_err(), "{text}");
    }
    assert_clean("a test", "nothing of the kind");
}

/// A service that repeats in its errors whatever it was sent: in texts, titles and request ids, in many spellings.
async fn echo() -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0_usize.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(repeat(stream, number));
        }
    });
    url
}

async fn repeat(mut stream: tokio::net::TcpStream, number: usize) {
    let mut request = Vec::new();
    let heard = async {
        // The head and the body, which come at once or nearly so.
        while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        while stream.read_buf(&mut request).await.unwrap() > 0 {}
    };
    let _ = tokio::time::timeout(std::time::Duration::from_millis(50), heard).await;
    let text = String::from_utf8_lossy(&request).replace(['\r', '\n'], " ");
    let secrets: Vec<&str> = text
        .split(' ')
        .filter(|word| word.len() > 12 && !word.contains('/') || CANARIES.iter().any(|canary| word.contains(canary)))
        .collect();
    let id = secrets.last().copied().unwrap_or_default();
    let all = secrets.join(" ");
    let percent = percent_encoding::utf8_percent_encode(&all, percent_encoding::NON_ALPHANUMERIC).to_string();
    let message = |text: &str| serde_json::json!({"error_code": id, "error_msg": format!("wrong: {text}")}).to_string();
    let body = match number % 7 {
        0 => message(&all),
        1 => message(&percent),
        2 => message(&BASE64_STANDARD_NO_PAD.encode(&all)),
        3 => message(&serde_json::to_string(&all).unwrap()),
        4 => format!("<html><title>{}</title></html>", all.replace('"', "&quot;")),
        5 => format!("the body was {}", text.rsplit("  ").next().unwrap_or_default()),
        _ => message(&secrets.iter().map(|secret| &secret[..secret.len().min(20)]).collect::<Vec<_>>().join(" ")),
    };
    let status = [401, 403, 500, 400, 429, 404, 409, 302][number / 7 % 8];
    let head =
        format!("HTTP/1.1 {status} No\r\nX-Request-Id: {id}\r\nConnection: close\r\nContent-Length: {}", body.len());
    let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
}

#[tokio::test]
async fn what_an_upstream_repeats_of_a_request_shows_no_secret() {
    let (url, folder) = (echo().await, tempfile::tempdir().unwrap());
    let kinds = sources(&url, folder.path());
    futures_util::future::join_all(kinds.into_iter().map(|(source, environment)| {
        let url = &url;
        async move {
            let run = |arguments: &[&str]| {
                let mut command = bare();
                command.envs(environment.clone()).args(arguments);
                command.args(["--swr.endpoint", url, "--credentials.source", source, "--cache.window", "100ms"]);
                command
            };
            let mut exporter = start(run(&["--log.level", "trace"])).await;
            for _ in 0..20 {
                exporter.scrape().await;
                assert_pages_clean(&exporter).await;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            exporter.stop().await;
            assert!(exporter.log().contains("refresh failed"), "{source}: {}", exporter.log());
            assert_clean(&format!("the log with {source}"), &exporter.log());
            let ended = done(run(&["check"])).await;
            let said = ended.out + &ended.said;
            assert!(said.contains("FAIL"), "{source}: {said}");
            assert_clean(&format!("check with {source}"), &said);
        }
    }))
    .await;
}
