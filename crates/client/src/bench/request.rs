//! A request that is signed before it is needed, and what its answer must be.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use tidelock_auth::sigv4::{EMPTY_PAYLOAD, RequestHead};

use super::content::Content;
use super::page::Page;
use crate::connection::{host, with_signer};
use crate::{ClientError, Settings, uri};

/// What the requests say they come from.
const USER_AGENT: &str = concat!("tidelock-bench/", env!("CARGO_PKG_VERSION"));

/// What an answer must be.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// The body is stored under the key of this number.
    Stored(usize),
    /// The body that was last stored under it.
    Body(usize),
    /// It is deleted.
    Deleted(usize),
    /// A page of keys.
    Page(Page),
}

/// One request, whole but for its body, which is written from where it is.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: &'static str,
    path: String,
    query: String,
    /// With `If-None-Match: *`.
    is_conditional: bool,
    pub(super) body: Option<Arc<Content>>,
    pub(super) expected: Expected,
    /// What is sent before the body; empty until it is signed.
    pub(super) head: Vec<u8>,
}

impl Request {
    /// PUT, with or without `If-None-Match: *`.
    pub(super) fn put(
        path: String,
        slot: usize,
        body: &Arc<Content>,
        is_conditional: bool,
    ) -> Self {
        let body = Some(Arc::clone(body));
        Self { is_conditional, body, ..Self::new("PUT", path, Expected::Stored(slot)) }
    }

    /// GET of what was last put.
    pub(super) fn get(path: String, slot: usize) -> Self {
        Self::new("GET", path, Expected::Body(slot))
    }

    /// DELETE.
    pub(super) fn delete(path: String, slot: usize) -> Self {
        Self::new("DELETE", path, Expected::Deleted(slot))
    }

    /// A page of the keys of `bucket`.
    pub(super) fn list(bucket: &str, page: Page) -> Self {
        let pairs = page.query();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let query = uri::query(&pairs);
        Self { query, ..Self::new("GET", uri::bucket_path(bucket), Expected::Page(page)) }
    }

    fn new(method: &'static str, path: String, expected: Expected) -> Self {
        let (query, head) = (String::new(), Vec::new());
        Self { method, path, query, is_conditional: false, body: None, expected, head }
    }

    /// Writes the head, good for 15 minutes from `now` on.
    ///
    /// # Errors
    /// The credentials are none.
    pub(super) fn sign(&mut self, settings: &Settings, now: Timestamp) -> Result<(), ClientError> {
        let host = host(&settings.endpoint);
        let payload = self.body.as_ref().map_or(EMPTY_PAYLOAD, |body| body.sha256());
        let mut headers: Vec<(&str, &[u8])> = vec![("host", host.as_bytes())];
        if self.body.is_some() {
            headers.push(("content-type", b"application/json"));
        }
        if self.is_conditional {
            headers.push(("if-none-match", b"*"));
        }
        let unsigned = RequestHead {
            method: self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            authority: None,
        };
        let signed = with_signer(settings, "s3", |signer| signer.sign(&unsigned, payload, now))?;
        let separator = if self.query.is_empty() { "" } else { "?" };
        let mut head =
            format!("{} {}{separator}{} HTTP/1.1\r\n", self.method, self.path, self.query);
        let mut line = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        };
        for (name, value) in &headers {
            line(name, &String::from_utf8_lossy(value));
        }
        line("user-agent", USER_AGENT);
        for (name, value) in &signed.headers {
            line(name, value);
        }
        if let Some(body) = &self.body {
            line("content-length", &body.size().to_string());
        }
        head.push_str("\r\n");
        self.head = head.into_bytes();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::content::{Filler, Origin};
    use crate::settings::Credentials;

    #[test]
    fn a_head_is_signed_with_the_hash_of_the_body() {
        let settings = Settings {
            endpoint: "http://localhost:9000".parse().unwrap(),
            region: "us-east-1".to_owned(),
            credentials: Credentials {
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: "secret".to_owned(),
                session_token: None,
            },
            ca_bundle: None,
        };
        let origin = Origin { run: 1, client: 1, slot: 1, generation: 1 };
        let body = Arc::new(Content::stamped(origin, 100, &Filler::new(1)));
        let empty = EMPTY_PAYLOAD;
        let rows = [
            (
                Request::put("/b/k".to_owned(), 0, &body, true),
                "PUT /b/k HTTP/1.1",
                body.sha256(),
                "if-none-match: *",
            ),
            (
                Request::put("/b/k".to_owned(), 0, &body, false),
                "PUT /b/k HTTP/1.1",
                body.sha256(),
                "content-length: 100",
            ),
            (
                Request::get("/b/k".to_owned(), 0),
                "GET /b/k HTTP/1.1",
                empty,
                "host: localhost:9000",
            ),
            (
                Request::delete("/b/k".to_owned(), 0),
                "DELETE /b/k HTTP/1.1",
                empty,
                "x-amz-date: 19700101T000000Z",
            ),
        ];
        for (mut request, line, hash, header) in rows {
            request.sign(&settings, Timestamp::UNIX_EPOCH).unwrap();
            let head = String::from_utf8(request.head).unwrap();
            let lines: Vec<_> = head.split("\r\n").collect();
            assert_eq!(lines[0], line);
            let has = |wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
            assert!(has(&format!("x-amz-content-sha256: {hash}")) && has(header), "{head}");
            assert!(
                has("authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/19700101/"),
                "{head}"
            );
            assert!(head.ends_with("\r\n\r\n"), "{head}");
        }
    }
}
