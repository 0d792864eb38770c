//! The Grafana dashboards: written here in few words, kept as JSON in `dashboards/`, and held together by a test.
//!
//! After a change, `REGENERATE=1 cargo test --test dashboards` writes the files anew. That their queries are understood and
//! find data is tested against a real Prometheus (`tests/integration/observing.rs`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(unreachable_pub, reason = "nothing of a test binary is reachable from elsewhere")]

mod dashboard;
mod enterprise;
mod exporter;
mod overview;
mod panel;
mod repository;

use dashboard::Dashboard;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The panels of a dashboard, those that are folded away included.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let top = dashboard["panels"].as_array().unwrap();
    top.iter()
        .flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
        .collect()
}

fn all() -> [Dashboard; 3] {
    [overview::dashboard(), repository::dashboard(), exporter::dashboard()]
}

#[test]
fn the_files_are_what_is_written_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    for dashboard in all() {
        let file = folder.join(format!("{}.json", dashboard.uid));
        let text = serde_json::to_string_pretty(&dashboard.json()).unwrap() + "\n";
        if std::env::var_os("REGENERATE").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == text, "{} is out of date: REGENERATE=1 cargo test --test dashboards", file.display());
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_what_an_empty_one_means() {
    for dashboard in all() {
        let json = dashboard.json();
        let (mut titles, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for panel in panels(&json) {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()));
            if panel["type"] == "row" {
                continue;
            }
            assert!(titles.insert(title), "{}: two panels are called {title}", dashboard.uid);
            let about = panel["description"].as_str().unwrap();
            assert!(about.len() > 10 && about.ends_with('.'), "{title}: a description is a sentence");
            for key in ["unit", "noValue"] {
                let text = panel["fieldConfig"]["defaults"][key].as_str().unwrap();
                assert!(!text.is_empty(), "{title} has no {key}");
            }
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title} asks nothing");
        }
    }
}

#[test]
fn panels_lie_side_by_side_and_do_not_overlap() {
    for dashboard in all() {
        let json = dashboard.json();
        let mut taken = BTreeSet::new();
        for panel in panels(&json) {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{} is too wide", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{}: {} lies on another", dashboard.uid, panel["title"]);
                }
            }
        }
    }
}

#[test]
fn links_lead_to_dashboards_and_variables_that_exist() {
    let all = all().map(|dashboard| dashboard.json());
    let mut links = 0;
    for dashboard in &all {
        let text = dashboard.to_string();
        for (at, prefix) in text.match_indices("/d/") {
            let link = text[at + prefix.len()..].split('"').next().unwrap();
            let (uid, query) = link.split_once('?').unwrap();
            let target = all.iter().find(|other| other["uid"] == uid).unwrap_or_else(|| panic!("no dashboard {uid}"));
            let variables = |of: &Value| -> BTreeSet<String> {
                let list = of["templating"]["list"].as_array().unwrap();
                list.iter().map(|variable| variable["name"].as_str().unwrap().to_owned()).collect()
            };
            for part in query.split('&').filter(|part| *part != "${__url_time_range}") {
                let name = match part.strip_prefix("var-") {
                    Some(part) => part.split('=').next().unwrap(),
                    None => part.strip_prefix("${").unwrap().split(':').next().unwrap(),
                };
                assert!(variables(target).contains(name), "{uid} has no variable {name}");
            }
            assert!(query.contains("${__url_time_range}"), "{link} forgets the time that is looked at");
            links += 1;
        }
    }
    assert!(links >= 6, "from the tables and the states to what is behind them");
}
