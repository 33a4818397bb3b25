//! The race lane: many clients, released at once, ask for the same conditional write. Exactly one may
//! win, every round. `TIDELOCK_RACE_ROUNDS` sets the rounds of each cell (10 when unset).
//!
//! The lane proves itself in `proof`: against a store that checks first and writes later it must fail.
//! In `guard` they race for locks and states of guarded buckets.
//!
//! In `shared` the clients race through two servers on one PostgreSQL, whatever the lane's engine is.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../harness/mod.rs"]
mod harness;

mod counter;
mod guard;
mod locks;
mod proof;
mod round;
mod shared;

use harness::{Client, Server, count_from_env};
use round::{Cell, Condition, Operation, Versioning};

const ROUNDS_DEFAULT: usize = 10;

/// Runs `rounds` rounds of a cell in a bucket of their own; the violations they saw.
fn violations(clients: &[Client], cell: Cell, run: usize, rounds: usize) -> Vec<String> {
    let bucket = round::make_bucket(&clients[0], cell, run);
    (0..rounds).filter_map(|number| round::run(clients, cell, &bucket, number).err()).collect()
}

fn check(operation: Operation, versioning: Versioning, condition: Condition) {
    let server = Server::start(&[]);
    let rounds = count_from_env("TIDELOCK_RACE_ROUNDS", ROUNDS_DEFAULT);
    let cell = Cell { operation, versioning, condition };
    let violations = violations(&[server.root()], cell, 0, rounds);
    let count = violations.len();
    assert!(count == 0, "{cell:?}: {count} of {rounds} rounds:\n{}", violations.join("\n"));
}

macro_rules! cells {
    ($($name:ident: $operation:ident $versioning:ident $condition:ident;)*) => {
        $(
            #[test]
            fn $name() {
                check(Operation::$operation, Versioning::$versioning, Condition::$condition);
            }
        )*
    };
}

cells! {
    put_unversioned_if_none_match: Put Unversioned IfNoneMatch;
    put_unversioned_if_match: Put Unversioned IfMatch;
    put_versioned_if_none_match: Put Versioned IfNoneMatch;
    put_versioned_if_match: Put Versioned IfMatch;
    put_suspended_if_none_match: Put Suspended IfNoneMatch;
    put_suspended_if_match: Put Suspended IfMatch;
    complete_unversioned_if_none_match: Complete Unversioned IfNoneMatch;
    complete_unversioned_if_match: Complete Unversioned IfMatch;
    complete_versioned_if_none_match: Complete Versioned IfNoneMatch;
    complete_versioned_if_match: Complete Versioned IfMatch;
    complete_suspended_if_none_match: Complete Suspended IfNoneMatch;
    complete_suspended_if_match: Complete Suspended IfMatch;
    copy_unversioned_if_none_match: Copy Unversioned IfNoneMatch;
    copy_unversioned_if_match: Copy Unversioned IfMatch;
    copy_versioned_if_none_match: Copy Versioned IfNoneMatch;
    copy_versioned_if_match: Copy Versioned IfMatch;
    copy_suspended_if_none_match: Copy Suspended IfNoneMatch;
    copy_suspended_if_match: Copy Suspended IfMatch;
    delete_unversioned_if_match: Delete Unversioned IfMatch;
    delete_versioned_if_match: Delete Versioned IfMatch;
    delete_suspended_if_match: Delete Suspended IfMatch;
    mixed_unversioned_if_none_match: PutAndComplete Unversioned IfNoneMatch;
    mixed_unversioned_if_match: PutAndComplete Unversioned IfMatch;
    mixed_versioned_if_none_match: PutAndComplete Versioned IfNoneMatch;
    mixed_versioned_if_match: PutAndComplete Versioned IfMatch;
    mixed_suspended_if_none_match: PutAndComplete Suspended IfNoneMatch;
    mixed_suspended_if_match: PutAndComplete Suspended IfMatch;
}
