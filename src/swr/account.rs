//! What the API says of the account as a whole: organisations, totals, quotas. One small call each (swr-api.md, 4).

use super::buffered::{self, BufferedJson};
use super::client::{Call, Client};
use super::error::ApiError;
use super::metrics::Operation;
use super::retry::CallBudget;
use super::wire::{self, DroppedFields};
use crate::model::figures::{Organisation, Overview, Quota};
use serde::Deserialize;
use serde_json::value::RawValue;

impl Client {
    /// Lists the organisations that the caller has rights on, or on single repositories in. All come at once.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn organisations(&self, effort: &CallBudget) -> Result<Vec<Organisation>, ApiError> {
        let query = [("filter", "mode::visible")];
        let call = Call { operation: Operation::ListNamespaces, path: "/v2/manage/namespaces", query: &query };
        match self.figures(call, effort, organisations).await {
            // Older editions may not know the filter; without it those with rights on all of an organisation come.
            Err(ApiError::Refused(_)) => self.figures(Call { query: &[], ..call }, effort, organisations).await,
            listed => listed,
        }
    }

    /// Reads the account's totals.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn overview(&self, effort: &CallBudget) -> Result<Overview, ApiError> {
        let call = Call { operation: Operation::Overview, path: "/v2/manage/overview", query: &[] };
        self.figures(call, effort, overview).await
    }

    /// Reads the quotas of the project.
    ///
    /// # Errors
    /// When the project is not known, or the call fails.
    pub async fn quotas(&self, effort: &CallBudget) -> Result<Vec<Quota>, ApiError> {
        let path = format!("/v2/manage/projects/{}/quotas", self.project_id(effort).await?);
        let call = Call { operation: Operation::Quotas, path: &path, query: &[] };
        self.figures(call, effort, quotas).await
    }

    /// One small answer; what of it could not be understood is counted.
    pub(super) async fn figures<T: Send>(
        &self,
        call: Call<'_>,
        effort: &CallBudget,
        understand: fn(&str, &mut DroppedFields) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (figures, omissions) = self.get(call, effort, || BufferedJson::new(understand)).await?;
        self.metrics.omitted(omissions);
        Ok(figures)
    }
}

#[derive(Deserialize)]
struct Organisations<'a> {
    #[serde(borrow)]
    namespaces: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OneOrganisation<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    repo_count: Option<&'a RawValue>,
}

/// Reads an answer with organisations. They are sorted by name, each once.
///
/// # Errors
/// When it is no such answer.
pub fn organisations(text: &str, omissions: &mut DroppedFields) -> Result<Vec<Organisation>, ApiError> {
    let answer: Organisations<'_> = serde_json::from_str(text)?;
    let mut organisations = Vec::new();
    for object in buffered::elements_if_any(answer.namespaces)? {
        let wire: OneOrganisation<'_> = serde_json::from_str(object.get())?;
        let Some(name) = wire::name(wire.name, omissions) else {
            omissions.name += 1;
            continue;
        };
        let repositories = wire::number(wire.repo_count, omissions);
        organisations.push(Organisation { name: name.into(), repositories });
    }
    organisations.sort_by(|a, b| a.name.cmp(&b.name));
    organisations.dedup_by(|a, b| a.name == b.name);
    Ok(organisations)
}

#[derive(Deserialize)]
struct WireOverview<'a> {
    /// So it is spelled.
    #[serde(borrow)]
    namspace_num: Option<&'a RawValue>,
    /// So it might be spelled one day.
    #[serde(borrow)]
    namespace_num: Option<&'a RawValue>,
    #[serde(borrow)]
    repo_num: Option<&'a RawValue>,
    #[serde(borrow)]
    image_num: Option<&'a RawValue>,
    #[serde(borrow)]
    store_space: Option<&'a RawValue>,
    #[serde(borrow)]
    downflow_size: Option<&'a RawValue>,
}

/// Reads an answer with the account's totals.
///
/// # Errors
/// When it is no such answer.
pub fn overview(text: &str, omissions: &mut DroppedFields) -> Result<Overview, ApiError> {
    let wire: WireOverview<'_> = serde_json::from_str(text)?;
    Ok(Overview {
        namespaces: wire::number(wire.namspace_num.or(wire.namespace_num), omissions),
        repositories: wire::number(wire.repo_num, omissions),
        images: wire::number(wire.image_num, omissions),
        storage: wire::fraction(wire.store_space, omissions),
        download_traffic: wire::fraction(wire.downflow_size, omissions),
    })
}

#[derive(Deserialize)]
struct Quotas<'a> {
    #[serde(borrow)]
    quotas: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OneQuota<'a> {
    #[serde(borrow)]
    quota_key: Option<&'a RawValue>,
    #[serde(borrow)]
    quota_limit: Option<&'a RawValue>,
    #[serde(borrow)]
    used: Option<&'a RawValue>,
}

/// Reads an answer with quotas. They are sorted by name, each once: only `namespace` was ever seen, and others are
/// possible.
///
/// # Errors
/// When it is no such answer.
pub fn quotas(text: &str, omissions: &mut DroppedFields) -> Result<Vec<Quota>, ApiError> {
    let answer: Quotas<'_> = serde_json::from_str(text)?;
    let mut quotas = Vec::new();
    for object in buffered::elements_if_any(answer.quotas)? {
        let wire: OneQuota<'_> = serde_json::from_str(object.get())?;
        let Some(name) = wire::name(wire.quota_key, omissions) else {
            omissions.name += 1;
            continue;
        };
        let (limit, used) = (wire::number(wire.quota_limit, omissions), wire::number(wire.used, omissions));
        quotas.push(Quota { name: name.into(), limit, used });
    }
    quotas.sort_by(|a, b| a.name.cmp(&b.name));
    quotas.dedup_by(|a, b| a.name == b.name);
    Ok(quotas)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was read, and how many values were left out.
    fn read<T>(
        understand: fn(&str, &mut DroppedFields) -> Result<T, ApiError>,
        text: &str,
    ) -> Result<(T, DroppedFields), ApiError> {
        let mut omissions = DroppedFields::default();
        understand(text, &mut omissions).map(|value| (value, omissions))
    }

    #[test]
    fn documented_examples_are_read_whole() {
        let text = r#"{"domain_id":"a1","domain_name":"","namspace_num":3,"repo_num":14,"image_num":52,
            "store_space":99.21,"downflow_size":0}"#;
        let (seen, omissions) = read(overview, text).unwrap();
        assert_eq!((seen.namespaces, seen.repositories, seen.images), (Some(3), Some(14), Some(52)));
        assert_eq!((seen.storage, seen.download_traffic), (Some(99.21), Some(0.0)));
        assert_eq!(omissions, DroppedFields::default());
        let text = r#"{"quotas":[{"quota_key":"namespace","quota_limit":5,"used":2,"unit":""}]}"#;
        let (seen, _) = read(quotas, text).unwrap();
        assert_eq!(seen, [Quota { name: "namespace".into(), limit: Some(5), used: Some(2) }]);
        let text = r#"{"namespaces":[{"id":2,"name":"web","creator_name":"root","auth":7,"access_user_count":1,
            "repo_count":4},{"id":1,"name":"base","creator_name":"root","auth":1}]}"#;
        let (seen, omissions) = read(organisations, text).unwrap();
        let organisation = |name: &str, repositories| Organisation { name: name.into(), repositories };
        assert_eq!(seen, [organisation("base", None), organisation("web", Some(4))]);
        assert_eq!(omissions, DroppedFields::default(), "a count that is not documented may be missing");
    }

    #[test]
    fn odd_values_cost_themselves_and_are_counted() {
        let (seen, omissions) =
            read(overview, r#"{"namspace_num":-1,"repo_num":"3","image_num":2,"store_space":1e999}"#).unwrap();
        assert_eq!((seen.images, omissions.number), (Some(2), 3));
        assert_eq!((seen.namespaces, seen.repositories, seen.storage, seen.download_traffic), (None, None, None, None));
        let twice = r#"{"quotas":[{"quota_key":"a","used":1},{"quota_key":"a","used":2},{"used":3},{"quota_key":7}]}"#;
        let (seen, omissions) = read(quotas, twice).unwrap();
        assert_eq!((seen.len(), seen[0].used, omissions.name), (1, Some(1), 2), "one series");
    }

    #[test]
    fn an_account_without_anything_has_empty_lists() {
        for text in ["{}", r#"{"namespaces":null}"#, r#"{"namespaces":[]}"#] {
            assert!(read(organisations, text).unwrap().0.is_empty(), "{text}");
        }
        for text in ["", "null", "[]", "<html>", r#"{"quotas":{}}"#, r#"{"quotas":[7]}"#] {
            assert!(read(quotas, text).is_err(), "{text}");
        }
    }
}
