//! Idempotent locks: a client whose lock PUT landed but whose reply was lost sends it again, and must
//! not be told that somebody else holds its lock (state-guard rule 2; opentofu/opentofu#4405).
//!
//! Same lock means: a key that ends in `.tflock`, a body that parses as a lock, the very same bytes,
//! and the same principal.

use tidelock_meta::Key;
use tidelock_meta::record::body;
use tidelock_meta::record::version::{Body, ObjectVersion};
use tidelock_tfstate::Lock;

use crate::Store;
use crate::body::seal::{ChunkCipher, DATA_KEY_BYTES, DataKey, place_of};
use crate::body::write::WrittenBody;
use crate::bucket::OpenBucket;
use crate::commit::View;
use crate::encryption::{CustomerKey, KeyFailure, is_customers};
use crate::error::StorageError;
use crate::object::Target;

/// Whether a refused write is the stored lock once more.
pub(crate) enum Comparison {
    /// The stored body must be read first.
    Needs(Vec<Key>),
    /// It is.
    Same,
    /// It is not.
    Other,
}

impl Store {
    pub(crate) fn compare_lock(
        &self,
        target: Target<'_>,
        bucket: &OpenBucket,
        current: &ObjectVersion,
        (written, customer): (&WrittenBody, Option<&CustomerKey>),
        view: &View,
    ) -> Result<Comparison, StorageError> {
        let Some(facts) = current.object() else { return Ok(Comparison::Other) };
        let encryption = &facts.controls.encryption;
        let could_be = target.key.is_lock()
            && *current.author == *target.principal.arn
            && facts.size == written.size
            && (is_customers(encryption) || facts.etag.md5 == written.md5);
        let (Body::Inline { id, chunks: 1 }, Some(sent)) = (&facts.body, written.only_chunk())
        else {
            return Ok(Comparison::Other);
        };
        if !could_be {
            return Ok(Comparison::Other);
        }
        let row = body::key(*id, 0);
        let Some(seen) = view.read(&row) else { return Ok(Comparison::Needs(vec![row])) };
        // Gone: the lock was released meanwhile, and the head that said otherwise is outdated.
        let Some(seen) = seen else { return Ok(Comparison::Other) };
        let bound_to = Self::key_place(bucket.row.id, target.key, current.id);
        let wrapped = &facts.wrapped_key;
        let stored_key = match self.unwrap_data_key(encryption, customer, wrapped, &bound_to) {
            Ok(key) => key,
            Err(KeyFailure::Encryption(_)) => return Ok(Comparison::Other),
            Err(KeyFailure::Storage(error)) => return Err(error),
        };
        let stored = open_only_chunk(&stored_key, *id, facts.size, &seen.value)?;
        let Body::Inline { id, .. } = written.body else { return Ok(Comparison::Other) };
        let sent = open_only_chunk(&written.data_key, id, written.size, sent)?;
        let same = stored == sent && Lock::parse(&sent).is_some();
        Ok(if same { Comparison::Same } else { Comparison::Other })
    }

    /// The bytes of a written lock; none where it is too large to be one.
    pub(crate) fn lock_body(&self, written: &WrittenBody) -> Result<Option<Vec<u8>>, StorageError> {
        let (Body::Inline { id, .. }, Some(chunk)) = (&written.body, written.only_chunk()) else {
            return Ok(None);
        };
        open_only_chunk(&written.data_key, *id, written.size, chunk).map(Some)
    }

    /// A data key from its wrapping, of what is no object's.
    pub(crate) fn unwrap_key(&self, wrapped: &[u8], place: &[u8]) -> Result<DataKey, StorageError> {
        let key = self
            .keyring
            .unwrap(wrapped, place)
            .map_err(|error| StorageError::Corrupt(error.to_string()))?;
        data_key(&key)
    }
}

/// A data key from its bytes.
pub(crate) fn data_key(bytes: &[u8]) -> Result<DataKey, StorageError> {
    let key: [u8; DATA_KEY_BYTES] = bytes
        .try_into()
        .map_err(|_| StorageError::Corrupt("a data key has another length".to_owned()))?;
    Ok(DataKey::new(key))
}

fn open_only_chunk(
    key: &DataKey,
    body: [u8; 16],
    size: u64,
    sealed: &[u8],
) -> Result<Vec<u8>, StorageError> {
    let mut chunk = sealed.to_vec();
    let length = ChunkCipher::new(key, body).open(place_of(0, size)?, &mut chunk)?;
    chunk.truncate(length);
    Ok(chunk)
}
