//! Advice on failures: what the operator can do. `check`, the log and the landing page give the same.

use super::{ApiError, Operation};
use crate::auth::{self, AuthError, profile};
use crate::transport::error_response::ErrorResponse;

/// Advice on a listing without repositories.
pub const ON_EMPTY_LIST: &str = "if there should be repositories, the user lacks permission for their organizations";

/// Advice on a failed call of the listing; empty if there is none.
pub fn on_call(error: &ApiError, namespace: Option<&str>) -> String {
    let advice = match error {
        ApiError::Auth(response) => on_refusal(response),
        ApiError::Credential(error) => on_credential(error),
        ApiError::Permission(_) => match namespace {
            None => "give the user the IAM permission swr:repo:listRepos (part of SWR ReadOnlyAccess)",
            Some(name) => {
                return format!(
                    "give the user the IAM permission swr:repo:listRepos, or read permission in the organization `{name}` \
                     (SWR console, organization, users)"
                );
            }
        },
        ApiError::Throttled(_) | ApiError::WaitTooLong { .. } => {
            "the API limits the calls of this user: lower --swr.rate-limit, lengthen --cache.window, and see what else uses the \
             same user"
        }
        ApiError::NotFound(_) if namespace.is_some() => {
            "the organization does not exist here: check its name in --swr.namespace and the region"
        }
        ApiError::NotFound(_) | ApiError::Redirect(_) | ApiError::Array(_) | ApiError::Json(_) => {
            "this is not the SWR API: check --swr.region or --swr.endpoint"
        }
        ApiError::Server(_) | ApiError::CircuitOpen { .. } => {
            "the service is failing: try again later, and see the cloud's status page"
        }
        ApiError::Blocked(_) => {
            "a firewall in front of the API blocks this address or its call rate: lower --swr.rate-limit and \
             --swr.concurrency; if it goes on, give the cloud's support the time and the source address of the calls"
        }
        ApiError::TooLarge { .. } | ApiError::TooManyRows { .. } => {
            "no page of the API is that large: check --swr.region or --swr.endpoint; if they are right, lower --swr.page-size"
        }
        ApiError::Timeout(_) | ApiError::Network(_) | ApiError::RateLimited { .. } => {
            "the connection to the API fails: check firewalls and proxies in between"
        }
        _ => "",
    };
    advice.to_owned()
}

/// Advice on a failed call of an optional collector.
pub fn on_auxiliary_call(error: &ApiError, operation: Operation, collector: &str) -> String {
    let flag = format!("--collector.{collector}");
    match error {
        ApiError::Permission(_) => match operation.permission() {
            Some(permission) => format!("give the user the IAM permission {permission}, or remove {flag}"),
            None => format!("give the user SWR ReadOnlyAccess, or remove {flag}"),
        },
        ApiError::NotFound(_) => format!("this region or cloud does not offer it: remove {flag}"),
        error => on_call(error, None),
    }
}

/// Advice on an unknown project id.
pub fn on_project() -> String {
    let permission = Operation::FindProject.permission().unwrap_or_default();
    format!("set --swr.project-id; or set --swr.region and give the user the IAM permission {permission}")
}

/// Advice on a refused credential, by the gateway's message.
fn on_refusal(response: &ErrorResponse) -> &'static str {
    let message = response.body.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    if message.contains("get secretkey") {
        "the access key is unknown here: check that it is right and enabled, and that the region belongs to the same cloud"
    } else if message.contains("signature") {
        "the secret key does not belong to the access key: check that both come from the same download"
    } else if message.contains("reach the limit") || message.contains("lock") {
        "the access key is locked for a while after repeated failures: stop the program that uses it wrongly, then wait"
    } else if message.contains("decrypt token") {
        "the token is damaged, expired, or of another region: get a new one for a project of this region"
    } else if message.contains("token") {
        "the token has expired or was revoked: get a new one, or use a source that renews itself"
    } else {
        "check that the credential is right and enabled, and that it belongs to the cloud of this region"
    }
}

/// Advice on a credential that could not be obtained.
pub fn on_credential(error: &AuthError) -> &'static str {
    match error {
        AuthError::Unreadable { .. } => "check that the file exists and that this user may read it",
        AuthError::FilesHang => "check the file system that holds the files, such as a network share",
        AuthError::UnusableFile { what: profile::WHAT, .. } => {
            "write the values into the section [basic] of the file, one per line, as in `ak = ...`"
        }
        AuthError::UnusableFile { .. } => "write only the secret into the file",
        AuthError::UnusableSetting { .. } => "set only the secret, as it was downloaded",
        AuthError::Unobtained(last) | AuthError::Waiting { last, .. } => on_credential(last),
        AuthError::Refused { hint, .. } if !hint.is_empty() => hint.trim_matches([' ', '(', ')']),
        AuthError::Refused { operation: auth::Operation::Metadata, .. } => {
            "bind an agency to this instance, and check --credentials.metadata-endpoint"
        }
        AuthError::Refused { operation: auth::Operation::PodIdentity, .. } => {
            "associate the pod's service account with an agency, and check that its token is mounted"
        }
        AuthError::Refused { .. } => {
            "check account, user, password and project (password), or provider, agency and identity token (OIDC); repeated \
             failures lock the user"
        }
        AuthError::Network { .. } | AuthError::Timeout(_) => {
            "check --swr.iam-endpoint or --credentials.metadata-endpoint, and that this machine reaches it"
        }
        AuthError::Failed { .. } | AuthError::UnexpectedResponse { .. } => {
            "check the address; if it is right, the service is failing: try again later"
        }
        AuthError::RefusedByApi(response) => on_refusal(response),
        AuthError::HeldBack { last: Some(last), .. } => on_credential(last),
        AuthError::HeldBack { last: None, .. } => {
            "check that the credential is right and enabled, and that it belongs to the cloud of this region"
        }
        AuthError::NoCredential(_) => "docs/credentials.md lists every source",
        _ => "",
    }
}
