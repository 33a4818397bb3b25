//! Version ids as people and clients write them: 32 hex digits, or `null`.

use std::fmt;
use std::str::FromStr;

use tidelock_meta::record::version::{ObjectVersion, VersionId};

/// Which version a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionSelector {
    /// The version written while versioning was off or suspended.
    Null,
    /// This one.
    Id(VersionId),
}

/// Not a version id of this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid version id specified")]
pub struct InvalidVersionId;

impl FromStr for VersionSelector {
    type Err = InvalidVersionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidVersionId)?;
        let number = u128::from_be_bytes(bytes);
        Ok(Self::Id(VersionId { sequence: (number >> 64) as u64, random: number as u64 }))
    }
}

impl VersionSelector {
    /// Whether `version` is the one asked for.
    pub(crate) fn matches(self, version: &ObjectVersion) -> bool {
        match self {
            Self::Null => version.is_null,
            Self::Id(id) => !version.is_null && version.id == id,
        }
    }
}

/// A version's id as it is shown: `null`, or 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisplayVersion {
    /// Where the version stands among those of its key.
    pub id: VersionId,
    /// Shown as `null`.
    pub is_null: bool,
}

impl DisplayVersion {
    pub(crate) fn of(version: &ObjectVersion) -> Self {
        Self { id: version.id, is_null: version.is_null }
    }
}

impl fmt::Display for VersionSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Id(id) => DisplayVersion { id: *id, is_null: false }.fmt(f),
        }
    }
}

impl fmt::Display for DisplayVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null {
            return f.write_str("null");
        }
        write!(f, "{:016x}{:016x}", self.id.sequence, self.id.random)
    }
}

/// The id that a new version of a key gets: later than `previous`, and by the clock where that is
/// later still. Milliseconds are shifted so that 65,536 versions fit between two of them.
pub(crate) fn next_id(now_ms: i64, previous: Option<VersionId>, random: [u8; 8]) -> VersionId {
    let by_clock = now_ms.max(0).unsigned_abs() << 16;
    let after_previous = previous.map_or(0, |id| id.sequence.saturating_add(1));
    VersionId { sequence: by_clock.max(after_previous), random: u64::from_be_bytes(random) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_are_shown() {
        let id = VersionId { sequence: 0x0102_0304_0506_0708, random: 9 };
        let shown = DisplayVersion { id, is_null: false }.to_string();
        assert_eq!(shown, "01020304050607080000000000000009");
        assert_eq!(shown.parse(), Ok(VersionSelector::Id(id)));
        assert_eq!("null".parse(), Ok(VersionSelector::Null));
        assert_eq!("nonsense".parse::<VersionSelector>(), Err(InvalidVersionId));
    }

    #[test]
    fn a_new_id_is_later_than_the_last_even_when_the_clock_went_back() {
        let first = next_id(1_000, None, [0; 8]);
        let second = next_id(500, Some(first), [0; 8]);
        assert!(second.sequence > first.sequence);
    }
}
