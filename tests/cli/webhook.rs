//! `tidelock webhook`: a receiver gets signed events in their order; one that fails gets them again and
//! at last a place among the dead letters.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::hmac;
use serde_json::Value;

use crate::harness::clock::wait_until;
use crate::harness::{Ask, Server};
use crate::objects::stderr;

/// Events are sent within a few seconds; a machine that is busy needs longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One request as it arrived: headers by name in lower case, and the body.
#[derive(Clone, Debug)]
struct Received {
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// A receiver on a port of its own.
struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    /// Of the next answers, the last one of all that follow.
    statuses: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let statuses = Arc::new(Mutex::new(vec![status]));
        let (kept, answers) = (received.clone(), statuses.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut answers = answers.lock().unwrap();
                let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
                drop(answers);
                if let Some(request) = receive(stream, answer) {
                    kept.lock().unwrap().push(request);
                }
            }
        });
        Self { address, received, statuses }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn answers(&self, statuses: Vec<u16>) {
        *self.statuses.lock().unwrap() = statuses;
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

fn receive(mut stream: TcpStream, status: u16) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
            let headers: BTreeMap<String, String> =
                lines.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
            let length: usize = headers.get("content-length")?.parse().ok()?;
            if bytes.len() >= head.len() + 4 + length {
                let answer = format!(
                    "HTTP/1.1 {status} Status\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).ok()?;
                return Some(Received { headers, body: bytes[head.len() + 4..].to_vec() });
            }
        }
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => return None,
        }
    }
}

fn create(server: &Server, receiver: &Receiver, arguments: &[&str]) -> Value {
    let url = receiver.url();
    let made = server.cli(&[&["webhook", "create", &url, "-o", "json"], arguments].concat());
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    serde_json::from_slice(&made.stdout).unwrap()
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(&[arguments, &["-o", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check_signature(request: &Received, secret: &str) {
    let timestamp = &request.headers["x-tidelock-timestamp"];
    let signed = [timestamp.as_bytes(), b".", &request.body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let expected = format!("sha256={}", hex::encode(hmac::sign(&key, &signed)));
    assert_eq!(request.headers["x-tidelock-signature"], expected);
}

#[test]
fn a_receiver_gets_signed_events_in_their_order() {
    let server = Server::start(&[]);
    server.make_bucket("bbb", "");
    server.make_bucket("other", "");
    let receiver = Receiver::start(200);
    let webhook = create(&server, &receiver, &["--event", "audit", "--bucket", "bbb"]);
    let (id, secret) = (webhook["id"].as_str().unwrap(), webhook["secret"].as_str().unwrap());
    assert_eq!(server.cli(&["webhook", "test", id]).status.code(), Some(0));
    let root = server.root();
    for key in ["one", "two", "three"] {
        root.send(&Ask::object("PUT", "other", key).body(key)).expect(200);
        root.send(&Ask::object("PUT", "bbb", key).body(key)).expect(200);
    }
    wait_until("all events arrive", PATIENCE, || receiver.received().len() >= 4);
    let received = receiver.received();
    received.iter().for_each(|request| check_signature(request, secret));
    assert_eq!(received[0].headers["x-tidelock-event"], "webhook.test");
    let keys: Vec<String> = received[1..]
        .iter()
        .map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(request.headers["x-tidelock-event"], "audit");
            assert_eq!(request.headers["x-tidelock-delivery"], body["entry"]["id"]);
            assert_eq!(body["webhook"], id);
            assert_eq!(body["entry"]["action"], "PutObject");
            body["entry"]["key"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(keys, ["one", "two", "three"]);
    let listed = json(&server, &["webhook", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(listed[0].get("secret").is_none(), "a secret is shown once");
    assert_eq!(json(&server, &["webhook", "dead", id]).as_array().unwrap().len(), 0);
    assert_eq!(server.cli(&["webhook", "delete", id]).status.code(), Some(0));
    assert_eq!(server.cli(&["webhook", "delete", id]).status.code(), Some(3));
}

#[test]
fn what_a_receiver_does_not_take_is_a_dead_letter() {
    let server = Server::start(&[]);
    server.make_bucket("bbb", "");
    let receiver = Receiver::start(500);
    let webhook =
        create(&server, &receiver, &["--event", "audit", "--bucket", "bbb", "--attempts", "2"]);
    let id = webhook["id"].as_str().unwrap();
    let tested = server.cli(&["webhook", "test", id]);
    assert_eq!(tested.status.code(), Some(1));
    assert!(stderr(&tested).contains("500"), "{}", stderr(&tested));
    server.root().send(&Ask::object("PUT", "bbb", "k").body("x")).expect(200);
    let dead = || json(&server, &["webhook", "dead", id]).as_array().unwrap().clone();
    wait_until("the event is a dead letter", PATIENCE, || !dead().is_empty());
    let letters = dead();
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["attempts"], &letters[0]["entry"]["key"]), (&2.into(), &"k".into()));
    let deliveries: Vec<_> = receiver
        .received()
        .iter()
        .skip(1)
        .map(|request| request.headers["x-tidelock-delivery"].clone())
        .collect();
    assert_eq!(deliveries.len(), 2);
    assert_eq!(deliveries[0], deliveries[1], "the same event");
    assert_eq!(server.cli(&["webhook", "redeliver", id]).status.code(), Some(1));
    receiver.answers(vec![204]);
    assert_eq!(json(&server, &["webhook", "redeliver", id])["delivered"], 1);
    assert!(dead().is_empty());
    // The log was gone on with.
    server.root().send(&Ask::object("PUT", "bbb", "after").body("x")).expect(200);
    wait_until("the next event arrives", PATIENCE, || {
        receiver.received().iter().any(|it| String::from_utf8_lossy(&it.body).contains("after"))
    });
}

/// More than one request sends.
#[test]
fn all_dead_letters_that_were_sent_again_are_counted() {
    const LETTERS: usize = 102;
    const TAKEN_AT_FIRST: usize = 51;
    let server = Server::start(&[]);
    server.make_bucket("bbb", "");
    let receiver = Receiver::start(500);
    let flags = ["--event", "audit", "--bucket", "bbb", "--attempts", "1"];
    let webhook = create(&server, &receiver, &flags);
    let id = webhook["id"].as_str().unwrap();
    let mut session = server.root().session();
    for number in 0..LETTERS {
        session.send(&Ask::object("PUT", "bbb", &number.to_string()).body("x")).expect(200);
    }
    let dead = || json(&server, &["webhook", "dead", id]).as_array().unwrap().len();
    wait_until("all events are dead letters", PATIENCE, || dead() == LETTERS);
    receiver.answers([vec![204; TAKEN_AT_FIRST], vec![500]].concat());
    let cut = server.cli(&["webhook", "redeliver", id]);
    assert_eq!(cut.status.code(), Some(1));
    let told = "51 delivered, 51 dead letters are left: ";
    assert!(stderr(&cut).contains(told), "{}", stderr(&cut));
    receiver.answers(vec![204]);
    let sent = json(&server, &["webhook", "redeliver", id]);
    assert_eq!((&sent["delivered"], &sent["left"]), (&51.into(), &0.into()));
    assert_eq!(dead(), 0);
}

#[test]
fn only_root_makes_webhooks_and_only_good_ones() {
    let server = Server::start(&[]);
    let rows: &[(&[&str], i32, &str)] = &[
        (&["webhook", "create", "ftp://127.0.0.1/", "--event", "audit"], 1, "http"),
        (&["webhook", "create", "http://", "--event", "audit"], 1, ""),
        (&["webhook", "create", "http://127.0.0.1:1/", "--event", "lock.stolen"], 1, "lock.stolen"),
        (&["webhook", "create", "http://127.0.0.1:1/"], 2, "--event"),
        (
            &["webhook", "create", "http://127.0.0.1:1/", "--event", "audit", "--attempts", "0"],
            1,
            "attempts",
        ),
        (
            &["webhook", "create", "http://127.0.0.1:1/", "--event", "audit", "--dry-run"],
            0,
            "would",
        ),
        (&["webhook", "test", "00"], 3, "does not exist"),
        (&["webhook", "dead", "00000000000000000000000000000000"], 3, "does not exist"),
    ];
    for (arguments, status, message) in rows {
        let output = server.cli(arguments);
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
    let ann = server.user("ann");
    for method in ["GET", "POST"] {
        let ask = Ask::new(method, "/_/api/v1/webhooks")
            .body(r#"{"url":"http://127.0.0.1:1/","events":["audit"]}"#);
        assert_eq!(ann.send(&ask).status, 403, "{method}");
    }
}
