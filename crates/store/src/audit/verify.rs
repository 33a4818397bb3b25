//! Whether the chain is whole: every segment names the hash of the one before, has the hash it says,
//! and the last one is the head.

use tidelock_meta::record::audit_chain::AuditChainRow;
use tidelock_meta::record::audit_entry;
use tidelock_meta::record::audit_segment::AuditSegmentRow;

use super::seal::segment_hash;
use super::{READ_SEGMENTS, require_root, segment_place};
use crate::Store;
use crate::error::{BucketError, StorageError};
use crate::identity::Principal;

/// How often a look begins anew because the oldest segments were dropped under it.
const LOOKS_MAX: u32 = 3;

/// What a look through the chain has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditVerification {
    /// Number of the first segment that is kept.
    pub first_segment: u64,
    /// Segments that are whole.
    pub segments: u64,
    /// Entries in them.
    pub entries: u64,
    /// The earliest time of an entry.
    pub first_ms: Option<i64>,
    /// The latest time of an entry.
    pub last_ms: Option<i64>,
    /// Hash of the segment before the first, hex.
    pub before_first: String,
    /// Hash of the last segment, hex.
    pub head: String,
    /// Where the chain breaks first; none if it is whole.
    pub damage: Option<AuditDamage>,
}

/// Where a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDamage {
    /// The segment.
    pub segment: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl Store {
    /// Looks through the whole chain, after sealing what this server knows. Root only.
    ///
    /// # Errors
    ///
    /// When the caller is not root, or the store fails. A chain that breaks is an answer.
    pub async fn verify_audit(
        &self,
        principal: &Principal,
    ) -> Result<AuditVerification, BucketError> {
        require_root(principal)?;
        self.settle_audit().await;
        let mut looks = 0;
        loop {
            let chain = self.audit_chain().await?;
            let found = self.look_through_chain(&chain).await?;
            looks += 1;
            let is_outdated = self.audit_chain().await?.first_kept != chain.first_kept;
            if found.damage.is_none() || !is_outdated || looks == LOOKS_MAX {
                return Ok(found);
            }
        }
    }

    async fn look_through_chain(
        &self,
        chain: &AuditChainRow,
    ) -> Result<AuditVerification, StorageError> {
        let mut found = AuditVerification {
            first_segment: chain.first_kept,
            before_first: hex::encode(chain.before_first),
            head: hex::encode(chain.head),
            ..AuditVerification::default()
        };
        let mut previous = chain.before_first;
        let mut number = chain.first_kept;
        while number < chain.next {
            let rows = self.audit_segments(number..chain.next.min(number + READ_SEGMENTS)).await;
            let rows = match rows {
                Ok(rows) if !rows.is_empty() => rows,
                Ok(_) => return Ok(broken(found, number, "it is missing")),
                Err(StorageError::Corrupt(reason)) => return Ok(broken(found, number, &reason)),
                Err(error) => return Err(error),
            };
            for (at, row) in rows {
                if at != number {
                    return Ok(broken(found, number, "it is missing"));
                }
                let row = match row {
                    Ok(row) => row,
                    Err(error) => return Ok(broken(found, number, &error.to_string())),
                };
                if let Err(reason) = self.check_segment(number, &row, &previous) {
                    return Ok(broken(found, number, &reason));
                }
                count(&mut found, &row);
                previous = row.hash;
                number += 1;
            }
        }
        if previous != chain.head {
            return Ok(broken(found, chain.next, "the last segment is not the head of the chain"));
        }
        Ok(found)
    }

    fn check_segment(
        &self,
        number: u64,
        row: &AuditSegmentRow,
        previous: &[u8],
    ) -> Result<(), String> {
        if row.previous != previous {
            return Err("it does not follow the segment before it".to_owned());
        }
        let plain = self.keyring.unwrap(&row.sealed, &segment_place(number));
        let plain = plain.map_err(|error| error.to_string())?;
        if segment_hash(&row.previous, number, &plain) != row.hash {
            return Err("its hash is another".to_owned());
        }
        let entries = audit_entry::decode_entries(&plain).map_err(|error| error.to_string())?;
        let times = || entries.iter().map(|entry| entry.time_ms);
        let summary = (entries.len() as u64, times().min(), times().max());
        if summary != (u64::from(row.count), Some(row.first_ms), Some(row.last_ms)) {
            return Err("it holds other entries than it says".to_owned());
        }
        Ok(())
    }
}

fn count(found: &mut AuditVerification, row: &AuditSegmentRow) {
    found.segments += 1;
    found.entries += u64::from(row.count);
    found.first_ms = Some(found.first_ms.map_or(row.first_ms, |first| first.min(row.first_ms)));
    found.last_ms = Some(found.last_ms.map_or(row.last_ms, |last| last.max(row.last_ms)));
}

fn broken(found: AuditVerification, segment: u64, reason: &str) -> AuditVerification {
    let damage = Some(AuditDamage { segment, reason: reason.to_owned() });
    AuditVerification { damage, ..found }
}
