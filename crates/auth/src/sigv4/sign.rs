//! Signs requests: what a client sends and a server verifies.
//!
//! Sends nothing, and takes the time as an argument.

use jiff::Timestamp;
use thiserror::Error;

use super::canonical::{
    CANONICAL_REQUEST_BYTES_TYPICAL, Canonical, STRING_TO_SIGN_BYTES_TYPICAL, encode_query,
    normal_path, write_string_to_sign,
};
use super::chunk::ChunkSigner;
use super::credential::Scope;
use super::key::{Signature, SigningKey};
use super::payload::UNSIGNED_PAYLOAD;
use super::presigned::SIGNATURE;
use super::request::RequestHead;
use super::timestamp::AmzDate;
use super::{ALGORITHM, PRESIGN_EXPIRES_S_MAX};
use crate::identity::{AccessKeyId, SecretAccessKey};

/// Headers that are not signed: they belong to one hop, or others may change them on the way.
const UNSIGNED_HEADERS: &[&str] =
    &["authorization", "connection", "expect", "te", "transfer-encoding", "user-agent"];

/// Whose signature, and for where.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// The access key.
    pub access_key_id: &'a AccessKeyId,
    /// Its secret.
    pub secret: &'a SecretAccessKey,
    /// The token of a temporary key.
    pub session_token: Option<&'a str>,
    /// The region, for example `us-east-1`.
    pub region: &'a str,
    /// The service, for example `s3`.
    pub service: &'a str,
}

/// A signature in headers.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The headers to add to the request.
    pub headers: Vec<(&'static str, String)>,
    /// Signs the chunks of a body sent with [`super::STREAMING_SIGNED`] or its trailer form.
    pub chunk_signer: ChunkSigner,
}

/// The life asked for a presigned URL is zero or longer than [`PRESIGN_EXPIRES_S_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a presigned URL lives 1 to {PRESIGN_EXPIRES_S_MAX} seconds")]
pub struct InvalidExpiry;

impl Signer<'_> {
    /// Signs a request in its headers.
    ///
    /// `head` holds the request as it will be sent, its path and query escaped (see
    /// [`super::encode_path`], [`super::encode_query`]), with the host as header or authority, and
    /// without `authorization`, `x-amz-date`, `x-amz-content-sha256` and `x-amz-security-token`,
    /// which are added here. `payload` is [`super::payload_hash`] of the body or the name of a
    /// payload mode. All headers given are signed, but for those of one hop and `user-agent`.
    pub fn sign(&self, head: &RequestHead<'_>, payload: &str, now: Timestamp) -> Signed {
        let date = date_at(now);
        let mut added = vec![
            ("x-amz-content-sha256", payload.to_owned()),
            ("x-amz-date", date.as_str().to_owned()),
        ];
        if let Some(token) = self.session_token {
            added.push(("x-amz-security-token", token.to_owned()));
        }
        let mut headers = head.headers.to_vec();
        headers.extend(added.iter().map(|(name, value)| (*name, value.as_bytes())));
        let signed_headers = signed_headers(&headers);
        let canonical = Canonical {
            head: RequestHead { headers: &headers, ..*head },
            signed_headers: &signed_headers,
            payload,
        };
        let scope = self.scope(&date);
        let key = SigningKey::derive(self.secret, &scope);
        let scope = scope.to_string();
        let signature = signature(&canonical, &date, &scope, &key);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={}",
            self.access_key_id,
            signature.as_str()
        );
        added.push(("authorization", authorization));
        Signed { headers: added, chunk_signer: ChunkSigner::new(key, date, &scope, signature) }
    }

    /// Presigns a request: returns the whole query, that of `head` included. The body is not
    /// signed; of the headers given, the sender must send every one as it is.
    ///
    /// # Errors
    /// [`InvalidExpiry`] unless `expires_s` is 1 to [`PRESIGN_EXPIRES_S_MAX`].
    pub fn presign(
        &self,
        head: &RequestHead<'_>,
        expires_s: u32,
        now: Timestamp,
    ) -> Result<String, InvalidExpiry> {
        if !(1..=PRESIGN_EXPIRES_S_MAX).contains(&expires_s) {
            return Err(InvalidExpiry);
        }
        let date = date_at(now);
        let scope = self.scope(&date);
        let signed_headers = signed_headers(head.headers);
        let credential = format!("{}/{scope}", self.access_key_id);
        let separator = if head.query.is_empty() { "" } else { "&" };
        let mut query = format!(
            "{}{separator}X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={}\
             &X-Amz-Expires={expires_s}&X-Amz-SignedHeaders={}",
            head.query,
            encode_query(&credential),
            date.as_str(),
            encode_query(&signed_headers),
        );
        if let Some(token) = self.session_token {
            query.push_str("&X-Amz-Security-Token=");
            query.push_str(&encode_query(token));
        }
        let canonical = Canonical {
            head: RequestHead { query: &query, ..*head },
            signed_headers: &signed_headers,
            payload: UNSIGNED_PAYLOAD,
        };
        let key = SigningKey::derive(self.secret, &scope);
        let signature = signature(&canonical, &date, &scope.to_string(), &key);
        Ok(format!("{query}&{SIGNATURE}={}", signature.as_str()))
    }

    fn scope<'s>(&'s self, date: &'s AmzDate) -> Scope<'s> {
        Scope { date: date.day(), region: self.region, service: self.service }
    }
}

/// A time before the year 0 is nobody's: such a request is dated 1970, which every server refuses.
fn date_at(now: Timestamp) -> AmzDate {
    AmzDate::at(now).unwrap_or_else(AmzDate::epoch)
}

fn signature(
    canonical: &Canonical<'_>,
    date: &AmzDate,
    scope: &str,
    key: &SigningKey,
) -> Signature {
    let mut request = Vec::with_capacity(CANONICAL_REQUEST_BYTES_TYPICAL);
    canonical.write(&normal_path(canonical.head.path), &mut request);
    let mut message = Vec::with_capacity(STRING_TO_SIGN_BYTES_TYPICAL);
    write_string_to_sign(date, scope, &request, &mut message);
    key.sign(&message)
}

/// The names to sign, lowercase, sorted, each once, the host among them.
fn signed_headers(headers: &[(&str, &[u8])]) -> String {
    let mut names: Vec<_> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.retain(|name| !UNSIGNED_HEADERS.contains(&name.as_str()));
    names.push("host".to_owned());
    names.sort_unstable();
    names.dedup();
    names.join(";")
}
