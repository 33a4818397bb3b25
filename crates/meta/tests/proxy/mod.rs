//! A TCP proxy in front of PostgreSQL that knows enough of its protocol to cut a connection at a commit:
//! before the server has it, or after the server has answered and before the client hears.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(unreachable_pub, reason = "a module of a test")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Where commits are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    BeforeTheServer,
    AfterTheServer,
}

/// What is taken for the message that must not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement whose text has this in it.
    Statement(&'static str),
    /// A plain statement that is this.
    Text(&'static str),
}

#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    due: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn start(server: String, target: Target, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let due = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&due);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(serve(client, server, target, cut, Arc::clone(&counted)));
            }
        });
        Self { port, due }
    }

    /// Cuts the next `commits`.
    pub fn cut(&self, commits: usize) {
        self.due.fetch_add(commits, Ordering::SeqCst);
    }

    /// Commits that are still to be cut.
    pub fn due(&self) -> usize {
        self.due.load(Ordering::SeqCst)
    }
}

async fn serve(
    client: TcpStream,
    server: TcpStream,
    target: Target,
    cut: Cut,
    due: Arc<AtomicUsize>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_cut = Arc::new(AtomicBool::new(false));
    let deaf = Arc::clone(&is_cut);
    let mut answers = tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = from_server.read(&mut buffer).await.unwrap_or(0);
            // The first bytes after the cut are the answer to the commit: now it is done.
            if count == 0 || deaf.load(Ordering::SeqCst) {
                return;
            }
            if to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    });
    let mut commits = HashSet::new();
    let mut is_startup = true;
    while let Some(frame) = frame(&mut from_client, is_startup).await {
        let is_target = !is_startup && is_commit(&frame, target, &mut commits);
        is_startup = false;
        let take = |due: usize| due.checked_sub(1);
        if is_target && due.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
            if cut == Cut::BeforeTheServer {
                answers.abort();
                return;
            }
            is_cut.store(true, Ordering::SeqCst);
        }
        if to_server.write_all(&frame).await.is_err() {
            return;
        }
        if is_cut.load(Ordering::SeqCst) && frame[0] != b'B' && frame[0] != b'E' {
            // Sync, or a plain statement: the server has all of it.
            let _ = (&mut answers).await;
            return;
        }
    }
}

/// One message with its head; none at the end.
async fn frame(from: &mut (impl AsyncRead + Unpin), is_startup: bool) -> Option<Vec<u8>> {
    let head = if is_startup { 4 } else { 5 };
    let mut frame = vec![0; head];
    from.read_exact(&mut frame).await.ok()?;
    let length = u32::from_be_bytes(frame[head - 4..].try_into().unwrap()) as usize;
    frame.resize(head - 4 + length, 0);
    from.read_exact(&mut frame[head..]).await.ok()?;
    Some(frame)
}

/// Learns the names of statements as they are prepared, and finds them when they are bound.
fn is_commit(frame: &[u8], target: Target, names: &mut HashSet<Vec<u8>>) -> bool {
    let mut parts = frame[5..].split(|byte| *byte == 0);
    let contains = |text: &[u8], wanted: &str| {
        text.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    };
    match (frame[0], target) {
        (b'P', Target::Statement(wanted)) => {
            let (name, text) = (parts.next().unwrap(), parts.next().unwrap());
            if contains(text, wanted) {
                names.insert(name.to_vec());
            }
            false
        }
        (b'B', Target::Statement(_)) => {
            let _portal = parts.next();
            names.contains(parts.next().unwrap())
        }
        (b'Q', Target::Text(wanted)) => parts.next() == Some(wanted.as_bytes()),
        _ => false,
    }
}
