//! The guard and what is written under it.

use std::time::Duration;

use crate::fixture::run::{
    LOCK, Run, STATE, drain, guarded, lock_body, reason, set_guard, state, state_of, told,
};
use crate::fixture::{Fixture, if_none_match};
use tidelock_store::*;

#[tokio::test]
async fn only_the_holder_writes_and_deletes() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (holder, other) = (Run::new("ci", 1), Run::new("me", 2));
    assert_eq!(
        reason(other.write(&fixture, state(1, "x")).await),
        Some(RefusalReason::StateLockRequired)
    );
    holder.take(&fixture).await.unwrap();
    holder.write(&fixture, state(1, "a")).await.unwrap();
    assert_eq!(
        reason(other.write(&fixture, state(2, "b")).await),
        Some(RefusalReason::StateLocked)
    );
    let refused = other.delete(&fixture, STATE).await;
    assert!(matches!(refused, Err(DeleteObjectError::Refused(_))));
    // A session is refreshed, a connection is lost.
    let moved = Run::new("ci", 7).with(|origin| origin.address = "10.0.0.9".to_owned());
    moved.write(&fixture, state(2, "b")).await.unwrap();
    holder.give_back(&fixture).await;
    let versions = fixture.versions(100).await;
    assert_eq!(versions.len(), 2, "nothing but two states");
    let deleted = other.delete(&fixture, STATE).await.unwrap();
    assert!(fixture.get(STATE).await.is_err(), "a workspace is deleted without its lock");
    // To remove the marker is to bring the state back.
    holder.take(&fixture).await.unwrap();
    let (key, marker) = (STATE.parse().unwrap(), deleted.version.unwrap());
    let delete = async |run: &Run| {
        let marker = Some(marker.to_string().parse().unwrap());
        let condition = DeleteCondition::default();
        let (principal, bucket) = (&run.principal, &fixture.bucket);
        fixture.store.delete_object(principal, bucket, &key, marker, &condition).await
    };
    let refused = delete(&other).await;
    assert!(matches!(refused, Err(DeleteObjectError::Refused(_))), "{refused:?}");
    delete(&holder).await.unwrap();
    assert_eq!(fixture.get(STATE).await.unwrap(), state(2, "b").as_bytes());
}

#[tokio::test]
async fn nothing_older_or_foreign_is_written() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let run = || Run::new("ci", 1);
    run().take(&fixture).await.unwrap();
    run().write(&fixture, state(5, "a")).await.unwrap();
    let before = fixture.versions(100).await;
    run().write(&fixture, state(5, "a")).await.unwrap();
    assert_eq!(fixture.versions(100).await, before, "equal bytes make no version");
    let rows = [
        (state(5, "b"), RefusalReason::StaleStateWrite),
        (state(4, "b"), RefusalReason::StaleStateWrite),
        (state_of("m", 6, "b"), RefusalReason::StateLineageMismatch),
        (String::new(), RefusalReason::NotAState),
        ("garbage".to_owned(), RefusalReason::NotAState),
    ];
    for (body, expected) in rows {
        // Each in a run of its own: what is refused stays refused.
        let again = run();
        again.give_back(&fixture).await;
        again.take(&fixture).await.unwrap();
        let refusal = again.write(&fixture, body.clone()).await.unwrap_err();
        assert_eq!(refusal.reason, expected, "{body}");
        let id = VersionSelector::Id(refusal.refused.unwrap());
        let key = STATE.parse().unwrap();
        let kept = fixture.store.get_refused(&fixture.root, &fixture.bucket, &key, id).await;
        assert_eq!(drain(kept.unwrap().reader).await.unwrap(), body.as_bytes());
    }
    assert_eq!(fixture.get(STATE).await.unwrap(), state(5, "a").as_bytes());
    for (operation, lineage) in [("state-push", "m"), ("migration destination state", "n")] {
        let again = run().operation(operation);
        again.give_back(&fixture).await;
        again.take(&fixture).await.unwrap();
        again.write(&fixture, state_of(lineage, 1, "b")).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_that_lost_its_lock_writes_nothing_more() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (a, b, breaker) = (Run::new("ci", 1), Run::new("ci", 2), Run::new("ci", 3));
    let setup = Run::new("ci", 8);
    setup.take(&fixture).await.unwrap();
    setup.write(&fixture, state(1, "first")).await.unwrap();
    setup.give_back(&fixture).await;

    a.take(&fixture).await.unwrap();
    breaker.break_lock(&fixture).await;
    assert_eq!(reason(a.write(&fixture, state(2, "a")).await), Some(RefusalReason::StateLockLost));
    b.take(&fixture).await.unwrap();
    assert_eq!(
        reason(a.write(&fixture, state(2, "a")).await),
        Some(RefusalReason::StateLockLost),
        "although the same user holds a lock"
    );
    b.write(&fixture, state(2, "b")).await.unwrap();
    assert_eq!(reason(a.write(&fixture, state(3, "a")).await), Some(RefusalReason::StateLockLost));
    b.write(&fixture, state(3, "b")).await.unwrap();
    // Neither can be told from the other on a new connection, as long as the first one lives.
    let unknown = Run::new("ci", 4);
    assert_eq!(
        reason(unknown.write(&fixture, state(4, "?")).await),
        Some(RefusalReason::StateLockLost)
    );
    b.write(&fixture, state(4, "b")).await.unwrap();
    b.give_back(&fixture).await;
    assert_eq!(reason(a.write(&fixture, state(9, "a")).await), Some(RefusalReason::StateLockLost));
    assert_eq!(fixture.get(STATE).await.unwrap(), state(4, "b").as_bytes());

    // The run comes to its end: it looks for its lock. After that nobody is taken for it.
    assert!(a.read_lock(&fixture).await.is_err());
    let next = Run::new("ci", 5);
    next.take(&fixture).await.unwrap();
    Run::new("ci", 6).write(&fixture, state(5, "c")).await.unwrap();
    // A run that takes the lock anew may write again.
    next.give_back(&fixture).await;
    a.take(&fixture).await.unwrap();
    a.write(&fixture, state(6, "a")).await.unwrap();
    let refused = fixture.store.list_refused(&fixture.root, &fixture.bucket, "").await.unwrap();
    assert_eq!(refused.len(), 4, "one was sent twice");
    assert!(refused.is_sorted_by_key(|version| version.id));
}

#[tokio::test]
async fn after_a_forced_unlock_the_next_run_is_trusted_until_the_first_one_shows_up() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (dead, breaker) = (Run::new("ci", 1), Run::new("ci", 2));
    dead.take(&fixture).await.unwrap();
    breaker.break_lock(&fixture).await;
    let next = Run::new("ci", 3);
    next.take(&fixture).await.unwrap();
    // Idle for two minutes at its prompt: its next write comes on another connection.
    Run::new("ci", 4).write(&fixture, state(1, "b")).await.unwrap();
    next.write(&fixture, state(2, "b")).await.unwrap();
    let stale = Run::new("ci", 5);
    assert_eq!(
        reason(stale.write(&fixture, state(1, "a")).await),
        Some(RefusalReason::StaleStateWrite),
        "whoever it is, nothing is written over"
    );
}

#[tokio::test]
async fn one_write_can_be_allowed() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (key, run) = (STATE.parse().unwrap(), Run::new("ci", 1));
    let allow = || {
        let (root, bucket) = (&fixture.root, &fixture.bucket);
        fixture.store.allow_state(root, bucket, &key, Duration::from_secs(60))
    };
    allow().await.unwrap();
    run.write(&fixture, state(7, "a")).await.unwrap();
    assert!(run.write(&fixture, state(8, "a")).await.is_err(), "one");
    allow().await.unwrap();
    Run::new("ci", 2).write(&fixture, state_of("m", 1, "b")).await.unwrap();
    allow().await.unwrap();
    fixture.clock.advance(Duration::from_secs(61));
    assert!(Run::new("ci", 3).write(&fixture, state_of("m", 2, "b")).await.is_err(), "in time");
    set_guard(&fixture, None).await;
    assert_eq!(allow().await, Err(AllowError::NotGuarded));
}

#[tokio::test]
async fn what_is_only_observed_is_done() {
    let observe = GuardConfig {
        lock_writes: Enforcement::Observe,
        serial: Enforcement::Observe,
        ..GuardConfig::enforced()
    };
    let fixture = guarded(observe).await;
    let run = Run::new("ci", 1);
    for (serial, lineage) in [(5, "l"), (5, "l"), (1, "m")] {
        run.write(&fixture, state_of(lineage, serial, &serial.to_string())).await.unwrap();
    }
    run.write(&fixture, String::new()).await.unwrap();
    let refused = fixture.store.list_refused(&fixture.root, &fixture.bucket, "").await.unwrap();
    assert!(refused.is_empty());
}

#[tokio::test]
async fn states_from_before_the_guard_are_guarded() {
    let fixture = Fixture::new().await;
    fixture.put(STATE, state(5, "a")).await;
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    let run = Run::new("ci", 1);
    run.take(&fixture).await.unwrap();
    assert_eq!(
        reason(run.write(&fixture, state(5, "b")).await),
        Some(RefusalReason::StaleStateWrite)
    );
    run.give_back(&fixture).await;
    run.take(&fixture).await.unwrap();
    run.write(&fixture, state(5, "a")).await.unwrap();
    // Other objects are no business of the guard.
    fixture.put("readme", "text").await;
    fixture.put("readme", "another").await;
    fixture.delete("readme", None).await;
}

#[tokio::test]
async fn what_is_refused_is_bounded() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let mut ids = Vec::new();
    for number in 0..REFUSED_KEPT_MAX as u64 + 5 {
        fixture.clock.advance(Duration::from_millis(10));
        let refused = Run::new("ci", 1).write(&fixture, state(number, "a")).await.unwrap_err();
        ids.push(refused.refused.unwrap());
    }
    let list = || fixture.store.list_refused(&fixture.root, &fixture.bucket, "app/");
    let kept: Vec<_> = list().await.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(kept, ids[5..], "the oldest went");
    let key = STATE.parse().unwrap();
    let discard = |id| {
        let (root, bucket) = (&fixture.root, &fixture.bucket);
        fixture.store.discard_refused(root, bucket, &key, VersionSelector::Id(id))
    };
    discard(ids[5]).await.unwrap();
    assert_eq!(discard(ids[5]).await, Err(RefusedError::NoSuchVersion));
    assert_eq!(list().await.unwrap().len(), REFUSED_KEPT_MAX - 1);
}

#[tokio::test]
async fn equal_bytes_that_ask_for_more_make_a_version() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let run = Run::new("ci", 1);
    run.take(&fixture).await.unwrap();
    run.write(&fixture, state(1, "a")).await.unwrap();
    let key = STATE.parse().unwrap();
    let tagged = ObjectSettings {
        tags: vec![("team".to_owned(), "a".to_owned())],
        encryption: EncryptionRequest::S3,
        ..ObjectSettings::default()
    };
    // The last asks for nothing, and nothing is taken away.
    for (settings, versions) in [(&tagged, 2), (&tagged, 2), (&ObjectSettings::default(), 2)] {
        let request = PutObject {
            principal: &run.principal,
            bucket: &fixture.bucket,
            key: &key,
            condition: &WriteCondition::default(),
            settings,
            content_md5: None,
            checksum: None,
        };
        let mut body = BytesSource::new(state(1, "a"));
        fixture.store.put_object(&request, &mut body).await.unwrap();
        let kept = fixture.versions(100).await.into_iter().filter(|it| it.key == STATE).count();
        assert_eq!(kept, versions, "{settings:?}");
    }
    run.write(&fixture, state(2, "a")).await.unwrap();
}

/// What one sends again and again is kept once, and what one has a lot of takes nobody else's place.
#[tokio::test]
async fn what_is_refused_takes_nobody_elses_place() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (one, many) = (Run::new("ci", 1), Run::new("me", 2));
    let list = || fixture.store.list_refused(&fixture.root, &fixture.bucket, "app/");
    let first = one.write(&fixture, state(1, "a")).await.unwrap_err();
    for _ in 0..3 {
        let again = one.write(&fixture, state(1, "a")).await.unwrap_err();
        assert_eq!((again.refused, again.message), (first.refused, first.message.clone()));
    }
    assert_eq!(list().await.unwrap().len(), 1);
    for number in 0..2 * REFUSED_KEPT_MAX as u64 {
        fixture.clock.advance(Duration::from_millis(10));
        many.write(&fixture, state(number, "b")).await.unwrap_err();
    }
    let kept = list().await.unwrap();
    assert_eq!((kept.len(), Some(kept[0].id)), (REFUSED_KEPT_MAX, first.refused));
    let (key, id) = (STATE.parse().unwrap(), VersionSelector::Id(kept[0].id));
    let kept = fixture.store.get_refused(&fixture.root, &fixture.bucket, &key, id).await.unwrap();
    assert_eq!(drain(kept.reader).await.unwrap(), state(1, "a").as_bytes());
}

#[tokio::test]
async fn an_upload_is_judged_when_it_is_completed() {
    let fixture = guarded(GuardConfig::enforced()).await;
    fixture.put_as(&fixture.root, LOCK, lock_body("1", "x"), &if_none_match()).await.unwrap();
    let whole = state(5, "a");
    let upload = fixture.begin_upload(STATE).await;
    let (start, end) = whole.split_at(20);
    let parts = [
        fixture.put_part(STATE, upload, 1, start.to_owned()).await,
        fixture.put_part(STATE, upload, 2, end.to_owned()).await,
    ];
    let plain = WriteCondition::default();
    let stored = fixture.complete(STATE, upload, &parts, &plain).await.unwrap();
    assert_eq!(fixture.get(STATE).await.unwrap(), whole.as_bytes());

    let stale = state(5, "b");
    let upload = fixture.begin_upload(STATE).await;
    let (start, end) = stale.split_at(30);
    let parts = [
        fixture.put_part(STATE, upload, 1, start.to_owned()).await,
        fixture.put_part(STATE, upload, 2, end.to_owned()).await,
    ];
    let refused = fixture.complete(STATE, upload, &parts, &plain).await.unwrap_err();
    let CompleteError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.reason, RefusalReason::StaleStateWrite);
    let gone = fixture.complete(STATE, upload, &parts, &plain).await;
    assert_eq!(gone, Err(CompleteError::Upload(UploadError::NoSuchUpload)));
    let id = VersionSelector::Id(refusal.refused.unwrap());
    let key = STATE.parse().unwrap();
    fixture.clock.advance(Duration::from_secs(7200));
    fixture.store.sweep().await.unwrap();
    let kept = fixture.store.get_refused(&fixture.root, &fixture.bucket, &key, id).await.unwrap();
    assert_eq!(drain(kept.reader).await.unwrap(), stale.as_bytes());
    assert_eq!(fixture.get(STATE).await.unwrap(), whole.as_bytes());
    assert_eq!(fixture.versions(10).await[0].version.to_string(), stored.version.to_string());
}

#[tokio::test]
async fn of_many_locks_and_writes_at_once_one_wins() {
    let fixture = std::sync::Arc::new(guarded(GuardConfig::enforced()).await);
    for round in 0..20_u64 {
        let mut takers = tokio::task::JoinSet::new();
        for number in 0..16 {
            let fixture = fixture.clone();
            takers.spawn(async move {
                let run = Run::new(&format!("ci-{round}"), number);
                run.take(&fixture).await.is_ok().then_some(run)
            });
        }
        let won: Vec<_> = takers.join_all().await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "round {round}");
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..8_u8 {
            let fixture = fixture.clone();
            let principal = won[0].principal.clone();
            writers.spawn(async move {
                let run = Run { principal, lock: String::new() };
                run.write(&fixture, state(round + 1, &number.to_string())).await.is_ok()
            });
        }
        let written = writers.join_all().await.into_iter().filter(|ok| *ok).count();
        assert_eq!(written, 1, "round {round}: one of the writers of a serial");
        won[0].give_back(&fixture).await;
    }
}

#[tokio::test]
async fn an_upload_that_is_completed_again_answers_the_same() {
    let fixture = guarded(GuardConfig::enforced()).await;
    fixture.put_as(&fixture.root, LOCK, lock_body("1", "x"), &if_none_match()).await.unwrap();
    let whole = state(5, "a");
    let plain = WriteCondition::default();
    // The second upload brings what is there already.
    for _ in 0..2 {
        let upload = fixture.begin_upload(STATE).await;
        let parts = [fixture.put_part(STATE, upload, 1, whole.clone()).await];
        let stored = fixture.complete(STATE, upload, &parts, &plain).await.unwrap();
        let again = fixture.complete(STATE, upload, &parts, &plain).await.unwrap();
        assert_eq!(again.version, stored.version);
        assert_eq!(fixture.get(STATE).await.unwrap(), whole.as_bytes());
        let states = fixture.versions(10).await.into_iter().filter(|it| it.key == STATE).count();
        assert_eq!(states, 1, "the same state is not written twice");
    }
}

#[tokio::test]
async fn a_rollback_is_told_as_one_however_it_is_sent() {
    let fixture = guarded(GuardConfig::enforced()).await;
    fixture.put_as(&fixture.root, LOCK, lock_body("1", "x"), &if_none_match()).await.unwrap();
    let first = fixture.put(STATE, state(1, "a")).await.version.to_string();
    fixture.put(STATE, state(2, "b")).await;
    let settings = ObjectSettings {
        metadata: vec![("tidelock-rolled-back-from".to_owned(), first)],
        ..ObjectSettings::default()
    };
    let key = STATE.parse().unwrap();
    let request = PutObject {
        principal: &fixture.root,
        bucket: &fixture.bucket,
        key: &key,
        condition: &WriteCondition::default(),
        settings: &settings,
        content_md5: None,
        checksum: None,
    };
    let mut body = BytesSource::new(state(3, "a"));
    fixture.store.put_object(&request, &mut body).await.unwrap();
    let create = CreateUpload {
        principal: &fixture.root,
        bucket: &fixture.bucket,
        key: &key,
        settings: &settings,
        checksum: None,
    };
    let upload = fixture.store.create_upload(&create).await.unwrap().upload;
    let parts = [fixture.put_part(STATE, upload, 1, state(4, "a")).await];
    fixture.complete(STATE, upload, &parts, &WriteCondition::default()).await.unwrap();
    assert_eq!(told(&fixture, "StateRolledBack").await.len(), 2);
    assert_eq!(told(&fixture, "StateWritten").await.len(), 2);
}

#[tokio::test]
async fn a_state_is_told_as_deleted_when_it_goes() {
    let fixture = guarded(GuardConfig::enforced()).await;
    fixture.put_as(&fixture.root, LOCK, lock_body("1", "x"), &if_none_match()).await.unwrap();
    fixture.put(STATE, state(1, "a")).await;
    let marker = fixture.delete(STATE, None).await.version.unwrap().to_string().parse().unwrap();
    assert_eq!(told(&fixture, "StateDeleted").await.len(), 1);
    fixture.delete(STATE, Some(marker)).await;
    assert_eq!(told(&fixture, "StateDeleted").await.len(), 1, "it is there again");
    assert_eq!(told(&fixture, "DeleteObject").await.len(), 1);
}

#[tokio::test]
async fn a_run_that_lives_is_remembered_through_many_others() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (stale, breaker) = (Run::new("ci", 1), Run::new("ci", 2));
    stale.take(&fixture).await.unwrap();
    breaker.break_lock(&fixture).await;
    // Nobody holds the lock, and its first write comes on a new connection.
    let moved = Run::new("ci", 3);
    assert_eq!(
        reason(moved.write(&fixture, state(1, "a")).await),
        Some(RefusalReason::StateLockRequired)
    );
    for number in 10..40 {
        let plan = Run::new("ci", number);
        plan.take(&fixture).await.unwrap();
        plan.give_back(&fixture).await;
    }
    let holder = Run::new("ci", 50);
    holder.take(&fixture).await.unwrap();
    for connection in [1, 3, 4] {
        let stale = Run::new("ci", connection);
        assert_eq!(
            reason(stale.write(&fixture, state(2, "a")).await),
            Some(RefusalReason::StateLockLost),
            "{connection}"
        );
    }
    holder.write(&fixture, state(1, "b")).await.unwrap();
}
