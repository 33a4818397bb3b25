//! `--bootstrap`: a bucket that is ready for Terraform states, and a user of its own for it.
//!
//! Doing it again changes nothing, on any server of the store: all print the user's oldest key pair,
//! whose secret the server unseals, and keep it in their data directories. What is configured already
//! stays as it is. Root's pair is never handed out.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidelock_store::{
    BucketChange, BucketName, CreateBucketError, DefaultEncryption, GuardConfig, IdentityError,
    NewBucket, Principal, PublicAccessBlock, Store, Versioning,
};

use crate::backend_block::user_name;
use crate::config::Secret;
use crate::credentials::{self, KeyPair};
use crate::engine::Ownership;
use crate::error::ServeError;
use crate::private_file;

/// Directory of the key pairs in the data directory, one file per bucket.
const KEYS_DIRECTORY: &str = "bootstrap";
/// What the names of the leases begin with that serialise servers which start at once.
const LEASE_PREFIX: &str = "bootstrap/";
/// A bootstrap takes far less.
const LEASE_TERM: Duration = Duration::from_secs(60);
/// Pause between two looks whether another server is done.
const TURN_POLL: Duration = Duration::from_millis(100);
/// After this long a server goes on although another one seems to be in the middle of it.
const TURN_WAIT_MAX: Duration = Duration::from_secs(20);

/// Everything blocked: states are nobody else's.
const BLOCK_ALL: PublicAccessBlock = PublicAccessBlock {
    block_public_acls: true,
    ignore_public_acls: true,
    block_public_policy: true,
    restrict_public_buckets: true,
};

/// Makes what is missing and answers the key pair of the bucket's user.
pub(crate) async fn bootstrap(
    store: &Store,
    bucket: &BucketName,
    ownership: Ownership,
    data: &Path,
) -> Result<KeyPair, ServeError> {
    let lease = format!("{LEASE_PREFIX}{}", bucket.as_str());
    if ownership == Ownership::Shared {
        wait_for_turn(store, &lease).await?;
    }
    let made = bootstrap_in_turn(store, bucket).await;
    if ownership == Ownership::Shared {
        store.release(&lease).await.map_err(failed)?;
    }
    let pair = made?;
    keep(&keys_path(data, bucket), &pair).map_err(ServeError::Credentials)?;
    Ok(pair)
}

async fn bootstrap_in_turn(store: &Store, bucket: &BucketName) -> Result<KeyPair, ServeError> {
    let user = ensure_user(store, bucket).await?;
    let (pair, owner) = ensure_key(store, &user).await?;
    ensure_bucket(store, &owner.unbound(), bucket).await?;
    Ok(pair)
}

/// Servers that start at once make one key, not one each. One that was killed in the middle holds the
/// others up for a while; two keys would be untidy, not wrong, so none waits for ever.
async fn wait_for_turn(store: &Store, lease: &str) -> Result<(), ServeError> {
    let waiting = async {
        while store.lease(lease, LEASE_TERM).await.map_err(failed)?.is_none() {
            tokio::time::sleep(TURN_POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(TURN_WAIT_MAX, waiting).await.unwrap_or(Ok(()))
}

fn keys_path(data: &Path, bucket: &BucketName) -> PathBuf {
    data.join(KEYS_DIRECTORY).join(format!("{}.credentials", bucket.as_str()))
}

/// Puts the pair where a client on this machine finds it.
fn keep(path: &Path, pair: &KeyPair) -> io::Result<()> {
    // One that is not readable as a pair is replaced like one that is outdated.
    if matches!(credentials::read(path), Ok(Some(kept)) if kept == *pair) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        private_file::create_directory(directory)?;
    }
    credentials::write(path, pair)
}

async fn ensure_user(store: &Store, bucket: &BucketName) -> Result<String, ServeError> {
    let name = user_name(bucket.as_str());
    match store.create_user(&Principal::root(), &name).await {
        Ok(_) | Err(IdentityError::UserExists) => Ok(name),
        Err(error) => Err(failed(error)),
    }
}

/// The user's oldest pair, one without an end first, else a new one.
async fn ensure_key(store: &Store, user: &str) -> Result<(KeyPair, Principal), ServeError> {
    let mut keys = store.list_access_keys(&Principal::root(), Some(user)).await.map_err(failed)?;
    keys.sort_by_cached_key(|key| {
        (key.expires_ms.is_some(), key.created_ms, key.access_key_id.clone())
    });
    for key in keys {
        // One whose end has come, or that was deleted at this moment, is none.
        if let Ok(known) = store.credentials(&key.access_key_id).await.map_err(failed)? {
            let secret_key = Secret::new(known.secret_access_key.to_string());
            return Ok((KeyPair { access_key: key.access_key_id, secret_key }, known.principal));
        }
    }
    let made = store.create_access_key(&Principal::root(), user, None).await.map_err(failed)?;
    let access_key = made.key.access_key_id;
    let known = store.credentials(&access_key).await.map_err(failed)?;
    let known = known.map_err(|_| failed("the user's key was deleted at this moment"))?;
    let secret_key = Secret::new(known.secret_access_key.to_string());
    Ok((KeyPair { access_key, secret_key }, known.principal))
}

async fn ensure_bucket(
    store: &Store,
    owner: &Principal,
    name: &BucketName,
) -> Result<(), ServeError> {
    match store.create_bucket(owner, name, NewBucket::default()).await {
        Ok(_) | Err(CreateBucketError::AlreadyOwnedByYou) => {}
        Err(CreateBucketError::AlreadyExists) => {
            let reason = format!("bucket {} belongs to another user", name.as_str());
            return Err(ServeError::Bootstrap(reason));
        }
        Err(error @ (CreateBucketError::TooManyBuckets | CreateBucketError::Storage(_))) => {
            return Err(failed(error));
        }
    }
    let changes = [
        BucketChange::Versioning(Versioning::Enabled),
        BucketChange::Encryption(Some(DefaultEncryption::Aes256 { bucket_key: false })),
        BucketChange::PublicAccessBlock(Some(BLOCK_ALL)),
        BucketChange::GuardUnlessSet(GuardConfig::enforced()),
    ];
    for change in &changes {
        store.change_bucket(owner, name, change).await.map_err(failed)?;
    }
    Ok(())
}

fn failed(error: impl ToString) -> ServeError {
    ServeError::Bootstrap(error.to_string())
}
