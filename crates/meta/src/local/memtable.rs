//! Rows that are committed and not in the index yet: they are merged into it in the order of their keys, many
//! at once. A row that is written again before that, or removed, costs the index nothing.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Key, KeyRange};

/// Rows that wait at most: bounds how long a merge keeps commits waiting, to some 20 ms.
pub(super) const ROWS_MAX: usize = 4096;

/// Bytes of them at most, keys included.
const BYTES_MAX: usize = 8 << 20;

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

    /// All rows, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Recent)> {
        self.rows.iter()
    }

    /// Whether the rows should be merged into the index, of which at most `rows_max` should wait.
    pub(super) fn is_full(&self, rows_max: usize) -> bool {
        self.rows.len() >= rows_max || self.bytes >= BYTES_MAX
    }
}
