//! Signs requests and sends them over a connection of its own.

use std::io;
use std::net::SocketAddr;

use super::ask::{Ask, Payload, Tamper, canonical_query};
use super::clock::{amz_date, now_seconds};
use super::digest::sha256_hex;
use super::http::{Connection, Response};
use super::sigv4::{Keys, Signer, signed_headers};

/// Where to, and as whom.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: SocketAddr,
    pub host: String,
    pub keys: Keys,
    pub region: String,
}

impl Client {
    pub fn new(address: SocketAddr, keys: Keys) -> Self {
        Self { address, host: address.to_string(), keys, region: "us-east-1".to_owned() }
    }

    /// The same client as somebody else.
    pub fn with_keys(&self, keys: Keys) -> Self {
        Self { keys, ..self.clone() }
    }

    /// The same client that signs for another region.
    pub fn with_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self.clone() }
    }

    /// The same client that names another host (virtual-host style).
    pub fn with_host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    /// Sends one request over a new connection.
    #[track_caller]
    pub fn send(&self, ask: &Ask) -> Response {
        match self.try_send(ask) {
            Ok(response) => response,
            Err(error) => panic!("{} {}: {error}", ask.method, ask.raw_path),
        }
    }

    pub fn try_send(&self, ask: &Ask) -> io::Result<Response> {
        let mut connection = Connection::open(self.address)?;
        connection.send(&self.wire(ask))?;
        connection.receive(ask.method == "HEAD")
    }

    /// A connection to send many requests over.
    pub fn session(&self) -> Session {
        Session { client: self.clone(), connection: None }
    }

    /// All bytes of the request.
    pub fn wire(&self, ask: &Ask) -> Vec<u8> {
        let (mut wire, body) = self.head_and_body(ask);
        wire.extend_from_slice(&body);
        wire
    }

    /// The head, with its empty line, and the framed body.
    pub fn head_and_body(&self, ask: &Ask) -> (Vec<u8>, Vec<u8>) {
        let date = amz_date(now_seconds() + ask.skew_seconds);
        let signer = Signer::new(&self.keys, &self.region, &ask.service, &date);
        let mut headers = self.headers(ask, &date);
        let query = ask.canonical_query();
        let mut seed = String::new();
        if !ask.anonymous && !has(&headers, "authorization") {
            let hash = find(&headers, "x-amz-content-sha256").unwrap_or_else(|| sha256_hex(b""));
            seed = signer.request(&ask.method, &ask.raw_path, &query, &headers, &hash);
            let value = format!(
                "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={seed}",
                self.keys.access,
                signer.scope,
                signed_headers(&headers)
            );
            headers.push(("authorization".to_owned(), value));
        }
        let body = framed(ask, &signer, &seed);
        if !has(&headers, "content-length") && !has(&headers, "transfer-encoding") {
            headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        let target = match query.as_str() {
            "" => ask.raw_path.clone(),
            query => format!("{}?{query}", ask.raw_path),
        };
        let mut head = format!("{} {target} HTTP/1.1\r\n", ask.method);
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        (head.into_bytes(), body)
    }

    /// A presigned target (path and query) that is valid from now (plus `skew_seconds`) for
    /// `expires_seconds`.
    pub fn presign(&self, ask: &Ask, expires_seconds: u64) -> String {
        let date = amz_date(now_seconds() + ask.skew_seconds);
        let signer = Signer::new(&self.keys, &self.region, &ask.service, &date);
        let credential = format!("{}/{}", self.keys.access, signer.scope);
        let expires = expires_seconds.to_string();
        let mut query = ask.query.clone();
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &date),
            ("X-Amz-Expires", &expires),
            ("X-Amz-SignedHeaders", "host"),
        ] {
            query.push((name.to_owned(), value.to_owned()));
        }
        let query = canonical_query(&query);
        let headers = [("host".to_owned(), self.host.clone())];
        let signature =
            signer.request(&ask.method, &ask.raw_path, &query, &headers, "UNSIGNED-PAYLOAD");
        format!("{}?{query}&X-Amz-Signature={signature}", ask.raw_path)
    }

    /// Sends a request whose target is complete, without signing it.
    #[track_caller]
    pub fn send_target(&self, method: &str, target: &str, body: &[u8]) -> Response {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let mut connection = Connection::open(self.address).unwrap();
        connection.send(&[head.as_bytes(), body].concat()).unwrap();
        connection.receive(method == "HEAD").unwrap()
    }

    /// All headers of the request but the signature, in lower case and sorted.
    fn headers(&self, ask: &Ask, date: &str) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = ask
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect();
        let mut add = |name: &str, value: &str| {
            if !has(&headers, name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        add("host", &self.host);
        if !ask.anonymous {
            add("x-amz-date", date);
        }
        if !ask.anonymous && ask.payload != Payload::Unsaid {
            add("x-amz-content-sha256", &said_hash(ask));
        }
        if let Some(trailer) = trailer_of(ask) {
            add("x-amz-trailer", &trailer.0);
        }
        if is_chunked(ask) {
            add("content-encoding", "aws-chunked");
            add("x-amz-decoded-content-length", &ask.body.len().to_string());
        }
        headers.sort();
        headers
    }
}

/// A client that keeps its connection.
#[derive(Debug)]
pub struct Session {
    pub client: Client,
    connection: Option<Connection>,
}

impl Session {
    /// Sends a request over the kept connection; opens one when there is none (a request that fails
    /// closes it and is not sent again: it may have been done).
    pub fn try_send(&mut self, ask: &Ask) -> io::Result<Response> {
        self.try_send_wire(&self.client.wire(ask), ask.method == "HEAD")
    }

    #[track_caller]
    pub fn send(&mut self, ask: &Ask) -> Response {
        match self.try_send(ask) {
            Ok(response) => response,
            Err(error) => panic!("{} {}: {error}", ask.method, ask.raw_path),
        }
    }

    /// Opens the connection ahead of time.
    pub fn open(&mut self) -> io::Result<()> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(self.client.address)?);
        }
        Ok(())
    }

    pub fn try_send_wire(&mut self, wire: &[u8], bodiless: bool) -> io::Result<Response> {
        self.open()?;
        let Some(mut connection) = self.connection.take() else { unreachable!("opened above") };
        connection.send(wire)?;
        let response = connection.receive(bodiless)?;
        if !response.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        Ok(response)
    }
}

fn said_hash(ask: &Ask) -> String {
    match &ask.payload {
        Payload::Signed | Payload::Unsaid => sha256_hex(&ask.body),
        Payload::Said(hash) => hash.clone(),
        Payload::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
        Payload::Chunks { .. } => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(),
        Payload::ChunksWithTrailer { .. } => {
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER".to_owned()
        }
        Payload::UnsignedWithTrailer { .. } => "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned(),
    }
}

fn is_chunked(ask: &Ask) -> bool {
    matches!(
        ask.payload,
        Payload::Chunks { .. }
            | Payload::ChunksWithTrailer { .. }
            | Payload::UnsignedWithTrailer { .. }
    )
}

fn trailer_of(ask: &Ask) -> Option<&(String, String)> {
    match &ask.payload {
        Payload::ChunksWithTrailer { trailer, .. }
        | Payload::UnsignedWithTrailer { trailer, .. } => Some(trailer),
        _ => None,
    }
}

fn framed(ask: &Ask, signer: &Signer, seed: &str) -> Vec<u8> {
    match &ask.payload {
        Payload::Chunks { chunk_bytes, tamper } => {
            let (mut wire, _) = signed_chunks(ask, signer, seed, *chunk_bytes, *tamper);
            wire.extend_from_slice(b"\r\n");
            wire
        }
        Payload::ChunksWithTrailer { chunk_bytes, trailer: (name, value), tamper } => {
            let (mut wire, last) = signed_chunks(ask, signer, seed, *chunk_bytes, *tamper);
            let mut signature = signer.trailer(&last, &format!("{name}:{value}\n"));
            if *tamper == Tamper::TrailerSignature {
                signature = sha256_hex(b"another's");
            }
            let trailer = format!("{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n\r\n");
            wire.extend_from_slice(trailer.as_bytes());
            wire
        }
        Payload::UnsignedWithTrailer { chunk_bytes, trailer: (name, value) } => {
            let mut wire = Vec::new();
            for chunk in ask.body.chunks(*chunk_bytes) {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(format!("0\r\n{name}:{value}\r\n\r\n").as_bytes());
            wire
        }
        _ => ask.body.clone(),
    }
}

/// The chunks with the closing one, without the end; and the last signature.
fn signed_chunks(
    ask: &Ask,
    signer: &Signer,
    seed: &str,
    chunk_bytes: usize,
    tamper: Tamper,
) -> (Vec<u8>, String) {
    let mut wire = Vec::new();
    let mut previous = seed.to_owned();
    for (index, chunk) in ask.body.chunks(chunk_bytes).enumerate() {
        previous = signer.chunk(&previous, chunk);
        let mut bytes = chunk.to_vec();
        if tamper == Tamper::Byte && index == 1 {
            bytes[0] ^= 1;
        }
        wire.extend_from_slice(
            format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes(),
        );
        wire.extend_from_slice(&bytes);
        wire.extend_from_slice(b"\r\n");
    }
    if tamper == Tamper::CutShort {
        return (wire, previous);
    }
    previous = signer.chunk(&previous, b"");
    wire.extend_from_slice(format!("0;chunk-signature={previous}\r\n").as_bytes());
    (wire, previous)
}

fn has(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(known, _)| known == name)
}

fn find(headers: &[(String, String)], name: &str) -> Option<String> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}
