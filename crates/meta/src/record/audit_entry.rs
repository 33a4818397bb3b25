//! Entries of the audit log that are not in the chain yet, and what an entry says.
//!
//! ```text
//! key    12 | time_ms:u64 | id:16                    (of the first entry)
//! value  01 | sealed                                 (entries, one after another)
//! entry  length:u32 | time_ms:i64 | id:16 | protocol:u8 | serial option of u64 | filled:u32 | texts
//! text   length:u16 | bytes
//! ```
//! Bit *n* of `filled` says that text *n* is there; the order of the texts is that of
//! [`AuditEntry::texts`], which only grows at its end. A write's own row holds one entry, a row of the
//! flush many. What seals them is the store's business.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::{DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "audit entry";
const LAYOUT: u8 = 1;
/// Longest text of an entry; longer ones are cut between characters.
pub const AUDIT_TEXT_BYTES_MAX: usize = 1024;
/// Texts of an entry.
const TEXTS: usize = 18;
/// Length of what every entry has: time, id, protocol, whether there is a serial, and which texts.
const HEAD_BYTES: usize = 8 + 16 + 1 + 1 + 4;

/// One entry: what was asked, by whom, from where, and what became of it. Texts that do not apply are
/// empty. With borrowed texts it is written, and read where it goes on as it is, without a copy of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry<Text = String> {
    /// When, by the server's clock.
    pub time_ms: i64,
    /// Names it.
    pub id: [u8; 16],
    /// What was spoken; the store numbers it.
    pub protocol: u8,
    /// Serial of the state it is about.
    pub serial: Option<u64>,
    /// ARN of the requester, or `anonymous` where nothing was proven.
    pub principal: Text,
    /// The key that signed, or that was claimed.
    pub access_key_id: Text,
    /// The client's IP address.
    pub address: Text,
    /// Its `User-Agent`.
    pub user_agent: Text,
    /// Names the request in answers and logs.
    pub request_id: Text,
    /// What was done: an operation, or an act of the guard.
    pub action: Text,
    /// `OK`, or the code of the error.
    pub code: Text,
    /// What the client was told, or what there is to say.
    pub message: Text,
    /// The bucket.
    pub bucket: Text,
    /// The key of the object.
    pub key: Text,
    /// The version of the object.
    pub version_id: Text,
    /// The user, access key or webhook that an administrative act is about.
    pub subject: Text,
    /// `ID` of the lock.
    pub lock_id: Text,
    /// `Operation` of the lock.
    pub lock_operation: Text,
    /// `Who` of the lock.
    pub lock_who: Text,
    /// Lineage of the state.
    pub lineage: Text,
    /// The refused version that keeps the body.
    pub refused_version: Text,
    /// Why, as whoever did it says.
    pub reason: Text,
}

/// The key of a row whose first entry is this one.
pub fn key<Text>(first: &AuditEntry<Text>) -> Key {
    let mut writer = Writer::key(Tag::AuditEntry);
    writer.u64(u64::try_from(first.time_ms).unwrap_or_default());
    writer.raw(&first.id);
    writer.finish()
}

/// The keys of all rows, by the time of their first entry.
pub fn range() -> KeyRange {
    KeyRange::prefix(&Writer::key(Tag::AuditEntry).finish())
}

/// Time and id of the first entry in a row's key.
pub fn decode_key(key: &[u8]) -> Result<(u64, [u8; 16]), DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::AuditEntry, key)?;
    let decoded = (reader.u64()?, reader.array()?);
    reader.end()?;
    Ok(decoded)
}

/// Whether a key is one of this record.
pub fn is_key(key: &[u8]) -> bool {
    key.first() == Some(&(Tag::AuditEntry as u8))
}

/// The row as stored.
pub fn encode(sealed: &[u8]) -> Bytes {
    let mut writer = Writer::value(LAYOUT);
    writer.raw(sealed);
    writer.finish()
}

/// What is sealed in the row.
pub fn decode(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    Ok(Reader::value(RECORD, LAYOUT, bytes)?.rest())
}

/// The entries in plain bytes, as [`AuditEntry::encode`] made them.
pub fn decode_entries(bytes: &[u8]) -> Result<Vec<AuditEntry>, DecodeError> {
    let mut entries = Vec::new();
    for bytes in split(bytes)? {
        entries.push(AuditEntry::decode(bytes)?);
    }
    Ok(entries)
}

/// The plain bytes of each entry, with its length before it.
pub fn split(bytes: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut reader = Reader::over(RECORD, bytes);
    let mut parts = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = size_of::<u32>() + reader.bytes()?.len();
        let (part, after) = rest.split_at(length);
        parts.push(part);
        rest = after;
    }
    Ok(parts)
}

/// A text, cut between characters where it is too long.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl<Text: AsRef<str>> AuditEntry<Text> {
    /// The entry in plain bytes, its length before it.
    pub fn encode(&self) -> Bytes {
        let texts = self.texts().map(|text| cut(text.as_ref(), AUDIT_TEXT_BYTES_MAX));
        let serial_bytes = self.serial.map_or(0, |_| size_of::<u64>());
        let filled = texts.iter().filter(|text| !text.is_empty());
        let texts_bytes: usize = filled.map(|text| size_of::<u16>() + text.len()).sum();
        let length = HEAD_BYTES + serial_bytes + texts_bytes;
        let mut writer = Writer::with_capacity(size_of::<u32>() + length);
        writer.u32(length as u32);
        writer.i64(self.time_ms);
        writer.raw(&self.id);
        writer.u8(self.protocol);
        writer.option(self.serial.as_ref(), |writer, serial| writer.u64(*serial));
        let bit = |(index, text): (usize, &&str)| u32::from(!text.is_empty()) << index;
        writer.u32(texts.iter().enumerate().map(bit).sum());
        for text in texts.iter().filter(|text| !text.is_empty()) {
            writer.u16(text.len() as u16);
            writer.raw(text.as_bytes());
        }
        writer.finish()
    }
}

impl<'a, Text: From<&'a str> + Default> AuditEntry<Text> {
    /// The entry from its plain bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut whole = Reader::over(RECORD, bytes);
        let mut reader = Reader::over(RECORD, whole.bytes()?);
        whole.end()?;
        let mut entry = Self {
            time_ms: reader.i64()?,
            id: reader.array()?,
            protocol: reader.u8()?,
            serial: reader.option(Reader::u64)?,
            ..Self::default()
        };
        let filled = reader.u32()?;
        if filled >> TEXTS != 0 {
            return Err(reader.error("a text that is not known"));
        }
        for (index, text) in entry.texts_mut().into_iter().enumerate() {
            if filled >> index & 1 == 1 {
                let length = usize::from(reader.u16()?);
                let bytes = reader.raw(length)?;
                let known = std::str::from_utf8(bytes).map_err(|_| reader.error("not UTF-8"))?;
                *text = known.into();
            }
        }
        reader.end()?;
        Ok(entry)
    }
}

impl<Text> AuditEntry<Text> {
    fn texts(&self) -> [&Text; TEXTS] {
        [
            &self.principal,
            &self.access_key_id,
            &self.address,
            &self.user_agent,
            &self.request_id,
            &self.action,
            &self.code,
            &self.message,
            &self.bucket,
            &self.key,
            &self.version_id,
            &self.subject,
            &self.lock_id,
            &self.lock_operation,
            &self.lock_who,
            &self.lineage,
            &self.refused_version,
            &self.reason,
        ]
    }

    /// In the order of [`Self::texts`].
    fn texts_mut(&mut self) -> [&mut Text; TEXTS] {
        [
            &mut self.principal,
            &mut self.access_key_id,
            &mut self.address,
            &mut self.user_agent,
            &mut self.request_id,
            &mut self.action,
            &mut self.code,
            &mut self.message,
            &mut self.bucket,
            &mut self.key,
            &mut self.version_id,
            &mut self.subject,
            &mut self.lock_id,
            &mut self.lock_operation,
            &mut self.lock_who,
            &mut self.lineage,
            &mut self.refused_version,
            &mut self.reason,
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = AuditEntry> {
        let head = any::<(i64, [u8; 16], u8, Option<u64>)>();
        let texts = proptest::collection::vec("[a-zä]{0,12}", TEXTS);
        (head, texts).prop_map(|((time_ms, id, protocol, serial), texts)| {
            let mut entry = AuditEntry { time_ms, id, protocol, serial, ..AuditEntry::default() };
            for (field, text) in entry.texts_mut().into_iter().zip(texts) {
                *field = text;
            }
            entry
        })
    }

    proptest! {
        #[test]
        fn entries_come_back(entries in proptest::collection::vec(entry(), 0..5)) {
            let mut bytes = Vec::new();
            for entry in &entries {
                bytes.extend_from_slice(&entry.encode());
            }
            prop_assert_eq!(decode_entries(&bytes).unwrap(), entries);
        }

        #[test]
        fn rows_come_back(sealed: Vec<u8>, entry in entry()) {
            let row = encode(&sealed);
            prop_assert_eq!(decode(&row).unwrap(), &sealed);
            let key = key(&entry);
            let time = u64::try_from(entry.time_ms).unwrap_or_default();
            prop_assert_eq!(decode_key(&key).unwrap(), (time, entry.id));
            prop_assert!(is_key(&key));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = decode_key(&bytes);
            let _ = decode_entries(&bytes);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut() {
        let key = "ä".repeat(AUDIT_TEXT_BYTES_MAX);
        let entry = AuditEntry { key, ..AuditEntry::default() };
        let bytes = entry.encode();
        let read = AuditEntry::<&str>::decode(&bytes).unwrap();
        assert_eq!(read.key.len(), AUDIT_TEXT_BYTES_MAX);
        assert_eq!((cut("ää", 3), cut("ä", 1), cut("", 9), cut("abc", 3)), ("ä", "", "", "abc"));
    }

    #[test]
    fn an_entry_of_a_request_is_compact() {
        let entry = AuditEntry {
            principal: "arn:aws:iam::000000000000:user/ci".to_owned(),
            access_key_id: "AKIAABCDEFGHIJKLMNOP".to_owned(),
            address: "192.0.2.17".to_owned(),
            request_id: "0123456789ABCDEF".to_owned(),
            action: "GetObject".to_owned(),
            code: "OK".to_owned(),
            bucket: "terraform-state".to_owned(),
            key: "env/production/app.tfstate".to_owned(),
            ..AuditEntry::default()
        };
        assert!(entry.encode().len() < 200, "{}", entry.encode().len());
    }
}
