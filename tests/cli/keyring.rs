//! Keys of the keyring that come and go, and where the file may be.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::harness::server::tidelock;
use crate::harness::{Ask, Engine, Server};
use crate::objects::{stderr, stdout};

/// Large enough to be a body of its own, in several pieces.
const LARGE_BYTES: usize = 3 << 20;
const OLD: &str = "old";
const NEW: &str = "new-2026";

fn write_keyring(path: &Path, names: &[&str], mode: u32) {
    let line = |name: &&str| format!("{name}:{}\n", STANDARD.encode([name.len() as u8; 32]));
    // The mode of before may not let even its owner write.
    let _missing = fs::remove_file(path);
    fs::write(path, names.iter().map(line).collect::<String>()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn start(data: &Path, names: &[&str]) -> Result<Server, String> {
    let keyring = data.with_extension("keyring");
    write_keyring(&keyring, names, 0o600);
    Server::try_start_over(&Engine::Local, data, &["--keyring", keyring.to_str().unwrap()])
}

/// All files below a directory, with what is in them.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => {
                found.insert(path.to_string_lossy().into_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// What clients are told of the objects.
fn shown(server: &Server) -> Vec<Vec<(String, String)>> {
    let root = server.root();
    let names = ["etag", "last-modified", "x-amz-version-id", "content-length"];
    let head = |key: &str| {
        let answer = root.send(&Ask::object("HEAD", "states", key)).expect(200);
        let header = |name: &&str| {
            let value = answer.header(name).unwrap_or_default();
            ((*name).to_owned(), value.to_owned())
        };
        names.iter().map(header).collect()
    };
    ["app.tfstate", "large", "named"].into_iter().map(head).collect()
}

fn rewrap(server: &Server, more: &[&str]) -> serde_json::Value {
    let output = server.cli(&[&["admin", "keyring", "rewrap", "-o", "json"][..], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

fn names_of(report: &serde_json::Value) -> Vec<&str> {
    let keys = report["keys"].as_array().unwrap();
    keys.iter().map(|key| key["name"].as_str().unwrap()).collect()
}

fn fill(server: &Server) {
    server.make_bucket("states", "Enabled");
    let root = server.root();
    for version in ["one", "two"] {
        root.send(&Ask::object("PUT", "states", "app.tfstate").body(version)).expect(200);
    }
    root.send(&Ask::object("PUT", "states", "large").body(vec![7; LARGE_BYTES])).expect(200);
    let named = Ask::object("PUT", "states", "named").body("named");
    let named = named.header("x-amz-server-side-encryption", "aws:kms");
    let key = "x-amz-server-side-encryption-aws-kms-key-id";
    root.send(&named.header(key, OLD)).expect(200);
}

#[test]
fn a_key_is_replaced_while_the_server_serves() {
    let files_of_test = TempDir::new().unwrap();
    let data = files_of_test.path().join("data");
    let mut server = start(&data, &[OLD]).unwrap();
    fill(&server);
    let before = (shown(&server), files(&data.join("blobs")));
    assert!(before.1.values().any(|bytes| bytes.len() > LARGE_BYTES));
    assert!(server.terminate().success());

    let mut server = start(&data, &[NEW, OLD]).unwrap();
    let planned = rewrap(&server, &["--dry-run"]);
    assert_eq!(names_of(&planned), [NEW, OLD], "{planned}");
    assert!(server.terminate().success());
    let refused = start(&data, &[NEW]).err().unwrap();
    assert!(refused.contains("lacks the key 'old'") && refused.contains("rewrap"), "{refused}");

    let mut server = start(&data, &[NEW, OLD]).unwrap();
    let done = rewrap(&server, &[]);
    assert!(done["rewrapped"].as_u64() >= planned["rewrapped"].as_u64(), "{done}");
    let old = &done["keys"][1];
    assert_eq!((&old["name"], &old["wrapped"], &old["kms"]), (&OLD.into(), &1.into(), &1.into()));
    let text = stdout(&server.cli(&["admin", "keyring", "rewrap", "--kms-key", OLD]));
    assert!(text.contains("1 re-wrapped") && text.contains("no other key is needed"), "{text}");
    assert_eq!((shown(&server), files(&data.join("blobs"))), before);
    let log = stdout(&server.cli(&["audit", "query", "--action", "RewrapKeys", "-o", "jsonl"]));
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(log.contains(NEW), "{log}");
    assert!(server.terminate().success());

    let server = start(&data, &[NEW]).unwrap();
    assert_eq!((shown(&server), files(&data.join("blobs"))), before);
    let root = server.root();
    let get = |key: &str| root.send(&Ask::object("GET", "states", key)).expect(200).body;
    assert_eq!((get("app.tfstate"), get("named")), (b"two".to_vec(), b"named".to_vec()));
    assert_eq!(get("large"), vec![7; LARGE_BYTES]);
    let verified = server.cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", stderr(&verified));
    let again = rewrap(&server, &[]);
    assert_eq!((&again["rewrapped"], names_of(&again)), (&0.into(), vec![NEW]));
}

#[test]
fn only_root_may_and_an_unknown_key_is_named() {
    let files_of_test = TempDir::new().unwrap();
    let server = start(&files_of_test.path().join("data"), &[NEW]).unwrap();
    let unknown = server.cli(&["admin", "keyring", "rewrap", "--kms-key", "none"]);
    assert!(!unknown.status.success());
    assert!(stderr(&unknown).contains("no key none"), "{}", stderr(&unknown));
    let ann = server.user("ann");
    let mut command = server.command();
    command
        .env("AWS_ACCESS_KEY_ID", &ann.keys.access)
        .env("AWS_SECRET_ACCESS_KEY", &ann.keys.secret);
    let denied = command.args(["admin", "keyring", "rewrap"]).output().unwrap();
    assert!(!denied.status.success());
    assert!(stderr(&denied).to_lowercase().contains("denied"), "{}", stderr(&denied));
}

/// systemd gives credentials mode 0440, in a directory that nobody else reaches.
#[test]
fn a_credential_of_systemd_is_the_keyring() {
    let files_of_test = TempDir::new().unwrap();
    let credentials = files_of_test.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let check = |directory: &Path, more: &[&str]| {
        let mut command = tidelock();
        command.args(["admin", "config", "check", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(files_of_test.path().join("data")).args(more);
        command.env("CREDENTIALS_DIRECTORY", directory).output().unwrap()
    };
    let keyring = credentials.join("keyring");
    let named = ["--keyring", keyring.to_str().unwrap()];
    let rows: [(u32, &Path, &[&str], i32); 6] = [
        (0o440, &credentials, &[], 0),
        (0o400, &credentials, &[], 0),
        (0o440, &credentials, &named, 0),
        (0o444, &credentials, &[], 2),
        (0o440, files_of_test.path(), &named, 2),
        (0o600, files_of_test.path(), &named, 0),
    ];
    for (mode, directory, more, code) in rows {
        write_keyring(&keyring, &[NEW], mode);
        let output = check(directory, more);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(code), "{mode:o} {more:?}: {text}");
        assert!(text.contains(keyring.to_str().unwrap()), "{mode:o} {more:?}: {text}");
    }
}
