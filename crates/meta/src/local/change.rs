//! A group on its way: decides the checks of its batches against what is committed and what the batches before
//! have left, and collects the rows that it writes. Neither visible nor durable until it is committed.

use tidelock_log::{GroupBuilder, Place, Record, record_bytes};

use super::index::Index;
use super::memtable::{Indexed, Memtable};
use super::row::{self, Row};
use crate::{Batch, Expect, Key, Outcome, Version, Write};

/// What a change has made of the store's counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) last_commit: u64,
    /// Bytes of the log that are current.
    pub(super) live_bytes: u64,
    /// Of the last group, in milliseconds since 1970.
    pub(super) time: u64,
}

/// The rows of a group.
pub(super) struct Change<'a> {
    index: &'a Index,
    counts: &'a mut Counts,
    rows: Memtable,
}

impl<'a> Change<'a> {
    /// A change of `index` that writes nothing yet.
    pub(super) fn new(index: &'a Index, counts: &'a mut Counts) -> Self {
        Self { index, counts, rows: Memtable::default() }
    }

    /// Decides the batches in order, each against what those before it have left, and applies the
    /// ones that hold, here and to `group`. The outcomes are true only once the group is durable.
    pub(super) fn decide(
        &mut self,
        batches: &[Batch],
        group: &mut GroupBuilder,
    ) -> Result<Vec<Outcome>, redb::Error> {
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            if let Some(first) = self.first_conflict(batch)? {
                outcomes.push(Outcome::Conflict { first });
                continue;
            }
            self.counts.last_commit += 1;
            self.write(batch, group)?;
            outcomes.push(Outcome::Committed(Version(self.counts.last_commit)));
        }
        Ok(outcomes)
    }

    /// Applies what the log has.
    pub(super) fn replay(&mut self, records: &[Record<'_>]) -> Result<(), redb::Error> {
        for record in records {
            match *record {
                Record::Put { key, version, value, place } => {
                    let key = Key::copy_from_slice(key);
                    self.put(key, Version(version), place, value)?;
                }
                Record::Delete { key, .. } => {
                    self.delete(&Key::copy_from_slice(key))?;
                }
            }
        }
        Ok(())
    }

    /// Copies those of `records` that are current to `group`, and says so here.
    pub(super) fn relocate(
        &mut self,
        records: &[Record<'_>],
        group: &mut GroupBuilder,
    ) -> Result<(), redb::Error> {
        for record in records {
            let Record::Put { key, version, value, place } = *record else { continue };
            if self.place_of(key)?.is_some_and(|(_, current)| current == place) {
                let place = group.put(key, version, value);
                self.put(Key::copy_from_slice(key), Version(version), place, value)?;
            }
        }
        Ok(())
    }

    /// The rows, to be made visible.
    pub(super) fn into_rows(self) -> Memtable {
        self.rows
    }

    fn first_conflict(&self, batch: &Batch) -> Result<Option<usize>, redb::Error> {
        for (index, (key, expect)) in batch.checks.iter().enumerate() {
            let found = self.place_of(key)?.map(|(version, _)| version);
            let holds = match expect {
                Expect::Absent => found.is_none(),
                Expect::At(version) => found == Some(*version),
            };
            if !holds {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn write(&mut self, batch: &Batch, group: &mut GroupBuilder) -> Result<(), redb::Error> {
        let version = Version(self.counts.last_commit);
        for write in &batch.writes {
            match write {
                Write::Put(key, value) => {
                    let place = group.put(key, version.0, value);
                    self.put(Key::clone(key), version, place, value)?;
                }
                // What is not there needs no record that it is gone.
                Write::Delete(key) => {
                    if self.delete(key)? {
                        group.delete(key, version.0);
                    }
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        key: Key,
        version: Version,
        place: Place,
        value: &[u8],
    ) -> Result<(), redb::Error> {
        let replaced = self.place_of(&key)?;
        let indexed = if replaced.is_some() { Indexed::Maybe } else { Indexed::No };
        let replaced = replaced.map_or(0, |(_, place)| record_len(&key, place));
        self.counts.live_bytes += record_len(&key, place);
        self.counts.live_bytes = self.counts.live_bytes.saturating_sub(replaced);
        self.rows.set(key, Some(row::encode(version, place, value)), indexed);
        Ok(())
    }

    /// Whether there was such a row.
    fn delete(&mut self, key: &Key) -> Result<bool, redb::Error> {
        let Some((_, removed)) = self.place_of(key)? else { return Ok(false) };
        self.counts.live_bytes = self.counts.live_bytes.saturating_sub(record_len(key, removed));
        self.rows.set(Key::clone(key), None, Indexed::Maybe);
        Ok(true)
    }

    /// The version of a row, and where the log has its value.
    fn place_of(&self, key: &[u8]) -> Result<Option<(Version, Place)>, redb::Error> {
        match self.rows.get(key) {
            Some(row) => row.as_ref().map(|stored| Row::place_of(stored)).transpose(),
            None => self.index.place_of(key),
        }
    }
}

fn record_len(key: &[u8], place: Place) -> u64 {
    record_bytes(key, place.len as usize) as u64
}
