//! Re-wrapping: what older keys of the keyring have wrapped is wrapped by the first one, so that the older
//! keys can go. Only wrappings in rows change: no body, and nothing that a client sees.
//!
//! ```text
//! stage.rs   which rows hold wrappings, and in which order they are gone through
//! row.rs     the wrappings of one row, and what each is bound to
//! pass.rs    a page of rows, a few in each commit
//! usage.rs   whether anything still needs a key that is gone, for a start
//! ```
//! SSE-KMS names its key, so it stays unless that name is given. Of SSE-C only the keyring's own layer
//! changes. Tokens of sessions are their holders': they end with the key that has sealed them.

mod pass;
mod row;
mod stage;
mod usage;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::str::FromStr;

use tidelock_meta::Key;

pub(crate) use usage::count_uses;

use crate::error::StorageError;
use stage::Stage;

/// A page of a run that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrap {
    /// Where the page before has ended; none for the first one.
    pub after: Option<RewrapCursor>,
    /// Names of keys whose SSE-KMS objects get the keyring's first key, too; they name that one then.
    pub kms_keys: Vec<String>,
    /// Whether anything is changed.
    pub mode: RewrapMode,
}

/// Whether a run changes anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RewrapMode {
    /// It does.
    #[default]
    Real,
    /// It only counts.
    DryRun,
}

/// Where a run is to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrapCursor {
    stage: Stage,
    /// The first key that was not looked at.
    from: Key,
}

/// A text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of a re-wrapping run")]
pub struct InvalidRewrapCursor;

/// What a page has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RewrapPage {
    /// The key that wraps: the keyring's first one.
    pub current: String,
    /// Wrappings that were replaced, or would be.
    pub rewrapped: u64,
    /// Wrappings of the current key that were there before.
    pub already: u64,
    /// Wrappings and rows that do not open: damaged.
    pub damaged: u64,
    /// What each key wraps after this.
    pub keys: BTreeMap<String, KeyUse>,
    /// Where the next page begins; none after the last one.
    pub next: Option<RewrapCursor>,
}

/// What needs a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Wrappings.
    pub wrapped: u64,
    /// Of these, those of SSE-KMS, which name it.
    pub kms: u64,
    /// Buckets whose default encryption names it.
    pub defaults: u64,
}

/// Why nothing was re-wrapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewrapError {
    /// Only root may.
    #[error("access denied")]
    AccessDenied,
    /// The keyring of this server has no such key.
    #[error("the keyring has no key {0}")]
    NoSuchKey(String),
    /// Another server of this store, which was started later, wraps with another key.
    #[error(
        "this server wraps with the key {here}, and the store's newest server with {newest}; \
             start all with the same first key"
    )]
    Outdated {
        /// This server's first key.
        here: String,
        /// That of the server that was started last.
        newest: String,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl RewrapPage {
    fn of_key(&mut self, name: &str) -> &mut KeyUse {
        // Most rows have the same few keys: the name is copied once.
        if !self.keys.contains_key(name) {
            self.keys.insert(name.to_owned(), KeyUse::default());
        }
        self.keys.entry(name.to_owned()).or_default()
    }

    /// Adds what another part of the run has come to.
    fn add(&mut self, other: Self) {
        self.rewrapped += other.rewrapped;
        self.already += other.already;
        self.damaged += other.damaged;
        for (name, more) in other.keys {
            let all = self.of_key(&name);
            all.wrapped += more.wrapped;
            all.kms += more.kms;
            all.defaults += more.defaults;
        }
    }
}

impl std::fmt::Display for RewrapCursor {
    /// The stage's number and the key, in hex.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x}{}", self.stage.number(), hex::encode(&self.from))
    }
}

impl FromStr for RewrapCursor {
    type Err = InvalidRewrapCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = hex::decode(text).map_err(|_| InvalidRewrapCursor)?;
        let (number, from) = bytes.split_first().ok_or(InvalidRewrapCursor)?;
        let stage = Stage::of_number(*number).ok_or(InvalidRewrapCursor)?;
        Ok(Self { stage, from: Key::copy_from_slice(from) })
    }
}
