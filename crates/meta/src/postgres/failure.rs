//! What an error of the database means for the call that met it.
//!
//! The codes are PostgreSQL's (documentation, appendix A). The question is always the same: may
//! something have been written? Only an ERROR that arrives before the commit says no; see
//! `commit.rs` for why every ERROR does. Refuses to know what the caller does then.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use super::session::describe;
use crate::MetaError;

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was written; the same again may succeed, on the same connection.
    Retry(String),
    /// Nothing was written: a row that must be absent was there.
    Duplicate,
    /// Nothing was written, and the connection is of no more use.
    Refused(MetaError),
    /// Nothing was written: the connection was lost before the end was asked for.
    LostBefore(String),
    /// The connection was lost: what was under way may have been done.
    Lost(String),
}

impl Failure {
    /// Reads an error of the driver.
    pub(super) fn of(error: &Error) -> Self {
        match error.as_db_error() {
            Some(answer) => Self::answered(answer),
            // Also what cannot be sent: saying less than is known is safe.
            None => Self::Lost(describe(error)),
        }
    }

    /// The same where nothing can have been written, whatever was lost.
    pub(super) fn before_commit(self) -> Self {
        match self {
            Self::Lost(why) => Self::LostBefore(why),
            other => other,
        }
    }

    /// For a call without an answer in time, which may still be under way.
    pub(super) fn timed_out() -> Self {
        Self::Lost("no answer in time".to_owned())
    }

    fn answered(answer: &DbError) -> Self {
        let code = answer.code();
        let what = format!("{} ({})", answer.message(), code.code());
        let is_error = answer.parsed_severity() == Some(Severity::Error);
        let is_lost = *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
            || code.code().starts_with("08")
            || code.code().starts_with("57P0");
        if is_lost || !is_error {
            return Self::Lost(what);
        }
        match *code {
            SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::LOCK_NOT_AVAILABLE => Self::Retry(what),
            SqlState::UNIQUE_VIOLATION => Self::Duplicate,
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => {
                Self::Refused(MetaError::Corrupt(what))
            }
            _ => Self::Refused(MetaError::Unavailable(what)),
        }
    }
}
