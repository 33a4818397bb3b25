//! Who owns a bucket and all that is in it, as documents show it.

use std::collections::HashMap;

use tidelock_store::{ACCOUNT_ID, Principal, Store};

use crate::error::{S3Error, S3Result};
use crate::xml::XmlWriter;

/// Canonical id of whoever writes without a signature, as AWS has it.
pub(crate) const ANONYMOUS_ID: &str = "65a011a29cdf8ec533ec3d1ccaae921c";

/// Owners by canonical id, each looked up once for a document.
pub(crate) struct Owners<'a> {
    store: &'a Store,
    principal: &'a Principal,
    known: HashMap<String, Owner>,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(store: &'a Store, principal: &'a Principal) -> Self {
        Self { store, principal, known: HashMap::new() }
    }

    /// Whoever has this canonical id.
    pub(crate) async fn of_id(&mut self, canonical_id: &str) -> S3Result<Owner> {
        if let Some(owner) = self.known.get(canonical_id) {
            return Ok(owner.clone());
        }
        let owner = Owner::of_id(self.store, self.principal, canonical_id).await?;
        self.known.insert(canonical_id.to_owned(), owner.clone());
        Ok(owner)
    }
}

/// An owner: canonical id and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    id: String,
    name: String,
}

impl Owner {
    /// The caller.
    pub(crate) fn of_principal(principal: &Principal) -> Self {
        Self { id: principal.canonical_id.to_string(), name: principal.name.to_string() }
    }

    /// Whoever has this canonical id; without a name if there is nobody. What is theirs is mostly the
    /// caller's, so the list of users is read for others alone.
    pub(crate) async fn of_id(
        store: &Store,
        principal: &Principal,
        canonical_id: &str,
    ) -> S3Result<Self> {
        let root = Principal::root();
        for known in [principal, &root] {
            if *known.canonical_id == *canonical_id {
                return Ok(Self::of_principal(known));
            }
        }
        let found = Self::find(store, canonical_id).await?;
        Ok(found.unwrap_or(Self { id: canonical_id.to_owned(), name: String::new() }))
    }

    /// The user with this canonical id, or root.
    pub(crate) async fn find(store: &Store, canonical_id: &str) -> S3Result<Option<Self>> {
        let root = Principal::root();
        if *root.canonical_id == *canonical_id {
            return Ok(Some(Self::of_principal(&root)));
        }
        let users = store.list_users(&root).await.map_err(S3Error::from)?;
        let user = users.into_iter().find(|user| user.canonical_id == canonical_id);
        Ok(user.map(|user| Self { id: user.canonical_id, name: user.name }))
    }

    /// `<name><ID/><DisplayName/></name>`
    pub(crate) fn write(&self, xml: &mut XmlWriter, name: &str) {
        xml.element(name, |xml| self.write_inside(xml));
    }

    /// `<ID/><DisplayName/>`
    pub(crate) fn write_inside(&self, xml: &mut XmlWriter) {
        xml.text("ID", &self.id);
        xml.text("DisplayName", &self.name);
    }
}

/// The id that STS, IAM and policies know somebody by, in AWS's form
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable>): the account for root, `AIDA` and more for a user, `AROA` and the session in a role.
pub(crate) fn user_id(caller: &Principal) -> String {
    const DIGITS: usize = 17;
    if let Some(role) = &caller.entitlement.role {
        return format!("{}:{}", role.id, role.session_name);
    }
    if caller.is_root {
        return ACCOUNT_ID.to_owned();
    }
    let digits = caller.canonical_id.get(..DIGITS).unwrap_or(&caller.canonical_id);
    format!("AIDA{}", digits.to_ascii_uppercase())
}
