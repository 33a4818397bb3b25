//! The key of an upload: it wraps the data keys of the parts, so that CompleteMultipartUpload binds
//! any number of parts to their object by wrapping one key anew.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use tidelock_meta::record::BucketId;
use tidelock_meta::record::part::PartRow;
use tidelock_meta::record::upload::UploadId;
use tidelock_meta::record::version::{Body, Checksum};
use zeroize::Zeroizing;

use crate::body::seal::DataKey;
use crate::encryption::blind_checksum;
use crate::entropy::{self, Entropy};
use crate::error::StorageError;
use crate::keyring;
use crate::lock::data_key;
use crate::name::ObjectKey;

/// Wraps and unwraps the data keys of an upload's parts. A wrapping is `nonce:12 | ciphertext and tag`.
pub(crate) struct UploadKey {
    key: LessSafeKey,
    upload: UploadId,
}

impl UploadKey {
    pub(crate) fn new(key: DataKey, upload: UploadId) -> Result<Self, StorageError> {
        let key = keyring::aead_key(&*key)
            .ok_or_else(|| StorageError::Corrupt("an upload key has another length".to_owned()))?;
        Ok(Self { key, upload })
    }

    pub(crate) fn wrap(&self, secret: &DataKey, place: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let nonce = entropy::array::<NONCE_LEN>(entropy);
        let mut sealed = secret.to_vec();
        keyring::seal(&self.key, nonce, &self.bound(place), &mut sealed);
        [&nonce[..], &sealed].concat()
    }

    pub(crate) fn unwrap(&self, wrapped: &[u8], place: &[u8]) -> Result<DataKey, StorageError> {
        let damaged = || StorageError::Corrupt("the key of a part does not open".to_owned());
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(self.bound(place));
        let opened = self.key.open_in_place(nonce, aad, &mut bytes).map_err(|_| damaged())?;
        data_key(opened)
    }

    /// The checksum of a part of a customer's upload: it is blinded in its row.
    pub(crate) fn shown_checksum(
        &self,
        number: u16,
        part: &PartRow,
    ) -> Result<Option<Checksum>, StorageError> {
        let Some(blinded) = &part.checksum else { return Ok(None) };
        let data_key = self.unwrap(&part.wrapped_key, &part_place(number, &part.body))?;
        Ok(Some(blind_checksum(&data_key, blinded)))
    }

    fn bound(&self, place: &[u8]) -> Vec<u8> {
        [b"part\0", &self.upload.0[..], place].concat()
    }
}

/// What the data key of a part is bound to besides its upload: its number and its body, so that a part
/// sent again never meets an old key.
pub(crate) fn part_place(number: u16, body: &Body) -> Vec<u8> {
    let mut place = number.to_be_bytes().to_vec();
    match body {
        Body::Inline { id, .. } | Body::Blob { id } => place.extend_from_slice(id),
        Body::Empty | Body::Parts { .. } => {}
    }
    place
}

/// What the key of an upload is bound to as long as it is under way.
pub(crate) fn upload_place(bucket: BucketId, key: &ObjectKey, upload: UploadId) -> Vec<u8> {
    [b"upload\0", &bucket.0[..], &upload.0[..], key.as_str().as_bytes()].concat()
}
