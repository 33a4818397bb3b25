//! What the log may forget: its oldest segments, once they are too old or all are too large together.
//! The chain remembers the hash it now begins behind, and the log says what it has dropped.

use tidelock_meta::record::audit_chain::{self, AuditChainRow};
use tidelock_meta::record::audit_segment::{self, AuditSegmentRow};
use tidelock_meta::{Batch, Key, OpId};

use super::{AuditEvent, chain_of};
use crate::Store;
use crate::commit::{Plan, View};
use crate::error::StorageError;
use crate::identity::Principal;

/// Segments that one commit drops.
const DROP_SEGMENTS_MAX: u64 = 32;

impl Store {
    /// Drops the segments that need not be kept; how many.
    ///
    /// # Errors
    ///
    /// When the store fails; the rest is dropped by the next call.
    pub async fn trim_audit(&self) -> Result<u64, StorageError> {
        let mut dropped = 0;
        loop {
            match self.trim_step().await? {
                0 => return Ok(dropped),
                segments => dropped += segments,
            }
        }
    }

    async fn trim_step(&self) -> Result<u64, StorageError> {
        let op_id = OpId(self.random());
        self.update(&[audit_chain::key()], |view| {
            let chain = chain_of(view.rows[0].as_ref())?;
            let numbers = chain.first_kept..chain.next.min(chain.first_kept + DROP_SEGMENTS_MAX);
            let keys: Vec<Key> = numbers.map(audit_segment::key).collect();
            if keys.iter().any(|key| view.read(key).is_none()) {
                return Ok(Plan::Read(keys));
            }
            let kept = self.without_oldest(chain, &keys, view)?;
            let dropped = kept.first_kept - chain.first_kept;
            if dropped == 0 {
                return Ok(Plan::Answer(0));
            }
            let mut batch = Batch::new(op_id);
            // First: its numbers tell whether a lost commit landed.
            batch.put(audit_chain::key(), kept.encode());
            batch.expect(audit_chain::key(), view.rows[0].as_ref());
            keys.into_iter().take(dropped as usize).for_each(|key| batch.delete(key));
            self.audit(&mut batch, &Principal::server(), &told(&chain, &kept));
            Ok(Plan::Commit(batch, dropped))
        })
        .await
    }

    /// The chain without those of the segments under `keys`, its first, that need not be kept.
    fn without_oldest(
        &self,
        mut chain: AuditChainRow,
        keys: &[Key],
        view: &View,
    ) -> Result<AuditChainRow, StorageError> {
        let retention_ms = i64::try_from(self.config.audit_retention.as_millis());
        let cutoff_ms = self.now().saturating_sub(retention_ms.unwrap_or(i64::MAX));
        for key in keys {
            // One that is missing is nothing to keep; the one after it will not follow, and tells.
            if let Some(seen) = view.read(key).flatten() {
                let segment = AuditSegmentRow::decode(&seen.value)?;
                let is_over = chain.bytes_kept > self.config.audit_bytes_max;
                if segment.last_ms >= cutoff_ms && !is_over {
                    break;
                }
                chain.before_first = segment.hash;
                chain.bytes_kept = chain.bytes_kept.saturating_sub(seen.value.len() as u64);
            }
            chain.first_kept += 1;
        }
        Ok(chain)
    }
}

fn told(before: &AuditChainRow, kept: &AuditChainRow) -> AuditEvent {
    let (first, last) = (before.first_kept, kept.first_kept - 1);
    let hash = hex::encode(kept.before_first);
    AuditEvent {
        action: "AuditSegmentsDropped".into(),
        message: format!("segments {first} to {last}; the chain goes on behind {hash}"),
        ..AuditEvent::default()
    }
}
