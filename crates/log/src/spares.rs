//! Files of segments that were let go, kept to be used again: growing a file costs a journal commit with
//! each sync, writing over one does not.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::segment::name_of;

/// Most files that are kept: as many as are mostly let go at once. They are also what a full disk can still be
/// written to.
const SPARES_MAX: usize = 3;

const SUFFIX: &str = ".spare";

/// Whether a file of this name is kept to be used again.
pub(crate) fn is_spare(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// The names of the files that are kept.
#[derive(Debug)]
pub(crate) struct Spares(Vec<String>);

impl Spares {
    /// None yet: those of an opening before are removed.
    pub(crate) fn new(disk: &dyn Disk) -> io::Result<Self> {
        for name in disk.list()?.iter().filter(|name| is_spare(name)) {
            disk.remove(name)?;
        }
        Ok(Self(Vec::new()))
    }

    /// A file called `name`: one that was kept, with whatever is in it, or a new one.
    pub(crate) fn take(&mut self, disk: &dyn Disk, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let Some(spare) = self.0.pop() else { return disk.create(name) };
        disk.rename_new(&spare, name)?;
        disk.open(name).or_else(|error| {
            // What stands in it is of another segment, and not to be read under this name.
            disk.rename(name, &spare)?;
            self.0.push(spare);
            Err(error)
        })
    }

    /// Keeps the file of segment `number`, if there is room for it and it is `ours`, or removes it. A file of
    /// an opening before this one may still be written by whoever was replaced.
    pub(crate) fn keep(&mut self, disk: &dyn Disk, number: u64, ours: bool) -> io::Result<()> {
        let name = name_of(number);
        if !ours || self.0.len() >= SPARES_MAX {
            return disk.remove(&name);
        }
        let spare = format!("{number:016x}{SUFFIX}");
        if disk.rename(&name, &spare).is_err() {
            // The longer name may need room that there is not.
            return disk.remove(&name);
        }
        self.0.push(spare);
        Ok(())
    }
}
