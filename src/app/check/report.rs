//! Reports of `check`, as text and as JSON.

use crate::base::words::things;
use crate::config::Problems;
use crate::failure::error_chain;
use crate::swr::{ApiError, Operation, advice};
use serde_json::{Value, json};
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Works,
    Fails,
    Skipped,
}

#[derive(Debug)]
pub(super) struct Step {
    name: String,
    outcome: Outcome,
    message: String,
    advice: String,
    /// The number that the message is about, for scripts.
    count: Option<u64>,
    collector: Option<&'static str>,
}

impl Step {
    pub(super) fn works(name: impl Into<String>, message: impl Into<String>) -> Self {
        let (name, message) = (name.into(), message.into());
        Self { name, outcome: Outcome::Works, message, advice: String::new(), count: None, collector: None }
    }

    pub(super) fn skipped(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, ..Self::works(name, message) }
    }

    /// `advice` may be empty.
    pub(super) fn fails(name: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fails, advice: advice.into(), ..Self::works(name, message) }
    }

    /// The step with the number that its message is about.
    pub(super) fn counting(self, count: Option<u64>) -> Self {
        Self { count, ..self }
    }

    pub(super) fn of_collector(self, collector: &'static str) -> Self {
        Self { collector: Some(collector), ..self }
    }

    fn text(&self, colour: bool) -> String {
        let mut text = format!("  {}  {}: {}\n", self.outcome.word(colour), self.name, self.message);
        if !self.advice.is_empty() {
            let _ = writeln!(text, "        -> {}", self.advice);
        }
        text
    }

    fn json(&self) -> Value {
        let result = match self.outcome {
            Outcome::Works => "ok",
            Outcome::Fails => "failed",
            Outcome::Skipped => "skipped",
        };
        let advice = (!self.advice.is_empty()).then_some(&self.advice);
        json!({
            "name": self.name, "result": result, "message": self.message, "advice": advice, "count": self.count,
            "collector": self.collector,
        })
    }
}

impl Outcome {
    fn word(self, colour: bool) -> String {
        let (word, code) = match self {
            Self::Works => ("ok  ", "32"),
            Self::Fails => ("FAIL", "31"),
            Self::Skipped => ("--  ", "33"),
        };
        if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
    }
}

/// The steps of one account.
#[derive(Debug)]
pub(super) struct Report {
    account: String,
    steps: Vec<Step>,
    /// What the account has, for its line.
    found: Option<String>,
}

impl Report {
    pub(super) fn new(account: String) -> Self {
        Self { account, steps: Vec::new(), found: None }
    }

    pub(super) fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Adds the step of a call that a collector makes, with the message on what was found and the number in it.
    pub(super) fn add_call(
        &mut self,
        name: impl Into<String>,
        operation: Operation,
        collector: &'static str,
        found: Result<(String, Option<u64>), ApiError>,
    ) {
        let step = match found {
            Ok((message, count)) => Step::works(name, message).counting(count),
            Err(error) => {
                Step::fails(name, error_chain(&error), advice::on_auxiliary_call(&error, operation, collector))
            }
        };
        self.add(step.of_collector(collector));
    }

    /// Adds a step that succeeded and whose message is also in the account's line.
    pub(super) fn add_found(&mut self, step: Step) {
        self.found = Some(step.message.clone());
        self.add(step);
    }

    /// Whether nothing failed.
    pub(super) fn works(&self) -> bool {
        self.count(Outcome::Fails) == 0
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.steps.iter().filter(|step| step.outcome == outcome).count() as u64
    }

    /// One line, then every step that did not succeed, or every step.
    fn text(&self, verbose: bool, colour: bool) -> String {
        let (failed, skipped) = (self.count(Outcome::Fails), self.count(Outcome::Skipped));
        let tried = self.steps.len() as u64 - skipped;
        let (outcome, mut summary) = match failed {
            0 => (Outcome::Works, format!("{} passed", things(tried, "check"))),
            _ => (Outcome::Fails, format!("{failed} of {} failed", things(tried, "check"))),
        };
        if skipped > 0 {
            let _ = write!(summary, ", {skipped} skipped");
        }
        if let (0, Some(found)) = (failed, &self.found) {
            let _ = write!(summary, "; {found}");
        }
        let mut text = format!("{}  account {}: {summary}\n", outcome.word(colour), self.account);
        let shown = self.steps.iter().filter(|step| verbose || step.outcome != Outcome::Works);
        shown.for_each(|step| text += &step.text(colour));
        text
    }

    fn json(&self) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(Step::json).collect();
        json!({"name": self.account, "ok": self.works(), "steps": steps})
    }
}

/// The reports of all accounts.
#[derive(Debug)]
pub(super) struct Reports {
    offline: bool,
    /// What the web configuration file amounts to.
    web: Option<String>,
    /// Warnings about the settings.
    warnings: Vec<String>,
    reports: Vec<Report>,
}

impl Reports {
    /// `offline`: no step used the network. `web`: what the web configuration file amounts to. `warnings`: about the settings.
    pub(super) fn new(offline: bool, web: Option<String>, warnings: Vec<String>) -> Self {
        Self { offline, web, warnings, reports: Vec::new() }
    }

    pub(super) fn add(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// Whether nothing failed.
    pub(super) fn works(&self) -> bool {
        self.reports.iter().all(Report::works)
    }

    /// The report as one line of JSON.
    pub(super) fn json(&self) -> String {
        let accounts: Vec<Value> = self.reports.iter().map(Report::json).collect();
        let mut report = json!({
            "version": env!("CARGO_PKG_VERSION"), "ok": self.works(), "accounts": accounts, "warnings": self.warnings,
        });
        if let Some(web) = &self.web {
            report["web"] = json!(web);
        }
        line(&report)
    }

    /// The report for people: a line for each account, and every failure. With `verbose` every step.
    pub(super) fn text(&self, verbose: bool, colour: bool) -> String {
        let mut text: String = self.reports.iter().map(|report| report.text(verbose, colour)).collect();
        if let Some(web) = &self.web {
            let _ = writeln!(text, "web server: {web}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        text += &match self.reports.iter().map(|report| report.count(Outcome::Fails)).sum() {
            0 if self.offline => "settings are valid (offline: nothing was contacted)\n".to_owned(),
            0 => "all checks passed\n".to_owned(),
            failed => format!("{} failed\n", things(failed, "check")),
        };
        text
    }
}

/// Invalid settings as JSON.
pub(super) fn of_problems(problems: &Problems) -> String {
    line(&json!({"ok": false, "problems": problems.list()}))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_line_for_each_account_and_every_failure_with_what_to_do() {
        let account = |name: &str, steps: Vec<Step>| Report { account: name.to_owned(), steps, found: None };
        let of = |reports: Vec<Report>, offline| Reports { web: None, offline, warnings: Vec::new(), reports };
        let works = || Step::works("name", "found");
        let fails = || Step::fails("clock", "wrong", "set it");
        let good = of(vec![account("one", vec![works()])], false);
        assert_eq!(good.text(false, false), "ok    account one: 1 check passed\nall checks passed\n");
        let all = "ok    account one: 1 check passed\n  ok    name: found\nall checks passed\n";
        assert_eq!(good.text(true, false), all);
        let offline = of(vec![account("one", vec![works()])], true).text(false, false);
        assert!(offline.ends_with("settings are valid (offline: nothing was contacted)\n"), "{offline}");
        let skipped = Step::skipped("tags", "none");
        let reports = vec![account("one", vec![works()]), account("two", vec![works(), fails(), skipped])];
        let reports = of(reports, false);
        let text = "ok    account one: 1 check passed\nFAIL  account two: 1 of 2 checks failed, 1 skipped\n  \
                    FAIL  clock: wrong\n        -> set it\n  --    tags: none\n1 check failed\n";
        assert_eq!(reports.text(false, false), text);
        assert!(reports.text(false, true).contains("\x1b[31mFAIL\x1b[0m"));
        let json: Value = serde_json::from_str(&reports.json()).unwrap();
        assert_eq!((&json["ok"], &json["accounts"][0]["ok"]), (&json!(false), &json!(true)));
        assert_eq!(json["accounts"][1]["steps"][1]["advice"], "set it");
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
        let counted = Step::works("tags", "7 tags").counting(Some(7)).of_collector("tags").json();
        assert_eq!((&counted["count"], &counted["collector"]), (&json!(7), &json!("tags")));
    }
}
