//! Limits and times of the domain. Plain data; `server` fills it.

use std::time::Duration;

use tidelock_meta::Limits;

use crate::body::seal::CHUNK_BYTES;
use crate::failpoint::Failpoint;

/// Bodies that travel in a commit of any engine: eight chunks, 248 KiB.
const INLINE_BYTES_COMMON: usize = 8 * CHUNK_BYTES;
/// The same where a batch may have [`LARGE_BATCH_BYTES`]: 17 chunks, 527 KiB.
const INLINE_BYTES_LARGE: usize = 17 * CHUNK_BYTES;
/// A batch that carries so large a body, and what else its commit writes.
const LARGE_BATCH_BYTES: usize = 1 << 20;

/// Rows of a step of sealing the audit log that any engine takes, besides the segments.
const AUDIT_STEP_ROWS_COMMON: usize = 40;
/// The same where a batch may have [`MANY_OPERATIONS`].
const AUDIT_STEP_ROWS_MANY: usize = 400;
/// A batch that carries so many rows, and the segments that they fill.
const MANY_OPERATIONS: usize = 1000;

/// Settings of a [`crate::Store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Bodies up to this many plaintext bytes travel in the commit of their object; larger ones go to
    /// the blob store first. Those of the new body and the deletions of the old one must fit one batch:
    /// see [`StoreConfig::for_engine`].
    pub inline_body_bytes_max: usize,
    /// Largest single object or part (AWS: 5 GiB).
    pub put_bytes_max: u64,
    /// Largest multipart object (AWS: 5 TiB, now 50 TB).
    pub object_bytes_max: u64,
    /// Smallest part but the last (AWS: 5 MiB).
    pub part_bytes_min: u64,
    /// Buckets a user may own (AWS: 10,000; the old soft limit of 100 is too small for CI).
    pub buckets_per_user_max: usize,
    /// A blob that never became an object's body is removed after this long.
    pub intent_expiry: Duration,
    /// A replaced body stays readable for readers that have begun for this long.
    pub reclaim_grace: Duration,
    /// A repeated CompleteMultipartUpload gets its first answer for this long.
    pub completed_upload_kept: Duration,
    /// Requests that wait for a lock at once; further ones are refused without waiting.
    pub lock_waits_max: usize,
    /// Entries of the audit log are kept for this long.
    pub audit_retention: Duration,
    /// Rows that one step moves into the chain of the audit log: each is a check and a delete of its batch.
    pub audit_step_rows_max: usize,
    /// Bytes of the audit log that are kept.
    pub audit_bytes_max: u64,
    /// How long a pass of lifecycle rules takes a day to be: 24 hours, but in tests that cannot wait. What
    /// clients are told counts days of 24 hours.
    pub lifecycle_day: Duration,
    /// Where the process dies, in tests of what is left then.
    pub failpoint: Option<Failpoint>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            inline_body_bytes_max: INLINE_BYTES_COMMON,
            put_bytes_max: 5 << 30,
            object_bytes_max: 5 << 40,
            part_bytes_min: 5 << 20,
            buckets_per_user_max: 10_000,
            intent_expiry: Duration::from_secs(24 * 3600),
            reclaim_grace: Duration::from_secs(600),
            completed_upload_kept: Duration::from_secs(3600),
            lock_waits_max: 64,
            audit_retention: Duration::from_secs(400 * 24 * 3600),
            audit_step_rows_max: AUDIT_STEP_ROWS_COMMON,
            audit_bytes_max: 1 << 30,
            lifecycle_day: Duration::from_secs(24 * 3600),
            failpoint: None,
        }
    }
}

impl StoreConfig {
    /// The defaults over an engine with these limits.
    pub fn for_engine(limits: &Limits) -> Self {
        let is_large = limits.batch_bytes_max >= LARGE_BATCH_BYTES;
        let inline_body_bytes_max = if is_large { INLINE_BYTES_LARGE } else { INLINE_BYTES_COMMON };
        let has_many = limits.batch_operations_max >= MANY_OPERATIONS;
        let audit_step_rows_max =
            if has_many { AUDIT_STEP_ROWS_MANY } else { AUDIT_STEP_ROWS_COMMON };
        Self { inline_body_bytes_max, audit_step_rows_max, ..Self::default() }
    }
}
