//! Guarded buckets under race: one lock has one holder, one serial of a state has one writer, and what
//! is refused is kept.

use crate::harness::{Ask, Client, Server, count_from_env};
use crate::locks::{BUCKET, check};
use crate::round::{CLIENTS, release};

/// A state; `writer` makes its bytes differ.
fn state(serial: usize, writer: usize) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":{serial},"lineage":"l","outputs":{{"w":{{"value":"{writer}","type":"string"}}}},"resources":[]}}"#
    )
}

/// Each round a lock is taken, and all write the same serial of its state at once.
pub(crate) fn check_writes(clients: &[Client], rounds: usize) {
    for round in 0..rounds {
        let key = format!("writes/{round}/terraform.tfstate");
        let lock = format!(r#"{{"ID":"{round}","Operation":"OperationTypeApply","Who":"a@b"}}"#);
        let take = Ask::object("PUT", BUCKET, &format!("{key}.tflock"));
        clients[0].send(&take.header("If-None-Match", "*").body(lock)).expect(200);
        let write = |writer| Ask::object("PUT", BUCKET, &key).body(state(1, writer));
        let answers = release(clients, (0..CLIENTS).map(write).collect());
        let statuses: Vec<u16> = answers.into_iter().map(|it| it.unwrap().status).collect();
        let winners: Vec<usize> = (0..CLIENTS).filter(|it| statuses[*it] == 200).collect();
        let [winner] = winners[..] else { panic!("round {round}: {statuses:?}") };
        let refused = statuses.iter().filter(|status| **status == 412).count();
        assert_eq!(refused, CLIENTS - 1, "round {round}: {statuses:?}");
        for client in clients {
            let stored = client.send(&Ask::object("GET", BUCKET, &key)).expect(200);
            assert_eq!(stored.text(), state(1, winner), "round {round}");
        }
        let listed = Ask::new("GET", &format!("/_/api/v1/refused/{BUCKET}")).query("prefix", &key);
        let listed = clients[0].send(&listed).expect(200).text();
        let kept = listed.matches(r#""code":"#).count();
        assert_eq!(kept, CLIENTS - 1, "round {round}: {listed}");
    }
}

fn check_one_server(versioning: &str) {
    let server = Server::start(&[]);
    server.make_guarded_bucket(BUCKET, versioning);
    let rounds = count_from_env("TIDELOCK_RACE_ROUNDS", 10);
    check(&[server.root()], rounds);
    check_writes(&[server.root()], rounds);
}

#[test]
fn a_guarded_unversioned_bucket() {
    check_one_server("");
}

#[test]
fn a_guarded_versioned_bucket() {
    check_one_server("Enabled");
}
