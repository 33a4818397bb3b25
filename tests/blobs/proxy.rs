//! A proxy in front of an S3 server, for a network that is not to be relied on: refuses some requests
//! with 503, and loses some answers after the server has given them. One request a connection.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often something goes wrong; 0 is never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Every so many requests are answered 503 SlowDown.
    pub(crate) refuse_every: usize,
    /// Of every so many requests the answer is lost, if the request may be repeated.
    pub(crate) lose_every: usize,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicUsize,
    refused: AtomicUsize,
    lost: AtomicUsize,
}

impl Proxy {
    /// Listens until the test process ends.
    pub(crate) fn start(server: SocketAddr, weather: Weather) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let counts = Arc::clone(&shared);
                // What breaks a connection here is the weather.
                std::thread::spawn(move || drop(serve(client, server, weather, &counts)));
            }
        });
        Self { address, counts }
    }

    /// Requests refused, and answers lost.
    pub(crate) fn struck(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (count(&self.counts.refused), count(&self.counts.lost))
    }
}

fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    weather: Weather,
    counts: &Counts,
) -> std::io::Result<()> {
    let Some(head) = read_head(&mut client)? else { return Ok(()) };
    let number = counts.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let strikes = |every: usize| every > 0 && number.is_multiple_of(every);
    if strikes(weather.refuse_every) {
        counts.refused.fetch_add(1, Ordering::Relaxed);
        return refuse(client);
    }
    let mut upstream = TcpStream::connect(server)?;
    // So that the server ends the connection after the answer. SigV4 signs no such header.
    let end_of_line = head.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
    upstream.write_all(&head[..end_of_line])?;
    upstream.write_all(b"connection: close\r\n")?;
    upstream.write_all(&head[end_of_line..])?;
    let (mut request, mut onward) = (client.try_clone()?, upstream.try_clone()?);
    std::thread::spawn(move || drop(std::io::copy(&mut request, &mut onward)));
    let is_lost = strikes(weather.lose_every) && may_be_repeated(&head);
    let copied = if is_lost {
        counts.lost.fetch_add(1, Ordering::Relaxed);
        std::io::copy(&mut upstream, &mut std::io::sink())
    } else {
        std::io::copy(&mut upstream, &mut client)
    };
    client.shutdown(Shutdown::Both)?;
    copied.map(drop)
}

/// A client that does not hear of the upload it has made cannot go on with it: that one is spared.
fn may_be_repeated(head: &[u8]) -> bool {
    !head.starts_with(b"POST") || head.windows(9).any(|part| part == b"uploadId=")
}

/// The request line and the headers; none if the client has gone.
fn read_head(client: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    Ok(Some(head))
}

/// Reads what the client still sends, or it may never see the answer.
fn refuse(mut client: TcpStream) -> std::io::Result<()> {
    let body =
        "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 503 Slow Down\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    client.shutdown(Shutdown::Write)?;
    std::io::copy(&mut client, &mut std::io::sink()).map(drop)
}
