//! Presigned requests as bytes, and a connection that sends them and reads whole answers. It does no
//! more than it must: the load generator shares the machine with what it measures.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{RequestHead, Signer, encode_path};

/// Bytes of every object.
pub const BODY_BYTES: usize = 4096;
/// Access key of root on every subject.
pub const ACCESS_KEY: &str = "ROOTROOTROOTROOT0001";
/// Its secret.
pub const SECRET_KEY: &str = "root-secret-of-the-benchmarks-0001";
const EXPIRES_S: u32 = 7 * 24 * 3600;
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Presigns for one server.
pub struct Presigner {
    address: SocketAddr,
    access_key: AccessKeyId,
    secret: SecretAccessKey,
    now: Timestamp,
}

impl Presigner {
    /// Signs as root at this moment.
    pub fn new(address: SocketAddr) -> Result<Self> {
        let access_key = AccessKeyId::parse(ACCESS_KEY)?;
        let secret = SecretAccessKey::new(SECRET_KEY);
        Ok(Self { address, access_key, secret, now: Timestamp::now() })
    }

    /// All bytes of a request. `query` is escaped already; `extra` are whole header lines.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        query: &str,
        extra: &[&str],
        body: &[u8],
    ) -> Result<Vec<u8>> {
        let path = encode_path(path);
        let host = self.address.to_string();
        let signer = Signer {
            access_key_id: &self.access_key,
            secret: &self.secret,
            session_token: None,
            region: "us-east-1",
            service: "s3",
        };
        let headers = [("host", host.as_bytes())];
        let head = RequestHead { method, path: &path, query, authority: None, headers: &headers };
        let query = signer.presign(&head, EXPIRES_S, self.now)?;
        let mut wire = format!("{method} {path}?{query} HTTP/1.1\r\nhost: {host}\r\n");
        for line in extra {
            wire.push_str(line);
            wire.push_str("\r\n");
        }
        wire.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let mut wire = wire.into_bytes();
        wire.extend_from_slice(body);
        Ok(wire)
    }
}

/// One connection, kept alive.
pub struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream), line: String::new(), body: Vec::new() })
    }

    /// Sends a request and reads its answer; the status.
    pub fn ask(&mut self, wire: &[u8]) -> Result<u16> {
        self.stream.get_mut().write_all(wire)?;
        let status = self.line()?.split(' ').nth(1).context("no status")?.parse()?;
        let mut length = 0;
        let mut is_chunked = false;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("not a header")?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
            is_chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
        if is_chunked {
            self.skip_chunks()?;
        } else {
            self.skip(length)?;
        }
        Ok(status)
    }

    /// As [`Connection::ask`], for an answer that must have one of these statuses.
    pub fn expect(&mut self, wire: &[u8], statuses: &[u16]) -> Result<()> {
        let status = self.ask(wire)?;
        if !statuses.contains(&status) {
            bail!("status {status}: {}", String::from_utf8_lossy(&self.body));
        }
        Ok(())
    }

    fn skip_chunks(&mut self) -> Result<()> {
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16)?;
            self.skip(size)?;
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn skip(&mut self, length: usize) -> Result<()> {
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok(())
    }

    fn line(&mut self) -> Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            bail!("closed before an answer");
        }
        Ok(self.line.trim_end())
    }
}
