//! Entries that wait in memory for the next flush. Bounded: what finds no room is counted, so that one
//! entry can tell. Knows nothing of how rows are sealed or committed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tidelock_meta::Key;
use tidelock_meta::record::audit_entry::{self, AuditEntry};

/// Entries that wait at most.
pub const AUDIT_BUFFER_ENTRIES_MAX: usize = 50_000;
/// Bytes of the entries that wait at most.
pub const AUDIT_BUFFER_BYTES_MAX: usize = 16 << 20;

/// Waiting entries, oldest first.
#[derive(Default)]
pub(super) struct Buffer(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    entries: VecDeque<(Key, Bytes)>,
    bytes: usize,
    dropped: u64,
}

/// Entries for one row.
pub(super) struct Row {
    /// Of the first entry.
    pub(super) key: Key,
    /// All entries.
    pub(super) plain: Vec<u8>,
    entries: Vec<(Key, Bytes)>,
}

/// Entries on their way into the log. They go back, over the limit if need be, unless they arrive: also
/// when whoever writes them is given up in the middle.
pub(super) struct Taken<'a> {
    buffer: &'a Buffer,
    rows: Vec<Row>,
}

impl Taken<'_> {
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// They are in the log.
    pub(super) fn are_written(mut self) {
        self.rows.clear();
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.buffer.put_back(std::mem::take(&mut self.rows));
    }
}

impl Buffer {
    /// Takes an entry, if there is room.
    pub(super) fn push(&self, entry: &AuditEntry<&str>) {
        let (key, bytes) = (audit_entry::key(entry), entry.encode());
        let mut waiting = self.waiting();
        let is_full = waiting.entries.len() >= AUDIT_BUFFER_ENTRIES_MAX
            || waiting.bytes + bytes.len() > AUDIT_BUFFER_BYTES_MAX;
        if is_full {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes += bytes.len();
        waiting.entries.push_back((key, bytes));
    }

    /// Takes an entry, room or no room: the one that tells of the others.
    pub(super) fn push_always(&self, entry: &AuditEntry<&str>) {
        let (key, bytes) = (audit_entry::key(entry), entry.encode());
        let mut waiting = self.waiting();
        waiting.bytes += bytes.len();
        waiting.entries.push_back((key, bytes));
    }

    /// How many entries found no room since this was asked last.
    pub(super) fn dropped(&self) -> u64 {
        std::mem::take(&mut self.waiting().dropped)
    }

    /// The oldest entries, as at most `rows` rows of about `row_bytes` each.
    pub(super) fn take(&self, rows: usize, row_bytes: usize) -> Taken<'_> {
        let mut waiting = self.waiting();
        let mut taken: Vec<Row> = Vec::new();
        while let Some((key, bytes)) = waiting.entries.pop_front() {
            let has_room = |row: &Row| row.plain.len() + bytes.len() <= row_bytes;
            if !taken.last().is_some_and(has_room) {
                if taken.len() == rows {
                    waiting.entries.push_front((key, bytes));
                    break;
                }
                taken.push(Row { key: key.clone(), plain: Vec::new(), entries: Vec::new() });
            }
            waiting.bytes -= bytes.len();
            if let Some(row) = taken.last_mut() {
                row.plain.extend_from_slice(&bytes);
                row.entries.push((key, bytes));
            }
        }
        drop(waiting);
        Taken { buffer: self, rows: taken }
    }

    fn put_back(&self, rows: Vec<Row>) {
        let mut waiting = self.waiting();
        for (key, bytes) in rows.into_iter().flat_map(|row| row.entries).rev() {
            waiting.bytes += bytes.len();
            waiting.entries.push_front((key, bytes));
        }
    }

    /// Each change is whole: a panic elsewhere leaves nothing half done.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8) -> AuditEntry<&'static str> {
        AuditEntry { time_ms: i64::from(number), id: [number; 16], ..AuditEntry::default() }
    }

    #[test]
    fn entries_come_out_in_order_and_can_be_put_back() {
        let buffer = Buffer::default();
        (0..5).for_each(|number| buffer.push(&entry(number)));
        let length = entry(0).encode().len();
        let taken = buffer.take(2, 2 * length);
        let keys = |rows: &[Row]| rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(taken.rows()), [audit_entry::key(&entry(0)), audit_entry::key(&entry(2))]);
        drop(taken);
        let taken = buffer.take(9, 9 * length);
        let plain = &taken.rows()[0].plain;
        let parts = audit_entry::split(plain).unwrap();
        let read: Vec<_> = parts.into_iter().map(|it| AuditEntry::decode(it).unwrap()).collect();
        assert_eq!(read, (0..5).map(entry).collect::<Vec<_>>());
        taken.are_written();
        assert!(buffer.take(9, length).rows().is_empty());
        assert_eq!(buffer.waiting().bytes, 0);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let buffer = Buffer::default();
        for _ in 0..AUDIT_BUFFER_ENTRIES_MAX + 3 {
            buffer.push(&entry(1));
        }
        assert_eq!(buffer.dropped(), 3);
        assert_eq!(buffer.dropped(), 0);
        buffer.push_always(&entry(2));
        assert_eq!(buffer.waiting().entries.len(), AUDIT_BUFFER_ENTRIES_MAX + 1);
    }
}
