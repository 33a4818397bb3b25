//! The server dies at each moment of each act of the guard: the rules hold after that, whether the act
//! was committed or not.

use tempfile::TempDir;

use crate::harness::{Ask, Client, Response, Server, Session};

const BUCKET: &str = "states";
const STATE: &str = "app/terraform.tfstate";
const LOCK: &str = "app/terraform.tfstate.tflock";
const OURS: &str = r#"{"ID":"ours","Operation":"OperationTypeApply","Who":"a@b"}"#;
const THEIRS: &str = r#"{"ID":"theirs","Operation":"OperationTypeApply","Who":"c@d"}"#;

/// What is there before the fatal request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Lock,
    LockAndState,
    State,
    RefusedState,
}

/// What is there after it, by whether it was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct After {
    lock: bool,
    serial: Option<u64>,
    refused: usize,
    /// What the same request, sent again, is answered.
    again: u16,
}

struct Row {
    action: &'static str,
    before: Before,
    fatal: fn(&Client) -> Ask,
    undone: After,
    done: After,
}

const fn after(lock: bool, serial: Option<u64>, refused: usize, again: u16) -> After {
    After { lock, serial, refused, again }
}

const ROWS: &[Row] = &[
    Row {
        action: "LockAcquired",
        before: Before::Nothing,
        fatal: |_| lock(OURS),
        undone: after(false, None, 0, 200),
        done: after(true, None, 0, 200),
    },
    Row {
        action: "LockReleased",
        before: Before::Lock,
        fatal: |_| Ask::object("DELETE", BUCKET, LOCK),
        undone: after(true, None, 0, 204),
        done: after(false, None, 0, 204),
    },
    Row {
        action: "LockBroken",
        before: Before::LockAndState,
        fatal: |_| {
            Ask::new("DELETE", &format!("/_/api/v1/locks/{BUCKET}/{STATE}"))
                .body(r#"{"id":"ours","reason":"gone"}"#)
        },
        undone: after(true, Some(1), 0, 200),
        done: after(false, Some(1), 0, 404),
    },
    Row {
        action: "StateWritten",
        before: Before::LockAndState,
        fatal: |_| write(2, "ours"),
        undone: after(true, Some(1), 0, 200),
        done: after(true, Some(2), 0, 200),
    },
    Row {
        action: "StateRefused",
        before: Before::LockAndState,
        fatal: |_| write(1, "stale"),
        undone: after(true, Some(1), 0, 412),
        done: after(true, Some(1), 1, 412),
    },
    Row {
        action: "StateDeleted",
        before: Before::State,
        fatal: |_| Ask::object("DELETE", BUCKET, STATE),
        undone: after(false, Some(1), 0, 204),
        done: after(false, None, 0, 204),
    },
    Row {
        action: "AllowanceGranted",
        before: Before::State,
        fatal: |_| {
            let body = format!(r#"{{"key":"{STATE}","seconds":60}}"#);
            Ask::new("POST", &format!("/_/api/v1/allowances/{BUCKET}")).body(body)
        },
        undone: after(false, Some(1), 0, 201),
        done: after(false, Some(1), 0, 201),
    },
    Row {
        action: "RefusedDiscarded",
        before: Before::RefusedState,
        fatal: |client| {
            let listed = refused(client);
            let (_, rest) = listed.split_once(r#""id":""#).unwrap();
            let id = &rest[..32];
            Ask::new("DELETE", &format!("/_/api/v1/refused/{BUCKET}/{id}")).query("key", STATE)
        },
        undone: after(false, Some(1), 1, 204),
        done: after(false, Some(1), 0, 404),
    },
];

fn lock(body: &str) -> Ask {
    Ask::object("PUT", BUCKET, LOCK).header("If-None-Match", "*").body(body)
}

fn write(serial: u64, content: &str) -> Ask {
    let body = format!(
        r#"{{"version":4,"serial":{serial},"lineage":"l","outputs":{{"v":{{"value":"{content}","type":"string"}}}},"resources":[]}}"#
    );
    Ask::object("PUT", BUCKET, STATE).body(body)
}

fn refused(client: &Client) -> String {
    client.send(&Ask::new("GET", &format!("/_/api/v1/refused/{BUCKET}"))).expect(200).text()
}

fn prepare(server: &Server, before: Before) {
    server.make_guarded_bucket(BUCKET, "Enabled");
    let root = server.root();
    let mut session: Session = root.session();
    let steps: &[Ask] = match before {
        Before::Nothing => &[],
        Before::Lock => &[lock(OURS)],
        Before::LockAndState => &[lock(OURS), write(1, "first")],
        Before::State | Before::RefusedState => {
            &[lock(OURS), write(1, "first"), Ask::object("DELETE", BUCKET, LOCK)]
        }
    };
    for step in steps {
        let answer: Response = session.send(step);
        assert!(answer.status < 300, "{before:?}: {} {}", answer.status, answer.text());
    }
    if before == Before::RefusedState {
        session.send(&write(2, "without a lock")).expect(412);
    }
}

fn found(client: &Client) -> (bool, Option<u64>, usize) {
    let lock = client.send(&Ask::object("GET", BUCKET, LOCK)).status == 200;
    let state = client.send(&Ask::object("GET", BUCKET, STATE));
    let serial = (state.status == 200).then(|| {
        let document: serde_json::Value = serde_json::from_str(&state.text()).unwrap();
        document["serial"].as_u64().unwrap()
    });
    (lock, serial, refused(client).matches(r#""code":"#).count())
}

fn check(row: &Row, moment: &str, expected: After) {
    let name = format!("{}:{moment}", row.action);
    let data = TempDir::new().unwrap();
    let mut server = Server::start_on(data.path(), &[]);
    prepare(&server, row.before);
    let fatal = (row.fatal)(&server.root());
    assert!(server.terminate().success());

    let mut server = Server::start_dying(data.path(), &name);
    let answer = server.root().session().try_send(&fatal);
    assert!(answer.is_err(), "{name}: it lives");
    assert!(!server.ended().success());

    let server = Server::start_on(data.path(), &[]);
    let root = server.root();
    let After { lock: is_locked, serial, refused, again } = expected;
    assert_eq!(found(&root), (is_locked, serial, refused), "{name}");
    let repeated = root.send(&fatal);
    assert_eq!(repeated.status, again, "{name}: {}", repeated.text());
    // Whatever was left, the next run gets on: it takes the lock, once the old one is given back.
    root.send(&Ask::object("DELETE", BUCKET, LOCK)).expect(204);
    let mut session = root.session();
    session.send(&lock(THEIRS)).expect(200);
    session.send(&write(9, "theirs")).expect(200);
    let (is_locked, serial, _) = found(&root);
    assert_eq!((is_locked, serial), (true, Some(9)), "{name}");
}

#[test]
fn the_rules_hold_wherever_the_server_dies() {
    for row in ROWS {
        check(row, "before-commit", row.undone);
        check(row, "after-commit", row.done);
    }
}
