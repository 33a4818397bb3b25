//! Refused versions: what the guard refused is kept for a while, so that a CI runner that vanishes
//! takes nothing with it.

use std::sync::Arc;
use std::time::Duration;

use tidelock_meta::record::guard::GuardRow;
use tidelock_meta::record::refused::{self, RefusedRow};
use tidelock_meta::record::version::{ETag, ObjectVersion, VersionId};
use tidelock_meta::record::{BucketId, bucket};
use tidelock_meta::{Batch, Key, KeyRange, OpId};

use super::refusal::{Refusal, RefusalReason};
use super::rules::Breach;
use super::run::{Asker, Sticking};
use super::write::GuardedWrite;
use super::{events, message};
use crate::Store;
use crate::audit::AuditEvent;
use crate::body::read::OpenError;
use crate::bucket::OpenBucket;
use crate::commit::{Plan, View};
use crate::encryption::is_customers;
use crate::error::{BucketError, EncryptionError, StorageError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::object::{GetObject, ObjectInfo, Target};
use crate::version::VersionSelector;

/// How long a refused version is kept.
pub const REFUSED_TERM: Duration = Duration::from_secs(30 * 24 * 3600);
/// Refused versions of one state; the oldest goes when another one comes.
pub const REFUSED_KEPT_MAX: usize = 32;
/// Larger bodies are refused and not kept.
const REFUSED_BYTES_MAX: u64 = 1 << 30;

/// A refused version as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedVersion {
    /// Key of the state.
    pub key: String,
    /// Names it.
    pub id: VersionId,
    /// When it was refused.
    pub refused_ms: i64,
    /// When it is dropped.
    pub expires_ms: i64,
    /// The code it was refused with.
    pub code: String,
    /// What the client was told.
    pub message: String,
    /// ARN of who sent it.
    pub principal: String,
    /// IP address it came from.
    pub address: String,
    /// `User-Agent` of who sent it.
    pub user_agent: String,
    /// Plaintext bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: ETag,
}

/// Why a refused version cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedError {
    /// The bucket cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// There is no such refused version.
    #[error("there is no such refused version")]
    NoSuchVersion,
    /// Only the key of its writer opens it.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
}

impl Breach {
    pub(super) fn reason(&self) -> RefusalReason {
        match self {
            Self::Locked => RefusalReason::StateLocked,
            Self::Lost | Self::Unclear => RefusalReason::StateLockLost,
            Self::NoLock => RefusalReason::StateLockRequired,
            Self::Stale { .. } => RefusalReason::StaleStateWrite,
            Self::Lineage { .. } => RefusalReason::StateLineageMismatch,
            Self::NotAState(_) => RefusalReason::NotAState,
            Self::TooLarge { .. } => RefusalReason::StateTooLarge,
        }
    }

    /// What is remembered of the run that broke the rule. It goes on as if it had written, and would
    /// pass with its next serial, so it writes nothing more until it takes the lock. Of a body that is
    /// no state, or a write without any lock, nothing of the kind is known.
    fn sticks(&self) -> Option<Sticking> {
        match self {
            Self::Lost | Self::Unclear | Self::Stale { .. } | Self::Lineage { .. } => {
                Some(Sticking::Lives)
            }
            Self::Locked => Some(Sticking::Silent),
            Self::NoLock | Self::NotAState(_) | Self::TooLarge { .. } => None,
        }
    }
}

impl Store {
    /// Adds to `batch` that `new` is refused for `breach`: it is kept, the run is remembered, the audit
    /// log is told. Answers the range that must be scanned first, if it was not.
    pub(crate) fn plan_refusal(
        &self,
        batch: &mut Batch,
        write: &GuardedWrite<'_>,
        breach: &Breach,
        new: ObjectVersion,
        view: &View,
    ) -> Result<Result<Refusal, KeyRange>, StorageError> {
        let (id, key) = (write.bucket.row.id, write.target.key.as_str());
        let kept_before = refused::range(id, key);
        let Some(kept) = view.scanned(&kept_before) else { return Ok(Err(kept_before)) };
        let now = self.now();
        let asker = Asker::of(write.target.principal);
        let mut row: GuardRow = write.guard.row.clone();
        let held = self.held_now(write.bucket, write.target.key, &write.guard.row)?;
        let lock = held.map(|held| held.facts(now, write.config));
        let held_id = lock.as_ref().map(|lock| lock.lock.id.clone());
        let seen = kept;
        let kept = kept.iter().map(|(key, row)| Ok((key, RefusedRow::decode(&row.value)?)));
        let kept = kept.collect::<Result<Vec<_>, StorageError>>()?;
        let again = kept.iter().position(|(_, row)| is_again(row, &new, &asker));
        let known = again.map(|at| kept[at].1.version.id);
        let keeps_body = known.is_none() && write.candidate.size <= REFUSED_BYTES_MAX;
        let refused = known.or_else(|| keeps_body.then_some(new.id));
        let shown = refused.map(events::shown);
        let place = (write.target.bucket.as_str(), key);
        let message =
            message::refusal_of_write(breach, lock.as_ref(), place, shown.as_deref(), now);
        let refusal = Refusal {
            reason: breach.reason(),
            message: message.clone(),
            refused,
            lock: lock.map(Box::new),
            keeps_body,
        };
        let expires_ms = now.saturating_add(REFUSED_TERM.as_millis() as i64);
        if let Some(at) = again {
            // It stays as long as if it had come now, if it still is there.
            let (place, row) = &seen[at];
            batch.expect(place.clone(), Some(row));
            let renewed = RefusedRow { expires_ms, ..kept[at].1.clone() };
            batch.writes.insert(0, tidelock_meta::Write::Put(place.clone(), renewed.encode()));
        }
        if keeps_body {
            self.make_room(batch, kept, &asker.run().holder);
            let refused = RefusedRow {
                expires_ms,
                code: refusal.reason.as_str().to_owned(),
                message,
                run: asker.run().clone(),
                version: new.clone(),
            };
            let place = refused::key(id, key, new.id);
            // First: its random id tells whether a commit landed whose reply was lost.
            batch.writes.insert(0, tidelock_meta::Write::Put(place, refused.encode()));
        }
        remember(breach, &asker, &mut row, now);
        if breach.sticks() == Some(Sticking::Lives) {
            asker.refuse_named(&mut row, held_id.as_deref());
        }
        write.guard.replace(batch, &row);
        let event = events::of_refused_write(write, &refusal);
        self.audit(batch, write.target.principal, &event);
        Ok(Ok(refusal))
    }

    /// Makes room for one more, of `holder`: where there are too many, the oldest of whoever has most of them
    /// goes. What somebody sends again and again takes nobody else's place.
    fn make_room(&self, batch: &mut Batch, mut kept: Vec<(&Key, RefusedRow)>, holder: &str) {
        while kept.len() >= REFUSED_KEPT_MAX {
            let of = |holder: &str| kept.iter().filter(|(_, row)| row.run.holder == holder).count();
            let count =
                |row: &RefusedRow| of(&row.run.holder) + usize::from(row.run.holder == holder);
            let most = kept.iter().map(|(_, row)| count(row)).max();
            let at = kept.iter().position(|(_, row)| Some(count(row)) == most).unwrap_or_default();
            let (key, row) = kept.remove(at);
            self.discard_version(batch, &row.version);
            batch.delete(key.clone());
        }
    }

    /// The refused versions of states whose key begins with `prefix`, by key, oldest first.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be used.
    pub async fn list_refused(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        prefix: &str,
    ) -> Result<Vec<RefusedVersion>, BucketError> {
        let read = self.rows.answer(|reading| async move {
            let open = OpenBucket::read(&reading, bucket, principal).await?;
            let rows = reading.all(refused::range_of_bucket(open.row.id, prefix)).await?;
            let listed =
                rows.iter().map(|(key, value)| listed(key, value)).collect::<Result<_, _>>();
            Ok::<Vec<_>, BucketError>(listed?)
        });
        read.await
    }

    /// A refused version with all its bytes.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub async fn get_refused(
        self: &Arc<Self>,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        id: VersionSelector,
    ) -> Result<GetObject, RefusedError> {
        let target = Target { principal, bucket, key };
        let (open, row) = self
            .rows
            .answer(|reading| async move {
                let open = OpenBucket::read(&reading, bucket, principal).await?;
                let place = refused_place(open.row.id, key, id)?;
                let seen = reading.value(place).await?.ok_or(RefusedError::NoSuchVersion)?;
                Ok::<_, RefusedError>((open, RefusedRow::decode(&seen)?))
            })
            .await?;
        let version = row.version;
        let Some(facts) = version.object() else { return Err(RefusedError::NoSuchVersion) };
        let info = ObjectInfo::of(&version, facts, open.row.versioning);
        match self.open_version(target, &open, &version).await {
            Ok(reader) => Ok(GetObject { info, reader }),
            Err(OpenError::Gone) => Err(RefusedError::NoSuchVersion),
            Err(OpenError::Encryption(error)) => Err(error.into()),
            Err(OpenError::Storage(error)) => Err(error.into()),
        }
    }

    /// Drops a refused version before its time.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub async fn discard_refused(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        id: VersionSelector,
    ) -> Result<(), RefusedError> {
        let bucket_id = self.find_bucket(principal, bucket).await?.row.id;
        let keys = [bucket::key(bucket.as_str()), refused_place(bucket_id, key, id)?];
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            OpenBucket::again(bucket_id, bucket, view.rows[0].as_ref(), principal)?;
            let Some(seen) = &view.rows[1] else { return Err(RefusedError::NoSuchVersion) };
            let row = RefusedRow::decode(&seen.value)?;
            let mut batch = Batch::new(op_id);
            batch.expect(keys[1].clone(), Some(seen));
            batch.delete(keys[1].clone());
            self.discard_version(&mut batch, &row.version);
            let refused_version = events::shown(row.version.id);
            let event = AuditEvent::new("RefusedDiscarded").object(bucket.as_str(), key.as_str());
            self.audit(&mut batch, principal, &AuditEvent { refused_version, ..event });
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }
}

/// Whether `new` is what was refused before, of the same principal.
fn is_again(before: &RefusedRow, new: &ObjectVersion, asker: &Asker) -> bool {
    let (Some(kept), Some(sent)) = (before.version.object(), new.object()) else { return false };
    before.run.holder == asker.run().holder
        && (kept.etag, kept.size) == (sent.etag, sent.size)
        && !is_customers(&sent.controls.encryption)
}

/// Remembers in `row` that the run broke a rule, if that sticks.
pub(super) fn remember(breach: &Breach, asker: &Asker, row: &mut GuardRow, now_ms: i64) {
    let sticking = match breach {
        // The lock of a run that looks like this one was taken away: it may be that run, and it lives.
        Breach::NoLock if asker.may_have_lost(row) => Some(Sticking::Lives),
        breach => breach.sticks(),
    };
    if let Some(sticking) = sticking {
        asker.fence(row, sticking, now_ms);
    }
}

fn refused_place(
    bucket: BucketId,
    key: &ObjectKey,
    id: VersionSelector,
) -> Result<Key, RefusedError> {
    match id {
        VersionSelector::Id(id) => Ok(refused::key(bucket, key.as_str(), id)),
        VersionSelector::Null => Err(RefusedError::NoSuchVersion),
    }
}

fn listed(key: &Key, value: &[u8]) -> Result<RefusedVersion, StorageError> {
    let (_, key, _) = refused::decode_key(key)?;
    let row = RefusedRow::decode(value)?;
    let facts = row.version.object();
    let facts = facts.ok_or_else(|| StorageError::Corrupt("a refused delete marker".to_owned()))?;
    Ok(RefusedVersion {
        key,
        id: row.version.id,
        refused_ms: row.version.modified_ms,
        expires_ms: row.expires_ms,
        code: row.code,
        message: row.message,
        principal: row.run.holder,
        address: row.run.address,
        user_agent: row.run.user_agent,
        size: facts.size,
        etag: facts.etag,
    })
}
