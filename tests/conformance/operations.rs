//! The server as a whole: health, metrics, syncs shared by many writers, a bucket deleted under
//! writers, one server per data directory.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::clock::wait_until;
use crate::harness::{Ask, Client, Server};

fn metric(page: &str, name: &str) -> f64 {
    let values = page
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn metrics(client: &Client) -> String {
    client.send(&Ask::new("GET", "/_/metrics").anonymous()).expect(200).text()
}

#[test]
fn health_and_metrics() {
    let server = Server::start(&[]);
    let root = server.root();
    root.send(&Ask::new("GET", "/_/health/live").anonymous()).expect(200);
    wait_until("the server is ready", Duration::from_secs(5), || {
        root.send(&Ask::new("GET", "/_/health/ready").anonymous()).status == 200
    });
    server.make_bucket("counted", "");
    root.send(&Ask::object("PUT", "counted", "k").body("one")).expect(200);
    root.send(&Ask::object("GET", "counted", "none")).expect(404);
    let page = metrics(&root);
    for wanted in ["PutObject", "GetObject", "NoSuchKey"] {
        assert!(page.contains(wanted), "no {wanted} in\n{page}");
    }
    assert!(metric(&page, "tidelock_requests_total") >= 3.0, "{page}");
    assert!(metric(&page, "tidelock_meta_syncs_total") >= 1.0, "{page}");
}

#[test]
fn metrics_behind_a_token() {
    let server = Server::start(&["--metrics-token", "let-me-see"]);
    let ask = || Ask::new("GET", "/_/metrics").anonymous();
    let root = server.root();
    let refused = root.send(&ask()).status;
    assert!([401, 403].contains(&refused), "{refused}");
    root.send(&ask().header("authorization", "Bearer let-me-see")).expect(200);
    let wrong = root.send(&ask().header("authorization", "Bearer let-me-se")).status;
    assert!([401, 403].contains(&wrong), "{wrong}");
}

/// Issue: 4 KiB PUTs at 64 clients cost at most 0.1 syncs each.
#[test]
fn writers_share_their_syncs() {
    const CLIENTS: usize = 64;
    const PUTS_PER_CLIENT: usize = 60;
    let server = Server::start(&[]);
    server.make_bucket("shared", "");
    let root = server.root();
    root.send(&Ask::object("PUT", "shared", "warm").body("up")).expect(200);
    let barrier = Arc::new(Barrier::new(CLIENTS));
    let before = metric(&metrics(&root), "tidelock_meta_syncs_total");
    let writers: Vec<_> = (0..CLIENTS)
        .map(|writer| {
            let (mut session, barrier) = (root.session(), Arc::clone(&barrier));
            thread::spawn(move || {
                let asks: Vec<Vec<u8>> = (0..PUTS_PER_CLIENT)
                    .map(|put| {
                        let body = crate::harness::chance::body((writer * 1000 + put) as u64, 4096);
                        let key = format!("{writer}/{put}");
                        session.client.wire(&Ask::object("PUT", "shared", &key).body(body))
                    })
                    .collect();
                session.open().unwrap();
                barrier.wait();
                for wire in asks {
                    session.try_send_wire(&wire, false).unwrap().expect(200);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let syncs = metric(&metrics(&root), "tidelock_meta_syncs_total") - before;
    let per_put = syncs / (CLIENTS * PUTS_PER_CLIENT) as f64;
    assert!(syncs >= 1.0, "no sync was counted");
    assert!(per_put <= 0.1, "{per_put:.3} syncs per PUT ({syncs} in all)");
}

/// A bucket is never gone with an acknowledged object in it, nor deleted under one.
#[test]
fn deleting_a_bucket_races_with_puts() {
    const WRITERS: usize = 8;
    let server = Server::start(&[]);
    let root = server.root();
    for round in 0..crate::harness::count_from_env("TIDELOCK_RACE_ROUNDS", 10) {
        let bucket = format!("raced-{round}");
        server.make_bucket(&bucket, "");
        let barrier = Arc::new(Barrier::new(WRITERS + 1));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (root, barrier, bucket) = (root.clone(), Arc::clone(&barrier), bucket.clone());
                thread::spawn(move || {
                    barrier.wait();
                    let ask = Ask::object("PUT", &bucket, &format!("k{writer}")).body("one");
                    let put = root.send(&ask);
                    (writer, put.status, put.code())
                })
            })
            .collect();
        barrier.wait();
        let deleted = root.send(&Ask::bucket("DELETE", &bucket)).status;
        assert!([204, 409].contains(&deleted), "DELETE: {deleted}");
        for writer in writers {
            let (writer, status, code) = writer.join().unwrap();
            let got = root.send(&Ask::object("GET", &bucket, &format!("k{writer}")));
            match status {
                200 => {
                    assert_eq!(deleted, 409, "round {round}: deleted with an object in it");
                    assert_eq!(got.body, b"one", "round {round}: an acknowledged object is gone");
                }
                404 => {
                    assert_eq!((deleted, code.as_str()), (204, "NoSuchBucket"));
                    assert_eq!(got.status, 404);
                }
                other => panic!("round {round}: PUT answered {other} {code}"),
            }
        }
    }
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

#[test]
fn everything_is_there_after_a_restart() {
    let data = TempDir::new().unwrap();
    let mut server = Server::start_on(data.path(), &[]);
    server.make_bucket("kept", "Enabled");
    let big = crate::harness::chance::body(9, 3 << 20);
    let put = Ask::object("PUT", "kept", "small").body("one").header("x-amz-meta-a", "b");
    server.root().send(&put).expect(200);
    server.root().send(&Ask::object("PUT", "kept", "big").body(big.as_slice())).expect(200);
    let ann = server.user("ann");
    assert!(server.terminate().success());
    let server = Server::start_on(data.path(), &[]);
    let small = server.root().send(&Ask::object("GET", "kept", "small")).expect(200);
    assert_eq!((small.body.as_slice(), small.header("x-amz-meta-a")), (&b"one"[..], Some("b")));
    assert!(server.root().send(&Ask::object("GET", "kept", "big")).expect(200).body == big);
    let ann = Client::new(server.address, ann.keys);
    ann.send(&Ask::new("GET", "/")).expect(200);
}

/// Bodies never stand readable on the disk.
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
            let found = bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes());
            assert!(!found, "{} shows a body", path.display());
        }
    }
    assert!(files > 0, "there are files to look at");
}
