//! The examples in README and `docs/` work, and their links lead somewhere.

use super::{blocks, commands, documents, is_part_of_a_name, names_of_metrics, quoted, read, root, run, serves};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The queries of the documents, a history, and their results.
const RECIPES: &str = "tests/fixtures/recipes_test.yml";

/// README and the documents below `docs/`, with their paths.
fn docs() -> Vec<(String, String)> {
    let paths = documents().into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let docs: Vec<_> = paths.map(|path| (path.display().to_string(), read(&path))).collect();
    assert!(docs.len() >= 12, "{}", docs.len());
    docs
}

/// The variables of examples with two accounts.
const OTC: [(&str, &str); 2] = [("OTC_PASSWORD", "abc123"), ("OTC_PROJECT", "abc123")];

/// As [`serves`]; commands of other programs are ignored. `accounts.yml` stands for `example`.
fn command_serves(words: &[String], example: &Path) -> bool {
    let words = if words[0] == "sudo" { &words[1..] } else { words };
    let ours = words.iter().position(|word| word.ends_with("swr-exporter") && !word.starts_with('-'));
    let is_cargo = words.starts_with(&["cargo".to_owned(), "run".to_owned()]);
    let arguments = match (words[0].as_str(), ours) {
        ("cargo", _) if is_cargo => &words[words.iter().position(|word| word == "--").unwrap() + 1..],
        // The arguments after the image.
        ("docker", _) if words[1] == "run" => {
            &words[words.iter().rposition(|word| word == "swr-exporter").unwrap() + 1..]
        }
        (_, Some(0)) => &words[1..],
        _ => return false,
    };
    let here =
        |word: &String| if word.ends_with("/accounts.yml") { example.to_str().unwrap() } else { word }.to_owned();
    serves(&arguments.iter().map(here).collect::<Vec<_>>(), &OTC)
}

#[test]
fn every_example_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.yml");
    let recipes = read(RECIPES);
    let mut seen = [0; 5];
    for (name, text) in docs() {
        let accounts = blocks(&text, "yaml").into_iter().filter(|block| block.contains("accounts:\n"));
        for example in accounts {
            fs::write(&file, example).unwrap();
            let command = ["swr-exporter", "--config.file", "/etc/swr-exporter/accounts.yml"].map(str::to_owned);
            assert!(command_serves(&command, &file), "{name}");
            seen[0] += 1;
        }
        for words in blocks(&text, "sh").into_iter().flat_map(commands) {
            command_serves(&words, &file);
            seen[1] += 1;
        }
        // An integration test logs in with the web configuration file.
        let of_others = |block: &&str| !block.contains("accounts:\n") && !block.starts_with("tls_server_config:");
        for settings in blocks(&text, "yaml").into_iter().filter(of_others) {
            let first = settings.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
            let (program, arguments, settings): (_, &[&str], _) = if first.starts_with("route:") {
                ("amtool", &["check-config", "settings.yml"], settings.to_owned())
            } else if first.starts_with("- record:") {
                let rules = settings.replace('\n', "\n  ");
                ("promtool", &["check", "rules", "settings.yml"], format!("groups:\n- name: a\n  rules:\n  {rules}\n"))
            } else {
                ("promtool", &["check", "config", "--syntax-only", "settings.yml"], settings.to_owned())
            };
            fs::write(folder.path().join("settings.yml"), settings).unwrap();
            run(folder.path(), program, arguments).unwrap_or_else(|said| panic!("{name}: {said}"));
            seen[2] += 1;
        }
        // Each query has a result over a history.
        for query in blocks(&text, "promql") {
            let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(recipes.contains(&format!("- expr: '{query}'\n")), "{name}: {RECIPES} does not run `{query}`");
            seen[3] += 1;
        }
        for document in blocks(&text, "json") {
            serde_json::from_str::<serde_json::Value>(document).unwrap_or_else(|error| panic!("{name}: {error}"));
            seen[4] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn the_queries_of_the_documents_give_the_right_results_over_a_history() {
    run(root(), "promtool", &["test", "rules", RECIPES]).unwrap();
}

#[test]
fn the_inhibitions_of_the_documents_are_those_of_the_compose_file() {
    let compose = read("deploy/compose/alertmanager.yml");
    let (_, inhibitions) = compose.split_once("inhibit_rules:\n").unwrap();
    assert!(read("docs/alerting.md").contains(inhibitions.trim_end()));
}

#[test]
fn the_example_of_a_prometheus_is_valid_and_finds_the_rules_also_where_the_readme_installs_them() {
    let file = "deploy/prometheus.yml";
    run(root(), "promtool", &["check", "config", file]).unwrap();
    let readme = read("README.md");
    let install = blocks(&readme, "sh").into_iter().find(|block| block.contains(file)).unwrap();
    let etc = tempfile::tempdir().unwrap();
    // The commands, with another folder in the place of /etc and without what takes root or the network.
    let commands = install.replace("/etc/prometheus", "$ETC").replace("sudo ", "");
    let kept = |line: &&str| !line.starts_with("apt-get") && !line.starts_with("systemctl");
    let script = commands.lines().filter(kept).collect::<Vec<_>>().join("\n");
    let script = script.replace("$ETC", etc.path().to_str().unwrap());
    run(root(), "bash", &["-euc", &script]).unwrap();
    run(etc.path(), "promtool", &["check", "config", "prometheus.yml"]).unwrap();
}

#[test]
fn people_are_led_to_the_first_page_of_prometheus() {
    // Debian's Prometheus has no other user interface than the classic one, to which only this page leads: `/alerts` is not
    // found in Debian 12, and `/graph` is a notice in Debian 13.
    let mut links = 0;
    for file in ["README.md", "deploy/demo"] {
        let text = read(file);
        for link in text.split("http://localhost:").skip(1) {
            let Some(page) = ["9090", "9091", "$prometheus_port"].iter().find_map(|port| link.strip_prefix(port))
            else {
                continue;
            };
            assert!(!page.starts_with('/'), "{file}: {}", page.lines().next().unwrap());
            links += 1;
        }
    }
    assert!(links >= 3, "{links}");
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut links = 0;
    for path in documents().into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = read(&path);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(root().join(&target).exists(), "{}: {link} leads nowhere", path.display());
            if let Some(heading) = heading {
                let target = read(&target);
                let headings: BTreeSet<String> = target
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor(line.trim_start_matches('#').trim()))
                    .collect();
                assert!(headings.contains(heading), "{}: {link} has no such heading", path.display());
            }
            links += 1;
        }
    }
    assert!(links > 20, "{links}");
}

#[test]
fn pages_are_short_and_the_index_has_each() {
    let index = read("docs/README.md");
    // To look things up in; all others are read from beginning to end.
    let reference = ["alerts", "api-fields", "logs", "metrics", "settings"].map(|name| format!("docs/{name}.md"));
    for (name, text) in docs() {
        let lines = text.lines().count();
        let most = if name == "README.md" { 190 } else { 250 };
        assert!(lines <= most || reference.contains(&name), "{name} has {lines} lines, and {most} are enough");
        if let Some(page) = name.strip_prefix("docs/").filter(|page| *page != "README.md") {
            assert!(index.contains(&format!("({page})")), "docs/README.md lacks {page}");
        }
        let mut paragraphs = text.split("\n\n");
        assert!(paragraphs.next().unwrap().starts_with("# "), "{name} has a title");
        let about = paragraphs.next().unwrap();
        assert!(about.starts_with(char::is_alphabetic) || name.ends_with("README.md"), "{name} says what it is for");
    }
    let words = read("ARCHITECTURE.md").split_whitespace().count();
    assert!(words <= 2_600, "ARCHITECTURE.md has {words} words");
}

#[test]
fn architecture_names_files_that_exist() {
    let text = read("ARCHITECTURE.md");
    let modules: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let is_file = |name: &&str| name.split_once('/').is_some_and(|(module, _)| modules.contains(&module));
    let files: Vec<&str> = quoted(&text).into_iter().filter(is_file).collect();
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        assert!(root().join(format!("src/{file}.rs")).exists(), "there is no src/{file}.rs");
    }
}

#[test]
fn the_test_command_of_the_readme_is_the_one_that_ci_runs() {
    let readme = read("README.md");
    let command = blocks(&readme, "sh").into_iter().find(|block| block.starts_with("tests/")).unwrap();
    assert_eq!(commands(command).len(), 1, "one command");
    let ci = read(".ci/run");
    assert_eq!(ci.lines().rev().find(|line| !line.is_empty()), Some(command), "the last thing that .ci/run does");
}

#[test]
fn documents_name_no_metric_that_does_not_exist() {
    let known = names_of_metrics();
    let rules = fs::read_dir(root().join("dashboards/rules")).unwrap().map(|entry| entry.unwrap().path());
    for document in documents().into_iter().chain(rules) {
        let text = read(&document);
        let words = text.split(|c| !is_part_of_a_name(c)).filter(|word| word.starts_with("swr_"));
        // The name of the library is not a metric.
        for word in words.filter(|word| *word != "swr_exporter") {
            let document = document.display();
            assert!(known.contains(word), "{document} names `{word}`, which src/catalog.rs does not have");
        }
    }
}
