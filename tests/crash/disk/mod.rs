//! What disks do, done to the disk of one real server under the writers of this lane: nothing that was
//! acknowledged may be lost, and nothing may be cut short in silence. What is measured is printed as
//! `measured: ...`; what the machine does not allow, as `left out: ...`.
//!
//! Works on the local engine alone, whatever the engine of the lane is.

mod cost;
mod failing;
mod full;
mod golden;
mod power;
mod rot;

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::Server;
use crate::harness::server::tidelock;

fn seed() -> u64 {
    crate::harness::count_from_env("TIDELOCK_CRASH_SEED", 20_261_129) as u64
}

/// `tidelock admin verify` on the data of a server that has ended.
fn verify(data: &Path) -> Output {
    tidelock().args(["admin", "verify", "--data"]).arg(data).output().unwrap()
}

/// Holds a server's data, which nobody has open, to be what was written, every byte.
fn assert_sound(data: &Path, when: &str) {
    let verified = verify(data);
    let said = text_of(&verified);
    assert!(verified.status.success(), "{when}, `admin verify` says:\n{said}");
}

/// Ends a server in order.
fn stop(mut server: Server) {
    assert!(server.terminate().success());
}

fn text_of(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[&out[..], &err[..]].concat()).into_owned()
}

/// Prints what a drill measured.
#[allow(clippy::print_stdout, reason = "what was measured is a result of the lane")]
pub(crate) fn print_measured(what: &str) {
    println!("measured: {what}");
}

/// Says what the machine does not allow.
#[allow(clippy::print_stdout, reason = "what was left out is a result of the lane")]
fn print_left_out(what: &str) {
    println!("left out: {what}");
}

fn has_strace() -> bool {
    Command::new("strace").arg("-V").output().is_ok()
}
