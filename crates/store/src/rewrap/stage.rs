//! Which rows hold something that the keyring has wrapped, by record, in the order of a run.
//!
//! Heads come before noncurrent versions, since a version that is overwritten moves that way. One that
//! becomes current again behind a run's back is found by the next run, and by a start that lacks its key
//! ([`super::usage`]).

use tidelock_meta::KeyRange;
use tidelock_meta::record::{
    access_key, audit_entry, audit_segment, bucket, dead_letter, guard, head, refused, root,
    upload, version, webhook,
};

/// Rows of one record. The numbers are only those of cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// Not wrapped, but they name keys.
    Buckets = 0,
    Heads = 1,
    Versions = 2,
    Uploads = 3,
    Guards = 4,
    Refused = 5,
    AccessKeys = 6,
    Root = 7,
    Webhooks = 8,
    DeadLetters = 9,
    AuditEntries = 10,
    AuditSegments = 11,
}

/// All of them, in order.
pub(super) const STAGES: [Stage; 12] = [
    Stage::Buckets,
    Stage::Heads,
    Stage::Versions,
    Stage::Uploads,
    Stage::Guards,
    Stage::Refused,
    Stage::AccessKeys,
    Stage::Root,
    Stage::Webhooks,
    Stage::DeadLetters,
    Stage::AuditEntries,
    Stage::AuditSegments,
];

impl Stage {
    pub(super) fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn of_number(number: u8) -> Option<Self> {
        STAGES.get(usize::from(number)).copied()
    }

    /// The stage after it; none after the last one.
    pub(super) fn next(self) -> Option<Self> {
        Self::of_number(self.number() + 1)
    }

    pub(super) fn range(self) -> KeyRange {
        match self {
            Self::Buckets => bucket::range(""),
            Self::Heads => head::range_of_all(),
            Self::Versions => version::range_of_all(),
            Self::Uploads => upload::range_of_all(),
            Self::Guards => guard::range_of_all(),
            Self::Refused => refused::range_of_all(),
            Self::AccessKeys => access_key::range(),
            Self::Root => KeyRange::prefix(&root::key()),
            Self::Webhooks => webhook::range(),
            Self::DeadLetters => dead_letter::range_of_all(),
            Self::AuditEntries => audit_entry::range(),
            Self::AuditSegments => audit_segment::range(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_and_the_order_is_complete() {
        for (number, stage) in STAGES.into_iter().enumerate() {
            assert_eq!(usize::from(stage.number()), number);
            assert_eq!(stage.next(), STAGES.get(number + 1).copied());
        }
    }
}
