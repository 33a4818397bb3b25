//! The audit log over the memory engine: entries ride in commits, the chain is whole and says so, damage
//! is found, what is dropped is a sealed prefix, and two servers do not fork it.

use std::time::Duration;

use crate::fixture::{Fixture, START_MS};
use tidelock_meta::memory::UnknownCommit;
use tidelock_meta::record::{audit_chain, audit_entry, audit_segment};
use tidelock_meta::{Batch, Direction, Key, KeyRange, MetaStore as _, OpId, ReadLevel, Write};
use tidelock_store::*;

impl Fixture {
    async fn rows(&self, range: KeyRange) -> Vec<(Key, Vec<u8>)> {
        let found = self.meta.scan(range, 10_000, Direction::Forward, ReadLevel::Latest).await;
        found.unwrap().into_iter().map(|(key, row)| (key, row.value.to_vec())).collect()
    }

    async fn write(&self, write: Write) {
        let mut batch = Batch::new(OpId([0; 16]));
        batch.writes.push(write);
        self.meta.commit(batch).await.unwrap();
    }

    async fn query(&self, query: AuditQuery) -> AuditPage {
        let query =
            AuditQuery { limit: if query.limit == 0 { 1000 } else { query.limit }, ..query };
        self.store.query_audit(&self.root, &query).await.unwrap()
    }

    /// Action, bucket, key or subject, and code of every entry in the log.
    async fn log(&self) -> Vec<String> {
        let (mut log, mut query) = (Vec::new(), AuditQuery::default());
        loop {
            let page = self.query(query.clone()).await;
            log.extend(shown(&page));
            if page.is_complete {
                return log;
            }
            query.after = Some(page.next);
        }
    }

    fn note(&self, action: &'static str, key: &str) {
        self.store.note(&self.root, &AuditEvent::new(action).object("bucket", key));
    }

    async fn verify(&self) -> AuditVerification {
        self.store.verify_audit(&self.root).await.unwrap()
    }
}

fn shown(page: &AuditPage) -> Vec<String> {
    let show = |record: &AuditRecord| {
        let entry = &record.entry;
        let about = format!("{}{}{}", entry.bucket, entry.key, entry.subject);
        format!("{} {about} {}", entry.action, entry.code)
    };
    page.records.iter().map(show).collect()
}

fn requested(principal: Principal, request_id: &str) -> Principal {
    let origin = Origin {
        request_id: request_id.to_owned(),
        access_key_id: "AKIATEST".to_owned(),
        address: "192.0.2.1".to_owned(),
        protocol: Protocol::S3,
        ..Origin::default()
    };
    principal.with_origin(origin)
}

#[tokio::test]
async fn entries_ride_in_the_commit_of_what_they_tell() {
    let fixture = Fixture::new().await;
    let (store, root) = (&fixture.store, requested(Principal::root(), "R1"));
    store.create_user(&root, "ann").await.unwrap();
    let made = store.create_access_key(&root, "ann", None).await.unwrap();
    assert!(root.origin.audited.is_set());
    // Without a flush: they are rows already.
    assert_eq!(fixture.rows(audit_entry::range()).await.len(), 3);
    store.put_user_policy(&root, "ann", ("p", "{}")).await.unwrap();
    store.delete_user_policy(&root, "ann", "p").await.unwrap();
    let (name, trust_policy) = ("ci".to_owned(), "{}".to_owned());
    let new = NewRole { name, trust_policy, policies: Vec::new(), session_max_s: 3_600 };
    store.create_role(&root, new).await.unwrap();
    store.delete_role(&root, "ci").await.unwrap();
    store.create_group(&root, "ops", Vec::new()).await.unwrap();
    store.put_group_policy(&root, "ops", ("p", "{}")).await.unwrap();
    store.delete_group_policy(&root, "ops", "p").await.unwrap();
    store.add_user_to_group(&root, ("ops", "ann")).await.unwrap();
    store.remove_user_from_group(&root, ("ops", "ann")).await.unwrap();
    store.delete_group(&root, "ops").await.unwrap();
    let id = made.key.access_key_id;
    store.delete_access_key(&root, &id).await.unwrap();
    store.delete_user(&root, "ann").await.unwrap();
    let upload = fixture.begin_upload("k").await;
    let (bucket, key) = (&fixture.bucket, "k".parse().unwrap());
    store.abort_upload(&root, bucket, &key, upload).await.unwrap();
    fixture.put("k", "one").await;
    let tags = ObjectEdit::Tags(vec![("a".into(), "b".into())]);
    store.edit_object(&root, bucket, &key, None, &tags).await.unwrap();
    fixture.set_versioning(Versioning::Enabled).await;
    let other: BucketName = "other".parse().unwrap();
    store.create_bucket(&root, &other, NewBucket::default()).await.unwrap();
    store.delete_bucket(&root, &other).await.unwrap();
    let log = fixture.log().await;
    let expected = [
        "CreateBucket bucket OK".to_owned(),
        "CreateUser ann OK".to_owned(),
        format!("CreateAccessKey {id} OK"),
        "PutUserPolicy ann OK".to_owned(),
        "DeleteUserPolicy ann OK".to_owned(),
        "CreateRole ci OK".to_owned(),
        "DeleteRole ci OK".to_owned(),
        "CreateGroup ops OK".to_owned(),
        "PutGroupPolicy ops OK".to_owned(),
        "DeleteGroupPolicy ops OK".to_owned(),
        "AddUserToGroup ops OK".to_owned(),
        "RemoveUserFromGroup ops OK".to_owned(),
        "DeleteGroup ops OK".to_owned(),
        format!("DeleteAccessKey {id} OK"),
        "DeleteUser ann OK".to_owned(),
        "CreateMultipartUpload bucketk OK".to_owned(),
        "AbortMultipartUpload bucketk OK".to_owned(),
        "PutObjectTagging bucketk OK".to_owned(),
        "PutBucketVersioning bucket OK".to_owned(),
        "CreateBucket other OK".to_owned(),
        "DeleteBucket other OK".to_owned(),
    ];
    let mut found = log.clone();
    found.retain(|line| expected.contains(line));
    found.sort();
    let mut wanted = expected.to_vec();
    wanted.sort();
    assert_eq!(found, wanted, "{log:?}");
    let page = fixture.query(AuditQuery { action: Some("CreateUser".into()), ..any() }).await;
    let entry = &page.records[0].entry;
    assert_eq!(entry.principal, ROOT_ARN);
    assert_eq!((entry.access_key_id.as_str(), entry.address.as_str()), ("AKIATEST", "192.0.2.1"));
    assert_eq!((entry.request_id.as_str(), page.records[0].protocol()), ("R1", "s3"));
}

fn any() -> AuditQuery {
    AuditQuery::default()
}

#[tokio::test]
async fn a_refusal_is_not_audited_by_itself() {
    let fixture = Fixture::new().await;
    let root = requested(Principal::root(), "R1");
    let refused = fixture.store.create_bucket(&root, &fixture.bucket, NewBucket::default()).await;
    assert_eq!(refused.unwrap_err(), CreateBucketError::AlreadyOwnedByYou);
    assert!(!root.origin.audited.is_set(), "whoever answers notes it");
    fixture.store.note(&root, &AuditEvent::new("CreateBucket"));
    assert!(root.origin.audited.is_set());
}

#[tokio::test]
async fn what_is_noted_is_flushed_in_few_commits_and_sealed() {
    let fixture = Fixture::new().await;
    for number in 0..1000 {
        fixture.clock.advance(Duration::from_millis(1));
        fixture.note("GetObject", &format!("key-{number:04}"));
    }
    fixture.store.flush_audit().await.unwrap();
    let rows = fixture.rows(audit_entry::range()).await.len();
    assert!(rows < 10, "{rows} rows");
    assert_eq!(fixture.store.seal_audit(SealWhen::Due).await.unwrap(), 0, "they can wait");
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(fixture.store.seal_audit(SealWhen::Due).await.unwrap(), 1001);
    assert!(fixture.rows(audit_entry::range()).await.is_empty());
    let segments = fixture.rows(audit_segment::range()).await;
    assert!((2..10).contains(&segments.len()), "{} segments", segments.len());
    assert!(segments.iter().all(|(_, value)| value.len() <= 48 << 10));
    assert!(!segments.iter().any(|(_, value)| value.windows(4).any(|it| it == b"key-")), "sealed");
    let keys = fixture.log().await;
    let expected: Vec<String> =
        (0..1000).map(|it| format!("GetObject bucketkey-{it:04} OK")).collect();
    assert_eq!(keys[1..], expected);
    assert_eq!(fixture.query(any()).await.records.len(), 1000, "a page has a limit");
    let found = fixture.verify().await;
    assert_eq!((found.entries, found.damage), (1001, None));
    assert_eq!((found.first_ms, found.last_ms), (Some(START_MS), Some(START_MS + 1000)));
}

#[tokio::test]
async fn pages_follow_one_another() {
    let fixture = Fixture::new().await;
    (0..25).for_each(|number| fixture.note("GetObject", &format!("k{number:02}")));
    let mut seen = Vec::new();
    let mut query = AuditQuery { action: Some("GetObject".into()), limit: 10, ..any() };
    loop {
        let page = fixture.query(query.clone()).await;
        seen.extend(page.records.iter().map(|record| record.entry.key.clone()));
        // What comes meanwhile is on a later page.
        if seen.len() == 10 {
            fixture.note("GetObject", "k25");
        }
        query.after = Some(page.next);
        if page.is_complete {
            break;
        }
    }
    assert_eq!(seen, (0..=25).map(|number| format!("k{number:02}")).collect::<Vec<_>>());
    let page = fixture.query(query.clone()).await;
    assert!(page.records.is_empty() && page.is_complete);
    fixture.note("GetObject", "k26");
    assert_eq!(shown(&fixture.query(query).await), ["GetObject bucketk26 OK"]);
    let latest = AuditQuery { latest: true, limit: 2, ..any() };
    let latest = shown(&fixture.query(latest).await);
    assert_eq!(latest, ["GetObject bucketk25 OK", "GetObject bucketk26 OK"]);
}

#[tokio::test]
async fn pages_lead_back_to_the_first_entry() {
    let fixture = Fixture::new().await;
    for number in 0..25 {
        fixture.note("GetObject", &format!("k{number:02}"));
        // Several entries a segment, and segments without any.
        if number % 4 == 0 {
            fixture.note("PutObject", "other");
            fixture.store.flush_audit().await.unwrap();
            fixture.store.seal_audit(SealWhen::Now).await.unwrap();
        }
    }
    let action = Some("GetObject".to_owned());
    for limit in [1, 3, 10, 25, 100] {
        let mut query = AuditQuery { action: action.clone(), limit, latest: true, ..any() };
        let mut seen: Vec<String> = Vec::new();
        loop {
            let page = fixture.query(query.clone()).await;
            let keys = page.records.iter().rev().map(|record| record.entry.key.clone());
            seen.extend(keys);
            // What comes meanwhile is on no earlier page.
            fixture.note("PutObject", "late");
            let Some(previous) = page.previous else { break };
            query.before = Some(previous);
        }
        let expected: Vec<_> = (0..25).rev().map(|number| format!("k{number:02}")).collect();
        assert_eq!(seen, expected, "{limit}");
    }
}

#[tokio::test]
async fn a_question_can_be_of_a_time() {
    let fixture = Fixture::new().await;
    for number in 0..40 {
        fixture.note("GetObject", &format!("k{number:02}"));
        fixture.store.flush_audit().await.unwrap();
        fixture.store.seal_audit(SealWhen::Now).await.unwrap();
        fixture.clock.advance(Duration::from_secs(600));
    }
    let at = |number: i64| Some(START_MS + number * 600_000);
    let query = AuditQuery { since_ms: at(20), until_ms: at(23), ..any() };
    let found = shown(&fixture.query(query).await);
    let expected: Vec<_> = (20..23).map(|it| format!("GetObject bucketk{it} OK")).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn only_root_and_owners_may_ask() {
    let fixture = Fixture::new().await;
    let (store, root) = (&fixture.store, &fixture.root);
    for (user, bucket) in [("ann", "anns"), ("bob", "bobs")] {
        store.create_user(root, user).await.unwrap();
        fixture.clock.advance(Duration::from_secs(1));
        let made = store.create_access_key(root, user, None).await.unwrap();
        let proven = store.credentials(&made.key.access_key_id).await.unwrap().unwrap();
        // Another one had a bucket of that name before.
        let bucket: BucketName = bucket.parse().unwrap();
        store.create_bucket(root, &bucket, NewBucket::default()).await.unwrap();
        store.delete_bucket(root, &bucket).await.unwrap();
        fixture.clock.advance(Duration::from_secs(1));
        store.create_bucket(&proven.principal, &bucket, NewBucket::default()).await.unwrap();
        let ask = |bucket: Option<&str>| {
            let query = AuditQuery { bucket: bucket.map(str::to_owned), limit: 100, ..any() };
            let principal = proven.principal.clone();
            async move { store.query_audit(&principal, &query).await }
        };
        let own = ask(Some(bucket.as_str())).await.unwrap();
        assert_eq!(shown(&own), [format!("CreateBucket {bucket} OK")]);
        for bucket in [None, Some("bucket"), Some("Not A Name")] {
            assert_eq!(ask(bucket).await, Err(BucketError::AccessDenied), "{bucket:?}");
        }
        assert_eq!(ask(Some("nobodys")).await, Err(BucketError::NoSuchBucket));
        let verified = store.verify_audit(&proven.principal).await;
        assert_eq!(verified, Err(BucketError::AccessDenied));
    }
}

#[tokio::test]
async fn damage_is_found_wherever_it_is() {
    let fixture = Fixture::new().await;
    for round in 0..4 {
        (0..5).for_each(|number| fixture.note("GetObject", &format!("{round}-{number}")));
        fixture.store.flush_audit().await.unwrap();
        fixture.store.seal_audit(SealWhen::Now).await.unwrap();
    }
    assert_eq!(fixture.verify().await.damage, None);
    let segments = fixture.rows(audit_segment::range()).await;
    assert_eq!(segments.len(), 4);
    for (number, (key, value)) in segments.iter().enumerate() {
        for index in 0..value.len() {
            let mut damaged = value.clone();
            damaged[index] ^= 1;
            fixture.write(Write::Put(key.clone(), damaged.into())).await;
            let found = fixture.verify().await;
            assert!(found.damage.is_some(), "segment {number}, byte {index}");
        }
        fixture.write(Write::Delete(key.clone())).await;
        let found = fixture.verify().await.damage.unwrap();
        assert_eq!((found.segment, found.reason.as_str()), (number as u64, "it is missing"));
        fixture.write(Write::Put(key.clone(), value.clone().into())).await;
        assert_eq!(fixture.verify().await.damage, None);
    }
}

/// Whoever reads is told of the damage in its place, and of what follows.
#[tokio::test]
async fn a_damaged_segment_keeps_nothing_else_from_whoever_reads() {
    let fixture = Fixture::new().await;
    let (store, root) = (&fixture.store, &fixture.root);
    let new = NewWebhook {
        url: "http://192.0.2.1/".to_owned(),
        secret: None,
        kinds: vec![EventKind::Audit],
        bucket: None,
        enabled: true,
        attempts_max: 3,
    };
    let (webhook, _) = store.create_webhook(root, new).await.unwrap();
    for key in ["a", "b", "c"] {
        fixture.clock.advance(Duration::from_secs(1));
        fixture.note("GetObject", key);
        fixture.store.flush_audit().await.unwrap();
        fixture.store.seal_audit(SealWhen::Now).await.unwrap();
    }
    let open = store.open_webhook(root, webhook.id).await.unwrap();
    let segments = fixture.rows(audit_segment::range()).await;
    let number = segments.len() - 2;
    let (key, value) = &segments[number];
    let expected = ["AuditEntryDamaged  Damaged", "GetObject bucketc OK"];
    for (at, time_ms) in [(0, START_MS + 3000), (value.len() - 1, START_MS + 2000)] {
        let mut damaged = value.clone();
        damaged[at] ^= 1;
        fixture.write(Write::Put(key.clone(), damaged.into())).await;
        let log = fixture.log().await;
        assert_eq!(log[log.len() - 3..], ["GetObject bucketa OK", expected[0], expected[1]]);
        let next = store.next_events(&open).await.unwrap();
        let again = store.next_events(&open).await.unwrap();
        assert_eq!(next, again, "what is told twice is told as the same");
        let [.., told, last] = &next.events[..] else { panic!("{next:?}") };
        assert_eq!(told.record.position.to_string(), format!("{number}-0"));
        assert_eq!(told.record.entry.time_ms, time_ms);
        assert_eq!(last.record.entry.key, "c");
        for query in [
            AuditQuery { latest: true, limit: 2, ..any() },
            AuditQuery { since_ms: Some(START_MS + 2000), ..any() },
        ] {
            assert_eq!(shown(&fixture.query(query).await), expected, "byte {at}");
        }
        let found = fixture.verify().await.damage.unwrap();
        assert_eq!(found.segment, number as u64, "byte {at}");
    }
    // The name of the key: one that the keyring lacks may be added to it.
    let mut of_another = value.clone();
    let name = value.windows(4).position(|it| it == b"test").unwrap();
    of_another[name] ^= 1;
    fixture.write(Write::Put(key.clone(), of_another.into())).await;
    let refused = store.query_audit(root, &AuditQuery { limit: 1000, ..any() }).await;
    assert!(matches!(refused, Err(BucketError::Storage(StorageError::Corrupt(_)))), "{refused:?}");
    assert!(store.next_events(&open).await.is_err());
}

#[tokio::test]
async fn a_damaged_row_outside_the_chain_does_not_stop_the_sealer() {
    let fixture = Fixture::new().await;
    fixture.note("GetObject", "k");
    fixture.store.flush_audit().await.unwrap();
    let rows = fixture.rows(audit_entry::range()).await;
    let (key, value) = &rows[0];
    let mut damaged = value.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fixture.write(Write::Put(key.clone(), damaged.into())).await;
    let log = fixture.log().await;
    assert!(log.contains(&"AuditEntryDamaged  Damaged".to_owned()), "{log:?}");
    assert_eq!(log.len(), 2);
    assert_eq!(fixture.verify().await.damage, None);
}

#[tokio::test]
async fn what_is_dropped_is_a_sealed_prefix() {
    let fixture = Fixture::new().await;
    let day = Duration::from_secs(24 * 3600);
    for number in 0..500 {
        fixture.note("GetObject", &format!("k{number:03}"));
        fixture.store.flush_audit().await.unwrap();
        fixture.store.seal_audit(SealWhen::Now).await.unwrap();
        fixture.clock.advance(day);
    }
    let before = fixture.verify().await;
    assert_eq!((before.first_segment, before.segments), (0, 500));
    let dropped = fixture.store.trim_audit().await.unwrap();
    assert_eq!(dropped, 100, "400 days are kept");
    let found = fixture.verify().await;
    assert_eq!((found.damage, found.first_segment), (None, 100));
    assert_ne!(found.before_first, before.before_first);
    let log = fixture.log().await;
    assert_eq!(log[0], "GetObject bucketk100 OK");
    assert!(log.contains(&"AuditSegmentsDropped  OK".to_owned()));
    assert_eq!(fixture.store.trim_audit().await.unwrap(), 0);
    // A page that was asked for before begins with what is kept.
    let page = fixture.query(AuditQuery { after: Some("3-0".parse().unwrap()), ..any() }).await;
    assert_eq!(shown(&page)[0], "GetObject bucketk100 OK");
}

#[tokio::test]
async fn no_more_bytes_are_kept_than_allowed() {
    let config = StoreConfig { audit_bytes_max: 20_000, ..StoreConfig::default() };
    let fixture = Fixture::with_config(config).await;
    for number in 0..200 {
        fixture.note("GetObject", &format!("k{number:03}"));
        fixture.store.flush_audit().await.unwrap();
        fixture.store.seal_audit(SealWhen::Now).await.unwrap();
    }
    assert!(fixture.store.trim_audit().await.unwrap() > 0);
    let kept: usize =
        fixture.rows(audit_segment::range()).await.iter().map(|(_, value)| value.len()).sum();
    assert!((10_000..=20_000).contains(&kept), "{kept}");
    let chain = fixture.rows(KeyRange::prefix(&audit_chain::key())).await;
    let chain = audit_chain::AuditChainRow::decode(&chain[0].1).unwrap();
    assert_eq!(chain.bytes_kept, kept as u64);
    assert_eq!(fixture.verify().await.damage, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_seal_at_once_do_not_fork_the_chain() {
    let fixture = Fixture::new().await;
    let servers = [fixture.beside(0), fixture.beside(1000), fixture.beside(0)];
    let mut tasks = Vec::new();
    for (server, fixture) in servers.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            for number in 0..100 {
                fixture.note("GetObject", &format!("{server}-{number}"));
                fixture.store.flush_audit().await.unwrap();
                fixture.store.seal_audit(SealWhen::Now).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut log = fixture.log().await;
    assert_eq!(log.len(), 301);
    log.sort();
    log.dedup();
    assert_eq!(log.len(), 301, "no entry is in the chain twice");
    assert_eq!(fixture.verify().await.damage, None);
}

#[tokio::test]
async fn one_server_at_a_time_looks_after_the_log() {
    let fixture = Fixture::new().await;
    let other = fixture.beside(0);
    let (mut turn, mut others) = (AuditTurn::default(), AuditTurn::default());
    assert!(fixture.store.has_audit_turn(&mut turn).await.unwrap());
    assert!(!other.store.has_audit_turn(&mut others).await.unwrap());
    fixture.store.leave_audit().await.unwrap();
    other.clock.advance(Duration::from_secs(60));
    assert!(other.store.has_audit_turn(&mut others).await.unwrap());
}

#[tokio::test]
async fn what_found_no_room_is_told() {
    let fixture = Fixture::new().await;
    for _ in 0..AUDIT_BUFFER_ENTRIES_MAX + 7 {
        fixture.note("GetObject", "k");
    }
    fixture.store.flush_audit().await.unwrap();
    let query = AuditQuery { action: Some("AuditEntriesDropped".into()), latest: true, ..any() };
    let told = fixture.query(query).await;
    assert_eq!(told.records.len(), 1);
    let entry = &told.records[0].entry;
    assert_eq!(entry.message, "7 entries found no room in memory and are lost");
    assert_eq!(entry.principal, "server");
    let found = fixture.verify().await;
    assert_eq!((found.entries, found.damage), (AUDIT_BUFFER_ENTRIES_MAX as u64 + 2, None));
}

#[tokio::test]
async fn what_could_not_be_flushed_waits() {
    for fate in [UnknownCommit::Lost, UnknownCommit::Applied] {
        let fixture = Fixture::new().await;
        fixture.note("GetObject", "k");
        fixture.meta.faults().answer_unknown(1, fate);
        let flushed = fixture.store.flush_audit().await;
        assert_eq!(flushed.is_ok(), fate == UnknownCommit::Applied);
        let mut log = fixture.log().await;
        log.sort();
        assert_eq!(log, ["CreateBucket bucket OK", "GetObject bucketk OK"], "{fate:?}");
    }
}

#[tokio::test]
async fn a_webhook_is_told_of_what_happens_from_then_on() {
    let fixture = Fixture::new().await;
    let (store, root) = (&fixture.store, &fixture.root);
    fixture.note("LockAcquired", "before");
    let new = NewWebhook {
        url: "http://192.0.2.1/".to_owned(),
        secret: None,
        kinds: vec![EventKind::LockAcquired, EventKind::LockConflict],
        bucket: Some("bucket".to_owned()),
        enabled: true,
        attempts_max: 3,
    };
    let (webhook, secret) = store.create_webhook(root, new.clone()).await.unwrap();
    assert_eq!(secret.len(), 64);
    for (action, key) in [("LockAcquired", "a"), ("GetObject", "b"), ("LockRefused", "c")] {
        fixture.note(action, key);
        fixture.clock.advance(Duration::from_millis(1));
    }
    store.note(root, &AuditEvent::new("LockAcquired").object("other", "d"));
    store.flush_audit().await.unwrap();
    store.seal_audit(SealWhen::Now).await.unwrap();
    let open = store.enabled_webhooks().await.unwrap().remove(0);
    assert_eq!(open.webhook, webhook);
    assert_eq!(*open.secret, secret.as_bytes());
    let next = store.next_events(&open).await.unwrap();
    let told: Vec<_> = next
        .events
        .iter()
        .map(|event| (event.kind.as_str(), event.record.entry.key.as_str()))
        .collect();
    assert_eq!(told, [("lock.acquired", "a"), ("lock.conflict", "c")]);
    // The first is not taken, the second is.
    store.bury_event(webhook.id, &next.events[0], 3, "no").await.unwrap();
    let open = store.open_webhook(root, webhook.id).await.unwrap();
    assert_eq!(store.next_events(&open).await.unwrap().events, next.events[1..]);
    store.advance_webhook(webhook.id, next.next).await.unwrap();
    let open = store.open_webhook(root, webhook.id).await.unwrap();
    assert!(store.next_events(&open).await.unwrap().events.is_empty());
    let dead = store.dead_letters(root, webhook.id).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (&dead[0].event, dead[0].attempts, dead[0].error.as_str()),
        (&next.events[0], 3, "no")
    );
    store.forget_dead_letter(webhook.id, dead[0].event.record.position).await.unwrap();
    assert!(store.dead_letters(root, webhook.id).await.unwrap().is_empty());
    store.delete_webhook(root, webhook.id).await.unwrap();
    let gone = store.open_webhook(root, webhook.id).await;
    assert_eq!(gone.unwrap_err(), WebhookError::NoSuchWebhook);
    store.create_user(root, "ann").await.unwrap();
    let made = store.create_access_key(root, "ann", None).await.unwrap();
    let ann = store.credentials(&made.key.access_key_id).await.unwrap().unwrap().principal;
    assert_eq!(store.create_webhook(&ann, new).await.unwrap_err(), WebhookError::AccessDenied);
    assert_eq!(store.list_webhooks(&ann).await, Err(WebhookError::AccessDenied));
}

#[tokio::test]
async fn dead_letters_are_bounded_and_go_with_their_webhook() {
    let fixture = Fixture::new().await;
    let (store, root) = (&fixture.store, &fixture.root);
    let new = NewWebhook {
        url: "http://192.0.2.1/".to_owned(),
        secret: Some("0123456789abcdef".to_owned().into()),
        kinds: vec![EventKind::Audit],
        bucket: None,
        enabled: true,
        attempts_max: 1,
    };
    let (webhook, _) = store.create_webhook(root, new).await.unwrap();
    (0..DEAD_LETTERS_MAX + 5).for_each(|number| fixture.note("GetObject", &number.to_string()));
    store.flush_audit().await.unwrap();
    store.seal_audit(SealWhen::Now).await.unwrap();
    loop {
        let open = store.open_webhook(root, webhook.id).await.unwrap();
        let next = store.next_events(&open).await.unwrap();
        if next.events.is_empty() {
            break;
        }
        for event in &next.events {
            store.bury_event(webhook.id, event, 1, "no").await.unwrap();
        }
    }
    let dead = store.dead_letters(root, webhook.id).await.unwrap();
    assert_eq!(dead.len(), DEAD_LETTERS_MAX);
    let last = &dead[DEAD_LETTERS_MAX - 1].event.record.entry.key;
    assert_eq!(*last, (DEAD_LETTERS_MAX + 4).to_string());
    store.delete_webhook(root, webhook.id).await.unwrap();
    let left = fixture.rows(KeyRange::prefix(&[0x16])).await;
    assert!(left.is_empty(), "{}", left.len());
}
