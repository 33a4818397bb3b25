//! Access keys of users: made, rotated, taken back, and when they were last used.
//!
//! A use is kept in memory and written from time to time: a request costs no commit for it. What a
//! server that is killed had not written yet is lost. What a signature is verified with is
//! [`Store::credentials`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidelock_meta::record::access_key::{self, AccessKeyRow};
use tidelock_meta::record::user;
use tidelock_meta::{Batch, Key, OpId, Versioned};
use zeroize::Zeroizing;

use crate::audit::AuditEvent;
use crate::commit::{Plan, Reading, View};
use crate::error::{IdentityError, StorageError};
use crate::identity::{BASE32, BASE64, Principal, require_root};
use crate::{Store, UnixMillis};

/// How exactly a last use is known: it is a whole number of minutes.
pub const KEY_USE_STEP: Duration = Duration::from_secs(60);
/// The longest that a rotated key may stay beside its successor.
pub const KEY_OVERLAP_MAX: Duration = Duration::from_secs(90 * DAY_S);

/// The furthest end of a key: a hundred years.
const KEY_LIFE_MAX: Duration = Duration::from_secs(36_500 * DAY_S);
const DAY_S: u64 = 24 * 3600;
/// What access key ids begin with, as AWS's long-term keys do.
const ACCESS_KEY_PREFIX: &str = "AKIA";
/// Keys whose last use is written in one commit: a check and a write each, of the 100 that a batch may have.
const USES_PER_COMMIT: usize = 40;

/// An access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The id.
    pub access_key_id: String,
    /// Name of the user it belongs to.
    pub user: String,
    /// Milliseconds since 1970.
    pub created_ms: UnixMillis,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<UnixMillis>,
    /// When it was last used: milliseconds since 1970, a whole [`KEY_USE_STEP`]. What other servers of
    /// the store have not written yet is missing.
    pub last_used_ms: Option<UnixMillis>,
}

/// An access key as it is shown once.
#[derive(Clone, Debug)]
pub struct NewAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret.
    pub secret_access_key: Zeroizing<String>,
}

/// Uses of keys that are not written yet: when each was last used.
#[derive(Debug, Default)]
pub(crate) struct KeyUses(Mutex<HashMap<String, UnixMillis>>);

impl KeyUses {
    fn note(&self, access_key_id: &str, at_ms: UnixMillis) {
        let mut uses = self.lock();
        match uses.get_mut(access_key_id) {
            Some(known) => *known = at_ms.max(*known),
            None => drop(uses.insert(access_key_id.to_owned(), at_ms)),
        }
    }

    fn get(&self, access_key_id: &str) -> Option<UnixMillis> {
        self.lock().get(access_key_id).copied()
    }

    fn take(&self) -> Vec<(String, UnixMillis)> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }

    /// Each change is one step: a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, UnixMillis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Makes an access key for a user, which ends at `expires_ms`, if at all. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError::InvalidExpiry`] for an end that is not in the next hundred years.
    pub async fn create_access_key(
        &self,
        actor: &Principal,
        user: &str,
        expires_ms: Option<UnixMillis>,
    ) -> Result<NewAccessKey, IdentityError> {
        require_root(actor)?;
        let (new, row) = self.new_access_key(user, expires_ms)?;
        let access_key_id = &new.key.access_key_id;
        let keys = [user::key(user), access_key::key(access_key_id)];
        let op_id = OpId(self.random());
        let message = format!("for the user {user}{}", until(expires_ms));
        self.update(&keys, |view| {
            let Some(owner) = &view.rows[0] else { return Err(IdentityError::NoSuchUser) };
            let mut batch = Batch::new(op_id);
            put_access_key(&mut batch, (&keys[0], owner), &keys[1], &row);
            let event = AuditEvent::new("CreateAccessKey").subject(access_key_id);
            self.audit(&mut batch, actor, &AuditEvent { message: message.clone(), ..event });
            Ok(Plan::Commit(batch, ()))
        })
        .await?;
        Ok(new)
    }

    /// Makes another access key for the user of `access_key_id`, which ends at `expires_ms`, if at all,
    /// and has the old one end after `overlap`, if it does not end before. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NoSuchKey`], and [`IdentityError::InvalidExpiry`] for an end that is not in the next
    /// hundred years or an overlap above [`KEY_OVERLAP_MAX`].
    pub async fn rotate_access_key(
        &self,
        actor: &Principal,
        access_key_id: &str,
        overlap: Duration,
        expires_ms: Option<UnixMillis>,
    ) -> Result<NewAccessKey, IdentityError> {
        require_root(actor)?;
        if overlap > KEY_OVERLAP_MAX {
            return Err(IdentityError::InvalidExpiry("keys overlap for 90 days at most"));
        }
        let old = access_key::key(access_key_id);
        let key = old.clone();
        // That there is none is confirmed; whatever else was seen, the commit checks.
        let looked = self.rows.look(|reading| async move {
            reading.value(key).await?.ok_or(IdentityError::NoSuchKey)
        });
        let seen = looked.await?;
        // The user of a key never changes.
        let user = AccessKeyRow::decode(&seen)?.user;
        let (new, row) = self.new_access_key(&user, expires_ms)?;
        let keys = [user::key(&user), access_key::key(&new.key.access_key_id), old];
        let end_ms = self.now().saturating_add(milliseconds(overlap));
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            let (owner, mut ending, seen) = rotated(view)?;
            ending.expires_ms = Some(ending.expires_ms.map_or(end_ms, |end| end.min(end_ms)));
            let mut batch = Batch::new(op_id);
            put_access_key(&mut batch, (&keys[0], owner), &keys[1], &row);
            batch.expect(keys[2].clone(), Some(seen));
            batch.put(keys[2].clone(), ending.encode());
            let event = AuditEvent::new("RotateAccessKey").subject(access_key_id);
            let message = format!(
                "for the user {user}: {}{}; the old one{}",
                new.key.access_key_id,
                until(expires_ms),
                until(ending.expires_ms)
            );
            self.audit(&mut batch, actor, &AuditEvent { message, ..event });
            Ok::<_, IdentityError>(Plan::Commit(batch, ()))
        })
        .await?;
        Ok(new)
    }

    /// All access keys, or those of one user. Root only.
    pub async fn list_access_keys(
        &self,
        actor: &Principal,
        of_user: Option<&str>,
    ) -> Result<Vec<AccessKey>, IdentityError> {
        require_root(actor)?;
        let read =
            self.rows.answer(|reading| async move { read_access_keys(&reading, of_user).await });
        let mut keys = read.await?;
        for key in &mut keys {
            key.last_used_ms = key.last_used_ms.max(self.key_uses.get(&key.access_key_id));
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
            let event = AuditEvent::new("DeleteAccessKey").subject(access_key_id);
            self.audit(&mut batch, actor, &event);
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }

    /// Remembers that somebody has proven to have the secret of this key. Only for keys that
    /// [`Store::credentials`] knows: their number bounds the memory.
    pub fn note_key_use(&self, access_key_id: &str) {
        let is_root = self.root.as_ref().is_some_and(|(root, _)| root == access_key_id);
        if !is_root {
            let now = self.now();
            self.key_uses.note(access_key_id, now - now.rem_euclid(milliseconds(KEY_USE_STEP)));
        }
    }

    /// Writes when keys were last used: never back, whatever other servers of the store have written.
    ///
    /// # Errors
    ///
    /// When the store fails; then what is not written waits for the next time.
    pub async fn flush_key_uses(&self) -> Result<(), StorageError> {
        let uses = self.key_uses.take();
        let mut written = Ok(());
        for uses in uses.chunks(USES_PER_COMMIT) {
            if written.is_ok() {
                written = self.write_key_uses(uses).await;
            }
            if written.is_err() {
                uses.iter().for_each(|(id, at_ms)| self.key_uses.note(id, *at_ms));
            }
        }
        written
    }

    async fn write_key_uses(&self, uses: &[(String, UnixMillis)]) -> Result<(), StorageError> {
        let keys: Vec<Key> = uses.iter().map(|(id, _)| access_key::key(id)).collect();
        let op_id = OpId(self.random());
        self.update(&keys, |view| {
            let mut batch = Batch::new(op_id);
            for ((key, seen), (_, at_ms)) in keys.iter().zip(&view.rows).zip(uses) {
                // One that is gone was deleted since.
                let Some(seen) = seen else { continue };
                let mut row = AccessKeyRow::decode(&seen.value)?;
                if row.last_used_ms < Some(*at_ms) {
                    row.last_used_ms = Some(*at_ms);
                    batch.expect(key.clone(), Some(seen));
                    batch.put(key.clone(), row.encode());
                }
            }
            Ok(if batch.writes.is_empty() { Plan::Answer(()) } else { Plan::Commit(batch, ()) })
        })
        .await
    }

    /// A key that is not stored yet, and its row.
    fn new_access_key(
        &self,
        user: &str,
        expires_ms: Option<UnixMillis>,
    ) -> Result<(NewAccessKey, AccessKeyRow), IdentityError> {
        let created_ms = self.now();
        let furthest_ms = created_ms.saturating_add(milliseconds(KEY_LIFE_MAX));
        if expires_ms.is_some_and(|end| end <= created_ms || end > furthest_ms) {
            return Err(IdentityError::InvalidExpiry("a key ends within the next 100 years"));
        }
        let access_key_id = format!("{ACCESS_KEY_PREFIX}{}", self.random_text(16, BASE32));
        let secret_access_key = Zeroizing::new(self.random_text(40, BASE64));
        let place = access_key_id.as_bytes();
        let sealed_secret = self.keyring.wrap(secret_access_key.as_bytes(), place, &*self.entropy);
        let (user, last_used_ms) = (user.to_owned(), None);
        let row = AccessKeyRow {
            user: user.clone(),
            sealed_secret,
            created_ms,
            expires_ms,
            last_used_ms,
        };
        let key = AccessKey { access_key_id, user, created_ms, expires_ms, last_used_ms };
        Ok((NewAccessKey { key, secret_access_key }, row))
    }
}

/// The user's row, the row of the key that is to end, and that as it was seen.
fn rotated(view: &View) -> Result<(&Versioned, AccessKeyRow, &Versioned), IdentityError> {
    let (Some(owner), Some(seen)) = (&view.rows[0], &view.rows[2]) else {
        return Err(IdentityError::NoSuchKey);
    };
    Ok((owner, AccessKeyRow::decode(&seen.value)?, seen))
}

/// Writes a new key, and the user's row as it was: so that a deletion of the user that has not seen the
/// key loses.
fn put_access_key(
    batch: &mut Batch,
    (user, owner): (&Key, &Versioned),
    key: &Key,
    row: &AccessKeyRow,
) {
    batch.expect(user.clone(), Some(owner));
    batch.expect(key.clone(), None);
    batch.put(key.clone(), row.encode());
    batch.put(user.clone(), owner.value.clone());
}

/// The end of a key in a sentence.
fn until(expires_ms: Option<UnixMillis>) -> String {
    let Some(end) = expires_ms else { return String::new() };
    jiff::Timestamp::from_millisecond(end)
        .map_or_else(|_| String::new(), |at| format!(" until {at}"))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) async fn read_access_keys(
    reading: &Reading,
    of_user: Option<&str>,
) -> Result<Vec<AccessKey>, IdentityError> {
    let mut keys = Vec::new();
    for (key, value) in reading.all(access_key::range()).await? {
        let row = AccessKeyRow::decode(&value)?;
        if of_user.is_none_or(|name| name == row.user) {
            let AccessKeyRow { user, created_ms, expires_ms, last_used_ms, .. } = row;
            let access_key_id = access_key::decode_key(&key)?;
            keys.push(AccessKey { access_key_id, user, created_ms, expires_ms, last_used_ms });
        }
    }
    Ok(keys)
}
