//! Lock objects under race: Terraform does not retry a 409 or a 429, so the answers are 200 and 412 and
//! nothing else; and a client that repeats its own lock, however often and at once, holds it.

use crate::harness::{Ask, Client, Server, count_from_env};
use crate::round::{CLIENTS, release};

/// The bucket of the locks.
pub(crate) const BUCKET: &str = "states";

/// Puts the lock with these IDs at the same moment; the statuses.
fn lock_at_once(clients: &[Client], key: &str, ids: &[usize]) -> Vec<u16> {
    let asks = ids.iter().map(|id| {
        let body = format!(
            r#"{{"ID":"{id:08}-0000-0000-0000-000000000000","Operation":"OperationTypeApply","Info":"","Who":"a@b","Version":"1.11.4","Created":"2026-11-21T20:35:06.667920919Z","Path":"states/k"}}"#
        );
        Ask::object("PUT", BUCKET, key).header("If-None-Match", "*").body(body)
    });
    let answers = release(clients, asks.collect());
    answers.into_iter().map(|answer| answer.unwrap().status).collect()
}

/// Races for locks through `clients` in turn; each round one is released through the first.
pub(crate) fn check(clients: &[Client], rounds: usize) {
    let ids: Vec<usize> = (0..CLIENTS).collect();
    for round in 0..rounds {
        let key = format!("{round}/terraform.tfstate.tflock");
        let statuses = lock_at_once(clients, &key, &ids);
        let count = |status| statuses.iter().filter(|found| **found == status).count();
        assert_eq!((count(200), count(412)), (1, CLIENTS - 1), "round {round}: {statuses:?}");
        clients[0].send(&Ask::object("DELETE", BUCKET, &key)).expect(204);
        let statuses = lock_at_once(clients, &key, &[7; CLIENTS]);
        assert_eq!(statuses, vec![200; CLIENTS], "round {round}: one lock, repeated");
    }
}

fn check_one_server(versioning: &str) {
    let server = Server::start(&[]);
    server.make_bucket(BUCKET, versioning);
    check(&[server.root()], count_from_env("TIDELOCK_RACE_ROUNDS", 10));
}

#[test]
fn locks_of_an_unversioned_bucket() {
    check_one_server("");
}

#[test]
fn locks_of_a_versioned_bucket() {
    check_one_server("Enabled");
}
