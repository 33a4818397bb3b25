//! Values that were read lately, so that one that is asked for again costs no system call. Bounded by their bytes;
//! knows no disk.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::Place;

/// Bytes of values that are kept, more or less.
const CACHE_BYTES_MAX: usize = 8 << 20;

/// Longer values are not kept: reading one costs more than asking for it.
const VALUE_BYTES_MAX: usize = 16 << 10;

/// What a value takes besides its bytes.
const ENTRY_BYTES: usize = 96;

/// Values by their place, which no other value ever has: nothing is ever outdated.
#[derive(Default)]
pub(crate) struct ValueCache(Mutex<Generations>);

/// What was asked for since the last change of generations, and before. A value of the older one that is asked for
/// moves to the younger.
#[derive(Default)]
struct Generations {
    young: HashMap<Place, Bytes>,
    old: HashMap<Place, Bytes>,
    young_bytes: usize,
}

impl ValueCache {
    /// The value at `place`, if it is known.
    pub(crate) fn get(&self, place: &Place) -> Option<Bytes> {
        let mut generations = self.generations();
        if let Some(value) = generations.young.get(place) {
            return Some(value.clone());
        }
        let value = generations.old.remove(place)?;
        generations.keep(*place, value.clone());
        Some(value)
    }

    /// Keeps the value that was read at `place`.
    pub(crate) fn keep(&self, place: &Place, value: &Bytes) {
        if value.len() <= VALUE_BYTES_MAX {
            self.generations().keep(*place, value.clone());
        }
    }

    /// Each change is whole, or forgets a value: a panic elsewhere leaves nothing wrong.
    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn keep(&mut self, place: Place, value: Bytes) {
        let bytes = ENTRY_BYTES + value.len();
        if self.young_bytes + bytes > CACHE_BYTES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(place, value).is_none() {
            self.young_bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u32, value: &Bytes) -> Place {
        Place { segment: 1, offset, len: value.len() as u32, crc: 0 }
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let cache = ValueCache::default();
        let value = Bytes::from(vec![7; VALUE_BYTES_MAX]);
        cache.keep(&place(0, &value), &value);
        for offset in 1..2000 {
            assert_eq!(cache.get(&place(offset, &value)), None);
            cache.keep(&place(offset, &value), &value);
            assert_eq!(cache.get(&place(0, &value)), Some(value.clone()), "{offset}");
        }
        let generations = cache.generations();
        let kept = generations.young.len() + generations.old.len();
        assert!(kept * value.len() <= CACHE_BYTES_MAX, "{kept}");
        assert!(generations.young.len() < 2000 && !generations.old.is_empty());
    }

    #[test]
    fn another_value_and_a_long_one_are_not_found() {
        let cache = ValueCache::default();
        let value = Bytes::from_static(b"value");
        cache.keep(&place(0, &value), &value);
        assert_eq!(cache.get(&Place { crc: 1, ..place(0, &value) }), None);
        let long = Bytes::from(vec![7; VALUE_BYTES_MAX + 1]);
        cache.keep(&place(9, &long), &long);
        assert_eq!(cache.get(&place(9, &long)), None);
    }
}
