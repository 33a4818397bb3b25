//! A blob that is kept as rows: its header. The bytes are in [`super::blob_chunk`] rows.
//!
//! ```text
//! key    0D | blob id:16
//! value  01 | state:u8 | writer:16 | length:u64 | chunks:u32
//! ```
//! Written first, as `Writing` and with no length; every commit of chunks checks it, so that whoever
//! deletes it ends its writer. Written again as `Finished` with the last chunks.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange, successor_of_key};

const RECORD: &str = "blob";
const LAYOUT: u8 = 1;

/// Whether a blob exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobState {
    /// Not yet, and maybe never.
    Writing,
    /// It does, and never changes again.
    Finished,
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobRow {
    /// Whether it exists.
    pub state: BlobState,
    /// Random; tells a writer whose answer was lost that the row is its own.
    pub writer: [u8; 16],
    /// Bytes; 0 while it is being written.
    pub length: u64,
    /// Rows of the bytes; 0 while it is being written.
    pub chunks: u32,
}

/// The key of a blob's header.
pub fn key(id: [u8; 16]) -> Key {
    let mut writer = Writer::key(Tag::Blob);
    writer.raw(&id);
    writer.finish()
}

/// The keys of all headers, or of those after an id.
pub fn range_after(after: Option<[u8; 16]>) -> KeyRange {
    let all = KeyRange::prefix(&[Tag::Blob as u8]);
    match after {
        Some(id) => all.starting_at(successor_of_key(&key(id))),
        None => all,
    }
}

/// The blob id in a key.
pub fn decode_key(key: &[u8]) -> Result<[u8; 16], DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Blob, key)?;
    let id = reader.array()?;
    reader.end()?;
    Ok(id)
}

impl BlobRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.u8(match self.state {
            BlobState::Writing => 0,
            BlobState::Finished => 1,
        });
        writer.raw(&self.writer);
        writer.u64(self.length);
        writer.u32(self.chunks);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            state: match reader.u8()? {
                0 => BlobState::Writing,
                1 => BlobState::Finished,
                _ => return Err(reader.error("unknown state")),
            },
            writer: reader.array()?,
            length: reader.u64()?,
            chunks: reader.u32()?,
        };
        reader.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_back(is_finished: bool, writer: [u8; 16], length: u64, chunks: u32, id: [u8; 16]) {
            let state = if is_finished { BlobState::Finished } else { BlobState::Writing };
            let row = BlobRow { state, writer, length, chunks };
            prop_assert_eq!(BlobRow::decode(&row.encode()).unwrap(), row);
            prop_assert_eq!(decode_key(&key(id)).unwrap(), id);
        }

        #[test]
        fn a_page_begins_after_the_last_one(after: [u8; 16], id: [u8; 16]) {
            let range = range_after(Some(after));
            let key = key(id);
            let is_inside = key >= range.start && range.end.is_none_or(|end| key < end);
            prop_assert_eq!(is_inside, id > after);
        }
    }
}
