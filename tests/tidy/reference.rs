//! Tables of closed sets - paths, label values, permissions, variables, files - agree with the code.

use super::{constant, documents, is_part_of_a_name, quoted, read, rows, section, shipped_files};
use prometheus::Registry;
use std::collections::BTreeSet;
use swr_exporter::config::StateFiles;
use swr_exporter::failure::Reason;
use swr_exporter::{auth, cache, cli, collect, swr, web};

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// The names between backticks in one column of the tables of a section.
fn column(document: &str, heading: &str, index: usize) -> BTreeSet<String> {
    let table = rows(section(document, heading));
    set(table.iter().flat_map(|cells| quoted(&cells[index])))
}

#[test]
fn every_path_is_listed_with_its_methods() {
    let listed: Vec<_> = rows(&read("docs/endpoints.md"))
        .iter()
        .map(|cells| (quoted(&cells[0])[0].split('?').next().unwrap().to_owned(), cells[1].clone()))
        .collect();
    let options = web::Options::default();
    let served = web::paths(&options).map(|(path, allow)| (path.to_owned(), allow.replace(", OPTIONS", "")));
    assert_eq!(listed, Vec::from_iter(served), "left: docs/endpoints.md; right: src/web/route.rs");
}

#[test]
fn every_value_of_a_label_with_a_fixed_set_of_values_is_listed() {
    let registry = Registry::new();
    cache::metrics::Counters::new(&registry);
    collect::Metrics::new(&registry);
    swr::Metrics::new(&registry);
    web::Metrics::new(&registry);
    let metrics = read("docs/metrics.md");
    let table = rows(&metrics);
    let mut compared = 0;
    for family in registry.gather() {
        let values: BTreeSet<String> = family
            .get_metric()
            .iter()
            .flat_map(prometheus::proto::Metric::get_label)
            .map(|label| label.value().to_owned())
            .collect();
        if values.len() < 2 {
            continue;
        }
        let name = family.name();
        let row = table.iter().find(|cells| cells[0] == format!("`{name}`")).unwrap();
        assert_eq!(set(quoted(&row[3])), values, "left: docs/metrics.md; right: the values of {name}");
        compared += 1;
    }
    assert_eq!(compared, 6);
    let operations =
        swr::Operation::ALL.iter().map(|operation| operation.as_str()).chain(auth::Operation::LABELS.iter().copied());
    let row = table.iter().find(|cells| cells[0] == "`swr_api_requests_total`").unwrap();
    assert_eq!(set(quoted(&row[3]).into_iter().filter(|word| *word != "none")), set(operations));
}

#[test]
fn every_reason_of_a_failed_refresh_is_explained() {
    let listed = column(&read("docs/troubleshooting.md"), "## Failed refreshes", 0);
    assert_eq!(listed, set(Reason::LABELS.iter().copied()));
}

#[test]
fn every_permission_that_a_call_needs_is_listed() {
    let document = read("docs/permissions.md");
    let listed = set(quoted(&document).into_iter().filter(|word| word.starts_with("swr:") || word.starts_with("iam:")));
    let needed = swr::Operation::ALL.iter().filter_map(|operation| operation.permission());
    assert_eq!(listed, set(needed), "left: docs/permissions.md; right: src/swr/metrics.rs");
    let collectors = column(&document, "## IAM actions for each collector", 0);
    let known = cli::flags::ALL.iter().filter(|flag| flag.key == Some("collectors"));
    assert_eq!(collectors, set(known.filter_map(|flag| flag.name.strip_prefix("collector."))));
}

#[test]
fn every_source_of_credentials_is_listed_in_its_order() {
    let table = rows(section(&read("docs/credentials.md"), "## Sources"));
    let listed: Vec<_> = table.iter().map(|cells| quoted(&cells[0])[0]).collect();
    let known = cli::flags::flag("credentials.source").suggestions();
    assert_eq!(listed, known[1..], "`auto`, then these");
}

#[test]
fn every_variable_of_the_vendor_and_of_the_system_is_in_a_document() {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let foreign = |word: &&str| ["HUAWEICLOUD_", "HC_CONTAINER_"].iter().any(|start| word.starts_with(start));
    let code: Vec<String> = shipped_files().into_values().collect();
    // Literals alone: messages also name variables.
    let literals = code.iter().flat_map(|text| text.split('"')).filter(|text| text.chars().all(is_name));
    let read_by_us: BTreeSet<String> = set(literals.filter(foreign).filter(|name| !name.ends_with('_')));
    let texts: Vec<String> = documents().iter().map(read).collect();
    let words = texts.iter().flat_map(|text| text.split(|c| !is_part_of_a_name(c)));
    // A variable for each region, and the rest of the vendor's.
    let named = set(words.filter(foreign).filter(|word| !word.ends_with('_') && !word.contains("_REGION_")));
    assert_eq!(named, read_by_us, "left: the documents; right: src");
    let listed = column(&read("docs/settings.md"), "## Variables without a flag", 0);
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "NO_COLOR"] {
        assert!(listed.contains(name), "docs/settings.md lacks {name}");
        assert!(code.iter().any(|text| text.contains(&format!("\"{name}\""))), "nothing reads {name}");
    }
}

#[test]
fn every_key_of_the_web_configuration_file_is_listed() {
    let listed = column(&read("docs/tls.md"), "## The web configuration file", 0);
    let values = column(&read("docs/tls.md"), "## The web configuration file", 1);
    let is_key =
        |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let listed: BTreeSet<String> = listed.into_iter().chain(values).filter(|word| is_key(word)).collect();
    let files = shipped_files();
    let code =
        ["src/config/web_file.rs", "src/config/web_file/tls.rs"].map(|path| files[std::path::Path::new(path)].clone());
    // The literals that name a key: all but the values of switches.
    let literals = code.iter().flat_map(|text| text.split('"').skip(1).step_by(2));
    let taken = set(literals.filter(|word| word.contains('_') && is_key(word)));
    assert!(taken.is_subset(&listed), "docs/tls.md lacks {:?}", taken.difference(&listed));
    for key in &listed {
        assert!(code.iter().any(|text| text.contains(&format!("\"{key}\""))), "nothing reads {key}");
    }
}

#[test]
fn every_state_file_is_listed() {
    let listed = column(&read("docs/behaviour.md"), "## Restarts", 0);
    let listed: BTreeSet<_> = listed.iter().filter_map(|name| Some(name.split_once('.')?.1.to_owned())).collect();
    assert_eq!(listed, set(StateFiles::ENDINGS.into_iter().chain(StateFiles::OF_TAGS)));
}

#[test]
fn the_exit_codes_of_the_manual_are_those_of_the_document() {
    let table = rows(section(&read("docs/settings.md"), "## Exit codes"));
    let listed = set(table.iter().map(|cells| cells[0].as_str()));
    let manual = cli::help::MANUAL.split_once(".SH EXIT STATUS\n").unwrap().1;
    assert_eq!(listed, set(manual.lines().filter_map(|line| line.strip_prefix(".B "))));
}

#[test]
fn every_package_that_the_tests_install_is_listed() {
    let listed = column(&read("CONTRIBUTING.md"), "## Test", 0);
    let script = read("tests/run");
    let installed = script.split("packages+=(").skip(1).map(|rest| rest.split(')').next().unwrap());
    assert_eq!(listed, set(installed), "left: CONTRIBUTING.md; right: tests/run");
}

#[test]
fn the_changelog_names_every_renamed_flag() {
    let changelog = read("CHANGELOG.md");
    for flag in cli::flags::RENAMED {
        let row = rows(&changelog).into_iter().find(|cells| cells[0].contains(&format!("`--{}`", flag.name)));
        let row = row.unwrap_or_else(|| panic!("CHANGELOG.md lacks --{}", flag.name));
        assert!(row[0].contains(&flag.variable()) && row[1].contains(&format!("`--{}`", flag.default)), "{row:?}");
    }
}

#[test]
fn every_key_of_the_json_of_check_is_listed() {
    let code = &shipped_files()[std::path::Path::new("src/app/check/report.rs")];
    let words: Vec<&str> = code.split('"').collect();
    let is_key =
        |words: &&[&str]| words[2].starts_with(": ") || words[0].ends_with("report[") && words[2].starts_with(']');
    let keys = set(words.windows(3).filter(is_key).map(|words| words[1]));
    assert_eq!(
        column(&read("docs/settings.md"), "## JSON of `check`", 0),
        keys,
        "left: docs/settings.md; right: the code"
    );
}

#[test]
fn the_memory_that_is_counted_is_that_of_the_code() {
    let (memory, layers) = ("src/app/memory.rs", "src/model/layers.rs");
    let expected = [
        constant(memory, "BASE"),
        constant(memory, "REPOSITORY"),
        constant(memory, "REPOSITORY_TAGS"),
        swr_exporter::model::layers::Layers::BYTES.to_string(),
        constant(layers, "SHARED_BYTES"),
    ];
    let table = rows(section(&read("docs/limits.md"), "## Memory limit"));
    for (cells, expected) in table.iter().zip(expected) {
        assert!(cells[1].starts_with(&expected), "{cells:?} is not {expected}");
    }
    let groups = format!("and {} for each", constant(layers, "GROUP_BYTES"));
    assert!(table[4][1].contains(&groups), "{:?} is not {groups}", table[4]);
    let (above, most) = (constant(memory, "PLAIN_TEXT_ABOVE"), constant(memory, "MAX_PLAIN_TEXT"));
    let plain_text = format!("above {above}, {most} at most");
    assert!(table[6][1].contains(&plain_text), "{:?} is not {plain_text}", table[6]);
}

#[test]
fn every_label_of_service_discovery_is_listed() {
    let document = read("docs/configuration.md");
    let listed = quoted(section(&document, "### Scraping several accounts"));
    let listed = set(listed.into_iter().filter(|word| word.starts_with("__meta_swr_")));
    let files = shipped_files();
    let literals = files.values().flat_map(|code| code.split('"').skip(1).step_by(2));
    assert_eq!(listed, set(literals.filter(|word| word.starts_with("__meta_swr_"))));
}
