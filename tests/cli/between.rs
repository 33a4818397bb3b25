//! Stands between a command and a server: sees each request, and may act at that moment, lose it, or
//! answer in the server's place.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::lock::{receive, signal};

/// Passes a request on; the answer as it comes.
pub(crate) type Pass<'a> = &'a dyn Fn() -> Vec<u8>;

/// Where a command finds `server` behind `act`, which is told the head of each request. None drops the
/// connection.
pub(crate) fn before(
    server: SocketAddr,
    act: impl Fn(&str, Pass<'_>) -> Option<Vec<u8>> + Clone + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, act) = (stream.unwrap(), act.clone());
            std::thread::spawn(move || {
                let Some((head, body)) = receive(&stream) else { return };
                let answer = act(&head, &|| ask(server, &head, &body));
                if let Some(answer) = answer {
                    // A command that has ended does not wait for it.
                    drop(stream.write_all(&answer));
                }
            });
        }
    });
    format!("http://{address}")
}

/// Whether this request writes the object: a PUT or a DELETE of it, or the last one of a multipart
/// upload.
pub(crate) fn is_write(head: &str, bucket: &str, key: &str) -> bool {
    let target =
        |method: &str, end: &str| head.starts_with(&format!("{method} /{bucket}/{key}{end}"));
    target("PUT", " ") || target("DELETE", " ") || target("POST", "?uploadId=")
}

/// A command that is told to stop while its first write is under way.
pub(crate) struct Stopping {
    /// What it speaks to.
    pub(crate) endpoint: String,
    /// Takes its process.
    pub(crate) child: mpsc::Sender<u32>,
    /// What happened.
    pub(crate) seen: Arc<Mutex<Vec<&'static str>>>,
}

/// What happens where the write is waited for.
pub(crate) const IN_ORDER: [&str; 2] = ["written", "lock given back"];

pub(crate) fn stopping_at_write(
    server: SocketAddr,
    bucket: &'static str,
    key: &'static str,
) -> Stopping {
    let (child, told) = mpsc::channel();
    let (told, seen) = (Arc::new(Mutex::new(told)), Arc::new(Mutex::new(Vec::new())));
    let events = seen.clone();
    let endpoint = before(server, move |head, pass| {
        if head.starts_with(&format!("DELETE /{bucket}/{key}.tflock")) {
            events.lock().unwrap().push(IN_ORDER[1]);
        }
        if !is_write(head, bucket, key) {
            return Some(pass());
        }
        signal("TERM", told.lock().unwrap().recv().unwrap());
        // Time for a command that does not wait to give the lock back; one that waits has all of it.
        std::thread::sleep(Duration::from_secs(1));
        let answer = pass();
        events.lock().unwrap().push(IN_ORDER[0]);
        Some(answer)
    });
    Stopping { endpoint, child, seen }
}

/// An answer that no server gave.
pub(crate) fn answer(status: &str, code: &str) -> Vec<u8> {
    let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into()
}

/// The same request, over a connection that ends with the answer. What is signed stays as it is.
fn ask(server: SocketAddr, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    let head = head.strip_suffix("\r\n").unwrap();
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}
