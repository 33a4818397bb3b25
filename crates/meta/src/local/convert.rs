//! From format 1, whose index had everything, to the log. Until the new index has its name the old one is
//! left as it is, so a conversion that is cut off is begun again.

use std::sync::Arc;

use tidelock_log::disk::Disk;

use super::OpenError;
use super::engine::{EngineOptions, INDEX_NAME, now};
use super::index::Index;
use super::row_log::RowLog;

/// Writes every row of `index` to a new log.
pub(super) fn to_log(
    disk: &Arc<dyn Disk>,
    options: &EngineOptions,
    index: &Index,
) -> Result<(), OpenError> {
    remove_unfinished_log(&**disk)?;
    let mut writer = RowLog::create(disk, options.log, now(&*options.clock))?;
    let last_commit = index.rows_of_format_1(|key, version, value| {
        writer.put(key, version, value).map_err(OpenError::from)
    })?;
    Ok(writer.finish(last_commit)?)
}

/// What an earlier conversion, cut off, has left.
fn remove_unfinished_log(disk: &dyn Disk) -> Result<(), OpenError> {
    let mut names = disk.list()?;
    names.retain(|name| tidelock_log::is_file_of_log(name));
    // The last first: what is left when this is cut off has no gap.
    names.sort_unstable_by(|one, other| other.cmp(one));
    for name in names {
        debug_assert_ne!(name, INDEX_NAME);
        disk.remove(&name)?;
    }
    Ok(disk.sync()?)
}
