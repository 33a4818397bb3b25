//! The audit log: what was asked of the store, by whom, and what became of it. It is only ever added to.
//!
//! An entry of a write is one more row of the write's own commit ([`Store::audit`]): there is no write
//! without it. Everything else, reads, refusals, requests of nobody known, waits in memory for the next
//! flush ([`Store::note`], [`buffer`]). From there a sealer moves entries into a chain of segments, each
//! of which names the hash of the one before ([`seal`]), so that no write waits for the chain. Nothing
//! but the oldest segments is ever dropped ([`retention`]).
//!
//! This module knows nothing of what an action means.

mod buffer;
mod entry;
mod query;
mod retention;
mod seal;
mod verify;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tidelock_meta::record::audit_chain::{self, AuditChainRow};
use tidelock_meta::record::audit_entry::{self, AuditEntry};
use tidelock_meta::{Batch, Key, OpId, Versioned};

pub use buffer::{AUDIT_BUFFER_BYTES_MAX, AUDIT_BUFFER_ENTRIES_MAX};
pub use entry::AuditEvent;
pub use query::{
    AuditPage, AuditPosition, AuditQuery, AuditRecord, InvalidAuditPosition, QUERY_ENTRIES_MAX,
};
pub use seal::{AuditTurn, SealWhen};
pub use verify::{AuditDamage, AuditVerification};

use crate::Store;
use crate::error::{BucketError, StorageError};
use crate::failpoint::Moment;
use crate::identity::Principal;
use crate::keyring::KeyringError;
use crate::origin::Origin;
use buffer::Buffer;

/// Segments that are read at once.
const READ_SEGMENTS: u64 = 16;
/// Plain bytes of entries that one row of the flush holds, more or less.
const ROW_BYTES_MAX: usize = 40 << 10;
/// Rows of one commit of the flush.
const FLUSH_ROWS_MAX: usize = 10;

/// What this process keeps of the log.
#[derive(Default)]
pub(crate) struct AuditLog {
    buffer: Buffer,
    /// Entries made: ids begin with it, so that those of one millisecond keep their order.
    made: AtomicU32,
    /// Requests whose entry is in a batch that was planned and whose commit has not ended.
    planned: Mutex<HashMap<OpId, Planned>>,
    /// Rows that the next step of sealing looks at; 0 for as many as it may.
    step_rows: AtomicUsize,
    /// One flush at a time: who waits for a flush must not miss what another one carries.
    flushing: tokio::sync::Mutex<()>,
}

/// An entry in a batch that was planned.
struct Planned {
    origin: Weak<Origin>,
    /// When the process dies, if that is to be tested.
    dies: Option<Moment>,
}

impl AuditLog {
    /// When the process is to die in the commit of a batch.
    pub(crate) fn dies(&self, batch: OpId) -> Option<Moment> {
        self.planned().get(&batch)?.dies
    }

    /// The commit of a batch has ended.
    pub(crate) fn ended(&self, batch: OpId, landed: bool) {
        let planned = self.planned().remove(&batch);
        if let Some(origin) = planned.and_then(|planned| planned.origin.upgrade())
            && landed
        {
            origin.audited.set();
        }
    }

    /// Each change is whole: a panic elsewhere leaves nothing half done.
    fn planned(&self) -> MutexGuard<'_, HashMap<OpId, Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Makes the entry of `event` land with `batch`, as its last write so far: never call it before
    /// the batch has a first one, which must tell whether a lost commit landed. Once it has landed, the
    /// request of `principal` counts as audited.
    pub(crate) fn audit(&self, batch: &mut Batch, principal: &Principal, event: &AuditEvent) {
        debug_assert!(!batch.writes.is_empty(), "the first write of a batch is its witness");
        let entry = self.audit_entry(principal, event);
        let key = audit_entry::key(&entry);
        let sealed = self.seal_entries(&key, &entry.encode());
        batch.put(key, audit_entry::encode(&sealed));
        let origin = Arc::downgrade(&principal.origin);
        let failpoint = self.config.failpoint.as_ref();
        let dies = failpoint.and_then(|failpoint| failpoint.moment_of(&event.action));
        self.audit_log.planned().insert(batch.op_id, Planned { origin, dies });
    }

    /// Writes the entry of `event` with the next flush; the request of `principal` counts as audited.
    pub fn note(&self, principal: &Principal, event: &AuditEvent) {
        principal.origin.audited.set();
        self.audit_log.buffer.push(&self.audit_entry(principal, event));
    }

    /// Writes what [`Store::note`] was told, in few commits.
    ///
    /// # Errors
    ///
    /// When the store fails; what was not written is tried again by the next flush. An entry may be in
    /// the log twice then, under one id.
    pub async fn flush_audit(&self) -> Result<(), StorageError> {
        let _one_at_a_time = self.audit_log.flushing.lock().await;
        // Plans that came to nothing, of requests that have been answered.
        self.audit_log.planned().retain(|_, planned| planned.origin.strong_count() > 0);
        self.tell_dropped();
        loop {
            let taken = self.audit_log.buffer.take(FLUSH_ROWS_MAX, ROW_BYTES_MAX);
            let count = taken.rows().len();
            if count == 0 {
                return Ok(());
            }
            let mut batch = Batch::new(OpId(self.random()));
            for row in taken.rows() {
                let sealed = self.seal_entries(&row.key, &row.plain);
                batch.put(row.key.clone(), audit_entry::encode(&sealed));
            }
            self.try_commit(batch).await?;
            taken.are_written();
            // All that waited when this began is written; what came since waits for the next flush.
            if count < FLUSH_ROWS_MAX {
                return Ok(());
            }
        }
    }

    /// One entry for all that found no room.
    fn tell_dropped(&self) {
        let dropped = self.audit_log.buffer.dropped();
        if dropped > 0 {
            let event = AuditEvent {
                action: "AuditEntriesDropped".into(),
                message: format!("{dropped} entries found no room in memory and are lost"),
                ..AuditEvent::default()
            };
            let server = Principal::server();
            self.audit_log.buffer.push_always(&self.audit_entry(&server, &event));
        }
    }

    fn seal_entries(&self, key: &Key, plain: &[u8]) -> Vec<u8> {
        self.keyring.wrap(plain, &entry_place(key), &*self.entropy)
    }

    /// The entries that are sealed for `place`, or how they are damaged.
    fn unseal_entries(
        &self,
        sealed: Result<&[u8], impl std::fmt::Display>,
        place: &[u8],
    ) -> Result<Result<Vec<AuditEntry>, String>, StorageError> {
        let plain = self.unseal_plain(sealed, place)?;
        let decode = |plain: Bytes| audit_entry::decode_entries(&plain);
        Ok(plain.and_then(|plain| decode(plain).map_err(|error| error.to_string())))
    }

    /// The plain bytes that are sealed for `place`, or how they are damaged. A key that is not in the
    /// keyring is no damage: it can be put there.
    fn unseal_plain(
        &self,
        sealed: Result<&[u8], impl std::fmt::Display>,
        place: &[u8],
    ) -> Result<Result<Bytes, String>, StorageError> {
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        match self.keyring.unwrap(sealed, place) {
            Ok(mut plain) => Ok(Ok(Bytes::from(std::mem::take(&mut *plain)))),
            Err(error @ KeyringError::NoSuchKey(_)) => {
                Err(StorageError::Corrupt(format!("audit log: {error}")))
            }
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// What stands for entries that are damaged, in plain bytes.
    fn damaged_entry(&self, message: String) -> Bytes {
        let event = AuditEvent {
            action: "AuditEntryDamaged".into(),
            code: "Damaged".into(),
            message,
            ..AuditEvent::default()
        };
        self.audit_entry(&Principal::server(), &event).encode()
    }
}

/// What the entries in a row outside the chain are bound to.
pub(crate) fn entry_place(key: &Key) -> Vec<u8> {
    [b"audit-entry\0".as_slice(), key].concat()
}

/// What the entries of a segment are bound to.
pub(crate) fn segment_place(number: u64) -> Vec<u8> {
    [b"audit-segment\0".as_slice(), &number.to_be_bytes()].concat()
}

pub(crate) fn chain_of(seen: Option<&Versioned>) -> Result<AuditChainRow, StorageError> {
    Ok(seen.map(|row| AuditChainRow::decode(&row.value)).transpose()?.unwrap_or_default())
}

fn require_root(principal: &Principal) -> Result<(), BucketError> {
    if principal.is_root { Ok(()) } else { Err(BucketError::AccessDenied) }
}

impl Store {
    async fn audit_chain(&self) -> Result<AuditChainRow, StorageError> {
        let read = self.rows.answer(|reading| async move { reading.row(audit_chain::key()).await });
        chain_of(read.await?.as_ref())
    }

    fn audit_entry<'a>(
        &self,
        principal: &'a Principal,
        event: &'a AuditEvent,
    ) -> AuditEntry<&'a str> {
        let mut id: [u8; 16] = self.random();
        let made = self.audit_log.made.fetch_add(1, Ordering::Relaxed);
        id[..4].copy_from_slice(&made.to_be_bytes());
        event.entry(principal, self.now(), id)
    }
}
