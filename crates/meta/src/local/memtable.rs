//! Rows that are committed and not in the index yet: they are merged into it many at once. A row that is written
//! again before that, or removed, costs the index nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Key, KeyRange};

/// Rows that wait at most: bounds how long a merge keeps commits waiting, to some tens of milliseconds.
pub(super) const ROWS_MAX: usize = 4096;

/// Bytes of them at most, keys included.
const BYTES_MAX: usize = 8 << 20;

/// Any but zero.
const SHUFFLE_SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// A row as the index stores it, see [`super::row`]; none if it was removed.
pub(super) type Recent = Option<Bytes>;

/// The rows, by key.
#[derive(Default)]
pub(super) struct Memtable {
    rows: BTreeMap<Key, Recent>,
    bytes: usize,
}

impl Memtable {
    /// The row under `key`; none if it is as the index says.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Recent> {
        self.rows.get(key)
    }

    /// Sets a row, or says that it was removed.
    pub(super) fn set(&mut self, key: Key, row: Recent) {
        let bytes = |row: &Recent| row.as_ref().map_or(0, Bytes::len);
        self.bytes += key.len() + bytes(&row);
        let key_bytes = key.len();
        if let Some(replaced) = self.rows.insert(key, row) {
            self.bytes -= key_bytes + bytes(&replaced);
        }
    }

    /// Sets what `newer` has.
    pub(super) fn extend(&mut self, newer: Self) {
        for (key, row) in newer.rows {
            self.set(key, row);
        }
    }

    /// The rows of `range`, in the order of their keys.
    pub(super) fn range(&self, range: &KeyRange) -> impl Iterator<Item = (&Key, &Recent)> {
        self.rows.range::<[u8], _>(range.bounds())
    }

    /// All rows, shuffled, the same rows always alike. redb cuts a leaf that is full in two halves, and rows that
    /// come in the order of their keys leave every half as it is: shuffled ones fill them.
    pub(super) fn scattered(&self) -> Vec<(&Key, &Recent)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_scattered_and_always_alike() {
        let mut memtable = Memtable::default();
        for number in 0..100_u8 {
            memtable
                .set(Key::from(vec![number]), (number % 3 > 0).then(|| Bytes::from(vec![number])));
        }
        let scattered = memtable.scattered();
        assert_eq!(scattered, memtable.scattered());
        assert!(!scattered.is_sorted());
        let in_order: BTreeMap<_, _> = scattered.into_iter().collect();
        assert!(in_order.into_iter().eq(memtable.rows.iter()));
    }
}
