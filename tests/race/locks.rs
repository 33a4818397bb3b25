//! Lock objects under race: Terraform does not retry a 409 or a 429, so the answers are 200 and 412 and
//! nothing else; and a client that repeats its own lock, however often and at once, holds it.

use std::sync::{Arc, Barrier};
use std::thread;

use crate::harness::{Ask, Client, Server, count_from_env};
use crate::round::CLIENTS;

/// Puts the lock with these IDs at the same moment; the statuses.
fn lock_at_once(client: &Client, key: &str, ids: Vec<usize>) -> Vec<u16> {
    let barrier = Arc::new(Barrier::new(ids.len()));
    let racers: Vec<_> = ids
        .into_iter()
        .map(|id| {
            let (mut session, barrier) = (client.session(), Arc::clone(&barrier));
            let body = format!(
                r#"{{"ID":"{id:08}-0000-0000-0000-000000000000","Operation":"OperationTypeApply","Info":"","Who":"a@b","Version":"1.11.4","Created":"2026-11-21T20:35:06.667920919Z","Path":"states/k"}}"#
            );
            let ask = Ask::object("PUT", "states", key).header("If-None-Match", "*").body(body);
            thread::spawn(move || {
                let wire = session.client.wire(&ask);
                session.open().unwrap();
                barrier.wait();
                session.try_send_wire(&wire, false).unwrap().status
            })
        })
        .collect();
    racers.into_iter().map(|racer| racer.join().unwrap()).collect()
}

fn check(versioning: &str) {
    let server = Server::start(&[]);
    server.make_bucket("states", versioning);
    let root = server.root();
    for round in 0..count_from_env("TIDELOCK_RACE_ROUNDS", 10) {
        let key = format!("{round}/terraform.tfstate.tflock");
        let statuses = lock_at_once(&root, &key, (0..CLIENTS).collect());
        let count = |status| statuses.iter().filter(|found| **found == status).count();
        assert_eq!((count(200), count(412)), (1, CLIENTS - 1), "round {round}: {statuses:?}");
        root.send(&Ask::object("DELETE", "states", &key)).expect(204);
        let statuses = lock_at_once(&root, &key, vec![7; CLIENTS]);
        assert_eq!(statuses, vec![200; CLIENTS], "round {round}: one lock, repeated");
    }
}

#[test]
fn locks_of_an_unversioned_bucket() {
    check("");
}

#[test]
fn locks_of_a_versioned_bucket() {
    check("Enabled");
}
