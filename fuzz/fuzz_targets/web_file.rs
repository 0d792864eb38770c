//! The web configuration file: no panic, and errors name their place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::OnceLock;
use swr_exporter::config::web_file;

/// In memory if possible: the file is rewritten for each input.
fn file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        folder.join(format!("swr-exporter-fuzz-{}.yml", std::process::id()))
    })
}

fuzz_target!(|bytes: &[u8]| {
    let path = file();
    std::fs::write(path, bytes).unwrap();
    let Err((problems, files)) = web_file::read(path) else { return };
    assert!(!problems.list().is_empty() && files[0] == *path);
    let place = path.display().to_string();
    assert!(problems.list().iter().all(|problem| problem.starts_with(&place)), "{problems}");
});
