//! The facts of a state, and the body of a lock, as they are sealed in rows.

use tidelock_meta::record::BucketId;
use tidelock_meta::record::state::StateFacts;
use tidelock_meta::record::version::{ObjectVersion, VersionId};

use crate::Store;
use crate::error::StorageError;
use crate::name::ObjectKey;

impl Store {
    /// Seals the facts of the version `id` of a state.
    pub(crate) fn seal_state_facts(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        id: VersionId,
        facts: &StateFacts,
    ) -> Vec<u8> {
        let place = place(b"state\0", bucket, id, key.as_str());
        self.keyring.wrap(&facts.encode(), &place, &*self.entropy)
    }

    /// The facts of a version; none if it is not known to be a state.
    pub(crate) fn unseal_state_facts(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        version: &ObjectVersion,
    ) -> Result<Option<StateFacts>, StorageError> {
        let Some(sealed) = version.object().and_then(|facts| facts.state.as_ref()) else {
            return Ok(None);
        };
        let place = place(b"state\0", bucket, version.id, key.as_str());
        let opened = self.keyring.unwrap(sealed, &place);
        let bytes = opened.map_err(|error| StorageError::Corrupt(error.to_string()))?;
        Ok(Some(StateFacts::decode(&bytes)?))
    }

    /// Seals the body of a lock; `state_key` is the key of the state that it locks.
    pub(crate) fn seal_lock(
        &self,
        bucket: BucketId,
        state_key: &str,
        id: VersionId,
        body: &[u8],
    ) -> Vec<u8> {
        let place = place(b"lock\0", bucket, id, state_key);
        self.keyring.wrap(body, &place, &*self.entropy)
    }

    /// The body of a lock; empty where none was sealed.
    pub(crate) fn unseal_lock(
        &self,
        bucket: BucketId,
        state_key: &str,
        id: VersionId,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StorageError> {
        if sealed.is_empty() {
            return Ok(Vec::new());
        }
        let place = place(b"lock\0", bucket, id, state_key);
        let opened = self.keyring.unwrap(sealed, &place);
        let bytes = opened.map_err(|error| StorageError::Corrupt(error.to_string()))?;
        Ok(bytes.to_vec())
    }
}

fn place(label: &[u8], bucket: BucketId, id: VersionId, key: &str) -> Vec<u8> {
    let mut place = label.to_vec();
    place.extend_from_slice(&bucket.0);
    place.extend_from_slice(&id.sequence.to_be_bytes());
    place.extend_from_slice(&id.random.to_be_bytes());
    place.extend_from_slice(key.as_bytes());
    place
}
