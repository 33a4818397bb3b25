//! The primary is killed as by a loss of power, and the synchronous standby promoted, again and again.
//! `TIDELOCK_CRASH_FAILOVERS` sets how often (2 when unset).

use super::load::Load;
use super::{Servers, seed};
use crate::harness::chance::Chance;
use crate::harness::{Cluster, count_from_env};

const FAILOVERS_DEFAULT: usize = 2;
/// Each node in the order of its turn as primary: the one after it is its synchronous standby.
const NODES: [&str; 3] = ["s0", "s1", "s2"];
const LIFE_MS_MAX: u64 = 1500;

#[test]
fn a_killed_primary_loses_nothing() {
    let cluster = Cluster::start();
    let servers = Servers::start(cluster.url(), 2);
    let mut chance = Chance::new(seed());
    for round in 0..count_from_env("TIDELOCK_CRASH_FAILOVERS", FAILOVERS_DEFAULT) {
        let (primary, standby) = (NODES[round % 3], NODES[(round + 1) % 3]);
        let load = Load::start(&servers.clients(), round);
        let life = std::time::Duration::from_millis(chance.below(LIFE_MS_MAX));
        std::thread::sleep(life);
        cluster.kill(primary);
        cluster.promote(standby);
        load.wait_for_progress("the servers have found the new primary");
        let harvest = load.stop();
        harvest.print(&format!("kill -9 of the primary {primary}, {standby} promoted"));
        harvest.verify(&servers.clients());
        // It becomes the asynchronous standby, and in the next round but one the synchronous.
        cluster.rejoin(primary);
    }
}
