//! What guards of states leave behind: rows of deleted buckets, and refused versions that were kept
//! long enough.

use tidelock_meta::record::guard::{self, GuardRow, Released};
use tidelock_meta::record::refused::{self, RefusedRow};
use tidelock_meta::record::{BucketId, DecodeError, contended};
use tidelock_meta::{Batch, Key, KeyRange, OpId, Versioned, successor_of_key};

use super::{SWEEP_DELETES_MAX, SweepReport};
use crate::Store;
use crate::error::StorageError;

/// Takes what belongs to a row, but for the row itself.
type DropBodies = fn(&Store, &mut Batch, &[u8]) -> Result<(), DecodeError>;

impl Store {
    /// Removes the guards of a deleted bucket and the versions that were refused there, with all their
    /// bodies.
    pub(super) async fn remove_guards(&self, id: BucketId) -> Result<(), StorageError> {
        self.drop_rows(guard::range(id, ""), Self::drop_guard).await?;
        self.drop_rows(refused::range_of_bucket(id, ""), Self::drop_refused).await?;
        self.drop_rows(contended::range(id), |_, _, _| Ok(())).await
    }

    /// Removes the refused versions that have expired.
    pub(super) async fn sweep_refused(&self, report: &mut SweepReport) -> Result<(), StorageError> {
        let mut rest = refused::range_of_all();
        let mut result = Ok(());
        loop {
            let rows = self.scan_step(&rest).await?;
            let Some((last, _)) = rows.last() else { return result };
            rest = rest.starting_at(successor_of_key(last));
            for (key, seen) in rows {
                match self.expire(key, &seen).await {
                    Ok(expired) => report.refused += u64::from(expired),
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
    }

    /// Whether this was a refused version that has expired, and is gone now.
    async fn expire(&self, key: Key, seen: &Versioned) -> Result<bool, StorageError> {
        if RefusedRow::decode(&seen.value)?.expires_ms > self.now() {
            return Ok(false);
        }
        let mut batch = Batch::new(OpId(self.random()));
        batch.expect(key.clone(), Some(seen));
        batch.delete(key);
        Self::drop_refused(self, &mut batch, &seen.value)?;
        self.try_commit(batch).await
    }

    async fn drop_rows(&self, range: KeyRange, drop: DropBodies) -> Result<(), StorageError> {
        let mut rest = range;
        loop {
            let rows = self.scan_step(&rest).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            rest = rest.starting_at(successor_of_key(last));
            let mut batch = Batch::new(OpId(self.random()));
            for (key, Versioned { value, .. }) in rows {
                // A row and its bodies go in one commit: nothing is left that nobody names.
                batch.delete(key);
                drop(self, &mut batch, &value)?;
                if batch.writes.len() >= SWEEP_DELETES_MAX {
                    let full = std::mem::replace(&mut batch, Batch::new(OpId(self.random())));
                    self.rows.commit(full).await?;
                }
            }
            if !batch.writes.is_empty() {
                self.rows.commit(batch).await?;
            }
        }
    }

    fn drop_guard(&self, batch: &mut Batch, value: &[u8]) -> Result<(), DecodeError> {
        let row = GuardRow::decode(value)?;
        if let Some(body) = row.released.as_ref().and_then(Released::own_body) {
            self.discard_version(batch, body);
        }
        if let Some(index) = &row.index {
            self.discard_index(batch, index);
        }
        Ok(())
    }

    fn drop_refused(&self, batch: &mut Batch, value: &[u8]) -> Result<(), DecodeError> {
        self.discard_version(batch, &RefusedRow::decode(value)?.version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use tidelock_blob::BlobStore as _;
    use tidelock_meta::record::contended::ContendedRow;
    use tidelock_meta::record::guard::Released;
    use tidelock_meta::record::version::VersionId;

    use super::*;
    use crate::state::fixture::{Fixture, NOW_MS, key, many};
    use crate::{DeleteCondition, SweepReport};

    const INLINE_BYTES: usize = 100_000;
    const BLOB_BYTES: usize = 1 << 20;

    async fn after(fixture: &Fixture, duration: Duration) -> SweepReport {
        fixture.clock.advance(duration + Duration::from_millis(1));
        fixture.store.sweep().await.unwrap()
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_deleted_bucket_with_guards() {
        let fixture = Fixture::new();
        let (gone, stays) = (fixture.make_bucket("gone").await, fixture.make_bucket("stays").await);
        // As many as need more than one commit and one step of a sweep.
        for at in 0..250 {
            fixture.lock(gone, &format!("k{at:03}"), "arn").await;
        }
        // A small index and a large one.
        for (state_key, resources) in [("small", 20), ("large", 4_000)] {
            fixture.put_state(("gone", gone), state_key, &many(resources)).await;
            fixture.put_state(("stays", stays), state_key, &many(resources)).await;
        }
        for (state_key, bytes) in [("small", INLINE_BYTES), ("large", BLOB_BYTES)] {
            let mut version = fixture.body(bytes).await;
            version.is_null = true;
            let released = Some(Released { released_ms: NOW_MS, version });
            fixture.change_guard(gone, state_key, |guard| guard.released = released).await;
            fixture.refuse((gone, state_key), 1, i64::MAX, bytes).await;
        }
        let row = ContendedRow { until_ms: NOW_MS };
        fixture.commit(contended::key(gone, "small"), row.encode()).await;
        fixture.refuse((stays, "small"), 1, i64::MAX, BLOB_BYTES).await;
        let mut kept = Fixture::rows(&fixture).await;
        kept.retain(|row| !is_of(row, gone));
        for state_key in ["small", "large"] {
            let (bucket, condition) = ("gone".parse().unwrap(), DeleteCondition::default());
            let state_key = key(state_key);
            let deleted =
                fixture.store.delete_object(&fixture.root, &bucket, &state_key, None, &condition);
            deleted.await.unwrap();
        }
        fixture.store.delete_bucket(&fixture.root, &"gone".parse().unwrap()).await.unwrap();

        let grace = fixture.store.config().reclaim_grace;
        assert_eq!(after(&fixture, grace).await.buckets, 1);
        // Blobs of the bucket's index, released lock and refused version.
        assert_eq!(after(&fixture, grace).await.blobs, 3);
        assert_eq!(after(&fixture, grace).await, SweepReport::default());
        let rows = fixture.rows().await;
        assert!(!rows.iter().any(|row| is_of(row, gone)));
        // Its bodies were in the list before; they are gone, and all of the other bucket is there.
        let left: Vec<_> = rows.iter().filter(|row| !kept.contains(row)).collect();
        assert_eq!(left, Vec::<&Key>::new());
        let of_other = |rows: &[Key]| rows.iter().filter(|row| is_of(row, stays)).count();
        assert_eq!(of_other(&rows), of_other(&kept));
        // The large state, its index, and the refused version.
        assert_eq!(fixture.blobs.list(None, 100).await.unwrap().len(), 3);
    }

    fn is_of(row: &Key, bucket: BucketId) -> bool {
        row.get(1..17) == Some(bucket.0.as_slice())
    }

    #[tokio::test]
    async fn refused_versions_expire_with_their_bodies() {
        for bytes in [INLINE_BYTES, BLOB_BYTES] {
            let fixture = Fixture::new();
            let bucket = fixture.make_bucket("bucket").await;
            let before = fixture.rows().await;
            fixture.refuse((bucket, "k"), 1, NOW_MS + 1_000, bytes).await;
            fixture.refuse((bucket, "k"), 2, NOW_MS + 5_000, bytes).await;
            assert_eq!(fixture.store.sweep().await.unwrap(), SweepReport::default());
            assert_eq!(after(&fixture, Duration::from_secs(1)).await.refused, 1);
            assert_eq!(after(&fixture, Duration::from_secs(1)).await.refused, 0);
            let range = refused::range(bucket, "k");
            assert_eq!(fixture.store.rows.latest().all(range).await.unwrap().len(), 1);
            assert_eq!(after(&fixture, Duration::from_secs(5)).await.refused, 1);
            after(&fixture, fixture.store.config().reclaim_grace).await;
            assert_eq!(fixture.rows().await, before, "{bytes}");
            assert_eq!(fixture.blobs.list(None, 1).await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn a_damaged_row_keeps_no_other_from_expiring() {
        let fixture = Fixture::new();
        let bucket = fixture.make_bucket("bucket").await;
        let id = VersionId { sequence: 1, random: 0 };
        fixture.commit(refused::key(bucket, "a", id), Bytes::from_static(b"damaged")).await;
        fixture.refuse((bucket, "b"), 1, NOW_MS - 1, 10).await;
        assert!(fixture.store.sweep().await.is_err());
        let left = fixture.store.rows.latest().all(refused::range_of_all()).await.unwrap();
        assert_eq!(left.len(), 1);
    }
}
