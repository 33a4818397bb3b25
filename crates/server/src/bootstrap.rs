//! `--bootstrap`: a bucket that is ready for Terraform states, and a user of its own for it.
//!
//! Doing it again changes nothing: the user's key pair is kept in the data directory, and what is
//! configured already stays as it is. Root's pair is never handed out.

use std::path::{Path, PathBuf};

use tidelock_store::{
    BucketChange, BucketName, CreateBucketError, DefaultEncryption, IdentityError, Principal,
    PublicAccessBlock, Store, Versioning,
};

use crate::backend_block::user_name;
use crate::config::Secret;
use crate::credentials::{self, KeyPair};
use crate::error::ServeError;
use crate::private_file;

/// Directory of the key pairs in the data directory, one file per bucket.
const KEYS_DIRECTORY: &str = "bootstrap";
/// Region of a bucket row that follows the server's own.
const REGION_OF_SERVER: &str = "";

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
    bucket: &str,
    data: &Path,
) -> Result<KeyPair, ServeError> {
    let name: BucketName = bucket.parse().map_err(failed)?;
    let path = keys_path(data, &name);
    let user = ensure_user(store, &name).await?;
    let (pair, owner) = ensure_key(store, &user, &path).await?;
    ensure_bucket(store, &owner, &name).await?;
    Ok(pair)
}

fn keys_path(data: &Path, bucket: &BucketName) -> PathBuf {
    data.join(KEYS_DIRECTORY).join(format!("{}.credentials", bucket.as_str()))
}

async fn ensure_user(store: &Store, bucket: &BucketName) -> Result<String, ServeError> {
    let name = user_name(bucket.as_str());
    match store.create_user(&Principal::root(), &name).await {
        Ok(_) | Err(IdentityError::UserExists) => Ok(name),
        Err(error) => Err(failed(error)),
    }
}

/// The stored pair while the store still knows it, else a new one that is stored.
async fn ensure_key(
    store: &Store,
    user: &str,
    path: &Path,
) -> Result<(KeyPair, Principal), ServeError> {
    if let Some(pair) = credentials::read(path).map_err(ServeError::Credentials)?
        && let Some(known) = store.credentials(&pair.access_key).await.map_err(failed)?
        && known.principal.name == user
    {
        return Ok((pair, known.principal));
    }
    let made = store.create_access_key(&Principal::root(), user).await.map_err(failed)?;
    let pair = KeyPair {
        access_key: made.key.access_key_id,
        secret_key: Secret::new(made.secret_access_key.to_string()),
    };
    if let Some(directory) = path.parent() {
        private_file::create_directory(directory).map_err(ServeError::Credentials)?;
    }
    credentials::write(path, &pair).map_err(ServeError::Credentials)?;
    let known = store.credentials(&pair.access_key).await.map_err(failed)?;
    let known = known.ok_or_else(|| failed("the key that was just made is gone"))?;
    Ok((pair, known.principal))
}

async fn ensure_bucket(
    store: &Store,
    owner: &Principal,
    name: &BucketName,
) -> Result<(), ServeError> {
    match store.create_bucket(owner, name, REGION_OF_SERVER, None).await {
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
    ];
    for change in &changes {
        store.change_bucket(owner, name, change).await.map_err(failed)?;
    }
    Ok(())
}

fn failed(error: impl ToString) -> ServeError {
    ServeError::Bootstrap(error.to_string())
}
