//! Signature Version 4 for the client side of the tests, written from the AWS pages "Create a signed
//! AWS API request" and "Signature calculations … transferring payload in multiple chunks", apart
//! from the server's own.

use ring::hmac;

use super::digest::sha256_hex;

/// An access key and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub access: String,
    pub secret: String,
}

impl Keys {
    pub fn new(access: &str, secret: &str) -> Self {
        Self { access: access.to_owned(), secret: secret.to_owned() }
    }
}

/// What a signature is valid for, and the key that makes it.
#[derive(Clone)]
pub struct Signer {
    pub amz_date: String,
    pub scope: String,
    key: hmac::Key,
}

impl Signer {
    pub fn new(keys: &Keys, region: &str, service: &str, amz_date: &str) -> Self {
        let day = &amz_date[..8];
        let mut key = hmac_sha256(format!("AWS4{}", keys.secret).as_bytes(), day);
        for part in [region, service, "aws4_request"] {
            key = hmac_sha256(&key, part);
        }
        Self {
            amz_date: amz_date.to_owned(),
            scope: format!("{day}/{region}/{service}/aws4_request"),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
        }
    }

    /// Signs a string to sign of the given algorithm line.
    pub fn sign(&self, algorithm: &str, rest: &str) -> String {
        let text = format!("{algorithm}\n{}\n{}\n{rest}", self.amz_date, self.scope);
        hex::encode(hmac::sign(&self.key, text.as_bytes()))
    }

    /// The signature of a text as it is: the policy of a form.
    pub fn text(&self, text: &str) -> String {
        hex::encode(hmac::sign(&self.key, text.as_bytes()))
    }

    /// The signature of a request whose headers are given in lower case and sorted.
    pub fn request(
        &self,
        method: &str,
        raw_path: &str,
        query: &str,
        headers: &[(String, String)],
        payload_hash: &str,
    ) -> String {
        let mut canonical = format!("{method}\n{raw_path}\n{query}\n");
        for (name, value) in headers {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            canonical.push_str(&format!("{name}:{value}\n"));
        }
        canonical.push_str(&format!("\n{}\n{payload_hash}", signed_headers(headers)));
        self.sign("AWS4-HMAC-SHA256", &sha256_hex(canonical.as_bytes()))
    }

    /// The signature of one chunk, after the signature before it.
    pub fn chunk(&self, previous: &str, bytes: &[u8]) -> String {
        let rest = format!("{previous}\n{}\n{}", sha256_hex(b""), sha256_hex(bytes));
        self.sign("AWS4-HMAC-SHA256-PAYLOAD", &rest)
    }

    /// The signature of the trailer; `trailer` is `name:value\n`.
    pub fn trailer(&self, previous: &str, trailer: &str) -> String {
        let rest = format!("{previous}\n{}", sha256_hex(trailer.as_bytes()));
        self.sign("AWS4-HMAC-SHA256-TRAILER", &rest)
    }
}

/// `host;x-amz-date`: the names, in the order given.
pub fn signed_headers(headers: &[(String, String)]) -> String {
    headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";")
}

/// Percent-encodes all but the unreserved characters of RFC 3986; `/` too unless `keep_slash`.
pub fn encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            b'/' if keep_slash => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}
