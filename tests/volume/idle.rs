//! What a server takes that does nothing.

use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::Server;
use crate::print_measured;

/// Of memory that is no file's: pages of the binary that are resident can be taken back at any time, and how many
/// there are is up to the system, which maps some around each one that is used.
const ANONYMOUS_BYTES_MAX: u64 = 20 << 20;
/// So that what a start leaves to do is done.
const SETTLE: Duration = Duration::from_secs(3);

#[test]
fn an_idle_server_takes_little_memory() {
    let data = TempDir::new().unwrap();
    let server = Server::start_local(data.path());
    thread::sleep(SETTLE);
    let before = server.usage();
    thread::sleep(SETTLE);
    let after = server.usage();
    let resident = after.resident_bytes;
    print_measured(&format!(
        "idle: {:.1} MB resident, {:.1} of them no file's, {:.1} ms of CPU in {SETTLE:?}",
        resident as f64 / 1e6,
        after.anonymous_bytes as f64 / 1e6,
        (after.cpu - before.cpu).as_secs_f64() * 1e3
    ));
    assert!(after.anonymous_bytes <= ANONYMOUS_BYTES_MAX, "{} bytes", after.anonymous_bytes);
}
