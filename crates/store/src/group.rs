//! Groups of users: what each of their members may do besides what is theirs. The documents are not read
//! here.
//!
//! Who is in a group stands in the row of each user, so that a request reads the user's groups and no list
//! of members. Whoever comes into a group rewrites the group's row with their own: a deletion of the group
//! that has not seen them loses.

use tidelock_meta::record::group::{self, GroupRow};
use tidelock_meta::record::user::{self, UserRow};
use tidelock_meta::{Batch, Key, OpId, Versioned};

use crate::Store;
use crate::audit::AuditEvent;
use crate::commit::{Plan, Reading, View};
use crate::error::{IdentityError, StorageError};
use crate::identity::{ACCOUNT_ID, Principal, require_root};
use crate::policy_holder::Policies;
use crate::role::{check_policies, is_name, put_policy, take_policy};

/// Groups that there may be
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>, as the next two).
pub const GROUPS_MAX: usize = 300;
/// Groups that a user may be in.
pub const GROUPS_PER_USER_MAX: usize = 10;
/// Users that may be in a group.
pub const MEMBERS_MAX: usize = 5_000;

const GROUP_NAME_BYTES_MAX: usize = 128;
/// How often a user may change groups between the reading of their names and of themselves.
const READ_ATTEMPTS_MAX: u32 = 5;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `arn:aws:iam::000000000000:group/NAME`: it names the group, and is nobody that a policy is about.
    pub arn: String,
    /// What its members may do: named documents, by name.
    pub policies: Vec<(String, String)>,
    /// The users in it, by name.
    pub members: Vec<String>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

impl Store {
    /// Makes a group without members. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`]; the caller has read the documents.
    pub async fn create_group(
        &self,
        actor: &Principal,
        name: &str,
        mut policies: Vec<(String, String)>,
    ) -> Result<Group, IdentityError> {
        require_root(actor)?;
        if !is_name(name, GROUP_NAME_BYTES_MAX) {
            return Err(IdentityError::InvalidGroupName);
        }
        policies.sort();
        check_policies(&policies)?;
        let read = self.rows.answer(|reading| async move { reading.all(group::range()).await });
        if read.await?.len() >= GROUPS_MAX {
            return Err(IdentityError::TooManyGroups);
        }
        let row = GroupRow { created_ms: self.now(), policies };
        let key = group::key(name);
        let op_id = OpId(self.random());
        self.update(std::slice::from_ref(&key), |view| {
            if view.rows[0].is_some() {
                return Err(IdentityError::GroupExists);
            }
            let mut batch = Batch::new(op_id);
            batch.expect(key.clone(), None);
            batch.put(key.clone(), row.encode());
            self.audit(&mut batch, actor, &AuditEvent::new("CreateGroup").subject(name));
            Ok(Plan::Commit(batch, ()))
        })
        .await?;
        Ok(Group::of(name, row, Vec::new()))
    }

    /// All groups, by name. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn list_groups(&self, actor: &Principal) -> Result<Vec<Group>, IdentityError> {
        require_root(actor)?;
        let read = self.rows.answer(|reading| async move {
            let groups = reading.all(group::range()).await?;
            Ok::<_, StorageError>((groups, read_memberships(&reading).await?))
        });
        let (rows, memberships) = read.await?;
        let mut groups = Vec::new();
        for (key, value) in rows {
            let name = group::decode_key(&key)?;
            let members = members_of(&memberships, &name);
            groups.push(Group::of(&name, GroupRow::decode(&value)?, members));
        }
        Ok(groups)
    }

    /// A group. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn get_group(&self, actor: &Principal, name: &str) -> Result<Group, IdentityError> {
        require_root(actor)?;
        let read = self.rows.answer(|reading| async move {
            let row = reading.value(group::key(name)).await?.ok_or(IdentityError::NoSuchGroup)?;
            Ok::<_, IdentityError>((row, read_memberships(&reading).await?))
        });
        let (row, memberships) = read.await?;
        Ok(Group::of(name, GroupRow::decode(&row)?, members_of(&memberships, name)))
    }

    /// Deletes a group that has no members. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError::GroupInUse`]; overload when somebody comes into it at this moment.
    pub async fn delete_group(&self, actor: &Principal, name: &str) -> Result<(), IdentityError> {
        require_root(actor)?;
        // Confirmed: nothing that the commit checks tells that nobody is in it.
        let looked = self.rows.answer(|reading| async move { unused_group(&reading, name).await });
        let seen = looked.await?;
        let key = group::key(name);
        let mut batch = Batch::new(OpId(self.random()));
        batch.expect(key.clone(), Some(&seen));
        batch.delete(key);
        self.audit(&mut batch, actor, &AuditEvent::new("DeleteGroup").subject(name));
        match self.try_commit(batch).await? {
            true => Ok(()),
            false => Err(StorageError::Overloaded("the group is being changed".to_owned()).into()),
        }
    }

    /// Puts a user into a group; that they are in it already is no error. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn add_user_to_group(
        &self,
        actor: &Principal,
        (group, user): (&str, &str),
    ) -> Result<(), IdentityError> {
        require_root(actor)?;
        // Counted before: those who come into it at this moment may be some more.
        let read = self.rows.answer(|reading| async move { read_memberships(&reading).await });
        let has_room = members_of(&read.await?, group).len() < MEMBERS_MAX;
        let keys = [user::key(user), group::key(group)];
        let op_id = OpId(self.random());
        let event = member_event("AddUserToGroup", (group, user));
        self.update(&keys, |view| {
            let (mut row, seen, of_group) = with_group(view)?;
            if row.groups.iter().any(|known| known == group) {
                return Ok(Plan::Answer(()));
            }
            if row.groups.len() >= GROUPS_PER_USER_MAX {
                return Err(IdentityError::TooManyGroupsOfUser);
            }
            if !has_room {
                return Err(IdentityError::TooManyMembers);
            }
            row.groups.push(group.to_owned());
            row.groups.sort();
            let mut batch = Batch::new(op_id);
            batch.expect(keys[0].clone(), Some(seen));
            batch.expect(keys[1].clone(), Some(of_group));
            batch.put(keys[0].clone(), row.encode());
            batch.put(keys[1].clone(), of_group.value.clone());
            self.audit(&mut batch, actor, &event);
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }

    /// Takes a user out of a group. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn remove_user_from_group(
        &self,
        actor: &Principal,
        (group, user): (&str, &str),
    ) -> Result<(), IdentityError> {
        require_root(actor)?;
        let keys = [user::key(user), group::key(group)];
        let op_id = OpId(self.random());
        let event = member_event("RemoveUserFromGroup", (group, user));
        self.update(&keys, |view| {
            let (mut row, seen, _) = with_group(view)?;
            let before = row.groups.len();
            row.groups.retain(|known| known != group);
            if row.groups.len() == before {
                return Err(IdentityError::NotAMember);
            }
            let mut batch = Batch::new(op_id);
            batch.expect(keys[0].clone(), Some(seen));
            batch.put(keys[0].clone(), row.encode());
            self.audit(&mut batch, actor, &event);
            Ok(Plan::Commit(batch, ()))
        })
        .await
    }

    /// Gives a group a policy, or replaces the one of that name. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`]; the caller has read the document.
    pub async fn put_group_policy(
        &self,
        actor: &Principal,
        group: &str,
        (name, document): (&str, &str),
    ) -> Result<(), IdentityError> {
        let event = AuditEvent::new("PutGroupPolicy").subject(group);
        let event = AuditEvent { message: name.to_owned(), ..event };
        let edit = |policies: &mut Policies| put_policy(policies, name, document);
        self.edit_policies::<GroupRow>(actor, group, event, edit).await
    }

    /// Takes a policy from a group. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn delete_group_policy(
        &self,
        actor: &Principal,
        group: &str,
        name: &str,
    ) -> Result<(), IdentityError> {
        let event = AuditEvent::new("DeleteGroupPolicy").subject(group);
        let event = AuditEvent { message: name.to_owned(), ..event };
        let edit = |policies: &mut Policies| take_policy(policies, name);
        self.edit_policies::<GroupRow>(actor, group, event, edit).await
    }

    /// The policies of a group, by name. Root only.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub async fn list_group_policies(
        &self,
        actor: &Principal,
        group: &str,
    ) -> Result<Vec<(String, String)>, IdentityError> {
        self.list_policies::<GroupRow>(actor, group).await
    }
}

impl Group {
    fn of(name: &str, row: GroupRow, members: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            arn: format!("arn:aws:iam::{ACCOUNT_ID}:group/{name}"),
            policies: row.policies,
            members,
            created_ms: row.created_ms,
        }
    }
}

/// A user with their groups, from one snapshot: nobody is in a group that was made anew under its name.
///
/// # Errors
///
/// `Corrupt` where a group is missing: what it denied is not known any more.
pub(crate) async fn read_user(
    reading: &Reading,
    name: &str,
) -> Result<Option<(UserRow, Vec<GroupRow>)>, StorageError> {
    let mut groups: Vec<String> = Vec::new();
    for _ in 0..READ_ATTEMPTS_MAX {
        let of_groups = groups.iter().map(|group| group::key(group));
        let keys: Vec<Key> = std::iter::once(user::key(name)).chain(of_groups).collect();
        let mut rows = reading.get(&keys).await?.into_iter();
        let Some(row) = rows.next().flatten() else { return Ok(None) };
        let row = UserRow::decode(&row.value)?;
        if row.groups == groups {
            let decoded = rows.zip(&groups).map(|(group, name)| decode_group(group, name));
            return Ok(Some((row, decoded.collect::<Result<_, _>>()?)));
        }
        groups = row.groups;
    }
    Err(StorageError::Overloaded("the groups of the user are being changed".to_owned()))
}

fn decode_group(row: Option<Versioned>, name: &str) -> Result<GroupRow, StorageError> {
    let missing = || StorageError::Corrupt(format!("the group {name}, which has members, is gone"));
    Ok(GroupRow::decode(&row.ok_or_else(missing)?.value)?)
}

/// Who is in which groups, by name of the user.
async fn read_memberships(reading: &Reading) -> Result<Vec<(String, Vec<String>)>, StorageError> {
    let mut memberships = Vec::new();
    for (key, value) in reading.all(user::range()).await? {
        memberships.push((user::decode_key(&key)?, UserRow::decode(&value)?.groups));
    }
    Ok(memberships)
}

fn members_of(memberships: &[(String, Vec<String>)], group: &str) -> Vec<String> {
    let is_in = |groups: &[String]| groups.iter().any(|known| known == group);
    let members = memberships.iter().filter(|(_, groups)| is_in(groups));
    members.map(|(user, _)| user.clone()).collect()
}

/// The row of a group that nobody is in. It is read first: who comes later rewrites it.
async fn unused_group(reading: &Reading, name: &str) -> Result<Versioned, IdentityError> {
    let seen = reading.row(group::key(name)).await?.ok_or(IdentityError::NoSuchGroup)?;
    if !members_of(&read_memberships(reading).await?, name).is_empty() {
        return Err(IdentityError::GroupInUse);
    }
    Ok(seen)
}

/// The row of the user, that as it was seen, and that of the group.
fn with_group(view: &View) -> Result<(UserRow, &Versioned, &Versioned), IdentityError> {
    let seen = view.rows[0].as_ref().ok_or(IdentityError::NoSuchUser)?;
    let of_group = view.rows[1].as_ref().ok_or(IdentityError::NoSuchGroup)?;
    Ok((UserRow::decode(&seen.value)?, seen, of_group))
}

fn member_event(action: &'static str, (group, user): (&str, &str)) -> AuditEvent {
    let event = AuditEvent::new(action).subject(group);
    AuditEvent { message: format!("the user {user}"), ..event }
}
