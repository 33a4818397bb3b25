//! `tidelock policy test`: decisions explained, without a server.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::server::tidelock;
use crate::objects::{stderr, stdout};

const BUCKET_POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Sid": "team", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/ann"},
     "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::states/${aws:username}/*"},
    {"Sid": "once", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
     "Resource": "arn:aws:s3:::states/*.tflock", "Condition": {"Null": {"s3:if-none-match": "true"}}}
]}"#;
const PLANNER: &str = r#"{"Version": "2012-10-17", "Statement":
    {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*",
     "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}"#;

fn test(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = tidelock();
    command.args(["policy", "test", "-o", "jsonl"]).args(arguments).current_dir(directory);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), stdout(&output).trim().to_owned(), stderr(&output))
}

#[test]
fn a_decision_names_the_statement_that_it_rests_on() {
    let directory = TempDir::new().unwrap();
    let nothing =
        r#"{"Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}}"#;
    let files =
        [("bucket.json", BUCKET_POLICY), ("planner.json", PLANNER), ("nothing.json", nothing)];
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let bucket = ["--bucket-policy", "bucket.json"];
    let ann = ["--principal", "ann"];
    let read = ["--action", "s3:GetObject", "--resource", "states/ann/app"];
    let lock = ["--action", "s3:PutObject", "--resource", "arn:aws:s3:::states/ann/app.tflock"];
    let planner = ["--policy", "planner.json"];
    let team = r#"{"decision":"allowed","source":"bucket policy","file":"bucket.json","statement":1,"sid":"team"}"#;
    let once = r#"{"decision":"denied","source":"bucket policy","file":"bucket.json","statement":2,"sid":"once"}"#;
    let plan = r#"{"decision":"allowed","source":"policy","file":"planner.json","statement":1,"sid":null}"#;
    let group = r#"{"decision":"allowed","source":"group ops policy","file":"planner.json","statement":1,"sid":null}"#;
    let none =
        r#"{"decision":"not allowed","source":null,"file":null,"statement":null,"sid":null}"#;
    let owner = r#"{"decision":"allowed","source":null,"file":null,"statement":null,"sid":null}"#;
    let rows: &[(&[&[&str]], i32, &str)] = &[
        (&[&bucket, &ann, &read], 0, team),
        (&[&bucket, &["--principal", "bob"], &read], 4, none),
        (&[&bucket, &read], 4, none),
        (&[&bucket, &ann, &lock], 4, once),
        (&[&bucket, &ann, &lock, &["--key", "s3:if-none-match=*"]], 0, team),
        (&[&bucket, &ann, &lock, &["--owner"]], 4, once),
        (&[&ann, &read, &["--owner"]], 0, owner),
        (&[&planner, &ann, &read, &["--key", "aws:SourceIp=10.1.2.3"]], 0, plan),
        (&[&planner, &ann, &read, &["--key", "aws:SourceIp=192.0.2.1"]], 4, none),
        (
            &[
                &["--policy", "nothing.json", "--group-policy", "ops=planner.json"],
                &ann,
                &read,
                &["--key", "aws:SourceIp=10.1.2.3"],
            ],
            0,
            group,
        ),
        (&[&bucket, &ann, &read, &["--session-policy", "planner.json"]], 4, none),
    ];
    for (arguments, status, expected) in rows {
        let (code, out, err) = test(directory.path(), &arguments.concat());
        assert_eq!((code, out.as_str()), (*status, *expected), "{arguments:?}: {err}");
        assert!(err.is_empty(), "{arguments:?}: {err}");
    }
}

#[test]
fn the_account_and_the_role_are_those_of_the_arn() {
    let directory = TempDir::new().unwrap();
    let deny = |principal: &str| {
        format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Deny", "Principal": {{"AWS": "{principal}"}},
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::states/*"}}}}"#
        )
    };
    let request = ["--action", "s3:GetObject", "--resource", "states/app", "--owner"];
    let session = "arn:aws:sts::123456789012:assumed-role/ci/run-7";
    let rows = [
        ("arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:user/bob", 4),
        ("arn:aws:iam::123456789012:root", "bob", 0),
        ("arn:aws:iam::123456789012:role/ci", session, 4),
        ("arn:aws:iam::123456789012:role/other", session, 0),
    ];
    for (denied, principal, status) in rows {
        fs::write(directory.path().join("bucket.json"), deny(denied)).unwrap();
        let who = ["--principal", principal, "--bucket-policy", "bucket.json"];
        let (code, out, err) = test(directory.path(), &[&request[..], &who[..]].concat());
        assert_eq!(code, status, "{denied} {principal}: {out} {err}");
    }
}

#[test]
fn what_is_no_policy_is_named() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("planner.json"), PLANNER).unwrap();
    fs::write(directory.path().join("bad.json"), "{}").unwrap();
    let request = ["--action", "s3:GetObject", "--resource", "states/app"];
    let rows: &[(&[&str], &str)] = &[
        (&["--bucket-policy", "planner.json"], "planner.json: Missing required field Principal"),
        (&["--bucket-policy", "bad.json"], "bad.json: Missing required field Statement"),
        (&["--bucket-policy", "none.json"], "none.json: "),
        (&["--policy", "planner.json"], "--principal"),
        (&["--group-policy", "ops=planner.json"], "--principal"),
        (&["--principal", "ann", "--group-policy", "planner.json"], "GROUP=FILE"),
        (&["--key", "aws:SourceIp"], "KEY=VALUE"),
    ];
    for (arguments, expected) in rows {
        let (code, out, err) = test(directory.path(), &[&request[..], arguments].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}
