//! A proxy between a server and PostgreSQL that understands just enough of the protocol (PostgreSQL 15,
//! chapter 55.7, message formats) to lose a commit: on its way there, or its reply on the way back, after
//! PostgreSQL has done it.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::harness::chance::Chance;

/// A longer message is not PostgreSQL's.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What gets lost, and the connection with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The commit: it never arrives.
    Commit,
    /// The reply to a commit that was done.
    Reply,
}

/// Which commits are cut.
#[derive(Debug)]
pub(super) enum Plan {
    Nothing,
    /// The next one that names this text (a key), once.
    Naming(String, Lost),
    /// One in so many, by chance.
    OneIn(u64, Chance),
}

/// A running proxy. It ends with the process.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) port: u16,
    plan: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    cuts: Vec<Lost>,
}

impl Proxy {
    /// Listens on a free port and passes everything on to the node at `upstream_port`.
    pub(super) fn start(upstream_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Mutex::new(State { plan: Plan::Nothing, cuts: Vec::new() }));
        let shared = Arc::clone(&plan);
        thread::spawn(move || {
            for server in listener.incoming().map_while(Result::ok) {
                // A node that is gone closes the connection, as it would its own.
                let Ok(node) = TcpStream::connect(("127.0.0.1", upstream_port)) else { continue };
                pass_on(server, node, &shared);
            }
        });
        Self { port, plan }
    }

    /// Decides what is cut from now on.
    pub(super) fn plan(&self, plan: Plan) {
        lock(&self.plan).plan = plan;
    }

    /// What was cut so far.
    pub(super) fn cuts(&self) -> Vec<Lost> {
        lock(&self.plan).cuts.clone()
    }
}

impl State {
    /// Whether this commit is cut; `messages` are what its transaction was given.
    fn decide(&mut self, messages: &[Vec<u8>]) -> Option<Lost> {
        let lost = match &mut self.plan {
            Plan::Nothing => None,
            Plan::Naming(text, lost) => {
                let text = text.as_bytes();
                let names = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|it| it == text);
                messages.iter().any(names).then_some(*lost)
            }
            Plan::OneIn(many, chance) => (chance.below(*many) == 0)
                .then(|| if chance.below(2) == 0 { Lost::Commit } else { Lost::Reply }),
        };
        if let Some(lost) = lost {
            self.cuts.push(lost);
            if matches!(self.plan, Plan::Naming(..)) {
                self.plan = Plan::Nothing;
            }
        }
        lost
    }
}

/// What both directions of a connection know.
#[derive(Debug, Default)]
struct Replies {
    /// Questions that are answered by a ReadyForQuery of their own.
    asked: u64,
    answered: u64,
    /// The number of the commit whose reply is lost.
    losing: Option<u64>,
}

fn pass_on(server: TcpStream, node: TcpStream, state: &Arc<Mutex<State>>) {
    // Messages are written one by one.
    server.set_nodelay(true).unwrap();
    node.set_nodelay(true).unwrap();
    let replies = Arc::new(Mutex::new(Replies::default()));
    let (server_side, node_side) = (server.try_clone().unwrap(), node.try_clone().unwrap());
    let (state, shared) = (Arc::clone(state), Arc::clone(&replies));
    thread::spawn(move || {
        let mut requests = Requests { server, node, state, replies, said: Transaction::default() };
        // However it ends, both sides are told.
        drop(requests.pass_on());
        close(&requests.server, &requests.node);
    });
    thread::spawn(move || {
        drop(pass_back(&node_side, &server_side, &shared));
        close(&server_side, &node_side);
    });
}

/// From the server to PostgreSQL, message by message.
struct Requests {
    server: TcpStream,
    node: TcpStream,
    state: Arc<Mutex<State>>,
    replies: Arc<Mutex<Replies>>,
    said: Transaction,
}

/// What was prepared on a connection, and what its transaction was given.
#[derive(Default)]
struct Transaction {
    /// SQL by the name of its statement.
    prepared: HashMap<Vec<u8>, String>,
    is_explicit: bool,
    messages: Vec<Vec<u8>>,
    /// The reply to the next Sync is lost.
    loses_reply: bool,
}

impl Requests {
    fn pass_on(&mut self) -> io::Result<()> {
        // The first message has no type: StartupMessage or CancelRequest.
        let start = message_body(&self.server)?;
        self.node.write_all(&[length_of(&start).as_slice(), &start].concat())?;
        loop {
            let mut kind = [0];
            (&self.server).read_exact(&mut kind)?;
            let body = message_body(&self.server)?;
            if self.commits(kind[0], &body) {
                match lock(&self.state).decide(&self.said.messages) {
                    Some(Lost::Commit) => return Ok(()),
                    Some(Lost::Reply) => self.said.loses_reply = true,
                    None => {}
                }
                self.said.messages.clear();
            }
            // Query and Sync are answered by ReadyForQuery.
            if matches!(kind[0], b'Q' | b'S') {
                let mut replies = lock(&self.replies);
                replies.asked += 1;
                if std::mem::take(&mut self.said.loses_reply) {
                    replies.losing = Some(replies.asked);
                }
            }
            self.node.write_all(&[&kind, length_of(&body).as_slice(), &body].concat())?;
        }
    }

    /// Notes what a message says; whether a transaction commits by it.
    fn commits(&mut self, kind: u8, body: &[u8]) -> bool {
        let mut texts = body.split(|byte| *byte == 0);
        let mut text = || texts.next().unwrap_or_default().to_vec();
        match kind {
            // Parse: name, SQL.
            b'P' => {
                let name = text();
                self.said.prepared.insert(name, words(&text()));
                false
            }
            // Bind: portal, name of the statement, parameters.
            b'B' => {
                text();
                let sql = self.said.prepared.get(&text()).cloned().unwrap_or_default();
                self.said.messages.push(body.to_vec());
                self.executes(&sql)
            }
            b'Q' => {
                let sql = words(&text());
                self.said.messages.push(body.to_vec());
                self.executes(&sql)
            }
            _ => false,
        }
    }

    fn executes(&mut self, sql: &str) -> bool {
        let said = &mut self.said;
        match sql.split([' ', ';']).next().unwrap_or_default() {
            "BEGIN" | "START" => {
                said.is_explicit = true;
                said.messages.clear();
                false
            }
            "COMMIT" => {
                said.is_explicit = false;
                true
            }
            "ROLLBACK" => {
                said.is_explicit = false;
                said.messages.clear();
                false
            }
            _ if said.is_explicit => false,
            _ => {
                let writes = ["INSERT INTO", "UPDATE ", "DELETE FROM"];
                let writes = writes.iter().any(|it| sql.contains(it));
                if !writes {
                    said.messages.clear();
                }
                writes
            }
        }
    }
}

/// From PostgreSQL to the server, until a reply is to be lost.
fn pass_back(node: &TcpStream, mut server: &TcpStream, replies: &Mutex<Replies>) -> io::Result<()> {
    loop {
        let mut kind = [0];
        (&mut &*node).read_exact(&mut kind)?;
        let body = message_body(node)?;
        // The first ReadyForQuery of a connection answers the start, before anything was asked.
        let (is_lost, is_last) = {
            let mut replies = lock(replies);
            let number = replies.answered;
            replies.answered += u64::from(kind[0] == b'Z');
            (replies.losing == Some(number), kind[0] == b'Z')
        };
        if !is_lost {
            server.write_all(&[&kind, length_of(&body).as_slice(), &body].concat())?;
        } else if is_last {
            return Ok(());
        }
    }
}

/// Reads the length, and what follows it.
fn message_body(mut from: &TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = (u32::from_be_bytes(length) as usize).saturating_sub(length.len());
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(body)
}

/// A length counts itself.
fn length_of(body: &[u8]) -> [u8; 4] {
    u32::try_from(body.len() + 4).unwrap().to_be_bytes()
}

/// SQL in capitals with single spaces.
fn words(sql: &[u8]) -> String {
    let text = String::from_utf8_lossy(sql).to_uppercase();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn close(server: &TcpStream, node: &TcpStream) {
    // Either may be closed already.
    drop(server.shutdown(Shutdown::Both));
    drop(node.shutdown(Shutdown::Both));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
