//! Terraform and OpenTofu states of any S3 endpoint: found, read, compared, locked and put, over plain S3.
//!
//! What Tidelock has derived of them it takes from there. It writes a state only under its lock, as any
//! client does; what a body says is `tidelock-tfstate`'s, whose types are re-exported here.

mod acquire;
mod body;
pub(crate) mod key;
mod known;
mod list;
mod lock;
mod push;
mod release;
mod rollback;
mod shown;
mod version;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::Client;

pub use acquire::{AcquireError, NewLock, Stop};
pub(crate) use body::last_modified;
pub use body::{StateBody, StateError};
pub use key::workspace;
pub use known::{
    Findings, FoundInstance, KnownCounts, KnownFacts, KnownLock, KnownState, KnownStates,
    SearchPart, StatesPage,
};
pub use list::{ListedState, OBJECTS_LISTED_MAX, States};
pub use lock::{FoundLock, ListedLock, StateLock};
pub use push::{NewState, PushCheck, PushError, Pushed};
pub use release::{Release, UnderLock};
pub use rollback::{Rollback, RollbackError};
pub use shown::Shown;
pub use tidelock_tfstate::{
    AttributeChange, AttributeQuery, Check, CheckStatus, Counts, DOCUMENT_BYTES_MAX, Diff,
    Document, DocumentError, Format, Index, Instance, InstanceAddress, InstanceChange, Mode,
    NotAState, Operation, OutputChange, Resource, ResourceQuery, SERVED_BYTES_MAX, Show,
    SpliceError, State, Summary, Value,
};
pub(crate) use version::is_not_supported;
pub use version::{
    Changes, ReadVersion, StateVersion, StateVersions, VERSIONS_LISTED_MAX, VersionHistory,
};

/// Bodies of one command that are read at once.
pub const READS_IN_FLIGHT_MAX: usize = 8;

const KIB: usize = 1 << 10;

impl Client {
    /// The room for bodies of one command that are held at once: two of the largest, to compare them.
    fn room(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.bodies_kib_max()))
    }

    fn bodies_kib_max(&self) -> usize {
        2 * self.state_bytes_max().div_ceil(KIB)
    }
}
