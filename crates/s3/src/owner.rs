//! Who owns a bucket and all that is in it, as documents show it.

use tidelock_store::{Principal, Store};

use crate::error::{S3Error, S3Result};
use crate::xml::XmlWriter;

/// An owner: canonical id and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    id: String,
    name: String,
}

impl Owner {
    /// The caller.
    pub(crate) fn of_principal(principal: &Principal) -> Self {
        Self { id: principal.canonical_id.clone(), name: principal.name.clone() }
    }

    /// Whoever has this canonical id. Only root looks at what is not its own, so the list of users
    /// is read for root alone.
    pub(crate) async fn of_id(
        store: &Store,
        principal: &Principal,
        canonical_id: &str,
    ) -> S3Result<Self> {
        let root = Principal::root();
        for known in [principal, &root] {
            if known.canonical_id == canonical_id {
                return Ok(Self::of_principal(known));
            }
        }
        let users = store.list_users(&root).await.map_err(S3Error::from)?;
        let name = users.into_iter().find(|user| user.canonical_id == canonical_id);
        let name = name.map(|user| user.name).unwrap_or_default();
        Ok(Self { id: canonical_id.to_owned(), name })
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
