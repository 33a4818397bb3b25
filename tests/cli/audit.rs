//! `tidelock audit …`: how much is shown, and what becomes of a log that is read or kept only in part.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::Server;
use crate::harness::server::{ROOT_ACCESS_KEY, ROOT_SECRET_KEY, tidelock};
use crate::lock::{receive, send};
use crate::objects::{stderr, stdout};
use crate::output::unread;

/// A page that is not the last, with one entry.
const PAGE: &str = r#"{"entries":[{"position":"1-0","id":"00","time":"2026-11-21T20:35:06Z","action":"PutObject","code":"OK","principal":"arn:aws:iam::000000000000:root","protocol":"s3"}],"next":"1-1","complete":false}"#;
const DAMAGED: &str = r#"{"intact":false,"first_segment":0,"segments":1,"entries":1,"first_time":null,"last_time":null,"before_first":"00","head":"00"}"#;

/// A log whose first page is readable, while the next ones are refused.
fn cut_log() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let Some((head, _)) = receive(&stream) else { continue };
            let line = head.lines().next().unwrap();
            let answer = if line.contains("/verify") {
                ("200 OK", DAMAGED)
            } else if line.contains("after=") {
                ("403 Forbidden", r#"{"code":"AccessDenied","message":"no more"}"#)
            } else {
                ("200 OK", PAGE)
            };
            send(stream, (answer.0, answer.1.as_bytes().to_vec()));
        }
    });
    address
}

fn run(address: SocketAddr, arguments: &[&str]) -> Output {
    command(address, arguments).output().unwrap()
}

fn command(address: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = tidelock();
    command
        .env("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_KEY)
        .args(["audit", "--endpoint", &format!("http://{address}"), "-o", "jsonl"])
        .args(arguments);
    command
}

#[test]
fn tail_shows_as_many_as_are_asked_for() {
    let server = Server::start(&[]);
    server.make_bucket("bbb", "");
    let rows = [("0", 0, Some(0)), ("1", 0, Some(1)), ("1000", 0, None), ("1001", 2, Some(0))];
    for (lines, code, shown) in rows {
        let output = server.cli(&["audit", "tail", "-n", lines, "-o", "jsonl"]);
        assert_eq!(output.status.code(), Some(code), "{lines}: {}", stderr(&output));
        let found = stdout(&output).lines().count();
        assert!(shown.is_none_or(|shown| shown == found), "{lines}: {}", stdout(&output));
    }
}

#[test]
fn tail_says_that_it_did_not_look_at_all() {
    let output = run(cut_log(), &["tail", "--bucket", "bbb"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 1);
    assert!(stderr(&output).contains("only the end of the log"), "{}", stderr(&output));
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let files = TempDir::new().unwrap();
    let file = files.path().join("log.jsonl");
    let output = run(cut_log(), &["export", "--to", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(!file.exists(), "half of a log");
}

#[test]
fn a_log_that_is_not_intact_fails_the_check() {
    let output = run(cut_log(), &["verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stderr(&output).contains("the audit log is damaged"), "{}", stderr(&output));
    let unread = unread(&mut command(cut_log(), &["verify"]));
    assert_eq!(unread.status.code(), Some(1), "{}", stderr(&unread));
}
