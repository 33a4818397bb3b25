//! HTTP/1.1 as bytes: writes what it is given and reads one answer. No retries, no redirects, no
//! header of its own.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A test never waits longer than this for bytes.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether `100 Continue` came first.
    pub continued: bool,
}

impl Response {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `<Code>` of an S3 error document; empty when there is none.
    pub fn code(&self) -> String {
        super::xml::text(&self.text(), "Code").unwrap_or_default()
    }

    /// The text of the first element of that name.
    pub fn element(&self, name: &str) -> Option<String> {
        super::xml::text(&self.text(), name)
    }

    /// The ETag header; panics when there is none.
    pub fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("no ETag: {self:?}")).to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "answer: {}", self.text());
        self
    }
}

/// One connection, kept alive as long as the server does.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub fn send(&mut self, wire: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(wire)?;
        stream.flush()
    }

    /// Reads one answer. `bodiless` for the answer to a HEAD.
    pub fn receive(&mut self, bodiless: bool) -> io::Result<Response> {
        let mut continued = false;
        loop {
            let (status, headers) = self.receive_head()?;
            if status == 100 {
                continued = true;
                continue;
            }
            let mut response = Response { status, headers, body: Vec::new(), continued };
            if !bodiless && status != 204 && status != 304 {
                response.body = self.receive_body(&response)?;
            }
            return Ok(response);
        }
    }

    /// Reads status and headers only.
    pub fn receive_head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or_else(|| invalid(&line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn receive_body(&mut self, response: &Response) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if response.header("transfer-encoding").is_some_and(|it| it.contains("chunked")) {
            loop {
                let line = self.line()?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16).map_err(|_| invalid(&line))?;
                let start = body.len();
                body.resize(start + size, 0);
                self.stream.read_exact(&mut body[start..])?;
                self.line()?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match response.header("content-length") {
            Some(length) => {
                body.resize(length.parse().map_err(|_| invalid(length))?, 0);
                self.stream.read_exact(&mut body)?;
            }
            None => {
                self.stream.read_to_end(&mut body)?;
            }
        }
        Ok(body)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before an answer"));
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn invalid(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {line}"))
}
