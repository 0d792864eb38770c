//! Reads that may fail in part: the calls that failed, and the previous values that are kept in their place.

use super::walk::WalkFailure;
use crate::failure::Failure;
use crate::model::Timestamp;
use crate::model::figures::Dated;
use crate::swr::{ApiError, Operation, advice};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct FailedCall {
    pub(super) operation: Operation,
    pub(super) failure: Failure,
}

impl FailedCall {
    /// Turns the error of a call into a failed call with advice.
    pub(super) fn of(operation: Operation) -> impl Fn(ApiError) -> Self {
        move |error| {
            let advice = match &error {
                ApiError::NoProject { .. } => "give --swr.project-id".to_owned(),
                ApiError::Permission(_) => match operation.permission() {
                    Some(permission) => format!("give the user the IAM permission {permission}"),
                    None => "give the user SWR ReadOnlyAccess".to_owned(),
                },
                ApiError::NotFound(_) => "it may be that this region or cloud does not offer it".to_owned(),
                error => advice::on_call(error, None),
            };
            Self { operation, failure: Failure { advice, ..error.into() } }
        }
    }

    pub(super) fn of_walk(operation: Operation) -> impl Fn(WalkFailure) -> Self {
        move |failure| match failure {
            WalkFailure::Call(error) => Self::of(operation)(error),
            failure => Self { operation, failure: failure.into() },
        }
    }
}

/// The values from before a read that began at `read_at`.
pub(super) struct Previous<T> {
    pub(super) values: Arc<T>,
    pub(super) read_at: Timestamp,
    pub(super) max_age: Duration,
}

impl<T> Previous<T> {
    /// The result of a call, or else the previous value, unless that is older than the maximum age.
    pub(super) fn unless_fresh<V: Clone>(
        &self,
        result: Result<V, FailedCall>,
        previous: impl FnOnce(&T) -> Option<&Dated<V>>,
        failed: &mut Vec<FailedCall>,
    ) -> Option<Dated<V>> {
        match result {
            Ok(value) => Some(Dated { value, read_at: self.read_at }),
            Err(call) => {
                failed.push(call);
                previous(&self.values).filter(|value| value.read_at.is_within(self.max_age, self.read_at)).cloned()
            }
        }
    }
}
