//! The file below redb. Keeps what redb writes in memory until redb syncs, so that the file changes only at
//! a checkpoint: a page that many groups change is written once, and a disk that fails takes nothing
//! from readers.
//!
//! redb refuses every read that misses its cache after one failed write or sync. Reads must go on, so
//! a failure is kept from redb and told to the engine, which makes no further change: what could not be
//! written stays in memory, and the file stays as the last checkpoint left it, or with pages more that
//! it does not refer to. A failed sync is never tried again: the kernel may have dropped the pages it could
//! not write, and a second fdatasync would succeed without them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::StorageBackend;
use tidelock_log::disk::DiskFile;

use super::syncs::SyncMeter;

/// The unit that is kept: redb's page.
const BLOCK_BYTES: usize = 4096;

/// Most bytes that are written to the file at once.
const WRITE_BYTES_MAX: usize = 1 << 20;

type Block = Box<[u8; BLOCK_BYTES]>;

/// The file, and what is not in it yet.
#[derive(Debug)]
pub(super) struct IndexFile {
    file: Arc<dyn DiskFile>,
    syncs: Arc<SyncMeter>,
    unsynced: RwLock<Unsynced>,
}

#[derive(Debug)]
struct Unsynced {
    /// By their number in the file.
    blocks: BTreeMap<u64, Block>,
    len: u64,
    /// Length of the file itself.
    file_len: u64,
    failure: Option<String>,
}

impl IndexFile {
    pub(super) fn new(file: Arc<dyn DiskFile>, syncs: Arc<SyncMeter>) -> io::Result<Self> {
        let len = file.size()?;
        if len >= BLOCK_BYTES as u64 {
            // The header says which checkpoint is the last. If the sync of the last one failed, what was
            // read here may be in the memory of the system alone: it is written again.
            let mut header = Box::new([0; BLOCK_BYTES]);
            file.read_at(&mut header[..], 0)?;
            file.write_at(&header[..], 0)?;
            file.sync()?;
        }
        Self::over(file, syncs, len)
    }

    /// A file that is read and never written: what redb writes when it opens it stays in memory.
    pub(super) fn read_only(file: Arc<dyn DiskFile>, syncs: Arc<SyncMeter>) -> io::Result<Self> {
        let len = file.size()?;
        let file = Self::over(file, syncs, len)?;
        file.stop("it is only read");
        Ok(file)
    }

    fn over(file: Arc<dyn DiskFile>, syncs: Arc<SyncMeter>, len: u64) -> io::Result<Self> {
        let unsynced = Unsynced { blocks: BTreeMap::new(), len, file_len: len, failure: None };
        Ok(Self { file, syncs, unsynced: RwLock::new(unsynced) })
    }

    /// What went wrong when the file was written; then it is written no more.
    pub(super) fn failure(&self) -> Option<String> {
        self.read().failure.clone()
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

    /// What the file has at `offset`, and zeros behind its end.
    fn read_file(&self, bytes: &mut [u8], offset: u64, file_len: u64) -> io::Result<()> {
        let there = file_len.saturating_sub(offset).min(bytes.len() as u64) as usize;
        let (found, beyond) = bytes.split_at_mut(there);
        beyond.fill(0);
        if found.is_empty() { Ok(()) } else { self.file.read_at(found, offset) }
    }

    /// Writes what is kept to the file, and syncs it.
    fn flush(&self) -> io::Result<()> {
        let unsynced = self.read();
        if unsynced.len != unsynced.file_len {
            self.file.set_len(unsynced.len)?;
        }
        let mut run: Vec<u8> = Vec::new();
        let mut run_start = 0;
        for (number, block) in &unsynced.blocks {
            let start = number * BLOCK_BYTES as u64;
            let follows = run_start + run.len() as u64 == start;
            if !run.is_empty() && (!follows || run.len() >= WRITE_BYTES_MAX) {
                self.file.write_at(&run, run_start)?;
                run.clear();
            }
            if run.is_empty() {
                run_start = start;
            }
            let len = unsynced.len.saturating_sub(start).min(BLOCK_BYTES as u64) as usize;
            run.extend_from_slice(&block[..len]);
        }
        if !run.is_empty() {
            self.file.write_at(&run, run_start)?;
        }
        drop(unsynced);
        self.syncs.measure(|| self.file.sync())
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
        let blocks = blocks_of(offset, out.len());
        if unsynced.blocks.range(blocks).next().is_none() {
            return self.0.read_file(out, offset, unsynced.file_len);
        }
        for piece in pieces(offset, out.len()) {
            let into = &mut out[piece.place.clone()];
            match unsynced.blocks.get(&piece.block) {
                Some(block) => into.copy_from_slice(&block[piece.within..][..into.len()]),
                None => self.0.read_file(into, piece.offset(), unsynced.file_len)?,
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut unsynced = self.0.write();
        unsynced.blocks.split_off(&len.div_ceil(BLOCK_BYTES as u64));
        unsynced.len = len;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut unsynced = self.0.write();
        let file_len = unsynced.file_len;
        for piece in pieces(offset, data.len()) {
            let from = &data[piece.place.clone()];
            if from.len() < BLOCK_BYTES && !unsynced.blocks.contains_key(&piece.block) {
                let mut block = Box::new([0; BLOCK_BYTES]);
                let start = piece.block * BLOCK_BYTES as u64;
                self.0.read_file(&mut block[..], start, file_len)?;
                unsynced.blocks.insert(piece.block, block);
            }
            let block =
                unsynced.blocks.entry(piece.block).or_insert_with(|| Box::new([0; BLOCK_BYTES]));
            block[piece.within..][..from.len()].copy_from_slice(from);
        }
        unsynced.len = unsynced.len.max(offset + data.len() as u64);
        Ok(())
    }

    /// Answers well even when it fails: see above.
    fn sync_data(&self) -> io::Result<()> {
        if self.0.failure().is_some() {
            return Ok(());
        }
        let flushed = self.0.flush();
        let mut unsynced = self.0.write();
        match flushed {
            Ok(()) => {
                unsynced.blocks.clear();
                unsynced.file_len = unsynced.len;
            }
            Err(error) => unsynced.failure = Some(error.to_string()),
        }
        Ok(())
    }
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
