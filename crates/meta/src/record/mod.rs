//! The records: one file each, with its layout drawn in the module comment.
//!
//! A key begins with one byte that names the record; a value begins with one byte that names its
//! layout. Both are persisted: never renumber them. Numbers are big-endian of explicit width, so
//! that keys sort as their numbers do.
//!
//! | tag | record | key after the tag |
//! |---|---|---|
//! | 01 | [`bucket`] | name |
//! | 02 | [`head`] | bucket id, object key |
//! | 03 | [`version`] | bucket id, escaped object key, inverted sequence |
//! | 04 | [`body`] | body id, chunk number |
//! | 05 | [`upload`] | bucket id, escaped object key, upload id |
//! | 06 | [`part`] | upload id, part number |
//! | 07 | [`reclaim`] | due time, id |
//! | 08 | [`user`] | name |
//! | 09 | [`access_key`] | access key id |
//! | 0A | [`store`] | nothing: there is one |
//! | 0B | [`root`] | nothing: there is one |
//! | 0C | [`lease`] | name |
//! | 0D | [`blob`] | blob id |
//! | 0E | [`blob_chunk`] | blob id, chunk number |
//! | 0F | [`guard`] | bucket id, key of the state |
//! | 10 | [`refused`] | bucket id, escaped key of the state, version id |
//! | 11 | [`contended`] | bucket id, key of the state |
//! | 12 | [`audit_entry`] | time, id |
//! | 13 | [`audit_segment`] | number |
//! | 14 | [`audit_chain`] | nothing: there is one |
//! | 15 | [`webhook`] | id |
//! | 16 | [`dead_letter`] | webhook id, place in the log |
//! | 17 | [`bucket_document`] | bucket id, document id |
//! | 18 | [`role`] | name |
//! | 19 | [`group`] | name |

pub mod access_key;
pub mod audit_chain;
pub mod audit_entry;
pub mod audit_segment;
pub mod blob;
pub mod blob_chunk;
pub mod body;
pub mod bucket;
pub mod bucket_document;
pub mod codec;
pub mod contended;
pub mod controls;
pub mod dead_letter;
pub mod group;
pub mod guard;
pub mod head;
pub mod lease;
pub mod lifecycle;
pub mod named;
pub mod part;
pub mod reclaim;
pub mod refused;
pub mod role;
pub mod root;
pub mod run;
pub mod session;
pub mod state;
pub mod store;
pub mod upload;
pub mod user;
pub mod version;
pub mod webhook;

pub use codec::DecodeError;

/// Names a bucket for as long as it lives; a bucket made again under its name has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(pub [u8; 16]);

/// First bytes of keys. Persisted, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    Bucket = 0x01,
    Head = 0x02,
    Version = 0x03,
    Body = 0x04,
    Upload = 0x05,
    Part = 0x06,
    Reclaim = 0x07,
    User = 0x08,
    AccessKey = 0x09,
    Store = 0x0A,
    Root = 0x0B,
    Lease = 0x0C,
    Blob = 0x0D,
    BlobChunk = 0x0E,
    Guard = 0x0F,
    Refused = 0x10,
    Contended = 0x11,
    AuditEntry = 0x12,
    AuditSegment = 0x13,
    AuditChain = 0x14,
    Webhook = 0x15,
    DeadLetter = 0x16,
    BucketDocument = 0x17,
    Role = 0x18,
    Group = 0x19,
}
