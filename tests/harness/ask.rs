//! One request, said in full before it is signed.

use super::sigv4::encode;

/// How the body is vouched for (`x-amz-content-sha256`) and framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The body's own hash.
    Signed,
    /// A hash that is said, right or wrong.
    Said(String),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`.
    Chunks { chunk_bytes: usize, tamper: Tamper },
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`, with this trailer.
    ChunksWithTrailer { chunk_bytes: usize, trailer: (String, String), tamper: Tamper },
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`, with this trailer.
    UnsignedWithTrailer { chunk_bytes: usize, trailer: (String, String) },
    /// No `x-amz-content-sha256` header at all.
    Unsaid,
}

/// What goes wrong in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    Nothing,
    /// One byte of the second chunk changes after signing.
    Byte,
    /// The trailer's signature is another's.
    TrailerSignature,
    /// The closing chunk never comes, though the length says so.
    CutShort,
}

/// A request before it is signed.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    /// As it goes on the wire.
    pub raw_path: String,
    /// Names and values before encoding.
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub payload: Payload,
    pub service: String,
    /// How far the client's clock is off, in seconds.
    pub skew_seconds: i64,
    /// Without any signature.
    pub anonymous: bool,
}

impl Ask {
    pub fn new(method: &str, raw_path: &str) -> Self {
        Self {
            method: method.to_owned(),
            raw_path: raw_path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            payload: Payload::Signed,
            service: "s3".to_owned(),
            skew_seconds: 0,
            anonymous: false,
        }
    }

    pub fn bucket(method: &str, bucket: &str) -> Self {
        Self::new(method, &format!("/{bucket}"))
    }

    pub fn object(method: &str, bucket: &str, key: &str) -> Self {
        Self::new(method, &format!("/{bucket}/{}", encode(key, true)))
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    pub fn service(mut self, service: &str) -> Self {
        self.service = service.to_owned();
        self
    }

    pub fn skewed(mut self, seconds: i64) -> Self {
        self.skew_seconds = seconds;
        self
    }

    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// The query, encoded and sorted as it is signed and sent.
    pub fn canonical_query(&self) -> String {
        canonical_query(&self.query)
    }
}

/// Encoded and sorted by encoded name, then value.
pub fn canonical_query(query: &[(String, String)]) -> String {
    let mut pairs: Vec<String> =
        query.iter().map(|(k, v)| format!("{}={}", encode(k, false), encode(v, false))).collect();
    pairs.sort();
    pairs.join("&")
}
