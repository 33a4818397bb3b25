//! The JSON API under `/_/api/v1`: what S3 has no words for, users, their keys, the audit log and
//! webhooks.
//!
//! Requests are signed with Signature Version 4 like those of S3 (service `s3`), answers are JSON,
//! and an error is `{"code": ..., "message": ...}`. What a caller may do is decided by the store,
//! as for S3; this file routes and translates.

mod audit;
mod error;
mod keys;
mod users;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use ring::rand::SystemRandom;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidelock_auth::sigv4::{PayloadMode, payload_hash};
use tidelock_s3::{Authenticator, Peer, RequestId, Requester, ResponseBody};
use tidelock_store::{Principal, Protocol, Store};

use crate::webhooks::Sender;
pub(crate) use audit::EntryDocument;
use error::ApiError;

/// Path of everything here.
pub(crate) const PREFIX: &str = "/_/api/v1/";
/// A request is a few names long.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Names the request in answers and logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
/// Services whose signatures are taken.
const SERVICES: &[&str] = &["s3"];

/// The JSON API over a store.
pub(crate) struct Api {
    store: Arc<Store>,
    authenticator: Arc<Authenticator>,
    sender: Arc<Sender>,
    /// Time for a request's document to arrive: anybody may send one, and it holds a place.
    body_timeout: Duration,
}

/// An answer and what to log and count it as.
pub(crate) struct Answer {
    pub(crate) response: Response<ResponseBody>,
    pub(crate) operation: &'static str,
    pub(crate) code: &'static str,
}

/// Everything the API can be asked.
enum Operation {
    ListUsers,
    CreateUser,
    DeleteUser { name: String },
    ListAccessKeys { user: Option<String> },
    CreateAccessKey,
    DeleteAccessKey { id: String },
    QueryAuditLog,
    VerifyAuditLog,
    OnWebhooks(webhooks::Operation),
}

impl Api {
    pub(crate) fn new(
        store: Arc<Store>,
        authenticator: Arc<Authenticator>,
        sender: Arc<Sender>,
        body_timeout: Duration,
    ) -> Self {
        Self { store, authenticator, sender, body_timeout }
    }

    /// Answers a request whose path begins with [`PREFIX`].
    ///
    /// The answer's extensions hold the [`RequestId`] and the [`Requester`].
    pub(crate) async fn answer<B>(&self, request: Request<B>, peer: &Peer) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let id = RequestId::generate(&SystemRandom::new());
        let mut sender = peer.unproven(Protocol::Api, &parts, id.request_id());
        let mut answer = match Operation::route(&parts) {
            Ok(operation) => {
                let name = operation.as_str();
                let place = (peer, &id);
                match self.perform(operation, &parts, body, place, &mut sender).await {
                    Ok(response) => Answer { response, operation: name, code: "OK" },
                    Err(error) => error.answer(name),
                }
            }
            Err(error) => error.answer("UnknownApi"),
        };
        if let Ok(value) = HeaderValue::from_str(id.request_id()) {
            answer.response.headers_mut().insert(REQUEST_ID, value);
        }
        answer.response.extensions_mut().insert(Requester(sender));
        answer.response.extensions_mut().insert(id);
        answer
    }

    async fn perform<B>(
        &self,
        operation: Operation,
        parts: &request::Parts,
        body: B,
        place: (&Peer, &RequestId),
        sender: &mut Principal,
    ) -> Result<Response<ResponseBody>, ApiError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let reading = tokio::time::timeout(self.body_timeout, read(body));
        let body = reading.await.map_err(|_elapsed| ApiError::timeout())??;
        let actor = self.authenticate(parts, &body, place).await?;
        *sender = actor.clone();
        match operation {
            Operation::ListUsers => users::list(&self.store, &actor).await,
            Operation::CreateUser => users::create(&self.store, &actor, &body).await,
            Operation::DeleteUser { name } => users::delete(&self.store, &actor, &name).await,
            Operation::ListAccessKeys { user } => {
                keys::list(&self.store, &actor, user.as_deref()).await
            }
            Operation::CreateAccessKey => keys::create(&self.store, &actor, &body).await,
            Operation::DeleteAccessKey { id } => keys::delete(&self.store, &actor, &id).await,
            Operation::QueryAuditLog => audit::query(&self.store, &actor, parts).await,
            Operation::VerifyAuditLog => audit::verify(&self.store, &actor).await,
            Operation::OnWebhooks(operation) => {
                operation.perform(&self.store, &self.sender, &actor, &body).await
            }
        }
    }

    async fn authenticate(
        &self,
        parts: &request::Parts,
        body: &[u8],
        (peer, id): (&Peer, &RequestId),
    ) -> Result<Principal, ApiError> {
        let found = self.authenticator.authenticate(parts, SERVICES, Some(body)).await?;
        let authenticated = found.ok_or_else(ApiError::anonymous)?;
        match authenticated.payload_mode {
            PayloadMode::SignedHash(hash) => {
                let signed: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                if signed != payload_hash(body) {
                    return Err(ApiError::payload_mismatch());
                }
            }
            // Covered by the signature itself, which has been verified with this body.
            PayloadMode::Undeclared => {}
            PayloadMode::Unsigned | PayloadMode::Chunked { .. } => {
                return Err(ApiError::unsigned_payload());
            }
        }
        let origin = peer.origin(Protocol::Api, &authenticated, &parts.headers, id.request_id());
        Ok(authenticated.principal.with_origin(origin))
    }
}

impl Operation {
    fn route(parts: &request::Parts) -> Result<Self, ApiError> {
        let path = parts.uri.path();
        let path = path.strip_prefix(PREFIX).ok_or_else(|| ApiError::no_such_path(path))?;
        let segments: Vec<&str> = path.split('/').collect();
        match (&parts.method, segments.as_slice()) {
            (&Method::GET, ["users"]) => Ok(Self::ListUsers),
            (&Method::POST, ["users"]) => Ok(Self::CreateUser),
            (&Method::DELETE, ["users", name]) => Ok(Self::DeleteUser { name: decode(name)? }),
            (&Method::GET, ["keys"]) => {
                Ok(Self::ListAccessKeys { user: query_value(parts, "user")? })
            }
            (&Method::POST, ["keys"]) => Ok(Self::CreateAccessKey),
            (&Method::DELETE, ["keys", id]) => Ok(Self::DeleteAccessKey { id: decode(id)? }),
            (&Method::GET, ["audit"]) => Ok(Self::QueryAuditLog),
            (&Method::GET, ["audit", "verify"]) => Ok(Self::VerifyAuditLog),
            (_, ["audit"] | ["audit", "verify"]) => {
                Err(ApiError::method_not_allowed(&parts.method))
            }
            (method, ["webhooks", rest @ ..]) => {
                webhooks::Operation::route(method, rest, path).map(Self::OnWebhooks)
            }
            (_, ["users" | "keys"] | ["users" | "keys", _]) => {
                Err(ApiError::method_not_allowed(&parts.method))
            }
            _ => Err(ApiError::no_such_path(parts.uri.path())),
        }
    }

    fn as_str(&self) -> &'static str {
        match self {
            Self::ListUsers => "ListUsers",
            Self::CreateUser => "CreateUser",
            Self::DeleteUser { .. } => "DeleteUser",
            Self::ListAccessKeys { .. } => "ListAccessKeys",
            Self::CreateAccessKey => "CreateAccessKey",
            Self::DeleteAccessKey { .. } => "DeleteAccessKey",
            Self::QueryAuditLog => "QueryAuditLog",
            Self::VerifyAuditLog => "VerifyAuditLog",
            Self::OnWebhooks(operation) => operation.as_str(),
        }
    }
}

/// The value of a parameter of the query.
fn query_value(parts: &request::Parts, wanted: &str) -> Result<Option<String>, ApiError> {
    let query = parts.uri.query().unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| decode(value)).next().transpose()
}

fn decode(text: &str) -> Result<String, ApiError> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| ApiError::malformed("not UTF-8"))
}

async fn read<B>(body: B) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large()),
        Err(error) => Err(ApiError::malformed(&error.to_string())),
    }
}

/// A request's document.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::malformed(&error.to_string()))
}

/// An answer with a document.
fn json(status: StatusCode, document: &impl Serialize) -> Response<ResponseBody> {
    // A struct of strings always serialises; an empty body would show if it ever did not.
    let body = serde_json::to_vec(document).unwrap_or_default();
    let mut response = Response::new(ResponseBody::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn no_content() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// `2026-11-21T20:35:06.667Z`, as S3's lists have it.
fn iso8601(unix_ms: i64) -> String {
    let timestamp = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests;
