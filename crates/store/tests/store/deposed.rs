//! An engine that was replaced by another and does not know it: nobody is answered from its rows. And
//! what being sure of that costs where it was not replaced.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::fixture::{DEPOSED, Fixture, Interrupted, body, if_match, if_none_match};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tidelock_store::*;

const LOCK: &str = r#"{"ID":"0b3f5a3e-0b3f-5a3e-0b3f-5a3e0b3f5a3e","Operation":"apply","Info":"","Who":"a@b","Version":"1.9.0","Created":"2026-01-01T00:00:00Z","Path":"state"}"#;

/// A store with something of everything.
struct Filled {
    fixture: Arc<Fixture>,
    engine: Arc<Interrupted>,
    old: VersionSelector,
    upload: UploadId,
    completed: (UploadId, Vec<RequestedPart>),
    etag: ETag,
    access_key_id: String,
}

impl Filled {
    async fn new() -> Self {
        let (fixture, engine) = Interrupted::fixture().await;
        fixture.make_bucket("empty").await;
        fixture.set_versioning(Versioning::Enabled).await;
        let old = fixture.put("dir/key", body(1 << 20, 1)).await.version;
        let etag = fixture.put("dir/key", "new").await.etag;
        fixture.put("a.tflock", LOCK).await;
        let upload = fixture.begin_upload("multi").await;
        let parts = vec![fixture.put_part("multi", upload, 1, "part").await];
        fixture.complete("multi", upload, &parts, &WriteCondition::default()).await.unwrap();
        let completed = (upload, parts);
        let upload = fixture.begin_upload("under way").await;
        fixture.put_part("under way", upload, 1, "part").await;
        fixture.store.create_user(&fixture.root, "alice").await.unwrap();
        let key = fixture.store.create_access_key(&fixture.root, "alice", None).await.unwrap().key;
        let old = old.to_string().parse().unwrap();
        let access_key_id = key.access_key_id;
        Self { fixture, engine, old, upload, completed, etag, access_key_id }
    }
}

type Asked<'a> = (&'static str, BoxFuture<'a, String>);

/// What an operation answered, to be looked at by a person or a test.
fn shown<'a, T: Debug>(
    name: &'static str,
    operation: impl Future<Output = T> + Send + 'a,
) -> Asked<'a> {
    (name, operation.map(|answer| format!("{answer:?}")).boxed())
}

fn objects(filled: &Filled) -> Vec<Asked<'_>> {
    let Filled { fixture, old, etag, .. } = filled;
    let (store, root, bucket) = (&fixture.store, &fixture.root, &fixture.bucket);
    let head = |key: &'static str, version| async move {
        store.head_object(root, bucket, &key.parse().unwrap(), version).await
    };
    let delete = |key: &'static str, version, condition: DeleteCondition| async move {
        store.delete_object(root, bucket, &key.parse().unwrap(), version, &condition).await
    };
    let tag = |key: &'static str, version| async move {
        let edit = ObjectEdit::Tags(Vec::new());
        store.edit_object(root, bucket, &key.parse().unwrap(), version, &edit).await
    };
    let copy = |key: &'static str| async move {
        let (condition, to) = (WriteCondition::default(), "copy".parse().unwrap());
        let source =
            CopySource { bucket, key: &key.parse().unwrap(), version: None, customer_key: None };
        let checksum = None;
        let request = CopyObject {
            principal: root,
            source,
            bucket,
            key: &to,
            condition: &condition,
            checksum,
        };
        store.copy_object(&request, |_| Ok::<_, ()>(ObjectSettings::default())).await
    };
    let missing = Some("00000000000000000000000000000001".parse().unwrap());
    let other_etag = Some(ETagMatch::OneOf(vec!["0".to_owned()]));
    let stale = DeleteCondition { if_match: other_etag, ..DeleteCondition::default() };
    let other = ETag { md5: [0; 16], parts: None };
    let matching = if_match(etag);
    let write = |key: &'static str, body: &'static str, condition: WriteCondition| async move {
        fixture.put_if(key, body, &condition).await
    };
    vec![
        shown("get", fixture.get("dir/key")),
        shown("get a version in a blob", fixture.get_range("dir/key", Some(*old), None)),
        shown("get parts", fixture.get("multi")),
        shown("get nothing", fixture.get("nothing")),
        shown("head", head("dir/key", None)),
        shown("head a version", head("dir/key", Some(*old))),
        shown("head null", head("dir/key", Some(VersionSelector::Null))),
        shown("head no version", head("dir/key", missing)),
        shown("put refused: exists", write("dir/key", "x", if_none_match())),
        shown("put refused: other", write("dir/key", "x", if_match(&other))),
        shown("put refused: nothing there", write("nothing", "x", matching.clone())),
        shown("put", write("dir/key", "x", matching)),
        shown("lock refused", write("a.tflock", "{}", if_none_match())),
        shown("the same lock again", write("a.tflock", LOCK, if_none_match())),
        shown("delete no version", delete("dir/key", missing, DeleteCondition::default())),
        shown("delete refused", delete("dir/key", None, stale.clone())),
        shown("delete refused: nothing there", delete("nothing", None, stale)),
        shown("delete", delete("dir/key", None, DeleteCondition::default())),
        shown("tag", tag("dir/key", None)),
        shown("tag nothing", tag("nothing", None)),
        shown("tag no version", tag("dir/key", missing)),
        shown("copy", copy("dir/key")),
        shown("copy nothing", copy("nothing")),
    ]
}

fn listings(filled: &Filled) -> Vec<Asked<'_>> {
    let Filled { fixture, .. } = filled;
    let (store, principal, bucket) = (&fixture.store, &fixture.root, &fixture.bucket);
    let list = |delimiter, limit| async move {
        let (prefix, after) = ("", None);
        let request = ListObjects { principal, bucket, prefix, delimiter, after, limit };
        store.list_objects(&request).await
    };
    let versions = |limit| async move {
        let (prefix, delimiter, after) = ("", None, None);
        let request = ListVersions { principal, bucket, prefix, delimiter, after, limit };
        store.list_versions(&request).await
    };
    let uploads = async move {
        let (prefix, delimiter, after) = ("", None, None);
        let request = ListUploads { principal, bucket, prefix, delimiter, after, limit: 10 };
        store.list_uploads(&request).await
    };
    vec![
        shown("list", list(None, 10)),
        shown("list one", list(None, 1)),
        shown("list nothing", list(None, 0)),
        shown("list by delimiter", list(Some("/"), 10)),
        shown("versions", versions(10)),
        shown("no versions", versions(0)),
        shown("uploads", uploads),
    ]
}

fn uploads(filled: &Filled) -> Vec<Asked<'_>> {
    let Filled { fixture, upload, completed, .. } = filled;
    let (store, root, bucket) = (&fixture.store, &fixture.root, &fixture.bucket);
    let parts = |key: &'static str, upload| async move {
        store.list_parts(root, bucket, &key.parse().unwrap(), upload, 0, 10).await
    };
    let abort = |key: &'static str| async move {
        store.abort_upload(root, bucket, &key.parse().unwrap(), *upload).await
    };
    let complete = |key: &'static str, upload, parts: Vec<RequestedPart>| async move {
        fixture.complete(key, upload, &parts, &WriteCondition::default()).await
    };
    let put = |key: &'static str| async move {
        let request = UploadPart {
            principal: root,
            bucket,
            key: &key.parse().unwrap(),
            upload: *upload,
            number: 2,
            content_md5: None,
            checksum: None,
            customer_key: None,
        };
        store.upload_part(&request, &mut BytesSource::new("part")).await
    };
    let wrong = vec![RequestedPart { number: 9, etag: "0".to_owned(), checksum: None }];
    vec![
        shown("parts", parts("under way", *upload)),
        shown("parts of nothing", parts("nothing", *upload)),
        shown("upload a part", put("under way")),
        shown("upload a part of nothing", put("nothing")),
        shown("complete", complete("under way", *upload, completed.1.clone())),
        shown("complete again", complete("multi", completed.0, completed.1.clone())),
        shown("complete with others", complete("multi", completed.0, wrong)),
        shown("complete nothing", complete("nothing", *upload, completed.1.clone())),
        shown("abort", abort("under way")),
        shown("abort nothing", abort("nothing")),
    ]
}

fn buckets(filled: &Filled) -> Vec<Asked<'_>> {
    let Filled { fixture, .. } = filled;
    let (store, root) = (&fixture.store, &fixture.root);
    let look = |name: &'static str| async move { store.bucket(root, &name.parse().unwrap()).await };
    let region =
        |name: &'static str| async move { store.bucket_region(&name.parse().unwrap()).await };
    let create = |name: &'static str| async move {
        store.create_bucket(root, &name.parse().unwrap(), NewBucket::default()).await
    };
    let delete =
        |name: &'static str| async move { store.delete_bucket(root, &name.parse().unwrap()).await };
    let change = |name: &'static str| async move {
        let change = BucketChange::Versioning(Versioning::Enabled);
        store.change_bucket(root, &name.parse().unwrap(), &change).await
    };
    vec![
        shown("bucket", look("bucket")),
        shown("no bucket", look("nothing")),
        shown("region", region("bucket")),
        shown("no region", region("nothing")),
        shown("buckets", store.list_buckets(root, "", None, 10, false)),
        shown("create a bucket", create("another")),
        shown("create a bucket again", create("bucket")),
        shown("delete a bucket", delete("empty")),
        shown("delete a full bucket", delete("bucket")),
        shown("delete no bucket", delete("nothing")),
        shown("change nothing", change("bucket")),
        shown("change no bucket", change("nothing")),
    ]
}

fn identities(filled: &Filled) -> Vec<Asked<'_>> {
    let Filled { fixture, .. } = filled;
    let (store, root) = (&fixture.store, &fixture.root);
    vec![
        shown("nobody's credentials", store.credentials("AKIANOBODY")),
        shown("users", store.list_users(root)),
        shown("create a user again", store.create_user(root, "alice")),
        shown("delete a user with keys", store.delete_user(root, "alice")),
        shown("delete no user", store.delete_user(root, "nobody")),
        shown("keys", store.list_access_keys(root, None)),
        shown("create a key of nobody", store.create_access_key(root, "nobody", None)),
        shown("delete no key", store.delete_access_key(root, "AKIANOBODY")),
        shown("rotate no key", store.rotate_access_key(root, "AKIANOBODY", Duration::ZERO, None)),
        shown("servers", store.servers()),
        shown("release a lease", store.release("nobody's")),
        shown("sweep", store.sweep()),
    ]
}

#[tokio::test]
async fn nobody_is_answered_from_outdated_rows() {
    let filled = Filled::new().await;
    filled.engine.depose();
    let asked = [objects, listings, uploads, buckets, identities];
    for (name, operation) in asked.iter().flat_map(|all| all(&filled)) {
        let answer = operation.await;
        assert!(answer.starts_with("Err(") && answer.contains(DEPOSED), "{name}: {answer}");
    }
}

#[tokio::test]
async fn an_answer_is_confirmed_once_and_a_commit_needs_nothing() {
    let filled = Filled::new().await;
    let Filled { fixture, engine, old, etag, .. } = &filled;
    let (store, root) = (&fixture.store, &fixture.root);
    let condition = if_match(etag);
    let none_match = if_none_match();
    let nobody = Principal { is_root: false, ..root.clone() };
    let upload = async {
        let upload = fixture.begin_upload("new").await;
        fixture.put_part("new", upload, 1, "part").await
    };
    let rows = [
        (0, shown("put", fixture.put("dir/key2", "x"))),
        (0, shown("put a blob", fixture.put("dir/key2", body(1 << 20, 1)))),
        (0, shown("put if", fixture.put_if("dir/key", "x", &condition))),
        (0, shown("lock", fixture.put_if("b.tflock", LOCK, &none_match))),
        (1, shown("lock again", fixture.put_if("b.tflock", LOCK, &none_match))),
        (0, shown("unlock", fixture.delete("b.tflock", None))),
        (1, shown("put refused", fixture.put_if("dir/key", "x", &none_match))),
        (1, shown("get", fixture.get("dir/key"))),
        (1, shown("get a blob", fixture.get_range("dir/key", Some(*old), None))),
        (1, shown("get parts", fixture.get("multi"))),
        (1, shown("get nothing", fixture.get("nothing"))),
        (1, shown("list", fixture.list("", Some("/"), 100))),
        (1, shown("versions", fixture.versions(100))),
        (0, shown("begin an upload and put a part", upload)),
        (0, shown("credentials", store.credentials(&filled.access_key_id))),
        (1, shown("no credentials", store.credentials("AKIANOBODY"))),
        (0, shown("not root", store.list_users(&nobody))),
    ];
    for (expected, (name, operation)) in rows {
        let before = engine.confirms();
        let answer = operation.await;
        assert_eq!(engine.confirms() - before, expected, "{name}: {answer}");
    }
}

#[tokio::test]
async fn what_was_read_from_two_engines_is_no_answer() {
    // A get reads the bucket and then the head.
    for (before_read, expected) in [(1, false), (2, false), (3, true)] {
        let filled = Filled::new().await;
        let Filled { fixture, engine, .. } = &filled;
        let changing = Arc::clone(engine);
        engine.before_read(before_read, async move { changing.change_hands() });
        let got = fixture.get("dir/key").await;
        assert_eq!(got.is_ok(), expected, "{before_read}: {got:?}");
        fixture.get("dir/key").await.unwrap();
    }
}

/// A write whose sync failed may be there after the next start: that nothing had to be deleted would then
/// have been wrong. Reads go on.
#[tokio::test]
async fn nothing_is_acknowledged_once_the_disk_has_failed() {
    let filled = Filled::new().await;
    let Filled { fixture, engine, .. } = &filled;
    engine.fail_disk();
    assert_eq!(fixture.get("dir/key").await.unwrap(), b"new");
    let (store, root, bucket) = (&fixture.store, &fixture.root, &fixture.bucket);
    let condition = DeleteCondition::default();
    let none = "0000000000000001000000000000000a".parse().unwrap();
    for (key, version) in [("a.tflock", Some(none)), ("dir/key", Some(none))] {
        let key = key.parse().unwrap();
        let told = store.delete_object(root, bucket, &key, version, &condition).await;
        let is_refused = matches!(
            told,
            Err(DeleteObjectError::Bucket(BucketError::Storage(StorageError::Unavailable(_))))
        );
        assert!(is_refused, "{key}: {told:?}");
    }
}
