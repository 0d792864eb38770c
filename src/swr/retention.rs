//! The rules by which the service deletes tags of a repository by itself.
//!
//! `GET /v2/manage/namespaces/{namespace}/repos/{repository}/retentions`

use super::buffered;
use super::repository::path;
use super::request::Call;
use super::wire::{DroppedFields, read_fields};
use super::{ApiError, CallBudget, Client, Operation};
use serde_json::value::RawValue;

impl Client {
    /// Counts the retention rules of a repository. Dropping the future cancels the call.
    pub async fn retention_rules(
        &self,
        namespace: &str,
        repository: &str,
        budget: &CallBudget,
    ) -> Result<u32, ApiError> {
        let path = format!("{}/retentions", path(namespace, repository)?);
        self.get_json(Call { operation: Operation::ListRetentions, path: &path, query: &[] }, budget, count).await
    }
}

/// Counts the rules of all policies. A policy whose rules cannot be read counts as one rule, and as a dropped number.
pub fn count(policies: &str, dropped: &mut DroppedFields) -> Result<u32, ApiError> {
    let policies: &RawValue = serde_json::from_str(policies)?;
    let mut count = 0u64;
    buffered::for_each_row(Some(policies), |policy| {
        read_fields!(policy, rules);
        let rules = rules.and_then(|rules| buffered::for_each_row(Some(rules), |_| Ok(())).ok());
        dropped.number += u64::from(rules.is_none());
        count += rules.unwrap_or(1);
        Ok(())
    })?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_all_policies_are_counted() {
        let rule =
            r#"{"template":"date_rule","params":{"days":"30"},"tag_selectors":[{"kind":"label","pattern":"v5"}]}"#;
        let policy = |rules: &str| format!(r#"{{"algorithm":"or","id":1093,"rules":[{rules}],"scope":""}}"#);
        let mut dropped = DroppedFields::default();
        for (policies, expected) in [
            ("[]".to_owned(), 0),
            (format!("[{}]", policy(rule)), 1),
            (format!("[{},{}]", policy(&format!("{rule},{rule}")), policy(rule)), 3),
            (format!("[{}]", policy("")), 0),
        ] {
            assert_eq!(count(&policies, &mut dropped).unwrap(), expected, "{policies}");
        }
        assert_eq!(dropped.number, 0);
        assert_eq!(count(r#"[{"id":1},{"rules":"many"}]"#, &mut dropped).unwrap(), 2);
        assert_eq!(dropped.number, 2);
        for broken in ["", "{}", "null", "<html>", "[7]"] {
            assert!(count(broken, &mut dropped).is_err(), "{broken}");
        }
    }
}
