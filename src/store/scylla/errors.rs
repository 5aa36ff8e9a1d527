//! What the driver's errors are to callers of the store: not there for the moment, or too busy to answer.

use scylla::errors::{
    DbError, ExecutionError, IntoRowsResultError, MaybeFirstRowError, NewSessionError, PagerExecutionError,
    PrepareError, RequestAttemptError, RowsError, UseKeyspaceError,
};

use crate::store::StoreError;

/// An answer that does not look as the statement promises.
#[derive(Debug, thiserror::Error)]
#[error("the database's answer lacks {what}")]
pub(super) struct Unexpected {
    pub(super) what: &'static str,
}

/// A statement was not prepared in time: it was never sent.
#[derive(Debug, thiserror::Error)]
#[error("the database did not prepare a statement in time")]
pub(super) struct NotPrepared;

/// Nothing that was asked before ended in time: this was never sent.
#[derive(Debug, thiserror::Error)]
#[error("so much is asked of the database that nothing more was sent for {0:?}")]
pub(super) struct NoRoom(pub(super) std::time::Duration);

/// The session that a request was sent through was replaced before it was answered: it may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database came back without an answer to what it was asked before")]
pub(super) struct Replaced;

impl From<Unexpected> for StoreError {
    fn from(error: Unexpected) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<ExecutionError> for StoreError {
    fn from(error: ExecutionError) -> Self {
        match &error {
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                DbError::Overloaded | DbError::RateLimitReached { .. },
                _,
            )) => Self::Busy,
            _ => Self::Unavailable(Box::new(error)),
        }
    }
}

macro_rules! unavailable {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Unavailable(Box::new(error))
            }
        }
    )+};
}

unavailable!(
    IntoRowsResultError,
    MaybeFirstRowError,
    NewSessionError,
    NoRoom,
    NotPrepared,
    PagerExecutionError,
    PrepareError,
    Replaced,
    RowsError,
    UseKeyspaceError,
    scylla::errors::DeserializationError,
);

/// The error for a row that is not there, or is another account's: the two look the same on purpose.
pub(super) fn missing(what: &'static str, id: impl std::fmt::Display) -> StoreError {
    StoreError::Missing {
        what,
        id: id.to_string(),
    }
}
