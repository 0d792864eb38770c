//! Artifacts of the Enterprise Edition: sums by repository, read at their own pace, whatever happens to the rest.

use crate::support::{Exporter, Scrape, cache_directory, eventually, fast_exporter, simulator};
use std::collections::{HashMap, HashSet};
use swr_simulator::{Action, DEMO_PROJECT_ID, DEMO_TOKEN, Operation, Rule, Running, Shape};

const SIZE: &str = "swr_instance_repository_size_bytes";
const PUSHED: &str = "swr_instance_repository_last_push_timestamp_seconds";
const PULLED: &str = "swr_instance_repository_last_pull_timestamp_seconds";

async fn fast(upstream: &Running, flags: &[&str]) -> Exporter {
    fast_exporter(upstream, &["--collector.enterprise.artifacts", "--swr.project-id", DEMO_PROJECT_ID], flags).await
}

fn up(scrape: &Scrape) -> [Option<f64>; 2] {
    ["enterprise", "enterprise.artifacts"].map(|name| scrape.collector_up(name))
}

fn calls(upstream: &Running) -> usize {
    crate::support::calls(upstream, "/artifacts").len()
}

async fn read(exporter: &Exporter) -> Scrape {
    exporter.scrape_until("the artifacts are read", |scrape| up(scrape) == [Some(1.0); 2]).await
}

/// What the simulated API says of one repository: bytes of its digests, latest push, latest pull.
type Truth = HashMap<(String, String), (u64, String, Option<String>)>;

/// The artifacts of all instances, read page by page as the API's documents describe it.
async fn truth(upstream: &Running) -> Truth {
    let client = crate::support::client();
    let get = async |path: String| -> serde_json::Value {
        let url = format!("{}/v2/{DEMO_PROJECT_ID}/instances{path}", upstream.url());
        let answer = client.get(url).header("X-Auth-Token", DEMO_TOKEN).send().await.unwrap();
        serde_json::from_str(&crate::support::text(answer).await).unwrap()
    };
    let (mut truth, mut seen) = (Truth::new(), HashSet::new());
    for instance in get(String::new()).await["instances"].as_array().unwrap() {
        let mut marker = 1;
        loop {
            let page = get(format!("/{}/artifacts?marker={marker}&limit=90", instance["id"].as_str().unwrap())).await;
            for artifact in page["artifacts"].as_array().unwrap() {
                let text = |key: &str| artifact[key].as_str().unwrap().to_owned();
                let (namespace, name) = artifact["repository_name"].as_str().unwrap().split_once('/').unwrap();
                let key = (namespace.to_owned(), name.to_owned());
                let of = truth.entry(key.clone()).or_default();
                if seen.insert((key, text("digest"))) {
                    of.0 += artifact["size"].as_u64().unwrap();
                }
                of.1 = text("push_time").max(std::mem::take(&mut of.1));
                let pulled = Some(text("pull_time")).filter(|time| !time.starts_with("0001"));
                of.2 = pulled.max(of.2.take());
            }
            let Some(next) = page["next_marker"].as_u64() else { break };
            marker = next;
        }
    }
    truth
}

/// Seconds since 1970, to a thousandth.
fn seconds(time: &str) -> f64 {
    let time: jiff::Timestamp = time.parse().unwrap();
    time.as_second() as f64 + f64::from(time.subsec_nanosecond()) / 1e9
}

#[tokio::test]
async fn sums_are_those_of_the_instances_and_a_restart_reads_none() {
    let upstream = simulator(150, 5).await;
    let (_directory, cache) = cache_directory();
    let mut exporter = fast(&upstream, &[&cache]).await;
    read(&exporter).await;
    let truth = truth(&upstream).await;
    let scrape = exporter.scrape_until("the sums are shown", |scrape| scrape.series(SIZE).len() == truth.len()).await;
    for ((namespace, repository), (bytes, pushed, pulled)) in &truth {
        let value = |name| scrape.value(name, &[("namespace", namespace), ("repository", repository)]);
        assert_eq!(value(SIZE), Some(*bytes as f64), "{namespace}/{repository}");
        assert!((value(PUSHED).unwrap() - seconds(pushed)).abs() < 1e-3, "{namespace}/{repository}");
        let difference = |pulled: &String| (value(PULLED).unwrap() - seconds(pulled)).abs();
        assert_eq!(value(PULLED).is_some(), pulled.is_some(), "never pulled is absent: {namespace}/{repository}");
        assert!(pulled.as_ref().is_none_or(|pulled| difference(pulled) < 1e-3), "{namespace}/{repository}");
    }
    let never = truth.values().filter(|(.., pulled)| pulled.is_none()).count();
    assert!((1..truth.len()).contains(&never), "{never} of {}", truth.len());

    // They are good for an hour, for another process too.
    upstream.handle.clear_journal();
    exporter.refreshed_again(3.0).await;
    exporter.stop().await;
    let restarted = fast(&upstream, &[&cache]).await;
    let first = restarted.scrape().await;
    assert_eq!(first.series(SIZE).len(), truth.len(), "from the first scrape on");
    assert_eq!(up(&restarted.refreshed(2.0).await), [Some(1.0); 2]);
    assert_eq!(calls(&upstream), 0);
}

#[tokio::test]
async fn a_denied_list_costs_the_repositories_nothing() {
    let upstream = simulator(40, 3).await;
    upstream.handle.configure(|options| options.denied = vec![Operation::ListArtifacts]);
    let exporter = fast(&upstream, &[]).await;
    let scrape = exporter.scrape_until("its failure shows", |scrape| up(scrape) == [Some(1.0), Some(0.0)]).await;
    assert_eq!((scrape.series("swr_instance_repository_tags").len(), scrape.series(SIZE).len()), (40, 0));
    let advice = "give the user the IAM permission swr:instance:listAllArtifacts";
    eventually("the log says what to do", || exporter.log().contains(advice)).await;
    upstream.handle.configure(|options| options.denied.clear());
    let scrape = read(&exporter).await;
    assert!(!scrape.series(SIZE).is_empty() && !scrape.series(PULLED).is_empty());
}

#[tokio::test]
async fn an_instance_of_an_old_version_has_no_sums_and_is_no_failure() {
    let upstream = simulator(40, 3).await;
    upstream.handle.configure(|options| options.enterprise_version = "24.12.1");
    let exporter = fast(&upstream, &[]).await;
    let scrape = read(&exporter).await;
    assert!(scrape.series(SIZE).is_empty() && !scrape.series("swr_instance_repository_tags").is_empty());
    assert_eq!(calls(&upstream), 0, "the version tells");
    // One whose version is not understood is asked.
    upstream.handle.configure(|options| options.enterprise_version = "next");
    let exporter = fast(&upstream, &[]).await;
    exporter.scrape_until("its failure shows", |scrape| up(scrape) == [Some(1.0), Some(0.0)]).await;
}

#[tokio::test]
async fn one_instance_that_fails_costs_its_own_sums_alone() {
    let upstream = simulator(60, 4).await;
    let mut instances = HashSet::new();
    let exporter = fast(&upstream, &[]).await;
    for (labels, _) in read(&exporter).await.series("swr_instance_info") {
        instances.insert(labels["instance_id"].clone());
    }
    drop(exporter);
    let failing = instances.iter().next().unwrap().clone();
    let path = format!("/v2/{DEMO_PROJECT_ID}/instances/{failing}/artifacts");
    let denied = Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no permission");
    upstream.handle.fault(Rule::always(denied).path(&path));
    let exporter = fast(&upstream, &[]).await;
    let scrape = exporter
        .scrape_until("its failure shows", |scrape| {
            up(scrape) == [Some(1.0), Some(0.0)] && !scrape.series(SIZE).is_empty()
        })
        .await;
    assert!(scrape.series(SIZE).iter().all(|(labels, _)| labels["instance_id"] != failing));
    assert_eq!(scrape.get("swr_up"), Some(1.0));
}
