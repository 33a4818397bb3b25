//! Cases by the thousand: small alphabets, so that much matches and much is close to matching.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use tidelock_auth::policy::{
    Access, ConditionKeys, Policies, Policy, PolicyKind, Request, Requester, decide,
};

use super::reference::{self, Asked, Case};

const CASES: usize = 10_000;
const ARNS: [&str; 3] = [
    "arn:aws:iam::000000000000:user/ci",
    "arn:aws:iam::000000000000:user/me",
    "arn:aws:iam::000000000000:user/c*",
];
const ACTIONS: [&str; 4] =
    ["s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject"];
const ACTION_PATTERNS: [&str; 7] =
    ["s3:*", "s3:Get*", "S3:putobject", "s3:PutObject*", "s3:?etObject", "s3:DeleteObject", "*"];
const RESOURCES: [&str; 5] = [
    "arn:aws:s3:::bucket/ci/a.tfstate",
    "arn:aws:s3:::bucket/ci/a.tfstate.tflock",
    "arn:aws:s3:::bucket/me/b",
    "arn:aws:s3:::bucket/c*/b",
    "arn:aws:s3:::bucket/x",
];
const RESOURCE_PATTERNS: [&str; 7] = [
    "arn:aws:s3:::bucket/*",
    "arn:aws:s3:::bucket/ci/*",
    "arn:aws:s3:::bucket/${aws:username}/*",
    "arn:aws:s3:::bucket/*.tflock",
    "arn:aws:s3:::b*t/*/b",
    "arn:aws:s3:::bucket/?",
    "arn:aws:s3:::bucket/*/*",
];

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(texts).prop_map(str::to_owned)
}

fn some_of(texts: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(one_of(texts), 1..=most)
}

/// An operator, a key and values that go together.
fn condition() -> impl Strategy<Value = (String, String, Vec<String>)> {
    let text = (
        one_of(&["", "ForAnyValue:", "ForAllValues:"]),
        one_of(&["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"]),
        one_of(&["", "IfExists"]),
        one_of(&["s3:prefix", "S3:Prefix", "aws:TagKeys"]),
        some_of(&["a", "b", "a*", "?", "${aws:username}", "x${aws:username}"], 3),
    )
        .prop_map(|(set, base, tail, key, values)| (format!("{set}{base}{tail}"), key, values));
    let case = some_of(&["A", "b"], 2)
        .prop_map(|values| ("StringEqualsIgnoreCase".to_owned(), "s3:prefix".to_owned(), values));
    let null = one_of(&["true", "false"])
        .prop_map(|value| ("Null".to_owned(), "s3:prefix".to_owned(), vec![value]));
    let truth = one_of(&["true", "false"])
        .prop_map(|value| ("Bool".to_owned(), "aws:SecureTransport".to_owned(), vec![value]));
    let number = (
        one_of(&["NumericEquals", "NumericLessThan", "NumericGreaterThanEquals"]),
        some_of(&["1", "5", "10"], 2),
    )
        .prop_map(|(operator, values)| (operator, "s3:max-keys".to_owned(), values));
    let address = (
        one_of(&["IpAddress", "NotIpAddress"]),
        some_of(&["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "192.0.2.7/32"], 2),
    )
        .prop_map(|(operator, values)| (operator, "aws:SourceIp".to_owned(), values));
    prop_oneof![5 => text, 1 => case, 1 => null, 1 => truth, 1 => number, 1 => address]
}

fn statement(names_principals: bool) -> impl Strategy<Value = Value> {
    let principals = (
        one_of(&["Principal", "Principal", "Principal", "NotPrincipal"]),
        prop_oneof![
            Just(json!("*")),
            Just(json!({"AWS": "*"})),
            some_of(&ARNS[..2], 2).prop_map(|arns| json!({"AWS": arns})),
        ],
    );
    (
        one_of(&["Allow", "Allow", "Allow", "Deny"]),
        principals,
        (one_of(&["Action", "Action", "Action", "NotAction"]), some_of(&ACTION_PATTERNS, 3)),
        (
            one_of(&["Resource", "Resource", "Resource", "NotResource"]),
            some_of(&RESOURCE_PATTERNS, 3),
        ),
        prop::collection::vec(condition(), 0..3),
    )
        .prop_map(move |(effect, principal, action, resource, conditions)| {
            let mut statement = Map::new();
            statement.insert("Effect".to_owned(), json!(effect));
            if names_principals {
                // Only what denies may name those whom it is not about.
                let name = if effect == "Deny" { principal.0 } else { "Principal".to_owned() };
                statement.insert(name, principal.1);
            }
            statement.insert(action.0, json!(action.1));
            statement.insert(resource.0, json!(resource.1));
            let mut operators: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
            for (operator, key, values) in conditions {
                operators.entry(operator).or_default().insert(key, json!(values));
            }
            if !operators.is_empty() {
                statement.insert("Condition".to_owned(), json!(operators));
            }
            Value::Object(statement)
        })
}

fn policy(names_principals: bool) -> impl Strategy<Value = Value> {
    prop::collection::vec(statement(names_principals), 1..4)
        .prop_map(|statements| json!({"Version": "2012-10-17", "Statement": statements}))
}

fn asked() -> impl Strategy<Value = Asked> {
    let keys = (
        prop::option::of(one_of(&["ci", "me", "c*"])),
        prop::collection::vec(one_of(&["a", "b", "ab", "ci", "xci", "A"]), 0..3),
        prop::collection::vec(one_of(&["a", "b", "z"]), 0..3),
        prop::option::of(one_of(&["true", "false"])),
        prop::option::of(one_of(&["1", "5", "7"])),
        prop::option::of(one_of(&["10.0.0.1", "10.1.2.3", "192.0.2.7", "8.8.8.8"])),
    )
        .prop_map(|(name, prefix, tags, secure, number, address)| {
            let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
            let keys = [
                ("aws:username", one(name)),
                ("s3:prefix", prefix),
                ("aws:tagkeys", tags),
                ("aws:securetransport", one(secure)),
                ("s3:max-keys", one(number)),
                ("aws:sourceip", one(address)),
            ];
            keys.into_iter().map(|(key, values)| (key.to_owned(), values)).collect()
        });
    (prop::option::weighted(0.8, one_of(&ARNS)), one_of(&ACTIONS), one_of(&RESOURCES), keys)
        .prop_map(|(arn, action, resource, keys)| Asked { arn, action, resource, keys })
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::bool::weighted(0.3),
        prop::collection::vec(policy(false), 0..3),
        prop::option::weighted(0.7, policy(true)),
        prop::option::weighted(0.3, prop::collection::vec(policy(false), 0..3)),
        asked(),
    )
        .prop_map(|(is_owner, identity, bucket, session, asked)| Case {
            is_owner,
            identity,
            bucket,
            session,
            asked,
        })
}

/// What the crate says.
fn decided(case: &Case) -> Option<bool> {
    let parse = |policy: &Value, kind| Policy::parse(&policy.to_string(), kind).unwrap();
    let of_identity = |policies: &[Value]| -> Vec<Policy> {
        policies.iter().map(|policy| parse(policy, PolicyKind::Identity)).collect()
    };
    let (identity, session) =
        (of_identity(&case.identity), case.session.as_deref().map(of_identity));
    let of_bucket = PolicyKind::Bucket { bucket: "bucket" };
    let bucket = case.bucket.as_ref().map(|policy| parse(policy, of_bucket));
    let identity: Vec<&Policy> = identity.iter().collect();
    let session: Option<Vec<&Policy>> = session.as_ref().map(|it| it.iter().collect());
    let asked = &case.asked;
    let requester = match &asked.arn {
        None => Requester::Anonymous,
        Some(arn) => {
            Requester::Known { account: "000000000000", arn, role: None, canonical_id: "" }
        }
    };
    let pairs = asked.keys.iter().flat_map(|(key, values)| values.iter().map(move |it| (key, it)));
    let keys: ConditionKeys = pairs.collect();
    let (action, resource) = (asked.action.as_str(), asked.resource.as_str());
    let policies = Policies {
        is_owner: case.is_owner,
        identity: &identity,
        bucket: bucket.as_ref(),
        session: session.as_deref(),
    };
    match decide(&policies, &Request { requester, action, resource, keys: &keys }).access {
        Access::Allowed => Some(true),
        Access::ImplicitlyDenied => None,
        Access::ExplicitlyDenied => Some(false),
    }
}

#[test]
fn two_evaluators_agree() {
    let mut runner = TestRunner::deterministic();
    let cases = case();
    let mut allowed = 0;
    for number in 0..CASES {
        let case = cases.new_tree(&mut runner).unwrap().current();
        let expected = reference::decide(&case);
        assert_eq!(decided(&case), expected, "case {number}: {case:#?}");
        allowed += usize::from(expected == Some(true));
    }
    let share = allowed * 100 / CASES;
    assert!((30..=70).contains(&share), "{share} % are allowed: too many cases are alike");
}
