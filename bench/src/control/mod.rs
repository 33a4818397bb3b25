//! The control: what the work that cannot be left out costs without S3. PUT hashes the body as Tidelock does
//! (SHA-256 against the signed one, MD5, CRC-64) and answers after a sync that it shares with whoever waits; a
//! large body is sealed, too. GET of a small body is a look into a map and a static reply; a large one is
//! opened as it streams. It knows no buckets, no signatures and no versions.

mod log;
mod map;
mod sealed;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use crc_fast::CrcAlgorithm;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use md5::{Digest as _, Md5};
use ring::digest::{Context, SHA256};
use tokio::net::TcpListener;

use log::{Change, Log, Outcome};
use map::{Map, Stored};
use sealed::{Opening, Sealer};

/// A body above it is sealed, and lies in the log alone: where Tidelock begins to do that.
const SMALL_BYTES_MAX: u64 = 8 * sealed::CHUNK_BYTES as u64;

type Answer = Response<Either<Full<Bytes>, Opening>>;

/// Serves until it is killed; says where on stderr, as `tidelock serve` does.
#[tokio::main]
pub async fn serve(directory: &Path) -> Result<()> {
    let map = Arc::new(Map::default());
    let log = Log::start(directory, Arc::clone(&map))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("control: listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (map, log) = (Arc::clone(&map), log.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&map, &log, request));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes away ends its connection, nothing else.
            drop(served.await);
        });
    }
}

async fn answer(map: &Map, log: &Log, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let uri = request.uri();
    let is_object =
        uri.query().is_none() && uri.path().bytes().filter(|it| *it == b'/').count() > 1;
    if !is_object {
        // A bucket, whatever is asked of it.
        drop(request.into_body().collect().await);
        return Ok(text(StatusCode::OK, ""));
    }
    let key = uri.path().to_owned();
    Ok(match *request.method() {
        Method::GET => get(map, &key),
        Method::PUT => put(log, key, request).await,
        Method::DELETE => match log.append(key, Change::Delete, false).await {
            Outcome::Done => text(StatusCode::NO_CONTENT, ""),
            Outcome::Taken | Outcome::Failed => text(StatusCode::INTERNAL_SERVER_ERROR, ""),
        },
        _ => text(StatusCode::METHOD_NOT_ALLOWED, ""),
    })
}

fn get(map: &Map, key: &str) -> Answer {
    match map.get(key) {
        Some(Stored::Plain(body)) => Response::new(Either::Left(Full::new(body))),
        Some(Stored::Sealed(sealed)) => Response::new(Either::Right(Opening::of(sealed))),
        None => text(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>"),
    }
}

async fn put(log: &Log, key: String, request: Request<Incoming>) -> Answer {
    let is_conditional = request.headers().contains_key(IF_NONE_MATCH);
    let signed = request.headers().get("x-amz-content-sha256").cloned();
    let Some(size) = request.body().size_hint().exact() else {
        return text(StatusCode::LENGTH_REQUIRED, "");
    };
    let mut digests = Digests::new();
    let body = request.into_body();
    let change = if size <= SMALL_BYTES_MAX {
        plain(body, &mut digests).await
    } else {
        sealed_body(body, size, &mut digests).await
    };
    let Some(change) = change else { return text(StatusCode::BAD_REQUEST, "") };
    let (sha256, etag) = digests.finish();
    if signed.is_some_and(|signed| signed.as_bytes() != sha256.as_bytes()) {
        return text(
            StatusCode::BAD_REQUEST,
            "<Error><Code>XAmzContentSHA256Mismatch</Code></Error>",
        );
    }
    match log.append(key, change, is_conditional).await {
        Outcome::Done => {
            let mut answer = text(StatusCode::OK, "");
            if let Ok(etag) = HeaderValue::from_str(&etag) {
                answer.headers_mut().insert(ETAG, etag);
            }
            answer
        }
        Outcome::Taken => {
            text(StatusCode::PRECONDITION_FAILED, "<Error><Code>PreconditionFailed</Code></Error>")
        }
        Outcome::Failed => text(StatusCode::INTERNAL_SERVER_ERROR, ""),
    }
}

async fn plain(body: Incoming, digests: &mut Digests) -> Option<Change> {
    let body = body.collect().await.ok()?.to_bytes();
    digests.update(&body);
    Some(Change::Plain(body))
}

async fn sealed_body(mut body: Incoming, size: u64, digests: &mut Digests) -> Option<Change> {
    let mut sealer = Sealer::new(size)?;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            digests.update(&data);
            sealer.push(&data)?;
        }
    }
    Some(Change::Sealed(sealer.finish()?))
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from_static(body.as_bytes()))));
    *answer.status_mut() = status;
    if status == StatusCode::NO_CONTENT {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    answer
}

/// What a PUT of Tidelock's digests.
struct Digests {
    sha256: Context,
    md5: Md5,
    crc: crc_fast::Digest,
}

impl Digests {
    fn new() -> Self {
        let crc = crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme);
        Self { sha256: Context::new(&SHA256), md5: Md5::new(), crc }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.crc.update(bytes);
    }

    /// The SHA-256 in hexadecimal, and the entity tag.
    fn finish(self) -> (String, String) {
        // Nobody asks for it; it is made.
        std::hint::black_box(self.crc.finalize());
        let etag = format!("\"{}\"", hex(&self.md5.finalize()));
        (hex(self.sha256.finish().as_ref()), etag)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |at: u8| char::from(DIGITS[usize::from(at)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
