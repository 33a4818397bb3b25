//! Whether bodies arrive as they were sent, in the forms that Terraform and OpenTofu send them in.
//!
//! Terraform sends states over TLS in chunks with a trailer, and over plain http with a checksum in a
//! header; OpenTofu always does the latter.

use base64::Engine as _;
use bytes::Bytes;
use http::Method;
use ring::digest::{SHA256, digest};
use tidelock_auth::sigv4::{STREAMING_UNSIGNED_TRAILER, payload_hash};

use super::check::{Check, Made, Needs, Outcome, Weight};
use super::ward::Ward;
use crate::ClientError;
use crate::connection::Outgoing;

/// The text that check values of CRCs are given for.
const BODY: &str = "123456789";
/// The check value of CRC-32, 0xCBF43926, as S3 writes it.
const CRC32: &str = "y/Q5Jg==";
/// A CRC-32 that is not that of [`BODY`].
const CRC32_WRONG: &str = "AAAAAA==";

/// What to do where bodies are not verified.
const UNVERIFIED: &str = "reach it over TLS: what is damaged on its way is stored";
/// What to do where trailers are refused over plain http.
const NOT_OVER_HTTP: &str =
    "nothing while it is reached over http; over TLS Terraform sends trailers";

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "checksum-header",
        weight: Weight::Locks,
        needs: Needs::Nothing,
        advice: "set skip_s3_checksum in the backend; a state that is damaged on its way is stored then",
        run: |ward| -> Made<'_> { Box::pin(checksum_header(ward)) },
    },
    Check {
        name: "checksum-trailer",
        weight: Weight::Locks,
        needs: Needs::Nothing,
        advice: "set skip_s3_checksum in the backend and AWS_REQUEST_CHECKSUM_CALCULATION=when_required",
        run: |ward| -> Made<'_> { Box::pin(checksum_trailer(ward)) },
    },
    Check {
        name: "payload-hash",
        weight: Weight::Others,
        needs: Needs::Nothing,
        advice: "reach it over TLS only: its signatures do not cover the body",
        run: |ward| -> Made<'_> { Box::pin(signed_hash(ward)) },
    },
];

async fn checksum_header(ward: &Ward) -> Result<Outcome, ClientError> {
    let put = |name: &str, sum: String| {
        let request = ward.object(Method::PUT, name).header("x-amz-checksum-sha256", sum);
        request.body(Bytes::from_static(BODY.as_bytes()))
    };
    let answer = ward.ask(&put("checksum", sha256(BODY))).await?;
    if !answer.is_success() || ward.get("checksum").await?.as_deref() != Some(BODY) {
        return Ok(Outcome::Bad(format!("a right SHA-256 is answered {}", answer.words())));
    }
    let answer = ward.ask(&put("checksum-wrong", sha256("another"))).await?;
    Ok(match answer.is_success() {
        true => Outcome::Odd("a wrong SHA-256 is accepted".to_owned(), Some(UNVERIFIED)),
        false => Outcome::Good(format!("a wrong SHA-256 is refused: {}", answer.words())),
    })
}

async fn checksum_trailer(ward: &Ward) -> Result<Outcome, ClientError> {
    let is_tls = ward.client.settings().endpoint.scheme_str() == Some("https");
    // Over plain http nobody we know sends it.
    let broken =
        |seen| if is_tls { Outcome::Bad(seen) } else { Outcome::Odd(seen, Some(NOT_OVER_HTTP)) };
    let rows = [
        ("x-amz-checksum-crc32", CRC32.to_owned(), "trailer-crc32"),
        ("x-amz-checksum-sha256", sha256(BODY), "trailer-sha256"),
    ];
    for (trailer, sum, name) in rows {
        let answer = ward.ask(&chunked(ward, name, trailer, &sum)).await?;
        if !answer.is_success() {
            return Ok(broken(format!("a trailer {trailer} is answered {}", answer.words())));
        }
        if ward.get(name).await?.as_deref() != Some(BODY) {
            // Whoever sends it later has lost a state.
            return Ok(Outcome::Bad(format!("with a trailer {trailer} the chunks are stored")));
        }
    }
    let wrong = chunked(ward, "trailer-wrong", "x-amz-checksum-crc32", CRC32_WRONG);
    let answer = ward.ask(&wrong).await?;
    Ok(match answer.is_success() {
        true => Outcome::Odd("a wrong CRC-32 is accepted".to_owned(), Some(UNVERIFIED)),
        false => Outcome::Good(format!(
            "CRC-32 and SHA-256 over {}; a wrong one is refused: {}",
            if is_tls { "TLS" } else { "http" },
            answer.words()
        )),
    })
}

/// A body that is not the one whose hash is signed.
async fn signed_hash(ward: &Ward) -> Result<Outcome, ClientError> {
    let request = ward
        .object(Method::PUT, "hash")
        .payload(payload_hash(b"another"))
        .body(Bytes::from_static(BODY.as_bytes()));
    let answer = ward.ask(&request).await?;
    Ok(match answer.is_success() {
        true => Outcome::Bad("a body is accepted under the signature of another".to_owned()),
        false => Outcome::Good(format!("another body is refused: {}", answer.words())),
    })
}

/// [`BODY`] in one chunk, and `sum` behind it in the trailer called `trailer`.
fn chunked(ward: &Ward, name: &str, trailer: &str, sum: &str) -> Outgoing {
    let length = BODY.len();
    let body = format!("{length:x}\r\n{BODY}\r\n0\r\n{trailer}:{sum}\r\n\r\n");
    ward.object(Method::PUT, name)
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", length.to_string())
        .header("x-amz-trailer", trailer)
        .payload(STREAMING_UNSIGNED_TRAILER)
        .body(Bytes::from(body))
}

fn sha256(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(digest(&SHA256, text.as_bytes()))
}
