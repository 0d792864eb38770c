//! Configuration files that become invalid while the exporter runs, and the names that /probe accepts.

use crate::accounts::Accounts;
use crate::support::{PATIENCE, Scrape, client, simulator, text, until};
use clap::Parser;
use std::path::Path;
use std::time::Duration;
use swr_exporter::cli::Cli;
use swr_exporter::{app, config};
use swr_simulator::{Action, DEMO_TOKEN, Response, Rule, Running, Shape};
use tokio::time::Instant;

/// A change of the file, and a part of the expected message.
enum Mutation {
    /// Another text.
    Text(String, &'static str),
    /// Something other than a text file.
    Other(fn(&Path), &'static str),
}

fn replaced(path: &Path, make: impl FnOnce(&Path)) {
    let _ = std::fs::remove_file(path);
    make(path);
}

fn run(program: &str, arguments: &[&str]) {
    assert!(std::process::Command::new(program).args(arguments).status().unwrap().success());
}

/// Invalid files of every kind. The valid text has the endpoint in line 3 and a secret in line 4.
fn mutations(good: &str) -> Vec<Mutation> {
    let text = |from: &str, to: &str, said| {
        assert!(good.contains(from), "{from}");
        Mutation::Text(good.replace(from, to), said)
    };
    let appended = |more: &str, said| Mutation::Text(format!("{good}{more}"), said);
    let mut all = vec![
        // The file.
        Mutation::Other(|path| replaced(path, |_| {}), "No such file"),
        Mutation::Other(|path| replaced(path, |path| std::fs::create_dir(path).unwrap()), "not a regular file"),
        Mutation::Other(
            |path| {
                std::fs::remove_dir(path).unwrap();
                run("mkfifo", &[path.to_str().unwrap()]);
            },
            "not a regular file",
        ),
        Mutation::Other(|path| replaced(path, |path| std::os::unix::fs::symlink(path, path).unwrap()), "symbolic link"),
        Mutation::Other(
            |path| replaced(path, |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap()),
            "not a regular file",
        ),
        Mutation::Other(
            |path| replaced(path, |path| std::fs::File::create(path).unwrap().set_len(1 << 30).unwrap()),
            "larger than 1 MiB",
        ),
        Mutation::Other(|path| replaced(path, |path| std::fs::write(path, [0xff, 0xfe, 0x00]).unwrap()), "UTF-8"),
        Mutation::Text(String::new(), "no accounts"),
        Mutation::Text("accounts:\n".to_owned(), "no accounts"),
        // Syntax.
        text("  one:", "\tone:", ":2:"),
        appended("---\naccounts: {}\n", "a second document"),
        Mutation::Text("- ".repeat(5_000), "nested too deep"),
        Mutation::Text("[".repeat(50_000), ":1:"),
        // What is refused on purpose: a bomb of aliases, and tags.
        Mutation::Text("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n".to_owned(), "anchors and aliases"),
        appended("    page_size: !!int 5\n", "tags (!)"),
        appended("    region: cn-north-4\n    region: cn-north-1\n", "`region` is there twice, first in line 7"),
        // Keys.
        text("accounts:", "acounts:", ":1: acounts: unknown key (did you mean `accounts`?)"),
        text("    endpoint", "    endpiont", ":3: accounts.one.endpiont: unknown key (did you mean `endpoint`?)"),
        appended("  '../two':\n    region: cn-north-4\n", "invalid account name (up to 64"),
        appended("defaults: [a]\n", "defaults: expected a mapping, found a list"),
        // Values.
        text("endpoint: ", "endpoint: ftp://", ":3: accounts.one.endpoint:"),
        appended("    page_size: ten\n", "invalid number `ten` (allowed: 10 to 1000)"),
        appended("    cache_max_age: 1s\n", "is shorter than"),
        appended("    ca_file: nowhere.pem\n", "nowhere.pem"),
        appended("    project_id: '../x'\n", "letters and digits only"),
        appended("    region: ${\n", "without `}`"),
    ];
    all.push(text("credentials: {", "credentials: { source: vault,", "unknown source `vault` (known: auto, token"));
    all
}

#[tokio::test]
async fn an_invalid_file_of_any_kind_changes_nothing_and_is_reported_with_its_place() {
    let upstream = simulator(20, 2).await;
    let good = format!(
        "accounts:\n  one:\n    endpoint: {}\n    credentials: {{ token: {DEMO_TOKEN} }}\n    # a comment\n    \
         cache_window: 30m\n",
        upstream.url()
    );
    let accounts = Accounts::new(&good);
    let exporter = accounts.start().await;
    let before = exporter.scrape().await;
    assert_eq!(before.get("swr_exporter_config_last_reload_successful"), Some(1.0));
    let read_at = before.get("swr_exporter_config_last_reload_success_timestamp_seconds").unwrap();

    for (number, mutation) in mutations(&good).iter().enumerate() {
        let said = match mutation {
            Mutation::Text(text, said) => {
                if accounts.path().is_dir() {
                    std::fs::remove_dir(accounts.path()).unwrap();
                }
                accounts.write(text);
                said
            }
            Mutation::Other(change, said) => {
                change(&accounts.path());
                said
            }
        };
        let began = Instant::now();
        let (status, answer) = exporter.reload().await;
        assert_eq!(status, 500, "{number}: {answer}");
        assert!(answer.contains(said), "{number}: `{said}` is not in\n{answer}");
        assert!(answer.len() < 4096, "{number}: {} bytes", answer.len());
        assert!(began.elapsed() < Duration::from_secs(5), "{number}: {:?}", began.elapsed());
        assert!(!answer.contains(DEMO_TOKEN), "{number}: {answer}");
        let scrape = exporter.scrape().await;
        assert_eq!(scrape.get("swr_exporter_config_last_reload_successful"), Some(0.0), "{number}");
        let still = scrape.get("swr_exporter_config_last_reload_success_timestamp_seconds");
        assert_eq!(still, Some(read_at), "{number}");
        assert_eq!((scrape.get("swr_up"), scrape.get("swr_refreshes_total")), (Some(1.0), Some(1.0)), "{number}");
    }
    assert!(!exporter.log().contains(DEMO_TOKEN));

    accounts.write(&good);
    let (status, answer) = exporter.reload().await;
    assert_eq!((status, answer.as_str()), (200, "1 accounts unchanged, 0 changed, 0 added, 0 removed\n"));
    let scrape: Scrape = exporter.scrape().await;
    assert_eq!(scrape.get("swr_exporter_config_last_reload_successful"), Some(1.0));
    assert!(scrape.get("swr_exporter_config_last_reload_success_timestamp_seconds") > Some(read_at));
    assert_eq!(upstream.handle.count("/v2/manage/repos"), 1);
}

/// Queries that would make a careless exporter connect to another host.
const ADDRESSES: [&str; 39] = [
    "target=http://169.254.169.254/openstack/latest/securitykey",
    "account=http://169.254.169.254/",
    "account=https%3A%2F%2Fexample.com",
    "account=//example.com",
    "account=example.com%2F",
    "account=example.com:443",
    "account=file:///etc/passwd",
    "account=file%3A%2F%2F%2Fetc%2Fpasswd",
    "account=gopher://127.0.0.1:6379/_",
    "account=one@example.com",
    "account=one%40example.com",
    "account=user:password@127.0.0.1",
    "account=0x7f000001/",
    "account=[::1]",
    "account=[::ffff:169.254.169.254]",
    "account=%5B%3A%3A1%5D",
    "account=127.0.0.1:10179",
    "account=one%0d%0aHost:%20example.com",
    "account=one%0a",
    "account=one%00",
    "account=one%20",
    "account=%20one",
    "account=../one",
    "account=..%2fone",
    "account=one%2f..%2ftwo",
    "account=one%23",
    "account=one%3f",
    "account=%6fne&endpoint=http://example.com",
    "account=one&target=example.com",
    "account=one&region=cn-north-1",
    "module=one",
    "account=one&account=two",
    "account=one&account=one",
    "account=one&Account=one",
    "account",
    "account=",
    "",
    "=one",
    "account=%E2%80%8Bone",
];

/// Well-formed names of no account.
const NAMES: [&str; 6] = ["169.254.169.254", "2852039166", "0251.0376.0251.0376", "localhost", "localtest.me", "ONE"];

#[tokio::test]
async fn a_probe_takes_the_name_of_an_account_and_nothing_else() {
    let upstream = simulator(20, 2).await;
    let accounts = Accounts::new(&format!("accounts:\n  one:\n    endpoint: {}\n", upstream.url()));
    let exporter = accounts.start().await;
    let refused = async |query: &str| {
        // Raw: a client library would mend the query.
        let stream = crate::peers::connect(exporter.address(), 0).await;
        let request = format!("GET /probe?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = crate::peers::exchange(stream, &request).await.unwrap();
        (answer.status(), answer.text().to_owned())
    };
    for query in ADDRESSES {
        let (status, said) = refused(query).await;
        assert_eq!(status, 400, "{query}: {said}");
    }
    assert_eq!(refused(&format!("account={}", "a".repeat(10_000))).await.0, 400);
    for name in NAMES {
        let (status, said) = refused(&format!("account={name}")).await;
        assert_eq!((status, said.contains("(known: one")), (404, true), "{name}: {said}");
        assert_eq!(refused(&format!("target={name}")).await.0, 404);
    }
    let hosts = ["a@b", "", "a b", "a/b", "[::1", "a\\b"];
    for host in hosts {
        let stream = crate::peers::connect(exporter.address(), 0).await;
        let request = format!("GET /sd HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = crate::peers::exchange(stream, &request).await.unwrap();
        assert_eq!(answer.status(), 400, "{host}");
    }
    assert_eq!(upstream.handle.total(), 0, "nobody was asked anything");
    assert_eq!(refused("account=one").await.0, 200);
    assert_eq!(refused("account=%6fne").await.0, 200, "as some clients write it");
    assert_eq!(refused("module=http&target=one").await.0, 200, "as the operator's resource Probe sends it");
}

#[tokio::test]
async fn a_file_that_changes_while_the_exporter_starts_is_read_again() {
    let upstream = simulator(20, 2).await;
    let account = |name: &str| {
        format!("  {name}:\n    endpoint: {}\n    credentials: {{ token: {DEMO_TOKEN} }}\n", upstream.url())
    };
    let accounts = Accounts::new(&format!("accounts:\n{}", account("one")));
    let arguments = ["swr-exporter".into(), "--config.file".into(), accounts.path().into_os_string()];
    let args = Cli::try_parse_from(arguments).unwrap().serve;
    let config = config::resolve(&args, &config::environment::Environment::default()).unwrap();
    // After it was read, and before anything of it was built.
    accounts.write(&format!("accounts:\n{}{}", account("one"), account("two")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(app::run(config, vec![listener], Some(args), async { drop(stopped.await) }));
    until(PATIENCE, async || {
        let answer = client().get(format!("http://{address}/probe?account=two")).send().await.unwrap();
        if answer.status() == 200 { Ok(()) } else { Err(text(answer).await) }
    })
    .await;
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

/// The accounts of [`failing_accounts`], in their order.
const FAILING: [&str; 5] = ["forbidden", "missing", "throttled", "failing", "html"];

/// Accounts whose upstreams fail, each in its own way.
async fn failing_accounts() -> (Vec<Running>, String) {
    let html = Response::new(200, "text/html", "<html>Welcome</html>");
    let failures = [
        ("forbidden", Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no permission")),
        ("missing", Action::error(404, Shape::Current, "SVCSTG.SWR.4040058", "not found")),
        ("throttled", Action::too_many_requests()),
        ("failing", Action::error(500, Shape::Current, "SVCSTG.SWR.5000000", "failed")),
        ("html", Action::Respond(html)),
    ];
    let (mut upstreams, mut file) = (Vec::new(), "accounts:\n".to_owned());
    for (name, action) in failures {
        let upstream = simulator(5, 1).await;
        upstream.handle.fault(Rule::always(action));
        file += &format!("  {name}:\n    endpoint: {}\n    cache_window: 1s\n", upstream.url());
        upstreams.push(upstream);
    }
    (upstreams, file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reloads_by_request_cost_no_call_and_few_log_lines() {
    let ((reloaded, file), (quiet, quiet_file)) = tokio::join!(failing_accounts(), failing_accounts());
    let (files, quiet_files) = (Accounts::new(&file), Accounts::new(&quiet_file));
    let (reloaded_exporter, quiet_exporter) = tokio::join!(files.start(), quiet_files.start());
    let began = Instant::now();
    let scrapes = async {
        while began.elapsed() < Duration::from_secs(10) {
            for name in FAILING {
                let path = format!("/probe?account={name}");
                let both = tokio::join!(reloaded_exporter.get(&path), quiet_exporter.get(&path));
                assert_eq!((both.0.status(), both.1.status()), (reqwest::StatusCode::OK, reqwest::StatusCode::OK));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let reloads = async {
        for _ in 0..1000 {
            assert_eq!(reloaded_exporter.reload().await.0, 200);
        }
    };
    tokio::join!(scrapes, reloads);
    let calls = |upstreams: &[Running]| upstreams.iter().map(|upstream| upstream.handle.total()).collect::<Vec<_>>();
    let (with, without) = (calls(&reloaded), calls(&quiet));
    println!("calls with and without reloads: {with:?}, {without:?}; {:?}", began.elapsed());
    // The back-off is jittered, so one refresh more may have begun.
    assert!(with.iter().zip(&without).all(|(with, without)| *with <= without + 5), "{with:?}, {without:?}");
    // Exactly: one and the same client made all calls, and none of its refreshes began before its back-off was over.
    for (name, upstream) in FAILING.iter().zip(&reloaded) {
        let page = reloaded_exporter.get(&format!("/probe?account={name}")).await;
        let scrape = Scrape::parse(text(page).await);
        let refreshes = scrape.get("swr_refreshes_total").unwrap();
        // A window of a second is the longest back-off; a quarter of it may be taken off.
        let most = began.elapsed().as_secs_f64() / 0.75 + 2.0;
        assert!(refreshes >= 1.0 && refreshes <= most, "{name}: {refreshes} refreshes, at most {most}");
        let calls = scrape.sum("swr_api_requests_total");
        assert!(calls + 1.0 >= upstream.handle.total() as f64, "{name}: {calls} of {}", upstream.handle.total());
    }
    let lines = reloaded_exporter.log().matches("settings reloaded on request").count();
    assert!((1..50).contains(&lines), "{lines} lines");
}
