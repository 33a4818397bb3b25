//! Who there is: users and root, and what proves who somebody is.

use std::sync::{Arc, LazyLock};

use ring::digest;
use tidelock_meta::record::DecodeError;
use tidelock_meta::record::access_key::{self, AccessKeyRow};
use tidelock_meta::record::bucket::{self, BucketRow};
use tidelock_meta::record::group::GroupRow;
use tidelock_meta::record::session::SessionSubject;
use tidelock_meta::record::user::{self, UserRow};
use tidelock_meta::{Batch, Key, OpId, Versioned};
use zeroize::Zeroizing;

use crate::Store;
use crate::access_key::read_access_keys;
use crate::audit::AuditEvent;
use crate::bucket::{BucketAccess, Granted, JudgedObject};
use crate::commit::{Plan, Reading};
use crate::entitlement::{AssumedRole, Entitlement};
use crate::error::{IdentityError, StorageError};
use crate::group::read_user;
use crate::origin::Origin;
use crate::role::Role;
use crate::session::SessionError;

/// The account that everything belongs to; AWS's form is 12 digits.
pub const ACCOUNT_ID: &str = "000000000000";
/// Root's ARN.
pub const ROOT_ARN: &str = "arn:aws:iam::000000000000:root";

/// Who sent a request that proves nothing, in the audit log.
const ANONYMOUS: &str = "anonymous";
const USER_NAME_BYTES_MAX: usize = 64;

/// Somebody who has proven who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `arn:aws:iam::000000000000:user/NAME`, [`ROOT_ARN`], or that of a session of a role.
    pub arn: Arc<str>,
    /// 64 hex digits; owner of buckets. In a role it is root's: what is made in it belongs to root.
    pub canonical_id: Arc<str>,
    /// The user's name, or `root`, also in a role.
    pub name: Arc<str>,
    /// May do everything.
    pub is_root: bool,
    /// The request that proved it.
    pub origin: Arc<Origin>,
    /// What was decided that the request may use, beyond what is theirs.
    pub grants: Vec<Arc<BucketAccess>>,
    /// The objects that these decisions rest on.
    pub judged: Vec<JudgedObject>,
    /// Whether policies of buckets bind them: all that comes over the network.
    pub is_bound: bool,
    /// What their own policies and their session say.
    pub entitlement: Arc<Entitlement>,
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
    /// The groups that they are in, by name.
    pub groups: Vec<String>,
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

/// Why there is nothing to verify a signature with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// There is no such key.
    Unknown,
    /// Its end has come.
    Expired,
}

/// Why nothing proves who somebody is.
enum Unproven {
    Key(KeyRefusal),
    Storage(StorageError),
}

impl From<StorageError> for Unproven {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<DecodeError> for Unproven {
    fn from(error: DecodeError) -> Self {
        Self::Storage(error.into())
    }
}

impl Principal {
    /// Root.
    pub fn root() -> Self {
        /// ARN, canonical id and name.
        static NAMES: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| {
            let id = hex::encode(digest::digest(&digest::SHA256, ROOT_ARN.as_bytes()));
            [ROOT_ARN.into(), id.into(), "root".into()]
        });
        static ENTITLEMENT: LazyLock<Arc<Entitlement>> = LazyLock::new(Arc::default);
        let [arn, canonical_id, name] = NAMES.clone();
        Self {
            arn,
            canonical_id,
            name,
            is_root: true,
            origin: Arc::default(),
            grants: Vec::new(),
            judged: Vec::new(),
            is_bound: true,
            entitlement: ENTITLEMENT.clone(),
        }
    }

    /// Whoever sent a request that proves nothing; `origin` may name the key that was claimed.
    pub fn unproven(origin: Origin) -> Self {
        Self {
            arn: ANONYMOUS.into(),
            canonical_id: "".into(),
            name: ANONYMOUS.into(),
            is_root: false,
            origin: Arc::new(origin),
            grants: Vec::new(),
            judged: Vec::new(),
            is_bound: true,
            entitlement: Arc::default(),
        }
    }

    /// The same, not bound by policies of buckets: whoever has the machine, and the server itself.
    #[must_use]
    pub fn unbound(self) -> Self {
        Self { is_bound: false, ..self }
    }

    /// Lets the request use a bucket, as long as the bucket says this of who may, and the object too that was
    /// looked at.
    pub fn grant(&mut self, granted: Granted) {
        if !self.grants.iter().any(|known| Arc::ptr_eq(known, &granted.bucket)) {
            self.grants.push(granted.bucket);
        }
        self.judged.extend(granted.object);
    }

    /// Whether a bucket is theirs.
    pub(crate) fn owns(&self, row: &BucketRow) -> bool {
        self.is_owner(&row.owner)
    }

    /// Whether what belongs to this canonical id is theirs. In a role nothing is.
    pub fn is_owner(&self, canonical_id: &str) -> bool {
        let is_own = !self.canonical_id.is_empty() && canonical_id == &*self.canonical_id;
        is_own && self.entitlement.role.is_none()
    }

    /// Who holds the locks that they take.
    pub(crate) fn holder(&self) -> String {
        self.entitlement.holder().unwrap_or_else(|| self.arn.to_string())
    }

    /// Whether nothing is known of who sent the request.
    pub fn is_unproven(&self) -> bool {
        &*self.arn == ANONYMOUS
    }

    /// The server itself, at nobody's request: for the audit log. It may do nothing.
    pub(crate) fn server() -> Self {
        let name: Arc<str> = "server".into();
        let (arn, canonical_id) = (Arc::clone(&name), "".into());
        Self { arn, canonical_id, name, is_root: false, ..Self::root() }
    }

    /// The same, with the request that proved it.
    #[must_use]
    pub fn with_origin(self, origin: Origin) -> Self {
        Self { origin: Arc::new(origin), ..self }
    }

    /// The same, who claims to have the secret of this access key: for the audit log.
    #[must_use]
    pub fn claiming(self, access_key_id: &str) -> Self {
        let origin = Origin::clone(&self.origin);
        self.with_origin(Origin { access_key_id: access_key_id.to_owned(), ..origin })
    }

    fn user(name: &str, row: UserRow, groups: Vec<GroupRow>) -> Self {
        Self {
            arn: user_arn(name).into(),
            canonical_id: row.canonical_id.as_str().into(),
            name: name.into(),
            is_root: false,
            entitlement: Arc::new(Entitlement::of_user(row, groups)),
            ..Self::root()
        }
    }

    /// Somebody in a role.
    fn in_role(role: Role, session_name: &str) -> Self {
        let entitlement = Entitlement::of_role(role, session_name);
        let arn = entitlement.role.as_ref().map(AssumedRole::session_arn).unwrap_or_default();
        Self { arn: arn.into(), is_root: false, entitlement: Arc::new(entitlement), ..Self::root() }
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

    /// What verifies a signature made with `access_key_id`.
    ///
    /// Only a refusal is confirmed: whatever is answered to somebody who is known, the operation they
    /// ask for confirms.
    ///
    /// # Errors
    ///
    /// [`KeyRefusal`] where there is no such key any more, and when the store fails.
    pub async fn credentials(
        &self,
        access_key_id: &str,
    ) -> Result<Result<Credentials, KeyRefusal>, StorageError> {
        if let Some((root, secret)) = &self.root
            && root == access_key_id
        {
            return Ok(Ok(Credentials {
                secret_access_key: secret.clone(),
                principal: Principal::root(),
            }));
        }
        let (now, unknown) = (self.now(), || Unproven::Key(KeyRefusal::Unknown));
        let looked = self.rows.look(|reading| async move {
            let row = reading.value(access_key::key(access_key_id)).await?;
            let row = AccessKeyRow::decode(&row.ok_or_else(unknown)?)?;
            if row.expires_ms.is_some_and(|end| end <= now) {
                return Err(Unproven::Key(KeyRefusal::Expired));
            }
            let (user, groups) = read_user(&reading, &row.user).await?.ok_or_else(unknown)?;
            Ok((Principal::user(&row.user, user, groups), row.sealed_secret))
        });
        let (principal, sealed_secret) = match looked.await {
            Ok(known) => known,
            Err(Unproven::Key(refusal)) => return Ok(Err(refusal)),
            Err(Unproven::Storage(error)) => return Err(error),
        };
        let secret_access_key = self.unseal_secret(access_key_id, &sealed_secret)?;
        Ok(Ok(Credentials { secret_access_key, principal }))
    }

    /// What verifies a signature made in a session; none where what the session rests on is gone: its user,
    /// or its role.
    ///
    /// # Errors
    ///
    /// [`SessionError`] for a token that proves none, and when the store fails.
    pub async fn session_credentials(
        &self,
        access_key_id: &str,
        token: &str,
    ) -> Result<Result<Credentials, SessionError>, StorageError> {
        let session = match self.open_session(access_key_id, token) {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        let principal = match &session.facts.subject {
            SessionSubject::Root => Some(Principal::root()),
            SessionSubject::User { name, canonical_id } => {
                self.user_of_session(name, canonical_id).await?
            }
            SessionSubject::Role { arn, id, session_name } => {
                let name = arn.rsplit_once('/').map_or("", |(_, name)| name);
                let role = self.role(name).await?.filter(|role| role.id == *id);
                role.map(|role| Principal::in_role(role, session_name))
            }
        };
        let Some(principal) = principal else { return Ok(Err(SessionError::Invalid)) };
        let session_facts = Some(session.facts);
        let entitlement =
            Entitlement { session: session_facts, ..Entitlement::clone(&principal.entitlement) };
        let principal = Principal { entitlement: Arc::new(entitlement), ..principal };
        Ok(Ok(Credentials { secret_access_key: session.secret_access_key, principal }))
    }

    /// The user of a session, as they are now.
    async fn user_of_session(
        &self,
        name: &str,
        canonical_id: &str,
    ) -> Result<Option<Principal>, StorageError> {
        let looked = self.rows.answer(|reading| async move {
            let found = read_user(&reading, name).await?;
            // One that was made anew under the name since is somebody else.
            let found = found.filter(|(row, _)| row.canonical_id == canonical_id);
            Ok(found.map(|(row, groups)| Principal::user(name, row, groups)))
        });
        looked.await
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
        let row = UserRow {
            canonical_id: hex::encode(self.random::<32>()),
            created_ms: self.now(),
            policies: Vec::new(),
            groups: Vec::new(),
        };
        let key = user::key(name);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            if view.rows[0].is_some() {
                return Err(IdentityError::UserExists);
            }
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), None);
            batch.put(key.clone(), row.encode());
            self.audit(&mut batch, actor, &AuditEvent::new("CreateUser").subject(name));
            Ok(Plan::Commit(batch, ()))
        })
        .await?;
        Ok(listed_user(name, &row))
    }

    /// All users, by name. Root only.
    pub async fn list_users(&self, actor: &Principal) -> Result<Vec<User>, IdentityError> {
        require_root(actor)?;
        let mut users = Vec::new();
        let read = self.rows.answer(|reading| async move { reading.all(user::range()).await });
        for (key, value) in read.await? {
            users.push(listed_user(&user::decode_key(&key)?, &UserRow::decode(&value)?));
        }
        Ok(users)
    }

    /// A user. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NoSuchUser`], and when the store fails.
    pub async fn get_user(&self, actor: &Principal, name: &str) -> Result<User, IdentityError> {
        require_root(actor)?;
        let key = user::key(name);
        let read = self.rows.answer(|reading| async move { reading.value(key).await });
        let row = read.await?.ok_or(IdentityError::NoSuchUser)?;
        Ok(listed_user(name, &UserRow::decode(&row)?))
    }

    /// Deletes a user that has neither buckets nor access keys, and takes them out of their groups. Root
    /// only.
    ///
    /// A bucket made at the same moment stays root's to delete. A key made at the same moment rewrites
    /// the user's row, so that one of the two loses: it must not become a key of the next user of that
    /// name.
    pub async fn delete_user(&self, actor: &Principal, name: &str) -> Result<(), IdentityError> {
        require_root(actor)?;
        let key = user::key(name);
        // Confirmed: nothing that the commit checks tells that the user has no buckets.
        let looked = self
            .rows
            .answer(|reading| async move { unused_user(&reading, user::key(name), name).await });
        let seen = looked.await?;
        let mut batch = Batch::new(OpId(self.random()));
        batch.expect(key.clone(), Some(&seen));
        batch.delete(key);
        self.audit(&mut batch, actor, &AuditEvent::new("DeleteUser").subject(name));
        match self.try_commit(batch).await? {
            true => Ok(()),
            false => Err(StorageError::Overloaded("the user is being changed".to_owned()).into()),
        }
    }

    pub(crate) fn random_text(&self, length: usize, alphabet: &[u8]) -> String {
        let mut bytes = vec![0; length];
        self.entropy.fill(&mut bytes);
        // Both alphabets have a power of two of letters: no letter is likelier than another.
        bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
    }
}

/// The row of a user who has neither access keys nor buckets.
async fn unused_user(reading: &Reading, key: Key, name: &str) -> Result<Versioned, IdentityError> {
    let Some(seen) = reading.row(key).await? else { return Err(IdentityError::NoSuchUser) };
    let canonical_id = UserRow::decode(&seen.value)?.canonical_id;
    if !read_access_keys(reading, Some(name)).await?.is_empty() {
        return Err(IdentityError::InUse("access keys"));
    }
    for (_, value) in reading.all(bucket::range("")).await? {
        if BucketRow::decode(&value)?.owner == canonical_id {
            return Err(IdentityError::InUse("buckets"));
        }
    }
    Ok(seen)
}

pub(crate) const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(crate) const BASE64: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn require_root(actor: &Principal) -> Result<(), IdentityError> {
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
        groups: row.groups.clone(),
    }
}
