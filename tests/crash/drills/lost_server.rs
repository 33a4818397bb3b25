//! One of two servers is killed, and its clients go to the other; then it comes back.

use super::Servers;
use super::load::Load;
use crate::harness::Cluster;

#[test]
fn a_killed_server_leaves_the_other_at_work() {
    let cluster = Cluster::start();
    let mut servers = Servers::start(cluster.url(), 2);
    let load = Load::start(&servers.clients(), 0);
    servers.servers[0].kill();
    load.wait_for_progress("the other server goes on");
    let harvest = load.stop();
    harvest.print("kill -9 of one server of two");
    harvest.verify(&servers.clients()[1..]);
    // The one that comes back finds what was done meanwhile, and what it left behind harms nobody.
    servers.servers[0] = servers.another();
    let load = Load::start(&servers.clients(), 1);
    let again = load.stop();
    harvest.verify(&servers.clients());
    again.verify(&servers.clients());
}
