//! One pass through all buckets that have lifecycle rules.
//!
//! What it reads only says where to look: every removal is decided anew in its commit ([`super::expire`]).

use std::sync::Arc;

use tidelock_meta::record::BucketId;
use tidelock_meta::record::bucket::{self, BucketRow};
use tidelock_meta::record::bucket_document::DocumentId;
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::lifecycle::LifecycleRule;
use tidelock_meta::record::upload::{self, UploadRow, UploadState};
use tidelock_meta::{Key, KeyRange, Versioned, successor_of_key};

use super::rules;
use crate::Store;
use crate::error::{StorageError, UploadError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};

/// Rows of one step of a pass.
const PASS_SCAN_ROWS: usize = 200;
/// What one pass removes: what is left waits for the next one, so that a bucket that has much to expire does
/// not keep the sweep from its other work.
const PASS_REMOVALS_MAX: u64 = 100_000;

/// What a pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifecycleReport {
    /// Current versions that are gone or have a delete marker over them now.
    pub expired: u64,
    /// Noncurrent versions that are gone.
    pub noncurrent: u64,
    /// Delete markers that are gone.
    pub delete_markers: u64,
    /// Multipart uploads that were aborted.
    pub aborted: u64,
}

impl LifecycleReport {
    fn removals(&self) -> u64 {
        self.expired + self.noncurrent + self.delete_markers + self.aborted
    }

    fn is_full(&self) -> bool {
        self.removals() >= PASS_REMOVALS_MAX
    }
}

/// A bucket with the rules that are followed in it.
pub(super) struct Ruled {
    pub(super) name: BucketName,
    pub(super) id: BucketId,
    pub(super) document: DocumentId,
    pub(super) rules: Vec<LifecycleRule>,
    /// The server, for the owner of the bucket.
    pub(super) principal: Principal,
}

impl Ruled {
    /// The rules that can be about versions of a key.
    pub(super) fn about(&self, key: &ObjectKey) -> Vec<&LifecycleRule> {
        let is_about = |rule: &&LifecycleRule| rules::is_about_key(&rule.filter, key.as_str());
        self.rules.iter().filter(is_about).collect()
    }
}

impl Store {
    /// Does what the rules of all buckets say. A bucket or a key that fails does not keep the others from
    /// it; the first failure is the answer.
    pub(crate) async fn apply_lifecycles(
        self: &Arc<Self>,
        report: &mut LifecycleReport,
    ) -> Result<(), StorageError> {
        let mut result = Ok(());
        for (key, row) in self.rows.latest().all(bucket::range("")).await? {
            let applied = match self.ruled(&key, &row).await {
                Ok(Some(ruled)) => {
                    let objects = self.expire_objects(&ruled, report).await;
                    objects.and(self.abort_uploads(&ruled, report).await)
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            result = result.and(applied);
        }
        result
    }

    async fn ruled(&self, key: &Key, row: &[u8]) -> Result<Option<Ruled>, StorageError> {
        let row = BucketRow::decode(row)?;
        let Some(document) = row.lifecycle.filter(|_| !row.deleting) else { return Ok(None) };
        let Ok(name) = bucket::decode_key(key)?.parse() else { return Ok(None) };
        let Some(lifecycle) = self.lifecycle_rules(row.id, document).await? else {
            return Ok(None);
        };
        let rules: Vec<_> = lifecycle.rules.into_iter().filter(|rule| rule.enabled).collect();
        let principal =
            Principal { canonical_id: row.owner.into(), ..Principal::server() }.unbound();
        let ruled = Ruled { name, id: row.id, document, rules, principal };
        Ok((!ruled.rules.is_empty()).then_some(ruled))
    }

    async fn expire_objects(
        self: &Arc<Self>,
        ruled: &Ruled,
        report: &mut LifecycleReport,
    ) -> Result<(), StorageError> {
        let mut rest = head::range(ruled.id, rules::common_prefix(&ruled.rules));
        let mut result = Ok(());
        while !report.is_full() {
            let rows = self.pass_step(&mut rest).await?;
            if rows.is_empty() {
                break;
            }
            for (key, seen) in rows {
                result = result.and(self.expire_key(ruled, (&key, &seen), report).await);
            }
        }
        result
    }

    /// Noncurrent versions first: a delete marker goes when nothing is behind it.
    async fn expire_key(
        self: &Arc<Self>,
        ruled: &Ruled,
        (key, seen): (&Key, &Versioned),
        report: &mut LifecycleReport,
    ) -> Result<(), StorageError> {
        let Ok(key) = head::decode_key(key)?.parse::<ObjectKey>() else { return Ok(()) };
        let rules = ruled.about(&key);
        let current = HeadRow::decode(&seen.value)?.current;
        let Some(current) = current.filter(|_| !rules.is_empty()) else { return Ok(()) };
        if rules.iter().any(|rule| rule.noncurrent.is_some()) {
            report.noncurrent += self.expire_noncurrent(ruled, &key, &rules).await?;
        }
        let (now, day_ms) = (self.now(), self.lifecycle_day_ms());
        match current.object() {
            Some(_) if rules::expiring(&rules, &current, now, day_ms).is_some() => {
                report.expired += u64::from(self.expire_current(ruled, &key, &rules).await?);
            }
            None if rules::expiring_marker(&rules, &current, now, day_ms).is_some() => {
                let gone = self.expire_marker(ruled, &key, &rules).await?;
                report.delete_markers += u64::from(gone);
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    async fn abort_uploads(
        &self,
        ruled: &Ruled,
        report: &mut LifecycleReport,
    ) -> Result<(), StorageError> {
        if ruled.rules.iter().all(|rule| rule.abort_uploads_days.is_none()) {
            return Ok(());
        }
        let mut rest = upload::range(ruled.id, rules::common_prefix(&ruled.rules));
        let mut result = Ok(());
        while !report.is_full() {
            let rows = self.pass_step(&mut rest).await?;
            if rows.is_empty() {
                break;
            }
            for (key, seen) in rows {
                match self.abort_if_due(ruled, &key, &seen).await {
                    Ok(aborted) => report.aborted += u64::from(aborted),
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
        result
    }

    async fn abort_if_due(
        &self,
        ruled: &Ruled,
        key: &Key,
        seen: &Versioned,
    ) -> Result<bool, StorageError> {
        let row = UploadRow::decode(&seen.value)?;
        let is_under_way = match row.state {
            UploadState::Open | UploadState::Sealed => true,
            UploadState::Completed(_) => false,
        };
        let (_, key, upload) = upload::decode_key(key)?;
        let Ok(key) = key.parse::<ObjectKey>() else { return Ok(false) };
        let rules = ruled.about(&key);
        let now = self.now();
        let due = rules::aborting(&rules, row.initiated_ms, now, self.lifecycle_day_ms());
        if !is_under_way || due.is_none() {
            return Ok(false);
        }
        match self.abort_upload(&ruled.principal, &ruled.name, &key, upload).await {
            Ok(()) => Ok(true),
            Err(error) => match storage_failure(error) {
                Some(error) => Err(error),
                // Completed or aborted at this moment, or gone with its bucket.
                None => Ok(false),
            },
        }
    }

    /// How long the pass takes a day to be.
    pub(super) fn lifecycle_day_ms(&self) -> i64 {
        i64::try_from(self.config.lifecycle_day.as_millis()).unwrap_or(i64::MAX)
    }

    /// The next rows of a range, which is left to begin after them.
    async fn pass_step(&self, rest: &mut KeyRange) -> Result<Vec<(Key, Versioned)>, StorageError> {
        if rest.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows.latest().scan(rest.clone(), PASS_SCAN_ROWS).await?;
        if let Some((last, _)) = rows.last() {
            *rest = rest.clone().starting_at(successor_of_key(last));
        }
        Ok(rows)
    }
}

fn storage_failure(error: UploadError) -> Option<StorageError> {
    match error {
        UploadError::Bucket(error) => error.into_storage(),
        UploadError::NoSuchUpload => None,
    }
}
