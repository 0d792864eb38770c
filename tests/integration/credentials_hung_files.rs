//! Secret files on a file system that hangs: opening them takes longer than anybody waits.

use crate::support::{Exporter, command, simulator, start};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use swr_simulator::{DEMO_ACCESS_KEY, DEMO_SECRET_KEY, Running};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Holds a lease on each file: opening one waits until the kernel breaks the lease, after 45 s.
const LEASES: &str = "
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
held = [os.open(path, os.O_RDWR) for path in sys.argv[1:]]
for file in held:
    while True:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            break
        except OSError:
            time.sleep(0.001)
print('held', flush=True)
time.sleep(60)
";

async fn hang(files: &[PathBuf]) -> Child {
    let mut command = Command::new("python3");
    command.arg("-c").arg(LEASES).args(files).stdout(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().expect("python3 is installed");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("held"));
    process
}

/// An exporter with a healthy account whose key is in the environment and some with keys in files.
async fn with_accounts(upstream: &Running, with_files: usize) -> (Exporter, tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = "accounts:\n  healthy: {}\n".to_owned();
    let mut files = Vec::new();
    for number in 0..with_files {
        config += &format!("  files-{number}:\n    credentials:\n");
        for (setting, secret) in [("access_key_file", DEMO_ACCESS_KEY), ("secret_key_file", DEMO_SECRET_KEY)] {
            let path = folder.path().join(format!("{setting}-{number}"));
            std::fs::write(&path, secret).unwrap();
            config += &format!("      {setting}: {}\n", path.display());
            files.push(path);
        }
    }
    let path = folder.path().join("accounts.yml");
    std::fs::write(&path, config).unwrap();
    let mut command = command();
    command.args(["--swr.endpoint", &upstream.url(), "--cache.window", "200ms", "--collector.tags", "--config.file"]);
    command.arg(path);
    (start(command).await, folder, files)
}

/// Everything but the accounts of the hung files goes on, and the exporter ends when it is told to.
async fn goes_on(mut exporter: Exporter, accounts: usize, has_data: bool) {
    let before = exporter.probe("healthy").await.get("swr_snapshot_timestamp_seconds");
    let (start, mut took) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_secs(4) {
        let asked = Instant::now();
        assert_eq!(exporter.get("/-/healthy").await.status(), 200);
        took.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    is_prompt(took);
    let healthy = exporter.probe("healthy").await;
    assert_eq!(healthy.get("swr_up"), Some(1.0));
    assert!(healthy.get("swr_snapshot_timestamp_seconds") > before, "it is fresh");
    if has_data {
        for number in 0..accounts {
            let hung = exporter.probe(&format!("files-{number}")).await;
            assert_eq!(hung.series("swr_repository_size_bytes").len(), 20);
        }
    }
    let told = Instant::now();
    exporter.stop().await;
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

/// Each of these answers came soon, and most of them at once; a loaded machine delays some.
pub fn is_prompt(mut took: Vec<Duration>) {
    took.sort();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    assert!(median < Duration::from_millis(100) && longest < Duration::from_secs(2), "{median:?}, {longest:?}");
}

#[tokio::test]
async fn secret_files_that_hang_stop_neither_scrapes_nor_other_accounts_nor_the_end() {
    let upstream = simulator(20, 2).await;
    let (exporter, _folder, files) = with_accounts(&upstream, 4).await;
    for number in 0..4 {
        let good = exporter.probe(&format!("files-{number}")).await;
        assert_eq!(good.get("swr_up"), Some(1.0), "{}", exporter.log());
    }
    let _hung = hang(&files).await;
    goes_on(exporter, 4, true).await;
}

#[tokio::test]
async fn secret_files_that_hang_from_the_start_stop_their_accounts_alone() {
    let upstream = simulator(20, 2).await;
    let (exporter, _folder, files) = with_accounts(&upstream, 12).await;
    // Nobody has scraped these accounts yet.
    let _hung = hang(&files).await;
    let asking = async {
        let asked = (0..12).map(|number| {
            let exporter = &exporter;
            async move { exporter.get(&format!("/probe?account=files-{number}")).await }
        });
        futures_util::future::join_all(asked).await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), asking).await;
    goes_on(exporter, 12, false).await;
}
