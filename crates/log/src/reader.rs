//! Values by their place, for readers on any thread, while the writer goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::cache::ValueCache;
use crate::disk::{Disk, DiskFile};
use crate::group::Trust;
use crate::segment::name_of;
use crate::{LogError, Place};

/// Most segments whose files are kept open; others are opened when they are read.
const OPEN_FILES_MAX: usize = 256;

/// The segments of the log, by number; some with an open file.
type Files = BTreeMap<u64, Option<Arc<dyn DiskFile>>>;

/// Reads values. Cheap to clone.
#[derive(Clone)]
pub struct LogReader {
    disk: Arc<dyn Disk>,
    trust: Trust,
    files: Arc<RwLock<Files>>,
    cache: Arc<ValueCache>,
}

impl LogReader {
    pub(crate) fn new(disk: Arc<dyn Disk>, trust: Trust) -> Self {
        Self { disk, trust, files: Arc::default(), cache: Arc::default() }
    }

    /// The value at `place`; none when what is there is not that value.
    ///
    /// Then either the value was moved by the cleaning and the index names another place by now, or it
    /// is rotten: who reads the index again and finds the same place knows which.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] when the disk does not answer.
    pub fn read(&self, place: &Place) -> Result<Option<Bytes>, LogError> {
        if let Some(value) = self.cache.get(place) {
            return Ok(Some(value));
        }
        let Some(file) = self.file(place.segment)? else { return Ok(None) };
        let value = value_at(&*file, place, self.trust)?;
        value.iter().for_each(|value| self.cache.keep(place, value));
        Ok(value)
    }

    /// The file of a segment that is in the log.
    pub(crate) fn file(&self, segment: u64) -> Result<Option<Arc<dyn DiskFile>>, LogError> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        match files.get(&segment) {
            None => return Ok(None),
            Some(Some(file)) => return Ok(Some(Arc::clone(file))),
            Some(None) => drop(files),
        }
        let file = match self.disk.open(&name_of(segment)) {
            // Dropped from the log just now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        self.keep_open(segment, &file);
        Ok(Some(file))
    }

    /// Adds a segment, whose file is open if the writer has it so.
    pub(crate) fn add(&self, segment: u64, file: Option<Arc<dyn DiskFile>>) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        close_one_of_too_many(&mut files);
        files.insert(segment, file);
    }

    /// Forgets a segment.
    pub(crate) fn remove(&self, segment: u64) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).remove(&segment);
    }

    fn keep_open(&self, segment: u64, file: &Arc<dyn DiskFile>) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        close_one_of_too_many(&mut files);
        if let Some(slot) = files.get_mut(&segment) {
            *slot = Some(Arc::clone(file));
        }
    }
}

fn close_one_of_too_many(files: &mut Files) {
    if files.values().flatten().count() >= OPEN_FILES_MAX
        && let Some(other) = files.values_mut().find(|file| file.is_some())
    {
        *other = None;
    }
}

/// The value at `place` of the log on `disk`, which nobody has open; none when what is there is not that
/// value.
///
/// # Errors
///
/// [`LogError::Io`] when the disk does not answer.
pub fn read_value(disk: &dyn Disk, place: &Place) -> Result<Option<Bytes>, LogError> {
    value_at(&*disk.open(&name_of(place.segment))?, place, Trust::Sound)
}

fn value_at(file: &dyn DiskFile, place: &Place, trust: Trust) -> Result<Option<Bytes>, LogError> {
    let value = match file.read_value(place.len as usize, u64::from(place.offset)) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        value => value?,
    };
    Ok(trust.takes_value(&value, place.crc).then(|| Bytes::from(value)))
}
