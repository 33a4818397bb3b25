//! A store in memory whose states have what the guard's write path derives, and short words for it.

use std::sync::Arc;

use tidelock_blob::memory::MemoryBlobStore;
use tidelock_meta::clock::ManualClock;
use tidelock_meta::memory::MemoryStore;
use tidelock_meta::record::controls::Controls;
use tidelock_meta::record::guard::{self, GuardRow, Hold, StateIndex};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::refused::{self, RefusedRow};
use tidelock_meta::record::run::Run;
use tidelock_meta::record::state::StateFacts;
use tidelock_meta::record::version::{
    Body, ETag, ObjectFacts, ObjectVersion, VersionId, VersionKind,
};
use tidelock_meta::record::{BucketId, audit_entry, bucket};
use tidelock_meta::{Batch, Direction, Key, KeyRange, MetaStore, OpId, ReadLevel};

use super::{Index, derive};
use crate::body::write::BodyExpectation;
use crate::*;

pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

pub(crate) struct Fixture {
    pub(crate) store: Arc<Store>,
    pub(crate) meta: Arc<MemoryStore>,
    pub(crate) blobs: Arc<MemoryBlobStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) root: Principal,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let meta = Arc::new(MemoryStore::new());
        Self::over(meta.clone(), meta)
    }

    /// A store over an engine that stands in front of `meta`.
    pub(crate) fn over(engine: Arc<dyn MetaStore>, meta: Arc<MemoryStore>) -> Self {
        let entropy = Arc::new(SystemEntropy::new());
        let keyring = Keyring::parse(&Keyring::generate("test", &*entropy)).unwrap();
        let blobs = Arc::new(MemoryBlobStore::new());
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let config = StoreConfig::default();
        let store = Store::new(engine, blobs.clone(), keyring, clock.clone(), entropy, config);
        Self { store: Arc::new(store), meta, blobs, clock, root: Principal::root() }
    }

    pub(crate) async fn make_bucket(&self, name: &str) -> BucketId {
        let name: BucketName = name.parse().unwrap();
        self.store.create_bucket(&self.root, &name, NewBucket::default()).await.unwrap();
        let row = self.store.rows.latest().value(bucket::key(name.as_str())).await.unwrap();
        BucketRow::decode(&row.unwrap()).unwrap().id
    }

    /// Guards a bucket whose states are there already.
    pub(crate) async fn guard(&self, name: &str) {
        let change = BucketChange::Guard(Some(GuardConfig::enforced()));
        self.store.change_bucket(&self.root, &name.parse().unwrap(), &change).await.unwrap();
    }

    pub(crate) async fn put(&self, bucket: &str, state_key: &str, body: &str) {
        let request = PutObject {
            principal: &self.root,
            bucket: &bucket.parse().unwrap(),
            key: &key(state_key),
            condition: &WriteCondition::default(),
            settings: &ObjectSettings::default(),
            content_md5: None,
            checksum: None,
        };
        let mut source = BytesSource::new(body.to_owned());
        self.store.put_object(&request, &mut source).await.unwrap();
    }

    /// Writes a state with its facts, its index and its guard.
    pub(crate) async fn put_state(&self, place: (&str, BucketId), state_key: &str, body: &str) {
        let (name, bucket) = place;
        self.put(name, state_key, body).await;
        let row = head::key(bucket, state_key);
        let seen = self.store.rows.latest().row(row.clone()).await.unwrap().unwrap();
        let mut head = HeadRow::decode(&seen.value).unwrap();
        let current = head.current.as_mut().unwrap();
        let id = current.id;
        let derived = derive(body.as_bytes());
        let known = StateFacts { counts: derived.counts, ..facts() };
        let sealed = self.store.seal_state_facts(bucket, &key(state_key), id, &known);
        let VersionKind::Object(facts) = &mut current.kind else { panic!("a delete marker") };
        facts.state = Some(sealed);
        let index = match &derived.index {
            Some(index) => Some(self.keep((bucket, state_key), id, index).await),
            None => None,
        };
        self.change_guard(bucket, state_key, |guard| guard.index = index).await;
        self.commit(row, head.encode()).await;
    }

    pub(crate) async fn keep(
        &self,
        place: (BucketId, &str),
        id: VersionId,
        index: &Index,
    ) -> StateIndex {
        let written = self.store.write_index(index).await.unwrap();
        let mut batch = Batch::new(OpId([1; 16]));
        let kept = self.store.keep_index(&mut batch, &written, place.0, &key(place.1), id);
        assert!(self.store.try_commit(batch).await.unwrap());
        kept
    }

    pub(crate) async fn discard(&self, index: &StateIndex) {
        let mut batch = Batch::new(OpId([2; 16]));
        self.store.discard_index(&mut batch, index);
        assert!(self.store.try_commit(batch).await.unwrap());
    }

    pub(crate) async fn change_guard(
        &self,
        bucket: BucketId,
        state_key: &str,
        change: impl FnOnce(&mut GuardRow),
    ) {
        let row = guard::key(bucket, state_key);
        let seen = self.store.rows.latest().value(row.clone()).await.unwrap();
        let mut guard = seen.map(|seen| GuardRow::decode(&seen).unwrap()).unwrap_or_default();
        change(&mut guard);
        self.commit(row, guard.encode()).await;
    }

    /// A lock that `holder` took on a state: the object that was put under its key, if there is one.
    pub(crate) async fn lock(&self, bucket: BucketId, state_key: &str, holder: &str) {
        let row = head::key(bucket, &format!("{state_key}.tflock"));
        let seen = self.store.rows.latest().value(row).await.unwrap();
        let head = seen.map(|seen| HeadRow::decode(&seen).unwrap());
        let current = head.and_then(|head| head.current).map(|version| version.id);
        let version = current.unwrap_or(VersionId { sequence: 1, random: 2 });
        let body = format!(r#"{{"ID":"lock-{state_key}","Operation":"OperationTypeApply"}}"#);
        let sealed_lock = self.store.seal_lock(bucket, &key(state_key), version, body.as_bytes());
        let run = Run { holder: holder.to_owned(), ..Run::default() };
        let hold = Hold { sealed_lock, ..Hold::begun(version, NOW_MS, run) };
        self.change_guard(bucket, state_key, |guard| guard.hold = Some(hold)).await;
    }

    /// A version with a body of so many bytes that nothing refers to yet.
    pub(crate) async fn body(&self, bytes: usize) -> ObjectVersion {
        let mut source = BytesSource::new(vec![b' '; bytes]);
        let expectation = BodyExpectation::default();
        let written = self.store.write_body(&mut source, &expectation).await.unwrap();
        let mut batch = Batch::new(OpId([3; 16]));
        written.keep(&mut batch);
        assert!(self.store.try_commit(batch).await.unwrap());
        let mut version = version(VersionId { sequence: 5, random: 5 }, None);
        let VersionKind::Object(facts) = &mut version.kind else { panic!("a delete marker") };
        facts.body = written.body;
        version
    }

    pub(crate) async fn refuse(
        &self,
        place: (BucketId, &str),
        sequence: u64,
        expires_ms: i64,
        bytes: usize,
    ) {
        let row = RefusedRow {
            expires_ms,
            code: "OldSerial".to_owned(),
            message: String::new(),
            run: Run::default(),
            version: self.body(bytes).await,
        };
        let id = VersionId { sequence, random: 0 };
        self.commit(refused::key(place.0, place.1, id), row.encode()).await;
    }

    pub(crate) async fn commit(&self, key: Key, value: bytes::Bytes) {
        let mut batch = Batch::new(OpId([4; 16]));
        batch.put(key, value);
        assert!(self.store.try_commit(batch).await.unwrap());
    }

    /// The keys of all rows but those of the audit log, which grows with whatever is done.
    pub(crate) async fn rows(&self) -> Vec<Key> {
        let all = KeyRange { start: Key::new(), end: None };
        let rows = self.meta.scan(all, usize::MAX, Direction::Forward, ReadLevel::Latest).await;
        let log = audit_entry::range();
        let is_log = |key: &Key| *key >= log.start && log.end.as_ref().is_none_or(|end| key < end);
        rows.unwrap().into_iter().map(|(key, _)| key).filter(|key| !is_log(key)).collect()
    }
}

pub(crate) fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

/// A state with these resources.
pub(crate) fn state(resources: &[String]) -> String {
    format!(r#"{{"version":4,"serial":1,"lineage":"l","resources":[{}]}}"#, resources.join(","))
}

/// A resource with one instance.
pub(crate) fn resource(type_name: &str, name: &str) -> String {
    format!(
        r#"{{"mode":"managed","type":"{type_name}","name":"{name}","provider":"provider[\"p\"]","instances":[{{"attributes":{{}}}}]}}"#
    )
}

/// A state with so many resources, all of other names.
pub(crate) fn many(resources: usize) -> String {
    let resources: Vec<_> = (0..resources).map(|at| resource("t", &format!("n{at}"))).collect();
    state(&resources)
}

pub(crate) fn facts() -> StateFacts {
    StateFacts {
        serial: 3,
        lineage: "l".to_owned(),
        sha256: [9; 32],
        format_version: Some(4),
        terraform_version: Some("1.11.4".to_owned()),
        counts: None,
        changes: None,
        changed: vec!["+ a.b".to_owned()],
        run: Run::default(),
        lock: None,
        rolled_back_from: None,
    }
}

pub(crate) fn version(id: VersionId, state: Option<Vec<u8>>) -> ObjectVersion {
    let facts = ObjectFacts {
        size: 1,
        etag: ETag { md5: [0; 16], parts: None },
        headers: Vec::new(),
        metadata: Vec::new(),
        tags: Vec::new(),
        checksum: None,
        body: Body::Empty,
        wrapped_key: Vec::new(),
        state,
        controls: Controls::default(),
    };
    ObjectVersion {
        id,
        is_null: false,
        modified_ms: NOW_MS,
        author: "arn".to_owned(),
        kind: VersionKind::Object(Box::new(facts)),
    }
}
