//! Drills: two servers on one PostgreSQL under many writers, while something breaks. Nothing that was
//! acknowledged may be lost, no contest may have two winners, no server may show what is not so; the
//! longest time without an acknowledgement is printed as `outage: ...`.
//!
//! Every drill breaks a cluster of its own. `TIDELOCK_CRASH_SEED` replays the requests; the instants are
//! of the machine, and nothing that is checked depends on them.

mod cut;
mod deposed;
mod failover;
mod load;
mod lost_server;
mod proxy;

use std::time::Duration;

use tempfile::TempDir;

use crate::harness::engine::PostgresUrl;
use crate::harness::{Client, Engine, Server, count_from_env};
use crate::ledger;

/// A cluster or a server that does not come back by then has failed.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// Servers that share a store.
struct Servers {
    engine: Engine,
    data: TempDir,
    servers: Vec<Server>,
}

impl Servers {
    /// Starts `count` servers on one store, and makes the buckets of the ledger.
    fn start(url: PostgresUrl, count: usize) -> Self {
        let engine = Engine::Postgres(url.with("schema", "drill"));
        let mut started = Self { engine, data: TempDir::new().unwrap(), servers: Vec::new() };
        for _ in 0..count {
            started.servers.push(started.another());
        }
        for (bucket, versioning) in [(ledger::PLAIN, ""), (ledger::VERSIONED, "Enabled")] {
            started.servers[0].make_bucket(bucket, versioning);
        }
        started
    }

    /// One server more on the same store.
    fn another(&self) -> Server {
        Server::start_over(&self.engine, self.data.path(), &[])
    }

    fn clients(&self) -> Vec<Client> {
        self.servers.iter().map(Server::root).collect()
    }
}

fn seed() -> u64 {
    count_from_env("TIDELOCK_CRASH_SEED", 20_261_122) as u64
}
