//! What is sealed opens in its place alone, and an index is kept, found and removed like a body.

use std::time::Duration;

use tidelock_blob::{BlobId, BlobStore as _};
use tidelock_meta::record::guard::{Hold, StateIndex};
use tidelock_meta::record::run::Run;
use tidelock_meta::record::version::{Body, VersionId};
use tidelock_meta::record::{BucketId, reclaim};
use tidelock_meta::{Direction, MetaStore as _, ReadLevel};

use super::derive;
use super::fixture::{Fixture, NOW_MS, facts, key, many, version};
use super::keep::INLINE_INDEX_BYTES_MAX;

const BUCKET: BucketId = BucketId([1; 16]);
const ID: VersionId = VersionId { sequence: 7, random: 8 };

#[test]
fn facts_open_in_their_place_alone() {
    let Fixture { store, .. } = Fixture::new();
    let sealed = store.seal_state_facts(BUCKET, &key("k"), ID, &facts());
    let other_id = VersionId { sequence: 7, random: 9 };
    let rows = [
        ("the place", BUCKET, "k", ID, true),
        ("another bucket", BucketId([2; 16]), "k", ID, false),
        ("another key", BUCKET, "l", ID, false),
        ("another version", BUCKET, "k", other_id, false),
    ];
    for (name, bucket, state_key, id, opens) in rows {
        let version = version(id, Some(sealed.clone()));
        let opened = store.unseal_state_facts(bucket, &key(state_key), &version);
        assert_eq!(opened.ok(), opens.then(|| Some(facts())), "{name}");
    }
    assert_eq!(store.unseal_state_facts(BUCKET, &key("k"), &version(ID, None)), Ok(None));
}

#[test]
fn a_lock_opens_in_its_place_alone() {
    let Fixture { store, .. } = Fixture::new();
    let body = br#"{"ID":"abc","Who":"me"}"#;
    let hold = |version: VersionId, sealed_lock: Vec<u8>| Hold {
        sealed_lock,
        ..Hold::begun(version, NOW_MS, Run::default())
    };
    let sealed = store.seal_lock(BUCKET, &key("k"), ID, body);
    let here = hold(ID, sealed.clone());
    let lock = store.unseal_lock(BUCKET, &key("k"), &here).unwrap().unwrap();
    assert_eq!((lock.id.as_str(), lock.who.as_str()), ("abc", "me"));
    assert_eq!(&**store.unseal_lock_body(BUCKET, &key("k"), &here).unwrap().unwrap(), body);
    assert!(store.unseal_lock(BUCKET, &key("l"), &here).is_err());
    let other = VersionId { sequence: 0, random: 0 };
    assert!(store.unseal_lock(BUCKET, &key("k"), &hold(other, sealed)).is_err());
    // What is sealed as facts is no lock.
    let sealed = store.seal_state_facts(BUCKET, &key("k"), ID, &facts());
    assert!(store.unseal_lock(BUCKET, &key("k"), &hold(ID, sealed)).is_err());
    let none = hold(ID, Vec::new());
    assert_eq!(store.unseal_lock(BUCKET, &key("k"), &none), Ok(None));
    let no_lock = hold(ID, store.seal_lock(BUCKET, &key("k"), ID, b"not a lock"));
    assert_eq!(store.unseal_lock(BUCKET, &key("k"), &no_lock), Ok(None));
}

#[tokio::test]
async fn a_small_index_rides_in_the_commit_and_a_large_one_is_a_blob() {
    for (resources, is_blob) in [(20, false), (1_500, false), (4_000, true)] {
        let fixture = Fixture::new();
        let index = derive(many(resources).as_bytes()).index.unwrap();
        let bytes = index.encode().len();
        assert_eq!(bytes > INLINE_INDEX_BYTES_MAX, is_blob, "{resources}: {bytes}");
        let kept = fixture.keep((BUCKET, "k"), ID, &index).await;
        assert_eq!(kept.size, bytes as u64);
        assert_eq!(matches!(kept.body, Body::Blob { .. }), is_blob);
        let read = fixture.store.read_index(BUCKET, &key("k"), &kept).await.unwrap();
        assert_eq!(read, Some(index));
        assert!(fixture.store.read_index(BUCKET, &key("l"), &kept).await.is_err());

        fixture.discard(&kept).await;
        // A blob stays for those who have begun to read it, until the sweeper comes.
        let grace = fixture.store.config().reclaim_grace;
        fixture.clock.advance(grace + Duration::from_millis(1));
        assert_eq!(fixture.store.sweep().await.unwrap().blobs, u64::from(is_blob));
        assert!(fixture.rows().await.is_empty(), "{resources}");
        assert_eq!(fixture.blobs.list(None, 1).await.unwrap(), Vec::<BlobId>::new());
        let read = fixture.store.read_index(BUCKET, &key("k"), &kept).await.unwrap();
        assert_eq!(read, None, "gone, and no error");
    }
}

#[tokio::test]
async fn an_index_that_was_never_kept_goes_with_its_intent() {
    let fixture = Fixture::new();
    let index = derive(many(4_000).as_bytes()).index.unwrap();
    let written = fixture.store.write_index(&index).await.unwrap();
    assert_eq!(fixture.blobs.list(None, 2).await.unwrap().len(), 1);
    drop(written);
    let expiry = fixture.store.config().intent_expiry;
    fixture.clock.advance(expiry + Duration::from_millis(1));
    assert_eq!(fixture.store.sweep().await.unwrap().blobs, 1);
    assert_eq!(fixture.blobs.list(None, 2).await.unwrap(), Vec::<BlobId>::new());
    let due = reclaim::range_of_all();
    let rows = fixture.meta.scan(due, 1, Direction::Forward, ReadLevel::Latest).await.unwrap();
    assert!(rows.is_empty());
}

#[tokio::test]
async fn a_row_that_names_a_monster_is_refused() {
    let fixture = Fixture::new();
    let index = derive(many(1).as_bytes()).index.unwrap();
    let kept = StateIndex { size: u64::MAX, ..fixture.keep((BUCKET, "k"), ID, &index).await };
    assert!(fixture.store.read_index(BUCKET, &key("k"), &kept).await.is_err());
}
