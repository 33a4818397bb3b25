//! A file that gets its name once it is whole, and until then has one that nobody else has.

use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::fs::{File, OpenOptions};

use crate::exit::Failure;

/// A file on its way; it is removed unless it is kept.
#[derive(Debug)]
pub(crate) struct PartFile {
    path: PathBuf,
    pub(crate) file: File,
}

impl PartFile {
    /// A new file in the directory of `place`.
    pub(crate) async fn beside(place: &Path) -> Result<Self, Failure> {
        let mut random = [0; 8];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| Failure::other(&"the system gives no randomness"))?;
        let name = format!(".tidelock-{:016x}.part", u64::from_be_bytes(random));
        let path = place.with_file_name(name);
        let created = OpenOptions::new().write(true).create_new(true).open(&path).await;
        let file = created.map_err(|error| named(&path, &error))?;
        Ok(Self { path, file })
    }

    /// Puts it at `place`, whatever stands there.
    pub(crate) fn keep_as(self, place: &Path) -> Result<(), Failure> {
        std::fs::rename(&self.path, place).map_err(|error| named(place, &error))
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // One that was kept has another name by now.
        let _gone = std::fs::remove_file(&self.path);
    }
}

fn named(path: &Path, error: &std::io::Error) -> Failure {
    Failure::other(&format!("{}: {error}", path.display()))
}
