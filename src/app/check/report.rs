//! Reports of `check`, as text and as JSON.

use crate::config::Problems;
use serde_json::{Value, json};
use std::fmt::Write;
use std::str::FromStr;

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("--format: `{text}` is not known; known are text, json")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Works,
    Fails,
    Skipped,
}

/// One step of a check.
#[derive(Debug)]
pub(super) struct Step {
    name: String,
    outcome: Outcome,
    message: String,
    advice: String,
}

impl Step {
    pub(super) fn works(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Works, message: message.into(), advice: String::new() }
    }

    pub(super) fn skipped(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, ..Self::works(name, message) }
    }

    /// `advice` may be empty.
    pub(super) fn fails(name: impl Into<String>, message: String, advice: String) -> Self {
        Self { outcome: Outcome::Fails, advice, ..Self::works(name, message) }
    }
}

/// The steps of one account.
#[derive(Debug)]
pub struct Report {
    account: String,
    steps: Vec<Step>,
}

impl Report {
    pub(super) fn new(account: String) -> Self {
        Self { account, steps: Vec::new() }
    }

    pub(super) fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Whether nothing failed.
    pub fn works(&self) -> bool {
        self.steps.iter().all(|step| step.outcome != Outcome::Fails)
    }

    fn failed(&self) -> usize {
        self.steps.iter().filter(|step| step.outcome == Outcome::Fails).count()
    }

    fn text(&self, colour: bool) -> String {
        let mut text = format!("account {}\n", self.account);
        for step in &self.steps {
            let (word, code) = match step.outcome {
                Outcome::Works => ("ok  ", "32"),
                Outcome::Fails => ("FAIL", "31"),
                Outcome::Skipped => ("--  ", "33"),
            };
            let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() };
            let _ = writeln!(text, "  {word}  {}: {}", step.name, step.message);
            if !step.advice.is_empty() {
                let _ = writeln!(text, "        -> {}", step.advice);
            }
        }
        text
    }

    fn json(&self) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                let result = match step.outcome {
                    Outcome::Works => "ok",
                    Outcome::Fails => "failed",
                    Outcome::Skipped => "skipped",
                };
                let advice = (!step.advice.is_empty()).then_some(&step.advice);
                json!({"name": step.name, "result": result, "message": step.message, "advice": advice})
            })
            .collect();
        json!({"name": self.account, "steps": steps})
    }
}

/// The reports of all accounts.
#[derive(Debug)]
pub struct Reports {
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
    pub fn works(&self) -> bool {
        self.reports.iter().all(Report::works)
    }

    /// The report in a format; ends in a line feed.
    pub fn render(&self, format: Format, colour: bool) -> String {
        if format == Format::Json {
            let accounts: Vec<Value> = self.reports.iter().map(Report::json).collect();
            let mut report = json!({"ok": self.works(), "accounts": accounts, "warnings": self.warnings});
            if let Some(web) = &self.web {
                report["web"] = json!(web);
            }
            return line(&report);
        }
        let web = self.web.iter().map(|web| format!("web server: {web}\n"));
        let mut text: String = web.chain(self.reports.iter().map(|report| report.text(colour))).collect();
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        text += &match self.reports.iter().map(Report::failed).sum() {
            0 if self.offline => "the settings are in order; nobody was asked whether they work\n".to_owned(),
            0 => "everything works\n".to_owned(),
            1 => "1 thing does not work\n".to_owned(),
            many => format!("{many} things do not work\n"),
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
    fn a_report_tells_what_works_and_what_to_do() {
        let of = |steps: Vec<Step>, offline| Reports {
            web: None,
            offline,
            warnings: Vec::new(),
            reports: vec![Report { account: "default".to_owned(), steps }],
        };
        let works = || Step::works("name", "found");
        let text = of(vec![works()], false).render(Format::Text, false);
        assert_eq!(text, "account default\n  ok    name: found\neverything works\n");
        assert!(of(vec![works()], true).render(Format::Text, false).ends_with("nobody was asked whether they work\n"));
        let reports = of(vec![works(), Step::fails("clock", "wrong".to_owned(), "set it".to_owned())], false);
        let text = reports.render(Format::Text, false);
        assert!(text.ends_with("  FAIL  clock: wrong\n        -> set it\n1 thing does not work\n"), "{text}");
        assert!(reports.render(Format::Text, true).contains("\x1b[31mFAIL\x1b[0m"));
        let json: Value = serde_json::from_str(&reports.render(Format::Json, true)).unwrap();
        assert_eq!((&json["ok"], &json["accounts"][0]["steps"][1]["advice"]), (&json!(false), &json!("set it")));
    }
}
