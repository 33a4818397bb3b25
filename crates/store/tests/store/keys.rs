//! Access keys: their end, their rotation, and when they were last used.

use std::time::Duration;

use crate::fixture::{Fixture, START_MS};
use tidelock_meta::{MetaStore as _, ReadLevel};
use tidelock_store::*;

const MINUTE_MS: i64 = 60_000;
const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Whether a key opens anything.
async fn refusal(store: &Store, access_key_id: &str) -> Option<KeyRefusal> {
    store.credentials(access_key_id).await.unwrap().err()
}

/// The key of this id as it is listed.
async fn listed(fixture: &Fixture, access_key_id: &str) -> AccessKey {
    let keys = fixture.store.list_access_keys(&fixture.root, None).await.unwrap();
    keys.into_iter().find(|key| key.access_key_id == access_key_id).unwrap()
}

#[tokio::test]
async fn a_key_ends_when_it_was_told_to() {
    let fixture = Fixture::new().await;
    let (store, root) = (&fixture.store, &fixture.root);
    store.create_user(root, "ann").await.unwrap();
    let end_ms = START_MS + HOUR_MS;
    let made = store.create_access_key(root, "ann", Some(end_ms)).await.unwrap().key;
    let endless = store.create_access_key(root, "ann", None).await.unwrap().key;
    assert_eq!((made.expires_ms, endless.expires_ms), (Some(end_ms), None));
    for (advance, expected) in [
        (Duration::ZERO, None),
        (HOUR - Duration::from_millis(1), None),
        (Duration::from_millis(1), Some(KeyRefusal::Expired)),
        (HOUR, Some(KeyRefusal::Expired)),
    ] {
        fixture.clock.advance(advance);
        assert_eq!(refusal(store, &made.access_key_id).await, expected, "{advance:?}");
        assert_eq!(refusal(store, &endless.access_key_id).await, None);
    }
    // It is listed until somebody deletes it, and keeps its user from being deleted.
    assert_eq!(listed(&fixture, &made.access_key_id).await, made);
    store.delete_access_key(root, &endless.access_key_id).await.unwrap();
    let in_use = store.delete_user(root, "ann").await;
    assert_eq!(in_use, Err(IdentityError::InUse("access keys")));
    store.delete_access_key(root, &made.access_key_id).await.unwrap();
    assert_eq!(refusal(store, &made.access_key_id).await, Some(KeyRefusal::Unknown));
    store.delete_user(root, "ann").await.unwrap();
}

#[tokio::test]
async fn ends_that_there_cannot_be() {
    let fixture = Fixture::new().await;
    let (store, root) = (&fixture.store, &fixture.root);
    store.create_user(root, "ann").await.unwrap();
    let old = store.create_access_key(root, "ann", None).await.unwrap().key.access_key_id;
    let nobody = Principal { is_root: false, ..root.clone() };
    let century_ms = 36_500 * 24 * HOUR_MS;
    let rows = [
        ("now", Some(START_MS), HOUR, false),
        ("past", Some(START_MS - 1), HOUR, false),
        ("soon", Some(START_MS + 1), HOUR, true),
        ("far", Some(START_MS + century_ms), HOUR, true),
        ("too far", Some(START_MS + century_ms + 1), HOUR, false),
        ("no more", Some(i64::MAX), HOUR, false),
        ("before all", Some(i64::MIN), HOUR, false),
        ("never", None, HOUR, true),
        ("a long overlap", None, KEY_OVERLAP_MAX, true),
        ("too long an overlap", None, KEY_OVERLAP_MAX + Duration::from_millis(1), false),
    ];
    for (what, expires_ms, overlap, expected) in rows {
        let rotated = store.rotate_access_key(root, &old, overlap, expires_ms).await;
        assert_eq!(rotated.is_ok(), expected, "{what}: {rotated:?}");
        if overlap == HOUR {
            let made = store.create_access_key(root, "ann", expires_ms).await;
            assert_eq!(made.is_ok(), expected, "{what}: {made:?}");
        }
        let denied = store.rotate_access_key(&nobody, &old, overlap, expires_ms).await.err();
        assert_eq!(denied, Some(IdentityError::AccessDenied), "{what}");
    }
    let missing = store.rotate_access_key(root, "AKIANONE", HOUR, None).await.err();
    assert_eq!(missing, Some(IdentityError::NoSuchKey));
}

#[tokio::test]
async fn rotation_overlaps_and_never_prolongs() {
    let minute = Duration::from_secs(60);
    // The end of the old key, the overlap, and its end after the rotation.
    let rows = [
        (None, HOUR, START_MS + HOUR_MS),
        (None, Duration::ZERO, START_MS),
        (Some(START_MS + MINUTE_MS), HOUR, START_MS + MINUTE_MS),
        (Some(START_MS + HOUR_MS), minute, START_MS + MINUTE_MS),
    ];
    for (end, overlap, expected) in rows {
        let fixture = Fixture::new().await;
        let (store, root) = (&fixture.store, &fixture.root);
        store.create_user(root, "ann").await.unwrap();
        let old = store.create_access_key(root, "ann", end).await.unwrap().key.access_key_id;
        let new_end = Some(START_MS + 3 * HOUR_MS);
        let new = store.rotate_access_key(root, &old, overlap, new_end).await.unwrap();
        assert_eq!((new.key.user.as_str(), new.key.expires_ms), ("ann", new_end));
        let known = store.credentials(&new.key.access_key_id).await.unwrap().unwrap();
        assert_eq!(known.secret_access_key, new.secret_access_key);
        assert_eq!(&*known.principal.name, "ann");
        assert_eq!(listed(&fixture, &old).await.expires_ms, Some(expected));
        let is_over = expected <= START_MS;
        let refused = refusal(store, &old).await;
        assert_eq!(refused, is_over.then_some(KeyRefusal::Expired), "{overlap:?}");
        fixture.clock.advance(HOUR);
        assert_eq!(refusal(store, &old).await, Some(KeyRefusal::Expired));
        assert_eq!(refusal(store, &new.key.access_key_id).await, None);
    }
}

#[tokio::test]
async fn the_last_use_is_known_to_the_minute_and_goes_only_forward() {
    let one = Fixture::new().await;
    let two = one.beside(10 * MINUTE_MS);
    one.store.create_user(&one.root, "ann").await.unwrap();
    let key = one.store.create_access_key(&one.root, "ann", None).await.unwrap().key.access_key_id;
    let last_used = async |fixture: &Fixture| listed(fixture, &key).await.last_used_ms;
    assert_eq!(last_used(&one).await, None);
    one.clock.advance(Duration::from_millis(90_123));
    let minute = START_MS - START_MS % MINUTE_MS;
    one.store.note_key_use(&key);
    assert_eq!(last_used(&one).await, Some(minute + MINUTE_MS), "known before it is written");
    assert_eq!(last_used(&two).await, None, "to this server");
    two.store.note_key_use(&key);
    two.store.flush_key_uses().await.unwrap();
    one.store.flush_key_uses().await.unwrap();
    for server in [&one, &two] {
        assert_eq!(last_used(server).await, Some(minute + 10 * MINUTE_MS), "the later one stays");
    }
    let credentials = one.store.credentials(&key).await.unwrap().unwrap();
    assert_eq!(&*credentials.principal.name, "ann");
    assert_eq!(listed(&one, &key).await.created_ms, START_MS);
}

#[tokio::test]
async fn what_is_not_used_costs_no_commit() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    store.create_user(&fixture.root, "ann").await.unwrap();
    let mut keys = Vec::new();
    // More than one commit takes.
    for _ in 0..250 {
        let made = store.create_access_key(&fixture.root, "ann", None).await.unwrap();
        keys.push(made.key.access_key_id);
    }
    let gone = keys.pop().unwrap();
    store.note_key_use(&gone);
    store.delete_access_key(&fixture.root, &gone).await.unwrap();
    store.note_key_use("AKIANOBODY");
    keys.iter().for_each(|key| store.note_key_use(key));
    store.flush_key_uses().await.unwrap();
    let listed = store.list_access_keys(&fixture.root, None).await.unwrap();
    assert_eq!(listed.len(), keys.len(), "a key that is gone stays gone");
    assert!(listed.iter().all(|key| key.last_used_ms.is_some()));
    let version = async || {
        let rows = [tidelock_meta::record::access_key::key(&keys[0])];
        let read = fixture.meta.get(&rows, ReadLevel::Latest).await.unwrap();
        read[0].as_ref().unwrap().version
    };
    let before = version().await;
    keys.iter().for_each(|key| store.note_key_use(key));
    store.flush_key_uses().await.unwrap();
    assert_eq!(version().await, before, "the same minute is not written again");
}
