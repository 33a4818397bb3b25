//! The JSON API under `/_/api/v1`: what S3 has no words for: users, their keys and groups, states and
//! their guard, the audit log, webhooks, the keyring.
//!
//! Requests are signed with Signature Version 4 like those of S3 (service `s3`), answers are JSON,
//! and an error is `{"code": ..., "message": ...}`. What a caller may do is decided by the store,
//! as for S3; this file routes and translates.

mod access;
mod allowances;
mod audit;
mod error;
mod groups;
mod guard;
mod keyring;
mod keys;
mod locks;
mod openapi;
mod refused;
mod roles;
mod route;
mod schema;
mod server;
mod states;
mod users;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, request};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidelock_auth::sigv4::{PayloadMode, payload_hash};
use tidelock_s3::{
    Authenticated, Authenticator, Authorizer, Peer, RequestId, Requester, ResponseBody, iso8601,
};
use tidelock_store::{
    BucketError, BucketName, InvalidObjectKey, ObjectKey, Principal, Protocol, Store, SystemEntropy,
};

use error::ApiError;
use route::{Operation, Routed};

use crate::status::Status;
use crate::webhooks::Sender;
pub(crate) use audit::EntryDocument;

/// Path of everything here.
pub(crate) const PREFIX: &str = "/_/api/v1/";
/// A request is a few names long.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Services whose signatures are taken.
const SERVICES: &[&str] = &["s3"];

/// Names the request, as in answers of S3.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// The JSON API over a store.
pub(crate) struct Api {
    store: Arc<Store>,
    authenticator: Arc<Authenticator>,
    authorizer: Arc<Authorizer>,
    sender: Arc<Sender>,
    status: Status,
    /// Time for a request's document to arrive: anybody may send one, and it holds a place.
    body_timeout: Duration,
    random: SystemEntropy,
}

/// An answer and what to log and count it as.
pub(crate) struct Answer {
    pub(crate) response: Response<ResponseBody>,
    pub(crate) operation: &'static str,
    pub(crate) code: &'static str,
}

impl Api {
    pub(crate) fn new(
        store: Arc<Store>,
        (authenticator, authorizer): (Arc<Authenticator>, Arc<Authorizer>),
        sender: Arc<Sender>,
        status: Status,
        body_timeout: Duration,
    ) -> Self {
        let random = SystemEntropy::new();
        Self { store, authenticator, authorizer, sender, status, body_timeout, random }
    }

    /// Answers a request whose path begins with [`PREFIX`]. The answer's extensions hold the
    /// [`RequestId`] and the [`Requester`].
    pub(crate) async fn answer<B>(&self, request: Request<B>, peer: &Peer) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let id = RequestId::generate(&self.random);
        let mut sender = None;
        let mut answer = match Routed::of(&parts) {
            Ok(routed) => {
                let mut answer =
                    self.answer_routed(&routed, &parts, body, (peer, &id), &mut sender).await;
                answer.response.extensions_mut().insert(routed.place());
                answer
            }
            Err(error) => error.answer("UnknownApi"),
        };
        if let Ok(value) = HeaderValue::from_str(id.request_id()) {
            answer.response.headers_mut().insert(REQUEST_ID, value);
        }
        let unproven = || peer.unproven(Protocol::Api, &parts, id.request_id());
        let sender = sender.unwrap_or_else(unproven);
        answer.response.extensions_mut().insert(Requester(sender));
        answer.response.extensions_mut().insert(id);
        answer
    }

    async fn answer_routed<B>(
        &self,
        routed: &Routed,
        parts: &request::Parts,
        body: B,
        (peer, id): (&Peer, &RequestId),
        sender: &mut Option<Principal>,
    ) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let operation = routed.operation.as_str();
        if routed.operation == Operation::Describe {
            return Answer { response: openapi::answer(), operation, code: "OK" };
        }
        let result = async {
            let reading = tokio::time::timeout(self.body_timeout, read(body));
            let body = reading.await.map_err(|_elapsed| ApiError::timeout())??;
            let caller = self.authenticate(parts, &body).await?;
            let origin = peer.origin(Protocol::Api, &caller, &parts.headers, id.request_id());
            let mut actor = caller.principal.with_origin(origin);
            *sender = Some(actor.clone());
            self.authorize(routed, &mut actor, parts, peer).await?;
            self.perform(routed, (&actor, parts, peer), &body).await
        };
        match result.await {
            Ok(response) => Answer { response, operation, code: "OK" },
            Err(error) => error.answer(operation),
        }
    }

    async fn perform(
        &self,
        routed: &Routed,
        (actor, parts, peer): (&Principal, &request::Parts, &Peer),
        body: &[u8],
    ) -> Result<Response<ResponseBody>, ApiError> {
        routed.check_query()?;
        let store = &self.store;
        let (id, prefix) = (routed.path("id"), routed.query("prefix").unwrap_or_default());
        let bucket = || bucket_name(routed.path("bucket"));
        let (name, policy) = (routed.path("name"), routed.path("policy"));
        match routed.operation {
            Operation::ListUsers => users::list(store, actor).await,
            Operation::CreateUser => users::create(store, actor, body).await,
            Operation::GetUser => users::get(store, actor, name).await,
            Operation::DeleteUser => users::delete(store, actor, name).await,
            Operation::ListUserPolicies => roles::list_of_user(store, actor, name).await,
            Operation::PutUserPolicy => {
                roles::put_of_user(store, actor, (name, policy), body).await
            }
            Operation::DeleteUserPolicy => {
                roles::delete_of_user(store, actor, (name, policy)).await
            }
            Operation::Group(operation) => operation.perform(store, (actor, routed), body).await,
            Operation::ListRoles => roles::list(store, actor).await,
            Operation::CreateRole => roles::create(store, actor, body).await,
            Operation::GetRole => roles::get(store, actor, name).await,
            Operation::DeleteRole => roles::delete(store, actor, name).await,
            Operation::ListAccessKeys => keys::list(store, actor, routed.query("user")).await,
            Operation::CreateAccessKey => keys::create(store, actor, body).await,
            Operation::RotateAccessKey => keys::rotate(store, actor, id, body).await,
            Operation::DeleteAccessKey => keys::delete(store, actor, id).await,
            Operation::GetBucketGuard => guard::get(store, actor, &bucket()?).await,
            Operation::PutBucketGuard => guard::put(store, actor, &bucket()?, body).await,
            Operation::DeleteBucketGuard => guard::delete(store, actor, &bucket()?).await,
            Operation::ListLocks => locks::list(store, actor, &bucket()?, prefix).await,
            Operation::ReleaseLock => {
                let key = object_key(routed.path("key"))?;
                locks::release(store, actor, (&bucket()?, &key), body).await
            }
            Operation::ListRefused => refused::list(store, actor, &bucket()?, prefix).await,
            Operation::GetRefused => {
                let key = object_key(routed.query("key").unwrap_or_default())?;
                refused::get(store, actor, (&bucket()?, &key), id).await
            }
            Operation::DiscardRefused => {
                let key = object_key(routed.query("key").unwrap_or_default())?;
                refused::discard(store, actor, (&bucket()?, &key), id).await
            }
            Operation::ListStates => {
                self.list_states((actor, parts, peer), &bucket()?, routed).await
            }
            Operation::SearchStates => {
                self.search_states((actor, parts, peer), &bucket()?, routed).await
            }
            Operation::AllowState => allowances::create(store, actor, &bucket()?, body).await,
            Operation::QueryAuditLog => audit::query(store, actor, routed).await,
            Operation::VerifyAuditLog => audit::verify(store, actor).await,
            Operation::ListWebhooks => webhooks::list(store, actor).await,
            Operation::CreateWebhook => webhooks::create(store, actor, body).await,
            Operation::DeleteWebhook => webhooks::delete(store, actor, id).await,
            Operation::ListDeadLetters => webhooks::dead(store, actor, id).await,
            Operation::TestWebhook => webhooks::test(store, &self.sender, actor, id).await,
            Operation::RedeliverDeadLetters => {
                webhooks::redeliver(store, &self.sender, actor, id).await
            }
            Operation::RewrapKeys => keyring::rewrap(store, actor, body).await,
            Operation::GetServer => server::get(&self.status, actor).await,
            Operation::Describe => Ok(openapi::answer()),
        }
    }

    async fn authenticate(
        &self,
        parts: &request::Parts,
        body: &[u8],
    ) -> Result<Authenticated, ApiError> {
        let found = self.authenticator.authenticate(parts, SERVICES, Some(body)).await?;
        let authenticated = found.ok_or_else(ApiError::anonymous)?;
        match authenticated.payload_mode {
            PayloadMode::SignedHash(hash) => {
                if hex::encode(hash) != payload_hash(body) {
                    return Err(ApiError::payload_mismatch());
                }
            }
            // Covered by the signature itself, which has been verified with this body.
            PayloadMode::Undeclared => {}
            PayloadMode::Unsigned | PayloadMode::Chunked { .. } => {
                return Err(ApiError::unsigned_payload());
            }
        }
        Ok(authenticated)
    }
}

fn bucket_name(text: &str) -> Result<BucketName, ApiError> {
    text.parse().map_err(|_| ApiError::from(BucketError::NoSuchBucket))
}

fn object_key(text: &str) -> Result<ObjectKey, ApiError> {
    text.parse().map_err(|error: InvalidObjectKey| ApiError::malformed(&error.to_string()))
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
    json_bytes(status, serde_json::to_vec(document).unwrap_or_default().into())
}

fn json_bytes(status: StatusCode, body: Bytes) -> Response<ResponseBody> {
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

#[cfg(test)]
mod tests;
