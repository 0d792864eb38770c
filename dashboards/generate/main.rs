//! Writes the Grafana dashboards, `dashboards/*.json`: `cargo run --example dashboards`.
#![allow(unreachable_pub, reason = "nothing of an example is reachable from elsewhere")]

mod cleanup;
mod dashboard;
mod enterprise;
mod exporter;
mod overview;
mod panel;
mod query;
mod repository;
mod tables;
mod variable;

use std::path::{Path, PathBuf};

/// Each dashboard's file and its text.
fn files() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    [overview::dashboard(), cleanup::dashboard(), repository::dashboard(), exporter::dashboard()]
        .map(|dashboard| {
            let text = serde_json::to_string_pretty(&dashboard.json()).expect("JSON can be written");
            (folder.join(format!("{}.json", dashboard.uid)), text + "\n")
        })
        .into()
}

fn main() -> std::io::Result<()> {
    files().into_iter().try_for_each(|(file, text)| std::fs::write(file, text))
}

#[test]
fn the_dashboards_are_as_generated() {
    for (file, text) in files() {
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == text, "{} is out of date: cargo run --example dashboards", file.display());
    }
}
