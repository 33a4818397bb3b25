//! Copies between two data directories: whole, refused, and interrupted.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use tidelock_blob::fs::FsBlobStore;
use tidelock_blob::memory::MemoryBlobStore;
use tidelock_blob::{BlobId, BlobStore};
use tidelock_meta::local::{LocalOptions, LocalStore};
use tidelock_meta::memory::MemoryStore;
use tidelock_meta::record::controls::Controls;
use tidelock_meta::record::run::Run;
use tidelock_meta::record::version::{
    Body, ETag, ObjectFacts, ObjectVersion, VersionId, VersionKind,
};
use tidelock_meta::record::{BucketId, contended, guard, lease, refused, store};
use tidelock_meta::{Batch, MetaStore, OpId, ReadLevel, SystemClock, Write};
use tidelock_store::{StoreState, SystemEntropy, finish_copy, mark_copy};

use super::*;
use crate::args::ServeArgs;
use crate::config::Config;
use crate::error::{FailureKind, ServeError};
use crate::server::Server;

struct Unobserved;

impl CopyObserver for Unobserved {
    fn advanced(&self, _step: CopyStep, _count: u64, _bytes: u64) {}
}

fn config(data: &Path) -> Config {
    let args = ServeArgs {
        data: Some(data.to_owned()),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..ServeArgs::default()
    };
    Config::resolve(args, &|_| None).unwrap()
}

/// A stopped store with a bucket, a user, a key, and so many bodies.
async fn stopped(data: &Path, bodies: u8) {
    let server = Server::bind(config(data)).await.unwrap();
    server.bootstrap(&"states".parse().unwrap()).await.unwrap();
    server.run(async {}).await.unwrap();
    for body in 0..bodies {
        put_body(data, body, &vec![body; 300_000 + usize::from(body)]).await;
    }
}

async fn put_body(data: &Path, id: u8, bytes: &[u8]) {
    let blobs = FsBlobStore::open(&data.join("blobs")).unwrap();
    let mut writer = blobs.create(BlobId([id; 16])).await.unwrap();
    writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    writer.finish().await.unwrap();
}

fn rows_of(data: &Path) -> LocalStore {
    let options = LocalOptions::new(Arc::new(SystemClock::new()));
    LocalStore::open(&data.join("meta"), options).unwrap()
}

async fn put_row(rows: &LocalStore, key: &'static [u8]) {
    let mut batch = Batch::new(OpId([1; 16]));
    batch.writes = vec![Write::Put(Bytes::from_static(key), Bytes::from_static(b"v"))];
    rows.commit(batch).await.unwrap();
}

async fn copy_of(from: &Path, to: &Path, mode: CopyMode) -> Result<CopyReport, CopyError> {
    let place =
        |path: &Path| Place { store: StoreLocation::Directory(path.to_owned()), blobs: None };
    let request = CopyRequest {
        from: place(from),
        to: place(to),
        keyring: None,
        accept_unsafe_replication: false,
        variables: ObjectStoreVariables::default(),
        mode,
    };
    copy(request, Arc::new(SystemClock::new()), Arc::new(SystemEntropy::new()), &Unobserved).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_served_like_its_source_and_copies_back() {
    let root = tempfile::tempdir().unwrap();
    let [from, to, back] = ["from", "to", "back"].map(|name| root.path().join(name));
    stopped(&from, 9).await;
    let looked = copy_of(&from, &to, CopyMode::DryRun).await.unwrap();
    assert!(!to.exists(), "a dry run makes nothing");
    let copied = copy_of(&from, &to, CopyMode::Real).await.unwrap();
    assert_eq!((looked.rows, looked.blobs), (copied.rows, copied.blobs));
    assert_eq!(looked.rows_sha256, copied.rows_sha256);
    assert_eq!(copied.blobs, 9);
    assert!(copied.rows >= 3, "{copied:?}");

    let unsealed = Server::bind(config(&to)).await.err().unwrap();
    assert!(matches!(unsealed, ServeError::Keyring { .. }), "{unsealed}");
    std::fs::copy(from.join("keyring"), to.join("keyring")).unwrap();
    let [mut first, mut second] = [Vec::new(), Vec::new()];
    for (data, pairs) in [(&from, &mut first), (&to, &mut second)] {
        let server = Server::bind(config(data)).await.unwrap();
        pairs.push(server.bootstrap(&"states".parse().unwrap()).await.unwrap().1);
        server.run(async {}).await.unwrap();
    }
    assert_eq!(first, second, "the copy has another key");

    // What a running server writes besides is not part of a store.
    let rows = rows_of(&to);
    let server = lease::key("server/1");
    let mut batch = Batch::new(OpId([1; 16]));
    let row = lease::LeaseRow { owner: [0; 16], expires_ms: 0 }.encode();
    batch.writes = vec![Write::Put(server, row)];
    rows.commit(batch).await.unwrap();
    rows.close();
    let returned = copy_of(&to, &back, CopyMode::Real).await.unwrap();
    assert_eq!((returned.blobs, &returned.blobs_sha256), (copied.blobs, &copied.blobs_sha256));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_use_or_in_the_way_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let [from, full, none] = ["from", "full", "none"].map(|name| root.path().join(name));
    stopped(&from, 1).await;
    stopped(&full, 0).await;
    let to = root.path().join("to");
    let rows: &[(&Path, &Path, FailureKind, &str)] = &[
        (&from, &from, FailureKind::Settings, "the same store"),
        (&from, &full, FailureKind::Exists, "not empty"),
        (&none, &to, FailureKind::NotFound, "there is no store"),
    ];
    for (from, to, kind, message) in rows {
        for mode in [CopyMode::DryRun, CopyMode::Real] {
            let refused = copy_of(from, to, mode).await.unwrap_err();
            assert_eq!(refused.kind(), *kind, "{refused}");
            assert!(refused.to_string().contains(message), "{refused}");
        }
    }
    assert!(!none.exists() && !to.exists());
    let server = Server::bind(config(&from)).await.unwrap();
    let refused = copy_of(&from, &to, CopyMode::Real).await.unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
    server.run(async {}).await.unwrap();
    copy_of(&from, &to, CopyMode::Real).await.unwrap();
    let again = copy_of(&from, &to, CopyMode::Real).await.unwrap_err();
    assert_eq!(again.kind(), FailureKind::Exists, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_copy_is_served_by_nobody_and_starts_over() {
    let root = tempfile::tempdir().unwrap();
    let [from, to, other] = ["from", "to", "other"].map(|name| root.path().join(name));
    stopped(&from, 3).await;
    stopped(&other, 0).await;
    let source = rows_of(&from);
    let row = source.get(&[store::key()], ReadLevel::Latest).await.unwrap().remove(0).unwrap();
    source.close();
    std::fs::create_dir(&to).unwrap();
    std::fs::copy(from.join("keyring"), to.join("keyring")).unwrap();
    let half = rows_of(&to);
    mark_copy(&half, &SystemEntropy::new(), &row.value, StoreState::BeingCopied).await.unwrap();
    put_row(&half, b"\x02 of a source that lived on").await;
    half.close();
    put_body(&to, 0, &vec![0; 300_000]).await;
    put_body(&to, 1, b"not what the source has").await;
    put_body(&to, 200, b"not of the source").await;

    let unfinished = Server::bind(config(&to)).await.err().unwrap();
    assert!(matches!(unfinished, ServeError::Unfinished), "{unfinished}");
    let foreign = copy_of(&other, &to, CopyMode::Real).await.unwrap_err();
    assert_eq!(foreign.kind(), FailureKind::Exists, "{foreign}");
    let from_half = copy_of(&to, &root.path().join("next"), CopyMode::Real).await.unwrap_err();
    assert!(matches!(from_half, CopyError::SourceUnfinished(_)), "{from_half}");
    let copied = copy_of(&from, &to, CopyMode::Real).await.unwrap();
    assert_eq!(copied.blobs, 3);
    let blobs = FsBlobStore::open(&to.join("blobs")).unwrap();
    assert_eq!(blobs.list(None, 10).await.unwrap().len(), 3);
    drop(blobs);
    Server::bind(config(&to)).await.unwrap().run(async {}).await.unwrap();
}

/// Bodies are found by the list of the blob store, not by the rows that name them.
#[tokio::test]
async fn guards_and_refused_versions_are_copied_with_their_bodies() {
    let entropy = SystemEntropy::new();
    let row = store::StoreRow { id: [7; 16], keys: Vec::new(), state: StoreState::Whole };
    let (source, target) = (MemoryStore::new(), MemoryStore::new());
    let (bodies, copied) = (MemoryBlobStore::new(), MemoryBlobStore::new());
    let [index, refused_body] = [[1; 16], [2; 16]];
    for id in [index, refused_body] {
        let mut writer = bodies.create(BlobId(id)).await.unwrap();
        writer.write(Bytes::copy_from_slice(&[id[0]; 300_000])).await.unwrap();
        writer.finish().await.unwrap();
    }
    let id = VersionId { sequence: 1, random: 2 };
    let body = |id| Body::Blob { id };
    let index = guard::StateIndex { version: id, size: 1, body: body(index), wrapped_key: vec![] };
    let guard = guard::GuardRow { index: Some(index), ..guard::GuardRow::default() };
    let facts = ObjectFacts {
        size: 1,
        etag: ETag { md5: [0; 16], parts: None },
        headers: Vec::new(),
        metadata: Vec::new(),
        tags: Vec::new(),
        checksum: None,
        body: body(refused_body),
        wrapped_key: Vec::new(),
        state: None,
        controls: Controls::default(),
    };
    let kind = VersionKind::Object(Box::new(facts));
    let version = ObjectVersion { id, is_null: false, modified_ms: 1, author: String::new(), kind };
    let (code, message, run) = (String::new(), String::new(), Run::default());
    let refused_row = refused::RefusedRow { expires_ms: 1, code, message, run, version };
    let contended_row = contended::ContendedRow { until_ms: 1 };
    let bucket = BucketId([9; 16]);
    let rows = [
        (guard::key(bucket, "k"), guard.encode()),
        (refused::key(bucket, "k", id), refused_row.encode()),
        (contended::key(bucket, "k"), contended_row.encode()),
    ];
    let mut batch = Batch::new(OpId([1; 16]));
    rows.iter().for_each(|(key, value)| batch.put(key.clone(), value.clone()));
    source.commit(batch).await.unwrap();
    let mark = mark_copy(&target, &entropy, &row.encode(), StoreState::BeingCopied).await;
    let mut needed = Needed::of_all();
    let mark = mark.unwrap().unwrap();
    rows::copy(&source, &target, mark, &mut needed, &Unobserved).await.unwrap();
    let missing = bodies::missing(&copied, needed.named()).await.unwrap();
    assert_eq!(needed.lost(&missing), [[1; 16], refused_body].map(BlobId).into());
    assert_eq!(bodies::copy(&bodies, &copied, &Unobserved).await.unwrap().count, 2);
    for (key, value) in rows {
        let found = target.get(&[key], ReadLevel::Latest).await.unwrap().remove(0).unwrap();
        assert_eq!(found.value, value);
    }
    assert!(bodies::missing(&copied, needed.named()).await.unwrap().is_empty());
    let ids = copied.list(None, 10).await.unwrap();
    assert_eq!(ids, [BlobId([1; 16]), BlobId(refused_body)]);
}

#[tokio::test]
async fn a_copy_that_was_taken_over_writes_no_more() {
    let entropy = SystemEntropy::new();
    let whole = StoreState::Whole;
    let whole = store::StoreRow { id: [7; 16], keys: Vec::new(), state: whole }.encode();
    let (source, target) = (MemoryStore::new(), MemoryStore::new());
    let mut batch = Batch::new(OpId([1; 16]));
    batch.put(Bytes::from_static(b"\x7f a row"), Bytes::from_static(b"v"));
    source.commit(batch).await.unwrap();
    let mark = || mark_copy(&target, &entropy, &whole, StoreState::BeingCopied);
    let mut needed = Needed::of_all();
    let first = mark().await.unwrap().unwrap();
    rows::copy(&source, &target, first, &mut needed, &Unobserved).await.unwrap();
    let second = mark().await.unwrap().unwrap();
    let stopped = [
        rows::copy(&source, &target, first, &mut needed, &Unobserved).await.map(|_| ()),
        rows::clear(&target, first, &Unobserved).await,
    ];
    for stopped in stopped {
        assert!(matches!(stopped, Err(CopyError::TakenOver)), "{stopped:?}");
    }
    assert_eq!(finish_copy(&target, &entropy, first).await, Ok(false));
    rows::clear(&target, second, &Unobserved).await.unwrap();
    rows::copy(&source, &target, second, &mut needed, &Unobserved).await.unwrap();
    assert_eq!(finish_copy(&target, &entropy, second).await, Ok(true));
    assert_eq!(mark().await, Ok(None), "what is whole is nobody's to copy to");
    let found = target.get(&[store::key()], ReadLevel::Latest).await.unwrap().remove(0).unwrap();
    assert_eq!(found.value, whole);
}
