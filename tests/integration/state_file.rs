//! The snapshot that outlives its process: what a restart finds, and what it makes of it when that is not what it should be.

use crate::accounts::Accounts;
use crate::peers;
use crate::support::{Exporter, Scrape, command, eventually, exporter, simulator, start};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
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
    exporter(&upstream.url(), &["--cache.file", folder.to_str().unwrap(), "--cache.window", window]).await
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
    first.signal("TERM");
    assert_eq!(first.ended().await.code(), Some(0));
    scrape
}

#[tokio::test]
async fn a_restart_serves_at_once_and_asks_nothing_inside_the_window() {
    let upstream = simulator(300, 5).await;
    let (folder, file) = folder();
    let before = written(folder.path(), &file, &upstream).await;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(files(folder.path()), ["default.lock", "default.snapshot"]);
    upstream.handle.clear_journal();

    // An upstream that is down makes no difference inside the window.
    upstream.handle.fault(Rule::always(Action::error(503, Shape::Html, "", "")));
    let second = keeping_in(folder.path(), &upstream, "10m").await;
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
    assert!(second.log().contains("took over a snapshot of 300 repositories"), "{}", second.log());
    drop(second);

    // Past its window it is asked for anew, and past its age it is nothing to serve.
    let third = exporter(
        &upstream.url(),
        &["--cache.file", folder.path().to_str().unwrap(), "--cache.window", "1ms", "--cache.max-age", "1h"],
    )
    .await;
    let stale = third.scrape().await;
    assert_eq!((sizes(&stale), stale.value("swr_scrapes_total", &[("served", "stale")])), (300, Some(1.0)));
    assert!(upstream.handle.total() > 0);
    drop(third);
    let flags = ["--cache.file", folder.path().to_str().unwrap(), "--cache.window", "1ms", "--cache.max-age", "1ms"];
    let fourth = exporter(&upstream.url(), &flags).await;
    assert_eq!(sizes(&fourth.scrape().await), 0);
}

#[tokio::test]
async fn the_file_holds_no_secret() {
    let upstream = simulator(30, 2).await;
    let (folder, file) = folder();
    written(folder.path(), &file, &upstream).await;
    let bytes = fs::read(&file).unwrap();
    for secret in [DEMO_ACCESS_KEY, DEMO_SECRET_KEY, &upstream.url()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
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
        (changed(15, whole[15] ^ 1), "is corrupt"),
        (changed(40, whole[40] ^ 1), "is corrupt"),
        (whole[..whole.len() / 2].to_vec(), "is corrupt or truncated"),
        (whole[..30].to_vec(), "is corrupt or truncated"),
        ([whole.clone(), vec![0]].concat(), "is corrupt"),
        (changed(8, 99), "has format 99"),
        (changed(8, 3), "has format 3"),
        (encoded(&snapshot, Origin::default(), now), "was read from another endpoint"),
        (b"{\"a\": \"foreign file\"}".repeat(10), "is no state file of this exporter"),
        (Vec::new(), "is no state file of this exporter"),
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
        assert!(warnings[0].contains(problem) && warnings[0].contains("is ignored"), "{problem}: {log}");
        eventually("a good file replaces it", || fs::read(&file).is_ok_and(|now| now != bytes)).await;
        assert_eq!(repositories(&file), 30);
        exporter.signal("KILL");
        exporter.ended().await;
    }
}

#[tokio::test]
async fn only_what_was_read_from_the_same_account_is_taken_over() {
    let (upstream, other) = (simulator(30, 3).await, simulator(20, 2).await);
    let (folder, file) = folder();
    written(folder.path(), &file, &upstream).await;
    let whole = fs::read(&file).unwrap();
    let (url, other_url) = (upstream.url(), other.url());
    let organisation = upstream.handle.with_world(|world| world.namespaces())[0].clone();
    let token = folder.path().join("token");
    fs::write(&token, DEMO_TOKEN).unwrap();
    let token = token.to_str().unwrap();
    let start_with = async |url: &str, flags: &[&str], key: (&str, &str)| {
        fs::write(&file, &whole).unwrap();
        let mut command = command();
        command.env("SWR_EXPORTER_ACCESS_KEY", key.0).env("SWR_EXPORTER_SECRET_KEY", key.1);
        command.args(["--swr.endpoint", url, "--cache.file", folder.path().to_str().unwrap()]).args(flags);
        start(command).await
    };
    let demo = (DEMO_ACCESS_KEY, DEMO_SECRET_KEY);
    // What says of a list whose it is, or how it is read, and a key that has been replaced.
    for (flags, key) in [
        (&[][..], ("another-key", "another-secret")),
        (&["--swr.list-api=v3", "--swr.page-size=20", "--cache.window=20m"], demo),
        (&["--collector.tags", "--collector.account"], demo),
    ] {
        let exporter = start_with(&url, flags, key).await;
        let scrape = exporter.scrape().await;
        assert_eq!(scrape.value("swr_scrapes_total", &[("served", "fresh")]), Some(1.0), "{flags:?}");
        assert_eq!(sizes(&scrape), 30);
    }
    for (url, flags) in [
        (&other_url, &[][..]),
        (&url, &["--swr.namespace", &organisation]),
        (&url, &["--swr.project-id", DEMO_PROJECT_ID]),
        (&url, &["--credentials.source", "token", "--credentials.token-file", token]),
    ] {
        let exporter = start_with(url, flags, demo).await;
        let scrape = exporter.scrape_until("data from the upstream", Scrape::is_up).await;
        assert_eq!(scrape.value("swr_scrapes_total", &[("served", "fresh")]), Some(0.0), "{flags:?}");
        let log = exporter.log();
        assert_eq!(log.matches("is ignored: it was read from another endpoint").count(), 1, "{flags:?}: {log}");
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

#[tokio::test]
async fn an_account_that_is_given_another_endpoint_serves_nothing_of_the_one_before() {
    let (upstream, other) = (simulator(30, 3).await, simulator(20, 2).await);
    let folder = tempfile::tempdir().unwrap();
    let text = |upstream: &Running, collector: &str| {
        let (url, folder) = (upstream.url(), folder.path().display());
        let more = format!("    cache_file: {folder}\n    collectors: [repositories, {collector}]\n");
        format!("accounts:\n  one:\n    endpoint: {url}\n{more}")
    };
    let accounts = Accounts::new(&text(&upstream, "tags"));
    let exporter = accounts.start().await;
    let tags = |scrape: &Scrape| scrape.get("swr_tags_pending") == Some(0.0);
    exporter.scrape_until("data", |scrape| scrape.is_up() && tags(scrape)).await;
    let kept = ["snapshot", "tags"].map(|ending| folder.path().join(format!("one.{ending}")));
    eventually("it is kept", || kept.iter().all(|file| file.exists())).await;

    // What a process is writing while settings are read again is its own.
    let temporary = folder.path().join(format!("one.snapshot.{}.0.tmp", exporter.pid()));
    fs::write(&temporary, "half").unwrap();
    accounts.write(&text(&other, "tags"));
    exporter.signal("HUP");
    eventually("it is read", || {
        exporter.log().contains("settings were read again on SIGHUP: 0 accounts unchanged, 1 c")
    })
    .await;
    assert!(temporary.exists());
    let scrape = exporter.scrape_until("data of the other", Scrape::is_up).await;
    assert_eq!((sizes(&scrape), scrape.value("swr_scrapes_total", &[("served", "fresh")])), (20, Some(0.0)));
    let log = exporter.log();
    assert_eq!(log.matches("is ignored: it was read from another endpoint").count(), 2, "{log}");
}

#[tokio::test]
async fn of_two_processes_the_first_keeps_the_state_until_it_is_killed_and_then_the_other() {
    let upstream = simulator(30, 2).await;
    let (folder, file) = folder();
    let (url, directory) = (upstream.url(), folder.path().display());
    let settings = |window| {
        format!("accounts:\n  default: {{ endpoint: {url}, cache_file: {directory}, cache_window: {window} }}\n")
    };
    let accounts = Accounts::new(&settings("10m"));
    let mut first = accounts.start().await;
    first.scrape_until("data", Scrape::is_up).await;
    eventually("the snapshot is kept", || file.exists()).await;
    let kept = fs::read(&file).unwrap();
    accounts.write(&settings("11m"));
    eventually("the account has a successor, which holds the lock on", || first.log().contains("1 changed")).await;

    let second = keeping_in(folder.path(), &upstream, "50ms").await;
    let refreshed = |times| move |scrape: &Scrape| scrape.get("swr_refreshes_total") >= Some(times);
    second.scrape_until("it refreshes", refreshed(5.0)).await;
    assert_eq!(fs::read(&file).unwrap(), kept, "the first one's");
    let told = format!("another process holds {directory}/default.lock: ");
    assert_eq!(second.log().matches(&told).count(), 1, "once: {}", second.log());

    first.signal("KILL");
    first.ended().await;
    second.scrape_until("it goes on", refreshed(7.0)).await;
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
    for directory in [folder.path().join("does-not-exist"), a_file, occupied, "/proc".into(), "/dev/null".into()] {
        let exporter = keeping_in(&directory, &upstream, "100ms").await;
        for generation in 1..=4 {
            let refreshed = |scrape: &Scrape| scrape.get("swr_refreshes_total") >= Some(f64::from(generation));
            let scrape = exporter.scrape_until("refreshes go on", refreshed).await;
            assert!(scrape.is_up() && sizes(&scrape) == 30);
        }
        let about = format!("cannot keep the snapshot in {}/default.snapshot: ", directory.display());
        eventually("it is said", || exporter.log().contains(&about)).await;
        assert_eq!(exporter.log().matches(&about).count(), 1, "once, not at every refresh: {}", exporter.log());
    }
}

#[tokio::test]
async fn a_full_disk_costs_a_warning_and_no_more() {
    assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
    let upstream = simulator(30, 2).await;
    let (folder, file) = folder();
    let exporter = keeping_in(folder.path(), &upstream, "100ms").await;
    // The device that is always full, in the place of the temporary file.
    let temporary = folder.path().join(format!("default.snapshot.{}.0.tmp", exporter.pid()));
    std::os::unix::fs::symlink("/dev/full", &temporary).unwrap();
    let scrape = exporter.scrape_until("data", Scrape::is_up).await;
    assert_eq!(sizes(&scrape), 30);
    eventually("it is said", || exporter.log().contains("cannot keep the snapshot")).await;
    assert!(exporter.log().contains("No space left on device"), "{}", exporter.log());
    // What was left of the attempt is gone, so the next one finds room.
    exporter.scrape_until("the next refresh", |scrape| scrape.get("swr_refreshes_total") >= Some(2.0)).await;
    eventually("the snapshot is kept", || file.exists()).await;
    assert_eq!(repositories(&file), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_moment_leaves_a_file_that_loads() {
    let upstream = simulator(600, 5).await;
    let url: Arc<str> = upstream.url().into();
    let mut lanes = tokio::task::JoinSet::new();
    // Four directories, each through twenty-five processes one after the other.
    for lane in 0..4 {
        let url = url.clone();
        lanes.spawn(async move {
            let (folder, file) = folder();
            let flags = ["--cache.window", "1ms", "--swr.rate-limit", "1000"];
            let flags = [&flags[..], &["--cache.file", folder.path().to_str().unwrap()]].concat();
            let mut random = fastrand::Rng::with_seed(lane);
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
                exporter.signal("KILL");
                exporter.ended().await;
                scraping.abort();
                assert_eq!(repositories(&file), 600);
                wrote += usize::from(fs::read(&file).unwrap() != before);
            }
            let last = exporter(&url, &["--cache.file", folder.path().to_str().unwrap()]).await;
            assert!(last.log().contains("took over a snapshot of 600 repositories"), "{}", last.log());
            let left = files(folder.path());
            assert_eq!(left, ["default.lock", "default.snapshot"], "what the killed left behind is swept up");
            wrote
        });
    }
    let wrote: usize = lanes.join_all().await.into_iter().sum();
    println!("{wrote} of 100 had written before they were killed");
    assert!((5..=95).contains(&wrote), "they were killed before and after: {wrote} of 100 wrote");
}
