//! The snapshot that outlives its process: what a restart finds, and what it makes of it when that is not what it should be.

use crate::accounts::Accounts;
use crate::credentials_hung_files::is_prompt;
use crate::peers;
use crate::support::{Exporter, Scrape, command, done, eventually, exporter, limited, simulator, start};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use swr_exporter::base::state_file::{self, Loaded, Origin};
use swr_exporter::model::{Snapshot, records};
use swr_simulator::{Action, DEMO_ACCESS_KEY, DEMO_PROJECT_ID, DEMO_SECRET_KEY, DEMO_TOKEN, Rule, Running, Shape};
use tempfile::TempDir;
use tokio::time::Instant;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("default.snapshot");
    (folder, file)
}

async fn keeping_in(folder: &Path, upstream: &Running, window: &str) -> Exporter {
    exporter(&upstream.url(), &["--cache.directory", folder.to_str().unwrap(), "--cache.window", window]).await
}

/// What lies in a directory.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn sizes(scrape: &Scrape) -> usize {
    scrape.series("swr_repository_size_bytes").len()
}

/// The snapshot in a file, and its origin; `None` if there is no file.
pub fn loaded(file: &Path) -> Option<(Loaded<Snapshot>, Origin)> {
    let mut file = fs::File::open(file).ok()?;
    Some(state_file::decode(&mut file, SystemTime::now()).expect("the file is whole"))
}

/// A state file with a snapshot.
pub fn encoded(snapshot: &Snapshot, origin: Origin, read_at: SystemTime) -> Vec<u8> {
    let mut file = Vec::new();
    state_file::encode(&mut file, read_at, origin, |out| records::write(snapshot, out)).unwrap();
    file
}

fn repositories(file: &Path) -> usize {
    loaded(file).expect("there is a file").0.value.repositories.len()
}

/// Lets one exporter read the listing and keep it, and ends it.
async fn written(folder: &Path, file: &Path, upstream: &Running) -> Scrape {
    let mut first = keeping_in(folder, upstream, "10m").await;
    let scrape = first.scrape_until("data", Scrape::is_up).await;
    eventually("the snapshot is kept", || file.exists()).await;
    first.stop().await;
    scrape
}

#[tokio::test]
async fn a_restart_serves_at_once_and_asks_nothing_inside_the_window() {
    let upstream = simulator(300, 5).await;
    let (root, _) = folder();
    let folder = root.path().join("a/b");
    let file = folder.join("default.snapshot");
    let before = written(&folder, &file, &upstream).await;
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "it is created");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(files(&folder), ["default.lock", "default.snapshot"]);
    upstream.handle.clear_journal();

    // An upstream that is down makes no difference inside the window.
    upstream.handle.fault(Rule::always(Action::error(503, Shape::Html, "", "")));
    let second = keeping_in(&folder, &upstream, "10m").await;
    let after = second.scrape().await;
    let repositories = |scrape: &Scrape| {
        let lines = scrape.text.lines().filter(|line| line.starts_with("swr_repositor"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(repositories(&after), repositories(&before), "the same series with the same values");
    assert_eq!(
        after.raw("swr_snapshot_timestamp_seconds", &[]),
        before.raw("swr_snapshot_timestamp_seconds", &[]),
        "the data is as old as it is"
    );
    assert_eq!(after.value("swr_scrapes_total", &[("served", "fresh")]), Some(1.0));
    assert_eq!(upstream.handle.total(), 0);
    assert!(second.log().contains("loaded a saved snapshot of 300 repositories"), "{}", second.log());
    drop(second);

    // Past its window it is asked for anew, and past its age it is nothing to serve.
    let third = exporter(
        &upstream.url(),
        &["--cache.directory", folder.to_str().unwrap(), "--cache.window", "1ms", "--cache.max-age", "1h"],
    )
    .await;
    let stale = third.scrape().await;
    assert_eq!((sizes(&stale), stale.value("swr_scrapes_total", &[("served", "stale")])), (300, Some(1.0)));
    assert!(upstream.handle.total() > 0);
    drop(third);
    let flags = ["--cache.directory", folder.to_str().unwrap(), "--cache.window", "1ms", "--cache.max-age", "1ms"];
    let fourth = exporter(&upstream.url(), &flags).await;
    assert_eq!(sizes(&fourth.scrape().await), 0);
}

#[tokio::test]
async fn whatever_else_lies_there_is_ignored_with_one_warning() {
    let upstream = simulator(30, 2).await;
    let (folder, file) = folder();
    written(folder.path(), &file, &upstream).await;
    let whole = fs::read(&file).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    let (Loaded { value: snapshot, .. }, origin) = loaded(&file).unwrap();
    let now = SystemTime::now();
    let mut not_a_snapshot = Vec::new();
    state_file::encode(&mut not_a_snapshot, now, origin, |out| out.push(&"not a snapshot")).unwrap();
    for (bytes, problem) in [
        (changed(whole.len() - 1, whole[whole.len() - 1] ^ 1), "is corrupt"),
        (whole[..whole.len() / 2].to_vec(), "is corrupt or truncated"),
        (changed(8, 99), "has format 99"),
        (encoded(&snapshot, Origin::default(), now), "was read from another endpoint"),
        (b"{\"a\": \"foreign file\"}".repeat(10), "is no state file of this exporter"),
        (encoded(&snapshot, origin, now + Duration::from_secs(3600)), "in the future"),
        (not_a_snapshot, "cannot be understood"),
    ] {
        fs::write(&file, &bytes).unwrap();
        let mut exporter = keeping_in(folder.path(), &upstream, "10m").await;
        let scrape = exporter.scrape_until("data from the upstream", Scrape::is_up).await;
        assert_eq!(sizes(&scrape), 30);
        let log = exporter.log();
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("level=warn")).collect();
        assert_eq!(warnings.len(), 1, "{log}");
        assert!(warnings[0].contains(problem) && warnings[0].contains("ignoring "), "{problem}: {log}");
        eventually("a good file replaces it", || fs::read(&file).is_ok_and(|now| now != bytes)).await;
        assert_eq!(repositories(&file), 30);
        exporter.kill().await;
    }
}

#[tokio::test]
async fn an_account_that_is_given_another_endpoint_serves_nothing_of_the_one_before() {
    let (upstream, other) = (simulator(30, 3).await, simulator(20, 2).await);
    let folder = tempfile::tempdir().unwrap();
    let text = |upstream: &Running, collector: &str| {
        let (url, folder) = (upstream.url(), folder.path().display());
        let more = format!("    cache_directory: {folder}\n    collectors: [repositories, {collector}]\n");
        format!("accounts:\n  one:\n    endpoint: {url}\n{more}")
    };
    let accounts = Accounts::new(&text(&upstream, "tags"));
    let exporter = accounts.start().await;
    let tags = |scrape: &Scrape| scrape.get("swr_tags_pending") == Some(0.0);
    exporter.scrape_until("data", |scrape| scrape.is_up() && tags(scrape)).await;
    let kept = ["snapshot", "tags"].map(|ending| folder.path().join(format!("one.{ending}")));
    eventually("it is kept", || kept.iter().all(|file| file.exists())).await;

    // What a process is writing while settings are read again is its own.
    let temporary = folder.path().join(format!("one.snapshot.{}.1.tmp", exporter.pid()));
    fs::write(&temporary, "half").unwrap();
    accounts.write(&text(&other, "tags"));
    exporter.signal("HUP");
    eventually("it is read", || exporter.log().contains("settings reloaded on SIGHUP: 0 accounts unchanged, 1 c"))
        .await;
    assert!(temporary.exists());
    let scrape = exporter.scrape_until("data of the other", Scrape::is_up).await;
    assert_eq!((sizes(&scrape), scrape.value("swr_scrapes_total", &[("served", "fresh")])), (20, Some(0.0)));
    let log = exporter.log();
    assert_eq!(log.matches("it was read from another endpoint").count(), 2, "{log}");
}

#[tokio::test]
async fn of_two_processes_the_first_keeps_the_state_until_it_is_killed_and_then_the_other() {
    let upstream = simulator(30, 2).await;
    let (folder, file) = folder();
    let (url, directory) = (upstream.url(), folder.path().display());
    let settings = |window| {
        format!("accounts:\n  default: {{ endpoint: {url}, cache_directory: {directory}, cache_window: {window} }}\n")
    };
    let accounts = Accounts::new(&settings("10m"));
    let mut first = accounts.start().await;
    first.scrape_until("data", Scrape::is_up).await;
    eventually("the snapshot is kept", || file.exists()).await;
    let kept = fs::read(&file).unwrap();
    accounts.write(&settings("11m"));
    eventually("the account has a successor, which holds the lock on", || first.log().contains("1 changed")).await;

    let second = keeping_in(folder.path(), &upstream, "50ms").await;
    second.refreshed(5.0).await;
    assert_eq!(fs::read(&file).unwrap(), kept, "the first one's");
    let told = format!("another process holds {directory}/default.lock; ");
    assert_eq!(second.log().matches(&told).count(), 1, "once: {}", second.log());

    first.kill().await;
    second.refreshed_again(2.0).await;
    eventually("the second one's", || fs::read(&file).unwrap() != kept).await;
    assert!(!first.log().contains("another process"), "{}", first.log());
}

#[tokio::test]
async fn a_place_that_cannot_be_written_costs_a_warning_and_no_more() {
    let upstream = simulator(30, 2).await;
    let (folder, _) = folder();
    let a_file = folder.path().join("a-file");
    fs::write(&a_file, "not a directory").unwrap();
    let occupied = folder.path().join("occupied");
    fs::create_dir_all(occupied.join("default.snapshot/full")).unwrap();
    for directory in [a_file, occupied, "/proc".into(), "/dev/null".into()] {
        let exporter = keeping_in(&directory, &upstream, "100ms").await;
        for generation in 1..=4 {
            let scrape = exporter.refreshed(f64::from(generation)).await;
            assert!(scrape.is_up() && sizes(&scrape) == 30);
        }
        let about = format!("cannot save the snapshot in {}/default.snapshot: ", directory.display());
        let is_told = |line: &str| line.contains(&about) && line.ends_with(" account=default");
        eventually("it is said", || exporter.log().lines().any(is_told)).await;
        assert_eq!(exporter.log().matches(&about).count(), 1, "once, not at every refresh: {}", exporter.log());
    }
}

/// A limit on the size of files stands for a full disk; without further ado its signal would end the process.
#[tokio::test]
async fn a_full_disk_costs_a_warning_and_no_more() {
    let upstream = simulator(30, 2).await;
    let (folder, file) = folder();
    let mut inner = command();
    inner.args(["--swr.endpoint", &upstream.url(), "--cache.window", "100ms"]);
    inner.args(["--cache.directory", folder.path().to_str().unwrap()]);
    let exporter = start(limited("ulimit -Sf 1", &inner)).await;
    assert_eq!(sizes(&exporter.refreshed(4.0).await), 30);
    let log = exporter.log();
    assert_eq!(log.matches("cannot save the snapshot").count(), 1, "once, not at every refresh: {log}");
    assert!(log.contains("File too large"), "{log}");
    eventually("an attempt leaves nothing behind", || files(folder.path()) == ["default.lock"]).await;
    // Once there is room, the snapshot is kept, and that is said as well.
    let done = std::process::Command::new("prlimit")
        .args(["--pid", &exporter.pid().to_string(), "--fsize=unlimited"])
        .status();
    assert!(done.unwrap().success());
    exporter.refreshed(8.0).await;
    eventually("it is said", || exporter.log().contains("saving the snapshot in")).await;
    assert_eq!(repositories(&file), 30);
}

#[tokio::test]
async fn the_old_setting_of_the_directory_is_answered_with_the_new_one() {
    let mut old = command();
    old.args(["--swr.endpoint", "http://127.0.0.1:1", "--cache.file=/x"]);
    let renamed = "--cache.file: renamed to --cache.directory (in the configuration file: cache_directory)";
    done(old).await.with(2, &[renamed]);
}

/// Odd files in the place of each file of the directory, of which some would block whoever opens them.
#[tokio::test]
async fn odd_files_in_the_directory_stop_neither_the_start_nor_refreshes() {
    let upstream = simulator(30, 2).await;
    for name in ["default.lock", "default.snapshot", "default.tags"] {
        let (folder, _) = folder();
        let path = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let flags = ["--cache.directory", folder.path().to_str().unwrap(), "--cache.window=100ms", "--collector.tags"];
        let mut exporter = exporter(&upstream.url(), &flags).await;
        assert!(exporter.refreshed(3.0).await.is_up(), "{name}");
        assert!(exporter.log().contains("not a regular file"), "{name}: {}", exporter.log());
        exporter.stop().await;
    }
}

/// As `sh` builds a library that lets each sync of a file below a directory hang, as a network disk may.
fn hanging_disk(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("hang.c"), folder.join("hang.so"));
    let code = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
                int fsync(int file) {\n\
                  char link[64], path[4096]; ssize_t size;\n\
                  snprintf(link, sizeof link, \"/proc/self/fd/%d\", file);\n\
                  size = readlink(link, path, sizeof path - 1);\n\
                  if (size > 0) { path[size] = 0; if (strstr(path, \"/hung/\")) for (;;) pause(); }\n\
                  return 0;\n\
                }\n";
    fs::write(&source, code).unwrap();
    let built = std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.unwrap().success());
    library
}

#[tokio::test]
async fn eight_disks_that_hang_hold_up_neither_other_accounts_nor_scrapes_nor_the_end() {
    let upstream = simulator(30, 2).await;
    let (folder, _) = folder();
    let library = hanging_disk(folder.path());
    let account = |name: String, directory: &str| {
        let directory = folder.path().join(directory);
        format!(
            "  {name}: {{ endpoint: {}, cache_directory: {}, cache_window: 200ms }}\n",
            upstream.url(),
            directory.display()
        )
    };
    let hung: String = (0..8).map(|number| account(format!("hung-{number}"), "hung/disk")).collect();
    let accounts = Accounts::new(&format!("accounts:\n{hung}{}", account("fine".to_owned(), "fine")));
    let mut command = command();
    command.arg("--config.file").arg(accounts.path()).env("LD_PRELOAD", &library);
    let mut exporter = start(command).await;
    let probe = async |name: &str, encoding: &str| {
        let url = format!("http://{}/probe?account={name}", exporter.address());
        let start = Instant::now();
        let mut answer = crate::support::client().get(url).header("accept-encoding", encoding).send().await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.unwrap() {
            bytes.extend_from_slice(&piece);
        }
        (start.elapsed(), bytes)
    };
    // Long enough for every account to hang.
    let mut refreshes = 0.0;
    let (begun, mut healthy) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(4) {
        for number in 0..8 {
            for encoding in ["identity", "gzip", "zstd"] {
                let (took, bytes) = probe(&format!("hung-{number}"), encoding).await;
                assert!(took < Duration::from_secs(3) && !bytes.is_empty(), "{took:?}");
            }
        }
        let (_, bytes) = probe("fine", "identity").await;
        let scrape = Scrape::parse(String::from_utf8(bytes.to_vec()).unwrap());
        assert!(scrape.is_up());
        refreshes = scrape.get("swr_refreshes_total").unwrap();
        for _ in 0..5 {
            let start = Instant::now();
            assert_eq!(exporter.get("/-/healthy").await.status(), 200);
            healthy.push(start.elapsed());
        }
    }
    is_prompt(healthy);
    assert!(refreshes > 4.0, "{refreshes} refreshes of the healthy account");
    assert!(folder.path().join("fine/fine.snapshot").exists());
    let start = Instant::now();
    exporter.stop().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_moment_leaves_a_file_that_loads() {
    let upstream = simulator(600, 5).await;
    let url: Arc<str> = upstream.url().into();
    let mut runs = tokio::task::JoinSet::new();
    // Four directories, each through twenty-five processes one after the other.
    for seed in 0..4 {
        let url = url.clone();
        runs.spawn(async move {
            let (folder, file) = folder();
            let flags = ["--cache.window", "1ms", "--swr.rate-limit", "1000"];
            let flags = [&flags[..], &["--cache.directory", folder.path().to_str().unwrap()]].concat();
            let mut random = fastrand::Rng::with_seed(seed);
            // How long the first one takes to its first file; on a loaded machine everything takes longer.
            let mut usual: Option<Duration> = None;
            let mut wrote = 0;
            for _ in 0..25 {
                let before = fs::read(&file).unwrap_or_default();
                let mut exporter = exporter(&url, &flags).await;
                let (address, start) = (exporter.address().to_owned(), Instant::now());
                let scraping = tokio::spawn(async move {
                    while let Ok(stream) = peers::try_connect(&address, 0).await {
                        let _ = peers::exchange(stream, peers::SCRAPE).await;
                    }
                });
                match usual {
                    // Before the first write, in it, and after it.
                    Some(usual) => tokio::time::sleep_until(start + usual.mul_f64(1.2 * random.f64())).await,
                    None => {
                        eventually("the first file", || file.exists()).await;
                        usual = Some(start.elapsed());
                    }
                }
                exporter.kill().await;
                scraping.abort();
                assert_eq!(repositories(&file), 600);
                wrote += usize::from(fs::read(&file).unwrap() != before);
            }
            let last = exporter(&url, &["--cache.directory", folder.path().to_str().unwrap()]).await;
            assert!(last.log().contains("loaded a saved snapshot of 600 repositories"), "{}", last.log());
            let left = files(folder.path());
            assert_eq!(left, ["default.lock", "default.snapshot"], "what the killed left behind is swept up");
            wrote
        });
    }
    let wrote: usize = runs.join_all().await.into_iter().sum();
    println!("{wrote} of 100 had written before they were killed");
    assert!((5..=95).contains(&wrote), "they were killed before and after: {wrote} of 100 wrote");
}

#[tokio::test]
async fn only_what_was_read_from_the_same_account_is_taken_over() {
    let (upstream, other) = (simulator(30, 3).await, simulator(20, 2).await);
    let (folder, file) = folder();
    written(folder.path(), &file, &upstream).await;
    let whole = fs::read(&file).unwrap();
    let (url, other_url) = (upstream.url(), other.url());
    let organization = upstream.handle.with_world(|world| world.namespaces())[0].clone();
    let token = folder.path().join("token");
    fs::write(&token, DEMO_TOKEN).unwrap();
    let token = token.to_str().unwrap();
    let start_with = async |url: &str, flags: &[&str], key: (&str, &str)| {
        fs::write(&file, &whole).unwrap();
        let mut command = command();
        command.env("SWR_EXPORTER_ACCESS_KEY", key.0).env("SWR_EXPORTER_SECRET_KEY", key.1);
        command.args(["--swr.endpoint", url, "--cache.directory", folder.path().to_str().unwrap()]).args(flags);
        start(command).await
    };
    let demo = (DEMO_ACCESS_KEY, DEMO_SECRET_KEY);
    // Settings that say how a list is read, not whose it is.
    for (flags, key) in [
        (&["--swr.list-api=v3", "--swr.page-size=20", "--cache.window=20m"][..], demo),
        (&["--collector.tags", "--collector.account"], demo),
    ] {
        let exporter = start_with(&url, flags, key).await;
        let scrape = exporter.scrape().await;
        assert_eq!(scrape.value("swr_scrapes_total", &[("served", "fresh")]), Some(1.0), "{flags:?}");
        assert_eq!(sizes(&scrape), 30);
    }
    // An inline key may be another customer's. This one is refused by the upstream, so there is nothing to show.
    let exporter = start_with(&url, &[], ("another-key", "another-secret")).await;
    assert_eq!(sizes(&exporter.scrape().await), 0);
    assert!(exporter.log().contains("it was read from another endpoint"), "{}", exporter.log());
    drop(exporter);
    for (url, flags) in [
        (&other_url, &[][..]),
        (&url, &["--swr.namespace", &organization]),
        (&url, &["--swr.project-id", DEMO_PROJECT_ID]),
        (&url, &["--credentials.source", "token", "--credentials.token-file", token]),
    ] {
        let exporter = start_with(url, flags, demo).await;
        let scrape = exporter.scrape_until("data from the upstream", Scrape::is_up).await;
        assert_eq!(scrape.value("swr_scrapes_total", &[("served", "fresh")]), Some(0.0), "{flags:?}");
        let log = exporter.log();
        assert_eq!(log.matches("it was read from another endpoint").count(), 1, "{flags:?}: {log}");
        let expected = match flags {
            [] => other.handle.repositories().len(),
            ["--swr.namespace", name] => {
                upstream.handle.repositories().iter().filter(|row| row.namespace == *name).count()
            }
            _ => 30,
        };
        assert_eq!(sizes(&scrape), expected, "{flags:?}");
    }
}
