//! Roles, and the policies of users, groups and roles: named documents, which are not read here.

use tidelock_meta::record::role::{self, RoleRow};
use tidelock_meta::record::user::UserRow;
use tidelock_meta::{Batch, OpId};

use crate::Store;
use crate::audit::AuditEvent;
use crate::commit::Plan;
use crate::error::{IdentityError, StorageError};
use crate::identity::{ACCOUNT_ID, BASE32, Principal, require_root};
use crate::policy_holder::Policies;

/// Documents that a user, a group or a role may have.
pub const POLICIES_MAX: usize = 10;
/// Bytes of all documents of a user, a group or a role
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub const POLICIES_BYTES_MAX: usize = 10 << 10;
/// Longest trust policy, in bytes.
pub const TRUST_POLICY_BYTES_MAX: usize = 8 << 10;
/// How long a session of a role may be told to live at most, in seconds.
pub const SESSION_TERM_S: std::ops::RangeInclusive<u32> = 3_600..=43_200;

const ROLES_MAX: usize = 1_000;
const ROLE_NAME_BYTES_MAX: usize = 64;
const POLICY_NAME_BYTES_MAX: usize = 128;
/// What ids of roles begin with, as AWS's do.
const ROLE_ID_PREFIX: &str = "AROA";
const ROLE_ID_CHARACTERS: usize = 17;

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// `arn:aws:iam::000000000000:role/NAME`
    pub arn: String,
    /// `AROA…`; a role made again under its name has another.
    pub id: String,
    /// Who may assume it.
    pub trust_policy: String,
    /// What it may do: named documents, by name.
    pub policies: Vec<(String, String)>,
    /// The longest session, in seconds.
    pub session_max_s: u32,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// A role that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRole {
    /// Its name: 1 to 64 of `A-Z a-z 0-9 + = , . @ _ -`.
    pub name: String,
    /// Who may assume it.
    pub trust_policy: String,
    /// What it may do.
    pub policies: Vec<(String, String)>,
    /// The longest session, in seconds: [`SESSION_TERM_S`].
    pub session_max_s: u32,
}

impl Store {
    /// Makes a role. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`]; the caller has read the documents.
    pub async fn create_role(
        &self,
        actor: &Principal,
        new: NewRole,
    ) -> Result<Role, IdentityError> {
        require_root(actor)?;
        if !is_name(&new.name, ROLE_NAME_BYTES_MAX) {
            return Err(IdentityError::InvalidRole("its name is none"));
        }
        if new.trust_policy.len() > TRUST_POLICY_BYTES_MAX {
            return Err(IdentityError::InvalidRole("its trust policy is too long"));
        }
        if !SESSION_TERM_S.contains(&new.session_max_s) {
            return Err(IdentityError::InvalidRole("sessions last 3600 to 43200 seconds at most"));
        }
        let mut policies = new.policies;
        policies.sort();
        check_policies(&policies)?;
        if self.list_roles(actor).await?.len() >= ROLES_MAX {
            return Err(IdentityError::TooManyRoles);
        }
        let row = RoleRow {
            id: format!("{ROLE_ID_PREFIX}{}", self.random_text(ROLE_ID_CHARACTERS, BASE32)),
            trust_policy: new.trust_policy,
            policies,
            session_max_s: new.session_max_s,
            created_ms: self.now(),
        };
        let key = role::key(&new.name);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            if view.rows[0].is_some() {
                return Err(IdentityError::RoleExists);
            }
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), None);
            batch.put(key.clone(), row.encode());
            self.audit(&mut batch, actor, &AuditEvent::new("CreateRole").subject(&new.name));
            Ok(Plan::Commit(batch, ()))
        })
        .await?;
        Ok(Role::of(&new.name, row))
    }

    /// All roles, by name. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn list_roles(&self, actor: &Principal) -> Result<Vec<Role>, IdentityError> {
        require_root(actor)?;
        let read = self.rows.answer(|reading| async move { reading.all(role::range()).await });
        let mut roles = Vec::new();
        for (key, value) in read.await? {
            roles.push(Role::of(&role::decode_key(&key)?, RoleRow::decode(&value)?));
        }
        Ok(roles)
    }

    /// A role. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn get_role(&self, actor: &Principal, name: &str) -> Result<Role, IdentityError> {
        require_root(actor)?;
        self.role(name).await?.ok_or(IdentityError::NoSuchRole)
    }

    /// A role, for whoever decides who may assume it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn role(&self, name: &str) -> Result<Option<Role>, StorageError> {
        let key = role::key(name);
        let read = self.rows.answer(|reading| async move { reading.value(key).await });
        let Some(value) = read.await? else { return Ok(None) };
        Ok(Some(Role::of(name, RoleRow::decode(&value)?)))
    }

    /// Deletes a role; its sessions end with it. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn delete_role(&self, actor: &Principal, name: &str) -> Result<(), IdentityError> {
        require_root(actor)?;
        let key = role::key(name);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            let Some(row) = &view.rows[0] else { return Err(IdentityError::NoSuchRole) };
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), Some(row));
            batch.delete(key.clone());
            self.audit(&mut batch, actor, &AuditEvent::new("DeleteRole").subject(name));
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }

    /// Gives a user a policy, or replaces the one of that name. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`]; the caller has read the document.
    pub async fn put_user_policy(
        &self,
        actor: &Principal,
        user: &str,
        (name, document): (&str, &str),
    ) -> Result<(), IdentityError> {
        let event = AuditEvent::new("PutUserPolicy").subject(user);
        let event = AuditEvent { message: name.to_owned(), ..event };
        let edit = |policies: &mut Policies| put_policy(policies, name, document);
        self.edit_policies::<UserRow>(actor, user, event, edit).await
    }

    /// Takes a policy from a user. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn delete_user_policy(
        &self,
        actor: &Principal,
        user: &str,
        name: &str,
    ) -> Result<(), IdentityError> {
        let event = AuditEvent::new("DeleteUserPolicy").subject(user);
        let event = AuditEvent { message: name.to_owned(), ..event };
        let edit = |policies: &mut Policies| take_policy(policies, name);
        self.edit_policies::<UserRow>(actor, user, event, edit).await
    }

    /// The policies of a user, by name. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn list_user_policies(
        &self,
        actor: &Principal,
        user: &str,
    ) -> Result<Vec<(String, String)>, IdentityError> {
        self.list_policies::<UserRow>(actor, user).await
    }
}

impl Role {
    fn of(name: &str, row: RoleRow) -> Self {
        Self {
            name: name.to_owned(),
            arn: format!("arn:aws:iam::{ACCOUNT_ID}:role/{name}"),
            id: row.id,
            trust_policy: row.trust_policy,
            policies: row.policies,
            session_max_s: row.session_max_s,
            created_ms: row.created_ms,
        }
    }
}

/// Puts a document among others, or in the place of the one of that name.
pub(crate) fn put_policy(
    policies: &mut Vec<(String, String)>,
    name: &str,
    document: &str,
) -> Result<(), IdentityError> {
    policies.retain(|(known, _)| known != name);
    policies.push((name.to_owned(), document.to_owned()));
    policies.sort();
    check_policies(policies)
}

/// Takes the document of that name from others.
pub(crate) fn take_policy(
    policies: &mut Vec<(String, String)>,
    name: &str,
) -> Result<(), IdentityError> {
    let before = policies.len();
    policies.retain(|(known, _)| known != name);
    if policies.len() < before { Ok(()) } else { Err(IdentityError::NoSuchPolicy) }
}

pub(crate) fn check_policies(policies: &[(String, String)]) -> Result<(), IdentityError> {
    let bytes: usize = policies.iter().map(|(_, document)| document.len()).sum();
    let are_named = policies.iter().all(|(name, _)| is_name(name, POLICY_NAME_BYTES_MAX));
    let is_twice = policies.windows(2).any(|pair| pair[0].0 == pair[1].0);
    if !are_named || is_twice {
        return Err(IdentityError::InvalidPolicyName);
    }
    if policies.len() > POLICIES_MAX || bytes > POLICIES_BYTES_MAX {
        return Err(IdentityError::TooManyPolicies);
    }
    Ok(())
}

pub(crate) fn is_name(text: &str, bytes_max: usize) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(legal)
}
