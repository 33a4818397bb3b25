//! What is known of buckets' access rules, kept so that a request reads no row for them.
//!
//! What is kept may be outdated: a request that it lets through is held against the bucket's row by the
//! operation itself, and nobody is refused before the row was read anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidelock_auth::policy::{Policy, PolicyKind};
use tidelock_store::{BucketAccess, BucketName, StorageError, Store};

use crate::error::{ErrorCode, S3Error, S3Result};

/// Buckets kept in mind. When there are more, all are forgotten.
const BUCKETS_MAX: usize = 1_000;
/// After this long a bucket is read anew, in milliseconds: what another server has changed shows then at
/// the latest.
const KNOWN_FOR_MS: i64 = 1_000;
/// How often a policy may be replaced between the reading of its id and of itself.
const READ_ATTEMPTS_MAX: u32 = 5;

/// The access rules of a bucket, ready to be asked.
#[derive(Debug)]
pub(super) struct KnownBucket {
    pub(super) access: Arc<BucketAccess>,
    pub(super) policy: Option<Policy>,
    read_ms: i64,
}

impl KnownBucket {
    /// Also a clock that was set back makes it old.
    fn is_fresh(&self, now_ms: i64) -> bool {
        (0..KNOWN_FOR_MS).contains(&now_ms.saturating_sub(self.read_ms))
    }
}

#[derive(Default)]
pub(super) struct KnownBuckets(Mutex<HashMap<String, Arc<KnownBucket>>>);

impl KnownBuckets {
    /// A bucket as it was known last, or as it is.
    pub(super) async fn recall(
        &self,
        store: &Store,
        name: &BucketName,
        now_ms: i64,
    ) -> S3Result<Option<Arc<KnownBucket>>> {
        if let Some(known) = self.lock().get(name.as_str())
            && known.is_fresh(now_ms)
        {
            return Ok(Some(Arc::clone(known)));
        }
        for _ in 0..READ_ATTEMPTS_MAX {
            let Some(access) = store.look_at_access(name).await? else { return Ok(None) };
            if let Some(known) = self.learn(store, name, (access, now_ms)).await? {
                return Ok(Some(known));
            }
        }
        Err(S3Error::new(ErrorCode::SlowDown))
    }

    /// A bucket as it is.
    pub(super) async fn read(
        &self,
        store: &Store,
        name: &BucketName,
        now_ms: i64,
    ) -> S3Result<Option<Arc<KnownBucket>>> {
        for _ in 0..READ_ATTEMPTS_MAX {
            let Some(access) = store.bucket_access(name).await? else {
                self.forget(name.as_str());
                return Ok(None);
            };
            if let Some(known) = self.learn(store, name, (access, now_ms)).await? {
                return Ok(Some(known));
            }
        }
        Err(S3Error::new(ErrorCode::SlowDown))
    }

    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// None if the policy was replaced in the meantime.
    async fn learn(
        &self,
        store: &Store,
        name: &BucketName,
        (access, read_ms): (BucketAccess, i64),
    ) -> S3Result<Option<Arc<KnownBucket>>> {
        let policy = match access.policy {
            None => None,
            Some(id) => match store.bucket_document(access.id, id).await? {
                None => return Ok(None),
                Some(document) => Some(parse(name, &document)?),
            },
        };
        let known = Arc::new(KnownBucket { access: Arc::new(access), policy, read_ms });
        let mut buckets = self.lock();
        if buckets.len() >= BUCKETS_MAX {
            buckets.clear();
        }
        buckets.insert(name.as_str().to_owned(), Arc::clone(&known));
        Ok(Some(known))
    }

    /// Each change is one call: a panic elsewhere leaves the map whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<KnownBucket>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stored policy that cannot be read lets nobody in.
fn parse(name: &BucketName, document: &[u8]) -> Result<Policy, StorageError> {
    let damaged = |problem: &dyn std::fmt::Display| {
        StorageError::Corrupt(format!("the policy of the bucket {}: {problem}", name.as_str()))
    };
    let text = std::str::from_utf8(document).map_err(|error| damaged(&error))?;
    let kind = PolicyKind::Bucket { bucket: name.as_str() };
    Policy::parse(text, kind).map_err(|error| damaged(&error))
}
