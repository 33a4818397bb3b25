//! Which keys the store is sealed with, as the store itself remembers it, so that a server with the
//! wrong keyring is refused before it writes what others cannot read. Also root's key pair, where the
//! servers share it. Works on any engine before there is a [`crate::Store`]; knows no file.

use tidelock_meta::record::root::{self, RootRow};
use tidelock_meta::record::store::{self, KnownKey, StoreRow, StoreState};
use tidelock_meta::{
    Batch, Key, MetaError, MetaStore, OpId, Outcome, ReadLevel, Version, Versioned,
};
use zeroize::Zeroizing;

use crate::entropy::{self, Entropy};
use crate::error::StorageError;
use crate::keyring::Keyring;
use crate::rewrap;

/// How often a row is read again because somebody else has just written it.
const ATTEMPTS_MAX: u32 = 20;

/// What the store remembers of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSealing {
    /// Names the store for good; a copy has the id of what it was copied from.
    pub id: [u8; 16],
    /// Names of the keys that have ever wrapped, in the order in which they began to; the last one
    /// wraps now.
    pub keys: Vec<String>,
    /// Whether it may be served.
    pub state: StoreState,
}

/// Why a store cannot be opened with a keyring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// Something in the store may be sealed with a key that is not here.
    #[error("the keyring lacks the key {name}, which this store is sealed with")]
    KeyMissing {
        /// Its name.
        name: String,
        /// How many wrappings need it; none where it is the one that wraps now.
        uses: Option<u64>,
    },
    /// The keyring has another key under the name.
    #[error("the key {name} of the keyring is not the one that this store is sealed with")]
    KeyDiffers {
        /// Its name.
        name: String,
    },
    /// A copy into it is under way, or was broken off.
    #[error("the store is being copied into; finish the copy, or start it over")]
    BeingCopied,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<MetaError> for SealingError {
    fn from(error: MetaError) -> Self {
        Self::Storage(error.into())
    }
}

/// Compares `keyring` with the keys that the store is sealed with, and makes the store remember the
/// keyring's first key if it does not yet: on first use, and when the key was rotated. All keys that
/// something is wrapped with must be there, so that a rotation can neither lock a server out of what is
/// stored nor be taken back half-way. Where an older one is missing all rows are looked at, and the store
/// forgets it if none needs it.
///
/// # Errors
///
/// [`SealingError`]; then the store is as it was.
pub async fn open_sealing(
    meta: &dyn MetaStore,
    keyring: &Keyring,
    entropy: &dyn Entropy,
) -> Result<StoreSealing, SealingError> {
    for _ in 0..ATTEMPTS_MAX {
        let seen = read_latest(meta, store::key()).await?;
        let mut row = match &seen {
            Some(seen) => decode(seen)?,
            None => {
                StoreRow { id: entropy::array(entropy), keys: Vec::new(), state: StoreState::Whole }
            }
        };
        let unneeded = check_sealing(meta, &row, keyring).await?;
        row.keys.retain(|key| !unneeded.contains(&key.name));
        let active = keyring.active();
        if unneeded.is_empty() && row.keys.last().is_some_and(|key| key.name == active) {
            return Ok(StoreSealing::of(row));
        }
        row.keys.retain(|key| key.name != active);
        // The active key is in the keyring: it is its first.
        let fingerprint = keyring.fingerprint(active).unwrap_or_default();
        row.keys.push(KnownKey { name: active.to_owned(), fingerprint });
        replace(meta, entropy, (store::key(), seen.as_ref()), row.encode()).await?;
    }
    Err(StorageError::Overloaded("other servers keep changing the active key".to_owned()).into())
}

/// What the store remembers of itself; none before its first use. Changes nothing.
///
/// # Errors
///
/// When the engine fails or the row is damaged.
pub async fn read_sealing(meta: &dyn MetaStore) -> Result<Option<StoreSealing>, StorageError> {
    let seen = read_latest(meta, store::key()).await?;
    Ok(match seen {
        Some(seen) => Some(StoreSealing::of(decode(&seen)?)),
        None => None,
    })
}

/// Whether `keyring` opens all that the store may hold. Changes nothing; a store that was never used
/// opens with any.
///
/// # Errors
///
/// [`SealingError`].
pub async fn check_keyring(meta: &dyn MetaStore, keyring: &Keyring) -> Result<(), SealingError> {
    match read_latest(meta, store::key()).await? {
        Some(seen) => check_sealing(meta, &decode(&seen)?, keyring).await.map(drop),
        None => Ok(()),
    }
}

/// Makes a copy remember what its source does, in another state: `BeingCopied` before the first row.
/// `source` is the source's row as stored. Answers the version of the mark, which what is copied must
/// check: a copy that marks the same target later takes it over. None if the target is whole, or the
/// copy of another store.
///
/// # Errors
///
/// When the engine fails, a row is damaged, or somebody else keeps writing it.
pub async fn mark_copy(
    target: &dyn MetaStore,
    entropy: &dyn Entropy,
    source: &[u8],
    state: StoreState,
) -> Result<Option<Version>, StorageError> {
    let row = StoreRow { state, ..StoreRow::decode(source)? };
    for _ in 0..ATTEMPTS_MAX {
        let seen = read_latest(target, store::key()).await?;
        if let Some(seen) = &seen {
            let found = decode(seen)?;
            if found.state == StoreState::Whole || found.id != row.id {
                return Ok(None);
            }
        }
        let place = (store::key(), seen.as_ref());
        if let Some(version) = replace(target, entropy, place, row.encode()).await? {
            return Ok(Some(version));
        }
    }
    Err(StorageError::Overloaded("somebody else writes to the copy".to_owned()))
}

/// Makes a copy whole after its last row was verified; false if another one has taken the target over
/// since it was marked.
///
/// # Errors
///
/// When the engine fails or a row is damaged.
pub async fn finish_copy(
    target: &dyn MetaStore,
    entropy: &dyn Entropy,
    mark: Version,
) -> Result<bool, StorageError> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(seen) = read_latest(target, store::key()).await? else { return Ok(false) };
        let row = StoreRow { state: StoreState::Whole, ..decode(&seen)? }.encode();
        if seen.version != mark {
            // Whole all the same, if this is what became of a commit whose reply was lost.
            return Ok(seen.value == row);
        }
        if replace(target, entropy, (store::key(), Some(&seen)), row).await?.is_some() {
            return Ok(true);
        }
    }
    Err(StorageError::Overloaded("nobody knows whether the copy was made whole".to_owned()))
}

/// Root's key pair (access key id, secret access key) of a store that several servers share: the stored
/// one, or what `propose` makes if there is none yet. Of several servers that propose at once, one wins.
///
/// # Errors
///
/// When the engine fails, or the stored secret does not open with this keyring.
pub async fn root_credentials(
    meta: &dyn MetaStore,
    keyring: &Keyring,
    entropy: &dyn Entropy,
    propose: impl FnOnce() -> (String, Zeroizing<String>) + Send,
) -> Result<(String, Zeroizing<String>), StorageError> {
    let mut proposal = None;
    let mut propose = Some(propose);
    for _ in 0..ATTEMPTS_MAX {
        let seen = read_latest(meta, root::key()).await?;
        if let Some(seen) = seen {
            return open_root(keyring, &RootRow::decode(&seen.value)?);
        }
        if let Some(propose) = propose.take() {
            let (access_key_id, secret) = propose();
            let place = root_place(&access_key_id);
            let sealed_secret = keyring.wrap(secret.as_bytes(), &place, entropy);
            proposal = Some(RootRow { access_key_id, sealed_secret }.encode());
        }
        if let Some(row) = &proposal {
            replace(meta, entropy, (root::key(), None), row.clone()).await?;
        }
    }
    Err(StorageError::Unavailable("root's key pair could not be stored".to_owned()))
}

impl StoreSealing {
    fn of(row: StoreRow) -> Self {
        let keys = row.keys.into_iter().map(|key| key.name).collect();
        Self { id: row.id, keys, state: row.state }
    }
}

/// The keys that are missing and that nothing needs any more. Never the one that wraps now: whoever has it
/// may be about to use it.
async fn check_sealing(
    meta: &dyn MetaStore,
    row: &StoreRow,
    keyring: &Keyring,
) -> Result<Vec<String>, SealingError> {
    if row.state == StoreState::BeingCopied {
        return Err(SealingError::BeingCopied);
    }
    let mut missing = Vec::new();
    for KnownKey { name, fingerprint } in &row.keys {
        match keyring.fingerprint(name) {
            Some(here) if here == *fingerprint => {}
            Some(_) => return Err(SealingError::KeyDiffers { name: name.clone() }),
            None => missing.push(name.clone()),
        }
    }
    if let Some(last) = row.keys.last().filter(|last| missing.contains(&last.name)) {
        return Err(SealingError::KeyMissing { name: last.name.clone(), uses: None });
    }
    if !missing.is_empty() {
        let uses = rewrap::count_uses(meta, &missing).await?;
        if let Some((name, uses)) = uses.into_iter().find(|(_, uses)| *uses > 0) {
            return Err(SealingError::KeyMissing { name, uses: Some(uses) });
        }
    }
    Ok(missing)
}

fn open_root(
    keyring: &Keyring,
    row: &RootRow,
) -> Result<(String, Zeroizing<String>), StorageError> {
    let damaged = |why: String| StorageError::Corrupt(format!("root's key pair: {why}"));
    let place = root_place(&row.access_key_id);
    let secret =
        keyring.unwrap(&row.sealed_secret, &place).map_err(|error| damaged(error.to_string()))?;
    let secret = std::str::from_utf8(&secret).map_err(|_| damaged("not UTF-8".to_owned()))?;
    Ok((row.access_key_id.clone(), Zeroizing::new(secret.to_owned())))
}

/// What root's secret is bound to. No user's secret has such a place: theirs are their ids alone.
pub(crate) fn root_place(access_key_id: &str) -> Vec<u8> {
    [b"root\0", access_key_id.as_bytes()].concat()
}

fn decode(seen: &Versioned) -> Result<StoreRow, StorageError> {
    Ok(StoreRow::decode(&seen.value)?)
}

async fn read_latest(meta: &dyn MetaStore, key: Key) -> Result<Option<Versioned>, StorageError> {
    Ok(meta.get(&[key], ReadLevel::Latest).await?.pop().flatten())
}

/// Replaces a row that was read as `seen`. None if it did not land or nobody knows: the caller reads
/// again and sees.
async fn replace(
    meta: &dyn MetaStore,
    entropy: &dyn Entropy,
    row: (Key, Option<&Versioned>),
    value: bytes::Bytes,
) -> Result<Option<Version>, StorageError> {
    let (key, seen) = row;
    let mut batch = Batch::new(OpId(entropy::array(entropy)));
    batch.expect(key.clone(), seen);
    batch.put(key, value);
    match meta.commit(batch).await {
        Ok(Outcome::Committed(version)) => Ok(Some(version)),
        Ok(Outcome::Conflict { .. }) | Err(MetaError::Unknown) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use tidelock_meta::memory::{MemoryStore, UnknownCommit};

    use super::*;
    use crate::entropy::SystemEntropy;

    fn text(name: &str) -> String {
        Keyring::generate(name, &SystemEntropy::new()).to_string()
    }

    fn keyring(texts: &[&str]) -> Keyring {
        Keyring::parse(&texts.concat()).unwrap()
    }

    async fn open(meta: &MemoryStore, texts: &[&str]) -> Result<Vec<String>, SealingError> {
        let opened = open_sealing(meta, &keyring(texts), &SystemEntropy::new()).await;
        opened.map(|sealing| sealing.keys)
    }

    fn missing(name: &str, uses: Option<u64>) -> Result<Vec<String>, SealingError> {
        Err(SealingError::KeyMissing { name: name.to_owned(), uses })
    }

    /// Root's key pair, sealed with the first key of the keyring.
    async fn seal_root(meta: &MemoryStore, texts: &[&str]) {
        let pair = || ("ROOT".to_owned(), Zeroizing::new("secret".to_owned()));
        root_credentials(meta, &keyring(texts), &SystemEntropy::new(), pair).await.unwrap();
    }

    #[tokio::test]
    async fn a_keyring_must_open_all_that_was_ever_sealed() {
        let (a, b, c, other_a) = (text("a"), text("b"), text("c"), text("a"));
        let (a, b, c, other_a) = (&a[..], &b[..], &c[..], &other_a[..]);
        let names = |names: &[&str]| Ok(names.iter().map(|&name| name.to_owned()).collect());
        let differs = Err(SealingError::KeyDiffers { name: "a".to_owned() });
        let meta = MemoryStore::new();
        assert_eq!(read_sealing(&meta).await, Ok(None));
        let steps: [(&[&str], _); 12] = [
            (&[a], names(&["a"])),
            (&[a], names(&["a"])),
            (&[b], missing("a", None)),
            (&[other_a], differs.clone()),
            (&[a, b], names(&["a"])),
            (&[b, a], names(&["a", "b"])),
            (&[a], missing("b", None)),
            (&[b], missing("a", Some(1))),
            (&[c, b], missing("a", Some(1))),
            (&[a, b], names(&["b", "a"])),
            (&[b, other_a], differs),
            // Nothing needs `b`, and it is not the one that wraps.
            (&[c, a], names(&["a", "c"])),
        ];
        for (index, (ring, expected)) in steps.into_iter().enumerate() {
            assert_eq!(open(&meta, ring).await, expected, "step {index}");
            seal_root(&meta, &[a, b, c]).await;
        }
        assert_eq!(check_keyring(&meta, &keyring(&[a, c])).await, Ok(()));
        assert!(check_keyring(&meta, &keyring(&[c])).await.is_err());
    }

    #[tokio::test]
    async fn the_first_use_has_one_winner_and_a_lost_reply_is_found_out() {
        let meta = MemoryStore::new();
        meta.faults().answer_unknown(1, UnknownCommit::Applied);
        meta.faults().answer_unknown(1, UnknownCommit::Lost);
        let (a, b) = (text("a"), text("b"));
        let (a, b) = ([&a[..]], [&b[..]]);
        let (first, second) = tokio::join!(open(&meta, &a), open(&meta, &b));
        assert_eq!(first, Ok(vec!["a".to_owned()]));
        assert_eq!(second, missing("a", None));
    }

    #[tokio::test]
    async fn a_copy_opens_when_it_is_whole() {
        let (source, target, entropy) =
            (MemoryStore::new(), MemoryStore::new(), SystemEntropy::new());
        let a = text("a");
        open(&source, &[&a]).await.unwrap();
        let row = read_latest(&source, store::key()).await.unwrap().unwrap().value;
        mark_copy(&target, &entropy, &row, StoreState::BeingCopied).await.unwrap();
        assert_eq!(open(&target, &[&a]).await, Err(SealingError::BeingCopied));
        mark_copy(&target, &entropy, &row, StoreState::Whole).await.unwrap();
        assert_eq!(open(&target, &[&a]).await, Ok(vec!["a".to_owned()]));
        assert_eq!(read_sealing(&target).await, read_sealing(&source).await);
    }

    #[tokio::test]
    async fn servers_share_one_root() {
        let (meta, entropy) = (MemoryStore::new(), SystemEntropy::new());
        let (ring, other) = (keyring(&[&text("a")]), keyring(&[&text("a")]));
        meta.faults().answer_unknown(1, UnknownCommit::Applied);
        let propose = |name: &str| {
            let pair = (name.to_owned(), Zeroizing::new("secret".to_owned()));
            move || pair
        };
        let one = root_credentials(&meta, &ring, &entropy, propose("ONE")).await.unwrap();
        assert_eq!(one, ("ONE".to_owned(), Zeroizing::new("secret".to_owned())));
        assert_eq!(root_credentials(&meta, &ring, &entropy, propose("TWO")).await, Ok(one));
        assert!(root_credentials(&meta, &other, &entropy, propose("TWO")).await.is_err());
    }
}
