//! The Grafana dashboards: panels explain themselves, do not overlap, and their links lead somewhere.
//!
//! What their queries return is tested against a real Prometheus (`tests/integration/dashboards.rs`).

use super::{read, root};
use serde_json::Value;
use std::collections::BTreeSet;

fn dashboards() -> Vec<Value> {
    let files = std::fs::read_dir(root().join("dashboards")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|ending| ending == "json"));
    let dashboards: Vec<Value> = files.map(|file| serde_json::from_str(&read(file)).unwrap()).collect();
    assert_eq!(dashboards.len(), 4);
    dashboards
}

/// The panels of a dashboard, those of folded rows included.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let top = dashboard["panels"].as_array().unwrap();
    top.iter()
        .flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
        .collect()
}

fn variables(dashboard: &Value) -> BTreeSet<&str> {
    let list = dashboard["templating"]["list"].as_array().unwrap();
    list.iter().map(|variable| variable["name"].as_str().unwrap()).collect()
}

/// Grafana takes every JSON file below the folder that it is given for a dashboard.
#[test]
fn the_folder_that_grafana_reads_holds_no_other_json() {
    let mut folders = vec![root().join("dashboards")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            found += usize::from(path.extension().is_some_and(|ending| ending == "json"));
            folders.extend(path.is_dir().then_some(path));
        }
    }
    assert_eq!(found, dashboards().len());
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_what_an_empty_one_means() {
    for dashboard in dashboards() {
        let (mut titles, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()));
            if panel["type"] == "row" {
                continue;
            }
            assert!(titles.insert(title), "{}: two panels are called {title}", dashboard["uid"]);
            let about = panel["description"].as_str().unwrap();
            assert!(about.len() > 10 && about.ends_with('.'), "{title}: a description is a sentence");
            for key in ["unit", "noValue"] {
                let text = panel["fieldConfig"]["defaults"][key].as_str().unwrap();
                assert!(!text.is_empty(), "{title} has no {key}");
            }
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title} queries nothing");
        }
    }
}

#[test]
fn panels_lie_side_by_side_and_do_not_overlap() {
    for dashboard in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in panels(&dashboard) {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{} is too wide", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{}: {} lies on another", dashboard["uid"], panel["title"]);
                }
            }
        }
    }
}

/// At 1,280 pixels a panel of full width has some 1,240 for its table. A column without a width has at least 150.
#[test]
fn the_columns_of_a_table_of_several_accounts_fit_on_a_small_screen() {
    for dashboard in dashboards() {
        for panel in panels(&dashboard).into_iter().filter(|panel| panel["type"] == "table") {
            let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
            let hidden = &panel["transformations"][1]["options"]["excludeByName"];
            let width = |of: &Value| {
                let properties = of["properties"].as_array().unwrap().iter();
                let mut widths = properties.filter(|property| property["id"] == "custom.width");
                widths.next().map_or(150, |property| property["value"].as_u64().unwrap())
            };
            // Clusters and jobs that are looked at side by side are rare: then tables scroll.
            let needed: u64 = overrides
                .iter()
                .filter(|of| {
                    let name = of["matcher"]["options"].as_str().unwrap();
                    !["cluster", "job"].contains(&name) && hidden[name] != true
                })
                .map(width)
                .sum();
            let room = panel["gridPos"]["w"].as_u64().unwrap() * 1240 / 24;
            assert!(needed <= room, "{}: {} needs {needed} of {room}", dashboard["uid"], panel["title"]);
        }
    }
}

#[test]
fn links_lead_to_dashboards_and_variables_that_exist() {
    let all = dashboards();
    let mut links = 0;
    for dashboard in &all {
        let text = dashboard.to_string();
        for (at, prefix) in text.match_indices("/d/") {
            let link = text[at + prefix.len()..].split('"').next().unwrap();
            let (uid, query) = link.split_once('?').unwrap();
            let target = all.iter().find(|other| other["uid"] == uid).unwrap_or_else(|| panic!("no dashboard {uid}"));
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
    assert!(links >= 20, "from tables and states to what is behind them: {links}");
}
