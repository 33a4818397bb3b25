//! The keyring: made where nothing has been sealed yet, refused where it is not the one that sealed.
//!
//! The store remembers the name and a fingerprint of the key that seals it, so that a server with
//! another keyring stops before it answers anybody, instead of writing what the others cannot read.

use std::io;
use std::path::Path;

use tidelock_meta::{Direction, KeyRange, MetaStore, ReadLevel};
use tidelock_store::{Entropy, Keyring, SealingError, open_sealing};
use zeroize::Zeroizing;

use crate::config::MetaLocation;
use crate::error::ServeError;
use crate::private_file;

/// Name of the first key of a new keyring.
const FIRST_KEY: &str = "1";

/// The keyring at `path`, which must be that of the store in `meta`; a new one for an empty store.
///
/// # Errors
/// [`ServeError::Keyring`] says what to copy where; [`ServeError::Data`] when the store fails.
pub(crate) async fn open_keyring(
    path: &Path,
    location: &MetaLocation,
    meta: &dyn MetaStore,
    entropy: &dyn Entropy,
) -> Result<Keyring, ServeError> {
    let (keyring, made) = match read_keyring(path)? {
        Some(keyring) => (keyring, Made::Before),
        None => make(path, location, meta, entropy).await?,
    };
    match open_sealing(meta, &keyring, entropy).await {
        Ok(_) => {
            if made == Made::Now {
                tracing::warn!(
                    keyring = %path.display(),
                    "made a keyring: without it nothing that is stored can be read; back it up, \
                     apart from the data"
                );
            }
            Ok(keyring)
        }
        Err(error) => {
            if made == Made::Now && matches!(error, SealingError::KeyDiffers { .. }) {
                // It has sealed nothing, and would only hide that the right one is missing.
                let _left_behind = std::fs::remove_file(path);
                let reason = "another server made this store at the same moment; copy its \
                              keyring here and start again";
                return Err(refused(path, reason));
            }
            Err(unsealed(path, &error))
        }
    }
}

/// The keyring at `path`; none if there is no such file.
///
/// # Errors
/// [`ServeError::Keyring`]: it cannot be read, is open to others, or is none.
pub(crate) fn read_keyring(path: &Path) -> Result<Option<Keyring>, ServeError> {
    let text = private_file::read(path).map_err(|error| refused(path, error))?;
    let Some(text) = text.map(Zeroizing::new) else { return Ok(None) };
    Keyring::parse(&text).map(Some).map_err(|error| refused(path, error))
}

/// A keyring for rows that do not outlive the process: the one at `path`, or one that no file keeps.
///
/// # Errors
/// [`ServeError::Keyring`]: it cannot be read, is open to others, or is none.
pub(super) fn passing(path: &Path, entropy: &dyn Entropy) -> Result<Keyring, ServeError> {
    if let Some(keyring) = read_keyring(path)? {
        return Ok(keyring);
    }
    Keyring::parse(&Keyring::generate(FIRST_KEY, entropy))
        .map_err(|error| refused(Path::new("memory"), error))
}

/// Whether the keyring was there, or is of this start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Before,
    Now,
}

async fn make(
    path: &Path,
    location: &MetaLocation,
    meta: &dyn MetaStore,
    entropy: &dyn Entropy,
) -> Result<(Keyring, Made), ServeError> {
    if !is_empty(meta).await? {
        // A new one would lock everybody out of what the old one sealed, for good.
        let reason = match location {
            MetaLocation::Local | MetaLocation::Memory => {
                "is missing, and the data directory has data sealed with it; put it back"
            }
            MetaLocation::Postgres(_) => {
                "is missing, and the store is sealed with it; copy it here from a server that \
                 uses this store"
            }
        };
        return Err(refused(path, reason));
    }
    let text = Keyring::generate(FIRST_KEY, entropy);
    if let Some(directory) = path.parent() {
        private_file::create_directory(directory).map_err(|error| refused(path, error))?;
    }
    let made = match private_file::create(path, &text) {
        Ok(()) => Made::Now,
        // A second server on this machine, which shares the file, was faster: it is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Made::Before,
        Err(error) => return Err(refused(path, error)),
    };
    let keyring = read_keyring(path)?.ok_or_else(|| refused(path, "is gone again"))?;
    Ok((keyring, made))
}

async fn is_empty(meta: &dyn MetaStore) -> Result<bool, ServeError> {
    let all = KeyRange::prefix(&[]);
    let first = meta.scan(all, 1, Direction::Forward, ReadLevel::Latest).await;
    first.map(|rows| rows.is_empty()).map_err(|error| ServeError::Data(error.to_string()))
}

fn unsealed(path: &Path, error: &SealingError) -> ServeError {
    match error {
        SealingError::KeyMissing { name, uses: Some(uses) } => {
            let reason = format!(
                "lacks the key '{name}', which {uses} stored keys and secrets are still wrapped with; put \
                 its line back, start, and run `tidelock admin keyring rewrap` before it goes"
            );
            refused(path, reason)
        }
        SealingError::KeyMissing { name, uses: None } => {
            let reason = format!(
                "lacks the key '{name}' that seals this store; copy the keyring here from a server \
                 that uses this store"
            );
            refused(path, reason)
        }
        SealingError::KeyDiffers { name } => {
            let reason = format!(
                "has a key '{name}', but not the one of that name that seals this store: it is the \
                 keyring of another store; copy the right one here from a server that uses this \
                 store"
            );
            refused(path, reason)
        }
        SealingError::BeingCopied => ServeError::Unfinished,
        SealingError::Storage(error) => ServeError::Data(error.to_string()),
    }
}

fn refused(path: &Path, reason: impl ToString) -> ServeError {
    ServeError::Keyring { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use tidelock_meta::memory::MemoryStore;
    use tidelock_store::SystemEntropy;

    use super::*;

    async fn open(path: &Path, meta: &MemoryStore) -> Result<Keyring, ServeError> {
        open_keyring(path, &MetaLocation::Local, meta, &SystemEntropy::new()).await
    }

    #[tokio::test]
    async fn a_lost_keyring_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (path, meta) = (directory.path().join("keys/keyring"), MemoryStore::new());
        open(&path, &meta).await.unwrap();
        let made = std::fs::read(&path).unwrap();
        open(&path, &meta).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), made);
        std::fs::remove_file(&path).unwrap();
        let lost = open(&path, &meta).await.err().unwrap();
        assert!(lost.to_string().contains("put it back"), "{lost}");
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_keyring_of_another_store_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, other) = (directory.path().join("ours"), directory.path().join("other"));
        let meta = MemoryStore::new();
        open(&ours, &meta).await.unwrap();
        open(&other, &MemoryStore::new()).await.unwrap();
        let refused = open(&other, &meta).await.err().unwrap();
        assert!(refused.to_string().contains("keyring of another store"), "{refused}");
        let renamed = std::fs::read_to_string(&other).unwrap().replace("\n1:", "\nother:");
        std::fs::write(&other, renamed).unwrap();
        let refused = open(&other, &meta).await.err().unwrap();
        assert!(refused.to_string().contains("lacks the key '1'"), "{refused}");
    }

    #[tokio::test]
    async fn of_two_first_starts_on_two_machines_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let meta = MemoryStore::new();
        let paths = [directory.path().join("a"), directory.path().join("b")];
        let location = MetaLocation::Local;
        let entropy = SystemEntropy::new();
        // Both have seen an empty store.
        let (winner, _) = make(&paths[0], &location, &meta, &entropy).await.unwrap();
        open_sealing(&meta, &winner, &entropy).await.unwrap();
        let late = Late(meta);
        let lost = open_keyring(&paths[1], &location, &late, &entropy).await.err().unwrap();
        assert!(lost.to_string().contains("at the same moment"), "{lost}");
        assert!(!paths[1].exists());
    }

    /// A store that shows no rows to a scan: as it was a moment before.
    struct Late(MemoryStore);

    #[async_trait::async_trait]
    impl MetaStore for Late {
        fn limits(&self) -> tidelock_meta::Limits {
            self.0.limits()
        }

        async fn get(
            &self,
            keys: &[tidelock_meta::Key],
            level: ReadLevel,
        ) -> Result<Vec<Option<tidelock_meta::Versioned>>, tidelock_meta::MetaError> {
            self.0.get(keys, level).await
        }

        async fn scan(
            &self,
            _range: KeyRange,
            _limit: usize,
            _direction: Direction,
            _level: ReadLevel,
        ) -> Result<Vec<(tidelock_meta::Key, tidelock_meta::Versioned)>, tidelock_meta::MetaError>
        {
            Ok(Vec::new())
        }

        async fn commit(
            &self,
            batch: tidelock_meta::Batch,
        ) -> Result<tidelock_meta::Outcome, tidelock_meta::MetaError> {
            self.0.commit(batch).await
        }
    }
}
