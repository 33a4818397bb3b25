//! A stretch of the bytes of a blob that is kept as rows, by [`super::blob`].
//!
//! ```text
//! key    0E | blob id:16 | chunk:u32
//! value  the bytes: CHUNK_BYTES of them, fewer only in the last chunk; without a layout byte
//! ```

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange, Limits};

const RECORD: &str = "blob chunk";

/// Bytes of every chunk but the last: the largest value that every engine takes.
pub const CHUNK_BYTES: usize = Limits::COMMON.value_bytes_max;

/// The key of one chunk.
pub fn key(blob: [u8; 16], chunk: u32) -> Key {
    let mut writer = prefix(blob);
    writer.u32(chunk);
    writer.finish()
}

/// The keys of all chunks of a blob.
pub fn range(blob: [u8; 16]) -> KeyRange {
    KeyRange::prefix(&prefix(blob).finish())
}

/// The chunk number in a key.
pub fn decode_key(key: &[u8]) -> Result<u32, DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::BlobChunk, key)?;
    reader.raw(16)?;
    let chunk = reader.u32()?;
    reader.end()?;
    Ok(chunk)
}

fn prefix(blob: [u8; 16]) -> Writer {
    let mut writer = Writer::key(Tag::BlobChunk);
    writer.raw(&blob);
    writer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_come_back_and_sort_as_their_chunks(blob: [u8; 16], a: u32, b: u32) {
            prop_assert_eq!(decode_key(&key(blob, a)).unwrap(), a);
            prop_assert_eq!(key(blob, a).cmp(&key(blob, b)), a.cmp(&b));
            let range = range(blob);
            prop_assert!(key(blob, a) >= range.start);
            prop_assert!(range.end.is_none_or(|end| key(blob, a) < end));
        }
    }
}
