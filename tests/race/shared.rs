//! Two servers on one PostgreSQL: the racers alternate between them, and there is one winner all the
//! same, whichever server is asked. `TIDELOCK_RACE_ROUNDS_SHARED` sets the rounds of each row (10 when
//! unset). Where the lane's engine is another, a cluster is started for this.

use tempfile::TempDir;

use crate::harness::cluster::shared_url;
use crate::harness::{Client, Engine, Server, count_from_env};
use crate::round::{Cell, Condition, Operation, Versioning};
use crate::violations;
use crate::{guard, locks};

const ROUNDS_DEFAULT: usize = 10;

/// Two servers with one store.
struct Pair {
    servers: [Server; 2],
    _data: TempDir,
}

impl Pair {
    fn start() -> Self {
        let engine = match Engine::of_lane() {
            Engine::Postgres(url) => Engine::Postgres(url),
            Engine::Local | Engine::Memory => Engine::Postgres(shared_url()),
        };
        let data = TempDir::new().unwrap();
        let servers = [(); 2].map(|()| Server::start_over(&engine, data.path(), &[]));
        Self { servers, _data: data }
    }

    fn clients(&self) -> [Client; 2] {
        [self.servers[0].root(), self.servers[1].root()]
    }
}

fn rounds() -> usize {
    count_from_env("TIDELOCK_RACE_ROUNDS_SHARED", ROUNDS_DEFAULT)
}

fn check(operation: Operation, versioning: Versioning, condition: Condition) {
    let pair = Pair::start();
    let cell = Cell { operation, versioning, condition };
    let violations = violations(&pair.clients(), cell, 0, rounds());
    let (count, rounds) = (violations.len(), rounds());
    assert!(count == 0, "{cell:?}: {count} of {rounds} rounds:\n{}", violations.join("\n"));
}

#[test]
fn a_first_put() {
    check(Operation::Put, Versioning::Unversioned, Condition::IfNoneMatch);
}

#[test]
fn a_new_version() {
    check(Operation::PutAndComplete, Versioning::Versioned, Condition::IfMatch);
}

#[test]
fn a_delete() {
    check(Operation::Delete, Versioning::Unversioned, Condition::IfMatch);
}

#[test]
fn a_lock() {
    let pair = Pair::start();
    pair.servers[0].make_bucket(locks::BUCKET, "Enabled");
    locks::check(&pair.clients(), rounds());
}

#[test]
fn a_guarded_state() {
    let pair = Pair::start();
    pair.servers[0].make_guarded_bucket(locks::BUCKET, "Enabled");
    locks::check(&pair.clients(), rounds());
    guard::check_writes(&pair.clients(), rounds());
}
