//! Locks in a guarded bucket: taken, waited for, given back, taken away, shown.

use std::time::Duration;

use crate::fixture::run::{LOCK, Run, STATE, guarded, lock_body, reason, set_guard, state, told};
use tidelock_store::*;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn locks_leave_no_litter() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let run = Run::new("ci", 1);
    for _ in 0..10 {
        run.take(&fixture).await.unwrap();
        assert_eq!(fixture.versions(100).await.len(), 1, "the lock itself");
        run.give_back(&fixture).await;
        assert!(fixture.versions(100).await.is_empty());
    }
    // Where their history is wanted, they are objects like any other.
    set_guard(
        &fixture,
        Some(GuardConfig { lock_history: LockHistory::Keep, ..GuardConfig::enforced() }),
    )
    .await;
    run.take(&fixture).await.unwrap();
    run.give_back(&fixture).await;
    assert_eq!(fixture.versions(100).await.len(), 2, "a version and a delete marker");
    run.take(&fixture).await.unwrap();
}

#[tokio::test]
async fn a_refused_lock_says_who_holds_it_and_stays_readable_for_a_moment() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (holder, waiter, other) = (Run::new("ci", 1), Run::new("me", 2), Run::new("me", 3));
    holder.take(&fixture).await.unwrap();
    fixture.clock.advance(Duration::from_secs(60));
    let refused = waiter.take(&fixture).await.unwrap_err();
    let PutObjectError::Locked(locked) = refused else { panic!("{refused}") };
    assert_eq!(
        (locked.lock.holder.as_str(), locked.lock.lock.who.as_str()),
        (&*holder.principal.arn, "me@host")
    );
    assert!(
        locked.message.contains("tidelock lock release bucket/app/terraform.tfstate --id ci-1"),
        "{}",
        locked.message
    );
    holder.give_back(&fixture).await;
    assert_eq!(waiter.read_lock(&fixture).await.unwrap(), holder.lock.as_bytes());
    let (listed, _) = fixture.list("", None, 10).await;
    assert!(listed.is_empty(), "it is listed nowhere");
    fixture.clock.advance(Duration::from_millis(3_001));
    assert!(waiter.read_lock(&fixture).await.is_err(), "a moment only");
    fixture.clock.advance(Duration::from_secs(1));
    waiter.take(&fixture).await.unwrap();
    waiter.give_back(&fixture).await;
    assert!(other.read_lock(&fixture).await.is_err(), "nobody was refused this one");
    waiter.take(&fixture).await.unwrap();
    assert!(other.take(&fixture).await.is_err());
    waiter.give_back(&fixture).await;
    assert!(other.read_lock(&fixture).await.is_ok());
    other.take(&fixture).await.unwrap();
    assert_eq!(waiter.read_lock(&fixture).await.unwrap(), other.lock.as_bytes(), "the new one");
}

/// Where their history is kept, the lock that was given back is a version, and may be deleted as any other.
#[tokio::test]
async fn a_lock_whose_version_is_deleted_is_gone_at_once() {
    let config = GuardConfig { lock_history: LockHistory::Keep, ..GuardConfig::enforced() };
    let fixture = guarded(config).await;
    let (holder, waiter) = (Run::new("ci", 1), Run::new("me", 2));
    let taken = holder.take(&fixture).await.unwrap();
    waiter.take(&fixture).await.unwrap_err();
    holder.give_back(&fixture).await;
    assert_eq!(waiter.read_lock(&fixture).await.unwrap(), holder.lock.as_bytes());
    fixture.delete(LOCK, Some(taken.version.to_string().parse().unwrap())).await;
    let told = waiter.read_lock(&fixture).await.unwrap_err();
    assert!(matches!(told, GetObjectError::NoSuchKey { .. }), "{told}");
}

#[tokio::test]
async fn a_lock_that_changed_hands_since_the_refusal_ends_no_wait() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (first, second, waiter) = (Run::new("ci", 1), Run::new("ci", 2), Run::new("me", 3));
    first.take(&fixture).await.unwrap();
    waiter.take(&fixture).await.unwrap_err();
    first.give_back(&fixture).await;
    second.take(&fixture).await.unwrap();
    second.give_back(&fixture).await;
    assert_eq!(waiter.read_lock(&fixture).await.unwrap(), second.lock.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn who_asks_again_for_a_lock_gets_it_when_it_is_given_back() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (holder, waiter) = (Run::new("ci", 1), Run::new("me", 2));
    holder.take(&fixture).await.unwrap();
    let begun = Instant::now();
    waiter.take(&fixture).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO, "who asks once is told at once");
    waiter.take(&fixture).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(5), "nobody waits for ever");
    let other = Run::new("me", 3);
    other.take(&fixture).await.unwrap_err();
    let gives_back = async {
        sleep(Duration::from_secs(2)).await;
        holder.give_back(&fixture).await;
    };
    let both = async { tokio::join!(waiter.take(&fixture), other.take(&fixture)) };
    let (taken, ()) = tokio::join!(both, gives_back);
    let (refused, winner) = match taken {
        (Ok(_), Err(refused)) => (refused, &waiter),
        (Err(refused), Ok(_)) => (refused, &other),
        both => panic!("one of those who wait: {both:?}"),
    };
    let PutObjectError::Locked(locked) = refused else { panic!("{refused}") };
    assert!(winner.lock.contains(&locked.lock.lock.id), "it is told of whoever has it now");
    // Long after, it is another request.
    fixture.clock.advance(Duration::from_secs(60));
    let begun = Instant::now();
    let last = if winner.lock == waiter.lock { &other } else { &waiter };
    last.take(&fixture).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_taken_twice_by_its_holder_only() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let run = Run::new("ci", 1);
    let first = run.take(&fixture).await.unwrap();
    let again = Run::new("ci", 2);
    let again = Run { lock: run.lock.clone(), ..again };
    assert_eq!(again.take(&fixture).await.unwrap().version, first.version, "a lost reply");
    let stranger = Run { lock: run.lock.clone(), ..Run::new("me", 3) };
    assert!(stranger.take(&fixture).await.is_err());
    let plain = WriteCondition::default();
    let over = fixture.put_as(&stranger.principal, LOCK, stranger.lock.clone(), &plain).await;
    assert!(matches!(over, Err(PutObjectError::Locked(_))), "not without a condition either");
}

#[tokio::test]
async fn an_unlock_never_takes_a_newer_lock() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (a, b, breaker) = (Run::new("ci", 1), Run::new("ci", 2), Run::new("ci", 3));
    a.take(&fixture).await.unwrap();
    a.read_lock(&fixture).await.unwrap();
    breaker.break_lock(&fixture).await;
    b.take(&fixture).await.unwrap();
    a.delete(&fixture, LOCK).await.unwrap();
    assert_eq!(b.read_lock(&fixture).await.unwrap(), b.lock.as_bytes(), "it was the older lock");
    // A DELETE whose reply was lost, on another connection.
    let retry = Run::new("ci", 9).with(|origin| origin.attempt = 2);
    retry.delete(&fixture, LOCK).await.unwrap();
    assert_eq!(b.read_lock(&fixture).await.unwrap(), b.lock.as_bytes());
    b.give_back(&fixture).await;
    assert!(b.read_lock(&fixture).await.is_err());
}

/// A proxy sends the requests of both runs over the same two connections.
#[tokio::test]
async fn an_unlock_over_a_shared_connection_is_an_unlock() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (one, two) = (Run::new("ci", 1), Run::new("ci", 2));
    one.take(&fixture).await.unwrap();
    one.read_lock(&fixture).await.unwrap();
    two.delete(&fixture, LOCK).await.unwrap();
    two.take(&fixture).await.unwrap();
    two.read_lock(&fixture).await.unwrap();
    one.delete(&fixture, LOCK).await.unwrap();
    assert!(two.read_lock(&fixture).await.is_err(), "the lock is gone");
}

#[tokio::test]
async fn an_unlock_that_names_the_entity_tag_is_of_that_lock() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (a, b, breaker) = (Run::new("ci", 1), Run::new("ci", 2), Run::new("ci", 3));
    a.take(&fixture).await.unwrap();
    a.read_lock(&fixture).await.unwrap();
    breaker.break_lock(&fixture).await;
    let taken = b.take(&fixture).await.unwrap();
    let key = LOCK.parse().unwrap();
    let condition = DeleteCondition {
        if_match: Some(ETagMatch::OneOf(vec![etag_text(&taken.etag)])),
        ..DeleteCondition::default()
    };
    let (principal, bucket) = (&a.principal, &fixture.bucket);
    fixture.store.delete_object(principal, bucket, &key, None, &condition).await.unwrap();
    assert!(b.read_lock(&fixture).await.is_err(), "the lock is gone");
}

#[tokio::test]
async fn a_call_that_was_sent_again_is_known_by_its_name() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let call = |number: u8| move |origin: &mut Origin| origin.call = Some(CallId([number; 16]));
    let again = |number: u8| {
        move |origin: &mut Origin| (origin.attempt, origin.call) = (2, Some(CallId([number; 16])))
    };
    let a = Run::new("ci", 1).with(call(1));
    a.take(&fixture).await.unwrap();
    let unlock = Run::new("ci", 1).with(call(2));
    unlock.give_back(&fixture).await;
    // The lock that was taken by this call was given back: nobody waits for this answer.
    for connection in [1, 7] {
        let late = Run { lock: a.lock.clone(), ..Run::new("ci", connection).with(again(1)) };
        let refused = late.take(&fixture).await.unwrap_err();
        assert!(matches!(refused, PutObjectError::Condition(_)), "{refused}");
    }
    let b = Run::new("ci", 2).with(call(3));
    b.take(&fixture).await.unwrap();
    // The unlock once more, a first try that was held up, and one that comes minutes later.
    fixture.clock.advance(Duration::from_secs(120));
    for late in [Run::new("ci", 9).with(again(2)), Run::new("ci", 1).with(call(2))] {
        late.delete(&fixture, LOCK).await.unwrap();
        assert_eq!(b.read_lock(&fixture).await.unwrap(), b.lock.as_bytes());
    }
    Run::new("ci", 9).with(again(4)).delete(&fixture, LOCK).await.unwrap();
    assert!(b.read_lock(&fixture).await.is_err(), "b's, whose first try never arrived");
    // The same body in another call is another lock.
    let same = Run { lock: a.lock.clone(), ..Run::new("ci", 1).with(call(5)) };
    same.take(&fixture).await.unwrap();
}

#[tokio::test]
async fn who_sends_its_lock_again_is_the_holder_on_that_connection() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (old, breaker) = (Run::new("ci", 1), Run::new("ci", 2));
    old.take(&fixture).await.unwrap();
    breaker.break_lock(&fixture).await;
    let lives = old.write(&fixture, state(1, "a")).await;
    assert_eq!(reason(lives), Some(RefusalReason::StateLockLost));
    let holder = Run::new("ci", 3);
    holder.take(&fixture).await.unwrap();
    // The reply was lost, and with it the connection.
    let moved = Run { lock: holder.lock.clone(), ..Run::new("ci", 4) };
    moved.take(&fixture).await.unwrap();
    moved.write(&fixture, state(1, "b")).await.unwrap();
}

#[tokio::test]
async fn a_client_that_names_its_lock_is_told_from_all_others() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let run = Run::new("ci", 1);
    run.take(&fixture).await.unwrap();
    let named = |id: &str| Run::new("ci", 2).with(|origin| origin.lock_id = Some(id.to_owned()));
    assert_eq!(
        reason(named("another").write(&fixture, state(1, "a")).await),
        Some(RefusalReason::StateLockLost)
    );
    let holder = || Run::new("ci", 3).with(|origin| origin.lock_id = Some("ci-1".to_owned()));
    holder().write(&fixture, state(1, "a")).await.unwrap();
    // Whoever was refused was told the ID.
    let other = Run::new("me", 4).with(|origin| origin.lock_id = Some("ci-1".to_owned()));
    let refused = other.write(&fixture, state(2, "b")).await;
    assert_eq!(reason(refused), Some(RefusalReason::StateLocked));
    // Refused once, with its next serial it would pass.
    for serial in [1, 2] {
        let refused = holder().write(&fixture, state(serial, "c")).await;
        assert!(refused.is_err(), "{serial}");
    }
    let refused = other.delete(&fixture, LOCK).await.unwrap_err();
    assert!(matches!(refused, DeleteObjectError::HeldByAnother(_)), "{refused}");
}

/// Everybody who runs Terraform may delete lock objects; that is no permission to break others' locks.
#[tokio::test]
async fn a_lock_of_another_is_broken_by_who_may() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (holder, other) = (Run::new("ci", 1), Run::new("me", 2));
    let key = LOCK.parse().unwrap();
    let held = holder.take(&fixture).await.unwrap();
    let delete = async |version: Option<VersionSelector>, breaking| {
        let condition = DeleteCondition { breaking, ..DeleteCondition::default() };
        let (principal, bucket) = (&other.principal, &fixture.bucket);
        fixture.store.delete_object(principal, bucket, &key, version, &condition).await
    };
    let id = held.version.to_string().parse().unwrap();
    for version in [None, Some(id)] {
        let refused = delete(version, LockBreaking::Refused).await.unwrap_err();
        let DeleteObjectError::HeldByAnother(held) = refused else { panic!("{refused}") };
        assert_eq!(held.lock.lock.id, "ci-1");
        assert!(held.message.contains("tidelock:BreakLock"), "{}", held.message);
    }
    assert_eq!(holder.read_lock(&fixture).await.unwrap(), holder.lock.as_bytes());
    delete(None, LockBreaking::Allowed).await.unwrap();
    assert_eq!(told(&fixture, "LockBroken").await.len(), 1);
    let refused = holder.write(&fixture, state(1, "a")).await;
    assert_eq!(reason(refused), Some(RefusalReason::StateLockLost));
    // Where the guard only looks on, S3's permission is enough.
    let observe = GuardConfig { lock_writes: Enforcement::Observe, ..GuardConfig::enforced() };
    set_guard(&fixture, Some(observe)).await;
    Run::new("ci", 3).take(&fixture).await.unwrap();
    delete(None, LockBreaking::Refused).await.unwrap();
}

#[tokio::test]
async fn locks_are_shown_and_taken_away() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let run = Run::new("ci", 1);
    run.take(&fixture).await.unwrap();
    run.write(&fixture, state(1, "a")).await.unwrap();
    fixture.clock.advance(Duration::from_secs(3_600));
    let locks = fixture.store.list_locks(&fixture.root, &fixture.bucket, "app/").await.unwrap();
    let [held] = locks.as_slice() else { panic!("{locks:?}") };
    assert_eq!((held.key.as_str(), held.lock.writes, held.lock.is_quiet), (STATE, 1, true));
    let key = STATE.parse().unwrap();
    let release = |id: Option<&'static str>| {
        let (root, bucket) = (&fixture.root, &fixture.bucket);
        fixture.store.release_lock(root, bucket, &key, LockRelease { id, reason: "gone" })
    };
    let wrong = release(Some("another")).await;
    assert!(matches!(wrong, Err(ReleaseError::AnotherLock(_))), "{wrong:?}");
    assert_eq!(release(Some("ci-1")).await.unwrap().key, STATE);
    assert_eq!(release(None).await, Err(ReleaseError::NotLocked));
    assert_eq!(
        reason(run.write(&fixture, state(2, "a")).await),
        Some(RefusalReason::StateLockLost)
    );
}

#[tokio::test]
async fn a_quiet_lock_is_told_of_once() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let run = Run::new("ci", 1);
    run.take(&fixture).await.unwrap();
    let counts = async || fixture.store.look_for_quiet_locks().await.unwrap();
    assert_eq!(counts().await, LockCounts { held: 1, quiet: 0 });
    let told = async || {
        let records = told(&fixture, "LockQuiet").await;
        assert!(records.iter().all(|record| record.entry.principal == "server"));
        records.into_iter().map(|record| record.entry.lock_id).collect::<Vec<_>>()
    };
    fixture.clock.advance(Duration::from_secs(3_600));
    for _ in 0..2 {
        assert_eq!(counts().await, LockCounts { held: 1, quiet: 1 });
        assert_eq!(told().await, ["ci-1"]);
    }
    run.write(&fixture, state(1, "a")).await.unwrap();
    assert_eq!(counts().await, LockCounts { held: 1, quiet: 0 });
    fixture.clock.advance(Duration::from_secs(3_600));
    counts().await;
    assert_eq!(told().await, ["ci-1", "ci-1"], "quiet again");
    run.give_back(&fixture).await;
    assert_eq!(counts().await, LockCounts::default());
}

#[tokio::test]
async fn versions_of_locks_can_be_removed_one_by_one() {
    let keep = GuardConfig { lock_history: LockHistory::Keep, ..GuardConfig::enforced() };
    let fixture = guarded(keep).await;
    let run = Run::new("ci", 1);
    for _ in 0..2 {
        run.take(&fixture).await.unwrap();
        run.give_back(&fixture).await;
    }
    // Then the bucket purges: what is there stays visible, behind a marker.
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    run.take(&fixture).await.unwrap();
    run.give_back(&fixture).await;
    let versions = fixture.versions(100).await;
    assert!(versions.len() >= 3 && versions[0].key == LOCK, "{versions:?}");
    run.take(&fixture).await.unwrap();
    for version in fixture.versions(100).await {
        let id = version.version.to_string().parse().unwrap();
        fixture.delete(LOCK, Some(id)).await;
    }
    assert!(fixture.versions(100).await.is_empty());
    assert_eq!(
        reason(run.write(&fixture, state(1, "a")).await),
        Some(RefusalReason::StateLockLost),
        "its lock is gone"
    );
    fixture.store.delete_bucket(&fixture.root, &fixture.bucket).await.unwrap();
}

#[tokio::test]
async fn locks_that_came_and_went_without_the_guard_do_not_count() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (first, second) = (Run::new("ci", 1), Run::new("me", 2));
    first.take(&fixture).await.unwrap();
    set_guard(&fixture, None).await;
    first.give_back(&fixture).await;
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    assert_eq!(fixture.store.list_locks(&fixture.root, &fixture.bucket, "").await.unwrap(), []);
    assert_eq!(fixture.store.look_for_quiet_locks().await.unwrap(), LockCounts::default());
    let (key, release) = (STATE.parse().unwrap(), LockRelease { id: None, reason: "" });
    let released = fixture.store.release_lock(&fixture.root, &fixture.bucket, &key, release).await;
    assert_eq!(released, Err(ReleaseError::NotLocked));
    assert_eq!(
        reason(first.write(&fixture, state(1, "a")).await),
        Some(RefusalReason::StateLockRequired)
    );
    // Taken by another one while the bucket is not guarded.
    set_guard(&fixture, None).await;
    second.take(&fixture).await.unwrap();
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    let refused = first.take(&fixture).await.unwrap_err();
    let PutObjectError::Locked(locked) = refused else { panic!("{refused}") };
    assert_eq!(locked.lock.holder, &*second.principal.arn);
    assert_eq!(locked.lock.lock.id, "me-2", "as the object says");
    let refused = first.write(&fixture, state(1, "a")).await;
    assert_eq!(reason(refused), Some(RefusalReason::StateLocked));
    second.write(&fixture, state(1, "a")).await.unwrap();
    let locks = fixture.store.list_locks(&fixture.root, &fixture.bucket, "").await.unwrap();
    assert_eq!((locks.len(), locks[0].lock.writes), (1, 1));
    assert_eq!(locks[0].lock.lock.id, "me-2");
    second.give_back(&fixture).await;
    second.take(&fixture).await.unwrap();
    second.write(&fixture, state(2, "a")).await.unwrap();
}

/// A run that began before the bucket was guarded is known from its first write on.
#[tokio::test]
async fn a_lock_from_before_the_guard_is_broken_as_any_other() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (old, breaker, new) = (Run::new("ci", 1), Run::new("ci", 2), Run::new("ci", 3));
    set_guard(&fixture, None).await;
    old.take(&fixture).await.unwrap();
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    old.write(&fixture, state(1, "old")).await.unwrap();
    breaker.break_lock(&fixture).await;
    new.take(&fixture).await.unwrap();
    let refused = old.write(&fixture, state(2, "old")).await;
    assert_eq!(reason(refused), Some(RefusalReason::StateLockLost));
    new.write(&fixture, state(2, "new")).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_is_written_over_is_lost() {
    let observed = GuardConfig { lock_writes: Enforcement::Observe, ..GuardConfig::enforced() };
    let fixture = guarded(observed).await;
    let (first, second) = (Run::new("ci", 1), Run::new("ci", 2));
    first.take(&fixture).await.unwrap();
    let plain = WriteCondition::default();
    fixture.put_as(&second.principal, LOCK, second.lock.clone(), &plain).await.unwrap();
    let lost = told(&fixture, "LockBroken").await;
    let [lost] = lost.as_slice() else { panic!("{lost:?}") };
    assert_eq!((lost.entry.lock_id.as_str(), lost.entry.reason.as_str()), ("ci-1", "written over"));
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    assert_eq!(
        reason(first.write(&fixture, state(1, "a")).await),
        Some(RefusalReason::StateLockLost)
    );
    second.write(&fixture, state(1, "a")).await.unwrap();
}

#[tokio::test]
async fn a_lock_from_before_the_guard_is_not_written_over() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (holder, plain) = (Run::new("ci", 1), WriteCondition::default());
    set_guard(&fixture, None).await;
    holder.take(&fixture).await.unwrap();
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    let put = fixture.put_if(LOCK, lock_body("2", "x"), &plain).await;
    assert!(matches!(put, Err(PutObjectError::Locked(_))), "{put:?}");
    let upload = fixture.begin_upload(LOCK).await;
    let parts = [fixture.put_part(LOCK, upload, 1, lock_body("2", "x")).await];
    let completed = fixture.complete(LOCK, upload, &parts, &plain).await;
    assert!(matches!(completed, Err(CompleteError::Locked(_))), "{completed:?}");
    assert_eq!(holder.read_lock(&fixture).await.unwrap(), holder.lock.as_bytes());
}

#[tokio::test]
async fn an_older_version_of_a_lock_that_was_read_spares_no_newer_lock() {
    let keep = GuardConfig { lock_history: LockHistory::Keep, ..GuardConfig::enforced() };
    let fixture = guarded(keep).await;
    let run = Run::new("ci", 1);
    let older = run.take(&fixture).await.unwrap().version.to_string().parse().unwrap();
    run.give_back(&fixture).await;
    run.take(&fixture).await.unwrap();
    let (key, all) = (LOCK.parse().unwrap(), |_: &ObjectInfo| Ok::<_, ()>(None));
    let (principal, bucket) = (&run.principal, &fixture.bucket);
    fixture.store.get_object(principal, bucket, &key, Some(older), all).await.unwrap().unwrap();
    run.delete(&fixture, LOCK).await.unwrap();
    assert!(run.read_lock(&fixture).await.is_err(), "the DELETE is of the lock that is held");
}

#[tokio::test]
async fn a_repeated_unlock_of_a_run_that_still_holds_is_an_unlock() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (yesterday, today) = (Run::new("ci", 1), Run::new("ci", 2));
    yesterday.take(&fixture).await.unwrap();
    yesterday.give_back(&fixture).await;
    fixture.clock.advance(Duration::from_secs(600));
    today.take(&fixture).await.unwrap();
    let retry = Run::new("ci", 3).with(|origin| origin.attempt = 2);
    retry.delete(&fixture, LOCK).await.unwrap();
    assert!(retry.read_lock(&fixture).await.is_err(), "the lock is gone");
}
