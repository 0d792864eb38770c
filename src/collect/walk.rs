//! A walk over a list that may change meanwhile. It is begun again until one walk is consistent.

use crate::failure::{Failure, Reason};
use crate::swr::ApiError;

/// How often a list is begun before the read fails.
pub const MAX_WALKS: usize = 3;

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

/// Why one walk ended early.
pub(super) enum WalkError {
    /// Another walk would fail too.
    Final(WalkFailure),
    /// The list was inconsistent; another walk may find it at rest.
    Inconsistent(String),
}

impl From<ApiError> for WalkError {
    fn from(error: ApiError) -> Self {
        Self::Final(WalkFailure::Call(error))
    }
}

/// Counts the walks over a list.
#[derive(Default)]
pub(super) struct Walks(usize);

impl Walks {
    /// The outcome of all walks after one that ended so; `None` if the list is to be begun again.
    pub(super) fn conclude<T>(&mut self, walked: Result<T, WalkError>) -> Option<Result<T, WalkFailure>> {
        self.0 += 1;
        match walked {
            Ok(list) => Some(Ok(list)),
            Err(WalkError::Final(failure)) => Some(Err(failure)),
            Err(WalkError::Inconsistent(_)) if self.0 < MAX_WALKS => None,
            Err(WalkError::Inconsistent(problem)) => {
                let message = format!("the listing could not be completed in {MAX_WALKS} walks: {problem}");
                Some(Err(WalkFailure::Incomplete(message)))
            }
        }
    }
}
