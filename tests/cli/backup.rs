//! `tidelock admin backup`, `backups` and `restore`: of a server that is being written to, to a directory and to
//! another server; and what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::chance::body;
use crate::harness::server::tidelock;
use crate::harness::{Ask, Client, Engine, Server};
use crate::objects::{stderr, stdout};

const WRITERS: u64 = 3;

/// Keys that each writer goes through again and again.
const KEYS: u64 = 5;

/// Above the limit of what goes with a commit: a blob.
const LARGE_BYTES: usize = 600 << 10;
const SMALL_BYTES: usize = 20 << 10;

/// Backups that are taken while they write.
const BACKUPS: usize = 4;

fn admin(arguments: &[&str]) -> Command {
    let mut command = tidelock();
    command.args(["admin", "-o", "json"]).args(arguments);
    command
}

fn backup(data: &Path, target: &str) -> Output {
    admin(&["backup", target, "--data"]).arg(data).output().unwrap()
}

fn restore(source: &str, data: &Path, more: &[&str]) -> Output {
    admin(&["restore", source, "--data"]).arg(data).args(more).output().unwrap()
}

fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Serves a restored directory.
fn serve(data: &Path, keyring_of: &Path) -> Server {
    fs::copy(keyring_of.join("keyring"), data.join("keyring")).unwrap();
    Server::start_over(&Engine::Local, data, &[])
}

fn put(root: &Client, key: &str, content: Vec<u8>) {
    root.send(&Ask::object("PUT", "states", key).body(content)).expect(200);
}

fn get(root: &Client, key: &str) -> Vec<u8> {
    root.send(&Ask::object("GET", "states", key)).expect(200).body
}

/// The `round`th content of a key: it says its round.
fn content(writer: u64, key: u64, round: u64) -> Vec<u8> {
    let bytes = if (key + round).is_multiple_of(2) { LARGE_BYTES } else { SMALL_BYTES };
    let mut content = body(writer * 1000 + key * 100 + round, bytes);
    content.extend_from_slice(&round.to_be_bytes());
    content
}

/// Which round of each key was acknowledged last.
type Acknowledged = Mutex<BTreeMap<(u64, u64), u64>>;

fn write(root: &Client, writer: u64, acknowledged: &Acknowledged, stop: &AtomicBool) {
    for round in 0.. {
        for key in 0..KEYS {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            put(root, &format!("{writer}/{key}"), content(writer, key, round));
            acknowledged.lock().unwrap().insert((writer, key), round);
            // What is deleted in between must not come back, nor take the others along.
            if key == 0 {
                put(root, &format!("{writer}/gone"), content(writer, key, round));
                let delete = Ask::object("DELETE", "states", &format!("{writer}/gone"));
                root.send(&delete).expect(204);
            }
        }
    }
}

#[test]
fn what_was_acknowledged_before_a_backup_is_in_it() {
    let files = TempDir::new().unwrap();
    let (data, target) = (files.path().join("data"), files.path().join("backups"));
    let server = Server::start_over(&Engine::Local, &data, &[]);
    server.make_bucket("states", "Suspended");
    let (acknowledged, stop) = (Acknowledged::default(), AtomicBool::new(false));
    let mut known = Vec::new();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (root, acknowledged, stop) = (server.root(), &acknowledged, &stop);
            scope.spawn(move || write(&root, writer, acknowledged, stop));
        }
        for _ in 0..BACKUPS {
            std::thread::sleep(std::time::Duration::from_millis(700));
            let before = acknowledged.lock().unwrap().clone();
            let taken = report(&backup(&data, target.to_str().unwrap()));
            known.push((before, taken["time"].as_str().unwrap().to_owned()));
            let restored = files.path().join(format!("restored-{}", known.len()));
            report(&restore(target.to_str().unwrap(), &restored, &[]));
        }
        stop.store(true, Ordering::SeqCst);
    });
    drop(server);
    for (at, (before, time)) in known.iter().enumerate() {
        check_restored(&files.path().join(format!("restored-{}", at + 1)), &data, before);
        let again = files.path().join(format!("again-{at}"));
        let output = restore(target.to_str().unwrap(), &again, &["--at", time]);
        // Between two backups a body may be overwritten twice: then the first is in neither.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    }
    let listed = admin(&["backups", target.to_str().unwrap()]).output().unwrap();
    assert_eq!(report(&listed).as_array().unwrap().len(), BACKUPS);
    let verified = admin(&["verify", "--backup", target.to_str().unwrap()]).output().unwrap();
    assert_eq!(report(&verified)["backups"], BACKUPS);
}

fn check_restored(data: &Path, original: &Path, before: &BTreeMap<(u64, u64), u64>) {
    let server = serve(data, original);
    let root = server.root();
    for ((writer, key), round) in before {
        let found = get(&root, &format!("{writer}/{key}"));
        let (_, last) = found.split_last_chunk::<8>().unwrap();
        let found_round = u64::from_be_bytes(*last);
        assert!(found_round >= *round, "{writer}/{key} has round {found_round}, not {round}");
        assert!(found == content(*writer, *key, found_round), "{writer}/{key}");
    }
    drop(server);
    let verified = admin(&["verify", "--data"]).arg(data).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
}

/// The file of a backup whose name contains `part`.
fn file_of(directory: &Path, part: &str) -> PathBuf {
    let mut rest = vec![directory.to_owned()];
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            rest.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_str().unwrap().contains(part) && fs::metadata(&path).unwrap().len() > 0 {
            return path;
        }
    }
    panic!("no file with {part} in {}", directory.display());
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_backup_adds_what_is_new_and_goes_back_to_any_time() {
    let files = TempDir::new().unwrap();
    let [data, target, restored] = ["data", "backups", "restored"].map(|it| files.path().join(it));
    let place = target.to_str().unwrap();
    let none = backup(&data, place);
    assert_eq!(none.status.code(), Some(3), "{}", stderr(&none));
    let server = Server::start_over(&Engine::Local, &data, &[]);
    server.make_bucket("states", "Enabled");
    let root = server.root();
    put(&root, "large", vec![7; LARGE_BYTES]);
    put(&root, "small", b"one".to_vec());
    let first = report(&backup(&data, place));
    assert_eq!((&first["blobs"], &first["has_blobs"]), (&1.into(), &true.into()), "{first}");
    let second = report(&backup(&data, place));
    assert_eq!((&second["blobs"], &second["log_bytes"]), (&0.into(), &0.into()), "{second}");
    put(&root, "small", b"two".to_vec());
    put(&root, "other", vec![8; LARGE_BYTES]);
    let third = report(&backup(&data, place));
    assert_eq!(third["blobs"], 1, "{third}");
    assert!(third["log_bytes"].as_u64().unwrap() < 200_000, "{third}");

    // As it was when the second was taken.
    let at = second["time"].as_str().unwrap();
    let told = report(&restore(place, &restored, &["--at", at]));
    assert_eq!((&told["blobs"], &told["lost"]), (&1.into(), &Value::Array(Vec::new())), "{told}");
    let refused = restore(place, &restored, &[]);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    let early = restore(place, &files.path().join("none"), &["--at", "2001-01-01T00:00:00Z"]);
    assert_eq!(early.status.code(), Some(2));
    assert!(stderr(&early).contains(third["time"].as_str().unwrap()), "{}", stderr(&early));
    let before = serve(&restored, &data);
    assert_eq!(get(&before.root(), "small"), b"one");
    assert_eq!(get(&before.root(), "large"), vec![7; LARGE_BYTES]);
    before.root().send(&Ask::object("GET", "states", "other")).expect(404);
    put(&before.root(), "small", b"three".to_vec());

    // What was restored has a history of its own, and another store has another one.
    let diverged = backup(&restored, place);
    assert_eq!(diverged.status.code(), Some(2), "{}", stderr(&diverged));
    assert!(stderr(&diverged).contains("new place or prefix"), "{}", stderr(&diverged));
    let anew = files.path().join("anew");
    report(&backup(&restored, anew.to_str().unwrap()));
    let stranger = Server::start_over(&Engine::Local, &files.path().join("stranger"), &[]);
    let other = backup(stranger.data(), place);
    assert_eq!(other.status.code(), Some(2), "{}", stderr(&other));
    assert!(stderr(&other).contains("another store"), "{}", stderr(&other));
    report(&backup(&data, place));
}

#[test]
fn a_damaged_backup_is_found_and_not_restored() {
    let files = TempDir::new().unwrap();
    let [data, target] = ["data", "backups"].map(|it| files.path().join(it));
    let place = target.to_str().unwrap();
    let server = Server::start_over(&Engine::Local, &data, &[]);
    server.make_bucket("states", "Enabled");
    put(&server.root(), "large", vec![7; LARGE_BYTES]);
    report(&backup(&data, place));
    let verify = || admin(&["verify", "--backup", place]).output().unwrap();
    report(&verify());
    for (at, part) in ["/log/", "/blobs/", "/catalog/", "manifest.json"].iter().enumerate() {
        let file = file_of(&target, part);
        flip(&file);
        let found = verify();
        assert_eq!(found.status.code(), Some(1), "{part}: {}", stdout(&found));
        let refused = restore(place, &files.path().join(format!("restored-{at}")), &[]);
        assert_eq!(refused.status.code(), Some(1), "{part}: {}", stdout(&refused));
        assert!(stderr(&refused).contains("damaged"), "{part}: {}", stderr(&refused));
        flip(&file);
        // Half a store is served by nobody; one without a body is, and the body is named.
        let half = files.path().join(format!("restored-{at}"));
        let opened = match half.exists() {
            true => Server::try_start_over(&Engine::Local, &half, &[]).map(drop),
            false => continue,
        };
        if *part == "/blobs/" {
            assert!(stdout(&refused).contains("states/large, version "), "{}", stdout(&refused));
            continue;
        }
        let said = opened.unwrap_err();
        assert!(said.contains("did not end"), "{part}: {said}");
        let verified = admin(&["verify", "--data"]).arg(&half).output().unwrap();
        assert_eq!(verified.status.code(), Some(1), "{part}: {}", stderr(&verified));
        assert!(stderr(&verified).contains("did not end"), "{part}: {}", stderr(&verified));
    }
    report(&verify());
}

/// A body that was removed between two backups is in neither: whoever asks for the time between is told.
#[test]
fn what_is_lost_between_two_backups_is_named() {
    let files = TempDir::new().unwrap();
    let [data, target] = ["data", "backups"].map(|it| files.path().join(it));
    let place = target.to_str().unwrap();
    let mut server = Server::start_over(&Engine::Local, &data, &[]);
    server.make_bucket("states", "Suspended");
    put(&server.root(), "kept", vec![1; LARGE_BYTES]);
    report(&backup(&data, place));
    put(&server.root(), "removed", vec![2; LARGE_BYTES]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    let between = jiff::Timestamp::now().to_string();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let delete = Ask::object("DELETE", "states", "removed");
    assert!(server.root().send(&delete).status < 300);
    assert!(server.terminate().success());
    // As the sweeper does ten minutes later.
    let kept = file_of(&target.join("blobs"), "/");
    let kept = kept.strip_prefix(target.join("blobs")).unwrap().to_owned();
    let blobs = data.join("blobs");
    let is_removed = |path: &PathBuf| !path.ends_with(&kept) && !path.ends_with("lock");
    let mut rest = vec![blobs];
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            rest.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if is_removed(&path) {
            fs::remove_file(path).unwrap();
        }
    }
    let second = report(&backup(&data, place));
    assert_eq!(second["lost"], Value::Array(Vec::new()), "{second}");
    let restored = restore(place, &files.path().join("between"), &["--at", &between]);
    assert_eq!(restored.status.code(), Some(1), "{}", stderr(&restored));
    let told: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert_eq!(told["lost"].as_array().unwrap().len(), 1, "{told}");
    assert!(told["lost"][0].as_str().unwrap().starts_with("states/removed, version "), "{told}");
    report(&restore(place, &files.path().join("after"), &[]));
}

/// What one backup has missed, the next looks for again, and none says "done" while it is missing.
#[test]
fn a_body_that_one_backup_missed_is_taken_by_the_next() {
    let files = TempDir::new().unwrap();
    let [data, target, aside] = ["data", "backups", "aside"].map(|it| files.path().join(it));
    let place = target.to_str().unwrap();
    let mut server = Server::start_over(&Engine::Local, &data, &[]);
    server.make_bucket("states", "Enabled");
    put(&server.root(), "large", vec![7; LARGE_BYTES]);
    put(&server.root(), "other", vec![8; LARGE_BYTES]);
    assert!(server.terminate().success());
    let without = |place: &str| {
        let mut command = admin(&["backup", place, "--blobs", "s3://elsewhere/bodies", "--data"]);
        report(&command.arg(&data).output().unwrap())
    };
    assert_eq!(without(place)["has_blobs"], false);
    let blob = large_file_of(&data.join("blobs"));
    fs::rename(&blob, &aside).unwrap();
    for taken in [1, 0] {
        let missed = backup(&data, place);
        assert_eq!(missed.status.code(), Some(1), "{}", stderr(&missed));
        let told: Value = serde_json::from_slice(&missed.stdout).unwrap();
        assert_eq!((&told["blobs"], told["lost"].as_array().unwrap().len()), (&taken.into(), 1));
    }
    let restored = restore(place, &files.path().join("partly"), &[]);
    assert_eq!(restored.status.code(), Some(1), "{}", stderr(&restored));
    fs::rename(&aside, &blob).unwrap();
    let healed = report(&backup(&data, place));
    assert_eq!((&healed["blobs"], &healed["lost"]), (&1.into(), &Value::Array(Vec::new())));
    assert_eq!(report(&backup(&data, place))["blobs"], 0);
    assert_eq!(report(&restore(place, &files.path().join("whole"), &[]))["blobs"], 2);
    // One that leaves bodies out takes none away.
    without(place);
    assert_eq!(report(&restore(place, &files.path().join("still"), &[]))["blobs"], 2);
    assert_eq!(report(&backup(&data, place))["blobs"], 0);
}

/// A blob in the directory of a server.
fn large_file_of(directory: &Path) -> PathBuf {
    let mut rest = vec![directory.to_owned()];
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            rest.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if fs::metadata(&path).unwrap().len() > 100_000 {
            return path;
        }
    }
    panic!("no blob in {}", directory.display());
}

#[test]
fn a_bucket_of_another_server_takes_backups() {
    let files = TempDir::new().unwrap();
    let [data, restored] = ["data", "restored"].map(|it| files.path().join(it));
    let keeper = Server::start(&[]);
    keeper.make_bucket("backups", "Suspended");
    let server = Server::start_over(&Engine::Local, &data, &[]);
    server.make_bucket("states", "Enabled");
    let content = body(1, 11 << 20);
    put(&server.root(), "large", content.clone());
    let run = |arguments: &[&str]| {
        let mut command = admin(arguments);
        let variables = keeper.command();
        let of_keeper = variables.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(of_keeper).output().unwrap()
    };
    let place = "s3://backups/of/states";
    let data_argument = ["--data", data.to_str().unwrap()];
    for _ in 0..2 {
        report(&run(&[&["backup", place][..], &data_argument].concat()));
    }
    put(&server.root(), "small", b"new".to_vec());
    let third = report(&run(&[&["backup", place][..], &data_argument].concat()));
    assert_eq!(third["blobs"], 0, "{third}");
    assert_eq!(report(&run(&["backups", place])).as_array().unwrap().len(), 3);
    report(&run(&["verify", "--backup", place]));
    let nowhere = run(&[&["backup", "s3://none/x"][..], &data_argument].concat());
    assert_eq!(nowhere.status.code(), Some(1), "{}", stderr(&nowhere));
    report(&run(&["restore", place, "--data", restored.to_str().unwrap()]));
    let again = serve(&restored, &data);
    assert!(get(&again.root(), "large") == content);
    assert_eq!(get(&again.root(), "small"), b"new");
}
