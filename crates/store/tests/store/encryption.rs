//! SSE-C and SSE-KMS: who opens what, and what is left of it in the rows.

use crate::fixture::run::{LOCK, STATE, drain, guarded, lock_body, state};
use crate::fixture::{Fixture, body, if_none_match};
use bytes::Bytes;
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::{ObjectFacts, VersionKind};
use tidelock_meta::{Batch, Direction, KeyRange, MetaStore as _, OpId, ReadLevel};
use tidelock_store::*;

/// Above what travels in a commit.
const LARGE_BYTES: usize = 300 << 10;
const CONTEXT: &str = "eyJhIjoiYiJ9";

fn customer(byte: u8) -> CustomerKey {
    CustomerKey::new(&[byte; CUSTOMER_KEY_BYTES]).unwrap()
}

fn of_customer(byte: u8) -> EncryptionRequest {
    EncryptionRequest::Customer(customer(byte))
}

fn of_kms(key: Option<&str>, context: Option<&str>) -> EncryptionRequest {
    let (key, context) = (key.map(str::to_owned), context.map(str::to_owned));
    EncryptionRequest::Kms { key, context, bucket_key: None }
}

async fn put(
    fixture: &Fixture,
    key: &str,
    bytes: impl Into<Bytes>,
    encryption: EncryptionRequest,
) -> Result<StoredObject, PutObjectError> {
    let settings = ObjectSettings { encryption, ..ObjectSettings::default() };
    let request = PutObject {
        principal: &fixture.root,
        bucket: &fixture.bucket,
        key: &key.parse().unwrap(),
        condition: &WriteCondition::default(),
        settings: &settings,
        content_md5: None,
        checksum: None,
    };
    fixture.store.put_object(&request, &mut BytesSource::new(bytes)).await
}

async fn read(
    fixture: &Fixture,
    key: &str,
    customer: Option<&CustomerKey>,
) -> Result<(ObjectInfo, Vec<u8>), GetObjectError> {
    let (principal, bucket, key) = (&fixture.root, &fixture.bucket, &key.parse().unwrap());
    let all = |_: &ObjectInfo| Ok::<_, ()>(None);
    let wanted = (None, customer);
    let got = fixture.store.get_object_with_key(principal, bucket, key, wanted, all).await?;
    let GetObject { info, reader } = got.unwrap();
    Ok((info, drain(reader).await?))
}

/// What a reader gets with the right key, another one, and none.
async fn answers(fixture: &Fixture, key: &str, right: u8) -> [Result<Vec<u8>, GetObjectError>; 3] {
    let (right, wrong) = (customer(right), customer(right ^ 0xFF));
    let mut answers = Vec::new();
    for customer in [Some(&right), Some(&wrong), None] {
        answers.push(read(fixture, key, customer).await.map(|(_, bytes)| bytes));
    }
    answers.try_into().unwrap()
}

fn refused(error: EncryptionError) -> Result<Vec<u8>, GetObjectError> {
    Err(GetObjectError::Encryption(error))
}

#[tokio::test]
async fn a_customers_object_opens_with_its_key_only() {
    let fixture = Fixture::new().await;
    for size in [0, 1, 40_000, LARGE_BYTES] {
        let bytes = body(size, 1);
        let stored = put(&fixture, "k", bytes.clone(), of_customer(7)).await.unwrap();
        let expected = ServerSideEncryption::Customer { key_md5: customer(7).md5() };
        assert_eq!(stored.encryption, expected);
        let [right, wrong, none] = answers(&fixture, "k", 7).await;
        assert_eq!(right, Ok(bytes), "{size}");
        assert_eq!(wrong, refused(EncryptionError::WrongKey), "{size}");
        assert_eq!(none, refused(EncryptionError::KeyMissing), "{size}");
        let (info, _) = read(&fixture, "k", Some(&customer(7))).await.unwrap();
        assert_eq!((info.checksum, info.etag), (stored.checksum, stored.etag), "{size}");
    }
    fixture.put("plain", "bytes").await;
    let key = customer(7);
    let answer = read(&fixture, "plain", Some(&key)).await.map(|(_, bytes)| bytes);
    assert_eq!(answer, refused(EncryptionError::KeyNotApplicable));
}

#[tokio::test]
async fn copies_open_the_source_with_one_key_and_seal_with_another() {
    let fixture = Fixture::new().await;
    let (from, to) = (customer(1), customer(2));
    put(&fixture, "from", "bytes", of_customer(1)).await.unwrap();
    let copy = async |customer_key, encryption: EncryptionRequest| {
        let source = CopySource {
            bucket: &fixture.bucket,
            key: &"from".parse().unwrap(),
            version: None,
            customer_key,
        };
        let request = CopyObject {
            principal: &fixture.root,
            source,
            bucket: &fixture.bucket,
            key: &"to".parse().unwrap(),
            condition: &WriteCondition::default(),
            checksum: None,
        };
        let settings = ObjectSettings { encryption, ..ObjectSettings::default() };
        let copied = fixture.store.copy_object(&request, |_| Ok::<_, ()>(settings.clone())).await;
        copied.map(|copied| copied.unwrap().1)
    };
    let refused = |result: Result<StoredObject, CopyError>| match result {
        Err(CopyError::Source(GetObjectError::Encryption(error))) => Some(error),
        _ => None,
    };
    assert_eq!(refused(copy(None, of_customer(2)).await), Some(EncryptionError::KeyMissing));
    assert_eq!(refused(copy(Some(&to), of_customer(2)).await), Some(EncryptionError::WrongKey));
    copy(Some(&from), of_customer(2)).await.unwrap();
    assert_eq!(read(&fixture, "to", Some(&to)).await.unwrap().1, b"bytes");
    copy(Some(&from), EncryptionRequest::BucketDefault).await.unwrap();
    assert_eq!(fixture.get("to").await.unwrap(), b"bytes", "a copy has what is asked for it");
}

#[tokio::test]
async fn every_request_of_an_upload_repeats_its_key() {
    let fixture = Fixture::new().await;
    let key = "k".parse().unwrap();
    let settings = ObjectSettings { encryption: of_customer(3), ..ObjectSettings::default() };
    let create = CreateUpload {
        principal: &fixture.root,
        bucket: &fixture.bucket,
        key: &key,
        settings: &settings,
        checksum: Some((ChecksumAlgorithm::Crc32, None)),
    };
    let upload = fixture.store.create_upload(&create).await.unwrap().upload;
    let (right, wrong) = (customer(3), customer(4));
    let part = async |number: u16, customer_key| {
        let request = UploadPart {
            principal: &fixture.root,
            bucket: &fixture.bucket,
            key: &key,
            upload,
            number,
            content_md5: None,
            checksum: None,
            customer_key,
        };
        let bytes = body(LARGE_BYTES, u64::from(number));
        fixture.store.upload_part(&request, &mut BytesSource::new(bytes)).await
    };
    for (customer, expected) in
        [(None, EncryptionError::KeyMissing), (Some(&wrong), EncryptionError::WrongKey)]
    {
        let error = part(1, customer).await.unwrap_err();
        let same = matches!(&error, UploadPartError::Put(PutObjectError::Encryption(it)) if *it == expected);
        assert!(same, "{error:?}");
    }
    let mut parts = Vec::new();
    for number in [1, 2] {
        let stored = part(number, Some(&right)).await.unwrap();
        let again = part(number, Some(&right)).await.unwrap();
        assert_eq!(stored.md5, again.md5, "sent again it is the same");
        let checksum = stored.checksum.map(|it| (it.algorithm, it.value));
        parts.push(RequestedPart { number, etag: hex::encode(stored.md5), checksum });
    }
    let complete = async |customer_key| {
        let request = CompleteUpload {
            principal: &fixture.root,
            bucket: &fixture.bucket,
            key: &key,
            upload,
            condition: &WriteCondition::default(),
            parts: &parts,
            checksum: None,
            size: None,
            customer_key,
        };
        fixture.store.complete_upload(&request).await
    };
    let refused = |error| Err(CompleteError::Encryption(error));
    assert_eq!(complete(None).await, refused(EncryptionError::KeyMissing));
    assert_eq!(complete(Some(&wrong)).await, refused(EncryptionError::WrongKey));
    let stored = complete(Some(&right)).await.unwrap();
    let whole = [body(LARGE_BYTES, 1), body(LARGE_BYTES, 2)].concat();
    let (info, bytes) = read(&fixture, "k", Some(&right)).await.unwrap();
    assert_eq!((bytes, info.checksum), (whole, stored.checksum));
    let shown = info.part_checksums.unwrap();
    let sent = parts.iter().map(|part| part.checksum.clone().unwrap().1);
    assert!(shown.into_iter().map(|checksum| checksum.unwrap().value).eq(sent));
    let [_, wrong, none] = answers(&fixture, "k", 3).await;
    assert!(wrong.is_err() && none.is_err());
}

/// Whether the rows show `wanted`, raw or in hexadecimal.
async fn rows_show(fixture: &Fixture, wanted: &[u8]) -> bool {
    let all = KeyRange::prefix(&[]);
    let rows = fixture.meta.scan(all, 10_000, Direction::Forward, ReadLevel::Latest).await.unwrap();
    let text = hex::encode(wanted);
    rows.iter().any(|(key, row)| {
        [key, &row.value].into_iter().any(|bytes| {
            [wanted, text.as_bytes()]
                .into_iter()
                .any(|wanted| bytes.windows(wanted.len()).any(|window| window == wanted))
        })
    })
}

#[tokio::test]
async fn rows_tell_nothing_of_what_a_customer_sealed() {
    let fixture = Fixture::new().await;
    let bytes = b"what only the customer may know";
    let plain = fixture.put("plain", &bytes[..]).await;
    let (md5, checksum) = (plain.etag.md5, plain.checksum.unwrap().value);
    assert!(rows_show(&fixture, &md5).await && rows_show(&fixture, &checksum).await);
    fixture.delete("plain", None).await;
    assert!(!rows_show(&fixture, &md5).await, "the looking works");
    let key = [0xC7; CUSTOMER_KEY_BYTES];
    let stored = put(&fixture, "k", &bytes[..], of_customer(0xC7)).await.unwrap();
    assert_eq!(stored.checksum.unwrap().value, checksum, "its writer is told");
    let secrets = [&bytes[..], &md5, &checksum, &key];
    for secret in secrets {
        assert!(!rows_show(&fixture, secret).await, "{secret:?}");
    }
    let info = fixture
        .store
        .head_object(&fixture.root, &fixture.bucket, &"k".parse().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(info.checksum, None);
}

/// Changes the facts of the current version of `key` behind the store's back.
async fn tamper(fixture: &Fixture, key: &str, change: impl FnOnce(&mut ObjectFacts)) {
    let bucket = fixture.store.bucket(&fixture.root, &fixture.bucket).await.unwrap().row.id;
    let key = head::key(bucket, key);
    let seen = fixture.meta.get(std::slice::from_ref(&key), ReadLevel::Latest).await.unwrap();
    let mut row = HeadRow::decode(&seen[0].as_ref().unwrap().value).unwrap();
    if let VersionKind::Object(facts) = &mut row.current.as_mut().unwrap().kind {
        change(facts);
    }
    let mut batch = Batch::new(OpId([9; 16]));
    batch.put(key, row.encode());
    fixture.meta.commit(batch).await.unwrap();
}

async fn facts(fixture: &Fixture, key: &str) -> ObjectFacts {
    let mut found = None;
    tamper(fixture, key, |facts| found = Some(facts.clone())).await;
    found.unwrap()
}

#[tokio::test]
async fn what_was_moved_or_changed_does_not_open() {
    type Change = fn(&mut ObjectFacts, &ObjectFacts);
    let changes: [(&str, Change); 3] = [
        ("the wrapped key of another object", |facts, other| {
            facts.wrapped_key.clone_from(&other.wrapped_key);
        }),
        ("the body of another object", |facts, other| facts.body.clone_from(&other.body)),
        ("both", |facts, other| {
            facts.wrapped_key.clone_from(&other.wrapped_key);
            facts.body.clone_from(&other.body);
        }),
    ];
    let fixture = Fixture::new().await;
    let kinds = [
        (EncryptionRequest::S3, None),
        (of_kms(None, Some(CONTEXT)), None),
        (of_customer(5), Some(customer(5))),
    ];
    for (kind, key) in kinds {
        for (name, change) in changes {
            for object in ["a", "b"] {
                put(&fixture, object, format!("bytes of {object}"), kind.clone()).await.unwrap();
            }
            let other = facts(&fixture, "b").await;
            tamper(&fixture, "a", |facts| change(facts, &other)).await;
            let answer = read(&fixture, "a", key.as_ref()).await;
            assert!(answer.is_err(), "{kind:?}: {name}");
            assert!(read(&fixture, "b", key.as_ref()).await.is_ok(), "{kind:?}: {name}");
        }
    }
    let relabelled = [
        (of_customer(5), ServerSideEncryption::S3),
        (of_kms(None, Some(CONTEXT)), ServerSideEncryption::S3),
        (
            of_kms(None, Some(CONTEXT)),
            ServerSideEncryption::Kms {
                key: "arn:aws:kms:us-east-1:000000000000:key/test".to_owned(),
                context: Some("eyJhIjoiYyJ9".to_owned()),
                bucket_key: false,
            },
        ),
    ];
    for (kind, label) in relabelled {
        put(&fixture, "a", "bytes", kind.clone()).await.unwrap();
        tamper(&fixture, "a", |facts| facts.controls.encryption = label.clone()).await;
        assert!(read(&fixture, "a", None).await.is_err(), "{kind:?} as {label:?}");
    }
}

#[tokio::test]
async fn named_keys_of_the_keyring() {
    let entropy = SystemEntropy::new();
    let [first, second] = ["one", "two"].map(|name| Keyring::generate(name, &entropy).to_string());
    let fixture = Fixture::new().await.with_keyring(&format!("{first}{second}"));
    let shown = |name: &str| format!("arn:aws:kms:us-east-1:000000000000:key/{name}");
    let change = async |encryption| {
        let change = BucketChange::Encryption(encryption);
        fixture.store.change_bucket(&fixture.root, &fixture.bucket, &change).await.unwrap();
    };
    let kms = |key: &str, context: Option<&str>| {
        let (key, context) = (shown(key), context.map(str::to_owned));
        ServerSideEncryption::Kms { key, context, bucket_key: false }
    };
    let stored = async |asked| put(&fixture, "k", "bytes", asked).await.map(|it| it.encryption);
    assert_eq!(stored(of_kms(None, None)).await.unwrap(), kms("one", None));
    assert_eq!(
        stored(of_kms(Some("two"), Some(CONTEXT))).await.unwrap(),
        kms("two", Some(CONTEXT))
    );
    assert_eq!(stored(of_kms(Some(&shown("two")), None)).await.unwrap(), kms("two", None));
    let unknown = stored(of_kms(Some("three"), None)).await.unwrap_err();
    assert!(
        matches!(&unknown, PutObjectError::Encryption(EncryptionError::NoSuchKey(key)) if key == "three")
    );
    change(Some(DefaultEncryption::Kms { key: Some("two".to_owned()), bucket_key: false })).await;
    let asked_for_nothing = stored(EncryptionRequest::BucketDefault).await.unwrap();
    assert_eq!(asked_for_nothing, kms("two", None));
    assert_eq!(stored(of_kms(None, None)).await.unwrap(), kms("two", None));
    assert_eq!(stored(EncryptionRequest::S3).await.unwrap(), ServerSideEncryption::S3);
    put(&fixture, "k", "bytes", EncryptionRequest::BucketDefault).await.unwrap();
    let without = fixture.with_keyring(&first);
    assert_eq!(fixture.get("k").await.unwrap(), b"bytes");
    let answer = without.get("k").await;
    assert_eq!(answer, refused(EncryptionError::NoSuchKey(shown("two"))));
    change(None).await;
    assert_eq!(stored(EncryptionRequest::BucketDefault).await.unwrap(), ServerSideEncryption::S3);
}

#[tokio::test]
async fn a_guarded_state_under_a_customers_key() {
    let fixture = guarded(GuardConfig::enforced()).await;
    fixture.put_as(&fixture.root, LOCK, lock_body("1", "x"), &if_none_match()).await.unwrap();
    let write = async |serial, content| {
        put(&fixture, STATE, state(serial, content), of_customer(9)).await.map(|it| it.version)
    };
    let first = write(1, "a").await.unwrap();
    let second = write(2, "b").await.unwrap();
    assert_ne!(first, second);
    assert_eq!(write(2, "b").await.unwrap(), second, "the same state is not written twice");
    assert!(matches!(write(2, "c").await, Err(PutObjectError::Refused(_))), "a stale one");
    let request = ListStates {
        principal: &fixture.root,
        bucket: &fixture.bucket,
        prefix: "",
        after: None,
        limit: 10,
    };
    let page = fixture.store.list_states(&request).await.unwrap();
    let known = page.states[0].version.as_ref().unwrap().facts.as_ref().unwrap();
    assert_eq!((known.serial, known.counts, known.changes), (2, None, None));
    let refused = fixture.store.list_refused(&fixture.root, &fixture.bucket, "").await.unwrap();
    let id = DisplayVersion { id: refused[0].id, is_null: false }.to_string().parse().unwrap();
    let (root, bucket) = (&fixture.root, &fixture.bucket);
    let kept = fixture.store.get_refused(root, bucket, &STATE.parse().unwrap(), id).await;
    assert!(matches!(kept, Err(RefusedError::Encryption(EncryptionError::KeyMissing))));
}
