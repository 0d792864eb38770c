//! The rules in `dashboards/rules`: promtool accepts them, their tests pass, and the tests notice when a threshold is changed.

use super::{quoted, read, root, rows, run, section};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

const RULES: [&str; 3] = ["thresholds.yml", "recording.yml", "alerts.yml"];
/// Tests of thresholds.
const TESTS: [&str; 4] = ["growth_test.yml", "week_test.yml", "contents_test.yml", "collection_test.yml"];
/// A month of histories; it takes as long as the others together.
const MONTH: &str = "month_test.yml";

fn rules(file: &str) -> String {
    read(Path::new("dashboards/rules").join(file))
}

/// A rule: the series it records or its alert, its expression, and its whole text.
struct Rule {
    name: String,
    expression: String,
    text: String,
}

/// The rules of a file, parsed by indentation, which is the same everywhere.
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

#[test]
fn each_alert_has_texts_links_a_severity_a_runbook_and_a_test() {
    let runbooks = read("docs/alerts.md");
    let tests = TESTS.map(rules).concat();
    for alert in of("alerts.yml") {
        let (name, text) = (&alert.name, &alert.text);
        let runbook = format!("{{{{ end }}}}#{}\n", name.to_lowercase());
        for needed in ["summary:", "description:", "severity:", "runbook_url:", "dashboard_url:", runbook.as_str()] {
            assert!(text.contains(needed), "{name} has no `{}`", needed.trim());
        }
        assert!(runbooks.contains(&format!("\n## {name}\n")), "docs/alerts.md has no section on {name}");
        assert!(tests.contains(&format!("alertname: {name}\n")), "no test lets {name} fire and reads its texts");
    }
    // The table of the document has each, with the severities that it can have.
    let mut severities: Vec<(String, Vec<String>)> = Vec::new();
    for alert in of("alerts.yml") {
        let severity = alert.text.split("severity: ").nth(1).unwrap();
        let severity = severity.split(is_no_name).next().unwrap().to_owned();
        match severities.iter_mut().find(|(name, _)| *name == alert.name) {
            Some((_, severities)) => severities.push(severity),
            None => severities.push((alert.name, vec![severity])),
        }
    }
    let texts = |cell: &str| quoted(cell).into_iter().map(str::to_owned).collect();
    let name = |cell: &str| cell.trim_start_matches('[').split(']').next().unwrap().to_owned();
    let listed: Vec<_> = rows(&runbooks).iter().map(|cells| (name(&cells[0]), texts(&cells[1]))).collect();
    assert_eq!(listed, severities, "left: docs/alerts.md; right: dashboards/rules/alerts.yml");
    for section in runbooks.lines().filter_map(|line| line.strip_prefix("## Swr")) {
        assert!(of("alerts.yml").iter().any(|alert| alert.name[3..] == *section), "there is no alert Swr{section}");
    }
}

#[test]
fn each_threshold_is_used_and_each_series_that_is_used_is_recorded() {
    let mut defined: BTreeSet<String> =
        of("thresholds.yml").into_iter().chain(of("recording.yml")).map(|rule| rule.name).collect();
    // A limit of one's own is an example in a comment.
    let examples = rules("thresholds.yml");
    defined.extend(examples.lines().filter_map(|line| line.strip_prefix("      # - record: ")).map(str::to_owned));
    let text = ["recording.yml", "alerts.yml"].map(rules).concat();
    let used: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.contains("- record: ") && !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(is_no_name))
        .filter(|word| {
            let parts: Vec<&str> = word.split(':').collect();
            word.contains("swr") && parts.len() > 1 && parts.iter().all(|part| !part.is_empty())
        })
        .map(str::to_owned)
        .collect();
    let unknown: Vec<_> = used.difference(&defined).collect();
    assert!(unknown.is_empty(), "recorded nowhere: {unknown:?}");
    let idle: Vec<_> = defined.iter().filter(|name| name.starts_with("swr:") && !used.contains(*name)).collect();
    assert!(idle.is_empty(), "compared with by nothing: {idle:?}");
}

/// The alert that a test must see change with a threshold: the one whose expression names the threshold, directly or by the
/// label of the `swr:measured` rules that read it.
fn concerned(threshold: &str) -> BTreeSet<String> {
    // Everything about growth depends on fresh data; SwrDataStale alone shows when it ends.
    if threshold.contains(":stale_") {
        return ["SwrDataStale".to_owned()].into();
    }
    let measured = of("recording.yml").into_iter().filter(|rule| rule.name == "swr:measured");
    let by_label =
        measured.filter(|rule| rule.expression.split(is_no_name).any(|word| word == threshold)).map(|rule| {
            let label = rule.text.split_once("{ threshold: ").unwrap().1;
            label.split(' ').next().unwrap().to_owned()
        });
    let own = threshold.rsplit(':').next().unwrap();
    let needles: Vec<String> = by_label.chain([threshold.to_owned(), own.to_owned()]).collect();
    let names: BTreeSet<_> = of("alerts.yml")
        .into_iter()
        .filter(|alert| alert.expression.split(is_no_name).any(|word| needles.iter().any(|needle| needle == word)))
        .map(|alert| alert.name)
        .collect();
    assert_eq!(names.len(), 1, "{threshold} must belong to one alert, to see which threshold changed: {names:?}");
    names
}

/// The forms in which a document may write the number of a threshold.
fn written(threshold: &Rule) -> Vec<String> {
    let number = threshold.expression.trim().trim_start_matches("vector(").trim_end_matches(')');
    let (amount, unit) = number.split_once(" * ").unwrap_or((number, ""));
    let words = ["no", "one", "two", "three"];
    let count = |unit: &str| {
        let word = amount.parse().ok().and_then(|amount: usize| words.get(amount));
        [Some(&amount), word].into_iter().flatten().map(|amount| format!("{amount}{unit}")).collect()
    };
    let value: f64 = amount.parse().unwrap();
    match (unit, value) {
        ("2^40", _) => count(" TiB"),
        ("2^30", _) => count(" GiB"),
        ("86400", _) => count(" days"),
        (_, 0.5) => vec!["half".to_owned()],
        (_, 0.1) => vec!["10 %".to_owned(), "a tenth".to_owned()],
        (_, 0.2) => vec!["a fifth".to_owned()],
        (_, ..1.0) => vec![format!("{} %", (value * 100.0).round())],
        _ if threshold.name.ends_with("_seconds") => vec![format!("{} minutes", value / 60.0)],
        _ => count(""),
    }
}

#[test]
fn the_document_of_the_alerts_gives_the_numbers_of_the_thresholds() {
    let document = read("docs/alerts.md");
    let mut missing = Vec::new();
    for threshold in of("thresholds.yml").iter().filter(|rule| rule.name.starts_with("swr:threshold:")) {
        let forms = written(threshold);
        for alert in concerned(&threshold.name) {
            let about = section(&document, &format!("## {alert}"));
            if !forms.iter().any(|form| about.contains(form)) {
                missing.push(format!("{alert}: {} of {}", forms[0], threshold.name));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "left: what docs/alerts.md lacks");
}

/// Separates names of series and labels.
fn is_no_name(c: char) -> bool {
    !c.is_ascii_alphanumeric() && c != '_' && c != ':'
}

/// The alerts that a failed test reports as firing or silent against its expectation. A changed text does not count, because
/// texts name the threshold.
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

/// Runs the tests of some alerts with their thresholds changed, and returns the alerts that they notice.
fn with_changed(round: &BTreeMap<String, BTreeSet<String>>, change: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    for file in RULES.into_iter().chain(TESTS) {
        let mut text = rules(file);
        if file == "thresholds.yml" {
            for threshold in round.keys() {
                let record = format!("record: {threshold}\n        expr: vector(");
                let at = text.find(&record).unwrap() + record.len();
                let end = at + text[at..].find(")\n").unwrap();
                text = format!("{}({}) {change}{}", &text[..at], &text[at..end], &text[end..]);
            }
        }
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let alerts: Vec<&String> = round.values().flatten().collect();
    let concern = |test: &&str| alerts.iter().any(|alert| rules(test).contains(&format!("alertname=\"{alert}\"")));
    let tests: Vec<&str> = TESTS.into_iter().filter(concern).collect();
    let said = run(folder.path(), "promtool", &[&["test", "rules"][..], &tests].concat()).unwrap_or_else(|said| said);
    noticed(&said)
}

#[test]
fn the_tests_of_the_rules_pass_and_notice_each_threshold_that_is_doubled_or_halved() {
    // A round changes at most one threshold per alert, so that each change must be noticed by itself.
    let mut rounds: Vec<BTreeMap<String, BTreeSet<String>>> = Vec::new();
    for threshold in of("thresholds.yml").into_iter().filter(|rule| rule.name.starts_with("swr:threshold:")) {
        let alerts = concerned(&threshold.name);
        let free =
            |round: &&mut BTreeMap<_, BTreeSet<String>>| round.values().all(|others| others.is_disjoint(&alerts));
        match rounds.iter_mut().find(free) {
            Some(round) => drop(round.insert(threshold.name, alerts)),
            None => rounds.push(BTreeMap::from([(threshold.name, alerts)])),
        }
    }
    run(&root().join("dashboards/rules"), "promtool", &[&["test", "rules", MONTH][..], &TESTS].concat()).unwrap();
    // Each run keeps databases of some hundred megabytes for a while: run no more at once than there are processors.
    let changes = rounds.iter().flat_map(|round| ["* 2", "/ 2"].map(|change| (round, change)));
    let (changes, workers) = (Mutex::new(changes), std::thread::available_parallelism().map_or(1, usize::from));
    let next = || changes.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((round, change)) = next() {
                    let noticed = with_changed(round, change);
                    for (threshold, alerts) in round {
                        assert!(!alerts.is_disjoint(&noticed), "no test notices `{threshold} {change}`");
                    }
                }
            });
        }
    });
}
