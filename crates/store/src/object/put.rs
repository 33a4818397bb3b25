//! PutObject: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>.

use std::sync::Arc;

use tidelock_meta::record::bucket::{Enforcement, GuardConfig};
use tidelock_meta::record::controls::Controls;
use tidelock_meta::record::version::{ETag, ObjectFacts, ObjectVersion, VersionKind};
use tidelock_meta::{Batch, OpId};

use super::install::{Keeping, OpenHead, Target, writes_null};
use super::lock::{check_lockable, of_new_object};
use super::{CONTENT_TYPE_DEFAULT, ObjectSettings, StoredObject};
use crate::Store;
use crate::audit::AuditEvent;
use crate::body::source::BodySource;
use crate::body::write::{BodyExpectation, WrittenBody};
use crate::bucket::OpenBucket;
use crate::checksum::ChecksumRequest;
use crate::commit::{Plan, View};
use crate::condition::{ConditionFailure, UploadWindow, WriteCondition};
use crate::error::{PutObjectError, StorageError};
use crate::guard::{
    Candidate, CurrentState, GuardedWrite, LockedBy, OpenGuard, REFUSED_KEPT_MAX, Refusal, Verdict,
    Wait, guard_keys, purges_locks, rolled_back_from,
};
use crate::identity::Principal;
use crate::lifecycle::LifecycleSubject;
use crate::lock::Comparison;
use crate::name::{BucketName, ObjectKey};
use crate::version::DisplayVersion;

/// How often what a guarded write depends on is looked at anew because it changed meanwhile.
const LOOKS_MAX: u32 = 50;

/// A PutObject request, but for its body.
#[derive(Clone, Debug)]
pub struct PutObject<'a> {
    /// Who writes.
    pub principal: &'a Principal,
    /// Where.
    pub bucket: &'a BucketName,
    /// Under which key.
    pub key: &'a ObjectKey,
    /// Under which conditions.
    pub condition: &'a WriteCondition,
    /// Headers, metadata and tags.
    pub settings: &'a ObjectSettings,
    /// `Content-MD5`
    pub content_md5: Option<[u8; 16]>,
    /// The checksum asked for.
    pub checksum: Option<ChecksumRequest>,
}

impl Store {
    /// Writes an object. It is there, whole and durable, when this answers.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used, a condition does not hold, or the body is not what was
    /// announced. Then nothing has changed.
    pub async fn put_object(
        self: &Arc<Self>,
        request: &PutObject<'_>,
        source: &mut dyn BodySource,
    ) -> Result<StoredObject, PutObjectError> {
        let target =
            Target { principal: request.principal, bucket: request.bucket, key: request.key };
        self.refuse_early(target, request.condition, request.settings).await?;
        let expectation =
            BodyExpectation { md5: request.content_md5, checksum: request.checksum.clone() };
        let written = self.write_body(source, &expectation).await?;
        self.commit_object(target, request.condition, request.settings, (written, "PutObject"))
            .await
    }

    /// Refuses before the body is read what the commit would refuse. A lock is not refused here: it
    /// may turn out to be the very lock that is held.
    pub(crate) async fn refuse_early(
        &self,
        target: Target<'_>,
        condition: &WriteCondition,
        settings: &ObjectSettings,
    ) -> Result<(), PutObjectError> {
        let look = self.rows.look(|reading| async move {
            let bucket = OpenBucket::read(&reading, target.bucket, target.principal).await?;
            self.protection(&settings.encryption, &bucket.row)?;
            check_lockable(&bucket.row, &settings.controls)?;
            if condition.is_empty() || target.key.is_lock() {
                return Ok(());
            }
            let [_, key] = Self::target_keys(target, bucket.row.id);
            let seen = reading.row(key.clone()).await?;
            let head = OpenHead::of(key, seen.as_ref())?;
            condition.check(head.row.current.as_ref(), UploadWindow::Quiet)?;
            Ok(())
        });
        look.await
    }

    /// Makes a written body the current version of a key, if the condition and the guard have it.
    pub(crate) async fn commit_object(
        self: &Arc<Self>,
        target: Target<'_>,
        condition: &WriteCondition,
        settings: &ObjectSettings,
        (written, action): (WrittenBody, &'static str),
    ) -> Result<StoredObject, PutObjectError> {
        let new = NewObject { target, condition, settings, written: &written, action };
        let mut candidate = None;
        let result = self.commit_as_guarded(&new, &mut candidate).await;
        let (keeps_body, keeps_index) = match &result {
            Ok(Landed::New(_)) => (true, true),
            Ok(Landed::Known(_)) => (false, false),
            Err(PutObjectError::Refused(refusal)) => (refusal.keeps_body, false),
            Err(error) => (error.is_outcome_unknown(), error.is_outcome_unknown()),
        };
        if !keeps_index {
            self.abandon_candidate(candidate).await;
        }
        if !keeps_body {
            self.abandon(written).await;
        }
        result.map(|landed| match landed {
            Landed::New(stored) | Landed::Known(stored) => stored,
        })
    }

    async fn commit_as_guarded(
        self: &Arc<Self>,
        new: &NewObject<'_>,
        candidate: &mut Option<Candidate>,
    ) -> Result<Landed, PutObjectError> {
        let target = new.target;
        let mut wait: Option<Wait<'_>> = None;
        for _ in 0..LOOKS_MAX {
            let bucket = self.find_bucket(target.principal, target.bucket).await?;
            let current = match (&bucket.row.guard, target.key.is_lock()) {
                (Some(_), false) => {
                    if candidate.is_none() {
                        let customer = new.settings.encryption.customer_key();
                        *candidate = Some(self.candidate_of(new.written, customer).await?);
                    }
                    Some(self.current_state(target, &bucket).await?)
                }
                (Some(_), true) | (None, _) => None,
            };
            let looked = candidate.as_ref().zip(current.as_ref());
            match self.try_commit_object(new, &bucket, looked).await? {
                Settled::Landed(landed) => {
                    let (Landed::New(stored) | Landed::Known(stored)) = &landed;
                    self.lock_was_taken(target, &bucket, stored);
                    return Ok(landed);
                }
                Settled::Refused(refusal) => {
                    return Err(PutObjectError::Refused(Box::new(refusal)));
                }
                Settled::Locked(locked) => {
                    let wait = wait
                        .get_or_insert_with(|| self.begin_wait(target, &bucket, new.written.md5));
                    if self.is_worth_a_try(wait).await? {
                        continue;
                    }
                    let locked = self.told_of_unseen(target, &bucket, locked).await?;
                    self.mark_contended(target, &bucket, &locked).await?;
                    return Err(PutObjectError::Locked(Box::new(locked)));
                }
                Settled::LookAgain => {}
            }
        }
        Err(StorageError::Overloaded("too many writers of the same key".to_owned()).into())
    }

    async fn try_commit_object(
        &self,
        new: &NewObject<'_>,
        found: &OpenBucket,
        looked: Option<(&Candidate, &CurrentState)>,
    ) -> Result<Settled, PutObjectError> {
        let (target, bucket_id) = (new.target, found.row.id);
        let mut keys = Self::target_keys(target, bucket_id).to_vec();
        if found.row.guard.is_some() {
            keys.extend(guard_keys(bucket_id, target.key));
        }
        let random = self.random();
        self.update(&keys, |view| {
            let seen = view.rows[0].as_ref();
            let bucket = OpenBucket::again(bucket_id, target.bucket, seen, target.principal)?;
            if bucket.row.guard != found.row.guard {
                return Ok(Plan::Answer(Settled::LookAgain));
            }
            let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            let place = Place { bucket: &bucket, head: &head, random };
            let current_id = head.row.current.as_ref().map(|current| current.id);
            let current = head.row.current.as_ref();
            let guard = OpenGuard::of_rows(target.key, current, &keys[2..], &view.rows[2..])?;
            let (Some(config), Some(guard)) = (&bucket.row.guard, guard) else {
                return self.plan_object(new, &place, view);
            };
            if target.key.is_lock() {
                return self.plan_lock(new, &place, (config, &guard), view);
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
                        asks_for_more: new.asks_for_more(head.row.current.as_ref()),
                        rolled_back_from: rolled_back_from(&new.settings.metadata),
                    };
                    self.plan_guarded(new, &place, &write, view)
                }
                Some(_) | None => Ok(Plan::Answer(Settled::LookAgain)),
            }
        })
        .await
    }

    /// A write that nothing but its condition can refuse.
    fn plan_object(
        &self,
        new: &NewObject<'_>,
        place: &Place<'_>,
        view: &View,
    ) -> Result<Plan<Settled>, PutObjectError> {
        let current = place.head.row.current.as_ref();
        if let Err(failure) = new.condition.check(current, UploadWindow::Quiet) {
            return self.same_lock(new, failure, place, None, view);
        }
        let version = self.new_version(new, place, false)?;
        let event = new.event(DisplayVersion::of(&version));
        let tell = |batch: &mut Batch| self.audit(batch, new.target.principal, &event);
        self.plan_install(new, place, version, (Keeping::AsVersioned, tell), view)
    }

    /// A lock in a guarded bucket.
    fn plan_lock(
        &self,
        new: &NewObject<'_>,
        place: &Place<'_>,
        (config, guard): (&GuardConfig, &OpenGuard),
        view: &View,
    ) -> Result<Plan<Settled>, PutObjectError> {
        let (target, bucket) = (new.target, place.bucket);
        let current = place.head.row.current.as_ref();
        let failure = new.condition.check(current, UploadWindow::Quiet).err();
        // A lock that is held is written over by nobody, whatever the request says.
        let is_held = current.is_some_and(|it| it.object().is_some());
        let failure = failure.or_else(|| {
            let is_law = config.lock_writes == Enforcement::Enforce;
            (is_held && is_law).then_some(ConditionFailure::IfNoneMatch)
        });
        if let Some(failure) = failure {
            let same = self.same_lock(new, failure, place, Some(guard), view);
            return match same {
                Err(PutObjectError::Condition(ConditionFailure::IfNoneMatch)) => {
                    match self.locked_by(target, bucket, config, guard)? {
                        Some(locked) => Ok(Plan::Answer(Settled::Locked(locked))),
                        None => Err(failure.into()),
                    }
                }
                same => same,
            };
        }
        if guard.has_ended_lock_of(target.principal) {
            return Err(ConditionFailure::IfNoneMatch.into());
        }
        let purges = purges_locks(config, &bucket.row);
        let version = self.new_version(new, place, purges)?;
        let body = self.lock_body(new.written)?;
        let keeping = if purges { Keeping::Nothing } else { Keeping::AsVersioned };
        let taken = version.clone();
        let take = |batch: &mut Batch| {
            self.take_lock(batch, target, bucket, guard, &taken, body.as_deref());
        };
        self.plan_install(new, place, version, (keeping, take), view)
    }

    /// A write in a guarded bucket, of a state or of what may be one.
    fn plan_guarded(
        &self,
        new: &NewObject<'_>,
        place: &Place<'_>,
        write: &GuardedWrite<'_>,
        view: &View,
    ) -> Result<Plan<Settled>, PutObjectError> {
        let current = place.head.row.current.as_ref();
        new.condition.check(current, UploadWindow::Quiet)?;
        let mut version = self.new_version(new, place, false)?;
        match self.guard_write(write)? {
            Verdict::Indifferent => {
                let event = new.event(DisplayVersion::of(&version));
                let check = |batch: &mut Batch| {
                    write.guard.check(batch);
                    self.audit(batch, new.target.principal, &event);
                };
                self.plan_install(new, place, version, (Keeping::AsVersioned, check), view)
            }
            Verdict::Same => {
                let current = current.ok_or(StorageError::Corrupt("no version".to_owned()))?;
                let known = stored(current, place.bucket, new.written);
                Ok(Plan::Answer(Settled::Landed(Landed::Known(known))))
            }
            Verdict::Pass(passed) => {
                self.note_facts(write, &passed, &mut version);
                let id = version.id;
                let leave = |batch: &mut Batch| self.leave_guard(batch, write, &passed, id);
                self.plan_install(new, place, version, (Keeping::AsVersioned, leave), view)
            }
            Verdict::Refuse(breach) => {
                let mut batch = Batch::new(op_id(&version));
                match self.plan_refusal(&mut batch, write, &breach, version, view)? {
                    Err(range) => Ok(Plan::Scan(range, REFUSED_KEPT_MAX)),
                    Ok(refusal) => {
                        if refusal.keeps_body {
                            new.written.keep(&mut batch);
                        }
                        place.bucket.guard(&mut batch);
                        place.head.check(&mut batch);
                        Ok(Plan::Commit(batch, Settled::Refused(refusal)))
                    }
                }
            }
        }
    }

    /// The version becomes current, with what `also` adds.
    fn plan_install(
        &self,
        new: &NewObject<'_>,
        place: &Place<'_>,
        version: ObjectVersion,
        (keeping, also): (Keeping, impl FnOnce(&mut Batch)),
        view: &View,
    ) -> Result<Plan<Settled>, PutObjectError> {
        let stored = stored(&version, place.bucket, new.written);
        let mut batch = Batch::new(op_id(&version));
        let key = (place.bucket, new.target.key);
        let needed = self.install(&mut batch, key, place.head, (version, keeping), view)?;
        if let Some(needed) = needed {
            return Ok(Plan::Read(needed));
        }
        new.written.keep(&mut batch);
        also(&mut batch);
        Ok(Plan::Commit(batch, Settled::Landed(Landed::New(stored))))
    }

    fn new_version(
        &self,
        new: &NewObject<'_>,
        place: &Place<'_>,
        is_null: bool,
    ) -> Result<ObjectVersion, PutObjectError> {
        let NewObject { target, settings, written, .. } = *new;
        let Place { bucket, head, random } = *place;
        let now = self.now();
        let id = head.next_id(now, random);
        let bound_to = Self::key_place(bucket.row.id, target.key, id);
        let protection = self.protection(&settings.encryption, &bucket.row)?;
        let wrapped_key = self.wrap_data_key(&protection, &written.data_key, &bound_to)?;
        let (md5, checksum) = written.kept_digests(&protection.encryption, &written.data_key);
        let controls = of_new_object(&bucket.row, &settings.controls, now)?;
        let controls = Controls { encryption: protection.encryption, ..controls };
        Ok(ObjectVersion {
            id,
            is_null: is_null || writes_null(bucket.row.versioning),
            modified_ms: head.modified_ms(now),
            author: target.principal.arn.to_string(),
            kind: VersionKind::Object(Box::new(ObjectFacts {
                size: written.size,
                etag: ETag { md5, parts: None },
                headers: settings.headers.clone(),
                metadata: settings.metadata.clone(),
                tags: settings.tags.clone(),
                checksum: Some(checksum),
                body: written.body.clone(),
                wrapped_key,
                state: None,
                controls,
            })),
        })
    }

    /// The answer to a refused write: success if it is the same lock by the same principal again
    /// (its first reply was lost), the refusal otherwise.
    fn same_lock(
        &self,
        new: &NewObject<'_>,
        failure: ConditionFailure,
        place: &Place<'_>,
        guard: Option<&OpenGuard>,
        view: &View,
    ) -> Result<Plan<Settled>, PutObjectError> {
        let Place { bucket, head, .. } = *place;
        let (ConditionFailure::IfNoneMatch, Some(current)) = (failure, &head.row.current) else {
            return Err(failure.into());
        };
        let sent = (new.written, new.settings.encryption.customer_key());
        match self.compare_lock(new.target, bucket, current, sent, view)? {
            Comparison::Needs(keys) => Ok(Plan::Read(keys)),
            Comparison::Same => {
                let known = Settled::Landed(Landed::Known(stored(current, bucket, new.written)));
                let noted = guard.and_then(|guard| self.note_holder(new.target.principal, guard));
                Ok(match noted {
                    Some(batch) => Plan::Commit(batch, known),
                    None => Plan::Answer(known),
                })
            }
            Comparison::Other => Err(failure.into()),
        }
    }

    /// The connection has been told which lock is there now: its own.
    fn lock_was_taken(&self, target: Target<'_>, bucket: &OpenBucket, stored: &StoredObject) {
        if target.key.is_lock() {
            let conversation = &target.principal.origin.conversation;
            let place = (bucket.row.id, target.key.as_str());
            let (principal, now) = (&target.principal.arn, self.now());
            conversation.has_read_lock(place, principal, stored.version.id, now);
        }
    }
}

/// A written body on its way to become an object.
struct NewObject<'a> {
    target: Target<'a>,
    condition: &'a WriteCondition,
    settings: &'a ObjectSettings,
    written: &'a WrittenBody,
    /// As the audit log names it.
    action: &'static str,
}

impl NewObject<'_> {
    /// Whether `current` lacks something that the request names. What is left to the bucket is not asked for.
    fn asks_for_more(&self, current: Option<&ObjectVersion>) -> bool {
        let Some(stored) = current.and_then(ObjectVersion::object) else { return false };
        let ObjectSettings { headers, metadata, tags, controls, encryption } = self.settings;
        lacks(stored, (headers, metadata, tags), controls)
            || !encryption.is_met_by(&stored.controls.encryption)
    }

    fn event(&self, version: DisplayVersion) -> AuditEvent {
        let Target { bucket, key, .. } = self.target;
        let event = AuditEvent::new(self.action).object(bucket.as_str(), key.as_str());
        AuditEvent { version_id: version.to_string(), ..event }
    }
}

/// Headers, metadata and tags.
type Said<'a> = (&'a [(String, String)], &'a [(String, String)], &'a [(String, String)]);

/// Whether an object lacks something that is asked for; of its encryption nothing is said.
pub(crate) fn lacks(
    stored: &ObjectFacts,
    (headers, metadata, tags): Said<'_>,
    controls: &Controls,
) -> bool {
    let is_said = |(name, value): &&(String, String)| {
        (name.as_str(), value.as_str()) != ("content-type", CONTENT_TYPE_DEFAULT)
    };
    let lacks = |asked: &[(String, String)], has: &[(String, String)]| {
        asked.iter().filter(is_said).any(|pair| !has.contains(pair))
    };
    let has = &stored.controls;
    lacks(headers, &stored.headers)
        || lacks(metadata, &stored.metadata)
        || lacks(tags, &stored.tags)
        || (controls.retention.is_some() && controls.retention != has.retention)
        || (controls.legal_hold.is_some() && controls.legal_hold != has.legal_hold)
        || (controls.acl.is_some() && controls.acl != has.acl)
}

/// Where it is to stand, as one attempt has read it.
struct Place<'a> {
    bucket: &'a OpenBucket,
    head: &'a OpenHead,
    random: [u8; 8],
}

/// A version that is current, as it was asked for.
enum Landed {
    /// It was written now.
    New(StoredObject),
    /// It was there already: what was sent is needed no more.
    Known(StoredObject),
}

/// How a commit ended.
enum Settled {
    Landed(Landed),
    /// The guard refused it.
    Refused(Refusal),
    /// Somebody holds the lock.
    Locked(LockedBy),
    /// What was looked at before is outdated.
    LookAgain,
}

/// Names the attempt by the version that it makes.
pub(crate) fn op_id(version: &ObjectVersion) -> OpId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&version.id.sequence.to_be_bytes());
    id[8..].copy_from_slice(&version.id.random.to_be_bytes());
    OpId(id)
}

fn stored(version: &ObjectVersion, bucket: &OpenBucket, written: &WrittenBody) -> StoredObject {
    let facts = version.object();
    StoredObject {
        version: DisplayVersion::of(version),
        versioning: bucket.row.versioning,
        etag: facts.map_or(ETag { md5: written.md5, parts: None }, |facts| facts.etag),
        checksum: Some(written.checksum.clone()),
        modified_ms: version.modified_ms,
        size: written.size,
        encryption: facts.map(|facts| facts.controls.encryption.clone()).unwrap_or_default(),
        lifecycle: LifecycleSubject::of(&bucket.row, version),
    }
}
