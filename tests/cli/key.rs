//! `tidelock key`: ends, rotation, and the last use.

use serde_json::Value;

use crate::harness::sigv4::Keys;
use crate::harness::{Ask, Client, Server};

fn json(server: &Server, arguments: &[&str]) -> Value {
    let done = server.cli(&[arguments, &["-o", "json"]].concat());
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {told}"))
}

/// A client with a key that was just shown, as JSON has it: one object, or a list of one.
fn with_key(server: &Server, made: &Value) -> Client {
    let (id, secret) = (&made["access_key_id"], &made["secret_access_key"]);
    server.root().with_keys(Keys::new(id.as_str().unwrap(), secret.as_str().unwrap()))
}

#[test]
fn ends_are_given_as_people_do() {
    let server = Server::start(&[]);
    server.user("ann");
    let make = ["key", "create", "--user", "ann"];
    let rows: [(&[&str], i32); 7] = [
        (&["--expires-in", "90d"], 0),
        (&["--expires-at", "2099-01-31T00:00:00Z"], 0),
        (&["--expires-in", "90d", "--expires-at", "2099-01-31T00:00:00Z"], 2),
        (&["--expires-in", "soon"], 2),
        (&["--expires-at", "tomorrow"], 2),
        (&["--expires-at", "1999-01-31T00:00:00Z"], 1),
        (&["--expires-in", "90d", "--dry-run"], 0),
    ];
    for (arguments, code) in rows {
        let done = server.cli(&[&make, arguments].concat());
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {told}");
    }
    let keys = json(&server, &["key", "list", "--user", "ann"]);
    let keys = keys.as_array().unwrap();
    let ends = keys.iter().filter(|key| key["expires"].is_string()).count();
    assert_eq!((keys.len(), ends), (3, 2), "{keys:?}");
    assert!(keys.iter().any(|key| key["expires"] == "2099-01-31T00:00:00.000Z"), "{keys:?}");
}

#[test]
fn a_key_is_rotated_without_an_outage() {
    let mut server = Server::start(&[]);
    let ann = server.user("ann");
    ann.send(&Ask::bucket("PUT", "anns")).expect(200);
    let list = Ask::bucket("GET", "anns").query("list-type", "2");
    let made = json(&server, &["key", "rotate", &ann.keys.access, "--overlap", "1h"]);
    let new = with_key(&server, &made);
    for client in [&ann, &new] {
        client.send(&list).expect(200);
    }
    // The overlap ends now: an end that was set is only brought forward.
    let rotate = ["key", "rotate", ann.keys.access.as_str(), "--overlap", "0s"];
    assert!(server.cli(&rotate).status.success());
    let refused = ann.send(&list);
    assert_eq!((refused.status, refused.code()), (403, "InvalidAccessKeyId".to_owned()));
    assert!(refused.text().contains("has expired."), "{}", refused.text());
    new.send(&list).expect(200);
    for arguments in [["key", "rotate", "AKIANONE"], ["key", "delete", "AKIANONE"]] {
        assert_eq!(server.cli(&arguments).status.code(), Some(3), "{arguments:?}");
    }
    let found = |server: &Server, id: &str| {
        let keys = json(server, &["key", "list", "--user", "ann"]);
        let keys = keys.as_array().unwrap().clone();
        keys.into_iter().find(|key| key["access_key_id"] == id).unwrap()
    };
    let used = found(&server, &new.keys.access)["last_used"].clone();
    assert!(used.as_str().unwrap().ends_with(":00.000Z"), "to the minute: {used}");
    // A server that ends in order has written it.
    assert!(server.terminate().success());
    let again = Server::start_on(server.data(), &[]);
    assert_eq!(found(&again, &new.keys.access)["last_used"], used);
}
