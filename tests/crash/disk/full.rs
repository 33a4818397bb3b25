//! A disk that is full, and has room again: what is refused is refused cleanly, readers and deletes go on, and
//! writes are taken again without a restart.

use std::fs;
use std::time::Duration;

use super::{assert_sound, print_measured, seed, stop};
use crate::harness::chance::body;
use crate::harness::clock::wait_until;
use crate::harness::{Ask, Client, Image, Server};
use crate::ledger::Ledger;
use crate::{make_buckets, write_until};

const IMAGE_BYTES: u64 = 256 << 20;
/// As large as a commit carries, so that the log fills.
const BODY_BYTES: usize = 240 << 10;
const LIFE: Duration = Duration::from_millis(600);
/// Cleaning has to get through the log.
const PATIENCE: Duration = Duration::from_secs(60);
const BUCKET: &str = "filled";

#[test]
fn a_full_disk_refuses_and_takes_writes_again_when_there_is_room() {
    let Some(image) = Image::or_left_out(IMAGE_BYTES, "a disk that is full") else { return };
    let data = image.path().join("data");
    let mut server = Server::start_local(&data);
    make_buckets(&server);
    server.make_bucket(BUCKET, "");
    let root = server.root();
    let kept = fill(&root, 0);
    assert!(kept > 100, "{kept} objects fill the disk");
    let lock = Ask::object("PUT", BUCKET, "a.tflock").header("If-None-Match", "*").body("{}");
    root.send(&lock).expect(200);
    root.send(&Ask::object("DELETE", BUCKET, "a.tflock")).expect(204);
    // The writers of the ledger on a disk that is full: some of what they do is taken, the rest is not there.
    let mut ledger = Ledger::default();
    ledger.extend(write_until(&mut server, seed(), 0, LIFE, |_| ()));
    assert_eq!(put(&root, "one more"), 503, "large writes are refused");
    root.send(&Ask::object("GET", BUCKET, "one more")).expect(404);
    assert_there(&root, kept, "on the full disk");
    for number in 0..kept {
        root.send(&Ask::object("DELETE", BUCKET, &number.to_string())).expect(204);
    }
    wait_until("writes are taken again", PATIENCE, || put(&root, "again") == 200);
    let again = fill(&root, 0);
    assert!(again >= kept / 2, "{again} objects fill a disk that {kept} filled before");
    // What stays is at the old end of the log: it has to be copied before anything is let go.
    let old = again / 3;
    for number in (old..again).rev() {
        root.send(&Ask::object("DELETE", BUCKET, &number.to_string())).expect(204);
    }
    wait_until("writes are taken beside old ones", PATIENCE, || put(&root, "again") == 200);
    let beside = fill(&root, old);
    assert_there(&root, old + beside, "beside old ones");
    let wrong = ledger.verify_all(&root);
    assert!(wrong.is_empty(), "seed {}:\n{}", seed(), wrong.join("\n"));
    stop(server);
    assert_sound(&data, "after a full disk");
    print_measured(&format!(
        "full disk: {kept} objects, deleted, {again} again, all but the oldest {old} deleted, {beside} more"
    ));
}

/// The last bytes are taken by others, who give them back.
#[test]
fn room_that_others_give_back_is_used_without_a_restart() {
    let Some(image) = Image::or_left_out(IMAGE_BYTES, "a disk that others fill") else { return };
    let data = image.path().join("data");
    let mut server = Server::start_local(&data);
    make_buckets(&server);
    let mut ledger = Ledger::default();
    ledger.extend(write_until(&mut server, seed(), 0, LIFE, |_| ()));
    let foreign = image.path().join("foreign");
    ledger.extend(write_until(&mut server, seed(), 1, LIFE, |_| take_all(&foreign)));
    let wrong = ledger.verify_all(&server.root());
    assert!(wrong.is_empty(), "on the full disk:\n{}", wrong.join("\n"));
    let small = Ask::object("PUT", crate::ledger::PLAIN, "small").body("x");
    assert_eq!(server.root().send(&small).status, 503, "not even small writes are taken");
    fs::remove_file(&foreign).unwrap();
    wait_until("writes are taken again", PATIENCE, || server.root().send(&small).status == 200);
    ledger.extend(write_until(&mut server, seed(), 2, LIFE, Server::kill));
    server = Server::start_local(&data);
    let wrong = ledger.verify_all(&server.root());
    assert!(wrong.is_empty(), "after a kill:\n{}", wrong.join("\n"));
    stop(server);
    assert_sound(&data, "after a disk that others filled");
}

fn assert_there(root: &Client, count: u64, when: &str) {
    for number in 0..count {
        let read = root.send(&Ask::object("GET", BUCKET, &number.to_string())).expect(200);
        assert!(read.body == body(number, BODY_BYTES), "object {number} {when}");
    }
}

/// Puts objects from number `first` on until one is refused; how many were taken.
fn fill(root: &Client, first: u64) -> u64 {
    let mut session = root.session();
    for number in first.. {
        let ask = Ask::object("PUT", BUCKET, &number.to_string());
        match session.send(&ask.body(body(number, BODY_BYTES))).status {
            200 => {}
            503 => return number - first,
            other => panic!("object {number}: {other}"),
        }
    }
    0
}

fn put(root: &Client, key: &str) -> u16 {
    root.send(&Ask::object("PUT", BUCKET, key).body(body(0, BODY_BYTES))).status
}

/// Writes to a file until there is no room at all.
fn take_all(path: &std::path::Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).unwrap();
    for bytes in [vec![7; 1 << 20], vec![7; 4096]] {
        while file.write_all(&bytes).is_ok() {}
    }
}
