//! Policies and requests by the thousand, of small alphabets: much matches, and much is close to matching.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::wire::{Call, IfNoneMatch, Lists, Operation, Write};
use super::world::{BUCKET_ARN, CI_ARN, ME_ARN, ROLE_ARN, Rules, Who, WhoKind};

/// What can be done to objects, to the bucket, and to both.
const OBJECT_ACTIONS: [&str; 11] = [
    "s3:*",
    "s3:Get*",
    "s3:GetObject",
    "S3:putobject",
    "s3:PutObject*",
    "s3:DeleteObject",
    "s3:?etObject*",
    "s3:GetObjectVersion",
    "s3:*Tagging",
    "s3:GetObjectAttributes",
    "*",
];
const BUCKET_ACTIONS: [&str; 6] = [
    "s3:*",
    "s3:List*",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:GetBucket*",
    "s3:GetBucketLocation",
];
const OBJECTS: [&str; 8] = [
    "arn:aws:s3:::bucket/*",
    "arn:aws:s3:::bucket/*",
    "arn:aws:s3:::bucket/ci/*",
    "arn:aws:s3:::bucket/${aws:username}/*",
    "arn:aws:s3:::bucket/*.tflock",
    "arn:aws:s3:::b*t/*/b",
    "arn:aws:s3:::bucket/?",
    "arn:aws:s3:::bucket/*/*",
];
const KEYS: [&str; 5] = ["ci/a.tfstate", "ci/a.tfstate.tflock", "me/b", "c*/b", "x"];
/// Nobody needs to be told whether there was something to delete.
const GONE: [&str; 4] = ["ci/gone.tfstate", "ci/gone.tflock", "me/b/b", "y"];
const TAGS: [&str; 3] = ["red", "blue", "Red"];
const PREFIXES: [&str; 5] = ["", "ci", "ci/", "me/", "c*/"];
const ADDRESSES: [&str; 4] = ["127.0.0.1", "10.0.0.1", "10.1.2.3", "192.0.2.7"];

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(texts).prop_map(str::to_owned)
}

fn some_of(texts: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(one_of(texts), 1..=most)
}

/// An operator, a key and values that go together.
fn condition() -> impl Strategy<Value = (String, String, Vec<String>)> {
    let operator = (
        one_of(&["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"]),
        one_of(&["", "", "IfExists"]),
    );
    let text = (operator, text_key())
        .prop_map(|((base, tail), (key, values))| (format!("{base}{tail}"), key, values));
    let set = (
        one_of(&[
            "ForAnyValue:StringEquals",
            "ForAllValues:StringEquals",
            "ForAnyValue:StringLike",
        ]),
        some_of(&["team", "env", "t*"], 2),
    )
        .prop_map(|(operator, names)| (operator, "s3:RequestObjectTagKeys".to_owned(), names));
    let null = (
        one_of(&["s3:if-none-match", "s3:prefix", "s3:RequestObjectTag/team", "aws:username"]),
        one_of(&["true", "false"]),
    )
        .prop_map(|(key, value)| ("Null".to_owned(), key, vec![value]));
    let truth = (
        one_of(&["aws:SecureTransport", "s3:ObjectCreationOperation"]),
        one_of(&["Bool", "BoolIfExists"]),
        one_of(&["true", "false"]),
    )
        .prop_map(|(key, operator, value)| (operator, key, vec![value]));
    let number = (
        one_of(&["NumericEquals", "NumericLessThan", "NumericGreaterThanEqualsIfExists"]),
        some_of(&["1", "5", "10"], 2),
    )
        .prop_map(|(operator, values)| (operator, "s3:max-keys".to_owned(), values));
    let address = (
        one_of(&["IpAddress", "NotIpAddress"]),
        some_of(&["10.0.0.0/8", "10.1.0.0/16", "127.0.0.0/8", "192.0.2.7/32"], 2),
    )
        .prop_map(|(operator, values)| (operator, "aws:SourceIp".to_owned(), values));
    prop_oneof![6 => text, 1 => set, 1 => null, 2 => truth, 1 => number, 2 => address]
}

/// A key whose values are texts, and some that it may have.
fn text_key() -> impl Strategy<Value = (String, Vec<String>)> {
    let of = |key: &'static str, values: &'static [&'static str]| {
        some_of(values, 2).prop_map(move |values| (key.to_owned(), values))
    };
    prop_oneof![
        of("s3:prefix", &["", "ci", "ci/", "c*", "${aws:username}/"]),
        of("s3:Delimiter", &["/"]),
        of("s3:if-none-match", &["*"]),
        of("s3:if-none-match", &["*"]),
        of("s3:x-amz-server-side-encryption", &["AES256", "aws:kms"]),
        of("s3:RequestObjectTag/team", &TAGS),
        of("s3:ExistingObjectTag/team", &TAGS),
        of("aws:PrincipalTag/team", &TAGS),
        of("aws:PrincipalType", &["User", "AssumedRole", "Anonymous", "Account"]),
        of("aws:PrincipalArn", &[CI_ARN, ROLE_ARN, "arn:aws:iam::*:user/*"]),
        of("s3:VersionId", &["null"]),
        of("aws:UserAgent", &["Terraform/*", "curl"]),
    ]
}

/// Actions with what they can be about.
fn about() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let bucket = || Just(vec![BUCKET_ARN.to_owned()]);
    let all = Just((vec!["s3:*".to_owned()], vec![BUCKET_ARN.to_owned(), OBJECTS[0].to_owned()]));
    prop_oneof![
        4 => (some_of(&OBJECT_ACTIONS, 3), some_of(&OBJECTS, 3)),
        2 => (some_of(&BUCKET_ACTIONS, 3), bucket()),
        2 => all,
    ]
}

fn statement(names_principals: bool) -> impl Strategy<Value = Value> {
    let principals = (
        one_of(&["Principal", "Principal", "Principal", "NotPrincipal"]),
        prop_oneof![
            Just(json!("*")),
            Just(json!({"AWS": "*"})),
            some_of(&[CI_ARN, ME_ARN, ROLE_ARN], 2).prop_map(|arns| json!({"AWS": arns})),
        ],
    );
    (
        one_of(&["Allow", "Allow", "Allow", "Allow", "Deny"]),
        principals,
        one_of(&["Action", "Action", "Action", "Action", "NotAction"]),
        one_of(&["Resource", "Resource", "Resource", "Resource", "NotResource"]),
        about(),
        prop::collection::vec(condition(), 0..3),
    )
        .prop_map(move |(effect, principal, action, resource, about, conditions)| {
            let mut statement = Map::new();
            statement.insert("Effect".to_owned(), json!(effect));
            if names_principals {
                // Only what denies may name those whom it is not about.
                let name = if effect == "Deny" { principal.0 } else { "Principal".to_owned() };
                statement.insert(name, principal.1);
            }
            statement.insert(action, json!(about.0));
            statement.insert(resource, json!(about.1));
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

fn policies() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(policy(false), 0..3)
}

/// The policies that there are for a while.
pub(super) fn rules() -> impl Strategy<Value = Rules> {
    (policies(), policies(), policies(), prop::option::weighted(0.8, policy(true)))
        .prop_map(|(ci, me, role, bucket)| Rules { ci, me, role, bucket })
}

fn who() -> impl Strategy<Value = Who> {
    use WhoKind::{Anonymous, Ci, Me, Role, Root};
    let kind =
        proptest::sample::select(vec![Anonymous, Ci, Ci, Ci, Me, Me, Role, Role, Role, Root]);
    let session = prop::collection::vec(policy(false), 0..3);
    (kind, prop::option::weighted(0.25, session), prop::option::of(one_of(&TAGS))).prop_map(
        |(kind, session, team)| {
            let session = match kind {
                Anonymous => None,
                // There is no role without a session.
                Role => Some(session.unwrap_or_default()),
                Ci | Me | Root => session,
            };
            Who { kind, team: team.filter(|_| session.is_some()), session }
        },
    )
}

fn write() -> impl Strategy<Value = Write> {
    let tags = prop::option::of((one_of(&["team", "env"]), one_of(&TAGS)));
    let if_none_match =
        proptest::sample::select(vec![IfNoneMatch::No, IfNoneMatch::Any, IfNoneMatch::TagThenAny]);
    (tags, any::<bool>(), if_none_match, prop::bool::weighted(0.2)).prop_map(
        |(tag, encrypts, if_none_match, if_match)| Write {
            tag,
            encrypts,
            if_none_match,
            if_match: if_match && if_none_match == IfNoneMatch::No,
        },
    )
}

fn lists() -> impl Strategy<Value = Lists> {
    (
        prop::option::weighted(0.7, one_of(&PREFIXES)),
        prop::option::of(Just("/".to_owned())),
        prop::option::of(one_of(&["1", "5", "7"])),
    )
        .prop_map(|(prefix, delimiter, max_keys)| Lists { prefix, delimiter, max_keys })
}

fn operation() -> impl Strategy<Value = Operation> {
    let tag = || prop::option::of((one_of(&["team", "env"]), one_of(&TAGS)));
    prop_oneof![
        3 => any::<bool>().prop_map(|of_version| Operation::GetObject { of_version }),
        1 => Just(Operation::HeadObject),
        4 => write().prop_map(Operation::PutObject),
        1 => write().prop_map(|write| Operation::CreateMultipartUpload { tag: write.tag }),
        2 => one_of(&GONE).prop_map(|key| Operation::DeleteObject { key }),
        1 => some_of(&GONE, 3).prop_map(|keys| Operation::DeleteObjects { keys }),
        2 => lists().prop_map(Operation::ListObjectsV2),
        1 => lists().prop_map(Operation::ListObjectVersions),
        1 => Just(Operation::GetObjectTagging),
        2 => (tag(), tag()).prop_map(|(tag, header)| Operation::PutObjectTagging { tag, header }),
        1 => Just(Operation::GetObjectAttributes),
        1 => Just(Operation::GetBucketLocation),
        1 => Just(Operation::GetBucketTagging),
    ]
}

/// The requests.
pub(super) fn calls() -> impl Strategy<Value = Call> {
    (
        who(),
        operation(),
        one_of(&KEYS),
        one_of(&ADDRESSES),
        any::<bool>(),
        prop::option::of(one_of(&["Terraform/1.14.0", "curl"])),
    )
        .prop_map(|(who, operation, key, address, secure, user_agent)| Call {
            who,
            operation,
            key,
            address,
            secure,
            user_agent,
        })
}
