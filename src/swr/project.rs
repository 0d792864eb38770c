//! The id of the project, which some calls need in their path: configured, part of the credential, or looked up in IAM.
//!
//! The default project of a region has the region's name: `GET /v3/projects?name=REGION` of IAM. The id never changes, so
//! a client looks it up once.

use super::buffered;
use super::request::Call;
use super::wire::{self, DroppedFields, read_fields};
use super::{ApiError, CallBudget, Client, Operation};

impl Client {
    /// The project's id. At most one lookup is in flight, however many callers wait for it.
    ///
    /// # Errors
    /// When it is not known and the lookup fails.
    pub async fn project_id(&self, budget: &CallBudget) -> Result<&str, ApiError> {
        if let Some(configured) = &self.options.project_id {
            return Ok(configured);
        }
        self.project.get_or_try_init(|| self.find_project(budget)).await.map(String::as_str)
    }

    async fn find_project(&self, budget: &CallBudget) -> Result<String, ApiError> {
        let lease = budget.deadline.bound(self.authenticator.credential()).await;
        let lease = lease.map_err(|_| ApiError::Timeout("the refresh"))?.map_err(ApiError::Credential)?;
        if let Some(project) = lease.credential.project_id() {
            return Ok(project.to_owned());
        }
        let Some(lookup) = &self.options.project_lookup else {
            return Err(unknown(
                "it is not set, and neither is a region of which the address of IAM is known".to_owned(),
            ));
        };
        let call = Call { operation: Operation::FindProject, path: "/v3/projects", query: &[("name", &lookup.name)] };
        let mut ids = self.get_json(call, budget, projects).await.map_err(|error| ApiError::NoProject {
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

/// The ids of the projects, without those that cannot be part of a path.
fn projects(text: &str, _: &mut DroppedFields) -> Result<Vec<String>, ApiError> {
    read_fields!(text, projects);
    if projects.is_none() {
        return Err(wire::missing("projects"));
    }
    let mut ids = Vec::new();
    buffered::for_each_row(projects, |object| {
        read_fields!(object, id);
        let id = id.and_then(|raw| wire::string(raw.get())).unwrap_or_default();
        if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            ids.push(id.into_owned());
        }
        Ok(())
    })?;
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
