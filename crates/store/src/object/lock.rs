//! Object Lock: how long a version is kept, and who may shorten that.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-overview.html>. What a version is
//! protected by is in its own row, so that the commit that would remove it decides from the row it checks.
//! Knows no permissions: whoever asks says whether they may bypass governance.

use tidelock_meta::record::bucket::{BucketRow, DefaultRetention, RetentionPeriod};
use tidelock_meta::record::controls::{Controls, Retention, RetentionMode};
use tidelock_meta::record::version::ObjectVersion;
use tidelock_meta::{OpId, UnixMillis};

use super::ObjectInfo;
use super::edit::{changed, plan_change};
use super::install::{OpenHead, Target};
use crate::Store;
use crate::audit::AuditEvent;
use crate::bucket::OpenBucket;
use crate::error::{BucketError, PutLockError};
use crate::identity::Principal;
use crate::name::{BucketName, ObjectKey};
use crate::version::VersionSelector;

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Days of a year, as Object Lock counts it.
const YEAR_DAYS: u32 = 365;

/// Whether a request may remove what is retained in governance mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Governance {
    /// It may not, or does not ask for it.
    #[default]
    Heeded,
    /// It asks for it, and may.
    Bypassed,
}

/// A change of what protects a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockChange {
    /// PutObjectRetention; none ends the retention.
    Retention(Option<Retention>, Governance),
    /// PutObjectLegalHold.
    LegalHold(bool),
}

impl LockChange {
    fn action(self) -> &'static str {
        match self {
            Self::Retention(..) => "PutObjectRetention",
            Self::LegalHold(_) => "PutObjectLegalHold",
        }
    }

    /// What `controls` become.
    fn over(self, controls: &Controls, now: UnixMillis) -> Result<Controls, PutLockError> {
        match self {
            Self::LegalHold(held) => Ok(Controls { legal_hold: Some(held), ..controls.clone() }),
            Self::Retention(new, governance) => {
                let old = controls.retention.filter(|old| old.until_ms > now);
                match old.is_none_or(|old| may_replace(old, new, governance)) {
                    true => Ok(Controls { retention: new, ..controls.clone() }),
                    false => Err(PutLockError::Retained),
                }
            }
        }
    }
}

/// Anybody may lengthen a retention in its mode; in governance mode whoever bypasses it does what they
/// want.
fn may_replace(old: Retention, new: Option<Retention>, governance: Governance) -> bool {
    let lengthens = new.is_some_and(|new| new.mode == old.mode && new.until_ms >= old.until_ms);
    let bypasses = old.mode == RetentionMode::Governance && governance == Governance::Bypassed;
    lengthens || bypasses
}

/// Whether nobody may remove a version with these controls now.
pub(crate) fn is_protected(controls: &Controls, governance: Governance, now: UnixMillis) -> bool {
    let is_retained = controls.retention.is_some_and(|retention| {
        retention.until_ms > now
            && match retention.mode {
                RetentionMode::Compliance => true,
                RetentionMode::Governance => governance == Governance::Heeded,
            }
    });
    is_retained || controls.legal_hold == Some(true)
}

/// The same of a version; a delete marker is never protected.
pub(crate) fn is_protected_version(
    version: &ObjectVersion,
    governance: Governance,
    now: UnixMillis,
) -> bool {
    version.object().is_some_and(|facts| is_protected(&facts.controls, governance, now))
}

/// Refuses locks on what is written where none can be.
pub(crate) fn check_lockable(row: &BucketRow, asked: &Controls) -> Result<(), BucketError> {
    let asks = asked.retention.is_some() || asked.legal_hold.is_some();
    if asks && row.object_lock.is_none() { Err(BucketError::NoObjectLock) } else { Ok(()) }
}

/// The controls of an object that is written now: what was asked for, and the bucket's default retention
/// where no retention was.
pub(crate) fn of_new_object(
    row: &BucketRow,
    asked: &Controls,
    now: UnixMillis,
) -> Result<Controls, BucketError> {
    check_lockable(row, asked)?;
    let default = row.object_lock.and_then(|lock| lock.default_retention);
    let default = default.map(|retention| retained_from(retention, now));
    Ok(Controls { retention: asked.retention.or(default), ..asked.clone() })
}

fn retained_from(retention: DefaultRetention, now: UnixMillis) -> Retention {
    let days = match retention.period {
        RetentionPeriod::Days(days) => days,
        RetentionPeriod::Years(years) => years.saturating_mul(YEAR_DAYS),
    };
    let until_ms = now.saturating_add(i64::from(days).saturating_mul(DAY_MS));
    Retention { mode: retention.mode, until_ms }
}

impl Store {
    /// Changes what protects an object, or one version of it.
    ///
    /// # Errors
    ///
    /// When the bucket has no Object Lock, there is no such version, or the retention that is there may
    /// not be replaced.
    pub async fn put_object_lock(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionSelector>,
        change: LockChange,
    ) -> Result<ObjectInfo, PutLockError> {
        let target = Target { principal, bucket, key };
        let bucket_id = self.find_bucket(principal, bucket).await?.row.id;
        let keys = Self::target_keys(target, bucket_id);
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            let bucket = OpenBucket::again(bucket_id, bucket, view.rows[0].as_ref(), principal)?;
            if bucket.row.object_lock.is_none() {
                return Err(BucketError::NoObjectLock.into());
            }
            let head = OpenHead::of(keys[1].clone(), view.rows[1].as_ref())?;
            let plan = plan_change((&bucket, target, &head), version, op_id, view, |facts| {
                facts.controls = change.over(&facts.controls, self.now())?;
                Ok::<_, PutLockError>(())
            });
            Ok(plan?.also(|batch, info| {
                let event = AuditEvent::new(change.action());
                self.audit(batch, principal, &changed(event, target, info));
            }))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = 1_000_000;

    fn retention(mode: RetentionMode, until_ms: i64) -> Retention {
        Retention { mode, until_ms }
    }

    fn controls(retention: Option<Retention>, legal_hold: Option<bool>) -> Controls {
        Controls { retention, legal_hold, ..Controls::default() }
    }

    #[test]
    fn what_is_locked_is_protected() {
        use Governance::{Bypassed, Heeded};
        use RetentionMode::{Compliance, Governance as Gov};
        let check = |mode: Option<(RetentionMode, i64)>, hold, governance, expected| {
            let retention = mode.map(|(mode, until_ms)| retention(mode, until_ms));
            let got = is_protected(&controls(retention, hold), governance, NOW);
            assert_eq!(got, expected, "{retention:?} {hold:?} {governance:?}");
        };
        check(None, None, Heeded, false);
        check(Some((Gov, NOW + 1)), None, Heeded, true);
        check(Some((Gov, NOW + 1)), None, Bypassed, false);
        check(Some((Gov, NOW)), None, Heeded, false);
        check(Some((Compliance, NOW + 1)), None, Bypassed, true);
        check(Some((Compliance, NOW)), None, Heeded, false);
        check(None, Some(true), Bypassed, true);
        check(None, Some(false), Heeded, false);
        check(Some((Gov, NOW + 1)), Some(true), Bypassed, true);
    }

    #[test]
    fn retentions_are_lengthened_or_bypassed() {
        use Governance::{Bypassed, Heeded};
        use RetentionMode::{Compliance, Governance as Gov};
        let check =
            |old: (RetentionMode, i64), new: Option<(RetentionMode, i64)>, governance, ok| {
                let old = Some(retention(old.0, old.1));
                let new = new.map(|(mode, until_ms)| retention(mode, until_ms));
                let change = LockChange::Retention(new, governance);
                let got = change.over(&controls(old, None), NOW);
                assert_eq!(got.is_ok(), ok, "{old:?} {new:?} {governance:?}");
            };
        let (soon, later) = (NOW + 10, NOW + 20);
        check((Gov, soon), Some((Gov, later)), Heeded, true);
        check((Gov, later), Some((Gov, soon)), Heeded, false);
        check((Gov, later), Some((Gov, soon)), Bypassed, true);
        check((Gov, soon), Some((Compliance, soon)), Heeded, false);
        check((Gov, soon), Some((Compliance, soon)), Bypassed, true);
        check((Gov, soon), None, Heeded, false);
        check((Gov, soon), None, Bypassed, true);
        check((Compliance, soon), Some((Compliance, later)), Heeded, true);
        check((Compliance, later), Some((Compliance, soon)), Bypassed, false);
        check((Compliance, soon), Some((Gov, later)), Bypassed, false);
        check((Compliance, soon), None, Bypassed, false);
        check((Compliance, NOW), Some((Gov, soon)), Heeded, true);
    }
}
