//! Basic authentication, headers and the rate limit, for every client and every path.

use crate::browser;
use crate::peers;
use crate::prometheus::Prometheus;
use crate::support::{Exporter, PATIENCE, Scrape, done, simulator, text, until};
use crate::web_support::{Folder, PASSWORD, USER, fixtures, hash, https};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::PublicKeyData;
use reqwest::StatusCode;
use sha2::Digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A request for the metrics with a login.
fn request(user: &str, password: &str) -> String {
    let login = STANDARD.encode(format!("{user}:{password}"));
    format!("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Basic {login}\r\n\r\n")
}

/// The status of a login over plain HTTP from one of many addresses.
async fn login(exporter: &Exporter, number: usize, user: &str, password: &str) -> u16 {
    let stream = peers::connect(exporter.address(), number).await;
    peers::exchange(stream, &request(user, password)).await.unwrap().status()
}

/// The exporter with these users, over plain HTTP.
async fn with_users(folder: &Folder, upstream: &str, users: &[(&str, String)], more: &str) -> Exporter {
    let users: String = users.iter().map(|(name, hash)| format!("  {name}: {hash}\n")).collect();
    folder.write("web.yml", &format!("basic_auth_users:\n{users}{more}"));
    folder.exporter(upstream, &["--web.max-requests", "400"]).await
}

/// curl's exit code, and the HTTP version and status.
async fn curl(folder: &Folder, arguments: &[&str]) -> (i32, String) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", "--noproxy", "*"]);
    curl.args(arguments).current_dir(folder.path("."));
    let ended = done(curl).await;
    (ended.code.unwrap(), ended.out)
}

#[tokio::test]
async fn curl_needs_tls_and_a_password() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    folder.fill_in(&fixtures().join("users.good.yml"));
    let mut exporter = folder.exporter(&upstream.url(), &["--log.level", "trace"]).await;
    let (url, login) = (https(&exporter, "/metrics"), format!("{USER}:{PASSWORD}"));
    let got = |code: i32, said: &str| (code, said.to_owned());
    let trusting = ["--cacert", "ca.crt", "--user", &login, &url];
    assert_eq!(curl(&folder, &trusting).await, got(0, "2 200"));
    assert_eq!(curl(&folder, &[&["--http1.1"], &trusting[..]].concat()).await, got(0, "1.1 200"));
    assert_eq!(curl(&folder, &[&["--head"], &trusting[..]].concat()).await, got(0, "2 200"));
    assert_eq!(curl(&folder, &[&["--tls-max", "1.2"], &trusting[..]].concat()).await, got(0, "2 200"));
    assert_eq!(curl(&folder, &["--cacert", "ca.crt", &url]).await, got(0, "2 401"));
    assert_eq!(curl(&folder, &["--cacert", "ca.crt", "--user", "prometheus:wrong", &url]).await, got(0, "2 401"));
    assert_eq!(curl(&folder, &["--user", &login, &url]).await, got(60, "0 000"), "its authority is not trusted");
    let plain = format!("http://{}/metrics", exporter.address());
    assert_eq!(curl(&folder, &["--user", &login, &plain]).await, got(0, "1 400"));
    assert_eq!(curl(&folder, &[&["--tls-max", "1.1"], &trusting[..]].concat()).await, got(35, "0 000"));
    // The log, also of libraries, has neither the password nor the key.
    let shown = text(
        folder.client(None).get(https(&exporter, "/config")).basic_auth(USER, Some(PASSWORD)).send().await.unwrap(),
    )
    .await;
    exporter.stop().await;
    let said = exporter.log() + &shown;
    assert!(said.len() > 10_000);
    let key = folder.read("server.key").lines().nth(1).unwrap().to_owned();
    let hashed = folder.read("web.yml").lines().find_map(|line| line.split_once("$2b$")).unwrap().1.to_owned();
    for secret in [PASSWORD.to_owned(), STANDARD.encode(&login), STANDARD.encode(PASSWORD), key, hashed] {
        assert!(!said.contains(&secret), "{secret}");
    }
}

#[tokio::test]
async fn prometheus_scrapes_with_the_documented_configuration_and_not_without() {
    let (folder, upstream) = (Folder::new(), simulator(20, 2).await);
    let document = include_str!("../../docs/tls.md");
    let block = |mark: &str| {
        let mut blocks = document.split("\n```yaml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
        blocks.find(|block| block.contains(mark)).unwrap_or_else(|| panic!("no example with {mark}")).to_owned()
    };
    // The documented examples with the files of this test.
    let here = |name: &str| folder.path(name).display().to_string();
    let example_hash =
        block("basic_auth_users:").lines().find_map(|line| line.split_once("prometheus: ")).unwrap().1.to_owned();
    let web = block("basic_auth_users:")
        .replace("/etc/swr-exporter/tls.crt", &here("server.crt"))
        .replace("/etc/swr-exporter/tls.key", &here("server.key"))
        .replace(&example_hash, &hash(PASSWORD, 10));
    folder.write("web.yml", &web);
    folder.write("password", PASSWORD);
    let exporter = folder.exporter(&upstream.url(), &[]).await;
    let client = folder.client(None);
    assert_eq!(client.get(https(&exporter, "/-/healthy")).send().await.unwrap().status(), 200, "as the example says");
    let scraping = block("basic_auth:")
        .replace("swr-exporter.example:10179", exporter.address())
        .replace("/etc/prometheus/swr-exporter-ca.crt", &here("ca.crt"))
        .replace("/etc/prometheus/swr-exporter-password", &here("password"))
        .replace("scrape_configs:\n", "global: { scrape_interval: 1s, scrape_timeout: 1s }\nscrape_configs:\n")
        // Prometheus spreads first scrapes over the interval, and a test is not to wait for a minute.
        .replace("scrape_interval: 1m", "scrape_interval: 1s")
        .replace("scrape_timeout: 30s", "scrape_timeout: 1s");
    let without = format!(
        "  - job_name: without\n    scheme: https\n    tls_config: {{ ca_file: {0} }}\n    static_configs: [{{ targets: ['{1}'] }}]\n\
         \x20 - job_name: untrusting\n    scheme: https\n    basic_auth: {{ username: {USER}, password_file: {2} }}\n    static_configs: [{{ targets: ['{1}'] }}]\n",
        here("ca.crt"),
        exporter.address(),
        here("password"),
    );
    let prometheus = Prometheus::with(&format!("{}\n{without}", scraping.trim_end())).await;
    prometheus.until("swr_up", 1, 1.0).await;
    prometheus.until("up{job=\"swr\"}", 1, 1.0).await;
    prometheus.until("up{job=~\"without|untrusting\"}", 2, 0.0).await;
}

#[tokio::test]
async fn a_browser_gets_in_with_tls_and_a_password_and_not_without() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let exporter = folder.exporter_with("users.good", &upstream.url()).await;
    let key = rcgen::KeyPair::from_pem(&folder.read("server.key")).unwrap();
    let pin = STANDARD.encode(sha2::Sha256::digest(key.subject_public_key_info()));
    let trust = format!("--ignore-certificate-errors-spki-list={pin}");
    let with_login = |password: &str| https(&exporter, "/").replace("://", &format!("://{USER}:{password}@"));
    let shows = async |url: &str, flags: &[&str]| {
        let visit = browser::visit(url, flags).await;
        assert_eq!(visit.console, [""; 0], "the headers let the page be as it is");
        visit.document.all(&["a"]).iter().any(|link| link.get("href") == Some("./metrics"))
    };
    let encoded = "correct%20horse%3A%20battery%3F";
    assert!(shows(&with_login(encoded), &[&trust]).await);
    assert!(!shows(&with_login("wrong"), &[&trust]).await);
    assert!(!shows(&https(&exporter, "/"), &[&trust]).await);
    assert!(!shows(&with_login(encoded), &[]).await, "its authority is not trusted");
}

#[tokio::test]
async fn only_excluded_paths_are_served_without_a_login() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let exporter = folder.exporter_with("users-excluded-paths.good", &upstream.url()).await;
    let client = folder.client(None);
    let get = async |path: &str| client.get(format!("http://{}{path}", exporter.address())).send().await.unwrap();
    for path in ["/", "/metrics", "/probe?account=default", "/sd", "/config", "/nowhere", "/-/healthy/", "/-/Ready"] {
        let answer = get(path).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.headers()["www-authenticate"], "Basic realm=\"swr-exporter\", charset=\"UTF-8\"");
        assert!(text(answer).await.len() < 100, "nothing is told");
    }
    for path in ["/-/healthy", "/-/ready", "/-/healthy?x"] {
        assert_eq!(get(path).await.status(), 200, "{path}");
    }
    let reload = client.post(format!("http://{}/-/reload", exporter.address())).send().await.unwrap();
    assert_eq!(reload.status(), StatusCode::UNAUTHORIZED);
    let answer = client.get(format!("http://{}/metrics", exporter.address())).basic_auth(USER, Some(PASSWORD));
    let scrape = Scrape::parse(text(answer.send().await.unwrap()).await);
    assert_eq!(scrape.value("swr_exporter_requests_refused_total", &[("reason", "login")]), Some(9.0));

    // A user who is removed is refused at once, on open connections too.
    let users = folder.read("web.yml").replace("  prometheus:", "  somebody:");
    folder.write("web.yml", &users);
    let login = || client.get(format!("http://{}/metrics", exporter.address())).basic_auth(USER, Some(PASSWORD)).send();
    until(PATIENCE, async || match login().await.unwrap().status() {
        StatusCode::UNAUTHORIZED => Ok(()),
        _ => Err(exporter.log()),
    })
    .await;
}

#[tokio::test]
async fn no_separator_in_name_or_password_makes_one_login_of_another() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let alice = hash("right", 4);
    let exporter =
        with_users(&folder, &upstream.url(), &[("alice", alice.clone()), ("bob", hash("other", 4))], "").await;
    assert_eq!(login(&exporter, 0, "alice", "right").await, 200);
    assert_eq!(login(&exporter, 0, "bob", "other").await, 200);
    let vectors = [
        (String::new(), String::new()),
        ("alice".into(), String::new()),
        (String::new(), "right".into()),
        ("alice".into(), alice.clone()),
        ("alice".into(), format!(":{alice}:right")),
        (format!("alice:{alice}"), "right".into()),
        (format!("alice{alice}"), "right".into()),
        ("ali".into(), format!("ce{alice}right")),
        ("alice\0".into(), "right".into()),
        ("alice".into(), "right\0".into()),
        ("alice".into(), "\0right".into()),
        ("alice".into(), "right ".into()),
        ("ALICE".into(), "right".into()),
        ("616c696365".into(), "7269676874".into()),
        ("bob".into(), "right".into()),
        ("alice".into(), "other".into()),
    ];
    for (number, (user, password)) in vectors.iter().enumerate() {
        assert_eq!(login(&exporter, 50 * number, user, password).await, 401, "{user:?} {password:?}");
    }
    // More than one login, another scheme, and what is no login at all.
    let right = STANDARD.encode("alice:right");
    for header in [
        format!("Authorization: Basic {right}\r\nAuthorization: Basic {right}"),
        format!("Authorization: Bearer {right}"),
        format!("Authorization: Digest {right}"),
        format!("Authorization: Basic {right}="),
        format!("Authorization: Basic{right}"),
        "Authorization: Basic".to_owned(),
        format!("Proxy-Authorization: Basic {right}"),
    ] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\r\n\r\n");
        let answer = peers::exchange(peers::connect(exporter.address(), 1).await, &request).await.unwrap();
        assert_eq!(answer.status(), 401, "{header}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_guesses_a_second_do_not_delay_a_scraper_with_the_right_password() {
    peers::allow_many_files();
    let (folder, upstream) = (Folder::new(), simulator(100, 2).await);
    let users = [(USER, hash(PASSWORD, 10)), ("twelve", hash("right", 12))];
    let exporter = Arc::new(with_users(&folder, &upstream.url(), &users, "").await);
    assert_eq!(login(&exporter, 0, USER, PASSWORD).await, 200);
    let (stop, guesses) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut guessing = JoinSet::new();
    // From three addresses, forty connections each, a guess every tenth of a second on each: more than a thousand a
    // second, as long as they are not made to wait.
    let began = Instant::now();
    for attacker in 0..120 {
        let (exporter, stop, guesses, tls) = (exporter.clone(), stop.clone(), guesses.clone(), folder.tls(None));
        guessing.spawn(async move {
            let local = std::net::Ipv4Addr::new(127, 0, 1, 1 + attacker % 3);
            let client = reqwest::Client::builder().local_address(Some(local.into())).no_proxy();
            let client = client.tls_backend_preconfigured(tls).build().unwrap();
            let (mut pace, mut statuses) = (tokio::time::interval(Duration::from_millis(100)), [0usize; 3]);
            while !stop.load(Ordering::Relaxed) {
                pace.tick().await;
                let number = guesses.fetch_add(1, Ordering::Relaxed);
                let user = [USER, "twelve", "nobody"][number % 3];
                let guess = client.get(format!("http://{}/metrics", exporter.address()));
                let answer = guess.basic_auth(user, Some(format!("guess {number}"))).send().await.unwrap();
                let waits = answer.headers().contains_key("retry-after");
                match (answer.status().as_u16(), waits) {
                    (401, false) => statuses[0] += 1,
                    (429, true) => statuses[1] += 1,
                    (503, true) => statuses[2] += 1,
                    other => panic!("{other:?}"),
                }
            }
            statuses
        });
    }
    let logins = peers::measured(
        |count| guesses.load(Ordering::Relaxed) >= 10_000 && count >= 200,
        async |_| {
            assert!(began.elapsed() < 4 * PATIENCE, "{} guesses", guesses.load(Ordering::Relaxed));
            assert_eq!(login(&exporter, 0, USER, PASSWORD).await, 200);
        },
    );
    let logins = logins.await;
    stop.store(true, Ordering::Relaxed);
    let statuses = guessing.join_all().await;
    let sum = |index: usize| statuses.iter().map(|statuses| statuses[index]).sum::<usize>();
    println!(
        "{} guesses in {:?}: {} judged, {} throttled, {} sent away",
        guesses.load(Ordering::Relaxed),
        began.elapsed(),
        sum(0),
        sum(1),
        sum(2)
    );
    logins.are_within(Duration::from_millis(50), 99);
    // Twenty at once for each address and one every three seconds.
    let most = 3 * (21 + usize::try_from(began.elapsed().as_secs()).unwrap() / 3);
    assert!(sum(0) <= most, "{} of at most {most}", sum(0));
}

#[tokio::test]
async fn headers_are_on_every_response_and_the_rate_limit_holds() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let exporter = folder.exporter_with("headers.good", &upstream.url()).await;
    for (path, status) in [("/", 200), ("/metrics", 200), ("/nowhere", 404), ("/-/healthy", 200)] {
        let answer = exporter.get(path).await;
        assert_eq!(answer.status(), status);
        for (name, value) in [
            ("content-security-policy", "default-src 'none'"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("x-xss-protection", "1"),
        ] {
            let found: Vec<_> = answer.headers().get_all(name).iter().collect();
            assert_eq!(found, [value], "{path}: {name}");
        }
    }
    let exporter = folder.exporter_with("headers-blank.good", &upstream.url()).await;
    let page = exporter.get("/").await;
    assert!(
        page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"),
        "its own stays"
    );
    assert!(!page.headers().contains_key("x-xss-protection"));

    let exporter = folder.exporter_with("rate-limit.good", &upstream.url()).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(exporter.get("/sd").await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(exporter.get("/-/healthy").await.status(), 200, "probes are not to end a process that is busy");
    let refused = exporter.get("/metrics").await;
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    let exporter = folder.exporter_with("rate-limit-off.good", &upstream.url()).await;
    for _ in 0..20 {
        assert_eq!(exporter.get("/sd").await.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_from_sixty_addresses_do_not_keep_out_a_scraper_with_the_right_password() {
    peers::allow_many_files();
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let exporter = Arc::new(with_users(&folder, &upstream.url(), &[(USER, hash(PASSWORD, 8))], "").await);
    let (refused, mut crowded) = tokio::sync::watch::channel(0);
    let mut guessing = JoinSet::new();
    for attacker in 0..120 {
        let (exporter, refused) = (exporter.clone(), refused.clone());
        guessing.spawn(async move {
            for number in 0.. {
                // Not from the first address, which is the scraper's.
                let guess = format!("guess {attacker} {number}");
                if login(&exporter, 50 * (1 + attacker % 60), USER, &guess).await == 503 {
                    refused.send_modify(|count| *count += 1);
                }
            }
        });
    }
    tokio::time::timeout(PATIENCE, crowded.wait_for(|count| *count > 100)).await.expect("the queue is full").unwrap();
    let began = Instant::now();
    loop {
        // As a scraper that comes again after `Retry-After`.
        match login(&exporter, 0, USER, PASSWORD).await {
            200 => break,
            status => assert_eq!(status, 503),
        }
        assert!(began.elapsed() < PATIENCE, "the scraper is kept out");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("in after {:?}, {} guesses were sent away", began.elapsed(), *crowded.borrow());
    guessing.shutdown().await;
}
