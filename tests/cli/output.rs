//! `-o`, stdout for data only, exit codes and `--endpoint`.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::server::{ROOT_ACCESS_KEY, ROOT_SECRET_KEY, tidelock};
use crate::harness::{Ask, Server};
use crate::objects::{stderr, stdout};

#[test]
fn formats() {
    let server = Server::start(&[]);
    server.make_bucket("shown", "");
    for key in ["a", "b"] {
        server.root().send(&Ask::object("PUT", "shown", key).body("12345")).expect(200);
    }
    let list = |format: &str| {
        let output = server.cli(&["object", "list", "shown", "-o", format]);
        assert_eq!(output.status.code(), Some(0), "{format}: {}", stderr(&output));
        stdout(&output)
    };
    let json: Value = serde_json::from_str(&list("json")).unwrap();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0]["key"].as_str(), size(&rows[0])), (Some("a"), Some(5)));
    let lines = list("jsonl");
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), rows[1]["key"].as_str()), (2, Some("b")));
    let yaml: Value = serde_yaml_ng::from_str(&list("yaml")).unwrap();
    assert_eq!(yaml.as_array().map(Vec::len), Some(2));
    let refused = server.cli(&["object", "list", "shown", "-o", "xml"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

fn size(row: &Value) -> Option<u64> {
    row.get("size_bytes").or_else(|| row.get("size")).and_then(Value::as_u64)
}

/// The documented exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 5 in the way,
/// 6 not reached.
#[test]
fn exit_codes() {
    let server = Server::start(&[]);
    server.make_bucket("coded", "");
    server.root().send(&Ask::object("PUT", "coded", "k").body("x")).expect(200);
    let rows: &[(&[&str], i32)] = &[
        (&["bucket", "list"], 0),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["object", "list", "none-such"], 3),
        (&["object", "get", "coded/none", "-"], 3),
        (&["bucket", "delete", "coded", "--yes"], 5),
        (&["bucket", "create"], 2),
        (&["no-such-command"], 2),
        (&["bucket", "list", "--no-such-flag"], 2),
    ];
    for (arguments, code) in rows {
        let output = server.cli(arguments);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", stderr(&output));
        if *code != 0 {
            assert!(output.stdout.is_empty(), "{arguments:?}: stdout carries data only");
            assert!(!output.stderr.is_empty(), "{arguments:?}: it says what is wrong");
        }
    }
    let denied =
        server.command().env("AWS_SECRET_ACCESS_KEY", "wrong").args(["bucket", "list"]).output();
    assert_eq!(denied.unwrap().status.code(), Some(4));
    let nobody = tidelock()
        .env("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_KEY)
        .args(["bucket", "list", "--endpoint", "http://127.0.0.1:9"])
        .output();
    assert_eq!(nobody.unwrap().status.code(), Some(6), "nobody listens there");
    let tls = server.cli(&["bucket", "list", "--endpoint", &format!("https://{}", server.address)]);
    assert_eq!(tls.status.code(), Some(6));
    assert!(stderr(&tls).contains("http://"), "it says what to do: {}", stderr(&tls));
    let trust = server.cli(&["bucket", "list", "--ca-bundle", "none.pem"]);
    assert_eq!(trust.status.code(), Some(2), "{}", stderr(&trust));
}

/// `| head`: the reader goes while there is more to say.
#[test]
fn a_reader_that_goes_is_no_failure() {
    let server = Server::start(&[]);
    server.make_bucket("headed", "");
    server.root().send(&Ask::object("PUT", "headed", "k").body(vec![b'x'; 1 << 20])).expect(200);
    for arguments in [&["object", "get", "headed/k", "-"][..], &["object", "list", "headed"]] {
        let output = unread(server.command().args(arguments));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

/// What a command does, and how it ends, does not rest on who reads what it says.
#[test]
fn a_verdict_needs_no_reader() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    let files = TempDir::new().unwrap();
    let state = |serial: u64| {
        format!(
            r#"{{"version":4,"serial":{serial},"lineage":"l","outputs":{{"a":{{"value":{serial},"type":"number"}}}},"resources":[]}}"#
        )
    };
    for serial in 1..=3 {
        std::fs::write(files.path().join(format!("{serial}.tfstate")), state(serial)).unwrap();
    }
    for serial in 1..=2 {
        let ask = Ask::object("PUT", "kept", "k").body(state(serial));
        server.root().send(&ask).expect(200);
    }
    let directory = files.path().to_str().unwrap();
    let no_tls = ["--listen", "127.0.0.1:0", "--tls-cert", "none.pem", "--tls-key", "none.pem"];
    let rows: [(&[&str], i32); 5] = [
        (&["migrate", "files", directory, "kept", "-o", "jsonl"], 0),
        (&["migrate", "files", directory, "kept/again"], 0),
        (&["state", "diff", "kept/k"], 1),
        (&["policy", "test", "--action", "s3:GetObject", "--resource", "kept/k"], 4),
        (&[&["admin", "config", "check", "--data", directory], &no_tls[..]].concat(), 2),
    ];
    for (arguments, code) in rows {
        let output = unread(server.command().args(arguments));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    }
    for key in ["1.tfstate", "3.tfstate", "again/1.tfstate", "again/3.tfstate"] {
        server.root().send(&Ask::object("GET", "kept", key)).expect(200);
    }
}

/// What becomes of a command whose stdout nobody reads.
pub(crate) fn unread(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

#[test]
fn the_endpoint_flag_wins() {
    let server = Server::start(&[]);
    let output = server
        .command()
        .env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        .args(["bucket", "list", "--endpoint", &format!("http://{}", server.address)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn users_and_their_keys() {
    let server = Server::start(&[]);
    let ann = server.user("ann");
    ann.send(&Ask::bucket("PUT", "anns")).expect(200);
    let users = server.cli(&["user", "list", "-o", "json"]);
    assert!(stdout(&users).contains("ann"), "{}", stdout(&users));
    let keys = stdout(&server.cli(&["key", "list", "--user", "ann", "-o", "json"]));
    assert!(keys.contains(&ann.keys.access), "{keys}");
    assert!(!keys.contains(&ann.keys.secret), "a secret is shown once");
    let nobody = server.cli(&["key", "list", "--user", "nobody"]);
    assert_eq!(nobody.status.code(), Some(3), "{}", stderr(&nobody));
    let as_ann = server
        .command()
        .env("AWS_ACCESS_KEY_ID", &ann.keys.access)
        .env("AWS_SECRET_ACCESS_KEY", &ann.keys.secret)
        .args(["user", "create", "bob"])
        .output()
        .unwrap();
    assert_eq!(as_ann.status.code(), Some(4), "only root makes users");
    let deleted = server.cli(&["key", "delete", &ann.keys.access, "--yes"]);
    assert_eq!(deleted.status.code(), Some(0), "{}", stderr(&deleted));
    assert_eq!(ann.send(&Ask::new("GET", "/")).status, 403, "the key is gone");
}
