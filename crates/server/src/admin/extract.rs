//! `tidelock admin recover --object` and `--list`: what a store that no server serves holds, damaged or not. Needs the data
//! directory and the keyring, and writes nothing to them.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tidelock_blob::BlobStore;
use tidelock_blob::fs::ReadOnlyBlobs;
use tidelock_meta::local::LoggedStore;
use tidelock_meta::{Clock, MetaStore};
pub use tidelock_store::CustomerKey;
use tidelock_store::{
    BodyDigest, BucketName, Entropy, GetObjectError, ListVersions, ObjectInfo, ObjectKey,
    Principal, Store, StoreConfig, VersionCursor, VersionSelector, check_keyring,
};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::verify::{Damaged, unreadable};
use crate::config::{BlobLocation, ObjectStoreVariables};
use crate::engine::{DataDirectory, open_remote_bodies, read_keyring};
use crate::error::ServeError;

/// Buckets and versions of one page.
const PAGE: usize = 1000;

/// Where a store is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The data directory.
    pub data: PathBuf,
    /// The keyring [default: that of the data directory].
    pub keyring: Option<PathBuf>,
    /// Where bodies are, as `serve --blobs` has it.
    pub blobs: BlobLocation,
    /// What the environment says about object stores.
    pub variables: ObjectStoreVariables,
}

/// A store that is read without a server.
pub struct Extract {
    store: Arc<Store>,
    principal: Principal,
    damage: Vec<Damaged>,
}

/// One object to read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// A version's id [default: the current one].
    pub version: Option<String>,
    /// The client's key, for an object under one (SSE-C).
    pub customer_key: Option<CustomerKey>,
}

/// An object that was read and found to be what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extracted {
    /// Which version.
    pub version: String,
    /// Its bytes.
    pub size: u64,
    /// `Last-Modified`, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// A version of an object in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its id.
    pub version: String,
    /// Whether it is the current one.
    pub is_latest: bool,
    /// Its bytes; none of a delete marker.
    pub size: Option<u64>,
    /// `Last-Modified`, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// Why an object was not read.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] ServeError),
    /// A name is none.
    #[error("{0}")]
    Name(String),
    /// There is no such object.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// What was read is not what was written.
    #[error("the body is not the one that was written: its digest differs")]
    Differs,
    /// It cannot be written to where it shall go.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Extract {
    /// Opens the store as its log has it.
    ///
    /// # Errors
    ///
    /// [`ServeError`] when there is no store, a server has it, or the keyring is not the store's.
    pub async fn open(
        place: Place,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ServeError> {
        let directory = DataDirectory::new(&place.data);
        let path = directory.meta();
        let opening = {
            let clock = Arc::clone(&clock);
            tokio::task::spawn_blocking(move || LoggedStore::open(&path, clock))
        };
        let opened = opening.await.map_err(io::Error::other)?;
        let logged = opened.map_err(|error| unreadable(&place.data, error))?;
        let damage = logged.damage().iter().map(Damaged::of_log).collect();
        let meta: Arc<dyn MetaStore> = Arc::new(logged);
        let path = place.keyring.unwrap_or_else(|| directory.keyring());
        let refused = |reason: String| ServeError::Keyring { path: path.clone(), reason };
        let keyring = read_keyring(&path)?
            .ok_or_else(|| refused("is missing: nothing can be opened without it".to_owned()))?;
        check_keyring(&*meta, &keyring).await.map_err(|error| refused(error.to_string()))?;
        let blobs: Arc<dyn BlobStore> = match &place.blobs {
            BlobLocation::ObjectStore(url) => open_remote_bodies(url, &place.variables)?,
            BlobLocation::Local | BlobLocation::Memory | BlobLocation::Postgres => {
                Arc::new(ReadOnlyBlobs::new(&directory.blobs()))
            }
        };
        let config = StoreConfig::default();
        let store = Arc::new(Store::new(meta, blobs, keyring, clock, entropy, config));
        Ok(Self { store, principal: Principal::root(), damage })
    }

    /// Parts of the log that are damaged: objects may be as they were before what was changed there, or gone.
    pub fn damage(&self) -> &[Damaged] {
        &self.damage
    }

    /// Writes an object to `sink`, and says that it is what was written.
    ///
    /// # Errors
    ///
    /// [`ExtractError`]; what was written to `sink` is of no use then.
    pub async fn read(
        &self,
        wanted: &Wanted,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Extracted, ExtractError> {
        let bucket: BucketName = name(wanted.bucket.parse())?;
        let key: ObjectKey = name(wanted.key.parse())?;
        let version = wanted.version.as_deref().map(|id| name(id.parse())).transpose()?;
        let all = |_: &ObjectInfo| Ok::<_, Infallible>(None);
        let customer = (version, wanted.customer_key.as_ref());
        let opened =
            self.store.get_object_with_key(&self.principal, &bucket, &key, customer, all).await;
        let Ok(mut object) = opened.map_err(refused)?;
        let mut digest = BodyDigest::new(&object.info);
        while let Some(chunk) = object.reader.next_bytes().await.map_err(unread)? {
            digest.update(&chunk);
            sink.write_all(&chunk).await?;
        }
        sink.flush().await?;
        if !digest.is_of(&object.info) {
            return Err(ExtractError::Differs);
        }
        Ok(Extracted {
            version: object.info.version.to_string(),
            size: object.info.size,
            modified_ms: object.info.modified_ms,
        })
    }

    /// The versions of objects in all buckets, or in one and under a prefix.
    ///
    /// # Errors
    ///
    /// [`ExtractError`]
    pub async fn list(&self, within: Option<(&str, &str)>) -> Result<Vec<Listed>, ExtractError> {
        let mut listed = Vec::new();
        if let Some((bucket, prefix)) = within {
            self.list_bucket(bucket, prefix, &mut listed).await?;
            return Ok(listed);
        }
        let mut after: Option<String> = None;
        loop {
            let page =
                self.store.list_buckets(&self.principal, "", after.as_deref(), PAGE, true).await;
            let page = page.map_err(unread)?;
            for bucket in page.buckets {
                self.list_bucket(&bucket.name, "", &mut listed).await?;
            }
            match page.next_after {
                Some(next) => after = Some(next),
                None => return Ok(listed),
            }
        }
    }

    async fn list_bucket(
        &self,
        bucket: &str,
        prefix: &str,
        listed: &mut Vec<Listed>,
    ) -> Result<(), ExtractError> {
        let name: BucketName = name(bucket.parse())?;
        let mut after: Option<(String, Option<VersionSelector>)> = None;
        loop {
            let cursor = after.as_ref();
            let request = ListVersions {
                principal: &self.principal,
                bucket: &name,
                prefix,
                delimiter: None,
                after: cursor.map(|(key, version)| VersionCursor { key, version: *version }),
                limit: PAGE,
            };
            let page = self.store.list_versions(&request).await;
            let page = page.map_err(|error| ExtractError::NotFound(error.to_string()))?;
            listed.extend(page.versions.into_iter().map(|version| Listed {
                bucket: bucket.to_owned(),
                key: version.key,
                version: version.version.to_string(),
                is_latest: version.is_latest,
                size: version.object.map(|object| object.size),
                modified_ms: version.modified_ms,
            }));
            let Some((key, version)) = page.next else { return Ok(()) };
            after = Some((key, version.and_then(|version| version.to_string().parse().ok())));
        }
    }
}

fn name<T, E: std::fmt::Display>(parsed: Result<T, E>) -> Result<T, ExtractError> {
    parsed.map_err(|error| ExtractError::Name(error.to_string()))
}

fn unread(error: impl std::fmt::Display) -> ExtractError {
    ExtractError::Unreadable(error.to_string())
}

fn refused(error: GetObjectError) -> ExtractError {
    match error {
        GetObjectError::NoSuchKey { .. }
        | GetObjectError::NoSuchVersion
        | GetObjectError::IsDeleteMarker { .. } => ExtractError::NotFound(error.to_string()),
        GetObjectError::Encryption(_) => {
            let key = "the key of whoever wrote it is needed: --customer-key-file";
            ExtractError::Unreadable(format!("{error}; {key}"))
        }
        GetObjectError::Bucket(_) => unread(error),
    }
}
