//! Calls about the account as a whole: organizations, totals, quotas. Each is one small response.

use super::buffered;
use super::request::Call;
use super::wire::{self, DroppedFields, read_fields};
use super::{ApiError, CallBudget, Client, Operation};
use crate::model::figures::{Organization, Overview, Quota};

impl Client {
    /// Lists the organizations in which the caller has rights, on all or on single repositories. There are no pages.
    pub async fn organizations(&self, budget: &CallBudget) -> Result<Vec<Organization>, ApiError> {
        let query = [("filter", "mode::visible")];
        let call = Call { operation: Operation::ListNamespaces, path: "/v2/manage/namespaces", query: &query };
        match self.get_json(call, budget, organizations).await {
            // Old versions may not know the filter. Without it, organizations with rights on single repositories are missing.
            Err(ApiError::Refused(_)) => self.get_json(Call { query: &[], ..call }, budget, organizations).await,
            result => result,
        }
    }

    /// Reads the account's totals.
    pub async fn overview(&self, budget: &CallBudget) -> Result<Overview, ApiError> {
        let call = Call { operation: Operation::Overview, path: "/v2/manage/overview", query: &[] };
        self.get_json(call, budget, overview).await
    }

    /// Reads the quotas of the project.
    pub async fn quotas(&self, budget: &CallBudget) -> Result<Vec<Quota>, ApiError> {
        let path = format!("/v2/manage/projects/{}/quotas", self.project_id(budget).await?);
        self.get_json(Call { operation: Operation::Quotas, path: &path, query: &[] }, budget, quotas).await
    }
}

/// Parses the list of organizations. They are sorted by name, each once.
pub fn organizations(text: &str, dropped: &mut DroppedFields) -> Result<Vec<Organization>, ApiError> {
    read_fields!(text, namespaces);
    let (mut organizations, _) = buffered::rows(namespaces, dropped, |object, dropped| {
        read_fields!(object, name, repo_count);
        let Some(name) = wire::required_text(name, dropped) else { return Ok(None) };
        Ok(Some(Organization { name: name.into(), repositories: wire::integer(repo_count, dropped) }))
    })?;
    organizations.sort_by(|a, b| a.name.cmp(&b.name));
    organizations.dedup_by(|a, b| a.name == b.name);
    Ok(organizations)
}

/// Parses the account's totals.
pub fn overview(text: &str, dropped: &mut DroppedFields) -> Result<Overview, ApiError> {
    // The API misspells the first key; the second is for the day when that is corrected.
    read_fields!(text, namspace_num, namespace_num, repo_num, image_num, store_space, downflow_size);
    Ok(Overview {
        namespaces: wire::integer(namspace_num.or(namespace_num), dropped),
        repositories: wire::integer(repo_num, dropped),
        images: wire::integer(image_num, dropped),
        storage: wire::float(store_space, dropped),
        download_traffic: wire::float(downflow_size, dropped),
    })
}

/// Parses quotas. They are sorted by name, each once. Only `namespace` is known to exist.
pub fn quotas(text: &str, dropped: &mut DroppedFields) -> Result<Vec<Quota>, ApiError> {
    read_fields!(text, quotas);
    let (mut quotas, _) = buffered::rows(quotas, dropped, |object, dropped| {
        read_fields!(object, quota_key, quota_limit, used);
        let Some(name) = wire::required_text(quota_key, dropped) else { return Ok(None) };
        let (limit, used) = (wire::limit(quota_limit, dropped), wire::integer(used, dropped));
        Ok(Some(Quota { name: name.into(), limit, used }))
    })?;
    quotas.sort_by(|a, b| a.name.cmp(&b.name));
    quotas.dedup_by(|a, b| a.name == b.name);
    Ok(quotas)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was read, and how many values were left out.
    fn read<T>(
        parse: fn(&str, &mut DroppedFields) -> Result<T, ApiError>,
        text: &str,
    ) -> Result<(T, DroppedFields), ApiError> {
        let mut dropped = DroppedFields::default();
        parse(text, &mut dropped).map(|value| (value, dropped))
    }

    #[test]
    fn documented_examples_are_read_whole() {
        let text = r#"{"domain_id":"a1","domain_name":"","namspace_num":3,"repo_num":14,"image_num":52,
            "store_space":99.21,"downflow_size":0}"#;
        let (seen, dropped) = read(overview, text).unwrap();
        assert_eq!((seen.namespaces, seen.repositories, seen.images), (Some(3), Some(14), Some(52)));
        assert_eq!((seen.storage, seen.download_traffic), (Some(99.21), Some(0.0)));
        assert_eq!(dropped, DroppedFields::default());
        let text = r#"{"quotas":[{"quota_key":"namespace","quota_limit":5,"used":2,"unit":""}]}"#;
        let (seen, _) = read(quotas, text).unwrap();
        assert_eq!(seen, [Quota { name: "namespace".into(), limit: Some(5), used: Some(2) }]);
        let text = r#"{"namespaces":[{"id":2,"name":"web","creator_name":"root","auth":7,"access_user_count":1,
            "repo_count":4},{"id":1,"name":"base","creator_name":"root","auth":1}]}"#;
        let (seen, dropped) = read(organizations, text).unwrap();
        let organization = |name: &str, repositories| Organization { name: name.into(), repositories };
        assert_eq!(seen, [organization("base", None), organization("web", Some(4))]);
        assert_eq!(dropped, DroppedFields::default(), "a count that is not documented may be missing");
    }

    #[test]
    fn odd_values_cost_themselves_and_are_counted() {
        let (seen, dropped) =
            read(overview, r#"{"namspace_num":-1,"repo_num":"x","image_num":2,"store_space":1e999}"#).unwrap();
        assert_eq!((seen.images, dropped.number), (Some(2), 3));
        assert_eq!((seen.namespaces, seen.repositories, seen.storage, seen.download_traffic), (None, None, None, None));
        let twice = r#"{"quotas":[{"quota_key":"a","used":1},{"quota_key":"a","used":2},{"used":3},{"quota_key":7}]}"#;
        let (seen, dropped) = read(quotas, twice).unwrap();
        assert_eq!((seen.len(), seen[0].used, dropped.name), (1, Some(1), 2), "one series");
    }

    #[test]
    fn an_account_without_anything_has_empty_lists() {
        for text in ["{}", r#"{"namespaces":null}"#, r#"{"namespaces":[]}"#] {
            assert!(read(organizations, text).unwrap().0.is_empty(), "{text}");
        }
        for text in ["", "null", "[]", "<html>", r#"{"quotas":{}}"#, r#"{"quotas":[7]}"#] {
            assert!(read(quotas, text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_may_be_written_as_text_and_a_quota_may_be_unlimited() {
        let text = r#"{"quotas":[{"quota_key":"a","quota_limit":-1,"used":"12"},{"quota_key":"b","quota_limit":"-1"},
            {"quota_key":"c","quota_limit":"5","used":-1}]}"#;
        let (seen, dropped) = read(quotas, text).unwrap();
        let seen: Vec<_> = seen.iter().map(|quota| (quota.limit, quota.used)).collect();
        assert_eq!((seen.as_slice(), dropped.number), (&[(None, Some(12)), (None, None), (Some(5), None)][..], 1));
        let (seen, dropped) = read(overview, r#"{"store_space":"99.21","repo_num":"7"}"#).unwrap();
        assert_eq!((seen.storage, seen.repositories, dropped.number), (Some(99.21), Some(7), 0));
    }
}
