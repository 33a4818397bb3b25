//! The guard: runs on connections of their own, against the rules.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod fixture;

use std::time::Duration;

use fixture::{Fixture, if_none_match};
use tidelock_store::*;

const STATE: &str = "app/terraform.tfstate";
const LOCK: &str = "app/terraform.tfstate.tflock";

/// A process with one connection.
struct Run {
    principal: Principal,
    lock: String,
}

impl Run {
    /// Runs on one machine differ in their connection only, unless a test says more.
    fn new(user: &str, connection: u8) -> Self {
        let origin = Origin {
            address: "10.0.0.1".to_owned(),
            user_agent: "Terraform/1.11.4".to_owned(),
            protocol: Protocol::S3,
            conversation: Conversation::new(ConnectionId([connection; 16])).into(),
            ..Origin::default()
        };
        let arn = format!("arn:aws:iam::000000000000:user/{user}");
        let principal = Principal { arn, ..Principal::root() }.with_origin(origin);
        Self { principal, lock: lock_body(&format!("{user}-{connection}"), "OperationTypeApply") }
    }

    fn with(self, change: impl FnOnce(&mut Origin)) -> Self {
        let mut origin = (*self.principal.origin).clone();
        change(&mut origin);
        Self { principal: self.principal.with_origin(origin), ..self }
    }

    fn operation(self, operation: &str) -> Self {
        let lock = lock_body("an-id", operation);
        Self { lock, ..self }
    }

    async fn take(&self, fixture: &Fixture) -> Result<StoredObject, PutObjectError> {
        fixture.put_as(&self.principal, LOCK, self.lock.clone(), &if_none_match()).await
    }

    async fn read_lock(&self, fixture: &Fixture) -> Result<Vec<u8>, GetObjectError> {
        read(fixture, &self.principal, LOCK).await
    }

    async fn give_back(&self, fixture: &Fixture) {
        let _seen = self.read_lock(fixture).await;
        self.delete(fixture, LOCK).await.unwrap();
    }

    async fn delete(
        &self,
        fixture: &Fixture,
        key: &str,
    ) -> Result<DeletedObject, DeleteObjectError> {
        let condition = DeleteCondition::default();
        let key = key.parse().unwrap();
        fixture.store.delete_object(&self.principal, &fixture.bucket, &key, None, &condition).await
    }

    async fn write(&self, fixture: &Fixture, body: String) -> Result<StoredObject, Refusal> {
        let written =
            fixture.put_as(&self.principal, STATE, body, &WriteCondition::default()).await;
        match written {
            Ok(stored) => Ok(stored),
            Err(PutObjectError::Refused(refusal)) => Err(*refusal),
            Err(error) => panic!("{error}"),
        }
    }

    /// As each Terraform process begins.
    async fn list(&self, fixture: &Fixture) {
        let (principal, bucket) = (&self.principal, &fixture.bucket);
        let list = ListObjects {
            principal,
            bucket,
            prefix: "env:/",
            delimiter: None,
            after: None,
            limit: 10,
        };
        fixture.store.list_objects(&list).await.unwrap();
    }
}

fn lock_body(id: &str, operation: &str) -> String {
    format!(
        r#"{{"ID":"{id}","Operation":"{operation}","Info":"","Who":"me@host","Version":"1.11.4","Created":"2026-11-21T20:35:06Z","Path":"bucket/{STATE}"}}"#
    )
}

fn state(serial: u64, content: &str) -> String {
    state_of("l", serial, content)
}

fn state_of(lineage: &str, serial: u64, content: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":{serial},"lineage":"{lineage}","outputs":{{"v":{{"value":"{content}","type":"string"}}}},"resources":[],"check_results":null}}"#
    )
}

async fn read(
    fixture: &Fixture,
    principal: &Principal,
    key: &str,
) -> Result<Vec<u8>, GetObjectError> {
    let key = key.parse().unwrap();
    let all = |_: &ObjectInfo| Ok::<_, ()>(None);
    let got = fixture.store.get_object(principal, &fixture.bucket, &key, None, all).await?;
    drain(got.unwrap().reader).await
}

async fn drain(mut reader: ObjectReader) -> Result<Vec<u8>, GetObjectError> {
    let mut body = Vec::new();
    while let Some(bytes) = reader.next_bytes().await? {
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

async fn guarded(config: GuardConfig) -> Fixture {
    let fixture = Fixture::new().await;
    fixture.set_versioning(Versioning::Enabled).await;
    set_guard(&fixture, Some(config)).await;
    fixture
}

async fn set_guard(fixture: &Fixture, config: Option<GuardConfig>) {
    let change = BucketChange::Guard(config);
    fixture.store.change_bucket(&fixture.root, &fixture.bucket, &change).await.unwrap();
}

fn reason(result: Result<StoredObject, Refusal>) -> Option<RefusalReason> {
    result.err().map(|refusal| refusal.reason)
}

/// What the audit log has of an action.
async fn told(fixture: &Fixture, action: &str) -> Vec<AuditRecord> {
    let action = Some(action.to_owned());
    let query = AuditQuery { action, limit: 100, ..AuditQuery::default() };
    fixture.store.query_audit(&fixture.root, &query).await.unwrap().records
}

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

#[tokio::test]
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
    breaker.list(&fixture).await;
    breaker.give_back(&fixture).await;
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
    other.delete(&fixture, STATE).await.unwrap();
    assert!(fixture.get(STATE).await.is_err(), "a workspace is deleted without its lock");
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
    breaker.list(&fixture).await;
    breaker.give_back(&fixture).await;
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
    assert_eq!(refused.len(), 5);
    assert!(refused.is_sorted_by_key(|version| version.id));
}

#[tokio::test]
async fn after_a_forced_unlock_the_next_run_is_trusted_until_the_first_one_shows_up() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let (dead, breaker) = (Run::new("ci", 1), Run::new("ci", 2));
    dead.take(&fixture).await.unwrap();
    breaker.list(&fixture).await;
    breaker.give_back(&fixture).await;
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
async fn a_client_that_names_its_lock_is_told_from_all_others() {
    let fixture = guarded(GuardConfig::enforced()).await;
    let run = Run::new("ci", 1);
    run.take(&fixture).await.unwrap();
    let named = |id: &str| Run::new("ci", 2).with(|origin| origin.lock_id = Some(id.to_owned()));
    assert_eq!(
        reason(named("another").write(&fixture, state(1, "a")).await),
        Some(RefusalReason::StateLockLost)
    );
    Run::new("ci", 3)
        .with(|origin| origin.lock_id = Some("ci-1".to_owned()))
        .write(&fixture, state(1, "a"))
        .await
        .unwrap();
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
async fn of_many_locks_and_writes_at_once_one_wins() {
    let fixture = std::sync::Arc::new(guarded(GuardConfig::enforced()).await);
    for round in 0..20_u64 {
        let mut takers = tokio::task::JoinSet::new();
        for number in 0..16 {
            let fixture = fixture.clone();
            takers.spawn(async move {
                let run = Run::new("ci", number);
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
    // Taken by another one while the bucket is not guarded: nobody is told of the first one.
    set_guard(&fixture, None).await;
    second.take(&fixture).await.unwrap();
    set_guard(&fixture, Some(GuardConfig::enforced())).await;
    let refused = first.take(&fixture).await.unwrap_err();
    let nobody = PutObjectError::Condition(ConditionFailure::IfNoneMatch);
    assert_eq!(refused.to_string(), nobody.to_string());
    second.give_back(&fixture).await;
    second.take(&fixture).await.unwrap();
    second.write(&fixture, state(1, "a")).await.unwrap();
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
    breaker.list(&fixture).await;
    breaker.give_back(&fixture).await;
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
