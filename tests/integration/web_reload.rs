//! A web configuration file that changes, is cut off or is rewritten slowly while the server runs: no protection is lost.

use crate::peers::{self, SCRAPE};
use crate::support::{Exporter, PATIENCE, Scrape, eventually, simulator, text, until};
use crate::web_support::{Folder, PASSWORD, USER, fixtures, hash, https};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// TLS, a user and an excluded path, as in the documents.
fn guarded() -> String {
    format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\nhttp_server_config:\n  headers:\n    \
         X-Frame-Options: deny\nbasic_auth_users:\n  {USER}: {}\nauth_excluded_paths:\n  - /-/healthy\n",
        hash(PASSWORD, 4)
    )
}

/// The status of a path without a password; `None` if there is no response.
async fn without_password(client: &reqwest::Client, exporter: &Exporter, path: &str) -> Option<u16> {
    Some(client.get(https(exporter, path)).send().await.ok()?.status().as_u16())
}

/// Waits for a result of the latest reload. Where no password is needed, it does no harm.
pub async fn reload_succeeded(exporter: &Exporter, client: &reqwest::Client, expected: bool) {
    until(PATIENCE, async || {
        let answer = client.get(https(exporter, "/metrics")).basic_auth(USER, Some(PASSWORD)).send().await.unwrap();
        let scrape = Scrape::parse(text(answer).await);
        let found = scrape.get("swr_exporter_web_config_last_reload_successful");
        if found == Some(f64::from(u8::from(expected))) { Ok(()) } else { Err(exporter.log()) }
    })
    .await;
}

#[tokio::test]
async fn a_change_of_the_file_never_takes_a_protection_away() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let good = guarded().replace("tls_server_config:\n", "tls_server_config:\n  min_version: TLS13\n");
    let good = format!("{good}rate_limit: {{ interval: 1ms, burst: 1000 }}\n");
    folder.write("web.yml", &good);
    let exporter = folder.exporter(&upstream.url(), &[]).await;
    let client = folder.client(None);
    let up_to = |key: &str| good.split_once(key).unwrap().0.to_owned();
    let (tls, users) = (up_to("http_server_config"), good.split_once("basic_auth_users").unwrap().1);
    for (weakened, said) in [
        (String::new(), "it is empty"),
        ("# nothing\n".to_owned(), "it is empty"),
        ("{}\n".to_owned(), "no password would be needed, requests would not be limited; a running exporter"),
        (tls.clone(), "web.yml: no password would be needed"),
        (format!("basic_auth_users{users}"), "web.yml: TLS would be off;"),
        (format!("{tls}basic_auth_users: {{}}\n"), "basic_auth_users: it names nobody"),
        (good.replace("  min_version: TLS13\n", ""), "web.yml: an older TLS version would be enough"),
        (up_to("rate_limit"), "web.yml: requests would not be limited"),
        (good.replace("- /-/healthy\n", "- /\n"), "`/` would be open to everybody"),
    ] {
        folder.write("web.yml", &weakened);
        eventually(said, || exporter.log().contains(said)).await;
        reload_succeeded(&exporter, &client, false).await;
        for path in ["/metrics", "/"] {
            assert_eq!(without_password(&client, &exporter, path).await, Some(401), "{said}: {path}");
        }
        let plain = peers::exchange(peers::connect(exporter.address(), 0).await, SCRAPE).await.unwrap();
        assert_eq!(plain.status(), 400, "{said}");
    }
    // The other ways to reload do not take it away either.
    folder.write("web.yml", &tls);
    let reload = client.post(https(&exporter, "/-/reload")).basic_auth(USER, Some(PASSWORD)).send().await.unwrap();
    assert_eq!(reload.status(), 500);
    assert!(text(reload).await.contains("no password would be needed"));
    exporter.signal("HUP");
    eventually("SIGHUP", || {
        exporter.log().contains("cannot reload settings on SIGHUP; the previous ones stay in force")
    })
    .await;
    assert_eq!(without_password(&client, &exporter, "/metrics").await, Some(401));

    folder.write("web.yml", &good);
    reload_succeeded(&exporter, &client, true).await;
    assert!(!exporter.log().contains("reloaded: no TLS"), "{}", exporter.log());
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_accepted_again_once_it_is_whole() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    let good = guarded();
    folder.write("web.yml", &good);
    let exporter = folder.exporter(&upstream.url(), &[]).await;
    let client = folder.client(None);
    assert_eq!(without_password(&client, &exporter, "/-/healthy").await, Some(200));
    // Without its last section the file is valid, and stricter.
    folder.write("web.yml", good.split_once("auth_excluded_paths").unwrap().0);
    eventually("stricter", || exporter.log().contains("reloaded: TLS, passwords")).await;
    assert_eq!(without_password(&client, &exporter, "/-/healthy").await, Some(401));
    folder.write("web.yml", &good);
    eventually("whole", || exporter.log().matches("reloaded: TLS, passwords").count() == 2).await;
    assert_eq!(without_password(&client, &exporter, "/-/healthy").await, Some(200));
}

#[tokio::test]
async fn required_client_certificates_stay_required() {
    let (folder, upstream) = (Folder::new(), simulator(5, 1).await);
    folder.fill_in(&fixtures().join("client-names.good.yml"));
    let good = folder.read("web.yml");
    let exporter = folder.exporter(&upstream.url(), &[]).await;
    let refused = || exporter.log().matches("other client certificates, or none, would be enough").count();
    folder.write("web.yml", "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n");
    eventually("no certificate", || refused() == 1).await;
    // The list of names at the end is cut off.
    let names = good.lines().position(|line| line.contains("client_allowed_sans")).unwrap();
    let cut: String = good.lines().take(names).map(|line| format!("{line}\n")).collect();
    folder.write("web.yml", &good);
    eventually("as before", || exporter.log().contains("is valid again")).await;
    folder.write("web.yml", &cut);
    eventually("any name", || refused() == 2).await;
    assert!(folder.client(None).get(https(&exporter, "/metrics")).send().await.is_err());
}

/// Rewrites the file in one of many unsafe ways.
async fn rewrite(folder: &Folder, good: &str, random: &mut fastrand::Rng) {
    let pause = Duration::from_millis(random.u64(0..60));
    match random.u8(0..6) {
        0 => folder.write("web.yml", &good[..random.usize(0..good.len())]),
        1 => {
            // Not atomic, and slow.
            let (first, second) = good.split_at(random.usize(0..good.len()));
            folder.write("web.yml", first);
            tokio::time::sleep(pause).await;
            folder.write("web.yml", &format!("{first}{second}"));
        }
        2 => folder.write("web.yml", ""),
        3 => folder.write("web.yml", "# to be continued\n"),
        4 => {
            // A section is missing.
            let mut sections: Vec<String> = Vec::new();
            for line in good.lines() {
                match sections.last_mut().filter(|_| line.starts_with(' ')) {
                    Some(section) => *section += &format!("{line}\n"),
                    None => sections.push(format!("{line}\n")),
                }
            }
            sections.remove(random.usize(0..sections.len()));
            folder.write("web.yml", &sections.concat());
        }
        _ => folder.write("web.yml", good),
    }
    tokio::time::sleep(pause).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_unsafe_rewrites_let_nobody_in_without_a_password() {
    let (folder, upstream) = (Arc::new(Folder::new()), simulator(5, 1).await);
    let good = guarded();
    folder.write("web.yml", &good);
    let exporter = Arc::new(folder.exporter(&upstream.url(), &[]).await);
    let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (exporter, folder, stop, requests) = (exporter.clone(), folder.clone(), stop.clone(), requests.clone());
        clients.spawn(async move {
            let path = ["/metrics", "/", "/sd", "/config"][number % 4];
            let client = folder.client(None);
            let mut served = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let secured = without_password(&client, &exporter, path).await;
                let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                let plain = peers::exchange(peers::connect(exporter.address(), number).await, &request).await;
                let plain = plain.map(|answer| answer.status()).ok();
                if secured != Some(401) || plain != Some(400) {
                    served.push((path, secured, plain));
                }
                requests.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            served
        });
    }
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 0..200 {
        rewrite(&folder, &good, &mut random).await;
        if number % 25 == 0 {
            // Long enough for the file to be read as it is now.
            tokio::time::sleep(Duration::from_millis(4_500)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let served: Vec<_> = clients.join_all().await.concat();
    println!("{} pairs of requests, seed {seed}", requests.load(Ordering::Relaxed));
    assert!(served.is_empty(), "seed {seed}: {served:?}\n{}", exporter.log());
    folder.write("web.yml", &good);
    reload_succeeded(&exporter, &folder.client(None), true).await;
}
