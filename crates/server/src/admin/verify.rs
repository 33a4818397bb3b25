//! `tidelock admin verify`: every byte of a stopped store on this machine, read and checked.
//!
//! First the commit log and the index, which changes nothing; then, if they are sound, the body of every
//! version of every object is opened with the keyring: its chunks are authenticated one by one, and its digest is
//! compared with entity tag and checksum.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tidelock_meta::local::{self, OpenError, Verification};
use tidelock_meta::{Clock, MetaStore};
use tidelock_store::{
    BodyDigest, BucketName, Entropy, GetObjectError, ListVersions, ListedVersion, ObjectKey,
    Principal, Store, StoreConfig, VersionCursor, VersionSelector,
};

use crate::config::{BlobLocation, MetaLocation, ObjectStoreVariables};
use crate::engine::{DataDirectory, open_bodies, open_keyring, open_rows, read_keyring};
use crate::error::ServeError;
use crate::metrics::Metrics;

/// Buckets and versions of one page.
const PAGE: usize = 1000;

/// What to verify.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    /// The data directory.
    pub data: PathBuf,
    /// The keyring [default: that of the data directory].
    pub keyring: Option<PathBuf>,
    /// Where bodies are, as `serve --blobs` has it.
    pub blobs: BlobLocation,
    /// What the environment says about object stores.
    pub variables: ObjectStoreVariables,
}

/// What was read, and what of it is not what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Files of the log.
    pub segments: u64,
    /// Sound groups of commits.
    pub groups: u64,
    /// Their records.
    pub records: u64,
    /// Bytes of keys and values in them.
    pub record_bytes: u64,
    /// Rows of the store.
    pub rows: u64,
    /// Rows that the index has otherwise than the log; the whole index when it cannot be read.
    pub index_differences: u64,
    /// The index is missing or cannot be read: the next start makes it again.
    pub index_is_lost: bool,
    /// Versions of objects whose bodies were read.
    pub bodies: u64,
    /// Their bytes.
    pub body_bytes: u64,
    /// Versions that only a client's key opens (SSE-C).
    pub not_opened: u64,
    /// What is damaged.
    pub damage: Vec<Damaged>,
}

/// Something that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// A file and its bytes, or an object and its version.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl VerifyReport {
    /// Whether all is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.index_differences == 0
    }

    fn of_rows(found: Verification) -> Self {
        Self {
            segments: found.segments,
            groups: found.groups,
            records: found.records,
            record_bytes: found.bytes,
            rows: found.rows,
            index_differences: found.index_differences,
            index_is_lost: found.index_is_lost,
            damage: found.damage.iter().map(Damaged::of_log).collect(),
            ..Self::default()
        }
    }
}

impl Damaged {
    pub(super) fn of_log(damage: &local::Damage) -> Self {
        let local::Damage { file, offset, end, what } = damage;
        let place = format!("meta/{file}, bytes {offset} to {end}");
        Self { place, what: (*what).to_owned() }
    }
}

/// Reads and checks everything.
///
/// # Errors
///
/// [`ServeError`] when there is no store, a server has it, or the keyring is not the store's. Damage is no
/// error: it is in the report.
pub async fn verify(
    request: VerifyRequest,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<VerifyReport, ServeError> {
    let directory = DataDirectory::new(&request.data);
    directory.require_finished()?;
    let meta = directory.meta();
    let looking = {
        let clock = Arc::clone(&clock);
        tokio::task::spawn_blocking(move || local::verify(&meta, clock))
    };
    let found = looking.await.map_err(io::Error::other)?;
    let found = found.map_err(|error| unreadable(&request.data, error))?;
    let mut report = VerifyReport::of_rows(found);
    if report.is_sound() {
        verify_bodies(&request, &directory, clock, entropy, &mut report).await?;
    }
    Ok(report)
}

/// Why a directory's log cannot be read.
pub(super) fn unreadable(data: &Path, error: OpenError) -> ServeError {
    let data = data.display();
    ServeError::Data(match error {
        OpenError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("{data}: there is no store")
        }
        OpenError::AlreadyOpen => format!("{data} is in use by another server"),
        error => format!("{data}: {error}"),
    })
}

async fn verify_bodies(
    request: &VerifyRequest,
    directory: &DataDirectory,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    report: &mut VerifyReport,
) -> Result<(), ServeError> {
    let path = request.keyring.clone().unwrap_or_else(|| directory.keyring());
    if read_keyring(&path)?.is_none() {
        let reason = "is missing: bodies cannot be opened (--keyring)".to_owned();
        return Err(ServeError::Keyring { path, reason });
    }
    let metrics = Arc::new(Metrics::new());
    let rows =
        open_rows(&MetaLocation::Local, directory, false, Arc::clone(&clock), metrics).await?;
    let verified = match open_store(request, directory, &rows.meta, &path, clock, entropy).await {
        Ok(store) => Bodies { store, principal: Principal::root(), report }.read_all().await,
        Err(error) => Err(error),
    };
    (rows.close)().await;
    verified
}

async fn open_store(
    request: &VerifyRequest,
    directory: &DataDirectory,
    meta: &Arc<dyn MetaStore>,
    keyring: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<Store>, ServeError> {
    let keyring = open_keyring(keyring, &MetaLocation::Local, &**meta, &*entropy).await?;
    let variables = &request.variables;
    let blobs =
        open_bodies(&request.blobs, directory, meta, Arc::clone(&entropy), variables).await?;
    let (meta, config) = (Arc::clone(meta), StoreConfig::default());
    Ok(Arc::new(Store::new(meta, blobs, keyring, clock, entropy, config)))
}

/// Reads the bodies of all versions.
struct Bodies<'a> {
    store: Arc<Store>,
    principal: Principal,
    report: &'a mut VerifyReport,
}

impl Bodies<'_> {
    async fn read_all(mut self) -> Result<(), ServeError> {
        let mut after: Option<String> = None;
        loop {
            let page =
                self.store.list_buckets(&self.principal, "", after.as_deref(), PAGE, true).await;
            let page = page.map_err(|error| ServeError::Data(error.to_string()))?;
            for bucket in page.buckets {
                match bucket.name.parse() {
                    Ok(name) => self.read_bucket(&name).await?,
                    Err(_) => self.damaged(bucket.name, "no name of a bucket"),
                }
            }
            match page.next_after {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn read_bucket(&mut self, bucket: &BucketName) -> Result<(), ServeError> {
        let mut after: Option<(String, Option<VersionSelector>)> = None;
        loop {
            let request = ListVersions {
                principal: &self.principal,
                bucket,
                prefix: "",
                delimiter: None,
                after: after
                    .as_ref()
                    .map(|(key, version)| VersionCursor { key, version: *version }),
                limit: PAGE,
            };
            let page = self.store.list_versions(&request).await;
            let page = page.map_err(|error| ServeError::Data(error.to_string()))?;
            for version in page.versions.into_iter().filter(|version| version.object.is_some()) {
                self.read_version(bucket, version).await;
            }
            let Some((key, version)) = page.next else { return Ok(()) };
            after = Some((key, version.and_then(|version| version.to_string().parse().ok())));
        }
    }

    async fn read_version(&mut self, bucket: &BucketName, version: ListedVersion) {
        let place = format!("{bucket}/{}, version {}", version.key, version.version);
        let (Ok(key), Ok(selector)) = (version.key.parse(), version.version.to_string().parse())
        else {
            return self.damaged(place, "no key of an object");
        };
        match self.read_body(bucket, &key, selector).await {
            Ok(None) => self.damaged(place, "the body has another length, entity tag or checksum"),
            Ok(Some(bytes)) => {
                self.report.bodies += 1;
                self.report.body_bytes += bytes;
            }
            Err(GetObjectError::Encryption(_)) => self.report.not_opened += 1,
            Err(error) => self.damaged(place, &error.to_string()),
        }
    }

    /// The bytes of the body; none when it is not the one that was written.
    async fn read_body(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: VersionSelector,
    ) -> Result<Option<u64>, GetObjectError> {
        let all = |_: &_| Ok::<_, Infallible>(None);
        let opened = self.store.get_object(&self.principal, bucket, key, Some(version), all);
        let Ok(mut object) = opened.await?;
        let mut digest = BodyDigest::new(&object.info);
        while let Some(chunk) = object.reader.next_bytes().await.map_err(in_bucket)? {
            digest.update(&chunk);
        }
        Ok(digest.is_of(&object.info).then_some(object.info.size))
    }

    fn damaged(&mut self, place: String, what: &str) {
        self.report.damage.push(Damaged { place, what: what.to_owned() });
    }
}

fn in_bucket(error: tidelock_store::StorageError) -> GetObjectError {
    GetObjectError::Bucket(error.into())
}
