//! Stands between a command and a server: sees each request, and may act at that moment, lose it, or
//! answer in the server's place.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::lock::receive;

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
