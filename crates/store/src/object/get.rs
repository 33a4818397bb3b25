//! GetObject and HeadObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tidelock_meta::record::part::{self, PartRow};
use tidelock_meta::record::upload::UploadId;
use tidelock_meta::record::version::{self, Body, ObjectFacts, ObjectVersion, VersionId};
use tidelock_meta::record::{BucketId, head};

use super::ObjectInfo;
use super::install::{OpenHead, Target};
use crate::Store;
use crate::body::read::{ObjectReader, OpenError, Segment};
use crate::body::seal::DataKey;
use crate::bucket::OpenBucket;
use crate::commit::Reading;
use crate::encryption::{
    CustomerKey, KeyFailure, blind_checksum, check_customer_key, is_customers,
};
use crate::error::{GetObjectError, StorageError};
use crate::identity::Principal;
use crate::lifecycle::LifecycleSubject;
use crate::multipart::{UploadKey, part_place};
use crate::name::{BucketName, ObjectKey};
use crate::version::{DisplayVersion, VersionSelector};

/// How often a read begins anew because the object was replaced under it.
const READ_ATTEMPTS_MAX: u32 = 20;

/// Bytes of an object, `start..end`.
pub type ByteRange = Range<u64>;

/// An object that was found.
#[derive(Debug)]
pub struct GetObject {
    /// What is known of it.
    pub info: ObjectInfo,
    /// The bytes that were asked for.
    pub reader: ObjectReader,
}

/// A version with all that is needed to read it.
pub(crate) struct FoundObject {
    pub(crate) bucket: OpenBucket,
    pub(crate) version: ObjectVersion,
}

impl FoundObject {
    /// What says when it expires; a version that was named may be another than the current one.
    fn lifecycle(&self, named: Option<VersionSelector>) -> Option<LifecycleSubject> {
        match named {
            None => LifecycleSubject::of(&self.bucket.row, &self.version),
            Some(_) => None,
        }
    }

    pub(crate) fn facts(&self) -> Result<&ObjectFacts, StorageError> {
        self.version.object().ok_or_else(|| {
            StorageError::Corrupt("a delete marker was taken for an object".to_owned())
        })
    }
}

impl Store {
    /// What is known of an object.
    pub async fn head_object(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionSelector>,
    ) -> Result<ObjectInfo, GetObjectError> {
        let target = Target { principal, bucket, key };
        let look = self.rows.answer(|reading| async move {
            let found = find(&reading, target, version).await?;
            let (mut info, _) = describe(&reading, &found).await?;
            info.lifecycle = found.lifecycle(version);
            Ok(info)
        });
        look.await
    }

    /// The same, for a reader who has the customer's key that the object may be encrypted with.
    ///
    /// # Errors
    ///
    /// Besides, [`GetObjectError::Encryption`] when the key is not the one that belongs to the object.
    pub async fn head_object_with_key(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionSelector>,
        customer: Option<&CustomerKey>,
    ) -> Result<ObjectInfo, GetObjectError> {
        let target = Target { principal, bucket, key };
        let look = self.rows.answer(|reading| async move {
            let found = find(&reading, target, version).await?;
            let data_key = self.customers_data_key(target, &found, customer)?;
            let (mut info, parts) = describe(&reading, &found).await?;
            if let Some(data_key) = &data_key {
                show_checksums(&mut info, found.facts()?, &parts, data_key)?;
            }
            info.lifecycle = found.lifecycle(version);
            Ok(info)
        });
        look.await
    }

    /// An object and some of its bytes. `select` sees what is known of the object and says which
    /// bytes are wanted (none: all), or refuses; it may be asked more than once.
    pub async fn get_object<R>(
        self: &Arc<Self>,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionSelector>,
        select: impl Fn(&ObjectInfo) -> Result<Option<ByteRange>, R> + Send,
    ) -> Result<Result<GetObject, R>, GetObjectError> {
        self.get_object_with_key(principal, bucket, key, (version, None), select).await
    }

    /// The same, for a reader who has the customer's key that the object may be encrypted with.
    ///
    /// # Errors
    ///
    /// Besides, [`GetObjectError::Encryption`] when the key is not the one that belongs to the object.
    pub async fn get_object_with_key<R>(
        self: &Arc<Self>,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        (version, customer): (Option<VersionSelector>, Option<&CustomerKey>),
        select: impl Fn(&ObjectInfo) -> Result<Option<ByteRange>, R> + Send,
    ) -> Result<Result<GetObject, R>, GetObjectError> {
        let target = Target { principal, bucket, key };
        let wanted = (version, customer);
        self.rows
            .answer(
                |reading| async move { self.open_object(&reading, target, wanted, select).await },
            )
            .await
    }

    async fn open_object<R>(
        self: &Arc<Self>,
        reading: &Reading,
        target: Target<'_>,
        (version, customer): (Option<VersionSelector>, Option<&CustomerKey>),
        select: impl Fn(&ObjectInfo) -> Result<Option<ByteRange>, R> + Send,
    ) -> Result<Result<GetObject, R>, GetObjectError> {
        let mut gone: Option<VersionId> = None;
        for _ in 0..READ_ATTEMPTS_MAX {
            let (found, absent) = self.find_or_tombstone(reading, target, version).await?;
            if gone == Some(found.version.id) {
                // It was not replaced meanwhile: its bytes are missing, which those of a tombstone may be.
                let Some(absent) = absent else { break };
                return Err(absent);
            }
            let data_key = self.customers_data_key(target, &found, customer)?;
            let (mut info, parts) = describe(reading, &found).await?;
            if let Some(data_key) = &data_key {
                show_checksums(&mut info, found.facts()?, &parts, data_key)?;
            }
            info.lifecycle = found.lifecycle(version);
            let wanted = match select(&info) {
                Ok(wanted) => wanted.unwrap_or(0..info.size),
                Err(refusal) => return Ok(Err(refusal)),
            };
            // Opening a blob may take long.
            reading.confirm_now().await?;
            match self.open_found(target, &found, (parts, data_key), &wanted).await {
                Ok(reader) => return Ok(Ok(GetObject { info, reader })),
                Err(OpenError::Gone) => gone = Some(found.version.id),
                Err(OpenError::Encryption(error)) => return Err(error.into()),
                Err(OpenError::Storage(error)) => return Err(error.into()),
            }
        }
        Err(StorageError::Corrupt("the body of an object is gone".to_owned()).into())
    }

    /// The object; of a lock that was given back a moment ago, what it was, to who was refused it, and what is to
    /// be said if that has been deleted since.
    async fn find_or_tombstone(
        &self,
        reading: &Reading,
        target: Target<'_>,
        version: Option<VersionSelector>,
    ) -> Result<(FoundObject, Option<GetObjectError>), GetObjectError> {
        if !target.key.is_lock() || version.is_some() {
            return Ok((find(reading, target, version).await?, None));
        }
        let (found, absent) = match find(reading, target, version).await {
            Err(absent @ GetObjectError::NoSuchKey { .. }) => {
                let bucket = OpenBucket::read(reading, target.bucket, target.principal).await?;
                match self.tombstone(reading, &bucket, target).await? {
                    Some(version) => (FoundObject { bucket, version }, Some(absent)),
                    None => {
                        self.lock_was_read(target, &bucket).await?;
                        return Err(absent);
                    }
                }
            }
            found => (found?, None),
        };
        self.lock_was_read(target, &found.bucket).await?;
        let conversation = &target.principal.origin.conversation;
        let place = (found.bucket.row.id, target.key.as_str());
        let (principal, now) = (&target.principal.arn, self.now());
        conversation.has_read_lock(place, principal, found.version.id, now);
        Ok((found, absent))
    }

    /// The bytes of a version whose row was read. They are gone if it was removed since.
    pub(crate) async fn open_version(
        self: &Arc<Self>,
        target: Target<'_>,
        bucket: &OpenBucket,
        version: &ObjectVersion,
    ) -> Result<ObjectReader, OpenError> {
        let found = FoundObject { bucket: bucket.clone(), version: version.clone() };
        let looked = self.rows.look(|reading| async move {
            let described = describe(&reading, &found).await?;
            Ok::<_, StorageError>((found, described))
        });
        let (found, (info, parts)) = looked.await?;
        self.open_found(target, &found, (parts, None), &(0..info.size)).await
    }

    async fn open_found(
        self: &Arc<Self>,
        target: Target<'_>,
        found: &FoundObject,
        parts: (Vec<(u16, PartRow)>, Option<DataKey>),
        wanted: &ByteRange,
    ) -> Result<ObjectReader, OpenError> {
        let mut segments = self.segments(target, found, parts, wanted)?;
        let first = match segments.pop_front() {
            Some(segment) => Some(self.open_segment(segment).await?),
            None => None,
        };
        Ok(ObjectReader::new(Arc::clone(self), first, segments))
    }

    fn segments(
        &self,
        target: Target<'_>,
        found: &FoundObject,
        (parts, data_key): (Vec<(u16, PartRow)>, Option<DataKey>),
        wanted: &ByteRange,
    ) -> Result<VecDeque<Segment>, OpenError> {
        let facts = found.facts()?;
        let data_key = match data_key {
            Some(data_key) => data_key,
            None => self.object_data_key(target, found, None)?,
        };
        let Body::Parts { upload, .. } = &facts.body else {
            let (body, size, wanted) = (facts.body.clone(), facts.size, wanted.clone());
            return Ok(VecDeque::from([Segment { body, size, data_key, wanted }]));
        };
        let upload_key = UploadKey::new(data_key, UploadId(*upload))?;
        Ok(part_segments(&upload_key, parts, wanted)?)
    }

    /// The data key of an object that only a customer's key opens. None of any other, with which no key
    /// may be sent: its own is unwrapped when its bytes are wanted.
    fn customers_data_key(
        &self,
        target: Target<'_>,
        found: &FoundObject,
        customer: Option<&CustomerKey>,
    ) -> Result<Option<DataKey>, KeyFailure> {
        check_customer_key(&found.facts()?.controls.encryption, customer)?;
        match customer {
            Some(_) => self.object_data_key(target, found, customer).map(Some),
            None => Ok(None),
        }
    }

    fn object_data_key(
        &self,
        target: Target<'_>,
        found: &FoundObject,
        customer: Option<&CustomerKey>,
    ) -> Result<DataKey, KeyFailure> {
        let facts = found.facts()?;
        let place = Self::key_place(found.bucket.row.id, target.key, found.version.id);
        let encryption = &facts.controls.encryption;
        self.unwrap_data_key(encryption, customer, &facts.wrapped_key, &place)
    }
}

/// Puts the checksums of a customer's object into what is told of it: they are blinded where they are
/// kept.
fn show_checksums(
    info: &mut ObjectInfo,
    facts: &ObjectFacts,
    parts: &[(u16, PartRow)],
    data_key: &DataKey,
) -> Result<(), StorageError> {
    info.checksum = facts.checksum.as_ref().map(|blinded| blind_checksum(data_key, blinded));
    if let Body::Parts { upload, .. } = &facts.body {
        let upload_key = UploadKey::new(data_key.clone(), UploadId(*upload))?;
        let shown = parts.iter().map(|(number, part)| upload_key.shown_checksum(*number, part));
        info.part_checksums = Some(shown.collect::<Result<_, _>>()?);
    }
    Ok(())
}

/// What is wanted of the bytes that `parts` come to.
pub(crate) fn part_segments(
    upload_key: &UploadKey,
    parts: impl IntoIterator<Item = (u16, PartRow)>,
    wanted: &ByteRange,
) -> Result<VecDeque<Segment>, StorageError> {
    let mut segments = VecDeque::new();
    let mut offset = 0;
    for (number, part) in parts {
        let range = overlap(wanted, offset, part.size);
        offset += part.size;
        if let Some(wanted) = range {
            let place = part_place(number, &part.body);
            let data_key = upload_key.unwrap(&part.wrapped_key, &place)?;
            segments.push_back(Segment { body: part.body, size: part.size, data_key, wanted });
        }
    }
    Ok(segments)
}

/// The version asked for, or the current one.
async fn find(
    reading: &Reading,
    target: Target<'_>,
    selector: Option<VersionSelector>,
) -> Result<FoundObject, GetObjectError> {
    let bucket = OpenBucket::read(reading, target.bucket, target.principal).await?;
    let Some(selector) = selector else {
        let key = head::key(bucket.row.id, target.key.as_str());
        let seen = reading.row(key.clone()).await?;
        return current(bucket, OpenHead::of(key, seen.as_ref())?);
    };
    let version = find_version(reading, bucket.row.id, target.key, selector).await?;
    if version.object().is_none() {
        return Err(GetObjectError::IsDeleteMarker {
            version: DisplayVersion::of(&version),
            modified_ms: version.modified_ms,
        });
    }
    Ok(FoundObject { bucket, version })
}

/// One version. Head and row come from one snapshot: while a version becomes current, or ceases to
/// be, it is in one of them at every moment. Where the null version is, a first look at the head
/// has to tell.
pub(crate) async fn find_version(
    reading: &Reading,
    bucket: BucketId,
    key: &ObjectKey,
    selector: VersionSelector,
) -> Result<ObjectVersion, GetObjectError> {
    let head_key = head::key(bucket, key.as_str());
    let mut sequence = match selector {
        VersionSelector::Null => None,
        VersionSelector::Id(id) => Some(id.sequence),
    };
    for _ in 0..READ_ATTEMPTS_MAX {
        let mut keys = vec![head_key.clone()];
        keys.extend(sequence.map(|it| version::key(bucket, key.as_str(), it)));
        let mut rows = reading.get(&keys).await?.into_iter();
        let head = OpenHead::of(head_key.clone(), rows.next().flatten().as_ref())?.row;
        if let Some(current) = head.current.filter(|current| selector.matches(current)) {
            return Ok(current);
        }
        if let Some(row) = rows.next().flatten() {
            let version = ObjectVersion::decode(&row.value)?;
            if selector.matches(&version) {
                return Ok(version);
            }
        }
        if selector != VersionSelector::Null || head.null_sequence == sequence {
            return Err(GetObjectError::NoSuchVersion);
        }
        sequence = head.null_sequence;
    }
    Err(StorageError::Overloaded("too many writers of the same key".to_owned()).into())
}

/// What is known of an object, with the rows of its parts if it has any.
async fn describe(
    reading: &Reading,
    found: &FoundObject,
) -> Result<(ObjectInfo, Vec<(u16, PartRow)>), StorageError> {
    let facts = found.facts()?;
    let mut info = ObjectInfo::of(&found.version, facts, found.bucket.row.versioning);
    let Body::Parts { upload, ranges } = &facts.body else { return Ok((info, Vec::new())) };
    let parts = read_parts(reading, UploadId(*upload), ranges).await?;
    let sizes: Vec<u64> = parts.iter().map(|(_, part)| part.size).collect();
    if sizes.iter().try_fold(0, |sum: u64, size| sum.checked_add(*size)) != Some(facts.size) {
        return Err(StorageError::Corrupt("the parts of an object are not all there".to_owned()));
    }
    info.part_sizes = Some(sizes);
    let is_blinded = is_customers(&facts.controls.encryption);
    let checksum = |part: &PartRow| part.checksum.clone().filter(|_| !is_blinded);
    info.part_checksums = Some(parts.iter().map(|(_, part)| checksum(part)).collect());
    Ok((info, parts))
}

/// The parts of a completed upload that belong to its object.
async fn read_parts(
    reading: &Reading,
    upload: UploadId,
    ranges: &[(u16, u16)],
) -> Result<Vec<(u16, PartRow)>, StorageError> {
    let mut parts = Vec::new();
    for (key, value) in reading.all(part::range(upload)).await? {
        let number = part::decode_key(&key)?;
        if ranges.iter().any(|(first, last)| (*first..=*last).contains(&number)) {
            parts.push((number, PartRow::decode(&value)?));
        }
    }
    Ok(parts)
}

fn current(bucket: OpenBucket, head: OpenHead) -> Result<FoundObject, GetObjectError> {
    match head.row.current {
        None => Err(GetObjectError::NoSuchKey { delete_marker: None }),
        Some(version) if version.object().is_none() => {
            let delete_marker = Some(DisplayVersion::of(&version));
            Err(GetObjectError::NoSuchKey { delete_marker })
        }
        Some(version) => Ok(FoundObject { bucket, version }),
    }
}

/// The bytes of a part, counted from its own start, that `wanted` covers.
fn overlap(wanted: &ByteRange, offset: u64, size: u64) -> Option<ByteRange> {
    let start = wanted.start.max(offset);
    let end = wanted.end.min(offset + size);
    (start < end).then(|| start - offset..end - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        let rows = [
            (0..10, 0, 5, Some(0..5)),
            (0..10, 5, 5, Some(0..5)),
            (3..7, 0, 5, Some(3..5)),
            (3..7, 5, 5, Some(0..2)),
            (0..5, 5, 5, None),
            (5..5, 5, 5, None),
        ];
        for (wanted, offset, size, expected) in rows {
            assert_eq!(overlap(&wanted, offset, size), expected, "{wanted:?} {offset} {size}");
        }
    }
}
