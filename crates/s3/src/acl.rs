//! Access control lists as requests ask for them: canned, by grants in headers, and as documents.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>. Where the bucket's owner owns
//! everything (`BucketOwnerEnforced`, as every bucket is made) a request may ask for nothing but the owner's
//! full control. What a list allows is decided elsewhere (`access`).

use http::{HeaderMap, HeaderName};
use tidelock_store::{
    Acl, BucketAccess, Grant, Grantee, ObjectOwnership, Permission, Principal, Store,
};

use crate::access;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::owner::{ANONYMOUS_ID, Owner, Owners};
use crate::xml::XmlWriter;
use crate::xml::documents::{AclDocument, GranteeName};

pub(crate) const CANNED: HeaderName = HeaderName::from_static("x-amz-acl");
pub(crate) const GRANT_PREFIX: &str = "x-amz-grant-";
/// Grants by header, and what they give.
const GRANT_HEADERS: [(&str, Permission); 5] = [
    ("x-amz-grant-full-control", Permission::FullControl),
    ("x-amz-grant-read", Permission::Read),
    ("x-amz-grant-write", Permission::Write),
    ("x-amz-grant-read-acp", Permission::ReadAcp),
    ("x-amz-grant-write-acp", Permission::WriteAcp),
];
/// AWS's limit.
const GRANTS_MAX: usize = 100;
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// A list that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Canned {
    Private,
    PublicRead,
    PublicReadWrite,
    AwsExecRead,
    AuthenticatedRead,
    BucketOwnerRead,
    BucketOwnerFullControl,
    LogDeliveryWrite,
}

/// What a request's headers ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Canned(Canned),
    Grants(Vec<(GranteeName, Permission)>),
}

/// The list of an object that is written: none where it is the full control of the bucket's owner.
///
/// # Errors
///
/// `AccessControlListNotSupported` where lists are off; `AccessDenied` for a public list where those are
/// blocked; `InvalidArgument` for one that cannot be.
pub(crate) async fn of_write(
    store: &Store,
    headers: &HeaderMap,
    principal: &Principal,
) -> S3Result<Option<Acl>> {
    let asked = Asked::of(headers)?;
    // A bucket that is not there is refused by the operation.
    let Some(bucket) = principal.grants.first() else { return Ok(None) };
    if !bucket.has_acls() {
        return asked.require_off(ErrorCode::AccessControlListNotSupported).map(|()| None);
    }
    let gives_away = bucket.object_ownership == Some(ObjectOwnership::BucketOwnerPreferred)
        && asked == Asked::Canned(Canned::BucketOwnerFullControl);
    let owner = if gives_away { bucket.owner.as_str() } else { writer(principal, bucket) };
    let acl = asked.into_acl(store, owner, Some(&bucket.owner)).await?;
    check_block(&acl, bucket)?;
    Ok(stored(acl, &bucket.owner))
}

/// The list of a bucket that is made.
///
/// # Errors
///
/// `InvalidBucketAclWithObjectOwnership` where lists are off; `InvalidArgument` for one that cannot be.
pub(crate) async fn of_new_bucket(
    store: &Store,
    headers: &HeaderMap,
    principal: &Principal,
    ownership: ObjectOwnership,
) -> S3Result<Option<Acl>> {
    let asked = Asked::of(headers)?;
    if ownership == ObjectOwnership::BucketOwnerEnforced {
        let refusal = ErrorCode::InvalidBucketAclWithObjectOwnership;
        return asked.require_off(refusal).map(|()| None);
    }
    let owner = &principal.canonical_id;
    Ok(stored(asked.into_acl(store, owner, None).await?, owner))
}

/// What PutBucketAcl and PutObjectAcl ask for, by headers or by a document, for something that `owner`
/// owns.
///
/// # Errors
///
/// As [`of_write`]; `MalformedACLError` for a document that cannot be; `AccessDenied` for one with another
/// owner.
pub(crate) async fn of_put(
    store: &Store,
    (headers, document): (&HeaderMap, &[u8]),
    owner: &str,
    bucket: &BucketAccess,
) -> S3Result<Option<Acl>> {
    let asked = match (Asked::of(headers)?, document) {
        (Asked::Nothing, []) => {
            return Err(S3Error::new(ErrorCode::MissingSecurityHeader));
        }
        (Asked::Nothing, document) => {
            let document = AclDocument::parse(document)?;
            if document.owner != owner {
                return Err(S3Error::new(ErrorCode::AccessDenied));
            }
            Asked::Grants(document.grants)
        }
        (asked, []) => asked,
        (_, _) => return Err(S3Error::new(ErrorCode::UnexpectedContent)),
    };
    if !bucket.has_acls() {
        let is_owners = matches!(&asked, Asked::Grants(grants) if is_full_control(grants, owner));
        let refusal = ErrorCode::AccessControlListNotSupported;
        return if is_owners { Ok(None) } else { asked.require_off(refusal).map(|()| None) };
    }
    let acl = asked.into_acl(store, owner, Some(&bucket.owner)).await?;
    check_block(&acl, bucket)?;
    Ok(stored(acl, &bucket.owner))
}

/// A list in the form that is answered, groups first; none is the full control of `owner`.
pub(crate) async fn document(
    store: &Store,
    principal: &Principal,
    acl: Option<&Acl>,
    owner: &str,
) -> S3Result<String> {
    let mut acl = acl.cloned().unwrap_or_else(|| private(owner));
    acl.grants.sort_by_key(|grant| uri(&grant.grantee).is_none());
    let mut owners = Owners::new(store, principal);
    let owner = owners.of_id(&acl.owner).await?;
    let mut users = Vec::new();
    for grant in &acl.grants {
        if let Grantee::User(id) = &grant.grantee {
            users.push(owners.of_id(id).await?);
        }
    }
    let mut users = users.iter();
    Ok(XmlWriter::s3_document("AccessControlPolicy", |xml| {
        owner.write(xml, "Owner");
        xml.element("AccessControlList", |xml| {
            for grant in &acl.grants {
                xml.element("Grant", |xml| {
                    match uri(&grant.grantee) {
                        Some(uri) => write_grantee(xml, "Group", |xml| xml.text("URI", uri)),
                        None => write_grantee(xml, "CanonicalUser", |xml| {
                            users.by_ref().take(1).for_each(|user| user.write_inside(xml));
                        }),
                    }
                    xml.text("Permission", permission_text(grant.permission));
                });
            }
        });
    }))
}

fn write_grantee(xml: &mut XmlWriter, kind: &str, inside: impl FnOnce(&mut XmlWriter)) {
    let attributes = [("xmlns:xsi", SCHEMA_INSTANCE), ("xsi:type", kind)];
    xml.element_with("Grantee", &attributes, inside);
}

impl Asked {
    fn of(headers: &HeaderMap) -> S3Result<Self> {
        let has_grants = headers.keys().any(|name| name.as_str().starts_with(GRANT_PREFIX));
        let canned = headers.get(CANNED).map(|canned| canned.to_str().unwrap_or_default());
        match (canned.filter(|canned| !canned.is_empty()), has_grants) {
            (None, false) => Ok(Self::Nothing),
            (Some(_), true) => Err(S3Error::invalid_request(
                "Specifying both Canned ACLs and Header Grants is not allowed",
            )),
            (Some(name), false) => match Canned::of(name) {
                Some(canned) => Ok(Self::Canned(canned)),
                None => Err(S3Error::invalid_argument("Invalid Argument", CANNED.as_str(), name)),
            },
            (None, true) => Ok(Self::Grants(grants_of(headers)?)),
        }
    }

    /// Refuses all but what is so anyway.
    fn require_off(&self, refusal: ErrorCode) -> S3Result<()> {
        match self {
            Self::Nothing | Self::Canned(Canned::Private | Canned::BucketOwnerFullControl) => {
                Ok(())
            }
            Self::Canned(_) | Self::Grants(_) => Err(S3Error::new(refusal)),
        }
    }

    async fn into_acl(
        self,
        store: &Store,
        owner: &str,
        bucket_owner: Option<&str>,
    ) -> S3Result<Acl> {
        match self {
            Self::Nothing => Ok(private(owner)),
            Self::Canned(canned) => Ok(canned.acl(owner, bucket_owner)),
            Self::Grants(named) => {
                if named.len() > GRANTS_MAX {
                    return Err(S3Error::new(ErrorCode::MalformedACLError));
                }
                let mut grants = Vec::with_capacity(named.len());
                for (name, permission) in named {
                    let grantee = resolve(store, name, owner).await?;
                    grants.push(Grant { grantee, permission });
                }
                Ok(Acl { owner: owner.to_owned(), grants })
            }
        }
    }
}

impl Canned {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "private" => Self::Private,
            "public-read" => Self::PublicRead,
            "public-read-write" => Self::PublicReadWrite,
            "aws-exec-read" => Self::AwsExecRead,
            "authenticated-read" => Self::AuthenticatedRead,
            "bucket-owner-read" => Self::BucketOwnerRead,
            "bucket-owner-full-control" => Self::BucketOwnerFullControl,
            "log-delivery-write" => Self::LogDeliveryWrite,
            _ => return None,
        })
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>
    fn acl(self, owner: &str, bucket_owner: Option<&str>) -> Acl {
        let mut acl = private(owner);
        let mut add = |grantee, permission| acl.grants.push(Grant { grantee, permission });
        // Of a bucket itself they mean nothing.
        let of_bucket = bucket_owner.filter(|id| *id != owner);
        let of_bucket = of_bucket.map(|id| Grantee::User(id.to_owned()));
        match self {
            Self::Private | Self::AwsExecRead => {}
            Self::PublicRead => add(Grantee::AllUsers, Permission::Read),
            Self::PublicReadWrite => {
                add(Grantee::AllUsers, Permission::Read);
                add(Grantee::AllUsers, Permission::Write);
            }
            Self::AuthenticatedRead => add(Grantee::AuthenticatedUsers, Permission::Read),
            Self::BucketOwnerRead => {
                of_bucket.into_iter().for_each(|grantee| add(grantee, Permission::Read));
            }
            Self::BucketOwnerFullControl => {
                of_bucket.into_iter().for_each(|grantee| add(grantee, Permission::FullControl));
            }
            Self::LogDeliveryWrite => {
                add(Grantee::LogDelivery, Permission::Write);
                add(Grantee::LogDelivery, Permission::ReadAcp);
            }
        }
        acl
    }
}

/// Grants in headers: `id="…", uri="…", emailAddress="…"`.
fn grants_of(headers: &HeaderMap) -> S3Result<Vec<(GranteeName, Permission)>> {
    let mut grants = Vec::new();
    for (header, permission) in GRANT_HEADERS {
        let Some(value) = headers.get(header) else { continue };
        let value = value.to_str().unwrap_or_default();
        for grantee in value.split(',') {
            let named = grantee.trim().split_once('=').and_then(|(kind, name)| {
                let name = name.trim().trim_matches('"').to_owned();
                Some(match kind.trim() {
                    "id" => GranteeName::Id(name),
                    "uri" => GranteeName::Uri(name),
                    "emailAddress" => GranteeName::EmailAddress(name),
                    _ => return None,
                })
            });
            let malformed =
                || S3Error::invalid_argument("Argument format not recognized", header, value);
            grants.push((named.ok_or_else(malformed)?, permission));
        }
    }
    Ok(grants)
}

async fn resolve(store: &Store, name: GranteeName, owner: &str) -> S3Result<Grantee> {
    let invalid = |message: &'static str, kind: &str, value: &str| {
        S3Error::invalid_argument(message, kind, value)
    };
    match name {
        GranteeName::Id(id) if id == owner || id == ANONYMOUS_ID => Ok(Grantee::User(id)),
        GranteeName::Id(id) => match Owner::find(store, &id).await? {
            Some(_) => Ok(Grantee::User(id)),
            None => Err(invalid("Invalid id", "CanonicalUser/ID", &id)),
        },
        GranteeName::Uri(uri) => match uri.as_str() {
            ALL_USERS => Ok(Grantee::AllUsers),
            AUTHENTICATED_USERS => Ok(Grantee::AuthenticatedUsers),
            LOG_DELIVERY => Ok(Grantee::LogDelivery),
            _ => Err(invalid("Invalid group uri", "Group/URI", &uri)),
        },
        // Users have no addresses.
        GranteeName::EmailAddress(_) => {
            Err(S3Error::new(ErrorCode::UnresolvableGrantByEmailAddress))
        }
    }
}

/// Public lists are refused where the block says so.
fn check_block(acl: &Acl, bucket: &BucketAccess) -> S3Result<()> {
    let blocks = bucket.public_access_block.is_some_and(|block| block.block_public_acls);
    if blocks && access::is_public(acl) {
        return Err(S3Error::with_message(
            ErrorCode::AccessDenied,
            "The ACL is public, and public ACLs are blocked by the BlockPublicAcls setting of the \
             bucket's public access block",
        ));
    }
    Ok(())
}

/// Canonical id of whoever owns what they write.
fn writer<'a>(principal: &'a Principal, bucket: &'a BucketAccess) -> &'a str {
    match (principal.is_unproven(), principal.is_root) {
        (true, _) => ANONYMOUS_ID,
        // Root writes for whoever owns the bucket.
        (false, true) => &bucket.owner,
        // Nothing is a role's.
        (false, false) if principal.entitlement.role.is_some() => &bucket.owner,
        (false, false) => &principal.canonical_id,
    }
}

/// A list as it is kept: not at all where it says what is so anyway.
fn stored(acl: Acl, bucket_owner: &str) -> Option<Acl> {
    (acl != private(bucket_owner)).then_some(acl)
}

fn private(owner: &str) -> Acl {
    let grantee = Grantee::User(owner.to_owned());
    let grants = vec![Grant { grantee, permission: Permission::FullControl }];
    Acl { owner: owner.to_owned(), grants }
}

fn is_full_control(grants: &[(GranteeName, Permission)], owner: &str) -> bool {
    matches!(grants, [(GranteeName::Id(id), Permission::FullControl)] if id == owner)
}

fn uri(grantee: &Grantee) -> Option<&'static str> {
    match grantee {
        Grantee::User(_) => None,
        Grantee::AllUsers => Some(ALL_USERS),
        Grantee::AuthenticatedUsers => Some(AUTHENTICATED_USERS),
        Grantee::LogDelivery => Some(LOG_DELIVERY),
    }
}

fn permission_text(permission: Permission) -> &'static str {
    match permission {
        Permission::FullControl => "FULL_CONTROL",
        Permission::Read => "READ",
        Permission::Write => "WRITE",
        Permission::ReadAcp => "READ_ACP",
        Permission::WriteAcp => "WRITE_ACP",
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn where_lists_are_off_nothing_can_be_asked_for() {
        let check = |pairs: &[(&'static str, &'static str)], expected: Option<ErrorCode>| {
            let off = ErrorCode::AccessControlListNotSupported;
            let asked = Asked::of(&headers(pairs)).and_then(|asked| asked.require_off(off));
            assert_eq!(asked.err().map(|error| error.code()), expected, "{pairs:?}");
        };
        let off = Some(ErrorCode::AccessControlListNotSupported);
        check(&[], None);
        check(&[("x-amz-acl", "private")], None);
        check(&[("x-amz-acl", "bucket-owner-full-control")], None);
        check(&[("x-amz-acl", "public-read")], off);
        check(&[("x-amz-acl", "public-ready")], Some(ErrorCode::InvalidArgument));
        check(&[("x-amz-grant-read", "id=1")], off);
        check(&[("x-amz-grant-read", "1")], Some(ErrorCode::InvalidArgument));
        check(
            &[("x-amz-acl", "private"), ("x-amz-grant-read", "id=1")],
            Some(ErrorCode::InvalidRequest),
        );
        check(&[("x-other", "1")], None);
    }

    #[test]
    fn grants_in_headers() {
        let sent = headers(&[
            ("x-amz-grant-read", "id=\"a\", uri=http://acs.amazonaws.com/groups/global/AllUsers"),
            ("x-amz-grant-write-acp", "emailAddress=\"x@example.com\""),
        ]);
        let expected = vec![
            (GranteeName::Id("a".to_owned()), Permission::Read),
            (GranteeName::Uri(ALL_USERS.to_owned()), Permission::Read),
            (GranteeName::EmailAddress("x@example.com".to_owned()), Permission::WriteAcp),
        ];
        assert_eq!(Asked::of(&sent).unwrap(), Asked::Grants(expected));
    }

    #[test]
    fn canned_lists() {
        let user = |id: &str| Grantee::User(id.to_owned());
        let (read, full) = (Permission::Read, Permission::FullControl);
        let rows = [
            ("private", vec![]),
            ("aws-exec-read", vec![]),
            ("public-read", vec![(Grantee::AllUsers, read)]),
            (
                "public-read-write",
                vec![(Grantee::AllUsers, read), (Grantee::AllUsers, Permission::Write)],
            ),
            ("authenticated-read", vec![(Grantee::AuthenticatedUsers, read)]),
            ("bucket-owner-read", vec![(user("bucket"), read)]),
            ("bucket-owner-full-control", vec![(user("bucket"), full)]),
        ];
        for (name, more) in rows {
            let acl = Canned::of(name).unwrap().acl("writer", Some("bucket"));
            let mut expected = vec![(user("writer"), full)];
            expected.extend(more);
            let grants = acl.grants.into_iter().map(|grant| (grant.grantee, grant.permission));
            assert_eq!(grants.collect::<Vec<_>>(), expected, "{name}");
        }
        assert_eq!(stored(private("bucket"), "bucket"), None);
        assert!(stored(private("writer"), "bucket").is_some());
    }
}
