//! Changes of how a bucket's states are guarded, some rules at a time.

use tidelock_meta::record::bucket::{Enforcement, GuardConfig, LockHistory};

/// A change of some of a [`GuardConfig`]; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardEdit {
    /// [`GuardConfig::lock_writes`]
    pub lock_writes: Option<Enforcement>,
    /// [`GuardConfig::serial`]
    pub serial: Option<Enforcement>,
    /// [`GuardConfig::lock_required`]
    pub lock_required: Option<bool>,
    /// [`GuardConfig::lock_history`]
    pub lock_history: Option<LockHistory>,
    /// [`GuardConfig::stale_after_ms`]
    pub stale_after_ms: Option<u64>,
    /// [`GuardConfig::state_bytes_max`], which may become none.
    pub state_bytes_max: Option<Option<u64>>,
}

impl GuardEdit {
    /// The configuration that `set` becomes; a bucket without one begins with every rule off.
    pub(super) fn over(&self, set: Option<&GuardConfig>) -> GuardConfig {
        let mut config = set.cloned().unwrap_or(GuardConfig {
            lock_writes: Enforcement::Off,
            serial: Enforcement::Off,
            lock_required: false,
            ..GuardConfig::enforced()
        });
        let Self { lock_writes, serial, lock_required, lock_history, .. } = *self;
        config.lock_writes = lock_writes.unwrap_or(config.lock_writes);
        config.serial = serial.unwrap_or(config.serial);
        config.lock_required = lock_required.unwrap_or(config.lock_required);
        config.lock_history = lock_history.unwrap_or(config.lock_history);
        config.stale_after_ms = self.stale_after_ms.unwrap_or(config.stale_after_ms);
        config.state_bytes_max = self.state_bytes_max.unwrap_or(config.state_bytes_max);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays() {
        let edit = GuardEdit {
            serial: Some(Enforcement::Observe),
            state_bytes_max: Some(Some(7)),
            ..GuardEdit::default()
        };
        let enforced = GuardConfig::enforced();
        let edited = edit.over(Some(&enforced));
        let expected = GuardConfig {
            serial: Enforcement::Observe,
            state_bytes_max: Some(7),
            ..enforced.clone()
        };
        assert_eq!(edited, expected);
        assert_eq!(GuardEdit::default().over(Some(&edited)), edited);
        let unlimited = GuardEdit { state_bytes_max: Some(None), ..GuardEdit::default() };
        assert_eq!(unlimited.over(Some(&edited)).state_bytes_max, None);
        let begun = edit.over(None);
        assert_eq!((begun.serial, begun.lock_writes), (Enforcement::Observe, Enforcement::Off));
        assert!(!begun.lock_required);
    }
}
