//! The rules of a state write, and which of them it breaks. Pure.

use tidelock_meta::record::bucket::{Enforcement, GuardConfig};
use tidelock_tfstate::{NotAState, Operation, State};

use super::run::Standing;

/// What is stored under the key of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Nothing, or a delete marker.
    Nothing,
    /// Something that is no state.
    Other,
    /// A state.
    State(StoredState),
}

/// A stored state, as far as the rules care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredState {
    pub(crate) serial: u64,
    pub(crate) lineage: String,
    pub(crate) sha256: [u8; 32],
    /// It is known to hold neither resources nor outputs.
    pub(crate) is_empty: bool,
}

/// A write of a state, or over one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateWrite<'a> {
    pub(crate) config: &'a GuardConfig,
    pub(crate) standing: Standing,
    /// The command that took the lock, where the asker holds it.
    pub(crate) operation: Option<&'a Operation>,
    pub(crate) stored: &'a Stored,
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) state: &'a Result<State, NotAState>,
    /// The request asks for metadata, tags, encryption or a retention that what is stored has not.
    pub(crate) asks_for_more: bool,
    /// Somebody has allowed the next write, whatever it is.
    pub(crate) is_allowed: bool,
}

/// A rule that a write breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// Another principal holds the lock.
    Locked,
    /// The run had the lock and lost it, or was refused before.
    Lost,
    /// The run cannot be told from one that lost the lock.
    Unclear,
    /// Nobody holds the lock.
    NoLock,
    /// The stored state is as new or newer.
    Stale { stored: u64, written: u64 },
    /// The state is another one.
    Lineage { stored: String, written: String },
    /// A state would be replaced by something else.
    NotAState(NotAState),
    /// It is over the bucket's limit.
    TooLarge { size: u64, limit: u64 },
}

/// What becomes of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The very same bytes are stored.
    Same,
    /// It is done. These rules it breaks, and they are only observed.
    Pass { observed: Vec<Breach>, uses_allowance: bool },
    /// It is refused.
    Refuse(Breach),
}

impl StateWrite<'_> {
    /// What becomes of it.
    pub(crate) fn judge(&self) -> Judgement {
        if self.is_stored() && !self.is_by_a_loser() && !self.asks_for_more {
            return Judgement::Same;
        }
        let rules = [
            (Enforcement::Enforce, self.breach_of_size()),
            (self.config.lock_writes, self.breach_of_lock()),
            (self.config.serial, self.breach_of_serial()),
        ];
        let (mut observed, mut uses_allowance) = (Vec::new(), false);
        for (enforcement, breach) in rules {
            match (enforcement, breach) {
                (Enforcement::Off, _) | (_, None) => {}
                (Enforcement::Observe, Some(breach)) => observed.push(breach),
                (Enforcement::Enforce, Some(_)) if self.is_allowed => uses_allowance = true,
                (Enforcement::Enforce, Some(breach)) => return Judgement::Refuse(breach),
            }
        }
        Judgement::Pass { observed, uses_allowance }
    }

    fn is_stored(&self) -> bool {
        matches!(self.stored, Stored::State(stored) if stored.sha256 == self.sha256)
            && self.state.is_ok()
    }

    /// Whether it comes from a run that has lost the lock, or from none that ever held it. On its first
    /// apply Terraform reads the stored state once more before it writes: a run that is told that the
    /// other run's bytes are its own ends well, and what it made is in nobody's state.
    fn is_by_a_loser(&self) -> bool {
        let is_law = self.config.lock_writes == Enforcement::Enforce;
        let has_lost = match self.standing {
            Standing::Free | Standing::Holder => false,
            Standing::Lost | Standing::Other | Standing::Unclear => true,
        };
        is_law && has_lost && !self.is_allowed
    }

    fn breach_of_size(&self) -> Option<Breach> {
        let limit = self.config.state_bytes_max?;
        (self.size > limit).then_some(Breach::TooLarge { size: self.size, limit })
    }

    fn breach_of_lock(&self) -> Option<Breach> {
        match self.standing {
            Standing::Holder => None,
            Standing::Other => Some(Breach::Locked),
            Standing::Lost => Some(Breach::Lost),
            Standing::Unclear => Some(Breach::Unclear),
            Standing::Free => self.config.lock_required.then_some(Breach::NoLock),
        }
    }

    fn breach_of_serial(&self) -> Option<Breach> {
        let Stored::State(stored) = self.stored else { return None };
        let written = match self.state {
            Ok(written) => written,
            Err(error) => return Some(Breach::NotAState(error.clone())),
        };
        if self.is_stored() || self.replaces_on_purpose(stored) {
            return None;
        }
        if stored.lineage != written.lineage {
            let (stored, written) = (stored.lineage.clone(), written.lineage.clone());
            return Some(Breach::Lineage { stored, written });
        }
        let (stored, written) = (stored.serial, written.serial);
        (written <= stored).then_some(Breach::Stale { stored, written })
    }

    /// Commands that put another state there because their user said so.
    fn replaces_on_purpose(&self, stored: &StoredState) -> bool {
        match self.operation {
            Some(
                Operation::StatePush | Operation::MigrationSource | Operation::MigrationDestination,
            ) => true,
            // `workspace new -state=FILE` writes an empty state first.
            Some(Operation::WorkspaceNew) => stored.is_empty,
            Some(
                Operation::Plan
                | Operation::Apply
                | Operation::Refresh
                | Operation::Invalid
                | Operation::Init
                | Operation::StateMv
                | Operation::StateRm
                | Operation::StateReplaceProvider
                | Operation::Taint
                | Operation::Untaint
                | Operation::Other(_),
            )
            | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(serial: u64, lineage: &str) -> Result<State, NotAState> {
        State::parse(
            format!(r#"{{"version":4,"serial":{serial},"lineage":"{lineage}"}}"#).as_bytes(),
        )
    }

    fn stored(serial: u64, is_empty: bool) -> Stored {
        let lineage = "l".to_owned();
        Stored::State(StoredState { serial, lineage, sha256: [1; 32], is_empty })
    }

    fn judge(
        standing: Standing,
        operation: Option<Operation>,
        stored: &Stored,
        state: &Result<State, NotAState>,
    ) -> Judgement {
        let config = GuardConfig { state_bytes_max: Some(100), ..GuardConfig::enforced() };
        let write = StateWrite {
            config: &config,
            standing,
            operation: operation.as_ref(),
            stored,
            size: 100,
            sha256: [2; 32],
            state,
            asks_for_more: false,
            is_allowed: false,
        };
        write.judge()
    }

    fn passed() -> Judgement {
        Judgement::Pass { observed: Vec::new(), uses_allowance: false }
    }

    #[test]
    fn only_the_holder_writes() {
        let state = body(1, "l");
        let rows = [
            (Standing::Holder, passed()),
            (Standing::Free, Judgement::Refuse(Breach::NoLock)),
            (Standing::Other, Judgement::Refuse(Breach::Locked)),
            (Standing::Lost, Judgement::Refuse(Breach::Lost)),
            (Standing::Unclear, Judgement::Refuse(Breach::Unclear)),
        ];
        for (standing, expected) in rows {
            assert_eq!(judge(standing, None, &Stored::Nothing, &state), expected, "{standing:?}");
        }
    }

    #[test]
    fn nothing_older_is_written_over_a_state() {
        let stale = |written| Judgement::Refuse(Breach::Stale { stored: 5, written });
        let foreign =
            Judgement::Refuse(Breach::Lineage { stored: "l".to_owned(), written: "m".to_owned() });
        let no_state = |error| Judgement::Refuse(Breach::NotAState(error));
        let rows = [
            (None, stored(5, false), body(6, "l"), passed()),
            (None, stored(5, false), body(9, "l"), passed()),
            (None, stored(5, false), body(5, "l"), stale(5)),
            (None, stored(5, false), body(1, "l"), stale(1)),
            (None, stored(5, false), body(6, "m"), foreign.clone()),
            (None, stored(5, false), State::parse(b""), no_state(NotAState::Empty)),
            (None, Stored::Other, body(1, "l"), passed()),
            (None, Stored::Nothing, State::parse(b""), passed()),
            (Some(Operation::StatePush), stored(5, false), body(1, "m"), passed()),
            (Some(Operation::MigrationDestination), stored(5, false), body(1, "m"), passed()),
            (
                Some(Operation::StatePush),
                stored(5, false),
                State::parse(b""),
                no_state(NotAState::Empty),
            ),
            (Some(Operation::WorkspaceNew), stored(5, true), body(1, "m"), passed()),
            (Some(Operation::WorkspaceNew), stored(5, false), body(6, "m"), foreign),
            (Some(Operation::Apply), stored(5, false), body(5, "l"), stale(5)),
        ];
        for (operation, stored, state, expected) in rows {
            let name = format!("{operation:?} {stored:?} {state:?}");
            assert_eq!(judge(Standing::Holder, operation, &stored, &state), expected, "{name}");
        }
    }

    #[test]
    fn modes_and_permissions() {
        let state = body(5, "l");
        let (off, observe, enforce) =
            (Enforcement::Off, Enforcement::Observe, Enforcement::Enforce);
        let stale = Breach::Stale { stored: 5, written: 5 };
        let pass =
            |observed: Vec<Breach>, uses_allowance| Judgement::Pass { observed, uses_allowance };
        let rows = [
            (off, off, false, pass(vec![], false)),
            (observe, off, false, pass(vec![Breach::Locked], false)),
            (observe, observe, false, pass(vec![Breach::Locked, stale.clone()], false)),
            (enforce, observe, false, Judgement::Refuse(Breach::Locked)),
            (observe, enforce, false, Judgement::Refuse(stale.clone())),
            (observe, enforce, true, pass(vec![Breach::Locked], true)),
            (enforce, enforce, true, pass(vec![], true)),
            (off, observe, true, pass(vec![stale], false)),
        ];
        for (lock_writes, serial, is_allowed, expected) in rows {
            let config = GuardConfig { lock_writes, serial, ..GuardConfig::enforced() };
            let write = StateWrite {
                config: &config,
                standing: Standing::Other,
                operation: None,
                stored: &stored(5, false),
                size: 1,
                sha256: [2; 32],
                state: &state,
                asks_for_more: false,
                is_allowed,
            };
            assert_eq!(write.judge(), expected, "{lock_writes:?} {serial:?} {is_allowed}");
        }
    }

    #[test]
    fn equal_bytes_are_the_same_but_not_of_a_run_that_lost_the_lock() {
        let (config, state) = (GuardConfig::enforced(), body(5, "l"));
        // Whose they are, whether they ask for settings that are not stored, and what becomes of them.
        let rows = [
            (Standing::Holder, false, Judgement::Same),
            (Standing::Free, false, Judgement::Same),
            (Standing::Lost, false, Judgement::Refuse(Breach::Lost)),
            (Standing::Other, false, Judgement::Refuse(Breach::Locked)),
            (Standing::Unclear, false, Judgement::Refuse(Breach::Unclear)),
            (Standing::Holder, true, passed()),
            (Standing::Free, true, Judgement::Refuse(Breach::NoLock)),
            (Standing::Other, true, Judgement::Refuse(Breach::Locked)),
        ];
        for (standing, asks_for_more, expected) in rows {
            let write = StateWrite {
                config: &config,
                standing,
                operation: None,
                stored: &stored(5, false),
                size: 1,
                sha256: [1; 32],
                state: &state,
                asks_for_more,
                is_allowed: false,
            };
            assert_eq!(write.judge(), expected, "{standing:?} {asks_for_more}");
        }
    }

    #[test]
    fn a_limit_on_bytes_counts() {
        let config = GuardConfig { state_bytes_max: Some(99), ..GuardConfig::enforced() };
        let state = body(1, "l");
        let write = StateWrite {
            config: &config,
            standing: Standing::Holder,
            operation: None,
            stored: &Stored::Nothing,
            size: 100,
            sha256: [2; 32],
            state: &state,
            asks_for_more: false,
            is_allowed: false,
        };
        let expected = Judgement::Refuse(Breach::TooLarge { size: 100, limit: 99 });
        assert_eq!(write.judge(), expected);
    }
}
