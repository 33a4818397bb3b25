//! The chain: entries move into segments, each of which names the hash of the one before.
//!
//! A step reads the chain's row, then the oldest rows outside the chain, and commits segments, the new
//! chain and the rows' deletion at once, at the version of the chain that it has read. Of two sealers
//! that step at once one loses: no entry is in the chain twice, and the chain never forks. That only
//! one server seals saves work and nothing else.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use tidelock_meta::record::DecodeError;
use tidelock_meta::record::audit_chain::{self, AuditChainRow};
use tidelock_meta::record::audit_entry::{self, AuditEntry};
use tidelock_meta::record::audit_segment::{self, AuditSegmentRow, SegmentHash};
use tidelock_meta::{Batch, Key, OpId, Versioned};

use super::{chain_of, entry_place, segment_place};
use crate::Store;
use crate::commit::Plan;
use crate::error::StorageError;
use crate::lease::LeaseTerm;
use crate::sweep::ServesAlone;

/// Plain bytes of one segment; with what seals it, its row has at most 48 KiB.
const SEGMENT_BYTES_MAX: usize = 47 << 10;
/// Steps of one call.
const STEPS_MAX: usize = 500;
/// Plain bytes after which a step takes no further row.
const STEP_BYTES_MAX: usize = 192 << 10;
/// So many rows are sealed at once.
const DUE_ROWS: usize = 32;
/// So old rows are sealed at once, however few they are.
const DUE_AGE: Duration = Duration::from_secs(10);
/// The lease under which one of many servers looks after the log.
const AUDIT_LEASE: &str = "audit";
/// How long a server has it that does not renew it.
const AUDIT_LEASE_TERM: Duration = Duration::from_secs(120);
/// How often a server renews it, or asks for it.
const AUDIT_LEASE_RENEWAL: Duration = Duration::from_secs(30);

/// Which entries are to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealWhen {
    /// All, if they are many or have waited long: a segment should be worth its row.
    Due,
    /// All, now.
    Now,
}

/// Whether this server is the one that looks after the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditTurn {
    is_alone: bool,
    term: Option<LeaseTerm>,
    /// On the monotonic clock.
    asks_at: Duration,
}

impl AuditTurn {
    /// It is always this server's: there is no other one.
    pub fn alone(_: ServesAlone) -> Self {
        Self { is_alone: true, ..Self::default() }
    }
}

impl Store {
    /// Whether this server is the one of those on the store that looks after the log now. Asks the
    /// store only now and then.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn has_audit_turn(&self, turn: &mut AuditTurn) -> Result<bool, StorageError> {
        if turn.is_alone {
            return Ok(true);
        }
        let now = self.clock.monotonic();
        if now >= turn.asks_at {
            turn.term = None;
            turn.asks_at = now + AUDIT_LEASE_RENEWAL;
            turn.term = self.lease(AUDIT_LEASE, AUDIT_LEASE_TERM).await?;
        }
        Ok(turn.term.is_some_and(|term| self.holds(&term)))
    }

    /// Lets another server look after the log: for a server that stops.
    ///
    /// # Errors
    ///
    /// When the store fails; then the lease ends by itself.
    pub async fn leave_audit(&self) -> Result<(), StorageError> {
        self.release(AUDIT_LEASE).await
    }

    /// Seals entries into the chain; how many.
    ///
    /// # Errors
    ///
    /// When the store fails; what was not sealed is taken up by the next call.
    pub async fn seal_audit(&self, when: SealWhen) -> Result<usize, StorageError> {
        if when == SealWhen::Due && !self.is_sealing_due().await? {
            return Ok(0);
        }
        let mut sealed = 0;
        // Others go on writing: a step that leaves nothing has sealed all that was there before.
        for _ in 0..STEPS_MAX {
            let step = self.seal_step().await?;
            sealed += step.entries;
            if step.was_last {
                break;
            }
        }
        Ok(sealed)
    }

    async fn is_sealing_due(&self) -> Result<bool, StorageError> {
        let rows = self.rows.latest().scan(audit_entry::range(), DUE_ROWS).await?;
        let Some((first, _)) = rows.first() else { return Ok(false) };
        let (time_ms, _) = audit_entry::decode_key(first)?;
        let now = u64::try_from(self.now()).unwrap_or_default();
        let age = Duration::from_millis(now.saturating_sub(time_ms));
        Ok(rows.len() == DUE_ROWS || age >= DUE_AGE)
    }

    /// Seals the oldest rows.
    async fn seal_step(&self) -> Result<Step, StorageError> {
        let op_id = OpId(self.random());
        let range = audit_entry::range();
        let rows_max = self.step_rows();
        self.update(&[audit_chain::key()], |view| {
            let Some(rows) = view.scanned(&range) else {
                return Ok(Plan::Scan(range.clone(), rows_max));
            };
            let chain = chain_of(view.rows[0].as_ref())?;
            let (taken, entries) = self.take_entries(rows)?;
            self.has_taken(taken, rows.len());
            let was_last = rows.len() < rows_max && taken == rows.len();
            if taken == 0 {
                return Ok(Plan::Answer(Step { entries: 0, was_last: true }));
            }
            let (chain, segments) = self.extend_chain(chain, &entries);
            let mut batch = Batch::new(op_id);
            // First: the hash of its head tells whether a lost commit landed.
            batch.put(audit_chain::key(), chain.encode());
            batch.expect(audit_chain::key(), view.rows[0].as_ref());
            for (number, segment) in segments {
                batch.expect(audit_segment::key(number), None);
                batch.put(audit_segment::key(number), segment.encode());
            }
            for (key, row) in &rows[..taken] {
                // A flush whose outcome was unknown may have written the row once more, with others.
                batch.expect(key.clone(), Some(row));
                batch.delete(key.clone());
            }
            Ok(Plan::Commit(batch, Step { entries: entries.len(), was_last }))
        })
        .await
    }

    /// How many rows the next step looks at. Those of a flush are long, and what is not taken was read for
    /// nothing: one more than the last step took where it left some.
    fn step_rows(&self) -> usize {
        match self.audit_log.step_rows.load(Ordering::Relaxed) {
            0 => self.config.audit_step_rows_max,
            rows => rows.min(self.config.audit_step_rows_max),
        }
    }

    fn has_taken(&self, taken: usize, of: usize) {
        let next = if taken == of { 0 } else { taken + 1 };
        self.audit_log.step_rows.store(next, Ordering::Relaxed);
    }

    /// How many of `rows` one step takes, and their entries by time.
    fn take_entries(
        &self,
        rows: &[(Key, Versioned)],
    ) -> Result<(usize, Vec<PlainEntry>), StorageError> {
        let (mut taken, mut entries, mut bytes) = (0, Vec::new(), 0);
        for (key, row) in rows {
            if bytes >= STEP_BYTES_MAX {
                break;
            }
            bytes += row.value.len();
            self.open_entries(key, &row.value, &mut entries)?;
            taken += 1;
        }
        entries.sort_by_key(|entry| (entry.time_ms, entry.id));
        Ok((taken, entries))
    }

    /// Adds the entries in a row; of one that is damaged, an entry that says so. A row that stayed for good
    /// would keep all others out of the chain.
    fn open_entries(
        &self,
        key: &Key,
        value: &[u8],
        entries: &mut Vec<PlainEntry>,
    ) -> Result<(), StorageError> {
        let plain = self.unseal_plain(audit_entry::decode(value), &entry_place(key))?;
        let known = entries.len();
        let opened = plain.and_then(|plain| {
            PlainEntry::all_of(&plain, entries).map_err(|error| error.to_string())
        });
        if let Err(reason) = opened {
            entries.truncate(known);
            let damaged = self.damaged_entry(format!("row {}: {reason}", hex::encode(key)));
            PlainEntry::all_of(&damaged, entries)?;
        }
        Ok(())
    }

    /// The chain with `entries` behind its head, and the segments that hold them.
    fn extend_chain(
        &self,
        mut chain: AuditChainRow,
        entries: &[PlainEntry],
    ) -> (AuditChainRow, Vec<(u64, AuditSegmentRow)>) {
        let mut segments = Vec::new();
        let mut open = Open::default();
        for entry in entries {
            let bytes = entry.bytes.len();
            if !open.plain.is_empty() && open.plain.len() + bytes > SEGMENT_BYTES_MAX {
                segments.push(self.close_segment(std::mem::take(&mut open), &mut chain));
            }
            open.add(entry);
        }
        segments.push(self.close_segment(open, &mut chain));
        (chain, segments)
    }

    fn close_segment(&self, open: Open, chain: &mut AuditChainRow) -> (u64, AuditSegmentRow) {
        let number = chain.next;
        let hash = segment_hash(&chain.head, number, &open.plain);
        let segment = AuditSegmentRow {
            previous: chain.head,
            hash,
            first_ms: open.first_ms,
            last_ms: open.last_ms,
            count: open.count,
            sealed: self.keyring.wrap(&open.plain, &segment_place(number), &*self.entropy),
        };
        chain.next += 1;
        chain.head = hash;
        chain.bytes_kept += segment.encode().len() as u64;
        (number, segment)
    }
}

/// What a step of sealing has done.
struct Step {
    entries: usize,
    /// It took all that was there.
    was_last: bool,
}

/// An entry on its way into a segment, as it was written.
struct PlainEntry {
    time_ms: i64,
    id: [u8; 16],
    bytes: Bytes,
}

impl PlainEntry {
    /// Adds all entries in `plain`, each of which must be one.
    fn all_of(plain: &Bytes, entries: &mut Vec<Self>) -> Result<(), DecodeError> {
        for part in audit_entry::split(plain)? {
            let AuditEntry::<&str> { time_ms, id, .. } = AuditEntry::decode(part)?;
            entries.push(Self { time_ms, id, bytes: plain.slice_ref(part) });
        }
        Ok(())
    }
}

/// A segment that is being filled.
#[derive(Default)]
struct Open {
    plain: Vec<u8>,
    first_ms: i64,
    last_ms: i64,
    count: u32,
}

impl Open {
    fn add(&mut self, entry: &PlainEntry) {
        if self.count == 0 {
            (self.first_ms, self.last_ms) = (entry.time_ms, entry.time_ms);
        }
        self.first_ms = self.first_ms.min(entry.time_ms);
        self.last_ms = self.last_ms.max(entry.time_ms);
        self.plain.extend_from_slice(&entry.bytes);
        self.count += 1;
    }
}

/// The hash of a segment.
pub(super) fn segment_hash(previous: &SegmentHash, number: u64, plain: &[u8]) -> SegmentHash {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(&number.to_be_bytes());
    context.update(plain);
    let mut hash = SegmentHash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
