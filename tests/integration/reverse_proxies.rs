//! Behind nginx, which cuts a path off, and HAProxy, which does not: links, service discovery, checks and many scrapers.

use crate::accounts::Accounts;
use crate::prometheus::{PATIENCE, Prometheus, Server, free_address};
use crate::support::{Exporter, client, simulator, text, until};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use swr_simulator::Running;
use tokio::task::JoinSet;

const PATH: &str = "/exporters/swr/";

/// nginx, which serves the exporter below [`PATH`] and cuts that off.
fn nginx(folder: &Path, address: SocketAddr, exporter: &str) -> Vec<String> {
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {folder}/{name};")).concat();
    let config = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{ }}
http {{ access_log off; {temporary}
  server {{ listen {address};
    location = /-/ready {{ return 200; }}
    location {PATH} {{ proxy_pass http://{exporter}/; }} }} }}\n"
    );
    let file = format!("{folder}/nginx.conf");
    std::fs::write(&file, config).unwrap();
    vec!["-e".to_owned(), "stderr".to_owned(), "-p".to_owned(), folder.to_string(), "-c".to_owned(), file]
}

/// HAProxy with its default check, which passes paths on as they are.
fn haproxy(folder: &Path, address: SocketAddr, exporter: &str) -> Vec<String> {
    let config = format!(
        "defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend all
  bind {address}
  http-request return status 200 if {{ path /-/ready }}
  stats enable
  stats uri /stats
  default_backend swr
backend swr
  option httpchk
  server exporter {exporter} check inter 100ms\n"
    );
    let file = folder.join("haproxy.cfg").display().to_string();
    std::fs::write(&file, config).unwrap();
    vec!["-db".to_owned(), "-f".to_owned(), file]
}

/// Three accounts of one simulator behind a proxy.
struct Behind {
    _upstream: Running,
    _accounts: Accounts,
    exporter: Exporter,
    proxy: Server,
    /// The URL of the exporter at the proxy.
    url: String,
}

async fn behind(program: &str, flags: fn(&Path, SocketAddr, &str) -> Vec<String>, more: &[&str]) -> Behind {
    let upstream = simulator(20, 2).await;
    let account = |name| format!("  {name}: {{ endpoint: \"{}\" }}\n", upstream.url());
    let accounts = Accounts::new(&format!("accounts:\n{}", ["one", "two", "three"].map(account).concat()));
    loop {
        let address = free_address();
        let url = format!("http://{address}{PATH}");
        let exporter = accounts.start_with(&[&["--web.external-url", &url][..], more].concat()).await;
        let proxy = Server::try_start(program, address, |folder, address| flags(folder, address, exporter.address()));
        match proxy.await {
            Ok(proxy) => return Behind { _upstream: upstream, _accounts: accounts, exporter, proxy, url },
            Err(log) => assert!(log.contains("in use") || log.contains("cannot bind"), "{program} ends:\n{log}"),
        }
    }
}

/// Follows every link of the page below `url`; gives what they led to.
async fn follow_links(url: &str) -> BTreeSet<String> {
    let client = client();
    let page = client.get(url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    // With the slash, where redirects led to.
    let base = page.url().clone();
    let page = text(page).await;
    let mut found = BTreeSet::new();
    for rest in page.split("href=\"").skip(1) {
        let link = base.join(&rest.split('"').next().unwrap().replace("&amp;", "&")).unwrap();
        let answer = client.get(link.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{link}");
        let path = link.as_str().strip_prefix(base.as_str()).unwrap_or_else(|| panic!("{link} leaves {base}"));
        found.insert(path.to_owned());
    }
    found
}

/// The status page, its links and service discovery, as people and a real Prometheus use them through the proxy.
async fn is_at_home(url: &str) {
    let expected = ["-/healthy", "-/ready", "config", "metrics", "probe?account=one", "probe?account=three"];
    let expected: BTreeSet<_> = expected.into_iter().chain(["probe?account=two", "sd"]).map(str::to_owned).collect();
    assert_eq!(follow_links(url).await, expected);
    assert_eq!(follow_links(url.trim_end_matches('/')).await, expected, "without the slash");
    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: swr
    http_sd_configs: [{{ url: '{url}sd', refresh_interval: 1s }}]
    relabel_configs: [{{ source_labels: [__meta_swr_account], target_label: account }}]\n"
    );
    let prometheus = Prometheus::with(&config).await;
    prometheus.until("up", 3, 1.0).await;
    prometheus.until("swr_up", 3, 1.0).await;
    let up = prometheus.query("up").await;
    let accounts: BTreeSet<&str> = up.iter().map(|(labels, _)| labels["account"].as_str()).collect();
    assert_eq!(accounts, BTreeSet::from(["one", "three", "two"]));
    let targets = prometheus.server.json("/api/v1/targets", &[]).await;
    for target in targets["data"]["activeTargets"].as_array().unwrap() {
        let scraped = target["scrapeUrl"].as_str().unwrap();
        assert!(scraped.starts_with(&format!("{url}probe?account=")), "{scraped}");
    }
}

#[tokio::test]
async fn below_a_path_that_nginx_cuts_off() {
    let Behind { exporter, url, .. } = &behind("nginx", nginx, &["--web.route-prefix=/"]).await;
    is_at_home(url).await;
    // Nothing moved for those who come directly.
    assert_eq!(exporter.get("/metrics").await.status(), 200);

    // A browser sends the origin that it sees, and nginx another host.
    let reload = |origin: String| client().post(format!("{url}-/reload")).header("Origin", origin).send();
    let origin = url.strip_suffix(PATH).unwrap().to_owned();
    assert_eq!(reload(origin).await.unwrap().status(), 200);
    assert_eq!(reload("http://127.0.0.1".to_owned()).await.unwrap().status(), 403);
}

#[tokio::test]
async fn below_a_path_that_haproxy_passes_on_with_its_default_check() {
    let Behind { exporter, proxy, url, .. } = &behind("haproxy", haproxy, &[]).await;
    let stats = format!("http://{}/stats;csv", proxy.address);
    until(PATIENCE, async || {
        let stats = text(client().get(&stats).send().await.unwrap()).await;
        let server = stats.lines().find(|line| line.starts_with("swr,exporter,")).unwrap().to_owned();
        if server.contains(",UP,") && server.contains(",L7OK,") { Ok(()) } else { Err(server) }
    })
    .await;
    is_at_home(url).await;
    for (path, status) in [("/metrics", 404), ("/exporters/swr/metrics", 200), ("/-/healthy", 200)] {
        assert_eq!(exporter.get(path).await.status(), status, "{path}");
    }
}

/// All of them have the address of the proxy, which opens a connection for each scrape.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_scrapers_behind_one_proxy_are_all_served() {
    let behind = behind("nginx", nginx, &["--web.route-prefix=/"]).await;
    let client = client();
    let url = format!("{}probe?account=one", behind.url);
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    let mut scrapes = JoinSet::new();
    for _ in 0..25 {
        let (client, url) = (client.clone(), url.clone());
        scrapes.spawn(async move {
            for _ in 0..20 {
                let answer = client.get(&url).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                assert!(text(answer).await.contains("\nswr_up 1\n"));
            }
        });
    }
    while let Some(done) = scrapes.join_next().await {
        done.unwrap();
    }
}
