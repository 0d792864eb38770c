//! Security settings are replaced while the server runs.

use super::*;
use crate::web::security::{Header, Options, RateLimit, Security};
use std::collections::HashMap;

/// `prometheus:right`.
const LOGIN: &str = "Authorization: Basic cHJvbWV0aGV1czpyaWdodA==\r\n";

fn guarded() -> Options {
    let hash = bcrypt::hash("right", 4).unwrap().parse().unwrap();
    Options {
        users: HashMap::from([("prometheus".to_owned(), hash)]),
        headers: vec![Header::new("X-Frame-Options", "deny").unwrap()],
        open_paths: vec!["/-/healthy".to_owned()],
        ..Options::default()
    }
}

#[tokio::test]
async fn new_settings_apply_to_the_next_request_of_an_open_connection() {
    let server = Server::start(Plan::default()).await;
    let mut client = server.connect().await;
    let mut get = async |path: &str, headers: &str| {
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).await;
        let answer = client.answer().await;
        (answer.status, answer.header("x-frame-options").map(str::to_owned))
    };
    let deny = Some("deny".to_owned());
    assert_eq!(get("/metrics", "").await, (200, None));
    server.security.send_replace(Arc::new(Security::new(guarded()).unwrap()));
    assert_eq!(get("/metrics", "").await, (401, deny.clone()));
    assert_eq!(get("/nowhere", "").await, (401, deny.clone()), "existing paths are not revealed");
    assert_eq!(get("/-/healthy", "").await, (200, deny.clone()));
    assert_eq!(get("/metrics", LOGIN).await, (200, deny));
    assert_eq!(server.scrapes(), 2, "a refused request costs no scrape");
    server.security.send_replace(Arc::default());
    assert_eq!(get("/metrics", "").await, (200, None));
    assert_eq!(server.metrics.logins_refused.get(), 2);
}

#[tokio::test]
async fn a_rate_limit_survives_other_changes_and_restarts_when_it_changes() {
    let limit = |burst| Some(RateLimit { interval: Duration::from_secs(3600), burst });
    let plan = Plan { security: Options { rate_limit: limit(2), ..Options::default() }, ..Plan::default() };
    let server = Server::start(plan).await;
    assert_eq!(server.get("/").await.status, 200);
    let other = Options { rate_limit: limit(2), ..guarded() };
    server.security.send_replace(Arc::new(Security::new(other).unwrap()));
    assert_eq!(server.get("/").await.status, 401);
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (429, true));
    assert_eq!(server.metrics.rate_limited.get(), 1);
    let higher = Options { rate_limit: limit(3), ..Options::default() };
    server.security.send_replace(Arc::new(Security::new(higher).unwrap()));
    assert_eq!(server.get("/").await.status, 200);
}

#[tokio::test]
async fn probes_are_exempt_from_the_rate_limit_where_they_need_no_login() {
    let limit = Some(RateLimit { interval: Duration::from_secs(3600), burst: 1 });
    let plan = Plan { security: Options { rate_limit: limit, ..guarded() }, ..Plan::default() };
    let server = Server::start(plan).await;
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.get("/-/ready").await.status, 401, "a login is asked for, so it counts");
    assert_eq!(server.get("/-/ready").await.status, 429);
    assert_eq!(server.get("/-/healthy").await.status, 200);
    server.security.send_replace(Arc::new(Security::new(Options { rate_limit: limit, ..Options::default() }).unwrap()));
    assert_eq!(server.get("/metrics").await.status, 429);
    assert_eq!((server.get("/-/healthy").await.status, server.get("/-/ready").await.status), (200, 200));
}

#[tokio::test]
async fn a_reload_by_request_needs_the_flag_or_a_login_and_no_other_site() {
    let mut plan = Plan::default();
    plan.options.enable_lifecycle = true;
    let (closed, enabled) = (Server::start(Plan::default()).await, Server::start(plan).await);
    let guarded_server = Server::start(Plan { security: guarded(), ..Plan::default() }).await;
    let mut open = guarded();
    open.open_paths.push("/-/reload".to_owned());
    let excluded = Server::start(Plan { security: open, ..Plan::default() }).await;
    // The settings of these servers cannot be read again, so 500 says that it was tried.
    for (server, headers, status) in [
        (&closed, "", 403),
        (&enabled, "", 500),
        (&enabled, "Origin: http://evil.example\r\n", 403),
        (&enabled, "Sec-Fetch-Site: cross-site\r\nContent-Type: application/x-www-form-urlencoded\r\n", 403),
        (&enabled, "Origin: http://a\r\nSec-Fetch-Site: same-origin\r\n", 500),
        (&guarded_server, "", 401),
        (&guarded_server, LOGIN, 500),
        (&guarded_server, &format!("{LOGIN}Origin: http://evil.example\r\n"), 403),
        (&excluded, "", 403),
    ] {
        let mut client = server.connect().await;
        client.send(format!("POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{headers}\r\n")).await;
        assert_eq!(client.answer().await.status, status, "{headers}");
    }
}
