//! The engine without threads: decides groups, writes them to the log, applies them to the index,
//! makes checkpoints and cleans the log. The writer thread drives it, and the simulation.
//!
//! A group is first in the log, durably, and then in the index, visibly; the index itself becomes durable
//! by a checkpoint, and is read again from the log behind the last one. So the index may be
//! lost, the log may not.

use std::io;
use std::sync::Arc;

use tidelock_log::disk::Disk;
use tidelock_log::{
    Fence, Group, GroupBuilder, Log, LogError, LogOptions, LogReader, Position, Record, Stamp,
    record_bytes,
};

use super::backend::{FlushError, IndexFile};
use super::change::{Change, Counts};
use super::index::{Checkpoint, FORMAT, Held, Index, IndexOptions, stored_error};
use super::syncs::SyncMeter;
use super::{LogSpace, OpenError};
use crate::{Batch, Clock, Outcome, Write};

/// Name of the index inside the store's directory.
pub(super) const INDEX_NAME: &str = "meta.redb";

/// Name of an index that is being made: the index gets its own name only when it is whole.
pub(super) const UNFINISHED_NAME: &str = "meta.redb.new";

/// Where an index that could not be opened is put, for those who want to know why.
const DAMAGED_NAME: &str = "meta.redb.damaged";

/// Stands in a directory whose log is not whole yet: of a store that is taken over, or saved.
pub(super) const MARK_NAME: &str = "unfinished";

const NOT_WHOLE: &str = "the log in this directory was never finished";

/// Most bytes of the log that are read again when the store is opened after a crash.
const REPLAY_BYTES_MAX: u64 = 128 << 20;

/// Most bytes of the index that wait in memory for a checkpoint.
const UNSYNCED_INDEX_BYTES_MAX: usize = 64 << 20;

/// Above this, commits are refused: checkpoints have found no room for long.
const UNSYNCED_INDEX_BYTES_LIMIT: usize = 8 * UNSYNCED_INDEX_BYTES_MAX;

/// The log is cleaned when it has more bytes than this that nothing needs, and more than it has of others. What is
/// cleaned and waits to be let go does not count.
const GARBAGE_BYTES_MIN: u64 = 16 << 20;

/// Segments that are cleaned wait for a checkpoint until they have so many bytes, which three of them have; then one
/// is made for them.
const CLEANED_BYTES_MAX: u64 = 40 << 20;

/// They do not wait on a disk that has no more room than this.
const WAITING_FREE_BYTES_MIN: u64 = 256 << 20;

/// Syncs of a checkpoint that does nothing besides.
const CHECKPOINT_SYNCS: u64 = 2;

/// How much of a segment a step of cleaning goes through, at least.
const CLEAN_STEP_BYTES: usize = 256 << 10;

/// How much more than that it goes through, in bytes for a byte of the group it travels with: so cleaning
/// keeps up with writing.
const CLEAN_PER_BYTE: usize = 4;

/// How much a step goes through at most.
const CLEAN_STEP_BYTES_MAX: usize = 8 << 20;

/// The longest record: the cleaning does not cut one.
const RECORD_BYTES_MAX: usize = 72 << 10;

/// How an engine is opened.
#[derive(Clone)]
pub(super) struct EngineOptions {
    pub(super) log: LogOptions,
    pub(super) index: IndexOptions,
    pub(super) garbage_bytes_min: u64,
    pub(super) cleaned_bytes_max: u64,
    /// Tells when a group is written.
    pub(super) clock: Arc<dyn Clock>,
}

impl EngineOptions {
    pub(super) fn new(tag: u64, cache_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        let log = LogOptions::new(tag);
        let index = IndexOptions::new(cache_bytes);
        Self {
            log,
            index,
            garbage_bytes_min: GARBAGE_BYTES_MIN,
            cleaned_bytes_max: CLEANED_BYTES_MAX,
            clock,
        }
    }
}

/// Why a group was not committed.
#[derive(Debug)]
pub(super) enum GroupError {
    /// Nothing of it is written, and the engine goes on.
    Refused(LogError),
    /// Whether it is durable is not known, and the engine must not be used for writing again.
    Failed(String),
}

/// Decides and writes groups.
pub(super) struct Engine {
    disk: Arc<dyn Disk>,
    /// Name of the index's file.
    name: &'static str,
    index: Arc<Index>,
    file: Arc<IndexFile>,
    log: Log,
    syncs: Arc<SyncMeter>,
    counts: Counts,
    /// Bytes of the log behind the last checkpoint.
    uncovered_bytes: u64,
    /// Rows were merged so that the next checkpoint finds few.
    has_approached: bool,
    cleaning: Option<Cleaning>,
    /// Why the log is not cleaned any more.
    cleaning_failure: Option<LogError>,
    garbage_bytes_min: u64,
    cleaned_bytes_max: u64,
    /// The last group found no room, or the copies that were to come with it.
    lacks_room: bool,
    clock: Arc<dyn Clock>,
}

/// How far the log is cleaned.
struct Cleaning {
    at: Position,
    /// The group there, and how many of its records are done.
    group: Option<(Group, usize)>,
}

impl Engine {
    /// Opens the store on `disk`: the index as the last checkpoint left it, and the log behind that. What
    /// an interrupted start has left is begun again, and a missing index is made from the log.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        options: &EngineOptions,
        syncs: &Arc<SyncMeter>,
        held: &Held,
    ) -> Result<Self, OpenError> {
        // The right to write before anything is read or written.
        let fence = Arc::new(Fence::take(&**disk, &options.log)?);
        let names = disk.list()?;
        let is_whole = !names.iter().any(|name| name == MARK_NAME);
        if names.iter().any(|name| name == UNFINISHED_NAME) {
            disk.remove(UNFINISHED_NAME)?;
        }
        let has_log = names.iter().any(|name| tidelock_log::is_file_of_log(name));
        let opened = match names.iter().any(|name| name == INDEX_NAME) {
            true => open_formatted(disk, options, &fence, syncs, held).map(Some),
            false => Ok(None),
        };
        let (index, file, format) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) if is_whole => return Self::make(disk, options, fence, syncs, held),
            Ok(None) => return Err(OpenError::Corrupt(NOT_WHOLE.into())),
            Err(OpenError::Corrupt(reason)) if is_whole && has_log => {
                tracing::warn!(reason, "meta.index_is_made_again");
                disk.rename(INDEX_NAME, DAMAGED_NAME)?;
                return Self::make(disk, options, fence, syncs, held);
            }
            Err(error) => return Err(error),
        };
        match format {
            found if found > FORMAT => Err(OpenError::FormatTooNew { found, known: FORMAT }),
            FORMAT => {
                unmark(&**disk)?;
                Self::replay(disk, options, fence, syncs, (index, file), INDEX_NAME)
            }
            1 => {
                mark(&**disk)?;
                super::convert::to_log(disk, options, &index)?;
                drop(index);
                let fence = Arc::new(Fence::take(&**disk, &options.log)?);
                let engine = Self::make(disk, options, fence, syncs, held)?;
                unmark(&**disk)?;
                Ok(engine)
            }
            _ => Err(OpenError::Corrupt("the index has no known format".into())),
        }
    }

    /// Makes the index from all that the log has, which is nothing at the first start.
    fn make(
        disk: &Arc<dyn Disk>,
        options: &EngineOptions,
        fence: Arc<Fence>,
        syncs: &Arc<SyncMeter>,
        held: &Held,
    ) -> Result<Self, OpenError> {
        disk.create(UNFINISHED_NAME)?;
        let (index, file) = open_index(disk, UNFINISHED_NAME, options, &fence, syncs, held)?;
        let nothing = Checkpoint { last_commit: 0, live_bytes: 0, time: 0, position: None };
        index.checkpoint(&nothing).map_err(stored_error)?;
        let index = (index, file);
        let mut engine = Self::replay(disk, options, fence, syncs, index, UNFINISHED_NAME)?;
        engine.name = INDEX_NAME;
        disk.rename(UNFINISHED_NAME, INDEX_NAME)?;
        disk.sync()?;
        Ok(engine)
    }

    fn replay(
        disk: &Arc<dyn Disk>,
        options: &EngineOptions,
        fence: Arc<Fence>,
        syncs: &Arc<SyncMeter>,
        (index, file): (Index, Arc<IndexFile>),
        name: &'static str,
    ) -> Result<Self, OpenError> {
        let Checkpoint { last_commit, live_bytes, time, position } =
            index.last_checkpoint().map_err(stored_error)?;
        let mut replayer = Replayer {
            index: &index,
            file: &file,
            is_new: position.is_none(),
            counts: Counts { last_commit, live_bytes, time },
            segment: 0,
        };
        let opened = Log::open(Arc::clone(disk), options.log, fence, position, &mut |group| {
            replayer.apply(group)
        });
        let log = match opened {
            Ok(log) => log,
            Err(error) => {
                // Rows without the place up to which the log was read must not become durable.
                file.stop("the log was not read to its end");
                return Err(error);
            }
        };
        let counts = replayer.counts;
        let mut engine = Self {
            disk: Arc::clone(disk),
            name,
            index: Arc::new(index),
            file,
            log,
            syncs: Arc::clone(syncs),
            counts,
            uncovered_bytes: 0,
            has_approached: false,
            cleaning: None,
            cleaning_failure: None,
            garbage_bytes_min: options.garbage_bytes_min,
            cleaned_bytes_max: options.cleaned_bytes_max,
            lacks_room: false,
            clock: Arc::clone(&options.clock),
        };
        engine.make_checkpoint().map_err(|error| OpenError::Io(io::Error::other(error)))?;
        Ok(engine)
    }

    /// The file of the index, for who sees the engine fail.
    pub(super) fn file(&self) -> Arc<IndexFile> {
        Arc::clone(&self.file)
    }

    /// The rows, for readers.
    pub(super) fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }

    /// Values that are in the log alone, for readers.
    pub(super) fn reader(&self) -> LogReader {
        self.log.reader()
    }

    /// Decides `batches` in order and makes those that hold durable and visible, together with a step of
    /// cleaning if there is a need for it.
    pub(super) fn commit(&mut self, batches: &[Batch]) -> Result<Vec<Outcome>, GroupError> {
        let bytes: usize = batches.iter().map(payload_bytes).sum();
        if self.file.unsynced_bytes() > UNSYNCED_INDEX_BYTES_LIMIT {
            return Err(GroupError::Refused(LogError::Full));
        }
        let step = self.clean_step_bytes(bytes);
        let cleaning_from = self.cleaning.as_ref().map(|cleaning| cleaning.at);
        let mut result = self.commit_with(batches, bytes + step + RECORD_BYTES_MAX, step);
        self.lacks_room = matches!(result, Err(GroupError::Refused(_)));
        if step > 0 && self.lacks_room {
            // There may be room for what has to be written, though not for copies as well.
            self.clean_from(cleaning_from);
            result = self.commit_with(batches, bytes, 0);
        }
        if let Err(error) = &result {
            self.clean_from(cleaning_from);
            if let GroupError::Failed(reason) = error {
                self.file.stop(reason);
            }
        }
        result
    }

    /// Merges some of the rows that wait for it into the index, if there are many: called after every commit, it
    /// bounds them.
    pub(super) fn merge_some(&mut self) -> Result<(), String> {
        let merged = self.index.merge_some();
        self.stop_if_failed(merged)
    }

    /// Merges some of the rows that a checkpoint would: so that it does not keep commits waiting for all of them.
    /// True when it may come: few wait, or it is to make room.
    pub(super) fn approach_checkpoint(&mut self) -> Result<bool, String> {
        let is_merging = self.index.is_merging();
        let has_few = !is_merging && (self.has_approached || !self.index.has_many());
        if has_few || self.lacks_room {
            return Ok(true);
        }
        // What comes while these are merged is left to the checkpoint.
        self.has_approached |= !is_merging;
        let merged = self.index.merge_slice();
        self.stop_if_failed(merged).map(|()| false)
    }

    fn stop_if_failed(&self, done: Result<(), redb::Error>) -> Result<(), String> {
        done.map_err(|error| {
            self.file.stop(&error.to_string());
            error.to_string()
        })
    }

    /// Goes on with the cleaning from here, since what was copied is not in the log.
    fn clean_from(&mut self, at: Option<Position>) {
        self.cleaning = at.map(|at| Cleaning { at, group: None });
    }

    /// How much of the log is cleaned with a group of `bytes`.
    fn clean_step_bytes(&self, bytes: usize) -> usize {
        if !self.must_clean() {
            return 0;
        }
        // Not more than fits behind the group: cleaning does not end a segment, as long as it goes on at all.
        let most = match self.log.room_bytes().saturating_sub(bytes) {
            room if room > 2 * RECORD_BYTES_MAX => room,
            _ => self.log.payload_bytes_max().saturating_sub(bytes),
        };
        let step = (CLEAN_STEP_BYTES + CLEAN_PER_BYTE * bytes).min(CLEAN_STEP_BYTES_MAX);
        step.min(most.saturating_sub(RECORD_BYTES_MAX))
    }

    fn commit_with(
        &mut self,
        batches: &[Batch],
        room: usize,
        step: usize,
    ) -> Result<Vec<Outcome>, GroupError> {
        let room = room.min(self.log.payload_bytes_max());
        let mut group = self.log.begin_group(room).map_err(group_error)?;
        let mut counts = self.counts;
        let index = Arc::clone(&self.index);
        let mut change = Change::new(&index, &mut counts);
        let outcomes = change.decide(batches, &mut group).map_err(index_failed)?;
        if step > 0 {
            self.clean(step, &mut change, &mut group).map_err(index_failed)?;
        }
        let rows = change.into_rows();
        let survives = |outcome: &Outcome| matches!(outcome, Outcome::Committed(_));
        if group.is_empty() && !outcomes.iter().any(survives) {
            // All lost against what was durable before.
            self.log.discard(group);
            self.log.sync().map_err(failed)?;
            return Ok(outcomes);
        }
        let began = self.log.position();
        // A clock that is set back must not put a later group before an earlier one.
        counts.time = counts.time.max(now(&*self.clock));
        let stamp = Stamp { version: counts.last_commit, time: counts.time };
        self.log.append(group, stamp).map_err(group_error)?;
        let Self { syncs, log, .. } = self;
        syncs.measure_group(|| log.sync()).map_err(failed)?;
        index.apply(rows);
        self.counts = counts;
        let ended = self.log.position();
        self.uncovered_bytes += u64::from(ended.offset - began.offset);
        Ok(outcomes)
    }

    /// Whether there is something for a checkpoint: what no other covers, or a segment to be let go.
    pub(super) fn awaits_checkpoint(&self) -> bool {
        self.uncovered_bytes > 0 || self.is_behind() || self.cleaned_bytes() > 0
    }

    /// Whether the last checkpoint has found no room.
    pub(super) fn is_behind(&self) -> bool {
        self.file.is_behind()
    }

    /// Whether a checkpoint must not wait.
    pub(super) fn needs_checkpoint(&self) -> bool {
        self.uncovered_bytes >= REPLAY_BYTES_MAX
            || self.file.unsynced_bytes() >= UNSYNCED_INDEX_BYTES_MAX
            || self.must_let_go()
    }

    /// Whether segments that are cleaned must not wait any more.
    fn must_let_go(&self) -> bool {
        let cleaned = self.cleaned_bytes();
        cleaned > 0
            && (cleaned >= self.cleaned_bytes_max || self.lacks_room || self.is_disk_small())
    }

    fn is_disk_small(&self) -> bool {
        self.disk.free_bytes().is_ok_and(|free| free < WAITING_FREE_BYTES_MIN)
    }

    /// Makes the index durable as it is. On a full disk it is left to the next checkpoint: what the last one does
    /// not cover is still in the log.
    pub(super) fn make_checkpoint(&mut self) -> Result<(), String> {
        let checkpoint = Checkpoint {
            last_commit: self.counts.last_commit,
            live_bytes: self.counts.live_bytes,
            time: self.counts.time,
            position: Some(self.log.position()),
        };
        self.has_approached = false;
        let syncs = self.syncs.syncs();
        let made = self.index.checkpoint(&checkpoint);
        self.stop_if_failed(made)?;
        if let Some(failure) = self.file.failure() {
            return Err(failure);
        }
        if self.file.is_behind() {
            if self.name != INDEX_NAME {
                return Err("the disk is full".to_owned());
            }
            match self.file.write_anew(&*self.disk, UNFINISHED_NAME, self.name) {
                Ok(()) => {}
                Err(FlushError::Full) => {
                    tracing::warn!("meta.checkpoint_postponed: the disk is full");
                    return Ok(());
                }
                Err(FlushError::Failed(reason)) => {
                    self.file.stop(&reason);
                    return Err(reason);
                }
            }
        }
        self.uncovered_bytes = 0;
        if self.syncs.syncs().since(syncs).count > CHECKPOINT_SYNCS {
            // The index has grown: commits have waited for it, the segments can wait for the next checkpoint.
            return Ok(());
        }
        self.drop_cleaned()
    }

    /// Whether the log has more than it should of what nothing needs, and there is a place to clean.
    pub(super) fn must_clean(&self) -> bool {
        let garbage = self.garbage_bytes().saturating_sub(self.cleaned_bytes());
        self.cleaning_failure.is_none()
            && garbage > self.garbage_bytes_min
            && garbage > self.counts.live_bytes
            && self.next_place_to_clean().is_some()
    }

    /// What the log takes on the disk.
    pub(super) fn space(&self) -> LogSpace {
        LogSpace {
            segments: self.log.segments(),
            live_bytes: self.counts.live_bytes,
            garbage_bytes: self.garbage_bytes(),
            uncovered_bytes: self.uncovered_bytes,
            is_cleaning: self.must_clean() || self.cleaned_bytes() > 0,
        }
    }

    /// Bytes of the log that nothing needs.
    fn garbage_bytes(&self) -> u64 {
        self.log.used_bytes().saturating_sub(self.counts.live_bytes)
    }

    /// The first segment that is not cleaned to its end.
    fn cleaned_until(&self) -> u64 {
        let Some(Cleaning { at, group }) = &self.cleaning else { return 0 };
        at.segment + u64::from(group.is_none() && self.log.is_end(*at))
    }

    /// Bytes of the segments before that.
    fn cleaned_bytes(&self) -> u64 {
        self.log.used_bytes_before(self.cleaned_until())
    }

    /// Where the cleaning goes on; none where it has to wait: for the segment that is written to end, or for a
    /// checkpoint.
    fn next_place_to_clean(&self) -> Option<Position> {
        let Some(Cleaning { at, .. }) = self.cleaning else { return self.log.oldest() };
        if self.cleaned_until() == at.segment {
            return Some(at);
        }
        let next = self.log.next_after(at.segment);
        next.filter(|_| self.cleaned_bytes() < self.cleaned_bytes_max)
    }

    /// Copies what is current in the next `step` bytes that are not cleaned to `group`.
    ///
    /// A segment that cannot be read is kept as it is, for those who repair it: writing goes on.
    fn clean(
        &mut self,
        step: usize,
        change: &mut Change<'_>,
        group: &mut GroupBuilder,
    ) -> Result<(), redb::Error> {
        let mut left = step;
        while left > 0 {
            let cleaning = match self.next_to_clean() {
                Ok(Some(cleaning)) => cleaning,
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::error!(%error, "meta.cleaning_failed");
                    // What the disk does not read now, it may read later.
                    self.cleaning_failure = Some(error).filter(|it| !matches!(it, LogError::Io(_)));
                    return Ok(());
                }
            };
            left = left.saturating_sub(cleaning.relocate(left, change, group)?);
        }
        Ok(())
    }

    /// The cleaning, in the group that is next; none where it has to wait.
    fn next_to_clean(&mut self) -> Result<Option<&mut Cleaning>, LogError> {
        let Some(at) = self.next_place_to_clean() else { return Ok(None) };
        let cleaning = self.cleaning.get_or_insert(Cleaning { at, group: None });
        cleaning.at = at;
        if cleaning.group.is_none() {
            let next = self.log.group(at)?;
            if next.as_ref().is_some_and(|group| group.records().is_none()) {
                let what = "a group of the log has other records than it says";
                return Err(LogError::Io(io::Error::new(io::ErrorKind::InvalidData, what)));
            }
            cleaning.group = next.map(|group| (group, 0));
        }
        Ok(Some(cleaning))
    }

    /// Lets the segments go that are cleaned: the last checkpoint has just seen where their rows are now.
    fn drop_cleaned(&mut self) -> Result<(), String> {
        let until = self.cleaned_until();
        self.log.drop_before(until).map_err(|error| error.to_string())?;
        self.cleaning.take_if(|cleaning| cleaning.at.segment < until);
        Ok(())
    }

    /// The number of the last commit.
    #[cfg(test)]
    pub(super) fn last_commit(&self) -> u64 {
        self.counts.last_commit
    }

    /// The time of the last group, in milliseconds since 1970.
    #[cfg(test)]
    pub(super) fn time(&self) -> u64 {
        self.counts.time
    }

    /// Bytes of the log that are current.
    #[cfg(test)]
    pub(super) fn live_bytes(&self) -> u64 {
        self.counts.live_bytes
    }

    /// How many segments the log has.
    #[cfg(test)]
    pub(super) fn segments(&self) -> u64 {
        self.log.segments()
    }
}

impl Cleaning {
    /// Copies what is current among the records within the next `bytes`, and says how many bytes of the
    /// segment that were, which is at least 1.
    fn relocate(
        &mut self,
        bytes: usize,
        change: &mut Change<'_>,
        group: &mut GroupBuilder,
    ) -> Result<usize, redb::Error> {
        let Some((source, done)) = &mut self.group else { return Ok(1) };
        let records = source.records().unwrap_or_default();
        let next = within(records.get(*done..).unwrap_or_default(), bytes);
        change.relocate(next, group)?;
        let passed: usize = next.iter().map(bytes_of).sum();
        *done += next.len();
        if *done >= records.len() {
            self.at = source.end();
            self.group = None;
        }
        Ok(passed.max(1))
    }
}

/// Applies groups of the log to the index, several at a time.
struct Replayer<'a> {
    index: &'a Index,
    file: &'a IndexFile,
    /// The index is being made: it may be written before it is whole.
    is_new: bool,
    counts: Counts,
    /// The last one that was read.
    segment: u64,
}

impl Replayer<'_> {
    fn apply(&mut self, group: &Group) -> Result<(), OpenError> {
        let records = group.records().ok_or_else(|| {
            OpenError::Corrupt(format!("a group of the log has other records at {:?}", group.at()))
        })?;
        self.make_room_before(group)?;
        let mut change = Change::new(self.index, &mut self.counts);
        change.replay(&records).map_err(stored_error)?;
        self.index.apply(change.into_rows());
        self.counts.last_commit = group.version();
        self.counts.time = self.counts.time.max(group.time());
        self.index.merge_some().map_err(stored_error)
    }

    /// Makes the index durable as it is when too much of it waits in memory, where a segment begins: all
    /// before that is durable in the log.
    fn make_room_before(&mut self, group: &Group) -> Result<(), OpenError> {
        let begins = std::mem::replace(&mut self.segment, group.at().segment) != self.segment;
        if !begins || self.file.unsynced_bytes() < UNSYNCED_INDEX_BYTES_MAX {
            return Ok(());
        }
        let Counts { last_commit, live_bytes, time } = self.counts;
        let position = (!self.is_new).then_some(group.at());
        let so_far = Checkpoint { last_commit, live_bytes, time, position };
        self.index.checkpoint(&so_far).map_err(stored_error)
    }
}

/// Says that the log is not whole.
pub(super) fn mark(disk: &dyn Disk) -> Result<(), OpenError> {
    if let Err(error) = disk.create(MARK_NAME)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error.into());
    }
    Ok(disk.sync()?)
}

/// Says that it is.
pub(super) fn unmark(disk: &dyn Disk) -> Result<(), OpenError> {
    match disk.remove(MARK_NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed.and_then(|()| disk.sync())?),
    }
}

fn open_index(
    disk: &Arc<dyn Disk>,
    name: &str,
    options: &EngineOptions,
    fence: &Arc<Fence>,
    syncs: &Arc<SyncMeter>,
    held: &Held,
) -> Result<(Index, Arc<IndexFile>), OpenError> {
    let (fence, syncs) = (Arc::clone(fence), Arc::clone(syncs));
    let file = Arc::new(IndexFile::new(disk.open(name)?, fence, syncs)?);
    let index = Index::open(Arc::clone(&file), options.index, held.clone())?;
    if let Some(failure) = file.failure() {
        return Err(OpenError::Io(io::Error::other(failure)));
    }
    Ok((index, file))
}

/// The index of a store that was there before, and its format.
fn open_formatted(
    disk: &Arc<dyn Disk>,
    options: &EngineOptions,
    fence: &Arc<Fence>,
    syncs: &Arc<SyncMeter>,
    held: &Held,
) -> Result<(Index, Arc<IndexFile>, u64), OpenError> {
    let (index, file) = open_index(disk, INDEX_NAME, options, fence, syncs, held)?;
    let format = index.format().map_err(stored_error)?;
    // As of a file that was cut to nothing, which is one that was just made.
    let format = format.ok_or_else(|| OpenError::Corrupt("the index has no table".into()))?;
    Ok((index, file, format))
}

/// The time that groups carry, in milliseconds since 1970.
pub(super) fn now(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now()).unwrap_or(0)
}

/// The records that begin within the next `bytes`; at least one if there is one.
fn within<'a, 'b>(records: &'b [Record<'a>], bytes: usize) -> &'b [Record<'a>] {
    let mut taken = 0;
    let mut sum = 0;
    while taken < records.len() && sum < bytes {
        sum += bytes_of(&records[taken]);
        taken += 1;
    }
    &records[..taken]
}

fn bytes_of(record: &Record<'_>) -> usize {
    match record {
        Record::Put { key, value, .. } => record_bytes(key, value.len()),
        Record::Delete { key, .. } => record_bytes(key, 0),
    }
}

/// Most bytes that the records of a batch take.
fn payload_bytes(batch: &Batch) -> usize {
    let bytes = |write: &Write| match write {
        Write::Put(key, value) => record_bytes(key, value.len()),
        Write::Delete(key) => record_bytes(key, 0),
    };
    batch.writes.iter().map(bytes).sum()
}

fn group_error(error: LogError) -> GroupError {
    match error {
        LogError::Full | LogError::TooManyFiles => GroupError::Refused(error),
        other => failed(other),
    }
}

fn failed(error: LogError) -> GroupError {
    GroupError::Failed(error.to_string())
}

fn index_failed(error: redb::Error) -> GroupError {
    GroupError::Failed(error.to_string())
}

impl From<LogError> for OpenError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Io(error) => Self::Io(error),
            LogError::Full => Self::Io(io::ErrorKind::StorageFull.into()),
            LogError::FormatTooNew { found, known } => {
                Self::FormatTooNew { found: found.into(), known: known.into() }
            }
            LogError::TooManyFiles => Self::Io(io::Error::other(error.to_string())),
            LogError::Fenced => Self::AlreadyOpen,
            LogError::Damaged { .. } => Self::Corrupt(error.to_string()),
        }
    }
}
