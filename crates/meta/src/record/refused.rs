//! A refused version: the body of a state write that the guard refused, kept for a while.
//!
//! ```text
//! key    10 | bucket:16 | escaped key of the state | version:16           (oldest first)
//! value  01 | expires_ms:i64 | code:text | message:text | run | version
//! ```
//! `version` is the object as it would have become; its id names the refused version. The body is the
//! row's own: it goes with the row.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::run::Run;
use super::version::{ObjectVersion, VersionId};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "refused version";
const LAYOUT: u8 = 1;

/// The row of a refused version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// When it is dropped.
    pub expires_ms: i64,
    /// The code it was refused with.
    pub code: String,
    /// What the client was told.
    pub message: String,
    /// Whose it is.
    pub run: Run,
    /// The object as it would have become.
    pub version: ObjectVersion,
}

/// The key of a refused version.
pub fn key(bucket: BucketId, state_key: &str, id: VersionId) -> Key {
    let mut writer = key_prefix(bucket, state_key);
    id.write(&mut writer);
    writer.finish()
}

/// The keys of all refused versions of one state, oldest first.
pub fn range(bucket: BucketId, state_key: &str) -> KeyRange {
    KeyRange::prefix(&key_prefix(bucket, state_key).finish())
}

/// The keys of all refused versions of states whose key begins with `prefix`.
pub fn range_of_bucket(bucket: BucketId, prefix: &str) -> KeyRange {
    let mut writer = Writer::key(Tag::Refused);
    writer.raw(&bucket.0);
    writer.escaped(prefix.as_bytes());
    let open = writer.finish();
    KeyRange::prefix(&open[..open.len() - 2])
}

/// The keys of all refused versions there are.
pub fn range_of_all() -> KeyRange {
    KeyRange::prefix(&Writer::key(Tag::Refused).finish())
}

/// Bucket, key of the state and id in a refused version's key.
pub fn decode_key(key: &[u8]) -> Result<(BucketId, String, VersionId), DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Refused, key)?;
    let bucket = BucketId(reader.array()?);
    let state_key = reader.escaped()?;
    let state_key = String::from_utf8(state_key).map_err(|_| reader.error("key is not UTF-8"))?;
    let id = VersionId::read(&mut reader)?;
    reader.end()?;
    Ok((bucket, state_key, id))
}

fn key_prefix(bucket: BucketId, state_key: &str) -> Writer {
    let mut writer = Writer::key(Tag::Refused);
    writer.raw(&bucket.0);
    writer.escaped(state_key.as_bytes());
    writer
}

impl RefusedRow {
    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.i64(self.expires_ms);
        writer.text(&self.code);
        writer.text(&self.message);
        self.run.write(&mut writer);
        self.version.write(&mut writer);
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::value(RECORD, LAYOUT, bytes)?;
        let row = Self {
            expires_ms: reader.i64()?,
            code: reader.text()?,
            message: reader.text()?,
            run: Run::read(&mut reader)?,
            version: ObjectVersion::read(&mut reader)?,
        };
        reader.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::run::arbitrary as runs;
    use super::super::version::arbitrary as versions;
    use super::*;

    proptest! {
        #[test]
        fn rows_come_back(
            expires_ms: i64, code: String, message: String, run in runs::run(),
            version in versions::version(),
        ) {
            let row = RefusedRow { expires_ms, code, message, run, version };
            prop_assert_eq!(RefusedRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn keys_come_back(bucket: [u8; 16], state_key: String, sequence: u64, random: u64) {
            let id = VersionId { sequence, random };
            let key = key(BucketId(bucket), &state_key, id);
            prop_assert_eq!(decode_key(&key).unwrap(), (BucketId(bucket), state_key, id));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = RefusedRow::decode(&bytes);
            let _ = decode_key(&bytes);
        }
    }
}
