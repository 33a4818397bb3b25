//! Object Lock: what is locked stays, whoever would remove it and however.

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::run::{LOCK, Run, STATE, set_guard, state};
use crate::fixture::{self, Fixture};
use tidelock_store::*;

const DAY_MS: i64 = 24 * 3600 * 1000;

fn one_day(mode: RetentionMode) -> ObjectLock {
    let period = RetentionPeriod::Days(1);
    ObjectLock { default_retention: Some(DefaultRetention { mode, period }) }
}

async fn lockable(lock: ObjectLock) -> Fixture {
    let fixture = Fixture::new().await;
    fixture.set_versioning(Versioning::Enabled).await;
    change(&fixture, BucketChange::ObjectLock(lock)).await.unwrap();
    fixture
}

async fn change(fixture: &Fixture, change: BucketChange) -> Result<(), BucketError> {
    fixture.store.change_bucket(&fixture.root, &fixture.bucket, &change).await
}

async fn remove(
    fixture: &Fixture,
    key: &str,
    version: DisplayVersion,
    governance: Governance,
) -> Result<DeletedObject, DeleteObjectError> {
    let condition = DeleteCondition { governance, ..DeleteCondition::default() };
    let (key, version) = (key.parse().unwrap(), Some(VersionSelector::Id(version.id)));
    fixture.store.delete_object(&fixture.root, &fixture.bucket, &key, version, &condition).await
}

async fn lock(
    fixture: &Fixture,
    version: DisplayVersion,
    change: LockChange,
) -> Result<ObjectInfo, PutLockError> {
    let (key, version) = ("key".parse().unwrap(), Some(VersionSelector::Id(version.id)));
    fixture.store.put_object_lock(&fixture.root, &fixture.bucket, &key, version, change).await
}

#[tokio::test]
async fn buckets_stay_versioned() {
    let fixture = Fixture::new().await;
    let on = || BucketChange::ObjectLock(ObjectLock::default());
    let suspended = || BucketChange::Versioning(Versioning::Suspended);
    assert_eq!(change(&fixture, on()).await, Err(BucketError::NotVersioned));
    change(&fixture, suspended()).await.unwrap();
    assert_eq!(change(&fixture, on()).await, Err(BucketError::NotVersioned));
    fixture.set_versioning(Versioning::Enabled).await;
    change(&fixture, on()).await.unwrap();
    assert_eq!(change(&fixture, suspended()).await, Err(BucketError::HasObjectLock));
    let new = NewBucket { object_lock: Some(ObjectLock::default()), ..NewBucket::default() };
    let made = fixture.store.create_bucket(&fixture.root, &"made".parse().unwrap(), new).await;
    assert_eq!(made.unwrap().row.versioning, Versioning::Enabled);
}

#[tokio::test]
async fn what_is_written_is_retained_by_default() {
    let fixture = lockable(one_day(RetentionMode::Compliance)).await;
    let put = fixture.put("key", "one").await;
    let upload = fixture.begin_upload("key").await;
    fixture.clock.advance(Duration::from_secs(3600));
    let part = fixture.put_part("key", upload, 1, "two").await;
    let plain = WriteCondition::default();
    let completed = fixture.complete("key", upload, &[part], &plain).await.unwrap();
    // A delete marker over them is no removal.
    fixture.delete("key", None).await;
    let (put, completed) = (put.version, completed.version);
    for (hours, expected) in [(22, [false, false]), (1, [true, false]), (1, [true, true])] {
        fixture.clock.advance(Duration::from_secs(hours * 3600));
        let (one, two) = (
            remove(&fixture, "key", put, Governance::Bypassed).await,
            remove(&fixture, "key", completed, Governance::Bypassed).await,
        );
        assert_eq!([one.is_ok(), two.is_ok()], expected, "{one:?} {two:?}");
    }
}

#[tokio::test]
async fn each_version_has_its_own_locks() {
    let fixture = lockable(ObjectLock::default()).await;
    let (old, new) = (fixture.put("key", "old").await.version, fixture.put("key", "new").await);
    let until_ms = fixture::START_MS + DAY_MS;
    let retention = Retention { mode: RetentionMode::Governance, until_ms };
    let retain = LockChange::Retention(Some(retention), Governance::Heeded);
    let info = lock(&fixture, old, retain).await.unwrap();
    assert_eq!(info.settings.controls.retention, Some(retention));
    lock(&fixture, new.version, LockChange::LegalHold(true)).await.unwrap();
    let protected = || Err(DeleteObjectError::Protected);
    assert_eq!(remove(&fixture, "key", old, Governance::Heeded).await, protected());
    assert_eq!(remove(&fixture, "key", new.version, Governance::Bypassed).await, protected());
    let end = LockChange::Retention(None, Governance::Heeded);
    assert_eq!(lock(&fixture, old, end).await, Err(PutLockError::Retained));
    assert!(remove(&fixture, "key", old, Governance::Bypassed).await.is_ok());
    lock(&fixture, new.version, LockChange::LegalHold(false)).await.unwrap();
    assert!(remove(&fixture, "key", new.version, Governance::Heeded).await.is_ok());
}

#[tokio::test]
async fn nothing_is_locked_where_nothing_can_be() {
    let fixture = Fixture::new().await;
    let version = fixture.put("key", "x").await.version;
    let refused = lock(&fixture, version, LockChange::LegalHold(true)).await;
    assert_eq!(refused, Err(BucketError::NoObjectLock.into()));
    let mut settings = ObjectSettings::default();
    settings.controls.legal_hold = Some(false);
    let put = PutObject {
        principal: &fixture.root,
        bucket: &fixture.bucket,
        key: &"key".parse().unwrap(),
        condition: &WriteCondition::default(),
        settings: &settings,
        content_md5: None,
        checksum: None,
    };
    let refused = fixture.store.put_object(&put, &mut BytesSource::new("y")).await;
    assert!(matches!(refused, Err(PutObjectError::Bucket(BucketError::NoObjectLock))));
}

/// A guard that keeps no locks keeps them where they may be locked; also one that was taken before.
#[tokio::test]
async fn the_guard_removes_no_lock_that_is_retained() {
    let fixture = Fixture::new().await;
    fixture.set_versioning(Versioning::Enabled).await;
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    let run = Run::new("ci", 1);
    run.take(&fixture).await.unwrap();
    let lock = BucketChange::ObjectLock(one_day(RetentionMode::Compliance));
    change(&fixture, lock).await.unwrap();
    run.write(&fixture, state(1, "a")).await.unwrap();
    run.give_back(&fixture).await;
    let second = Run::new("ci", 2);
    let taken = second.take(&fixture).await.unwrap();
    second.write(&fixture, state(2, "b")).await.unwrap();
    second.give_back(&fixture).await;
    let third = Run::new("ci", 3);
    third.take(&fixture).await.unwrap();
    third.give_back(&fixture).await;
    fixture.store.sweep().await.unwrap();
    let versions = fixture.versions(20).await;
    let of = |key: &str| versions.iter().filter(|it| it.key == key).count();
    assert_eq!((of(LOCK), of(STATE)), (6, 2), "{versions:?}");
    let refused = remove(&fixture, LOCK, taken.version, Governance::Bypassed).await;
    assert_eq!(refused, Err(DeleteObjectError::Protected));
}

/// A decision that rests on an object is held against it in the commit of each change: another object, other
/// tags, or one where there was none make it outdated.
#[tokio::test]
async fn what_was_decided_of_an_object_is_decided_of_no_other() {
    let fixture = lockable(ObjectLock::default()).await;
    let (store, bucket, key) = (&fixture.store, &fixture.bucket, "key".parse().unwrap());
    let granted = Arc::new(store.bucket_access(bucket).await.unwrap().unwrap());
    let judge = || async {
        let access = store.object_access(granted.id, &key, None).await.unwrap();
        let object = JudgedObject { bucket: granted.id, key: key.clone(), selector: None, access };
        let mut principal = fixture.root.clone();
        principal.grant(Granted { bucket: granted.clone(), object: Some(object) });
        principal
    };
    let edit = |principal: Principal, edit: ObjectEdit| {
        let key = &key;
        async move {
            let edited = store.edit_object(&principal, bucket, key, None, &edit).await;
            edited.map_err(PutLockError::from)
        }
    };
    let hold = |principal: Principal| {
        let key = &key;
        async move {
            let change = LockChange::LegalHold(true);
            store.put_object_lock(&principal, bucket, key, None, change).await
        }
    };
    let tags = |name: &str| ObjectEdit::Tags(vec![(name.to_owned(), String::new())]);
    let nothing = judge().await;
    fixture.put("key", "one").await;
    let first = judge().await;
    fixture.put("key", "two").await;
    let untagged = judge().await;
    assert!(edit(untagged.clone(), tags("one")).await.is_ok());
    for outdated in [nothing, first, untagged] {
        let answers = [
            edit(outdated.clone(), tags("two")).await,
            edit(outdated.clone(), ObjectEdit::Acl(None)).await,
            hold(outdated).await,
        ];
        for answer in answers {
            let changed = GetObjectError::Bucket(BucketError::AccessChanged);
            assert_eq!(answer.unwrap_err(), PutLockError::Object(changed));
        }
    }
    assert!(hold(judge().await).await.is_ok());
}
