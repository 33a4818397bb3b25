//! A write of a state in a guarded bucket: what the rules say of it, and what it leaves in the guard.

use tidelock_meta::Batch;
use tidelock_meta::record::bucket::GuardConfig;
use tidelock_meta::record::guard::{GuardRow, Hold};
use tidelock_meta::record::state::{StateFacts, WrittenUnder};
use tidelock_meta::record::version::{ObjectVersion, VersionId, VersionKind};
use tidelock_tfstate::{Format, Lock, State};

use super::message::LockFacts;
use super::rules::{Breach, Judgement, StateWrite, Stored};
use super::run::{Asker, Standing};
use super::{Candidate, CurrentState, OpenGuard, events};
use crate::Store;
use crate::bucket::OpenBucket;
use crate::error::StorageError;
use crate::name::ObjectKey;
use crate::object::Target;
use crate::state::changes;
use crate::version::VersionSelector;

/// User metadata of a state that was written to go back to an older version: that version's id.
const ROLLED_BACK_FROM: &str = "tidelock-rolled-back-from";

/// A write that the guard looks at, with all that was read for it.
pub(crate) struct GuardedWrite<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) bucket: &'a OpenBucket,
    pub(crate) config: &'a GuardConfig,
    pub(crate) guard: OpenGuard,
    pub(crate) current: &'a CurrentState,
    pub(crate) candidate: &'a Candidate,
    /// It asks for settings that what is current has not.
    pub(crate) asks_for_more: bool,
    /// The version that it goes back to, if it says so.
    pub(crate) rolled_back_from: Option<VersionId>,
}

/// What the guard says of a write.
pub(crate) enum Verdict {
    /// It is no business of the guard.
    Indifferent,
    /// The very same bytes are current: nothing is written.
    Same,
    /// It is done, and leaves this.
    Pass(Box<Passed>),
    /// It is refused.
    Refuse(Breach),
}

/// What a write leaves besides the object.
pub(crate) struct Passed {
    row: GuardRow,
    /// The lock under which it is written.
    pub(super) under: Option<WrittenUnder>,
    /// Rules that it breaks, where they are only observed.
    pub(super) observed: Vec<Breach>,
    /// It was done only because somebody allowed it.
    pub(super) used_allowance: bool,
}

/// The lock that is held, opened.
pub(crate) struct HeldNow<'a> {
    pub(super) hold: &'a Hold,
    pub(super) lock: Option<Lock>,
}

impl Store {
    /// What the rules say.
    pub(crate) fn guard_write(&self, write: &GuardedWrite<'_>) -> Result<Verdict, StorageError> {
        let row = &write.guard.row;
        let is_state = write.candidate.state.is_ok();
        let replaces_state = matches!(write.current.stored, Stored::State(_));
        if !is_state && !replaces_state && row.hold.is_none() {
            return Ok(Verdict::Indifferent);
        }
        let now = self.now();
        let held = self.held_now(write.bucket, write.target.key, row)?;
        let asker = Asker::of(write.target.principal);
        let standing = self.standing(&asker, row, held.as_ref(), write.config);
        let lock = held.as_ref().and_then(|held| held.lock.as_ref());
        let allowance = row.allowance.as_ref().filter(|allowance| allowance.expires_ms > now);
        let is_holder = standing == Standing::Holder;
        let judgement = StateWrite {
            config: write.config,
            standing,
            operation: lock.filter(|_| is_holder).map(|lock| &lock.operation),
            stored: &write.current.stored,
            size: write.candidate.size,
            sha256: write.candidate.sha256,
            state: &write.candidate.state,
            asks_for_more: write.asks_for_more,
            is_allowed: allowance.is_some(),
        };
        Ok(match judgement.judge() {
            Judgement::Same => Verdict::Same,
            Judgement::Refuse(breach) => Verdict::Refuse(breach),
            Judgement::Pass { observed, uses_allowance } => {
                let under = lock.filter(|_| is_holder).map(|lock| WrittenUnder {
                    id: lock.id.clone(),
                    operation: lock.operation.as_str().to_owned(),
                });
                let mut row = row.clone();
                if uses_allowance {
                    row.allowance = None;
                }
                if let Some(hold) = row.hold.as_mut().filter(|_| is_holder) {
                    hold.writes = hold.writes.saturating_add(1);
                    hold.last_write_ms = Some(now);
                    hold.told_quiet_ms = None;
                    asker.seen_as(&mut hold.run);
                }
                Verdict::Pass(Box::new(Passed {
                    row,
                    under,
                    observed,
                    used_allowance: uses_allowance,
                }))
            }
        })
    }

    /// Notes in `version` what the state says and who has written it.
    pub(crate) fn note_facts(
        &self,
        write: &GuardedWrite<'_>,
        passed: &Passed,
        version: &mut ObjectVersion,
    ) {
        let id = version.id;
        if let (Ok(state), VersionKind::Object(object)) =
            (&write.candidate.state, &mut version.kind)
        {
            let facts = Self::state_facts(write, passed, state);
            let (bucket, key) = (write.bucket.row.id, write.target.key);
            object.state = Some(self.seal_state_facts(bucket, key, id, &facts));
        }
    }

    fn state_facts(write: &GuardedWrite<'_>, passed: &Passed, state: &State) -> StateFacts {
        let index = write.candidate.derived.index.as_ref();
        let compared = write.current.index.as_ref().zip(index);
        let (changes, changed) = match compared.map(|(before, after)| changes(before, after)) {
            Some((changes, changed)) => (Some(changes), changed),
            None => (None, Vec::new()),
        };
        StateFacts {
            serial: state.serial,
            lineage: state.lineage.clone(),
            sha256: write.candidate.sha256,
            format_version: match state.format {
                Format::Clear { version } => Some(version),
                Format::Encrypted { .. } => None,
            },
            terraform_version: state.terraform_version.clone(),
            counts: write.candidate.derived.counts,
            changes,
            changed,
            run: Asker::of(write.target.principal).run().clone(),
            lock: passed.under.clone(),
            rolled_back_from: write.rolled_back_from,
        }
    }

    /// Makes `batch` leave the guard as the write makes it, with the index of the new version, and tell
    /// of it.
    pub(crate) fn leave_guard(
        &self,
        batch: &mut Batch,
        write: &GuardedWrite<'_>,
        passed: &Passed,
        id: VersionId,
    ) {
        let mut row = passed.row.clone();
        if let Some(old) = row.index.take() {
            self.discard_index(batch, &old);
        }
        let (bucket, key) = (write.bucket.row.id, write.target.key);
        let written = write.candidate.index.as_ref();
        row.index = written.map(|written| self.keep_index(batch, written, bucket, key, id));
        write.guard.replace(batch, &row);
        self.audit(batch, write.target.principal, &events::of_written(write, passed, id));
    }

    /// The lock that is held, opened.
    pub(crate) fn held_now<'a>(
        &self,
        bucket: &OpenBucket,
        state_key: &ObjectKey,
        row: &'a GuardRow,
    ) -> Result<Option<HeldNow<'a>>, StorageError> {
        let Some(hold) = &row.hold else { return Ok(None) };
        let lock = self.unseal_lock(bucket.row.id, state_key, hold)?;
        Ok(Some(HeldNow { hold, lock }))
    }

    /// Where `asker` stands with the lock.
    pub(super) fn standing(
        &self,
        asker: &Asker,
        row: &GuardRow,
        held: Option<&HeldNow<'_>>,
        config: &GuardConfig,
    ) -> Standing {
        let id = held.and_then(|held| held.lock.as_ref()).map(|lock| lock.id.as_str());
        let memory = i64::try_from(config.stale_after_ms).unwrap_or(i64::MAX);
        asker.standing(row, id, self.now().saturating_sub(memory))
    }
}

impl HeldNow<'_> {
    pub(crate) fn facts(&self, now_ms: i64, config: &GuardConfig) -> LockFacts {
        LockFacts::of(self.hold, self.lock.clone(), now_ms, config.stale_after_ms)
    }
}

/// What `tidelock state rollback` says of what it writes.
pub(crate) fn rolled_back_from(metadata: &[(String, String)]) -> Option<VersionId> {
    let (_, id) = metadata.iter().find(|(name, _)| name == ROLLED_BACK_FROM)?;
    match id.parse() {
        Ok(VersionSelector::Id(id)) => Some(id),
        Ok(VersionSelector::Null) | Err(_) => None,
    }
}
