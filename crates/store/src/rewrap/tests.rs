//! A store with something of everything that is wrapped, and runs over it as rows.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};

use tidelock_blob::memory::MemoryBlobStore;
use tidelock_meta::clock::ManualClock;
use tidelock_meta::memory::{MemoryStore, UnknownCommit};
use tidelock_meta::record::audit_chain;
use tidelock_meta::record::dead_letter::{self, DeadLetterRow};
use tidelock_meta::{Batch, Direction, KeyRange, MetaStore, Outcome, ReadLevel, Versioned};

use super::row::SealedRow;
use super::stage::STAGES;
use super::*;
use crate::state::fixture::{Fixture, NOW_MS, key, state};
use crate::webhook::letter_place;
use crate::*;

/// Above what rows hold, so that it is a blob.
const LARGE_BYTES: usize = 400 << 10;

/// Texts of keyrings over one store.
struct Keys {
    old: String,
    new: String,
}

impl Keys {
    fn new() -> Self {
        let entropy = SystemEntropy::new();
        let text = |name: &str| Keyring::generate(name, &entropy).to_string();
        Self { old: text("old"), new: text("newest") }
    }

    /// Before the rotation.
    fn before(&self) -> Keyring {
        Keyring::parse(&self.old).unwrap()
    }

    /// During it.
    fn both(&self) -> Keyring {
        Keyring::parse(&format!("{}{}", self.new, self.old)).unwrap()
    }

    /// After it.
    fn after(&self) -> Keyring {
        Keyring::parse(&self.new).unwrap()
    }
}

/// What several servers with their own keyrings share.
#[derive(Default)]
struct Engines {
    meta: Arc<MemoryStore>,
    blobs: Arc<MemoryBlobStore>,
}

impl Engines {
    fn fixture(&self, keyring: Keyring) -> Fixture {
        self.fixture_over(self.meta.clone(), keyring)
    }

    fn fixture_over(&self, engine: Arc<dyn MetaStore>, keyring: Keyring) -> Fixture {
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let (blobs, entropy) = (self.blobs.clone(), Arc::new(SystemEntropy::new()));
        let config = StoreConfig::default();
        let store = Store::new(engine, blobs.clone(), keyring, clock.clone(), entropy, config);
        let (meta, root) = (self.meta.clone(), Principal::root());
        Fixture { store: Arc::new(store), meta, blobs, clock, root }
    }

    async fn open(&self, keyring: &Keyring) -> Result<StoreSealing, SealingError> {
        open_sealing(&*self.meta, keyring, &SystemEntropy::new()).await
    }

    /// Every row, without what is wrapped in it.
    async fn rows(&self) -> Vec<(Key, Vec<u8>)> {
        let all = KeyRange::prefix(&[]);
        let rows = self.meta.scan(all, usize::MAX, Direction::Forward, ReadLevel::Latest).await;
        let is_of = |stage: &Stage, key: &Key| {
            let range = stage.range();
            *key >= range.start && range.end.is_none_or(|end| *key < end)
        };
        let unwrapped = |key: &Key, seen: &Versioned| {
            let Some(stage) = STAGES.into_iter().find(|stage| is_of(stage, key)) else {
                return seen.value.to_vec();
            };
            let mut row = SealedRow::decode(stage, key, &seen.value).unwrap();
            row.wrappings().into_iter().for_each(|wrapping| wrapping.sealed.clear());
            row.encode().to_vec()
        };
        // The chain counts the bytes of its segments, which a longer name of a key makes more.
        let rows = rows.unwrap().into_iter().filter(|(key, _)| *key != audit_chain::key());
        rows.map(|(key, seen)| (unwrapped(&key, &seen), key)).map(|(row, key)| (key, row)).collect()
    }
}

async fn put_in(
    fixture: &Fixture,
    (bucket, name): (&str, &str),
    encryption: EncryptionRequest,
    body: Vec<u8>,
) -> Result<StoredObject, PutObjectError> {
    let request = PutObject {
        principal: &fixture.root,
        bucket: &bucket.parse().unwrap(),
        key: &key(name),
        condition: &WriteCondition::default(),
        settings: &ObjectSettings { encryption, ..ObjectSettings::default() },
        content_md5: None,
        checksum: None,
    };
    fixture.store.put_object(&request, &mut BytesSource::new(body)).await
}

async fn put(fixture: &Fixture, name: &str, encryption: EncryptionRequest, body: &[u8]) {
    put_in(fixture, ("plain", name), encryption, body.to_vec()).await.unwrap();
}

fn customer() -> CustomerKey {
    CustomerKey::new(&[9; CUSTOMER_KEY_BYTES]).unwrap()
}

fn kms(name: &str) -> EncryptionRequest {
    EncryptionRequest::Kms { key: Some(name.to_owned()), context: None, bucket_key: None }
}

/// The bytes of an object, and how it says that it is encrypted.
async fn get(
    fixture: &Fixture,
    name: &str,
    customer: Option<&CustomerKey>,
) -> (Vec<u8>, ServerSideEncryption) {
    let (bucket, key) = ("plain".parse().unwrap(), key(name));
    let all = |_: &ObjectInfo| Ok::<_, ()>(None);
    let asked = (None, customer);
    let found = fixture.store.get_object_with_key(&fixture.root, &bucket, &key, asked, all).await;
    let mut found = found.unwrap().unwrap();
    let mut body = Vec::new();
    while let Some(piece) = found.reader.next_bytes().await.unwrap() {
        body.extend_from_slice(&piece);
    }
    (body, found.info.settings.controls.encryption)
}

/// An upload with a part, which is not completed.
async fn upload(fixture: &Fixture, name: &str) -> (UploadId, StoredPart) {
    let (bucket, key) = ("plain".parse().unwrap(), key(name));
    let (principal, settings) = (&fixture.root, ObjectSettings::default());
    let new =
        CreateUpload { principal, bucket: &bucket, key: &key, settings: &settings, checksum: None };
    let upload = fixture.store.create_upload(&new).await.unwrap().upload;
    let part = UploadPart {
        principal,
        bucket: &bucket,
        key: &key,
        upload,
        number: 1,
        content_md5: None,
        checksum: None,
        customer_key: None,
    };
    let stored = fixture.store.upload_part(&part, &mut BytesSource::new("part")).await.unwrap();
    (upload, stored)
}

async fn complete(fixture: &Fixture, name: &str, (upload, part): &(UploadId, StoredPart)) {
    let etag = hex::encode(part.md5);
    let request = CompleteUpload {
        principal: &fixture.root,
        bucket: &"plain".parse().unwrap(),
        key: &key(name),
        upload: *upload,
        condition: &WriteCondition::default(),
        parts: &[RequestedPart { number: 1, etag, checksum: None }],
        checksum: None,
        size: None,
        customer_key: None,
    };
    fixture.store.complete_upload(&request).await.unwrap();
}

/// What [`fill`] leaves open.
struct Filled {
    upload: (UploadId, StoredPart),
    access_key: NewAccessKey,
    webhook: WebhookId,
}

/// Something of everything that is wrapped.
async fn fill(fixture: &Fixture) -> Filled {
    let (store, root) = (&fixture.store, &fixture.root);
    fixture.make_bucket("plain").await;
    put(fixture, "replaced", EncryptionRequest::S3, b"first").await;
    let versioned = BucketChange::Versioning(Versioning::Enabled);
    store.change_bucket(root, &"plain".parse().unwrap(), &versioned).await.unwrap();
    put(fixture, "replaced", EncryptionRequest::S3, b"second").await;
    put(fixture, "large", EncryptionRequest::S3, &vec![7; LARGE_BYTES]).await;
    put(fixture, "customers", EncryptionRequest::Customer(customer()), b"sealed").await;
    let done = upload(fixture, "completed").await;
    complete(fixture, "completed", &done).await;
    fill_guarded(fixture).await;
    store.create_user(root, "ann").await.unwrap();
    let access_key = store.create_access_key(root, "ann").await.unwrap();
    let new = NewWebhook {
        url: "https://hook.test/".to_owned(),
        secret: None,
        kinds: vec!["state.written".parse().unwrap()],
        bucket: None,
        enabled: true,
        attempts_max: WEBHOOK_ATTEMPTS_DEFAULT,
    };
    let webhook = store.create_webhook(root, new).await.unwrap().0.id;
    let letter = dead_letter::key(webhook.0, 1, 1);
    let sealed = store.keyring.wrap(b"entry", &letter_place(&letter), &*store.entropy);
    let (kind, error) = ("state.written".to_owned(), String::new());
    let row = DeadLetterRow { failed_ms: 1, attempts: 1, kind, error, sealed };
    fixture.commit(letter, row.encode()).await;
    let pair = || ("ROOT".to_owned(), zeroize::Zeroizing::new("secret".to_owned()));
    root_credentials(&*fixture.meta, &store.keyring, &*store.entropy, pair).await.unwrap();
    store.seal_audit(SealWhen::Now).await.unwrap();
    let upload = upload(fixture, "open").await;
    Filled { upload, access_key, webhook }
}

/// A bucket with a state, its index, a lock that is held, one that was released, and a refused version.
async fn fill_guarded(fixture: &Fixture) {
    fixture.make_bucket("states").await;
    fixture.guard("states").await;
    let lock = |id: &str| format!(r#"{{"ID":"{id}","Operation":"OperationTypeApply"}}"#);
    for name in ["held", "released"] {
        let place = format!("{name}.tfstate.tflock");
        fixture.put("states", &place, &lock(name)).await;
    }
    fixture.put("states", "held.tfstate", &state(&[])).await;
    let (root, states) = (&fixture.root, "states".parse().unwrap());
    let released = key("released.tfstate.tflock");
    let any = DeleteCondition::default();
    fixture.store.delete_object(root, &states, &released, None, &any).await.unwrap();
    let other = state(&[]).replace(r#""lineage":"l""#, r#""lineage":"other""#);
    let none = EncryptionRequest::BucketDefault;
    let refused = put_in(fixture, ("states", "held.tfstate"), none, other.into_bytes()).await;
    assert!(refused.is_err());
}

/// All pages of a run.
async fn run(fixture: &Fixture, kms_keys: &[&str], mode: RewrapMode) -> RewrapPage {
    let kms_keys = kms_keys.iter().map(|&name| name.to_owned()).collect();
    run_from(fixture, Rewrap { after: None, kms_keys, mode }).await
}

async fn run_from(fixture: &Fixture, mut asked: Rewrap) -> RewrapPage {
    let mut all = RewrapPage::default();
    loop {
        let page = fixture.store.rewrap_keys(&fixture.root, &asked).await.unwrap();
        asked.after = page.next.clone();
        all.add(page);
        if asked.after.is_none() {
            return all;
        }
    }
}

fn wrapped(page: &RewrapPage) -> Vec<(&str, u64)> {
    page.keys.iter().map(|(name, used)| (name.as_str(), used.wrapped)).collect()
}

#[tokio::test]
async fn everything_is_rewrapped_nothing_else_changes_and_the_old_key_may_go() {
    let (keys, engines) = (Keys::new(), Engines::default());
    engines.open(&keys.before()).await.unwrap();
    let filled = fill(&engines.fixture(keys.before())).await;
    engines.open(&keys.both()).await.unwrap();
    let rows = engines.rows().await;

    let fixture = engines.fixture(keys.both());
    let planned = run(&fixture, &[], RewrapMode::DryRun).await;
    let needed = engines.open(&keys.after()).await.unwrap_err();
    let uses = Some(planned.rewrapped);
    assert_eq!(needed, SealingError::KeyMissing { name: "old".to_owned(), uses });
    let page = run(&fixture, &[], RewrapMode::Real).await;
    assert_eq!((page.rewrapped, page.damaged), (planned.rewrapped, 0));
    assert_eq!(wrapped(&page), [("newest", planned.rewrapped)]);
    assert_eq!(engines.rows().await, rows);
    let again = run(&fixture, &[], RewrapMode::Real).await;
    assert_eq!((again.rewrapped, again.already), (0, page.rewrapped));

    let sealing = engines.open(&keys.after()).await.unwrap();
    assert_eq!(sealing.keys, ["newest"]);
    let fixture = engines.fixture(keys.after());
    assert_eq!(get(&fixture, "replaced", None).await.0, b"second");
    assert_eq!(get(&fixture, "large", None).await.0, vec![7; LARGE_BYTES]);
    assert_eq!(get(&fixture, "customers", Some(&customer())).await.0, b"sealed");
    assert_eq!(get(&fixture, "completed", None).await.0, b"part");
    complete(&fixture, "open", &filled.upload).await;
    assert_eq!(get(&fixture, "open", None).await.0, b"part");
    let id = &filled.access_key.key.access_key_id;
    let credentials = fixture.store.credentials(id).await.unwrap().unwrap();
    assert_eq!(credentials.secret_access_key, filled.access_key.secret_access_key);
    assert!(fixture.store.open_webhook(&fixture.root, filled.webhook).await.is_ok());
    let chain = fixture.store.verify_audit(&fixture.root).await.unwrap();
    assert_eq!(chain.damage, None);
}

/// Of every record that can hold a wrapping there is one.
#[tokio::test]
async fn no_record_is_left_out() {
    let (keys, engines) = (Keys::new(), Engines::default());
    fill(&engines.fixture(keys.before())).await;
    for stage in STAGES {
        let range = stage.range();
        let rows = engines.meta.scan(range, 500, Direction::Forward, ReadLevel::Latest).await;
        let count = |(key, seen): &(Key, Versioned)| {
            SealedRow::decode(stage, key, &seen.value).unwrap().wrappings().len()
        };
        let found: usize = rows.unwrap().iter().map(count).sum();
        assert_eq!(found > 0, stage != Stage::Buckets, "{stage:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_named_stays_until_it_is_asked_for() {
    let (keys, engines) = (Keys::new(), Engines::default());
    let fixture = engines.fixture(keys.before());
    fixture.make_bucket("plain").await;
    put(&fixture, "named", kms("old"), b"named").await;
    let default = DefaultEncryption::Kms { key: Some("old".to_owned()), bucket_key: false };
    let change = BucketChange::Encryption(Some(default));
    fixture.store.change_bucket(&fixture.root, &"plain".parse().unwrap(), &change).await.unwrap();
    let fixture = engines.fixture(keys.both());
    let arn = |name: &str| format!("arn:aws:kms:us-east-1:000000000000:key/{name}");
    let steps: [(&[&str], RewrapMode, &str); 4] = [
        (&[], RewrapMode::Real, "old"),
        (&["newest"], RewrapMode::Real, "old"),
        (&["old"], RewrapMode::DryRun, "old"),
        (&["old"], RewrapMode::Real, "newest"),
    ];
    for (kms_keys, mode, named) in steps {
        let page = run(&fixture, kms_keys, mode).await;
        let is_moved = kms_keys == ["old"];
        let kms = |name: &str| page.keys.get(name).map_or(0, |used| used.kms);
        assert_eq!((kms("old") == 0, kms("newest") == 1), (is_moved, is_moved), "{kms_keys:?}");
        assert_eq!(page.keys["old"].defaults, 1);
        let (body, encryption) = get(&fixture, "named", None).await;
        let ServerSideEncryption::Kms { key, .. } = encryption else { panic!("{encryption:?}") };
        assert_eq!((body, key), (b"named".to_vec(), arn(named)), "{kms_keys:?} {mode:?}");
    }
    let asked = Rewrap { kms_keys: vec!["none".to_owned()], ..Rewrap::default() };
    let unknown = fixture.store.rewrap_keys(&fixture.root, &asked).await;
    assert_eq!(unknown, Err(RewrapError::NoSuchKey("none".to_owned())));
}

#[tokio::test]
async fn a_run_that_was_broken_off_goes_on_from_anywhere() {
    for stage in STAGES {
        let (keys, engines) = (Keys::new(), Engines::default());
        fill(&engines.fixture(keys.before())).await;
        let fixture = engines.fixture(keys.both());
        let planned = run(&fixture, &[], RewrapMode::DryRun).await.rewrapped;
        let after: RewrapCursor = format!("{:02x}", stage.number()).parse().unwrap();
        assert_eq!(after.to_string().parse(), Ok(after.clone()));
        let rest = Rewrap { after: Some(after), ..Rewrap::default() };
        // Nobody knows what became of a commit, and a run ends there.
        engines.meta.faults().answer_unknown(1, UnknownCommit::Lost);
        let _broken_off = fixture.store.rewrap_keys(&fixture.root, &rest).await;
        let part = run_from(&fixture, rest).await.rewrapped;
        let page = run(&fixture, &[], RewrapMode::Real).await;
        assert!(part + page.rewrapped <= planned, "{stage:?}");
        assert_eq!(page.already + page.rewrapped, planned, "{stage:?}");
        assert_eq!(wrapped(&page), [("newest", planned)], "{stage:?}");
    }
}

/// An engine on which somebody overwrites an object just before the first commit after it was armed.
struct Overtaken {
    meta: Arc<MemoryStore>,
    by: Mutex<Option<Fixture>>,
}

#[async_trait::async_trait]
impl MetaStore for Overtaken {
    fn limits(&self) -> tidelock_meta::Limits {
        self.meta.limits()
    }

    async fn get(
        &self,
        keys: &[Key],
        level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, tidelock_meta::MetaError> {
        self.meta.get(keys, level).await
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, tidelock_meta::MetaError> {
        self.meta.scan(range, limit, direction, level).await
    }

    async fn commit(&self, batch: Batch) -> Result<Outcome, tidelock_meta::MetaError> {
        let by = self.by.lock().unwrap().take();
        if let Some(by) = by {
            put(&by, "contended", EncryptionRequest::S3, b"second").await;
        }
        self.meta.commit(batch).await
    }
}

#[tokio::test]
async fn who_writes_meanwhile_loses_nothing() {
    let (keys, engines) = (Keys::new(), Engines::default());
    let before = engines.fixture(keys.before());
    before.make_bucket("plain").await;
    put(&before, "contended", EncryptionRequest::S3, b"first").await;
    put(&before, "beside", EncryptionRequest::S3, b"beside").await;
    // The other server still wraps with the old key.
    let by = Mutex::new(Some(before));
    let overtaken = Arc::new(Overtaken { meta: engines.meta.clone(), by });
    let fixture = engines.fixture_over(overtaken.clone(), keys.both());
    let page = run(&fixture, &[], RewrapMode::Real).await;
    assert!(overtaken.by.lock().unwrap().is_none());
    assert!(!page.keys.contains_key("old"), "{page:?}");
    let fixture = engines.fixture(keys.after());
    assert_eq!(get(&fixture, "contended", None).await.0, b"second");
    assert_eq!(get(&fixture, "beside", None).await.0, b"beside");
}

#[tokio::test]
async fn only_root_and_only_under_the_newest_key() {
    let (keys, engines) = (Keys::new(), Engines::default());
    engines.open(&keys.both()).await.unwrap();
    let fixture = engines.fixture(keys.before());
    let nobody = Principal { is_root: false, ..Principal::root() };
    let asked = Rewrap::default();
    let refused = fixture.store.rewrap_keys(&nobody, &asked).await;
    assert_eq!(refused, Err(RewrapError::AccessDenied));
    let outdated = fixture.store.rewrap_keys(&fixture.root, &asked).await;
    let (here, newest) = ("old".to_owned(), "newest".to_owned());
    assert_eq!(outdated, Err(RewrapError::Outdated { here, newest }));
    for text in ["", "zz", "ff", "0"] {
        assert_eq!(text.parse::<RewrapCursor>(), Err(InvalidRewrapCursor), "{text:?}");
    }
}
