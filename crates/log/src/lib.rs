//! The commit log: an append-only sequence of groups of records, in segments, one sync a group.
//!
//! ```text
//! log.rs       the one writer: begins, appends and syncs groups, lets the oldest segment go
//! group.rs     a group and its records, as bytes
//! segment.rs   a file of the log, and where its groups end
//! recovery.rs  what stands in a directory when it is opened
//! inspect.rs   all there is, damaged or not
//! follow.rs    a log that another process writes, piece by piece
//! import.rs    a log, written from such pieces up to a time
//! reader.rs    values by their place, on any thread
//! cache.rs     values that were read lately
//! fence.rs     who may write
//! spares.rs    files that are used again
//! disk/        what it is written to: a directory, or a disk that commits faults
//! ```
//!
//! The bytes are drawn in docs/format.md, what may go wrong with them in docs/faults.md. Knows neither what
//! a key or a value means nor which records are still current: its user has the index, and
//! copies what is current out of the oldest segment before it lets it go. So the order of the log is
//! the order of truth, the last record of a key is what holds, and a deletion that reaches the old end
//! has nothing left to delete.

mod cache;
mod codec;
pub mod disk;
mod error;
mod fence;
mod follow;
mod group;
mod import;
mod inspect;
mod log;
mod reader;
mod recovery;
mod segment;
mod spares;
#[cfg(test)]
mod tests;

pub use codec::checksum;
pub use error::LogError;
pub use fence::Fence;
pub use follow::{Cursor, Followed, Follower, Piece};
pub use group::{Group, GroupBuilder, PAGE_BYTES, Record, Stamp, record_bytes};
pub use import::{Import, Imported};
pub use inspect::{Damage, Finding, Inspected, inspect};
pub use log::{Log, LogOptions, Sabotage, is_file_of_log};
pub use reader::{LogReader, read_value};
pub use segment::FORMAT;

/// A place between groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the segment.
    pub segment: u64,
    /// Byte in its file.
    pub offset: u32,
    /// Sequence of the group that begins here.
    pub sequence: u64,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Number of the segment.
    pub segment: u64,
    /// Byte in its file.
    pub offset: u32,
    /// Its length in bytes.
    pub len: u32,
    /// Its CRC-32C.
    pub crc: u32,
}
