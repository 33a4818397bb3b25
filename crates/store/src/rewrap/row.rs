//! What the keyring has wrapped in one row, and what each of it is bound to. Knows no key.

use bytes::Bytes;
use tidelock_meta::Key;
use tidelock_meta::record::BucketId;
use tidelock_meta::record::access_key::{self, AccessKeyRow};
use tidelock_meta::record::audit_entry;
use tidelock_meta::record::audit_segment::{self, AuditSegmentRow};
use tidelock_meta::record::bucket::BucketRow;
use tidelock_meta::record::controls::ServerSideEncryption;
use tidelock_meta::record::dead_letter::DeadLetterRow;
use tidelock_meta::record::guard::{self, GuardRow};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::refused::{self, RefusedRow};
use tidelock_meta::record::root::RootRow;
use tidelock_meta::record::upload::{self, UploadRow};
use tidelock_meta::record::version::{self, ObjectVersion, VersionKind};
use tidelock_meta::record::webhook::{self, WebhookRow};

use super::stage::Stage;
use crate::Store;
use crate::audit::{entry_place, segment_place};
use crate::error::StorageError;
use crate::multipart::upload_place;
use crate::name::{ObjectKey, lock_key};
use crate::sealing::root_place;
use crate::state::place as state_place;
use crate::webhook::{WebhookId, letter_place, secret_place};

/// A row that may hold wrappings.
pub(super) enum SealedRow {
    Bucket(BucketRow),
    Head(Place, HeadRow),
    Version(Place, ObjectVersion),
    Upload(Vec<u8>, UploadRow),
    Guard(Place, GuardRow),
    Refused(Place, RefusedRow),
    AccessKey(Vec<u8>, AccessKeyRow),
    Root(Vec<u8>, RootRow),
    Webhook(Vec<u8>, WebhookRow),
    DeadLetter(Vec<u8>, DeadLetterRow),
    AuditEntry(Vec<u8>, Vec<u8>),
    AuditSegment(Vec<u8>, AuditSegmentRow),
}

/// The bucket and the key of an object.
pub(super) struct Place {
    bucket: BucketId,
    key: ObjectKey,
}

/// Something that a key of the keyring has wrapped.
pub(super) struct Wrapping<'a> {
    pub(super) sealed: &'a mut Vec<u8>,
    pub(super) place: Vec<u8>,
    /// That of the object whose key it is; none for what is no object's.
    pub(super) encryption: Option<&'a mut ServerSideEncryption>,
}

impl SealedRow {
    /// A row of `stage`.
    ///
    /// # Errors
    ///
    /// When key or value are damaged.
    pub(super) fn decode(stage: Stage, key: &Key, value: &[u8]) -> Result<Self, StorageError> {
        Ok(match stage {
            Stage::Buckets => Self::Bucket(BucketRow::decode(value)?),
            Stage::Heads => {
                let place = Place::new(head::bucket_of(key)?, head::decode_key(key)?)?;
                Self::Head(place, HeadRow::decode(value)?)
            }
            Stage::Versions => {
                let place = Place::new(version::bucket_of(key)?, version::decode_key(key)?.0)?;
                Self::Version(place, ObjectVersion::decode(value)?)
            }
            Stage::Uploads => {
                let (bucket, name, id) = upload::decode_key(key)?;
                let place = Place::new(bucket, name)?;
                let bound = upload_place(bucket, &place.key, id);
                Self::Upload(bound, UploadRow::decode(value)?)
            }
            Stage::Guards => {
                let place = Place::new(guard::bucket_of(key)?, guard::decode_key(key)?)?;
                Self::Guard(place, GuardRow::decode(value)?)
            }
            Stage::Refused => {
                let (bucket, name, _) = refused::decode_key(key)?;
                Self::Refused(Place::new(bucket, name)?, RefusedRow::decode(value)?)
            }
            Stage::AccessKeys => {
                let bound = access_key::decode_key(key)?.into_bytes();
                Self::AccessKey(bound, AccessKeyRow::decode(value)?)
            }
            Stage::Root => {
                let row = RootRow::decode(value)?;
                Self::Root(root_place(&row.access_key_id), row)
            }
            Stage::Webhooks => {
                let bound = secret_place(WebhookId(webhook::decode_key(key)?));
                Self::Webhook(bound, WebhookRow::decode(value)?)
            }
            Stage::DeadLetters => {
                Self::DeadLetter(letter_place(key), DeadLetterRow::decode(value)?)
            }
            Stage::AuditEntries => {
                Self::AuditEntry(entry_place(key), audit_entry::decode(value)?.to_vec())
            }
            Stage::AuditSegments => {
                let bound = segment_place(audit_segment::decode_key(key)?);
                Self::AuditSegment(bound, AuditSegmentRow::decode(value)?)
            }
        })
    }

    /// All that is wrapped in it.
    pub(super) fn wrappings(&mut self) -> Vec<Wrapping<'_>> {
        let mut all = Vec::new();
        match self {
            Self::Bucket(_) => {}
            Self::Head(place, row) => {
                row.current.iter_mut().for_each(|version| of_version(&mut all, place, version));
            }
            Self::Version(place, version) => of_version(&mut all, place, version),
            Self::Refused(place, row) => of_version(&mut all, place, &mut row.version),
            Self::Upload(bound, row) => all.push(Wrapping {
                sealed: &mut row.wrapped_key,
                place: bound.clone(),
                encryption: Some(&mut row.controls.encryption),
            }),
            Self::Guard(place, row) => of_guard(&mut all, place, row),
            Self::AccessKey(bound, row) => all.push(alone(&mut row.sealed_secret, bound)),
            Self::Root(bound, row) => all.push(alone(&mut row.sealed_secret, bound)),
            Self::Webhook(bound, row) => all.push(alone(&mut row.sealed_secret, bound)),
            Self::DeadLetter(bound, row) => all.push(alone(&mut row.sealed, bound)),
            Self::AuditEntry(bound, sealed) => all.push(alone(sealed, bound)),
            Self::AuditSegment(bound, row) => all.push(alone(&mut row.sealed, bound)),
        }
        // A guard that keeps no body of a lock.
        all.retain(|wrapping| !wrapping.sealed.is_empty());
        all
    }

    /// The row as stored.
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Bucket(row) => row.encode(),
            Self::Head(_, row) => row.encode(),
            Self::Version(_, version) => version.encode(),
            Self::Upload(_, row) => row.encode(),
            Self::Guard(_, row) => row.encode(),
            Self::Refused(_, row) => row.encode(),
            Self::AccessKey(_, row) => row.encode(),
            Self::Root(_, row) => row.encode(),
            Self::Webhook(_, row) => row.encode(),
            Self::DeadLetter(_, row) => row.encode(),
            Self::AuditEntry(_, sealed) => audit_entry::encode(sealed),
            Self::AuditSegment(_, row) => row.encode(),
        }
    }
}

impl Place {
    fn new(bucket: BucketId, name: String) -> Result<Self, StorageError> {
        let key = name.parse();
        let key = key.map_err(|_| StorageError::Corrupt("a key that no object has".to_owned()))?;
        Ok(Self { bucket, key })
    }
}

fn alone<'a>(sealed: &'a mut Vec<u8>, bound: &[u8]) -> Wrapping<'a> {
    Wrapping { sealed, place: bound.to_vec(), encryption: None }
}

fn of_version<'a>(all: &mut Vec<Wrapping<'a>>, place: &Place, version: &'a mut ObjectVersion) {
    let VersionKind::Object(facts) = &mut version.kind else { return };
    let facts = &mut **facts;
    all.push(Wrapping {
        sealed: &mut facts.wrapped_key,
        place: Store::key_place(place.bucket, &place.key, version.id),
        encryption: Some(&mut facts.controls.encryption),
    });
    if let Some(sealed) = &mut facts.state {
        let bound = state_place(b"state\0", place.bucket, &place.key, version.id);
        all.push(Wrapping { sealed, place: bound, encryption: None });
    }
}

fn of_guard<'a>(all: &mut Vec<Wrapping<'a>>, place: &Place, row: &'a mut GuardRow) {
    let bound = |label: &[u8], id| state_place(label, place.bucket, &place.key, id);
    if let Some(hold) = &mut row.hold {
        let bound = bound(b"lock\0", hold.version);
        all.push(Wrapping { sealed: &mut hold.sealed_lock, place: bound, encryption: None });
    }
    if let Some(index) = &mut row.index {
        let bound = bound(b"index\0", index.version);
        all.push(Wrapping { sealed: &mut index.wrapped_key, place: bound, encryption: None });
    }
    if let Some(released) = &mut row.released {
        // The lock is an object of its own, beside the state. No state has a key without room for it.
        if let Ok(lock) = Place::new(place.bucket, lock_key(place.key.as_str())) {
            of_version(all, &lock, &mut released.version);
        }
    }
}
