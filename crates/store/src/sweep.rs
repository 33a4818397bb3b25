//! The sweeper: removes what no object needs, and what lifecycle rules have expire. Safe with many servers
//! and at any moment: it claims a row before it removes what the row names, and a writer that wanted to keep
//! it loses its commit.

mod state;

use std::sync::Arc;
use std::time::Duration;

use tidelock_blob::BlobId;
use tidelock_meta::record::part::{self, PartRow};
use tidelock_meta::record::reclaim::{self, ReclaimRow, Reclaimed};
use tidelock_meta::record::upload::{self, UploadId, UploadRow, UploadState};
use tidelock_meta::record::version::Body;
use tidelock_meta::record::{BucketId, body, bucket_document, head};
use tidelock_meta::{Batch, Key, KeyRange, OpId, Versioned, Write, successor_of_key};

use crate::Store;
use crate::error::StorageError;
use crate::lifecycle::LifecycleReport;

/// Rows of one step of a sweep.
const SWEEP_SCAN_ROWS: usize = 200;
/// Deletes that one commit of the sweeper carries.
const SWEEP_DELETES_MAX: usize = 80;

/// The lease under which one of many servers sweeps.
const SWEEP_LEASE: &str = "sweep";
/// Longer than the pause between two sweeps, so that the server that has swept goes on to.
const SWEEP_LEASE_TERM: Duration = Duration::from_secs(2 * 3600);

/// Says that no other process can have the store open: its engine belongs to one process at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServesAlone;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Blobs: intents that came to nothing, and replaced bodies.
    pub blobs: u64,
    /// Uploads: aborted, or of objects that are gone, or completed long enough ago.
    pub uploads: u64,
    /// What was left of deleted buckets.
    pub buckets: u64,
    /// Refused versions of states that were kept long enough.
    pub refused: u64,
    /// What lifecycle rules have removed.
    pub lifecycle: LifecycleReport,
}

impl Store {
    /// Removes what is due.
    ///
    /// # Errors
    ///
    /// When the store fails; what was not removed is tried again by the next sweep. One row that cannot
    /// be swept does not keep the others from it; the first such failure is the answer.
    pub async fn sweep(self: &Arc<Self>) -> Result<SweepReport, StorageError> {
        let mut report = SweepReport::default();
        let expired = self.apply_lifecycles(&mut report.lifecycle).await;
        let due = self.sweep_rows(reclaim::range_due(self.now()), |_| true, &mut report).await;
        self.sweep_completed(&mut report).await?;
        let refused = self.sweep_refused(&mut report).await;
        self.sweep_announcements().await?;
        due.and(refused).and(expired).map(|()| report)
    }

    /// Removes what is due, if no other server has taken that on; none if one has.
    ///
    /// Two servers that sweep at once do no harm, so a sweep that outlasts its lease goes on.
    ///
    /// # Errors
    ///
    /// As those of [`Store::sweep`].
    pub async fn sweep_leased(self: &Arc<Self>) -> Result<Option<SweepReport>, StorageError> {
        match self.lease(SWEEP_LEASE, SWEEP_LEASE_TERM).await? {
            Some(_) => self.sweep().await.map(Some),
            None => Ok(None),
        }
    }

    /// Lets another server sweep before the lease of this one ends: for a server that stops.
    ///
    /// # Errors
    ///
    /// When the store fails; then the lease ends by itself.
    pub async fn leave_sweeping(&self) -> Result<(), StorageError> {
        self.release(SWEEP_LEASE).await
    }

    /// The first sweep of a server that is the only one on its store: intents of others are of
    /// processes that no longer run.
    ///
    /// # Errors
    ///
    /// As those of [`Store::sweep`].
    pub async fn sweep_at_start(
        self: &Arc<Self>,
        _: ServesAlone,
    ) -> Result<SweepReport, StorageError> {
        let mut dead = SweepReport::default();
        let is_dead = |row: &ReclaimRow| row.what == Reclaimed::Intent && row.owner != self.owner;
        let swept = self.sweep_rows(reclaim::range_of_all(), is_dead, &mut dead).await;
        let report = self.sweep().await?;
        swept.map(|()| SweepReport { blobs: dead.blobs + report.blobs, ..report })
    }

    async fn sweep_rows(
        &self,
        range: KeyRange,
        is_due: impl Fn(&ReclaimRow) -> bool + Send + Sync,
        report: &mut SweepReport,
    ) -> Result<(), StorageError> {
        let mut rest = range;
        let mut result = Ok(());
        loop {
            let rows = self.scan_step(&rest).await?;
            let Some((last, _)) = rows.last() else { return result };
            rest = rest.starting_at(successor_of_key(last));
            for (key, seen) in rows {
                result = result.and(self.sweep_row(key, &seen, &is_due, report).await);
            }
        }
    }

    async fn sweep_row(
        &self,
        key: Key,
        seen: &Versioned,
        is_due: impl Fn(&ReclaimRow) -> bool + Send,
        report: &mut SweepReport,
    ) -> Result<(), StorageError> {
        let row = ReclaimRow::decode(&seen.value)?;
        if is_due(&row) && self.claim(&key, seen, row).await? {
            self.remove(reclaim::decode_key(&key)?, row.what, report).await?;
            self.commit_deletes(vec![key]).await?;
        }
        Ok(())
    }

    async fn scan_step(&self, range: &KeyRange) -> Result<Vec<(Key, Versioned)>, StorageError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.rows.latest().scan(range.clone(), SWEEP_SCAN_ROWS).await
    }

    /// Makes sure that no writer makes an object of it any more; false if one just has.
    async fn claim(
        &self,
        key: &Key,
        seen: &Versioned,
        row: ReclaimRow,
    ) -> Result<bool, StorageError> {
        if row.claimed {
            return Ok(true);
        }
        let mut batch = Batch::new(OpId(self.random()));
        batch.expect(key.clone(), Some(seen));
        batch.put(key.clone(), ReclaimRow { claimed: true, ..row }.encode());
        self.try_commit(batch).await
    }

    async fn remove(
        &self,
        id: [u8; 16],
        what: Reclaimed,
        report: &mut SweepReport,
    ) -> Result<(), StorageError> {
        match what {
            Reclaimed::Intent | Reclaimed::Blob => {
                self.blobs.delete(BlobId(id)).await?;
                report.blobs += 1;
            }
            Reclaimed::Upload => {
                self.remove_parts(UploadId(id), &[]).await?;
                report.uploads += 1;
            }
            Reclaimed::Bucket => {
                self.remove_bucket(BucketId(id)).await?;
                report.buckets += 1;
            }
        }
        Ok(())
    }

    /// Removes the parts of an upload but for those in `kept`.
    async fn remove_parts(
        &self,
        upload: UploadId,
        kept: &[(u16, u16)],
    ) -> Result<(), StorageError> {
        let mut deletes = Vec::new();
        for (key, value) in self.rows.latest().all(part::range(upload)).await? {
            let number = part::decode_key(&key)?;
            if kept.iter().any(|(first, last)| (*first..=*last).contains(&number)) {
                continue;
            }
            match PartRow::decode(&value)?.body {
                Body::Blob { id } => self.blobs.delete(BlobId(id)).await?,
                Body::Inline { id, chunks } => {
                    deletes.extend((0..chunks).map(|chunk| body::key(id, chunk)));
                }
                Body::Empty | Body::Parts { .. } => {}
            }
            deletes.push(key);
            if deletes.len() >= SWEEP_DELETES_MAX {
                self.commit_deletes(std::mem::take(&mut deletes)).await?;
            }
        }
        self.commit_deletes(deletes).await
    }

    async fn remove_bucket(&self, id: BucketId) -> Result<(), StorageError> {
        for (key, _) in self.rows.latest().all(upload::range(id, "")).await? {
            let (_, _, upload) = upload::decode_key(&key)?;
            self.remove_parts(upload, &[]).await?;
            self.commit_deletes(vec![key]).await?;
        }
        let heads: Vec<Key> = self
            .rows
            .latest()
            .all(head::range(id, ""))
            .await?
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        for some in heads.chunks(SWEEP_DELETES_MAX) {
            self.commit_deletes(some.to_vec()).await?;
        }
        let documents = self.rows.latest().all(bucket_document::range(id)).await?;
        self.commit_deletes(documents.into_iter().map(|(key, _)| key).collect()).await?;
        self.remove_guards(id).await
    }

    /// Forgets completed uploads whose answer is no longer kept, and the parts they left out.
    async fn sweep_completed(&self, report: &mut SweepReport) -> Result<(), StorageError> {
        let kept_ms = self.config.completed_upload_kept.as_millis() as i64;
        let mut rest = upload::range_of_all();
        loop {
            let rows = self.scan_step(&rest).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            rest = rest.starting_at(successor_of_key(last));
            for (key, seen) in rows {
                let UploadState::Completed(completed) = UploadRow::decode(&seen.value)?.state
                else {
                    continue;
                };
                if completed.completed_ms.saturating_add(kept_ms) <= self.now() {
                    let (_, _, upload) = upload::decode_key(&key)?;
                    self.remove_parts(upload, &completed.ranges).await?;
                    self.commit_deletes(vec![key]).await?;
                    report.uploads += 1;
                }
            }
        }
    }

    async fn commit_deletes(&self, keys: Vec<Key>) -> Result<(), StorageError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(OpId(self.random()));
        batch.writes = keys.into_iter().map(Write::Delete).collect();
        self.rows.commit(batch).await?;
        Ok(())
    }
}
