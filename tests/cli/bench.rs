//! `tidelock bench`: against our own server, where every answer is right and nothing is left behind, and
//! against one that lies, where it is not believed.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::clock::wait_until;
use crate::harness::server::tidelock;
use crate::harness::{Ask, Server, digest};
use crate::objects::{stderr, stdout};

/// Short runs: what is measured is not what is tested.
const BRIEF: [&str; 6] = ["--duration", "200ms", "--clients", "4", "--keys", "1200"];
/// Time until a run has begun.
const BEGUN_MAX: Duration = Duration::from_secs(30);

fn buckets(server: &Server) -> String {
    stdout(&server.cli(&["bucket", "list", "-o", "jsonl"]))
}

#[test]
fn every_workload_is_answered_rightly_and_nothing_is_left() {
    let server = Server::start(&[]);
    server.make_bucket("theirs", "Enabled");
    server.root().send(&Ask::object("PUT", "theirs", "state").body("x")).expect(200);
    let versions =
        || stdout(&server.cli(&["object", "list", "theirs", "--with-versions", "-o", "jsonl"]));
    let before = (buckets(&server), versions());
    let pid = server.pid().to_string();
    // More than a block of a body, and none at all.
    for (size, place) in [("70000", &[] as &[&str]), ("0", &["--bucket", "theirs"])] {
        let arguments = [&["bench", "--size", size, "--server-pid", &pid, "-o", "json"], place];
        let output = server.cli(&[&arguments.concat()[..], &BRIEF].concat());
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row["workload"].as_str().unwrap()).collect();
        assert_eq!(names, ["put", "get", "lock", "list", "list-delimited", "race", "mixed"]);
        for row in rows {
            assert!(row["operations"].as_u64().unwrap() > 0, "{row}");
            assert_eq!(row["errors"], Value::Array(Vec::new()), "{row}");
            let (half, most) = (row["p50_ms"].as_f64().unwrap(), row["max_ms"].as_f64().unwrap());
            assert!(0.0 < half && half <= most, "{row}");
            assert!(row["server_cpu_us_per_operation"].is_f64(), "{row}");
        }
        assert_eq!((buckets(&server), versions()), before, "{place:?}");
    }
}

#[test]
fn the_table_names_what_was_run() {
    let server = Server::start(&[]);
    let output = server.cli(&[&["bench", "lock", "get"], &BRIEF[..]].concat());
    let out = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(out.lines().nth(1).unwrap().contains("server µs/op"), "{out}");
    let rows: Vec<&str> = out.lines().filter(|line| line.starts_with("│ ")).skip(1).collect();
    assert!(rows.len() == 2 && rows[0].contains("│ lock ") && rows[1].contains("│ get "), "{out}");
}

#[test]
fn what_cannot_be_measured_is_no_figure() {
    let server = Server::start(&[]);
    let rows: &[(&[&str], i32, &str)] = &[
        (&["--bucket", "absent"], 3, "NoSuchBucket"),
        (&["gut"], 2, "possible values: put, get, lock"),
        (&["--clients", "0"], 2, "takes 1 to 1024"),
        (&["--duration", "0s"], 2, "takes more than 0s"),
        (&["--size", "x"], 2, "takes 0 to 1073741824"),
        (&["--server-pid", "4294967295"], 1, "there is no process 4294967295"),
        (&["--endpoint", "http://127.0.0.1:1"], 6, "http://127.0.0.1:1: "),
    ];
    for (arguments, status, expected) in rows {
        let output = server.cli(&[&["bench"], *arguments].concat());
        let err = stderr(&output);
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}: {err}");
        assert!(err.contains(expected) && output.stdout.is_empty(), "{arguments:?}: {err}");
    }
}

#[test]
fn interrupted_it_still_cleans_up() {
    let server = Server::start(&[]);
    let before = buckets(&server);
    let mut command = server.command();
    command.args(["bench", "mixed", "--duration", "1h"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("its bucket", BEGUN_MAX, || buckets(&server) != before);
    let kill = format!("kill -INT {}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert_eq!(buckets(&server), before);
}

#[test]
fn lies_are_counted_by_name() {
    let rows: &[(Lie, &str, &[&str])] = &[
        (Lie::None, "put", &[]),
        (Lie::None, "mixed", &[]),
        (Lie::EverybodyWins, "race", &["SecondWinner"]),
        (Lie::NobodyWins, "race", &["NoWinner"]),
        (Lie::OldBodies, "mixed", &["StaleBody"]),
        (Lie::OtherBodies, "get", &["WrongBody"]),
        (Lie::HalfBodies, "get", &["ShortBody"]),
        (Lie::OtherTags, "put", &["WrongETag"]),
        (Lie::NoTags, "put", &["NoETag"]),
        (Lie::Overload, "get", &["503 SlowDown"]),
        (Lie::Silence, "put", &["ConnectionBroken"]),
        (Lie::Endless, "list", &["WrongIsTruncated"]),
    ];
    for (lie, workload, names) in rows {
        let address = Liar::serve(*lie);
        let output = tidelock()
            .args(["bench", workload, "--bucket", "b", "--keep", "-o", "json"])
            .args(BRIEF)
            .env("AWS_ENDPOINT_URL_S3", format!("http://{address}"))
            .env("AWS_ACCESS_KEY_ID", "LIARLIARLIARLIAR0001")
            .env("AWS_SECRET_ACCESS_KEY", "a-secret-that-nobody-checks")
            .output()
            .unwrap();
        let err = stderr(&output);
        assert_eq!(output.status.code(), Some(i32::from(!names.is_empty())), "{lie:?}: {err}");
        let told: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let errors = told[0]["errors"].as_array().unwrap();
        let told: Vec<_> = errors.iter().map(|error| error["code"].as_str().unwrap()).collect();
        assert_eq!(told, *names, "{lie:?}: {err}");
        assert!(names.iter().all(|name| err.contains(name)), "{lie:?}: {err}");
        assert!(errors.iter().all(|error| error["count"].as_u64().unwrap() > 0), "{errors:?}");
    }
}

/// What a server says that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// A conditional PUT is always a success.
    EverybodyWins,
    /// And never.
    NobodyWins,
    /// What was first stored under a key is what is read for ever.
    OldBodies,
    /// What is read is another key's.
    OtherBodies,
    /// Half of what was stored is read.
    HalfBodies,
    OtherTags,
    NoTags,
    Overload,
    /// The connection is closed instead of an answer.
    Silence,
    /// The last page says that there are more.
    Endless,
}

/// Just enough S3 for it to be believed, but for what it lies about. It checks no signature.
struct Liar {
    lie: Lie,
    objects: Mutex<HashMap<String, Vec<u8>>>,
}

struct Asked {
    method: String,
    path: String,
    query: String,
    is_conditional: bool,
    body: Vec<u8>,
}

impl Liar {
    /// Serves until the process ends.
    fn serve(lie: Lie) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let liar = Arc::new(Self { lie, objects: Mutex::default() });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (liar, stream) = (Arc::clone(&liar), stream.unwrap());
                thread::spawn(move || liar.converse(&stream));
            }
        });
        address
    }

    fn converse(&self, stream: &TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(asked) = read(&mut reader) {
            let is_object = asked.path != "/b";
            if self.lie == Lie::Silence && is_object {
                return;
            }
            let answer = match self.lie {
                Lie::Overload if is_object => {
                    answer(503, "", b"<Error><Code>SlowDown</Code></Error>")
                }
                _ => self.answer(asked),
            };
            if (&*stream).write_all(&answer).is_err() {
                return;
            }
        }
    }

    fn answer(&self, asked: Asked) -> Vec<u8> {
        let Asked { method, path, query, is_conditional, body } = asked;
        let mut objects = self.objects.lock().unwrap();
        match method.as_str() {
            "PUT" => {
                let is_taken = match self.lie {
                    Lie::EverybodyWins => false,
                    Lie::NobodyWins => true,
                    _ => objects.contains_key(&path),
                };
                if is_conditional && is_taken {
                    return answer(412, "", b"<Error><Code>PreconditionFailed</Code></Error>");
                }
                let tag = match self.lie {
                    Lie::OtherTags => "ETag: \"0\"\r\n".to_owned(),
                    Lie::NoTags => String::new(),
                    _ => format!("ETag: {}\r\n", digest::etag(&body)),
                };
                if self.lie == Lie::OldBodies {
                    objects.entry(path).or_insert(body);
                } else {
                    objects.insert(path, body);
                }
                answer(200, &tag, b"")
            }
            "DELETE" => {
                objects.remove(&path);
                answer(204, "", b"")
            }
            _ if path == "/b" => answer(200, "", self.page(&objects, &query).as_bytes()),
            _ => match (self.lie, objects.get(&path)) {
                (Lie::OtherBodies, _) => answer(200, "", objects.values().next().unwrap()),
                (Lie::HalfBodies, Some(body)) => answer(200, "", &body[..body.len() / 2]),
                (_, Some(body)) => answer(200, "", body),
                (_, None) => answer(404, "", b"<Error><Code>NoSuchKey</Code></Error>"),
            },
        }
    }

    fn page(&self, objects: &HashMap<String, Vec<u8>>, query: &str) -> String {
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
            values.next().unwrap_or_default().replace("%2F", "/")
        };
        let (prefix, after) = (parameter("prefix"), parameter("start-after"));
        let mut keys: Vec<&str> = objects.keys().map(|path| &path["/b/".len()..]).collect();
        keys.retain(|key| key.starts_with(&prefix) && *key > after.as_str());
        keys.sort_unstable();
        let is_truncated = keys.len() > 1000 || self.lie == Lie::Endless;
        keys.truncate(1000);
        let items = keys.iter().map(|key| match parameter("delimiter").as_str() {
            "" => format!("<Contents><Key>{key}</Key></Contents>"),
            _ => {
                let directory = key.trim_end_matches("terraform.tfstate");
                format!("<CommonPrefixes><Prefix>{directory}</Prefix></CommonPrefixes>")
            }
        });
        let items: String = items.collect();
        format!(
            "<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{items}</ListBucketResult>"
        )
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (mut length, mut is_conditional) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name {
            "content-length" => length = value.parse().ok()?,
            "if-none-match" => is_conditional = true,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path: path.to_owned(), query: query.to_owned(), is_conditional, body })
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length =
        if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("HTTP/1.1 {status} Said\r\n{headers}{length}\r\n");
    [head.as_bytes(), body].concat()
}
