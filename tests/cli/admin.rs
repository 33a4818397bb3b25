//! `tidelock admin`: a store moved between engines, a configuration looked at before it is used, and how a
//! running server is.

use std::fs;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::harness::server::tidelock;
use crate::harness::{Ask, Engine, Server};
use crate::objects::{stderr, stdout};

/// Large enough to be a body of its own, in several pieces.
const LARGE_BYTES: usize = 3 << 20;

fn copy(from: &str, to: &str, more: &[&str]) -> Output {
    tidelock()
        .args(["admin", "copy", "--from", from, "--to", to, "-o", "json"])
        .args(more)
        .output()
        .unwrap()
}

/// A stopped store with states, versions, a lock, a large object and a user.
fn filled(data: &Path) {
    let mut server = Server::start_over(&Engine::Local, data, &[]);
    server.make_bucket("states", "Enabled");
    let root = server.root();
    for version in ["one", "two", "three"] {
        root.send(&Ask::object("PUT", "states", "env/app.tfstate").body(version)).expect(200);
    }
    root.send(&Ask::object("PUT", "states", "env/app.tfstate.tflock").body("held")).expect(200);
    root.send(&Ask::object("PUT", "states", "large").body(vec![7; LARGE_BYTES])).expect(200);
    assert!(server.cli(&["user", "create", "ann"]).status.success());
    assert!(server.terminate().success());
}

fn check_filled(server: &Server) {
    let root = server.root();
    let get = |key: &str| root.send(&Ask::object("GET", "states", key)).expect(200);
    assert_eq!(get("env/app.tfstate").body, b"three");
    assert_eq!(get("large").body, vec![7; LARGE_BYTES]);
    let lock = Ask::object("PUT", "states", "env/app.tfstate.tflock").header("if-none-match", "*");
    root.send(&lock.body("other")).expect(412);
    let versions = stdout(&server.cli(&["object", "version", "list", "states/env", "-o", "jsonl"]));
    assert_eq!(versions.matches("env/app.tfstate\"").count(), 3, "{versions}");
    assert!(stdout(&server.cli(&["user", "list", "-o", "jsonl"])).contains("\"ann\""));
    root.send(&Ask::object("PUT", "states", "written-after").body("x")).expect(200);
}

fn serve_copy(from: &Path, to: &Path, arguments: &[&str]) {
    fs::create_dir_all(to).unwrap();
    fs::copy(from.join("keyring"), to.join("keyring")).unwrap();
    let mut server = Server::start_over(&Engine::Local, to, arguments);
    check_filled(&server);
    assert!(server.terminate().success());
}

#[test]
fn a_copied_store_is_the_same_store() {
    let files = TempDir::new().unwrap();
    let (from, to) = (files.path().join("from"), files.path().join("to"));
    filled(&from);
    let (source, target) = (from.to_str().unwrap(), to.to_str().unwrap());
    let looked = copy(source, target, &["--dry-run"]);
    assert_eq!(looked.status.code(), Some(0), "{}", stderr(&looked));
    assert!(!to.exists());
    let copied = copy(source, target, &[]);
    assert_eq!(copied.status.code(), Some(0), "{}", stderr(&copied));
    assert!(stderr(&copied).contains("same keyring"), "{}", stderr(&copied));
    let report: serde_json::Value = serde_json::from_slice(&copied.stdout).unwrap();
    assert_eq!(report["blobs"], 1, "{report}");
    assert_eq!(report["rows_sha256"].as_str().unwrap().len(), 64);
    serve_copy(&from, &to, &[]);
    let rows: &[(&str, &str, i32, &str)] = &[
        (source, target, 5, "not empty"),
        (source, source, 2, "same store"),
        ("none", target, 3, "no store"),
        (source, "mysql://x", 2, "neither"),
    ];
    for (from, to, code, message) in rows {
        let refused = copy(from, to, &[]);
        assert_eq!(refused.status.code(), Some(*code), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(message), "{}", stderr(&refused));
        assert_eq!(stdout(&refused), "");
    }
}

/// Into a shared directory, where a server finds the bodies again.
#[test]
fn bodies_may_go_elsewhere_than_rows() {
    let files = TempDir::new().unwrap();
    let (from, to) = (files.path().join("from"), files.path().join("to"));
    filled(&from);
    let blobs = format!("file://{}", files.path().join("bodies").display());
    let copied =
        copy(from.to_str().unwrap(), to.to_str().unwrap(), &["--to-blobs", blobs.as_str()]);
    assert_eq!(copied.status.code(), Some(0), "{}", stderr(&copied));
    serve_copy(&from, &to, &["--blobs", blobs.as_str()]);
    // Forgotten where they are: what rows name must be at the destination, or nobody serves it.
    let (source, without) = (to.to_str().unwrap(), files.path().join("without"));
    let forgotten = copy(source, without.to_str().unwrap(), &[]);
    assert_eq!(forgotten.status.code(), Some(1), "{}", stderr(&forgotten));
    let said = stderr(&forgotten);
    assert!(said.contains("1 bodies") && said.contains("--from-blobs"), "{said}");
    fs::copy(from.join("keyring"), without.join("keyring")).unwrap();
    let unserved = Server::try_start_over(&Engine::Local, &without, &[]).err().unwrap();
    assert!(unserved.contains("is not finished"), "{unserved}");
    let more = ["--from-blobs", blobs.as_str()];
    let again = copy(source, without.to_str().unwrap(), &more);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    serve_copy(&from, &without, &[]);
}

/// There and back, where a cluster is at hand.
#[test]
fn a_store_moves_to_postgresql_and_back() {
    let Ok(url) = std::env::var("TIDELOCK_TEST_POSTGRES") else { return };
    let files = TempDir::new().unwrap();
    let [from, shared, back] = ["from", "shared", "back"].map(|name| files.path().join(name));
    filled(&from);
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}schema=copy_{}", std::process::id());
    // Looking makes no tables: what is not there cannot be copied from either.
    for _ in 0..2 {
        let looked = copy(from.to_str().unwrap(), &url, &["--dry-run"]);
        assert_eq!(looked.status.code(), Some(0), "{}", stderr(&looked));
        let nothing = copy(&url, back.to_str().unwrap(), &[]);
        assert_eq!(nothing.status.code(), Some(3), "{}", stderr(&nothing));
    }
    let copied = copy(from.to_str().unwrap(), &url, &[]);
    assert_eq!(copied.status.code(), Some(0), "{}", stderr(&copied));
    serve_copy(&from, &shared, &["--meta", url.as_str()]);
    for more in [&["--dry-run"][..], &[]] {
        let again = copy(from.to_str().unwrap(), &url, more);
        assert_eq!(again.status.code(), Some(5), "{}", stderr(&again));
        assert!(stderr(&again).contains("not empty"), "{}", stderr(&again));
    }
    let returned = copy(&url, back.to_str().unwrap(), &[]);
    assert_eq!(returned.status.code(), Some(0), "{}", stderr(&returned));
    serve_copy(&from, &back, &[]);
    let running = Server::start_over(&Engine::Local, &shared, &["--meta", url.as_str()]);
    let refused = copy(&url, files.path().join("third").to_str().unwrap(), &[]);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("run on it"), "{}", stderr(&refused));
    drop(running);
}

#[test]
fn a_configuration_is_checked_and_nothing_made() {
    let files = TempDir::new().unwrap();
    let data = files.path().join("data");
    let check = |arguments: &[&str]| {
        let mut command = tidelock();
        command.args(["admin", "config", "check", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        command.args(arguments).env("TIDELOCK_ROOT_ACCESS_KEY", "root");
        command.env("TIDELOCK_ROOT_SECRET_KEY", "never-to-be-seen").output().unwrap()
    };
    let nobody = "postgres://u:never-to-be-seen@127.0.0.1:1/d";
    let rows: &[(&[&str], i32, &str)] = &[
        (&[], 0, "ok    data"),
        (&["--meta", "memory"], 0, "warn  meta"),
        (&["--tls-cert", "none.pem", "--tls-key", "none.pem"], 2, "fail  tls"),
        (&["--meta", nobody], 2, "fail  meta"),
    ];
    for (arguments, code, line) in rows {
        let output = check(arguments);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", stderr(&output));
        assert!(text.contains(line), "{arguments:?}: {line:?} not in\n{text}");
        assert!(text.contains("region = \"us-east-1\""), "{text}");
        let all = [text, stderr(&output)].concat();
        assert!(!all.contains("never-to-be-seen"), "{all}");
    }
    let json = check(&["-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["settings"]["meta"], "\"local\"");
    assert_eq!(document["checks"][0]["status"], "ok");
    let wrong = check(&["--meta", nobody, "--blobs", "local"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("every server reaches"), "{}", stderr(&wrong));
    assert!(!data.exists(), "a check makes nothing");
}

/// What a check finds in a database where other servers have been, and where none has.
#[test]
fn a_shared_store_is_compared_with_the_keyring() {
    let Ok(cluster) = std::env::var("TIDELOCK_TEST_POSTGRES") else { return };
    let files = TempDir::new().unwrap();
    let separator = if cluster.contains('?') { '&' } else { '?' };
    let url = format!("{cluster}{separator}schema=check_{}", std::process::id());
    let [here, other] = ["here", "other"].map(|name| files.path().join(name));
    let check = |data: &Path, code: i32, lines: &[&str]| {
        let mut command = tidelock();
        command.args(["admin", "config", "check", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let output = command.args(["--meta", url.as_str()]).output().unwrap();
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(code), "{text}{}", stderr(&output));
        for line in lines {
            assert!(text.contains(line), "{line:?} not in\n{text}");
        }
    };
    for _ in 0..2 {
        check(&here, 0, &["no store is there yet", "keyring is not there; a start makes it"]);
    }
    let mut server = Server::start_over(&Engine::Local, &here, &["--meta", url.as_str()]);
    assert!(server.terminate().success());
    check(&here, 0, &["it opens the store"]);
    check(&other, 2, &["fail  keyring", "is missing, and the store is sealed", "copy the keyring"]);
    drop(Server::start_over(&Engine::Local, &other, &[]));
    check(&other, 2, &["fail  keyring", "is not the one that this store is sealed with"]);
}

#[test]
fn a_running_server_tells_root_how_it_is() {
    let server = Server::start(&[]);
    let told = stdout(&server.cli(&["admin", "status"]));
    for line in ["health       serving", "certificate  none: no TLS", "servers      1"] {
        assert!(told.lines().any(|found| found == line), "{line:?} not in\n{told}");
    }
    let told = stdout(&server.cli(&["admin", "-o", "json", "status"]));
    let status: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&status["health"], &status["health_reason"]), (&"serving".into(), &().into()));
    assert!(status["minutes"].as_array().unwrap().len() <= 60, "{told}");
}

#[test]
fn settings_are_shown_with_their_origins() {
    let files = TempDir::new().unwrap();
    let file = files.path().join("tidelock.toml");
    fs::write(&file, "region = \"eu\"\nmetrics_token = \"hidden\"\n").unwrap();
    let show = |more: &[&str]| {
        let mut command = tidelock();
        command.args(["admin", "config", "show", "-o", "jsonl", "--listen", "127.0.0.1:1"]);
        command.env("TIDELOCK_DATA", files.path()).arg("--config").arg(&file).args(more);
        let shown = command.output().unwrap();
        assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
        stdout(&shown)
    };
    let given = show(&[]);
    let rows = [
        r#"{"key":"listen","value":"\"127.0.0.1:1\"","source":"flag","name":"--listen"}"#,
        r#""source":"variable","name":"TIDELOCK_DATA"}"#,
        r#"{"key":"region","value":"\"eu\"","source":"file","name":""#,
        r#"{"key":"metrics_token","value":"(set)","source":"file","name":""#,
    ];
    for row in rows {
        assert!(given.contains(row), "no {row} in\n{given}");
    }
    assert!(!given.contains("default"), "{given}");
    let all = show(&["--effective"]);
    assert!(
        all.contains(r#"{"key":"requests_max","value":"1024","source":"default","name":null}"#)
    );
    assert!(!all.contains("hidden"), "{all}");
    let refused = tidelock().args(["admin", "config", "show", "--tls-key", "k"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

fn verify(data: &Path) -> (bool, String) {
    let output = tidelock().args(["admin", "verify", "--data"]).arg(data).output().unwrap();
    (output.status.success(), stdout(&output) + &stderr(&output))
}

/// The last file of the log.
fn newest_segment(data: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(data.join("meta")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|it| it == "log")).max().unwrap()
}

/// Where the last group of a segment begins.
fn last_group(segment: &[u8]) -> usize {
    let mut pages = (4096..segment.len()).step_by(4096);
    pages.rfind(|page| segment[*page..].starts_with(b"TLG1")).unwrap()
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// The only file of a body too large for a commit.
fn blob(data: &Path) -> std::path::PathBuf {
    let directories = fs::read_dir(data.join("blobs")).unwrap();
    let directories = directories.map(|entry| entry.unwrap().path());
    let named = directories.filter(|path| path.file_name().unwrap().len() == 2);
    let mut files = named.flat_map(|path| fs::read_dir(path).unwrap());
    files.next().unwrap().unwrap().path()
}

#[test]
fn every_byte_is_verified_and_what_is_whole_is_saved() {
    let directory = TempDir::new().unwrap();
    let (data, saved) = (directory.path().join("data"), directory.path().join("saved"));
    let (sound, told) = verify(&data);
    assert!(!sound && told.contains("there is no store"), "{told}");
    filled(&data);
    let (sound, told) = verify(&data);
    assert!(sound && told.contains("as the log"), "{told}");
    fs::remove_file(data.join("meta/meta.redb")).unwrap();
    let (sound, told) = verify(&data);
    assert!(sound && told.contains("the next start makes it again"), "{told}");

    let large = blob(&data);
    flip(&large, 100_000);
    let (sound, told) = verify(&data);
    assert!(!sound && told.contains("DAMAGED states/large, version "), "{told}");
    flip(&large, 100_000);
    assert!(verify(&data).0);

    let mut server = Server::start_over(&Engine::Local, &data, &[]);
    server.root().send(&Ask::object("PUT", "states", "lost").body("x")).expect(200);
    assert!(server.terminate().success());
    let segment = newest_segment(&data);
    // Of the last segment, the last group might be one that was never finished: this begins another.
    assert!(verify(&data).0);
    let group = last_group(&fs::read(&segment).unwrap());
    flip(&segment, group + 60);
    let (sound, told) = verify(&data);
    let name = segment.file_name().unwrap().to_str().unwrap();
    let place = format!("DAMAGED meta/{name}, bytes {group} to ");
    assert!(!sound && told.contains(&place), "{told}");

    let output = tidelock()
        .args(["admin", "recover", "-o", "json", "--data"])
        .arg(&data)
        .arg("--into")
        .arg(&saved)
        .output()
        .unwrap();
    // Saved, but not all.
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains(&format!("bytes {group} to")), "{}", stdout(&output));
    let server = Server::start_over(&Engine::Local, &saved, &[]);
    check_filled(&server);
    let running = verify(&saved).1;
    assert!(running.contains("is in use by another server"), "{running}");
    drop(server);
    assert!(verify(&saved).0);
    // As one that was cut off before its last file leaves it.
    fs::write(saved.join("unfinished"), "").unwrap();
    let (sound, told) = verify(&saved);
    assert!(!sound && told.contains("did not end"), "{told}");
    let unserved = Server::try_start_over(&Engine::Local, &saved, &[]).err().unwrap();
    assert!(unserved.contains("did not end"), "{unserved}");
    // One that could not begin has left nothing in the way.
    fs::remove_file(saved.join("unfinished")).unwrap();
    let running = Server::start_over(&Engine::Local, &saved, &[]);
    let next = directory.path().join("next");
    let refused = extract(running.data(), &["--into", next.to_str().unwrap()]);
    assert!(stderr(&refused).contains("in use"), "{}", stderr(&refused));
    assert_eq!(fs::read_dir(&next).unwrap().count(), 0);
}

fn extract(data: &Path, arguments: &[&str]) -> Output {
    tidelock().args(["admin", "recover", "--data"]).arg(data).args(arguments).output().unwrap()
}

/// Names, lengths and times of change of all files below a directory.
fn files_below(path: &Path) -> Vec<(std::path::PathBuf, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(files_below(&path));
        }
        found.push((path, metadata.len(), metadata.modified().unwrap()));
    }
    found.sort();
    found
}

#[test]
fn one_object_is_read_without_a_server_and_from_a_damaged_store() {
    let directory = TempDir::new().unwrap();
    let (data, file) = (directory.path().join("data"), directory.path().join("large"));
    let others = directory.path().join("large.part");
    fs::write(&others, "mine").unwrap();
    filled(&data);
    let mut server = Server::start_over(&Engine::Local, &data, &[]);
    let running = extract(&data, &["--list"]);
    assert_eq!(running.status.code(), Some(1), "{}", stderr(&running));
    assert!(stderr(&running).contains("in use"), "{}", stderr(&running));
    server.root().send(&Ask::object("PUT", "states", "late").body("x")).expect(200);
    assert!(server.terminate().success());
    // Another segment: now that one is not the last.
    assert!(Server::start_over(&Engine::Local, &data, &[]).terminate().success());
    let mut segments: Vec<_> = fs::read_dir(data.join("meta")).unwrap().collect();
    segments
        .retain(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|it| it == "log"));
    segments.sort_by_key(|entry| entry.as_ref().unwrap().path());
    let holds_late = segments[segments.len() - 2].as_ref().unwrap().path();
    let group = last_group(&fs::read(&holds_late).unwrap());
    fs::remove_file(data.join("meta/meta.redb")).unwrap();
    fs::remove_file(data.join("meta/lock")).unwrap();
    for is_damaged in [false, true] {
        if is_damaged {
            flip(&holds_late, group + 60);
        }
        let before = files_below(&data);
        let listed = extract(&data, &["-o", "jsonl", "--list", "states/env"]);
        assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
        let lines: Vec<serde_json::Value> =
            stdout(&listed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        let first = lines.iter().find(|it| it["size"] == 3 && it["is_latest"] == false).unwrap();
        let first = first["version"].as_str().unwrap();
        let read = |object: &str, more: &[&str]| {
            extract(&data, &[&["--object", object, "--to", "-"][..], more].concat())
        };
        let current = read("states/env/app.tfstate", &[]);
        assert_eq!((current.status.code(), &current.stdout[..]), (Some(0), &b"three"[..]));
        let older = read("states/env/app.tfstate", &["--version-id", first]);
        assert!([&b"one"[..], b"two"].contains(&&older.stdout[..]), "{}", stderr(&older));
        let large = extract(&data, &["--object", "states/large", "--to", file.to_str().unwrap()]);
        assert_eq!(large.status.code(), Some(0), "{}", stderr(&large));
        assert!(fs::read(&file).unwrap() == vec![7; LARGE_BYTES]);
        assert_eq!(stderr(&large).contains("the log is damaged"), is_damaged, "{}", stderr(&large));
        assert_eq!(read("states/none", &[]).status.code(), Some(3));
        assert_eq!(files_below(&data), before, "something was written");
    }
    let large = blob(&data);
    flip(&large, 100_000);
    fs::remove_file(&file).unwrap();
    let damaged = extract(&data, &["--object", "states/large", "--to", file.to_str().unwrap()]);
    assert_eq!(damaged.status.code(), Some(1), "{}", stderr(&damaged));
    assert!(!file.exists());
    assert_eq!(fs::read_to_string(&others).unwrap(), "mine");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "the data, and this");
    let other = directory.path().join("other-keyring");
    fs::rename(data.join("keyring"), &other).unwrap();
    let without = extract(&data, &["--list"]);
    assert_eq!(without.status.code(), Some(2), "{}", stderr(&without));
    let with = extract(&data, &["--list", "--keyring", other.to_str().unwrap()]);
    assert_eq!(with.status.code(), Some(0), "{}", stderr(&with));
}

/// Where bodies are is a setting of the server, which its other commands find where the server does.
#[test]
fn the_variable_of_the_bodies_counts_everywhere() {
    let files = TempDir::new().unwrap();
    let rows: [&[&str]; 3] =
        [&["verify"], &["recover", "--list"], &["backup", files.path().to_str().unwrap()]];
    for arguments in rows {
        let mut command = tidelock();
        command.env("TIDELOCK_BLOBS", "nowhere").arg("admin").args(arguments);
        let output = command.arg("--data").arg(files.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("'nowhere' is not local"), "{}", stderr(&output));
    }
}

/// As for `serve`: whoever keeps the data where it goes by itself says so to no command.
#[test]
fn data_are_where_a_server_puts_them() {
    let (here, backups) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    filled(&here.path().join("tidelock-data"));
    let rows: [&[&str]; 3] =
        [&["verify"], &["recover", "--list"], &["backup", backups.path().to_str().unwrap()]];
    for arguments in rows {
        let output =
            tidelock().current_dir(here.path()).arg("admin").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    }
}
