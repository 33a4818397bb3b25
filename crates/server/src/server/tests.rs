//! Whole servers in this process, spoken to over sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::args::ServeArgs;

/// Far more than a drain of idle connections takes, far less than the drain's limit.
const SOON: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

fn config(data: &Path, more: impl FnOnce(&mut ServeArgs)) -> Config {
    let mut args = ServeArgs {
        data: Some(data.to_owned()),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..ServeArgs::default()
    };
    more(&mut args);
    Config::resolve(args, &|_| None).unwrap()
}

async fn start(config: Config) -> Running {
    let server = Server::bind(config).await.unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    Running { address, stop, ended: tokio::spawn(server.run(shutdown)) }
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(SOON, self.ended).await.unwrap().unwrap().unwrap();
    }

    /// Status and body of one request on a connection of its own.
    async fn ask(&self, head: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{head}\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_pages_answer_as_documented() {
    let data = tempfile::tempdir().unwrap();
    let config = config(data.path(), |args| args.metrics_token = Some("token".into()));
    let server = start(config).await;
    let rows: &[(&str, u16, &str)] = &[
        ("GET /_/health/live HTTP/1.1", 200, "live\n"),
        ("GET /_/health/ready HTTP/1.1", 200, "ready\n"),
        ("HEAD /_/health/ready HTTP/1.1", 200, ""),
        ("POST /_/health/ready HTTP/1.1", 405, ""),
        ("GET /_/nothing HTTP/1.1", 404, "nothing is here\n"),
        ("GET /_/metrics HTTP/1.1", 401, "a bearer token is needed\n"),
        ("GET /_/metrics HTTP/1.1\r\nauthorization: Bearer tokem", 401, "a bearer token"),
        ("GET /_/metrics HTTP/1.1\r\nauthorization: Bearer token", 200, "tidelock_requests"),
        ("GET /_/api/v1/users HTTP/1.1", 403, "{\"code\":\"AccessDenied\""),
        ("GET /bucket/key HTTP/1.1", 403, "<Code>AccessDenied</Code>"),
        ("GET / HTTP/1.1", 403, "<Code>AccessDenied</Code>"),
    ];
    for (head, status, part) in rows {
        let (found, body) = server.ask(head).await;
        assert_eq!(found, *status, "{head}: {body}");
        assert!(body.contains(part), "{head}: {body}");
    }
    let (_, page) = server.ask("GET /_/metrics HTTP/1.1\r\nauthorization: Bearer token").await;
    let counted = "tidelock_requests_total{operation=\"GetObject\",code=\"AccessDenied\"} 1";
    assert!(page.contains(counted), "{page}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_idle_connections() {
    let data = tempfile::tempdir().unwrap();
    let server = start(config(data.path(), |_| {})).await;
    // One that never says anything, one that stops in the middle of HTTP/2's preface, and one that
    // is kept alive after an answer.
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(b"PRI * HTTP").await.unwrap();
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    kept.write_all(b"GET /_/health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_belongs_to_one_server_and_opens_again_after_it() {
    let data = tempfile::tempdir().unwrap();
    let server = start(config(data.path(), |_| {})).await;
    let second = Server::bind(config(data.path(), |_| {})).await.err().unwrap();
    assert!(second.to_string().contains("in use by another server"), "{second}");
    server.stop().await;
    start(config(data.path(), |_| {})).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstrap_twice_is_bootstrap_once() {
    let data = tempfile::tempdir().unwrap();
    let mut made = Vec::new();
    for _ in 0..2 {
        let server = Server::bind(config(data.path(), |_| {})).await.unwrap();
        made.push(server.bootstrap("states").await.unwrap().1);
        made.push(server.bootstrap("states").await.unwrap().1);
        assert_ne!(made[0].access_key, server.root().credentials.access_key);
        server.run(async {}).await.unwrap();
    }
    assert!(made.iter().all(|pair| *pair == made[0]));
    let server = Server::bind(config(data.path(), |_| {})).await.unwrap();
    server.bootstrap("Not A Bucket").await.unwrap_err();
}
