//! Rows that are committed and not in the index yet: they are merged into it many at once. A row that is written
//! again before that costs the index nothing, nor does one that is made and removed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use bytes::Bytes;

use crate::{Key, KeyRange};

/// Rows that wait before they are merged; half as many may come until that is done.
pub(super) const ROWS_MAX: usize = 16384;

/// Bytes of them, keys included, before they are merged.
const BYTES_MAX: usize = 8 << 20;

/// Any but zero.
const SHUFFLE_SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// A row as the index stores it, see [`super::row`]; none if it was removed.
pub(super) type Recent = Option<Bytes>;

/// The rows, by key.
#[derive(Default)]
pub(super) struct Memtable {
    rows: BTreeMap<Key, Waiting>,
    bytes: usize,
}

struct Waiting {
    row: Recent,
    /// Whether there is no row under this key below: nothing is left to be merged once it is removed.
    is_new: bool,
}

/// Whether there is a row under a key below this table: in the index, or among those that are being merged into it.
/// `No` is also where these say that the index's is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexed {
    No,
    Maybe,
}

impl Memtable {
    /// The row under `key`; none if it is as the index says.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Recent> {
        self.rows.get(key).map(|waiting| &waiting.row)
    }

    /// Sets a row, or says that it was removed. What is said of the index is of no account where a row waits
    /// under the key already: then it is known.
    pub(super) fn set(&mut self, key: Key, row: Recent, indexed: Indexed) {
        let (key_bytes, row_bytes) = (key.len(), bytes_of(&row));
        match self.rows.entry(key) {
            Entry::Vacant(place) => {
                self.bytes += key_bytes + row_bytes;
                place.insert(Waiting { row, is_new: indexed == Indexed::No });
            }
            Entry::Occupied(place) if row.is_none() && place.get().is_new => {
                self.bytes -= key_bytes + bytes_of(&place.remove().row);
            }
            Entry::Occupied(mut place) => {
                self.bytes += row_bytes;
                self.bytes -= bytes_of(&std::mem::replace(&mut place.get_mut().row, row));
            }
        }
    }

    /// Sets what `newer` has.
    pub(super) fn extend(&mut self, newer: Self) {
        for (key, Waiting { row, is_new }) in newer.rows {
            self.set(key, row, if is_new { Indexed::No } else { Indexed::Maybe });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows of `range`, in the order of their keys.
    pub(super) fn range(
        &self,
        range: &KeyRange,
    ) -> impl DoubleEndedIterator<Item = (&Key, &Recent)> {
        let rows = self.rows.range::<[u8], _>(range.bounds());
        rows.map(|(key, waiting)| (key, &waiting.row))
    }

    /// The first `limit` rows behind `after`, or from the first on. They come shuffled, the same rows always alike:
    /// redb cuts a leaf that is full in two halves, and rows that come in the order of their keys leave every half
    /// as it is; shuffled ones fill them.
    pub(super) fn scattered(&self, after: Option<&Key>, limit: usize) -> Vec<(&Key, &Recent)> {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(&after[..]));
        let rows = self.rows.range::<[u8], _>((start, Bound::Unbounded)).take(limit);
        let mut rows: Vec<_> = rows.map(|(key, waiting)| (key, &waiting.row)).collect();
        let mut random = SHUFFLE_SEED;
        for last in (1..rows.len()).rev() {
            // Xorshift of 64 bits, by Marsaglia.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            rows.swap(last, (random % (last as u64 + 1)) as usize);
        }
        rows
    }

    /// Whether the rows should be merged into the index, of which at most `rows_max` should wait.
    pub(super) fn is_full(&self, rows_max: usize) -> bool {
        self.rows.len() >= rows_max || self.bytes >= BYTES_MAX
    }
}

fn bytes_of(row: &Recent) -> usize {
    row.as_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What waits under the one key, after a row was set or removed several times.
    fn waiting(steps: &[(Option<&'static str>, Indexed)]) -> (Option<Recent>, usize) {
        let mut memtable = Memtable::default();
        for (row, indexed) in steps {
            let mut newer = Memtable::default();
            newer.set(Key::from("k"), row.map(Bytes::from), *indexed);
            memtable.extend(newer);
        }
        (memtable.get(b"k").cloned(), memtable.bytes)
    }

    #[test]
    fn only_what_the_index_may_have_is_to_be_removed_from_it() {
        use Indexed::{Maybe, No};
        let (row, removed, nothing) = (|it| Some(Some(Bytes::from(it))), Some(None), None);
        type Steps = &'static [(Option<&'static str>, Indexed)];
        let rows: [(Steps, Option<Recent>, usize); 8] = [
            (&[(Some("a"), No)], row("a"), 2),
            (&[(Some("a"), No), (None, Maybe)], nothing.clone(), 0),
            (&[(Some("a"), No), (Some("bc"), Maybe), (None, Maybe)], nothing.clone(), 0),
            (&[(Some("a"), No), (None, Maybe), (Some("b"), No), (None, Maybe)], nothing, 0),
            (&[(Some("a"), Maybe), (None, Maybe)], removed.clone(), 1),
            (&[(None, Maybe)], removed.clone(), 1),
            // The index has it until it is merged that it was removed.
            (&[(None, Maybe), (Some("a"), No)], row("a"), 2),
            (&[(None, Maybe), (Some("a"), No), (None, Maybe)], removed, 1),
        ];
        for (steps, expected, bytes) in rows {
            assert_eq!(waiting(steps), (expected, bytes), "{steps:?}");
        }
    }

    #[test]
    fn rows_are_scattered_slice_by_slice_and_always_alike() {
        let mut memtable = Memtable::default();
        for number in 0..100_u8 {
            memtable.set(
                Key::from(vec![number]),
                (number % 3 > 0).then(|| Bytes::from(vec![number])),
                Indexed::Maybe,
            );
        }
        for limit in [7, 50, 100, usize::MAX] {
            let (mut in_order, mut last) = (Vec::new(), None);
            loop {
                let mut slice = memtable.scattered(last.as_ref(), limit);
                assert_eq!(slice, memtable.scattered(last.as_ref(), limit));
                assert!(slice.len() < 7 || !slice.is_sorted());
                slice.sort_unstable();
                let Some((key, _)) = slice.last() else { break };
                last = Some(Key::clone(key));
                in_order.extend(slice);
            }
            assert!(in_order.into_iter().eq(memtable.range(&KeyRange::prefix(b""))), "{limit}");
        }
    }
}
