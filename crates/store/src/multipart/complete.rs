//! CompleteMultipartUpload:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>.
//!
//! The upload is sealed first, so that its parts stand still; then they are looked at; then one commit
//! makes the object, if the sealed row is still as it was. An UploadPart that comes in between opens
//! the upload again and this begins anew. The object points at its part rows, however many there are.

use std::sync::Arc;

use tidelock_meta::record::bucket::{Enforcement, GuardConfig};
use tidelock_meta::record::part::{self, PartRow};
use tidelock_meta::record::reclaim::Reclaimed;
use tidelock_meta::record::upload::{self, Completed, UploadId, UploadRow, UploadState};
use tidelock_meta::record::version::{
    Body, Checksum, ChecksumAlgorithm, ObjectFacts, ObjectVersion, VersionKind,
};
use tidelock_meta::{Batch, Key, OpId, Version};

use super::OpenUpload;
use super::key::{UploadKey, upload_place};
use super::part_list::{Assembled, RequestedPart, assemble, request_digest};
use crate::Store;
use crate::audit::AuditEvent;
use crate::body::seal::DataKey;
use crate::bucket::OpenBucket;
use crate::commit::{Plan, Reading, View};
use crate::condition::{ConditionFailure, UploadWindow, WriteCondition};
use crate::encryption::{
    CustomerKey, KeyFailure, blind_checksum, check_customer_key, is_customers,
};
use crate::error::{CompleteError, StorageError, UploadError};
use crate::guard::{
    Candidate, CurrentState, GuardedWrite, LockedBy, OpenGuard, REFUSED_KEPT_MAX, Refusal, Verdict,
    guard_keys, rolled_back_from,
};
use crate::identity::Principal;
use crate::lifecycle::LifecycleSubject;
use crate::name::{BucketName, ObjectKey};
use crate::object::{
    Keeping, ObjectReader, OpenHead, StoredObject, Target, lacks, of_new_object, part_segments,
    writes_null,
};
use crate::version::DisplayVersion;

/// How often parts may come in between before it gives up.
const COMPLETE_ATTEMPTS_MAX: u32 = 20;

/// A CompleteMultipartUpload request.
#[derive(Clone, Debug)]
pub struct CompleteUpload<'a> {
    /// Who completes it.
    pub principal: &'a Principal,
    /// Where.
    pub bucket: &'a BucketName,
    /// Under which key.
    pub key: &'a ObjectKey,
    /// Which upload.
    pub upload: UploadId,
    /// Under which conditions.
    pub condition: &'a WriteCondition,
    /// The parts, in order.
    pub parts: &'a [RequestedPart],
    /// What the object's checksum must come to.
    pub checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
    /// `x-amz-mp-object-size`
    pub size: Option<u64>,
    /// The customer's key, if the upload was begun with one.
    pub customer_key: Option<&'a CustomerKey>,
}

enum Attempt {
    Done(Box<StoredObject>),
    /// The very same state was there already.
    Known(Box<StoredObject>),
    /// The guard refused it; the upload is over.
    Refused(Box<Refusal>),
    /// Somebody holds the lock.
    Locked(Box<LockedBy>),
    /// The upload is not sealed any more, or what the guard looked at is outdated.
    Disturbed,
}

/// A sealed upload, with what its parts come to.
struct SealedUpload<'a> {
    request: &'a CompleteUpload<'a>,
    upload: OpenUpload,
    assembled: Assembled,
    parts: Vec<(u16, PartRow)>,
}

/// Where an upload is, and whose request this is. The bucket is as it was before.
struct Place<'a> {
    target: Target<'a>,
    bucket: OpenBucket,
    upload_key: Key,
}

impl Store {
    /// Makes the object. Asked again with the same parts within an hour of its success, it answers the
    /// same again: a lost reply must not fail a saved state.
    pub async fn complete_upload(
        self: &Arc<Self>,
        request: &CompleteUpload<'_>,
    ) -> Result<StoredObject, CompleteError> {
        let target =
            Target { principal: request.principal, bucket: request.bucket, key: request.key };
        let mut candidate = None;
        let result = self.complete_as_guarded(target, request, &mut candidate).await;
        if result.as_ref().err().is_some_and(|error| !error.is_outcome_unknown()) {
            self.abandon_candidate(candidate.map(|(_, candidate)| candidate)).await;
        }
        result
    }

    /// `candidate` is what the upload comes to, at the version of its row that it is of.
    async fn complete_as_guarded(
        self: &Arc<Self>,
        target: Target<'_>,
        request: &CompleteUpload<'_>,
        candidate: &mut Option<(Version, Candidate)>,
    ) -> Result<StoredObject, CompleteError> {
        let bucket = self.find_bucket(target.principal, target.bucket).await?;
        let upload_key = upload::key(bucket.row.id, target.key.as_str(), request.upload);
        let mut place = Place { target, bucket, upload_key };
        for _ in 0..COMPLETE_ATTEMPTS_MAX {
            if let Some(answer) = self.seal_upload(&place, request).await? {
                return Ok(answer);
            }
            let key = place.upload_key.clone();
            let place_now = &place;
            // Confirmed: the commit checks that the upload is still sealed, not what its parts are.
            let looked = self.rows.answer(|reading| async move {
                let seen = reading.row(key.clone()).await?;
                let upload = OpenUpload::of(key, seen.as_ref())?;
                if upload.row.state != UploadState::Sealed {
                    return Ok(None);
                }
                let mut parts = all_parts(&reading, request.upload).await?;
                let customer = request.customer_key;
                check_customer_key(&upload.row.controls.encryption, customer)?;
                if customer.is_some() {
                    self.show_checksums(place_now, &upload, request, &mut parts)?;
                }
                let assembled = assemble(request.parts, &parts, upload.row.checksum, &self.config)?;
                check_expectations(request, &assembled)?;
                Ok::<_, CompleteError>(Some((upload, assembled, parts)))
            });
            let Some((upload, assembled, parts)) = looked.await? else { continue };
            let sealed = SealedUpload { request, upload, assembled, parts };
            let current = self.look_as_guarded(&place, &sealed, candidate).await?;
            let looked = candidate.as_ref().map(|(_, candidate)| candidate).zip(current.as_ref());
            match self.commit_completed(&place, &sealed, looked).await? {
                Attempt::Done(stored) => return Ok(*stored),
                Attempt::Known(stored) => {
                    self.abandon_candidate(candidate.take().map(|(_, it)| it)).await;
                    return Ok(*stored);
                }
                Attempt::Refused(refusal) => return Err(CompleteError::Refused(refusal)),
                Attempt::Locked(locked) => {
                    let locked = self.told_of_unseen(target, &place.bucket, *locked).await?;
                    self.mark_contended(target, &place.bucket, &locked).await?;
                    return Err(CompleteError::Locked(Box::new(locked)));
                }
                Attempt::Disturbed => {
                    place.bucket = self.find_bucket(target.principal, target.bucket).await?
                }
            }
        }
        let problem = "parts or other writes keep coming while the upload completes";
        Err(StorageError::Overloaded(problem.to_owned()).into())
    }

    /// Seals the upload; the first answer, if it was completed with the same parts before.
    async fn seal_upload(
        &self,
        place: &Place<'_>,
        request: &CompleteUpload<'_>,
    ) -> Result<Option<StoredObject>, CompleteError> {
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&place.upload_key), |view| {
            let upload = OpenUpload::of(place.upload_key.clone(), view.rows[0].as_ref())?;
            match &upload.row.state {
                UploadState::Completed(completed) => {
                    first_answer(&place.bucket, &upload.row, completed, request)
                        .map(|it| Plan::Answer(Some(it)))
                }
                UploadState::Sealed => Ok(Plan::Answer(None)),
                UploadState::Open => {
                    let sealed = UploadRow { state: UploadState::Sealed, ..upload.row.clone() };
                    let mut batch = Batch::new(op_id);
                    batch.expect(upload.key.clone(), Some(&upload.seen));
                    batch.put(upload.key.clone(), sealed.encode());
                    Ok(Plan::Commit(batch, None))
                }
            }
        })
        .await
    }

    /// What the guard of the bucket looks at before the commit; none where there is no guard. The parts
    /// are read once for each time that the upload is sealed.
    async fn look_as_guarded(
        self: &Arc<Self>,
        place: &Place<'_>,
        sealed: &SealedUpload<'_>,
        candidate: &mut Option<(Version, Candidate)>,
    ) -> Result<Option<CurrentState>, CompleteError> {
        if place.bucket.row.guard.is_none() || place.target.key.is_lock() {
            return Ok(None);
        }
        let sealed_at = sealed.upload.seen.version;
        if candidate.as_ref().is_none_or(|(of, _)| *of != sealed_at) {
            self.abandon_candidate(candidate.take().map(|(_, outdated)| outdated)).await;
            let reader = self.upload_reader(place, sealed)?;
            let (size, customer) = (sealed.assembled.size, sealed.request.customer_key);
            let read = self.candidate_of_bytes(reader, size, customer).await?;
            *candidate = Some((sealed_at, read));
        }
        Ok(Some(self.current_state(place.target, &place.bucket).await?))
    }

    /// The bytes that the object will have.
    fn upload_reader(
        self: &Arc<Self>,
        place: &Place<'_>,
        sealed: &SealedUpload<'_>,
    ) -> Result<ObjectReader, CompleteError> {
        let upload_key = self.upload_key(place, &sealed.upload, sealed.request)?;
        let upload_key = UploadKey::new(upload_key, sealed.request.upload)?;
        let Assembled { ranges, size, .. } = &sealed.assembled;
        let is_listed = |(number, _): &&(u16, PartRow)| {
            ranges.iter().any(|(first, last)| (*first..=*last).contains(number))
        };
        let parts = sealed.parts.iter().filter(is_listed).cloned();
        let segments = part_segments(&upload_key, parts, &(0..*size))?;
        Ok(ObjectReader::new(Arc::clone(self), None, segments))
    }

    fn upload_key(
        &self,
        place: &Place<'_>,
        upload: &OpenUpload,
        request: &CompleteUpload<'_>,
    ) -> Result<DataKey, KeyFailure> {
        let bound = upload_place(place.bucket.row.id, place.target.key, request.upload);
        let (encryption, wrapped) = (&upload.row.controls.encryption, &upload.row.wrapped_key);
        self.unwrap_data_key(encryption, request.customer_key, wrapped, &bound)
    }

    /// Puts the checksums of the parts of a customer's upload into their rows, where they are blinded.
    fn show_checksums(
        &self,
        place: &Place<'_>,
        upload: &OpenUpload,
        request: &CompleteUpload<'_>,
        parts: &mut [(u16, PartRow)],
    ) -> Result<(), KeyFailure> {
        let upload_key = self.upload_key(place, upload, request)?;
        let upload_key = UploadKey::new(upload_key, request.upload)?;
        for (number, part) in parts {
            part.checksum = upload_key.shown_checksum(*number, part)?;
        }
        Ok(())
    }

    async fn commit_completed(
        &self,
        place: &Place<'_>,
        sealed: &SealedUpload<'_>,
        looked: Option<(&Candidate, &CurrentState)>,
    ) -> Result<Attempt, CompleteError> {
        let target = place.target;
        let bucket_id = place.bucket.row.id;
        let [bucket_key, head_key] = Self::target_keys(target, bucket_id);
        let mut keys = vec![bucket_key, head_key, place.upload_key.clone()];
        if place.bucket.row.guard.is_some() {
            keys.extend(guard_keys(bucket_id, target.key));
        }
        let random = self.random();
        let sealed_at: Version = sealed.upload.seen.version;
        self.update(&keys, |view| {
            let seen = view.rows[0].as_ref();
            let bucket = OpenBucket::again(bucket_id, target.bucket, seen, target.principal)?;
            let is_sealed = view.rows[2].as_ref().is_some_and(|row| row.version == sealed_at);
            if !is_sealed || bucket.row.guard != place.bucket.row.guard {
                return Ok(Plan::Answer(Attempt::Disturbed));
            }
            let mut head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            let window = match head.row.mutations == sealed.upload.row.mutations {
                true => UploadWindow::Quiet,
                false => UploadWindow::Disturbed,
            };
            sealed.request.condition.check(head.row.current.as_ref(), window)?;
            head.row.uploads = head.row.uploads.saturating_sub(1);
            let ending = Ending { place, sealed, bucket: &bucket, head: &head, view };
            let new = self.completed_version(&ending, random)?;
            let current = head.row.current.as_ref();
            let current_id = current.map(|version| version.id);
            let guard = OpenGuard::of_rows(target.key, current, &keys[3..], &view.rows[3..])?;
            let (Some(config), Some(guard)) = (&bucket.row.guard, guard) else {
                let event = completed_event(target, DisplayVersion::of(&new));
                return self.plan_completed(&ending, new, |batch| {
                    self.audit(batch, target.principal, &event);
                });
            };
            if target.key.is_lock() {
                return self.plan_completed_lock(&ending, new, config, &guard);
            }
            match looked {
                Some((candidate, current)) if current.version == current_id => {
                    let write = GuardedWrite {
                        target,
                        bucket: &bucket,
                        config,
                        guard,
                        current,
                        candidate,
                        asks_for_more: asks_for_more(&sealed.upload.row, head.row.current.as_ref()),
                        rolled_back_from: rolled_back_from(&sealed.upload.row.metadata),
                    };
                    self.plan_completed_guarded(&ending, new, &write)
                }
                Some(_) | None => Ok(Plan::Answer(Attempt::Disturbed)),
            }
        })
        .await
    }

    /// The object becomes current, with what `also` adds.
    fn plan_completed(
        &self,
        ending: &Ending<'_>,
        new: ObjectVersion,
        also: impl FnOnce(&mut Batch),
    ) -> Result<Plan<Attempt>, CompleteError> {
        let Ending { place, sealed, bucket, head, view } = *ending;
        let stored = stored(&new, bucket, &sealed.assembled);
        let mut batch = Batch::new(crate::object::op_id(&new));
        let done = completed_row(sealed, &new, new.modified_ms, &sealed.assembled.ranges);
        let at = (bucket, place.target.key);
        let new = (new, Keeping::AsVersioned);
        if let Some(needed) = self.install(&mut batch, at, head, new, view)? {
            return Ok(Plan::Read(needed));
        }
        batch.expect(place.upload_key.clone(), view.rows[2].as_ref());
        batch.put(place.upload_key.clone(), done.encode());
        also(&mut batch);
        Ok(Plan::Commit(batch, Attempt::Done(Box::new(stored))))
    }

    /// No client takes a lock in parts; one that did would hold it.
    fn plan_completed_lock(
        &self,
        ending: &Ending<'_>,
        new: ObjectVersion,
        config: &GuardConfig,
        guard: &OpenGuard,
    ) -> Result<Plan<Attempt>, CompleteError> {
        let (target, bucket) = (ending.place.target, ending.bucket);
        let is_held = ending.head.row.current.as_ref().is_some_and(|it| it.object().is_some());
        if is_held && config.lock_writes == Enforcement::Enforce {
            return match self.locked_by(target, bucket, config, guard)? {
                Some(locked) => Ok(Plan::Answer(Attempt::Locked(Box::new(locked)))),
                None => Err(ConditionFailure::IfNoneMatch.into()),
            };
        }
        let taken = new.clone();
        self.plan_completed(ending, new, |batch| {
            self.take_lock(batch, target, bucket, guard, &taken, None);
        })
    }

    /// What Terraform writes of a state over 5 MiB.
    fn plan_completed_guarded(
        &self,
        ending: &Ending<'_>,
        mut new: ObjectVersion,
        write: &GuardedWrite<'_>,
    ) -> Result<Plan<Attempt>, CompleteError> {
        let Ending { sealed, bucket, head, view, .. } = *ending;
        match self.guard_write(write)? {
            Verdict::Indifferent => {
                let event = completed_event(write.target, DisplayVersion::of(&new));
                self.plan_completed(ending, new, |batch| {
                    write.guard.check(batch);
                    self.audit(batch, write.target.principal, &event);
                })
            }
            Verdict::Same => {
                let Some(current) = &head.row.current else {
                    return Ok(Plan::Answer(Attempt::Disturbed));
                };
                let same = stored(current, bucket, &sealed.assembled);
                // Asked again it answers the same; its parts go when it is forgotten.
                let done = completed_row(sealed, current, self.now(), &[]);
                let mut batch = Batch::new(OpId(self.random()));
                self.end_upload(ending, &mut batch, Some(&done));
                let event = completed_event(write.target, DisplayVersion::of(current));
                self.audit(&mut batch, write.target.principal, &event);
                Ok(Plan::Commit(batch, Attempt::Known(Box::new(same))))
            }
            Verdict::Pass(passed) => {
                self.note_facts(write, &passed, &mut new);
                let id = new.id;
                self.plan_completed(ending, new, |batch| {
                    self.leave_guard(batch, write, &passed, id);
                })
            }
            Verdict::Refuse(breach) => {
                let mut batch = Batch::new(crate::object::op_id(&new));
                match self.plan_refusal(&mut batch, write, &breach, new, view)? {
                    Err(range) => Ok(Plan::Scan(range, REFUSED_KEPT_MAX)),
                    Ok(refusal) => {
                        if !refusal.keeps_body {
                            self.reclaim(&mut batch, sealed.request.upload.0, Reclaimed::Upload);
                        }
                        self.end_upload(ending, &mut batch, None);
                        Ok(Plan::Commit(batch, Attempt::Refused(Box::new(refusal))))
                    }
                }
            }
        }
    }

    /// Adds to `batch` that the upload is over without having become an object, and what is left of it.
    fn end_upload(&self, ending: &Ending<'_>, batch: &mut Batch, left: Option<&UploadRow>) {
        let Ending { place, bucket, head, view, .. } = *ending;
        batch.expect(place.upload_key.clone(), view.rows[2].as_ref());
        match left {
            Some(row) => batch.put(place.upload_key.clone(), row.encode()),
            None => batch.delete(place.upload_key.clone()),
        }
        // The head is the lock of the key, and counts the uploads.
        batch.expect(head.key.clone(), head.seen.as_ref());
        match head.row.is_needless() {
            true => batch.delete(head.key.clone()),
            false => batch.put(head.key.clone(), head.row.encode()),
        }
        bucket.guard(batch);
    }

    fn completed_version(
        &self,
        ending: &Ending<'_>,
        random: [u8; 8],
    ) -> Result<ObjectVersion, CompleteError> {
        let Ending { place, sealed, bucket, head, .. } = *ending;
        let key = place.target.key;
        let (row, assembled) = (&sealed.upload.row, &sealed.assembled);
        let now = self.now();
        let id = head.next_id(now, random);
        let upload_key = self.upload_key(place, &sealed.upload, sealed.request)?;
        let protection =
            self.protection_of(&row.controls.encryption, sealed.request.customer_key)?;
        let bound_to = Self::key_place(bucket.row.id, key, id);
        let wrapped_key = self.wrap_data_key(&protection, &upload_key, &bound_to)?;
        let (upload, ranges) = (sealed.request.upload.0, assembled.ranges.clone());
        let blinded = |checksum: &Checksum| match is_customers(&row.controls.encryption) {
            true => blind_checksum(&upload_key, checksum),
            false => checksum.clone(),
        };
        let controls = of_new_object(&bucket.row, &row.controls, now).map_err(UploadError::from)?;
        Ok(ObjectVersion {
            id,
            is_null: writes_null(bucket.row.versioning),
            modified_ms: head.modified_ms(now),
            author: row.author.clone(),
            kind: VersionKind::Object(Box::new(ObjectFacts {
                size: assembled.size,
                etag: assembled.etag,
                headers: row.headers.clone(),
                metadata: row.metadata.clone(),
                tags: row.tags.clone(),
                checksum: assembled.checksum.as_ref().map(blinded),
                body: Body::Parts { upload, ranges },
                wrapped_key,
                state: None,
                controls,
            })),
        })
    }
}

/// The end of an upload, as one attempt to commit it has read everything.
#[derive(Clone, Copy)]
struct Ending<'a> {
    place: &'a Place<'a>,
    sealed: &'a SealedUpload<'a>,
    bucket: &'a OpenBucket,
    head: &'a OpenHead,
    view: &'a View,
}

/// Whether `current` lacks something that the upload was begun with.
fn asks_for_more(upload: &UploadRow, current: Option<&ObjectVersion>) -> bool {
    let UploadRow { headers, metadata, tags, controls, .. } = upload;
    current.and_then(ObjectVersion::object).is_some_and(|stored| {
        lacks(stored, (headers, metadata, tags), controls)
            || controls.encryption != stored.controls.encryption
    })
}

fn completed_event(target: Target<'_>, version: DisplayVersion) -> AuditEvent {
    let (bucket, key) = (target.bucket.as_str(), target.key.as_str());
    let event = AuditEvent::new("CompleteMultipartUpload").object(bucket, key);
    AuditEvent { version_id: version.to_string(), ..event }
}

async fn all_parts(
    reading: &Reading,
    upload: UploadId,
) -> Result<Vec<(u16, PartRow)>, StorageError> {
    let mut parts = Vec::new();
    for (key, value) in reading.all(part::range(upload)).await? {
        parts.push((part::decode_key(&key)?, PartRow::decode(&value)?));
    }
    Ok(parts)
}

fn check_expectations(request: &CompleteUpload<'_>, got: &Assembled) -> Result<(), CompleteError> {
    if let Some(expected) = request.size
        && expected != got.size
    {
        return Err(CompleteError::BadSize { expected, actual: got.size });
    }
    if let Some((algorithm, value)) = &request.checksum {
        let same = |it: &Checksum| it.algorithm == *algorithm && it.value == *value;
        if !got.checksum.as_ref().is_some_and(same) {
            return Err(CompleteError::BadChecksum);
        }
    }
    Ok(())
}

/// What an upload leaves that came to `version`; of its parts the object has `ranges`.
fn completed_row(
    sealed: &SealedUpload<'_>,
    version: &ObjectVersion,
    completed_ms: i64,
    ranges: &[(u16, u16)],
) -> UploadRow {
    let assembled = &sealed.assembled;
    // What tells of the content of a customer's object is not kept.
    let tells = !is_customers(&sealed.upload.row.controls.encryption);
    let completed = Completed {
        completed_ms,
        request: request_digest(sealed.request.parts),
        version: version.id,
        is_null: version.is_null,
        etag: assembled.etag,
        checksum: assembled.checksum.clone().filter(|_| tells),
        ranges: ranges.to_vec(),
    };
    let state = UploadState::Completed(Box::new(completed));
    UploadRow { state, ..sealed.upload.row.clone() }
}

fn first_answer(
    bucket: &OpenBucket,
    upload: &UploadRow,
    completed: &Completed,
    request: &CompleteUpload<'_>,
) -> Result<StoredObject, CompleteError> {
    if completed.request != request_digest(request.parts) {
        return Err(UploadError::NoSuchUpload.into());
    }
    Ok(StoredObject {
        version: DisplayVersion { id: completed.version, is_null: completed.is_null },
        versioning: bucket.row.versioning,
        etag: completed.etag,
        checksum: completed.checksum.clone(),
        modified_ms: completed.completed_ms,
        size: 0,
        encryption: upload.controls.encryption.clone(),
        lifecycle: None,
    })
}

fn stored(version: &ObjectVersion, bucket: &OpenBucket, assembled: &Assembled) -> StoredObject {
    let facts = version.object();
    StoredObject {
        version: DisplayVersion::of(version),
        versioning: bucket.row.versioning,
        etag: assembled.etag,
        checksum: assembled.checksum.clone(),
        modified_ms: version.modified_ms,
        size: assembled.size,
        encryption: facts.map(|facts| facts.controls.encryption.clone()).unwrap_or_default(),
        lifecycle: LifecycleSubject::of(&bucket.row, version),
    }
}
