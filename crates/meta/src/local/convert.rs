//! From format 1, whose index had everything, to the log. Until the new index has its name the old one is
//! left as it is, so a conversion that is cut off is begun again.

use std::sync::Arc;

use tidelock_log::disk::Disk;
use tidelock_log::{GroupBuilder, Log, LogError, record_bytes};

use super::OpenError;
use super::engine::{EngineOptions, INDEX_NAME};
use super::index::Index;
use crate::Version;

/// Bytes of rows that are written as one group.
const GROUP_BYTES: usize = 1 << 20;

/// Writes every row of `index` to a new log.
pub(super) fn to_log(
    disk: &Arc<dyn Disk>,
    options: &EngineOptions,
    index: &Index,
) -> Result<(), OpenError> {
    remove_unfinished_log(&**disk)?;
    let nothing = &mut |_: &tidelock_log::Group| Ok::<_, LogError>(());
    let log = Log::open(Arc::clone(disk), options.log, None, nothing)?;
    let mut writer = Writer { log, group: None, room: 0 };
    let last_commit = index.rows_of_format_1(|key, version, value| {
        writer.put(key, version, value).map_err(OpenError::from)
    })?;
    Ok(writer.finish(last_commit)?)
}

/// What an earlier conversion, cut off, has left.
fn remove_unfinished_log(disk: &dyn Disk) -> Result<(), OpenError> {
    for name in disk.list()?.into_iter().filter(|name| tidelock_log::is_file_of_log(name)) {
        debug_assert_ne!(name, INDEX_NAME);
        disk.remove(&name)?;
    }
    Ok(disk.sync()?)
}

/// Puts rows into groups.
struct Writer {
    log: Log,
    group: Option<GroupBuilder>,
    /// Bytes that still fit into the group.
    room: usize,
}

impl Writer {
    fn put(&mut self, key: &[u8], version: Version, value: &[u8]) -> Result<(), LogError> {
        let bytes = record_bytes(key, value.len());
        if bytes > self.room {
            // The last commit is not known before the end: no start takes this log for a whole one.
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
        match self.group.take() {
            Some(group) => self.log.append(group, last_commit),
            None => Ok(()),
        }
    }

    fn finish(mut self, last_commit: u64) -> Result<(), LogError> {
        self.write(last_commit)?;
        // Also says which commit was the last when there was no row.
        let group = self.log.begin_group(0)?;
        self.log.append(group, last_commit)?;
        self.log.sync()
    }
}
