//! Valid and invalid web configuration files: the cases of Prometheus' exporter toolkit and more. Settings that the toolkit
//! accepts and this server cannot honour (suites without authenticated encryption, curve P-521) are invalid here.

use crate::support::{Ended, bare, done};
use crate::web_support::{Folder, fixtures};
use std::path::Path;

/// How `check --offline` ends for a folder's `web.yml`.
async fn check(folder: &Folder) -> Ended {
    let mut check = bare();
    check.env("SWR_EXPORTER_ACCESS_KEY", "AK").env("SWR_EXPORTER_SECRET_KEY", "SK");
    check.args(["check", "--offline", "--swr.endpoint", "https://swr.example", "--web.config.file", "web.yml"]);
    check.current_dir(folder.path("."));
    done(check).await
}

/// The fixtures whose names have this ending.
fn named(end: &str) -> Vec<(String, std::path::PathBuf)> {
    let files = std::fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().strip_suffix(end).map(str::to_owned);
    let mut named: Vec<_> = files.filter_map(|path| Some((name(&path)?, path))).collect();
    named.sort();
    named
}

#[tokio::test]
async fn every_valid_file_is_accepted() {
    let folder = Folder::new();
    let good = named(".good.yml");
    assert!(good.len() > 25);
    for (name, path) in good {
        folder.fill_in(&path);
        let Ended { code, said, .. } = check(&folder).await;
        assert_eq!((code, said.as_str()), (Some(0), ""), "{name}");
    }
}

#[tokio::test]
async fn every_invalid_file_is_refused_with_the_messages_at_its_top() {
    let folder = Folder::new();
    let bad = named(".bad.yml");
    assert!(bad.len() > 40);
    for (name, path) in bad {
        folder.fill_in(&path);
        let text = folder.read("web.yml");
        let expected: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
        let Ended { code, said, .. } = check(&folder).await;
        let problems: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
        assert_eq!((problems, code), (expected, Some(2)), "{name}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
