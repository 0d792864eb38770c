//! Why a listing could not be read.

use crate::failure::{Failure, Reason};
use crate::swr::ApiError;

/// Why a listing could not be read.
#[derive(Debug)]
pub enum WalkFailure {
    /// A call failed for good.
    Call(ApiError),
    /// The list is too long or inconsistent.
    Incomplete(String),
    /// The listing was not complete by the deadline.
    NotInTime,
}

impl From<WalkFailure> for Failure {
    fn from(failure: WalkFailure) -> Self {
        match failure {
            WalkFailure::Call(error) => error.into(),
            WalkFailure::Incomplete(message) => Self::new(Reason::Incomplete, message),
            WalkFailure::NotInTime => {
                Self::new(Reason::Timeout, "the listing was not complete by the refresh's deadline")
            }
        }
    }
}
