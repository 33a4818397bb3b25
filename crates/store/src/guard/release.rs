//! Giving a lock back, and taking one away: a DELETE of the lock object of a state.
//!
//! The client's own check is a GET before, which proves nothing at the moment of the DELETE. What its
//! connection has read last stands for the condition that it should have sent.

use std::sync::Arc;

use tidelock_meta::record::bucket::Enforcement;
use tidelock_meta::record::guard::{GuardRow, Released};
use tidelock_meta::record::head;
use tidelock_meta::record::version::{self, ObjectVersion};
use tidelock_meta::record::{bucket, guard};
use tidelock_meta::{Batch, OpId};
use tidelock_tfstate::Lock;

use super::message::LockFacts;
use super::refusal::LockedBy;
use super::run::Asker;
use super::view::HeldLock;
use super::{OpenGuard, events, purges_locks};
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::commit::{Plan, View};
use crate::condition::LockBreaking;
use crate::error::{BucketError, DeleteObjectError, StorageError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::{DeletedObject, Keeping, OpenHead, Target};
use crate::version::DisplayVersion;

/// A client that reads a lock in order to give it back does so within this time.
const UNLOCKS_WITHIN_MS: i64 = 30_000;

/// A request to take a lock away, whoever holds it.
#[derive(Clone, Copy, Debug)]
pub struct LockRelease<'a> {
    /// Only the lock with this ID.
    pub id: Option<&'a str>,
    /// Why, for the audit log.
    pub reason: &'a str,
}

/// Why a lock was not taken away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The bucket has no guard; its locks are objects like any other.
    #[error("the bucket is not guarded: delete the lock object")]
    NotGuarded,
    /// Nobody holds the lock.
    #[error("the state is not locked")]
    NotLocked,
    /// Somebody holds another lock.
    #[error("the state is locked by another lock: {}", .0.lock.lock.id)]
    AnotherLock(Box<HeldLock>),
}

/// A DELETE of a lock object, with what was read for it.
pub(crate) struct LockDelete<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) bucket: &'a OpenBucket,
    pub(crate) head: &'a OpenHead,
    pub(crate) guard: &'a OpenGuard,
    /// Whether the request has proven which lock it means: it named its entity tag.
    pub(crate) is_certain: bool,
    pub(crate) breaking: LockBreaking,
    pub(crate) random: [u8; 8],
}

/// How a lock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End<'a> {
    /// By the run that held it.
    GivenBack,
    /// By somebody else, who may say why.
    Broken { reason: &'a str },
}

impl End<'_> {
    fn action(&self) -> &'static str {
        match self {
            Self::GivenBack => "LockReleased",
            Self::Broken { .. } => "LockBroken",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::GivenBack => "",
            Self::Broken { reason } => reason,
        }
    }
}

impl Store {
    /// What a DELETE of a lock object does in a guarded bucket.
    pub(crate) fn plan_delete_lock(
        &self,
        delete: &LockDelete<'_>,
        view: &View,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        let LockDelete { target, bucket, head, guard, .. } = *delete;
        let origin = &target.principal.origin;
        let current = head.row.current.as_ref().filter(|version| version.object().is_some());
        let Some(current) = current else { return Ok(Plan::Answer(DeletedObject::default())) };
        let asker = Asker::of(target.principal);
        if asker.has_ended_its_lock(&guard.row) {
            return Ok(Plan::Answer(DeletedObject::default()));
        }
        let (id, key) = (bucket.row.id, target.key.as_str());
        let since_ms = self.now() - UNLOCKS_WITHIN_MS;
        let seen = origin.conversation.last_lock_read((id, key), &target.principal.arn, since_ms);
        // The lock that the client means is gone: its DELETE is repeated, or somebody broke its lock. A
        // connection on which another lock was read says nothing if that one was given back: a proxy
        // sends the requests of many runs over it.
        let is_repeated = origin.attempt > 1 && asker.has_just_given_back(&guard.row, self.now());
        let has_lost = seen.is_some() && asker.may_have_lost(&guard.row);
        let means_this = delete.is_certain || seen == Some(current.id);
        if !means_this && (is_repeated || has_lost) {
            return Ok(Plan::Answer(DeletedObject::default()));
        }
        let lock = self.held_lock(bucket, guard)?;
        let held_id = lock.as_ref().map(|lock| lock.id.as_str());
        let has_just_begun = origin.conversation.began_here(id);
        let end = match asker.gives_back(&guard.row, held_id, has_just_begun) {
            true => End::GivenBack,
            false => End::Broken { reason: "" },
        };
        if end != End::GivenBack {
            self.require_breaking(delete)?;
        }
        Ok(self.plan_release(delete, (end, lock.as_ref()), current, view)?)
    }

    /// Only its holder takes a lock away, and who may break locks.
    fn require_breaking(&self, delete: &LockDelete<'_>) -> Result<(), DeleteObjectError> {
        let LockDelete { target, bucket, guard, breaking, .. } = *delete;
        let Some(config) = &bucket.row.guard else { return Ok(()) };
        let is_law = config.lock_writes == Enforcement::Enforce;
        let asker = Asker::of(target.principal);
        let is_own = guard.row.hold.as_ref().is_none_or(|hold| asker.owns(hold));
        if !is_law || breaking == LockBreaking::Allowed || is_own {
            return Ok(());
        }
        let Some(held) = self.held_now(bucket, &guard.state, &guard.row)? else { return Ok(()) };
        let now = self.now();
        let lock = held.facts(now, config);
        let message = lock.refusal_of_break(now);
        Err(DeleteObjectError::HeldByAnother(Box::new(LockedBy { message, lock })))
    }

    /// The lock that is held, if its body is one.
    pub(super) fn held_lock(
        &self,
        bucket: &OpenBucket,
        guard: &OpenGuard,
    ) -> Result<Option<Lock>, StorageError> {
        let held = self.held_now(bucket, &guard.state, &guard.row)?;
        Ok(held.and_then(|held| held.lock))
    }

    /// The current version of a lock object goes by its id: the lock is broken.
    pub(crate) fn end_lock(
        &self,
        plan: Plan<DeletedObject>,
        delete: &LockDelete<'_>,
    ) -> Result<Plan<DeletedObject>, DeleteObjectError> {
        self.require_breaking(delete)?;
        let LockDelete { target, bucket, guard, .. } = *delete;
        let lock = self.held_lock(bucket, guard)?;
        Ok(plan.also(|batch, _| {
            let mut row = guard.row.clone();
            row.end_hold(self.now(), true, target.principal.origin.call);
            guard.replace(batch, &row);
            let event = events::of_lock("LockBroken", target, lock.as_ref());
            self.audit(batch, target.principal, &event);
        }))
    }

    /// The lock goes, and its run with it.
    pub(super) fn plan_release(
        &self,
        delete: &LockDelete<'_>,
        (end, lock): (End<'_>, Option<&Lock>),
        current: &ObjectVersion,
        view: &View,
    ) -> Result<Plan<DeletedObject>, StorageError> {
        let LockDelete { target, bucket, head, guard, random, .. } = *delete;
        let versions = version::range(bucket.row.id, target.key.as_str());
        let Some(left_over) = view.scanned(&versions) else { return Ok(Plan::Scan(versions, 1)) };
        let now = self.now();
        let mut row: GuardRow = guard.row.clone();
        let config = bucket.row.guard.as_ref();
        let purges = config.is_none_or(|config| purges_locks(config, &bucket.row));
        let mut batch = Batch::new(OpId(self.random()));
        self.forget_released(&mut batch, &mut row);
        let marker = || self.delete_marker(target, bucket, head, random);
        let deleted = if purges {
            // Its body stays until the next lock: a tombstone may show it.
            let keeps_body = current.is_null;
            if !keeps_body {
                self.discard_version(&mut batch, current);
            }
            let mut left = head.row.clone();
            // Versions from before the bucket was guarded are listed behind a marker only.
            left.current = (!left_over.is_empty()).then(marker);
            left.mutations += 1;
            head.replace(&mut batch, &left);
            bucket.guard(&mut batch);
            row.released =
                keeps_body.then(|| Released { released_ms: now, version: current.clone() });
            DeletedObject::default()
        } else {
            let marker = marker();
            let shown = DisplayVersion::of(&marker);
            let place = (bucket, target.key);
            if let Some(needed) =
                self.install(&mut batch, place, head, (marker, Keeping::AsVersioned), view)?
            {
                return Ok(Plan::Read(needed));
            }
            row.released =
                (!current.is_null).then(|| Released { released_ms: now, version: current.clone() });
            DeletedObject { version: Some(shown), is_delete_marker: true }
        };
        let asker = Asker::of(target.principal);
        row.end_hold(now, end != End::GivenBack, asker.call());
        asker.ends(&mut row);
        guard.replace(&mut batch, &row);
        let event = events::of_lock(end.action(), target, lock);
        let event = AuditEvent { reason: end.reason().to_owned(), ..event };
        self.audit(&mut batch, target.principal, &event);
        Ok(Plan::Commit(batch, deleted))
    }

    /// Takes a lock away, whoever holds it; its run writes nothing more.
    ///
    /// # Errors
    ///
    /// When the bucket is not guarded, nobody holds the lock, or another one is held than was named.
    pub async fn release_lock(
        self: &Arc<Self>,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        release: LockRelease<'_>,
    ) -> Result<HeldLock, ReleaseError> {
        let lock_key = key.lock_key().map_err(|_| ReleaseError::NotLocked)?;
        let target = Target { principal, bucket, key: &lock_key };
        let found = self.find_bucket(principal, bucket).await?;
        let unseen = match found.row.guard {
            Some(_) => self.lock_in_object(target, &found).await?,
            None => None,
        };
        let id = found.row.id;
        let keys = [
            bucket::key(bucket.as_str()),
            head::key(id, lock_key.as_str()),
            guard::key(id, key.as_str()),
        ];
        let random = self.random();
        self.update(&keys, |view| {
            let open = OpenBucket::again(id, bucket, view.rows[0].as_ref(), principal)?;
            let Some(config) = &open.row.guard else { return Err(ReleaseError::NotGuarded) };
            let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            let current = head.row.current.as_ref().filter(|it| it.object().is_some());
            let Some(current) = current else { return Err(ReleaseError::NotLocked) };
            let guard = OpenGuard::of(key, keys[2].clone(), view.rows[2].as_ref())?;
            let guard = guard.with_lock(Some(current));
            let held = self.held_now(&open, key, &guard.row)?;
            let Some(held) = held else { return Err(ReleaseError::NotLocked) };
            let mut lock: LockFacts = held.facts(self.now(), config);
            if let Some((_, unseen)) = unseen.as_ref().filter(|(id, _)| *id == current.id) {
                lock.lock = unseen.clone();
            }
            let shown = HeldLock { key: key.as_str().to_owned(), lock };
            if release.id.is_some_and(|wanted| wanted != shown.lock.lock.id) {
                return Err(ReleaseError::AnotherLock(Box::new(shown)));
            }
            let delete = LockDelete {
                target,
                bucket: &open,
                head: &head,
                guard: &guard,
                is_certain: true,
                breaking: LockBreaking::Allowed,
                random,
            };
            let end = End::Broken { reason: release.reason };
            let lock = Some(&shown.lock.lock);
            Ok(self.plan_release(&delete, (end, lock), current, view)?.map(|_| shown))
        })
        .await
    }
}
