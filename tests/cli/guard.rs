//! The guard through the command line: its configuration, who holds a lock by what the server knows,
//! what was refused, and one-shot permissions.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Ask, Client, Server};
use crate::objects::{stderr, stdout};

const LOCK: &str = r#"{"ID":"714c34bb","Operation":"OperationTypeApply","Info":"","Who":"me@host","Version":"1.11.4","Created":"2026-11-21T20:35:06Z","Path":"b/env:/dev/k"}"#;
const KEY: &str = "env:/dev/k";

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

#[track_caller]
fn json(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(&[arguments, &["-o", "json"]].concat());
    serde_json::from_str(&exits(&output, 0)).unwrap()
}

fn state(serial: u64, value: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":{serial},"lineage":"l","outputs":{{"a":{{"value":"{value}","type":"string"}}}},"resources":[]}}"#
    )
}

/// A guarded bucket.
fn guarded() -> Server {
    let server = Server::start(&[]);
    server.make_bucket("bucket", "Enabled");
    exits(&server.cli(&["bucket", "edit", "bucket", "--guard", "enforce"]), 0);
    server
}

fn put(client: &Client, key: &str, body: &str) -> u16 {
    client.send(&Ask::object("PUT", "bucket", key).body(body)).status
}

/// A list says that a state is there and how large it is; what was changed in it is for those who may read it.
#[test]
fn a_list_names_no_resources_to_those_who_may_not_read() {
    let server = guarded();
    exits(&server.cli(&["bucket", "edit", "bucket", "--guard", "observe"]), 0);
    for (serial, value) in [(1, "one"), (2, "two")] {
        assert_eq!(put(&server.root(), "k.tfstate", &state(serial, value)), 200);
    }
    let ask = Ask::new("GET", "/_/api/v1/states/bucket");
    for (name, actions, expected) in [
        ("lists", r#""s3:ListBucket""#, "[]"),
        ("reads", r#"["s3:ListBucket","s3:GetObject"]"#, r#"["~ output.a"]"#),
    ] {
        let client = server.user(name);
        let file = server.data().join(name);
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":{actions},"Resource":"*"}}}}"#
        );
        fs::write(&file, policy).unwrap();
        exits(&server.cli(&["user", "policy", "put", name, "p", file.to_str().unwrap()]), 0);
        let listed: Value = serde_json::from_str(&client.send(&ask).expect(200).text()).unwrap();
        let facts = &listed["states"][0]["facts"];
        assert_eq!(
            (facts["changed"].to_string().as_str(), &facts["serial"]),
            (expected, &2.into())
        );
    }
}

#[test]
fn a_bucket_is_looked_at_and_edited() {
    let server = Server::start(&[]);
    server.make_bucket("bucket", "");
    let get = || json(&server, &["bucket", "get", "bucket"]);
    let plain = get();
    assert_eq!((&plain["versioning"], &plain["guard"]), (&Value::Null, &Value::Null));
    assert!(plain["owner"].is_string(), "{plain}");
    let edit = |flags: &[&str], code| {
        exits(&server.cli(&[&["bucket", "edit", "bucket"], flags].concat()), code);
        get()
    };
    let guard = |found: &Value| {
        let rules = ["lock_writes", "serial", "lock_required", "lock_history"];
        let more = ["stale_after_seconds", "state_bytes_max"];
        let all = rules.iter().chain(&more).map(|rule| found["guard"][*rule].to_string());
        all.collect::<Vec<_>>().join(" ")
    };
    let rows: &[(&[&str], i32, &str)] = &[
        (&["--serial", "observe"], 0, r#""off" "observe" false "purge" 3600 null"#),
        (&["--guard", "enforce", "--dry-run"], 0, r#""off" "observe" false "purge" 3600 null"#),
        (&["--guard", "enforce"], 0, r#""enforce" "enforce" true "purge" 3600 null"#),
        (
            &["--lock-required", "false", "--stale-after", "2h", "--state-bytes-max", "1000"],
            0,
            r#""enforce" "enforce" false "purge" 7200 1000"#,
        ),
        (
            &["--state-bytes-max", "none", "--lock-history", "keep", "--lock-writes", "off"],
            0,
            r#""off" "enforce" false "keep" 7200 null"#,
        ),
        (
            &["--guard", "observe", "--lock-required", "false"],
            0,
            r#""observe" "observe" false "purge" 3600 null"#,
        ),
        (&[], 2, r#""observe" "observe" false "purge" 3600 null"#),
        (
            &["--guard", "off", "--serial", "off"],
            2,
            r#""observe" "observe" false "purge" 3600 null"#,
        ),
        (&["--serial", "on"], 2, r#""observe" "observe" false "purge" 3600 null"#),
        (&["--guard", "off"], 0, "null null null null null null"),
    ];
    for (flags, code, expected) in rows {
        assert_eq!(guard(&edit(flags, *code)), *expected, "{flags:?}");
    }
    assert_eq!(edit(&["--versioning", "enabled"], 0)["versioning"], "Enabled");
    assert_eq!(edit(&["--versioning", "suspended"], 0)["versioning"], "Suspended");
    exits(&server.cli(&["bucket", "get", "none"]), 3);
    let text = exits(&server.cli(&["bucket", "get", "bucket"]), 0);
    assert!(
        text.contains("versioning  suspended\n") && text.contains("guard       none\n"),
        "{text}"
    );
}

#[test]
fn bootstrap_guards_and_keeps_what_is_set() {
    let server = Server::start(&[]);
    let guard = || json(&server, &["bucket", "get", "states"])["guard"].clone();
    exits(&server.cli(&["bootstrap", "states"]), 0);
    assert_eq!((&guard()["serial"], &guard()["lock_required"]), (&"enforce".into(), &true.into()));
    assert_eq!(json(&server, &["bucket", "get", "states"])["public_access_blocked"], true);
    exits(&server.cli(&["bucket", "edit", "states", "--serial", "observe"]), 0);
    exits(&server.cli(&["bootstrap", "states"]), 0);
    assert_eq!(guard()["serial"], "observe");
}

/// `serve --bootstrap`, `bootstrap` and `bucket edit --guard` know of one guard.
#[test]
fn every_bootstrap_makes_the_same_guard() {
    let server = Server::start(&["--bootstrap", "served"]);
    server.make_bucket("edited", "Enabled");
    exits(&server.cli(&["bootstrap", "asked"]), 0);
    exits(&server.cli(&["bucket", "edit", "edited", "--guard", "enforce"]), 0);
    let guard = |bucket| json(&server, &["bucket", "get", bucket])["guard"].clone();
    assert!(guard("served").is_object());
    for bucket in ["asked", "edited"] {
        assert_eq!(guard(bucket), guard("served"), "{bucket}");
    }
}

#[test]
fn a_lock_shows_what_the_server_saw() {
    let server = guarded();
    assert_eq!(put(&server.root(), &format!("{KEY}.tflock"), LOCK), 200);
    let locks = json(&server, &["lock", "list", "bucket/env:/"]);
    assert_eq!((&locks[0]["key"], &locks[0]["id"]), (&KEY.into(), &"714c34bb".into()));
    let seen = &locks[0]["server"];
    assert!(seen["holder"].as_str().unwrap().ends_with(":root"), "{seen}");
    assert_eq!((&seen["quiet"], &seen["writes"]), (&false.into(), &0.into()));
    assert_eq!(seen["address"], "127.0.0.1");
    let read = json(&server, &["audit", "query", "--bucket", "bucket", "--action", "GetObject"]);
    assert_eq!(read, Value::Array(Vec::new()), "the guard tells what the lock says");
    let place = format!("bucket/{KEY}");
    let text = exits(&server.cli(&["lock", "show", &place]), 0);
    assert!(text.contains("me@host") && text.contains("looks      alive\n"), "{text}");
    let release =
        |more: &[&str]| server.cli(&[&["lock", "release", &place, "--yes"], more].concat());
    exits(&release(&["--id", "another"]), 5);
    let released = exits(&release(&["--id", "714c34bb", "--reason", "the runner is gone"]), 0);
    assert!(released.contains("714c34bb"), "{released}");
    exits(&release(&[]), 3);
}

#[test]
fn a_lock_older_than_the_guard_is_released() {
    let server = Server::start(&[]);
    server.make_bucket("bucket", "Enabled");
    assert_eq!(put(&server.root(), &format!("{KEY}.tflock"), LOCK), 200);
    exits(&server.cli(&["bucket", "edit", "bucket", "--guard", "enforce"]), 0);
    for (prefix, rows) in [("env:/dev/k", 1), ("env:/dev/k.tf", 0)] {
        let listed = json(&server, &["state", "list", &format!("bucket/{prefix}")]);
        assert_eq!(listed.as_array().unwrap().len(), rows, "{prefix}: {listed}");
    }
    let locks = json(&server, &["lock", "list", "bucket"]);
    assert_eq!((&locks[0]["id"], &locks[0]["server"]), (&"714c34bb".into(), &Value::Null));
    let place = format!("bucket/{KEY}");
    let release = ["lock", "release", &place, "--yes", "--reason", "the runner is gone"];
    let output = server.cli(&release);
    assert!(exits(&output, 0).contains("714c34bb"), "tells what was released");
    assert_eq!(stderr(&output), "", "the reason is kept");
    let told = json(&server, &["audit", "query", "--action", "LockBroken"]);
    assert_eq!(told[0]["reason"], "the runner is gone", "{told}");
    exits(&server.cli(&["lock", "show", &place]), 3);
    exits(&server.cli(&release), 3);
}

/// All that the client does about locks and states, under the rules of the guard.
#[test]
fn the_guard_lets_the_command_line_through() {
    let server = guarded();
    let place = format!("bucket/{KEY}");
    let file = server.data().join("pushed.tfstate");
    for (serial, value) in [(1, "one"), (2, "two"), (3, "three")] {
        fs::write(&file, state(serial, value)).unwrap();
        exits(&server.cli(&["state", "push", &place, file.to_str().unwrap()]), 0);
    }
    // What would be refused under any other lock.
    fs::write(&file, state(2, "forced")).unwrap();
    let forced = ["state", "push", &place, file.to_str().unwrap(), "--force"];
    exits(&server.cli(&forced), 0);
    let versions = json(&server, &["state", "versions", &place]);
    let oldest = versions[3]["version_id"].as_str().unwrap();
    exits(&server.cli(&["state", "rollback", &place, "--to", oldest, "--yes"]), 0);
    let current = server.root().send(&Ask::object("GET", "bucket", KEY)).expect(200);
    assert_eq!(String::from_utf8(current.body).unwrap(), state(4, "one"));
    let run = server.cli(&["lock", "run", &place, "--", "true"]);
    exits(&run, 0);
    exits(&server.cli(&["lock", "show", &place]), 3);
}

#[test]
fn what_was_refused_comes_back() {
    let server = guarded();
    let place = format!("bucket/{KEY}");
    let refused = state(1, "no lock");
    assert_eq!(put(&server.root(), KEY, &refused), 412);
    let listed = json(&server, &["state", "refused", "list", "bucket/env:/"]);
    let row = &listed[0];
    assert_eq!((&row["key"], &row["code"]), (&KEY.into(), &"StateLockRequired".into()));
    assert_eq!(row["size"], refused.len());
    let id = row["id"].as_str().unwrap();
    assert_eq!(exits(&server.cli(&["state", "refused", "get", &place, id]), 0), refused);
    exits(&server.cli(&["state", "refused", "get", "bucket/other", id]), 3);
    exits(&server.cli(&["state", "refused", "discard", &place, id]), 2);
    exits(&server.cli(&["state", "refused", "discard", &place, id, "--dry-run"]), 0);
    exits(&server.cli(&["state", "refused", "discard", &place, id, "--yes"]), 0);
    exits(&server.cli(&["state", "refused", "discard", &place, id, "--yes"]), 3);
    assert_eq!(json(&server, &["state", "refused", "list", "bucket"]), Value::Array(Vec::new()));

    let allow = |more: &[&str]| server.cli(&[&["state", "allow", &place], more].concat());
    exits(&allow(&["--dry-run"]), 0);
    assert_eq!(put(&server.root(), KEY, &refused), 412);
    exits(&allow(&["--for", "720h"]), 1);
    assert!(exits(&allow(&["--for", "5m"]), 0).contains(KEY));
    assert_eq!(put(&server.root(), KEY, &refused), 200);
    assert_eq!(put(&server.root(), KEY, &state(2, "again")), 412, "one write");
    exits(&server.cli(&["state", "allow", "none/k"]), 3);
}
