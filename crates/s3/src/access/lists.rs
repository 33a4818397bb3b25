//! What access control lists allow.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>

use tidelock_store::{Acl, Grantee, Permission, Principal};

/// Whether a list allows `wanted` to somebody; grants to everybody count only where they are not ignored.
pub(crate) fn allows(
    acl: Option<&Acl>,
    principal: &Principal,
    wanted: Permission,
    ignores_public: bool,
) -> bool {
    let is_known = !principal.is_unproven();
    acl.into_iter().flat_map(|acl| &acl.grants).any(|grant| {
        let is_for = match &grant.grantee {
            Grantee::User(id) => is_known && principal.is_owner(id),
            Grantee::AllUsers => !ignores_public,
            Grantee::AuthenticatedUsers => is_known && !ignores_public,
            Grantee::LogDelivery => false,
        };
        is_for && (grant.permission == wanted || grant.permission == Permission::FullControl)
    })
}

/// Whether a list gives anything to everybody, or to everybody who has an access key.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>
pub(crate) fn is_public(acl: &Acl) -> bool {
    let is_public = |grantee: &Grantee| match grantee {
        Grantee::AllUsers | Grantee::AuthenticatedUsers => true,
        Grantee::User(_) | Grantee::LogDelivery => false,
    };
    acl.grants.iter().any(|grant| is_public(&grant.grantee))
}

#[cfg(test)]
mod tests {
    use tidelock_store::{Grant, Origin};

    use super::*;

    #[test]
    fn lists_allow_what_they_grant() {
        let known = Principal { is_root: false, ..Principal::root() };
        let (anonymous, own) = (Principal::unproven(Origin::default()), known.canonical_id.clone());
        let (read, write) = (Permission::Read, Permission::Write);
        let user = |id: &str| Grantee::User(id.to_owned());
        // Who is granted what, whether public grants are ignored, and who may read and write.
        let rows = [
            (user(&own), read, false, [(true, false), (false, false)]),
            (user(&own), Permission::FullControl, true, [(true, true), (false, false)]),
            (user("other"), read, false, [(false, false), (false, false)]),
            (user(""), read, false, [(false, false), (false, false)]),
            (Grantee::AllUsers, read, false, [(true, false), (true, false)]),
            (Grantee::AllUsers, read, true, [(false, false), (false, false)]),
            (Grantee::AuthenticatedUsers, write, false, [(false, true), (false, false)]),
            (Grantee::AuthenticatedUsers, write, true, [(false, false), (false, false)]),
            (Grantee::LogDelivery, write, false, [(false, false), (false, false)]),
        ];
        for (grantee, permission, ignored, expected) in rows {
            let grant = Grant { grantee: grantee.clone(), permission };
            let acl = Acl { owner: "owner".to_owned(), grants: vec![grant] };
            let found = [&known, &anonymous].map(|principal| {
                let may = |wanted| allows(Some(&acl), principal, wanted, ignored);
                (may(read), may(write))
            });
            assert_eq!(found, expected, "{grantee:?} {permission:?}");
        }
        assert!(!allows(None, &known, read, false));
    }
}
