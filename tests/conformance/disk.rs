//! What the engine of one machine does with its disk: syncs, the lock of the data directory, files. Lanes
//! over other engines leave this out (`--skip disk::`): they have no such disk.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::harness::digest::md5_base64;
use crate::harness::load::Puts;
use crate::harness::metrics::{metric, metrics};
use crate::harness::{Ask, Client, Server};

/// 4 KiB PUTs at 64 clients cost at most 0.1 syncs each, if the machine lets all of them ask at once: of
/// a few rounds, the best one counts.
#[test]
fn writers_share_their_syncs() {
    const ROUNDS: usize = 5;
    let server = Server::start(&[]);
    server.make_bucket("shared", "");
    server.root().send(&Ask::object("PUT", "shared", "warm").body("up")).expect(200);
    let mut measured = Vec::new();
    while measured.len() < ROUNDS {
        let per_put = syncs_per_put(&server.root());
        measured.push(per_put);
        if per_put <= 0.1 {
            return;
        }
    }
    panic!("syncs per PUT, round by round: {measured:.3?}");
}

fn syncs_per_put(root: &Client) -> f64 {
    let puts = Puts { bucket: "shared", clients: 64, each: 60, length_bytes: 4096 };
    let count = || metric(&metrics(root), "tidelock_meta_syncs_total");
    let before = count();
    puts.send(root);
    let syncs = count() - before;
    assert!(syncs >= 1.0, "no sync was counted");
    syncs / puts.count() as f64
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let data = TempDir::new().unwrap();
    let first = Server::start_on(data.path(), &[]);
    let refused = Server::try_start_on(data.path(), &[]);
    let log = refused.map(|_| ()).expect_err("two servers on one directory");
    assert!(!log.is_empty(), "it says why");
    first.make_bucket("still-here", "");
}

/// Bodies never stand readable on the disk, nor does a customer's key.
#[test]
fn bodies_are_sealed_at_rest() {
    const MARK: &str = "a mark that no cipher would write";
    let data = TempDir::new().unwrap();
    let mut server = Server::start_on(data.path(), &[]);
    server.make_bucket("sealed", "");
    let large = MARK.repeat(100_000);
    for (key, body) in [("small", MARK), ("large", large.as_str())] {
        server.root().send(&Ask::object("PUT", "sealed", key).body(body)).expect(200);
    }
    let key = [0xC7; 32];
    let headers = [
        ("algorithm", "AES256".to_owned()),
        ("key", STANDARD.encode(key)),
        ("key-md5", md5_base64(&key)),
    ];
    let ask = Ask::object("PUT", "sealed", "customers").body(MARK);
    let ask = headers.iter().fold(ask, |ask, (name, value)| {
        ask.header(&format!("x-amz-server-side-encryption-customer-{name}"), value)
    });
    server.root().send(&ask).expect(200);
    let secrets = [MARK.as_bytes(), &key, headers[1].1.as_bytes()];
    assert!(server.terminate().success());
    let mut pending = vec![data.path().to_owned()];
    let mut files = 0;
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let shows = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
            let found = secrets.iter().any(|secret| shows(secret));
            assert!(!found, "{} shows a body or a customer's key", path.display());
        }
    }
    assert!(files > 0, "there are files to look at");
}
