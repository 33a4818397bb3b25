//! The cipher of bodies: AES-256-GCM over chunks of fixed size, so that a range read opens only what
//! it needs.
//!
//! A body has a data key of its own, so chunk numbers serve as nonces. The associated data of a chunk
//! is `body id:16 | chunk:u32 | last:u8`: chunks cannot be reordered, moved between bodies, or cut off
//! at the end. Sealed chunk `n` stands at `n * SEALED_CHUNK_BYTES`.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use crate::error::StorageError;
use crate::keyring;

/// Plaintext bytes of every chunk but the last: sealed and with its key it fits a page of 32 KiB of the
/// local engine's index, where a chunk of 32 KiB would take 64.
pub(crate) const CHUNK_BYTES: usize = 31 << 10;
/// Bytes of the authentication tag behind each chunk.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of every sealed chunk but the last.
pub(crate) const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// Bytes of a data key.
pub(crate) const DATA_KEY_BYTES: usize = 32;

/// A data key, in clear.
pub(crate) type DataKey = Zeroizing<[u8; DATA_KEY_BYTES]>;

/// Seals and opens the chunks of one body.
pub(crate) struct ChunkCipher {
    key: LessSafeKey,
    body: [u8; 16],
}

/// Where a chunk stands in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    pub(crate) number: u32,
    pub(crate) is_last: bool,
}

impl ChunkCipher {
    #[allow(clippy::expect_used, reason = "the key's length is in its type")]
    pub(crate) fn new(key: &DataKey, body: [u8; 16]) -> Self {
        Self { key: keyring::aead_key(&**key).expect("32 bytes make an AES-256 key"), body }
    }

    /// Seals a chunk in place and appends its tag.
    pub(crate) fn seal(&self, place: ChunkPlace, chunk: &mut Vec<u8>) {
        keyring::seal(&self.key, nonce(place), &self.associated(place), chunk);
    }

    /// Opens a chunk in place: its plaintext is the first bytes of `sealed`, as many as this says.
    pub(crate) fn open(&self, place: ChunkPlace, sealed: &mut [u8]) -> Result<usize, StorageError> {
        let nonce = Nonce::assume_unique_for_key(nonce(place));
        let aad = Aad::from(self.associated(place));
        match self.key.open_in_place(nonce, aad, sealed) {
            Ok(plain) => Ok(plain.len()),
            Err(_) => {
                let body = hex::encode(self.body);
                let problem = format!("chunk {} of body {body} does not open", place.number);
                Err(StorageError::Corrupt(problem))
            }
        }
    }

    fn associated(&self, place: ChunkPlace) -> [u8; 21] {
        let mut data = [0; 21];
        data[..16].copy_from_slice(&self.body);
        data[16..20].copy_from_slice(&place.number.to_be_bytes());
        data[20] = u8::from(place.is_last);
        data
    }
}

fn nonce(place: ChunkPlace) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[8..].copy_from_slice(&place.number.to_be_bytes());
    nonce
}

/// Chunks of a body of `size` plaintext bytes.
pub(crate) fn chunk_count(size: u64) -> u64 {
    size.div_ceil(CHUNK_BYTES as u64)
}

/// The place of chunk `number` in a body of `size` plaintext bytes.
pub(crate) fn place_of(number: u64, size: u64) -> Result<ChunkPlace, StorageError> {
    let is_last = number + 1 == chunk_count(size);
    let number = u32::try_from(number)
        .map_err(|_| StorageError::Corrupt("a body has too many chunks".to_owned()))?;
    Ok(ChunkPlace { number, is_last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(key: u8, body: u8) -> ChunkCipher {
        ChunkCipher::new(&Zeroizing::new([key; 32]), [body; 16])
    }

    #[test]
    fn a_chunk_opens_only_in_its_place() {
        let here = ChunkPlace { number: 3, is_last: false };
        let mut sealed = b"hello".to_vec();
        cipher(1, 1).seal(here, &mut sealed);
        assert_eq!(sealed.len(), 5 + TAG_BYTES);
        let rows = [
            ("the place", cipher(1, 1), here, true),
            ("another number", cipher(1, 1), ChunkPlace { number: 4, is_last: false }, false),
            ("cut off after it", cipher(1, 1), ChunkPlace { number: 3, is_last: true }, false),
            ("another body", cipher(1, 2), here, false),
            ("another key", cipher(2, 1), here, false),
        ];
        for (name, cipher, place, opens) in rows {
            let mut chunk = sealed.clone();
            let opened = cipher.open(place, &mut chunk).ok().map(|length| &chunk[..length]);
            assert_eq!(opened, opens.then_some(&b"hello"[..]), "{name}");
        }
    }

    #[test]
    fn counts() {
        let chunk = CHUNK_BYTES as u64;
        for (size, count) in [(0, 0), (1, 1), (chunk, 1), (chunk + 1, 2), (10 * chunk, 10)] {
            assert_eq!(chunk_count(size), count, "{size}");
        }
    }
}
