//! A counter by compare-and-swap: read, add one, write `If-Match`. Every acknowledged increment must be
//! in the final value, in all three states of versioning.

use std::thread;

use crate::harness::server::set_versioning;
use crate::harness::{Ask, Client, Server, count_from_env};

const CLIENTS: usize = 32;
/// Increments each client must get through for one round of the lane.
const INCREMENTS_PER_ROUND: usize = 1;
const ATTEMPTS_MAX: usize = 20_000;

/// Runs the counter; acknowledged increments and the final value.
pub(crate) fn count(client: &Client, bucket: &str, increments: usize) -> (usize, usize) {
    let ask = Ask::object("PUT", bucket, "counter").body("0");
    client.send(&ask).expect(200);
    let workers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, bucket) = (client.clone(), bucket.to_owned());
            thread::spawn(move || increment(&client, &bucket, increments))
        })
        .collect();
    let acknowledged = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    let value = client.send(&Ask::object("GET", bucket, "counter")).expect(200).text();
    (acknowledged, value.parse().unwrap())
}

fn increment(client: &Client, bucket: &str, increments: usize) -> usize {
    let mut session = client.session();
    let mut done = 0;
    for _ in 0..ATTEMPTS_MAX {
        if done == increments {
            break;
        }
        let seen = session.send(&Ask::object("GET", bucket, "counter")).expect(200);
        let next = seen.text().parse::<usize>().unwrap() + 1;
        let ask = Ask::object("PUT", bucket, "counter")
            .header("If-Match", &seen.etag())
            .body(next.to_string());
        match session.send(&ask).status {
            200 => done += 1,
            409 | 412 => {}
            other => panic!("the counter's PUT answered {other}"),
        }
    }
    done
}

#[test]
fn a_counter_loses_nothing() {
    let server = Server::start(&[]);
    let root = server.root();
    let increments = INCREMENTS_PER_ROUND * count_from_env("TIDELOCK_RACE_ROUNDS", 10);
    for (bucket, versioning) in [("plain", ""), ("kept", "Enabled"), ("paused", "Suspended")] {
        root.send(&Ask::bucket("PUT", bucket)).expect(200);
        set_versioning(&root, bucket, versioning);
        let (acknowledged, value) = count(&root, bucket, increments);
        assert_eq!(acknowledged, CLIENTS * increments, "{bucket}: increments that never got in");
        assert_eq!(value, acknowledged, "{bucket}: acknowledged increments are lost");
    }
}
