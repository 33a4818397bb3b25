//! Objects through the public face of the store: bodies, versions, listings, locks.

use std::time::Duration;

use crate::fixture::{self, Fixture, body, if_match, if_none_match};
use tidelock_blob::BlobStore;
use tidelock_meta::memory::UnknownCommit;
use tidelock_meta::record::reclaim;
use tidelock_meta::{Batch, MetaStore, OpId};
use tidelock_store::*;

const CHUNK: usize = 31 << 10;

#[tokio::test]
async fn bodies_of_all_sizes_come_back() {
    let fixture = Fixture::new().await;
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK, 8 * CHUNK + 1, 20 * CHUNK, 1 << 21];
    for size in sizes {
        let expected = body(size, 1);
        let stored = fixture.put("key", expected.clone()).await;
        assert_eq!(stored.size, size as u64);
        assert!(fixture.get("key").await.unwrap() == expected, "{size}");
        for (start, end) in
            [(0, 1), (CHUNK - 1, CHUNK + 1), (size / 2, size), (size.saturating_sub(1), size)]
        {
            if start < end && end <= size {
                let got =
                    fixture.get_range("key", None, Some(start as u64..end as u64)).await.unwrap();
                assert!(got == expected[start..end], "{size}: {start}..{end}");
            }
        }
    }
}

#[tokio::test]
async fn a_replaced_blob_is_swept_after_the_grace_and_not_before() {
    let fixture = Fixture::new().await;
    fixture.put("key", body(1 << 20, 1)).await;
    fixture.put("key", body(10, 2)).await;
    assert_eq!(fixture.store.sweep().await.unwrap().blobs, 0);
    fixture.clock.advance(Duration::from_secs(601));
    assert_eq!(fixture.store.sweep().await.unwrap().blobs, 1);
    assert_eq!(fixture.store.sweep().await.unwrap(), SweepReport::default());
    assert_eq!(fixture.get("key").await.unwrap(), body(10, 2));
}

#[tokio::test]
async fn a_row_that_cannot_be_swept_does_not_keep_the_others_from_it() {
    let fixture = Fixture::new().await;
    let mut batch = Batch::new(OpId([0; 16]));
    batch.put(reclaim::key(fixture::START_MS, [1; 16]), "damaged".into());
    fixture.meta.commit(batch).await.unwrap();
    fixture.put("key", body(1 << 20, 1)).await;
    fixture.delete("key", None).await;
    fixture.clock.advance(Duration::from_secs(601));
    assert!(matches!(fixture.store.sweep().await, Err(StorageError::Corrupt(_))));
    assert!(fixture.blobs.list(None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn conditions_have_one_winner_in_every_versioning() {
    for versioning in [None, Some(Versioning::Enabled), Some(Versioning::Suspended)] {
        let fixture = Fixture::new().await;
        if let Some(versioning) = versioning {
            fixture.set_versioning(versioning).await;
        }
        let writers = (0..32_u64).map(|writer| {
            let fixture = &fixture;
            async move { fixture.put_if("key", body(100, writer), &if_none_match()).await.is_ok() }
        });
        let won = futures_util::future::join_all(writers).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{versioning:?}");
    }
}

#[tokio::test]
async fn the_same_lock_by_the_same_principal_is_taken_once_and_answered_twice() {
    let fixture = Fixture::new().await;
    let lock = r#"{"ID":"abc","Operation":"OperationTypeApply"}"#;
    let other = r#"{"ID":"xyz","Operation":"OperationTypeApply"}"#;
    let condition = if_none_match();
    let first = fixture.put_if("s.tflock", lock, &condition).await.unwrap();
    let again = fixture.put_if("s.tflock", lock, &condition).await.unwrap();
    assert_eq!((again.etag, again.version), (first.etag, first.version));
    let refused = fixture.put_if("s.tflock", other, &condition).await;
    assert!(matches!(refused, Err(PutObjectError::Condition(ConditionFailure::IfNoneMatch))));
    let somebody =
        Principal { arn: "arn:aws:iam::000000000000:user/x".into(), ..Principal::root() };
    assert!(fixture.put_as(&somebody, "s.tflock", lock, &condition).await.is_err());
    // Only a lock is idempotent.
    fixture.put_if("plain", lock, &condition).await.unwrap();
    assert!(fixture.put_if("plain", lock, &condition).await.is_err());
    fixture.put_if("n.tflock", "no lock", &condition).await.unwrap();
    assert!(fixture.put_if("n.tflock", "no lock", &condition).await.is_err());
}

#[tokio::test]
async fn a_lost_reply_of_a_commit_does_not_refuse_the_winner() {
    let fixture = Fixture::new().await;
    fixture.meta.faults().answer_unknown(1, UnknownCommit::Applied);
    fixture.put_if("key", "mine", &if_none_match()).await.unwrap();
    assert_eq!(fixture.get("key").await.unwrap(), b"mine");
    fixture.meta.faults().answer_unknown(1, UnknownCommit::Lost);
    let failed = fixture.put_if("other", "mine", &if_none_match()).await;
    assert!(matches!(
        failed,
        Err(PutObjectError::Bucket(BucketError::Storage(StorageError::Unavailable(_))))
    ));
    assert!(matches!(fixture.get("other").await, Err(GetObjectError::NoSuchKey { .. })));
}

#[tokio::test]
async fn listings_roll_up_page_and_leave_out_what_is_deleted() {
    let fixture = Fixture::new().await;
    fixture.set_versioning(Versioning::Enabled).await;
    for key in ["a", "b/1", "b/2", "c/x/1", "d", "gone/1", "gone"] {
        fixture.put(key, "x").await;
    }
    fixture.delete("gone/1", None).await;
    fixture.delete("gone", None).await;
    for limit in [1, 2, 3, 1000] {
        let (keys, prefixes) = fixture.list("", Some("/"), limit).await;
        assert_eq!(keys, ["a", "d"], "{limit}");
        assert_eq!(prefixes, ["b/", "c/"], "{limit}");
        let (keys, prefixes) = fixture.list("", None, limit).await;
        assert_eq!(keys, ["a", "b/1", "b/2", "c/x/1", "d"], "{limit}");
        assert!(prefixes.is_empty());
        assert_eq!(fixture.list("b", None, limit).await.0, ["b/1", "b/2"]);
        assert_eq!(fixture.list("c/", Some("/"), limit).await.1, ["c/x/"]);
    }
}

#[tokio::test]
async fn a_listing_that_passes_many_deleted_keys_takes_few_scans() {
    let (fixture, engine) = fixture::Interrupted::fixture().await;
    fixture.set_versioning(Versioning::Enabled).await;
    fixture.put("a", "x").await;
    for key in 0..500 {
        fixture.delete(&format!("b/{key}"), None).await;
        fixture.delete(&format!("b{key}"), None).await;
    }
    fixture.put("c", "x").await;
    for delimiter in [None, Some("/")] {
        let before = engine.reads();
        assert_eq!(fixture.list("", delimiter, 2).await.0, ["a", "c"]);
        let reads = engine.reads() - before;
        assert!(reads < 30, "{delimiter:?}: {reads}");
    }
}

#[tokio::test]
async fn a_bucket_with_anything_in_it_stays() {
    let fixture = Fixture::new().await;
    fixture.set_versioning(Versioning::Enabled).await;
    let stored = fixture.put("key", "x").await;
    let marker = fixture.delete("key", None).await;
    let refused = fixture.store.delete_bucket(&fixture.root, &fixture.bucket).await;
    assert_eq!(refused, Err(DeleteBucketError::NotEmpty));
    fixture.put("still", "writable").await;
    let still = fixture.delete("still", None).await;
    for (key, version) in
        [("key", Some(stored.version)), ("key", marker.version), ("still", still.version)]
    {
        let selector = version.unwrap().to_string().parse().unwrap();
        fixture.delete(key, Some(selector)).await;
    }
    for version in fixture.versions(10).await {
        fixture.delete(&version.key, Some(version.version.to_string().parse().unwrap())).await;
    }
    fixture.begin_upload("upload").await;
    fixture.store.delete_bucket(&fixture.root, &fixture.bucket).await.unwrap();
    fixture.clock.advance(Duration::from_secs(3600));
    assert_eq!(fixture.store.sweep().await.unwrap().buckets, 1);
    assert!(matches!(
        fixture.get("key").await,
        Err(GetObjectError::Bucket(BucketError::NoSuchBucket))
    ));
}

#[tokio::test]
async fn no_acknowledged_write_vanishes_with_its_bucket() {
    for _ in 0..50 {
        let fixture = Fixture::new().await;
        let put =
            fixture.put_if("key", "x", &WriteCondition { if_match: None, if_none_match: None });
        let delete = fixture.store.delete_bucket(&fixture.root, &fixture.bucket);
        let (put, delete) = tokio::join!(put, delete);
        assert!(
            put.is_err() || delete.is_err(),
            "both the write and the deletion were acknowledged"
        );
        if put.is_ok() {
            assert_eq!(fixture.get("key").await.unwrap(), b"x");
        }
    }
}

#[tokio::test]
async fn users_have_keys_and_buckets_of_their_own() {
    let fixture = Fixture::new().await;
    let users = fixture.store.create_user(&fixture.root, "alice").await.unwrap();
    assert_eq!(users.arn, "arn:aws:iam::000000000000:user/alice");
    let key = fixture.store.create_access_key(&fixture.root, "alice", None).await.unwrap();
    let known = fixture.store.credentials(&key.key.access_key_id).await.unwrap().unwrap();
    assert_eq!(known.secret_access_key, key.secret_access_key);
    assert_eq!(&*known.principal.name, "alice");
    let denied = fixture.store.bucket(&known.principal, &fixture.bucket).await;
    assert_eq!(denied, Err(BucketError::AccessDenied));
    let in_use = fixture.store.delete_user(&fixture.root, "alice").await;
    assert_eq!(in_use, Err(IdentityError::InUse("access keys")));
    fixture.store.delete_access_key(&fixture.root, &key.key.access_key_id).await.unwrap();
    fixture.store.delete_user(&fixture.root, "alice").await.unwrap();
    let gone = fixture.store.credentials(&key.key.access_key_id).await.unwrap();
    assert_eq!(gone.err(), Some(KeyRefusal::Unknown));
}

#[tokio::test]
async fn an_update_with_the_current_etag_counts_without_loss() {
    let fixture = Fixture::new().await;
    fixture.put("counter", "0").await;
    let workers = (0..8).map(|_| async {
        let mut done = 0;
        while done < 10 {
            let key = "counter".parse().unwrap();
            let info = fixture
                .store
                .head_object(&fixture.root, &fixture.bucket, &key, None)
                .await
                .unwrap();
            let value: u64 =
                String::from_utf8(fixture.get("counter").await.unwrap()).unwrap().parse().unwrap();
            let next = (value + 1).to_string();
            if fixture.put_if("counter", next, &if_match(&info.etag)).await.is_ok() {
                done += 1;
            }
        }
    });
    futures_util::future::join_all(workers).await;
    assert_eq!(fixture.get("counter").await.unwrap(), b"80");
}
