//! Something to be removed when its time has come: an intent before, or garbage after a commit.
//!
//! ```text
//! key    07 | due_ms:u64 | id:16
//! value  01 | what:u8 | owner:16 | claimed:flag
//! ```
//! A blob gets its row before its first byte is written; the commit that makes an object of it
//! deletes the row (and checks it, so that a sweeper and a slow writer cannot both win). A blob or
//! an upload that an object no longer needs gets its row in the commit that replaces the object.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "reclaim";
const LAYOUT: u8 = 1;

/// What is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reclaimed {
    /// A blob that may never have become an object's body.
    Intent,
    /// A blob that no object needs.
    Blob,
    /// The parts of an upload that no object needs.
    Upload,
    /// Everything that is left under the id of a deleted bucket: heads and uploads without objects.
    Bucket,
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReclaimRow {
    /// What.
    pub what: Reclaimed,
    /// The server that wrote the row; an intent of a server that no longer runs is due at once.
    pub owner: [u8; 16],
    /// A sweeper has begun to remove it: nobody may make an object of it any more.
    pub claimed: bool,
}

/// The key: due time first, so that a sweeper reads only what is due.
pub fn key(due_ms: i64, id: [u8; 16]) -> Key {
    let mut writer = Writer::key(Tag::Reclaim);
    writer.u64(due_ms.max(0).unsigned_abs());
    writer.raw(&id);
    writer.finish()
}

/// The keys of all that is due at `now_ms`.
pub fn range_due(now_ms: i64) -> KeyRange {
    KeyRange {
        start: Writer::key(Tag::Reclaim).finish(),
        end: Some(key(now_ms.saturating_add(1), [0; 16])),
    }
}

/// The keys of all rows.
pub fn range_of_all() -> KeyRange {
    KeyRange::prefix(&[Tag::Reclaim as u8])
}

/// The id in a key.
pub fn decode_key(key: &[u8]) -> Result<[u8; 16], DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Reclaim, key)?;
    reader.u64()?;
    let id = reader.array()?;
    reader.end()?;
    Ok(id)
}

impl ReclaimRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.u8(match self.what {
            Reclaimed::Intent => 0,
            Reclaimed::Blob => 1,
            Reclaimed::Upload => 2,
            Reclaimed::Bucket => 3,
        });
        writer.raw(&self.owner);
        writer.flag(self.claimed);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            what: match reader.u8()? {
                0 => Reclaimed::Intent,
                1 => Reclaimed::Blob,
                2 => Reclaimed::Upload,
                3 => Reclaimed::Bucket,
                _ => return Err(reader.error("unknown kind")),
            },
            owner: reader.array()?,
            claimed: reader.flag()?,
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
        fn rows_come_back(what in 0..4_usize, owner: [u8; 16], claimed: bool) {
            let what = [Reclaimed::Intent, Reclaimed::Blob, Reclaimed::Upload, Reclaimed::Bucket][what];
            let row = ReclaimRow { what, owner, claimed };
            prop_assert_eq!(ReclaimRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn what_is_due_is_in_the_range(due in 0..i64::MAX, id: [u8; 16], now in 0..i64::MAX) {
            let key = key(due, id);
            let range = range_due(now);
            let inside = key >= range.start && range.end.is_none_or(|end| key < end);
            prop_assert_eq!(inside, due <= now);
            prop_assert_eq!(decode_key(&key).unwrap(), id);
        }
    }
}
