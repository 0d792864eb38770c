//! The project's id, which some calls have in their path: given, known with the credential, or asked of IAM by name.
//!
//! A region's default project bears the region's name: `GET /v3/projects?name=REGION` of IAM (swr-api.md, 6.5). It never
//! changes, so once it is known a client does not ask again.

use super::buffered::{self, BufferedJson};
use super::client::{Call, Client};
use super::error::ApiError;
use super::metrics::Operation;
use super::retry::CallBudget;
use super::wire::{self, DroppedFields};
use crate::auth::Credential;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Where IAM is, and what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectLookup {
    /// `https://iam.<region>...`, without a path.
    pub iam_endpoint: String,
    /// The project's name.
    pub name: String,
}

impl Client {
    /// The project's id. One request at most is on its way for it, however many wait.
    ///
    /// # Errors
    /// When nobody knows it, or IAM cannot be asked.
    pub async fn project_id(&self, effort: &CallBudget) -> Result<&str, ApiError> {
        if let Some(given) = &self.options.project_id {
            return Ok(given);
        }
        self.project.get_or_try_init(|| self.find_project(effort)).await.map(String::as_str)
    }

    async fn find_project(&self, effort: &CallBudget) -> Result<String, ApiError> {
        let lease = effort.deadline.bound(self.authenticator.lease()).await;
        let lease = lease.map_err(|_| ApiError::Timeout("the refresh"))?.map_err(ApiError::Credential)?;
        if let Credential::AccessKey(key) = &lease.credential
            && let Some(project) = &key.project_id
        {
            return Ok(project.clone());
        }
        let Some(lookup) = &self.options.project_lookup else {
            return Err(unknown("neither it nor a region is set".to_owned()));
        };
        let call = Call { operation: Operation::FindProject, path: "/v3/projects", query: &[("name", &lookup.name)] };
        let asked = self.get(call, effort, || BufferedJson::new(projects)).await;
        let (mut ids, _) = asked.map_err(|error| ApiError::NoProject {
            why: "IAM does not tell".to_owned(),
            source: Some(Box::new(error)),
        })?;
        match ids.len() {
            1 => Ok(ids.swap_remove(0)),
            0 => Err(unknown(format!("IAM shows no project `{}`", lookup.name))),
            many => Err(unknown(format!("IAM shows {many} projects `{}`", lookup.name))),
        }
    }
}

fn unknown(why: String) -> ApiError {
    ApiError::NoProject { why, source: None }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    projects: &'a RawValue,
}

#[derive(Deserialize)]
struct Project<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// The ids that may stand in a path.
fn projects(text: &str, _: &mut DroppedFields) -> Result<Vec<String>, ApiError> {
    let envelope: Envelope<'_> = serde_json::from_str(text)?;
    let mut ids = Vec::new();
    for object in buffered::elements(envelope.projects)? {
        let project: Project<'_> = serde_json::from_str(object.get())?;
        let id = project.id.and_then(|raw| wire::text(raw.get())).unwrap_or_default();
        if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            ids.push(id.into_owned());
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_can_stand_in_a_path_are_taken() {
        let read = |text: &str| projects(text, &mut DroppedFields::default());
        let one = r#"{"projects":[{"id":"0123abc","name":"cn-north-4"},{"id":"../x"},{"id":7},{}],"links":{}}"#;
        assert_eq!(read(one).unwrap(), ["0123abc"]);
        assert!(read(r#"{"projects":[]}"#).unwrap().is_empty());
        assert!(read("{}").is_err());
    }
}
