//! The file below redb. Keeps what redb writes in memory until a checkpoint, so that the file is as the last one left
//! it: a page that many groups change is written once, and a disk that fails takes nothing from readers. redb also
//! syncs when it opens a file, makes it longer or lets it go: nothing is written then. That a file is longer is durable
//! before a header tells of it, or redb would not open the file after a power cut.
//!
//! redb refuses every read that misses its cache after one failed write or sync. Reads must go on, so
//! a failure is kept from redb and told to the engine, which makes no further change: what could not be
//! written stays in memory, and the file stays as the last checkpoint left it, or with pages more that
//! it does not refer to. A failed sync is never tried again: the kernel may have dropped the pages it could
//! not write, and a second fdatasync would succeed without them.
//!
//! A disk that is full is no failure: everything stays in memory. redb goes on, and uses pages again that the
//! file still refers to, so from then on the file is not written at all: when there is room, all of it is written to a
//! new one, which takes its name.
//!
//! Not only the writer writes: a reader that makes room in redb's cache may.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::StorageBackend;
use tidelock_log::Fence;
use tidelock_log::disk::{Disk, DiskFile};

use super::syncs::SyncMeter;

/// The unit that is kept: redb's page.
const BLOCK_BYTES: usize = 4096;

/// What must be free, besides the index and a quarter of it, before it is written to a new file.
const SPARED_BYTES: u64 = 16 << 20;

/// Most bytes that are written to the file at once.
const WRITE_BYTES_MAX: usize = 1 << 20;

type Bytes = [u8; BLOCK_BYTES];

/// A block that is not in the file yet.
#[derive(Clone, Debug)]
struct Block {
    bytes: Arc<Bytes>,
    /// Of the write: a flush that began before it has not taken it along.
    generation: u64,
}

/// The file, and what is not in it yet.
#[derive(Debug)]
pub(super) struct IndexFile {
    syncs: Arc<SyncMeter>,
    /// None: it is written by whoever opens it.
    fence: Option<Arc<Fence>>,
    /// A checkpoint is being made: what redb syncs is to be written.
    takes_syncs: AtomicBool,
    unsynced: RwLock<Unsynced>,
}

#[derive(Debug)]
struct Unsynced {
    file: Arc<dyn DiskFile>,
    /// By their number in the file.
    blocks: BTreeMap<u64, Block>,
    /// Counts flushes.
    generation: u64,
    len: u64,
    /// Length of the file itself.
    file_len: u64,
    /// The disk was full when redb synced: the file is as it was before, or a little more.
    is_behind: bool,
    failure: Option<String>,
}

/// What a flush writes.
struct Flush {
    fence: Option<Arc<Fence>>,
    file: Arc<dyn DiskFile>,
    blocks: BTreeMap<u64, Block>,
    generation: u64,
    len: u64,
    file_len: u64,
}

/// Why a flush did not end.
#[derive(Debug)]
pub(super) enum FlushError {
    /// There is no room; nothing that the file refers to was changed.
    Full,
    Failed(String),
}

impl IndexFile {
    /// The file of an index that is written as long as `fence` lets it.
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        fence: Arc<Fence>,
        syncs: Arc<SyncMeter>,
    ) -> io::Result<Self> {
        let len = file.size()?;
        if len >= BLOCK_BYTES as u64 {
            // If the sync of the last checkpoint failed, its header, which was read here, may be in the
            // memory of the system alone: it is written again.
            let mut header = [0; BLOCK_BYTES];
            file.read_at(&mut header, 0)?;
            file.write_at(&header, 0)?;
            file.sync()?;
        }
        Ok(Self::over(file, Some(fence), syncs, len))
    }

    /// A file that is read and never written: what redb writes when it opens it stays in memory.
    pub(super) fn read_only(file: Arc<dyn DiskFile>, syncs: Arc<SyncMeter>) -> io::Result<Self> {
        let len = file.size()?;
        let file = Self::over(file, None, syncs, len);
        file.stop("it is only read");
        Ok(file)
    }

    fn over(
        file: Arc<dyn DiskFile>,
        fence: Option<Arc<Fence>>,
        syncs: Arc<SyncMeter>,
        len: u64,
    ) -> Self {
        let unsynced = Unsynced {
            file,
            blocks: BTreeMap::new(),
            generation: 0,
            len,
            file_len: len,
            is_behind: false,
            failure: None,
        };
        let takes_syncs = AtomicBool::new(false);
        Self { syncs, fence, takes_syncs, unsynced: RwLock::new(unsynced) }
    }

    /// Runs `commit`, in which what redb syncs is written.
    pub(super) fn during_checkpoint<T>(&self, commit: impl FnOnce() -> T) -> T {
        self.takes_syncs.store(true, Ordering::Release);
        let done = commit();
        self.takes_syncs.store(false, Ordering::Release);
        done
    }

    /// What went wrong when the file was written; then it is written no more.
    pub(super) fn failure(&self) -> Option<String> {
        self.read().failure.clone()
    }

    /// Whether the file lacks what redb has synced, for want of room.
    pub(super) fn is_behind(&self) -> bool {
        self.read().is_behind
    }

    /// Writes nothing to the file from now on.
    pub(super) fn stop(&self, reason: &str) {
        self.write().failure.get_or_insert_with(|| reason.to_owned());
    }

    /// Bytes that are kept until the next sync.
    pub(super) fn unsynced_bytes(&self) -> usize {
        self.read().blocks.len() * BLOCK_BYTES
    }

    fn read(&self) -> RwLockReadGuard<'_, Unsynced> {
        self.unsynced.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Unsynced> {
        self.unsynced.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written now. What is written to the blocks from here on is of the next generation.
    fn begin_flush(&self) -> Flush {
        let mut unsynced = self.write();
        unsynced.generation += 1;
        Flush {
            fence: self.fence.clone(),
            file: Arc::clone(&unsynced.file),
            blocks: unsynced.blocks.clone(),
            generation: unsynced.generation,
            len: unsynced.len,
            file_len: unsynced.file_len,
        }
    }

    /// Writes all of the index to a new file, which is called `unfinished` until it is whole and then `name`.
    pub(super) fn write_anew(
        &self,
        disk: &dyn Disk,
        unfinished: &str,
        name: &str,
    ) -> Result<(), FlushError> {
        let mut flush = self.begin_flush();
        if disk.free_bytes()? < flush.len + flush.len / 4 + SPARED_BYTES {
            return Err(FlushError::Full);
        }
        if let Err(error) = disk.remove(unfinished)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
        let file = disk.create(unfinished)?;
        let written = flush.write_all(&*file).and_then(|()| self.sync(&*file));
        if let Err(error) = written.and_then(|()| flush.check_fence()) {
            // Nobody looks for it; the next try or start removes it if this does not.
            let _ = disk.remove(unfinished);
            return Err(error);
        }
        disk.rename(unfinished, name)?;
        disk.sync().map_err(|error| FlushError::Failed(error.to_string()))?;
        flush.file = file;
        self.end_flush(&flush, Ok(()));
        Ok(())
    }

    fn end_flush(&self, flush: &Flush, result: Result<(), FlushError>) {
        let mut unsynced = self.write();
        match result {
            Ok(()) => {
                unsynced.blocks.retain(|_, block| block.generation >= flush.generation);
                unsynced.file = Arc::clone(&flush.file);
                unsynced.file_len = flush.len;
                unsynced.is_behind = false;
            }
            Err(FlushError::Full) => unsynced.is_behind = true,
            Err(FlushError::Failed(reason)) => unsynced.failure = Some(reason),
        }
    }

    fn run(&self, flush: &Flush) -> Result<(), FlushError> {
        flush.check_fence()?;
        if flush.len != flush.file_len {
            flush.file.set_len(flush.len)?;
            self.write().file_len = flush.len;
            if flush.len > flush.file_len {
                self.sync(&*flush.file)?;
            }
        }
        flush.write_blocks()?;
        self.sync(&*flush.file)
    }

    fn sync(&self, file: &dyn DiskFile) -> Result<(), FlushError> {
        // Not "full" either: what a failed sync has lost is not known.
        let failed = |error: io::Error| FlushError::Failed(error.to_string());
        self.syncs.measure(|| file.sync()).map_err(failed)
    }
}

impl Flush {
    fn check_fence(&self) -> Result<(), FlushError> {
        let Some(fence) = &self.fence else { return Ok(()) };
        fence.check().map_err(|error| FlushError::Failed(error.to_string()))
    }

    /// Writes everything to another file, which is empty.
    fn write_all(&self, file: &dyn DiskFile) -> Result<(), FlushError> {
        file.set_len(self.len)?;
        let mut bytes = vec![0; WRITE_BYTES_MAX];
        for start in (0..self.len).step_by(WRITE_BYTES_MAX) {
            bytes.truncate((self.len - start) as usize);
            read_blocks(&*self.file, (&self.blocks, self.file_len), &mut bytes, start)?;
            file.write_at(&bytes, start)?;
        }
        Ok(())
    }

    /// Writes blocks in their order, neighbours together.
    fn write_blocks(&self) -> Result<(), FlushError> {
        let mut run: Vec<u8> = Vec::new();
        let mut run_start = 0;
        for (number, block) in &self.blocks {
            let start = number * BLOCK_BYTES as u64;
            let follows = run_start + run.len() as u64 == start;
            if !run.is_empty() && (!follows || run.len() >= WRITE_BYTES_MAX) {
                self.write_run(&run, run_start)?;
                run.clear();
            }
            if run.is_empty() {
                run_start = start;
            }
            let there = self.len.saturating_sub(start).min(BLOCK_BYTES as u64) as usize;
            run.extend_from_slice(&block.bytes[..there]);
        }
        if run.is_empty() { Ok(()) } else { self.write_run(&run, run_start) }
    }

    fn write_run(&self, run: &[u8], offset: u64) -> Result<(), FlushError> {
        self.check_fence()?;
        Ok(self.file.write_at(run, offset)?)
    }
}

impl From<io::Error> for FlushError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// The file as redb has it.
#[derive(Debug)]
pub(super) struct IndexBackend(pub(super) Arc<IndexFile>);

impl StorageBackend for IndexBackend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let unsynced = self.0.read();
        if unsynced.len < offset + out.len() as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Unsynced { file, blocks, file_len, .. } = &*unsynced;
        read_blocks(&**file, (blocks, *file_len), out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut unsynced = self.0.write();
        unsynced.blocks.split_off(&len.div_ceil(BLOCK_BYTES as u64));
        unsynced.len = len;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut unsynced = self.0.write();
        let (file_len, generation) = (unsynced.file_len, unsynced.generation);
        let file = Arc::clone(&unsynced.file);
        for piece in pieces(offset, data.len()) {
            let from = &data[piece.place.clone()];
            let block = match unsynced.blocks.entry(piece.block) {
                Entry::Occupied(kept) => kept.into_mut(),
                Entry::Vacant(new) => {
                    let mut bytes = [0; BLOCK_BYTES];
                    if from.len() < BLOCK_BYTES {
                        let start = piece.block * BLOCK_BYTES as u64;
                        read_file(&*file, &mut bytes, start, file_len)?;
                    }
                    new.insert(Block { bytes: Arc::new(bytes), generation })
                }
            };
            block.generation = generation;
            Arc::make_mut(&mut block.bytes)[piece.within..][..from.len()].copy_from_slice(from);
        }
        unsynced.len = unsynced.len.max(offset + data.len() as u64);
        Ok(())
    }

    /// Answers well even when it fails: see above.
    fn sync_data(&self) -> io::Result<()> {
        let is_due = self.0.takes_syncs.load(Ordering::Acquire);
        if !is_due || self.0.failure().is_some() || self.0.is_behind() {
            return Ok(());
        }
        let flush = self.0.begin_flush();
        let result = self.0.run(&flush);
        self.0.end_flush(&flush, result);
        Ok(())
    }
}

/// Fills `out` with what stands at `offset`: in the blocks, and else in the file, which has `file_len` bytes.
fn read_blocks(
    file: &dyn DiskFile,
    (blocks, file_len): (&BTreeMap<u64, Block>, u64),
    out: &mut [u8],
    offset: u64,
) -> io::Result<()> {
    if blocks.range(blocks_of(offset, out.len())).next().is_none() {
        return read_file(file, out, offset, file_len);
    }
    for piece in pieces(offset, out.len()) {
        let into = &mut out[piece.place.clone()];
        match blocks.get(&piece.block) {
            Some(block) => into.copy_from_slice(&block.bytes[piece.within..][..into.len()]),
            None => read_file(file, into, piece.offset(), file_len)?,
        }
    }
    Ok(())
}

/// What the file has at `offset`, and zeros behind its end.
fn read_file(file: &dyn DiskFile, bytes: &mut [u8], offset: u64, file_len: u64) -> io::Result<()> {
    let there = file_len.saturating_sub(offset).min(bytes.len() as u64) as usize;
    let (found, beyond) = bytes.split_at_mut(there);
    beyond.fill(0);
    if found.is_empty() { Ok(()) } else { file.read_at(found, offset) }
}

/// The part of a range of bytes that is in one block.
struct Piece {
    block: u64,
    /// Where in the block it begins.
    within: usize,
    /// Where it is in the range.
    place: std::ops::Range<usize>,
}

impl Piece {
    fn offset(&self) -> u64 {
        self.block * BLOCK_BYTES as u64 + self.within as u64
    }
}

fn blocks_of(offset: u64, len: usize) -> std::ops::Range<u64> {
    let size = BLOCK_BYTES as u64;
    offset / size..(offset + len as u64).div_ceil(size)
}

fn pieces(offset: u64, len: usize) -> impl Iterator<Item = Piece> {
    blocks_of(offset, len).map(move |block| {
        let start = block * BLOCK_BYTES as u64;
        let from = start.max(offset);
        let to = (start + BLOCK_BYTES as u64).min(offset + len as u64);
        let place = (from - offset) as usize..(to - offset) as usize;
        Piece { block, within: (from - start) as usize, place }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use tidelock_log::LogOptions;
    use tidelock_log::disk::faulty::FaultyDisk;

    use super::*;
    use crate::clock::ManualClock;

    /// A file whose sync waits twice at a barrier.
    #[derive(Debug)]
    struct Slow(Arc<dyn DiskFile>, Arc<Barrier>);

    impl DiskFile for Slow {
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }

        fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
            self.0.read_at(bytes, offset)
        }

        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.0.write_at(bytes, offset)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }

        fn sync(&self) -> io::Result<()> {
            self.1.wait();
            self.1.wait();
            self.0.sync()
        }
    }

    fn backend(disk: &FaultyDisk, file: Arc<dyn DiskFile>) -> IndexBackend {
        let fence = Arc::new(Fence::take(disk, &LogOptions::new(0)).unwrap());
        let syncs = Arc::new(SyncMeter::new(Arc::new(ManualClock::new(0)), None));
        IndexBackend(Arc::new(IndexFile::new(file, fence, syncs).unwrap()))
    }

    /// A file that tells what was asked of it.
    #[derive(Debug)]
    struct Asked(Arc<dyn DiskFile>, Mutex<Vec<&'static str>>);

    impl DiskFile for Asked {
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }

        fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
            self.0.read_at(bytes, offset)
        }

        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.1.lock().unwrap().push("write");
            self.0.write_at(bytes, offset)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.1.lock().unwrap().push("set the length");
            self.0.set_len(len)
        }

        fn sync(&self) -> io::Result<()> {
            self.1.lock().unwrap().push("sync");
            self.0.sync()
        }
    }

    #[test]
    fn a_file_is_longer_before_its_header_says_so() {
        let disk = FaultyDisk::new(1);
        let file = Arc::new(Asked(disk.create("index").unwrap(), Mutex::default()));
        let backend = backend(&disk, Arc::clone(&file) as _);
        let asked = |len: u64, header: u8| {
            backend.set_len(len * BLOCK_BYTES as u64).unwrap();
            // As redb does when it makes the file longer.
            backend.sync_data().unwrap();
            backend.write(0, &[header; BLOCK_BYTES]).unwrap();
            sync(&backend);
            std::mem::take(&mut *file.1.lock().unwrap())
        };
        assert_eq!(asked(4, 1), ["set the length", "sync", "write", "sync"]);
        assert_eq!(asked(4, 2), ["write", "sync"]);
        assert_eq!(asked(2, 3), ["set the length", "write", "sync"]);
        assert_eq!(file.size().unwrap(), 2 * BLOCK_BYTES as u64);
    }

    fn sync(backend: &IndexBackend) {
        backend.0.during_checkpoint(|| backend.sync_data()).unwrap();
    }

    fn block(backend: &IndexBackend, number: u64) -> u8 {
        let mut bytes = [0; BLOCK_BYTES];
        backend.read(number * BLOCK_BYTES as u64, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
        bytes[0]
    }

    /// A reader that makes room in redb's cache writes while the writer syncs.
    #[test]
    fn what_is_written_during_a_sync_is_kept_for_the_next() {
        let disk = FaultyDisk::new(1);
        let barrier = Arc::new(Barrier::new(2));
        let file = disk.create("index").unwrap();
        let slow = backend(&disk, Arc::new(Slow(Arc::clone(&file), Arc::clone(&barrier))));
        slow.write(0, &[1; 3 * BLOCK_BYTES]).unwrap();
        std::thread::scope(|scope| {
            let syncing = scope.spawn(|| sync(&slow));
            // The sync of its length.
            barrier.wait();
            barrier.wait();
            barrier.wait();
            slow.write(BLOCK_BYTES as u64, &[2; BLOCK_BYTES]).unwrap();
            slow.write(3 * BLOCK_BYTES as u64, &[3; BLOCK_BYTES]).unwrap();
            barrier.wait();
            syncing.join().unwrap();
        });
        let blocks = [0, 1, 2, 3].map(|number| block(&slow, number));
        assert_eq!(blocks, [1, 2, 1, 3]);
        assert_eq!(slow.0.unsynced_bytes(), 2 * BLOCK_BYTES);
        assert_eq!(file.size().unwrap(), 3 * BLOCK_BYTES as u64);
    }

    #[test]
    fn reads_and_writes_need_not_be_whole_blocks() {
        let disk = FaultyDisk::new(1);
        let file = disk.create("index").unwrap();
        file.write_at(&[9; 2 * BLOCK_BYTES], 0).unwrap();
        let backend = backend(&disk, file);
        backend.write(BLOCK_BYTES as u64 - 2, &[1, 2, 3, 4]).unwrap();
        let mut bytes = [0; 8];
        backend.read(BLOCK_BYTES as u64 - 4, &mut bytes).unwrap();
        assert_eq!(bytes, [9, 9, 1, 2, 3, 4, 9, 9]);
        assert!(backend.read(2 * BLOCK_BYTES as u64 - 4, &mut bytes).is_err());
        // Not at a checkpoint: it stays in memory.
        backend.sync_data().unwrap();
        assert_eq!(backend.0.unsynced_bytes(), 2 * BLOCK_BYTES);
        sync(&backend);
        assert_eq!(backend.0.unsynced_bytes(), 0);
        backend.read(BLOCK_BYTES as u64 - 4, &mut bytes).unwrap();
        assert_eq!(bytes, [9, 9, 1, 2, 3, 4, 9, 9]);
    }
}
