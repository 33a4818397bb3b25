//! Policies that somebody has by name: a user and a group are given them, lose them and list them in one way. The
//! documents are not read here.

use bytes::Bytes;
use tidelock_meta::record::DecodeError;
use tidelock_meta::record::group::{self, GroupRow};
use tidelock_meta::record::user::{self, UserRow};
use tidelock_meta::{Batch, Key, OpId};

use crate::Store;
use crate::audit::AuditEvent;
use crate::commit::Plan;
use crate::error::IdentityError;
use crate::identity::{Principal, require_root};

/// Named documents, by name.
pub(crate) type Policies = Vec<(String, String)>;

/// The row of whoever has policies by name.
pub(crate) trait PolicyHolder: Sized {
    /// Where the row of this name is.
    fn key(name: &str) -> Key;

    /// The row from its stored bytes.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// The row as stored.
    fn encode(&self) -> Bytes;

    /// What it has.
    fn policies(&mut self) -> &mut Policies;

    /// What it is when there is no such row.
    fn missing() -> IdentityError;
}

impl PolicyHolder for UserRow {
    fn key(name: &str) -> Key {
        user::key(name)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }

    fn encode(&self) -> Bytes {
        self.encode()
    }

    fn policies(&mut self) -> &mut Policies {
        &mut self.policies
    }

    fn missing() -> IdentityError {
        IdentityError::NoSuchUser
    }
}

impl PolicyHolder for GroupRow {
    fn key(name: &str) -> Key {
        group::key(name)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }

    fn encode(&self) -> Bytes {
        self.encode()
    }

    fn policies(&mut self) -> &mut Policies {
        &mut self.policies
    }

    fn missing() -> IdentityError {
        IdentityError::NoSuchGroup
    }
}

impl Store {
    /// The policies of `holder`, by name. Root only.
    pub(crate) async fn list_policies<H: PolicyHolder>(
        &self,
        actor: &Principal,
        holder: &str,
    ) -> Result<Policies, IdentityError> {
        require_root(actor)?;
        let key = H::key(holder);
        let read = self.rows.answer(|reading| async move { reading.value(key).await });
        let row = read.await?.ok_or_else(H::missing)?;
        Ok(std::mem::take(H::decode(&row)?.policies()))
    }

    /// Changes the policies of `holder`, and tells the audit log. Root only.
    pub(crate) async fn edit_policies<H: PolicyHolder>(
        &self,
        actor: &Principal,
        holder: &str,
        event: AuditEvent,
        edit: impl Fn(&mut Policies) -> Result<(), IdentityError> + Send + Sync,
    ) -> Result<(), IdentityError> {
        require_root(actor)?;
        let key = H::key(holder);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            let Some(seen) = &view.rows[0] else { return Err(H::missing()) };
            let mut row = H::decode(&seen.value)?;
            edit(row.policies())?;
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), Some(seen));
            batch.put(key.clone(), row.encode());
            self.audit(&mut batch, actor, &event);
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }
}
