//! A log of rows as they are, each once: of a store that is taken over, or of what was saved of one.

use std::sync::Arc;

use tidelock_log::disk::Disk;
use tidelock_log::{Fence, Group, GroupBuilder, Log, LogError, LogOptions, Stamp, record_bytes};

use crate::Version;

/// Bytes of rows that are written as one group.
const GROUP_BYTES: usize = 1 << 20;

/// Puts rows into groups.
pub(super) struct RowLog {
    log: Log,
    group: Option<GroupBuilder>,
    /// Bytes that still fit into the group.
    room: usize,
    /// Of all groups, in milliseconds since 1970.
    time: u64,
}

impl RowLog {
    /// A log on a disk that has none; `time` is that of its groups.
    pub(super) fn create(
        disk: &Arc<dyn Disk>,
        options: LogOptions,
        time: u64,
    ) -> Result<Self, LogError> {
        let nothing = &mut |_: &Group| Ok::<_, LogError>(());
        let fence = Arc::new(Fence::take(&**disk, &options)?);
        let log = Log::open(Arc::clone(disk), options, fence, None, nothing)?;
        Ok(Self { log, group: None, room: 0, time })
    }

    pub(super) fn put(
        &mut self,
        key: &[u8],
        version: Version,
        value: &[u8],
    ) -> Result<(), LogError> {
        let bytes = record_bytes(key, value.len());
        if bytes > self.room {
            // The last commit is not known before the end.
            self.write(0)?;
        }
        let group = match &mut self.group {
            Some(group) => group,
            none => {
                self.room = GROUP_BYTES.max(bytes);
                none.insert(self.log.begin_group(self.room)?)
            }
        };
        group.put(key, version.0, value);
        self.room -= bytes;
        Ok(())
    }

    fn write(&mut self, last_commit: u64) -> Result<(), LogError> {
        self.room = 0;
        let stamp = Stamp { version: last_commit, time: self.time };
        match self.group.take() {
            Some(group) => self.log.append(group, stamp),
            None => Ok(()),
        }
    }

    /// Makes all durable; `last_commit` is the number of the store's last commit.
    pub(super) fn finish(mut self, last_commit: u64) -> Result<(), LogError> {
        self.write(last_commit)?;
        // Also says which commit was the last when there was no row.
        let group = self.log.begin_group(0)?;
        self.log.append(group, Stamp { version: last_commit, time: self.time })?;
        self.log.sync()
    }
}
