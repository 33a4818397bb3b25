//! A place for backups: small files by name, and blobs beside them; a directory, or a prefix of a bucket.
//!
//! A file is there whole and durable, or not at all. Knows nothing of what the files say.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};

use super::error::failure;
use super::location::{Location, Scheme};
use super::remote::RemoteBlobs;
use super::{OpenError, client};
use crate::fs::{FsBlobStore, ReadOnlyBlobs};
use crate::{BlobError, BlobStore};

/// Where the blobs of an archive are in it.
const BLOBS: &str = "blobs";

/// What a file is called while it is written.
const UNFINISHED_SUFFIX: &str = ".new";

/// A place for backups.
pub struct Archive {
    shown: String,
    place: Place,
}

enum Place {
    Directory(PathBuf),
    Remote { client: Arc<dyn ObjectStore>, prefix: Path },
}

/// Which content a file had when it was read, for [`Archive::replace`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(Option<String>, bool);

impl Archive {
    /// The archive at `target`: the path of a directory, or a URL as [`super::ObjectStoreBlobs::open`] takes
    /// it, with the same `variables`. Nothing is made and nothing is sent.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; none names a secret.
    pub fn open(
        target: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, OpenError> {
        if !target.contains("://") {
            let place = Place::Directory(PathBuf::from(target));
            return Ok(Self { shown: target.to_owned(), place });
        }
        let location: Location = target.parse()?;
        let place = match location.scheme {
            Scheme::File => Place::Directory(PathBuf::from(&location.container)),
            Scheme::S3 | Scheme::Gs | Scheme::Az => {
                let variables: Vec<_> = variables.into_iter().collect();
                let client = client::build(&location, &variables)?;
                Place::Remote { client, prefix: location.prefix.clone() }
            }
        };
        Ok(Self { shown: location.to_string(), place })
    }

    /// The blobs in it, to write some.
    ///
    /// # Errors
    ///
    /// The directory cannot be made.
    pub fn blobs(&self) -> io::Result<Arc<dyn BlobStore>> {
        Ok(match &self.place {
            Place::Directory(path) => Arc::new(FsBlobStore::open_shared(&path.join(BLOBS))?),
            Place::Remote { .. } => self.blobs_to_read(),
        })
    }

    /// The blobs in it, to read them.
    pub fn blobs_to_read(&self) -> Arc<dyn BlobStore> {
        match &self.place {
            Place::Directory(path) => Arc::new(ReadOnlyBlobs::new(&path.join(BLOBS))),
            Place::Remote { client, prefix } => {
                Arc::new(RemoteBlobs::new(Arc::clone(client), prefix.clone().join(BLOBS)))
            }
        }
    }

    /// The content of the file `name`; none if there is no such file.
    ///
    /// # Errors
    ///
    /// [`BlobError`]
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        Ok(self.look(name).await?.0)
    }

    /// The same, and what [`Archive::replace`] has to be told.
    ///
    /// # Errors
    ///
    /// [`BlobError`]
    pub async fn look(&self, name: &str) -> Result<(Option<Bytes>, Seen), BlobError> {
        match &self.place {
            Place::Directory(path) => match fs::read(path.join(name)) {
                Ok(bytes) => Ok((Some(Bytes::from(bytes)), Seen(None, true))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Ok((None, Seen::default()))
                }
                Err(error) => Err(BlobError::Io(error)),
            },
            Place::Remote { client, prefix } => match client.get(&path_of(prefix, name)).await {
                Ok(found) => {
                    let tag = found.meta.e_tag.clone();
                    let bytes = found.bytes().await.map_err(|error| failure(&error))?;
                    Ok((Some(bytes), Seen(tag, true)))
                }
                Err(object_store::Error::NotFound { .. }) => {
                    // Never "there is none" where the bucket is missing.
                    self.blobs_to_read().list(None, 1).await?;
                    Ok((None, Seen::default()))
                }
                Err(error) => Err(failure(&error)),
            },
        }
    }

    /// Writes the file `name`, durably.
    ///
    /// # Errors
    ///
    /// [`BlobError`]
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        match &self.place {
            Place::Directory(path) => Ok(write_file(path, name, &bytes)?),
            Place::Remote { client, prefix } => {
                let put = client.put(&path_of(prefix, name), bytes.into()).await;
                put.map(drop).map_err(|error| failure(&error))
            }
        }
    }

    /// Writes the file `name` over what was `seen` there.
    ///
    /// # Errors
    ///
    /// [`BlobError::AlreadyExists`] when somebody else has written it since; in a directory that is for
    /// [`Archive::lock`] to keep away.
    pub async fn replace(&self, name: &str, seen: &Seen, bytes: Bytes) -> Result<(), BlobError> {
        let Place::Remote { client, prefix } = &self.place else {
            return self.put(name, bytes).await;
        };
        let mode = match seen {
            Seen(tag @ Some(_), _) => {
                PutMode::Update(UpdateVersion { e_tag: tag.clone(), version: None })
            }
            Seen(None, false) => PutMode::Create,
            Seen(None, true) => PutMode::Overwrite,
        };
        match client.put_opts(&path_of(prefix, name), bytes.into(), mode.into()).await {
            Ok(_) => Ok(()),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Err(BlobError::AlreadyExists),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Whether it is a directory, which one process writes at a time.
    pub fn is_directory(&self) -> bool {
        matches!(self.place, Place::Directory(_))
    }

    /// Makes the directory, and keeps others from writing to it as long as the answer lives; in a bucket
    /// nothing is to be made, and [`Archive::replace`] keeps them away.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when another process has it.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let Place::Directory(path) = &self.place else { return Ok(None) };
        make(path)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(fs::TryLockError::WouldBlock) => {
                let what = "another backup is being written there";
                Err(io::Error::new(io::ErrorKind::WouldBlock, what))
            }
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The path or the URL; it holds no secret.
impl fmt::Display for Archive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

fn path_of(prefix: &Path, name: &str) -> Path {
    name.split('/').fold(prefix.clone(), |path, part| path.join(part))
}

fn make(path: &FilePath) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Under another name first: whoever finds the file finds it whole.
fn write_file(directory: &FilePath, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = directory.join(name);
    let parent = path.parent().unwrap_or(directory);
    if !parent.exists() {
        make(parent)?;
        sync(parent.parent().unwrap_or(directory))?;
    }
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(UNFINISHED_SUFFIX);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    sync(parent)
}

fn sync(directory: &FilePath) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn files_come_back_and_one_process_writes() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a/b");
        for target in [path.display().to_string(), format!("file://{}", path.display())] {
            let archive = Archive::open(&target, []).unwrap();
            assert_eq!(archive.to_string(), target);
            let lock = archive.lock().unwrap();
            let again = archive.lock().unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::WouldBlock);
            drop(lock);
            assert_eq!(archive.get("none").await.unwrap(), None);
            for content in ["one", "another"] {
                archive.put("log/1/piece", Bytes::from(content)).await.unwrap();
                assert_eq!(archive.get("log/1/piece").await.unwrap().unwrap(), content);
            }
        }
        assert_eq!(fs::read_dir(path.join("log/1")).unwrap().count(), 1);
    }
}
