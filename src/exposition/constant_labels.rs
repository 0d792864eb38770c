//! Labels that all series of an account have, for places where no scraper adds labels of the target.

use super::escape;
use crate::catalog;
use std::collections::BTreeMap;

const MOST: usize = 16;

/// Bytes of the longest value.
const LONGEST_VALUE: usize = 256;

/// Names and values, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConstantLabels(BTreeMap<String, String>);

impl ConstantLabels {
    /// Adds a label, or replaces its value. The error is what is wrong with name or value; then nothing is added.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name || name.starts_with("__") {
            return Err(format!(
                "invalid label name `{name}` (allowed: letters, digits and `_`, no digit first, not `__` first)"
            ));
        }
        if matches!(name, "le" | "quantile") || catalog::ALL.iter().any(|family| family.labels.contains(&name)) {
            return Err(format!("`{name}` is a label that some series have already"));
        }
        if value.is_empty() || value.len() > LONGEST_VALUE {
            return Err(format!("the value of `{name}` must have 1 to {LONGEST_VALUE} bytes"));
        }
        if self.0.len() == MOST && !self.0.contains_key(name) {
            return Err(format!("`{name}` is one label too many; there may be {MOST}"));
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Adds the label `account`, unless it is there.
    pub fn with_account(mut self, name: &str) -> Self {
        self.0.entry("account".to_owned()).or_insert_with(|| name.to_owned());
        self
    }

    /// The labels as they follow others: each with a comma before it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::new();
        for (name, value) in &self.0 {
            encoded.push(b',');
            encoded.extend_from_slice(name.as_bytes());
            encoded.extend_from_slice(b"=\"");
            escape::label_value(value, &mut encoded);
            encoded.push(b'"');
        }
        encoded
    }
}

/// Ends the labels of a sample that begin at `start` in `out`, if there are any: appends `constant`, as
/// [`ConstantLabels::encode`] gives it, and the closing brace.
pub(super) fn end_labels(start: usize, constant: &[u8], out: &mut Vec<u8>) {
    if out.len() > start {
        out.extend_from_slice(constant);
    } else if let Some(rest) = constant.get(1..) {
        out.push(b'{');
        out.extend_from_slice(rest);
    } else {
        return;
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_checked() {
        let mut labels = ConstantLabels::default();
        for (name, value, problem) in [
            ("", "x", "invalid label name"),
            ("1a", "x", "invalid label name"),
            ("a-b", "x", "invalid label name"),
            ("ä", "x", "invalid label name"),
            ("__meta", "x", "invalid label name"),
            ("namespace", "x", "have already"),
            ("reason", "x", "have already"),
            ("le", "x", "have already"),
            ("account", "", "1 to 256 bytes"),
            ("account", &"x".repeat(257), "1 to 256 bytes"),
        ] {
            let said = labels.set(name, value).unwrap_err();
            assert!(said.contains(problem), "{name}: {said}");
        }
        assert_eq!(labels, ConstantLabels::default());
        for number in 0..MOST {
            labels.set(&format!("label_{number}"), "x").unwrap();
        }
        assert!(labels.set("one_more", "x").unwrap_err().contains("too many"));
        labels.set("label_0", "another value").unwrap();
    }

    #[test]
    fn they_follow_other_labels_or_stand_alone() {
        let sample = |before: &str, labels: &ConstantLabels| {
            let mut out = format!("swr_up{before}").into_bytes();
            end_labels("swr_up".len(), &labels.encode(), &mut out);
            String::from_utf8(out).unwrap()
        };
        let none = ConstantLabels::default();
        assert_eq!((sample("", &none), sample("{a=\"b\"", &none)), ("swr_up".into(), "swr_up{a=\"b\"}".into()));
        let mut labels = none.with_account("produc\"tion");
        labels.set("cloud", "otc").unwrap();
        let labels = labels.with_account("other");
        assert_eq!(sample("", &labels), "swr_up{account=\"produc\\\"tion\",cloud=\"otc\"}");
        assert_eq!(sample("{a=\"b\"", &labels), "swr_up{a=\"b\",account=\"produc\\\"tion\",cloud=\"otc\"}");
    }
}
