//! Who there is: users, their access keys, and root.

use bytes::Bytes;
use ring::digest;
use tidelock_meta::record::access_key::{self, AccessKeyRow};
use tidelock_meta::record::bucket;
use tidelock_meta::record::user::{self, UserRow};
use tidelock_meta::{Batch, Direction, KeyRange, OpId, ReadLevel};
use zeroize::Zeroizing;

use crate::Store;
use crate::commit::Plan;
use crate::error::{IdentityError, StorageError};

/// The account that everything belongs to; AWS's form is 12 digits.
pub const ACCOUNT_ID: &str = "000000000000";
/// Root's ARN.
pub const ROOT_ARN: &str = "arn:aws:iam::000000000000:root";

const USER_NAME_BYTES_MAX: usize = 64;
/// Rows of one step of a scan over users or keys.
const IDENTITY_SCAN_ROWS: usize = 500;
/// What access key ids begin with, as AWS's long-term keys do.
const ACCESS_KEY_PREFIX: &str = "AKIA";

/// Somebody who has proven who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `arn:aws:iam::000000000000:user/NAME`, or [`ROOT_ARN`].
    pub arn: String,
    /// 64 hex digits; owner of buckets.
    pub canonical_id: String,
    /// The user's name, or `root`.
    pub name: String,
    /// May do everything.
    pub is_root: bool,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// `arn:aws:iam::000000000000:user/NAME`
    pub arn: String,
    /// 64 hex digits.
    pub canonical_id: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// An access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The id.
    pub access_key_id: String,
    /// Name of the user it belongs to.
    pub user: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// An access key as it is shown once.
#[derive(Clone, Debug)]
pub struct NewAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret.
    pub secret_access_key: Zeroizing<String>,
}

/// What a signature is verified with, and whom it proves.
#[derive(Clone)]
pub struct Credentials {
    /// The secret access key.
    pub secret_access_key: Zeroizing<String>,
    /// Who signs with it.
    pub principal: Principal,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl Principal {
    /// Root.
    pub fn root() -> Self {
        let digest = digest::digest(&digest::SHA256, ROOT_ARN.as_bytes());
        Self {
            arn: ROOT_ARN.to_owned(),
            canonical_id: hex::encode(digest),
            name: "root".to_owned(),
            is_root: true,
        }
    }

    fn user(name: &str, row: &UserRow) -> Self {
        Self {
            arn: user_arn(name),
            canonical_id: row.canonical_id.clone(),
            name: name.to_owned(),
            is_root: false,
        }
    }
}

fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:user/{name}")
}

impl Store {
    /// Makes root's key pair known. Root is configured, not stored.
    #[must_use]
    pub fn with_root(mut self, access_key_id: &str, secret_access_key: Zeroizing<String>) -> Self {
        self.root = Some((access_key_id.to_owned(), secret_access_key));
        self
    }

    /// What verifies a signature made with `access_key_id`; none if there is no such key.
    pub async fn credentials(
        &self,
        access_key_id: &str,
    ) -> Result<Option<Credentials>, StorageError> {
        if let Some((root, secret)) = &self.root
            && root == access_key_id
        {
            return Ok(Some(Credentials {
                secret_access_key: secret.clone(),
                principal: Principal::root(),
            }));
        }
        let Some(value) = self.read_value(access_key::key(access_key_id)).await? else {
            return Ok(None);
        };
        let row = AccessKeyRow::decode(&value)?;
        let Some(value) = self.read_value(user::key(&row.user)).await? else { return Ok(None) };
        let principal = Principal::user(&row.user, &UserRow::decode(&value)?);
        let secret_access_key = self.unseal_secret(access_key_id, &row.sealed_secret)?;
        Ok(Some(Credentials { secret_access_key, principal }))
    }

    fn unseal_secret(
        &self,
        access_key_id: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, StorageError> {
        let secret = self.keyring.unwrap(sealed, access_key_id.as_bytes()).map_err(|error| {
            StorageError::Corrupt(format!("access key {access_key_id}: {error}"))
        })?;
        let secret = std::str::from_utf8(&secret)
            .map_err(|_| StorageError::Corrupt(format!("access key {access_key_id}: not UTF-8")))?;
        Ok(Zeroizing::new(secret.to_owned()))
    }

    /// Makes a user. Root only.
    pub async fn create_user(&self, actor: &Principal, name: &str) -> Result<User, IdentityError> {
        require_root(actor)?;
        if !is_user_name(name) {
            return Err(IdentityError::InvalidUserName);
        }
        let row =
            UserRow { canonical_id: hex::encode(self.random::<32>()), created_ms: self.now() };
        let key = user::key(name);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            if view.rows[0].is_some() {
                return Err(IdentityError::UserExists);
            }
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), None);
            batch.put(key.clone(), row.encode());
            Ok(Plan::Commit(batch, ()))
        })
        .await?;
        Ok(listed_user(name, &row))
    }

    /// All users, by name. Root only.
    pub async fn list_users(&self, actor: &Principal) -> Result<Vec<User>, IdentityError> {
        require_root(actor)?;
        let mut users = Vec::new();
        for (key, value) in self.scan_all(user::range()).await? {
            users.push(listed_user(&user::decode_key(&key)?, &UserRow::decode(&value)?));
        }
        Ok(users)
    }

    /// Deletes a user that has neither buckets nor access keys. Root only.
    ///
    /// A bucket made at the same moment stays root's to delete. A key made at the same moment rewrites
    /// the user's row, so that one of the two loses: it must not become a key of the next user of that
    /// name.
    pub async fn delete_user(&self, actor: &Principal, name: &str) -> Result<(), IdentityError> {
        require_root(actor)?;
        let key = user::key(name);
        let Some(seen) = self.read_row(key.clone()).await? else {
            return Err(IdentityError::NoSuchUser);
        };
        let canonical_id = UserRow::decode(&seen.value)?.canonical_id;
        if self.list_access_keys(actor, Some(name)).await?.iter().any(|key| key.user == name) {
            return Err(IdentityError::InUse("access keys"));
        }
        for (_, value) in self.scan_all(bucket::range("")).await? {
            if bucket::BucketRow::decode(&value)?.owner == canonical_id {
                return Err(IdentityError::InUse("buckets"));
            }
        }
        let mut batch = Batch::new(OpId(self.random()));
        batch.expect(key.clone(), Some(&seen));
        batch.delete(key);
        match self.try_commit(batch).await? {
            true => Ok(()),
            false => Err(StorageError::Overloaded("the user is being changed".to_owned()).into()),
        }
    }

    /// Makes an access key for a user. Root only.
    pub async fn create_access_key(
        &self,
        actor: &Principal,
        user: &str,
    ) -> Result<NewAccessKey, IdentityError> {
        require_root(actor)?;
        let access_key_id = format!("{ACCESS_KEY_PREFIX}{}", self.random_text(16, BASE32));
        let secret_access_key = Zeroizing::new(self.random_text(40, BASE64));
        let place = access_key_id.as_bytes();
        let sealed_secret = self.keyring.wrap(secret_access_key.as_bytes(), place, &*self.entropy);
        let row = AccessKeyRow { user: user.to_owned(), sealed_secret, created_ms: self.now() };
        let keys = [user::key(user), access_key::key(&access_key_id)];
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            let Some(owner) = &view.rows[0] else { return Err(IdentityError::NoSuchUser) };
            let mut batch = Batch::new(op_id);
            batch.expect(keys[0].clone(), Some(owner));
            batch.expect(keys[1].clone(), None);
            batch.put(keys[1].clone(), row.encode());
            // As it was: so that a deletion of the user that has not seen this key loses.
            batch.put(keys[0].clone(), owner.value.clone());
            Ok(Plan::Commit(batch, ()))
        })
        .await?;
        let key = AccessKey { access_key_id, user: user.to_owned(), created_ms: row.created_ms };
        Ok(NewAccessKey { key, secret_access_key })
    }

    /// All access keys, or those of one user. Root only.
    pub async fn list_access_keys(
        &self,
        actor: &Principal,
        of_user: Option<&str>,
    ) -> Result<Vec<AccessKey>, IdentityError> {
        require_root(actor)?;
        let mut keys = Vec::new();
        for (key, value) in self.scan_all(access_key::range()).await? {
            let row = AccessKeyRow::decode(&value)?;
            if of_user.is_none_or(|name| name == row.user) {
                let access_key_id = access_key::decode_key(&key)?;
                keys.push(AccessKey { access_key_id, user: row.user, created_ms: row.created_ms });
            }
        }
        Ok(keys)
    }

    /// Deletes an access key. Root only.
    pub async fn delete_access_key(
        &self,
        actor: &Principal,
        access_key_id: &str,
    ) -> Result<(), IdentityError> {
        require_root(actor)?;
        let key = access_key::key(access_key_id);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            let Some(row) = &view.rows[0] else { return Err(IdentityError::NoSuchKey) };
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), Some(row));
            batch.delete(key.clone());
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }

    /// Every row of a range that is known to be small.
    pub(crate) async fn scan_all(
        &self,
        range: KeyRange,
    ) -> Result<Vec<(Bytes, Bytes)>, StorageError> {
        let mut all = Vec::new();
        let mut rest = range;
        loop {
            let rows = self
                .meta
                .scan(rest.clone(), IDENTITY_SCAN_ROWS, Direction::Forward, ReadLevel::Latest)
                .await?;
            let complete = rows.len() < IDENTITY_SCAN_ROWS;
            if let Some((last, _)) = rows.last() {
                rest = rest.starting_at(tidelock_meta::successor_of_key(last));
            }
            all.extend(rows.into_iter().map(|(key, row)| (key, row.value)));
            if complete {
                return Ok(all);
            }
        }
    }

    fn random_text(&self, length: usize, alphabet: &[u8]) -> String {
        let mut bytes = vec![0; length];
        self.entropy.fill(&mut bytes);
        // Both alphabets have a power of two of letters: no letter is likelier than another.
        bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn require_root(actor: &Principal) -> Result<(), IdentityError> {
    if actor.is_root { Ok(()) } else { Err(IdentityError::AccessDenied) }
}

fn is_user_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=USER_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal) && name != "root"
}

fn listed_user(name: &str, row: &UserRow) -> User {
    User {
        name: name.to_owned(),
        arn: user_arn(name),
        canonical_id: row.canonical_id.clone(),
        created_ms: row.created_ms,
    }
}
