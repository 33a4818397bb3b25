//! `tidelock lock …`: taken once, given back by whoever took it, and by nobody else unasked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::between;
use crate::harness::clock::wait_until;
use crate::harness::server::{ROOT_ACCESS_KEY, ROOT_SECRET_KEY, tidelock};
use crate::harness::{Ask, Server};
use crate::objects::{stderr, stdout};
use crate::output::unread;

const TERRAFORMS_LOCK: &str = r#"{"ID":"714c34bb","Operation":"OperationTypeApply","Info":"","Who":"me@host","Version":"1.11.4","Created":"2026-11-21T20:35:06Z","Path":"bbb/env:/dev/k"}"#;
/// Longest that a test waits for a command to get on.
const PATIENCE: Duration = Duration::from_secs(30);

fn lock_body(server: &Server, key: &str) -> Option<String> {
    let answer = server.root().send(&Ask::object("GET", "bbb", &format!("{key}.tflock")));
    match answer.status {
        200 => Some(String::from_utf8(answer.body).unwrap()),
        404 => None,
        status => panic!("{status}"),
    }
}

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

fn furnished(server: &Server) -> Furnished<'_> {
    server.make_bucket("bbb", "");
    Furnished(server)
}

/// A server with the bucket `bbb`.
struct Furnished<'a>(&'a Server);

impl Furnished<'_> {
    fn lock(&self, arguments: &[&str]) -> Output {
        self.0.cli(&[&["lock"], arguments].concat())
    }

    fn put_lock(&self, key: &str, body: &str) {
        let key = format!("{key}.tflock");
        self.0.root().send(&Ask::object("PUT", "bbb", &key).body(body)).expect(200);
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        // The tests may run where SIGHUP is ignored: under `nohup`, in a job of CI.
        let mut command = self.command_by(&["env", "--default-signal=HUP"]);
        command.arg("lock").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// The program, run by another one.
    fn command_by(&self, runner: &[&str]) -> Command {
        let plain = self.0.command();
        let mut command = Command::new(runner[0]);
        command.args(&runner[1..]).arg(plain.get_program());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

#[test]
fn the_life_of_a_lock() {
    let server = Server::start(&[]);
    let b = furnished(&server);
    exits(&b.lock(&["show", "bbb/env:/dev/k"]), 3);
    exits(&b.lock(&["acquire", "bbb/env:/dev/k", "--dry-run"]), 0);
    assert_eq!(lock_body(&server, "env:/dev/k"), None);
    let id = exits(&b.lock(&["acquire", "bbb/env:/dev/k", "--info", "moving \"it\""]), 0);
    let id = id.trim();
    let body: Value = serde_json::from_str(&lock_body(&server, "env:/dev/k").unwrap()).unwrap();
    assert_eq!((id.len(), &body["ID"]), (36, &id.into()));
    assert_eq!(
        (&body["Operation"], &body["Info"], &body["Path"]),
        (&"tidelock-lock".into(), &"moving \"it\"".into(), &"bbb/env:/dev/k".into())
    );
    assert!(body["Who"].as_str().unwrap().contains('@'), "{body}");
    let refused = b.lock(&["acquire", "bbb/env:/dev/k"]);
    exits(&refused, 5);
    for words in [id, body["Who"].as_str().unwrap(), "moving \"it\"", "lock release bbb/env:/dev/k"]
    {
        assert!(stderr(&refused).contains(words), "{words}: {}", stderr(&refused));
    }
    let listed = exits(&b.lock(&["list", "bbb", "-o", "json"]), 0);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["key"], &listed[0]["workspace"]), (&"env:/dev/k".into(), &"dev".into()));
    assert_eq!((&listed[0]["id"], &listed[0]["since"]), (&id.into(), &body["Created"]));
    assert!(listed[0]["last_modified"].as_str().unwrap().ends_with('Z'), "{listed}");
    assert_eq!(exits(&b.lock(&["list", "bbb/app", "-o", "jsonl"]), 0), "");
    assert!(exits(&b.lock(&["show", "bbb/env:/dev/k"]), 0).contains(id));

    let release = |more: &[&str]| b.lock(&[&["release", "bbb/env:/dev/k"], more].concat());
    exits(&release(&[]), 2);
    exits(&release(&["--yes", "--id", "another"]), 5);
    exits(&release(&["--id", id, "--dry-run"]), 0);
    assert!(lock_body(&server, "env:/dev/k").is_some());
    assert!(exits(&release(&["--yes", "--id", id]), 0).contains(id), "tells what was released");
    assert_eq!(lock_body(&server, "env:/dev/k"), None);
    exits(&release(&["--yes"]), 3);
}

#[test]
fn locks_of_others_are_read_and_released() {
    let server = Server::start(&[]);
    let b = furnished(&server);
    b.put_lock("env:/dev/k", TERRAFORMS_LOCK);
    b.put_lock("odd", "no lock body");
    let table = exits(&b.lock(&["list", "bbb"]), 0);
    for words in
        ["env:/dev/k", "dev", "me@host", "OperationTypeApply", "2026-11-21T20:35:06Z", "odd"]
    {
        assert!(table.contains(words), "{words}: {table}");
    }
    let refused = b.lock(&["run", "bbb/odd", "--", "true"]);
    exits(&refused, 5);
    assert!(stderr(&refused).contains("by whom cannot be read"), "{}", stderr(&refused));
    exits(&b.lock(&["release", "bbb/odd", "--yes"]), 0);
    exits(&b.lock(&["release", "bbb/env:/dev/k", "--id", "714c34bb", "--yes"]), 0);
    assert_eq!(exits(&b.lock(&["list", "bbb", "-o", "jsonl"]), 0), "");
}

#[test]
fn a_lock_is_waited_for() {
    let server = Server::start(&[]);
    let b = furnished(&server);
    for key in ["held", "given-back", "given-up-TERM", "given-up-HUP"] {
        b.put_lock(key, TERRAFORMS_LOCK);
    }
    exits(&b.lock(&["acquire", "bbb/held", "--wait", "600ms"]), 5);
    let mut waiting = b.spawn(&["run", "bbb/given-back", "--wait", "1m", "--", "true"]);
    until_asked_again(&server, "given-back");
    assert!(waiting.try_wait().unwrap().is_none(), "it waits");
    server.root().send(&Ask::object("DELETE", "bbb", "given-back.tflock")).expect(204);
    exits(&waiting.wait_with_output().unwrap(), 0);
    // Given up while waiting: nothing is taken, and the lock of another stays.
    for name in ["TERM", "HUP"] {
        let key = format!("given-up-{name}");
        let waiting = b.spawn(&["run", &format!("bbb/{key}"), "--wait", "1m", "--", "true"]);
        until_asked_again(&server, &key);
        signal(name, waiting.id());
        exits(&waiting.wait_with_output().unwrap(), 130);
        assert_eq!(lock_body(&server, &key).as_deref(), Some(TERRAFORMS_LOCK));
    }
}

/// As under nohup(1).
#[test]
fn a_hangup_that_is_ignored_ends_nothing() {
    let server = Server::start(&[]);
    let b = furnished(&server);
    b.put_lock("k", TERRAFORMS_LOCK);
    let mut command = b.command_by(&["env", "--ignore-signal=HUP"]);
    command.args(["lock", "run", "bbb/k", "--wait", "1m", "--", "true"]);
    let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_asked_again(&server, "k");
    signal("HUP", waiting.id());
    server.root().send(&Ask::object("DELETE", "bbb", "k.tflock")).expect(204);
    exits(&waiting.wait_with_output().unwrap(), 0);
}

/// Until somebody who was refused the lock of the state at `key` has asked for it once more.
fn until_asked_again(server: &Server, key: &str) {
    let refusal = format!("op=\"PutObject\" bucket=\"bbb\" key=\"{key}.tflock\" status=412 ");
    let refusals = || server.log().lines().filter(|line| line.contains(&refusal)).count();
    wait_until("the lock is asked for again", PATIENCE, || refusals() >= 2);
}

pub(crate) fn signal(name: &str, process: u32) {
    let kill = format!("kill -{name} {process}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn a_command_runs_under_the_lock() {
    let server = Server::start(&[]);
    let b = furnished(&server);
    let rows: &[(&[&str], i32)] = &[
        (&["sh", "-c", "exit 0"], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["no-such-command-anywhere"], 127),
    ];
    for (command, code) in rows {
        let output = b.lock(&[&["run", "bbb/k", "--"], *command].concat());
        exits(&output, *code);
        assert_eq!(lock_body(&server, "k"), None, "{command:?}");
    }
    exits(&b.lock(&["run", "bbb/k"]), 2);
    let told = exits(&b.lock(&["run", "bbb/k", "--", "sh", "-c", "echo $TIDELOCK_LOCK_ID"]), 0);
    assert_eq!(told.trim().len(), 36, "{told}");
    let dry = b.lock(&["run", "bbb/k", "--dry-run", "--", "sh", "-c", "echo done"]);
    assert_eq!(exits(&dry, 0), "", "nothing runs");
}

#[test]
fn signals_reach_the_command_and_the_lock_is_released() {
    let server = Server::start(&[]);
    let b = furnished(&server);
    let files = TempDir::new().unwrap();
    for (name, code) in [("TERM", 9), ("INT", 9), ("HUP", 9)] {
        let ready = files.path().join(name);
        let script = format!(
            "trap 'exit 9' {name}; touch {}; while :; do sleep 0.05; done",
            ready.display()
        );
        let running = b.spawn(&["run", "bbb/k", "--", "sh", "-c", &script]);
        wait_until("the command runs", PATIENCE, || ready.exists());
        assert!(lock_body(&server, "k").is_some());
        signal(name, running.id());
        exits(&running.wait_with_output().unwrap(), code);
        assert_eq!(lock_body(&server, "k"), None, "{name}");
    }
}

#[test]
fn a_lock_of_another_is_left_alone() {
    let server = Server::start(&[]);
    let b = furnished(&server);
    let files = TempDir::new().unwrap();
    let rows = [
        (Some(TERRAFORMS_LOCK), "another one stands there, and stays: me@host, apply"),
        (None, "was gone before it was released"),
    ];
    for (number, (body, words)) in rows.into_iter().enumerate() {
        let path = |name: &str| files.path().join(format!("{name}-{number}"));
        let (ready, go) = (path("ready"), path("go"));
        let script = format!(
            "touch {}; while ! test -e {}; do sleep 0.05; done; exit 4",
            ready.display(),
            go.display()
        );
        let running = b.spawn(&["run", "bbb/k", "--", "sh", "-c", &script]);
        wait_until("the command runs", PATIENCE, || ready.exists());
        exits(&b.lock(&["release", "bbb/k", "--yes"]), 0);
        if let Some(body) = body {
            b.put_lock("k", body);
        }
        std::fs::write(&go, "").unwrap();
        let ended = running.wait_with_output().unwrap();
        exits(&ended, 4);
        assert!(stderr(&ended).contains(words), "{}", stderr(&ended));
        assert_eq!(lock_body(&server, "k").as_deref(), body);
        server.root().send(&Ask::object("DELETE", "bbb", "k.tflock")).expect(204);
    }
}

/// The first answer to a lock is lost, and what the client sends again meets its own lock.
/// Its own: by whoever may delete it. That of another takes a permission that no preset has.
#[test]
fn the_lock_of_a_guarded_bucket_is_released_by_its_holder() {
    let server = Server::start(&[]);
    server.make_guarded_bucket("bbb", "Enabled");
    let as_user = |name: &str| {
        let keys = server.user(name).keys;
        let preset = ["--preset", "applier", "--bucket", "bbb", "--prefix", ""];
        exits(&server.cli(&[&["user", "policy", "put", name, "states"], &preset[..]].concat()), 0);
        let server = &server;
        move |arguments: &[&str]| {
            let mut command = server.command();
            command.args([&["lock"], arguments].concat());
            command.env("AWS_ACCESS_KEY_ID", &keys.access);
            command.env("AWS_SECRET_ACCESS_KEY", &keys.secret).output().unwrap()
        }
    };
    let (ann, bob) = (as_user("ann"), as_user("bob"));
    let taken = exits(&ann(&["acquire", "bbb/k"]), 0);
    let release = ["release", "bbb/k", "--id", taken.trim(), "--yes"];
    let refused = bob(&release);
    exits(&refused, 4);
    assert!(stderr(&refused).contains("tidelock:BreakLock"), "{}", stderr(&refused));
    assert!(lock_body(&server, "k").is_some());
    exits(&ann(&release), 0);
    assert_eq!(lock_body(&server, "k"), None);
}

#[test]
fn a_lost_answer_leaves_no_ghost() {
    let address = forgetful_store();
    let run = |arguments: &[&str]| {
        let mut command = tidelock();
        command
            .env("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_KEY)
            .arg("lock")
            .args(arguments)
            .args(["--endpoint", &format!("http://{address}")]);
        command.output().unwrap()
    };
    let acquired = run(&["acquire", "foreign/k"]);
    let id = exits(&acquired, 0);
    let told = stderr(&acquired);
    assert!(told.contains("where 127.0.0.1 honours conditional writes"), "{told}");
    exits(&run(&["release", "foreign/k", "--yes", "--id", id.trim()]), 0);
    exits(&run(&["show", "foreign/k"]), 3);
    let history = run(&["history", "foreign/k"]);
    exits(&history, 2);
    assert!(stderr(&history).contains("only Tidelock keeps"), "{}", stderr(&history));
}

/// A lock is taken, and nobody answers any more: whoever asked for it is told of what may be there.
#[test]
fn a_lock_that_may_be_left_is_named() {
    let server = Server::start(&[]);
    furnished(&server);
    let is_gone = Arc::new(AtomicBool::new(false));
    let endpoint = between::before(server.address, move |head, pass| {
        if is_gone.load(Ordering::SeqCst) {
            return None;
        }
        let answer = pass();
        if !head.starts_with("PUT ") {
            return Some(answer);
        }
        is_gone.store(true, Ordering::SeqCst);
        None
    });
    let output = server.cli(&["lock", "acquire", "bbb/k", "--endpoint", &endpoint]);
    exits(&output, 6);
    let left = lock_body(&server, "k").expect("the lock that nobody was told of");
    let left: Value = serde_json::from_str(&left).unwrap();
    let id = left["ID"].as_str().unwrap();
    let told = format!("may have been taken: `tidelock lock release bbb/k --id {id}`");
    assert!(stderr(&output).contains(&told), "{}", stderr(&output));
}

/// The endpoint is away when the command ends, for longer than one request is tried.
#[test]
fn a_lock_is_given_back_once_the_endpoint_answers_again() {
    const LOST: usize = 5;
    let server = Server::start(&[]);
    furnished(&server);
    let lost = Arc::new(AtomicUsize::new(0));
    let endpoint = between::before(server.address, move |head, pass| {
        let is_release = head.starts_with("GET /bbb/k.tflock");
        let is_lost = is_release && lost.fetch_add(1, Ordering::SeqCst) < LOST;
        (!is_lost).then(pass)
    });
    let run = ["lock", "run", "bbb/k", "--endpoint", &endpoint, "--", "true"];
    exits(&server.cli(&run), 0);
    assert_eq!(lock_body(&server, "k"), None);
}

#[test]
fn a_lock_whose_id_cannot_be_written_is_given_back() {
    let server = Server::start(&[]);
    furnished(&server);
    let mut command = server.command();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command.args(["lock", "acquire", "bbb/k"]).stdout(full).output().unwrap();
    exits(&output, 1);
    assert!(stderr(&output).contains("the lock is given back"), "{}", stderr(&output));
    assert_eq!(lock_body(&server, "k"), None);
    exits(&unread(server.command().args(["lock", "acquire", "bbb/k"])), 1);
    assert_eq!(lock_body(&server, "k"), None, "nobody reads the ID");
}

/// A store of one lock, which drops the connection of the first write after it is done, and knows no
/// conditional deletion.
fn forgetful_store() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut kept, mut has_forgotten) = (None, false);
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            if let Some((head, body)) = receive(&stream) {
                let answer = answer(&mut kept, &head, body);
                if head.starts_with("PUT") && !has_forgotten {
                    has_forgotten = true;
                    continue;
                }
                send(stream, answer);
            }
        }
    });
    address
}

pub(crate) fn receive(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Some((head, body))
}

fn answer(kept: &mut Option<Vec<u8>>, head: &str, body: Vec<u8>) -> (&'static str, Vec<u8>) {
    let error = |code: &str| format!("<Error><Code>{code}</Code></Error>").into_bytes();
    let is_lock = head.lines().next().unwrap().contains(".tflock");
    match (head.split(' ').next().unwrap(), &kept) {
        _ if !is_lock => ("404 Not Found", error("NoSuchKey")),
        ("PUT", None) => {
            *kept = Some(body);
            ("200 OK", Vec::new())
        }
        ("PUT", Some(_)) => ("412 Precondition Failed", error("PreconditionFailed")),
        ("DELETE", _) if head.to_lowercase().contains("if-match") => {
            ("501 Not Implemented", error("NotImplemented"))
        }
        ("DELETE", _) => {
            *kept = None;
            ("204 No Content", Vec::new())
        }
        (_, Some(body)) => ("200 OK", body.clone()),
        (_, None) => ("404 Not Found", error("NoSuchKey")),
    }
}

pub(crate) fn send(mut stream: TcpStream, (status, body): (&str, Vec<u8>)) {
    let head = format!(
        "HTTP/1.1 {status}\r\nETag: \"e\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
}
