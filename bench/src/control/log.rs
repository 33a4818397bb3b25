//! A log with one writer: it takes all that waits, appends it with one write, syncs once, and answers. It
//! also decides conditions, so that exactly one of many wins.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Result;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::map::{Map, Stored};
use super::sealed::{Sealed, SealedBytes};

/// Changes that may wait: more than a benchmark has clients.
const WAITING_MAX: usize = 4096;
/// Changes of one group.
const GROUP_MAX: usize = 1024;
/// Bytes of a file, then a new one is begun. A file goes when nothing in it is stored any more.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Slices that one write takes: `IOV_MAX` of Linux.
const WRITE_SLICES_MAX: usize = 1024;
/// Length of the key and of the body before each.
const HEADER_BYTES: usize = 12;

/// What becomes of a key.
pub enum Change {
    /// A small body.
    Plain(Bytes),
    /// A large one.
    Sealed(SealedBytes),
    /// It goes.
    Delete,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is synced.
    Done,
    /// There was a body already.
    Taken,
    /// The disk failed.
    Failed,
}

/// Where changes are handed in.
#[derive(Clone)]
pub struct Log(SyncSender<Entry>);

struct Entry {
    key: String,
    change: Change,
    is_conditional: bool,
    done: oneshot::Sender<Outcome>,
}

struct Writer {
    directory: PathBuf,
    map: Arc<Map>,
    file: Arc<File>,
    end: u64,
}

impl Log {
    /// Starts the writer.
    pub fn start(directory: &Path, map: Arc<Map>) -> Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let directory = directory.to_owned();
        let file = Arc::new(tempfile::tempfile_in(&directory)?);
        let writer = Writer { directory, map, file, end: 0 };
        std::thread::spawn(move || writer.run(&receiver));
        Ok(Self(sender))
    }

    /// Hands a change in, and waits for its sync.
    pub async fn append(&self, key: String, change: Change, is_conditional: bool) -> Outcome {
        let (done, outcome) = oneshot::channel();
        if self.0.send(Entry { key, change, is_conditional, done }).is_err() {
            return Outcome::Failed;
        }
        outcome.await.unwrap_or(Outcome::Failed)
    }
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Entry>) {
        while let Ok(first) = receiver.recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX {
                let Ok(next) = receiver.try_recv() else { break };
                group.push(next);
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Entry>) {
        let refused = self.refused(&group);
        let written = self.write(&group, &refused);
        for (at, Entry { key, change, done, .. }) in group.into_iter().enumerate() {
            let outcome = match &written {
                _ if refused[at] => Outcome::Taken,
                Err(_) => Outcome::Failed,
                Ok(places) => {
                    let stored = match change {
                        Change::Plain(body) => Some(Stored::Plain(body)),
                        Change::Sealed(body) => {
                            let file = Arc::clone(&self.file);
                            Some(Stored::Sealed(Sealed::at(file, places[at], &body)))
                        }
                        Change::Delete => None,
                    };
                    self.map.set(key, stored);
                    Outcome::Done
                }
            };
            // Whoever asked may be gone.
            let _ = done.send(outcome);
        }
        if self.end > FILE_BYTES_MAX
            && let Ok(file) = tempfile::tempfile_in(&self.directory)
        {
            (self.file, self.end) = (Arc::new(file), 0);
        }
    }

    /// Which of them find a body where none may be: of an earlier group, or of this one before them.
    fn refused(&self, group: &[Entry]) -> Vec<bool> {
        let mut changed = HashMap::new();
        let mut refused = Vec::with_capacity(group.len());
        for Entry { key, change, is_conditional, .. } in group {
            let is_there = || changed.get(key).copied().unwrap_or_else(|| self.map.has(key));
            let is_refused = *is_conditional && is_there();
            if !is_refused {
                changed.insert(key, !matches!(change, Change::Delete));
            }
            refused.push(is_refused);
        }
        refused
    }

    /// Appends and syncs; where each body begins in the file.
    fn write(&mut self, group: &[Entry], refused: &[bool]) -> io::Result<Vec<u64>> {
        let bodies: Vec<&[u8]> = group.iter().map(|entry| entry.change.bytes()).collect();
        let headers: Vec<[u8; HEADER_BYTES]> = group
            .iter()
            .zip(&bodies)
            .map(|(entry, body)| header(entry.key.len(), body.len()))
            .collect();
        let (mut places, mut slices) = (Vec::new(), Vec::new());
        for (at, entry) in group.iter().enumerate() {
            let before = HEADER_BYTES + entry.key.len();
            places.push(self.end + before as u64);
            if refused[at] {
                continue;
            }
            for piece in [&headers[at][..], entry.key.as_bytes(), bodies[at]] {
                slices.push(IoSlice::new(piece));
            }
            self.end += (before + bodies[at].len()) as u64;
        }
        if slices.is_empty() {
            return Ok(places);
        }
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let some = left.len().min(WRITE_SLICES_MAX);
            match (&*self.file).write_vectored(&left[..some]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => IoSlice::advance_slices(&mut left, length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.file.sync_data()?;
        Ok(places)
    }
}

fn header(key: usize, body: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&(key as u32).to_le_bytes());
    header[4..].copy_from_slice(&(body as u64).to_le_bytes());
    header
}

impl Change {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(body) => body,
            Self::Sealed(body) => body.bytes(),
            Self::Delete => &[],
        }
    }
}
