//! Facts of a state and locks, sealed: bound to their bucket, key and version, so that a row cannot
//! pass for another one.

use tidelock_meta::record::BucketId;
use tidelock_meta::record::guard::Hold;
use tidelock_meta::record::state::StateFacts;
use tidelock_meta::record::version::{ObjectVersion, VersionId};
use tidelock_tfstate::Lock;
use zeroize::Zeroizing;

use crate::Store;
use crate::error::StorageError;
use crate::name::ObjectKey;

impl Store {
    /// The facts of the version `id` of a state, as they are kept with it.
    pub(crate) fn seal_state_facts(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        id: VersionId,
        facts: &StateFacts,
    ) -> Vec<u8> {
        self.keyring.wrap(&facts.encode(), &place(b"state\0", bucket, key, id), &*self.entropy)
    }

    /// What is known of a version as a state; none if it is not known to be one.
    pub(crate) fn unseal_state_facts(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        version: &ObjectVersion,
    ) -> Result<Option<StateFacts>, StorageError> {
        let Some(sealed) = version.object().and_then(|facts| facts.state.as_ref()) else {
            return Ok(None);
        };
        let bytes = self.unseal(sealed, &place(b"state\0", bucket, key, version.id))?;
        Ok(Some(StateFacts::decode(&bytes)?))
    }

    /// The body of the lock `lock` of the state `key`, as its guard keeps it.
    pub(crate) fn seal_lock(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        lock: VersionId,
        body: &[u8],
    ) -> Vec<u8> {
        self.keyring.wrap(body, &place(b"lock\0", bucket, key, lock), &*self.entropy)
    }

    /// The body of the lock that is held; none if the guard keeps none.
    pub(crate) fn unseal_lock_body(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        hold: &Hold,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        if hold.sealed_lock.is_empty() {
            return Ok(None);
        }
        self.unseal(&hold.sealed_lock, &place(b"lock\0", bucket, key, hold.version)).map(Some)
    }

    /// The lock that is held; none if the guard keeps no body, or one that is not a lock.
    pub(crate) fn unseal_lock(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        hold: &Hold,
    ) -> Result<Option<Lock>, StorageError> {
        let body = self.unseal_lock_body(bucket, key, hold)?;
        Ok(body.and_then(|body| Lock::parse(&body)))
    }

    fn unseal(&self, sealed: &[u8], place: &[u8]) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        let opened = self.keyring.unwrap(sealed, place);
        opened.map_err(|error| StorageError::Corrupt(error.to_string()))
    }
}

/// What something sealed is bound to: what it is, bucket, version and key of the state.
pub(crate) fn place(label: &[u8], bucket: BucketId, key: &ObjectKey, id: VersionId) -> Vec<u8> {
    let mut place = label.to_vec();
    place.extend_from_slice(&bucket.0);
    place.extend_from_slice(&id.sequence.to_be_bytes());
    place.extend_from_slice(&id.random.to_be_bytes());
    place.extend_from_slice(key.as_str().as_bytes());
    place
}
