//! The audit log from outside: every operation leaves one entry, which says who asked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::harness::clock::wait_until;
use crate::harness::digest::md5_base64;
use crate::harness::sigv4::Keys;
use crate::harness::{Ask, Client, Engine, Server};

const ROOT: &str = "arn:aws:iam::000000000000:root";
const ANN: &str = "arn:aws:iam::000000000000:user/ann";
const NOBODY: &str = "anonymous";

/// What is asked, by whom, and what its entry says: action, code, requester, bucket and key.
type Row<'a> = (&'a Client, Ask, &'a str, &'a str, &'a str, &'a str, &'a str);

fn entries(server: &Server, filter: &[&str]) -> Vec<Value> {
    let listed = server.cli(&[&["audit", "query", "-o", "jsonl"], filter].concat());
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn every_operation_leaves_one_entry() {
    let server = Server::start(&[]);
    let (root, ann) = (server.root(), server.user("ann"));
    let stranger = Client::new(server.address, Keys::new("AKIANOBODY", "x"));
    let object = |method: &str| Ask::object(method, "bbb", "k");
    let bucket = |method: &str| Ask::bucket(method, "bbb");
    let api = |method: &str, path: &str| Ask::new(method, path);
    let rows: Vec<Row<'_>> = vec![
        (&root, bucket("PUT"), "CreateBucket", "OK", ROOT, "bbb", ""),
        (&ann, bucket("PUT"), "CreateBucket", "BucketAlreadyExists", ANN, "bbb", ""),
        (&root, bucket("HEAD"), "HeadBucket", "OK", ROOT, "bbb", ""),
        (&root, Ask::new("GET", "/"), "ListBuckets", "OK", ROOT, "", ""),
        (&root, object("PUT").body("one"), "PutObject", "OK", ROOT, "bbb", "k"),
        (&root, object("GET"), "GetObject", "OK", ROOT, "bbb", "k"),
        (&root, object("HEAD"), "HeadObject", "OK", ROOT, "bbb", "k"),
        (
            &root,
            object("GET").header("If-Match", "\"0\""),
            "GetObject",
            "PreconditionFailed",
            ROOT,
            "bbb",
            "k",
        ),
        (
            &root,
            object("PUT").header("If-None-Match", "*").body("x"),
            "PutObject",
            "PreconditionFailed",
            ROOT,
            "bbb",
            "k",
        ),
        (&ann, object("GET"), "GetObject", "AccessDenied", ANN, "bbb", "k"),
        (&ann, object("PUT").body("x"), "PutObject", "AccessDenied", ANN, "bbb", "k"),
        (&root, object("GET").anonymous(), "GetObject", "AccessDenied", NOBODY, "bbb", "k"),
        (&stranger, object("GET"), "GetObject", "InvalidAccessKeyId", NOBODY, "bbb", "k"),
        (&root, bucket("GET").query("list-type", "2"), "ListObjectsV2", "OK", ROOT, "bbb", ""),
        (&root, Ask::object("GET", "bbb", "none"), "GetObject", "NoSuchKey", ROOT, "bbb", "none"),
        (
            &root,
            Ask::bucket("GET", "none").query("location", ""),
            "GetBucketLocation",
            "NoSuchBucket",
            ROOT,
            "none",
            "",
        ),
        (
            &root,
            object("POST").query("uploads", ""),
            "CreateMultipartUpload",
            "OK",
            ROOT,
            "bbb",
            "k",
        ),
        (&root, object("DELETE"), "DeleteObject", "OK", ROOT, "bbb", "k"),
        (&root, bucket("DELETE"), "DeleteBucket", "OK", ROOT, "bbb", ""),
        (&root, api("GET", "/_/api/v1/users"), "ListUsers", "OK", ROOT, "", ""),
        (&ann, api("GET", "/_/api/v1/users"), "ListUsers", "AccessDenied", ANN, "", ""),
        (&root, api("GET", "/_/api/v1/server"), "GetServer", "OK", ROOT, "", ""),
        (&ann, api("GET", "/_/api/v1/server"), "GetServer", "AccessDenied", ANN, "", ""),
        (
            &ann,
            api("POST", "/_/api/v1/users").body(r#"{"name":"x"}"#),
            "CreateUser",
            "AccessDenied",
            ANN,
            "",
            "",
        ),
        (
            &root,
            api("POST", "/_/api/v1/users").body(r#"{"name":"x"}"#),
            "CreateUser",
            "OK",
            ROOT,
            "",
            "",
        ),
        (&root, api("GET", "/_/api/v1/nothing"), "UnknownApi", "NoSuchPath", NOBODY, "", ""),
    ];
    let mut expected = BTreeMap::new();
    for (client, ask, action, code, principal, bucket, key) in &rows {
        let response = client.send(ask);
        let id = response.header("x-amz-request-id").unwrap_or_default().to_owned();
        expected.insert(id, (*action, *code, *principal, *bucket, *key));
    }
    assert_eq!(expected.len(), rows.len(), "every answer has a request id of its own");
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in entries(&server, &[]) {
        found.entry(text(&entry, "request_id").to_owned()).or_default().push(entry);
    }
    for (id, row) in &expected {
        let of_request = found.get(id).map_or(&[][..], Vec::as_slice);
        let [entry] = of_request else { panic!("{row:?}: {of_request:?}") };
        let says = ["action", "code", "principal", "bucket", "key"].map(|name| text(entry, name));
        assert_eq!(says, [row.0, row.1, row.2, row.3, row.4], "{entry}");
        assert_eq!(text(entry, "address"), "127.0.0.1");
    }
    let claimed = entries(&server, &["--principal", "anonymous", "--action", "GetObject"]);
    assert!(claimed.iter().any(|entry| text(entry, "access_key_id") == "AKIANOBODY"));
    let pages =
        ["/_/health/live", "/_/metrics"].map(|page| root.send(&Ask::new("GET", page)).status);
    assert_eq!(pages, [200, 200]);
    assert!(entries(&server, &[]).iter().all(|entry| !text(entry, "action").contains("Health")));
}

/// As the entry of an act that was done: by name, not by path.
#[test]
fn a_refused_act_names_what_it_is_about() {
    let server = Server::start(&[]);
    let (root, ann) = (server.root(), server.user("ann"));
    server.make_bucket("bbb", "");
    let (id, version) = ("0".repeat(32), "1".repeat(32));
    let rows = [
        ("DELETE", "/_/api/v1/users/nobody".to_owned(), "DeleteUser", ["", "nobody", ""]),
        ("DELETE", "/_/api/v1/keys/AKIANONE".to_owned(), "DeleteAccessKey", ["", "AKIANONE", ""]),
        ("DELETE", format!("/_/api/v1/webhooks/{id}"), "DeleteWebhook", ["", &id, ""]),
        ("GET", format!("/_/api/v1/refused/bbb/{version}"), "GetRefused", ["k", "", &version]),
    ];
    for (method, path, action, expected) in rows {
        let ask = Ask::new(method, &path);
        let ask = if action == "GetRefused" { ask.query("key", "k") } else { ask };
        assert_eq!(ann.send(&ask).status, 403, "{path}");
        let told = entries(&server, &["--action", action]);
        let [entry] = &told[..] else { panic!("{path}: {told:?}") };
        let says = ["key", "subject", "refused_version"].map(|name| text(entry, name));
        assert_eq!(says, expected, "{entry}");
    }
    root.send(&Ask::new("GET", "/_/api/v1/locks/bbb"));
    wait_until("a line that names the bucket", Duration::from_secs(5), || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains("op=\"ListLocks\""));
        line.is_some_and(|line| line.contains("bucket=\"bbb\""))
    });
}

#[test]
fn deletes_of_many_objects_are_told_one_by_one() {
    let server = Server::start(&[]);
    let root = server.root();
    server.make_bucket("bbb", "");
    root.send(&Ask::object("PUT", "bbb", "k").body("one")).expect(200);
    let long = "k".repeat(1025);
    let document =
        format!("<Delete><Object><Key>k</Key></Object><Object><Key>{long}</Key></Object></Delete>");
    let ask = Ask::bucket("POST", "bbb")
        .query("delete", "")
        .header("Content-MD5", &md5_base64(document.as_bytes()))
        .body(document);
    root.send(&ask).expect(200);
    let refused = entries(&server, &["--action", "DeleteObject", "--prefix", "kk"]);
    assert_eq!(refused.len(), 1);
    assert_eq!(text(&refused[0], "code"), "KeyTooLongError");
}

#[test]
fn the_log_outlives_the_server_and_verifies() {
    let data = tempfile::TempDir::new().unwrap();
    let mut server = Server::start_over(&Engine::Local, data.path(), &[]);
    server.make_bucket("bbb", "");
    server.root().send(&Ask::object("GET", "bbb", "none"));
    assert!(server.terminate().success());
    let server = Server::start_over(&Engine::Local, data.path(), &[]);
    let read = entries(&server, &["--bucket", "bbb", "--prefix", "none"]);
    assert_eq!(read.len(), 1, "the last entries are written before the store is closed");
    let verified = server.cli(&["audit", "verify", "-o", "json"]);
    assert_eq!(verified.status.code(), Some(0));
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["intact"], true);
    let file = data.path().join("log.jsonl");
    let export = ["audit", "export", "--to", file.to_str().unwrap(), "--until", "0s"];
    assert_eq!(server.cli(&export).status.code(), Some(0));
    let exported = std::fs::read_to_string(&file).unwrap();
    assert!(exported.lines().count() >= 3, "{exported}");
    assert_eq!(server.cli(&export).status.code(), Some(5), "it exists");
    let tail = server.cli(&["audit", "tail", "-n", "2", "-o", "json"]);
    let tail: Value = serde_json::from_slice(&tail.stdout).unwrap();
    assert_eq!(tail.as_array().unwrap().len(), 2);
    let rows: &[(&[&str], i32)] = &[
        (&["audit", "query", "--since", "yesterday"], 2),
        (&["audit", "tail", "--follow", "-o", "yaml"], 2),
    ];
    for (arguments, status) in rows {
        assert_eq!(server.cli(arguments).status.code(), Some(*status), "{arguments:?}");
    }
    server.user("ann");
    let anns = server.command().args(["key", "create", "--user", "ann", "-o", "json"]).output();
    let key: Value = serde_json::from_slice(&anns.unwrap().stdout).unwrap();
    for (arguments, status) in [
        (&["audit", "query"][..], 4),
        (&["audit", "query", "--bucket", "bbb"][..], 4),
        (&["audit", "query", "--bucket", "none"][..], 3),
        (&["audit", "verify"][..], 4),
    ] {
        let asked = server
            .command()
            .env("AWS_ACCESS_KEY_ID", key["access_key_id"].as_str().unwrap())
            .env("AWS_SECRET_ACCESS_KEY", key["secret_access_key"].as_str().unwrap())
            .args(arguments)
            .output();
        assert_eq!(asked.unwrap().status.code(), Some(status), "{arguments:?}");
    }
}
