//! The volume lane: what a store costs that is large, or has seen much. Small unless it is said otherwise:
//! `TIDELOCK_VOLUME_OBJECTS` and `TIDELOCK_VOLUME_CYCLES`, 1,000,000 each in a full run; `TIDELOCK_TEST_BINARY` names
//! a release binary, to which alone the limits of processor time and memory apply as they are.
//!
//! Bytes, counts and processor time decide; wall time is printed. Works on the local engine.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../harness/mod.rs"]
mod harness;

mod growth;
mod idle;
mod objects;

use std::time::Duration;

/// How much more a binary takes that was not optimized.
const NOT_OPTIMIZED: u32 = 6;

/// What the binary under test may take that a release may take `limit` of.
fn allowed(limit: Duration) -> Duration {
    let is_release = std::env::var_os(harness::server::BINARY_VARIABLE).is_some();
    limit * if is_release { 1 } else { NOT_OPTIMIZED }
}

/// Prints what was measured.
#[allow(clippy::print_stdout, reason = "what was measured is a result of the lane")]
fn print_measured(what: &str) {
    println!("measured: {what}");
}
