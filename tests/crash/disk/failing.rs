//! Syncs and writes that fail, by strace's hand: nothing is acknowledged that may be lost, readers go on, and a
//! restart heals what a moment does not.

use std::time::Duration;

use tempfile::TempDir;

use super::{assert_sound, print_measured, seed, stop};
use crate::harness::clock::wait_until;
use crate::harness::{Ask, Server, Session};
use crate::ledger::Ledger;
use crate::{make_buckets, write_until};

const LIFE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

/// What fails, and what comes of it.
struct Row {
    /// As strace has it; calls are counted by thread, and the writer is one.
    inject: &'static str,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Writes are refused until the server is started again.
    ReadOnly,
    /// Writes are refused, and taken again.
    GoesOn,
}

impl Then {
    /// What the server logs of it.
    fn event(self) -> &'static str {
        match self {
            Self::ReadOnly => "meta.failed",
            Self::GoesOn => "meta.group_refused",
        }
    }
}

const ROWS: &[Row] = &[
    Row { inject: "fdatasync:error=EIO:when=40", then: Then::ReadOnly },
    Row { inject: "fdatasync:error=EIO:when=41+", then: Then::ReadOnly },
    Row { inject: "pwrite64:error=EIO:when=40", then: Then::ReadOnly },
    Row { inject: "pwrite64:error=ENOSPC:when=40..60", then: Then::GoesOn },
];

#[test]
fn what_fails_on_the_disk_loses_nothing() {
    if !super::has_strace() {
        return super::print_left_out("syncs that fail: there is no strace");
    }
    for row in ROWS {
        check(row);
    }
}

fn check(row: &Row) {
    let (data, name) = (TempDir::new().unwrap(), row.inject);
    let mut server = Server::start_local(data.path());
    make_buckets(&server);
    let kept = Ask::object("PUT", crate::ledger::PLAIN, "kept");
    server.root().send(&kept.body("before")).expect(200);
    stop(server);
    let inject = format!("inject={name}");
    let trace = ["-o", "/dev/null", "-e", "trace=fdatasync,pwrite64", "-e", &inject];
    server = Server::start_traced(data.path(), &trace);
    let mut ledger = Ledger::default();
    let mut session = server.root().session();
    ledger.extend(write_until(&mut server, seed(), 0, LIFE, |server| {
        wait_until("it fails", PATIENCE, || server.log().contains(row.then.event()));
        observe(row, &mut session);
    }));
    let wrong = ledger.verify_all(&server.root());
    assert!(wrong.is_empty(), "{name}, readers:\n{}", wrong.join("\n"));
    // A server that has failed may not be able to end in order.
    server.kill();
    server = Server::start_local(data.path());
    let wrong = ledger.verify_all(&server.root());
    assert!(wrong.is_empty(), "{name}, after the restart:\n{}", wrong.join("\n"));
    server.root().send(&Ask::object("PUT", crate::ledger::PLAIN, "after").body("x")).expect(200);
    stop(server);
    assert_sound(data.path(), name);
    print_measured(&format!("{name}: {} acknowledged, 0 lost", ledger.acknowledged()));
}

/// Holds what the server does after the failure against the row; reads are answered either way.
fn observe(row: &Row, session: &mut Session) {
    let put = |session: &mut Session| {
        session.send(&Ask::object("PUT", crate::ledger::PLAIN, "now").body("x")).status
    };
    let ready = |session: &mut Session| {
        session.send(&Ask::new("GET", "/_/health/ready").anonymous()).status
    };
    match row.then {
        Then::ReadOnly => {
            assert_eq!(put(session), 503, "{}", row.inject);
            wait_until("it says that it is not ready", PATIENCE, || ready(session) != 200);
        }
        Then::GoesOn => wait_until("it takes writes again", PATIENCE, || put(session) == 200),
    }
    let read = session.send(&Ask::object("GET", crate::ledger::PLAIN, "kept"));
    assert_eq!(read.expect(200).text(), "before", "{}", row.inject);
}
