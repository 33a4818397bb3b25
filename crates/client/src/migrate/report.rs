//! What became of each state.

use serde::Serialize;

use super::history::Past;
use super::source::SourceState;

/// What became of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Written, read again, and the same.
    Migrated,
    /// To be written, were it no dry run.
    WouldMigrate,
    /// All of it was there before.
    Same,
    /// All of it was there before, and the destination has newer versions.
    Ahead,
    /// No state; left alone.
    NotAState,
    /// Somebody holds its lock; left alone.
    Locked,
    /// Something else is at the destination; left alone.
    Different,
    /// It was not moved, or not all of it.
    Failed,
}

/// One state, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateReport {
    /// Its name at the source.
    pub source: String,
    /// Its key at the destination.
    pub key: String,
    /// Versions and delete markers at the source, without those that repeat the one before.
    pub versions: usize,
    /// Of these, written by this run.
    pub written: usize,
    /// Bytes of all versions.
    pub bytes: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, where the verdict does not say it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Verdict {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Migrated => "migrated",
            Self::WouldMigrate => "would-migrate",
            Self::Same => "same",
            Self::Ahead => "ahead",
            Self::NotAState => "not-a-state",
            Self::Locked => "locked",
            Self::Different => "different",
            Self::Failed => "failed",
        }
    }

    /// Whether a state is not where it should be.
    pub fn is_refusal(self) -> bool {
        match self {
            Self::Migrated | Self::WouldMigrate | Self::Same | Self::Ahead | Self::NotAState => {
                false
            }
            Self::Locked | Self::Different | Self::Failed => true,
        }
    }
}

impl StateReport {
    /// Of a state that was not looked at yet.
    pub(super) fn of(state: &SourceState) -> Self {
        Self {
            source: state.name.clone(),
            key: state.key.clone(),
            versions: 0,
            written: 0,
            bytes: 0,
            verdict: Verdict::Failed,
            reason: String::new(),
        }
    }

    /// Counts what is at the source.
    pub(super) fn count(&mut self, past: &Past) {
        self.versions = past.events.len();
        self.bytes = past.events.iter().filter_map(|event| Some(event.body.as_ref()?.size)).sum();
    }
}
