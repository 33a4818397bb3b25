//! `tidelock doctor` against our own server: safe, and nothing is left behind.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::clock::wait_until;
use crate::harness::{Ask, Server};
use crate::objects::{stderr, stdout};

/// Fewer rounds than by default: the race lane is where our own server is raced.
const BRIEF: [&str; 4] = ["--racers", "8", "--rounds", "5"];
/// Time until an examination has begun.
const BEGUN_MAX: Duration = Duration::from_secs(30);

fn doctor(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = server.cli(&[&["doctor"], &BRIEF[..], arguments].concat());
    (output.status.code(), stdout(&output), stderr(&output))
}

fn buckets(server: &Server) -> String {
    stdout(&server.cli(&["bucket", "list", "-o", "jsonl"]))
}

fn versions(server: &Server, bucket: &str) -> String {
    stdout(&server.cli(&["object", "list", bucket, "--with-versions", "-o", "jsonl"]))
}

#[test]
fn our_own_server_is_safe_and_left_as_it_was() {
    let server = Server::start(&[]);
    server.make_bucket("theirs", "Enabled");
    server.root().send(&Ask::object("PUT", "theirs", "state").body("x")).expect(200);
    let before = (buckets(&server), versions(&server, "theirs"));
    for place in [&[] as &[&str], &["--bucket", "theirs"]] {
        let (code, out, err) = doctor(&server, &[place, &["-o", "json"]].concat());
        assert_eq!(code, Some(0), "{out}{err}");
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(report["safe"], true);
        assert_eq!(report["verdict"], "safe for state locks", "{report:#}");
        for check in report["checks"].as_array().unwrap() {
            assert_eq!(check["verdict"], "pass", "{check}");
            assert_eq!(check["advice"], "");
        }
        assert_eq!((buckets(&server), versions(&server, "theirs")), before, "{place:?}");
        let uploads = server.root().send(&Ask::bucket("GET", "theirs").query("uploads", ""));
        assert!(!uploads.text().contains("<Upload>"), "{}", uploads.text());
    }
}

#[test]
fn the_table_ends_with_the_verdict() {
    let server = Server::start(&[]);
    let url = format!("http://{}", server.address);
    // Unversioned: a warning, and nothing of it changed.
    server.make_bucket("plain", "");
    let (code, out, err) = doctor(&server, &[&url, "--bucket", "plain"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(out.lines().last(), Some("safe for state locks; 1 warning"), "{out}");
    assert!(out.contains("race-put-over-delete-marker ┆ skipped"), "{out}");
    let versioning = server.root().send(&Ask::bucket("GET", "plain").query("versioning", ""));
    assert!(!versioning.text().contains("Enabled"), "{}", versioning.text());
}

#[test]
fn what_is_no_endpoint_is_no_verdict() {
    let server = Server::start(&[]);
    let rows: &[(&[&str], i32, &str)] = &[
        (&["--bucket", "absent"], 3, "NoSuchBucket"),
        (&["ftp://s3.test"], 2, "is not http://"),
        (&["--racers", "1"], 2, "takes 2 to 256"),
        (&["--rounds", "0"], 2, "takes 1 to 10000"),
        (&["--terraform", "no-such-terraform"], 2, "there is no such program"),
        (&["http://127.0.0.1:1"], 6, "http://127.0.0.1:1: "),
    ];
    for (arguments, status, expected) in rows {
        let output = server.cli(&[&["doctor"], *arguments].concat());
        let err = stderr(&output);
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}: {err}");
        assert!(err.contains(expected) && output.stdout.is_empty(), "{arguments:?}: {err}");
    }
}

#[test]
fn interrupted_it_still_cleans_up() {
    for signal in ["INT", "TERM"] {
        let server = Server::start(&[]);
        let before = buckets(&server);
        let mut command = server.command();
        command.args(["doctor", "--rounds", "10000"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        wait_until("its bucket", BEGUN_MAX, || buckets(&server) != before);
        let kill = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
        assert_eq!(buckets(&server), before, "{signal}");
    }
}
