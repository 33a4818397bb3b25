//! A primary that was deposed and does not know it: it runs, it takes connections, it answers reads with
//! what was true once. A server that knows nothing but this node must not pass that on.

use std::thread;

use super::{RECOVERY_TIMEOUT, Servers};
use crate::harness::clock::wait_until;
use crate::harness::{Ask, Client, Cluster, Engine};
use crate::ledger::PLAIN;

const LOCK: &str = "app/terraform.tfstate.tflock";
/// The newest change and the number of rows, as plain SQL reads them.
const STATE: &str = "SELECT max(version), count(*) FROM drill.kv";

#[test]
fn a_deposed_primary_is_not_believed() {
    let cluster = Cluster::start();
    let servers = Servers::start(cluster.url(), 1);
    let everywhere = servers.servers[0].root();
    let old_only = Servers {
        engine: Engine::Postgres(
            cluster.url_of_ports(&[cluster.node("s0").port]).with("schema", "drill"),
        ),
        ..servers
    };
    let server = old_only.another();
    let stranded = server.root();
    for client in [&everywhere, &stranded] {
        client.send(&put("state", "of the first run")).expect(200);
        client.send(&put("gone", "deleted later")).expect(200);
    }
    stranded.send(&lock("1")).expect(200);

    cluster.promote("s1");
    // The other server unlocks, and another run takes the lock: 1 holds nothing any more.
    let unlock = Ask::object("DELETE", PLAIN, LOCK);
    wait_until("the server that knows all nodes finds the new primary", RECOVERY_TIMEOUT, || {
        everywhere.send(&unlock).status == 204
    });
    everywhere.send(&lock("2")).expect(200);
    everywhere.send(&put("state", "of the second run")).expect(200);
    everywhere.send(&Ask::object("DELETE", PLAIN, "gone")).expect(204);

    // The old primary is there, believes that it is the primary, and knows nothing of all this.
    assert_eq!(cluster.sql("s0", "SELECT pg_is_in_recovery()").unwrap(), "f");
    let (old, new) = (cluster.sql("s0", STATE).unwrap(), cluster.sql("s1", STATE).unwrap());
    assert_ne!(old, new, "the old primary is not behind: this shows nothing");

    refused(&stranded, READS);
    refused(&stranded, WRITES);
    assert_eq!(cluster.sql("s0", STATE).unwrap(), old, "something got into the old primary");
    cluster.rejoin("s0");
    // Now it is a standby, and has all there is: it is not read all the same.
    refused(&stranded, READS);
    assert_eq!(everywhere.send(&Ask::object("GET", PLAIN, "state")).text(), "of the second run");
    assert!(everywhere.send(&Ask::object("GET", PLAIN, LOCK)).text().contains(r#""ID":"2""#));
}

type MakeAsk = fn() -> Ask;

/// What is answered from what was read, refusals included.
const READS: &[MakeAsk] = &[
    || Ask::object("GET", PLAIN, "state"),
    || Ask::object("HEAD", PLAIN, "state"),
    || Ask::object("GET", PLAIN, LOCK),
    || Ask::object("GET", PLAIN, "gone"),
    || Ask::object("GET", PLAIN, "never there"),
    || Ask::object("GET", PLAIN, "state").header("If-Match", "\"0\""),
    || Ask::bucket("GET", PLAIN).query("list-type", "2"),
    || Ask::bucket("GET", PLAIN).query("versions", ""),
    || Ask::bucket("HEAD", "no-such-bucket"),
    || Ask::new("GET", "/"),
];

const WRITES: &[MakeAsk] =
    &[|| lock("3"), || put("state", "of a stranded run"), || Ask::object("DELETE", PLAIN, LOCK)];

/// All of it, at once, is answered 503.
fn refused(client: &Client, asks: &[MakeAsk]) {
    let askers = asks.iter().map(|ask| {
        let (client, ask) = (client.clone(), ask());
        thread::spawn(move || (client.send(&ask), ask))
    });
    for asker in askers.collect::<Vec<_>>() {
        let (answer, ask) = asker.join().unwrap();
        let said = answer.text();
        assert_eq!(answer.status, 503, "{} {}: {said}", ask.method, ask.raw_path);
    }
}

fn put(key: &str, body: &str) -> Ask {
    Ask::object("PUT", PLAIN, key).body(body)
}

fn lock(id: &str) -> Ask {
    let body = format!(
        r#"{{"ID":"{id}","Operation":"OperationTypeApply","Info":"","Who":"a@b","Version":"1.11.4","Created":"2026-11-21T20:35:06.667920919Z","Path":"k"}}"#
    );
    Ask::object("PUT", PLAIN, LOCK).header("If-None-Match", "*").body(body)
}
