//! Any policy at all: reading it and asking it never panics, a session is never more than its user, and
//! what lets in anybody at all is public.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelock_auth::policy::{
    ConditionKeys, POLICY_BYTES_MAX, Policies, Policy, PolicyKind, Request, Requester, decide,
};

const KNOWN: Requester<'_> = Requester::Known {
    account: "000000000000",
    arn: "arn:aws:iam::000000000000:user/ci",
    role: None,
    canonical_id: "cafe",
};
const BUCKET: PolicyKind<'_> = PolicyKind::Bucket { bucket: "bucket" };

fuzz_target!(|text: &str| {
    let keys: ConditionKeys = [
        ("aws:SourceIp", "10.0.0.1"),
        ("aws:CurrentTime", "2026-01-01T00:00:00Z"),
        ("aws:username", "a*b"),
        ("s3:prefix", "a"),
        ("s3:prefix", "b"),
    ]
    .into_iter()
    .collect();
    let may = |policies: Policies<'_>, requester, keys: &ConditionKeys| {
        let (action, resource) = ("s3:GetObject", "arn:aws:s3:::bucket/key");
        decide(&policies, &Request { requester, action, resource, keys }).is_allowed()
    };
    if let Ok(policy) = Policy::parse(text, BUCKET) {
        assert!(text.len() <= POLICY_BYTES_MAX);
        let all = Policies { bucket: Some(&policy), ..Policies::default() };
        may(all, KNOWN, &keys);
        if may(all, Requester::Anonymous, &ConditionKeys::new()) {
            assert!(policy.is_public());
        }
    }
    if let Ok(policy) = Policy::parse(text, PolicyKind::Identity) {
        let own = [&policy];
        let user = Policies { identity: &own, ..Policies::default() };
        let session = Policies { session: Some(&own), ..user };
        assert_eq!(may(session, KNOWN, &keys), may(user, KNOWN, &keys));
    }
});
