//! HTTP/1.1 over one kept connection, by blocking calls: one write for a request, as few reads as an answer
//! has room in. It does no more than it must, since the load shares the machine with what is measured.

mod answer;

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

pub(super) use answer::AnswerHead;
use answer::Framing;

use super::content::Content;
use crate::connection::trust;
use crate::{ClientError, Settings};

/// Time for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that an endpoint may be silent within an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that one read may bring.
const READ_BUFFER_BYTES: usize = 256 << 10;
/// Pieces that one write takes: `IOV_MAX` of Linux.
const WRITE_PIECES_MAX: usize = 1024;

/// Where to connect, and how.
#[derive(Debug)]
pub(super) struct Target {
    endpoint: String,
    addresses: Vec<SocketAddr>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// A connection; it is opened when something is sent, also after the endpoint has closed it.
#[derive(Debug)]
pub(super) struct Connection {
    target: Arc<Target>,
    socket: Option<Socket>,
    buffer: Vec<u8>,
    // What was read and not yet taken.
    start: usize,
    end: usize,
}

#[derive(Debug)]
enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum WireError {
    /// There is no connection.
    Connect(io::Error),
    /// It broke, or was closed before the answer's end.
    Broken(io::Error),
    /// The endpoint has been silent for too long.
    Silent,
    /// What came is not HTTP.
    Malformed(&'static str),
}

impl Target {
    /// Resolves the name of the endpoint, and loads what it must prove itself with.
    ///
    /// # Errors
    /// The name is not known, or the CA bundle is not usable.
    pub(super) fn of(settings: &Settings) -> Result<Self, ClientError> {
        let endpoint = settings.endpoint.to_string().trim_end_matches('/').to_owned();
        let is_tls = settings.endpoint.scheme_str() == Some("https");
        let host = settings.endpoint.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = settings.endpoint.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let unreachable =
            |reason: String| ClientError::Transport { endpoint: endpoint.clone(), reason };
        let addresses =
            (host, port).to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
        let addresses = addresses.collect();
        let tls = if is_tls {
            let mut config = trust::tls_config(settings)?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let name = ServerName::try_from(host.to_owned());
            Some((Arc::new(config), name.map_err(|error| unreachable(error.to_string()))?))
        } else {
            None
        };
        Ok(Self { endpoint, addresses, tls })
    }

    /// An error of the endpoint that has no status.
    pub(super) fn broken(&self, reason: &str) -> ClientError {
        ClientError::Transport { endpoint: self.endpoint.clone(), reason: reason.to_owned() }
    }

    fn connect(&self) -> io::Result<Socket> {
        let mut refused = io::Error::from(ErrorKind::AddrNotAvailable);
        for address in &self.addresses {
            match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
                Ok(stream) => return self.converse(stream),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn converse(&self, stream: TcpStream) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        let Some((config, name)) = &self.tls else { return Ok(Socket::Plain(stream)) };
        let session = ClientConnection::new(Arc::clone(config), name.clone());
        let session = session.map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, stream);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Socket::Tls(Box::new(stream)))
    }
}

impl Connection {
    /// To `target`; not opened yet.
    pub(super) fn to(target: &Arc<Target>) -> Self {
        let buffer = vec![0; READ_BUFFER_BYTES];
        Self { target: Arc::clone(target), socket: None, buffer, start: 0, end: 0 }
    }

    /// Opens it, unless it is open.
    ///
    /// # Errors
    /// [`WireError::Connect`].
    pub(super) fn open(&mut self) -> Result<(), WireError> {
        if self.socket.is_none() {
            self.socket = Some(self.target.connect().map_err(WireError::Connect)?);
            (self.start, self.end) = (0, 0);
        }
        Ok(())
    }

    /// Whether it is open, as far as is known here.
    pub(super) fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Sends a request: its head, and the body if there is one.
    ///
    /// # Errors
    /// [`WireError`]; the connection is closed.
    pub(super) fn send(&mut self, head: &[u8], body: Option<&Content>) -> Result<(), WireError> {
        self.open()?;
        let sent = match &mut self.socket {
            Some(socket) => write(socket, head, body),
            None => Err(ErrorKind::NotConnected.into()),
        };
        sent.map_err(|error| self.broken(error))
    }

    /// The head of the answer to what was sent.
    ///
    /// # Errors
    /// [`WireError`]; the connection is closed.
    pub(super) fn read_head(&mut self) -> Result<AnswerHead, WireError> {
        loop {
            let line_ends = answer::end_of_head(&self.buffer[self.start..self.end]);
            let Some(length) = line_ends else {
                self.fill()?;
                continue;
            };
            let head = AnswerHead::parse(&self.buffer[self.start..self.start + length]);
            let head = head.map_err(|reason| self.malformed(reason))?;
            self.start += length;
            // 100 Continue, 103 Early Hints: the answer follows.
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    /// The body of the answer whose head was read; `pass` gets it piece by piece.
    ///
    /// # Errors
    /// [`WireError`]; the connection is closed.
    pub(super) fn read_body(
        &mut self,
        head: &AnswerHead,
        pass: &mut dyn FnMut(&[u8]),
    ) -> Result<(), WireError> {
        match head.framing {
            Framing::Length(length) => self.pass(length, pass)?,
            Framing::Chunks => self.pass_chunks(pass)?,
            Framing::Close => self.pass_rest(pass)?,
        }
        if head.closes {
            self.close();
        }
        Ok(())
    }

    /// Gives the connection up; the next request opens another.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }

    fn pass(&mut self, mut length: u64, pass: &mut dyn FnMut(&[u8])) -> Result<(), WireError> {
        while length > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let most = usize::try_from(length).unwrap_or(usize::MAX);
            let end = self.end.min(self.start.saturating_add(most));
            pass(&self.buffer[self.start..end]);
            length -= (end - self.start) as u64;
            self.start = end;
        }
        Ok(())
    }

    fn pass_chunks(&mut self, pass: &mut dyn FnMut(&[u8])) -> Result<(), WireError> {
        loop {
            let line = self.read_line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| self.malformed("a chunk has no length"))?;
            self.pass(size, pass)?;
            if size == 0 {
                break;
            }
            self.read_line()?;
        }
        // Trailers, up to an empty line.
        while !self.read_line()?.is_empty() {}
        Ok(())
    }

    fn pass_rest(&mut self, pass: &mut dyn FnMut(&[u8])) -> Result<(), WireError> {
        loop {
            pass(&self.buffer[self.start..self.end]);
            self.start = self.end;
            match self.fill() {
                Ok(()) => {}
                Err(WireError::Broken(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn read_line(&mut self) -> Result<String, WireError> {
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(length) = unread.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&unread[..length]).trim_end().to_owned();
                self.start += length + 1;
                return Ok(line);
            }
            self.fill()?;
        }
    }

    /// Reads once.
    fn fill(&mut self) -> Result<(), WireError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            return Err(self.malformed("a head or a line without an end"));
        }
        let room = &mut self.buffer[self.end..];
        let read = match &mut self.socket {
            Some(Socket::Plain(stream)) => stream.read(room),
            Some(Socket::Tls(stream)) => stream.read(room),
            None => Err(ErrorKind::NotConnected.into()),
        };
        match read {
            Ok(0) => Err(self.broken(ErrorKind::UnexpectedEof.into())),
            Ok(length) => {
                self.end += length;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn broken(&mut self, error: io::Error) -> WireError {
        self.close();
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => WireError::Silent,
            _ => WireError::Broken(error),
        }
    }

    fn malformed(&mut self, reason: &'static str) -> WireError {
        self.close();
        WireError::Malformed(reason)
    }
}

impl WireError {
    /// As errors are counted.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "NoConnection",
            Self::Broken(_) => "ConnectionBroken",
            Self::Silent => "Timeout",
            Self::Malformed(_) => "MalformedAnswer",
        }
    }

    /// What was seen.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Connect(error) | Self::Broken(error) => error.to_string(),
            Self::Silent => format!("nothing for {} s", READ_TIMEOUT.as_secs()),
            Self::Malformed(reason) => (*reason).to_owned(),
        }
    }

    /// The same of an endpoint that was not reached at all.
    pub(super) fn into_client_error(self, target: &Target) -> ClientError {
        target.broken(&self.words())
    }
}

/// All of a request by one system call, unless it has very many pieces or the socket takes only a part.
fn write(socket: &mut Socket, head: &[u8], body: Option<&Content>) -> io::Result<()> {
    let pieces = std::iter::once(head).chain(body.into_iter().flat_map(Content::pieces));
    let mut slices: Vec<IoSlice<'_>> = pieces.map(IoSlice::new).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let some = &left[..left.len().min(WRITE_PIECES_MAX)];
        let written = match socket {
            Socket::Plain(stream) => stream.write_vectored(some),
            Socket::Tls(stream) => stream.write_vectored(some),
        };
        match written {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => IoSlice::advance_slices(&mut left, length),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    match socket {
        Socket::Plain(_) => Ok(()),
        Socket::Tls(stream) => stream.flush(),
    }
}
