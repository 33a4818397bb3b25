//! The server as a whole: health, metrics, a bucket deleted under writers.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::harness::clock::wait_until;
use crate::harness::metrics::{metric, metrics};
use crate::harness::{Ask, Server};

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
