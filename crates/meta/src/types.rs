//! The words of the storage boundary: keys, versions, checks, batches and their outcomes.

use std::ops::Bound;

use bytes::Bytes;

/// A row's key: at most [`Limits::key_bytes_max`] bytes, ordered bytewise.
pub type Key = Bytes;

/// When a row was last written: the number of the commit that wrote it. A commit that begins after
/// another was acknowledged has a larger one; a row that is deleted and written again never gets an
/// old version back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A row's value and the version of its last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The commit that wrote this value.
    pub version: Version,
    /// The bytes as they were put.
    pub value: Bytes,
}

/// What a commit expects of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no row. Allowed only on a key that the same batch writes.
    Absent,
    /// The row was last written by this commit.
    At(Version),
}

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Puts a row, whether or not there was one.
    Put(Key, Bytes),
    /// Deletes a row, whether or not there is one.
    Delete(Key),
}

impl Write {
    /// The key this change is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }
}

/// Names one attempt to change the store; 16 random or time-ordered bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpId(pub [u8; 16]);

/// All that one commit checks and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Names this attempt; stored by the caller in what it writes, so that an unknown outcome can be
    /// resolved by reading.
    pub op_id: OpId,
    /// All must hold, or nothing is written. At most one check a key.
    pub checks: Vec<(Key, Expect)>,
    /// Applied together. At most one write a key.
    pub writes: Vec<Write>,
}

impl Batch {
    /// A batch without checks or writes.
    pub fn new(op_id: OpId) -> Self {
        Self { op_id, checks: Vec::new(), writes: Vec::new() }
    }

    /// Expects `key` to be as it was read: absent, or at the version that was seen.
    pub fn expect(&mut self, key: Key, seen: Option<&Versioned>) {
        let expect = seen.map_or(Expect::Absent, |row| Expect::At(row.version));
        self.checks.push((key, expect));
    }

    /// Puts a row.
    pub fn put(&mut self, key: Key, value: Bytes) {
        self.writes.push(Write::Put(key, value));
    }

    /// Deletes a row.
    pub fn delete(&mut self, key: Key) {
        self.writes.push(Write::Delete(key));
    }

    /// Bytes of all keys and values this batch carries.
    pub fn size_bytes(&self) -> usize {
        let checks: usize = self.checks.iter().map(|(key, _)| key.len()).sum();
        let writes: usize = self
            .writes
            .iter()
            .map(|write| match write {
                Write::Put(key, value) => key.len() + value.len(),
                Write::Delete(key) => key.len(),
            })
            .sum();
        checks + writes
    }
}

/// How a commit ended when its end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is written and durable, as this commit.
    Committed(Version),
    /// Nothing is written; the check with this index was the first that did not hold.
    Conflict {
        /// Index into [`Batch::checks`].
        first: usize,
    },
}

/// Why a read or a commit has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// The commit may or may not have happened: read before answering.
    #[error("the outcome of the commit is not known")]
    Unknown,
    /// The engine cannot serve now: it is full, closing, or poisoned by a failed sync. Nothing was written.
    #[error("the storage engine is not available: {0}")]
    Unavailable(String),
    /// The queue in front of the engine is full. Nothing was written; try again later.
    #[error("the storage engine's queue is full")]
    Overloaded,
    /// Another process took over. Nothing was written.
    #[error("another process has taken over this store")]
    Fenced,
    /// A key, value or batch is over the engine's limits, or the batch breaks the contract. Nothing was written.
    #[error("the batch is not acceptable: {0}")]
    TooLarge(String),
    /// Stored bytes are not what they must be.
    #[error("stored data is corrupt: {0}")]
    Corrupt(String),
}

/// What an engine takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest key.
    pub key_bytes_max: usize,
    /// Largest value.
    pub value_bytes_max: usize,
    /// Largest sum of a batch's keys and values.
    pub batch_bytes_max: usize,
    /// Most checks and writes of a batch, together.
    pub batch_operations_max: usize,
}

impl Limits {
    /// What every engine can meet: keys of 2.5 KiB (an entry of a PostgreSQL B-tree has at most 2,704
    /// bytes), values of 64 KiB, batches of 512 KiB and 100 operations.
    pub const COMMON: Self = Self {
        key_bytes_max: 2560,
        value_bytes_max: 64 << 10,
        batch_bytes_max: 512 << 10,
        batch_operations_max: 100,
    };
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLevel {
    /// Linearizable: sees every commit acknowledged before the read began.
    Latest,
    /// As [`ReadLevel::Latest`], unless the engine was replaced by another and has not noticed: for
    /// reads that are confirmed before anybody is answered, by the checks of a commit or by
    /// [`MetaStore::confirm`](crate::MetaStore::confirm).
    Unconfirmed,
    /// May miss the last moments; for background work that looks again later.
    Recent,
}

/// Which incarnation of an engine answers, numbered by this process: it grows when the engine begins to
/// read from another server than before. Never stored, and never compared with one of another engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What an engine can do at this moment, as far as it knows without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Reads and commits.
    Serving,
    /// Reads only; says why.
    ReadOnly(String),
    /// Nothing; says why.
    Unavailable(String),
}

/// Which end of a range a scan starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// Keys from `start` (inclusive) to `end` (exclusive; none: to the end of all keys).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// First key that belongs.
    pub start: Key,
    /// First key that no longer belongs.
    pub end: Option<Key>,
}

impl KeyRange {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { start: Bytes::copy_from_slice(prefix), end: successor_of_prefix(prefix) }
    }

    /// The same range from `start` on, if that is later than its own start.
    #[must_use]
    pub fn starting_at(mut self, start: Key) -> Self {
        if start > self.start {
            self.start = start;
        }
        self
    }

    /// The same, as maps want it.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let end = self.end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        (Bound::Included(&self.start[..]), end)
    }

    /// Whether no key can belong.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The first key after all that begin with `prefix`; none if there is no such key.
pub fn successor_of_prefix(prefix: &[u8]) -> Option<Key> {
    let kept = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(Bytes::from(end))
}

/// The first key after `key`.
pub fn successor_of_key(key: &[u8]) -> Key {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    Bytes::from(next)
}

/// Rows that share the part of their key up to a delimiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The shared part with its delimiter, or the whole key of a row without one.
    pub prefix: Key,
    /// Whether `prefix` ends in the delimiter (and may stand for many rows).
    pub is_common_prefix: bool,
    /// The first row of the group.
    pub first: (Key, Versioned),
}
