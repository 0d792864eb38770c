//! Copies of secrets in the memory of the process.

use crate::credentials_sources::{file_with, scrapes_well, with_password, without_credential};
use crate::support::{Exporter, simulator, start};
use memchr::memmem;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;
use swr_simulator::{AccessKey, DEMO_PASSWORD};

/// How often a text stands in the writable memory of a process.
fn found(exporter: &Exporter, text: &str) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", exporter.pid())).unwrap();
    let memory = File::open(format!("/proc/{}/mem", exporter.pid())).unwrap();
    let mut count = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        // The environment stays on the stack for good; files are for those who want secrets wiped.
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            count += memmem::find_iter(&bytes, text).count();
        }
    }
    count
}

#[tokio::test]
async fn a_secret_key_that_was_replaced_is_gone_from_memory() {
    const OLD: &str = "old+secret/key0123456789abcdefghijklmnop";
    const NEW: &str = "new+secret/key0123456789abcdefghijklmnop";
    let upstream = simulator(30, 3).await;
    upstream.handle.configure(|options| {
        for (access_key, secret_key) in [("OLDKEY", OLD), ("NEWKEY", NEW)] {
            let (access_key, secret_key) = (access_key.to_owned(), secret_key.to_owned());
            options.access_keys.push(AccessKey { access_key, secret_key, security_token: None });
        }
    });
    let (folder, secret) = file_with(OLD);
    let id = folder.path().join("id");
    std::fs::write(&id, "OLDKEY").unwrap();
    let mut command = without_credential(&upstream);
    command.arg("--credentials.access-key-file").arg(&id).arg("--credentials.secret-key-file").arg(&secret);
    let exporter = start(command).await;
    scrapes_well(&exporter, Duration::from_millis(300)).await;
    assert!(found(&exporter, OLD) > 0, "the search finds what is in use");
    std::fs::write(&id, "NEWKEY").unwrap();
    std::fs::write(&secret, NEW).unwrap();
    scrapes_well(&exporter, Duration::from_secs(2)).await;
    assert!(found(&exporter, NEW) > 0);
    assert_eq!(found(&exporter, OLD), 0);
}

#[tokio::test]
async fn a_password_is_in_memory_only_while_it_is_needed() {
    let (upstream, (_folder, password)) = (simulator(30, 3).await, file_with(DEMO_PASSWORD));
    let exporter = start(with_password(&upstream, &password)).await;
    scrapes_well(&exporter, Duration::from_secs(2)).await;
    assert!(found(&exporter, DEMO_PASSWORD) <= 1, "{} copies", found(&exporter, DEMO_PASSWORD));
}

#[tokio::test]
async fn a_crash_leaves_no_dump_of_the_memory() {
    let upstream = simulator(3, 1).await;
    let exporter = crate::support::exporter(&upstream.url(), &[]).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", exporter.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}
