//! The two ends of a copy: a store that must have been stopped, and one that must be empty.

use std::sync::Arc;

use bytes::Bytes;
use tidelock_blob::BlobStore;
use tidelock_meta::record::store::{self, StoreState};
use tidelock_meta::{Clock, MetaError, MetaStore, ReadLevel, Version};
use tidelock_store::{
    Announcements, Entropy, StorageError, StoreSealing, Watched, finish_copy, mark_copy,
    open_sealing, read_sealing, watch_servers,
};

use super::{CopyError, CopyMode, CopyRequest, Place, bodies, rows};
use crate::config::{BlobLocation, StoreLocation};
use crate::engine::{
    Close, DataDirectory, Rows, find_shared_rows, open_bodies, open_rows, read_keyring,
};
use crate::error::ServeError;
use crate::metrics::Metrics;

/// Name of the keyring file in the data directory.
const KEYRING_FILE: &str = "keyring";

/// Where the copy comes from.
pub(super) struct Source {
    opened: Opened,
    /// What servers had said when it was found silent; none where the directory's lock keeps them out.
    silent: Option<Announcements>,
    sealing: Sealing,
}

/// Where it goes.
pub(super) struct Destination {
    opened: Opened,
    entropy: Arc<dyn Entropy>,
    /// Whether its bodies are others than the source's.
    has_own_bodies: bool,
}

/// Rows and bodies of either.
struct Opened {
    place: String,
    /// Whether servers of other machines may have it open, too.
    is_shared: bool,
    meta: Arc<dyn MetaStore>,
    blobs: Arc<dyn BlobStore>,
    close: Close,
}

/// What the source remembers of its keys.
struct Sealing {
    /// The row as stored; none in a dry run over a store that no server of this version has opened.
    row: Option<Bytes>,
    id: Option<[u8; 16]>,
    key_name: String,
}

impl Source {
    pub(super) async fn open(
        request: &CopyRequest,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, CopyError> {
        let place = &request.from;
        // It is only read: whether a fail-over would lose writes is no concern.
        let opened = Opened::find(place, request, true, clock, entropy.clone()).await?;
        let opened = opened.ok_or_else(|| CopyError::NoStore(place.store.to_string()))?;
        match prepare(request, &opened, &*entropy).await {
            Ok((silent, sealing)) => Ok(Self { opened, silent, sealing }),
            Err(error) => {
                opened.close().await;
                Err(error)
            }
        }
    }

    pub(super) fn meta(&self) -> &dyn MetaStore {
        &*self.opened.meta
    }

    pub(super) fn blobs(&self) -> &dyn BlobStore {
        &*self.opened.blobs
    }

    /// Name of the key that seals the store.
    pub(super) fn key_name(&self) -> &str {
        &self.sealing.key_name
    }

    /// Whether the destination's bodies are elsewhere than the source's.
    pub(super) fn bodies_move(&self, request: &CopyRequest) -> bool {
        bodies_move(request)
    }

    /// Refuses a store that a server has run on since it was opened.
    pub(super) async fn require_stopped(&self) -> Result<(), CopyError> {
        let Some(silent) = &self.silent else { return Ok(()) };
        match silent.heard_since(self.meta()).await.map_err(storage)? {
            0 => Ok(()),
            servers => Err(CopyError::Running { place: self.opened.place.clone(), servers }),
        }
    }

    pub(super) async fn close(self) {
        self.opened.close().await;
    }
}

impl Destination {
    /// Opens it, and makes it if there is none.
    pub(super) async fn open(
        request: &CopyRequest,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, CopyError> {
        let accepted = request.accept_unsafe_replication;
        let opened = Opened::open(&request.to, request, accepted, clock, entropy.clone()).await?;
        Self::over(opened, request, entropy).await
    }

    /// Opens it if it is there: a store that is not is as good as an empty one.
    pub(super) async fn look(
        request: &CopyRequest,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Option<Self>, CopyError> {
        let accepted = request.accept_unsafe_replication;
        let found = Opened::find(&request.to, request, accepted, clock, entropy.clone()).await?;
        match found {
            Some(opened) => Self::over(opened, request, entropy).await.map(Some),
            None => Ok(None),
        }
    }

    async fn over(
        opened: Opened,
        request: &CopyRequest,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, CopyError> {
        if let Err(error) = opened.require_silence().await {
            opened.close().await;
            return Err(error);
        }
        Ok(Self { opened, entropy, has_own_bodies: bodies_move(request) })
    }

    pub(super) fn meta(&self) -> &dyn MetaStore {
        &*self.opened.meta
    }

    pub(super) fn blobs(&self) -> &dyn BlobStore {
        &*self.opened.blobs
    }

    /// Refuses a destination with anything in it but an unfinished copy of the same source.
    pub(super) async fn require_room_for(&self, source: &Source) -> Result<(), CopyError> {
        let begun = read_sealing(self.meta()).await.map_err(storage)?;
        if begun.is_some_and(|begun| is_unfinished(&begun) && Some(begun.id) == source.sealing.id) {
            return Ok(());
        }
        let has_bodies = self.has_own_bodies && !bodies::is_empty(self.blobs()).await?;
        if has_bodies || rows::first(self.meta()).await?.is_some() {
            return Err(CopyError::NotEmpty(self.opened.place.clone()));
        }
        Ok(())
    }

    /// Marks it as a copy that is not finished: no server opens it, and a copy that had begun before
    /// writes no more.
    pub(super) async fn mark(&self, source: &Source) -> Result<Version, CopyError> {
        let missing = || CopyError::NoStore(source.opened.place.clone());
        let row = source.sealing.row.as_deref().ok_or_else(missing)?;
        let marked = mark_copy(self.meta(), &*self.entropy, row, StoreState::BeingCopied).await;
        marked.map_err(storage)?.ok_or_else(|| CopyError::NotEmpty(self.opened.place.clone()))
    }

    /// Marks it as whole.
    pub(super) async fn unmark(&self, mark: Version) -> Result<(), CopyError> {
        match finish_copy(self.meta(), &*self.entropy, mark).await.map_err(storage)? {
            true => Ok(()),
            false => Err(CopyError::TakenOver),
        }
    }

    pub(super) async fn close(self) {
        self.opened.close().await;
    }
}

impl Opened {
    async fn open(
        place: &Place,
        request: &CopyRequest,
        accept_unsafe_replication: bool,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, CopyError> {
        let failed = |error| CopyError::Open { place: place.store.to_string(), error };
        let metrics = Arc::new(Metrics::new());
        let (meta, directory) = (place.store.meta(), directory_of(place));
        let accepted = accept_unsafe_replication;
        let rows = open_rows(&meta, &directory, accepted, clock, metrics);
        let rows = rows.await.map_err(failed)?;
        Self::over(rows, place, request, entropy).await
    }

    /// Opens what is there; makes no store.
    async fn find(
        place: &Place,
        request: &CopyRequest,
        accept_unsafe_replication: bool,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Option<Self>, CopyError> {
        let accepted = accept_unsafe_replication;
        let url = match &place.store {
            StoreLocation::Directory(path) if !DataDirectory::new(path).meta().exists() => {
                return Ok(None);
            }
            StoreLocation::Directory(_) => {
                return Self::open(place, request, accepted, clock, entropy).await.map(Some);
            }
            StoreLocation::Postgres(url) => url,
        };
        let failed = |error| CopyError::Open { place: url.to_string(), error };
        match find_shared_rows(url, accepted, clock).await.map_err(failed)? {
            Some(rows) => Self::over(rows, place, request, entropy).await.map(Some),
            None => Ok(None),
        }
    }

    async fn over(
        rows: Rows,
        place: &Place,
        request: &CopyRequest,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, CopyError> {
        let failed = |error| CopyError::Open { place: place.store.to_string(), error };
        let (blobs, directory) = (blobs_of(place)?, directory_of(place));
        let bodies = open_bodies(&blobs, &directory, &rows.meta, entropy, &request.variables).await;
        let (meta, close) = (rows.meta, rows.close);
        match bodies {
            Ok(blobs) => {
                let is_shared = place.store.directory().is_none();
                Ok(Self { place: place.store.to_string(), is_shared, meta, blobs, close })
            }
            Err(error) => {
                close().await;
                Err(failed(error))
            }
        }
    }

    /// Refuses a store that servers run on; watches it for up to a minute if some were killed.
    /// A directory is locked by whoever has it open, that is by us.
    async fn require_silence(&self) -> Result<Option<Announcements>, CopyError> {
        if !self.is_shared {
            return Ok(None);
        }
        match watch_servers(&*self.meta).await.map_err(storage)? {
            Watched::Silent(announcements) => Ok(Some(announcements)),
            Watched::Running { servers } => {
                Err(CopyError::Running { place: self.place.clone(), servers })
            }
        }
    }

    async fn close(self) {
        (self.close)().await;
    }
}

fn bodies_move(request: &CopyRequest) -> bool {
    // Of the settings that name one place, only an object store's are the same place for both.
    let shared = |place: &Place| match blobs_of(place) {
        Ok(BlobLocation::ObjectStore(url)) => Some(url),
        Ok(_) | Err(_) => None,
    };
    let (from, to) = (shared(&request.from), shared(&request.to));
    from.is_none() || from != to
}

fn directory_of(place: &Place) -> DataDirectory {
    DataDirectory::new(place.store.directory().unwrap_or("".as_ref()))
}

fn blobs_of(place: &Place) -> Result<BlobLocation, CopyError> {
    Ok(BlobLocation::beside(&place.store.meta(), place.blobs.clone())?)
}

/// Finds the source stopped, whole, and sealed with a known key.
async fn prepare(
    request: &CopyRequest,
    opened: &Opened,
    entropy: &dyn Entropy,
) -> Result<(Option<Announcements>, Sealing), CopyError> {
    let silent = opened.require_silence().await?;
    if rows::first(&*opened.meta).await?.is_none() {
        return Err(CopyError::NoStore(opened.place.clone()));
    }
    let mut found = read_sealing(&*opened.meta).await.map_err(storage)?;
    if found.is_none() && request.mode == CopyMode::Real {
        // Of before the store remembered its key: remembered now, as the next start would.
        found = Some(remember(request, opened, entropy).await?);
    }
    let Some(found) = found else {
        return Ok((silent, Sealing { row: None, id: None, key_name: String::new() }));
    };
    if is_unfinished(&found) {
        return Err(CopyError::SourceUnfinished(opened.place.clone()));
    }
    let mut read = opened.meta.get(&[store::key()], ReadLevel::Latest).await?;
    let row = read.pop().flatten().map(|row| row.value);
    let key_name = found.keys.last().cloned().unwrap_or_default();
    Ok((silent, Sealing { row, id: Some(found.id), key_name }))
}

async fn remember(
    request: &CopyRequest,
    opened: &Opened,
    entropy: &dyn Entropy,
) -> Result<StoreSealing, CopyError> {
    let failed = |error| CopyError::Open { place: opened.place.clone(), error };
    let directory = request.from.store.directory();
    let path = request.keyring.clone().or_else(|| directory.map(|path| path.join(KEYRING_FILE)));
    let path = path.unwrap_or_default();
    let refused = |reason: String| {
        failed(ServeError::Keyring { path: path.clone(), reason: format!("{reason} (--keyring)") })
    };
    let keyring = read_keyring(&path).map_err(failed)?;
    let keyring = keyring.ok_or_else(|| refused("is missing".to_owned()))?;
    let sealing = open_sealing(&*opened.meta, &keyring, entropy).await;
    sealing.map_err(|error| refused(error.to_string()))
}

fn is_unfinished(sealing: &StoreSealing) -> bool {
    sealing.state == StoreState::BeingCopied
}

fn storage(error: StorageError) -> CopyError {
    CopyError::Meta(match error {
        StorageError::Overloaded(_) => MetaError::Overloaded,
        StorageError::Unavailable(reason) => MetaError::Unavailable(reason),
        StorageError::Corrupt(reason) => MetaError::Corrupt(reason),
    })
}
