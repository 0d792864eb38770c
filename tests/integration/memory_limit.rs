//! The exporter in a control group with little memory: a listing that does not fit is refused, and nothing is killed.

use crate::support::{Exporter, client, command, limited, simulator, start_as_it_is, text};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use swr_simulator::Repository;
use tokio::process::Command;

/// Room for 29,608 repositories with ordinary names.
const LIMIT: u64 = 48 << 20;

/// A control group of either version; removed when dropped.
struct ControlGroup {
    folder: PathBuf,
    limit: &'static str,
    events: &'static str,
}

impl ControlGroup {
    /// `None` where this machine allows none.
    fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let versions = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"),
            ("/sys/fs/cgroup", "memory.max", "memory.events"),
        ];
        versions.into_iter().find_map(|(root, limit, events)| {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let folder = Path::new(root).join(format!("swr-exporter-test-{}-{number}", std::process::id()));
            std::fs::create_dir(&folder).ok()?;
            let group = Self { folder, limit, events };
            std::fs::write(group.folder.join(group.limit), LIMIT.to_string()).ok()?;
            Some(group)
        })
    }

    /// The command, so that it enters the group first.
    fn enter(&self, command: &Command) -> Command {
        limited(&format!("echo $$ >{}/cgroup.procs", self.folder.display()), command)
    }

    /// How many processes were killed in it for want of memory.
    fn killed(&self) -> u64 {
        let events = std::fs::read_to_string(self.folder.join(self.events)).unwrap();
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        killed.expect("a count").parse().unwrap()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // It stays busy until the kernel is done with its last process.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.folder).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Scrapes with this encoding, or without any; the page if it is plain.
async fn page(exporter: &Exporter, encoding: Option<&str>) -> String {
    let request = client().get(format!("http://{}/metrics", exporter.address()));
    let request = encoding.into_iter().fold(request, |request, encoding| request.header("accept-encoding", encoding));
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    if encoding.is_none() {
        return text(answer).await;
    }
    while answer.chunk().await.unwrap().is_some() {}
    String::new()
}

fn has(page: &str, sample: &str) -> bool {
    page.lines().any(|line| line == sample)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_does_not_fit_into_the_control_group_is_refused_and_nothing_is_killed() {
    let Some(group) = ControlGroup::new() else {
        println!("NOT TESTED: this machine allows no control group with a memory limit");
        return;
    };
    let flags = ["--cache.window", "1ms", "--swr.rate-limit", "10000", "--swr.burst", "10000"];
    let started = async |upstream: &str| {
        let mut prepared = command();
        prepared.args(["--swr.endpoint", upstream]).args(flags).args(["--web.listen-address", "127.0.0.1:0"]);
        start_as_it_is(group.enter(&prepared)).await
    };

    // As many as fit: every scrape is a refresh, and each encoding is made anew.
    let upstream = simulator(28_000, 20).await;
    let exporter = started(&upstream.url()).await;
    assert!(has(&page(&exporter, None).await, "swr_repositories 28000"));
    for round in 0..2 {
        upstream.handle.insert(Repository::new("new", format!("round-{round}")));
        page(&exporter, Some("gzip")).await;
        page(&exporter, Some("zstd")).await;
        assert!(has(&page(&exporter, None).await, &format!("swr_repositories {}", 28_001 + round)));
    }
    // More than fit: the good data stays.
    for number in 0..4_000 {
        upstream.handle.insert(Repository::new("new", format!("number-{number}")));
    }
    let refused = page(&exporter, None).await;
    assert!(has(&refused, "swr_up 0") && has(&refused, "swr_repositories 28002"), "{}", exporter.log());
    drop(exporter);

    // Half as many with the longest names.
    let upstream = simulator(0, 0).await;
    for number in 0..20_000 {
        upstream.handle.insert(Repository::new("n".repeat(64), format!("{number:0128}")));
    }
    let exporter = started(&upstream.url()).await;
    for encoding in [Some("gzip"), Some("zstd")] {
        page(&exporter, encoding).await;
    }
    assert!(has(&page(&exporter, None).await, "swr_up 0"));
    assert!(exporter.log().contains("take more memory than the limit leaves room for"), "{}", exporter.log());
    assert_eq!(group.killed(), 0);
}
