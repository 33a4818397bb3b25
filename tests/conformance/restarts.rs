//! A server that comes back on the same store. The lane over memory leaves this out (`--skip
//! restarts::`): it keeps nothing.

use tempfile::TempDir;

use crate::harness::{Ask, Client, Server};

#[test]
fn everything_is_there_after_a_restart() {
    let data = TempDir::new().unwrap();
    let mut server = Server::start_on(data.path(), &[]);
    server.make_bucket("kept", "Enabled");
    let big = crate::harness::chance::body(9, 3 << 20);
    let put = Ask::object("PUT", "kept", "small").body("one").header("x-amz-meta-a", "b");
    server.root().send(&put).expect(200);
    server.root().send(&Ask::object("PUT", "kept", "big").body(big.as_slice())).expect(200);
    let ann = server.user("ann");
    assert!(server.terminate().success());
    let server = Server::start_on(data.path(), &[]);
    let small = server.root().send(&Ask::object("GET", "kept", "small")).expect(200);
    assert_eq!((small.body.as_slice(), small.header("x-amz-meta-a")), (&b"one"[..], Some("b")));
    assert!(server.root().send(&Ask::object("GET", "kept", "big")).expect(200).body == big);
    let ann = Client::new(server.address, ann.keys);
    ann.send(&Ask::new("GET", "/")).expect(200);
}
