//! Several servers on one store, whose clocks disagree.

use std::time::Duration;

use crate::fixture::{Fixture, Interrupted, Paused, body, if_none_match};
use bytes::Bytes;
use proptest::prelude::*;
use tidelock_blob::{BlobId, BlobStore as _};
use tidelock_store::*;

const MINUTE_MS: i64 = 60_000;
const TERM: Duration = Duration::from_secs(120);

#[tokio::test]
async fn versions_stay_in_the_order_of_their_writes() {
    for ahead_ms in [-10 * MINUTE_MS, 10 * MINUTE_MS] {
        let one = Fixture::new().await;
        one.set_versioning(Versioning::Enabled).await;
        let two = one.beside(ahead_ms);
        let mut written = Vec::new();
        for round in 0..6 {
            let server = if round % 2 == 0 { &one } else { &two };
            written.push(server.put("key", format!("{round}")).await);
            one.clock.advance(Duration::from_secs(1));
            two.clock.advance(Duration::from_secs(1));
        }
        assert!(written.is_sorted_by_key(|stored| stored.modified_ms), "{ahead_ms}");
        written.reverse();
        for server in [&one, &two] {
            let listed: Vec<_> = server.versions(2).await.iter().map(|it| it.version).collect();
            assert_eq!(listed, written.iter().map(|it| it.version).collect::<Vec<_>>());
            assert_eq!(server.get("key").await.unwrap(), b"5");
        }
        one.delete("key", None).await;
        let nothing = two.get("key").await;
        assert!(matches!(nothing, Err(GetObjectError::NoSuchKey { delete_marker: Some(_) })));
        two.put("key", "again").await;
        assert_eq!(one.get("key").await.unwrap(), b"again");
        assert_eq!(one.list("", None, 10).await.0, ["key"]);
    }
}

#[tokio::test]
async fn an_upload_wanders_between_servers() {
    for ahead_ms in [-10 * MINUTE_MS, 10 * MINUTE_MS] {
        let one = Fixture::new().await;
        let two = one.beside(ahead_ms);
        two.put("key", "before").await;
        let upload = one.begin_upload("key").await;
        let parts = [
            one.put_part("key", upload, 1, body(300_000, 1)).await,
            two.put_part("key", upload, 2, body(20, 2)).await,
        ];
        let plain = WriteCondition::default();
        let stored = two.complete("key", upload, &parts, &plain).await.unwrap();
        let again = one.complete("key", upload, &parts, &plain).await.unwrap();
        assert_eq!(stored.version, again.version);
        let whole = [body(300_000, 1), body(20, 2)].concat();
        assert!(one.get("key").await.unwrap() == whole);
    }
}

#[tokio::test]
async fn one_lock_has_one_holder_whichever_server_is_asked() {
    let one = Fixture::new().await;
    let two = one.beside(3 * MINUTE_MS);
    let condition = if_none_match();
    let writers = (0..32_u64).map(|writer| {
        let server = if writer % 2 == 0 { &one } else { &two };
        let condition = &condition;
        async move { server.put_if("key", body(100, writer), condition).await.is_ok() }
    });
    let won = futures_util::future::join_all(writers).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
}

#[tokio::test]
async fn a_lease_passes_on_when_it_has_been_over_for_long_enough() {
    let one = Fixture::new().await;
    let two = one.beside(0);
    let held = one.store.lease("job", TERM).await.unwrap().unwrap();
    assert!(one.store.holds(&held));
    assert_eq!(two.store.lease("job", TERM).await.unwrap(), None);
    assert!(two.store.lease("another job", TERM).await.unwrap().is_some());
    let wait = |server: &Fixture, wait: Duration| server.clock.advance(wait);
    wait(&one, TERM);
    assert!(!one.store.holds(&held));
    wait(&two, TERM + CLOCK_SKEW_MAX);
    assert_eq!(two.store.lease("job", TERM).await.unwrap(), None, "one may be that far behind");
    wait(&two, Duration::from_millis(1));
    assert!(two.store.lease("job", TERM).await.unwrap().is_some());
    assert_eq!(one.store.lease("job", TERM).await.unwrap(), None);
    one.store.release("job").await.unwrap();
    assert_eq!(one.store.lease("job", TERM).await.unwrap(), None, "it was not one's to release");
    two.store.release("job").await.unwrap();
    assert!(one.store.lease("job", TERM).await.unwrap().is_some());
}

#[tokio::test]
async fn a_lease_by_a_clock_that_is_wrong_keeps_nobody_out() {
    let one = Fixture::new().await;
    let wrong = one.beside(365 * 24 * 60 * MINUTE_MS);
    wrong.store.lease("job", TERM).await.unwrap().unwrap();
    assert!(one.store.lease("job", TERM).await.unwrap().is_some());
}

#[tokio::test]
async fn servers_say_that_they_run() {
    let one = Fixture::new().await;
    let two = one.beside(3 * MINUTE_MS);
    one.store.announce_server().await.unwrap();
    two.store.announce_server().await.unwrap();
    assert_eq!(one.store.servers().await.unwrap().len(), 2);
    assert_eq!(two.store.servers().await, one.store.servers().await);
    two.store.withdraw_server().await.unwrap();
    assert_eq!(one.store.servers().await.unwrap().len(), 1);
    // Silent, but perhaps only behind.
    two.clock.advance(ANNOUNCEMENT_TERM);
    assert_eq!(two.store.servers().await.unwrap().len(), 1);
    two.clock.advance(CLOCK_SKEW_MAX);
    assert_eq!(two.store.servers().await, Ok(Vec::new()));
    two.store.sweep().await.unwrap();
    assert_eq!(one.store.servers().await, Ok(Vec::new()));
}

#[tokio::test]
async fn one_of_many_servers_sweeps() {
    let one = Fixture::new().await;
    let two = one.beside(0);
    assert!(one.store.sweep_leased().await.unwrap().is_some());
    assert_eq!(two.store.sweep_leased().await.unwrap(), None);
    one.clock.advance(Duration::from_secs(3600));
    two.clock.advance(Duration::from_secs(3600));
    assert_eq!(two.store.sweep_leased().await.unwrap(), None);
    assert!(one.store.sweep_leased().await.unwrap().is_some());
    one.store.leave_sweeping().await.unwrap();
    assert!(two.store.sweep_leased().await.unwrap().is_some());
}

#[tokio::test]
async fn a_body_that_a_sweeper_has_given_up_is_refused_at_once() {
    let (fixture, engine) = Interrupted::fixture().await;
    let late = fixture.beside(25 * 60 * MINUTE_MS);
    let mut source = Paused {
        first: Some(Bytes::from(body(1 << 20, 1))),
        meanwhile: Some(Box::pin(async move {
            assert_eq!(late.store.sweep().await.unwrap().blobs, 1);
        })),
        last: Some(Bytes::from_static(b"the end")),
    };
    let (key, settings) = ("key".parse().unwrap(), ObjectSettings::default());
    let request = PutObject {
        principal: &fixture.root,
        bucket: &fixture.bucket,
        key: &key,
        condition: &WriteCondition::default(),
        settings: &settings,
        content_md5: None,
        checksum: None,
    };
    let before = engine.reads();
    let refused = fixture.store.put_object(&request, &mut source).await;
    let busy = |error: &PutObjectError| {
        let PutObjectError::Bucket(BucketError::Storage(error)) = error else { return false };
        matches!(error, StorageError::Overloaded(why) if why.contains("took too long"))
    };
    assert!(refused.as_ref().is_err_and(busy), "{refused:?}");
    assert!(engine.reads() - before < 20, "{} reads", engine.reads() - before);
    assert!(fixture.get("key").await.is_err());
    assert!(fixture.blobs.list(None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_is_lost_is_damage_and_said_at_once() {
    let (fixture, engine) = Interrupted::fixture().await;
    fixture.put("key", body(1 << 20, 1)).await;
    let ids: Vec<BlobId> = fixture.blobs.list(None, 2).await.unwrap();
    fixture.blobs.delete(ids[0]).await.unwrap();
    let before = engine.reads();
    let lost = fixture.get("key").await;
    let damaged = |error: &GetObjectError| {
        matches!(error, GetObjectError::Bucket(BucketError::Storage(StorageError::Corrupt(_))))
    };
    assert!(lost.as_ref().is_err_and(damaged), "{lost:?}");
    assert!(engine.reads() - before <= 4);
}

#[derive(Clone, Debug)]
enum Step {
    Lease { server: usize },
    Release { server: usize },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_usize).prop_map(|server| Step::Lease { server }),
        1 => (0..2_usize).prop_map(|server| Step::Release { server }),
        4 => (0..400_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_two_servers_hold_a_lease(
        steps in proptest::collection::vec(step(), 1..60),
        ahead_ms in -300_000..=300_000_i64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let one = Fixture::new().await;
            let servers = [one.beside(ahead_ms), one];
            let mut held = [None; 2];
            for step in steps {
                match step {
                    Step::Lease { server } => {
                        held[server] = servers[server].store.lease("job", TERM).await.unwrap();
                    }
                    Step::Release { server } => {
                        held[server] = None;
                        servers[server].store.release("job").await.unwrap();
                    }
                    Step::Wait { seconds } => {
                        for server in &servers {
                            server.clock.advance(Duration::from_secs(seconds));
                        }
                    }
                }
                let holds = |server: usize| {
                    held[server].is_some_and(|term| servers[server].store.holds(&term))
                };
                assert!(!(holds(0) && holds(1)), "both hold it");
            }
        });
    }
}
