//! The policy language: what is refused as malformed, what AWS's documents say, and what an evaluator
//! that was written apart says of 10,000 cases.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod generated;
mod reference;

use serde_json::{Value, json};
use tidelock_auth::policy::{
    Access, ConditionKeys, Decision, InvalidPolicy, Policies, Policy, PolicyKind, Request,
    Requester, Source, decide, decide_trust,
};

const BUCKET: PolicyKind<'_> = PolicyKind::Bucket { bucket: "bucket" };
const OBJECT: &str = "arn:aws:s3:::bucket/key";

/// A condition, the keys of a request, and whether it holds.
type ConditionRow<'a> = (Value, &'a [(&'a str, &'a str)], bool);
/// Policies of the user, policies of the session, who owns; may they read, may they write.
type SessionRow<'a> = (&'a [&'a Policy], Option<&'a [&'a Policy]>, bool, bool, bool);

fn user(arn: &str) -> Requester<'_> {
    Requester::Known { account: "000000000000", arn, role: None, canonical_id: "cafe" }
}

fn ci() -> Requester<'static> {
    user("arn:aws:iam::000000000000:user/ci")
}

/// A policy of one statement, with what is given put over a statement that allows all to all.
fn bucket_policy(over: &Value) -> String {
    let mut statement = json!({
        "Effect": "Allow", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
    });
    for (name, value) in over.as_object().unwrap() {
        match value {
            Value::Null => statement.as_object_mut().unwrap().remove(name),
            value => statement.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

fn asked(
    policy: &str,
    requester: Requester<'_>,
    action: &str,
    resource: &str,
    keys: &[(&str, &str)],
) -> Decision {
    let policy = Policy::parse(policy, BUCKET).unwrap();
    let keys: ConditionKeys = keys.iter().copied().collect();
    let request = Request { requester, action, resource, keys: &keys };
    decide(&Policies { bucket: Some(&policy), ..Policies::default() }, &request)
}

#[test]
fn malformed_policies_are_refused_in_words() {
    let with = |over: Value| bucket_policy(&over);
    let deep = "[".repeat(100_000);
    let many: Vec<String> = (0..3_000).map(|_| "s3:Get*".to_owned()).collect();
    let rows = [
        (String::new(), "Policies must be valid JSON and the first byte must be '{'"),
        ("[]".to_owned(), "Policies must be valid JSON and the first byte must be '{'"),
        ("{}".to_owned(), "Missing required field Statement"),
        (format!("{{\"Statement\":{deep}"), "Policy is larger than 20480 bytes"),
        (format!("{{\"Statement\":{}", &deep[..1_000]), "This policy contains invalid Json"),
        (r#"{"Statement":[]}"#.to_owned(), "Statement is empty"),
        (r#"{"Version":"2020-01-01","Statement":[]}"#.to_owned(), "valid version string"),
        (r#"{"Statement":[],"Other":1}"#.to_owned(), "Unknown field Other"),
        (r#"{"Statement":[],"Statement":[]}"#.to_owned(), "duplicate field"),
        (with(json!({"Effect": "allow"})), "Invalid effect: allow"),
        (with(json!({"Principal": null})), "Missing required field Principal"),
        (with(json!({"NotPrincipal": "*"})), "both Principal and NotPrincipal"),
        (with(json!({"Principal": "ci"})), "Invalid principal in policy"),
        (with(json!({"Principal": {"AWS": "ci"}})), "Invalid principal in policy"),
        (with(json!({"Principal": {"AWS": []}})), "Invalid principal in policy"),
        (
            with(json!({"Principal": {"AWS": "arn:aws:iam::000000000000:group/ops"}})),
            "Invalid principal in policy",
        ),
        (with(json!({"Principal": {"CanonicalUser": ""}})), "Invalid principal in policy"),
        (with(json!({"Principal": null, "NotPrincipal": "*"})), "Invalid principal in policy"),
        (
            with(json!({"Principal": {"AWS": "arn:aws:iam::000000000000:user/*"}})),
            "Invalid principal in policy",
        ),
        (with(json!({"Action": null})), "Missing required field Action"),
        (with(json!({"Action": []})), "Policy has invalid action"),
        (with(json!({"Action": "s3:GetThing"})), "Policy has invalid action"),
        (with(json!({"Action": "GetObject"})), "Policy has invalid action"),
        (with(json!({"Action": many})), "Policy is larger"),
        (with(json!({"Resource": null})), "Missing required field Resource"),
        (with(json!({"Resource": "*"})), "Policy has invalid resource"),
        (with(json!({"Resource": "arn:aws:s3:::other/*"})), "Policy has invalid resource"),
        (with(json!({"Resource": "arn:aws:s3:::bucket2"})), "Policy has invalid resource"),
        (
            with(json!({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket/k"})),
            "Action does not apply to any resource(s) in statement",
        ),
        (
            with(json!({"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket/*"})),
            "Action does not apply to any resource(s) in statement",
        ),
        (with(json!({"Resource": "arn:aws:s3:::bucket/${aws:username"})), "invalid resource"),
        (with(json!({"Condition": {"StringEquals": {"a": "${b, c}"}}})), "Invalid value"),
        (
            with(json!({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"})),
            "Action does not apply to any resource(s) in statement",
        ),
        (with(json!({"Condition": {"StringIs": {"a": "b"}}})), "Invalid Condition type"),
        (with(json!({"Condition": {"ForSome:Bool": {"a": "true"}}})), "Invalid Condition type"),
        (with(json!({"Condition": {"NullIfExists": {"a": "true"}}})), "Invalid Condition type"),
        (with(json!({"Condition": {"Bool": {"a": "yes"}}})), "Invalid value in condition"),
        (with(json!({"Condition": {"IpAddress": {"a": "10.0.0.0/33"}}})), "Invalid value"),
        (with(json!({"Condition": {"NumericEquals": {"a": "NaN"}}})), "Invalid value"),
        (with(json!({"Condition": {"DateEquals": {"a": "soon"}}})), "Invalid value"),
    ];
    for (text, expected) in rows {
        let error = Policy::parse(&text, BUCKET).unwrap_err().to_string();
        assert!(error.contains(expected), "{}: {error}", &text[..text.len().min(300)]);
    }
    let identity = Policy::parse(&bucket_policy(&json!({})), PolicyKind::Identity).unwrap_err();
    assert_eq!(identity.to_string(), "Invalid principal in policy");
    let any = bucket_policy(&json!({"Principal": null, "Resource": "*", "Action": "*"}));
    Policy::parse(&any, PolicyKind::Identity).unwrap();
    let wild = bucket_policy(&json!({"Resource": ["arn:aws:s3:::*", "arn:aws:s3:::*/*"]}));
    Policy::parse(&wild, BUCKET).unwrap();
}

#[test]
fn principals_are_who_they_are() {
    let root = "arn:aws:iam::000000000000:root";
    let session = Requester::Known {
        account: "000000000000",
        arn: "arn:aws:sts::000000000000:assumed-role/planner/run-7",
        role: Some("arn:aws:iam::000000000000:role/planner"),
        canonical_id: "f00d",
    };
    let rows = [
        (json!({"Principal": "*"}), Requester::Anonymous, true),
        (json!({"Principal": {"AWS": "*"}}), Requester::Anonymous, true),
        (json!({"Principal": {"AWS": ["arn:aws:iam::000000000000:user/ci"]}}), ci(), true),
        (
            json!({"Principal": {"AWS": ["arn:aws:iam::000000000000:user/ci"]}}),
            Requester::Anonymous,
            false,
        ),
        (json!({"Principal": {"AWS": "arn:aws:iam::000000000000:user/c"}}), ci(), false),
        (json!({"Principal": {"CanonicalUser": "cafe"}}), ci(), true),
        (json!({"Principal": {"Service": "s3.amazonaws.com"}}), ci(), false),
        // An account alone lets the account's own policies say who.
        (json!({"Principal": {"AWS": "000000000000"}}), ci(), false),
        (json!({"Principal": {"AWS": root}}), ci(), false),
        (json!({"Principal": {"AWS": root}}), user(root), true),
        (json!({"Principal": {"AWS": "111111111111"}}), user(root), false),
        (json!({"Principal": {"AWS": "arn:aws:iam::000000000000:role/planner"}}), session, true),
        (
            json!({"Principal": {"AWS": "arn:aws:sts::000000000000:assumed-role/planner/run-7"}}),
            session,
            true,
        ),
        (
            json!({"Principal": {"AWS": "arn:aws:sts::000000000000:assumed-role/planner/run-8"}}),
            session,
            false,
        ),
    ];
    for (over, requester, expected) in rows {
        let decision = asked(&bucket_policy(&over), requester, "s3:GetObject", OBJECT, &[]);
        assert_eq!(decision.is_allowed(), expected, "{over} {requester:?}");
    }
    // Whoever is not named is denied; the account that AWS wants beside a user stands for its root.
    let but_ci = json!(["arn:aws:iam::000000000000:user/ci", root]);
    let but = json!({"Effect": "Deny", "Principal": null, "NotPrincipal": {"AWS": but_ci}});
    let other = user("arn:aws:iam::000000000000:user/other");
    for (requester, is_denied) in [
        (ci(), false),
        (user(root), false),
        (other, true),
        (session, true),
        (Requester::Anonymous, true),
    ] {
        let decision = asked(&bucket_policy(&but), requester, "s3:GetObject", OBJECT, &[]);
        assert_eq!(decision.access == Access::ExplicitlyDenied, is_denied, "{requester:?}");
    }
    // A denial of an account is one of all who belong to it.
    let deny = bucket_policy(&json!({"Effect": "Deny", "Principal": {"AWS": root}}));
    let decision = asked(&deny, ci(), "s3:GetObject", OBJECT, &[]);
    assert_eq!(decision.access, Access::ExplicitlyDenied);
}

#[test]
fn conditions_hold() {
    const IP: &str = "aws:SourceIp";
    let rows: &[ConditionRow<'_>] = &[
        (json!({"StringEquals": {"k": "a"}}), &[("k", "a")], true),
        (json!({"StringEquals": {"K": "a"}}), &[("k", "a")], true),
        (json!({"StringEquals": {"k": "a"}}), &[("k", "A")], false),
        (json!({"StringEquals": {"k": ["b", "a"]}}), &[("k", "a")], true),
        (json!({"StringEquals": {"k": "a"}}), &[], false),
        (json!({"StringEquals": {"k": "a*"}}), &[("k", "ab")], false),
        (json!({"StringEqualsIfExists": {"k": "a"}}), &[], true),
        (json!({"StringEqualsIfExists": {"k": "a"}}), &[("k", "b")], false),
        (json!({"StringNotEquals": {"k": ["a", "b"]}}), &[("k", "b")], false),
        (json!({"StringNotEquals": {"k": ["a", "b"]}}), &[("k", "c")], true),
        (json!({"StringNotEquals": {"k": "a"}}), &[], true),
        (json!({"StringEqualsIgnoreCase": {"k": "AE"}}), &[("k", "ae")], true),
        (json!({"StringNotEqualsIgnoreCase": {"k": "AE"}}), &[("k", "ae")], false),
        (
            json!({"StringLike": {"s3:prefix": ["env/${aws:username}/*"]}}),
            &[("s3:prefix", "env/ci/x"), ("aws:username", "ci")],
            true,
        ),
        (
            json!({"StringLike": {"s3:prefix": "env/${aws:username}/*"}}),
            &[("s3:prefix", "env//x")],
            false,
        ),
        (json!({"StringNotLike": {"k": "a*"}}), &[("k", "ab")], false),
        (json!({"ForAnyValue:StringEquals": {"k": ["a", "b"]}}), &[("k", "x"), ("k", "b")], true),
        (json!({"ForAnyValue:StringEquals": {"k": "a"}}), &[], false),
        (json!({"ForAllValues:StringEquals": {"k": ["a", "b"]}}), &[("k", "x"), ("k", "b")], false),
        (json!({"ForAllValues:StringEquals": {"k": ["a", "b"]}}), &[("k", "a"), ("k", "b")], true),
        (json!({"ForAllValues:StringEquals": {"k": "a"}}), &[], true),
        (json!({"ForAnyValue:StringNotEquals": {"k": "a"}}), &[("k", "a"), ("k", "b")], true),
        (json!({"ForAllValues:StringNotEquals": {"k": "a"}}), &[("k", "a"), ("k", "b")], false),
        (json!({"Null": {"s3:if-none-match": "true"}}), &[], true),
        (json!({"Null": {"s3:if-none-match": true}}), &[("s3:if-none-match", "*")], false),
        (json!({"Null": {"s3:if-none-match": "false"}}), &[("s3:if-none-match", "*")], true),
        (
            json!({"Bool": {"aws:SecureTransport": "false"}}),
            &[("aws:SecureTransport", "false")],
            true,
        ),
        (
            json!({"Bool": {"aws:SecureTransport": false}}),
            &[("aws:SecureTransport", "true")],
            false,
        ),
        (json!({"Bool": {"aws:SecureTransport": "false"}}), &[], false),
        (json!({"NumericLessThanEquals": {"s3:max-keys": "10"}}), &[("s3:max-keys", "10")], true),
        (json!({"NumericLessThan": {"s3:max-keys": 10}}), &[("s3:max-keys", "10")], false),
        (json!({"NumericGreaterThan": {"s3:max-keys": "9.5"}}), &[("s3:max-keys", "10")], true),
        (json!({"NumericEquals": {"s3:max-keys": "10"}}), &[("s3:max-keys", "ten")], false),
        (json!({"NumericNotEquals": {"s3:max-keys": "10"}}), &[("s3:max-keys", "11")], true),
        (
            json!({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}),
            &[("aws:CurrentTime", "2026-11-29T05:00:00Z")],
            true,
        ),
        (
            json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01"}}),
            &[("aws:CurrentTime", "2026-11-29T05:00:00Z")],
            false,
        ),
        (
            json!({"DateGreaterThan": {"aws:CurrentTime": "2026-11-29T06:00:00"}}),
            &[("aws:CurrentTime", "2026-11-29T05:00:00Z")],
            false,
        ),
        (
            json!({"DateGreaterThan": {"aws:CurrentTime": "2026-11-29T04:00:00"}}),
            &[("aws:CurrentTime", "2026-11-29T05:00:00Z")],
            true,
        ),
        (
            json!({"DateEquals": {"aws:EpochTime": "1767225600"}}),
            &[("aws:EpochTime", "2026-01-01T00:00:00Z")],
            true,
        ),
        (json!({"IpAddress": {IP: "10.0.0.0/8"}}), &[(IP, "10.1.2.3")], true),
        (json!({"IpAddress": {IP: "10.0.0.0/8"}}), &[(IP, "::ffff:10.1.2.3")], true),
        (json!({"IpAddress": {IP: "10.0.0.0/8"}}), &[(IP, "11.1.2.3")], false),
        (json!({"IpAddress": {IP: ["192.0.2.1", "2001:db8::/32"]}}), &[(IP, "2001:db8::9")], true),
        (json!({"IpAddress": {IP: "0.0.0.0/0"}}), &[(IP, "2001:db8::9")], false),
        (json!({"NotIpAddress": {IP: "10.0.0.0/8"}}), &[(IP, "10.1.2.3")], false),
        (json!({"NotIpAddress": {IP: "10.0.0.0/8"}}), &[(IP, "nowhere")], true),
        (
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/c*"}}),
            &[("aws:PrincipalArn", "arn:aws:iam::000000000000:user/ci")],
            true,
        ),
        (
            json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/c*"}}),
            &[("aws:PrincipalArn", "arn:aws:iam::000000000000:user/ci")],
            false,
        ),
        (
            json!({"ArnLike": {"aws:PrincipalArn": "arn:*:user/ci"}}),
            &[("aws:PrincipalArn", "arn:aws:iam::000000000000:user/ci")],
            false,
        ),
        (
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::000000000000:user/${aws:username}"}}),
            &[("aws:PrincipalArn", "arn:aws:iam::000000000000:user/ci"), ("aws:username", "ci")],
            true,
        ),
        (
            json!({"ArnNotLike": {"aws:PrincipalArn": "*"}}),
            &[("aws:PrincipalArn", "a:b:c:d:e:f")],
            false,
        ),
        (json!({"BinaryEquals": {"k": "QmluYXJ5"}}), &[("k", "QmluYXJ5")], true),
        // All operators and all keys have to hold.
        (json!({"StringEquals": {"a": "1", "b": "2"}}), &[("a", "1"), ("b", "2")], true),
        (json!({"StringEquals": {"a": "1", "b": "2"}}), &[("a", "1")], false),
        (json!({"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}), &[("a", "1")], false),
    ];
    for (condition, keys, expected) in rows {
        let policy = bucket_policy(&json!({"Condition": condition}));
        let decision = asked(&policy, ci(), "s3:GetObject", OBJECT, keys);
        assert_eq!(decision.is_allowed(), *expected, "{condition} {keys:?}");
    }
}

#[test]
fn a_denial_wins_and_says_where_it_stands() {
    let text = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "all", "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"},
        {"Sid": "locks", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::bucket/*.tflock",
            "Condition": {"Null": {"s3:if-none-match": "true"}}},
    ]})
    .to_string();
    let lock = "arn:aws:s3:::bucket/app.tflock";
    let allowed = asked(&text, ci(), "s3:PutObject", lock, &[("s3:if-none-match", "*")]);
    assert_eq!(allowed.by.as_ref().unwrap().sid.as_deref(), Some("all"));
    let denied = asked(&text, ci(), "s3:PutObject", lock, &[]);
    assert_eq!(denied.access, Access::ExplicitlyDenied);
    let by = denied.by.unwrap();
    assert_eq!((by.source, by.policy, by.statement), (Source::Bucket, 0, 1));
    let nothing = asked(&text, ci(), "s3:ListBucket", "arn:aws:s3:::bucket", &[]);
    assert_eq!((nothing.access, nothing.by), (Access::ImplicitlyDenied, None));
    // Owners may what nobody denies them.
    let policy = Policy::parse(&text, BUCKET).unwrap();
    let keys = ConditionKeys::new();
    let owner = Policies { is_owner: true, bucket: Some(&policy), ..Policies::default() };
    for (action, resource, expected) in
        [("s3:ListBucket", "arn:aws:s3:::bucket", true), ("s3:PutObject", lock, false)]
    {
        let request = Request { requester: ci(), action, resource, keys: &keys };
        assert_eq!(decide(&owner, &request).is_allowed(), expected, "{action}");
    }
}

#[test]
fn a_session_may_no_more_than_it_was_given() {
    let identity = |action: &str| {
        let text = json!({"Version": "2012-10-17", "Statement":
            {"Effect": "Allow", "Action": action, "Resource": "*"}});
        Policy::parse(&text.to_string(), PolicyKind::Identity).unwrap()
    };
    let (read, write, all) = (identity("s3:Get*"), identity("s3:Put*"), identity("s3:*"));
    let keys = ConditionKeys::new();
    let may = |identity: &[&Policy], session: Option<&[&Policy]>, is_owner: bool, action: &str| {
        let policies = Policies { is_owner, identity, bucket: None, session };
        let request = Request { requester: ci(), action, resource: OBJECT, keys: &keys };
        decide(&policies, &request).is_allowed()
    };
    let rows: [SessionRow<'_>; 7] = [
        (&[&all], None, false, true, true),
        (&[&all], Some(&[]), false, false, false),
        (&[&all], Some(&[&read]), false, true, false),
        (&[&write], Some(&[&read]), false, false, false),
        (&[&read], Some(&[&all]), false, true, false),
        (&[&read, &write], None, false, true, true),
        (&[], Some(&[&write]), true, false, true),
    ];
    for (at, (identity, session, is_owner, reads, writes)) in rows.into_iter().enumerate() {
        assert_eq!(may(identity, session, is_owner, "s3:GetObject"), reads, "row {at} reads");
        assert_eq!(may(identity, session, is_owner, "s3:PutObject"), writes, "row {at} writes");
    }
}

#[test]
fn a_policy_is_public_unless_something_fixed_keeps_the_public_out() {
    let ip = |network: &str| json!({"Condition": {"IpAddress": {"aws:SourceIp": network}}});
    let rows = [
        (json!({}), true),
        (json!({"Effect": "Deny"}), false),
        (json!({"Principal": {"AWS": "*"}}), true),
        (json!({"Principal": {"AWS": "arn:aws:iam::000000000000:user/ci"}}), false),
        (ip("10.0.0.0/8"), false),
        (ip("0.0.0.0/1"), true),
        (ip("2001:db8::/32"), false),
        (ip("::/0"), true),
        (json!({"Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}), true),
        (json!({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}), false),
        (json!({"Condition": {"StringLike": {"aws:PrincipalOrgID": "o-*"}}}), true),
        (json!({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "${aws:userid}"}}}), true),
        (json!({"Condition": {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}}), true),
        (json!({"Condition": {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-1"}}}), true),
        (json!({"Condition": {"StringEquals": {"aws:UserAgent": "secret"}}}), true),
        (json!({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}), true),
    ];
    for (over, expected) in rows {
        let policy = Policy::parse(&bucket_policy(&over), BUCKET).unwrap();
        assert_eq!(policy.is_public(), expected, "{over}");
    }
}

#[test]
fn trust_policies() {
    const PROVIDER: &str = "arn:aws:iam::000000000000:oidc-provider/id.test";
    let ann = "arn:aws:iam::000000000000:user/ann";
    let trust = |principal: Value, condition: Value| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": principal, "Condition": condition,
            "Action": ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"],
        }]})
    };
    let may = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:*", "Resource": "arn:aws:iam::000000000000:role/ci"},
    ]});
    let may = Policy::parse(&may.to_string(), PolicyKind::Identity).unwrap();
    let keys: ConditionKeys = [("id.test:sub", "repo:a/b:main")].into_iter().collect();
    let by_sub = json!({"StringLike": {"id.test:sub": "repo:a/b:*"}});
    let other = json!({"StringLike": {"id.test:sub": "repo:a/c:*"}});
    let (federated, person) = (Requester::Federated { provider: PROVIDER }, user(ann));
    let account = json!({"AWS": "000000000000"});
    // Who is trusted, under which condition, who asks, with a policy of their own, and whether they may.
    let rows = [
        (json!({"Federated": PROVIDER}), json!({}), federated, false, true),
        (json!({"Federated": PROVIDER}), by_sub, federated, false, true),
        (json!({"Federated": PROVIDER}), other, federated, false, false),
        (
            json!({"Federated": "arn:aws:iam::000000000000:oidc-provider/x"}),
            json!({}),
            federated,
            false,
            false,
        ),
        (json!("*"), json!({}), federated, false, false),
        (json!({"AWS": ann}), json!({}), federated, false, false),
        (json!({"Federated": PROVIDER}), json!({}), person, true, false),
        (json!({"AWS": ann}), json!({}), person, false, true),
        (json!({"AWS": "arn:aws:iam::000000000000:user/bob"}), json!({}), person, true, false),
        (account.clone(), json!({}), person, false, false),
        (account, json!({}), person, true, true),
    ];
    for (principal, condition, requester, has_policy, expected) in rows {
        let text = trust(principal, condition).to_string();
        let policy = Policy::parse(&text, PolicyKind::Trust).unwrap();
        let own = [&may];
        let identity = if has_policy { own.as_slice() } else { &[] };
        let request = Request {
            requester,
            action: match requester {
                Requester::Federated { .. } => "sts:AssumeRoleWithWebIdentity",
                Requester::Known { .. } | Requester::Anonymous => "sts:AssumeRole",
            },
            resource: "arn:aws:iam::000000000000:role/ci",
            keys: &keys,
        };
        let policies = Policies { identity, ..Policies::default() };
        let found = decide_trust(&policy, &policies, &request) == Access::Allowed;
        assert_eq!(found, expected, "{text} {requester:?} {has_policy}");
    }
}

#[test]
fn what_is_no_trust_policy() {
    let statement = |rest: Value| {
        let mut statement =
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"});
        for (name, value) in rest.as_object().unwrap() {
            statement[name] = value.clone();
        }
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
    let parse = |text: &str| Policy::parse(text, PolicyKind::Trust).err();
    assert_eq!(parse(&statement(json!({}))), None);
    assert_eq!(
        parse(&statement(json!({"Resource": "*"}))),
        Some(InvalidPolicy::ProhibitedResource)
    );
    assert_eq!(parse(&statement(json!({"Action": "s3:*"}))), Some(InvalidPolicy::Action));
    assert_eq!(parse(&statement(json!({"Action": "*"}))), Some(InvalidPolicy::Action));
    let unnamed = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole"},
    ]});
    assert_eq!(parse(&unnamed.to_string()), Some(InvalidPolicy::Missing("Principal")));
}
