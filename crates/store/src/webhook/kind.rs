//! The kinds of events, and which entry of the audit log is which.

use std::fmt;
use std::str::FromStr;

/// What a webhook can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Somebody took a lock.
    LockAcquired,
    /// Somebody was refused a lock.
    LockConflict,
    /// A lock is held by somebody who has not been heard of for long.
    LockQuiet,
    /// Whoever held a lock gave it back.
    LockReleased,
    /// A lock was taken from whoever held it.
    LockBroken,
    /// A state was written.
    StateWritten,
    /// A state was not written.
    StateRefused,
    /// An old version of a state was made the current one.
    StateRolledBack,
    /// A state was deleted.
    StateDeleted,
    /// Every entry of the audit log.
    Audit,
}

/// Not a kind of event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a kind of event")]
pub struct InvalidEventKind(pub String);

/// Every kind, its name, and the action it is in the audit log.
const KINDS: &[(EventKind, &str, Option<&str>)] = &[
    (EventKind::LockAcquired, "lock.acquired", Some("LockAcquired")),
    (EventKind::LockConflict, "lock.conflict", Some("LockRefused")),
    (EventKind::LockQuiet, "lock.quiet", Some("LockQuiet")),
    (EventKind::LockReleased, "lock.released", Some("LockReleased")),
    (EventKind::LockBroken, "lock.broken", Some("LockBroken")),
    (EventKind::StateWritten, "state.written", Some("StateWritten")),
    // Written although it breaks a rule that is only observed.
    (EventKind::StateWritten, "state.written", Some("StateObserved")),
    (EventKind::StateRefused, "state.refused", Some("StateRefused")),
    (EventKind::StateRolledBack, "state.rolled_back", Some("StateRolledBack")),
    (EventKind::StateDeleted, "state.deleted", Some("StateDeleted")),
    (EventKind::Audit, "audit", None),
];

impl EventKind {
    /// Its name: `lock.acquired`.
    pub fn as_str(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// The first of `wanted` that an entry of this action is.
    pub(super) fn of_action(action: &str, wanted: &[Self]) -> Option<Self> {
        let named = KINDS.iter().find(|(_, _, of)| *of == Some(action)).map(|(kind, ..)| *kind);
        let named = named.filter(|kind| wanted.contains(kind));
        named.or_else(|| wanted.contains(&Self::Audit).then_some(Self::Audit))
    }
}

impl FromStr for EventKind {
    type Err = InvalidEventKind;

    fn from_str(text: &str) -> Result<Self, InvalidEventKind> {
        let found = KINDS.iter().find(|(_, name, _)| *name == text);
        found.map(|(kind, ..)| *kind).ok_or_else(|| InvalidEventKind(text.to_owned()))
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_names_and_actions() {
        for (kind, name, _) in KINDS {
            assert_eq!((kind.as_str(), name.parse()), (*name, Ok(*kind)));
        }
        assert!("lock.stolen".parse::<EventKind>().is_err());
        let rows: &[(&str, &[EventKind], Option<EventKind>)] = &[
            ("LockBroken", &[EventKind::LockBroken], Some(EventKind::LockBroken)),
            ("LockBroken", &[EventKind::LockQuiet], None),
            ("LockBroken", &[EventKind::Audit, EventKind::LockBroken], Some(EventKind::LockBroken)),
            ("GetObject", &[EventKind::Audit], Some(EventKind::Audit)),
            ("GetObject", &[EventKind::LockBroken], None),
        ];
        for (action, wanted, expected) in rows {
            assert_eq!(EventKind::of_action(action, wanted), *expected, "{action} {wanted:?}");
        }
    }
}
