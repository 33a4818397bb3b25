//! Writes an unfinished file: gathers small pieces, and fills one buffer while the other one is on
//! its way to the disk. At most two buffers, however fast the pieces come.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::blocking;
use super::directory::Directory;
use crate::{BlobError, BlobId, BlobWriter};

/// What is written at once.
const BUFFER_BYTES: usize = 1 << 20;

pub(super) struct FsBlobWriter {
    unfinished: Unfinished,
    buffer: Vec<u8>,
    state: State,
    written_bytes: u64,
}

enum State {
    Idle(File),
    Writing(JoinHandle<io::Result<(File, Vec<u8>)>>),
    /// A write failed, or a call was cancelled in the middle of one: what is on disk is not known.
    Broken,
}

impl FsBlobWriter {
    pub(super) fn create(directory: Arc<Directory>, id: BlobId) -> io::Result<Self> {
        let file = directory.create_unfinished(id)?;
        let unfinished = Unfinished { directory, id, is_open: true };
        Ok(Self { unfinished, buffer: Vec::new(), state: State::Idle(file), written_bytes: 0 })
    }

    /// Waits for the write under way and hands the full buffer over.
    async fn flush(&mut self) -> Result<(), BlobError> {
        let (mut file, spare) = self.idle().await?;
        let full = std::mem::replace(&mut self.buffer, spare);
        let directory = Arc::clone(&self.unfinished.directory);
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            directory.ensure_room()?;
            file.write_all(&full)?;
            Ok((file, full))
        }));
        self.buffer.clear();
        Ok(())
    }

    /// The file, once nobody writes to it, and a buffer to reuse. Leaves the writer broken, until the
    /// caller says otherwise: a call that is cancelled here must not lose bytes unnoticed.
    async fn idle(&mut self) -> Result<(File, Vec<u8>), BlobError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Idle(file) => Ok((file, Vec::new())),
            State::Writing(writing) => match writing.await {
                Ok(result) => Ok(result?),
                Err(error) => Err(BlobError::Io(io::Error::other(error))),
            },
            State::Broken => Err(BlobError::Io(io::Error::other("an earlier write failed"))),
        }
    }
}

#[async_trait]
impl BlobWriter for FsBlobWriter {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
        self.written_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = BUFFER_BYTES - self.buffer.len();
            let taken = bytes.split_to(room.min(bytes.len()));
            self.buffer.extend_from_slice(&taken);
            if self.buffer.len() == BUFFER_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        let (mut file, _) = self.idle().await?;
        let rest = std::mem::take(&mut self.buffer);
        let mut unfinished = self.unfinished;
        blocking(move || {
            file.write_all(&rest)?;
            file.sync_all()?;
            unfinished.finish()
        })
        .await?;
        Ok(self.written_bytes)
    }

    async fn abort(mut self: Box<Self>) {
        // An error of a write under way is of no interest any more; its file handle is.
        drop(self.idle().await);
        let unfinished = self.unfinished;
        // The file cannot be removed: the next open of the store does it.
        let _ = blocking(move || unfinished.remove()).await;
    }
}

/// Removes its file unless it was finished.
struct Unfinished {
    directory: Arc<Directory>,
    id: BlobId,
    is_open: bool,
}

impl Unfinished {
    fn finish(&mut self) -> io::Result<()> {
        self.directory.finish(self.id)?;
        self.is_open = false;
        Ok(())
    }

    fn remove(mut self) -> io::Result<()> {
        self.is_open = false;
        self.directory.remove(self.id)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let (directory, id) = (Arc::clone(&self.directory), self.id);
        let remove = move || {
            if let Err(error) = directory.remove(id) {
                tracing::warn!(blob = %id, error = %error, "blob.unfinished_not_removed");
            }
        };
        // A request that is cancelled drops its writer on a thread that must not block.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
