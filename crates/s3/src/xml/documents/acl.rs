//! `AccessControlPolicy`: an owner and grants.

use tidelock_store::Permission;

use super::super::{Element, parse};
use super::once;
use crate::error::{ErrorCode, S3Error, S3Result};

/// As whom a document or a header names somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GranteeName {
    /// A canonical id.
    Id(String),
    /// A group.
    Uri(String),
    /// An address.
    EmailAddress(String),
}

/// The document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AclDocument {
    pub(crate) owner: String,
    pub(crate) grants: Vec<(GranteeName, Permission)>,
}

impl AclDocument {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// `MalformedACLError`.
    pub(crate) fn parse(document: &[u8]) -> S3Result<Self> {
        Self::read(document).map_err(|_| S3Error::new(ErrorCode::MalformedACLError))
    }

    fn read(document: &[u8]) -> S3Result<Self> {
        let root = parse(document)?;
        root.expect_root("AccessControlPolicy")?;
        let (mut owner, mut grants) = (None, None);
        for child in root.children() {
            match child.name() {
                "Owner" => once(&mut owner, id_of(child)?)?,
                "AccessControlList" => {
                    let read = child.children().iter().map(grant).collect::<S3Result<_>>()?;
                    once(&mut grants, read)?;
                }
                _ => return Err(S3Error::malformed_xml()),
            }
        }
        let (owner, grants) = owner.zip(grants).ok_or_else(S3Error::malformed_xml)?;
        Ok(Self { owner, grants })
    }
}

/// The id of `<ID/><DisplayName/>`.
fn id_of(element: &Element) -> S3Result<String> {
    let mut id = None;
    for child in element.children() {
        match child.name() {
            "ID" => once(&mut id, child.trimmed().to_owned())?,
            "DisplayName" => {}
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    id.ok_or_else(S3Error::malformed_xml)
}

fn grant(element: &Element) -> S3Result<(GranteeName, Permission)> {
    element.expect_root("Grant")?;
    let (mut grantee, mut permission) = (None, None);
    for child in element.children() {
        match child.name() {
            "Grantee" => once(&mut grantee, name_of(child)?)?,
            "Permission" => once(&mut permission, permission_of(child.trimmed())?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    grantee.zip(permission).ok_or_else(S3Error::malformed_xml)
}

/// The kind of a grantee stands in an attribute, too; what is inside says the same.
fn name_of(element: &Element) -> S3Result<GranteeName> {
    let mut name = None;
    for child in element.children() {
        let text = child.trimmed().to_owned();
        match child.name() {
            "ID" => once(&mut name, GranteeName::Id(text))?,
            "URI" => once(&mut name, GranteeName::Uri(text))?,
            "EmailAddress" => once(&mut name, GranteeName::EmailAddress(text))?,
            "DisplayName" => {}
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    name.ok_or_else(S3Error::malformed_xml)
}

fn permission_of(text: &str) -> S3Result<Permission> {
    Ok(match text {
        "FULL_CONTROL" => Permission::FullControl,
        "READ" => Permission::Read,
        "WRITE" => Permission::Write,
        "READ_ACP" => Permission::ReadAcp,
        "WRITE_ACP" => Permission::WriteAcp,
        _ => return Err(S3Error::malformed_xml()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_or_refused() {
        let check = |inside: &str, expected: Option<&[(GranteeName, Permission)]>| {
            let document = format!("<AccessControlPolicy>{inside}</AccessControlPolicy>");
            let found = AclDocument::parse(document.as_bytes());
            let found = found.map_err(|error| error.code());
            let expected = match expected {
                None => Err(ErrorCode::MalformedACLError),
                Some(grants) => Ok(AclDocument { owner: "o".to_owned(), grants: grants.to_vec() }),
            };
            assert_eq!(found, expected, "{inside}");
        };
        let owner = "<Owner><ID>o</ID><DisplayName>n</DisplayName></Owner>";
        let grant = |grantee: &str, permission: &str| {
            format!(
                "{owner}<AccessControlList><Grant><Grantee xmlns:xsi=\"x\" xsi:type=\"y\">{grantee}\
                 </Grantee><Permission>{permission}</Permission></Grant></AccessControlList>"
            )
        };
        let id = GranteeName::Id("a".to_owned());
        check(&grant("<ID>a</ID>", "READ"), Some(&[(id.clone(), Permission::Read)]));
        let named = grant("<ID>a</ID><DisplayName>x</DisplayName>", "WRITE_ACP");
        check(&named, Some(&[(id, Permission::WriteAcp)]));
        let uri = GranteeName::Uri("u".to_owned());
        check(&grant("<URI>u</URI>", "FULL_CONTROL"), Some(&[(uri, Permission::FullControl)]));
        check(&format!("{owner}<AccessControlList/>"), Some(&[]));
        check(&grant("<ID>a</ID>", "EVERYTHING"), None);
        check(&grant("<ID>a</ID><URI>u</URI>", "READ"), None);
        check(&grant("", "READ"), None);
        check(owner, None);
        check("<AccessControlList/>", None);
    }
}
