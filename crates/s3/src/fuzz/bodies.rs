//! Bodies in a framing: `aws-chunked` and forms. However they arrive, they are the same.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use jiff::Timestamp;
use ring::digest;
use tidelock_auth::identity::{AccessKeyId, SecretAccessKey};
use tidelock_auth::sigv4::{ChunkSigner, RequestHead, Signer};
use tidelock_store::BodySource as _;

use crate::error::S3Error;
use crate::form::{FIELDS_BYTES_MAX, Fields, FileBody, Form};
use crate::payload::{Announced, ChunkDecoder, Framing, Payload, PayloadError, Step};
use crate::response::StreamError;

const PIECES_BYTES: [usize; 3] = [1, 7, usize::MAX];
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const BOUNDARY: &str = "one that is not in it";
const CHECKSUM: (&str, &str) = ("x-amz-checksum-crc32", "AAAAAA==");

type Decoded = Result<(Vec<u8>, Vec<(String, String)>), PayloadError>;

/// A body that nobody signed, of which `decoded_bytes` and `trailer` were announced.
pub fn chunked(decoded_bytes: u64, trailer: &[String], wire: &[u8]) {
    let announced = Announced { decoded_bytes, trailer: trailer.to_vec() };
    let all = PIECES_BYTES.map(|piece_bytes| decode(&announced, None, wire, piece_bytes));
    assert!(all.iter().all(|decoded| *decoded == all[0]), "{all:?}");
    let [Ok((data, fields)), ..] = &all else { return };
    assert_eq!(data.len() as u64, decoded_bytes);
    assert!(fields.iter().all(|(name, _)| trailer.contains(name)));
    let lines = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n"));
    let chunk = if data.is_empty() { String::new() } else { format!("{:x}\r\n", data.len()) };
    let end = format!("\r\n0\r\n{}\r\n", lines.collect::<String>());
    let end = if data.is_empty() { &end[2..] } else { &end };
    let again = [chunk.as_bytes(), data, end.as_bytes()].concat();
    assert_eq!(decode(&announced, None, &again, usize::MAX), all[0]);
}

/// A signed body in which somebody has changed one byte: it is refused, or means what it meant.
pub fn chunked_signed(data: &[u8], chunk_bytes: usize, has_trailer: bool, change: (usize, u8)) {
    let (mut signer, mut wire) = (signer(), Vec::new());
    let verifier = signer.clone();
    for chunk in data.chunks(chunk_bytes.max(1)).chain([&[][..]]) {
        let signature = signer.sign_chunk(&sha256(chunk));
        wire.extend_from_slice(
            format!("{:x};chunk-signature={signature}\r\n", chunk.len()).as_bytes(),
        );
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(if chunk.is_empty() { b"" } else { b"\r\n" });
    }
    let mut announced = Announced { decoded_bytes: data.len() as u64, trailer: Vec::new() };
    let mut fields = Vec::new();
    if has_trailer {
        let (name, value) = CHECKSUM;
        let signature = signer.sign_trailer([(name, value.as_bytes())]);
        let lines = format!("{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n");
        wire.extend_from_slice(lines.as_bytes());
        announced.trailer.push(name.to_owned());
        fields.push((name.to_owned(), value.to_owned()));
    }
    wire.extend_from_slice(b"\r\n");
    let decode = |wire: &[u8]| decode(&announced, Some(verifier.clone()), wire, 7);
    let meant = Ok((data.to_vec(), fields));
    assert_eq!(decode(&wire), meant);
    let at = change.0 % wire.len();
    wire[at] = change.1;
    let changed = decode(&wire);
    assert!(changed.is_err() || changed == meant, "byte {at} is {}", change.1);
}

/// A form, in a body of this content type.
pub fn form(content_type: &str, body: &[u8]) {
    let all = PIECES_BYTES.map(|piece_bytes| read_form(content_type, body, piece_bytes));
    assert!(all.iter().all(|read| *read == all[0]), "{all:?}");
    let [Ok((fields, file)), ..] = all else { return };
    let is_named = |(name, _): &(String, String)| {
        let same = fields.fields.iter().filter(|(other, _)| other == name);
        !name.is_empty() && same.count() == 1 && !name.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    assert!(fields.fields.iter().all(is_named), "{fields:?}");
    assert!(file.is_empty() || body.windows(file.len()).any(|part| part == file));
    let names = fields.fields.iter().map(|(name, _)| name).chain([&fields.file_name]);
    let is_plain = |name: &String| !name.contains(['"', '\\', '%', '\r', '\n']);
    let has_boundary =
        |bytes: &[u8]| bytes.windows(BOUNDARY.len()).any(|it| it == BOUNDARY.as_bytes());
    let again = render(&fields, &file);
    if names.into_iter().all(is_plain) && !has_boundary(body) && again.len() < FIELDS_BYTES_MAX {
        let content_type = format!("multipart/form-data; boundary=\"{BOUNDARY}\"");
        assert_eq!(read_form(&content_type, &again, usize::MAX), Ok((fields, file)));
    }
}

fn decode(
    announced: &Announced,
    signer: Option<ChunkSigner>,
    wire: &[u8],
    piece_bytes: usize,
) -> Decoded {
    let mut decoder = ChunkDecoder::new(announced.clone(), signer);
    let mut data = Vec::new();
    for piece in wire.chunks(piece_bytes) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Step::Data(bytes) = decoder.step()? {
            assert!(!bytes.is_empty());
            data.extend_from_slice(&bytes);
        }
    }
    decoder.finish()?;
    Ok((data, decoder.take_trailer()))
}

fn signer() -> ChunkSigner {
    let key = AccessKeyId::parse("AKID").unwrap();
    let signer = Signer {
        access_key_id: &key,
        secret: &SecretAccessKey::new("secret"),
        session_token: None,
        region: "us-east-1",
        service: "s3",
    };
    let head =
        RequestHead { method: "PUT", path: "/b/k", query: "", authority: None, headers: &[] };
    signer.sign(&head, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Timestamp::UNIX_EPOCH).chunk_signer
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap()
}

type ReadForm = Result<(Fields, Vec<u8>), String>;

fn read_form(content_type: &str, body: &[u8], piece_bytes: usize) -> ReadForm {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    let pieces: Vec<Result<_, StreamError>> = body
        .chunks(piece_bytes)
        .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    let body = StreamBody::new(stream::iter(pieces)).boxed();
    let payload = Payload::new(body, Framing::Plain { sha256: None }, None, IDLE_TIMEOUT);
    RUNTIME.with(|runtime| runtime.block_on(read(payload, &headers)))
}

async fn read(payload: Payload, headers: &HeaderMap) -> ReadForm {
    let code = |error: S3Error| error.code().as_str().to_owned();
    let mut form = Form::new(payload, headers).map_err(code)?;
    let fields = form.fields().await.map_err(code)?;
    let mut body = FileBody { form: &mut form, bytes_min: 0, bytes_max: u64::MAX, read_bytes: 0 };
    let mut file = Vec::new();
    while let Some(bytes) = body.next().await.map_err(|error| code(error.into()))? {
        file.extend_from_slice(&bytes);
    }
    Ok((fields, file))
}

fn render(fields: &Fields, file: &[u8]) -> Vec<u8> {
    let head = |parameters: String| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {parameters}\r\n\r\n")
    };
    let part = |(name, value): &(String, String)| head(format!("name=\"{name}\"")) + value + "\r\n";
    let before: String = fields.fields.iter().map(part).collect();
    let of_file = head(format!("name=\"file\"; filename=\"{}\"", fields.file_name));
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    [before.as_bytes(), of_file.as_bytes(), file, end.as_bytes()].concat()
}
