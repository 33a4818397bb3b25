//! The network between server and primary goes away in the middle of a commit. The client is told the
//! truth: a write that is there was not refused, and the holder of a lock does not hear of a conflict with
//! itself.

use super::Servers;
use super::load::Load;
use super::proxy::{Lost, Plan, Proxy};
use super::seed;
use crate::harness::chance::Chance;
use crate::harness::{Ask, Client, Cluster, xml};
use crate::ledger::VERSIONED;

/// Under load one commit in so many is cut.
const CUT_ONE_IN: u64 = 20;
const REPETITIONS: usize = 3;

/// A request whose commit is cut.
struct Row {
    what: &'static str,
    ask: fn(&str) -> Ask,
    /// The answer when it was done.
    status: u16,
    /// Versions of the key afterwards, delete markers included.
    versions: usize,
}

const ROWS: &[Row] = &[
    Row { what: "a put", ask: |key| put(key), status: 200, versions: 1 },
    Row {
        what: "a put of a new key",
        ask: |key| put(key).header("If-None-Match", "*"),
        status: 200,
        versions: 1,
    },
    Row { what: "a lock", ask: |key| lock(key, "1"), status: 200, versions: 1 },
    Row {
        what: "a delete",
        ask: |key| Ask::object("DELETE", VERSIONED, key),
        status: 204,
        versions: 1,
    },
];

fn check(dialect: &str) {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.node("s0").port);
    let url = cluster.url_of_ports(&[proxy.port]).with("dialect", dialect);
    let servers = Servers::start(url, 1);
    let root = servers.servers[0].root();
    for (row, lost) in ROWS.iter().flat_map(|row| [(row, Lost::Commit), (row, Lost::Reply)]) {
        for number in 0..REPETITIONS {
            let what = format!("{} without its {lost:?}, {dialect} {number}", row.what);
            let key = format!("cut/{}-{lost:?}-{number}.tflock", row.what.replace(' ', "-"));
            check_one(&root, &proxy, row, lost, &key, &what);
        }
    }
}

fn check_one(root: &Client, proxy: &Proxy, row: &Row, lost: Lost, key: &str, what: &str) {
    let before = proxy.cuts().len();
    proxy.plan(Plan::Naming(key.to_owned(), lost));
    let answer = root.send(&(row.ask)(key));
    assert_eq!(proxy.cuts().len(), before + 1, "{what}: nothing was cut");
    // A commit that never arrived may have to be said again by the client. One that was done, was done.
    let is_done = match (lost, answer.status) {
        (_, status) if status == row.status => true,
        (Lost::Commit, 503) => false,
        (_, status) => panic!("{what}: {status} {}", answer.text()),
    };
    assert_eq!(versions(root, key), if is_done { row.versions } else { 0 }, "{what}");
    if !is_done {
        root.send(&(row.ask)(key)).expect(row.status);
        assert_eq!(versions(root, key), row.versions, "{what}, said again");
    }
    let there = root.send(&Ask::object("GET", VERSIONED, key)).status;
    assert_eq!(there, if row.status == 200 { 200 } else { 404 }, "{what}");
    if row.what == "a lock" {
        assert_eq!(root.send(&lock(key, "2")).status, 412, "{what}: a second holder");
        assert_eq!(root.send(&lock(key, "1")).status, 200, "{what}: the holder, once more");
    }
}

/// Versions of a key, delete markers included.
fn versions(root: &Client, key: &str) -> usize {
    let listing = Ask::bucket("GET", VERSIONED).query("versions", "").query("prefix", key);
    xml::texts(&root.send(&listing).expect(200).text(), "VersionId").len()
}

#[test]
fn a_cut_commit_is_told_as_it_ended() {
    check("postgres");
}

#[test]
fn a_cut_commit_is_told_as_it_ended_in_the_portable_dialect() {
    check("portable");
}

#[test]
fn cuts_under_load_lose_nothing() {
    let cluster = Cluster::start();
    let proxy = Proxy::start(cluster.node("s0").port);
    let servers = Servers::start(cluster.url_of_ports(&[proxy.port]), 2);
    proxy.plan(Plan::OneIn(CUT_ONE_IN, Chance::new(seed())));
    let load = Load::start(&servers.clients(), 0);
    load.wait_for_progress("the load goes on through the cuts");
    let harvest = load.stop();
    proxy.plan(Plan::Nothing);
    for lost in [Lost::Commit, Lost::Reply] {
        assert!(proxy.cuts().contains(&lost), "{lost:?} never happened");
    }
    harvest.print(&format!("{} commits cut", proxy.cuts().len()));
    harvest.verify(&servers.clients());
}

fn put(key: &str) -> Ask {
    Ask::object("PUT", VERSIONED, key).body(format!("written to {key}"))
}

fn lock(key: &str, id: &str) -> Ask {
    let body = format!(
        r#"{{"ID":"{id}","Operation":"OperationTypeApply","Info":"","Who":"a@b","Version":"1.11.4","Created":"2026-11-21T20:35:06.667920919Z","Path":"k"}}"#
    );
    Ask::object("PUT", VERSIONED, key).header("If-None-Match", "*").body(body)
}
