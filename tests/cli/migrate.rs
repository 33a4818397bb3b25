//! `tidelock migrate`: from files and from another server, twice, and after a kill.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::between;
use crate::harness::server::{ROOT_ACCESS_KEY, ROOT_SECRET_KEY, tidelock};
use crate::harness::{Ask, Server};
use crate::objects::stderr;

const OTHERS_LOCK: &str = r#"{"ID":"714c34bb","Who":"me@host"}"#;

fn state(serial: u64, lineage: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":{serial},"lineage":"{lineage}","outputs":{{"a":{{"value":{serial},"type":"number"}}}},"resources":[]}}"#
    )
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// All files below a directory, with what is in them.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn migrate(server: &Server, arguments: &[&str]) -> Output {
    server.cli(&[&["migrate"], arguments, &["-o", "json"]].concat())
}

/// The verdicts by key, `written` with them.
#[track_caller]
fn verdicts(output: &Output, code: i32) -> BTreeMap<String, String> {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = |row: &Value| {
        let verdict = format!("{} {}", row["verdict"].as_str().unwrap(), row["written"]);
        (row["key"].as_str().unwrap().to_owned(), verdict)
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

#[track_caller]
fn expect(output: &Output, code: i32, rows: &[(&str, &str)]) {
    let expected = rows.iter().map(|(key, verdict)| ((*key).to_owned(), (*verdict).to_owned()));
    assert_eq!(verdicts(output, code), expected.collect(), "{}", stderr(output));
}

/// Bodies and delete markers (none), oldest first.
fn history(server: &Server, bucket: &str, key: &str) -> Vec<Option<String>> {
    let listed =
        server.cli(&["object", "version", "list", &format!("{bucket}/{key}"), "-o", "json"]);
    let rows: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let rows = rows.as_array().unwrap().iter().rev().filter(|row| row["key"] == key);
    let body = |row: &Value| {
        let id = row["version_id"].as_str().unwrap();
        let ask = Ask::object("GET", bucket, key).query("versionId", id);
        let body = || String::from_utf8(server.root().send(&ask).expect(200).body).unwrap();
        (row["delete_marker"] == false).then(body)
    };
    rows.map(body).collect()
}

fn put(server: &Server, bucket: &str, key: &str, body: &str) {
    server.root().send(&Ask::object("PUT", bucket, key).body(body)).expect(200);
}

fn delete(server: &Server, bucket: &str, key: &str) {
    server.root().send(&Ask::object("DELETE", bucket, key)).expect(204);
}

/// Whether there is a lock object. A GET may show one that was given back a moment ago, if anybody was
/// refused it.
fn is_locked(server: &Server, bucket: &str, key: &str) -> bool {
    let list = Ask::bucket("GET", bucket).query("prefix", key);
    server.root().send(&list).expect(200).text().contains(".tflock</Key>")
}

#[test]
fn files_with_workspaces_go_to_their_keys_once() {
    let server = Server::start(&[]);
    server.make_guarded_bucket("kept", "Enabled");
    let files = TempDir::new().unwrap();
    let root = files.path();
    write(root, "terraform.tfstate", &state(3, "root"));
    write(root, "terraform.tfstate.d/dev/terraform.tfstate", &state(4, "dev"));
    write(root, "net/prod.tfstate", &state(5, "prod"));
    write(root, "net/odd.tfstate", "{}");
    write(root, ".terraform/terraform.tfstate", &state(6, "never"));
    write(root, "net/held.tfstate", &state(7, "held"));
    write(root, "net/.held.tfstate.lock.info", OTHERS_LOCK);
    let before = contents(root);
    let run = |flags: &[&str]| {
        migrate(&server, &[&["files", root.to_str().unwrap(), "kept/team"], flags].concat())
    };
    let rows = |moved: &'static str| {
        [
            ("env:/dev/team/terraform.tfstate", moved),
            ("team/net/held.tfstate", "locked 0"),
            ("team/net/odd.tfstate", "not-a-state 0"),
            ("team/net/prod.tfstate", moved),
            ("team/terraform.tfstate", moved),
        ]
    };
    let dry = run(&["--dry-run"]);
    expect(&dry, 5, &rows("would-migrate 0"));
    assert!(history(&server, "kept", "team/terraform.tfstate").is_empty());
    expect(&run(&[]), 5, &rows("migrated 1"));
    expect(&run(&[]), 5, &rows("same 0"));
    let moved = history(&server, "kept", "env:/dev/team/terraform.tfstate");
    assert_eq!(moved, [Some(state(4, "dev"))]);
    let head = server.root().send(&Ask::object("GET", "kept", "team/terraform.tfstate"));
    let from = head.header("x-amz-meta-tidelock-migrated-from").unwrap();
    assert!(from.starts_with("sha256:") && head.header("content-type") == Some("application/json"));
    assert!(!is_locked(&server, "kept", "team/terraform.tfstate"));

    fs::remove_file(root.join("net/.held.tfstate.lock.info")).unwrap();
    write(root, "terraform.tfstate", &state(9, "root"));
    let moved_on = run(&[]);
    let found = verdicts(&moved_on, 0);
    assert_eq!(found["team/net/held.tfstate"], "migrated 1");
    assert_eq!(found["team/terraform.tfstate"], "migrated 1");
    let both = [Some(state(3, "root")), Some(state(9, "root"))];
    assert_eq!(history(&server, "kept", "team/terraform.tfstate"), both);
    assert_eq!(verdicts(&run(&[]), 0)["team/terraform.tfstate"], "same 0");

    write(root, "terraform.tfstate", &state(3, "root"));
    let mut after = contents(root);
    let lock = root.join("net/.held.tfstate.lock.info").display().to_string();
    after.insert(lock, OTHERS_LOCK.into());
    assert_eq!(after, before, "the source is as it was");
}

/// Somebody writes the file while it is moved, or what it went to.
#[test]
fn a_file_that_changes_is_told_and_what_others_wrote_stays() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    let files = TempDir::new().unwrap();
    let (root, directory) = (files.path().to_owned(), files.path().to_str().unwrap());
    write(&root, "k.tfstate", &state(1, "l"));
    let endpoint = between::before(server.address, move |head, pass| {
        if head.starts_with("PUT /kept/k.tfstate ") {
            write(&root, "k.tfstate", &state(2, "l"));
        }
        Some(pass())
    });
    let run = |more: &[&str]| migrate(&server, &[&["files", directory, "kept"], more].concat());
    let changed = run(&["--endpoint", &endpoint]);
    expect(&changed, 5, &[("k.tfstate", "failed 1")]);
    let reason = String::from_utf8_lossy(&changed.stdout).into_owned();
    assert!(reason.contains("it changed while it was moved"), "{reason}");
    expect(&run(&[]), 0, &[("k.tfstate", "migrated 1")]);
    put(&server, "kept", "k.tfstate", &state(3, "l"));
    expect(&run(&[]), 5, &[("k.tfstate", "different 0")]);
}

#[test]
fn versions_and_delete_markers_come_in_their_order() {
    let source = Server::start(&[]);
    source.make_bucket("old", "Enabled");
    let many: Vec<String> = (1..=5).map(|serial| state(serial, "many")).collect();
    many.iter().for_each(|body| put(&source, "old", "a/many.tfstate", body));
    // Back to an older serial, another lineage, a deletion in between, one at the end.
    for (serial, lineage) in [(8, "l"), (7, "l"), (1, "m")] {
        put(&source, "old", "env:/dev/a/k", &state(serial, lineage));
    }
    delete(&source, "old", "env:/dev/a/k");
    put(&source, "old", "env:/dev/a/k", &state(2, "m"));
    put(&source, "old", "a/gone", &state(2, "g"));
    delete(&source, "old", "a/gone");
    put(&source, "old", "a/notes.txt", "no state");
    put(&source, "old", "a/held", &state(1, "h"));
    put(&source, "old", "a/held.tflock", OTHERS_LOCK);
    put(&source, "old", "b/other", &state(1, "o"));
    let server = Server::start(&[]);
    server.make_guarded_bucket("new", "Enabled");
    let endpoint = format!("http://{}", source.address);
    let run = || migrate(&server, &["s3", &endpoint, "old/a/", "new/z"]);
    let rows = |many, k, gone| {
        [
            ("env:/dev/z/k", k),
            ("z/gone", gone),
            ("z/held", "locked 0"),
            ("z/many.tfstate", many),
            ("z/notes.txt", "not-a-state 0"),
        ]
    };
    expect(&run(), 5, &rows("migrated 5", "migrated 5", "migrated 2"));
    expect(&run(), 5, &rows("same 0", "same 0", "same 0"));
    for (from, to) in [
        ("a/many.tfstate", "z/many.tfstate"),
        ("env:/dev/a/k", "env:/dev/z/k"),
        ("a/gone", "z/gone"),
    ] {
        assert_eq!(history(&source, "old", from), history(&server, "new", to), "{from}");
    }

    // The source goes on, then the destination does.
    put(&source, "old", "a/many.tfstate", &state(6, "many"));
    expect(&run(), 5, &rows("migrated 1", "same 0", "same 0"));
    server.make_bucket("plain", "Enabled");
    let plain = || migrate(&server, &["s3", &endpoint, "old/a/many.tfstate", "plain"]);
    expect(&plain(), 0, &[("a/many.tfstate", "migrated 6")]);
    put(&server, "plain", "a/many.tfstate", &state(7, "many"));
    expect(&plain(), 0, &[("a/many.tfstate", "ahead 0")]);
    put(&source, "old", "a/many.tfstate", &state(8, "many"));
    let refused = plain();
    expect(&refused, 5, &[("a/many.tfstate", "different 0")]);
    let reason = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(reason.contains("from version 7 on"), "{reason}");
}

/// Somebody writes at the source while a state is on its way.
#[test]
fn what_the_source_got_meanwhile_is_moved_too_or_told() {
    let source = Server::start(&[]);
    let server = Server::start(&[]);
    server.make_guarded_bucket("new", "Enabled");
    let root = source.root();
    // Before which look at the lock of the source it happens; what the run says, and the next one.
    let rows = [
        ("early", "Enabled", 1, (0, "migrated 2"), "same 0"),
        ("late", "Enabled", 2, (5, "failed 1"), "migrated 1"),
        ("plain", "", 2, (5, "failed 1"), "different 0"),
    ];
    for (bucket, versioning, at, (code, verdict), next) in rows {
        source.make_bucket(bucket, versioning);
        put(&source, bucket, bucket, &state(1, bucket));
        let (looks, root) = (Arc::new(AtomicUsize::new(0)), root.clone());
        let endpoint = between::before(source.address, move |head, pass| {
            let is_look = head.contains(".tflock ");
            if is_look && looks.fetch_add(1, Ordering::SeqCst) + 1 == at {
                let ask = Ask::object("PUT", bucket, bucket).body(state(2, bucket));
                root.send(&ask).expect(200);
            }
            Some(pass())
        });
        let run = || migrate(&server, &["s3", &endpoint, bucket, "new"]);
        let first = run();
        expect(&first, code, &[(bucket, verdict)]);
        let told = String::from_utf8_lossy(&first.stdout).into_owned();
        assert_eq!(told.contains("it changed while it was moved"), code == 5, "{bucket}: {told}");
        let second = verdicts(&run(), if next == "different 0" { 5 } else { 0 });
        assert_eq!(second[bucket], next, "{bucket}");
    }
}

#[test]
fn a_bucket_without_versions_gets_the_current_one() {
    let source = Server::start(&[]);
    source.make_bucket("old", "Enabled");
    put(&source, "old", "k", &state(1, "l"));
    put(&source, "old", "k", &state(2, "l"));
    put(&source, "old", "gone", &state(1, "g"));
    delete(&source, "old", "gone");
    let server = Server::start(&[]);
    server.make_bucket("new", "");
    let endpoint = format!("http://{}", source.address);
    let run = || migrate(&server, &["s3", &endpoint, "old", "new"]);
    let first = run();
    expect(&first, 0, &[("gone", "same 0"), ("k", "migrated 1")]);
    assert!(stderr(&first).contains("keeps no versions"), "{}", stderr(&first));
    put(&source, "old", "k", &state(3, "l"));
    expect(&run(), 0, &[("gone", "same 0"), ("k", "migrated 1")]);
    expect(&run(), 0, &[("gone", "same 0"), ("k", "same 0")]);
    put(&server, "new", "k", &state(4, "l"));
    expect(&run(), 5, &[("gone", "same 0"), ("k", "different 0")]);
}

#[test]
fn a_run_that_was_killed_is_finished_by_another() {
    const STATES: usize = 30;
    const VERSIONS: u64 = 4;
    let source = Server::start(&[]);
    source.make_bucket("old", "Enabled");
    for number in 0..STATES {
        for serial in 1..=VERSIONS {
            put(&source, "old", &format!("{number:02}"), &state(serial, "l"));
        }
    }
    let server = Server::start(&[]);
    server.make_guarded_bucket("new", "Enabled");
    let endpoint = format!("http://{}", source.address);
    let arguments = ["migrate", "s3", &endpoint, "old", "new", "-o", "jsonl"];
    let mut locked = 0;
    for lines in [1, 5, 9] {
        let mut command = server.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        told.by_ref().take(lines).for_each(|line| assert!(line.unwrap().contains("key")));
        // In the middle of a state, if that is to be caught.
        let looked = (0..100).any(|_| is_locked(&server, "new", ""));
        child.kill().unwrap();
        child.wait().unwrap();
        let is_locked = |number: &usize| is_locked(&server, "new", &format!("{number:02}"));
        locked += (0..STATES).filter(is_locked).count();
        eprintln!("a lock was seen: {looked}; {locked} were left by the dead");
    }
    let finished = migrate(&server, &["s3", &endpoint, "old", "new"]);
    let found = verdicts(&finished, 0);
    assert!(found.values().any(|it| it.starts_with("migrated")), "{found:?}");
    assert!(found.values().any(|it| it == "same 0"), "{found:?}");
    for number in 0..STATES {
        let key = format!("{number:02}");
        assert_eq!(history(&source, "old", &key), history(&server, "new", &key), "{key}");
        assert!(!is_locked(&server, "new", &key), "{key}");
    }
    let again = verdicts(&migrate(&server, &["s3", &endpoint, "old", "new"]), 0);
    assert!(again.len() == STATES && again.values().all(|it| it == "same 0"), "{again:?}");
}

/// A version, and then a delete marker, which no condition guards.
#[test]
fn a_write_under_way_is_done_before_the_lock_is_given_back() {
    let source = Server::start(&[]);
    source.make_bucket("old", "Enabled");
    let server = Server::start(&[]);
    server.make_bucket("new", "Enabled");
    let from = format!("http://{}", source.address);
    for is_deletion in [false, true] {
        if is_deletion {
            delete(&source, "old", "k");
        } else {
            put(&source, "old", "k", &state(1, "l"));
        }
        let stopping = between::stopping_at_write(server.address, "new", "k");
        let mut command = server.command();
        command.args(["migrate", "s3", &from, "old", "new", "--endpoint", &stopping.endpoint]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        stopping.child.send(child.id()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        assert_eq!(*stopping.seen.lock().unwrap(), between::IN_ORDER, "{is_deletion}");
        assert_eq!(history(&source, "old", "k"), history(&server, "new", "k"), "{is_deletion}");
    }
}

/// What a run that died between its last write and giving its lock back has left.
#[test]
fn a_lock_that_a_dead_run_left_on_a_whole_state_is_given_back() {
    let source = Server::start(&[]);
    source.make_bucket("old", "Enabled");
    put(&source, "old", "k", &state(1, "l"));
    let server = Server::start(&[]);
    // Without a guard, which keeps no versions of locks that were given back.
    server.make_bucket("new", "Enabled");
    let endpoint = format!("http://{}", source.address);
    let run =
        |flags: &[&str]| migrate(&server, &[&["s3", &endpoint, "old", "new"], flags].concat());
    expect(&run(&[]), 0, &[("k", "migrated 1")]);
    let locks = history(&server, "new", "k.tflock");
    let left = locks[0].as_deref().expect("the lock it wrote under");
    assert_eq!(locks.len(), 2, "and gave back: {locks:?}");

    // The lock; flags, exit status and verdict; whether the lock stays.
    let rows: [(&str, &[&str], i32, &str, bool); 3] = [
        (left, &["--dry-run"], 0, "same 0", true),
        (left, &[], 0, "same 0", false),
        (OTHERS_LOCK, &[], 0, "same 0", true),
    ];
    for (lock, flags, code, verdict, stays) in rows {
        put(&server, "new", "k.tflock", lock);
        expect(&run(flags), code, &[("k", verdict)]);
        assert_eq!(is_locked(&server, "new", "k"), stays, "{lock} {flags:?}");
    }
    put(&server, "new", "k", &state(2, "l"));
    put(&server, "new", "k.tflock", left);
    expect(&run(&[]), 0, &[("k", "ahead 0")]);
    assert!(!is_locked(&server, "new", "k"), "ahead");
    put(&source, "old", "k", &state(3, "l"));
    put(&server, "new", "k.tflock", left);
    expect(&run(&[]), 5, &[("k", "different 0")]);
    assert!(!is_locked(&server, "new", "k"), "different");
}

/// A source that nothing is said of but its endpoint is asked as the destination is.
#[test]
fn a_profile_of_the_destination_is_the_sources_too() {
    let server = Server::start(&[]);
    server.make_bucket("old", "Enabled");
    server.make_bucket("new", "Enabled");
    put(&server, "old", "k", &state(1, "l"));
    let files = TempDir::new().unwrap();
    let profile = format!(
        "[dest]\naws_access_key_id = {ROOT_ACCESS_KEY}\naws_secret_access_key = {ROOT_SECRET_KEY}\n"
    );
    write(files.path(), "credentials", &profile);
    let endpoint = format!("http://{}", server.address);
    let run = |command: &mut Command| {
        command
            .args(["migrate", "--profile", "dest", "--endpoint", &endpoint, "-o", "json"])
            .args(["s3", &endpoint, "old", "new"])
            .env("AWS_SHARED_CREDENTIALS_FILE", files.path().join("credentials"))
            .output()
            .unwrap()
    };
    expect(&run(&mut tidelock()), 0, &[("k", "migrated 1")]);
    expect(&run(tidelock().env("AWS_PROFILE", "no-such-profile")), 0, &[("k", "same 0")]);
    let own = run(tidelock().env("SOURCE_AWS_PROFILE", "no-such-profile"));
    assert_eq!(own.status.code(), Some(2), "{}", stderr(&own));
}

/// Nothing is to be written, and the lock at the destination may not be looked at.
#[test]
fn a_verdict_needs_no_right_to_locks() {
    let server = Server::start(&[]);
    server.make_bucket("kept", "Enabled");
    let files = TempDir::new().unwrap();
    let directory = files.path().to_str().unwrap();
    write(files.path(), "k.tfstate", &state(1, "l"));
    expect(&migrate(&server, &["files", directory, "kept"]), 0, &[("k.tfstate", "migrated 1")]);
    let endpoint = between::before(server.address, |head, pass| {
        let is_lock = head.contains(".tflock");
        Some(if is_lock { between::answer("403 Forbidden", "AccessDenied") } else { pass() })
    });
    let again = migrate(&server, &["files", directory, "kept", "--endpoint", &endpoint]);
    expect(&again, 0, &[("k.tfstate", "same 0")]);
}

#[test]
fn a_held_destination_and_a_missing_one() {
    let server = Server::start(&[]);
    server.make_guarded_bucket("kept", "Enabled");
    let files = TempDir::new().unwrap();
    write(files.path(), "k.tfstate", &state(1, "l"));
    let directory = files.path().to_str().unwrap();
    put(&server, "kept", "k.tfstate.tflock", OTHERS_LOCK);
    let held = migrate(&server, &["files", directory, "kept"]);
    expect(&held, 5, &[("k.tfstate", "locked 0")]);
    assert!(String::from_utf8_lossy(&held.stdout).contains("at the destination, by me@host"));
    assert!(is_locked(&server, "kept", "k.tfstate"), "the lock of another stays");
    let rows: [(&[&str], i32, &str); 4] = [
        (&["files", directory, "none"], 3, "NoSuchBucket"),
        (&["files", "no-such-directory", "kept"], 3, "no-such-directory"),
        (&["s3", "nonsense", "old", "kept"], 2, "endpoint 'nonsense'"),
        (&["pg", "postgres://127.0.0.1:1/d?user=u", "kept"], 1, "PostgreSQL"),
    ];
    for (arguments, code, words) in rows {
        let output = migrate(&server, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_backend_block_follows_its_states() {
    let source = Server::start(&[]);
    source.make_bucket("old", "Enabled");
    put(&source, "old", "app.tfstate", &state(1, "l"));
    let server = Server::start(&[]);
    server.make_guarded_bucket("new", "Enabled");
    let files = TempDir::new().unwrap();
    let path = files.path().join("backend.tf");
    let before = "terraform {\n  backend \"s3\" {\n    bucket         = \"old\"\n    \
                  key            = \"app.tfstate\"\n    region         = \"us-east-1\"\n    \
                  dynamodb_table = \"locks\"\n  }\n}\n";
    fs::write(&path, before).unwrap();
    let endpoint = format!("http://{}", source.address);
    let run = |flags: &[&str]| {
        let edit = ["--edit", path.to_str().unwrap()];
        migrate(&server, &[&["s3", &endpoint, "old", "new"], &edit[..], flags].concat())
    };
    put(&source, "old", "app.tfstate.tflock", OTHERS_LOCK);
    expect(&run(&[]), 5, &[("app.tfstate", "locked 0")]);
    assert_eq!(fs::read_to_string(&path).unwrap(), before, "nothing was moved");
    delete(&source, "old", "app.tfstate.tflock");
    let dry = run(&["--dry-run"]);
    assert!(stderr(&dry).contains("use_lockfile   = true"), "{}", stderr(&dry));
    assert_eq!(fs::read_to_string(&path).unwrap(), before, "a dry run");
    expect(&run(&[]), 0, &[("app.tfstate", "migrated 1")]);
    let after = fs::read_to_string(&path).unwrap();
    assert!(
        !after.contains("dynamodb_table") && after.contains("bucket         = \"new\""),
        "{after}"
    );
    assert!(after.contains(&format!("s3  = \"http://{}\"", server.address)), "{after}");
    assert_eq!(fs::read_to_string(files.path().join("backend.tf.backup")).unwrap(), before);
    let again = run(&[]);
    assert_eq!(again.status.code(), Some(2), "it names another bucket: {}", stderr(&again));
}
