//! The landing page in a real browser: an account that waits, works, fails and recovers.

use crate::browser::{Visit, barriers, visit};
use crate::support::{Exporter, Scrape, exporter, simulator, text};
use swr_simulator::{Action, Operation, Repository, Rule, Shape};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn look(exporter: &Exporter) -> Visit {
    let visit = visit(&format!("http://{}/", exporter.address()), &[]).await;
    assert_eq!(visit.console, [""; 0], "the browser has nothing to say");
    assert_eq!(barriers(&visit.document), [""; 0]);
    visit
}

fn headline(visit: &Visit) -> String {
    visit.document.all(&["h2"])[0].text()
}

/// The rows of the table whose caption begins so.
fn table(page: &Visit, caption: &str) -> Option<Vec<String>> {
    let tables = page.document.all(&["table"]);
    let table = tables.into_iter().find(|table| table.all(&["caption"])[0].text().starts_with(caption))?;
    let rows = table.all(&["tbody"])[0].all(&["tr"]);
    Some(rows.into_iter().map(crate::browser::Element::text).collect())
}

#[tokio::test]
async fn an_account_waits_works_fails_and_works_again() {
    let upstream = simulator(25, 3).await;
    for (name, size) in [("b/largest", 50 << 40), ("b/second", 5 << 40)] {
        upstream.handle.insert(Repository { size, ..Repository::new("zeta", name) });
    }
    let exporter = exporter(&upstream.url(), &["--cache.window", "200ms"]).await;

    let page = look(&exporter).await;
    assert_eq!(headline(&page), "Waiting for the first scrape");
    assert!(table(&page, "Largest repositories").is_none());

    exporter.scrape_until("all is read", |scrape| scrape.get("swr_repositories") == Some(27.0)).await;
    let page = look(&exporter).await;
    assert_eq!(
        (headline(&page), page.document.all(&["title"])[0].text()),
        ("The account is OK".into(), "The account is OK - swr-exporter".into())
    );
    let account = &page.document;
    assert_eq!(account.all(&["h2"])[1].text(), "default");
    let scrape = exporter.scrape().await;
    let tebibytes = scrape.sum("swr_namespace_size_bytes") / (1_u64 << 40) as f64;
    assert_eq!(account.fact("Total size"), Some(format!("{tebibytes:.1} TiB")));
    assert_eq!(account.fact("Repositories").as_deref(), Some("27"));
    let series = format!("{} series of 27 repositories", scrape.get("swr_exporter_page_series").unwrap());
    assert!(account.text().contains(&series), "{series}: {}", account.text());
    let largest = table(&page, "Largest repositories").unwrap();
    assert_eq!(
        (largest.len(), &largest[..2]),
        (5, &["zeta/b/largest 50.0 TiB".into(), "zeta/b/second 5.00 TiB".into()][..])
    );
    assert_eq!(table(&page, "Largest organizations").unwrap()[0].split(' ').next(), Some("zeta"));
    assert_eq!(table(&page, "Grown most since").unwrap(), ["No repository has grown"]);
    assert!(table(&page, "Collectors").is_none(), "the listing is the only one");

    upstream.handle.remove("zeta", "b/second");
    upstream.handle.insert(Repository { size: 7 << 40, ..Repository::new("zeta", "b/second") });
    exporter
        .scrape_until("it has grown", |scrape| {
            scrape.value("swr_repository_size_bytes", &[("repository", "b/second")]) == Some((7_u64 << 40) as f64)
        })
        .await;
    assert_eq!(table(&look(&exporter).await, "Grown most since").unwrap(), ["zeta/b/second 2.00 TiB"]);

    let refusal =
        upstream.handle.fault(Rule::always(Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no permission")));
    exporter.scrape_until("a refresh fails", |scrape| scrape.get("swr_up") == Some(0.0)).await;
    let page = look(&exporter).await;
    assert_eq!(headline(&page), "The latest refresh failed");
    let said = page.document.text();
    assert_eq!(said.matches("its user lacks a permission").count(), 1, "{said}");
    assert!(said.contains("Give the user the IAM permission swr:repo:listRepos"), "{said}");
    let error = page.document.all(&["details"])[0];
    assert!(error.get("open").is_none() && error.text().contains("permission: "), "{said}");
    assert!(table(&page, "Largest repositories").is_some(), "what was read before is still there");

    upstream.handle.clear_fault(refusal);
    exporter.scrape_until("refreshes succeed again", Scrape::is_up).await;
    let page = look(&exporter).await;
    assert_eq!(headline(&page), "The account is OK");
    assert!(page.document.text().contains("It is over."));
}

#[tokio::test]
async fn the_page_counts_the_calls_that_the_upstream_received() {
    let upstream = simulator(250, 3).await;
    let exporter = exporter(&upstream.url(), &["--swr.page-size", "100", "--cache.window", "200ms"]).await;
    exporter.scrape().await;
    exporter.scrape_until("two refreshes", |scrape| scrape.get("swr_refreshes_total") == Some(2.0)).await;
    let page = look(&exporter).await;
    let total = upstream.handle.total();
    let calls = format!("{total} API calls since start, {} in the latest refresh", total / 2);
    let said = page.document.text();
    assert!(said.contains(&calls), "{calls}: {said}");
}

#[tokio::test]
async fn a_collector_that_fails_and_links_of_the_operator_are_shown() {
    let upstream = simulator(5, 1).await;
    upstream.handle.configure(|options| options.denied = vec![Operation::Overview]);
    let flags = ["--collector.account", "--web.link", "Grafana=http://127.0.0.1:9/d/x?a=1&b=2"];
    let exporter = exporter(&upstream.url(), &flags).await;
    exporter.scrape().await;
    let page = look(&exporter).await;
    assert_eq!(headline(&page), "A collector failed");
    let rows = table(&page, "Collectors").unwrap();
    assert_eq!(rows[0], "repositories complete");
    assert!(rows[1].starts_with("account failed") && rows[1].contains("Give the user the IAM permission"), "{rows:?}");
    let link = page.document.all(&["a"]).into_iter().find(|link| link.text() == "Grafana").unwrap();
    assert_eq!(link.get("href"), Some("http://127.0.0.1:9/d/x?a=1&b=2"));
}

#[tokio::test]
async fn names_that_contain_markup_are_shown_as_text() {
    let upstream = simulator(1, 1).await;
    let evil = "<img src=x onerror=alert(1)>\"'&amp;</table>";
    upstream.handle.insert(Repository { size: 1 << 60, ..Repository::new("zeta", evil) });
    let exporter = exporter(&upstream.url(), &[]).await;
    exporter.scrape().await;
    let page = look(&exporter).await;
    assert!(page.document.all(&["img"]).is_empty());
    let largest = table(&page, "Largest repositories").unwrap();
    assert_eq!(largest[0], format!("zeta/{evil} 1.00 EiB"));
}

/// A page that violates the policy, to show that the browser would report it.
#[tokio::test]
async fn the_browser_reports_violations_of_the_policy() {
    let exporter = exporter("http://127.0.0.1:9", &[]).await;
    let answer = exporter.get("/").await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    for directive in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = text(answer).await.replace("<main>", "<main style=\"color:red\"><script>document.title='x'</script>");
    let (listener, server) = serve(page, &policy).await;
    let visit = visit(&format!("http://{listener}/"), &[]).await;
    server.abort();
    let refused =
        |what: &str| visit.console.iter().any(|line| line.contains("Content Security Policy") && line.contains(what));
    assert!(refused("style-src") && refused("script"), "{:?}", visit.console);
    assert!(visit.document.all(&["title"])[0].text().ends_with("swr-exporter"), "the script did not run");
}

#[tokio::test]
async fn a_narrow_screen_needs_no_sideways_scrolling() {
    let upstream = simulator(25, 3).await;
    upstream.handle.insert(Repository { size: 1 << 60, ..Repository::new("zeta", "long-name/".repeat(20)) });
    let exporter = exporter(&upstream.url(), &[]).await;
    exporter.scrape().await;
    let page = text(exporter.get("/").await).await;
    // In a frame of the width of a small phone, measured by a script around it.
    let quoted = page.replace('&', "&amp;").replace('"', "&quot;");
    let frame = format!(
        "<!DOCTYPE html><html><body><iframe width=\"320\" srcdoc=\"{quoted}\"></iframe><script>onload=()=>{{\
         document.title=document.querySelector('iframe').contentDocument.documentElement.scrollWidth}}</script></body></html>"
    );
    let (listener, server) = serve(frame, "").await;
    let visit = visit(&format!("http://{listener}/"), &[]).await;
    server.abort();
    let width: u32 = visit.document.all(&["title"])[0].text().parse().expect("the script ran");
    assert!((1..=320).contains(&width), "{width}");
}

/// Serves one page under a policy.
async fn serve(page: String, policy: &str) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n",
        page.len()
    );
    let policy = if policy.is_empty() { String::new() } else { format!("Content-Security-Policy: {policy}\r\n") };
    let answer = format!("{head}{policy}\r\n{page}");
    let task = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && socket.read_buf(&mut head).await.unwrap_or(0) > 0 {}
                // The browser may open connections that it does not use.
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    (address, task)
}
