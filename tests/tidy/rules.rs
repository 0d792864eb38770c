//! The rules in `dashboards/rules`: promtool accepts them, their tests pass, and the tests notice when a threshold is changed.

use super::{names_of_metrics, read, root};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

const RULES: [&str; 3] = ["thresholds.yml", "recording.yml", "alerts.yml"];
const TESTS: [&str; 3] = ["growth_test.yml", "contents_test.yml", "collection_test.yml"];

fn rules(file: &str) -> String {
    read(Path::new("dashboards/rules").join(file))
}

/// A rule: what it records or alerts, its expression, and the whole of its text.
struct Rule {
    name: String,
    expression: String,
    text: String,
}

/// The rules of a file, by their indentation: they all look alike.
fn of(file: &str) -> Vec<Rule> {
    let text = rules(file);
    let mut found: Vec<Rule> = Vec::new();
    let mut in_expression = false;
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let name = line.strip_prefix("      - record: ").or_else(|| line.strip_prefix("      - alert: "));
        if let Some(name) = name {
            found.push(Rule { name: name.to_owned(), expression: String::new(), text: String::new() });
        }
        let Some(rule) = found.last_mut() else { continue };
        rule.text += &format!("{line}\n");
        match line.strip_prefix("        ") {
            Some(key) if !key.starts_with([' ', '-']) => {
                in_expression = key.starts_with("expr:");
                rule.expression += key.strip_prefix("expr:").unwrap_or_default();
            }
            Some(more) if in_expression => rule.expression += more,
            _ => in_expression = false,
        }
    }
    found
}

fn promtool(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("promtool").current_dir(folder).args(arguments).output();
    let output = output.expect("promtool runs; tests/run installs it");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn each_alert_says_what_how_bad_and_what_to_do() {
    let runbooks = read("docs/alerts.md");
    let tests = TESTS.map(rules).concat();
    for alert in of("alerts.yml") {
        let (name, text) = (&alert.name, &alert.text);
        let runbook = format!("runbook_url: docs/alerts.md#{}\n", name.to_lowercase());
        for needed in ["summary: ", "description: ", "severity: ", runbook.as_str()] {
            assert!(text.contains(needed), "{name} has no `{}`", needed.trim());
        }
        assert!(runbooks.contains(&format!("\n## {name}\n")), "docs/alerts.md has no section on {name}");
        assert!(tests.contains(&format!("alertname: {name}\n")), "no test lets {name} fire and reads what it says");
    }
    for section in runbooks.lines().filter_map(|line| line.strip_prefix("## Swr")) {
        assert!(of("alerts.yml").iter().any(|alert| alert.name[3..] == *section), "there is no alert Swr{section}");
    }
}

#[test]
fn each_threshold_is_used_and_what_is_used_exists() {
    let defined: BTreeSet<String> =
        of("thresholds.yml").into_iter().chain(of("recording.yml")).map(|rule| rule.name).collect();
    let text = ["recording.yml", "alerts.yml"].map(rules).concat();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let used: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.contains("- record: ") && !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(|c| !is_part(c)))
        .filter(|word| word.split(':').count() == 3 && word.contains("swr"))
        .map(str::to_owned)
        .collect();
    let unknown: Vec<_> = used.difference(&defined).collect();
    assert!(unknown.is_empty(), "recorded nowhere: {unknown:?}");
    let idle: Vec<_> = defined.iter().filter(|name| name.contains("threshold") && !used.contains(*name)).collect();
    assert!(idle.is_empty(), "compared with by nothing: {idle:?}");
}

#[test]
fn rules_name_no_metric_that_does_not_exist() {
    let known = names_of_metrics();
    for file in RULES.into_iter().chain(TESTS) {
        let text = rules(file);
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("swr_"))
        {
            assert!(known.contains(word), "dashboards/rules/{file} names `{word}`, which src/catalog.rs does not have");
        }
    }
}

/// Which alerts have to be noticed by a test when a threshold changes.
fn concerned(threshold: &str) -> BTreeSet<String> {
    // Data that is not fresh is stale; whatever else is gated on it does not tell which threshold it was.
    if threshold.contains(":stale_") {
        return ["SwrDataStale".to_owned()].into();
    }
    let names: BTreeSet<_> = of("alerts.yml")
        .into_iter()
        .filter(|alert| alert.expression.contains(threshold))
        .map(|alert| alert.name)
        .collect();
    assert_eq!(
        names.len(),
        1,
        "{threshold} belongs to one alert, or its change could be noticed by another: {names:?}"
    );
    names
}

/// The alerts of which a failed test says that they fire where they should not, or the other way round. That the text of
/// an alert is another one does not count: it tells the threshold.
fn noticed(said: &str) -> BTreeSet<String> {
    let samples = |line: &str| -> BTreeSet<String> {
        line.split("E+00").map(|sample| sample.trim_matches([',', ' ']).to_owned()).collect()
    };
    let mut alerts = BTreeSet::new();
    let mut expected = None;
    let mut of_an_expression = false;
    for line in said.lines().map(str::trim) {
        if line.starts_with("expr:") {
            of_an_expression = true;
        } else if line.starts_with("alertname:") {
            of_an_expression = false;
        } else if let Some(line) = line.strip_prefix("exp: ").filter(|_| of_an_expression) {
            expected = Some(samples(line));
        } else if let (Some(line), Some(expected)) = (line.strip_prefix("got: "), expected.take()) {
            for sample in samples(line).symmetric_difference(&expected) {
                alerts.extend(
                    sample.split("alertname=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned),
                );
            }
        }
    }
    alerts
}

/// The tests with some thresholds changed: what they notice.
fn with_changed(thresholds: &[&str], change: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    for file in RULES.into_iter().chain(TESTS) {
        let mut text = rules(file);
        if file == "thresholds.yml" {
            for threshold in thresholds {
                let record = format!("record: {threshold}\n        expr: vector(");
                let at = text.find(&record).unwrap() + record.len();
                let end = at + text[at..].find(")\n").unwrap();
                text = format!("{}({}) {change}{}", &text[..at], &text[at..end], &text[end..]);
            }
        }
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let (_, said) = promtool(folder.path(), &[&["test", "rules"][..], &TESTS].concat());
    noticed(&said)
}

#[test]
fn the_tests_of_the_rules_pass_and_notice_each_threshold_that_is_doubled_or_halved() {
    // In each round at most one threshold of an alert is changed, so that each change must be noticed by itself.
    let mut rounds: Vec<BTreeMap<String, BTreeSet<String>>> = Vec::new();
    for threshold in of("thresholds.yml") {
        let alerts = concerned(&threshold.name);
        let free =
            |round: &&mut BTreeMap<_, BTreeSet<String>>| round.values().all(|others| others.is_disjoint(&alerts));
        match rounds.iter_mut().find(free) {
            Some(round) => drop(round.insert(threshold.name, alerts)),
            None => rounds.push(BTreeMap::from([(threshold.name, alerts)])),
        }
    }
    let (fine, said) = promtool(&root().join("dashboards/rules"), &[&["test", "rules"][..], &TESTS].concat());
    assert!(fine, "{said}");
    // Each run keeps databases of some hundred megabytes for a while: no more of them at once than there are processors.
    let changes = rounds.iter().flat_map(|round| ["* 2", "/ 2"].map(|change| (round, change)));
    let (changes, workers) = (Mutex::new(changes), std::thread::available_parallelism().map_or(1, usize::from));
    let next = || changes.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((round, change)) = next() {
                    let names: Vec<&str> = round.keys().map(String::as_str).collect();
                    let noticed = with_changed(&names, change);
                    for (threshold, alerts) in round {
                        assert!(!alerts.is_disjoint(&noticed), "no test notices `{threshold} {change}`");
                    }
                }
            });
        }
    });
}
