//! Making a version the current one of its key: the one place where versions move.

use tidelock_meta::record::bucket::{self, Versioning};
use tidelock_meta::record::head::{self, HeadRow};
use tidelock_meta::record::version::{self, ObjectVersion, VersionId};
use tidelock_meta::record::{BucketId, DecodeError};
use tidelock_meta::{Batch, Key, Versioned, Write};

use crate::Store;
use crate::bucket::OpenBucket;
use crate::commit::View;
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::version::VersionSelector;

/// Who does something to which key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) bucket: &'a BucketName,
    pub(crate) key: &'a ObjectKey,
}

/// The head of a key, as one operation has read it.
#[derive(Debug)]
pub(crate) struct OpenHead {
    pub(crate) key: Key,
    pub(crate) seen: Option<Versioned>,
    pub(crate) row: HeadRow,
}

impl OpenHead {
    pub(crate) fn of(key: Key, seen: Option<&Versioned>) -> Result<Self, DecodeError> {
        let row = seen.map(|row| HeadRow::decode(&row.value)).transpose()?.unwrap_or_default();
        Ok(Self { key, seen: seen.cloned(), row })
    }

    /// Makes `batch` land only on what was read, and leave `row` instead. It is the batch's first
    /// write: its bytes tell whether a commit landed whose reply was lost.
    pub(crate) fn replace(&self, batch: &mut Batch, row: &HeadRow) {
        batch.expect(self.key.clone(), self.seen.as_ref());
        if !row.is_needless() {
            batch.writes.insert(0, Write::Put(self.key.clone(), row.encode()));
        } else if self.seen.is_some() {
            batch.writes.insert(0, Write::Delete(self.key.clone()));
        }
    }

    /// Makes `batch` land only on what was read, and leave it. Nothing that is not there is checked.
    pub(crate) fn check(&self, batch: &mut Batch) {
        if self.seen.is_some() {
            batch.expect(self.key.clone(), self.seen.as_ref());
        }
    }

    /// The id for a version that comes after all others of this key.
    pub(crate) fn next_id(&self, now_ms: i64, random: [u8; 8]) -> VersionId {
        let previous = self.row.current.as_ref().map(|version| version.id);
        crate::version::next_id(now_ms, previous, random)
    }

    /// `Last-Modified` of a version that comes after all others of this key: never before theirs, also
    /// when they were written by a server whose clock is ahead. A client that asks for what was modified
    /// since must not be told that nothing was.
    pub(crate) fn modified_ms(&self, now_ms: i64) -> i64 {
        self.row.current.as_ref().map_or(now_ms, |version| version.modified_ms.max(now_ms))
    }
}

impl Store {
    /// The bucket of a write, so that the key's other rows can be named; the write reads it again.
    pub(crate) async fn find_bucket(
        &self,
        principal: &Principal,
        name: &BucketName,
    ) -> Result<OpenBucket, crate::BucketError> {
        self.rows
            .look(|reading| async move { OpenBucket::read(&reading, name, principal).await })
            .await
    }

    /// The keys every write of an object reads: bucket and head. The bucket's id is not known before
    /// its row was read; [`OpenBucket::again`] refuses a bucket that was made anew since.
    pub(crate) fn target_keys(target: Target<'_>, id: BucketId) -> [Key; 2] {
        [bucket::key(target.bucket.as_str()), head::key(id, target.key.as_str())]
    }

    /// Adds to `batch` that `new` becomes current and that what it replaces is kept as a noncurrent
    /// version or discarded, as the bucket's versioning says.
    ///
    /// Answers the rows it needs to see first, if it does.
    pub(crate) fn install(
        &self,
        batch: &mut Batch,
        place: (&OpenBucket, &ObjectKey),
        head: &OpenHead,
        (new, keeping): (ObjectVersion, Keeping),
        view: &View,
    ) -> Result<Option<Vec<Key>>, DecodeError> {
        let (bucket, key) = place;
        let mut row = head.row.clone();
        let old = row.current.take();
        if new.is_null
            && let Some(sequence) = row.null_sequence.take()
        {
            let replaced = version::key(bucket.row.id, key.as_str(), sequence);
            let Some(seen) = view.read(&replaced) else { return Ok(Some(vec![replaced])) };
            if let Some(seen) = seen {
                self.discard_version(batch, &ObjectVersion::decode(&seen.value)?);
            }
            batch.delete(replaced);
        }
        let keeps_old = |old: &ObjectVersion| match keeping {
            Keeping::AsVersioned => !(new.is_null && old.is_null),
            Keeping::Nothing => false,
        };
        match old {
            Some(old) if keeps_old(&old) => {
                if old.is_null {
                    row.null_sequence = Some(old.id.sequence);
                }
                batch.put(version::key(bucket.row.id, key.as_str(), old.id.sequence), old.encode());
            }
            Some(old) => self.discard_version(batch, &old),
            None => {}
        }
        row.mutations += 1;
        row.current = Some(new);
        head.replace(batch, &row);
        bucket.guard(batch);
        Ok(None)
    }

    /// Adds to `batch` that nobody needs a version's body any more.
    pub(crate) fn discard_version(&self, batch: &mut Batch, old: &ObjectVersion) {
        if let Some(facts) = old.object() {
            self.discard(batch, &facts.body);
        }
    }

    /// What a data key is bound to: bucket, object key and version.
    pub(crate) fn key_place(bucket: BucketId, key: &ObjectKey, id: VersionId) -> Vec<u8> {
        const PREFIX: &[u8] = b"object\0";
        let fixed_bytes = PREFIX.len() + size_of::<BucketId>() + size_of::<VersionId>();
        let mut place = Vec::with_capacity(fixed_bytes + key.as_str().len());
        place.extend_from_slice(PREFIX);
        place.extend_from_slice(&bucket.0);
        place.extend_from_slice(&id.sequence.to_be_bytes());
        place.extend_from_slice(&id.random.to_be_bytes());
        place.extend_from_slice(key.as_str().as_bytes());
        place
    }
}

/// What becomes of a version that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// What the bucket's versioning says.
    AsVersioned,
    /// It goes.
    Nothing,
}

/// Where a plan stands in its look for a noncurrent version.
pub(crate) enum Noncurrent {
    /// This row must be read first.
    Needs(Key),
    /// There is no such version.
    Absent,
    /// The row's key, and the version in it.
    Found(Key, ObjectVersion),
}

/// The noncurrent version that `selector` names, from what a plan has seen.
pub(crate) fn noncurrent(
    place: (&OpenBucket, &ObjectKey),
    head: &OpenHead,
    selector: VersionSelector,
    view: &View,
) -> Result<Noncurrent, DecodeError> {
    let (bucket, key) = place;
    let sequence = match selector {
        VersionSelector::Null => head.row.null_sequence,
        VersionSelector::Id(id) => Some(id.sequence),
    };
    let Some(sequence) = sequence else { return Ok(Noncurrent::Absent) };
    let row = version::key(bucket.row.id, key.as_str(), sequence);
    let Some(seen) = view.read(&row) else { return Ok(Noncurrent::Needs(row)) };
    let Some(seen) = seen else { return Ok(Noncurrent::Absent) };
    let version = ObjectVersion::decode(&seen.value)?;
    let is_named = selector.matches(&version);
    Ok(if is_named { Noncurrent::Found(row, version) } else { Noncurrent::Absent })
}

/// Whether a write to a bucket makes the `null` version.
pub(crate) fn writes_null(versioning: Versioning) -> bool {
    match versioning {
        Versioning::Enabled => false,
        Versioning::Unversioned | Versioning::Suspended => true,
    }
}
