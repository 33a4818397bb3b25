//! Lists and searches: what they say, page by page, and that they read no body of a state.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tidelock_meta::memory::MemoryStore;
use tidelock_meta::record::BucketId;
use tidelock_meta::record::guard::StateIndex;
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::Body;
use tidelock_meta::{
    Batch, Direction, Epoch, Key, KeyRange, Limits, MetaError, MetaStore, Outcome, ReadLevel,
    Versioned,
};

use super::fixture::{Fixture, NOW_MS, many, resource, state};
use crate::*;

/// First byte of the rows that bodies are made of.
const BODY_TAG: u8 = 0x04;

/// An engine that remembers of which bodies rows were read.
struct Watching {
    inner: Arc<MemoryStore>,
    bodies: Mutex<BTreeSet<Vec<u8>>>,
}

impl Watching {
    fn see(&self, key: &Key) {
        if key.first() == Some(&BODY_TAG) {
            self.bodies.lock().unwrap().insert(key[1..17].to_vec());
        }
    }
}

#[async_trait]
impl MetaStore for Watching {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn get(
        &self,
        keys: &[Key],
        level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        keys.iter().for_each(|key| self.see(key));
        self.inner.get(keys, level).await
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        let rows = self.inner.scan(range, limit, direction, level).await?;
        rows.iter().for_each(|(key, _)| self.see(key));
        Ok(rows)
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, MetaError> {
        self.inner.commit(batch).await
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }
}

/// All pages of a list.
async fn list(fixture: &Fixture, prefix: &str, limit: usize) -> (Vec<ListedState>, Vec<String>) {
    let (mut states, mut unknown) = (Vec::new(), Vec::new());
    let (bucket, mut after) = ("bucket".parse().unwrap(), None::<String>);
    loop {
        let request = ListStates {
            principal: &fixture.root,
            bucket: &bucket,
            prefix,
            after: after.as_deref(),
            limit,
        };
        let page = fixture.store.list_states(&request).await.unwrap();
        assert!(page.states.len() <= limit);
        states.extend(page.states);
        unknown.extend(page.unknown.into_iter().map(|object| object.key));
        match page.next_after {
            Some(next) => after = Some(next),
            None => return (states, unknown),
        }
    }
}

/// All pages of a search: key and address of what was found, and what has no index.
async fn search(
    fixture: &Fixture,
    query: &ResourceQuery,
    limit: usize,
) -> (Vec<(String, String)>, Vec<String>) {
    let (mut found, mut unindexed) = (Vec::new(), Vec::new());
    let (bucket, mut after) = ("bucket".parse().unwrap(), None);
    loop {
        let request = SearchStates {
            principal: &fixture.root,
            bucket: &bucket,
            prefix: "",
            query,
            after: after.as_ref(),
            limit,
        };
        let page = fixture.store.search_states(&request).await.unwrap();
        assert!(page.found.len() <= limit);
        found.extend(page.found.into_iter().map(|found| (found.key, found.address)));
        unindexed.extend(page.unindexed.into_iter().map(|object| object.key));
        match page.next {
            Some(next) => after = Some(next),
            None => return (found, unindexed),
        }
    }
}

async fn bodies_of_states(fixture: &Fixture, bucket: BucketId) -> BTreeSet<Vec<u8>> {
    let heads = fixture.store.rows.latest().all(head::range(bucket, "")).await.unwrap();
    let bodies = heads.iter().filter_map(|(_, row)| {
        match &HeadRow::decode(row).unwrap().current.unwrap().object().unwrap().body {
            Body::Inline { id, .. } => Some(id.to_vec()),
            _ => None,
        }
    });
    bodies.collect()
}

/// Ten thousand states of twenty resources, with one that has something of its own.
#[tokio::test]
async fn ten_thousand_states_are_listed_and_searched_without_their_bodies() {
    const STATES: usize = 10_000;
    let inner = Arc::new(MemoryStore::new());
    let watching = Arc::new(Watching { inner: inner.clone(), bodies: Mutex::default() });
    let fixture = Fixture::over(watching.clone(), inner);
    let bucket = fixture.make_bucket("bucket").await;
    let usual = many(20);
    let other: Vec<_> = (0..20).map(|at| resource("t", &format!("other{at}"))).collect();
    let other = state(&other);
    for at in 0..STATES {
        let body = if at == 7_777 { &other } else { &usual };
        fixture.put_state(("bucket", bucket), &format!("k{at:05}"), body).await;
    }
    let bodies = bodies_of_states(&fixture, bucket).await;
    assert_eq!(bodies.len(), STATES);
    watching.bodies.lock().unwrap().clear();

    let (states, unknown) = list(&fixture, "", 1000).await;
    assert_eq!((states.len(), unknown.len()), (STATES, 0));
    let facts = states[7].version.as_ref().unwrap().facts.as_ref().unwrap();
    assert_eq!(facts.counts.unwrap().managed, 20);
    assert!(watching.bodies.lock().unwrap().is_empty(), "a list reads no body at all");

    let query = ResourceQuery { name: Some("other7".to_owned()), ..ResourceQuery::default() };
    let found = search(&fixture, &query, 100).await;
    assert_eq!(found, (vec![("k07777".to_owned(), "t.other7".to_owned())], Vec::new()));
    let read = watching.bodies.lock().unwrap().clone();
    assert_eq!(read.len(), STATES, "each index once");
    assert_eq!(read.intersection(&bodies).count(), 0, "and no body of a state");

    watching.bodies.lock().unwrap().clear();
    let request = SearchStates {
        principal: &fixture.root,
        bucket: &"bucket".parse().unwrap(),
        prefix: "",
        query: &ResourceQuery::default(),
        after: None,
        limit: 1,
    };
    let page = fixture.store.search_states(&request).await.unwrap();
    assert_eq!(page.found.len(), 1);
    let read = watching.bodies.lock().unwrap().len();
    assert!(read <= 64, "a page that is full soon reads few indexes, not {read}");
}

#[tokio::test]
async fn lists_tell_states_locks_and_what_is_unknown() {
    let fixture = Fixture::new();
    let bucket = fixture.make_bucket("bucket").await;
    fixture.put_state(("bucket", bucket), "a", &many(3)).await;
    fixture.put_state(("bucket", bucket), "b/locked", &many(1)).await;
    fixture.put("bucket", "b/locked.tflock", "{}").await;
    fixture.lock(bucket, "b/locked", "arn:holder").await;
    fixture.put("bucket", "c-never-written.tflock", "{}").await;
    fixture.lock(bucket, "c-never-written", "arn:first").await;
    fixture.put("bucket", "d-plain-locked", "{}").await;
    fixture.put("bucket", "d-plain-locked.tflock", "{}").await;
    fixture.lock(bucket, "d-plain-locked", "arn:second").await;
    // Given back while the bucket was not guarded.
    fixture.lock(bucket, "a", "arn:nobody").await;
    fixture.put("bucket", "e-plain", "{}").await;
    fixture.change_guard(bucket, "f-free", |_| ()).await;
    fixture.guard("bucket").await;
    for limit in [1, 2, 3, 100] {
        let (states, unknown) = list(&fixture, "", limit).await;
        let line = |state: &ListedState| {
            let lock = state.lock.as_ref();
            let serial =
                state.version.as_ref().and_then(|it| it.facts.as_ref()).map(|it| it.serial);
            (state.key.clone(), serial, lock.map(|lock| lock.holder.clone()))
        };
        let arn = |name: &str| Some(format!("arn:{name}"));
        let expected = [
            ("a".to_owned(), Some(3), None),
            ("b/locked".to_owned(), Some(3), arn("holder")),
            ("c-never-written".to_owned(), None, arn("first")),
            ("d-plain-locked".to_owned(), None, arn("second")),
        ];
        assert_eq!(states.iter().map(line).collect::<Vec<_>>(), expected, "{limit}");
        let locks = ["b/locked.tflock", "c-never-written.tflock"];
        let others = ["d-plain-locked", "d-plain-locked.tflock", "e-plain"];
        let expected = [&locks[..], &others[..]].concat();
        assert_eq!(unknown, expected, "{limit}");
        let lock = states[1].lock.as_ref().unwrap();
        assert_eq!(lock.lock.id, "lock-b/locked");
        assert_eq!(lock.since_ms, NOW_MS);
        assert!(states[2].version.is_none());
    }
    let (states, _) = list(&fixture, "b/", 10).await;
    assert_eq!(states.len(), 1);
}

#[tokio::test]
async fn searches_find_by_type_name_address_and_provider() {
    let fixture = Fixture::new();
    let bucket = fixture.make_bucket("bucket").await;
    let one = state(&[resource("t", "a"), resource("t", "b"), resource("u", "a")]);
    fixture.put_state(("bucket", bucket), "one", &one).await;
    fixture.put_state(("bucket", bucket), "two", &state(&[resource("t", "a")])).await;
    // Written again since the guard was last told.
    fixture.put("bucket", "two", "{}").await;
    fixture.put("bucket", "zero", "{}").await;
    let sealed = r#"{"encryption_version":"v0","serial":1,"lineage":"l"}"#;
    fixture.put_state(("bucket", bucket), "sealed", sealed).await;
    fixture.put_state(("bucket", bucket), "large", &many(4_000)).await;
    fixture.put("bucket", "one.tflock", "{}").await;
    fixture.put_state(("bucket", bucket), "damaged", &one).await;
    let damage = |index: &mut StateIndex| index.wrapped_key[30] ^= 1;
    fixture
        .change_guard(bucket, "damaged", |guard| guard.index.as_mut().map(damage).unwrap())
        .await;
    fixture.put_state(("bucket", bucket), "lost", &one).await;
    let lose = |index: &mut StateIndex| index.body = Body::Inline { id: [0; 16], chunks: 1 };
    fixture.change_guard(bucket, "lost", |guard| guard.index.as_mut().map(lose).unwrap()).await;
    let some = |text: &str| Some(text.to_owned());
    let all = ResourceQuery::default();
    let rows = [
        (ResourceQuery { type_name: some("u"), ..all.clone() }, vec!["u.a"]),
        (ResourceQuery { name: some("b"), ..all.clone() }, vec!["t.b"]),
        (ResourceQuery { name: some("a"), ..all.clone() }, vec!["t.a", "u.a"]),
        (ResourceQuery { address: some("t.a"), ..all.clone() }, vec!["t.a"]),
        (ResourceQuery { name: some("a"), provider: some("p"), ..all.clone() }, vec!["t.a", "u.a"]),
        (ResourceQuery { provider: some("q"), ..all.clone() }, vec![]),
        (ResourceQuery { name: some("n3999"), ..all.clone() }, vec!["t.n3999"]),
    ];
    for (query, expected) in rows {
        for limit in [1, 2, 100] {
            let (found, unindexed) = search(&fixture, &query, limit).await;
            let addresses: Vec<_> = found.iter().map(|(_, address)| address.as_str()).collect();
            assert_eq!(addresses, expected, "{query:?} {limit}");
            assert_eq!(
                unindexed,
                ["damaged", "lost", "sealed", "two", "zero"],
                "{query:?} {limit}"
            );
        }
    }
    // In the middle of a state a page ends where the next one begins.
    let (found, _) = search(&fixture, &all, 700).await;
    assert_eq!(found.len(), 4_003);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 4_003);
}

#[tokio::test]
async fn only_the_owner_may_look() {
    let fixture = Fixture::new();
    fixture.make_bucket("bucket").await;
    let other = Principal { is_root: false, canonical_id: "other".into(), ..Principal::root() };
    let (bucket, query) = ("bucket".parse().unwrap(), ResourceQuery::default());
    let request =
        ListStates { principal: &other, bucket: &bucket, prefix: "", after: None, limit: 1 };
    let denied = fixture.store.list_states(&request).await;
    assert_eq!(denied.err(), Some(BucketError::AccessDenied));
    let request = SearchStates {
        principal: &other,
        bucket: &bucket,
        prefix: "",
        query: &query,
        after: None,
        limit: 1,
    };
    let denied = fixture.store.search_states(&request).await;
    assert_eq!(denied.err(), Some(BucketError::AccessDenied));
}
