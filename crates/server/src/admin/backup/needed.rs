//! Which blobs the rows of a log name, and which of them the rows of its end cannot be without. Knows what it was
//! told, and nothing of what was before.

use std::collections::{BTreeMap, BTreeSet};

use tidelock_blob::BlobId;
use tidelock_meta::Key;
use tidelock_meta::local::{Group, Record};
use tidelock_meta::record::DecodeError;
use tidelock_meta::record::named::{Named, named, upload_of};
use tidelock_meta::record::store::{self, StoreRow};
use tidelock_meta::record::upload::UploadId;
use tidelock_meta::record::version::Body;

use super::BackupError;

/// What the groups so far say of blobs.
#[derive(Default)]
pub(in crate::admin) struct Needed {
    /// All that were named at some time.
    named: BTreeSet<BlobId>,
    /// What the last record of a key names.
    rows: BTreeMap<Key, Named>,
    /// Uploads that came or went.
    under_way: BTreeMap<UploadId, bool>,
    /// Id of the store, lowercase hex.
    store: Option<String>,
    /// It was told of all that there is, not of what came after a backup alone.
    knows_all: bool,
    failure: Option<BackupError>,
}

impl Needed {
    /// What is told from here on is all that there is.
    pub(in crate::admin) fn of_all() -> Self {
        Self { knows_all: true, ..Self::default() }
    }

    /// The records of a group, which is sound.
    pub(in crate::admin) fn apply(&mut self, group: &Group) {
        for record in group.records().unwrap_or_default() {
            if let Err(error) = self.apply_record(&record) {
                self.failure.get_or_insert(error);
            }
        }
    }

    fn apply_record(&mut self, record: &Record<'_>) -> Result<(), BackupError> {
        let (key, value) = match *record {
            Record::Delete { key, .. } => {
                self.rows.remove(key);
                self.under_way.extend(upload_of(key).map(|upload| (upload, false)));
                return Ok(());
            }
            Record::Put { key, value, .. } => (key, value),
        };
        Ok(self.put(key, value)?)
    }

    /// The row of `key` has this `value` from now on.
    pub(in crate::admin) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
        if key == &store::key()[..] {
            self.store = Some(hex::encode(StoreRow::decode(value)?.id));
        }
        let names = named(key, value)?;
        match &names {
            Named::Nothing => drop(self.rows.remove(key)),
            Named::Upload { upload, is_under_way } => {
                self.under_way.insert(*upload, *is_under_way);
            }
            Named::Bodies(bodies) => {
                self.named.extend(bodies.iter().filter_map(blob_of));
                self.rows.insert(Key::copy_from_slice(key), names);
            }
            Named::Part { body, .. } => {
                self.named.extend(blob_of(body));
                self.rows.insert(Key::copy_from_slice(key), names);
            }
        }
        Ok(())
    }

    /// What was wrong with a row, once.
    pub(in crate::admin) fn take_failure(&mut self) -> Result<(), BackupError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Id of the store, if its row was among what was read.
    pub(in crate::admin) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// All blobs that were named at some time.
    pub(in crate::admin) fn named(&self) -> &BTreeSet<BlobId> {
        &self.named
    }

    /// Those of `missing` that the rows as they are now cannot be without. Others were removed since they were
    /// named, and by rights.
    pub(in crate::admin) fn lost(&self, missing: &BTreeSet<BlobId>) -> BTreeSet<BlobId> {
        if missing.is_empty() {
            return BTreeSet::new();
        }
        let is_missing = |body: &Body| blob_of(body).filter(|id| missing.contains(id));
        let mut lost = BTreeSet::new();
        for row in self.rows.values() {
            match row {
                Named::Bodies(bodies) => lost.extend(bodies.iter().filter_map(is_missing)),
                Named::Part { upload, number, body } if self.is_needed(*upload, *number) => {
                    lost.extend(is_missing(body));
                }
                Named::Part { .. } | Named::Nothing | Named::Upload { .. } => {}
            }
        }
        lost
    }

    fn is_needed(&self, upload: UploadId, number: u16) -> bool {
        // Of one that was there before, nothing is heard until it ends.
        if self.under_way.get(&upload).copied().unwrap_or(!self.knows_all) {
            return true;
        }
        self.rows.values().any(|row| match row {
            Named::Bodies(bodies) => bodies.iter().any(|body| has_part(body, upload, number)),
            Named::Part { .. } | Named::Nothing | Named::Upload { .. } => false,
        })
    }
}

/// The blob that a body is.
pub(in crate::admin) fn blob_of(body: &Body) -> Option<BlobId> {
    match body {
        Body::Blob { id } => Some(BlobId(*id)),
        Body::Empty | Body::Inline { .. } | Body::Parts { .. } => None,
    }
}

fn has_part(body: &Body, upload: UploadId, number: u16) -> bool {
    match body {
        Body::Parts { upload: of, ranges } => {
            *of == upload.0 && ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
        }
        Body::Empty | Body::Inline { .. } | Body::Blob { .. } => false,
    }
}

#[cfg(test)]
mod tests;
