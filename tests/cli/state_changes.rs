//! `tidelock state push` and `state rollback`: under a lock, byte for byte, and never against sense.

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::between::{self, Pass};
use crate::harness::{Ask, Server};
use crate::objects::{stderr, stdout};

const BEFORE: &[u8] = include_bytes!("../../crates/tfstate/tests/states/before.tfstate");
const AFTER: &[u8] = include_bytes!("../../crates/tfstate/tests/states/after.tfstate");
const ENCRYPTED: &str = r#"{"serial":7,"lineage":"sealed","meta":{"key_provider.x":"eyJ"},"encrypted_data":"AAAA","encryption_version":"v0"}"#;
const OTHERS_LOCK: &str = r#"{"ID":"714c34bb","Who":"me@host"}"#;

fn state(serial: u64, lineage: &str, outputs: &str) -> String {
    format!(
        "{{\"version\":4,\"terraform_version\":\"1.11.4\",\"serial\": {serial} ,\
         \"lineage\":\"{lineage}\",\"outputs\":{{{outputs}}},\"resources\":[]}}\n"
    )
}

const OUTPUT: &str = r#""a":{"value":1,"type":"number"}"#;

fn get(server: &Server, key: &str) -> Vec<u8> {
    server.root().send(&Ask::object("GET", "kept", key)).expect(200).body
}

fn put(server: &Server, key: &str, body: impl Into<Vec<u8>>) {
    server.root().send(&Ask::object("PUT", "kept", key).body(body)).expect(200);
}

/// Whether anybody holds the state.
fn is_locked(server: &Server, key: &str) -> bool {
    let lock = server.root().send(&Ask::object("GET", "kept", &format!("{key}.tflock")));
    lock.status != 404
}

fn push(server: &Server, key: &str, body: &[u8], arguments: &[&str]) -> Output {
    begin_push(server.command(), key, body, arguments).wait_with_output().unwrap()
}

fn begin_push(mut command: Command, key: &str, body: &[u8], arguments: &[&str]) -> Child {
    command.args(["state", "push", &format!("kept/{key}"), "-"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(body).unwrap();
    drop(stdin);
    child
}

/// The command line, whose requests come by `act`.
fn command_by(
    server: &Server,
    act: impl Fn(&str, Pass<'_>) -> Option<Vec<u8>> + Clone + Send + 'static,
) -> Command {
    let mut command = server.command();
    command.env("AWS_ENDPOINT_URL_S3", between::before(server.address, act));
    command
}

/// What is there, what is pushed, with which flags; the exit status and what is said.
type PushRow<'a> = (Option<String>, &'a str, &'a [&'a str], i32, &'a str);

#[test]
fn push_writes_what_follows() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    let current = || Some(state(7, "l", OUTPUT));
    let other = state(9, "m", OUTPUT);
    let (newer, older, equal) = (state(8, "l", ""), state(6, "l", OUTPUT), state(7, "l", ""));
    let rows: [PushRow<'_>; 12] = [
        (None, &older, &[], 0, ""),
        (current(), &newer, &[], 0, ""),
        (current(), &newer, &["--dry-run"], 0, "would write - as kept/"),
        (current(), &older, &[], 5, "has serial 7, which is newer than 6"),
        (current(), &older, &["--dry-run"], 5, "has serial 7"),
        (current(), &older, &["--force"], 0, ""),
        (current(), &equal, &[], 5, "raise the serial"),
        (current(), &other, &[], 5, "they were never one"),
        (current(), &other, &["--force"], 0, ""),
        (Some(state(7, "l", "")), &other, &[], 0, ""),
        (Some("garbage".into()), &newer, &[], 5, "cannot be compared: not a state"),
        (current(), "{}", &["--force"], 1, "not a state"),
    ];
    for (number, (current, new, arguments, code, words)) in rows.into_iter().enumerate() {
        let key = format!("env:/dev/{number}.tfstate");
        if let Some(current) = &current {
            put(&server, &key, current.as_str());
        }
        let output = push(&server, &key, new.as_bytes(), arguments);
        assert_eq!(output.status.code(), Some(code), "{number}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{number}: {}", stderr(&output));
        assert!(!is_locked(&server, &key), "{number}");
        let is_written = code == 0 && !arguments.contains(&"--dry-run");
        let expected = if is_written { new.to_owned() } else { current.unwrap() };
        assert_eq!(String::from_utf8(get(&server, &key)).unwrap(), expected, "{number}");
    }
    let same = push(&server, "env:/dev/1.tfstate", newer.as_bytes(), &[]);
    assert!(stderr(&same).contains("there already"), "{}", stderr(&same));
}

#[test]
fn push_needs_the_lock() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "");
    put(&server, "k.tflock", OTHERS_LOCK);
    let refused = push(&server, "k", state(1, "l", "").as_bytes(), &["--force"]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(stderr(&refused).contains("kept/k is locked: me@host"), "{}", stderr(&refused));
    assert_eq!(server.root().send(&Ask::object("GET", "kept", "k")).status, 404);
    assert!(is_locked(&server, "k"), "the lock of another stays");
}

/// Somebody writes between the look at a state and the write of it, although it is locked.
#[test]
fn what_was_written_meanwhile_is_not_written_over() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    let (theirs, small) = (state(9, "l", OUTPUT), state(8, "l", ""));
    // More than one part.
    let padding = format!(r#""a":{{"value":"{}","type":"string"}}"#, "x".repeat(17 << 20));
    let large = state(8, "l", &padding);
    let rows: [(&str, &str, &[&str], i32); 5] = [
        ("small", &small, &[], 5),
        ("large", &large, &[], 5),
        ("new", &small, &[], 5),
        ("new-large", &large, &[], 5),
        ("forced", &small, &["--force"], 0),
    ];
    for (key, pushed, arguments, code) in rows {
        if !key.starts_with("new") {
            put(&server, key, state(7, "l", OUTPUT));
        }
        let (root, body) = (server.root(), theirs.clone());
        let command = command_by(&server, move |head, pass| {
            if between::is_write(head, "kept", key) {
                root.send(&Ask::object("PUT", "kept", key).body(body.as_str())).expect(200);
            }
            Some(pass())
        });
        let child = begin_push(command, key, pushed.as_bytes(), arguments);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{key}: {}", stderr(&output));
        let told = stderr(&output).contains("was written since it was looked at: look again");
        assert_eq!(told, code == 5, "{key}: {}", stderr(&output));
        let expected = if code == 5 { theirs.as_str() } else { pushed };
        assert!(get(&server, key) == expected.as_bytes(), "{key}");
        assert!(!is_locked(&server, key), "{key}");
    }
}

#[test]
fn a_rollback_is_not_written_over_what_came_meanwhile() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    put(&server, "k", state(1, "l", ""));
    put(&server, "k", state(2, "l", OUTPUT));
    let listed = server.cli(&["state", "versions", "kept/k", "-o", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let old = listed[1]["version_id"].as_str().unwrap();
    let (root, theirs) = (server.root(), state(9, "l", ""));
    let body = theirs.clone();
    let mut command = command_by(&server, move |head, pass| {
        if between::is_write(head, "kept", "k") {
            root.send(&Ask::object("PUT", "kept", "k").body(body.as_str())).expect(200);
        }
        Some(pass())
    });
    let output = command.args(["state", "rollback", "kept/k", "--to", old, "--yes"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("look again"), "{}", stderr(&output));
    assert_eq!(get(&server, "k"), theirs.as_bytes());
    assert!(!is_locked(&server, "k"));
}

/// The answer to the first try is lost; an endpoint knows no conditions.
#[test]
fn a_write_that_meets_itself_is_done_and_conditions_may_be_unknown() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "");
    for name in ["lost", "unknown"] {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        let command = command_by(&server, move |head, pass| {
            if !between::is_write(head, "kept", name) {
                return Some(pass());
            }
            let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            match name {
                "lost" if is_first => {
                    pass();
                    None
                }
                "unknown" if head.to_lowercase().contains("if-none-match") => {
                    Some(between::answer("501 Not Implemented", "NotImplemented"))
                }
                _ => Some(pass()),
            }
        });
        let new = state(1, "l", OUTPUT);
        let output = begin_push(command, name, new.as_bytes(), &[]).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        assert_eq!(tries.load(Ordering::SeqCst), 2, "{name}");
        assert_eq!(get(&server, name), new.as_bytes(), "{name}");
    }
}

/// A write that is under way when the command is told to stop: the lock is given back after it.
#[test]
fn a_write_under_way_is_waited_for() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "");
    let padding = format!(r#""a":{{"value":"{}","type":"string"}}"#, "x".repeat(17 << 20));
    for (key, new) in [("small", state(1, "l", OUTPUT)), ("large", state(1, "l", &padding))] {
        let stopping = between::stopping_at_write(server.address, "kept", key);
        let mut command = server.command();
        command.env("AWS_ENDPOINT_URL_S3", &stopping.endpoint);
        let child = begin_push(command, key, new.as_bytes(), &[]);
        stopping.child.send(child.id()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{key}: {}", stderr(&output));
        assert_eq!(*stopping.seen.lock().unwrap(), between::IN_ORDER, "{key}");
        assert!(get(&server, key) == new.as_bytes(), "{key}");
    }
}

/// More than one part.
#[test]
fn push_of_a_large_state() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "");
    let files = TempDir::new().unwrap();
    let path = files.path().join("state");
    let value = "x".repeat(20 << 20);
    let body = state(1, "l", &format!(r#""a":{{"value":"{value}","type":"string"}}"#));
    std::fs::write(&path, &body).unwrap();
    let output = server.cli(&["state", "push", "kept/large", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(get(&server, "large") == body.as_bytes(), "other bytes");
    assert!(!is_locked(&server, "large"));
}

fn versions(server: &Server, key: &str) -> Vec<String> {
    let output = server.cli(&["state", "versions", &format!("kept/{key}"), "-o", "json"]);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["version_id"].as_str().unwrap().to_owned()).collect()
}

fn roll_back(server: &Server, key: &str, version: &str, arguments: &[&str]) -> Output {
    let place = format!("kept/{key}");
    server.cli(&[&["state", "rollback", &place, "--to", version], arguments].concat())
}

/// `before` says serial 14 in these words.
fn spliced(serial: u64) -> String {
    let before = String::from_utf8(BEFORE.to_vec()).unwrap();
    let changed = before.replacen("\"serial\": 14", &format!("\"serial\": {serial}"), 1);
    assert_ne!(changed, before);
    changed
}

#[test]
fn rollback_copies_forward() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    // The highest serial is not that of the current state.
    put(&server, "k", BEFORE);
    let high = String::from_utf8(AFTER.to_vec()).unwrap();
    put(&server, "k", high.replacen("\"serial\": 24", "\"serial\": 40", 1));
    put(&server, "k", "damaged");
    put(&server, "k", AFTER);
    let ids = versions(&server, "k");
    let oldest = ids[3].as_str();

    let asked = roll_back(&server, "k", oldest, &[]);
    assert_eq!(asked.status.code(), Some(2), "no terminal to ask at, and no --yes");
    let dry = roll_back(&server, "k", oldest, &["--dry-run", "-o", "json"]);
    assert_eq!(dry.status.code(), Some(0), "{}", stderr(&dry));
    let preview: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!((&preview["old"]["serial"], &preview["new"]["serial"]), (&24.into(), &14.into()));
    assert_eq!((&preview["new"]["version_id"], &preview["equal"]), (&oldest.into(), &false.into()));
    assert!(stderr(&dry).contains("as serial 41"), "{}", stderr(&dry));
    assert!(stderr(&dry).contains("no infrastructure is touched"), "{}", stderr(&dry));
    assert!(get(&server, "k") == AFTER, "nothing is written");

    let done = roll_back(&server, "k", oldest, &["--yes"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let told = stdout(&done) + &stderr(&done);
    assert!(told.contains("(sensitive value, changed)") && !told.contains("hunter"), "{told}");
    let answer = server.root().send(&Ask::object("GET", "kept", "k")).expect(200);
    assert_eq!(answer.header("x-amz-meta-tidelock-rolled-back-from"), Some(oldest));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.body == spliced(41).as_bytes(), "only the digits differ");
    assert!(!is_locked(&server, "k"));
    assert_eq!(versions(&server, "k").len(), 5, "no version is lost");
}

/// `| head`: whoever has read enough of the preview still wants the rollback.
#[test]
fn rollback_needs_no_reader_of_its_preview() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    put(&server, "k", BEFORE);
    put(&server, "k", AFTER);
    let mut command = server.command();
    command.args(["state", "rollback", "kept/k", "--yes", "--to", &versions(&server, "k")[1]]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(get(&server, "k") == spliced(25).as_bytes());
}

#[test]
fn rollback_of_what_was_deleted() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    put(&server, "k", BEFORE);
    server.root().send(&Ask::object("DELETE", "kept", "k")).expect(204);
    let id = &versions(&server, "k")[1];
    let done = roll_back(&server, "k", id, &["--yes"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stderr(&done).contains("there is no state now"), "{}", stderr(&done));
    assert!(get(&server, "k") == spliced(15).as_bytes());
}

#[test]
fn rollbacks_that_are_refused_change_nothing() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    for (key, older) in [("sealed", ENCRYPTED.as_bytes()), ("odd", b"{}"), ("held", BEFORE)] {
        put(&server, key, older);
        put(&server, key, AFTER);
    }
    put(&server, "held.tflock", OTHERS_LOCK);
    let newest = versions(&server, "held")[0].clone();
    let older = |key: &str| versions(&server, key)[1].clone();
    let rows = [
        ("sealed", older("sealed"), 1, "encrypted by the client"),
        ("odd", older("odd"), 1, "not a state"),
        ("held", older("held"), 5, "kept/held is locked: me@host"),
        ("held", newest, 5, "is the current state"),
        ("held", "3JunkJunkJunkJunkJunkJunkJunkJun".to_owned(), 1, ""),
        ("none", older("held"), 3, ""),
    ];
    for (key, version, code, words) in rows {
        let refused = roll_back(&server, key, &version, &["--yes"]);
        assert_eq!(refused.status.code(), Some(code), "{key}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(words), "{key}: {}", stderr(&refused));
        if key != "none" {
            assert!(get(&server, key) == AFTER, "{key}");
        }
    }
    assert!(is_locked(&server, "held") && !is_locked(&server, "sealed"));
}
