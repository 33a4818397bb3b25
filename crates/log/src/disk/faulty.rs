//! A disk in memory that commits the faults of docs/faults.md under a seed: the same seed and the same
//! calls give the same faults. Knows nothing of what is written.
//!
//! What is written is visible at once and durable by a sync. [`FaultyDisk::cut_power`] decides, sector
//! by sector and name by name, what of the rest the platter had taken.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{Disk, DiskFile};

/// The unit that a power cut keeps, loses or tears.
const SECTOR_BYTES: usize = 512;

/// Numbers from a seed (SplitMix64): the simulation's only source of chance.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is above 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What goes wrong, and when. Counts are of calls of the kind from now on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The write, resize, change of a name or sync after this many is cut off: a write arrives in
    /// part, and nothing is answered from then on until [`FaultyDisk::restart`].
    pub stop_after_changes: Option<u64>,
    /// The sync after this many answers an error, and what it should have made durable never will be.
    pub fail_sync_after: Option<u64>,
    /// The write after this many answers an error and arrives in part.
    pub fail_write_after: Option<u64>,
    /// Each read answers an error.
    pub fail_reads: bool,
    /// No file is opened or made, as where the process has as many open as it may.
    pub fail_opens: bool,
    /// Most bytes of all files, holes not counted, above which a write arrives in part and answers
    /// [`io::ErrorKind::StorageFull`].
    pub capacity_bytes: Option<u64>,
}

/// A disk in memory, with faults.
#[derive(Debug)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    faults: Faults,
    stopped: bool,
    /// Counts restarts: a file opened before one is of a process that is gone.
    life: u64,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the last sync, in order.
    changes: Vec<Change>,
    syncs: u64,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors whose bytes may differ from the durable ones.
    dirty: BTreeSet<usize>,
    /// Sectors that were written at some time: the others are holes and take no room.
    written: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Link(String, usize),
    Rename(String, String),
    Unlink(String),
}

impl FaultyDisk {
    /// An empty disk whose faults follow `seed`; none until they are set.
    pub fn new(seed: u64) -> Self {
        let state = State {
            chance: Chance::new(seed),
            faults: Faults::default(),
            stopped: false,
            life: 0,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            syncs: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Whether a fault has cut off everything.
    pub fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Syncs so far, of files and of names.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Ends the process that used the disk: its open files answer no more, what it wrote stays.
    pub fn restart(&self) {
        let mut state = self.state();
        state.life += 1;
        state.stopped = false;
        state.faults = Faults::default();
    }

    /// As [`FaultyDisk::restart`], after the power was gone: of what was not durable, each sector is as
    /// it was, as it was to be, or torn between, and of the names the first few changes are made.
    pub fn cut_power(&self) {
        self.restart();
        let mut state = self.state();
        let State { chance, files, .. } = &mut *state;
        for file in files.iter_mut() {
            file.lose_power(chance);
        }
        let changes = state.changes.len() as u64;
        let made = state.chance.below(changes + 1) as usize;
        let mut names = std::mem::take(&mut state.durable_names);
        for change in std::mem::take(&mut state.changes).into_iter().take(made) {
            change.apply(&mut names);
        }
        state.durable_names.clone_from(&names);
        state.names = names;
    }

    /// Bytes of all files, holes not counted.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// Flips one bit of the file `name`, on the platter and in memory.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        let mut state = self.state();
        let Some(&at) = state.names.get(name) else { return };
        let file = &mut state.files[at];
        for bytes in [&mut file.bytes, &mut file.durable] {
            if let Some(byte) = bytes.get_mut(offset as usize) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// A copy of the file `name` as it can be read now.
    pub fn bytes_of(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|&at| state.files[at].bytes.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn file(&self, state: &State, at: usize) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile { state: Arc::clone(&self.state), at, life: state.life })
    }
}

impl State {
    fn opens(&self) -> io::Result<()> {
        if self.faults.fail_opens { Err(Errno::MFILE.into()) } else { Ok(()) }
    }

    fn answers(&self) -> io::Result<()> {
        if self.stopped { Err(stopped()) } else { Ok(()) }
    }

    /// Counts a change down; true when it is the one that is cut off.
    fn is_cut_off(&mut self) -> io::Result<bool> {
        self.answers()?;
        self.stopped = counts_down(&mut self.faults.stop_after_changes);
        Ok(self.stopped)
    }

    fn change_name(&mut self, change: Change) -> io::Result<()> {
        if self.is_cut_off()? {
            return Err(stopped());
        }
        change.apply(&mut self.names);
        self.changes.push(change);
        Ok(())
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|&at| (self.files[at].written.len() * SECTOR_BYTES) as u64).sum()
    }
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.resize(end);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        let sectors = offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        self.dirty.extend(sectors.clone());
        self.written.extend(sectors);
    }

    /// How many bytes from `start` on can be written with `room` bytes left.
    fn fits(&self, start: usize, len: usize, mut room: u64) -> usize {
        for sector in start / SECTOR_BYTES..(start + len).div_ceil(SECTOR_BYTES) {
            if self.written.contains(&sector) {
                continue;
            }
            if room < SECTOR_BYTES as u64 {
                return (sector * SECTOR_BYTES).saturating_sub(start);
            }
            room -= SECTOR_BYTES as u64;
        }
        len
    }

    fn resize(&mut self, len: usize) {
        let shorter = self.bytes.len().min(len);
        self.bytes.resize(len, 0);
        self.written.split_off(&len.div_ceil(SECTOR_BYTES));
        self.dirty.extend(shorter / SECTOR_BYTES..len.div_ceil(SECTOR_BYTES));
    }

    fn sync(&mut self) {
        self.durable.resize(self.bytes.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.bytes, &mut self.durable, sector, SECTOR_BYTES);
        }
    }

    /// Keeps a part of what is not durable, and makes what is left all there is.
    fn lose_power(&mut self, chance: &mut Chance) {
        let len = if chance.one_in(2) { self.bytes.len() } else { self.durable.len() };
        self.durable.resize(len, 0);
        let keeps_one_in = 1 + chance.below(4);
        for sector in std::mem::take(&mut self.dirty) {
            if chance.one_in(16) {
                let torn = chance.below(SECTOR_BYTES as u64) as usize;
                copy_sector(&self.bytes, &mut self.durable, sector, torn);
            } else if chance.one_in(keeps_one_in) {
                copy_sector(&self.bytes, &mut self.durable, sector, SECTOR_BYTES);
            }
        }
        self.bytes.clone_from(&self.durable);
    }
}

/// Copies the first `len` bytes of a sector, as far as both have them.
fn copy_sector(from: &[u8], to: &mut [u8], sector: usize, len: usize) {
    let start = sector * SECTOR_BYTES;
    let end = (start + len).min(from.len()).min(to.len());
    if start < end {
        to[start..end].copy_from_slice(&from[start..end]);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, at) => drop(names.insert(name.clone(), *at)),
            Self::Rename(from, to) => {
                if let Some(at) = names.remove(from) {
                    names.insert(to.clone(), at);
                }
            }
            Self::Unlink(name) => drop(names.remove(name)),
        }
    }
}

impl Disk for FaultyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        state.answers()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state();
        state.answers()?;
        state.opens()?;
        match state.names.get(name) {
            Some(&at) => Ok(self.file(&state, at)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.answers()?;
        state.opens()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let at = state.files.len();
        state.change_name(Change::Link(name.to_owned(), at))?;
        state.files.push(Content::default());
        Ok(self.file(&state, at))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        if self.state().names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(Change::Unlink(name.to_owned()))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.state();
        let capacity = state.faults.capacity_bytes.unwrap_or(u64::MAX);
        Ok(capacity.saturating_sub(state.used_bytes()))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.is_cut_off()? {
            return Err(stopped());
        }
        state.syncs += 1;
        if counts_down(&mut state.faults.fail_sync_after) {
            state.changes.clear();
            return Err(io::Error::other("the sync failed"));
        }
        state.durable_names = state.names.clone();
        state.changes.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyFile {
    state: Arc<Mutex<State>>,
    at: usize,
    life: u64,
}

impl FaultyFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = locked(&self.state);
        state.answers()?;
        if state.life != self.life {
            return Err(stopped());
        }
        Ok(state)
    }
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.at].bytes.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state()?;
        if state.faults.fail_reads {
            return Err(io::Error::other("the read failed"));
        }
        let start = offset as usize;
        match state.files[self.at].bytes.get(start..start + bytes.len()) {
            Some(found) => bytes.copy_from_slice(found),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let start = offset as usize;
        let is_cut_off = state.is_cut_off()?;
        if is_cut_off || counts_down(&mut state.faults.fail_write_after) {
            let arrives = state.chance.below(bytes.len() as u64 + 1) as usize;
            state.files[self.at].write(&bytes[..arrives], start);
            return Err(if is_cut_off { stopped() } else { io::Error::other("the write failed") });
        }
        let room = state.faults.capacity_bytes.map(|most| most.saturating_sub(state.used_bytes()));
        let file = &mut state.files[self.at];
        let fits = room.map_or(bytes.len(), |room| file.fits(start, bytes.len(), room));
        file.write(&bytes[..fits], start);
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state()?;
        if state.is_cut_off()? {
            return Err(stopped());
        }
        state.files[self.at].resize(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state()?;
        if state.is_cut_off()? {
            return Err(stopped());
        }
        state.syncs += 1;
        if counts_down(&mut state.faults.fail_sync_after) {
            // The kernel drops the pages it could not write, and calls them clean.
            state.files[self.at].dirty.clear();
            return Err(io::Error::other("the sync failed"));
        }
        state.files[self.at].sync();
        Ok(())
    }
}

/// True, once, when the count has run out.
fn counts_down(left: &mut Option<u64>) -> bool {
    match left {
        Some(0) => {
            *left = None;
            true
        }
        Some(count) => {
            *count -= 1;
            false
        }
        None => false,
    }
}

fn stopped() -> io::Error {
    io::Error::other("the machine is off")
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
