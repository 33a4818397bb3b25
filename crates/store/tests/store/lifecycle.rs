//! Lifecycle rules: what expires when, and what never does.

use std::time::Duration;

use crate::fixture::run::{LOCK, Run, STATE, set_guard, state, told};
use crate::fixture::{self, Fixture};
use tidelock_store::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn rule(id: &str) -> LifecycleRule {
    LifecycleRule {
        id: id.to_owned(),
        enabled: true,
        form: FilterForm::Filter,
        filter: LifecycleFilter::default(),
        expiration: None,
        noncurrent: None,
        abort_uploads_days: None,
    }
}

fn after(days: u32) -> LifecycleRule {
    LifecycleRule { expiration: Some(Expiration::Days(days)), ..rule("days") }
}

fn noncurrent(days: u32, newer: Option<u32>) -> LifecycleRule {
    LifecycleRule { noncurrent: Some(NoncurrentExpiration { days, newer }), ..rule("noncurrent") }
}

fn markers() -> LifecycleRule {
    let expiration = Some(Expiration::ExpiredObjectDeleteMarker(true));
    LifecycleRule { expiration, ..rule("markers") }
}

fn filtered(rule: LifecycleRule, filter: LifecycleFilter) -> LifecycleRule {
    LifecycleRule { filter, ..rule }
}

async fn ruled(versioning: Versioning, rules: Vec<LifecycleRule>) -> Fixture {
    let fixture = Fixture::new().await;
    if versioning != Versioning::Unversioned {
        fixture.set_versioning(versioning).await;
    }
    set_rules(&fixture, rules).await;
    fixture
}

async fn set_rules(fixture: &Fixture, rules: Vec<LifecycleRule>) {
    let content = Lifecycle { rules, ..Lifecycle::default() }.encode().to_vec();
    let change = BucketChange::Document(DocumentKind::Lifecycle, Some(content));
    fixture.store.change_bucket(&fixture.root, &fixture.bucket, &change).await.unwrap();
}

async fn pass(fixture: &Fixture, days: u32) -> LifecycleReport {
    fixture.clock.advance(DAY * days);
    fixture.store.sweep().await.unwrap().lifecycle
}

async fn shown(fixture: &Fixture) -> Vec<String> {
    let versions = fixture.versions(100).await;
    let show = |it: &ListedVersion| match it.object {
        Some(_) => it.key.clone(),
        None => format!("{} (marker)", it.key),
    };
    versions.iter().map(show).collect()
}

#[tokio::test]
async fn current_versions_expire() {
    let fixture = ruled(Versioning::Unversioned, vec![after(2)]).await;
    fixture.put("old", "x").await;
    assert_eq!(pass(&fixture, 2).await, LifecycleReport::default());
    fixture.put("new", "x").await;
    assert_eq!(pass(&fixture, 1).await, LifecycleReport { expired: 1, ..Default::default() });
    assert_eq!(shown(&fixture).await, ["new"]);
    let entry = &told(&fixture, "ExpireObject").await[0].entry;
    assert_eq!((&*entry.key, &*entry.principal), ("old", "server"));
    assert_eq!(entry.reason, "lifecycle rule days");
}

#[tokio::test]
async fn versions_expire_one_after_the_other() {
    let rules = vec![after(1), noncurrent(1, None)];
    let fixture = ruled(Versioning::Enabled, rules).await;
    fixture.put("key", "one").await;
    fixture.put("key", "two").await;
    assert_eq!(pass(&fixture, 0).await, LifecycleReport::default());
    let report = pass(&fixture, 2).await;
    assert_eq!((report.noncurrent, report.expired), (1, 1));
    assert_eq!(shown(&fixture).await, ["key (marker)", "key"]);
    // The marker goes in the pass in which nothing is behind it any more.
    let report = pass(&fixture, 2).await;
    assert_eq!((report.noncurrent, report.delete_markers), (1, 1));
    assert_eq!(shown(&fixture).await, [""; 0]);
    assert_eq!(fixture.store.sweep().await.unwrap().lifecycle, LifecycleReport::default());
}

#[tokio::test]
async fn the_newest_noncurrent_versions_are_kept() {
    let fixture = ruled(Versioning::Enabled, vec![noncurrent(1, Some(3))]).await;
    for number in 0..30 {
        fixture.put("key", format!("{number}")).await;
        fixture.put("other", "x").await;
        fixture.delete("other", None).await;
    }
    let report = pass(&fixture, 2).await;
    assert_eq!(report.noncurrent, 26 + 56);
    assert_eq!(fixture.get("key").await.unwrap(), b"29");
    assert_eq!(shown(&fixture).await.len(), 4 + 4);
}

#[tokio::test]
async fn markers_wait_for_what_is_behind_them() {
    let fixture = ruled(Versioning::Enabled, vec![markers()]).await;
    let put = fixture.put("key", "x").await;
    fixture.delete("key", None).await;
    assert_eq!(pass(&fixture, 9).await, LifecycleReport::default());
    fixture.delete("key", Some(VersionSelector::Id(put.version.id))).await;
    assert_eq!(pass(&fixture, 0).await.delete_markers, 1);
    assert_eq!(shown(&fixture).await, [""; 0]);
}

#[tokio::test]
async fn filters_say_what_expires() {
    let text = |text: &str| Some(text.to_owned());
    for (filter, left) in [
        (LifecycleFilter { prefix: text("a/"), ..Default::default() }, vec!["b/1.log", "b/2.txt"]),
        (
            LifecycleFilter { suffix: text(".log"), ..Default::default() },
            vec!["a/2.txt", "b/2.txt"],
        ),
        (
            LifecycleFilter { prefix: text("a"), suffix: text("t"), ..Default::default() },
            vec!["a/1.log", "b/1.log", "b/2.txt"],
        ),
        (
            LifecycleFilter { larger_than: Some(1), ..Default::default() },
            vec!["a/1.log", "a/2.txt"],
        ),
        (
            LifecycleFilter { smaller_than: Some(2), ..Default::default() },
            vec!["b/1.log", "b/2.txt"],
        ),
        (
            LifecycleFilter { tags: vec![("k".into(), "v".into())], ..Default::default() },
            vec!["a/1.log", "a/2.txt", "b/1.log"],
        ),
    ] {
        let fixture =
            ruled(Versioning::Unversioned, vec![filtered(after(1), filter.clone())]).await;
        for (key, body) in
            [("a/1.log", "1"), ("a/2.txt", "1"), ("b/1.log", "22"), ("b/2.txt", "22")]
        {
            fixture.put(key, body).await;
        }
        let tags = ObjectEdit::Tags(vec![("k".to_owned(), "v".to_owned())]);
        let key = "b/2.txt".parse().unwrap();
        let (root, bucket) = (&fixture.root, &fixture.bucket);
        fixture.store.edit_object(root, bucket, &key, None, &tags).await.unwrap();
        pass(&fixture, 2).await;
        assert_eq!(shown(&fixture).await, left, "{filter:?}");
    }
}

#[tokio::test]
async fn uploads_are_aborted() {
    let abort = LifecycleRule { abort_uploads_days: Some(3), ..rule("abort") };
    let prefix = Some("a/".to_owned());
    let filter = LifecycleFilter { prefix, ..LifecycleFilter::default() };
    let fixture = ruled(Versioning::Unversioned, vec![filtered(abort, filter)]).await;
    let (gone, stays) = (fixture.begin_upload("a/x").await, fixture.begin_upload("b/x").await);
    fixture.put_part("b/x", stays, 1, "x").await;
    assert_eq!(pass(&fixture, 3).await.aborted, 0);
    assert_eq!(pass(&fixture, 1).await.aborted, 1);
    let part = fixture.put_part("b/x", stays, 1, "x").await;
    let plain = WriteCondition::default();
    assert!(fixture.complete("b/x", stays, std::slice::from_ref(&part), &plain).await.is_ok());
    assert!(fixture.complete("a/x", gone, &[part], &plain).await.is_err());
}

#[tokio::test]
async fn rules_that_are_off_or_gone_do_nothing() {
    let off = LifecycleRule { enabled: false, ..after(1) };
    let fixture = ruled(Versioning::Unversioned, vec![off]).await;
    fixture.put("key", "x").await;
    assert_eq!(pass(&fixture, 9).await, LifecycleReport::default());
    set_rules(&fixture, vec![after(1)]).await;
    let change = BucketChange::Document(DocumentKind::Lifecycle, None);
    fixture.store.change_bucket(&fixture.root, &fixture.bucket, &change).await.unwrap();
    assert_eq!(pass(&fixture, 9).await, LifecycleReport::default());
    let past = Expiration::Date(fixture::START_MS);
    set_rules(&fixture, vec![LifecycleRule { expiration: Some(past), ..rule("date") }]).await;
    assert_eq!(pass(&fixture, 0).await.expired, 1);
}

#[tokio::test]
async fn what_is_locked_does_not_expire() {
    let rules = vec![after(1), noncurrent(1, None)];
    let fixture = ruled(Versioning::Enabled, rules).await;
    let period = RetentionPeriod::Days(30);
    let default_retention = Some(DefaultRetention { mode: RetentionMode::Governance, period });
    let change = BucketChange::ObjectLock(ObjectLock { default_retention });
    fixture.store.change_bucket(&fixture.root, &fixture.bucket, &change).await.unwrap();
    fixture.put("key", "one").await;
    fixture.put("key", "two").await;
    // A marker is laid over what is locked, nothing more.
    let report = pass(&fixture, 9).await;
    assert_eq!((report.expired, report.noncurrent), (1, 0));
    assert_eq!(pass(&fixture, 9).await, LifecycleReport::default());
    assert_eq!(shown(&fixture).await, ["key (marker)", "key", "key"]);
    let report = pass(&fixture, 30).await;
    assert_eq!((report.noncurrent, report.delete_markers), (2, 1));
}

/// The current state and a lock that is there stay; old states and locks need not.
#[tokio::test]
async fn states_and_locks_do_not_expire() {
    let fixture = Fixture::new().await;
    fixture.set_versioning(Versioning::Enabled).await;
    // Written before the bucket was guarded: only its body tells that it is a state.
    fixture.put("early.tfstate", state(1, "a")).await;
    let config = GuardConfig { lock_history: LockHistory::Keep, ..GuardConfig::enforced() };
    set_guard(&fixture, Some(config)).await;
    set_rules(&fixture, vec![after(1), noncurrent(1, None)]).await;
    let run = Run::new("ci", 1);
    run.take(&fixture).await.unwrap();
    run.write(&fixture, state(1, "a")).await.unwrap();
    run.write(&fixture, state(2, "b")).await.unwrap();
    run.give_back(&fixture).await;
    let holder = Run::new("ci", 2);
    holder.take(&fixture).await.unwrap();
    fixture.put("notes.txt", "x").await;
    let report = pass(&fixture, 9).await;
    assert_eq!((report.expired, report.noncurrent), (1, 3), "{report:?}");
    let left = [STATE, LOCK, "early.tfstate", "notes.txt (marker)", "notes.txt"];
    assert_eq!(shown(&fixture).await, left);
    assert_eq!(fixture.get(STATE).await.unwrap(), state(2, "b").as_bytes());
    holder.write(&fixture, state(3, "c")).await.unwrap();
}

/// A lock in a bucket without a guard is held as well.
#[tokio::test]
async fn a_lock_does_not_expire_anywhere() {
    let fixture = ruled(Versioning::Unversioned, vec![after(1)]).await;
    fixture.put("app.tflock", "x").await;
    fixture.put("app", "x").await;
    assert_eq!(pass(&fixture, 9).await.expired, 1);
    assert_eq!(shown(&fixture).await, ["app.tflock"]);
}

#[tokio::test]
async fn objects_say_when_they_expire() {
    let later = LifecycleRule { id: "later".to_owned(), ..after(9) };
    let fixture = ruled(Versioning::Unversioned, vec![later, after(2)]).await;
    let stored = fixture.put("key", "x").await;
    let (key, day_ms) = ("key".parse().unwrap(), 24 * 3600 * 1000);
    let due_ms = (fixture::START_MS + 2 * day_ms) / day_ms * day_ms + day_ms;
    let expected = Some(ObjectExpiration { due_ms, rule_id: "days".to_owned() });
    let subject = stored.lifecycle.unwrap();
    assert_eq!(fixture.store.object_expiration(&key, &subject).await.unwrap(), expected);
    let (root, bucket) = (&fixture.root, &fixture.bucket);
    let info = fixture.store.head_object(root, bucket, &key, None).await.unwrap();
    assert_eq!(info.lifecycle, Some(subject.clone()));
    set_rules(&fixture, vec![noncurrent(1, None)]).await;
    assert_eq!(fixture.store.object_expiration(&key, &subject).await.unwrap(), None);
}
