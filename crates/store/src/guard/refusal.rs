//! What the guard refuses a request with.

use tidelock_meta::record::version::VersionId;

use super::message::LockFacts;

/// A state write or delete that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which rule it broke.
    pub reason: RefusalReason,
    /// The same for people; Terraform prints it as it is.
    pub message: String,
    /// Names the refused version, if the body was kept.
    pub refused: Option<VersionId>,
    /// The lock that is in the way.
    pub lock: Option<Box<LockFacts>>,
    /// Whether the body of this very request is the one that is kept; the same may have been kept before.
    pub(crate) keeps_body: bool,
}

/// Which rule a refused request broke. The names are the codes of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// Another principal holds the lock.
    StateLocked,
    /// The run had the lock and lost it, or was refused before.
    StateLockLost,
    /// Nobody holds the lock.
    StateLockRequired,
    /// The stored state is as new or newer.
    StaleStateWrite,
    /// The state has another lineage.
    StateLineageMismatch,
    /// A state would be replaced by something else.
    NotAState,
    /// It is over the bucket's limit.
    StateTooLarge,
}

impl RefusalReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::StateLocked,
        Self::StateLockLost,
        Self::StateLockRequired,
        Self::StaleStateWrite,
        Self::StateLineageMismatch,
        Self::NotAState,
        Self::StateTooLarge,
    ];

    /// The code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StateLocked => "StateLocked",
            Self::StateLockLost => "StateLockLost",
            Self::StateLockRequired => "StateLockRequired",
            Self::StaleStateWrite => "StaleStateWrite",
            Self::StateLineageMismatch => "StateLineageMismatch",
            Self::NotAState => "NotAState",
            Self::StateTooLarge => "StateTooLarge",
        }
    }
}

/// A lock that was not taken, since somebody holds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LockedBy {
    /// For people: who, since when, what for, whether it looks alive, and how to release it.
    pub message: String,
    /// The same as facts.
    pub lock: LockFacts,
}
