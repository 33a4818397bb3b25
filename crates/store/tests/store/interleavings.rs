//! What others do between two reads of one operation: never a wrong answer, never a lost body.

use std::sync::Arc;

use crate::fixture::{Fixture, Interrupted, body, if_none_match};
use tidelock_meta::memory::UnknownCommit;
use tidelock_store::*;

/// More reads than any of the operations below makes.
const READS_MAX: usize = 12;

/// Unless something is in the bucket already.
async fn make_bucket_anew(fixture: Arc<Fixture>) {
    if fixture.store.delete_bucket(&fixture.root, &fixture.bucket).await.is_ok() {
        fixture.make_bucket("bucket").await;
    }
}

#[tokio::test]
async fn a_write_to_a_bucket_that_is_made_anew_is_there_or_refused() {
    for read in 1..READS_MAX {
        let (fixture, engine) = Interrupted::fixture().await;
        engine.before_read(read, make_bucket_anew(fixture.clone()));
        if fixture.put_if("key", "mine", &if_none_match()).await.is_ok() {
            assert_eq!(fixture.get("key").await.unwrap(), b"mine", "before read {read}");
        }
    }
}

#[tokio::test]
async fn an_upload_in_a_bucket_that_is_made_anew_is_there_or_refused() {
    for read in 1..READS_MAX {
        let (fixture, engine) = Interrupted::fixture().await;
        let upload = fixture.begin_upload("key").await;
        let parts = [fixture.put_part("key", upload, 1, "mine").await];
        engine.before_read(read, make_bucket_anew(fixture.clone()));
        let completed = fixture.complete("key", upload, &parts, &WriteCondition::default()).await;
        if completed.is_ok() {
            assert_eq!(fixture.get("key").await.unwrap(), b"mine", "before read {read}");
        }
    }
}

async fn delete_version(fixture: Arc<Fixture>, version: DisplayVersion) {
    fixture.delete("key", Some(version.to_string().parse().unwrap())).await;
}

/// A fixture whose key has two versions.
async fn two_versions() -> (Arc<Fixture>, Arc<Interrupted>, DisplayVersion, DisplayVersion) {
    let (fixture, engine) = Interrupted::fixture().await;
    fixture.set_versioning(Versioning::Enabled).await;
    let old = fixture.put("key", "old").await.version;
    let new = fixture.put("key", "new").await.version;
    (fixture, engine, old, new)
}

#[tokio::test]
async fn a_version_is_found_while_it_becomes_current_again() {
    for read in 1..READS_MAX {
        let (fixture, engine, old, new) = two_versions().await;
        engine.before_read(read, delete_version(fixture.clone(), new));
        let selector = old.to_string().parse().unwrap();
        let got = fixture.get_range("key", Some(selector), None).await;
        assert_eq!(got.unwrap(), b"old", "before read {read}");
    }
}

#[tokio::test]
async fn the_null_version_is_found_while_it_becomes_current_again() {
    for read in 1..READS_MAX {
        let (fixture, engine) = Interrupted::fixture().await;
        fixture.put("key", "null").await;
        fixture.set_versioning(Versioning::Enabled).await;
        let new = fixture.put("key", "new").await.version;
        engine.before_read(read, delete_version(fixture.clone(), new));
        let got = fixture.get_range("key", Some(VersionSelector::Null), None).await;
        assert_eq!(got.unwrap(), b"null", "before read {read}");
    }
}

#[tokio::test]
async fn a_version_is_deleted_while_it_becomes_current_again() {
    for read in 1..READS_MAX {
        let (fixture, engine, old, new) = two_versions().await;
        engine.before_read(read, delete_version(fixture.clone(), new));
        delete_version(fixture.clone(), old).await;
        let left: Vec<_> = fixture.versions(10).await.into_iter().map(|it| it.version).collect();
        assert!(!left.contains(&old), "before read {read}");
    }
}

#[tokio::test]
async fn a_version_is_tagged_while_it_becomes_current_again() {
    for read in 1..READS_MAX {
        let (fixture, engine, old, new) = two_versions().await;
        engine.before_read(read, delete_version(fixture.clone(), new));
        let (key, selector) = ("key".parse().unwrap(), old.to_string().parse().unwrap());
        let tags = ObjectEdit::Tags(vec![("a".to_owned(), "b".to_owned())]);
        let tagged = fixture
            .store
            .edit_object(&fixture.root, &fixture.bucket, &key, Some(selector), &tags)
            .await;
        tagged.unwrap();
    }
}

#[tokio::test]
async fn a_version_is_listed_once_while_another_becomes_current() {
    for read in 1..READS_MAX {
        let (fixture, engine, ..) = two_versions().await;
        let other = fixture.clone();
        engine.before_read(read, async move { drop(other.put("key", "newer").await) });
        let listed: Vec<_> = fixture.versions(10).await.into_iter().map(|it| it.version).collect();
        let mut once = listed.clone();
        once.sort_by_key(|version| std::cmp::Reverse(version.id));
        once.dedup();
        assert_eq!(listed, once, "before read {read}");
    }
}

/// The commit lands, its reply is lost, and before it is looked for somebody else writes the row that
/// would have told.
async fn lose_a_reply(fixture: &Arc<Fixture>, engine: &Arc<Interrupted>, reads_before: usize) {
    let meta = fixture.meta.clone();
    engine.before_read(reads_before, async move {
        meta.faults().answer_unknown(1, UnknownCommit::Applied);
    });
}

#[tokio::test]
async fn the_body_of_an_object_stays_when_nobody_knows_whether_it_was_committed() {
    let (fixture, engine) = Interrupted::fixture().await;
    fixture.set_versioning(Versioning::Enabled).await;
    let large = body(1 << 20, 1);
    // The bucket, the bucket again, bucket and head; then the row that tells.
    lose_a_reply(&fixture, &engine, 3).await;
    let other = fixture.clone();
    engine.before_read(4, async move { drop(other.put("key", "later").await) });
    let lost = fixture.put_if("key", large.clone(), &WriteCondition::default()).await;
    assert!(lost.is_err());
    let versions = fixture.versions(10).await;
    assert_eq!(versions.len(), 2);
    let selector = versions[1].version.to_string().parse().unwrap();
    assert!(fixture.get_range("key", Some(selector), None).await.unwrap() == large);
}

#[tokio::test]
async fn the_body_of_a_part_stays_when_nobody_knows_whether_it_was_committed() {
    let (fixture, engine) = Interrupted::fixture().await;
    let upload = fixture.begin_upload("key").await;
    let key = "key".parse().unwrap();
    let request = UploadPart {
        principal: &fixture.root,
        bucket: &fixture.bucket,
        key: &key,
        upload,
        number: 1,
        content_md5: None,
        checksum: None,
        customer_key: None,
    };
    // The bucket, the upload, all rows of the part; then the row that tells.
    lose_a_reply(&fixture, &engine, 3).await;
    engine.fail_read(4);
    let large = body(1 << 20, 1);
    let lost = fixture.store.upload_part(&request, &mut BytesSource::new(large.clone())).await;
    assert!(lost.is_err());
    let page = fixture
        .store
        .list_parts(&fixture.root, &fixture.bucket, &key, upload, 0, 10)
        .await
        .unwrap();
    let etag = hex::encode(page.parts[0].md5);
    let parts = [RequestedPart { number: 1, etag, checksum: None }];
    fixture.complete("key", upload, &parts, &WriteCondition::default()).await.unwrap();
    assert!(fixture.get("key").await.unwrap() == large);
}

#[tokio::test]
async fn a_key_does_not_outlive_its_user_into_a_new_one_of_the_same_name() {
    for read in 1..READS_MAX {
        let (fixture, engine) = Interrupted::fixture().await;
        let store = &fixture.store;
        store.create_user(&fixture.root, "alice").await.unwrap();
        let (other, made) = (fixture.clone(), Arc::new(std::sync::Mutex::new(None)));
        let out = made.clone();
        engine.before_read(read, async move {
            let key = other.store.create_access_key(&other.root, "alice", None).await;
            *out.lock().unwrap() = key.ok();
        });
        if store.delete_user(&fixture.root, "alice").await.is_err() {
            continue;
        }
        store.create_user(&fixture.root, "alice").await.unwrap();
        let Some(stale) = made.lock().unwrap().take() else { continue };
        let known = store.credentials(&stale.key.access_key_id).await.unwrap();
        assert!(known.is_err(), "before read {read}");
    }
}
