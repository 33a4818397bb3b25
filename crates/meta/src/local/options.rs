//! What a local store is opened with, and why it cannot be.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{DiskSpace, FreeSpace, SyncGate};
use crate::Clock;

/// Memory for pages of the index.
const CACHE_BYTES_DEFAULT: usize = 256 << 20;

/// Most batches that wait for the writer.
const QUEUE_BATCHES_MAX_DEFAULT: usize = 4096;

/// How a [`LocalStore`](super::LocalStore) is opened.
#[non_exhaustive]
pub struct LocalOptions {
    /// Measures syncs.
    pub clock: Arc<dyn Clock>,
    /// Hears of every group.
    pub observer: Arc<dyn CommitObserver>,
    /// Memory for pages of the index.
    pub cache_bytes: usize,
    /// Most batches that wait for the writer; one more is answered
    /// [`MetaError::Overloaded`](crate::MetaError::Overloaded).
    pub queue_batches_max: usize,
    /// Tells how much room the disk has; commits are refused before there is none.
    pub space: Arc<dyn FreeSpace>,
    /// A random number: keeps a value that looks like a part of the log from being taken for one.
    pub log_tag: u64,
    /// Holds or fails syncs; for tests.
    pub gate: Option<Arc<SyncGate>>,
}

impl LocalOptions {
    /// The defaults: 256 MiB of cache, 4,096 waiting batches, nobody observes, the disk
    /// itself is asked for its room, no tag, no gate.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            observer: Arc::new(Unobserved),
            cache_bytes: CACHE_BYTES_DEFAULT,
            queue_batches_max: QUEUE_BATCHES_MAX_DEFAULT,
            space: Arc::new(DiskSpace),
            log_tag: 0,
            gate: None,
        }
    }
}

/// Hears of every group of commits that was answered. Called on the writer thread, after the
/// answers: must return soon and must not panic.
pub trait CommitObserver: Send + Sync {
    /// `batches` were answered, conflicts among them, after `syncs` calls of fdatasync that together
    /// took `sync_time`, those of a checkpoint before it included. A group of conflicts alone needs none.
    fn group_committed(&self, batches: usize, sync_time: Duration, syncs: u64);

    /// How much room the log takes, after a group or a checkpoint.
    fn log_measured(&self, space: LogSpace);
}

/// What a log takes on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSpace {
    /// Files.
    pub segments: u64,
    /// Bytes of records that are current.
    pub live_bytes: u64,
    /// Bytes that nothing needs any more.
    pub garbage_bytes: u64,
    /// Bytes of the log that are read again if the server is killed now.
    pub uncovered_bytes: u64,
    /// Whether the log is being cleaned, or what is cleaned waits for a checkpoint.
    pub is_cleaning: bool,
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl CommitObserver for Unobserved {
    fn group_committed(&self, _batches: usize, _sync_time: Duration, _syncs: u64) {}

    fn log_measured(&self, _space: LogSpace) {}
}

/// Why a local store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or this one, has the directory open.
    #[error("the store is already open, in this or another process")]
    AlreadyOpen,
    /// A later version of Tidelock wrote it.
    #[error("the store has format {found}, but this version knows formats up to {known}")]
    FormatTooNew {
        /// The format on disk.
        found: u64,
        /// The newest format this version knows.
        known: u64,
    },
    /// What is on disk is not a store, or is damaged.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// The disk or the operating system refused.
    #[error("the store cannot be opened: {0}")]
    Io(#[from] io::Error),
}
